"""Ceremonies of two replicas while KMS or the store fails: always a way forward or back, and nothing is lost."""
import contextlib
import pathlib
import sys
import threading
import time

import pytest
from daemon import wait_for
from forms import FULL
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_body, import_keys, sign
from seal_client import CHAMBER, call, owner_approves, register_all, state, status
from shared_chamber import (
    GRACE, INTERVAL, NAMES, Database, Mock, Signing, Table, begin, both_through, generation, init_body, make_pair, make_quorum, people, persist, register,
    rotate_quorum, sees, state_now, tokens_at, watch,
)  # fmt: skip
from test_ceremony import approve, rotate, signs, unseal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position
import kms as kms_module  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position

long_form = pytest.mark.skipif(not FULL, reason="left out: the long form (CC_FULL=1) does it")
# What KMS does, and what the status calls it.
KMS_FAULTS = {
    "denied": ("AWS_DENIED", ""),
    "throttle": ("AWS_THROTTLED", ""),
    "cut": ("AWS_UNREACHABLE", ""),
    "500": ("AWS_UNREACHABLE", ""),
    "delay": ("AWS_UNREACHABLE", "9000"),
    "other-plain": ("TAMPERED", ""),
    "no-json": ("KMS_ANSWER", ""),
}
SHORT_KMS_FAULTS = ("denied", "throttle", "delay")
kms_faults = list(KMS_FAULTS) if FULL else list(SHORT_KMS_FAULTS)


@pytest.fixture(name="kms")
def the_kms():
    with kms_module.Kms() as server:
        server.tell(f"everything {kms_module.ROLE}")
        yield Mock(server)


@pytest.fixture(name="operators")
def the_operators(tmp_path):
    return people(tmp_path, *NAMES)


@pytest.fixture(name="server", scope="module")
def the_server():
    if postgres.bin_dir() is None:
        pytest.skip("left out: PostgreSQL is not installed")
    with postgres.Postgres() as server:
        yield server


@pytest.fixture(name="aws", scope="module")
def the_aws():
    if aws_module.missing():
        pytest.skip("left out: " + aws_module.missing())
    with aws_module.Aws() as aws:
        yield aws


@contextlib.contextmanager
def kms_fails(kms, kind, count=-1):
    kms.server.tell(f"fault {kind} * {count} {KMS_FAULTS[kind][1]}")
    try:
        yield
    finally:
        kms.server.tell("clear")


def is_untouched(pair):
    for each in pair:
        now = status(each)
        assert now["state"] == "uninitialized" and "rotation" not in now and "seal" not in now, now


# --- KMS ------------------------------------------------------------------------------------------------------------------


def kms_errors(one):
    return {key.get("error") for key in status(one)["seal"]["kms"]["keys"]}


def test_P25_kms_that_fails_holds_up_and_loses_nothing(make_daemon, server, kms, operators, tmp_path):
    pair = one, two = make_pair(make_daemon, Database(server), kms)
    arns, more = kms.create(), kms.create()
    body = init_body(one, "quorum", operators, arns)
    for kind in kms_faults:
        with kms_fails(kms, kind):
            code, answer = call(one, "POST", f"{CHAMBER}/init", body)
            assert code in (500, 502, 503, 504), (kind, code, answer)
        is_untouched(pair)
    with kms_fails(kms, "throttle", 2):  # those are asked again at once
        code, made = call(one, "POST", f"{CHAMBER}/init", body)
        assert code == 200, made
    register_all(one, operators, made)
    for each in pair:
        sees(each, "kms_unsealed", 20)
        unseal(each, *operators[:2])
    assert import_keys(one, 1, 2, path=KEYS_ROUTE) == ["imported"] * 2
    wait_for("the keys", lambda: sign(two, 1) == 200, INTERVAL)
    # A start: it waits, says which keys, and asks again.
    assert two.stop() == 0
    for number, kind in enumerate(kms_faults):
        with kms_fails(kms, kind):
            if number == 0:
                begin(two, "sealed")
            watch(f"{kind} to be told", lambda kind=kind: kms_errors(two) == {KMS_FAULTS[kind][0]}, 90)
            assert state(two) == "sealed" and sign(one, 1, 10 + number, 11 + number) == 200
    sees(two, "kms_unsealed", 90)
    unseal(two, *operators[1:])
    # A rotation to other keys: approved once, it goes on as soon as KMS does.
    with Signing(pair, 2, 100) as signing:
        for kind in kms_faults[:1]:
            with kms_fails(kms, kind):
                approve(one, rotate(one, "kms", kms_key_arns=more, kms_threshold=2), *operators[:2])
                wait_for("a try", lambda: "could not be made: trying again" in one.log_text())
                assert status(one)["rotation"]["phase"] == "proposed"
        both_through(pair, 2)
        # Who made a set has its wrapping key; another replica, where somebody registers, asks the KMS keys of the set.
        new = people(tmp_path, "dave", "erin")
        wanted = {"mode": "quorum", "kms_key_arns": arns, "kms_threshold": 2, "operators": [o.described() for o in new], "operator_threshold": 2}
        two.line.set("cut")
        approve(one, rotate(one, "mode", **wanted), *operators[:2])
        made = tokens_at(one)[1]
        with kms_fails(kms, "denied"):
            assert register(one, new[0], made)[0] == 200
            two.line.set("open")
            wait_for("the set", lambda: state_now(two) and status(two).get("rotation", {}).get("pending") == ["erin"], 20)
            wait_for("the try", lambda: "too few KMS keys have opened their shares of the staged set" in two.log_text())
            code, answer = new[1].register(two, new[1].token_of(made["registration_tokens"]), made["set_fingerprint"])
            assert code in (409, 503), answer
        assert register(two, new[1], made)[0] == 200
        both_through(pair, 3)
        assert [r for r in signing.refused if r[0] == 0] == [], signing.refused
    kms.disable(arns[0], *more)
    assert one.stop() == 0
    begin(one, "kms_unsealed")
    unseal(one, *new)
    signs(one, 1, 5000, 5001)
    assert one.stop() == 0 and two.stop() == 0


@long_form
def test_P25_the_owner_approves_again_when_kms_is_back(make_daemon, server, kms):
    """Mode kms, where no quorum's approval waits: each try is answered."""
    more = kms.create()
    pair = one, two = make_pair(make_daemon, Database(server), kms, allowed_kms_key_arns=more)
    code, made = call(one, "POST", f"{CHAMBER}/init", init_body(one, "kms", arns=kms.create()))
    assert code == 200, made
    sees(two, "unsealed")
    assert import_keys(one, 1, path=KEYS_ROUTE) == ["imported"]
    digest = rotate(one, "kms", kms_key_arns=more, kms_threshold=2)
    for kind in kms_faults:
        with kms_fails(kms, kind):
            code, answer = owner_approves(one, digest)
            assert code not in (200, 403, 409), (kind, answer)
            assert status(one)["rotation"]["phase"] == "proposed" and generation(one) == 1
    sees(two, "awaiting_rotation")
    assert owner_approves(two, digest)[0] == 200
    both_through(pair, 2)
    for each, epoch in zip(pair, (10, 20)):
        signs(each, 1, epoch, epoch + 1)
    assert one.stop() == 0 and two.stop() == 0


# --- the store ---------------------------------------------------------------------------------------------------------------


class Cut:
    """The line of a replica."""

    def __init__(self, pair, mode):
        self.lines, self.mode = (pair[0].line, pair[0].keys_line), mode

    def begin(self):
        for line in self.lines:
            line.set(self.mode)

    def end(self):
        for line in self.lines:
            line.set("open")


class Answers:
    """DynamoDB's answers, to both replicas."""

    def __init__(self, aws, kind):
        self.aws, self.kind = aws, kind

    def begin(self):
        self.aws.fault(self.kind, "TransactWriteItems", -1)
        self.aws.fault(self.kind, "PutItem", -1)

    def end(self):
        self.aws.clear()


@contextlib.contextmanager
def trouble(what, after=0.0, seconds=0.6):
    """It begins while the block runs, and is over by itself."""
    def run():
        time.sleep(after)
        what.begin()
        time.sleep(seconds)
        what.end()

    thread = threading.Thread(target=run)
    if after == 0.0:
        what.begin()
    thread.start()
    try:
        yield
    finally:
        thread.join()


def is_asked_for(one):
    return state_now(one) in ("awaiting_registration", "kms_unsealed", "sealed", "unsealed")


def are_imported(one, *numbers):
    code, answer = call(one, "POST", KEYS_ROUTE, import_body(*numbers))
    return code == 200 and {item["status"] for item in answer["data"]} <= {"imported", "duplicate"}


def phase(one):
    return status(one).get("rotation", {}).get("phase") if state_now(one) else "unknown"


def through_all(pair, what, operators, arns, after):
    """From nothing to a second generation, each step in trouble. What was answered does not matter: what the chamber says then does."""
    one, two = pair
    body = init_body(one, "quorum", operators, arns)
    with trouble(what, after):
        persist(call, one, "POST", f"{CHAMBER}/init", body, settled=lambda: is_asked_for(one))
    code, made = persist(tokens_at, one)
    assert code == 200
    for number, operator in enumerate(operators):
        with trouble(what, after):
            register(pair[number % 2], operator, made)
    for each in pair:
        sees(each, "kms_unsealed", 30)
    with trouble(what, after):
        for operator in operators[:2]:
            for each in pair:
                persist(operator.unseal, each, settled=lambda each=each: state_now(each) == "unsealed")
    for each in pair:
        sees(each, "unsealed")
    watch("the keys here", lambda: are_imported(one, 1, 2), 20)  # the history's line is noticed to be there again a moment after the state's
    wait_for("the keys there", lambda: sign(two, 1) == 200, INTERVAL)
    with trouble(what, after):
        persist(call, one, "POST", f"{CHAMBER}/rotate/master", {}, good=(202,), settled=lambda: phase(one) == "proposed")
    digest = status(one)["rotation"]["digest"]
    with trouble(what, after):
        for operator in operators[1:]:
            persist(operator.approve, one, digest, settled=lambda: phase(one) not in ("proposed", "unknown"))
    watch("rows that are begun", lambda: phase(two) in ("rewriting", None), GRACE)
    with trouble(what, after, 2.0):
        pass
    both_through(pair, 2, 60)


def ends_well(pair, operators):
    one, two = pair
    for each, epoch in zip(pair, (100, 200)):
        signs(each, 1, epoch, epoch + 1)
        signs(each, 2, epoch, epoch + 1)
        assert "is refused" not in each.log_text()
    assert one.stop() == 0
    begin(one, "kms_unsealed")
    unseal(one, operators[0], operators[2])
    signs(one, 1, 300, 301)
    assert one.stop() == 0 and two.stop() == 0


AFTER = (0.0, 0.005, 0.02) if FULL else (0.0,)
MODES = ("refuse", "cut", "black-hole", "half-open")


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("mode", MODES if FULL else ("black-hole",))
def test_P19_a_line_to_postgres_that_fails_at_each_step(make_daemon, server, kms, operators, mode, after):
    pair = make_pair(make_daemon, Database(server), kms)
    through_all(pair, Cut(pair, mode), operators, kms.create(), after)
    ends_well(pair, operators)


@long_form
@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("mode", MODES)
def test_P19_a_line_to_dynamodb_that_fails_at_each_step(make_daemon, aws, kms, operators, mode, after):
    aws.clear()
    pair = make_pair(make_daemon, Table(aws), kms)
    through_all(pair, Cut(pair, mode), operators, kms.create(), after)
    ends_well(pair, operators)


@pytest.mark.parametrize("kind", ("drop", "500after", "throttle", "denied", "503", "half") if FULL else ("drop",))
def test_P19_a_table_that_throttles_or_loses_answers_at_each_step(make_daemon, aws, kms, operators, kind):
    aws.clear()
    pair = make_pair(make_daemon, Table(aws), kms)
    through_all(pair, Answers(aws, kind), operators, kms.create(), 0.0)
    ends_well(pair, operators)
    assert aws.refused() == 0


def test_a_replica_that_is_cut_off_from_a_whole_rotation_is_sealed_by_it(make_daemon, server, kms, operators, tmp_path):
    """Its own master key opens nothing that there is now; the others did not wait for it, and it is unsealed as after a start."""
    pair = one, two = make_pair(make_daemon, Database(server), kms)
    make_quorum(pair, operators, kms.create())
    assert import_keys(one, 1, path=KEYS_ROUTE) == ["imported"]
    wait_for("the key", lambda: sign(two, 1) == 200, INTERVAL)
    for line in (two.line, two.keys_line):
        line.set("refuse")
    new = people(tmp_path, "dave", "erin")
    rotate_quorum(one, operators, new)
    made = tokens_at(one)[1]
    for person in new:
        register(one, person, made)
    both_through([one], 2)
    assert generation(two) == 1 and state(two) == "unsealed"
    two.line.set("open")
    sees(two, "kms_unsealed", 20)
    assert sign(two, 1, 5, 6) == 503
    assert operators[0].unseal(two)[0] == 403
    unseal(two, *new)
    # The rows that it knows are those of before: they open no more, and it takes the newest as soon as it can read them.
    wait_for("the rows of before", lambda: "can't be loaded" in two.log_text())
    assert sign(two, 1, 5, 6) != 200
    two.keys_line.set("open")
    signs(two, 1, 5, 6)
    assert one.stop() == 0 and two.stop() == 0
