"""A chamber in an enclave from its first ceremony to signatures, by nothing but attested TLS and the owner's key: there is nobody inside, and
neither of the owner's sockets. The security module is software with an authority of its own; KMS is a mock that holds to its keys' policies."""
import base64
import http.client
import json
import pathlib
import re
import ssl
import subprocess
import sys
import time

import pytest

import interop
import messages
from attested import Proxy
from daemon import binary_with_switches, wait_for
from key_routes import keystore
from test_auth_management import Manager
from test_enclave_kms import Enclave

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import kms as kms_module  # noqa: E402  pylint: disable=wrong-import-position
import nsm_device  # noqa: E402  pylint: disable=wrong-import-position

CHAMBER = "/api/v1/chamber/"
POLICY = {"rules": [{"effect": "allow", "scopes": ["sign", "chamber_keys_import", "chamber_keys_list"]}]}
DONE, USAGE, REFUSED = 0, 2, 3
PASSPHRASE = "hawk velvet monsoon brittle cactus jumble orchid parade"


class Owner(Manager):
    """Whose requests may be a little ahead of the clock: so none waits for its second. Nor is one behind it, however slow a machine is."""

    def __init__(self, text):
        super().__init__(text, "cc_owner_")

    def created(self):
        self.last = max(self.last + 1, int(time.time()))
        return self.last


class Signer:
    """A daemon in an enclave, and whoever is far away from it."""

    def __init__(self, make_daemon, enclave, folder):
        self.folder, self.enclave = folder, enclave
        made = subprocess.run([str(binary_with_switches()), "auth", "owner-key", "--to", folder / "owner.key", "--name", "alice"],
                              capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
        assert re.fullmatch(r"alice=[0-9a-f]{64}\n", made.stdout) and (folder / "owner.key").stat().st_mode & 0o777 == 0o600
        self.owner = Owner((folder / "owner.key").read_text().strip())
        config = {"auth": {"mode": "enforce", "owner_keys": [made.stdout.strip()]}, "server": {"admin_socket": "-"},
                  "tls": {"mode": "atls", "listen_port": 0}, "tee": {"platform": "nitro", "device": enclave.device.path},
                  "signer_state": {"seal": "ceremony", "kms": True, "allowed_kms_key_arns": enclave.arns},
                  "key_sources": {"sqlite": {"enabled": True}}, "anti_slashing": {"new_key_policy": {"quarantine_epochs": 0}}}
        self.daemon = make_daemon(config=config, environment=enclave.mock.environment(), binary=binary_with_switches())
        self.daemon.init()
        self.daemon.start(ready=False)

    @property
    def port(self):
        return int(re.search(r"https-port=(\d+)", (self.daemon.data_dir / "ports").read_text()).group(1))

    def whom(self):
        """The image; the chamber is whichever runs there."""
        return ["--attest-pcr", f"0={self.enclave.device.pcrs[0].hex()}", "--attest-chamber", "any", "--attest-root", self.enclave.device.root_path]

    def run(self, *words, owner=False, url=None, check=True):
        """A command far away."""
        if owner:
            words += ("--owner-key", f"file:{self.folder / 'owner.key'}")
        there = ["--signer-url", url or f"https://localhost:{self.port}", "--attested", *self.whom()]
        command = [str(binary_with_switches()), *map(str, words), *map(str, there)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL, start_new_session=True)
        assert not check or done.returncode == DONE, (words, done.stdout, done.stderr)
        return done

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return f"file:{path}"

    def status(self):
        return json.loads(self.run("operator", "status", "--json", owner=True).stdout)

    def is_latched(self):
        """False, too, while it starts anew."""
        said = self.run("operator", "status", "--json", owner=True, check=False)
        return said.returncode == DONE and json.loads(said.stdout)["latched"]

    def state(self):
        return self.status()["state"]

    def send(self, method, path, body=b"", headers=None):
        """(status, answer) over TLS, whose certificate is looked at by nobody."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)

    def signed(self, method, path, body=b"", **options):
        return self.send(method, path, body, self.owner.headers(method, path, body, **options))

    def kms_arguments(self):
        return ["--kms-key-arns", ",".join(self.enclave.arns), "--kms-threshold", 2]

    def let_clients_in(self):
        """A management key, a policy, and the token of a client."""
        management = self.file("management.key", self.run("auth", "bootstrap", owner=True).stdout)
        policy = self.folder / "policy.json"
        policy.write_text(json.dumps(POLICY))
        self.run("auth", "policy", "put", "vc", "--from", policy, "--auth-token", management)
        return self.file("client.token", self.run("auth", "token", "create", "vc-1", "--policy", "vc", "--auth-token", management).stdout)

    def bring_key(self, token):
        folder = self.folder / "keystores"
        folder.mkdir()
        (folder / "one.json").write_text(keystore(0, "a password"))
        (folder / "password").write_text("a password")
        self.run("keys", "import", "--from-dir", folder / "one.json", "--password-file", folder / "password", "--auth-token", token)

    def signs(self, token, source):
        """As a stock client does it, through the sidecar."""
        bearer = {"Authorization": "Bearer " + pathlib.Path(token.removeprefix("file:")).read_text().strip()}
        proxy = Proxy(self.daemon, f"tcp:127.0.0.1:{self.port}", self.whom())
        try:
            path, body = f"/api/v1/eth2/sign/{interop.PUBKEYS[0]}", messages.attestation(source, source + 1)
            wait_for("a signature", lambda: proxy.request("POST", path, body, bearer)[0] == 200)
            assert proxy.request("POST", path, body)[0] == 401
        finally:
            proxy.end()

    def audited(self):
        return [json.loads(line) for path in sorted((self.daemon.data_dir / "audit").glob("*.jsonl")) for line in path.read_text().splitlines()]


@pytest.fixture(name="signer")
def _signer(make_daemon, tmp_path):
    with kms_module.Kms() as server, nsm_device.NsmDevice(str(tmp_path / "nsm")) as device:
        enclave = Enclave(tmp_path, server, device)
        enclave.create()
        yield Signer(make_daemon, enclave, tmp_path)


# --- what the owner's key does --------------------------------------------------------------------------------------------


def test_T04_kms_mode_by_the_owner_from_far_away(signer):
    assert signer.state() == "uninitialized"
    assert "state: unsealed" in signer.run("operator", "init", "--mode", "kms", *signer.kms_arguments(), owner=True).stderr
    token = signer.let_clients_in()
    signer.bring_key(token)
    signer.signs(token, 1)
    # T25: an emergency seal of this mode is the owner's to take back
    before = signer.daemon.rooms()
    signer.run("operator", "seal", owner=True)
    wait_for("new rooms", lambda: all(signer.daemon.rooms().get(room) not in (None, before[room]) for room in ("front", "core", "vault")), 40)
    wait_for("latched", signer.is_latched, 40)
    assert signer.run("operator", "unseal", "--auth-token", token, check=False).returncode != DONE
    signer.run("operator", "unseal", owner=True)
    signer.signs(token, 2)
    # T01: what is proposed is approved by him, by its digest
    out = signer.folder / "proposal.json"
    signer.run("operator", "rotate", "master", "--out", out, owner=True)
    digest = json.loads(out.read_text())["digest"]
    wrong = signer.run("operator", "approve", "--proposal", out, "--digest", "00" * 32, owner=True, check=False)
    assert wrong.returncode == REFUSED and "Nothing was sent" in wrong.stderr
    assert signer.status()["rotation"]["digest"] == digest
    signer.run("operator", "approve", "--digest", digest, owner=True)
    wait_for("the new set", lambda: signer.status()["seal"]["generation"] == 2 and signer.state() == "unsealed")
    signer.run("operator", "rotate", "master", owner=True)
    signer.run("operator", "cancel", owner=True)
    assert signer.state() == "unsealed"
    again = signer.run("auth", "bootstrap", owner=True, check=False)
    assert again.returncode == REFUSED and "--replace" in again.stderr
    assert signer.run("auth", "bootstrap", "--replace", owner=True).stdout.startswith("cc_management_")
    done = {e["operation"] for e in signer.audited() if e.get("event") == "manage" and e.get("principal") == "owner:alice"}
    assert done >= {"init", "bootstrap", "seal", "seal_lift", "rotate_master", "approve", "rotate_cancel"}
    # T20: another image may ask for another mode; that it counts is his to say. It opens its keys by itself.
    signer.daemon.config["auth"]["mode"] = "report"
    signer.daemon.write_config()
    assert signer.daemon.stop() == DONE
    signer.daemon.start(ready=False)
    assert signer.send("DELETE", f"{CHAMBER}auth/latch")[0] == 403 and signer.status()["auth_mode"] == "enforce"
    signer.signs(token, 3)
    signer.run("auth", "unlatch", owner=True)
    assert signer.status()["auth_mode"] == "report"


def test_T14_quorum_mode_by_people_who_are_far_away(signer):
    """Setup token, init, register, unseal, rehearse, rotate, approve: each verifies the enclave before it sends anything."""
    people = {}
    for name in ("bob", "carol"):
        made = subprocess.run(["age-keygen", "-o", signer.folder / f"{name}.age"], capture_output=True, text=True, check=True)
        people[name] = made.stderr.split("Public key: ")[1].strip()
    setup = signer.file("setup", signer.run("operator", "setup-token", owner=True).stdout)
    assert not (signer.daemon.data_dir / "setup-token").exists()
    shares = signer.folder / "shares"
    quorum = [word for name, key in people.items() for word in ("--operator", f"{name}={key}")] + ["--operator-threshold", 2]
    made = signer.run("operator", "init", "--setup-token", setup, "--mode", "quorum", *signer.kms_arguments(), *quorum, "--out", shares)
    fingerprint = re.search(r"fingerprint of the set is ([0-9a-f]{64})", made.stderr).group(1)
    identity, passphrase = signer.status()["identity"], signer.file("passphrase", PASSPHRASE)

    def person(name, verb, *more):
        return signer.run("operator", *verb.split(), "--name", name, "--chamber-identity", identity, "--passphrase", passphrase, *more)

    for name in people:
        opened = subprocess.run(["age", "-d", "-i", signer.folder / f"{name}.age", shares / f"{name}.registration.age"], capture_output=True, text=True, check=True)
        person(name, "register", "--registration-token", signer.file(f"{name}.token", opened.stdout), "--fingerprint", fingerprint)
    for name in people:
        person(name, "unseal")
    assert signer.state() == "unsealed"
    token = signer.let_clients_in()
    signer.bring_key(token)
    signer.signs(token, 1)
    assert "1 of 2" in person("bob", "rehearse").stdout
    out = signer.folder / "proposal.json"
    signer.run("operator", "rotate", "master", "--out", out, owner=True)
    digest = json.loads(out.read_text())["digest"]
    alone = signer.run("operator", "approve", "--digest", digest, owner=True, check=False)  # T01: there are operators who decide
    assert alone.returncode == REFUSED and "operators approve this" in alone.stderr
    for name in people:
        person(name, "approve", "--proposal", out, "--digest", digest)
    wait_for("the new set", lambda: signer.status()["seal"]["generation"] == 2)


# --- what it does not ---------------------------------------------------------------------------------------------------------


def test_T20_what_is_not_his_is_nobodys(signer):
    """Wrong key, another path or body, replayed, stale, over plain HTTP: nothing is done."""
    path, body = f"{CHAMBER}setup-token", json.dumps({"public_key": "8a" * 32}).encode()
    bootstrap = f"{CHAMBER}auth/bootstrap"
    other = Owner("cc_owner_" + base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("="))
    nobody = signer.send("POST", path)
    assert nobody[0] == 403
    assert signer.send("POST", path, headers=other.headers("POST", path)) == nobody
    assert signer.send("POST", path, headers=signer.owner.headers("POST", bootstrap)) == nobody
    assert signer.send("POST", bootstrap, body.replace(b"8", b"9"), signer.owner.headers("POST", bootstrap, body)) == signer.send("POST", bootstrap, body)
    assert signer.send("DELETE", f"{CHAMBER}seal", headers=signer.owner.headers("POST", f"{CHAMBER}seal"))[0] == 403
    for moved in (-120, 120):
        assert signer.signed("POST", path, created=int(time.time()) + moved)[0] == 401
    connection = signer.daemon.connect()  # in the clear there are probes alone
    assert connection.request("POST", path, b"", signer.owner.headers("POST", path))[0] == 403
    connection.close()
    code, given = signer.signed("POST", path)
    assert code == 200 and set(given) == {"token", "expires"} and given["token"].startswith("cc_setup_"), given
    headers = signer.owner.headers("POST", path)
    assert signer.send("POST", path, headers=headers)[0] == 200
    code, again = signer.send("POST", path, headers=headers)
    assert (code, again["rule"]) == (401, "REPLAYED")
    assert given["token"] not in signer.daemon.log_text()
    assert signer.state() == "uninitialized"
    # The first set: signed or with the token, not both, and not without either.
    wish = {"mode": "kms", "kms_key_arns": signer.enclave.arns, "kms_threshold": 2}
    assert signer.send("POST", f"{CHAMBER}init", json.dumps(wish).encode())[0] == 400
    both = json.dumps({**wish, "setup_token": given["token"]}).encode()
    assert signer.signed("POST", f"{CHAMBER}init", both)[0] == 400
    assert signer.send("POST", f"{CHAMBER}init", both)[0] == 403  # a later one took its place
    assert signer.signed("POST", f"{CHAMBER}init", json.dumps(wish).encode())[0] == 200
    assert signer.signed("PUT", f"{CHAMBER}auth/policies/p", json.dumps(POLICY).encode())[0] == 401  # a management key's work
    assert signer.signed("DELETE", f"{CHAMBER}auth/latch")[0] == 409  # his, and refused for what it is: the mode is enforce


def test_commands_send_it_nowhere_else(tmp_path):
    def run(*words):
        return subprocess.run([str(binary_with_switches()), *map(str, words)], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)

    def refused(*words):
        done = run(*words)
        assert done.returncode == USAGE, (words, done.stdout, done.stderr)
        return done.stderr

    path, management, config = tmp_path / "owner.key", tmp_path / "management.key", tmp_path / "config.yaml"
    key, there = ("--owner-key", f"file:{path}"), ("--signer-url", "https://localhost:1")
    assert re.fullmatch(r"[0-9a-f]{64}\n", run("auth", "owner-key", "--to", path).stdout)
    again = run("auth", "owner-key", "--to", path)  # never over another one
    assert again.returncode not in (DONE, USAGE) and not again.stdout
    assert "--name" in refused("auth", "owner-key", "--to", tmp_path / "other", "--name", "Upper")
    config.write_text(f"data_dir: {tmp_path}\n")
    for url in "http://127.0.0.1:1", f"unix:{tmp_path}/admin.sock":
        assert "https://" in refused("operator", "status", "--signer-url", url, *key)
        assert "https://" in refused("auth", "bootstrap", "--signer-url", url, *key)
    assert "goes without -c" in refused("operator", "setup-token", "-c", config, *key)
    assert "goes without -c" in refused("auth", "bootstrap", "-c", config, *key)
    assert "give one" in refused("operator", "status", *there, *key, "--auth-token", key[1])
    assert "--name and --owner-key" in refused("operator", "unseal", *there, *key, "--name", "bob")
    assert "--name and --owner-key" in refused("operator", "approve", *there, *key, "--name", "bob")
    assert "takes the place of --setup-token" in refused("operator", "init", *there, *key, "--mode", "kms", "--setup-token", key[1])
    assert "--owner-key" in refused("operator", "register", *there, *key)
    assert "--owner-key" in refused("auth", "policy", "put", "p", "--from", "-", *there, *key)
    management.write_text("cc_management_" + "A" * 43)
    assert "cc_owner_" in refused("operator", "status", *there, "--owner-key", f"file:{management}")
    assert run("operator", "status", *there, *key).returncode not in (DONE, USAGE)  # nobody is there
