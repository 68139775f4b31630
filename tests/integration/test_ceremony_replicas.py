"""Two real signers of one chamber in one PostgreSQL: what one has been brought the other finds, and each is unsealed for itself."""
import concurrent.futures
import os
import pathlib
import sys

import interop
import pytest
from daemon import merge, wait_for
from key_routes import call
from seal_client import CHAMBER, Operator, register_all, setup_token, state, status
from test_ceremony import NAMES, approve, rotate, unseal
from test_latch import try_status
from test_replicas import join
from test_seal import has_begun_anew

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

pytestmark = pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")
INTERVAL = 5.0  # seconds: the refresh interval is one; the machine may be busy


@pytest.fixture(name="url")
def _url():
    with postgres.Postgres() as server:
        yield server.url()


@pytest.fixture(name="operators")
def _operators(tmp_path):
    return [Operator(tmp_path, name) for name in NAMES]


@pytest.fixture(name="pair")
def _pair(make_daemon, url):
    both = []
    for number in range(2):
        config = {"signer_state": {"backend": "postgres", "url": url, "seal": "ceremony"}, "anti_slashing": {"backend": "postgres", "url": url}}
        one = make_daemon(keys=interop.SECRETS[:1], config=config)
        one.unix = f"/tmp/cc-pair-{os.getpid()}-{number}.sock"
        one.config = merge(one.config, {"server": {"unix_socket": one.unix}})
        one.write_config()
        both.append(one)
    both[0].init()
    join(both[1], both[0])
    for one in both:
        one.start(ready=False)
        wait_for("the status", lambda one=one: state(one) == "uninitialized")
    yield both
    for one in both:
        pathlib.Path(one.unix).unlink(missing_ok=True)


def sees(one, wanted):
    wait_for(f"{wanted} within the interval", lambda: state(one) == wanted, INTERVAL)


def body(one, operators):
    return {"setup_token": setup_token(one), "mode": "operators", "operators": [o.described() for o in operators], "operator_threshold": 2}


def begin(one, operators):
    code, made = call(one, "POST", f"{CHAMBER}/init", body(one, operators))
    assert code == 200, made
    return made


def test_what_one_replica_is_brought_the_other_sees(pair, operators):
    one, two = pair
    made = begin(one, operators)
    sees(two, "awaiting_registration")
    register_all(one, operators, made)
    sees(one, "sealed")
    sees(two, "sealed")
    unseal(one, *operators[:2])
    assert state(two) == "sealed"  # T26: shares stay where they were brought
    unseal(two, *operators[1:])
    digest = rotate(one, "master")
    code, answer = operators[1].approve(two, digest)  # where it may not have been seen yet
    assert (code, answer["approves"]) == (200, "proposal"), answer
    sees(two, "awaiting_rotation")
    approve(one, digest, operators[0], operators[2])
    for signer in pair:  # both stay open: over the bridge
        wait_for("the new set", lambda signer=signer: status(signer)["seal"]["generation"] == 2 and state(signer) == "unsealed", 40)


def test_of_two_inits_at_once_one_wins(pair, operators):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        bodies = [body(one, operators) for one in pair]
        answers = [job.result() for job in [pool.submit(call, one, "POST", f"{CHAMBER}/init", text) for one, text in zip(pair, bodies)]]
    assert sorted(code for code, _ in answers) == [200, 409], answers
    [made] = [answer for code, answer in answers if code == 200]
    for one in pair:
        sees(one, "awaiting_registration")
    register_all(pair[0], operators, made)  # whoever has won
    for one in pair:
        sees(one, "sealed")


def test_T25_a_seal_on_one_replica_seals_the_other(pair, operators):
    one, two = pair
    register_all(one, operators, begin(one, operators))
    for signer in pair:
        sees(signer, "sealed")
        unseal(signer, *operators[:2])
    assert call(one, "POST", f"{CHAMBER}/seal", b"")[0] == 200
    for signer in pair:
        wait_for("rooms that are new", lambda signer=signer: has_begun_anew(signer), 40)
        wait_for("latched", lambda signer=signer: try_status(signer) and status(signer)["latched"])
    unseal(one, *operators[1:])
    assert not status(one)["latched"] and status(two)["latched"]  # each by its own ceremony
    unseal(two, *operators[:2])
    assert not status(two)["latched"]
