"""P5, P15: imports and deletes whose core is killed at each point between question and answer, and all of it right after."""
import http.client
import json
import os

import interop
import pytest
from daemon import wait_for
from forms import some
from key_routes import CHAMBER, MANAGER, call, chamber_list, delete_keys, import_body, import_keys, listed, sign, start
from test_slashing_cli import interchange, validator

KEYS = interop.PUBKEYS
STORE = ["KEYS_NAMED", "KEYS_WRITTEN", "KEYS_SETTLED"]
IMPORT = ["IMPORT_OPENED", "IMPORT_MERGED", "IMPORT_PROTECTED", *STORE, "IMPORT_LOADED", "IMPORT_ACTIVE"]
DELETE = ["DELETE_STOPPED", "DELETE_DISABLED", *STORE, "DELETE_ERASED", "DELETE_FORGOTTEN"]


def armed(daemon, point):
    """Starts it again, to be killed at that point, then does what is asked, then starts it as it should be."""
    daemon.environment["CC_TEST_POINT"] = point and f"{point}:1"
    if not point:
        del daemon.environment["CC_TEST_POINT"]
    return daemon.start()


def ask_to_the_death(daemon, method, body):
    """The request whose core dies, and the whole signer after it. Its answer, where there is one, is no success."""
    try:
        code, answer = call(daemon, method, MANAGER, body)
    except (OSError, http.client.HTTPException):
        code, answer = None, None
    wait_for("the kill", lambda: "test point" in daemon.log_text(), 30)
    if daemon.process.poll() is None:
        daemon.kill_all()
    return code, answer


@pytest.mark.points
@pytest.mark.parametrize("point", IMPORT)
def test_P05_P15_an_import_that_is_killed_leaves_each_key_whole_or_out(make_daemon, point):
    daemon = start(make_daemon)
    assert import_keys(daemon, 7) == ["imported"]  # a store that has something in it already
    assert daemon.stop() == 0
    history = interchange(validator(KEYS[1], [50], [(9, 10)]))
    armed(daemon, point)
    code, answer = ask_to_the_death(daemon, "POST", import_body(1, 2, history=history))
    assert code != 200 or all(item["status"] == "error" for item in answer["data"]), answer
    armed(daemon, None)
    there = set(listed(daemon))
    assert KEYS[7] in there
    # What is there has its protection row, and its history: it can't sign what is behind that.
    assert sign(daemon, 1, 8, 10) == (412 if KEYS[1] in there else 404)
    assert sign(daemon, 2, 1, 2) == (200 if KEYS[2] in there else 404)
    assert set(import_keys(daemon, 1, 2, history=history)) <= {"imported", "duplicate"}
    assert [sign(daemon, 1, 8, 10), sign(daemon, 1, 9, 11), sign(daemon, 2, 1, 2), sign(daemon, 7)] == [412, 200, 200, 200]
    daemon.kill_all()
    daemon.start()
    assert set(listed(daemon)) == {KEYS[1], KEYS[2], KEYS[7]}


@pytest.mark.points
@pytest.mark.parametrize("point", some(IMPORT, 2))
def test_P13_P16_a_key_that_comes_back_and_is_killed_on_its_way_loses_no_mark(make_daemon, point):
    """One with a tombstone, and one whose keystore does not open: of that one nothing is merged, wherever the core dies."""
    daemon = start(make_daemon)
    assert import_keys(daemon, 1, 2) == ["imported"] * 2
    assert [sign(daemon, n, 9, 10) for n in (1, 2)] == [200] * 2
    assert delete_keys(daemon, 1)[0] == ["deleted"]
    assert daemon.stop() == 0
    body = import_body(1, 2, history=interchange(validator(KEYS[1], [], [(19, 20)]), validator(KEYS[2], [], [(99, 100)])))
    body["passwords"][1] = "wrong"
    armed(daemon, point)
    code, answer = ask_to_the_death(daemon, "POST", body)
    assert code != 200 or all(item["status"] == "error" for item in answer["data"]), answer
    armed(daemon, None)
    assert sign(daemon, 2, 10, 11) == 200
    if KEYS[1] not in listed(daemon):
        code, answer = call(daemon, "POST", MANAGER, body)
        assert (code, [item["status"] for item in answer["data"]]) == (200, ["imported", "error"]), answer
    assert [sign(daemon, 1, 8, 10), sign(daemon, 1, 18, 20), sign(daemon, 1, 20, 21), sign(daemon, 2, 11, 12)] == [412, 412, 200, 200]


@pytest.mark.points
@pytest.mark.parametrize("point", DELETE)
def test_P05_a_delete_that_is_killed_leaves_the_key_or_takes_it(make_daemon, point):
    daemon = start(make_daemon)
    assert import_keys(daemon, 1, 2) == ["imported"] * 2
    assert [sign(daemon, n, 9, 10) for n in (1, 2)] == [200] * 2
    assert daemon.stop() == 0
    armed(daemon, point)
    code, answer = ask_to_the_death(daemon, "DELETE", {"pubkeys": [KEYS[1]]})
    assert code != 200 or answer["data"][0]["status"] == "error", answer
    armed(daemon, None)
    keys, _ = chamber_list(daemon)
    signs = sign(daemon, 1, 10, 11) == 200
    # It is as it was, or it can't sign; and while it is in the store it is listed: as deleting where the history has the tombstone.
    assert not signs or keys[KEYS[1]][0] == "active", keys
    if not signs and KEYS[1] in keys:
        wait_for("what it is", lambda: chamber_list(daemon)[0][KEYS[1]][0] == "deleting")
        daemon.kill_all()
        daemon.start(ready=False)
        wait_for("what it is", lambda: chamber_list(daemon)[0].get(KEYS[1], ("",))[0] == "deleting")
    statuses, exported = delete_keys(daemon, 1)
    assert statuses == (["deleted"] if KEYS[1] in keys else ["not_active"])
    assert exported["data"][0]["pubkey"] == KEYS[1]
    assert exported["data"][0]["signed_attestations"][-1]["target_epoch"] == ("11" if signs else "10")
    daemon.kill_all()
    daemon.start()
    assert set(listed(daemon)) == {KEYS[2]}
    assert [sign(daemon, 1, 11, 12), sign(daemon, 2, 11, 12)] == [404, 200]
    assert import_keys(daemon, 1) == ["error"], "without its history it does not come back"
    assert import_keys(daemon, 1, history=exported) == ["imported"]
    assert sign(daemon, 1, 9, 10 + signs) in (200, 412)  # the same again at most
    assert sign(daemon, 1, 8, 10) == 412


@pytest.mark.points
@pytest.mark.parametrize("inactive", [False, True], ids=["active", "inactive"])
def test_P05_a_delete_that_is_taken_back_needs_no_restart(make_daemon, inactive):
    """`slashing enable` on a key whose delete came no further than its history."""
    daemon = start(make_daemon)
    assert import_keys(daemon, 1, 2) == ["imported"] * 2
    assert sign(daemon, 1, 9, 10) == 200
    if inactive:
        assert call(daemon, "PATCH", CHAMBER, {"pubkeys": [KEYS[1]], "status": "inactive"})[0] == 200
    assert daemon.stop() == 0
    armed(daemon, "DELETE_DISABLED")
    ask_to_the_death(daemon, "DELETE", {"pubkeys": [KEYS[1]]})
    armed(daemon, None)
    wait_for("deleting", lambda: chamber_list(daemon)[0][KEYS[1]][0] == "deleting")
    assert sign(daemon, 1, 10, 11) == 404
    daemon.command("slashing", "enable", "--key", KEYS[1], "--signer-url", f"unix:{daemon.unix}")
    wait_for("what it was", lambda: chamber_list(daemon)[0][KEYS[1]][0] == ("inactive" if inactive else "active"), 5)
    if inactive:
        assert sign(daemon, 1, 10, 11) == 404
        assert call(daemon, "PATCH", CHAMBER, {"pubkeys": [KEYS[1]], "status": "active"})[0] == 200
    assert [sign(daemon, 1, 8, 10), sign(daemon, 1, 10, 11), sign(daemon, 2, 10, 11)] == [412, 200, 200]
    assert delete_keys(daemon, 1)[0] == ["deleted"]
    # What is gone does not come back that way.
    daemon.command("slashing", "enable", "--key", KEYS[1], "--signer-url", f"unix:{daemon.unix}")
    assert sign(daemon, 1, 11, 12) == 404


def test_P05_what_was_answered_deleted_is_gone_whatever_dies_next(make_daemon):
    daemon = start(make_daemon)
    assert import_keys(daemon, *range(6)) == ["imported"] * 6
    left = set(range(6))
    for room in ("front", "core", "vault", None):
        number = left.pop()
        assert sign(daemon, number, 1, 2) == 200
        assert delete_keys(daemon, number)[0] == ["deleted"]
        if room:
            daemon.kill_room(room)
        else:
            daemon.kill_all()
            daemon.start()
        wait_for("the socket", lambda: os.path.exists(daemon.unix) and daemon.status_of("/readyz") == 200, 60)
        assert set(listed(daemon)) == {KEYS[n] for n in left}, room
        assert sign(daemon, number, 2, 3) == 404, room
        assert delete_keys(daemon, number)[0] == ["not_active"]


def test_P05_a_store_that_is_refused_says_of_no_key_that_it_is_not_here(make_daemon):
    """Who hears `not_active`, or does not find it listed, lets the key sign elsewhere; and with the file back it signs here."""
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    assert import_keys(daemon, 1) == ["imported"]
    assert sign(daemon, 1, 1, 2) == 200
    assert daemon.stop() == 0
    store = daemon.data_dir / "keys.sqlite"
    store.rename(daemon.data_dir / "aside")
    daemon.start(ready=False)
    wait_for("the key of the file", lambda: sign(daemon, 0, 2, 3) == 200)
    assert sign(daemon, 1, 2, 3) == 404
    code, ready = daemon.get("/readyz")[0], json.loads(daemon.get("/readyz")[-1])
    assert (code, ready["keys_complete"]) == (503, False)
    assert daemon.get("/api/v1/eth2/publicKeys")[0] == 503
    assert call(daemon, "GET", MANAGER)[0] == 503
    assert set(chamber_list(daemon)[0]) == {KEYS[0]}
    for path in (MANAGER, CHAMBER):
        code, answer = call(daemon, "DELETE", path, {"pubkeys": [KEYS[1], KEYS[5]]})
        assert (code, [item["status"] for item in answer["data"]]) == (200, ["error", "error"]), answer
    assert daemon.stop() == 0
    (daemon.data_dir / "aside").rename(store)
    daemon.start()
    assert set(listed(daemon)) == {KEYS[0], KEYS[1]}
    assert [sign(daemon, n, 3, 4) for n in (0, 1)] == [200, 200]
    assert delete_keys(daemon, 1, 5)[0] == ["deleted", "not_found"]


def test_P05_a_store_that_can_not_be_written_is_an_error_and_the_key_stays_listed(make_daemon):
    """Without the state store no change can be named there, so none is made."""
    daemon = start(make_daemon)
    assert import_keys(daemon, 1) == ["imported"]
    store = daemon.data_dir / "keys.sqlite"
    aside = daemon.data_dir / "aside"
    store.rename(aside)
    statuses = call(daemon, "DELETE", MANAGER, {"pubkeys": [KEYS[1]]})[1]["data"]
    assert [item["status"] for item in statuses] == ["error"]
    assert KEYS[1] in listed(daemon)
    code, answer = call(daemon, "POST", CHAMBER, import_body(2))
    assert (code, answer["data"][0]["status"]) == (200, "error")
    assert sign(daemon, 2) == 404
    aside.rename(store)
    assert delete_keys(daemon, 1)[0] == ["deleted"]
    assert sign(daemon, 1) == 404 and not listed(daemon)
