"""What a program needs to run: the libraries that it names, those that they name, and the loader. Read from the files, so
that nothing of them is run; found where the loader of this machine finds them (ldconfig -p)."""
import os
import re
import struct
import subprocess

from . import Fault

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH = 1, 5, 15, 29
MACHINES = {62: ("x86_64", "x86-64"), 183: ("aarch64", "AArch64")}  # name in an image, word in the list of ldconfig


class Elf:
    """The little of an ELF file that matters here. Fault where it is none, or not of 64 bits."""

    def __init__(self, path):
        self.path = path
        try:
            with open(path, "rb") as file:
                self.data = file.read()
            if self.data[:6] != b"\x7fELF\x02\x01":
                raise Fault(f"{path} is no ELF file of 64 bits")
            self.machine = struct.unpack_from("<H", self.data, 18)[0]
            offset, size, count = struct.unpack_from("<Q", self.data, 32)[0], *struct.unpack_from("<HH", self.data, 54)
            self.segments = [struct.unpack_from("<IIQQQQQQ", self.data, offset + n * size) for n in range(count)]
        except (OSError, struct.error) as error:
            raise Fault(f"{path} can't be read as an ELF file") from error
        if self.machine not in MACHINES:
            raise Fault(f"{path} is for a processor that enclaves don't have")

    def _text(self, at):
        return self.data[at : self.data.index(b"\0", at)].decode()

    def interpreter(self):
        """Path of the loader, or None for a program without one."""
        found = [self._text(segment[2]) for segment in self.segments if segment[0] == PT_INTERP]
        return found[0] if found else None

    def needed(self):
        """Names of the libraries."""
        tags = []
        for segment in self.segments:
            if segment[0] == PT_DYNAMIC:
                tags = list(struct.iter_unpack("<QQ", self.data[segment[2] : segment[2] + segment[5] // 16 * 16]))
        if any(tag in (DT_RPATH, DT_RUNPATH) for tag, _ in tags):
            raise Fault(f"{self.path} has a search path of its own: where its libraries lie would not be what this tool thinks")
        strings = next((self._offset(value) for tag, value in tags if tag == DT_STRTAB), 0)
        return [self._text(strings + value) for tag, value in tags if tag == DT_NEEDED]

    def compilers(self):
        """What its compilers say of themselves: "GCC: (Debian 12.2.0-14+deb12u1) 12.2.0". Empty where it was stripped of that."""
        try:
            offset, size, count, names = struct.unpack_from("<Q", self.data, 40)[0], *struct.unpack_from("<HHH", self.data, 58)
            sections = [struct.unpack_from("<IIQQQQ", self.data, offset + n * size) for n in range(count)]
            found = [self.data[at : at + length] for name, _, _, _, at, length in sections if self._text(sections[names][4] + name) == ".comment"]
        except (IndexError, UnicodeDecodeError, ValueError, struct.error) as error:
            raise Fault(f"{self.path} is damaged") from error
        return sorted({text.decode("ascii", "replace") for text in b"".join(found).split(b"\0") if text})

    def _offset(self, address):
        for kind, _, offset, virtual, _, size, _, _ in self.segments:
            if kind == PT_LOAD and virtual <= address < virtual + size:
                return address - virtual + offset
        raise Fault(f"{self.path} is damaged")


def _known_libraries(machine):
    """{name: path} of the libraries for this machine, the first of each name."""
    environment = {"LC_ALL": "C", "PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}
    try:
        text = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True, env=environment).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Fault("ldconfig -p says where libraries lie, and it failed") from error
    found = {}
    for name, kinds, path in re.findall(r"^\t(\S+) \(([^)]*)\) => (\S+)$", text, flags=re.M):
        if MACHINES[machine][1] in kinds and "hwcap" not in kinds:
            found.setdefault(name, path)
    return found


def closure(program):
    """{path in the image: path here} of the loader and of all libraries that `program` needs."""
    first = Elf(program)
    loader = first.interpreter()
    found, waiting = {}, list(first.needed())
    known = _known_libraries(first.machine) if waiting else {}
    if loader:
        found[loader] = os.path.realpath(loader)
    while waiting:
        name = waiting.pop()
        if loader and name == os.path.basename(loader):
            continue
        if name not in known:
            raise Fault(f"the library {name} is not installed here")
        place = _place(known[name])
        if place not in found:
            found[place] = os.path.realpath(known[name])
            waiting += Elf(known[name]).needed()
    return found


def _place(path):
    """Below /usr/lib: on some machines /lib is a link to it, and in the image there is only the one."""
    return "/usr" + path if path.startswith("/lib") else path
