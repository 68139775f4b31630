"""The supervisor and its rooms: who they are, what they can't do, how they come and go."""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import struct
import time

import pytest

import interop
import messages
from daemon import ROOMS, has_ended, release_binary, binary_with_switches, wait_for
from forms import FULL

KEY = interop.PUBKEYS[0]
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="left out: looks into other users' processes")


def running(make_daemon, **options):
    daemon = make_daemon(keys=interop.SECRETS[:1], **options)
    daemon.init()
    return daemon.start()


def status_of(pid, task=None):
    """/proc/PID/status as a dict."""
    path = f"/proc/{pid}/task/{task}/status" if task else f"/proc/{pid}/status"
    return dict(re.findall(r"^(\w+):\t(.*)$", pathlib.Path(path).read_text(), flags=re.M))


def log_lines(daemon):
    return [json.loads(line) for line in daemon.log_text().splitlines()]


def has_line(daemon, message, **fields):
    """True when some line has this message and these fields."""
    return any(
        line["msg"] == message and all(line.get(k) == v for k, v in fields.items()) for line in log_lines(daemon)
    )


# --- who the rooms are -----------------------------------------------------------------------------------------


@needs_root
def test_C03_rooms_have_no_environment_and_no_secret_in_argv(make_daemon):
    canary = "canary-of-the-environment"
    daemon = running(make_daemon, environment={"CANARY": canary, "CONTAINMENT_NETWORK": "minimal"})
    assert canary.encode() in pathlib.Path(f"/proc/{daemon.process.pid}/environ").read_bytes()  # the test can fail
    for name, pid in daemon.rooms().items():
        assert pathlib.Path(f"/proc/{pid}/environ").read_bytes() == b"", name
        argv = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        assert argv == [b"containment-chamber", b"room", name.encode()]


def canary_and_base(pid):
    """(the 16 random bytes that canaries come from, where the program lies)"""
    auxv = pathlib.Path(f"/proc/{pid}/auxv").read_bytes()
    entries = dict(struct.iter_unpack("QQ", auxv))
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(entries[25])  # AT_RANDOM
        random_bytes = memory.read(16)
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    base = re.search(r"^(\w+)-.*containment-chamber$", maps, flags=re.M).group(1)
    return random_bytes, base


@needs_root
def test_T24_canaries_and_addresses_differ_between_rooms(make_daemon):
    daemon = running(make_daemon)
    pids = [daemon.process.pid, *daemon.rooms().values()]
    seen = [canary_and_base(pid) for pid in pids]
    assert len({random_bytes for random_bytes, _ in seen}) == len(pids)
    assert len({base for _, base in seen}) == len(pids)
    daemon.kill_room("front")
    assert canary_and_base(daemon.room("front")) not in seen


@needs_root
def test_rooms_have_users_of_their_own_and_no_capability(make_daemon):
    daemon = running(make_daemon)
    uids = {}
    for name, pid in daemon.rooms().items():
        status = status_of(pid)
        ids = set(status["Uid"].split() + status["Gid"].split())
        assert len(ids) == 1 and ids != {"0"}, name
        assert status["Groups"].strip() == ""
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[kind], 16) == 0, (name, kind)
        uids[name] = ids.pop()
    assert len(set(uids.values())) == len(ROOMS)
    # The stores are the core's, the key is nobody's but root's; the sticky bit keeps the core from removing it.
    assert (daemon.data_dir / "history.sqlite").stat().st_uid == int(uids["core"])
    key = (daemon.data_dir / "chamber.key").stat()
    assert (key.st_uid, key.st_mode & 0o777) == (0, 0o600)
    assert daemon.data_dir.stat().st_mode & 0o7777 == 0o1770


@needs_root
def test_every_thread_of_every_room_is_locked(make_daemon):
    daemon = running(make_daemon)
    for name, pid in daemon.rooms().items():
        tasks = os.listdir(f"/proc/{pid}/task")
        for task in tasks:
            status = status_of(pid, task)
            assert status["Seccomp"] == "2", (name, task)
            assert status["NoNewPrivs"] == "1", (name, task)
        assert not any(
            "x" in line.split()[1] and "w" in line.split()[1]
            for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
        ), name


@needs_root
def test_rooms_have_an_empty_network_of_their_own(make_daemon):
    daemon = running(make_daemon)
    outside = os.readlink("/proc/self/ns/net")
    assert os.readlink(f"/proc/{daemon.process.pid}/ns/net") == outside
    networks = [os.readlink(f"/proc/{pid}/ns/net") for pid in daemon.rooms().values()]
    if outside in networks:
        assert "no network namespace" in daemon.log_text()
        pytest.skip("left out: this kernel gives no network namespaces here")
    assert len(set(networks)) == len(ROOMS)
    for pid in daemon.rooms().values():
        devices = pathlib.Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
        assert [d.split(":")[0].strip() for d in devices] == ["lo"]


@needs_root
def test_rooms_hold_no_descriptor_that_is_not_theirs(make_daemon):
    daemon = running(make_daemon)
    for name, pid in daemon.rooms().items():
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        files = [link for link in links if link.startswith("/") and not link.startswith(("/dev/null", "/memfd:"))]
        if name == "core":
            assert all(link.startswith(str(daemon.data_dir)) for link in files), files
        else:
            assert files == [], name
        assert not any("chamber.key" in link for link in links), name


def test_a_room_does_nothing_when_it_is_started_by_hand(make_daemon):
    daemon = make_daemon()
    for name in (*ROOMS, "loader", "nothing"):
        result = daemon.command("room", name, check=False)
        assert result.returncode == 2
        assert "started by the server only" in result.stderr


# --- what code in a captured room can't do -----------------------------------------------------------------------

ATTEMPTS = """socket socket-local socketpair connect bind listen open-device open-key open-new process-memory ptrace execve
fork truncate unlink kill tgkill ioctl code code-from-data namespace identity io-uring memfd seccomp recvmsg""".split()


def attempt(daemon, room, name):
    """What became of the forbidden call `name` in `room`: killed, denied or allowed."""
    daemon.log_path.unlink(missing_ok=True)
    daemon.environment["CC_TEST_INJECT"] = f"{room}:{name}"
    daemon.spawn()

    def outcome():
        text = daemon.log_text()
        if re.search(rf'"a room was ended by a signal","which":"{room}","signal":31', text):
            return "killed"
        found = re.search(rf'"room":"{room}","msg":"injected: (denied|allowed)","attempt":"{name}"', text)
        return found and found.group(1)

    result = wait_for(f"{name} in {room}", outcome)
    assert f'"injected: trying","attempt":"{name}"' in daemon.log_text()
    daemon.end()
    return result


PRISONS = [*ROOMS, "loader"]


@pytest.mark.parametrize("room", PRISONS)
def test_C01_code_injected_into_a_locked_room_is_denied(room, make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1], binary=binary_with_switches())
    daemon.init()
    assert attempt(daemon, room, "nothing") == "allowed"  # the test can fail
    # Each attempt is a whole life: the short form makes each in one room.
    outcomes = {name: attempt(daemon, room, name) for name in (ATTEMPTS if FULL else ATTEMPTS[PRISONS.index(room)::len(PRISONS)])}
    for name, outcome in outcomes.items():
        # Where strangers' bytes are parsed or keys are held, it is the end; but malloc() itself opens a file in /proc,
        # and copes with being denied (sandbox.def).
        deadly = room in ("front", "vault") and not name.startswith("open")
        assert outcome == ("killed" if deadly else "denied"), (name, outcome)


def test_a_release_binary_has_no_test_switch():
    release = release_binary()
    if release is None:
        pytest.skip("left out: no release binary (CC_RELEASE_BINARY)")
    traces = (b"CC_TEST_", b"injected: ", b"inject=", b"point=", b"test point")
    in_test, in_release = binary_with_switches().read_bytes(), release.read_bytes()
    assert all(trace in in_test for trace in traces)  # the test can fail
    assert not [trace for trace in traces if trace in in_release]


# --- how rooms come and go --------------------------------------------------------------------------------------


def test_C02_core_death_replaces_core_and_front_and_the_vault_keeps_the_keys(make_daemon):
    daemon = running(make_daemon)
    before = daemon.rooms()
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    daemon.kill_room("core")
    daemon.wait_ready()
    after = daemon.rooms()
    assert after["vault"] == before["vault"]
    assert after["core"] != before["core"] and after["front"] != before["front"]
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert daemon.sign(KEY, messages.attestation(1, 2, seed=1))[0] == 412


def test_C02_vault_death_is_a_restart_of_everything(make_daemon):
    daemon = running(make_daemon)
    before = daemon.rooms()
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    daemon.kill_room("vault")
    daemon.wait_ready()
    after = daemon.rooms()
    assert all(after[name] != before[name] for name in ROOMS)
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert daemon.sign(KEY, messages.attestation(1, 2, seed=1))[0] == 412


@needs_root
def test_C07_a_room_waits_for_descriptors_and_comes_back_without_a_restart(make_daemon):
    daemon = running(make_daemon)
    pid = daemon.process.pid
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limit[1]))
    os.kill(daemon.room("front"), signal.SIGKILL)
    wait_for("the failed start", lambda: has_line(daemon, "a room cannot be started", which="front"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
    daemon.wait_ready()
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200


def test_rooms_die_with_the_supervisor(make_daemon):
    daemon = running(make_daemon)
    rooms = daemon.rooms()
    daemon.process.kill()
    daemon.process.wait(10)
    wait_for("the rooms' end", lambda: all(map(has_ended, rooms.values())))


def test_every_log_line_is_json_and_names_its_room(make_daemon):
    daemon = running(make_daemon)
    daemon.kill_room("front")
    assert daemon.stop() == 0
    lines = log_lines(daemon)
    assert {line["room"] for line in lines} >= {"supervisor", "core", "vault", "loader"}
    assert all(line["level"] in ("error", "warn", "notice", "info", "debug") for line in lines)
    assert has_line(daemon, "a room was ended by a signal", room="supervisor", which="front", signal=9)


def test_text_logs(make_daemon):
    daemon = running(make_daemon, config={"logging": {"format": "text"}})
    assert daemon.stop() == 0
    for line in daemon.log_text().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \w+ +\[\w+\] ", line), line


# --- SIGHUP ------------------------------------------------------------------------------------------------------


def test_SIGHUP_reloads_keys_and_log_level_and_names_what_it_does_not(make_daemon):
    daemon = running(make_daemon, config={"logging": {"level": "info"}})
    other = interop.PUBKEYS[1]
    assert daemon.sign(other, messages.attestation(1, 2))[0] == 404
    daemon.add_raw_key(interop.SECRETS[1], "later")
    daemon.config["logging"]["level"] = "debug"
    daemon.config["server"]["max_connections"] = 17
    daemon.write_config()
    daemon.process.send_signal(signal.SIGHUP)
    wait_for("the new key", lambda: daemon.sign(other, messages.attestation(1, 2))[0] == 200)
    assert has_line(daemon, "these options need a restart, ignoring their change", options="server.max_connections")
    assert has_line(daemon, "room started", level="debug", which="loader")


def test_SIGHUP_takes_new_key_paths(make_daemon):
    daemon = running(make_daemon)
    elsewhere = daemon.path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(daemon.add_raw_key(interop.SECRETS[1], "moved"), elsewhere / "moved.yaml")
    daemon.config["key_sources"]["filesystem"]["paths"].append(str(elsewhere))
    daemon.write_config()
    daemon.process.send_signal(signal.SIGHUP)
    other = interop.PUBKEYS[1]
    wait_for("the new key", lambda: daemon.sign(other, messages.attestation(1, 2))[0] == 200)


def test_SIGHUP_with_a_faulty_file_changes_nothing(make_daemon):
    daemon = running(make_daemon)
    daemon.config_path.write_text("server: { listen_prt: 1 }\n")
    daemon.process.send_signal(signal.SIGHUP)
    wait_for("the refusal", lambda: "stays as it was" in daemon.log_text())
    assert "server.listen_prt" in daemon.log_text()
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200


# --- SIGTERM -----------------------------------------------------------------------------------------------------


@pytest.mark.timed
def test_SIGTERM_is_unready_at_once_and_still_answers(make_daemon):
    daemon = running(make_daemon, config={"server": {"drain_seconds": 3}})
    kept = daemon.connect()
    assert kept.request("GET", "/upcheck")[0] == 200
    begun = time.monotonic()
    daemon.process.send_signal(signal.SIGTERM)
    wait_for("unready", lambda: daemon.status_of("/healthcheck") == 503, 2)
    status, headers, _ = daemon.sign(KEY, messages.attestation(1, 2))
    assert (status, headers.get("connection", "").lower()) == (200, "close")
    assert daemon.process.wait(20) == 0
    assert time.monotonic() - begun < 3 + 5
    assert has_line(daemon, "ended", room="supervisor")


def test_a_second_SIGTERM_ends_at_once(make_daemon):
    daemon = running(make_daemon, config={"server": {"drain_seconds": 600}})
    daemon.process.send_signal(signal.SIGTERM)
    wait_for("draining", lambda: has_line(daemon, "draining"))
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(10) == 0


def test_rooms_do_not_end_by_signals_that_are_not_for_them(make_daemon):
    daemon = running(make_daemon)
    before = daemon.rooms()
    for pid in before.values():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGQUIT):
            os.kill(pid, number)
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert daemon.rooms() == before


# --- the service manager ---------------------------------------------------------------------------------------


def test_the_service_manager_is_told(make_daemon):
    address = f"\0containment-chamber-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(20)
        daemon = make_daemon(
            keys=interop.SECRETS[:1], environment={"NOTIFY_SOCKET": "@" + address[1:], "WATCHDOG_USEC": "200000"}
        )
        daemon.init()
        daemon.spawn()

        def hear(expected):
            while True:
                text = manager.recv(4096).decode()
                if text.startswith(expected):
                    return text

        hear("READY=1")
        hear("WATCHDOG=1")
        hear("WATCHDOG=1")
        daemon.process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in hear("RELOADING=1")
        hear("READY=1")
        daemon.process.send_signal(signal.SIGTERM)
        hear("STOPPING=1")
        assert daemon.process.wait(20) == 0


# --- init, and what a start refuses -----------------------------------------------------------------------------


def refused(daemon, code, words, *more):
    """`server` ends by itself with `code`, and says `words`."""
    result = daemon.command("server", "-c", daemon.config_path, *more, check=False)
    assert result.returncode == code, result.stderr
    assert words in result.stderr, result.stderr


def test_P03_server_refuses_without_init_and_names_the_command(make_daemon):
    daemon = make_daemon()
    refused(daemon, 3, "containment-chamber init")
    assert not daemon.data_dir.exists()


@pytest.mark.parametrize("lost", ["history.sqlite", "state.sqlite", "chamber.key"])
@pytest.mark.parametrize("more", [(), ("--init-if-missing",)])
def test_P03_a_lost_file_is_never_made_anew(lost, more, make_daemon):
    daemon = make_daemon()
    daemon.init()
    (daemon.data_dir / lost).unlink()
    left = sorted(os.listdir(daemon.data_dir))
    refused(daemon, 3, "a part of a chamber", *more)
    assert daemon.command("init", "-c", daemon.config_path, check=False).returncode == 3
    assert sorted(os.listdir(daemon.data_dir)) == left


def test_init_is_once(make_daemon):
    daemon = make_daemon()
    daemon.init()
    before = {p.name: p.read_bytes() for p in daemon.data_dir.iterdir() if p.is_file()}
    assert daemon.command("init", "-c", daemon.config_path, check=False).returncode == 3
    assert {p.name: p.read_bytes() for p in daemon.data_dir.iterdir() if p.is_file()} == before


def test_init_if_missing_makes_a_chamber_only_where_there_is_nothing(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    daemon.start("--init-if-missing")
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert daemon.stop() == 0
    daemon.start("--init-if-missing")
    assert daemon.sign(KEY, messages.attestation(1, 2, seed=1))[0] == 412


def test_an_init_that_fails_takes_back_what_it_made(make_daemon):
    daemon = make_daemon(config={"anti_slashing": {"path": "/proc/no/such/history.sqlite"}})
    result = daemon.command("init", "-c", daemon.config_path, check=False)
    assert result.returncode != 0
    assert os.listdir(daemon.data_dir) == []


def test_P03_init_leaves_a_history_that_was_there_before(make_daemon):
    daemon = make_daemon()
    history = daemon.path / "kept.sqlite"
    history.write_bytes(b"a history from elsewhere")
    daemon.config["anti_slashing"]["path"] = str(history)
    daemon.write_config()
    assert daemon.command("init", "-c", daemon.config_path, check=False).returncode == 3
    assert history.read_bytes() == b"a history from elsewhere"


def test_a_symbolic_link_in_the_way_to_a_store_is_named(make_daemon):
    daemon = make_daemon()
    elsewhere = daemon.path / "elsewhere"
    link = daemon.path / "link"
    link.symlink_to("elsewhere")
    daemon.config["server"]["admin_socket"] = "-"  # below a path as long as the build's it might not fit
    for data_dir, history in ((link, ""), (link / "below", ""), (daemon.data_dir, link / "history.sqlite")):
        elsewhere.mkdir(exist_ok=True)
        daemon.config["data_dir"] = str(data_dir)
        daemon.config["anti_slashing"]["path"] = str(history)
        daemon.write_config()
        result = daemon.command("init", "-c", daemon.config_path, check=False)
        assert result.returncode == 3, result.stderr
        assert "symbolic link" in result.stderr and str(link) in result.stderr
        assert not daemon.data_dir.exists() and os.listdir(elsewhere) == []
    daemon.config["data_dir"] = str(daemon.data_dir)
    daemon.config["anti_slashing"]["path"] = ""
    daemon.write_config()
    daemon.init()
    daemon.data_dir.rename(daemon.path / "moved")
    daemon.data_dir.symlink_to("moved")
    refused(daemon, 3, str(daemon.data_dir))


def test_init_leaves_a_directory_that_is_in_use_as_it_is(make_daemon):
    daemon = make_daemon()
    daemon.data_dir.mkdir()
    daemon.data_dir.chmod(0o755)
    (daemon.data_dir / "lost+found").mkdir()
    (daemon.data_dir / "passwd").write_text("somebody else's")
    before = os.stat(daemon.data_dir)
    result = daemon.command("init", "-c", daemon.config_path, check=False)
    assert result.returncode == 3 and "of its own" in result.stdout + result.stderr
    after = os.stat(daemon.data_dir)
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert sorted(os.listdir(daemon.data_dir)) == ["lost+found", "passwd"]
    (daemon.data_dir / "passwd").unlink()
    daemon.init()


def test_a_history_beside_the_data_directory(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    elsewhere = daemon.path / "histories"
    elsewhere.mkdir()
    if IS_ROOT:
        os.chown(elsewhere, 65522, 65522)
    daemon.config["anti_slashing"]["path"] = str(elsewhere / "h.sqlite")
    daemon.write_config()
    daemon.init()
    daemon.start()
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert (elsewhere / "h.sqlite").exists() and not (daemon.data_dir / "history.sqlite").exists()


def test_a_second_server_on_the_same_chamber_is_refused(make_daemon):
    daemon = running(make_daemon)
    refused(daemon, 4, "lock")
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200


def test_a_port_in_use_is_named(make_daemon):
    daemon = make_daemon()
    daemon.init()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(daemon, 1, "the port is in use", "--server-listen-port", str(taken.getsockname()[1]))


@pytest.mark.parametrize("name,mode", [("chamber.key", 0o644), (".", 0o755)])
def test_open_permissions_are_refused(name, mode, make_daemon):
    daemon = make_daemon()
    daemon.init()
    (daemon.data_dir / name).chmod(mode)
    refused(daemon, 3, "PERMISSIONS")


@needs_root
def test_a_data_directory_that_the_core_cannot_reach_is_named(make_daemon):
    daemon = make_daemon()
    daemon.path.chmod(0o700)
    result = daemon.command("init", "-c", daemon.config_path, check=False)
    assert result.returncode == 3
    assert f'"directory":"{daemon.path}"' in result.stderr
    assert os.listdir(daemon.data_dir) == []


def test_a_chamber_key_that_is_a_link_is_refused(make_daemon):
    daemon = make_daemon()
    daemon.init()
    key = daemon.data_dir / "chamber.key"
    key.rename(daemon.path / "moved.key")
    key.symlink_to(daemon.path / "moved.key")
    refused(daemon, 1, "chamber.key can't be opened")


# --- the Unix socket ----------------------------------------------------------------------------------------------


def ask_unix(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: s.recv(4096), b""))


def test_the_unix_socket_serves_and_goes_away(make_daemon):
    daemon = make_daemon()
    path = f"/tmp/cc-test-{os.getpid()}.sock"
    daemon.config["server"]["unix_socket"] = path
    daemon.write_config()
    daemon.init()
    with socket.socket(socket.AF_UNIX) as stale:  # left by a process that was killed
        stale.bind(path)
    daemon.start()
    assert os.stat(path).st_mode & 0o7777 == 0o660
    assert b" 200 " in ask_unix(path)
    daemon.kill_room("front")
    wait_for("the front's return", lambda: b" 200 " in ask_unix(path))
    result = daemon.command("server", "-c", daemon.config_path, check=False)
    assert result.returncode != 0 and b" 200 " in ask_unix(path)  # a second one does not take it over
    assert daemon.stop() == 0
    assert not os.path.exists(path)


# --- without root --------------------------------------------------------------------------------------------------


@needs_root
def test_all_of_it_works_without_root(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    nobody = 65534
    for path in [daemon.path, *daemon.path.rglob("*")]:
        os.chown(path, nobody, nobody)
    wrapper = daemon.path / "as-nobody"
    wrapper.write_text(f'#!/bin/sh\nexec setpriv --reuid {nobody} --regid {nobody} --clear-groups {daemon.binary} "$@"\n')
    wrapper.chmod(0o755)
    daemon.binary = wrapper
    daemon.init()
    daemon.start()
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert {status_of(pid)["Uid"].split()[0] for pid in daemon.rooms().values()} == {str(nobody)}
    assert daemon.data_dir.stat().st_mode & 0o7777 == 0o700
    daemon.kill_room("vault")
    daemon.wait_ready()
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert daemon.stop() == 0


# --- the command line ---------------------------------------------------------------------------------------------


def run(daemon, *arguments):
    return daemon.command(*arguments, check=False)


def test_command_line(make_daemon):
    daemon = make_daemon()
    assert re.match(r"containment-chamber \d+\.\d+\.\d+\n$", run(daemon, "version").stdout)
    assert run(daemon, "--version").stdout == run(daemon, "version").stdout
    assert "init" in run(daemon, "help").stdout
    assert run(daemon, "help", "server").returncode == 0
    for wrong in ((), ("nothing",), ("help", "nothing"), ("version", "x"), ("server", "--nothing"), ("config",),
                  ("server", "-c"), ("server", "-c", "a", "-c", "b"), ("server", "--set", "x"), ("init", "x")):
        assert run(daemon, *wrong).returncode == 2, wrong


def test_config_commands(make_daemon):
    daemon = make_daemon()
    path = daemon.config_path
    assert run(daemon, "config", "check", "-c", path).returncode == 0
    dump = run(daemon, "config", "dump", "-c", path, "--set", "server.listen_port=9001", "--network=hoodi").stdout
    assert "  listen_port: 9001\n" in dump and 'network: "hoodi"\n' in dump
    again = daemon.path / "dump.yaml"
    again.write_text(dump)
    assert run(daemon, "config", "dump", "-c", again).stdout == dump
    example = daemon.path / "example.yaml"
    example.write_text(run(daemon, "config", "example").stdout)
    assert run(daemon, "config", "check", "-c", example).returncode == 0
    path.write_text("server:\n  listen_prt: 1\nnetwrk: x\n")
    result = run(daemon, "config", "check", "-c", path)
    assert result.returncode == 3
    assert f"{path}:2: server.listen_prt" in result.stderr and f"{path}:3: netwrk" in result.stderr
    result = run(daemon, "config", "check", "--anti-slashing-force-ipv4", "true")
    assert result.returncode == 3 and "not in this release" in result.stderr
