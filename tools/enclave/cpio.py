"""An archive in the kernel's own form (cpio "newc"), the same bytes for the same content wherever it is made: entries in the
order of their names, owner root, no times, numbered from one."""
import stat

from . import Fault

ALIGN = 512  # the kernel looks for a second archive at a multiple of four


class Tree:
    """Paths without a leading slash, and what lies there. Parent directories come by themselves, mode 0755."""

    def __init__(self):
        self.entries = {}

    def _add(self, path, mode, data=b"", device=(0, 0)):
        path = path.strip("/")
        if not path or any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise Fault(f"no path for an image: {path!r}")
        parent = path.rpartition("/")[0]
        if parent and parent not in self.entries:
            self.directory(parent)
        if parent and not stat.S_ISDIR(self.entries[parent][0]):
            raise Fault(f"{parent} is no directory in the image")
        if path in self.entries and (mode, data, device) != self.entries[path]:
            raise Fault(f"two things for {path} in the image")
        self.entries[path] = (mode, data, device)

    def directory(self, path, mode=0o755):
        """Adds a directory; again is no fault."""
        self._add(path, stat.S_IFDIR | mode)

    def file(self, path, data, mode=0o644):
        """Adds a regular file."""
        self._add(path, stat.S_IFREG | mode, data)

    def link(self, path, target):
        """Adds a symbolic link."""
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path, major, minor, mode=0o600):
        """Adds a device node."""
        self._add(path, stat.S_IFCHR | mode, b"", (major, minor))

    def files(self):
        """(path, mode, data) of what is a regular file, in order."""
        return [(path, stat.S_IMODE(mode), data) for path, (mode, data, _) in sorted(self.entries.items())
                if stat.S_ISREG(mode)]

    def archive(self):
        """The bytes."""
        parts = []
        for number, (path, (mode, data, device)) in enumerate(sorted(self.entries.items()), 1):
            parts.append(_entry(path, number, mode, data, device))
        parts.append(_entry("TRAILER!!!", 0, 0, b"", (0, 0)))
        size = sum(map(len, parts))
        return b"".join(parts) + bytes(-size % ALIGN)


def _entry(path, number, mode, data, device):
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)
