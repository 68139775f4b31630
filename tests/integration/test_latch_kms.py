"""T25: an emergency seal, and the way back from it, in the modes that have KMS keys: nothing is loaded, and KMS is not asked, until who may has said so."""
import atexit
import contextlib
import http.client
import itertools
import os
import pathlib
import sys

import interop
import pytest
from daemon import merge, wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys, sign
from seal_client import CHAMBER, Operator, call, init, register_all, state, status
from test_ceremony import NAMES, make_daemon_of, unseal
from test_ceremony_kms import _kms  # noqa: F401  pylint: disable=unused-import
from test_latch import FILE, ROW, is_latched, lift, restart, seal, signs_again, try_status
from test_replicas import join
from test_seal import has_begun_anew

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

_numbers = itertools.count()
MODES = ["kms", "quorum"]


@pytest.fixture(name="operators")
def _operators(tmp_path):
    return [Operator(tmp_path, name) for name in NAMES]


def asked(kms):
    """How often KMS was asked for a share."""
    return int(kms.server.tell("count Decrypt *"))


class Watch:
    """KMS is not asked while this lasts, by a chamber whose ceremony has had its turns."""

    def __init__(self, kms, *daemons):
        self.kms, self.daemons = kms, daemons

    def __enter__(self):
        self.before = asked(self.kms)

    def __exit__(self, kind, *_):
        if kind is None:
            for daemon in self.daemons:
                for _ in range(3):  # each is a job, with a look at what is to be done before it and after it
                    assert lift(daemon, "something else\n")[0] in (403, 409)
            assert asked(self.kms) == self.before


def make_chamber(daemon, kms, operators, mode, **more):
    """Open, with a key of each kind."""
    body = {"mode": mode, "kms_key_arns": kms.create(), "kms_threshold": 2, **more}
    if mode == "quorum":
        body.update(operators=[o.described() for o in operators], operator_threshold=2)
    code, made = init(daemon, **body)
    assert code == 200, made
    if mode == "quorum":
        register_all(daemon, operators, made)
    open_it(daemon, operators, mode)
    assert import_keys(daemon, ROW, path=KEYS_ROUTE) == ["imported"]
    wait_for("signatures", lambda: [sign(daemon, key, 1, 2) for key in (FILE, ROW)] == [200, 200])
    return made


def open_it(daemon, operators, mode):
    """As at any start."""
    if mode == "quorum":
        wait_for("the KMS layer", lambda: state(daemon) == "kms_unsealed")
        unseal(daemon, *operators[:2])
    wait_for("open", lambda: state(daemon) == "unsealed")


def take_away(daemon, operators, mode):
    """The latch, by who may, as docs/sealing.md says."""
    if mode == "kms":
        assert lift(daemon) == (200, {"latched": False})
    else:
        unseal(daemon, *operators[1:])
    wait_for("open", lambda: state(daemon) == "unsealed")


@pytest.fixture(name="make_signer")
def _make_signer(make_daemon, kms):
    def make(**config):
        def with_environment(**options):
            return make_daemon(environment=kms.environment(), **{k: v for k, v in options.items() if k != "environment"})

        daemon = make_daemon_of(with_environment, {"signer_state": {"seal": "ceremony", "kms": True}, **config})
        daemon.add_raw_key(interop.SECRETS[FILE], "file")
        daemon.start(ready=False)
        wait_for("the status", lambda: state(daemon) == "uninitialized")
        return daemon

    return make


# --- one signer -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_T25_a_latched_chamber_asks_no_kms(make_signer, kms, operators, mode):
    daemon = make_signer()
    make_chamber(daemon, kms, operators, mode)
    with Watch(kms, daemon):
        seal(daemon)
        assert is_latched(daemon)
        restart(daemon)
        assert is_latched(daemon)
        daemon.kill_room("core")
        wait_for("the status", lambda: try_status(daemon))
        assert is_latched(daemon)
        daemon.kill_all()
        daemon.start(ready=False)
        assert is_latched(daemon)
    before = asked(kms)
    take_away(daemon, operators, mode)
    assert asked(kms) > before
    signs_again(daemon, 3, 4)
    assert sign(daemon, FILE, 2, 4) == sign(daemon, ROW, 2, 4) == 412  # the history is what it was
    restart(daemon)
    open_it(daemon, operators, mode)
    signs_again(daemon, 4, 5)


def test_T25_in_mode_kms_it_is_the_owners_alone(make_signer, kms, operators, tmp_path):
    """No credential, no break-glass share and no other socket lifts it; the offline command does."""
    keeper = Operator(tmp_path, "safe")
    daemon = make_signer()
    make_chamber(daemon, kms, operators, "kms", break_glass={"threshold": 1, "recipients": [keeper.public_key]})
    with Watch(kms, daemon):
        seal(daemon)
        for purpose in ("unseal", "approve", "rehearse", "break_glass", "register"):
            code, answer = call(daemon, "GET", f"{CHAMBER}/operators/alice/challenge?purpose={purpose}")
            assert code == 409, (purpose, answer)
        assert call(daemon, "DELETE", f"{CHAMBER}/seal")[0] in (401, 403)
        for text in ("", "seal\n", "unseal", "unseal\nunseal\n", "approve\n"):
            assert lift(daemon, text)[0] == 403
        assert is_latched(daemon)
    assert daemon.stop() == 0
    before = asked(kms)
    assert daemon.command("operator", "unseal", "-c", daemon.config_path).stdout.startswith("unsealed")
    assert asked(kms) == before
    daemon.start(ready=False)
    open_it(daemon, operators, "kms")
    signs_again(daemon, 3, 4)


def test_T25_in_mode_quorum_one_operator_is_not_enough(make_signer, kms, operators):
    daemon = make_signer()
    make_chamber(daemon, kms, operators, "quorum")
    with Watch(kms, daemon):
        seal(daemon)
        assert lift(daemon)[0] == 409  # the owner alone does not
        stranger = Operator.__new__(Operator)
        stranger.name, stranger.credential = "mallory", bytes(32)
        stranger.challenge(daemon, "unseal")  # nor does who asks for a challenge begin anything
    for _ in range(2):
        code, answer = operators[0].unseal(daemon)
        assert code in (200, 403) and answer.get("have", 1) == 1, answer
        assert is_latched(daemon)
    with Watch(kms, daemon):
        restart(daemon)  # what the one has brought, and what KMS has opened for him, is forgotten
        assert is_latched(daemon)
        assert daemon.stop() == 0
        assert daemon.command("operator", "unseal", "-c", daemon.config_path, check=False).returncode != 0
        daemon.start(ready=False)
        assert is_latched(daemon)
    unseal(daemon, *operators[1:])
    signs_again(daemon, 3, 4)


def test_T25_P25_a_latched_quorum_whose_kms_keys_are_lost_opens_by_break_glass(make_signer, kms, operators, tmp_path):
    keeper = Operator(tmp_path, "safe")
    daemon = make_signer()
    made = make_chamber(daemon, kms, operators, "quorum", break_glass={"threshold": 1, "recipients": [keeper.public_key]})
    seal(daemon)
    kms.disable(*(key["arn"] for key in status(daemon)["seal"]["kms"]["keys"]))
    code, answer = operators[0].unseal(daemon)
    assert code == 503 and is_latched(daemon), answer
    glass = Operator.__new__(Operator)
    glass.name = "break-glass"
    glass.credential = bytes.fromhex(keeper.decrypt(made["break_glass"][0]["age"]).strip().split(":")[4])
    code, answer = glass.give(daemon, "break_glass", "/break-glass")
    assert code == 200 and is_latched(daemon), answer  # that alone opens the KMS layer, and nothing more
    unseal(daemon, *operators[:2])
    signs_again(daemon, 3, 4)


@pytest.mark.points
@pytest.mark.parametrize("point", ["LIFTED_RECORD", "LIFTED_FILE"])
def test_T25_a_lifting_of_the_owner_that_is_killed_is_done_again(make_signer, kms, operators, point):
    daemon = make_signer()
    make_chamber(daemon, kms, operators, "kms")
    seal(daemon)
    assert daemon.stop() == 0
    daemon.environment["CC_TEST_POINT"] = f"{point}:1"
    daemon.start(ready=False)
    with pytest.raises((OSError, http.client.HTTPException, AssertionError, ValueError)):
        assert lift(daemon)[0] == 200
    wait_for("the kill", lambda: "test point" in daemon.log_text())
    del daemon.environment["CC_TEST_POINT"]
    daemon.kill_all()
    daemon.start(ready=False)
    if point == "LIFTED_RECORD":  # the file is there: as before
        assert is_latched(daemon)
        assert lift(daemon) == (200, {"latched": False})
    open_it(daemon, operators, "kms")
    signs_again(daemon, 3, 4)


# --- two replicas ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(name="server", scope="module")
def _server():
    if postgres.bin_dir() is None:
        pytest.skip("left out: PostgreSQL is not installed")
    with postgres.Postgres() as server:
        yield server


@pytest.fixture(name="pair")
def _pair(make_daemon, kms, server):
    """One state store, history and key store; each has a key of a file too."""
    schema = f"latch_{next(_numbers)}"
    server.sql(f"CREATE SCHEMA {schema}")
    url = server.url(options=f"-csearch_path={schema}")
    config = {
        "signer_state": {"backend": "postgres", "url": url, "seal": "ceremony", "kms": True},
        "anti_slashing": {"backend": "postgres", "url": url, "new_key_policy": {"quarantine_epochs": 0}},
        "key_sources": {"postgres": {"url": url}},
        "http": {"key_manager_api": {"enabled": True}},
    }
    both = [make_daemon(keys=interop.SECRETS[:1], config=config, environment=kms.environment()) for _ in range(2)]
    for one in both:
        one.unix = f"/tmp/cc-latch-{os.getpid()}-{next(_numbers)}.sock"
        atexit.register(_remove, one.unix)
        one.config = merge(one.config, {"server": {"unix_socket": one.unix}})
        one.write_config()
    both[0].init()
    join(both[1], both[0])
    for one in both:
        one.start(ready=False)
        wait_for("the status", lambda one=one: state(one) == "uninitialized")
    return both


def _remove(path):
    with contextlib.suppress(OSError):
        os.unlink(path)


@pytest.mark.parametrize("mode", MODES)
def test_T25_replicas_with_kms_keys_are_sealed_together_and_opened_each(pair, kms, operators, mode):
    one, two = pair
    make_chamber(one, kms, operators, mode)
    open_it(two, operators, mode)
    wait_for("the key at the other", lambda: sign(two, ROW, 2, 3) == 200)
    seal(one)
    wait_for("the other", lambda: has_begun_anew(two) and try_status(two) and status(two)["latched"], 40)
    with Watch(kms, *pair):
        for signer in pair:
            restart(signer)
            assert is_latched(signer)
    assert two.stop() == 0
    take_away(one, operators, mode)
    signs_again(one, 4, 5)
    two.start(ready=False)  # the record is gone, its own file is not
    with Watch(kms, two):
        assert is_latched(two)
    assert not status(one)["latched"] and sign(one, ROW, 5, 6) == 200
    take_away(two, operators, mode)
    signs_again(two, 6, 7)


@pytest.mark.parametrize("mode", MODES)
def test_T25_a_replica_that_was_away_when_it_was_sealed_begins_latched(pair, kms, operators, mode):
    one, two = pair
    make_chamber(one, kms, operators, mode)
    assert two.stop() == 0
    seal(one)
    with Watch(kms, one, two):
        two.start(ready=False)
        assert is_latched(two) and (two.data_dir / "seal.latch").exists()
    take_away(one, operators, mode)
    assert is_latched(two)
    two.kill_all()
    two.start(ready=False)
    with Watch(kms, two):
        assert is_latched(two)  # by its own file now
    take_away(two, operators, mode)
    signs_again(two, 3, 4)
