"""C3: what KMS keys and operators hide together, searched for in every room, unsealed and sealed (as test_seal_memory.py, in the modes that
ask KMS). The mock KMS opens its own ciphertexts for the test, so that shares are known by their bytes.
"""
import json
import os

import interop
import memory
import pytest
from daemon import ROOMS, wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import call, import_keys, sign
from seal_client import CHAMBER, Operator, init, state, status
from test_ceremony import NAMES, make_daemon_of, signs, unseal
from test_ceremony_kms import _kms, make_quorum  # noqa: F401  pylint: disable=unused-import
from test_latch import FILE, ROW, try_status
from test_seal_memory import KEPT, is_hidden, searched, secrets_of, without_memfd_secret

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="left out: reading another process needs root")
KEPT_WITH_KMS = KEPT | {"wrapping key"}  # it is needed for sets that keep their KMS keys
SLOW = {"CC_TEST_SLOW": "SEALED_WIPED:60000"}


@pytest.fixture(name="operators")
def _operators(tmp_path):
    return [Operator(tmp_path, name) for name in NAMES]


def begin(make_daemon, kms, environment=None):
    """Waits for its first ceremony; a key in a file is there."""

    def with_environment(**options):
        return make_daemon(environment={**kms.environment(), **(environment or {})}, **{k: v for k, v in options.items() if k != "environment"})

    daemon = make_daemon_of(with_environment, {"signer_state": {"seal": "ceremony", "kms": True}})
    daemon.add_raw_key(interop.SECRETS[FILE], "file")
    daemon.start()
    return daemon


def with_row(daemon):
    assert import_keys(daemon, ROW, path=KEYS_ROUTE) == ["imported"]
    for key in (FILE, ROW):
        signs(daemon, key)
    return daemon


def kms_chamber(make_daemon, kms, environment=None):
    daemon = begin(make_daemon, kms, environment)
    code, made = init(daemon, mode="kms", kms_key_arns=kms.create(), kms_threshold=2)
    assert code == 200 and made["state"] == "unsealed", made
    return with_row(daemon)


def quorum_chamber(make_daemon, kms, operators, environment=None):
    daemon = begin(make_daemon, kms, environment)
    make_quorum(daemon, kms.create(), operators)
    unseal(daemon, *operators[:2])
    return with_row(daemon)


def all_secrets(daemon, kms, operators=()):
    found = secrets_of(daemon, operators, kms.open)
    assert {"wrapping key", "share of KMS key 0", "share of KMS key 1", "share of KMS key 2", "master key"} <= found.keys()
    assert bool(operators) == ("unseal key" in found)
    return found


def room_by_room(daemon, found):
    rooms = {room: searched(daemon.room(room), found) for room in ROOMS}
    rooms["supervisor"] = searched(daemon.process.pid, found)
    return rooms


def nothing_but(vault, core=frozenset()):
    return {"front": set(), "core": set(core), "vault": set(vault), "supervisor": set()}


def restart(daemon, expected):
    assert daemon.stop() == 0
    daemon.start(ready=False)
    wait_for(expected, lambda: state(daemon) == expected)
    wait_for("keys of files sign", lambda: sign(daemon, FILE, 2, 3) == 200)


def test_C03_kms_mode_keeps_no_share_and_no_master_key(make_daemon, kms):
    """The control too: on a kernel without memfd_secret what is kept is found."""
    daemon = kms_chamber(without_memfd_secret(make_daemon), kms)
    found = all_secrets(daemon, kms)
    assert room_by_room(daemon, found) == nothing_but(KEPT_WITH_KMS, {"token key"})
    restart(daemon, "unsealed")
    signs(daemon, ROW, 3, 4)
    assert room_by_room(daemon, found) == nothing_but(KEPT_WITH_KMS, {"token key"})  # now all came from KMS


def test_C03_quorum_mode_keeps_what_was_brought_and_no_more(make_daemon, kms, operators):
    daemon = quorum_chamber(without_memfd_secret(make_daemon), kms, operators)
    found = all_secrets(daemon, kms, operators)
    assert room_by_room(daemon, found) == nothing_but(KEPT_WITH_KMS, {"token key"})
    restart(daemon, "kms_unsealed")
    assert room_by_room(daemon, found) == nothing_but({"key 0", "wrapping key"})
    assert operators[1].unseal(daemon)[1]["have"] == 1
    assert room_by_room(daemon, found) == nothing_but({"key 0", "wrapping key", "share of bob"})
    assert operators[2].unseal(daemon)[0] == 200
    signs(daemon, ROW, 3, 4)
    assert room_by_room(daemon, found) == nothing_but(KEPT_WITH_KMS, {"token key"})


def test_C03_too_few_kms_shares_wait_in_the_vault_alone(make_daemon, kms):
    daemon = kms_chamber(without_memfd_secret(make_daemon), kms)
    found = all_secrets(daemon, kms)
    arns = [key["arn"] for key in status(daemon)["seal"]["kms"]["keys"]]
    kms.disable(arns[0], arns[2])
    restart(daemon, "sealed")
    wait_for("the one that opens", lambda: [k["state"] for k in status(daemon)["seal"]["kms"]["keys"]] == ["failed", "opened", "failed"])
    assert room_by_room(daemon, found) == nothing_but({"key 0", "share of KMS key 1"})


@pytest.mark.parametrize("mode", ["kms", "quorum"])
def test_C03_root_finds_nothing_of_what_kms_has_opened(make_daemon, kms, operators, mode):
    """Where memfd_secret is: nothing in the vault, though it is open."""
    people = operators if mode == "quorum" else []
    daemon = quorum_chamber(make_daemon, kms, people) if people else kms_chamber(make_daemon, kms)
    if not is_hidden(daemon.room("vault")):
        pytest.skip("left out: this kernel has no memfd_secret")
    found = all_secrets(daemon, kms, people)
    assert room_by_room(daemon, found) == nothing_but(set(), {"token key"})


@pytest.mark.points
@pytest.mark.parametrize("mode", ["kms", "quorum"])
def test_C03_after_a_seal_no_room_holds_anything_of_kms(make_daemon, kms, operators, mode):
    """The rooms that have sealed are kept from starting anew for as long as the search takes; then they are killed, and the new ones are searched, which ask
    no KMS key."""
    people = operators if mode == "quorum" else []
    make = without_memfd_secret(make_daemon)
    daemon = quorum_chamber(make, kms, people, SLOW) if people else kms_chamber(make, kms, SLOW)
    found = all_secrets(daemon, kms, people)
    old = daemon.rooms()
    assert searched(old["vault"], found) == KEPT_WITH_KMS
    asked = kms.server.tell("count Decrypt *")
    assert call(daemon, "POST", f"{CHAMBER}/seal", b"")[0] == 200
    wait_for("the wiping", lambda: "every key is wiped" in daemon.log_text())
    for room in ROOMS:
        assert searched(old[room], found) == set(), room
    assert {room: daemon.rooms()[room] for room in ROOMS} == {room: old[room] for room in ROOMS}, "they were not the ones that were searched"
    daemon.kill_all()
    daemon.start(ready=False)
    wait_for("the latched state", lambda: try_status(daemon) and status(daemon)["latched"])
    assert room_by_room(daemon, found) == nothing_but(set())
    assert kms.server.tell("count Decrypt *") == asked


def test_C03_nothing_of_kms_is_written_and_no_core_left(make_daemon, kms, operators):
    daemon = quorum_chamber(make_daemon, kms, operators)
    found = all_secrets(daemon, kms, operators)
    shown = daemon.metrics().encode() + json.dumps(status(daemon)).encode()
    for room in ("core", "vault"):
        before = daemon.room(room)
        os.kill(before, 6)  # as a failed assertion ends it
        wait_for("a new room", lambda before=before, room=room: daemon.rooms().get(room) not in (None, before))
        wait_for("the status", lambda: try_status(daemon))
    assert daemon.stop() == 0
    shown += daemon.log_path.read_bytes()
    assert memory.search_text(shown, list(found.values())) == []
    for path in daemon.path.rglob("*"):
        assert not path.name.startswith("core"), path
        if path.is_file() and daemon.keys_dir not in path.parents:
            assert memory.search_text(path.read_bytes(), list(found.values())) == [], path
