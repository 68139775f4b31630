#!/usr/bin/python3
"""A Nitro security module in software: what /dev/nsm answers, over a Unix socket (u32 length, little-endian, then CBOR, each
way), with documents signed by a test authority of the shape of AWS's. Its CBOR is its own, so that reader and writer of the
signer are held against another one's.

    nsm_device.py --socket PATH --root FILE [--pcr N=HEX]

As a module: `with NsmDevice(path) as device: ...`; device.root_path is the root to trust (DER)."""
import argparse
import contextlib
import datetime
import hashlib
import os
import pathlib
import socket
import struct
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

REQUEST_MAX = 0x1000
MODULE_ID = "i-0a1b2c3d4e5f60718-enc0a1b2c3d4e5f6071"


# --- CBOR: what the module's messages hold -----------------------------------------------------------------------------------


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for code, form, top in ((24, ">B", 0xFF), (25, ">H", 0xFFFF), (26, ">I", 0xFFFFFFFF), (27, ">Q", 2**64 - 1)):
        if n <= top:
            return bytes([major << 5 | code]) + struct.pack(form, n)
    raise ValueError(n)


def encode(value):
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(encode(k) + encode(v) for k, v in value.items())
    raise TypeError(type(value))


def decode(data, at=0):
    """The value at `at`, and where the next one begins."""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if 24 <= info <= 27:
        width = 1 << (info - 24)
        if at + width > len(data):
            raise ValueError("cut short")
        n, at = int.from_bytes(data[at : at + width], "big"), at + width
    elif info < 24:
        n = info
    else:
        raise ValueError("length")
    if major in (0, 1):
        return (n if major == 0 else -1 - n), at
    if major in (2, 3):
        if at + n > len(data):
            raise ValueError("cut short")
        piece = data[at : at + n]
        return (piece if major == 2 else piece.decode()), at + n
    if major == 4:
        items = []
        for _ in range(n):
            item, at = decode(data, at)
            items.append(item)
        return items, at
    if major == 5:
        pairs = {}
        for _ in range(n):
            key, at = decode(data, at)
            pairs[key], at = decode(data, at)
        return pairs, at
    if major == 6:
        return decode(data, at)  # of what a tag stands before
    return {20: False, 21: True, 22: None}[n], at


# --- the authority ------------------------------------------------------------------------------------------------------------


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "US"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"),
                      x509.NameAttribute(NameOID.COMMON_NAME, common)])


def usage(*which):
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{n: n in which for n in names})


class Issued:
    """A certificate with its key."""

    def __init__(self, common, issuer, begins, lives, pathlen=None, signs_too=True, leaf=False, curve=None):
        self.key = ec.generate_private_key(curve or ec.SECP384R1())
        signer = issuer or self
        subject = name(common)
        begins = datetime.datetime.utcfromtimestamp(int(begins))
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.certificate.subject if issuer else subject)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(begins).not_valid_after(begins + datetime.timedelta(seconds=lives)))
        if leaf:
            builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            builder = builder.add_extension(usage("digital_signature", "content_commitment"), critical=False)
        else:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=pathlen), critical=True)
            bits = ("digital_signature", "key_cert_sign", "crl_sign") if signs_too else ("key_cert_sign",)
            builder = builder.add_extension(usage(*bits), critical=True)
            if signs_too:  # as AWS does: root, region and zone have identifiers, instance and document have none
                builder = self.with_identifiers(builder, issuer)
        self.certificate = builder.sign(signer.key, hashes.SHA384())
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)

    def with_identifiers(self, builder, issuer):
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        if not issuer:
            return builder
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        where = x509.UniformResourceIdentifier("http://crl.invalid/crl/0a1b2c3d.crl")
        point = x509.DistributionPoint(full_name=[where], relative_name=None, reasons=None, crl_issuer=None)
        return builder.add_extension(above, critical=False).add_extension(x509.CRLDistributionPoints([point]), critical=False)


class Authority:
    """Root, region, zone, instance; and a certificate for each module, of three hours. `now` is the authority's clock."""

    def __init__(self, now=time.time):
        self.now = now
        begins = now() - 3600
        self.root = Issued("test.nitro-enclaves", None, begins, 30 * 365 * 86400)
        self.region = Issued("0a.test-1.nitro-enclaves", self.root, begins, 20 * 86400, pathlen=2)
        self.zone = Issued("0b.zonal.test-1.nitro-enclaves", self.region, begins, 6 * 86400, pathlen=1)
        self.instance = Issued("i-0a1b2c3d4e5f60718.test-1.nitro-enclaves", self.zone, begins, 86400, pathlen=0, signs_too=False)

    def bundle(self):
        return [c.der for c in (self.root, self.region, self.zone, self.instance)]

    def leaf(self, module_id=MODULE_ID):
        return Issued(f"{module_id}.test-1.aws", self.instance, self.now(), 3 * 3600, leaf=True)


# --- the module ---------------------------------------------------------------------------------------------------------------


class Refused(Exception):
    pass


def is_for_clock(ask):
    """A document that the signer asks for to know the time."""
    return (ask.get("user_data") or b"").startswith(b"containment-chamber/clock/")


class NsmDevice:
    """Registers 0 to 15 are locked; PCR0 to 2 hold `pcrs` (a dictionary), and others zeros where it doesn't name them.
    What a test changes while it runs: `broken` (None, or what is wrong: "error", "garbage", "long", "close", "stall"),
    `signs_with` (another key), `timestamp_ms`, and `clock_timestamp_ms` of what the signer asks for to know the time."""

    def __init__(self, path, authority=None, pcrs=None):
        self.path = str(path)
        self.authority = authority or Authority()
        self.leaf = self.authority.leaf()
        self.root_path = self.path + ".root.der"
        self.pcrs = {n: bytes(48) for n in range(32)}
        self.pcrs.update(pcrs or {n: hashlib.sha384(b"test image %d" % n).digest() for n in range(3)})
        self.locked = set(range(16))
        self.broken = None
        self.signs_with = None
        self.timestamp_ms = self.clock_timestamp_ms = None
        self.asked = []  # names of requests, in their order
        self.documents = []  # what they were asked to hold, but those for the time alone
        self.lock = threading.Lock()
        self.ends = threading.Event()

    # --- requests

    def attest(self, ask):
        for field, most in (("user_data", 512), ("nonce", 512), ("public_key", 1024)):
            if ask.get(field) is not None and len(ask[field]) > most:
                raise Refused("InputTooLarge")
        if ask.get("public_key") == b"":
            raise Refused("InvalidArgument")
        for_clock = is_for_clock(ask)
        if not for_clock:
            self.documents.append(ask)
        payload = encode({
            "module_id": MODULE_ID,
            "digest": "SHA384",
            "timestamp": (self.clock_timestamp_ms if for_clock else self.timestamp_ms) or int(self.authority.now() * 1000),
            "pcrs": {n: self.pcrs[n] for n in sorted(self.locked)},
            "certificate": self.leaf.der,
            "cabundle": self.authority.bundle(),
            "public_key": ask.get("public_key"),
            "user_data": ask.get("user_data"),
            "nonce": ask.get("nonce"),
        })
        return {"Attestation": {"document": self.sign(payload)}}

    def sign(self, payload):
        protected = encode({1: -35})
        message = encode(["Signature1", protected, b"", payload])
        r, s = utils.decode_dss_signature((self.signs_with or self.leaf.key).sign(message, ec.ECDSA(hashes.SHA384())))
        return encode([protected, {}, payload, r.to_bytes(48, "big") + s.to_bytes(48, "big")])

    def index_of(self, ask):
        if ask.get("index") not in range(32):
            raise Refused("InvalidIndex")
        return ask["index"]

    def describe_pcr(self, ask):
        index = self.index_of(ask)
        return {"DescribePCR": {"data": self.pcrs[index], "lock": index in self.locked}}  # QEMU's order

    def extend(self, ask):
        index = self.index_of(ask)
        if index in self.locked:
            raise Refused("ReadOnlyIndex")
        self.pcrs[index] = hashlib.sha384(self.pcrs[index] + ask["data"]).digest()
        return {"ExtendPCR": {"data": self.pcrs[index]}}

    def lock_pcr(self, ask):
        index = self.index_of(ask)
        if index in self.locked:
            raise Refused("ReadOnlyIndex")
        self.locked.add(index)
        return "LockPCR"

    def describe(self):
        return {"DescribeNSM": {"digest": "SHA384", "max_pcrs": 32, "module_id": MODULE_ID, "locked_pcrs": sorted(self.locked),
                                "version_major": 1, "version_minor": 2, "version_patch": 0}}

    def handle(self, request):
        try:
            ask, end = decode(request)
            if end != len(request) or len(request) > REQUEST_MAX:
                raise Refused("InvalidOperation")
            which = ask if isinstance(ask, str) else next(iter(ask))
            self.asked.append(which)
            if isinstance(ask, str):
                return {"DescribeNSM": self.describe, "GetRandom": lambda: {"GetRandom": {"random": os.urandom(256)}}}[ask]()
            return {"Attestation": self.attest, "DescribePCR": self.describe_pcr, "ExtendPCR": self.extend,
                    "LockPCR": self.lock_pcr}[which](ask[which])
        except Refused as refusal:
            return {"Error": str(refusal)}
        except (ValueError, KeyError, IndexError, AttributeError, TypeError, StopIteration):
            return {"Error": "InvalidOperation"}

    def answer(self, request):
        """What goes back; None: the connection is closed."""
        with self.lock:
            reply = encode(self.handle(request))
            if self.broken == "error":
                return encode({"Error": "InternalError"})
            if self.broken == "garbage":
                return b"\xbf" + reply[1:]
            if self.broken == "long":
                return encode({"Attestation": {"document": bytes(0x4000)}})
            return None if self.broken == "close" else reply

    # --- the socket

    @staticmethod
    def receive(line, size):
        data = b""
        while len(data) < size:
            piece = line.recv(size - len(data))
            if not piece:
                return None
            data += piece
        return data

    def serve_line(self, line):
        with line, contextlib.suppress(OSError):
            while True:
                size = self.receive(line, 4)
                request = size and self.receive(line, struct.unpack("<I", size)[0])
                if request is None:
                    return
                if self.broken == "stall":
                    self.ends.wait()
                    return
                reply = self.answer(request)
                if reply is None:
                    return
                line.sendall(struct.pack("<I", len(reply)) + reply)

    def serve(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_line, args=(line,), daemon=True).start()

    def __enter__(self):
        pathlib.Path(self.root_path).write_bytes(self.authority.root.der)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for path in (self.path, self.root_path):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def main():
    parser = argparse.ArgumentParser(description="A Nitro security module in software, for tests.")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--root", help="where the authority's root goes, in DER")
    parser.add_argument("--pcr", action="append", default=[], help="N=HEX")
    arguments = parser.parse_args()
    pcrs = {int(n): bytes.fromhex(value) for n, value in (text.split("=") for text in arguments.pcr)}
    with NsmDevice(arguments.socket, pcrs=pcrs or None) as device:
        if arguments.root:
            pathlib.Path(arguments.root).write_bytes(device.authority.root.der)
        print("ready", flush=True)
        device.ends.wait()


if __name__ == "__main__":
    main()
