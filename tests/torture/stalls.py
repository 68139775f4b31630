"""Moments when the machine itself stood still: a paused virtual machine, a processor that somebody else has. What a signer
could not do then is not its own slowness."""
import threading
import time

TURN = 0.02
NOTED = 0.25  # seconds; shorter ones are every busy machine's


class Stalls:
    """Watches from `start` to `stop`; each stall is an event of the log."""

    def __init__(self, log):
        self.log = log
        self.found = []  # (when it ended, seconds)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def since(self, moment):
        """Seconds that were lost after `moment` (monotonic)."""
        return sum(seconds for ended, seconds in list(self.found) if ended > moment)

    def _watch(self):
        last = time.monotonic()
        while not self.ended.wait(TURN):
            now = time.monotonic()
            lost = now - last - TURN
            if lost > NOTED:
                self.found.append((now, lost))
                self.log.write(event="stall", seconds=round(lost, 3))
            last = now
