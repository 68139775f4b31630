"""Ceremonies of the sealed chamber, through the whole program."""
import hashlib
import sqlite3
import time
from contextlib import closing

import interop
import key_routes
import pytest
from daemon import wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import delete_keys, import_body, import_keys, sign, start
from seal_client import CHAMBER, Operator, at_admin_socket, call, envelope, init, owner_approves, register_all, setup_token, state, status

NAMES = ("alice", "bob", "carol")


def begin(make_daemon, **config):
    """A chamber that waits for its first ceremony."""
    return start_sealed(make_daemon, {"signer_state": {"seal": "ceremony"}, **config})


def start_sealed(make_daemon, config):
    daemon = make_daemon_of(make_daemon, config)
    daemon.start(ready=False)
    wait_for("the status", lambda: state(daemon))
    return daemon


def make_daemon_of(make_daemon, config):
    """As key_routes.start(), but not ready: nothing can sign yet."""
    made = []

    def without_start(**options):
        daemon = make_daemon(**options)
        daemon.start = lambda: daemon
        made.append(daemon)
        return daemon

    start(without_start, config=config)
    del made[0].start
    return made[0]


@pytest.fixture(name="operators")
def _operators(tmp_path):
    return [Operator(tmp_path, name) for name in NAMES]


def make_operators_chamber(daemon, operators, threshold=2):
    code, made = init(daemon, mode="operators", operators=[o.described() for o in operators], operator_threshold=threshold)
    assert code == 200, made
    register_all(daemon, operators, made)
    assert state(daemon) == "sealed"
    return made


def unseal(daemon, *operators):
    for n, one in enumerate(operators):
        code, answer = one.unseal(daemon)
        assert (code, answer["have"]) == (200, n + 1), answer
    assert state(daemon) in ("unsealed", "awaiting_rotation")


def signs(daemon, key, *epochs):
    wait_for("a signature", lambda: sign(daemon, key, *epochs) == 200)


# --- operators -----------------------------------------------------------------------------------------------------------


def test_operators_from_nothing_to_a_signature(make_daemon, operators):
    daemon = begin(make_daemon)
    assert state(daemon) == "uninitialized"
    token = setup_token(daemon)
    assert token.startswith("cc_setup_") and token.strip() not in daemon.log_text()
    assert (daemon.data_dir / "setup-token").stat().st_mode & 0o777 == 0o600
    code, answer = key_routes.call(daemon, "POST", KEYS_ROUTE, import_body(1))
    assert code == 503 or [k["status"] for k in answer["data"]] == ["error"], answer  # no keys before there is a master key
    code, made = init(daemon, mode="operators", operators=[o.described() for o in operators], operator_threshold=2)
    assert code == 200 and made["state"] == "awaiting_registration", made
    assert not (daemon.data_dir / "setup-token").exists()
    register_all(daemon, operators, made)
    assert state(daemon) == "sealed"
    unseal(daemon, operators[0], operators[2])
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    signs(daemon, 1, 1, 2)
    assert daemon.stop() == 0
    daemon.start(ready=False)
    wait_for("sealed", lambda: state(daemon) == "sealed")
    assert sign(daemon, 1, 2, 3) != 200
    unseal(daemon, operators[1], operators[2])
    signs(daemon, 1, 2, 3)
    assert status(daemon)["seal"]["generation"] == 1


def test_a_core_that_dies_leaves_the_chamber_open(make_daemon, operators):
    daemon = begin(make_daemon)
    make_operators_chamber(daemon, operators)
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    daemon.kill_room("core")
    wait_for("the status", lambda: state(daemon) == "unsealed")
    signs(daemon, 1)


def test_keys_of_files_sign_while_the_chamber_is_sealed(make_daemon, operators):
    daemon = make_daemon_of(make_daemon, {"signer_state": {"seal": "ceremony"}})
    daemon.add_raw_key(interop.SECRETS[0], "key0")
    daemon.start()
    assert state(daemon) == "uninitialized" and sign(daemon, 0) == 200
    make_operators_chamber(daemon, operators)
    assert sign(daemon, 0, 2, 3) == 200


# --- rotations -----------------------------------------------------------------------------------------------------------


def rotate(daemon, kind, **body):
    code, answer = call(daemon, "POST", f"{CHAMBER}/rotate/{kind}", body)
    assert code == 202, answer
    assert answer["kind"] == kind and answer["phase"] == "proposed"
    return answer["digest"]


def approve(daemon, digest, *operators):
    for n, one in enumerate(operators):
        code, answer = one.approve(daemon, digest)
        assert (code, answer["have"]) == (200, n + 1), answer


def tokens(daemon):
    code, answer = call(daemon, "GET", f"{CHAMBER}/rotate/tokens")
    assert code == 200, answer
    return answer


def rotated(daemon, generation):
    wait_for("the new set", lambda: status(daemon)["seal"]["generation"] == generation and state(daemon) == "unsealed")


def unsealed_with_keys(make_daemon, operators, *keys):
    daemon = begin(make_daemon)
    make_operators_chamber(daemon, operators)
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, *keys, path=KEYS_ROUTE) == ["imported"] * len(keys)
    signs(daemon, keys[0])
    return daemon


def restart_sealed(daemon):
    assert daemon.stop() == 0
    daemon.start(ready=False)
    wait_for("sealed", lambda: state(daemon) == "sealed")


def test_rotate_master(make_daemon, operators):
    daemon = unsealed_with_keys(make_daemon, operators, 1, 2)
    approve(daemon, rotate(daemon, "master"), operators[0], operators[2])
    rotated(daemon, 2)
    assert sign(daemon, 1, 2, 3) == 200
    restart_sealed(daemon)
    unseal(daemon, *operators[1:])
    signs(daemon, 1, 3, 4)
    signs(daemon, 2, 3, 4)
    assert import_keys(daemon, 3, path=KEYS_ROUTE) == ["imported"]


def test_T12_rotate_quorum_shuts_out_who_has_left(make_daemon, operators, tmp_path):
    daemon = unsealed_with_keys(make_daemon, operators, 1)
    new = [operators[0], Operator(tmp_path, "dave"), Operator(tmp_path, "erin")]
    new[0].credential = bytes(reversed(new[0].credential))  # registers anew
    old = Operator.__new__(Operator)
    old.name, old.credential = "alice", bytes(reversed(new[0].credential))
    digest = rotate(daemon, "quorum", operators=[o.described() for o in new], operator_threshold=2)
    approve(daemon, digest, old, operators[1])
    made = tokens(daemon)
    assert made["set_fingerprint"] == digest
    register_all(daemon, new, made)
    rotated(daemon, 2)
    restart_sealed(daemon)
    assert old.unseal(daemon)[0] == 403 and operators[1].unseal(daemon)[0] == 403
    unseal(daemon, new[1], new[0])
    signs(daemon, 1, 2, 3)


def test_P23_cancel(make_daemon, operators):
    daemon = unsealed_with_keys(make_daemon, operators, 1)
    rotate(daemon, "master")
    # A front that was captured can say that it is the owner, who proposed this: it has not his file (T1).
    for proof in (None, "unseal", "cancel all"):
        code, answer = at_admin_socket(daemon, "DELETE", f"{CHAMBER}/rotate", proof=proof)
        assert (code, answer["rule"]) == (403, "NOT_OWNER"), answer
    code, answer = call(daemon, "DELETE", f"{CHAMBER}/rotate")
    assert (code, answer["rule"]) == (403, "NOT_OWNER"), answer
    assert status(daemon)["rotation"]["phase"] == "proposed"
    code, answer = at_admin_socket(daemon, "DELETE", f"{CHAMBER}/rotate", proof="cancel")
    assert code == 200 and answer["state"] == "unsealed", answer
    digest = rotate(daemon, "quorum", operators=[o.described() for o in operators], operator_threshold=3)
    approve(daemon, digest, *operators[:2])
    assert status(daemon)["rotation"]["phase"] == "staged"
    approve(daemon, status(daemon)["rotation"]["cancel_digest"], *operators[1:])
    assert state(daemon) == "unsealed" and "rotation" not in status(daemon)
    assert sign(daemon, 1, 2, 3) == 200
    stale, digest = digest, rotate(daemon, "master")
    code, answer = operators[0].approve(daemon, stale)
    assert (code, answer["approves"]) == (200, "other") and status(daemon)["rotation"]["approvals"]["have"] == 0, answer
    code, answer = operators[0].approve(daemon, status(daemon)["rotation"]["cancel_digest"])
    assert (code, answer["approves"]) == (200, "cancellation"), answer
    code, answer = operators[0].approve(daemon, digest)
    assert (code, answer["approves"], answer["have"]) == (200, "proposal", 1), answer
    assert operators[1].approve(daemon, digest)[0] == 200
    rotated(daemon, 2)


# --- adversaries -----------------------------------------------------------------------------------------------------------


def refused(answer, code=403):
    assert answer[0] == code, answer
    return answer[1]


def test_P23_the_owner_cancels_a_first_set(make_daemon, operators):
    daemon = begin(make_daemon)
    code, made = init(daemon, mode="operators", operators=[o.described() for o in operators], operator_threshold=2)
    assert code == 200 and made["state"] == "awaiting_registration", made
    result = daemon.command("operator", "cancel", "-c", daemon.config_path)
    assert result.returncode == 0, result.stderr
    assert not (daemon.data_dir / "auth.proof").exists()
    wait_for("the state before", lambda: state(daemon) == "uninitialized")


def test_T15_an_envelope_is_worth_nothing_anywhere_else(make_daemon, operators):
    daemon = unsealed_with_keys(make_daemon, operators, 1)
    alice, bob, carol = operators
    restart_sealed(daemon)
    route = f"{CHAMBER}/unseal"
    c = alice.challenge(daemon, "unseal")
    box = envelope(c, alice.credential)
    body = {"name": "alice", "envelope": box}
    refused(call(daemon, "POST", route, {**body, "name": "bob"}))  # substituted
    refused(call(daemon, "POST", f"{CHAMBER}/rotate/approve", {**body, "digest": "11" * 32}))  # another purpose
    refused(call(daemon, "POST", f"{CHAMBER}/rotate/approve", {**body, "digest": "00" * 32}), 400)
    assert call(daemon, "POST", route, body)[0] == 200
    refused(call(daemon, "POST", route, body))  # replayed
    assert refused(call(daemon, "POST", route, {"name": "carol", "envelope": envelope(carol.challenge(daemon, "unseal"), alice.credential)}))["rule"] == "CREDENTIAL"
    again = envelope(alice.challenge(daemon, "unseal"), alice.credential)  # repeated: one person is one
    code, answer = call(daemon, "POST", route, {"name": "alice", "envelope": again})
    assert (code, answer["have"]) != (200, 2) and state(daemon) == "sealed", answer
    foreign = dict(bob.challenge(daemon, "unseal"), chamber_id="11" * 32)
    refused(call(daemon, "POST", route, {"name": "bob", "envelope": envelope(foreign, bob.credential)}))
    stale = bob.challenge(daemon, "unseal")
    restart_sealed(daemon)  # another life of the vault has other keys
    refused(call(daemon, "POST", route, {"name": "bob", "envelope": envelope(stale, bob.credential)}))
    unseal(daemon, bob, carol)
    signs(daemon, 1, 2, 3)


def test_T16_unknown_names_look_like_others(make_daemon, operators, tmp_path):
    daemon = begin(make_daemon)
    make_operators_chamber(daemon, operators)
    mallory = Operator(tmp_path, "mallory")
    first, second = mallory.challenge(daemon, "unseal"), mallory.challenge(daemon, "unseal")
    real = operators[0].challenge(daemon, "unseal")
    for name in ("factor", "memory_kib", "passes", "salt", "challenge"):
        assert first[name] == second[name], name
    assert first.keys() == real.keys() and first["nonce"] != second["nonce"]
    assert refused(mallory.unseal(daemon))["rule"] == "CREDENTIAL"


def test_T14_tokens_in_one_hand_open_nothing_that_was_taken(make_daemon, operators):
    """Each registration token is encrypted to its operator; one that is spent registers nobody."""
    daemon = begin(make_daemon)
    code, made = init(daemon, mode="operators", operators=[o.described() for o in operators], operator_threshold=2)
    assert code == 200
    alice, bob, carol = operators
    with pytest.raises(Exception):
        alice.decrypt([t["age"] for t in made["registration_tokens"] if t["name"] == "bob"][0])
    token = alice.token_of(made["registration_tokens"])
    thief = Operator.__new__(Operator)
    thief.name, thief.credential = "bob", bytes(32)
    refused(thief.register(daemon, token, made["set_fingerprint"]))
    for one in operators:
        assert one.register(daemon, one.token_of(made["registration_tokens"]), made["set_fingerprint"])[0] == 200
    code, _ = call(daemon, "GET", f"{CHAMBER}/operators/bob/challenge?purpose=register")
    assert code == 409  # nothing is left to register
    unseal(daemon, bob, carol)


@pytest.mark.timed
def test_T29_wrong_credentials_wait_and_right_ones_do_not(make_daemon, operators):
    daemon = begin(make_daemon)
    make_operators_chamber(daemon, operators)
    alice, bob, _ = operators
    wrong = Operator.__new__(Operator)
    wrong.name, wrong.credential = "alice", bytes(32)
    took = []
    for _ in range(3):
        began = time.monotonic()
        refused(wrong.unseal(daemon))
        took.append(time.monotonic() - began)
    assert 0.2 < took[0] < took[1] < took[2] < 5, took
    began = time.monotonic()
    unseal(daemon, alice, bob)
    assert time.monotonic() - began < 0.5


def test_T13_setup_tokens(make_daemon, operators):
    daemon = begin(make_daemon)
    described = [o.described() for o in operators]
    body = {"mode": "operators", "operators": described, "operator_threshold": 2}
    refused(call(daemon, "POST", f"{CHAMBER}/init", {**body, "setup_token": "cc_setup_" + "A" * 43}))
    first = setup_token(daemon)
    assert key_routes.call(daemon, "POST", f"{CHAMBER}/setup-token")[0] == 403  # the API's socket is not the admin socket
    assert init(daemon, **{**body, "operator_threshold": 1})[0] == 400
    code, _ = init(daemon, **body)
    assert code == 200
    code, answer = call(daemon, "POST", f"{CHAMBER}/init", {**body, "setup_token": first})
    assert code == 403, answer


# --- a chamber that was local -----------------------------------------------------------------------------------------------


def local_first(make_daemon, *keys):
    """Made as ever, then told that ceremonies are wanted."""
    daemon = make_daemon_of(make_daemon, {})
    daemon.start(ready=False)
    wait_for("the status", lambda: state(daemon) == "not_configured")
    if keys:
        assert import_keys(daemon, *keys, path=KEYS_ROUTE) == ["imported"] * len(keys)
        signs(daemon, keys[0])
    assert daemon.stop() == 0
    daemon.config["signer_state"] = {"seal": "ceremony"}
    daemon.write_config()
    daemon.start(ready=False)
    wait_for("the status", lambda: state(daemon) == "not_configured")
    return daemon


def test_a_local_chamber_without_keys_is_initialized(make_daemon, operators):
    daemon = local_first(make_daemon)
    code, answer = at_admin_socket(daemon, "POST", f"{CHAMBER}/setup-token")
    assert code == 200 and answer["path"] == str(daemon.data_dir / "setup-token"), answer
    code, made = init(daemon, mode="operators", operators=[o.described() for o in operators], operator_threshold=2)
    assert code == 200, made
    register_all(daemon, operators, made)
    wait_for("sealed", lambda: state(daemon) == "sealed")
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    restart_sealed(daemon)
    unseal(daemon, *operators[1:])
    signs(daemon, 1)


def test_T02_a_local_chamber_with_keys_rotates_its_mode(make_daemon, operators):
    daemon = local_first(make_daemon, 1, 2)
    assert at_admin_socket(daemon, "POST", f"{CHAMBER}/setup-token")[0] == 409
    digest = rotate(daemon, "mode", mode="operators", operators=[o.described() for o in operators], operator_threshold=2)
    assert owner_approves(daemon, digest)[0] == 200
    register_all(daemon, operators, tokens(daemon))
    rotated(daemon, 2)
    assert sign(daemon, 1, 2, 3) == 200
    restart_sealed(daemon)
    assert sign(daemon, 1, 3, 4) != 200
    unseal(daemon, *operators[:2])
    signs(daemon, 2, 3, 4)


def test_a_row_that_does_not_open_holds_up_itself_alone(make_daemon):
    daemon = local_first(make_daemon, 1, 2, 3)
    assert daemon.stop() == 0
    with closing(sqlite3.connect(daemon.data_dir / "keys.sqlite")) as rows, rows:
        (bad,) = rows.execute("SELECT hex(min(pubkey)) FROM keys").fetchone()
        rows.execute("UPDATE keys SET ciphertext = zeroblob(length(ciphertext)) WHERE hex(pubkey) = ?", (bad,))
    daemon.start(ready=False)
    wait_for("the status", lambda: state(daemon) == "not_configured")
    assert owner_approves(daemon, rotate(daemon, "master"))[0] == 200
    wait_for("the others", lambda: 'sealed under the next master key","rows":2,"generation":2' in daemon.log_text())
    wait_for("its name in the log", lambda: f'can\'t be sealed under the next master key","pubkey":"{bad.lower()}"' in daemon.log_text())
    assert state(daemon) == "awaiting_rotation"
    (number,) = (n for n in (1, 2, 3) if interop.PUBKEYS[n].lower().endswith(bad.lower()))
    assert delete_keys(daemon, number, path=KEYS_ROUTE)[0] == ["deleted"]
    wait_for("the end", lambda: status(daemon)["seal"]["generation"] == 2 and state(daemon) == "not_configured", 60)


def test_T01_local_chambers_without_the_option_stay_local(make_daemon, operators):
    daemon = make_daemon_of(make_daemon, {})
    daemon.start(ready=False)
    wait_for("the status", lambda: state(daemon) == "not_configured")
    digest = rotate(daemon, "mode", mode="operators", operators=[o.described() for o in operators], operator_threshold=2)
    assert refused(owner_approves(daemon, digest))["rule"] == "NOT_APPROVED"
    assert status(daemon)["rotation"]["phase"] == "proposed"


def test_T01_the_quorum_lets_a_management_key_in(make_daemon, operators):
    daemon = unsealed_with_keys(make_daemon, operators, 1)
    key = bytes(range(32))
    chamber = bytes.fromhex(status(daemon)["chamber_id"])
    digest = hashlib.sha256(b"containment-chamber/root-token/v1\0" + chamber + key).hexdigest()
    body = {"public_key": key.hex()}
    assert refused(call(daemon, "POST", f"{CHAMBER}/root-token", body))["rule"] == "NOT_APPROVED"
    approve(daemon, digest, operators[0])
    refused(call(daemon, "POST", f"{CHAMBER}/root-token", body))
    assert operators[1].approve(daemon, digest)[0] == 200
    refused(call(daemon, "POST", f"{CHAMBER}/root-token", {"public_key": "11" * 32}))
    code, answer = call(daemon, "POST", f"{CHAMBER}/root-token", body)
    assert code == 201 and answer["replaced"] is False, answer
    refused(call(daemon, "POST", f"{CHAMBER}/root-token", body))  # it was good once
