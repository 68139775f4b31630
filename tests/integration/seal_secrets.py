"""What a set of shares hides, opened from outside: a second implementation of docs/formats.md, beside the vault's.

    opened = seal_secrets.open_set(daemon, {"alice": credential, ...}, decrypt)      # decrypt(arn, ciphertext): a KMS key's share
    opened["master"], opened["unseal"], opened["wrapping"], ...                      # name -> bytes, no two alike
"""
import base64
import hashlib
import hmac
import json
import sqlite3

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = b"containment-chamber/"
SHARE_OF_OPERATOR = 3  # of what a share commits to


def hkdf(key, salt, info, size=32):
    """RFC 5869 over SHA-256."""
    pseudo = hmac.new(salt, key, hashlib.sha256).digest()
    out, block = b"", b""
    for n in range(1, size // 32 + 1):
        block = hmac.new(pseudo, block + info + bytes([n]), hashlib.sha256).digest()
        out += block
    return out


def label(name):
    return PREFIX + name + b"/v1\0"


def open_blob(key, name, place, blob):
    """What crypto/committing.h has sealed; fails where the key is not the one."""
    commitment, nonce, sealed = blob[:32], blob[32:44], blob[44:]
    derived = hkdf(key, nonce, label(name) + place, 64)
    assert derived[32:] == commitment, name
    return AESGCM(derived[:32]).decrypt(nonce, sealed, b"")


# --- GF(256), 0x11b ----------------------------------------------------------------------------------------------------


def times(a, b):
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def inverse(a):
    result = 1
    for _ in range(254):
        result = times(result, a)
    return result


def combine(shares):
    """The secret of shares y ++ x, as many as the threshold."""
    secret = bytearray(32)
    for share in shares:
        factor = 1
        for other in shares:
            if other is not share:
                factor = times(factor, times(other[32], inverse(other[32] ^ share[32])))
        for i in range(32):
            secret[i] ^= times(share[i], factor)
    return bytes(secret)


# --- sets ----------------------------------------------------------------------------------------------------------------


def record(daemon, kind, name):
    """A record of the state store, as bytes."""
    with sqlite3.connect(f"file:{daemon.data_dir}/state.sqlite?mode=ro", uri=True) as db:
        [(found,)] = db.execute("SELECT bytes FROM records WHERE kind = ? AND name = ?", (kind, name)).fetchall()
    return found


def number(value):
    return value.to_bytes(4, "big")


MODES = {"local": 1, "kms": 2, "quorum": 3, "operators": 4}


def open_set(daemon, chamber_id, credentials, decrypt=None):
    """{name: bytes} of everything that the present set hides. `credentials`: at least the threshold of them."""
    made = json.loads(record(daemon, "seal", "current"))["set"]
    chamber, found = bytes.fromhex(chamber_id), {}
    mode, generation = made["mode"], made["generation"]
    if mode in ("kms", "quorum"):
        shares = [decrypt(key["arn"], base64.b64decode(key["ciphertext"])) for key in made["kms"]["keys"]]
        found.update({f"share of KMS key {n}": share[:32] for n, share in enumerate(shares)})
        found["wrapping key"] = combine(shares[: made["kms"]["threshold"]])
    if mode in ("operators", "quorum"):
        found.update(open_operators(made, chamber, credentials, found))
    master, place = base64.b64decode(made["master"]), chamber + number(generation) + number(MODES[mode])
    if mode in ("kms", "quorum"):
        master = open_blob(found["wrapping key"], b"master-kms", place, master)
    if mode in ("operators", "quorum"):
        master = open_blob(found["unseal key"], b"master-operators", place, master)
    found["master key"] = master
    for name in ("key-row", "master-bridge", "master-tokens"):
        found[f"{name} key"] = hkdf(master, chamber, label(name.encode()))
    assert hkdf(master, chamber, label(b"master-check")) == bytes.fromhex(made["check"])
    found["token key"] = open_blob(found["master-tokens key"], b"master-tokens", chamber + number(generation), base64.b64decode(made["tokens"]))
    return found


def open_operators(made, chamber, credentials, opened):
    found, shares = {}, []
    for entry in made["operators"]["entries"]:
        name = entry["name"].encode()
        if entry["name"] not in credentials:
            continue
        padded, blob = name + bytes(40 - len(name)), base64.b64decode(entry["share"])
        if made["mode"] == "quorum":
            blob = open_blob(opened["wrapping key"], b"operator-share-kms", chamber + number(made["generation"]) + padded, blob)
        share = open_blob(credentials[entry["name"]], b"operator-share", chamber + number(made["unseal_generation"]) + padded, blob)
        bound = label(b"share-commitment") + chamber + number(SHARE_OF_OPERATOR) + number(made["unseal_generation"]) + share
        assert hashlib.sha256(bound).hexdigest() == entry["commitment"]
        shares.append(share)
        found[f"share of {entry['name']}"] = share[:32]
    found["unseal key"] = combine(shares[: made["operators"]["threshold"]])
    return found
