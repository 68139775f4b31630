"""Writes EIP-2335 keystores with Python's hashlib and OpenSSL's library: no code of ours, no third-party package."""
import ctypes
import functools
import hashlib
import json
import os
import pathlib


CRYPTO = ctypes.CDLL("libcrypto.so.3")
CRYPTO.EVP_CIPHER_CTX_new.restype = CRYPTO.EVP_aes_128_ctr.restype = ctypes.c_void_p


def aes_128_ctr(key, iv, data):
    """AES-128-CTR by OpenSSL; not by its command, since some tests make thousands of keystores."""
    out, size = ctypes.create_string_buffer(len(data)), ctypes.c_int()
    context = ctypes.c_void_p(CRYPTO.EVP_CIPHER_CTX_new())
    cipher = ctypes.c_void_p(CRYPTO.EVP_aes_128_ctr())
    good = CRYPTO.EVP_EncryptInit_ex(context, cipher, None, key, iv) == 1
    good = good and CRYPTO.EVP_EncryptUpdate(context, out, ctypes.byref(size), data, len(data)) == 1
    CRYPTO.EVP_CIPHER_CTX_free(context)
    assert good and size.value == len(data)
    return out.raw


@functools.lru_cache(maxsize=1)
def derive(kdf, password, salt, cost):
    """The derived key. Keystores of one password and one salt cost the program a derivation each, and this one in all."""
    if kdf == "pbkdf2":
        return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, cost, 32)
    return hashlib.scrypt(password.encode(), salt=salt, n=cost, r=8, p=1, dklen=32, maxmem=1 << 30)


def make(secret, pubkey, password, *, kdf="pbkdf2", cost=1024, salt=None):
    """A keystore as a dict. `secret` is 32 bytes, `pubkey` hex or None; `cost` is c or n (tests keep it low)."""
    salt, iv = salt or os.urandom(32), os.urandom(16)
    if kdf == "pbkdf2":
        params = {"dklen": 32, "c": cost, "prf": "hmac-sha256", "salt": salt.hex()}
    else:
        params = {"dklen": 32, "n": cost, "r": 8, "p": 1, "salt": salt.hex()}
    key = derive(kdf, password, salt, cost)
    ciphertext = aes_128_ctr(key[:16], iv, secret)
    checksum = hashlib.sha256(key[16:] + ciphertext).hexdigest()
    return {
        "crypto": {
            "kdf": {"function": kdf, "params": params, "message": ""},
            "checksum": {"function": "sha256", "params": {}, "message": checksum},
            "cipher": {"function": "aes-128-ctr", "params": {"iv": iv.hex()}, "message": ciphertext.hex()},
        },
        "description": "test key",
        **({"pubkey": pubkey.removeprefix("0x")} if pubkey else {}),
        "path": "",
        "uuid": "00000000-0000-4000-8000-000000000000",
        "version": 4,
    }


def write(folder, name, secret, pubkey, password, *, kdf="pbkdf2", cost=1024, salt=None):
    """Writes name.json and name.txt (the password) into `folder`, readable by the owner only."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keystore = make(secret, pubkey, password, kdf=kdf, cost=cost, salt=salt)
    for file, text in ((f"{name}.json", json.dumps(keystore, indent=2)), (f"{name}.txt", password)):
        path = folder / file
        path.touch(mode=0o600)
        path.write_text(text)
    return folder / f"{name}.json"
