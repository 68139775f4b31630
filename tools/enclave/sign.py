"""The signature section of an enclave image: a certificate (PEM) and a COSE_Sign1 (ES384) over PCR0.

The arithmetic is the openssl program's, so a key may be encrypted: openssl asks for its passphrase. The section is CBOR as
Amazon's tools write it: an array of maps whose byte strings are arrays of integers. decode() takes exactly that, with one
signature, and nothing else.
"""
import base64
import os
import re
import subprocess
import tempfile

from . import Fault

SCALAR = 48  # bytes of r and of s on P-384
PROTECTED = b"\xa1\x01\x38\x22"  # {1: -35}, ES384
SECTION_MAX = 1 << 16
DEPTH_MAX = 4


# --- CBOR: definite lengths, the shortest form of each number ---------------------------------------------------------------


def _head(major, value):
    for code, size in ((None, 0), (24, 1), (25, 2), (26, 4), (27, 8)):
        if code is None and value < 24:
            return bytes([major << 5 | value])
        if code is not None and value < 1 << 8 * size:
            return bytes([major << 5 | code]) + value.to_bytes(size, "big")
    raise Fault("a number is too large for CBOR")


def cbor_encode(value):
    """int >= 0, bytes, str, list and dict (in its own order) as CBOR."""
    if isinstance(value, int):
        return _head(0, value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(cbor_encode, value))
    return _head(5, len(value)) + b"".join(cbor_encode(k) + cbor_encode(v) for k, v in value.items())


class _Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if len(self.data) - self.at < count:
            raise Fault("the signature ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self):
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if low < 24:
            return major, low
        if low > 27:
            raise Fault("the signature has a form of CBOR that is not used here")
        size = 1 << low - 24
        value = int.from_bytes(self.take(size), "big")
        if _head(major, value) != self.data[self.at - size - 1 : self.at]:
            raise Fault("the signature has a number that is not in its shortest form")
        return major, value

    def item(self, depth=0):
        if depth > DEPTH_MAX:
            raise Fault("the signature is nested too deeply")
        major, value = self.head()
        if major == 0:
            return value
        if major == 2:
            return self.take(value)
        if major == 3:
            try:
                return self.take(value).decode()
            except UnicodeDecodeError as error:
                raise Fault("the signature has text that is not UTF-8") from error
        if major == 4:
            return [self.item(depth + 1) for _ in range(min(value, SECTION_MAX))]
        if major == 5:
            return self._map(value, depth)
        raise Fault("the signature has a form of CBOR that is not used here")

    def _map(self, count, depth):
        found = {}
        for _ in range(min(count, SECTION_MAX)):
            key = self.item(depth + 1)
            if isinstance(key, (list, dict)) or key in found:
                raise Fault("the signature has a map with a key twice, or with a key that is none")
            found[key] = self.item(depth + 1)
        return found


def cbor_decode(data):
    """The one value in `data`; Fault for all that cbor_encode() can't have written."""
    if len(data) > SECTION_MAX:
        raise Fault("the signature is too large")
    reader = _Reader(data)
    value = reader.item()
    if reader.at != len(data):
        raise Fault("bytes follow the signature")
    return value


# --- certificates and keys --------------------------------------------------------------------------------------------------


def _openssl(*arguments, data=None):
    try:
        done = subprocess.run(["openssl", *arguments], input=data, capture_output=data is not None, check=False)
    except OSError as error:
        raise Fault("the openssl program is needed for this") from error
    return done


def _output(what, *arguments, data):
    done = _openssl(*arguments, data=data)
    if done.returncode != 0:
        raise Fault(what)
    return done.stdout


def certificate_der(pem):
    """The DER form of the one certificate in `pem`."""
    found = re.findall(rb"-----BEGIN CERTIFICATE-----\s(.*?)-----END CERTIFICATE-----", pem, flags=re.S)
    try:
        if len(found) == 1:
            return base64.b64decode(b"".join(found[0].split()), validate=True)
    except ValueError:
        pass
    raise Fault("there is not exactly one PEM certificate")


def _public_key(pem):
    """PEM of the certificate's public key, which must be on P-384: ES384 has no other."""
    certificate_der(pem)
    key = _output("this is no certificate", "x509", "-noout", "-pubkey", data=pem)
    text = _output("this is no public key", "pkey", "-pubin", "-noout", "-text", data=key)
    if b"secp384r1" not in text:
        raise Fault("the signing key must be on the curve P-384 (openssl ecparam -name secp384r1 -genkey)")
    return key


def _der_integers(data):
    """(r, s) of an ECDSA signature's DER form, as openssl writes it."""
    def integer(at):
        if len(data) < at + 2 or data[at] != 2 or data[at + 1] > SCALAR + 1 or len(data) < at + 2 + data[at + 1]:
            raise Fault("openssl gave no signature")
        end = at + 2 + data[at + 1]
        return int.from_bytes(data[at + 2 : end], "big"), end

    if len(data) < 2 or data[0] != 0x30 or data[1] != len(data) - 2:
        raise Fault("openssl gave no signature")
    r, at = integer(2)
    s, at = integer(at)
    if at != len(data):
        raise Fault("openssl gave no signature")
    return r, s


def _der_signature(raw):
    def integer(value):
        body = value.to_bytes(value.bit_length() // 8 + 1, "big")
        return bytes([2, len(body)]) + body

    body = b"".join(integer(int.from_bytes(raw[at : at + SCALAR], "big")) for at in (0, SCALAR))
    return bytes([0x30, len(body)]) + body


def _payload(pcr0):
    return cbor_encode({"register_index": 0, "register_value": list(pcr0)})


def _to_be_signed(payload):
    return cbor_encode(["Signature1", PROTECTED, b"", payload])


# --- the section ------------------------------------------------------------------------------------------------------------


def make(pcr0, certificate_pem, key_path):
    """COSE_Sign1 over PCR0. Fault where key and certificate are not a pair."""
    public = _public_key(certificate_pem)
    with tempfile.TemporaryDirectory() as folder:
        message, result = os.path.join(folder, "message"), os.path.join(folder, "signature")
        payload = _payload(pcr0)
        with open(message, "wb") as file:
            file.write(_to_be_signed(payload))
        if _openssl("dgst", "-sha384", "-sign", os.fspath(key_path), "-out", result, message).returncode != 0:
            raise Fault("openssl could not sign with this key")
        with open(result, "rb") as file:
            r, s = _der_integers(file.read())
    cose = cbor_encode([PROTECTED, {}, payload, r.to_bytes(SCALAR, "big") + s.to_bytes(SCALAR, "big")])
    try:
        _check(cose, pcr0, public)
    except Fault as error:
        raise Fault("the key is not that of the certificate") from error
    return cose


def _check(cose, pcr0, public_pem):
    parts = cbor_decode(cose)
    if not isinstance(parts, list) or len(parts) != 4 or parts[0] != PROTECTED or parts[1] != {}:
        raise Fault("the signature is no COSE_Sign1 with ES384")
    if parts[2] != _payload(pcr0):
        raise Fault("the signature is of another image")
    if not isinstance(parts[3], bytes) or len(parts[3]) != 2 * SCALAR:
        raise Fault("the signature has the wrong length")
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for name, data in (("key", public_pem), ("message", _to_be_signed(parts[2])), ("signature", _der_signature(parts[3]))):
            names[name] = os.path.join(folder, name)
            with open(names[name], "wb") as file:
                file.write(data)
        _output("the signature is wrong", "dgst", "-sha384", "-verify", names["key"], "-signature", names["signature"],
                names["message"], data=b"")


def verify(cose, pcr0, certificate_pem):
    """Fault unless `cose` signs `pcr0` by the certificate's key."""
    _check(cose, pcr0, _public_key(certificate_pem))


def encode(certificate_pem, cose):
    """The section's bytes."""
    return cbor_encode([{"signing_certificate": list(certificate_pem), "signature": list(cose)}])


def decode(section):
    """(certificate PEM, COSE_Sign1) of a section's bytes."""
    value = cbor_decode(section)
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        raise Fault("the signature section has not exactly one signature")
    if set(value[0]) != {"signing_certificate", "signature"}:
        raise Fault("the signature section is not understood")
    fields = [value[0][name] for name in ("signing_certificate", "signature")]
    for field in fields:
        if not isinstance(field, list) or not all(isinstance(byte, int) and byte < 256 for byte in field):
            raise Fault("the signature section has a field that is no array of bytes")
    return bytes(fields[0]), bytes(fields[1])
