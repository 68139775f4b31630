"""An attestation document, checked the way AWS KMS would: signature, chain up to a root that the caller names, time. It shares no code with the
signer: CBOR is read here, certificates and signatures by python3-cryptography.

    document = check(bytes, root_der)      # raises Bad; .pcrs {0: bytes}, .public_key, .user_data, .nonce, .timestamp (s)
"""
import collections
import datetime
import struct
import time

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding

MAX_AGE = 300  # seconds
Document = collections.namedtuple("Document", "module_id timestamp pcrs public_key user_data nonce")


class Bad(Exception):
    """Why a document is not one."""


class Reader:
    """CBOR (RFC 8949), of definite lengths."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Bad("cut")
        self.at += count
        return self.data[self.at - count:self.at]

    def head(self):
        first = self.take(1)[0]
        kind, low = first >> 5, first & 31
        if low < 24:
            return kind, low
        if low > 27:
            raise Bad("indefinite")
        size = 1 << (low - 24)
        return kind, struct.unpack({1: ">B", 2: ">H", 4: ">I", 8: ">Q"}[size], self.take(size))[0]

    def value(self):
        kind, number = self.head()
        if kind == 0:
            return number
        if kind == 1:
            return -1 - number
        if kind == 2:
            return self.take(number)
        if kind == 3:
            return self.take(number).decode()
        if kind == 4:
            return [self.value() for _ in range(number)]
        if kind == 5:
            pairs = [(self.value(), self.value()) for _ in range(number)]
            if len({k for k, _ in pairs}) != len(pairs):
                raise Bad("twice")
            return dict(pairs)
        if kind == 6:
            return self.value() if number == 18 else self.fail("tag")
        return None if number == 22 else self.fail("simple value")

    @staticmethod
    def fail(what):
        raise Bad(what)

    def whole(self):
        value = self.value()
        if self.at != len(self.data):
            raise Bad("trailing bytes")
        return value


def head(kind, number):
    """The beginning of a CBOR item."""
    if number < 24:
        return bytes([kind << 5 | number])
    for low, form, limit in ((24, ">B", 1 << 8), (25, ">H", 1 << 16), (26, ">I", 1 << 32), (27, ">Q", 1 << 64)):
        if number < limit:
            return bytes([kind << 5 | low]) + struct.pack(form, number)
    raise ValueError(number)


def check_chain(leaf, bundle, root_der, now):
    chain = [x509.load_der_x509_certificate(c) for c in [leaf, *reversed(bundle)]]
    if not bundle or bundle[0] != root_der:
        raise Bad("another root")
    when = datetime.datetime.utcfromtimestamp(now)
    for depth, (own, issuer) in enumerate(zip(chain, chain[1:] + chain[-1:])):
        if not own.not_valid_before <= when <= own.not_valid_after:
            raise Bad("expired")
        if own.issuer != issuer.subject or not isinstance(own.signature_hash_algorithm, hashes.SHA384):
            raise Bad("chain")
        try:
            issuer.public_key().verify(own.signature, own.tbs_certificate_bytes, ec.ECDSA(hashes.SHA384()))
        except InvalidSignature as fault:
            raise Bad("signature of a certificate") from fault
        is_ca = own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        if is_ca != (depth > 0):
            raise Bad("authority")
    return chain[0]


def check(data, root_der, now=None):
    now = time.time() if now is None else now
    try:
        protected, unprotected, payload, signature = Reader(data).whole()
        fields = Reader(payload).whole()
        header = Reader(protected).whole()
        leaf, bundle = fields["certificate"], fields["cabundle"]
        document = Document(fields["module_id"], fields["timestamp"] / 1000, fields["pcrs"], fields["public_key"], fields["user_data"],
                            fields["nonce"])
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise Bad(f"form: {fault}") from fault
    if header != {1: -35} or unprotected != {} or fields["digest"] != "SHA384" or len(signature) != 96:
        raise Bad("form")
    try:
        certificate = check_chain(leaf, bundle, root_der, now)
    except ValueError as fault:
        raise Bad(f"certificate: {fault}") from fault
    signed = head(4, 4) + head(3, 10) + b"Signature1" + head(2, len(protected)) + protected + head(2, 0) + head(2, len(payload)) + payload
    der = utils.encode_dss_signature(int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big"))
    try:
        certificate.public_key().verify(der, signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as fault:
        raise Bad("signature") from fault
    if abs(now - document.timestamp) > MAX_AGE:
        raise Bad("stale")
    return document


def root_of(path):
    """DER of the first certificate in a PEM file, or the bytes of a DER file."""
    data = open(path, "rb").read()
    return x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER) if data.startswith(b"-----") else data
