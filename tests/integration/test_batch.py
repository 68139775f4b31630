"""POST /api/v1/eth2/sign against the real program: each item alone, in order, one body with as many as it may hold."""
import json
import os
import re
import subprocess
import threading

import pytest

import hostile
import messages
from daemon import SOURCE_DIR, wait_for
from test_http import ask as ask_raw

PATH = "/api/v1/eth2/sign"
SECRETS = [f"0x{i + 1:064x}" for i in range(4)]
# Patient, so that a busy machine does not shed what these tests want signed.
CONFIG = {
    "genesis_validators_root": messages.MINIMAL_GENESIS_ROOT,
    "server": {"request_deadline_seconds": 120},
    "signing": {"duty_deadline_ms": 60000},
}


@pytest.fixture
def signer(make_daemon):
    daemon = make_daemon(keys=SECRETS, config=CONFIG)
    daemon.init()
    return daemon.start()


def keys_of(daemon):
    return json.loads(daemon.get("/api/v1/eth2/publicKeys")[2])


def item(key, message):
    return {"identifier": key, **message}


def ask(daemon, items, headers=None):
    """The array of answers to a batch that was processed."""
    body = items if isinstance(items, bytes) else json.dumps(items).encode()
    status, _, answer = daemon.post(PATH, body, headers=headers)
    assert status == 200, (status, answer[:300])
    answers = json.loads(answer)
    assert len(answers) == (len(json.loads(body)))
    for entry in answers:
        assert set(entry) == ({"status", "signature"} if entry["status"] == 200 else {"status", "error"}), entry
        if entry["status"] != 200:
            assert entry["error"]["code"] == entry["status"] and entry["error"]["rule"], entry
    return answers


def refused(daemon, body, headers=None):
    """Status and rule of a batch that is refused as a whole."""
    status, _, answer = daemon.post(PATH, body if isinstance(body, bytes) else json.dumps(body).encode(), headers=headers)
    error = json.loads(answer)
    assert error["code"] == status and isinstance(error["error"], str), answer
    return status, error["rule"]


def test_one_bad_item_spoils_no_other(signer):
    key = keys_of(signer)[0]
    unknown = "0x" + "a7" * 48
    other_network = messages.attestation(3, 4, genesis_root="0x" + "22" * 32)
    wrong_root = {**messages.attestation(3, 4), "signingRoot": "0x" + "11" * 32}
    items = [
        (item(key, messages.attestation(0, 1)), 200, None),
        (item(unknown, messages.attestation(0, 1)), 404, "KEY_UNKNOWN"),
        (item(key, messages.attestation(0, 1, seed=1)), 412, "DOUBLE_VOTE"),
        (item(key, wrong_root), 400, "ROOT_MISMATCH"),
        (item(key, other_network), 403, "WRONG_NETWORK"),
        (item(key, messages.voluntary_exit(1)), 403, "NOT_ROUTINE"),
        (item(hostile.MARK, messages.attestation(0, 1)), 400, "IDENTIFIER"),
        ({**messages.attestation(0, 1)}, 400, "FIELD_MISSING"),
        ({"identifier": key}, 400, "FIELD_MISSING"),
        (item(key, {**messages.attestation(0, 1), "type": "NO_SUCH"}), 400, "KIND_UNKNOWN"),
        (item(key, json.loads(hostile.changed(("attestation", "slot"), 1 << 64))), 400, "NUMBER_RANGE"),
        (item(key, json.loads(hostile.changed(("attestation", "slot"), "x"))), 400, "MALFORMED"),
        (17, 400, "FIELD_TYPE"),
        (item(key[2:].upper(), messages.randao(5)), 200, None),
        (item(key, messages.block(9)), 200, None),
        (item(key, messages.attestation(1, 2)), 200, None),
    ]
    answers = ask(signer, [sent for sent, _, _ in items])
    got = [(entry["status"], entry.get("error", {}).get("rule")) for entry in answers]
    assert got == [(status, rule) for _, status, rule in items]
    assert hostile.MARK not in json.dumps(answers)
    assert answers[2]["error"]["earlier"] == {"source_epoch": "0", "target_epoch": "1"}
    assert messages.signing_root(messages.attestation(3, 4)) in answers[3]["error"]["error"]
    # what a single request would have got
    for (sent, status, rule), entry in zip(items, answers):
        if status == 200 or not isinstance(sent, dict) or "identifier" not in sent or sent["identifier"] == hostile.MARK:
            continue
        single, _, body = signer.sign(sent["identifier"], {k: v for k, v in sent.items() if k != "identifier"})
        assert (single, json.loads(body)) == (status, entry["error"])


def test_P01_conflicts_inside_one_batch_leave_one_signature(signer):
    keys = keys_of(signer)
    votes = [item(key, messages.attestation(2, 3, seed=seed)) for seed in range(5) for key in keys]
    surrounding = [item(keys[0], messages.attestation(1, 4)), item(keys[0], messages.attestation(2, 5))]
    answers = ask(signer, votes + surrounding)
    for number, key in enumerate(keys):
        of_key = [entry for sent, entry in zip(votes, answers) if sent["identifier"] == key]
        assert [entry["status"] for entry in of_key] == [200, 412, 412, 412, 412], number
    assert [entry["status"] for entry in answers[len(votes):]] == [412, 200]


def test_the_same_claim_twice_gets_the_same_signature_twice(signer):
    keys = keys_of(signer)
    votes = [item(key, messages.attestation(5, 6)) for key in keys] * 3
    signatures = [entry["signature"] for entry in ask(signer, votes)]
    assert signatures[:4] == signatures[4:8] == signatures[8:] and len(set(signatures)) == 4
    assert [entry["signature"] for entry in ask(signer, votes[:4])] == signatures[:4]
    status, _, body = signer.sign(keys[0], messages.attestation(5, 6))
    assert status == 200 and signatures[0] in body.decode()


def test_P17_P24_what_is_no_batch_is_refused_whole(signer):
    key = keys_of(signer)[0]
    good = json.dumps(item(key, messages.attestation(6, 7))).encode()
    assert ask(signer, []) == []
    assert refused(signer, b"") == (400, "JSON_SYNTAX")
    assert refused(signer, b"[" + good) == (400, "JSON_SYNTAX")
    assert refused(signer, b"[" + good + b",]") == (400, "JSON_SYNTAX")
    assert refused(signer, b"[" + good + b"]x") == (400, "JSON_SYNTAX")
    assert refused(signer, good) == (400, "FIELD_TYPE")
    assert refused(signer, b"5") == (400, "JSON_SYNTAX")
    assert refused(signer, b"[" + good + b',"\xff"]') == (400, "JSON_UTF8")
    assert refused(signer, b"[" + good + b',{"a":1,"a":1}]') == (400, "JSON_DUPLICATE_KEY")
    assert refused(signer, b"[" * 65 + b"]" * 65) == (400, "JSON_TOO_DEEP")
    assert ask(signer, b"[" * 64 + b"]" * 64)[0]["status"] == 400
    assert refused(signer, [0] * 2049) == (413, "BODY_TOO_LARGE")
    large = hostile.post(b"[" + b" " * (4 << 20) + b"]", path=PATH)
    assert ask_raw(signer.http_port, large, half_close=False)[0] in (413, hostile.CLOSED)  # the rest of it meets a closed socket
    assert refused(signer, [], headers={"Accept": "text/plain"}) == (406, "NOT_ACCEPTABLE")
    assert refused(signer, [], headers={"Origin": "http://evil"})[0] == 403
    # nothing of those was recorded
    assert signer.sign(key, messages.attestation(6, 7, seed=9))[0] == 200


def test_batches_from_many_clients_at_once(signer):
    keys = keys_of(signer)
    results = {}

    def client(number):
        votes = [item(key, messages.attestation(10 + number * 60 + i, 11 + number * 60 + i)) for i in range(50) for key in keys]
        results[number] = [entry["status"] for entry in ask(signer, votes)]

    threads = [threading.Thread(target=client, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    singles = [signer.sign(keys[0], messages.randao(epoch))[0] for epoch in range(50)]
    for thread in threads:
        thread.join()
    # Which of two batches is recorded first nobody knows; a key that is further already refuses what is older.
    assert sorted(results) == list(range(5)) and set(singles) == {200}
    assert all(set(statuses) <= {200, 412} for statuses in results.values())
    assert max(statuses.count(200) for statuses in results.values()) == 200


def test_ten_thousand_attestations_in_five_batches_at_once(make_daemon):
    """None is refused for how many wait; one that a slow machine can't sign in time is asked for again, as a client would. By
    then the vault may have signed too many later ones to know of it: it is refused."""
    daemon = make_daemon(keys=[f"0x{i + 1:064x}" for i in range(5)], config=CONFIG)
    daemon.init()
    daemon.start()
    first_time = []
    signed = []
    late = []
    odd = []

    def client(key):
        votes = [item(key, messages.attestation(epoch, epoch + 1)) for epoch in range(2000)]
        for attempt in range(10):
            answers = ask(daemon, votes)
            odd.extend(entry for entry in answers if entry["status"] not in (200, 503, *([412] if attempt else [])))
            signed.extend(entry["signature"] for entry in answers if entry["status"] == 200)
            late.extend(entry for entry in answers if entry["status"] == 412)
            votes = [vote for vote, entry in zip(votes, answers) if entry["status"] == 503]
            if attempt == 0:
                first_time.append(2000 - len(votes))
            if not votes:
                return

    threads = [threading.Thread(target=client, args=(key,)) for key in keys_of(daemon)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"signed at the first time: {sum(first_time)}")
    assert not odd
    assert len(signed) == len(set(signed)) == 10000 - len(late)
    assert re.search(r"^containment_http_shed_total 0$", daemon.metrics(), flags=re.M)


def test_a_full_batch_and_a_restart_in_the_middle(signer):
    keys = keys_of(signer)
    full = [item(keys[i % 4], messages.attestation(1000 + i // 4, 1001 + i // 4)) for i in range(2048)]
    assert {entry["status"] for entry in ask(signer, full)} == {200}
    before = signer.rooms()["front"]
    signer.kill_room("front")
    wait_for("a new front", lambda: signer.rooms().get("front") not in (None, before) and signer.status_of("/upcheck") == 200)
    again = ask(signer, full[-512:])
    assert {entry["status"] for entry in again} == {200}


def test_the_documented_command_works(signer):
    page = (SOURCE_DIR / "docs/http-api.md").read_text()
    (command,) = re.findall(r"```sh\n(curl .*?)\n```", page)
    environment = {**os.environ, "SIGNER_URL": f"http://127.0.0.1:{signer.http_port}"}
    assert subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=True, timeout=30).stdout == b"[]"
    message = item(keys_of(signer)[0], messages.attestation(20, 21))
    command = command.replace("'[]'", f"'{json.dumps([message])}'")
    answers = json.loads(subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=True, timeout=30).stdout)
    assert [entry["status"] for entry in answers] == [200]
