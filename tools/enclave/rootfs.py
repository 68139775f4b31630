"""The two ramdisks of an enclave image. The first is what starts it (measured in PCR1 with the kernel), the second the program
and all that it reads (PCR2): libraries, authorities, the measured configuration."""
import dataclasses
import hashlib
import os
import re
import subprocess
import tempfile

from . import Fault, cpio, elf

PROGRAM = "usr/bin/containment-chamber"
CONFIG = "etc/containment-chamber/config.yaml"
PLAN = "etc/enclave-init"
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"
EMPTY = ("proc", "sys", "dev", "run", "tmp", "var/lib")
ARGUMENT_MAX = 1023  # enclave/plan.h

PASSWD = "root:x:0:0:root:/:/usr/sbin/nologin\n"
GROUP = "root:x:0:\n"
HOSTS = "127.0.0.1 localhost\n"
NAMES = "passwd: files\ngroup: files\nhosts: files\n"


@dataclasses.dataclass
class Content:
    """What goes into an image. `added` is {path in the image: path here}."""

    init: str
    program: str
    config: str
    authorities: str
    arguments: list
    added: dict = dataclasses.field(default_factory=dict)
    parent_cid: int = 3
    heartbeat_port: int = 9000
    log_port: int = 0


def read(path):
    """The bytes of a file here."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Fault(f"{path}: {error.strerror}") from error


def stripped(path):
    """A program or library without symbols and without what tells where and by what it was built."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        command = ["objcopy", "--strip-all", "--remove-section=.note.gnu.build-id", "--remove-section=.comment", path, out]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise Fault("objcopy (binutils) is needed for this") from error
        if done.returncode != 0:
            raise Fault(f"objcopy refuses {path}")
        return read(out)


def plan(content):
    """The text that the image's init goes by."""
    for argument in content.arguments:
        if not argument or len(argument.encode()) > ARGUMENT_MAX or re.search(r"[\x00-\x1f\x7f]", argument):
            raise Fault("an argument of the program has control characters, is empty or too long")
    lines = [f"parent-cid {content.parent_cid}", f"heartbeat-port {content.heartbeat_port}"]
    if content.log_port:
        lines.append(f"log-port {content.log_port}")
    lines.append(f"run /{PROGRAM}")
    return "\n".join(lines + [f"argument {argument}" for argument in content.arguments]) + "\n"


def system(tree, program, authorities, texts=None):
    """Adds the least that the program runs in: itself, its libraries, authorities, users and names; `texts` is {path: text} of
    these that are to be others. Returns {path in the tree: path here}."""
    here = {PROGRAM: program, AUTHORITIES: authorities}
    tree.file(PROGRAM, stripped(program), 0o755)
    for place, path in sorted(elf.closure(program).items()):
        tree.file(place, read(path), 0o755)
        here[place.strip("/")] = path
    for place, text in {"etc/passwd": PASSWD, "etc/group": GROUP, "etc/hosts": HOSTS, "etc/nsswitch.conf": NAMES, **(texts or {})}.items():
        tree.file(place, text.encode())
    tree.file(AUTHORITIES, read(authorities))
    return here


def ramdisks(content):
    """([first archive, second archive], [(path, mode, data, path here)]) of an image."""
    boot, tree, here = cpio.Tree(), cpio.Tree(), {}
    for path in EMPTY:
        boot.directory(path, 0o1777 if path == "tmp" else 0o755)
    boot.character_device("dev/console", 5, 1)
    boot.file("init", stripped(content.init), 0o755)
    here["init"] = content.init
    if elf.Elf(content.init).interpreter():
        raise Fault("the image's init must be a static program")
    here |= system(tree, content.program, content.authorities)
    tree.file(PLAN, plan(content).encode())
    for place, path in sorted({CONFIG: content.config, **content.added}.items()):
        tree.file(place, read(path), 0o755 if os.access(path, os.X_OK) else 0o644)
        here[place.strip("/")] = path
    files = [(path, mode, data, here.get(path)) for disk in (boot, tree) for path, mode, data in disk.files()]
    return [boot.archive(), tree.archive()], files


def _packages(paths):
    """{path: "name=version"} for what Debian's package manager knows; empty elsewhere."""
    wanted = {}
    for path in paths:
        wanted[path] = path
        if path.startswith("/usr/lib"):
            wanted[path[len("/usr"):]] = path
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        text = subprocess.run(["dpkg-query", "-S", *wanted], capture_output=True, text=True, check=False, env=environment).stdout
        owners = {wanted[path]: names.split(",")[0] for names, path in re.findall(r"^(\S.*): (\S+)$", text, flags=re.M)
                  if path in wanted}
        if not owners:
            return {}
        text = subprocess.run(["dpkg-query", "-W", "-f", "${binary:Package} ${Package} ${Version}\n", *set(owners.values())],
                              capture_output=True, text=True, check=False, env=environment).stdout
    except OSError:
        return {}
    versions = {}
    for full, short, version in (line.split() for line in text.splitlines() if len(line.split()) == 3):
        versions[full] = versions[short] = f"{short}={version}"
    return {path: versions[owner] for path, owner in owners.items() if owner in versions}


def _tools(content, kernel_file):
    """Lines: what the kernel (by the file that tools/enclave-build leaves beside it), init and program were built from and by, and what
    stripped them."""
    made_of = os.path.join(os.path.dirname(os.path.abspath(kernel_file)), "made-of")
    kernel = ", ".join(read(made_of).decode().splitlines()) if os.path.exists(made_of) else "not known: no file made-of lies beside it"
    built = {"kernel": kernel, **{name: ", ".join(elf.Elf(path).compilers()) or "not known: it is stripped"
                                  for name, path in (("init", content.init), ("program", content.program))}}
    version = subprocess.run(["objcopy", "--version"], capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    return [f"# {name}: {text}" for name, text in built.items()] + [f"# stripped by: {version.splitlines()[0]}"]


def manifest(files, content, kernel_file, cmdline):
    """Text: what the image was made of, one file a line, so that somebody else can make it again and compare."""
    packages = _packages(sorted({os.path.realpath(path) for *_, path in files if path}))
    lines = ["# mode SHA-256 path [Debian package]", f"# command line: {cmdline}", *_tools(content, kernel_file),
             f"kernel {hashlib.sha256(read(kernel_file)).hexdigest()} -"]
    for path, mode, data, here in files:
        package = packages.get(os.path.realpath(here), "") if here else ""
        lines.append(f"{mode:04o} {hashlib.sha256(data).hexdigest()} /{path} {package}".rstrip())
    return "\n".join(lines) + "\n"
