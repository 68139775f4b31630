"""class Machine: an enclave image in QEMU's nitro-enclave machine, under plain emulation, and its vsock.

    with Machine(folder, image, tools) as machine:       # image: eif.Image
        machine.wait_line("all rooms serve")
        with machine.connect(9000) as stream: ...          # the host calls the enclave

On the host each vsock port is a Unix socket (vhost-device-vsock): what the enclave calls at port P of its parent (CID 2) comes
to FOLDER/v_P, where listen(P) waits; connect(P) calls the enclave through FOLDER/v. Everything waits for a condition with a
deadline. It ends only processes that it started.
"""
import contextlib
import pathlib
import socket
import subprocess
import threading
import time

PARENT_CID = 2  # the host; an enclave on AWS has its parent at 3
GUEST_CID = 4
HEARTBEAT = b"\xb7"
PARENT_ROLE = "arn:aws:iam::123456789012:role/signer"
PARENT_ID = "i-0123456789abcdef0"


def wait_for(what, condition, seconds=60.0):
    """Polls `condition` until it is true and returns its value; fails, naming `what`, at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.02)


class Tools:
    """Where QEMU and the vsock device lie (tools/enclave-build)."""

    def __init__(self, qemu, vsock):
        self.qemu = pathlib.Path(qemu)
        self.vsock = pathlib.Path(vsock)


class Machine:
    """See the module's text."""

    def __init__(self, folder, image, tools, memory=512):
        self.folder, self.tools, self.memory = pathlib.Path(folder), tools, memory
        self.folder.mkdir(parents=True, exist_ok=True)
        self.image_path = self.folder / "image.eif"
        self.image_path.write_bytes(image.encode())
        self.console_path = self.folder / "console.txt"
        self.log = bytearray()  # what came over vsock
        self.heartbeats = 0
        self.started = None
        self._ending = False
        self._processes, self._listeners, self._threads = [], [], []

    # --- life ----------------------------------------------------------------------------------------------------------------

    def __enter__(self):
        self.listen(9000, self._heartbeat)
        self.listen(9001, self._take_log)
        vhost = self.folder / "h"
        with open(self.folder / "vsock.txt", "wb") as log:
            self._start([self.tools.vsock, "--vm", f"guest-cid={GUEST_CID},uds-path={self.folder / 'v'},socket={vhost}"], log)
        wait_for("the vsock device", vhost.exists, 20)
        command = [self.tools.qemu / "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", f"{self.memory}M", "-nographic", "-no-reboot",
                   "-L", self.tools.qemu / "share", "-kernel", self.image_path, "-chardev", f"socket,id=c,path={vhost}", "-M",
                   f"nitro-enclave,vsock=c,id=i-0test-enc1,parent-role={PARENT_ROLE},parent-id={PARENT_ID}"]
        self.started = time.monotonic()
        with open(self.console_path, "wb") as log:
            self._start(command, log)
        return self

    def __exit__(self, *_):
        self._ending = True
        for process in reversed(self._processes):
            process.kill()
            process.wait(20)
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self._threads:
            thread.join(20)

    def _start(self, command, log):
        self._processes.append(
            subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT))

    # --- what the enclave calls ----------------------------------------------------------------------------------------------

    def listen(self, port, serve):
        """`serve(connection)` in a thread for each connection that the enclave makes to its parent's `port`."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / f"v_{port}"))
        listener.listen(64)
        self._listeners.append(listener)
        self._thread(self._accept, listener, serve)

    def _accept(self, listener, serve):
        while not self._ending:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._thread(self._serve, connection, serve)

    @staticmethod
    def _serve(connection, serve):
        with connection, contextlib.suppress(OSError):
            serve(connection)

    def _thread(self, run, *arguments):
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _heartbeat(self, connection):
        connection.settimeout(20)
        if connection.recv(1) == HEARTBEAT:
            self.heartbeats += 1
            connection.sendall(HEARTBEAT)

    def _take_log(self, connection):
        while data := connection.recv(65536):
            self.log += data

    # --- calling the enclave -------------------------------------------------------------------------------------------------

    def connect(self, port, seconds=30):
        """A connected socket to the enclave's `port`; raises OSError where nobody listens there. Not before the enclave has called its
        parent: the vsock device never gets over what comes before the guest has looked at it."""
        if not self.heartbeats:
            raise ConnectionRefusedError("the enclave hasn't said that it lives")
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.settimeout(seconds)
            stream.connect(str(self.folder / "v"))
            stream.sendall(b"CONNECT %d\n" % port)
            answer = b""
            while not answer.endswith(b"\n"):
                byte = stream.recv(1)
                if not byte:
                    raise ConnectionRefusedError(f"nobody listens at port {port} of the enclave")
                answer += byte
        except OSError:
            stream.close()
            raise
        return stream

    # --- what the console shows ----------------------------------------------------------------------------------------------

    def console(self):
        """The text so far."""
        return self.console_path.read_bytes().decode(errors="replace")

    def wait_line(self, part, seconds=120):
        """The first line of the console that has `part` in it."""

        def found():
            ended = self._processes[-1].poll() is not None  # before the look: what it has said is all there is
            line = next((line for line in self.console().splitlines() if part in line), None)
            if ended and not line:
                raise AssertionError(f"QEMU has ended:\n{self.console()[-3000:]}")
            return line

        try:
            return wait_for(f"{part!r} on the console", found, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.console()[-3000:]}") from error

    def measured(self):
        """{number: hex} of the PCRs 0 to 15 that the machine's module has, as tests/enclave/guest.c prints them."""
        self.wait_line("guest: PCR15 ")
        lines = [line.partition("guest: PCR")[2].split() for line in self.console().splitlines() if "guest: PCR" in line]
        return {int(number): value for number, value in lines}

    def processor_seconds(self):
        """What QEMU has used so far."""
        fields = pathlib.Path(f"/proc/{self._processes[-1].pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100
