"""Management keys, policies and tokens on real signers: by the command line, and by requests signed with another implementation."""
import base64
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import sys
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

import interop
from daemon import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

AUTH = "/api/v1/chamber/auth/"
STATUS = "/api/v1/chamber/slashing/status"
POLICY = {"rules": [{"effect": "allow", "scopes": ["slashing_export"]}]}


class Manager:
    """Who holds a management key, or an owner's; signs as RFC 9421 and RFC 9530 have it, with nothing of ours."""

    def __init__(self, text, prefix="cc_management_"):
        assert text.startswith(prefix)
        seed = base64.urlsafe_b64decode(text.removeprefix(prefix) + "=")
        self.key = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.keyid = hashlib.sha256(public).hexdigest()[:32]
        self.last = int(time.time())  # nothing of the second in which it was put in place counts

    def created(self):
        """A second that this key has not used."""
        while int(time.time()) <= self.last:
            time.sleep(0.01)  # the clock is what is waited for
        self.last = int(time.time())
        return self.last

    def headers(self, method, path, body=b"", created=None, authority=None):
        """The three headers of one request; with `authority` the whole URI is signed."""
        digest = "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"
        what = "@target-uri" if authority else "@path"
        where = f"http://{authority}{path}" if authority else path
        created = self.created() if created is None else created
        parameters = (f'("@method" "{what}" "content-digest");created={created};keyid="{self.keyid}"'
                      f';nonce="{time.monotonic_ns()}";alg="ed25519"')
        base = f'"@method": {method}\n"{what}": {where}\n"content-digest": {digest}\n"@signature-params": {parameters}'
        signature = base64.b64encode(self.key.sign(base.encode())).decode()
        return {"Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{signature}:", "Content-Digest": digest}


def ask(daemon, method, path, body=b"", headers=None):
    """(status, parsed body) over TCP."""
    connection = daemon.connect()
    try:
        status, _, content = connection.request(method, path, body, headers)
    finally:
        connection.close()
    return status, json.loads(content)


def managed(daemon, manager, method, path, value=None, **options):
    """One signed request."""
    body = b"" if value is None else json.dumps(value).encode()
    return ask(daemon, method, AUTH + path, body, manager.headers(method, AUTH + path, body, **options))


def bootstrap(daemon, *more):
    """The management key that `auth bootstrap` prints."""
    return daemon.command("auth", "bootstrap", *more, "-c", daemon.config_path).stdout.strip()


def with_token(daemon, token, path=STATUS):
    """The status of a request with a Bearer token."""
    return daemon.get(path, {"Authorization": f"Bearer {token}"})[0]


@pytest.fixture(name="daemon")
def a_daemon(make_daemon):
    """One that runs."""
    one = make_daemon(keys=interop.SECRETS[:1])
    one.init()
    return one.start()


# --- the command line -------------------------------------------------------------------------------------------------


def test_T20_from_bootstrap_to_a_token_that_is_revoked(daemon):
    config = ("-c", daemon.config_path)
    key = bootstrap(daemon)
    again = daemon.command("auth", "bootstrap", *config, check=False)
    assert again.returncode == 3 and "--replace" in again.stderr and "cc_management_" not in again.stdout
    # By the key, over TCP.
    daemon.environment["KEY"] = key
    remote = ("--signer-url", f"http://127.0.0.1:{daemon.http_port}", "--auth-token", "env:KEY")
    policy = daemon.path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    daemon.command("auth", "policy", "put", "watchers", "--from", policy, *remote)
    assert daemon.command("auth", "policy", "list", *remote).stdout == "watchers\n"
    shown = json.loads(daemon.command("auth", "policy", "get", "watchers", *remote).stdout)
    assert shown == {"name": "watchers", "rules": POLICY["rules"]}
    made = daemon.command("auth", "token", "create", "grafana", "--policy", "watchers", "--ttl", "30d", *remote)
    token = made.stdout.strip()
    assert token.startswith("cc_token_") and len(token) == 52
    assert daemon.get(STATUS)[0] == 401
    assert with_token(daemon, token) == 200
    listed = daemon.command("auth", "token", "list", *remote).stdout
    assert listed.startswith("grafana  policies=watchers  created=20") and "expires=20" in listed
    as_json = json.loads(daemon.command("auth", "token", "list", "--json", *config).stdout)  # the owner may look
    assert [t["name"] for t in as_json["tokens"]] == ["grafana"] and "mac" not in as_json["tokens"][0]
    for by in (config, remote):  # the owner may not without the key, and the key not while a token needs it
        assert daemon.command("auth", "policy", "delete", "watchers", *by, check=False).returncode == 3
    daemon.command("auth", "token", "revoke", "grafana", *remote)
    assert with_token(daemon, token) == 401
    daemon.command("auth", "policy", "delete", "watchers", *remote)
    # Nothing that was secret stands in a log, an argument or on disk.
    for secret in (key, token, key.removeprefix("cc_management_"), token.removeprefix("cc_token_")):
        assert secret not in daemon.log_text()
        for path in daemon.data_dir.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_management_key_is_never_sent(daemon):
    """`slashing status` with it by mistake: refused before a byte is out."""
    daemon.environment["KEY"] = bootstrap(daemon)
    remote = ("--signer-url", f"http://127.0.0.1:{daemon.http_port}", "--auth-token", "env:KEY")
    refused = daemon.command("slashing", "status", *remote, check=False)
    assert refused.returncode != 0 and "management key" in refused.stderr
    daemon.environment["KEY"] = "cc_management_short"
    assert daemon.command("auth", "policy", "list", *remote, check=False).returncode == 2


@pytest.mark.parametrize("arguments", [
    (), ("policy",), ("policy", "put", "x"), ("policy", "get"), ("policy", "get", "-x"), ("policy", "get", "A"),
    ("token", "create", "x"), ("token", "create", "x", "--policy", "p", "--ttl", "1y"), ("token", "revoke"), ("bootstrap", "now"),
    ("unlatch", "--replace"), ("bootstrap", "--signer-url", "unix:/x"), ("unlatch", "--signer-url", "unix:/x"), ("policy", "list", "--auth-token", "env:KEY"),
    ("policy", "list", "--signer-url", "unix:/x", "--auth-token", "cc_management_in_clear"),
])
def test_usage(make_daemon, arguments):
    one = make_daemon()
    assert one.command("auth", *arguments, check=False).returncode == 2


def test_T20_the_latch_is_opened_at_the_admin_socket_alone(make_daemon):
    one = make_daemon(keys=interop.SECRETS[:1], config={"auth": {"mode": "enforce"}})
    one.init()
    one.start()
    assert one.get("/api/v1/eth2/publicKeys")[0] == 401
    assert one.command("auth", "unlatch", "-c", one.config_path, check=False).returncode == 3  # the configuration asks for it
    assert one.stop() == 0
    one.config["auth"]["mode"] = "open"
    one.write_config()
    one.start()
    assert one.get("/api/v1/eth2/publicKeys")[0] == 401, "closed stays closed"
    manager = Manager(bootstrap(one))
    assert managed(one, manager, "DELETE", "latch")[0] == 403
    one.command("auth", "unlatch", "-c", one.config_path)
    assert one.get("/api/v1/eth2/publicKeys")[0] == 200
    assert one.stop() == 0
    one.start()
    assert one.get("/api/v1/eth2/publicKeys")[0] == 200


# --- requests signed by another implementation --------------------------------------------------------------------------


def test_T03_a_signed_request_counts_once_and_for_itself(daemon):
    manager = Manager(bootstrap(daemon))
    path = AUTH + "policies/p"
    body = json.dumps(POLICY).encode()
    headers = manager.headers("PUT", path, body)
    assert ask(daemon, "PUT", path, body, headers)[0] == 201
    replayed = ask(daemon, "PUT", path, body, headers)
    assert (replayed[0], replayed[1]["rule"]) == (401, "REPLAYED")

    def refused(method, where, sent, signed):
        status, answer = ask(daemon, method, where, sent, signed)
        assert status == 401 and answer["rule"] == "UNAUTHENTICATED", (method, where, answer)
        return answer

    now = manager.created()
    fresh = manager.headers("PUT", path, body, created=now)
    first = refused("PUT", path, body + b" ", fresh)
    assert refused("PUT", AUTH + "policies/q", body, fresh) == first, "one and the same answer"
    assert refused("DELETE", path, b"", fresh) == first
    assert refused("PUT", path, body, {**fresh, "Signature": manager.headers("PUT", path, b"", created=now)["Signature"]}) == first
    stranger = Manager("cc_management_" + base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="))
    assert refused("PUT", path, body, stranger.headers("PUT", path, body)) == first
    for created in (now - 3600, now + 3600):
        assert "60 s" in refused("PUT", path, body, manager.headers("PUT", path, body, created=created))["error"]
    # Percent-encoding is another path than the one that is served.
    encoded = AUTH + "policies/%70"
    assert refused("PUT", encoded, body, manager.headers("PUT", encoded, body, created=now)) == first
    assert ask(daemon, "PUT", path, body, fresh)[0] == 200, "none of those has used it up"


def test_the_whole_uri_may_be_signed(daemon):
    manager = Manager(bootstrap(daemon))
    authority = f"127.0.0.1:{daemon.http_port}"
    path = AUTH + "policies/p"
    body = json.dumps(POLICY).encode()
    assert ask(daemon, "PUT", path, body, manager.headers("PUT", path, body, authority="127.0.0.1:1"))[0] == 401
    assert ask(daemon, "PUT", path, body, manager.headers("PUT", path, body, authority=authority))[0] == 201


@pytest.mark.parametrize("change", [
    {"Signature": None}, {"Signature-Input": None}, {"Content-Digest": None}, {"Signature": "sig1=:AAAA:"},
    {"Content-Digest": "sha-512=:AAAA:"}, {"Signature-Input": "sig1=()"}, {"Signature-Input": "x" * 400},
])
def test_half_a_signature_is_malformed(daemon, change):
    manager = Manager(bootstrap(daemon))
    headers = {**manager.headers("GET", AUTH + "policies"), **change}
    assert ask(daemon, "GET", AUTH + "policies", b"", {k: v for k, v in headers.items() if v})[0] == 400


def test_T20_who_may_manage(daemon):
    manager = Manager(bootstrap(daemon))
    for method, path, body in [("GET", "policies", b""), ("PUT", "policies/p", b"{}"), ("DELETE", "policies/p", b""),
                               ("GET", "tokens", b""), ("POST", "tokens", b"{}"), ("DELETE", "tokens/t", b"")]:
        assert ask(daemon, method, AUTH + path, body)[0] == 401, (method, path)
    assert ask(daemon, "POST", AUTH + "bootstrap", b"{}")[0] == 403
    assert ask(daemon, "DELETE", AUTH + "latch")[0] == 403
    assert managed(daemon, manager, "POST", "bootstrap", {"public_key": "00" * 32, "replace": True})[0] == 403
    # A token with the scope reads, and changes nothing.
    reader = {"rules": [{"effect": "allow", "scopes": ["auth_manage"]}]}
    assert managed(daemon, manager, "PUT", "policies/reader", reader)[0] == 201
    status, made = managed(daemon, manager, "POST", "tokens", {"name": "r", "policies": ["reader"]})
    assert status == 201
    assert with_token(daemon, made["token"], AUTH + "policies") == 200
    assert with_token(daemon, made["token"], AUTH + "tokens") == 200
    assert ask(daemon, "PUT", AUTH + "policies/p", json.dumps(POLICY).encode(), {"Authorization": f"Bearer {made['token']}"})[0] == 401


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def test_T20_the_admin_socket_alone_is_not_enough_for_a_key(daemon):
    """Who only speaks at it, as a front that was captured can pretend to, brings no key in and opens no latch."""
    for method, path, body in [("POST", "bootstrap", {"public_key": "11" * 32}), ("DELETE", "latch", None),
                               ("PUT", "policies/p", POLICY)]:
        connection = UnixConnection(daemon.admin_path)
        connection.request(method, AUTH + path, json.dumps(body) if body else b"")
        assert connection.getresponse().status in (401, 403), path
        connection.close()
    assert not (daemon.data_dir / "auth.proof").exists()
    bootstrap(daemon)
    assert not (daemon.data_dir / "auth.proof").exists(), "it is there while it is asked for"


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: to run as another user needs root")
@pytest.mark.parametrize("user", [65534, 65521])
def test_T20_a_signer_knows_its_owner_whatever_his_number(make_daemon, user):
    """65534 is what a user namespace calls strangers, and on most systems it is nobody."""
    one = make_daemon()
    one.user = user
    one.data_dir.mkdir(mode=0o700)
    for entry in (one.path, *one.path.rglob("*"), one.admin_path.parent):
        os.chown(entry, user, user)
    one.init(user=user, group=user)
    one.start()
    url = f"unix:{one.admin_path}"
    as_owner = one.command("keys", "list", "--signer-url", url, "--json", user=user, group=user, check=False)
    assert as_owner.returncode == 0, as_owner.stderr
    one.admin_path.parent.chmod(0o755)
    one.admin_path.chmod(0o666)
    for stranger in (0, 65520):  # such a signer can't tell root from strangers
        result = one.command("keys", "list", "--signer-url", url, "--json", user=stranger, group=stranger, check=False)
        assert result.returncode != 0, (stranger, result.stdout)


def test_bodies_have_a_limit(daemon):
    manager = Manager(bootstrap(daemon))
    assert managed(daemon, manager, "PUT", "policies/p", {"rules": [], "x": "y" * 50000})[0] == 413
    status, answer = managed(daemon, manager, "PUT", "policies/p", {"rules": [{"effect": "allow", "scopes": ["everything<script>"]}]})
    assert status == 400 and "rules[0].scopes" in answer["error"] and "script" not in json.dumps(answer)


def test_a_front_that_dies_takes_no_key_with_it(daemon):
    manager = Manager(bootstrap(daemon))
    assert managed(daemon, manager, "PUT", "policies/p", POLICY)[0] == 201
    daemon.kill_room("front")
    wait_for("answers", lambda: daemon.status_of("/upcheck") == 200)
    assert managed(daemon, manager, "GET", "policies") == (200, {"policies": ["p"]})
    daemon.kill_room("core")
    daemon.wait_ready()
    assert managed(daemon, manager, "GET", "policies") == (200, {"policies": ["p"]})
    assert managed(daemon, manager, "DELETE", "policies/p")[0] == 200


# --- replicas -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")
def test_T03_changes_reach_another_replica_within_the_interval(make_daemon):
    with postgres.Postgres() as server:
        url = server.url()
        config = {"signer_state": {"backend": "postgres", "url": url, "refresh_interval_seconds": 1},
                  "anti_slashing": {"backend": "postgres", "url": url}}
        one, two = (make_daemon(keys=interop.SECRETS[:1], config=config) for _ in range(2))
        one.init()
        two.command("init", "--join", "--chamber-key", one.data_dir / "chamber.key", "--identity", one.data_dir / "identity.pub",
                    "-c", two.config_path)
        one.start()
        two.start()
        manager = Manager(bootstrap(one))
        assert managed(one, manager, "PUT", "policies/p", POLICY)[0] == 201
        status, made = managed(one, manager, "POST", "tokens", {"name": "t", "policies": ["p"]})
        assert status == 201

        def follows(status):
            began = time.monotonic()
            wait_for(f"{status} at the other replica", lambda: with_token(two, made["token"]) == status, 10)
            return time.monotonic() - began

        assert follows(200) < 2
        # A policy that changes.
        deny = {"rules": POLICY["rules"] + [{"effect": "deny", "scopes": ["slashing_export"]}]}
        path, body = AUTH + "policies/p", json.dumps(deny).encode()
        headers = manager.headers("PUT", path, body)
        assert ask(one, "PUT", path, body, headers)[0] == 200
        # The same request at the other one, which may not have seen it: too late already.
        assert ask(two, "PUT", path, body, headers) == ask(one, "PUT", path, body, headers)
        assert ask(two, "PUT", path, body, headers)[1]["rule"] == "REPLAYED"
        assert follows(403) < 2
        # A token that is revoked, at the replica that did not make it.
        assert managed(two, manager, "PUT", "policies/p", POLICY)[0] == 200
        wait_for("200 again", lambda: with_token(one, made["token"]) == 200)
        assert follows(200) < 2
        assert managed(one, manager, "DELETE", "tokens/t")[0] == 200
        assert with_token(one, made["token"]) == 401
        assert follows(401) < 2
        assert one.stop() == 0 and two.stop() == 0


# --- the store's adversary ------------------------------------------------------------------------------------------------


def rows(path):
    """{(kind, name): (version, generation, bytes)}"""
    with sqlite3.connect(path) as db:
        return {(k, n): (v, g, b) for k, n, v, g, b in db.execute("SELECT kind, name, version, generation, bytes FROM records")}


@pytest.mark.long_form
def test_T03_records_changed_in_the_store_are_refused_by_name(make_daemon):
    """Each record of access control deleted, replaced, forged, rolled back, invented: no start, and the log names it."""
    one = make_daemon(keys=interop.SECRETS[:1], config={"auth": {"mode": "enforce"}})
    one.init()
    one.start()
    manager = Manager(bootstrap(one))
    assert managed(one, manager, "PUT", "policies/p", POLICY)[0] == 201
    status, made = managed(one, manager, "POST", "tokens", {"name": "t", "policies": ["p"]})
    assert status == 201
    assert managed(one, manager, "POST", "tokens", {"name": "gone", "policies": ["p"]})[0] == 201
    assert one.stop() == 0
    store, kept = one.data_dir / "state.sqlite", one.path / "kept.sqlite"
    old = rows(store)
    one.start()
    assert managed(one, manager, "DELETE", "tokens/gone")[0] == 200
    everything = {"rules": [{"effect": "allow", "scopes": ["slashing_export", "public_keys"]}]}
    assert managed(one, manager, "PUT", "policies/p", everything)[0] == 200
    assert one.stop() == 0
    shutil.copy2(store, kept)
    wide = json.dumps({"name": "p", "rules": [{"effect": "allow", "scopes": ["chamber_seal", "auth_manage"]}]}).encode()
    key = json.dumps({"managers": [{"public_key": "00" * 32, "added": 1, "last": 0}]}).encode()
    attacks = []
    for kind, name in (("policy", "p"), ("token", "t"), ("auth", "managers"), ("auth", "latch")):
        attacks.append((kind, name, "DELETE FROM records WHERE kind = ? AND name = ?", ()))
        attacks.append((kind, name, "UPDATE records SET bytes = zeroblob(0) WHERE kind = ?2 AND name = ?3", (b"",)))
    attacks.append(("policy", "p", "UPDATE records SET bytes = ?1 WHERE kind = ?2 AND name = ?3", (wide,)))
    attacks.append(("auth", "managers", "UPDATE records SET bytes = ?1 WHERE kind = ?2 AND name = ?3", (key,)))
    attacks.append(("policy", "p", "UPDATE records SET version = ?1, generation = ?2, bytes = ?3 WHERE kind = ?4 AND name = ?5",
                    old["policy", "p"]))
    attacks.append(("token", "gone", "INSERT INTO records (version, generation, bytes, kind, name) VALUES (?, ?, ?, ?, ?)",
                    old["token", "gone"]))
    attacks.append(("token", "new", "INSERT INTO records (version, generation, bytes, kind, name) VALUES (?, ?, ?, ?, ?)",
                    old["token", "t"]))
    for kind, name, sql, values in attacks:
        with sqlite3.connect(store) as db:
            assert db.execute(sql, (*values, kind, name)).rowcount == 1, sql
        before = len(one.log_text())
        one.spawn()
        assert one.process.wait(30) != 0, (kind, name, sql)
        said = [json.loads(line) for line in one.log_text()[before:].splitlines() if line.startswith("{")]
        assert any(line.get("kind") == kind and line.get("name") == name for line in said), (kind, name, sql, said[-5:])
        shutil.copy2(kept, store)
    # As it was, it goes on: the last token is good, the one that was revoked is not there.
    one.start()
    assert with_token(one, made["token"]) == 200
    assert [t["name"] for t in managed(one, manager, "GET", "tokens")[1]["tokens"]] == ["t"]
