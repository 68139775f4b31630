"""Ceremonies of two replicas with one state and key store, in a real PostgreSQL and in DynamoDB (moto): both at once, one after the other, and without
one of them.
"""
import pathlib
import sys

import pytest
from daemon import wait_for
from forms import FULL
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys, sign
from seal_client import CHAMBER, Operator, call, owner_approves, setup_token, state, status
from shared_chamber import (
    GRACE, INTERVAL, NAMES, Database, Mock, Signing, Table, at_once, begin, both_through, init_body, make_one, make_pair, make_quorum, people, persist, register,
    rotate_quorum, sees, state_now, tokens_at, watch,
)  # fmt: skip
from test_ceremony import approve, rotate, signs, unseal
from test_key_stores import join

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position
import kms as kms_module  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position




def short(*stores):
    """In the short form this test is made with these alone; the long form (CC_FULL=1) has both."""
    def mark(function):
        function.stores = stores
        return function
    return mark


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


@pytest.fixture(name="place", params=["postgres", "dynamodb"])
def a_place(request):
    if not FULL and request.param not in request.function.stores:
        pytest.skip("left out: the long form (CC_FULL=1) does it with this store too")
    if request.param == "postgres":
        return Database(request.getfixturevalue("server"))
    place = Table(request.getfixturevalue("aws"))
    place.aws.clear()
    return place


@pytest.fixture(name="kms")
def the_kms():
    with kms_module.Kms() as server:
        server.tell(f"everything {kms_module.ROLE}")
        yield Mock(server)


@pytest.fixture(name="operators")
def the_operators(tmp_path):
    return people(tmp_path, *NAMES)


@pytest.fixture(name="keepers")
def the_keepers(tmp_path):
    return people(tmp_path, "safe-1", "safe-2")


@pytest.fixture(name="pair")
def a_pair(make_daemon, place, kms):
    return make_pair(make_daemon, place, kms)


def shares_of(made, keepers):
    """What the break-glass files say, for each keeper."""
    files = {item["recipient"]: item["age"] for item in made["break_glass"]}
    return [bytes.fromhex(k.decrypt(files[k.public_key]).strip().split(":")[4]) for k in keepers]


def break_glass(one, shares):
    glass = Operator.__new__(Operator)
    glass.name = "break-glass"
    for n, share in enumerate(shares):
        glass.credential = share
        code, answer = glass.give(one, "break_glass", "/break-glass")
        assert (code, answer["have"]) == (200, n + 1), answer


def quietly(pair):
    for one in pair:
        assert "is refused" not in one.log_text() and one.stop() == 0


# --- both at once ------------------------------------------------------------------------------------------------------------


@short("dynamodb")
def test_P25_two_replicas_from_two_inits_to_a_rotation_that_both_approve(pair, kms, operators, keepers, tmp_path):
    one, two = pair
    arns, more = kms.create(), kms.create(2)
    bodies = [init_body(each, "quorum", operators, arns, keepers) for each in pair]
    answers = at_once(*((call, each, "POST", f"{CHAMBER}/init", body) for each, body in zip(pair, bodies)))
    assert sorted(code for code, _ in answers) == [200, 409], answers
    [made] = [answer for code, answer in answers if code == 200]
    took = [sees(each, "awaiting_registration") for each in pair]
    for each in pair:  # T13: of both, whoever has won
        wait_for("the end of the setup token", lambda each=each: state_now(each) and not (each.data_dir / "setup-token").exists(), INTERVAL)
    at_once((register, one, operators[0], made), (register, two, operators[1], made), (register, one, operators[2], made))
    took += [sees(each, "kms_unsealed", 20) for each in pair]
    at_once(*((persist, operator.unseal, each) for operator in operators[:2] for each in pair))
    took += [sees(each, "unsealed") for each in pair]
    assert import_keys(two, 1, 2, path=KEYS_ROUTE) == ["imported"] * 2
    for each in pair:
        signs(each, 1)
    with Signing(pair, 2, 10) as signing:
        body = {"kms_key_arns": more, "kms_threshold": 2, "break_glass": {"threshold": 2, "recipients": [k.public_key for k in keepers]}}
        answers = at_once(*((call, each, "POST", f"{CHAMBER}/rotate/kms", body) for each in pair))
        assert sorted(code for code, _ in answers) == [202, 409], answers
        [digest] = [answer["digest"] for code, answer in answers if code == 202]
        for each in pair:
            sees(each, "awaiting_rotation")
        # Each has its own quorum's approval: each makes a set, and one of the two is stored.
        at_once(*((approve_somehow, operator, each, digest)
                  for operator, each in ((operators[0], one), (operators[1], one), (operators[1], two), (operators[2], two))))  # fmt: skip
        both_through(pair, 2)
        assert signing.refused == [] and signing.count > 20
    found = [answer for code, answer in map(tokens_at, pair) if code == 200]
    assert len(found) == 1 and found[0]["registration_tokens"] == [], found
    print("seconds until the others followed:", [round(t, 2) for t in took])
    kms.disable(*arns, *more)
    assert one.stop() == 0
    begin(one, "sealed")
    break_glass(one, shares_of(found[0], keepers))
    sees(one, "kms_unsealed")
    unseal(one, *operators[1:])
    signs(one, 1, 2000, 2001)
    quietly(pair)


def approve_somehow(operator, one, digest):
    """What was approved may be done already, and then there is nothing to approve."""
    return persist(operator.approve, one, digest, settled=lambda: status(one).get("rotation", {}).get("phase") != "proposed")


# --- one after the other, and without one ----------------------------------------------------------------------------------------


@short("postgres")
def test_a_rotation_while_a_replica_is_down_and_one_that_the_other_ends(pair, kms, operators, tmp_path):
    one, two = pair
    make_quorum(pair, operators, kms.create())
    assert import_keys(one, 1, 2, path=KEYS_ROUTE) == ["imported"] * 2
    wait_for("the keys", lambda: sign(two, 1) == 200, INTERVAL)
    assert two.stop() == 0
    new = people(tmp_path, "dave", "erin")
    digest = rotate_quorum(one, operators, new)
    made = tokens_at(one)[1]
    assert made["set_fingerprint"] == digest
    for person in new:
        register(one, person, made)
    both_through([one], 2)
    begin(two, "kms_unsealed")  # it has slept through all of it
    assert operators[0].unseal(two)[0] == 403
    unseal(two, *new)
    signs(two, 1, 5, 6)
    # Proposed here, approved there; and who has begun with the rows is not there any more.
    digest = rotate(one, "master")
    sees(two, "awaiting_rotation")
    with Signing([two], 2, 10) as signing:
        approve(two, digest, *new)
        for each in pair:
            watch("rows that are begun", lambda each=each: status(each).get("rotation", {}).get("phase") == "rewriting", GRACE)
        one.kill_all()
        both_through([two], 3)
        assert signing.refused == [], signing.refused
    begin(one, "kms_unsealed")
    unseal(one, *new)
    both_through(pair, 3)
    for each, epoch in zip(pair, (5000, 6000)):
        signs(each, 1, epoch, epoch + 1)
        signs(each, 2, epoch, epoch + 1)
    quietly(pair)


@short("postgres")
def test_kms_keys_are_rotated_at_one_replica_and_opened_at_the_other(make_daemon, place, kms, keepers):
    """Mode kms: nobody has to come, neither to the rotation nor to the start after it."""
    arns, more = kms.create(), kms.create(3)
    pair = one, two = make_pair(make_daemon, place, kms, allowed_kms_key_arns=more)
    three = make_one(make_daemon, place, kms)
    join(three, one)
    code, made = call(one, "POST", f"{CHAMBER}/init", init_body(one, "kms", arns=arns))
    assert code == 200 and made["state"] == "unsealed", made
    sees(two, "unsealed")
    assert import_keys(one, 1, path=KEYS_ROUTE) == ["imported"]
    wait_for("the key", lambda: sign(two, 1) == 200, INTERVAL)
    body = {"kms_key_arns": more, "kms_threshold": 2, "break_glass": {"threshold": 2, "recipients": [k.public_key for k in keepers]}}
    code, answer = call(one, "POST", f"{CHAMBER}/rotate/kms", body)
    assert code == 202, answer
    sees(two, "awaiting_rotation")
    begin(three, "awaiting_rotation")
    assert owner_approves(three, answer["digest"])[0] == 403  # T1: its own configuration does not name them
    assert three.stop() == 0
    answers = at_once(*((owner_approves, each, answer["digest"]) for each in pair))
    assert sorted(code for code, _ in answers) in ([200, 409], [200, 200]), answers
    both_through(pair, 2)
    [found] = [answer for code, answer in map(tokens_at, pair) if code == 200]
    kms.disable(*arns, more[0])
    for each in pair:
        assert each.stop() == 0
        begin(each, "unsealed")
        signs(each, 1, 3, 4)
    kms.disable(*more)
    assert two.stop() == 0
    begin(two, "sealed")
    break_glass(two, shares_of(found, keepers))
    sees(two, "unsealed")
    signs(two, 1, 4, 5)
    quietly(pair)


@short()
def test_P23_what_one_has_proposed_the_quorum_cancels_at_the_other(pair, kms, operators, tmp_path):
    one, two = pair
    make_quorum(pair, operators, kms.create())
    digest = rotate_quorum(one, operators, people(tmp_path, "dave", "erin"))
    sees(two, "awaiting_rotation")
    now = status(two)["rotation"]
    assert (now["digest"], now["phase"]) == (digest, "staged")
    approve(two, now["cancel_digest"], *operators[1:])
    for each in pair:
        sees(each, "unsealed")
        assert "rotation" not in status(each)
    approve(two, rotate(two, "master"), *operators[:2])  # nothing of it stands in the way
    both_through(pair, 2)
    quietly(pair)
