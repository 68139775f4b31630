"""A chamber for operators' commands to talk to: honest in what it is told to be honest in, hostile in the rest. It has the formats from
docs/formats.md, with cryptography of its own (libsodium through ctypes, Python's Ed25519)."""
import base64
import ctypes
import hashlib
import http.server
import json
import os
import re
import struct
import threading
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

PURPOSES = {"register": 1, "unseal": 2, "approve": 3, "rehearse": 4, "break_glass": 5}
MODES = {"local": 1, "kms": 2, "quorum": 3, "operators": 4}
FACTORS = {"none": 0, "passphrase": 1, "yubikey": 2, "fido2": 3}
MEMORY_KIB, PASSES = 256 << 10, 3

_sodium = ctypes.CDLL("libsodium.so.23")
_sodium.crypto_pwhash_argon2id.argtypes = [ctypes.c_void_p, ctypes.c_ulonglong, ctypes.c_char_p, ctypes.c_ulonglong, ctypes.c_char_p,
                                           ctypes.c_ulonglong, ctypes.c_size_t, ctypes.c_int]  # fmt: skip


def argon2id(passphrase, salt, memory_kib, passes):
    out = ctypes.create_string_buffer(32)
    assert _sodium.crypto_pwhash_argon2id(out, 32, passphrase, len(passphrase), salt, passes, memory_kib << 10, 2) == 0
    return out.raw


def box_keys():
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    assert _sodium.crypto_box_keypair(public, secret) == 0
    return public.raw, secret.raw


def box_open(public, secret, box):
    plain = ctypes.create_string_buffer(max(len(box) - 48, 1))
    if _sodium.crypto_box_seal_open(plain, box, ctypes.c_ulonglong(len(box)), public, secret):
        return None
    return plain.raw[: len(box) - 48]


def text(value):
    return bytes([len(value)]) + value


def device_challenge(c, random_part):
    """What a device is asked (docs/formats.md)."""
    label = b"containment-chamber/operator-challenge/v1\0"
    return hashlib.sha512(label + c["chamber_id"] + c["name"] + b"\0" + struct.pack(">I", c["unseal_generation"]) + random_part).digest()[:63]


def credential_of(c, answer, salt):
    c = c if c["passes"] else {**c, "memory_kib": MEMORY_KIB, "passes": PASSES}
    short = hashlib.sha512(b"containment-chamber/operator-salt/v1\0" + c["chamber_id"] + salt).digest()[:16]
    return argon2id(answer, short, c["memory_kib"], c["passes"])


class Envelope:
    """What was in a sealed box."""

    def __init__(self, plain):
        self.nonce, self.binding = plain[:32], plain[32:64]
        size = plain[64]
        self.credential = plain[65 : 65 + size]
        rest = plain[65 + size :]
        self.factor = rest[0]
        if self.factor:
            self.memory_kib, self.passes = struct.unpack(">II", rest[1:9])
            self.next = rest[9:41]
            self.hint = rest[42 : 42 + rest[41]]
            assert len(rest) == 42 + rest[41]
        else:
            assert len(rest) == 1


class Chamber:
    """One replica: its own box key, the chamber's identity. `lie(challenge)` may change a challenge before it is signed; `after` behind the
    signature's back."""

    def __init__(self, seed=b"\1" * 32, chamber_id=b"\2" * 32):
        self.identity = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        self.chamber_id = chamber_id
        self.public, self.secret = box_keys()
        self.salt, self.random, self.next_salt, self.next_random = (os.urandom(32) for _ in range(4))
        self.fingerprint = os.urandom(32)
        self.mode, self.factor, self.hint = "quorum", "passphrase", b""
        self.generation, self.unseal_generation = 5, 3
        self.lie = self.after = lambda challenge: None
        self.challenges, self.posts, self.answers, self.envelopes = [], [], {}, []
        self.gate = threading.Event()  # challenges wait for it
        self.gate.set()
        chamber = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):  # pylint: disable=arguments-differ
                pass

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.answer(*chamber.serve(self.command, self.path, body, dict(self.headers)))

            do_GET = do_POST = do_DELETE = handle_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

    def identity_hex(self):
        return self.identity.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()

    def identity_file(self, folder):
        path = folder / "identity.pub"
        path.write_text(f"containment-chamber identity v1\nchamber 0x{self.chamber_id.hex()}\ned25519 0x{self.identity_hex()}\n")
        return path

    def signed(self, c):
        fields = struct.pack(">IIIIIIIQQQ", PURPOSES[c["purpose"]], MODES[c["mode"]], FACTORS[c["factor"]], c["memory_kib"], c["passes"], c["generation"],
                             c["unseal_generation"], c["number"], c["issued"], c["expires"])  # fmt: skip
        names = ("fingerprint", "chamber_id", "box_key", "nonce", "salt", "challenge", "next_salt", "next_challenge")
        return b"containment-chamber/challenge/v1\0" + fields + b"".join(c[n] for n in names) + text(c["name"]) + text(c["hint"])

    def challenge(self, name, purpose):
        now = int(time.time() * 1000)
        c = {
            "purpose": purpose, "mode": self.mode, "name": name.encode(), "factor": self.factor, "memory_kib": MEMORY_KIB, "passes": PASSES,
            "generation": self.generation, "unseal_generation": self.unseal_generation, "fingerprint": self.fingerprint, "number": 9,
            "issued": now, "expires": now + 600_000, "chamber_id": self.chamber_id, "box_key": self.public, "nonce": os.urandom(32),
            "salt": self.salt, "challenge": self.random, "next_salt": self.next_salt, "next_challenge": self.next_random, "hint": self.hint,
        }  # fmt: skip
        if purpose == "register":  # the operator's to choose
            c["memory_kib"] = c["passes"] = 0
        self.lie(c)
        c["signature"] = self.identity.sign(self.signed(c))
        self.after(c)
        self.challenges.append(c)
        return {k: v.decode() if k == "name" else v.hex() if isinstance(v, bytes) else v for k, v in c.items()}

    def open(self, body, purpose, digest=bytes(32)):
        """The envelope of a body, if it answers the last challenge, over `digest`."""
        plain = box_open(self.public, self.secret, base64.b64decode(body["envelope"], validate=True))
        assert plain is not None, "not sealed to this vault"
        envelope, c = Envelope(plain), self.challenges[-1]
        assert envelope.nonce == c["nonce"] and body["name"] == c["name"].decode()
        bound = (b"containment-chamber/envelope/v1\0" + self.chamber_id + self.fingerprint + struct.pack(">II", self.generation, PURPOSES[purpose])
                 + text(c["name"]) + c["nonce"] + digest)  # fmt: skip
        assert envelope.binding == hashlib.sha256(bound).digest()
        return envelope

    def serve(self, method, path, body, headers):
        match = re.fullmatch(r"/api/v1/chamber/operators/([^/]+)/challenge\?purpose=(\w+)", path)
        if match:
            self.gate.wait(20)
            return 200, self.challenge(*match.groups())
        self.posts.append((method, path.removeprefix("/api/v1/chamber/"), json.loads(body) if body else None, headers))
        return self.answers.get(path.removeprefix("/api/v1/chamber/"), (200, {"state": "sealed", "have": 1, "needed": 2}))


# --- proposals ----------------------------------------------------------------------------------------------------------------------

MODES = {"local": 1, "kms": 2, "quorum": 3, "operators": 4}
CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def recipient(key):
    """Kind and 32 bytes of age1... (bech32; its checksum is not looked at here) or ssh-ed25519 AAAA..."""
    if key.startswith("ssh-ed25519 "):
        return struct.pack(">I", 2) + base64.b64decode(key.split()[1])[-32:]
    bits = "".join(f"{CHARSET.index(c):05b}" for c in key[4:-6])
    return struct.pack(">I", 1) + int(bits[:256], 2).to_bytes(32, "big")


def proposal_digest(p):
    """What is approved (docs/formats.md), of the JSON of a proposal."""
    arns = hashlib.sha256(b"".join(arn.encode() + b"\0" for arn in p["kms_key_arns"])).digest() if p["kms_key_arns"] else bytes(32)
    keep = ("operators" in p["keep"]) | ("kms" in p["keep"]) << 1
    glass = p["break_glass"]
    people = b"".join(o["name"].encode().ljust(40, b"\0") + recipient(o["public_key"]) for o in p["operators"])
    count = glass.get("count", len(glass["recipients"]))
    glass_keys = b"".join(recipient(r) for r in glass["recipients"]).ljust(36 * count, b"\0")
    return hashlib.sha256(
        b"containment-chamber/seal-proposal/v1\0" + bytes.fromhex(p["chamber_id"] + p["from"] + p["id"])
        + struct.pack(">IIIII", p["generation"], MODES[p["mode"]], keep, p["kms_threshold"], len(p["kms_key_arns"])) + arns
        + struct.pack(">IIII", glass["threshold"], count, p["operator_threshold"], len(p["operators"])) + people + glass_keys
    ).digest()  # fmt: skip


def other_digest(label, chamber_id, what):
    """Of a cancellation ("seal-cancel") or of a management key ("root-token")."""
    return hashlib.sha256(b"containment-chamber/" + label.encode() + b"/v1\0" + chamber_id + what).digest()
