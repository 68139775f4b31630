"""Enclave image files (EIF), version 4, and the PCRs that an enclave started from one has.

    image = eif.Image(kernel=b"...", cmdline="...", ramdisks=[b"...", b"..."], metadata={...})
    data = image.encode();  image = eif.decode(data);  image.pcrs() -> {0: bytes, 1: bytes, 2: bytes[, 8: bytes]}

Everything in a file is big-endian: a header of 548 bytes, then sections, each with a header of 12 bytes. The CRC covers all
but itself. decode() believes nothing: what it returns encodes to the same bytes again, or it raises Fault.
"""
import dataclasses
import hashlib
import json
import struct
import zlib

from . import Fault, sign

MAGIC = b".eif"
VERSION = 4
ARCHITECTURES = {"x86_64": 0, "aarch64": 1}
SECTIONS_MAX = 32
SECTION_HEADER = struct.Struct(">HHQ")
HEADER = struct.Struct(f">4sHHQQHH{SECTIONS_MAX}Q{SECTIONS_MAX}QI")
HEADER_SIZE = HEADER.size + 4
KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA = 1, 2, 3, 4, 5
NAMES = {KERNEL: "kernel", CMDLINE: "command line", RAMDISK: "ramdisk", SIGNATURE: "signature", METADATA: "metadata"}
CMDLINE_MAX = 2047
SIZE_MAX = 1 << 31
DEFAULT_MEMORY = 512 << 20
DEFAULT_CPUS = 2


def extend(*parts):
    """A PCR that was extended once, by the SHA-384 of `parts`."""
    digest = hashlib.sha384()
    for part in parts:
        digest.update(part)
    return hashlib.sha384(bytes(48) + digest.digest()).digest()


@dataclasses.dataclass
class Image:
    """What an image file holds."""

    kernel: bytes
    cmdline: str
    ramdisks: list
    metadata: dict = dataclasses.field(default_factory=dict)
    signature: bytes = b""
    architecture: str = "x86_64"
    memory: int = DEFAULT_MEMORY
    cpus: int = DEFAULT_CPUS

    def pcrs(self):
        """{number: 48 bytes} as the hypervisor measures them; PCR8 where the image is signed."""
        cmdline = self.cmdline.encode()
        values = {
            0: extend(self.kernel, cmdline, *self.ramdisks),
            1: extend(self.kernel, cmdline, self.ramdisks[0]),
            2: extend(*self.ramdisks[1:]),
        }
        if self.signature:
            values[8] = extend(sign.certificate_der(sign.decode(self.signature)[0]))
        return values

    def sign(self, certificate_pem, key_path):
        """Signs PCR0 with the key in `key_path`, which must be that of the certificate."""
        self.signature = sign.encode(certificate_pem, sign.make(self.pcrs()[0], certificate_pem, key_path))

    def verify_signature(self):
        """Fault unless the signature section signs this image's PCR0 by its own certificate."""
        certificate, cose = sign.decode(self.signature)
        sign.verify(cose, self.pcrs()[0], certificate)

    def sections(self):
        """(type, bytes) in the order of the file."""
        parts = [(KERNEL, self.kernel), (CMDLINE, self.cmdline.encode())]
        parts.append((METADATA, json.dumps(self.metadata, separators=(",", ":"), sort_keys=True).encode()))
        parts += [(RAMDISK, ramdisk) for ramdisk in self.ramdisks]
        return parts + ([(SIGNATURE, self.signature)] if self.signature else [])

    def encode(self):
        """The file. Fault where something doesn't fit into one."""
        _check(self)
        offsets, sizes, body, at = [], [], [], HEADER_SIZE
        for kind, data in self.sections():
            offsets.append(at)
            sizes.append(len(data))
            body += [SECTION_HEADER.pack(kind, 0, len(data)), data]
            at += SECTION_HEADER.size + len(data)
        unused = [0] * (SECTIONS_MAX - len(offsets))
        header = HEADER.pack(
            MAGIC, VERSION, ARCHITECTURES[self.architecture], self.memory, self.cpus, 0, len(offsets),
            *offsets, *unused, *sizes, *unused, 0,
        )
        crc = zlib.crc32(header)
        for part in body:
            crc = zlib.crc32(part, crc)
        return b"".join([header, struct.pack(">I", crc), *body])


def _check(image):
    cmdline = image.cmdline.encode()
    if not image.kernel:
        raise Fault("the kernel is empty")
    if not 0 < len(cmdline) <= CMDLINE_MAX or any(not 0x20 <= byte < 0x7F for byte in cmdline):
        raise Fault(f"a command line has 1 to {CMDLINE_MAX} printable characters")
    if not 1 <= len(image.ramdisks) <= 8 or not all(image.ramdisks):
        raise Fault("an image has one to eight ramdisks, none of them empty")
    if image.architecture not in ARCHITECTURES:
        raise Fault(f"no such architecture: {image.architecture}")


def _one(parts, kind):
    found = [data for k, data in parts if k == kind]
    if len(found) != 1:
        raise Fault(f"an image has one {NAMES[kind]} section, this one has {len(found)}")
    return found[0]


def _json(data):
    def pairs(items):
        if len({name for name, _ in items}) != len(items):
            raise Fault("the metadata has a name twice")
        return dict(items)

    try:
        value = json.loads(data.decode(), object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise Fault("the metadata is not JSON") from error
    if not isinstance(value, dict):
        raise Fault("the metadata is no JSON object")
    return value


def _read_sections(data, count, offsets, sizes):
    at, parts = HEADER_SIZE, []
    for number in range(count):
        if offsets[number] != at or len(data) - at < SECTION_HEADER.size:
            raise Fault(f"section {number} does not begin where the one before it ends")
        kind, flags, size = SECTION_HEADER.unpack_from(data, at)
        at += SECTION_HEADER.size
        if size != sizes[number] or size > len(data) - at:
            raise Fault(f"section {number} has not the size that the header says")
        if kind not in NAMES or flags != 0:
            raise Fault(f"section {number} is of an unknown kind")
        parts.append((kind, data[at : at + size]))
        at += size
    if at != len(data):
        raise Fault("bytes follow the last section")
    return parts


def decode(data):
    """The Image in the bytes of a file of any tool; sections may stand in any order. Fault for everything else."""
    if len(data) < HEADER_SIZE or data[:4] != MAGIC:
        raise Fault("no enclave image file")
    if len(data) > SIZE_MAX:
        raise Fault("the file is too large")
    _, version, flags, memory, cpus, reserved, count, *rest = HEADER.unpack_from(data)
    offsets, sizes, unused = rest[:SECTIONS_MAX], rest[SECTIONS_MAX : 2 * SECTIONS_MAX], rest[-1]
    if version != VERSION:
        raise Fault(f"version {version} of image files is not known, only {VERSION}")
    if struct.unpack_from(">I", data, HEADER.size)[0] != zlib.crc32(data[HEADER_SIZE:], zlib.crc32(data[: HEADER.size])):
        raise Fault("the checksum is wrong: the file was damaged or changed")
    architecture = next((name for name, bit in ARCHITECTURES.items() if bit == flags), None)
    if architecture is None or reserved or unused or not 0 < count <= SECTIONS_MAX:
        raise Fault("the header has values that no tool writes")
    if any(offsets[count:]) or any(sizes[count:]):
        raise Fault("the header names sections beyond their number")
    parts = _read_sections(data, count, offsets, sizes)
    signatures = [body for kind, body in parts if kind == SIGNATURE]
    metadata = [body for kind, body in parts if kind == METADATA]
    if len(signatures) > 1 or len(metadata) > 1 or b"" in signatures:
        raise Fault("a signature or metadata section is there twice, or is empty")
    try:
        cmdline = _one(parts, CMDLINE).decode("ascii")
    except UnicodeDecodeError as error:
        raise Fault("the command line is not ASCII") from error
    image = Image(
        kernel=_one(parts, KERNEL),
        cmdline=cmdline,
        ramdisks=[body for kind, body in parts if kind == RAMDISK],
        metadata=_json(metadata[0]) if metadata else {},
        signature=signatures[0] if signatures else b"",
        architecture=architecture,
        memory=memory,
        cpus=cpus,
    )
    _check(image)
    return image
