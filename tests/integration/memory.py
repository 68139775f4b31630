"""Searches a process for secrets: its memory (as root), arguments, environment, and the names behind its descriptors."""
import base64
import os
import pathlib
import re


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


def memory_of(pid):
    """Yields (name of the mapping, bytes) for every readable mapping of `pid`."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps.splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ \S+ *(.*)", line)
            start, end = int(match.group(1), 16), int(match.group(2), 16)
            if match.group(3)[0] != "r" or match.group(4) in ("[vvar]", "[vsyscall]", "[vdso]"):
                continue
            try:
                mem.seek(start)
                data = mem.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue  # memfd_secret and device pages can't be read by anyone: nothing to be found there
            yield match.group(4) or "anonymous", data


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
