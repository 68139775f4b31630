"""CiphertextForRecipient as KMS makes it: a CMS envelope in BER of indefinite length, RSAES-OAEP with SHA-256, AES-256-CBC."""
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

OAEP_SHA256 = bytes.fromhex("303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d0609608648016503"
                            "0402010500")
ENVELOPED, DATA = bytes.fromhex("06092a864886f70d010703"), bytes.fromhex("06092a864886f70d010701")
AES_256_CBC = bytes.fromhex("0609608648016503" "04012a")
VERSION_2 = b"\x02\x01\x02"


def item(tag, content):
    length = len(content)
    size = bytes([length]) if length < 128 else bytes([0x81, length]) if length < 256 else b"\x82" + length.to_bytes(2, "big")
    return bytes([tag]) + size + content


def open_ended(tag, content):
    return bytes([tag, 0x80]) + content + b"\0\0"


def make(public_der, plain, whole=False, piece=1000):
    key, iv = os.urandom(32), os.urandom(16)
    pad = 16 - len(plain) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    data = encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()
    wrapped = load_der_public_key(public_der).encrypt(key, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    recipient = item(0x30, VERSION_2 + item(0x80, os.urandom(32)) + OAEP_SHA256 + item(0x04, wrapped))
    pieces = b"".join(item(0x04, data[i:i + piece]) for i in range(0, len(data), piece))
    content = open_ended(0x30, DATA + item(0x30, AES_256_CBC + item(0x04, iv)) + (item(0x80, data) if whole else open_ended(0xA0, pieces)))
    return open_ended(0x30, ENVELOPED + open_ended(0xA0, open_ended(0x30, VERSION_2 + item(0x31, recipient) + content)))


def somebody():
    """A public key that is nobody's."""
    return rsa.generate_private_key(65537, 2048).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
