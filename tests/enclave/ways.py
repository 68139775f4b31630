"""Ways into an enclave, and what is asked there: plain HTTP at a vsock port, `attest proxy` for a stock client, the test image's
bridge for its owner."""
import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import threading

from image import PORT, PUBLIC
from qemu import Tools, wait_for

TOOLS = Tools(os.environ["CC_ENCLAVE_QEMU"], os.environ["CC_ENCLAVE_VSOCK"])
PROGRAM = pathlib.Path(os.environ["CC_ENCLAVE_PROGRAM"])


def report(name, value):
    """For whoever runs it: also in the file that CC_ENCLAVE_REPORT names."""
    print(f"{name}: {value}")
    if path := os.environ.get("CC_ENCLAVE_REPORT"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{name}: {value}\n")


def predicted(image):
    """{number: hex} of what the tool says."""
    return {number: value.hex() for number, value in image.pcrs().items()}


# --- plain, over vsock -----------------------------------------------------------------------------------------------------------


class Stream(http.client.HTTPConnection):
    """HTTP over a socket that is connected already."""

    def __init__(self, stream):
        super().__init__("localhost", timeout=60)
        self.sock = stream


def ask(machine, method, path, body=None):
    """(status, body text) of one request to the enclave."""
    with contextlib.closing(Stream(machine.connect(PORT))) as connection:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def wait_answer(machine, path="/readyz", wanted=200, seconds=180):
    """Until `path` is answered so."""

    def answered():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return ask(machine, "GET", path)[0] == wanted
        return False

    try:
        wait_for(f"{path} of the enclave", answered, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{machine.console()[-4000:]}") from error


def sign(machine, body):
    """(status, body text) of a signing request."""
    return ask(machine, "POST", f"/api/v1/eth2/sign/{PUBLIC}", body)


# --- as a client that knows nothing of attestation -------------------------------------------------------------------------------


class Bridge:
    """What the parent's `enclave proxy` is to a client: a TCP port on loopback that leads to a vsock port. (That vsock is a Unix socket on
    this side, where a line names the port first.)"""

    def __init__(self, machine, port):
        self.machine, self.port = machine, port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.tcp_port = self.listener.getsockname()[1]
        self.address = f"tcp:127.0.0.1:{self.tcp_port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    enclave = self.machine.connect(self.port)
                except OSError:
                    client.close()  # a client that waits for what never comes would wait long
                    continue
                enclave.settimeout(None)
                for source, to in ((client, enclave), (enclave, client)):
                    threading.Thread(target=self._copy, args=(source, to), daemon=True).start()

    @staticmethod
    def _copy(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:  # a reset: neither side may wait for the other
            for one in source, to:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self):
        """No further connections."""
        self.listener.close()


@contextlib.contextmanager
def attest_proxy(folder, bridge, root, pcr0):
    """`attest proxy`, the sidecar of a client that knows nothing of attestation; gives its Unix socket."""
    path = folder / "p"
    path.unlink(missing_ok=True)
    command = [PROGRAM, "attest", "proxy", "--listen", f"unix:{path}", "--signer", bridge.address, "--attest-root", root,
               "--attest-pcr", f"0={pcr0}", "--attest-chamber", "any"]
    with program(folder / "proxy.txt", command) as process:
        wait_for("attest proxy", lambda: process.poll() is not None or path.exists(), 20)
        assert process.poll() is None, (folder / "proxy.txt").read_text()
        yield path


@contextlib.contextmanager
def program(log_path, command):
    """A process for as long as it is needed, with its output in a file."""
    with open(log_path, "wb") as log:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def curl(path, *arguments):
    """(exit code, output) of a stock client."""
    done = subprocess.run(["curl", "-sS", "--max-time", "60", "--unix-socket", path, *arguments], capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout + done.stderr
