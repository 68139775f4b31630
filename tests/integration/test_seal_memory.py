"""C3: what a sealed chamber hides, searched for in every room, unsealed and sealed.

The test opens the set itself (seal_secrets.py), so it knows every secret by its bytes. On a kernel with memfd_secret nobody can read them in
the vault, root neither; the same program without it is the control: there the search finds them, until the chamber is sealed.
"""
import json
import os
import pathlib

import interop
import memory
import pytest
import seal_secrets
from daemon import ROOMS, wait_for
from key_routes import call
from seal_client import CHAMBER, Operator, status
from test_ceremony import NAMES, make_daemon_of, make_operators_chamber, unseal
from test_latch import FILE, operators_chamber, restart, sign, try_status, with_row

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="left out: reading another process needs root")
WRAPPER = pathlib.Path(__file__).parent / "without"
KEYS = {f"key {n}": bytes.fromhex(interop.SECRETS[n][2:]) for n in (0, 1)}
KEPT = {"master-bridge key", "key-row key", "token key", "key 0", "key 1"}  # by an unsealed vault; the rest is used and wiped


@pytest.fixture(name="operators")
def _operators(tmp_path):
    return [Operator(tmp_path, name) for name in NAMES]


def secrets_of(daemon, operators, decrypt=None):
    credentials = {o.name: o.credential for o in operators}
    found = seal_secrets.open_set(daemon, status(daemon)["chamber_id"], credentials, decrypt)
    found.update({f"credential of {name}": credential for name, credential in credentials.items()})
    found.update(KEYS)
    assert len(set(found.values())) == len(found)
    return found


def searched(pid, found):
    """The names of those secrets that lie somewhere in that process."""
    names, values = list(found), list(found.values())
    hits = memory.search_memory(pid, values)
    return {names[int(hit.rsplit(" ", 1)[1])] for hit in hits}


def is_hidden(pid):
    return "secretmem" in pathlib.Path(f"/proc/{pid}/maps").read_text()


def without_memfd_secret(make_daemon):
    """Daemons whose kernel does not know memfd_secret."""

    def make(**options):
        daemon = make_daemon(**options)
        program = daemon.path / "without"
        program.write_text(f'#!/bin/sh\nexec {WRAPPER} memfd_secret {daemon.binary} "$@"\n')
        program.chmod(0o755)
        daemon.binary = program
        return daemon

    return make


def nothing_but_in_the_vault(daemon, found, core=frozenset({"token key"})):
    """The core judges tokens, so while the chamber is unsealed it has the key of their MACs."""
    assert searched(daemon.room("front"), found) == set(), "front"
    assert searched(daemon.room("core"), found) == core, "core"
    assert searched(daemon.process.pid, found) == set(), "supervisor"


def says_memory(daemon, memory):
    """At each start in the log, with a warning where root can read it, and in /healthcheck."""
    starts = daemon.log_text().count("vault ready")
    assert starts and daemon.log_text().count(f'"memory":"{memory}"') == starts
    assert daemon.log_text().count("memory that root can read") == (starts if memory == "locked" else 0)
    [chamber] = [c for c in json.loads(daemon.get("/healthcheck")[2])["checks"] if c["id"] == "chamber"]
    assert (chamber["data"]["memory"], chamber["data"]["master-key"]) == (memory, "open")


def test_C03_root_finds_nothing_in_an_unsealed_vault(make_daemon, operators):
    daemon = operators_chamber(make_daemon, operators)
    if not is_hidden(daemon.room("vault")):
        pytest.skip("left out: this kernel has no memfd_secret")
    found = secrets_of(daemon, operators)
    nothing_but_in_the_vault(daemon, found)
    assert searched(daemon.room("vault"), found) == set()
    says_memory(daemon, "memfd_secret")


def test_C03_the_search_finds_what_an_unsealed_vault_keeps(make_daemon, operators):
    """The control; and of what is used only for a moment, nothing stays there either."""
    daemon = operators_chamber(without_memfd_secret(make_daemon), operators)
    assert not is_hidden(daemon.room("vault"))
    says_memory(daemon, "locked")
    found = secrets_of(daemon, operators)
    assert searched(daemon.room("vault"), found) == KEPT
    nothing_but_in_the_vault(daemon, found)


@pytest.mark.long_form
def test_C03_a_sealed_vault_has_what_people_have_brought_and_no_more(make_daemon, operators):
    daemon = operators_chamber(without_memfd_secret(make_daemon), operators)
    found = secrets_of(daemon, operators)
    restart(daemon)
    wait_for("sealed", lambda: status(daemon)["state"] == "sealed")
    wait_for("keys of files sign", lambda: sign(daemon, FILE, 2, 3) == 200)
    assert searched(daemon.room("vault"), found) == {"key 0"}
    assert operators[1].unseal(daemon)[1]["have"] == 1
    assert searched(daemon.room("vault"), found) == {"key 0", "share of bob"}  # it waits for another
    nothing_but_in_the_vault(daemon, found, set())
    unseal_second(daemon, operators[2])
    assert searched(daemon.room("vault"), found) == KEPT
    nothing_but_in_the_vault(daemon, found)


def unseal_second(daemon, operator):
    assert operator.unseal(daemon)[0] == 200
    wait_for("keys of rows sign", lambda: sign(daemon, 1, 5, 6) == 200)


@pytest.mark.points
def test_C03_after_a_seal_no_room_holds_anything(make_daemon, operators):
    """The rooms that have sealed are kept from starting anew for as long as the search takes; then they are killed, and the new ones are searched."""
    daemon = operators_chamber(without_memfd_secret(make_daemon), operators)
    found = secrets_of(daemon, operators)
    assert daemon.stop() == 0
    daemon.environment["CC_TEST_SLOW"] = "SEALED_WIPED:60000"
    daemon.start(ready=False)
    unseal(daemon, *operators[:2])
    wait_for("keys of rows sign", lambda: sign(daemon, 1, 5, 6) == 200)
    old = daemon.rooms()
    assert searched(old["vault"], found) == KEPT
    assert call(daemon, "POST", f"{CHAMBER}/seal", b"")[0] == 200
    wait_for("the wiping", lambda: "every key is wiped" in daemon.log_text())
    for room in ROOMS:
        assert searched(old[room], found) == set(), room
    assert {room: daemon.rooms()[room] for room in ROOMS} == {room: old[room] for room in ROOMS}, "they were not the ones that were searched"
    daemon.kill_all()
    daemon.start(ready=False)
    wait_for("the latched state", lambda: try_status(daemon) and status(daemon)["latched"])
    for room in ROOMS:
        assert searched(daemon.room(room), found) == set(), room


def test_C03_no_secret_is_written_and_no_core_left(make_daemon, operators):
    daemon = operators_chamber(make_daemon, operators)
    found = secrets_of(daemon, operators)
    shown = daemon.metrics().encode() + str(status(daemon)).encode()
    vault = daemon.room("vault")
    os.kill(vault, 6)  # as a failed assertion ends it
    wait_for("a new vault", lambda: daemon.rooms().get("vault") not in (None, vault))
    wait_for("the status", lambda: try_status(daemon))
    assert daemon.stop() == 0
    shown += daemon.log_path.read_bytes()
    assert memory.search_text(shown, list(found.values())) == []
    for path in daemon.path.rglob("*"):
        assert not path.name.startswith("core"), path
        if path.is_file() and daemon.keys_dir not in path.parents:
            assert memory.search_text(path.read_bytes(), list(found.values())) == [], path
