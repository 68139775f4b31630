"""A signer with attested TLS over a security module in software, and `attest proxy` in front of it."""
import pathlib
import re
import subprocess
import sys
import tempfile

import interop
from daemon import Connection, binary_with_switches, release_binary, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import nsm_device  # noqa: E402  pylint: disable=wrong-import-position


class Attested:
    """A daemon with tee.platform: nitro and tls.mode: atls; `device` is its security module."""

    def __init__(self, make_daemon, *, config=None, keys=interop.SECRETS[:1], **options):
        self.folder = tempfile.TemporaryDirectory(prefix="cc-nsm-")  # pylint: disable=consider-using-with
        self.device = nsm_device.NsmDevice(pathlib.Path(self.folder.name) / "nsm")
        both = {"tee": {"platform": "nitro", "device": self.device.path},
                "tls": {"mode": "atls", "listen_port": 0}, **(config or {})}
        # A release takes no socket for a device.
        self.daemon = make_daemon(keys=keys, config=both, binary=binary_with_switches(), **options)
        self.proxies = []

    def __enter__(self):
        self.device.__enter__()
        return self

    def __exit__(self, *_):
        for proxy in self.proxies:
            proxy.end()
        self.daemon.end()
        self.device.__exit__()
        self.folder.cleanup()

    def start(self):
        """init and server."""
        self.daemon.init()
        self.daemon.start()
        return self

    @property
    def port(self):
        """The port of attested TLS."""
        return int(re.search(r"https-port=(\d+)", (self.daemon.data_dir / "ports").read_text()).group(1))

    @property
    def chamber_id(self):
        """In hex."""
        return re.search(r"^chamber 0x([0-9a-f]{64})$", (self.daemon.data_dir / "identity.pub").read_text(), flags=re.M).group(1)

    def whom(self, **changes):
        """The arguments that name this enclave; `pcrs`, `chamber`, `root` and `more` change them."""
        pcrs = changes.get("pcrs") or self.device.pcrs
        made = []
        for number in range(3):
            made += ["--attest-pcr", f"{number}={pcrs[number].hex()}"]
        made += ["--attest-chamber", changes.get("chamber", self.chamber_id)]
        made += ["--attest-root", str(changes.get("root", self.device.root_path))]
        return made + changes.get("more", [])

    def proxy(self, *more, signer=None, **changes):
        """A proxy that carries to this signer."""
        made = Proxy(self.daemon, signer or f"tcp:127.0.0.1:{self.port}", self.whom(**changes), more)
        self.proxies.append(made)
        return made


class Proxy:
    """`attest proxy` on a free port of loopback; ready when this returns."""

    def __init__(self, daemon, signer, whom, more=()):
        self.log_path = daemon.path / f"proxy-{id(self)}.log"
        arguments = [str(release_binary() or daemon.binary), "attest", "proxy", "--listen", "tcp:127.0.0.1:0", "--metrics", "tcp:127.0.0.1:0",
                     "--signer", signer, *whom, *more]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=daemon.environment)
        found = wait_for("the proxy's ports", self._ports)
        self.port, self.metrics_port = map(int, found.groups())

    def _ports(self):
        assert self.process.poll() is None, self.log_path.read_text()
        return re.search(r"listening; each connection is verified.*port=(\d+) metrics_port=(\d+)", self.log_path.read_text())

    def connect(self, timeout=30):
        """A keep-alive connection through it."""
        return Connection("127.0.0.1", self.port, timeout)

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body) of one request on a connection of its own."""
        connection = self.connect()
        try:
            return connection.request(method, path, body, headers)
        finally:
            connection.close()

    def metric(self, name):
        """A counter's value."""
        connection = Connection("127.0.0.1", self.metrics_port)
        status, _, body = connection.request("GET", "/metrics")
        connection.close()
        assert status == 200
        found = re.search(rf"^containment_attest_proxy_{re.escape(name)} (\d+)$", body.decode(), flags=re.M)
        return int(found.group(1)) if found else None

    def end(self):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(30)
