"""What the checkers share: which files there are, and C text without comments and strings."""
import pathlib
import re
import sys

C_SUFFIXES = (".c", ".h", ".def")
SKIPPED = {".git", "node_modules", "__pycache__", ".pytest_cache"}


def root_from_args():
    """The tree to check: the first argument, or the one that this script lies in."""
    if len(sys.argv) > 1:
        return pathlib.Path(sys.argv[1]).resolve()
    return pathlib.Path(__file__).resolve().parent.parent


def files(root, folders, suffixes):
    """All files below `root`/`folders` with one of `suffixes` ("": any), sorted, builds left out."""
    found = []
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            parts = path.relative_to(root).parts
            if any(p in SKIPPED or p == "build" or p.startswith("build-") for p in parts):
                continue
            if path.is_file() and path.name.endswith(tuple(suffixes)):
                found.append(path)
    return found


def _blank(match):
    text = match.group(0)
    if text[0] in "\"'":
        return text[0] + " " * (len(text) - 2) + text[0]
    return re.sub(r"[^\n]", " ", text)


def bare_c(text):
    """`text` with comments and the insides of literals blanked; every line keeps its number and length."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', _blank, text, flags=re.S)


def report(name, faults):
    """Prints the faults and ends with 1 if there are any."""
    for fault in faults:
        print(fault)
    if faults:
        print(f"{name}: {len(faults)} fault(s)")
    sys.exit(1 if faults else 0)
