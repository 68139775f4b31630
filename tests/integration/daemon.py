"""class Daemon: one real containment-chamber in a directory of its own, and an HTTP client for it.

    d = Daemon(path, network="minimal", keys=[secret, ...])     # writes config.yaml and key files
    d.init(); d.start()                                          # waits for the ports file and readiness
    status, headers, body = d.sign(pubkey, {...})
    d.kill_room("core"); d.wait_ready()
    d.end()

Everything waits for a condition with a deadline; nothing sleeps for luck. It ends only processes it started.
"""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import messages

SOURCE_DIR = pathlib.Path(__file__).resolve().parent.parent.parent
ROOMS = ("front", "core", "vault")
SOCKET_PATH_MAX = 107  # bytes of a Unix socket's path
NAME_MAX = 40
# What a service manager does with its listening sockets: they are 3, 4, ... of the process that it starts.
HAND_OVER = """import os, sys
sockets, command = [int(n) for n in sys.argv[1].split(",")], sys.argv[2:]
high = [os.dup2(fd, 100 + i, False) for i, fd in enumerate(sockets)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)))
os.execv(command[0], command)
"""


def build_dir():
    """Where the build under test lies: CC_BUILD_DIR, or build-test, or build-dev of the source tree."""
    named = os.environ.get("CC_BUILD_DIR")
    if named:
        return pathlib.Path(named)
    for name in ("build-test", "build-dev", "build"):
        if (SOURCE_DIR / name / "bin/containment-chamber").exists():
            return SOURCE_DIR / name
    raise RuntimeError("no build: set CC_BUILD_DIR")


def binary_with_switches():
    """The binary with test switches."""
    return build_dir() / "bin/containment-chamber"


def release_binary():
    """The binary without test switches; None where this run has none."""
    named = os.environ.get("CC_RELEASE_BINARY")
    return pathlib.Path(named) if named else None


def vectors_dir():
    """The folder of third-party vectors, or None."""
    named = os.environ.get("CC_VECTORS") or SOURCE_DIR.parent / "shared/vectors"
    return pathlib.Path(named) if pathlib.Path(named).is_dir() else None


def work_base():
    """Where test directories are made: below the build directory, a real disk, unlike /tmp on many machines. Started as
    root, rooms have users of their own, who can't pass a closed folder such as /root: then in /var/lib."""
    base = build_dir() / "integration"
    closed = [p for p in build_dir().resolve().parents if not p.stat().st_mode & 0o001]
    return pathlib.Path("/var/lib/containment-chamber-tests") if closed and os.geteuid() == 0 else base


def fresh_dir(name):
    """An empty directory for one test; a long name is cut, so that sockets fit below it."""
    name = re.sub(r"[^\w.-]", "_", name)
    if len(name) > NAME_MAX:
        name = f"{name[:NAME_MAX - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    path = work_base() / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def wait_for(what, condition, seconds=20.0):
    """Polls `condition` until it is true and returns its value; fails, naming `what`, at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.01)


def yaml_text(value, indent=0):
    """`value` (dict, list, scalar) as block YAML."""
    pad = "  " * indent
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{pad}{key}:", yaml_text(item, indent + 1)] if item else []
        elif isinstance(item, list):
            lines.append(f"{pad}{key}: [{', '.join(json.dumps(i) for i in item)}]")
        else:
            lines.append(f"{pad}{key}: {json.dumps(item)}")
    return "\n".join(lines)


def merge(base, extra):
    """`base` with the nested dict `extra` on top."""
    merged = dict(base)
    for key, item in extra.items():
        merged[key] = merge(merged[key], item) if isinstance(item, dict) and isinstance(merged.get(key), dict) else item
    return merged


class Connection:
    """A keep-alive HTTP connection that opens again after the server closed it."""

    def __init__(self, host, port, timeout=30):
        self.args = (host, port)
        self.timeout = timeout
        self.http = None

    def request(self, method, path, body=None, headers=None):
        """(status, headers in lower case, body bytes). A body that isn't bytes is sent as JSON."""
        sent = {"Accept": "application/json"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        fresh = self.http is None
        if fresh:
            self.http = http.client.HTTPConnection(*self.args, timeout=self.timeout)
        try:
            self.http.request(method, path, body, sent)
            answer = self.http.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            if fresh:
                raise
            # The server may close an idle connection at any time; a signing request is safe to repeat.
            return self.request(method, path, body, headers)
        if answer.will_close:
            self.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content

    def close(self):
        """Closes; the next request opens again."""
        if self.http:
            self.http.close()
        self.http = None


def children_of(pid):
    """[(pid, argv list)] of the direct children of `pid`."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            argv = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append((int(entry.name), [a.decode(errors="replace") for a in argv]))
    return found


def has_ended(pid):
    """True when the process has let go of everything, locks included; it may still wait to be reaped."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        threads = os.listdir(f"/proc/{pid}/task")  # the first one may be done before the others
    except OSError:
        return True
    return stat[stat.rindex(")") + 2] in "ZX" and len(threads) <= 1


class Daemon:
    """See the module's text."""

    def __init__(self, path, *, network="minimal", keys=(), config=None, binary=None, environment=None):
        self.path = pathlib.Path(path)
        self.data_dir = self.path / "data"
        self.keys_dir = self.path / "keys"
        self.config_path = self.path / "config.yaml"
        self.log_path = self.path / "log.txt"
        self.binary = pathlib.Path(binary or release_binary() or binary_with_switches())
        self.environment = {"PATH": "/usr/bin:/bin", **(environment or {})}
        self.process = None
        self.sockets = []  # listening ones that `server` is handed, as by a service manager; they stay the test's
        self.user = None  # as whom `server` runs; None: as the tests do
        self.http_port = self.metrics_port = None
        self.admin_path = self._admin_path()
        self.path.mkdir(parents=True, exist_ok=True)
        self.keys_dir.mkdir(exist_ok=True)
        for number, secret in enumerate(keys):
            self.add_raw_key(secret, f"key{number}")
        self.config = merge(
            {
                "data_dir": str(self.data_dir),
                "server": {"listen_port": 0, "drain_seconds": 1, **self._admin_option()},
                "metrics": {"listen_port": 0},
                "network": str(network),
                **({"genesis_validators_root": messages.MINIMAL_GENESIS_ROOT} if network == "minimal" else {}),
                "key_sources": {"filesystem": {"paths": [str(self.keys_dir)]}},
                "anti_slashing": {"backend": "sqlite"},
                "logging": {"level": "debug", "format": "json"},
            },
            config or {},
        )
        self.write_config()

    # --- the admin socket ------------------------------------------------------------------------------

    def _admin_path(self):
        """Where it is by default; elsewhere when that is longer than a Unix socket's path may be."""
        path = self.data_dir / "admin.sock"
        if len(str(path)) <= SOCKET_PATH_MAX:
            return path
        self._short_dir = tempfile.TemporaryDirectory(prefix="cc-")  # pylint: disable=consider-using-with
        return pathlib.Path(self._short_dir.name) / "admin.sock"

    def put_data_in(self, path):
        """The data directory is elsewhere from now on; before init."""
        self.data_dir = pathlib.Path(path)
        self.admin_path = self._admin_path()
        self.config["data_dir"] = str(self.data_dir)
        self.config["server"].pop("admin_socket", None)
        self.config["server"].update(self._admin_option())
        self.write_config()

    def _admin_option(self):
        return {} if self.admin_path.parent == self.data_dir else {"admin_socket": str(self.admin_path)}

    # --- files -----------------------------------------------------------------------------------------

    def write_config(self):
        """Writes self.config again, after a test changed it."""
        self.config_path.write_text(yaml_text(self.config) + "\n")

    def add_raw_key(self, secret, name):
        """Adds a Web3Signer file-raw key file; `secret` is 0x + 64 hex."""
        path = self.keys_dir / f"{name}.yaml"
        path.write_text(f'type: "file-raw"\nkeyType: "BLS"\nprivateKey: "{secret}"\n')
        path.chmod(0o600)
        return path

    # --- life ------------------------------------------------------------------------------------------

    def command(self, *arguments, check=True, timeout=60, **options):
        """Runs `containment-chamber ARGUMENTS` to its end."""
        result = subprocess.run(
            [str(self.binary), *map(str, arguments)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **options,
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{arguments}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def init(self, **options):
        """`init -c`: makes the chamber and the empty history."""
        return self.command("init", "-c", self.config_path, **options)

    def spawn(self, *more):
        """Starts `server` and does not wait for it."""
        (self.data_dir / "ports").unlink(missing_ok=True)
        numbers = [s.fileno() for s in self.sockets]
        wrapped = [sys.executable, "-S", "-c", HAND_OVER, ",".join(map(str, numbers))] if numbers else []
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*wrapped, str(self.binary), "server", "-c", str(self.config_path), *more],
                pass_fds=numbers,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self.user,
                group=self.user,
            )
        return self

    def start(self, *more, ready=True, seconds=30):
        """Starts `server`; returns when it answers, and when a signature would succeed unless `ready` is False."""
        self.spawn(*more)
        return self.wait_started(seconds, ready)

    def wait_started(self, seconds=30, ready=True):
        """What start() waits for, after spawn()."""
        wait_for("the ports file", lambda: self.alive() and self._read_ports(), seconds)
        wait_for("/upcheck", lambda: self.alive() and self.status_of("/upcheck") == 200, seconds)
        if ready:
            self.wait_ready(seconds)
        return self

    def alive(self):
        """True; fails with the log's end when the process has ended."""
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"the server ended with {code}:\n{self.log_text()[-3000:]}")
        return True

    def _read_ports(self):
        path = self.data_dir / "ports"
        if not path.exists():
            return False
        ports = dict(re.findall(r"^([a-z-]+)=(\d+)$", path.read_text(), flags=re.M))
        if "http-port" not in ports:
            return False
        self.http_port = int(ports["http-port"])
        self.metrics_port = int(ports.get("metrics-port", 0))
        return True

    def wait_ready(self, seconds=30):
        """Waits until every key is loaded and a signature would succeed now."""
        wait_for("/readyz 200", lambda: self.alive() and self.status_of("/readyz") == 200, seconds)

    def stop(self, seconds=45):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired as slow:
            raise AssertionError(f"did not end within {seconds} s of SIGTERM:\n{self.log_text()[-3000:]}") from slow
        return code

    def kill_all(self):
        """kill -9 of the supervisor and every room at once, as a power cut would."""
        self.halt(self.process.pid)  # or it might start a room that nobody would wait for
        rooms = [pid for pid, _ in children_of(self.process.pid)]
        for pid in [self.process.pid, *rooms]:
            self._kill(pid)
        self.process.wait(10)
        wait_for("the rooms' end", lambda: all(map(has_ended, rooms)))

    def end(self):
        """Ends whatever still runs; for teardown."""
        if self.process is not None and self.process.poll() is None:
            self.kill_all()

    # --- rooms -----------------------------------------------------------------------------------------

    def rooms(self):
        """{"front": pid, ...} of the rooms that live now."""
        found = {}
        for pid, argv in children_of(self.process.pid):
            if "room" in argv and argv.index("room") + 1 < len(argv):
                found[argv[argv.index("room") + 1]] = pid
        return found

    def room(self, name):
        """The pid of a room, waiting for it to be there."""
        return wait_for(f"room {name}", lambda: self.rooms().get(name))

    @staticmethod
    def _kill(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    @staticmethod
    def halt(pid):
        """SIGSTOP; returns when it stands still."""
        def halted():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                return stat.read().rpartition(")")[2].split()[0] in "TtZX"
            return True  # it has ended

        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        wait_for("the halt", halted)

    def kill_room(self, name):
        """kill -9 of one room; returns when another one of that name has taken its place."""
        old = self.room(name)
        self._kill(old)
        wait_for(f"a new {name}", lambda: self.alive() and self.rooms().get(name, old) != old)
        return old

    # --- HTTP ------------------------------------------------------------------------------------------

    def connect(self, timeout=30):
        """A keep-alive connection of its own, for a thread."""
        return Connection("127.0.0.1", self.http_port, timeout)

    def get(self, path, headers=None):
        """(status, headers, body)"""
        connection = self.connect()
        try:
            return connection.request("GET", path, None, headers)
        finally:
            connection.close()

    def post(self, path, body, headers=None):
        """(status, headers, body)"""
        connection = self.connect()
        try:
            return connection.request("POST", path, body, headers)
        finally:
            connection.close()

    def status_of(self, path):
        """The status of a GET, or None where nobody answers."""
        try:
            return self.get(path)[0]
        except (OSError, http.client.HTTPException):
            return None

    def sign(self, pubkey, body, headers=None):
        """(status, headers, body) of one signing request."""
        return self.post(f"/api/v1/eth2/sign/{pubkey}", body, headers)

    def metrics(self):
        """The text of /metrics."""
        connection = Connection("127.0.0.1", self.metrics_port)
        try:
            status, _, body = connection.request("GET", "/metrics")
        finally:
            connection.close()
        assert status == 200, status
        return body.decode()

    # --- logs ------------------------------------------------------------------------------------------

    def log_text(self):
        """Everything that the program wrote so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
