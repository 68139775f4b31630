"""A running signer with the Key Manager API and a sealed key store, and requests to it."""
import atexit
import contextlib
import itertools
import json
import os

import bls_keys
import interop
import keystores
import messages
from daemon import merge
from test_slashing_live import UnixConnection

MANAGER = "/eth/v1/keystores"
CHAMBER = "/api/v1/chamber/keys"
PASSWORD = "correct horse battery staple"
_numbers = itertools.count()


def start(make_daemon, *, keys=(), config=None, environment=None, quarantine=0):
    """A signer with a sealed key store and the Key Manager API; `keys` are of files."""
    settings = {
        "key_sources": {"sqlite": {"enabled": True}},
        "http": {"key_manager_api": {"enabled": True}},
        "anti_slashing": {"new_key_policy": {"quarantine_epochs": quarantine}},
    }
    daemon = make_daemon(keys=keys, config=merge(settings, config or {}), environment=environment)
    daemon.unix = f"/tmp/cc-keys-{os.getpid()}-{next(_numbers)}.sock"
    atexit.register(_remove, daemon.unix)
    daemon.config["server"]["unix_socket"] = daemon.unix
    daemon.write_config()
    daemon.init()
    return daemon.start()


def _remove(path):
    with contextlib.suppress(OSError):
        os.unlink(path)


def send(daemon, method, path, body=None, headers=None, timeout=120):
    """(status, headers in lower case, body) over the Unix socket, where the owner may do all of this."""
    connection = UnixConnection(daemon.unix, timeout)
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


def call(daemon, method, path, body=None, **options):
    """(status, answer)"""
    code, _, content = send(daemon, method, path, body, **options)
    return code, json.loads(content)


def keystore(number, password=PASSWORD, *, named=True, **options):
    """Interop key `number` as the text of a keystore."""
    pubkey = interop.PUBKEYS[number] if named else None
    return json.dumps(keystores.make(bytes.fromhex(interop.SECRETS[number][2:]), pubkey, password, **options))


def import_body(*numbers, password=PASSWORD, history=None, **more):
    body = {"keystores": [keystore(n, password) for n in numbers], "passwords": [password] * len(numbers), **more}
    if history is not None:
        body["slashing_protection"] = history if isinstance(history, str) else json.dumps(history)
    return body


def import_keys(daemon, *numbers, path=MANAGER, **options):
    """The statuses of an import that is answered 200."""
    code, answer = call(daemon, "POST", path, import_body(*numbers, **options))
    assert code == 200, answer
    return [item["status"] for item in answer["data"]]


def delete_keys(daemon, *numbers, path=MANAGER):
    """(statuses, the interchange file) of a delete that is answered 200."""
    code, answer = call(daemon, "DELETE", path, {"pubkeys": [interop.PUBKEYS[n] for n in numbers]})
    assert code == 200, answer
    return [item["status"] for item in answer["data"]], json.loads(answer["slashing_protection"])


def listed(daemon):
    """{public key: readonly} of the Key Manager's list."""
    code, answer = call(daemon, "GET", MANAGER)
    assert code == 200, answer
    names = [item["validating_pubkey"] for item in answer["data"]]
    assert names == sorted(names)
    return {item["validating_pubkey"]: item["readonly"] for item in answer["data"]}


def chamber_list(daemon):
    """{public key: (status, source, paused)}, and whether all are paused."""
    code, answer = call(daemon, "GET", CHAMBER)
    assert code == 200, answer
    return {k["pubkey"]: (k["status"], k["source"], k["paused"]) for k in answer["data"]}, answer["paused_all"]


def sign(daemon, number, source=1, target=2):
    """The status of a request for an attestation."""
    return daemon.sign(interop.PUBKEYS[number], messages.attestation(source, target))[0]


def many(count, cost=16):
    """`count` keystores as Charon makes them with insecure keys: scrypt with a low cost, a password of its own for each."""
    made = []
    for secret, pubkey in bls_keys.make(count):
        password = os.urandom(16).hex()
        made.append((pubkey, json.dumps(keystores.make(secret, pubkey, password, kdf="scrypt", cost=cost)), password))
    return made
