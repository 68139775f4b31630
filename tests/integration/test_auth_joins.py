"""Where access control, the Key Manager API, TLS, canaries, seal and replicas meet."""
import atexit
import http.client
import itertools
import json
import os
import pathlib
import ssl
import sys

import certificates
import interop
import key_routes
import messages
import pytest
from daemon import merge, wait_for
from key_routes import CHAMBER, MANAGER, call, chamber_list, import_body, import_keys, keystore, listed, sign
from test_replicas import join
from test_tls import Signer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

KEYS = interop.PUBKEYS
STATUS = "/api/v1/chamber/status"
_numbers = itertools.count()
ALLOW_STATUS = [{"effect": "allow", "scopes": ["chamber_status"]}]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(name="make_daemon")
def with_admin_socket(make_daemon):
    """Daemons whose admin socket is somewhere short, however long a test's name: such a path has 107 bytes."""
    def make(**options):
        path = f"/tmp/cc-join-{os.getpid()}-{next(_numbers)}.sock"
        atexit.register(lambda: pathlib.Path(path).unlink(missing_ok=True))
        return make_daemon(**{**options, "config": merge({"server": {"admin_socket": path}}, options.get("config", {}))})
    return make


def policy_and_token(daemon, name, rules, *more, url=None, ca=None):
    """Puts a policy and makes a token of it, by a management key that is made where there is none."""
    if "KEY" not in daemon.environment:
        daemon.environment["KEY"] = daemon.command("auth", "bootstrap", "-c", daemon.config_path).stdout.strip()
    remote = ["--signer-url", url or f"http://127.0.0.1:{daemon.http_port}", "--auth-token", "env:KEY"]
    remote += ["--ca", ca] if ca else []
    path = daemon.path / f"{name}.json"
    path.write_text(json.dumps({"rules": rules}))
    daemon.command("auth", "policy", "put", name, "--from", path, *remote)
    return daemon.command("auth", "token", "create", name, "--policy", name, *more, *remote).stdout.strip()


def ask(daemon, method, path, token, body=None):
    """(status, answer) over TCP with a token."""
    connection = daemon.connect(120)
    try:
        code, _, text = connection.request(method, path, body, bearer(token))
    finally:
        connection.close()
    return code, json.loads(text)


def statuses(answer):
    return [item["status"] for item in answer["data"]]


def audit_lines(daemon, event):
    paths = sorted((daemon.data_dir / "audit").glob("*.jsonl"))
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


# --- a policy that names keys, and the routes about keys ---------------------------------------------------------------


def test_T20_a_policy_that_names_keys_holds_on_every_route_about_keys(make_daemon):
    daemon = key_routes.start(make_daemon, keys=interop.SECRETS[:1])
    scopes = ["list_keys", "import_keystores", "delete_keys", "chamber_keys_list", "chamber_keys_patch", "keys_pause"]
    token = policy_and_token(daemon, "staker", [{"effect": "allow", "scopes": scopes, "keys": [KEYS[1], KEYS[4]]}])
    # Of an import only the key that is named comes, and the others have left no trace.
    code, answer = ask(daemon, "POST", MANAGER, token, import_body(1, 2))
    assert (code, statuses(answer)) == (200, ["imported", "error"]), answer
    unnamed = {"keystores": [keystore(3, named=False)], "passwords": [key_routes.PASSWORD]}
    code, answer = ask(daemon, "POST", MANAGER, token, unnamed)  # the key is in the ciphertext alone
    assert (code, statuses(answer)) == (200, ["error"]), answer
    assert set(listed(daemon)) == {KEYS[0], KEYS[1]}
    assert import_keys(daemon, 2, 3) == ["imported"] * 2  # the owner may
    # Listed are those that are named.
    for path, member in ((MANAGER, "validating_pubkey"), (CHAMBER, "pubkey")):
        code, answer = ask(daemon, "GET", path, token)
        assert (code, [k[member] for k in answer["data"]]) == (200, [KEYS[1]])
    # Nothing is changed of others.
    code, answer = ask(daemon, "PATCH", CHAMBER, token, {"pubkeys": [KEYS[2], KEYS[1]], "status": "inactive"})
    assert (code, statuses(answer)) == (200, ["error", "inactive"]), answer
    code, answer = ask(daemon, "POST", CHAMBER + "/pause", token, {"pubkeys": [KEYS[0], KEYS[1]]})
    assert (code, statuses(answer)) == (200, ["error", "paused"]), answer
    assert [sign(daemon, n) for n in (0, 2, 3)] == [200] * 3
    # Deleted is what is named alone; of the others not even the history is shown.
    code, answer = ask(daemon, "DELETE", MANAGER, token, {"pubkeys": [KEYS[1], KEYS[2], KEYS[0]]})
    assert (code, statuses(answer)) == (200, ["deleted", "error", "error"]), answer
    shown = [v["pubkey"] for v in json.loads(answer["slashing_protection"])["data"]]
    assert shown == [KEYS[1]], shown
    assert set(listed(daemon)) == {KEYS[0], KEYS[2], KEYS[3]}
    assert sign(daemon, 2, 2, 3) == 200
    refused = [(e["operation"], e["key"], e["address"]) for e in audit_lines(daemon, "keys")
               if e["principal"] == "token:staker" and e["verdict"] == "DENIED"]
    assert refused == [(operation, key, "127.0.0.1") for operation, key in (
        ("import", KEYS[2]), ("import", KEYS[3]), ("deactivate", KEYS[2]), ("pause", KEYS[0]),
        ("delete", KEYS[2]), ("delete", KEYS[0]))]


@pytest.mark.long_form
def test_T20_all_keys_are_paused_by_who_may_pause_each(make_daemon):
    daemon = key_routes.start(make_daemon, keys=interop.SECRETS[:2])
    pause = {"effect": "allow", "scopes": ["keys_pause"]}
    some = policy_and_token(daemon, "some", [{**pause, "keys": [KEYS[0]]}])
    most = policy_and_token(daemon, "most", [{"effect": "deny", "scopes": ["keys_pause"], "keys": [KEYS[1]]}, pause])
    later = policy_and_token(daemon, "later", [{"effect": "deny", "scopes": ["keys_pause"], "keys": [KEYS[7]]}, pause])  # it is not here yet
    every = policy_and_token(daemon, "every", [pause])
    for token in (some, most, later):
        assert ask(daemon, "POST", CHAMBER + "/pause", token, {"all": True})[0] == 403
        assert [sign(daemon, n) for n in (0, 1)] == [200] * 2
    assert ask(daemon, "POST", CHAMBER + "/pause", every, {"all": True})[0] == 200
    for token in (some, most):
        assert ask(daemon, "POST", CHAMBER + "/resume", token, {"all": True})[0] == 403
        assert [sign(daemon, n) for n in (0, 1)] == [503] * 2
    assert ask(daemon, "POST", CHAMBER + "/resume", every, {"all": True})[0] == 200
    assert sign(daemon, 1) == 200
    told = [(e["principal"], e["operation"], e["subject"], e["verdict"]) for e in audit_lines(daemon, "keys")]
    assert ("token:some", "pause", "all keys", "DENIED") in told and ("token:every", "resume", "all keys", "OK") in told


def test_T20_a_history_for_keys_that_a_policy_does_not_name_is_not_taken(make_daemon):
    daemon = key_routes.start(make_daemon)
    token = policy_and_token(daemon, "staker", [{"effect": "allow", "scopes": ["import_keystores"], "keys": [KEYS[1]]}])
    assert import_keys(daemon, 2) == ["imported"]
    poison = key_routes.import_body(2, history={
        "metadata": {"interchange_format_version": "5", "genesis_validators_root": messages.MINIMAL_GENESIS_ROOT},
        "data": [{"pubkey": KEYS[2], "signed_blocks": [],
                  "signed_attestations": [{"source_epoch": "900000", "target_epoch": "900001"}]}]})
    code, answer = ask(daemon, "POST", MANAGER, token, poison)
    assert code == 403 or statuses(answer) == ["error"], answer
    assert sign(daemon, 2, 1, 2) == 200, "the key of another was not frozen"


# --- tokens and certificates ----------------------------------------------------------------------------------------


def over_tls(signer, token, client, path=STATUS):
    """The status of a request with a token and this client certificate (None: none)."""
    connection = http.client.HTTPSConnection("localhost", signer.port, context=signer.context(client), timeout=20)
    try:
        connection.request("GET", path, headers=bearer(token))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_T20_T21_a_token_of_a_certificate_is_good_over_TLS_with_that_one_alone(make_daemon, workdir):
    clients = certificates.Pair("clients", authority=True)
    mine, other = (certificates.Pair(name, clients, client=True) for name in ("mine", "other"))
    ca = workdir / "clients.crt"
    ca.write_bytes(clients.pem())
    signer = Signer(make_daemon, workdir, tls={"client_ca_path": str(ca), "client_auth": "optional"})
    socket = f"/tmp/cc-join-{id(signer)}.sock"
    signer.daemon.config["server"]["unix_socket"] = socket
    owner = workdir / "owner.key"
    signer.daemon.config["auth"] = {"owner_keys": [signer.daemon.command("auth", "owner-key", "--to", owner).stdout.strip()]}
    signer.daemon.write_config()
    signer.start()
    url = {"url": f"https://localhost:{signer.port}", "ca": signer.ca}
    signer.daemon.environment["KEY"] = signer.daemon.command(
        "auth", "bootstrap", "--owner-key", f"file:{owner}", "--signer-url", url["url"], "--ca", url["ca"]).stdout.strip()
    hexed = mine.fingerprint().replace(":", "").lower()
    token = policy_and_token(signer.daemon, "bound", ALLOW_STATUS, "--certificate", hexed, **url)
    free = policy_and_token(signer.daemon, "free", ALLOW_STATUS, **url)
    assert over_tls(signer, token, mine)[0] == 200
    refused = over_tls(signer, token, None)
    assert refused[0] == 401
    # Nothing tells which of the two does not fit.
    assert over_tls(signer, token, other) == refused == over_tls(signer, "cc_token_" + "A" * 43, mine)
    for client in (None, mine, other):
        assert over_tls(signer, free, client)[0] == 200
    assert signer.daemon.get(STATUS, bearer(token))[0] == 403  # plain TCP has no such route
    signer.daemon.unix = socket
    assert call(signer.daemon, "GET", STATUS)[0] == 200  # the owner
    assert call(signer.daemon, "GET", STATUS, headers=bearer(token))[0] == 401
    pathlib.Path(socket).unlink(missing_ok=True)


def test_T20_a_resumed_session_keeps_to_its_certificate(make_daemon, workdir):
    clients = certificates.Pair("clients", authority=True)
    mine = certificates.Pair("mine", clients, client=True)
    ca = workdir / "clients.crt"
    ca.write_bytes(clients.pem())
    signer = Signer(make_daemon, workdir, tls={"client_ca_path": str(ca), "client_auth": "optional"}).start()
    hexed = mine.fingerprint().replace(":", "").lower()
    token = policy_and_token(signer.daemon, "bound", ALLOW_STATUS, "--certificate", hexed,
                             url=f"https://localhost:{signer.port}", ca=signer.ca)
    head = f"GET {STATUS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for client, expected in ((mine, 200), (None, 401)):
            context = signer.context(client, version)
            session = None
            for resumed in (False, True):
                with signer.open(context, session) as tls:
                    tls.sendall(head)
                    answer = http.client.HTTPResponse(tls)
                    answer.begin()
                    answer.read()
                    assert answer.status == expected, (version, resumed)
                    session = tls.session


# --- seal and canary with keys of the key store -------------------------------------------------------------------------


def seal(daemon):
    assert daemon.command("operator", "seal", "--signer-url", f"unix:{daemon.unix}").returncode == 0


def test_T25_a_seal_stops_keys_of_the_key_store_too(make_daemon):
    daemon = key_routes.start(make_daemon, keys=interop.SECRETS[:1])
    assert import_keys(daemon, 1, 2) == ["imported"] * 2
    assert [sign(daemon, n) for n in range(3)] == [200] * 3
    seal(daemon)
    assert [sign(daemon, n, 2, 3) for n in range(3)] == [503] * 3
    # No key comes in, none comes back.
    code, answer = call(daemon, "POST", MANAGER, import_body(3))
    assert code == 503 or statuses(answer) == ["error"], answer
    daemon.kill_room("core")
    wait_for("a core that answers", lambda: sign(daemon, 1, 2, 3) == 503)
    assert daemon.stop() == 0
    daemon.start(ready=False)
    assert [sign(daemon, n, 2, 3) for n in range(3)] == [503] * 3
    # Who may see keys still can, and none is active; Key Manager's list, which is whole or nothing, is neither.
    assert "active" not in [row[0] for row in chamber_list(daemon)[0].values()]
    assert call(daemon, "GET", MANAGER)[0] == 503
    code, answer = call(daemon, "POST", MANAGER, import_body(3))
    assert code == 503 or statuses(answer) == ["error"], answer
    assert call(daemon, "POST", CHAMBER + "/resume", {"all": True})[0] in (200, 503)
    assert [sign(daemon, n, 2, 3) for n in (1, 3)] == [503, 503]
    assert daemon.stop() == 0
    assert daemon.command("operator", "unseal", "-c", daemon.config_path).returncode == 0
    daemon.start()
    wait_for("the imported keys", lambda: [chamber_list(daemon)[0][KEYS[n]][0] for n in (1, 2)] == ["active"] * 2)
    assert [sign(daemon, n, 2, 3) for n in range(3)] == [200] * 3
    assert sign(daemon, 1, 1, 3) == 412, "the history is what it was"
    assert import_keys(daemon, 3) == ["imported"]
    assert sign(daemon, 3) == 200


def test_T25_P05_a_sealed_chamber_says_of_no_key_that_it_is_deleted(make_daemon):
    daemon = key_routes.start(make_daemon)
    assert import_keys(daemon, 1, 2) == ["imported"] * 2
    assert sign(daemon, 1) == 200
    seal(daemon)
    code, answer = call(daemon, "DELETE", MANAGER, {"pubkeys": [KEYS[1]]})
    assert (code, statuses(answer)) == (200, ["error"]), answer
    assert chamber_list(daemon)[0][KEYS[1]][0] == "deleting"
    assert sign(daemon, 1, 2, 3) == 503
    assert daemon.stop() == 0
    assert daemon.command("operator", "unseal", "-c", daemon.config_path).returncode == 0
    daemon.start()
    wait_for("the other key", lambda: chamber_list(daemon)[0][KEYS[2]][0] == "active")
    assert sign(daemon, 1, 2, 3) != 200, "its history is closed"
    deleted, history = key_routes.delete_keys(daemon, 1)
    assert deleted == ["deleted"] and [v["pubkey"] for v in history["data"]] == [KEYS[1]]
    assert set(listed(daemon)) == {KEYS[2]} and sign(daemon, 1, 2, 3) == 404
    told = [(e["key"], e["verdict"]) for e in audit_lines(daemon, "keys") if e["operation"] == "delete"]
    assert told == [(KEYS[1], "SEALED"), (KEYS[1], "OK")]


def test_T28_a_key_that_was_imported_may_be_a_canary(make_daemon):
    daemon = key_routes.start(make_daemon, keys=interop.SECRETS[:1], config={
        "canary": {"public_keys": [KEYS[1]], "action": "revoke"}})
    assert import_keys(daemon, 1, 2) == ["imported"] * 2
    scopes = ["sign", "public_keys", "list_keys", "chamber_keys_list", "chamber_status"]
    thief = policy_and_token(daemon, "thief", [{"effect": "allow", "scopes": scopes}])
    keeper = policy_and_token(daemon, "keeper", [{"effect": "allow", "scopes": scopes[:-1], "keys": KEYS[:3]}, *ALLOW_STATUS])
    shown = {}
    for name, token in (("thief", thief), ("keeper", keeper)):
        shown[name] = [
            set(ask(daemon, "GET", "/api/v1/eth2/publicKeys", token)[1]),
            {k["validating_pubkey"] for k in ask(daemon, "GET", MANAGER, token)[1]["data"]},
            {k["pubkey"] for k in ask(daemon, "GET", CHAMBER, token)[1]["data"]},
        ]
    # No list shows it, or their difference would.
    assert shown == {"thief": [{KEYS[0], KEYS[2]}] * 3, "keeper": [set(KEYS[:3])] * 3}
    assert set(listed(daemon)) == set(KEYS[:3])  # the owner's
    path = f"/api/v1/eth2/sign/{KEYS[1]}"
    assert daemon.post(path, messages.attestation(3, 4), bearer(thief))[0] == 200
    wait_for("the token is revoked", lambda: daemon.get(STATUS, bearer(thief))[0] == 401)
    assert daemon.get(STATUS, bearer(keeper))[0] == 200
    hits = [(e["principal"], e.get("operation"), e.get("key")) for e in audit_lines(daemon, "canary")]
    assert hits[0] == ("token:thief", "ATTESTATION", KEYS[1]) and hits[1][:2] == ("canary", "revoke")
    assert "containment_canary_signing_total 1" in daemon.metrics()


# --- replicas ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")
def test_T20_a_pause_and_a_revoked_token_reach_the_other_replica(make_daemon):
    with postgres.Postgres() as server:
        stores = {"signer_state": {"backend": "postgres", "url": server.url()},
                  "anti_slashing": {"backend": "postgres", "url": server.url()}}
        one = key_routes.start(make_daemon, keys=interop.SECRETS[:2], config=stores)
        two = make_daemon(keys=interop.SECRETS[:2], config=stores)
        join(two, one)
        two.start()
        assert call(one, "POST", CHAMBER + "/pause", {"pubkeys": [KEYS[0]]})[0] == 200
        wait_for("the pause at the other one", lambda: sign(two, 0) == 503)
        assert json.loads(two.sign(KEYS[0], messages.attestation(1, 2))[2])["rule"] == "PAUSED"
        assert sign(two, 1) == 200
        token = policy_and_token(one, "watcher", ALLOW_STATUS)
        wait_for("the token at the other one", lambda: two.get(STATUS, bearer(token))[0] == 200)
        one.command("auth", "token", "revoke", "watcher", "--signer-url", f"http://127.0.0.1:{one.http_port}",
                    "--auth-token", "env:KEY")
        assert one.get(STATUS, bearer(token))[0] == 401
        wait_for("its end at the other one", lambda: two.get(STATUS, bearer(token))[0] == 401)
        assert two.stop() == 0
        two.start(ready=False)
        assert sign(two, 0, 2, 3) == 503, "a pause outlives a restart"
        assert call(one, "POST", CHAMBER + "/resume", {"pubkeys": [KEYS[0]]})[0] == 200
        wait_for("the resumption", lambda: sign(two, 0, 2, 3) == 200)
        assert one.stop() == 0 and two.stop() == 0
