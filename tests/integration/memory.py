"""Searches a process for secrets: its memory (as root), arguments, environment, and the names behind its descriptors."""
import base64
import os
import pathlib
import re
import struct


def forms_of(secret):
    """The ways in which 32 secret bytes could lie in memory or text: raw, reversed (blst keeps scalars little-endian),
    hex in both cases, base64 at each alignment."""
    forms = {"raw": secret, "little-endian": secret[::-1]}
    forms["hex"] = secret.hex().encode()
    forms["HEX"] = secret.hex().upper().encode()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        forms[f"base64+{shift}"] = text[4 if shift else 0 : 40]
    return forms


def touched(pagemap, start, end):
    """The parts of an anonymous mapping that were ever used, as (start, end): the others are zeros, as most of a stack is."""
    page = os.sysconf("SC_PAGE_SIZE")
    pagemap.seek(start // page * 8)
    entries = struct.unpack(f"<{(end - start) // page}Q", pagemap.read((end - start) // page * 8))
    begin = None
    for n, entry in enumerate((*entries, 0)):
        used = entry >> 62 != 0  # in memory, or swapped
        if used and begin is None:
            begin = n
        if not used and begin is not None:
            yield start + begin * page, start + n * page
            begin = None


def memory_of(pid):
    """Yields (name of the mapping, bytes) for all that is readable of `pid`."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem, open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        for line in maps.splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ \S+ *(.*)", line)
            start, end = int(match.group(1), 16), int(match.group(2), 16)
            if match.group(3)[0] != "r" or match.group(4) in ("[vvar]", "[vsyscall]", "[vdso]"):
                continue
            name = match.group(4) or "anonymous"
            is_own = match.group(3)[3] == "p" and name in ("anonymous", "[heap]", "[stack]")
            for first, after in touched(pagemap, start, end) if is_own else ((start, end),):
                try:
                    mem.seek(first)
                    data = mem.read(after - first)
                except (OSError, ValueError, OverflowError):
                    continue  # memfd_secret and device pages can't be read by anyone: nothing to be found there
                yield name, data


def search_memory(pid, secrets):
    """["mapping: form of secret number n", ...] for everything found in the memory of `pid`."""
    needles = [(n, form, text) for n, s in enumerate(secrets) for form, text in forms_of(s).items()]
    found = []
    for name, data in memory_of(pid):
        found += [f"{name}: {form} of secret {n}" for n, form, text in needles if text in data]
    return found


def search_text(data, secrets):
    """The same for one piece of output."""
    return [f"{form} of secret {n}" for n, s in enumerate(secrets) for form, text in forms_of(s).items() if text in data]


def arguments_and_environment(pid):
    """The bytes that /proc shows of how `pid` was started."""
    proc = pathlib.Path(f"/proc/{pid}")
    return (proc / "cmdline").read_bytes() + b"\0" + (proc / "environ").read_bytes()


def descriptors(pid):
    """{number: what it is} of every open descriptor."""
    folder = f"/proc/{pid}/fd"
    return {int(n): os.readlink(f"{folder}/{n}") for n in os.listdir(folder)}
