"""The log of a torture run: one JSON object a line, written as soon as it is known and never synced, so that what a
client was given is on record whatever happens to the run.

    {"event": "answer", "pubkey", "kind": "vote"|"block", "source", "target" or "slot", "root", "outcome", ...}
    {"event": "fault",  "name", "phase": "strike"|"heal", ...}
    {"event": "healed", "name", "signer", "seconds": s or null, "limit": s or null}    without the machine's own stalls
    {"event": "stall",  "seconds"}

`outcome` is ok (with the signature), refused (the signer said no) or unknown (no answer, or none that tells).
"""
import json
import os
import time


class Journal:
    """Appends; any thread."""

    def __init__(self, path):
        self.path = path
        self.began = time.monotonic()
        self.released = 0
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)

    def write(self, **event):
        """One line in one write: two threads' lines never mix."""
        line = json.dumps({"t": round(time.monotonic() - self.began, 4), **event}, separators=(",", ":"))
        os.write(self.file, line.encode() + b"\n")
        self.released += event.get("outcome") == "ok"

    def close(self):
        """Nothing is written any more."""
        os.close(self.file)


def read(path):
    """The events. A last line without its end is what a killed run was about to write; any other fault is an error."""
    with open(path, "rb") as log:
        for line in log:
            if line.endswith(b"\n"):
                yield json.loads(line)
