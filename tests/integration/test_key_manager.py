"""The Key Manager API, /eth/v1/keystores: what the Ethereum specification and Web3Signer's users expect of it."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import time

import bls_keys
import interop
import keystores
import messages
import pytest
from daemon import wait_for
from key_routes import CHAMBER, MANAGER, PASSWORD, call, delete_keys, import_body, import_keys, keystore, listed, many, sign, start
from test_slashing_cli import interchange, validator

KEYS = interop.PUBKEYS


# --- every status ----------------------------------------------------------------------------------------------------


def test_the_api_is_not_there_unless_it_is_enabled(make_daemon):
    daemon = start(make_daemon, config={"http": {"key_manager_api": {"enabled": False}}})
    for method, body in (("GET", None), ("POST", import_body(0)), ("DELETE", {"pubkeys": []})):
        code, answer = call(daemon, method, MANAGER, body)
        assert (code, answer["rule"]) == (404, "ROUTE_UNKNOWN"), method


def test_without_a_token_it_answers_401_over_tcp(make_daemon):
    daemon = start(make_daemon)
    for method, body in (("GET", None), ("POST", import_body(0)), ("DELETE", {"pubkeys": [KEYS[0]]})):
        code, headers, answer = daemon.connect().request(method, MANAGER, body)
        assert code == 401 and "Bearer" in headers["www-authenticate"], (method, answer)
    assert not listed(daemon)


def test_every_status_of_an_import(make_daemon):
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    wrong = json.dumps(keystores.make(bytes.fromhex(interop.SECRETS[5][2:]), KEYS[6], PASSWORD))
    body = {
        "keystores": [keystore(1), keystore(0), keystore(2, "other"), wrong, "{}", keystore(3), keystore(1)],
        "passwords": [PASSWORD] * 7,
    }
    code, answer = call(daemon, "POST", MANAGER, body)
    assert code == 200, answer
    items = [(item["status"], item["message"]) for item in answer["data"]]
    assert [status for status, _ in items] == ["imported", "duplicate", "error", "error", "error", "imported", "duplicate"], items
    assert items[2][1].startswith("Failed to decrypt keystore: ")
    assert items[3][1] == "Keystore pubkey does not match decrypted key"
    assert items[4][1].startswith("Failed to decrypt keystore: ")
    assert listed(daemon) == {KEYS[0]: True, KEYS[1]: False, KEYS[3]: False}
    assert [sign(daemon, n) for n in (0, 1, 2, 3)] == [200, 200, 404, 200]
    assert import_keys(daemon, 1, 3) == ["duplicate", "duplicate"]
    assert import_keys(daemon, 2) == ["imported"]


def test_P05_every_status_of_a_delete_and_it_stays(make_daemon):
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    assert import_keys(daemon, 1, 2) == ["imported"] * 2
    assert [sign(daemon, n) for n in (0, 1, 2)] == [200] * 3
    code, answer = call(daemon, "DELETE", MANAGER, {"pubkeys": [KEYS[n] for n in (1, 0, 7, 1)]})
    assert code == 200, answer
    assert [item["status"] for item in answer["data"]] == ["deleted", "error", "not_found", "not_active"]
    assert answer["data"][1]["message"] == f"Unable to delete readonly key: {KEYS[0]}"
    exported = json.loads(answer["slashing_protection"])
    assert exported["metadata"]["genesis_validators_root"] == messages.MINIMAL_GENESIS_ROOT
    assert [(v["pubkey"], v["signed_attestations"][0]["target_epoch"]) for v in exported["data"]] == [(KEYS[1], "2")]
    assert listed(daemon) == {KEYS[0]: True, KEYS[2]: False}
    assert [sign(daemon, n, 2, 3) for n in (0, 1, 2)] == [200, 404, 200]
    assert delete_keys(daemon, 1) == (["not_active"], exported)
    assert daemon.stop() == 0
    daemon.start()
    assert listed(daemon) == {KEYS[0]: True, KEYS[2]: False}
    assert [sign(daemon, n, 3, 4) for n in (0, 1, 2)] == [200, 404, 200]
    statuses, nothing = delete_keys(daemon)
    assert (statuses, nothing["data"]) == ([], [])


@pytest.mark.parametrize(
    "method, body, code",
    [
        ("POST", {"keystores": [], "passwords": []}, 200),
        ("POST", {"keystores": [], "passwords": [], "slashing_protection": None, "more": [1]}, 200),
        ("POST", {"keystores": ["{}"], "passwords": []}, 400),
        ("POST", {"keystores": [], "passwords": ["x"]}, 400),
        ("POST", {"keystores": [{}], "passwords": ["x"]}, 400),
        ("POST", {"keystores": ["{}"], "passwords": [1]}, 400),
        ("POST", {"passwords": []}, 400),
        ("POST", "{", 400),
        ("POST", "", 400),
        ("POST", b'{"keystores":[],"passwords":["\xff"]}', 400),
        ("POST", '{"keystores":[],"passwords":[],"passwords":[]}', 400),
        ("POST", '{"keystores":' + "[" * 100 + "]" * 100 + ',"passwords":[]}', 400),
        ("POST", {"keystores": ["{}"] * 4, "passwords": ["x"] * 4}, 413),
        ("DELETE", {}, 400),
        ("DELETE", "[]", 400),
        ("DELETE", {"pubkeys": ["0x12"]}, 400),
        ("DELETE", {"pubkeys": [KEYS[0]] * 4}, 413),
    ],
)
def test_bodies_that_are_none(shared, method, body, code):
    got, answer = call(shared, method, MANAGER, body)
    assert got == code, answer
    if code == 200:
        assert answer == {"data": []}
    else:
        assert answer["code"] == code and PASSWORD not in json.dumps(answer)


@pytest.fixture(scope="module", name="shared")
def _shared(tmp_path_factory):
    """One signer for what changes nothing."""
    import daemon as daemon_module  # pylint: disable=import-outside-toplevel

    made = []

    def make(**options):
        made.append(daemon_module.Daemon(daemon_module.fresh_dir("key_manager_shared") / "d0", **options))
        return made[0]

    del tmp_path_factory
    yield start(make, config={"http": {"key_manager_api": {"max_items_per_request": 3}}})
    made[0].end()


def exported(daemon):
    """The whole history, as an interchange file."""
    code, answer = call(daemon, "GET", "/api/v1/chamber/slashing")
    assert code == 200, answer
    return answer


# --- slashing protection ---------------------------------------------------------------------------------------------


def test_P15_the_history_that_comes_along_is_in_force_before_the_key_signs(make_daemon):
    daemon = start(make_daemon, quarantine=2)
    history = interchange(validator(KEYS[1], [50], [(9, 10)]), validator(KEYS[4], [7], []))
    assert import_keys(daemon, 1, history=history) == ["imported"]
    assert sign(daemon, 1, 8, 10) == 412
    assert sign(daemon, 1, 9, 11) == 200
    # Only what belongs to the keys of the request was taken.
    assert delete_keys(daemon, 4) == (["not_found"], interchange())
    assert [v["pubkey"] for v in delete_keys(daemon, 1)[1]["data"]] == [KEYS[1]]


@pytest.mark.parametrize(
    "history, fault",
    [
        ("{", "ends too early"),
        ("[]", "must be an object"),
        (interchange(validator(KEYS[1], [1]), version="4"), None),
        (interchange(validator(KEYS[1], [1]), genesis="0x" + "77" * 32), None),
        (interchange(validator("0x12", [1])), "wrong length"),
    ],
)
def test_P15_when_the_history_is_refused_nothing_is_imported(shared, history, fault):
    for body in (import_body(1, 2, history=history), import_body(history=history)):
        code, answer = call(shared, "POST", MANAGER, body)
        assert code == 400, answer
        assert not fault or any(fault in line for line in answer["faults"]), answer
    assert not listed(shared)
    assert call(shared, "POST", MANAGER, import_body(history=interchange(validator(KEYS[1], [1])))) == (200, {"data": []})
    assert exported(shared) == interchange()


def test_P13_a_keystore_with_another_name_leaves_the_history_alone(make_daemon):
    daemon = start(make_daemon)
    wrong = json.dumps(keystores.make(bytes.fromhex(interop.SECRETS[5][2:]), KEYS[6], PASSWORD))
    code, answer = call(daemon, "POST", MANAGER, {"keystores": [wrong], "passwords": [PASSWORD]})
    assert (code, answer["data"][0]["status"]) == (200, "error")
    assert delete_keys(daemon, 5, 6) == (["not_found", "not_found"], interchange())


@pytest.mark.parametrize("path", [MANAGER, CHAMBER])
def test_P13_data_of_a_keystore_that_does_not_open_changes_no_history(make_daemon, path):
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    assert import_keys(daemon, 1, 2) == ["imported"] * 2
    assert [sign(daemon, n, 9, 10) for n in (0, 1, 2)] == [200] * 3
    assert delete_keys(daemon, 2)[0] == ["deleted"]
    before = exported(daemon)
    wrong = json.dumps(keystores.make(bytes.fromhex(interop.SECRETS[5][2:]), KEYS[1], PASSWORD))
    named = json.dumps(keystores.make(bytes.fromhex(interop.SECRETS[5][2:]), KEYS[6], PASSWORD))
    poison = interchange(*[validator(KEYS[n], [1 << 20], [(1 << 15, 1 << 16)]) for n in (0, 1, 2, 5, 6, 7)])
    body = {
        "keystores": [keystore(0), keystore(1), keystore(2), wrong, named, keystore(7)],
        "passwords": ["x", "x", "x", PASSWORD, PASSWORD, "x"],
        "slashing_protection": json.dumps(poison),
    }
    code, answer = call(daemon, "POST", path, body)
    assert exported(daemon) == before
    assert (code, {item["status"] for item in answer["data"]}) == (200, {"error"}), answer
    assert [sign(daemon, n, 10, 11) for n in (0, 1)] == [200] * 2


def test_P13_data_of_a_key_of_a_file_is_merged_where_its_keystore_opens(make_daemon):
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    assert sign(daemon, 0, 9, 10) == 200
    history = interchange(validator(KEYS[0], [], [(19, 20)]), validator(KEYS[1], [], [(29, 30)]))
    assert import_keys(daemon, 0, 1, history=history) == ["duplicate", "imported"]
    assert [sign(daemon, 0, 18, 20), sign(daemon, 0, 20, 21), sign(daemon, 1, 28, 30), sign(daemon, 1, 30, 31)] == [412, 200, 412, 200]


def test_P13_two_thousand_keystores_with_their_data(make_daemon):
    daemon = start(make_daemon)
    made = many(2000, cost=2)
    wrong = {n for n in range(2000) if n % 100 == 50}
    history = interchange(*[validator(pubkey, [n + 1], [(n, n + 1)]) for n, (pubkey, _, _) in enumerate(made)])
    body = {
        "keystores": [text for _, text, _ in made],
        "passwords": [("not " if n in wrong else "") + password for n, (_, _, password) in enumerate(made)],
        "slashing_protection": json.dumps(history),
    }
    code, answer = call(daemon, "POST", MANAGER, body, timeout=300)
    assert code == 200, answer
    assert [item["status"] for item in answer["data"]] == ["error" if n in wrong else "imported" for n in range(2000)]
    known = {v["pubkey"]: v["signed_attestations"] for v in exported(daemon)["data"]}
    assert set(known) == {pubkey for n, (pubkey, _, _) in enumerate(made) if n not in wrong}
    for n, (pubkey, _, _) in enumerate(made):
        assert n in wrong or known[pubkey][-1]["target_epoch"] == str(n + 1)


def test_P16_a_key_comes_back_with_its_history_alone_and_no_watermark_goes_down(make_daemon):
    daemon = start(make_daemon)
    assert import_keys(daemon, 1) == ["imported"]
    assert sign(daemon, 1, 9, 10) == 200
    _, exported = delete_keys(daemon, 1)
    assert import_keys(daemon, 1) == ["error"]
    assert sign(daemon, 1, 10, 11) == 404
    older = interchange(validator(KEYS[1], [], [(1, 2)]))
    assert import_keys(daemon, 1, history=older) == ["imported"]
    assert sign(daemon, 1, 8, 10) == 412
    assert sign(daemon, 1, 10, 11) == 200
    delete_keys(daemon, 1)
    assert import_keys(daemon, 1, history=exported) == ["imported"]
    assert sign(daemon, 1, 8, 11) == 412
    assert sign(daemon, 1, 11, 12) == 200


def test_what_was_imported_outlives_the_process(make_daemon):
    daemon = start(make_daemon)
    assert import_keys(daemon, *range(5)) == ["imported"] * 5
    assert [sign(daemon, n) for n in range(5)] == [200] * 5
    daemon.kill_all()
    daemon.start()
    assert set(listed(daemon)) == set(KEYS[:5])
    assert [sign(daemon, n, 1, 2) for n in range(5)] == [200] * 5  # the same again
    assert [sign(daemon, n, 0, 2) for n in range(5)] == [412] * 5


def test_keys_in_memory_alone_are_gone_with_it_and_said_to_be(make_daemon):
    daemon = start(make_daemon, config={"http": {"key_manager_api": {"storage": "memory"}}})
    assert import_keys(daemon, 1) == ["imported"]
    assert sign(daemon, 1) == 200
    code, answer = call(daemon, "GET", "/api/v1/chamber/keys")
    assert (code, [key["source"] for key in answer["data"]]) == (200, ["memory"])
    assert daemon.stop() == 0
    daemon.start()
    assert not listed(daemon)


# --- other people's clients -------------------------------------------------------------------------------------------


def test_an_import_as_charon_sends_it(make_daemon):
    """All shares of a cluster in one request, each with a password of its own; Charon waits two seconds for each."""
    count = 300
    daemon = start(make_daemon)
    made = many(count)
    body = {"keystores": [text for _, text, _ in made], "passwords": [password for _, _, password in made]}
    text = json.dumps(body, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    began = time.monotonic()
    code, answer = call(daemon, "POST", MANAGER, text, headers={"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"})
    took = time.monotonic() - began
    print(f"{count} keystores in {took:.2f} s")
    assert code == 200 and [item["status"] for item in answer["data"]] == ["imported"] * count
    assert took < 2 * count
    assert set(listed(daemon)) == {pubkey for pubkey, _, _ in made}
    assert daemon.sign(made[-1][0], messages.attestation(1, 2))[0] == 200
    code, answer = call(daemon, "POST", MANAGER, text)
    assert [item["status"] for item in answer["data"]] == ["duplicate"] * count


def test_a_pass_as_an_ssv_signer_makes_it(make_daemon):
    """Keys come one share at a time, are listed, and are removed again; a delete that is repeated is no error."""
    daemon = start(make_daemon)
    for number in range(4):
        assert listed(daemon).keys() == set(KEYS[:number])
        assert import_keys(daemon, number) == ["imported"]
        assert import_keys(daemon, number) == ["duplicate"]
    assert set(json.loads(daemon.get("/api/v1/eth2/publicKeys")[2])) == set(KEYS[:4])
    for number in range(4):
        assert delete_keys(daemon, number)[0] == ["deleted"]
        assert delete_keys(daemon, number)[0] == ["not_active"]
        assert listed(daemon).keys() == set(KEYS[number + 1 : 4])
    assert json.loads(daemon.get("/api/v1/eth2/publicKeys")[2]) == []


def running(pid):
    """How many threads of the process run, or would if there were a processor for them."""
    count = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            stat = pathlib.Path(f"/proc/{pid}/task/{thread}/stat").read_text()
        except OSError:
            continue
        count += stat[stat.rindex(")") + 2] == "R"
    return count


@pytest.mark.long_form
def test_keystores_are_decrypted_beside_each_other(make_daemon):
    """By as many threads as there are processors, however busy those are; what it saves is printed."""
    processors = len(os.sched_getaffinity(0))
    if processors < 2:
        pytest.skip("left out: one processor")
    daemon = start(make_daemon)
    made = many(20, cost=1 << 15)

    def take(some):
        body = {"keystores": [text for _, text, _ in some], "passwords": [password for _, _, password in some]}
        began = time.monotonic()
        code, answer = call(daemon, "POST", MANAGER, body)
        assert code == 200 and {item["status"] for item in answer["data"]} == {"imported"}, answer
        return time.monotonic() - began

    alone = sum(take([one]) for one in made[:4]) / 4
    most, vault = 0, daemon.room("vault")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(take, made[4:])
        while not asked.done():
            most = max(most, running(vault))
        together = asked.result()
    print(f"{processors} processors: one {alone * 1000:.0f} ms, sixteen {together * 1000:.0f} ms, {most} threads at work")
    assert most >= min(processors, 16), most


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.long_form
def test_no_more_imports_than_allowed_at_one_time(make_daemon):
    daemon = start(make_daemon, config={"http": {"key_manager_api": {"max_concurrent_writes": 1}}})
    slow = many(6, cost=1 << 16)
    body = {"keystores": [text for _, text, _ in slow], "passwords": [password for _, _, password in slow]}

    def until_it_has_room():
        code, answer = 503, None
        while code == 503:  # the other one was first
            code, answer = call(daemon, "POST", MANAGER, body)
        return code, answer

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(until_it_has_room)
        refused = wait_for("a refusal", lambda: first.done() or call(daemon, "POST", MANAGER, import_body(1))[0] == 503)
        code, answer = first.result()
    assert refused and code == 200, answer
    assert len(listed(daemon)) >= 6
    wait_for("room again", lambda: call(daemon, "POST", MANAGER, import_body(2))[0] == 200)


@pytest.mark.long_form
def test_when_the_time_is_over_the_rest_is_an_error_and_can_be_repeated(make_daemon):
    daemon = start(make_daemon, config={"http": {"key_manager_api": {"request_timeout_seconds": 1}}})
    slow = many(192, cost=1 << 14)  # steps are short, so that the first one is answered on a busy machine too
    body = {"keystores": [text for _, text, _ in slow], "passwords": [password for _, _, password in slow]}
    code, answer = call(daemon, "POST", MANAGER, body)
    statuses = [item["status"] for item in answer.get("data", [])]
    assert code == 200 and "error" in statuses and "duplicate" not in statuses, answer
    assert any("time was over" in item["message"] for item in answer["data"])

    def again():
        code, answer = call(daemon, "POST", MANAGER, body)
        return code == 200 and "error" not in [item["status"] for item in answer["data"]]

    wait_for("the rest", again, 120)
    assert set(listed(daemon)) == {pubkey for pubkey, _, _ in slow}


def resident(pid):
    """Bytes of memory that the process has, the most so far."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024


def hostile_bodies():
    deep = '{"keystores":["' + '{\\"crypto\\":' * 4000 + '"],"passwords":["x"]}'
    huge = json.loads(keystore(1))
    huge["crypto"]["kdf"] = {"function": "scrypt", "params": {"dklen": 32, "n": 1 << 40, "r": 1 << 20, "p": 1 << 20, "salt": "00" * 32}, "message": ""}
    twice = keystore(2).replace('"version"', '"version":4,"version"')
    yield "a deep keystore", deep, (200, 400)
    yield "huge parameters", json.dumps({"keystores": [json.dumps(huge)] * 100, "passwords": ["x"] * 100}), (200,)
    yield "a member twice", json.dumps({"keystores": [twice], "passwords": [PASSWORD]}), (200,)
    yield "64 MiB of keystores", json.dumps({"keystores": ["x" * 60000] * 1090, "passwords": ["y"] * 1090}), (200,)
    yield "more than 64 MiB", "[" + " " * (64 << 20) + "]", (413,)
    yield "values without end", '{"keystores":[' + "1," * (8 << 20) + "1]}", (413,)
    yield "one long password", json.dumps({"keystores": [keystore(3)], "passwords": ["p" * (32 << 20)]}), (200,)
    yield "bad UTF-8", b'{"keystores":["' + b"\xc0\xaf" * 1000000 + b'"],"passwords":["x"]}', (400,)
    yield "a long history", json.dumps({"keystores": [keystore(4)], "passwords": [PASSWORD], "slashing_protection": "[" * (40 << 20)}), (400,)


def test_P24_hostile_bodies_cost_bounded_memory_and_nobody_else(make_daemon):
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    front = daemon.room("front")
    slowest = 0.0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for name, body, codes in hostile_bodies():
            asked = pool.submit(hostile, daemon, body)
            while not asked.done():
                began = time.monotonic()
                assert daemon.status_of("/upcheck") == 200
                slowest = max(slowest, time.monotonic() - began)
            code, answer = asked.result()
            assert code in codes, (name, code, answer)
            if code == 200:
                assert {item["status"] for item in answer["data"]} == {"error"}, (name, answer)
    print(f"the front had at most {resident(front) >> 20} MiB; the slowest /upcheck took {slowest * 1000:.0f} ms")
    assert daemon.room("front") == front
    assert resident(front) < 400 << 20
    assert slowest < 2.0
    assert sign(daemon, 0) == 200
    assert listed(daemon) == {KEYS[0]: True}


def hostile(daemon, body):
    try:
        return call(daemon, "POST", MANAGER, body)
    except (OSError, http.client.HTTPException):
        return 413, None  # refused by its length, and the connection with it


def test_a_front_that_dies_midway_leaves_each_key_whole(make_daemon):
    daemon = start(make_daemon)
    slow = many(24, cost=1 << 15)
    body = {"keystores": [text for _, text, _ in slow], "passwords": [password for _, _, password in slow]}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(hostile, daemon, body)
        wait_for("the first keys", lambda: asked.done() or len(listed(daemon)) > 0)
        daemon.kill_room("front")
        asked.result()
    wait_for("the new front", lambda: os.path.exists(daemon.unix) and daemon.status_of("/upcheck") == 200)
    for pubkey in listed(daemon):
        assert daemon.sign(pubkey, messages.attestation(1, 2))[0] == 200
    code, answer = call(daemon, "POST", MANAGER, body)
    assert code == 200 and {item["status"] for item in answer["data"]} <= {"imported", "duplicate"}, answer
    assert len(listed(daemon)) == 24


@pytest.mark.long_form
def test_lists_of_many_keys_come_whole(make_daemon):
    daemon = start(make_daemon)
    made = many(700)
    body = {"keystores": [text for _, text, _ in made], "passwords": [password for _, _, password in made]}
    code, answer = call(daemon, "POST", MANAGER, body)
    assert code == 200 and {item["status"] for item in answer["data"]} == {"imported"}, answer
    assert list(listed(daemon)) == sorted(pubkey for pubkey, _, _ in made)
    assert len(bls_keys.make(700)) == 700
    code, answer = call(daemon, "DELETE", MANAGER, {"pubkeys": [pubkey for pubkey, _, _ in made]})
    assert code == 200 and {item["status"] for item in answer["data"]} == {"deleted"}, answer
    assert len(json.loads(answer["slashing_protection"])["data"]) == 700
    assert not listed(daemon)


# --- scopes -----------------------------------------------------------------------------------------------------------

TOKENS = {
    "lister": ("cc_token_" + "l" * 43, ["list_keys"]),
    "importer": ("cc_token_" + "i" * 43, ["import_keystores"]),
    "deleter": ("cc_token_" + "d" * 43, ["delete_keys"]),
}


def ask_as(daemon, name, method, path, body=None):
    """(status, answer) over TCP with the token of that name."""
    headers = {"Authorization": f"Bearer {TOKENS[name][0]}"}
    code, _, answer = daemon.connect().request(method, path, body, headers)
    return code, json.loads(answer)


def test_each_method_has_a_scope_of_its_own_and_the_history_comes_with_it(make_daemon):
    policies = {name: {"token": f"env:TOKEN_{name}", "allowed_scopes": scopes} for name, (_, scopes) in TOKENS.items()}
    environment = {f"TOKEN_{name}": token for name, (token, _) in TOKENS.items()}
    daemon = start(make_daemon, keys=interop.SECRETS[:1], config={"auth_policies": policies}, environment=environment)
    history = interchange(validator(KEYS[1], [50], [(9, 10)]), validator(KEYS[0], [60], []))
    allowed = {("lister", "GET"), ("importer", "POST"), ("deleter", "DELETE")}
    for method, body in (("POST", import_body(1, history=history)), ("GET", None), ("DELETE", {"pubkeys": [KEYS[1]]})):
        for name in TOKENS:
            code, answer = ask_as(daemon, name, method, MANAGER, body)
            assert code == (200 if (name, method) in allowed else 403), (name, method, answer)
            if (name, method) == ("deleter", "DELETE"):
                assert answer["data"][0]["status"] == "deleted", answer
                exported = json.loads(answer["slashing_protection"])
                assert [(v["pubkey"], v["signed_attestations"][0]["target_epoch"]) for v in exported["data"]] == [(KEYS[1], "10")]
    # Neither of them is a way around the scopes of the history itself.
    for name in TOKENS:
        assert ask_as(daemon, name, "GET", "/api/v1/chamber/slashing")[0] == 403
        assert ask_as(daemon, name, "POST", "/api/v1/chamber/slashing", history)[0] == 403
    # A file that has nothing of these keys is no reason to refuse, and nothing of others comes in.
    code, answer = ask_as(daemon, "importer", "POST", MANAGER, import_body(2, history=interchange(validator(KEYS[5], [70], []))))
    assert (code, answer["data"][0]["status"]) == (200, "imported"), answer
    assert delete_keys(daemon, 5)[0] == ["not_found"]


def test_what_a_stranger_sends_is_not_read(make_daemon):
    """P24: without a scope there is no answer but the refusal, whatever the body is."""
    daemon = start(make_daemon)
    for body in (import_body(), "{", {"keystores": ["{}"], "passwords": []}, import_body(1)):
        for method in ("POST", "DELETE"):
            code, _, answer = daemon.connect().request(method, MANAGER, body if isinstance(body, dict) else body.encode())
            assert code == 401, (method, body, answer)
