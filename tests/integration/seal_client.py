"""Operators of a sealed chamber, in Python: challenges are verified, credentials sealed to the vault, tokens decrypted by the age tool.

A second implementation of docs/sealing.md beside the program's own command line.
"""
import base64
import ctypes
import ctypes.util
import hashlib
import os
import re
import subprocess
import time

import key_routes
from contract import documented, record_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CHAMBER = "/api/v1/chamber"
PURPOSES = {"register": 1, "unseal": 2, "approve": 3, "rehearse": 4, "break_glass": 5}
MODES = {"local": 1, "kms": 2, "quorum": 3, "operators": 4}
FACTORS = {"none": 0, "passphrase": 1, "yubikey": 2, "fido2": 3}
BOX_OVERHEAD = 48
_sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
assert _sodium.sodium_init() >= 0


def _template(method, path):
    path = path.split("?")[0]
    for documented_method, template in documented():
        if documented_method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return template
    raise AssertionError(f"{method} {path} is not in docs/openapi.yaml")


def call(daemon, method, path, body=None, **options):
    """As key_routes.call(); what goes there and what comes back is what docs/openapi.yaml says."""
    template, record = _template(method, path), record_of(daemon)
    code, headers, content = key_routes.send(daemon, method, path, body, **options)
    answer = record.answered(method, template, code, headers, content)
    if code < 300 and body not in (None, b""):
        record.took(method, template, body)
    return code, answer


def sealed_box(public_key, plain):
    out = ctypes.create_string_buffer(len(plain) + BOX_OVERHEAD)
    assert _sodium.crypto_box_seal(out, bytes(plain), ctypes.c_ulonglong(len(plain)), bytes(public_key)) == 0
    return out.raw


def number(value, size):
    return int(value).to_bytes(size, "big")


def challenge_bytes(c):
    """What the chamber's identity has signed."""
    raw = {name: bytes.fromhex(c[name]) for name in ("fingerprint", "chamber_id", "box_key", "nonce", "salt", "challenge", "next_salt", "next_challenge", "hint")}
    out = b"containment-chamber/challenge/v1\0"
    out += number(PURPOSES[c["purpose"]], 4) + number(MODES[c["mode"]], 4) + number(FACTORS[c["factor"]], 4)
    out += b"".join(number(c[name], 4) for name in ("memory_kib", "passes", "generation", "unseal_generation"))
    out += b"".join(number(c[name], 8) for name in ("number", "issued", "expires"))
    out += b"".join(raw[name] for name in ("fingerprint", "chamber_id", "box_key", "nonce", "salt", "challenge", "next_salt", "next_challenge"))
    name = c["name"].encode()
    return out + number(len(name), 1) + name + number(len(raw["hint"]), 1) + raw["hint"]


def envelope(c, credential, digest=bytes(32), next_credential=None):
    """A sealed box, in base64."""
    name = c["name"].encode()
    bound = b"containment-chamber/envelope/v1\0" + bytes.fromhex(c["chamber_id"]) + bytes.fromhex(c["fingerprint"])
    bound += number(c["generation"], 4) + number(PURPOSES[c["purpose"]], 4) + number(len(name), 1) + name
    bound += bytes.fromhex(c["nonce"]) + digest
    plain = bytes.fromhex(c["nonce"]) + hashlib.sha256(bound).digest() + number(len(credential), 1) + credential
    if next_credential is None:
        plain += b"\0"
    else:
        plain += number(1, 1) + number(262144, 4) + number(3, 4) + next_credential + b"\0"
    return base64.b64encode(sealed_box(bytes.fromhex(c["box_key"]), plain)).decode()


class Operator:
    """Somebody with an age key, and a credential once registered. Argon2id is the command line's business: 32 bytes are 32 bytes."""

    def __init__(self, path, name):
        self.name = name
        self.credential = os.urandom(32)
        self.key_path = path / f"{name}.age-key"
        made = subprocess.run(["age-keygen", "-o", str(self.key_path)], capture_output=True, text=True, check=True)
        self.public_key = made.stderr.split("Public key: ")[1].strip()

    def described(self):
        return {"name": self.name, "public_key": self.public_key}

    def decrypt(self, text):
        return subprocess.run(["age", "-d", "-i", str(self.key_path)], input=text.encode(), capture_output=True, check=True).stdout.decode()

    def token_of(self, tokens):
        """The registration token out of an answer's list."""
        [mine] = [t["age"] for t in tokens if t["name"] == self.name]
        return bytes.fromhex(self.decrypt(mine).strip())

    def challenge(self, daemon, purpose):
        code, answer = call(daemon, "GET", f"{CHAMBER}/operators/{self.name}/challenge?purpose={purpose}")
        assert code == 200, answer
        identity = bytes.fromhex(status(daemon)["identity"])
        Ed25519PublicKey.from_public_bytes(identity).verify(bytes.fromhex(answer["signature"]), challenge_bytes(answer))
        assert answer["purpose"] == purpose and answer["name"] == self.name
        assert answer["issued"] / 1000 - 5 <= time.time() <= answer["expires"] / 1000
        return answer

    def register(self, daemon, token, fingerprint):
        c = self.challenge(daemon, "register")
        assert c["fingerprint"] == fingerprint
        box = envelope(c, token, bytes.fromhex(fingerprint), next_credential=self.credential)
        return call(daemon, "POST", f"{CHAMBER}/register", {"name": self.name, "envelope": box, "digest": fingerprint})

    def unseal(self, daemon):
        return self.give(daemon, "unseal", "/unseal")

    def rehearse(self, daemon):
        return self.give(daemon, "rehearse", "/rehearse")

    def give(self, daemon, purpose, path):
        box = envelope(self.challenge(daemon, purpose), self.credential)
        return call(daemon, "POST", CHAMBER + path, {"name": self.name, "envelope": box})

    def approve(self, daemon, digest):
        box = envelope(self.challenge(daemon, "approve"), self.credential, bytes.fromhex(digest))
        return call(daemon, "POST", f"{CHAMBER}/rotate/approve", {"name": self.name, "envelope": box, "digest": digest})


def status(daemon):
    code, answer = call(daemon, "GET", f"{CHAMBER}/status")
    assert code == 200, answer
    return answer


def state(daemon):
    return status(daemon)["state"]


def setup_token(daemon):
    return (daemon.data_dir / "setup-token").read_text()


def init(daemon, **body):
    return call(daemon, "POST", f"{CHAMBER}/init", {"setup_token": setup_token(daemon), **body})


def register_all(daemon, operators, made):
    for n, one in enumerate(operators):
        code, answer = one.register(daemon, one.token_of(made["registration_tokens"]), made["set_fingerprint"])
        assert (code, answer["have"], answer["needed"]) == (200, n + 1, len(operators)), answer


def at_admin_socket(daemon, method, path, body=None, proof=None):
    """As the owner of the data directory, who shows by auth.proof what is meant."""
    file = daemon.data_dir / "auth.proof"
    if proof:
        file.write_text(proof + "\n")
        file.chmod(0o644)  # for the core to read, whatever user it has
    api, daemon.unix = daemon.unix, str(daemon.admin_path)
    try:
        return call(daemon, method, path, body)
    finally:
        daemon.unix = api
        file.unlink(missing_ok=True)


def owner_approves(daemon, digest):
    return at_admin_socket(daemon, "POST", f"{CHAMBER}/rotate/approve", {"digest": digest}, f"approve {digest}")
