"""A TCP proxy that stands between a signer and its database, and fails as networks do."""
import select
import socket
import threading
import time

MODES = ("open", "refuse", "cut", "black-hole", "half-open")


class Proxy:
    """Carries bytes between a port of loopback and what `connect()` gives: a connected socket.

    open        carries, each way `delay` seconds late
    refuse      closes what is open, and whatever comes
    cut         carries nothing; what was under way arrives when the cut is over
    black-hole  takes bytes and drops them, both ways; such a connection never works again
    half-open   the database's end is closed, the signer is told nothing
    """

    def __init__(self, connect):
        self.connect = connect
        self.mode, self.delay = "open", 0.0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.closed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode, delay=0.0):
        """From now on, for open connections too."""
        assert mode in MODES
        self.mode, self.delay = mode, delay

    def close(self):
        """Nothing is carried any more."""
        self.closed.set()
        self.mode = "refuse"
        self.listener.close()

    def _accept(self):
        while not self.closed.is_set():
            try:
                signer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(signer,), daemon=True).start()

    def _carry(self, signer):
        with signer:
            while self.mode in ("cut", "black-hole", "half-open"):
                if self.closed.wait(0.01):
                    return
            if self.mode == "refuse":
                return
            try:
                database = self.connect()
            except OSError:
                return
            with database:
                try:
                    self._pump(signer, database)
                except OSError:
                    pass

    def _pump(self, signer, database):
        """Until an end closes, or the mode ends it."""
        deaf = False
        ends = [signer, database]
        while ends:
            if self.mode == "refuse":
                return
            if self.mode == "half-open" and database in ends:
                database.close()
                ends.remove(database)
                deaf = True
            deaf = deaf or self.mode == "black-hole"
            if self.mode == "cut":
                time.sleep(0.01)
                continue
            for end in select.select(ends, [], [], 0.05)[0]:
                data = end.recv(1 << 16)
                if not data:
                    return
                if deaf:
                    continue
                if self.delay:
                    time.sleep(self.delay)
                (database if end is signer else signer).sendall(data)
