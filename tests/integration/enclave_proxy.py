"""class Proxy: one `enclave proxy`, with Unix sockets in the place of vsock, which this kind of machine can't be relied on to have."""
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess

from daemon import binary_with_switches, release_binary, wait_for


def free_port():
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def reach(path):
    """A connection to a Unix socket, or to a port of 127.0.0.1."""
    if isinstance(path, int):
        return socket.create_connection(("127.0.0.1", path), timeout=20)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(path))
    return sock


def listen(path=None, backlog=1024):
    """A listener on a Unix socket, or on a free port."""
    sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    sock.bind(str(path) if path else ("127.0.0.1", 0))
    sock.listen(backlog)
    sock.settimeout(20)
    return sock


def is_locked(pid):
    """Can it make no system calls but those that it needs?"""
    about = pathlib.Path(f"/proc/{pid}/status").read_text()
    return bool(re.search(r"^Seccomp:\s+2$", about, flags=re.M) and re.search(r"^NoNewPrivs:\s+1$", about, flags=re.M))


class Proxy:
    """See the module's text."""

    def __init__(self, folder, *arguments, files=None, environment=None):
        self.log_path = folder / "proxy.log"
        self.metrics_port = free_port()
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
                [str(release_binary() or binary_with_switches()), "enclave", "proxy", *map(str, arguments),
                 "--metrics", f"tcp:127.0.0.1:{self.metrics_port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=limit,
                env={"PATH": "/usr/bin:/bin", **(environment or {})},
            )
        wait_for("metrics of the proxy", self._answers)

    def _answers(self):
        assert self.process.poll() is None, self.log()
        try:
            return self.metric("open") is not None
        except OSError:
            return False

    def log(self):
        """What it has said."""
        return self.log_path.read_text()

    def page(self, request=b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"):
        """The whole answer to a request for metrics."""
        with reach(self.metrics_port) as sock:
            sock.sendall(request)
            text = b""
            while piece := sock.recv(65536):
                text += piece
        return text.decode()

    def metric(self, name, way=None, **labels):
        """The sum of a counter's series that have these labels; None where there are none."""
        values = []
        for row_labels, value in re.findall(rf"^containment_forward_{name}{{(.*)}} (\d+)$", self.page(), flags=re.M):
            wanted = {**({"way": way} if way else {}), **labels}
            if all(f'{key}="{text}"' in row_labels for key, text in wanted.items()):
                values.append(int(value))
        return sum(values) if values else None

    def memory_kb(self):
        """Resident memory."""
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text())[1])

    def terminate(self):
        """SIGTERM, without waiting."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """SIGTERM; the exit code."""
        self.terminate()
        return self.process.wait(40)

    def end(self):
        """For teardown."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
