"""An emergency seal and canary keys, through the whole program."""
import http.client
import json

import daemon as daemon_module
import interop
import messages
import pytest

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_LOCKED = range(5)


def operator(daemon, *arguments):
    return daemon.command("operator", *arguments, check=False)


def started(make_daemon, **config):
    one = make_daemon(keys=interop.SECRETS[:2], config=config)
    socket = one.path / "api.sock"
    one.config["server"]["unix_socket"] = str(socket)
    one.write_config()
    one.init()
    one.start()
    return one, f"unix:{socket}"


def sign(daemon, body, key=0):
    code, _, content = daemon.sign(interop.PUBKEYS[key], body)
    return code, json.loads(content).get("error")


def has_begun_anew(daemon):
    _, anew, after = daemon.log_text().rpartition("starting all rooms anew")
    return anew and "vault ready" in after


def sign_if_it_can(daemon, body):
    """None while rooms start anew."""
    try:
        return sign(daemon, body)
    except (OSError, http.client.HTTPException):
        return None


def test_T25_a_seal_survives_restarts(make_daemon):
    one, url = started(make_daemon)
    assert sign(one, messages.attestation(3, 4))[0] == 200
    assert one.post("/api/v1/chamber/seal", b"")[0] == 401  # a stranger
    assert one.get("/api/v1/chamber/status")[0] == 401
    assert sign(one, messages.attestation(4, 5))[0] == 200
    result = operator(one, "status", "--signer-url", url)
    assert result.returncode == EXIT_DONE and json.loads(result.stdout)["state"] == "not_configured", result.stdout + result.stderr
    result = operator(one, "seal", "--signer-url", url)
    assert result.returncode == EXIT_DONE, result.stderr
    assert json.loads(result.stdout) == {"state": "sealed", "complete": True}
    daemon_module.wait_for("new rooms", lambda: has_begun_anew(one))
    sealed = (503, "the chamber is sealed")
    daemon_module.wait_for("sealed", lambda: sign_if_it_can(one, messages.attestation(5, 6)) == sealed)
    assert sign(one, messages.attestation(5, 6)) == sealed and sign(one, messages.randao(9), 1) == sealed
    assert one.status_of("/readyz") == 503 and one.status_of("/upcheck") == 200
    assert json.loads(one.get("/healthcheck")[2])["status"] != "UP"
    result = operator(one, "unseal", "-c", one.config_path)
    assert result.returncode == EXIT_LOCKED, result.stderr  # not while it runs
    one.kill_room("core")
    daemon_module.wait_for("sealed still", lambda: sign_if_it_can(one, messages.attestation(5, 6)) == sealed)
    assert one.stop() == 0
    one.start(ready=False)
    assert sign(one, messages.attestation(5, 6)) == sealed
    result = operator(one, "status", "--signer-url", url)
    assert json.loads(result.stdout)["state"] == "sealed", result.stderr
    one.kill_all()
    one.start(ready=False)
    assert sign(one, messages.attestation(5, 6)) == sealed
    assert one.stop() == 0
    result = operator(one, "unseal", "-c", one.config_path)
    assert result.returncode == EXIT_DONE and "unsealed" in result.stdout, result.stderr
    one.start()
    assert sign(one, messages.attestation(5, 6))[0] == 200
    assert sign(one, messages.attestation(4, 6))[0] == 412  # the history is what it was
    assert one.stop() == 0
    result = operator(one, "unseal", "-c", one.config_path)
    assert result.returncode == EXIT_DONE and "was not sealed" in result.stdout
    result = one.command("audit", "verify", "-c", one.config_path, check=False)
    assert result.returncode == EXIT_DONE, result.stdout
    log = "".join(path.read_text() for path in sorted((one.data_dir / "audit").glob("*")))
    assert '"event":"seal","principal":"owner"' in log and '"operation":"seal"' in log


def test_T28_a_canary_says_who_asked_and_shows_nothing(make_daemon):
    one, _ = started(make_daemon, canary={"public_keys": [interop.PUBKEYS[1]], "action": "seal"})
    assert json.loads(one.get("/api/v1/eth2/publicKeys")[2]) == [interop.PUBKEYS[0]]
    assert sign(one, messages.attestation(3, 4), 1)[0] == 200  # as any other key
    assert sign(one, messages.attestation(4, 5), 0)[0] == 200  # a stranger's word seals nothing
    assert "containment_canary_signing_total 1" in one.metrics()
    log = "".join(path.read_text() for path in (one.data_dir / "audit").glob("*"))
    assert '"event":"canary","principal":"anonymous"' in log
    assert "a canary key was asked for" in one.log_text()


def tokens(one, **policies):
    """A token for each policy, of that name: policies put and tokens made by a management key."""
    one.environment["KEY"] = one.command("auth", "bootstrap", "-c", one.config_path).stdout.strip()
    remote = ("--signer-url", f"http://127.0.0.1:{one.http_port}", "--auth-token", "env:KEY")
    made = {}
    for name, rules in policies.items():
        path = one.path / f"{name}.json"
        path.write_text(json.dumps({"rules": rules}))
        one.command("auth", "policy", "put", name, "--from", path, *remote)
        made[name] = one.command("auth", "token", "create", name, "--policy", name, *remote).stdout.strip()
    return made


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.long_form
def test_T28_the_token_that_asked_is_revoked(make_daemon):
    one, _ = started(make_daemon, canary={"public_keys": [interop.PUBKEYS[1]], "action": "revoke", "answer": "not_found"})
    allow = [{"effect": "allow", "scopes": ["sign", "chamber_status", "public_keys"]}]
    named = [{"effect": "allow", "scopes": ["public_keys"], "keys": interop.PUBKEYS[:2]}]
    made = tokens(one, thief=allow, honest=allow, keeper=named)
    status = "/api/v1/chamber/status"
    assert one.get(status, bearer(made["thief"]))[0] == one.get(status, bearer(made["honest"]))[0] == 200
    listed = {name: json.loads(one.get("/api/v1/eth2/publicKeys", bearer(token))[2]) for name, token in made.items()}
    assert listed["thief"] == listed["honest"] == [interop.PUBKEYS[0]]
    assert sorted(listed["keeper"]) == sorted(interop.PUBKEYS[:2])  # his policy names it
    path = f"/api/v1/eth2/sign/{interop.PUBKEYS[1]}"
    code, _, body = one.post(path, messages.attestation(3, 4), bearer(made["thief"]))
    unknown = one.post("/api/v1/eth2/sign/0x" + "ab" * 48, messages.attestation(3, 4), bearer(made["honest"]))
    assert (code, json.loads(body)) == (404, json.loads(unknown[2]))  # nothing tells it from a key that is not here
    daemon_module.wait_for("it is revoked", lambda: one.get(status, bearer(made["thief"]))[0] == 401)
    assert one.get(status, bearer(made["honest"]))[0] == 200
    assert one.stop() == 0
    log = "".join(path.read_text() for path in sorted((one.data_dir / "audit").glob("*")))
    events = [json.loads(line) for line in log.splitlines()]
    hits = [(e["principal"], e.get("operation"), e.get("subject")) for e in events if e["event"] == "canary"]
    assert hits == [("token:thief", "ATTESTATION", None), ("canary", "revoke", "thief")]
    assert [e["subject"] for e in events if e.get("operation") == "token_create" and e["verdict"] == "OK"] == ["thief", "honest", "keeper"]
    for secret in [*made.values(), one.environment["KEY"]]:
        assert secret not in log
    assert one.command("audit", "verify", "-c", one.config_path).returncode == EXIT_DONE


def test_T25_a_token_of_its_scope_seals_and_is_honoured_no_more(make_daemon):
    one, _ = started(make_daemon)
    made = tokens(
        one,
        ops=[{"effect": "allow", "scopes": ["chamber_seal", "chamber_status"]}],
        other=[{"effect": "allow", "scopes": ["chamber_status"]}],
    )
    assert one.post("/api/v1/chamber/seal", b"", bearer(made["other"]))[0] == 403
    assert sign(one, messages.attestation(3, 4))[0] == 200
    one.environment["OPS"] = made["ops"]
    remote = ("--signer-url", f"http://127.0.0.1:{one.http_port}", "--auth-token", "env:OPS")
    assert json.loads(operator(one, "status", *remote).stdout)["audit"]["failing"] is False
    result = operator(one, "seal", *remote)
    assert result.returncode == EXIT_DONE and json.loads(result.stdout)["complete"], result.stderr
    assert operator(one, "status", *remote).returncode == EXIT_REFUSED
    assert sign(one, messages.attestation(4, 5))[0] == 503


def test_options_that_make_no_sense_are_refused(make_daemon):
    for section in (
        {"canary": {"public_keys": ["0x1234"]}},
        {"canary": {"action": "explode"}},
        {"audit": {"sink": "syslog"}},
        {"audit": {"level": "some"}},
        {"audit": {"segment_mib": 0}},
    ):
        one = make_daemon(config=section)
        result = one.command("config", "check", "-c", one.config_path, check=False)
        assert result.returncode == EXIT_REFUSED, section
    assert operator(one, "seal").returncode == EXIT_USAGE
    assert operator(one, "explode").returncode == EXIT_USAGE
