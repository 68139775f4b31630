"""Images for tests: what tools/enclave-image makes, plus one more ramdisk that only tests have. It carries a key, and guest.c in
the place of the program that the init runs. The two ramdisks of the image proper, and so PCR1, stay as they are."""
import dataclasses
import pathlib
import re
import subprocess
import sys

SOURCE_DIR = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(SOURCE_DIR / "tools"), str(SOURCE_DIR / "tests/support"), str(SOURCE_DIR / "tests/integration")]

import bls_keys  # noqa: E402
import messages  # noqa: E402
from daemon import yaml_text  # noqa: E402
from enclave import cpio, eif, rootfs  # noqa: E402

# no_timer_check: on a machine with other work the emulated timer comes too late for the kernel's trial of it, which then panics.
CMDLINE = "reboot=k panic=30 pci=off nomodules console=ttyS0 random.trust_cpu=on no_timer_check"
SECRET, PUBLIC = bls_keys.make(1)[0]
PORT, METRICS_PORT, TLS_PORT, LOG_PORT = 9000, 3000, 9443, 9001
KEY_FILE = f'type: "file-raw"\nkeyType: "BLS"\nprivateKey: "0x{SECRET.hex()}"\n'
REMARK = "# Nothing depends on this line, and it is measured."
CONFIG = {
    "network": "minimal",
    "genesis_validators_root": messages.MINIMAL_GENESIS_ROOT,
    "server": {"listen": f"vsock:any:{PORT}"},
    "metrics": {"listen": f"vsock:any:{METRICS_PORT}"},
    "key_sources": {"filesystem": {"paths": ["/test/keys"]}},
    "anti_slashing": {"backend": "sqlite", "new_key_policy": "allow"},
    "logging": {"level": "info", "format": "text"},
}


def build_guest(folder):
    """tests/enclave/guest.c as a static program."""
    program = folder / "guest"
    done = subprocess.run(
        ["gcc", "-O1", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-static-pie", "-o", program,
         pathlib.Path(__file__).parent / "guest.c", "-lcrypto"], capture_output=True, text=True, check=False)
    # A static libcrypto that could look up names is what the linker warns of; nothing here does.
    assert done.returncode == 0, done.stderr
    return program


@dataclasses.dataclass
class Parts:
    """Where the programs of an image lie."""

    kernel: pathlib.Path
    program: pathlib.Path
    init: pathlib.Path
    guest: pathlib.Path


def make(folder, parts, config=None, authority=None, arguments=None, authorities=None):
    """An Image. With `authority` (tests/support/nsm_device.py), its security module signs documents; `authorities` (a PEM file) are those
    of AWS's servers."""
    config_path = folder / "config.yaml"
    config_path.write_text(f"{REMARK}\n{yaml_text(config or CONFIG)}\n")
    content = rootfs.Content(
        init=parts.init, program=parts.program, config=config_path, authorities=authorities or f"/{rootfs.AUTHORITIES}",
        arguments=arguments or ["server", "--init-if-missing", "-c", f"/{rootfs.CONFIG}"], parent_cid=2, log_port=LOG_PORT)
    ramdisks, _ = rootfs.ramdisks(content)
    test = cpio.Tree()
    test.file("test/guest", parts.guest.read_bytes(), 0o755)
    test.file("test/keys/key.yaml", KEY_FILE.encode(), 0o600)
    # The later archive's file is the one that is there: the same plan, with the program behind guest.c.
    plan = re.sub(r"(?m)^run (.*)$", r"run /test/guest\nargument \1", rootfs.plan(content))
    test.file(rootfs.PLAN, plan.encode())
    if authority:
        _add_authority(test, authority)
    return eif.Image(parts.kernel.read_bytes(), CMDLINE, [*ramdisks, test.archive()])


def _add_authority(tree, authority):
    from cryptography.hazmat.primitives import serialization  # pylint: disable=import-outside-toplevel

    leaf = authority.leaf()
    tree.file("test/leaf.key", leaf.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), 0o600)
    for number, der in enumerate([*authority.bundle(), leaf.der]):
        tree.file(f"test/chain-{number}.der", der)
