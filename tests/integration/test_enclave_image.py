"""tools/enclave-image without an enclave: the same bytes wherever they are made, PCRs as Amazon and QEMU compute them, a
signature that another implementation verifies, and nothing believed of a file. The kernel is a stand-in; `make enclave-test`
boots a real one."""
import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import zlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from daemon import SOURCE_DIR, build_dir

sys.path.insert(0, str(SOURCE_DIR / "tools"))
from enclave import Fault, cpio, eif, elf, rootfs, sign  # noqa: E402

TOOL = SOURCE_DIR / "tools/enclave-image"
SEED = int(os.environ.get("CC_SEED", "7"))
HEADER = 548


def tool(*arguments, **options):
    """(exit code, standard output, standard error)."""
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, check=False, **options)
    return done.returncode, done.stdout, done.stderr


def build(folder, name="a.eif", *more, **options):
    """An image of the real program with a stand-in kernel in `folder`."""
    (folder / "kernel").write_bytes(random.Random(SEED).randbytes(4096))
    (folder / "made-of").write_text("linux-source-0=0.1-1\ngcc 0\nld 0\n")
    (folder / "config.yaml").write_text("network: hoodi\n")
    (folder / "ca.pem").write_text("authorities\n")
    code, out, err = tool(
        "build", "--kernel", folder / "kernel", "--config", folder / "config.yaml", "--ca", folder / "ca.pem",
        "--program", build_dir() / "bin/containment-chamber", "--init", build_dir() / "bin/enclave-init",
        "--output", folder / name, *more, **options)
    assert code == 0, err
    return json.loads(out)["Measurements"]


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    return folder, build(folder)


def small(**changes):
    """An image that was not made from programs: quick to change and to write."""
    values = {"kernel": b"kernel", "cmdline": "console=ttyS0", "ramdisks": [b"one", b"two"], "metadata": {"a": 1}}
    return eif.Image(**{**values, **changes})


def pair(folder, curve="secp384r1", name="k"):
    """(certificate, key), files of a fresh pair."""
    key, certificate = folder / f"{name}.pem", folder / f"{name}.crt"
    subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", key], check=True)
    subprocess.run(["openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=test", "-sha384", "-days", "30",
                    "-out", certificate], check=True)
    return certificate, key


# --- the same bytes ---------------------------------------------------------------------------------------------------------


def test_the_same_input_makes_the_same_image(made, tmp_path):
    folder, pcrs = made
    (tmp_path / "x").mkdir(mode=0o700)
    program = tmp_path / "x/program"
    shutil.copy(build_dir() / "bin/containment-chamber", program)  # another name, another time
    env = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
    again = build(tmp_path, "b.eif", "--program", program, env=env, umask=0o077, cwd="/")
    assert again == pcrs
    assert (tmp_path / "b.eif").read_bytes() == (folder / "a.eif").read_bytes()
    assert re.sub(r"\S+$", "", (tmp_path / "b.manifest").read_text()) == re.sub(r"\S+$", "", (folder / "a.manifest").read_text())


@pytest.mark.long_form
def test_every_input_is_measured(made, tmp_path):
    _, pcrs = made
    (tmp_path / "added").write_text("x")
    for changed, more in (
        ({"PCR0", "PCR1"}, ["--cmdline", "console=ttyS0"]),
        ({"PCR0", "PCR2"}, ["--add", f"/etc/x={tmp_path / 'added'}"]),
        ({"PCR0", "PCR2"}, ["--parent-cid", "4"]),
        ({"PCR0", "PCR2"}, ["--log-port", "9001"]),
        ({"PCR0", "PCR2"}, ["--argument", "server"]),
        ({"PCR0", "PCR2"}, ["--program", build_dir() / "bin/enclave-init"]),
        (set(), ["--image-version", "2"]),
    ):
        other = build(tmp_path, "c.eif", *more)
        assert {name for name in pcrs if pcrs[name] != other[name]} == changed, more
    (tmp_path / "other.yaml").write_text("network: mainnet\n")
    other = build(tmp_path, "c.eif", "--config", tmp_path / "other.yaml")
    assert other["PCR2"] != pcrs["PCR2"] and other["PCR1"] == pcrs["PCR1"]


# --- what is in it ----------------------------------------------------------------------------------------------------------


def entries(archive):
    """{path: (mode, data)}, read by another reader than the one that wrote it."""
    found, at = {}, 0
    while True:
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        assert archive[at : at + 6] == b"070701" and fields[2:4] == [0, 0] and fields[5] == 0
        name = archive[at + 110 : at + 110 + fields[11] - 1].decode()
        at += (110 + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            assert not any(archive[at:]) and len(archive) % 512 == 0
            return found
        found[name] = (fields[1], archive[at : at + fields[6]])
        at += (fields[6] + 3) & ~3


def test_the_ramdisks_hold_what_the_program_needs(made):
    folder, _ = made
    image = eif.decode((folder / "a.eif").read_bytes())
    boot, tree = map(entries, image.ramdisks)
    assert set(boot) == {"init", "dev", "dev/console", "proc", "sys", "run", "tmp", "var", "var/lib"}
    assert tree["etc/enclave-init"][1].decode() == (
        "parent-cid 3\nheartbeat-port 9000\nrun /usr/bin/containment-chamber\nargument server\n"
        "argument --init-if-missing\nargument -c\nargument /etc/containment-chamber/config.yaml\n")
    assert tree["etc/containment-chamber/config.yaml"][1] == b"network: hoodi\n"
    assert tree["usr/bin/containment-chamber"][0] == 0o100755
    # The loader itself says what it would load.
    program = build_dir() / "bin/containment-chamber"
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    wanted = set(re.findall(r"^\t(\S+) => /", text, flags=re.M))
    assert wanted and wanted <= {pathlib.PurePath(path).name for path in tree}
    for path in tree:
        assert not tree[path][0] & 0o022, path  # nobody but root may write anything
    manifest = (folder / "a.manifest").read_text()
    for path, (mode, data) in tree.items():
        if mode & 0o170000 == 0o100000:
            assert f"{mode & 0o7777:04o} {hashlib.sha256(data).hexdigest()} /{path}" in manifest


def test_the_manifest_says_what_has_to_be_the_same(made, tmp_path):
    """Who makes the image again needs the same kernel, compilers and libraries."""
    folder, _ = made
    head = dict(re.findall(r"^# (.*?): (.*)$", (folder / "a.manifest").read_text(), flags=re.M))
    assert head["kernel"] == "linux-source-0=0.1-1, gcc 0, ld 0"
    text = subprocess.run(["readelf", "-p", ".comment", build_dir() / "bin/containment-chamber"], capture_output=True, text=True, check=True).stdout
    assert head["program"] == ", ".join(sorted(re.findall(r"^ +\[ *[0-9a-f]+\] +(.*)$", text, flags=re.M)))
    assert "GCC: (" in head["init"] and head["stripped by"].startswith("GNU objcopy ")
    (tmp_path / "kernel").write_bytes(b"kernel")
    shutil.copy(build_dir() / "bin/enclave-init", tmp_path / "init")
    subprocess.run(["strip", "-R", ".comment", tmp_path / "init"], check=True)
    other = rootfs.manifest([], rootfs.Content(str(tmp_path / "init"), str(tmp_path / "init"), "", "", []), str(tmp_path / "kernel"), "")
    assert "\n# kernel: not known" in other and "\n# program: not known" in other


def test_nothing_tells_where_it_was_built(made):
    folder, _ = made
    data = (folder / "a.eif").read_bytes()
    assert str(SOURCE_DIR).encode() not in data and str(build_dir()).encode() not in data


def test_the_plan_is_one_that_the_init_takes():
    content = rootfs.Content("", "", "", "", ["server", "-c", "/etc/containment-chamber/config.yaml"], log_port=9001)
    assert rootfs.plan(content) == (SOURCE_DIR / "tests/fuzz/corpus/enclave_plan/whole").read_text()


@pytest.mark.parametrize("argument", ["", "a\nrun /bin/sh", "a\x00", "x" * 1024])
def test_an_argument_that_would_be_another_line_is_refused(argument):
    with pytest.raises(Fault):
        rootfs.plan(rootfs.Content("", "", "", "", [argument]))


def test_trees_refuse_what_is_no_place():
    tree = cpio.Tree()
    tree.file("etc/x", b"x")
    for path in ("", "../x", "a/../b", "a//b", "a\0b"):
        with pytest.raises(Fault):
            tree.file(path, b"")
    for add in (lambda: tree.file("etc/x", b"y"), lambda: tree.file("etc/x/y", b""), lambda: tree.link("etc", "x")):
        with pytest.raises(Fault):
            add()
    tree.file("etc/x", b"x")  # the same again is no fault


def test_programs_that_can_not_be_in_an_image(tmp_path):
    program, static = build_dir() / "bin/containment-chamber", build_dir() / "bin/enclave-init"
    assert elf.closure(static) == {}
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    short = tmp_path / "short"
    short.write_bytes(program.read_bytes()[:80])
    for path in (script, short, tmp_path / "nothing"):
        with pytest.raises(Fault):
            elf.closure(path)
    searching = tmp_path / "searching"
    source = tmp_path / "a.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", searching, source, "-Wl,-rpath,/tmp"], check=True)
    with pytest.raises(Fault, match="search path"):
        elf.closure(searching)
    code, _, err = tool("build", "--kernel", source, "--config", source, "--ca", source, "--program", program,
                        "--init", program, "--output", tmp_path / "a.eif")
    assert code == 1 and "must be a static program" in err
    assert not (tmp_path / "a.eif").exists()


# --- PCRs and the file's form -----------------------------------------------------------------------------------------------


def test_pcrs_are_what_the_format_says():
    image = small()

    def pcr(data):
        return hashlib.sha384(bytes(48) + hashlib.sha384(data).digest()).digest()

    assert image.pcrs() == {0: pcr(b"kernelconsole=ttyS0onetwo"), 1: pcr(b"kernelconsole=ttyS0one"), 2: pcr(b"two")}
    assert small(ramdisks=[b"one"]).pcrs()[2] == pcr(b"")
    assert small(metadata={}).pcrs() == image.pcrs()


def test_the_file_is_of_version_4():
    data = small().encode()
    magic, version, flags, memory, cpus, reserved, count = struct.unpack_from(">4sHHQQHH", data)
    assert (magic, version, flags, memory, cpus, reserved, count) == (b".eif", 4, 0, 512 << 20, 2, 0, 5)
    at = HEADER
    for number, (kind, body) in enumerate([(1, b"kernel"), (2, b"console=ttyS0"), (5, b'{"a":1}'), (3, b"one"), (3, b"two")]):
        assert struct.unpack_from(">Q", data, 28 + 8 * number)[0] == at
        assert struct.unpack_from(">Q", data, 284 + 8 * number)[0] == len(body)
        assert struct.unpack_from(">HHQ", data, at) == (kind, 0, len(body))
        assert data[at + 12 : at + 12 + len(body)] == body
        at += 12 + len(body)
    assert at == len(data)
    assert struct.unpack_from(">I", data, HEADER - 4)[0] == zlib.crc32(data[HEADER:], zlib.crc32(data[: HEADER - 4]))
    assert eif.decode(data) == small()


def fixed(data):
    """`data` with a checksum that is right."""
    return data[: HEADER - 4] + struct.pack(">I", zlib.crc32(data[HEADER:], zlib.crc32(data[: HEADER - 4]))) + data[HEADER:]


def test_every_damaged_byte_is_noticed():
    data = small().encode()
    for at in range(len(data)):
        with pytest.raises(Fault):
            eif.decode(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    for length in range(len(data)):
        with pytest.raises(Fault):
            eif.decode(data[:length])
    with pytest.raises(Fault):
        eif.decode(data + b"\0")


@pytest.mark.long_form
def test_with_a_right_checksum_a_changed_byte_is_refused_or_measured(tmp_path):
    """Whoever changes a file can make its checksum right; then its PCRs differ, or it is no image, or what changed is what is
    not measured: architecture, memory, processors and metadata."""
    image = small()
    image.sign(*[f(p) for f, p in zip((pathlib.Path.read_bytes, str), pair(tmp_path))])
    data = image.encode()
    unmeasured = 0
    for at in [n for n in range(len(data)) if not HEADER - 4 <= n < HEADER]:
        for flip in (1, 0x80):
            try:
                other = eif.decode(fixed(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]))
                pcrs = other.pcrs()
            except Fault:
                continue
            if pcrs != image.pcrs():
                continue
            unmeasured += 1
            assert (other.kernel, other.cmdline, other.ramdisks) == (image.kernel, image.cmdline, image.ramdisks)
            assert other != image
            if other.signature != image.signature and at % 29 == 0:  # openssl takes its time
                with contextlib.suppress(Fault):  # text around a certificate may change, nothing else
                    other.verify_signature()
                    assert sign.decode(other.signature)[1] == sign.decode(image.signature)[1]
    assert unmeasured > 0


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_never_pass_and_never_break(seed, tmp_path):
    noise = random.Random(SEED * 1000 + seed)
    image = small()
    image.sign(*[f(p) for f, p in zip((pathlib.Path.read_bytes, str), pair(tmp_path))])
    data = bytearray(image.encode())
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(noise.randint(1, 8)):
            changed[noise.randrange(len(changed))] = noise.randrange(256)
        if noise.random() < 0.2:
            del changed[noise.randrange(HEADER, len(changed)) :]
        with contextlib.suppress(Fault):
            eif.decode(fixed(bytes(changed))).pcrs()
        with contextlib.suppress(Fault):
            sign.decode(noise.randbytes(noise.randint(0, 64)))


def test_what_does_not_fit_is_refused():
    for changes in ({"kernel": b""}, {"cmdline": ""}, {"cmdline": "a\nb"}, {"cmdline": "x" * 2048}, {"cmdline": "\u00e9"},
                    {"ramdisks": []}, {"ramdisks": [b"x", b""]}, {"ramdisks": [b"x"] * 9}, {"architecture": "m68k"}):
        with pytest.raises(Fault):
            small(**changes).encode()


# --- signatures -------------------------------------------------------------------------------------------------------------


def test_another_implementation_verifies_the_signature(made, tmp_path):
    folder, pcrs = made
    certificate, key = pair(tmp_path)
    signed = tmp_path / "signed.eif"
    code, out, err = tool("sign", folder / "a.eif", "--certificate", certificate, "--key", key, "--output", signed)
    assert code == 0, err
    measured = json.loads(out)["Measurements"]
    assert {name: measured[name] for name in pcrs} == pcrs
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    fingerprint = loaded.fingerprint(hashes.SHA384())
    assert measured["PCR8"] == hashlib.sha384(bytes(48) + fingerprint).hexdigest()
    # COSE_Sign1, by hand: [{1: -35}, {}, payload, r and s] over ["Signature1", {1: -35}, "", payload].
    cose = sign.decode(eif.decode(signed.read_bytes()).signature)[1]
    assert cose[:7] == bytes.fromhex("8444a1013822a0")
    assert cose[7] == 0x58
    payload, rest = cose[9 : 9 + cose[8]], cose[9 + cose[8] :]
    assert rest[:2] == b"\x58\x60" and len(rest) == 98
    message = b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40" + bytes([0x58, len(payload)]) + payload
    r, s = int.from_bytes(rest[2:50], "big"), int.from_bytes(rest[50:], "big")
    loaded.public_key().verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))
    assert payload.startswith(b"\xa2\x6eregister_index\x00\x6eregister_value\x98\x30")
    code, out, _ = tool("describe", signed)
    assert code == 0 and "of PCR0, by the certificate of PCR8" in out and measured["PCR8"] in out
    code, out, _ = tool("describe", "--json", signed)
    assert json.loads(out)["Signed"] is True
    code, _, err = tool("sign", signed, "--certificate", certificate, "--key", key, "--output", tmp_path / "twice.eif")
    assert code == 1 and "signed already" in err


def test_a_signature_of_another_image_or_key_is_refused(tmp_path):
    certificate, key = pair(tmp_path)
    other_certificate, other_key = pair(tmp_path, name="other")
    image, other = small(), small(kernel=b"another")
    image.sign(certificate.read_bytes(), key)
    image.verify_signature()
    other.signature = image.signature
    with pytest.raises(Fault, match="another image"):
        other.verify_signature()
    cose = sign.decode(image.signature)[1]
    image.signature = sign.encode(other_certificate.read_bytes(), cose)
    with pytest.raises(Fault, match="wrong"):
        image.verify_signature()
    with pytest.raises(Fault, match="not that of the certificate"):
        small().sign(certificate.read_bytes(), other_key)


def test_keys_that_can_not_sign(tmp_path):
    p256, key = pair(tmp_path, "prime256v1")
    with pytest.raises(Fault, match="P-384"):
        small().sign(p256.read_bytes(), key)
    good, key = pair(tmp_path)
    with pytest.raises(Fault, match="exactly one"):
        small().sign(good.read_bytes() * 2, key)
    with pytest.raises(Fault):
        small().sign(good.read_bytes(), tmp_path / "nothing")
    with pytest.raises(Fault):
        small().sign(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key)


@pytest.mark.parametrize("section", [
    b"", b"\x80", b"\xa0", b"\x82\xa0\xa0", b"\x81\xa0", b"\x81\x80", b"\x9f\xff", b"\x81\xa1\x61a\x00", b"\x81\x18\x00",
    b"\x81\xa2\x69signature\x80\x69signature\x80", b"\x81" * 100, b"\x81\x1b" + b"\xff" * 8, b"\x9b" + b"\xff" * 8, b"\x80\x00",
    b"\x81\xa2\x73signing_certificate\x1a\x7f\xff\xff\xff\x69signature\x80", b"\x81\xa2\x73signing_certificate\x81\x19\x01\x00\x69signature\x80",
])
def test_signature_sections_that_are_none(section):
    with pytest.raises(Fault):
        sign.decode(section)


def test_faults_are_one_line_and_no_file_is_left(tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 1000)
    for arguments in (["describe", tmp_path / "x"], ["describe", tmp_path / "nothing"],
                      ["sign", tmp_path / "x", "--certificate", tmp_path / "x", "--key", tmp_path / "x", "--output", tmp_path / "y"]):
        code, out, err = tool(*arguments)
        assert code == 1 and out == "" and err.startswith("enclave-image: ") and err.count("\n") == 1, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x"]


def test_the_tests_that_boot_images_can_be_collected():
    """`make enclave-test` needs a kernel and QEMU that few have built: here at least no name of theirs is missing."""
    where = {f"CC_ENCLAVE_{name}": "/nonexistent" for name in ("KERNEL", "PROGRAM", "QEMU", "VSOCK")}
    done = subprocess.run(["pytest-3", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/enclave"], cwd=SOURCE_DIR, env={**os.environ, **where},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0 and re.search(r"^\d+ tests collected", done.stdout, flags=re.M), done.stdout + done.stderr
