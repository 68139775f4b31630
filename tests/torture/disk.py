"""A small disk of its own for a store: an ext4 file system in a file. Needs root, and a kernel that lends a loop device;
elsewhere available() is false, and a full disk is an order to faults.c alone."""
import ctypes
import functools
import os
import subprocess
import tempfile

CLONE_NEWNS = 0x20000


@functools.lru_cache
def available():
    """True when disks can be made. From then on this process and its children have mounts of their own, which end with
    them."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(CLONE_NEWNS) != 0:
        return False
    if subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True).returncode:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            Disk(folder, 8).close()
        except (OSError, subprocess.CalledProcessError):
            return False
    return True


class Disk:
    """Mounted at `path`/disk."""

    def __init__(self, path, megabytes):
        image = f"{path}/disk.img"
        self.path = f"{path}/disk"
        self.filler = f"{self.path}/filler"
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        os.mkdir(self.path)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-F", image], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", image, self.path], check=True, capture_output=True)
        os.chmod(self.path, 0o755)

    def fill(self):
        """Not a block is left."""
        with open(self.filler, "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    pass
            try:
                os.fsync(file.fileno())
            except OSError:
                pass

    def free(self):
        """As before."""
        os.unlink(self.filler)

    def close(self):
        """Gone."""
        subprocess.run(["umount", "-l", self.path], check=True, capture_output=True)
