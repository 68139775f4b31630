"""T25: an emergency seal, and the way back from it, in each mode that needs nobody else's cloud, through the whole program."""
import http.client
import json
import os

import interop
import messages
import pytest
from daemon import ROOMS, wait_for
from forms import some
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import MANAGER, call, chamber_list, import_keys, sign, start
from seal_client import CHAMBER, Operator, state, status
from test_ceremony import NAMES, make_daemon_of, make_operators_chamber, unseal
from test_seal import has_begun_anew
from test_slashing_live import UnixConnection

FILE, ROW = 0, 1  # of the interop keys: one in a file, one in the key store


@pytest.fixture(name="operators")
def _operators(tmp_path):
    return [Operator(tmp_path, name) for name in NAMES]


def operators_chamber(make_daemon, operators):
    """Unsealed, with a key of each kind."""
    daemon = make_daemon_of(make_daemon, {"signer_state": {"seal": "ceremony"}})
    daemon.add_raw_key(interop.SECRETS[FILE], "file")
    daemon.start()
    make_operators_chamber(daemon, operators)
    unseal(daemon, *operators[:2])
    return with_row(daemon)


def local_chamber(make_daemon):
    return with_row(start(make_daemon, keys=interop.SECRETS[FILE : FILE + 1]))


def with_row(daemon):
    assert import_keys(daemon, ROW, path=KEYS_ROUTE) == ["imported"]
    assert [sign(daemon, key, 1, 2) for key in (FILE, ROW)] == [200, 200]
    return daemon


def seal(daemon):
    """Seals, and waits until all rooms have started anew."""
    before = daemon.rooms()
    code, answer = call(daemon, "POST", f"{CHAMBER}/seal", b"")
    assert (code, answer) == (200, {"state": "sealed", "complete": True})
    wait_for("new rooms", lambda: all(daemon.rooms().get(room) not in (None, before[room]) for room in ROOMS))
    wait_for("the latched state", lambda: try_status(daemon))


def try_status(daemon):
    try:
        return daemon.status_of("/upcheck") == 200 and "seal" in status(daemon)
    except (OSError, http.client.HTTPException, AssertionError, ValueError):
        return False


def is_latched(daemon):
    """Everything that is promised of a latched chamber."""
    said = status(daemon)
    assert (said["state"], said["latched"]) == ("sealed", True)
    assert [sign(daemon, key, 8, 9) for key in (FILE, ROW)] == [503, 503]
    assert daemon.status_of("/readyz") == 503
    health = json.loads(daemon.get("/healthcheck")[2])
    assert health["status"] != "UP" and "seal" in json.dumps(health)
    assert "containment_keys_active" not in active_keys(daemon)
    code, answer = call(daemon, "POST", "/reload", b"")
    assert code == 503, answer
    tells_why(daemon)
    return True


def tells_why(daemon):
    """Not that something were still being loaded."""
    ready = json.loads(daemon.get("/readyz")[2])
    assert (ready["sealed"], ready["master_key"]) == (True, "closed")
    for path in (MANAGER, "/api/v1/eth2/publicKeys"):
        code, answer = call(daemon, "GET", path)
        assert (code, answer["rule"]) == (503, "SEALED"), (path, answer)
    assert {key: (said, paused) for key, (said, _, paused) in chamber_list(daemon)[0].items()} == {interop.PUBKEYS[ROW]: ("sealed", False)}


def active_keys(daemon):
    return [line for line in daemon.metrics().splitlines() if line.startswith("containment_keys_active") and not line.endswith(" 0")]


def lift(daemon, text="unseal\n"):
    """As the command line does it for the owner."""
    proof = daemon.data_dir / "auth.proof"
    proof.write_text(text)
    owner = daemon.data_dir.stat()
    os.chown(proof, owner.st_uid, owner.st_gid)
    proof.chmod(0o640)
    connection = UnixConnection(str(daemon.admin_path))
    connection.request("DELETE", f"{CHAMBER}/seal")
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    proof.unlink()
    return answer.status, json.loads(body)


def signs_again(daemon, *epochs):
    for key in (FILE, ROW):
        wait_for("a signature", lambda key=key: sign(daemon, key, *epochs) == 200)
    assert not status(daemon)["latched"]
    assert not (daemon.data_dir / "seal.latch").exists()


def restart(daemon):
    assert daemon.stop() == 0
    daemon.start(ready=False)


def test_T25_the_quorum_takes_the_latch_away(make_daemon, operators):
    daemon = operators_chamber(make_daemon, operators)
    seal(daemon)
    assert is_latched(daemon)
    restart(daemon)
    assert is_latched(daemon)
    assert lift(daemon)[0] == 409  # the owner alone does not
    code, answer = operators[0].unseal(daemon)
    assert (code, answer["have"]) == (200, 1) and is_latched(daemon)
    code, answer = operators[0].unseal(daemon)  # nor one operator twice
    assert is_latched(daemon)
    code, answer = operators[2].unseal(daemon)
    assert code == 200, answer
    signs_again(daemon, 3, 4)
    assert sign(daemon, FILE, 2, 4) == sign(daemon, ROW, 2, 4) == 412  # the history is what it was
    restart(daemon)
    wait_for("sealed", lambda: state(daemon) == "sealed")
    wait_for("keys of files sign", lambda: sign(daemon, FILE, 4, 5) == 200)
    assert sign(daemon, ROW, 4, 5) == 503


def test_T25_the_owner_takes_the_latch_of_a_local_chamber_away(make_daemon):
    daemon = local_chamber(make_daemon)
    assert lift(daemon)[0] in (200, 409)  # there is none
    seal(daemon)
    assert is_latched(daemon)
    assert lift(daemon, "seal\n")[0] == 403
    assert call(daemon, "DELETE", f"{CHAMBER}/seal")[0] in (401, 403)  # only at the admin socket
    assert daemon.post(f"{CHAMBER}/seal", b"")[0] == 401
    assert is_latched(daemon)
    assert (answer := lift(daemon)) == (200, {"latched": False}), answer
    signs_again(daemon, 3, 4)
    seal(daemon)  # and once more
    assert is_latched(daemon)
    assert daemon.stop() == 0
    assert daemon.command("operator", "unseal", "-c", daemon.config_path).stdout.startswith("unsealed")
    daemon.start()
    signs_again(daemon, 5, 6)


def test_T25_an_offline_unseal_asks_the_operators(make_daemon, operators):
    daemon = operators_chamber(make_daemon, operators)
    seal(daemon)
    assert daemon.stop() == 0
    assert daemon.command("operator", "unseal", "-c", daemon.config_path, check=False).returncode != 0
    daemon.start(ready=False)
    assert is_latched(daemon)
    unseal(daemon, *operators[1:])
    signs_again(daemon, 3, 4)


def test_T25_a_seal_while_shares_are_collected_forgets_them(make_daemon, operators):
    daemon = operators_chamber(make_daemon, operators)
    seal(daemon)
    assert operators[0].unseal(daemon)[1]["have"] == 1
    seal(daemon)
    assert is_latched(daemon)
    assert operators[1].unseal(daemon)[1]["have"] == 1
    assert is_latched(daemon)
    assert operators[0].unseal(daemon)[0] == 200
    signs_again(daemon, 3, 4)


@pytest.mark.points
@pytest.mark.parametrize("point", some(["SEALED_RECORD", "SEALED_FILE", "SEALED_WIPED"], 1))
@pytest.mark.parametrize("all_of_it", some([True, False], 1))
def test_T25_a_seal_that_is_killed_is_a_seal(make_daemon, point, all_of_it):
    daemon = local_chamber(make_daemon)
    assert daemon.stop() == 0
    daemon.environment["CC_TEST_POINT"] = f"{point}:1"
    daemon.start()
    with pytest.raises((OSError, http.client.HTTPException, AssertionError, ValueError)):
        code, answer = call(daemon, "POST", f"{CHAMBER}/seal", b"")
        assert code == 200, answer
    wait_for("the kill", lambda: "test point" in daemon.log_text())
    del daemon.environment["CC_TEST_POINT"]
    if all_of_it:
        daemon.kill_all()
        daemon.start(ready=False)
    wait_for("the latched state", lambda: daemon.alive() and try_status(daemon) and status(daemon)["latched"] and (daemon.data_dir / "seal.latch").exists())
    if not all_of_it:  # the vault has lived, and is wiped and ended by the next core
        wait_for("new rooms", lambda: has_begun_anew(daemon))
    wait_for("the latched state", lambda: try_status(daemon))
    assert is_latched(daemon)
    assert lift(daemon)[0] == 200
    signs_again(daemon, 3, 4)


@pytest.mark.points
@pytest.mark.parametrize("point", some(["LIFTED_RECORD", "LIFTED_FILE"], 1))
@pytest.mark.parametrize("all_of_it", some([True, False], 1))
def test_T25_an_unsealing_that_is_killed_is_none(make_daemon, operators, point, all_of_it):
    daemon = operators_chamber(make_daemon, operators)
    seal(daemon)
    assert daemon.stop() == 0
    daemon.environment["CC_TEST_POINT"] = f"{point}:1"
    daemon.start(ready=False)
    assert operators[0].unseal(daemon)[0] == 200
    with pytest.raises((OSError, http.client.HTTPException, AssertionError, ValueError)):
        operators[1].unseal(daemon)
        raise AssertionError("it may be answered before")
    wait_for("the kill", lambda: "test point" in daemon.log_text())
    del daemon.environment["CC_TEST_POINT"]
    if all_of_it:
        daemon.kill_all()
        daemon.start(ready=False)
    wait_for("the status", lambda: daemon.alive() and try_status(daemon))
    if all_of_it:
        assert sign(daemon, ROW, 3, 4) == 503 and state(daemon) == "sealed"
    if point == "LIFTED_RECORD":
        if not all_of_it:
            wait_for("new rooms", lambda: daemon.log_text().count("starting all rooms anew") == 2 and has_begun_anew(daemon))
        wait_for("the latched state", lambda: try_status(daemon) and status(daemon)["latched"])
        assert sign(daemon, FILE, 3, 4) == 503
        unseal_when_it_can(daemon, operators)
    elif all_of_it:
        unseal(daemon, *operators[1:])
    signs_again(daemon, 3, 4)


def unseal_when_it_can(daemon, operators):
    wait_for("rooms that are new", lambda: try_status(daemon) and operators[1].unseal(daemon)[0] == 200)
    assert operators[2].unseal(daemon)[0] == 200


def test_T03_no_stored_token_is_good_while_it_is_sealed(make_daemon, operators):
    daemon = operators_chamber(make_daemon, operators)
    daemon.environment["KEY"] = daemon.command("auth", "bootstrap", "-c", daemon.config_path).stdout.strip()
    remote = ("--signer-url", f"http://127.0.0.1:{daemon.http_port}", "--auth-token", "env:KEY")
    policy = daemon.path / "p.json"
    policy.write_text(json.dumps({"rules": [{"effect": "allow", "scopes": ["chamber_status"]}]}))
    daemon.command("auth", "policy", "put", "p", "--from", policy, *remote)
    token = {"Authorization": "Bearer " + daemon.command("auth", "token", "create", "t", "--policy", "p", *remote).stdout.strip()}
    path = f"{CHAMBER}/status"
    assert daemon.get(path, token)[0] == 200
    restart(daemon)
    wait_for("sealed", lambda: state(daemon) == "sealed")
    assert daemon.get(path, token)[0] == 401
    unseal(daemon, *operators[:2])
    wait_for("it is good again", lambda: daemon.get(path, token)[0] == 200)
    seal(daemon)
    assert daemon.get(path, token)[0] == 401
    unseal(daemon, *operators[1:])
    wait_for("it is good again", lambda: daemon.get(path, token)[0] == 200)


def test_the_gate_is_per_key(make_daemon, operators):
    daemon = operators_chamber(make_daemon, operators)
    restart(daemon)
    wait_for("sealed", lambda: state(daemon) == "sealed")
    wait_for("keys of files sign", lambda: sign(daemon, FILE, 2, 3) == 200)
    listed = json.loads(daemon.get("/api/v1/eth2/publicKeys")[2])
    assert sorted(listed) == sorted([interop.PUBKEYS[FILE], interop.PUBKEYS[ROW]])
    assert sign(daemon, ROW, 2, 3) == 503
    assert "sealed" in refusal(daemon, ROW)
    code, _, body = daemon.get("/readyz")
    assert code == 503 and (json.loads(body)["sealed"], json.loads(body)["master_key"]) == (False, "closed")
    assert json.loads(daemon.get("/healthcheck")[2])["status"] == "UP"  # keys of files sign
    assert chamber_list(daemon)[0][interop.PUBKEYS[ROW]][0] == "sealed"
    unseal(daemon, *operators[:2])
    signs_again(daemon, 3, 4)
    daemon.wait_ready()
    assert json.loads(daemon.get("/readyz")[2])["master_key"] == "open"


def refusal(daemon, key):
    _, _, body = daemon.sign(interop.PUBKEYS[key], messages.attestation(20, 21))
    return json.loads(body)["error"]
