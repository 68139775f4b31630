"""Orders to a program that was linked with faults.c: a wrong clock, a full or failing disk, and, with a kill, a power cut."""
import pathlib
import shutil
import struct

NAMES = ("clock_seconds", "disk_full", "disk_fails")


class Faults:
    """A copy of the program in `folder`, with orders of its own beside it."""

    def __init__(self, program, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.program = folder / pathlib.Path(program).name
        shutil.copy2(program, self.program)
        self.path = pathlib.Path(f"{self.program}.faults")
        self.given = dict.fromkeys(NAMES, 0)
        self.path.write_bytes(bytes(4096))
        self.path.chmod(0o644)

    def order(self, **orders):
        """From now on, in every room that runs."""
        self.given.update(orders)
        with open(self.path, "r+b") as page:  # in place: the rooms have it mapped
            page.write(struct.pack("=qII", *(self.given[name] for name in NAMES)))
