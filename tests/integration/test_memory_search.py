"""C1, C3: where key bytes and passwords are, and where they must not be. The vault is the positive control: the search
must find the keys there, or it proves nothing."""
import hashlib
import os
import pathlib
import re
import subprocess

import pytest

import interop
import keystores
import memory
import messages
from daemon import children_of, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="left out: reading another process needs root")
SECRETS = [bytes.fromhex(s[2:]) for s in interop.SECRETS[:3]]
PASSWORD = "canary-" + hashlib.sha256(b"password").hexdigest()[:25]


def signing(make_daemon):
    """A daemon with two raw keys and one keystore, after some signatures, refusals and bad requests."""
    daemon = make_daemon(keys=interop.SECRETS[:2])
    keystores.write(daemon.keys_dir, "third", SECRETS[2], interop.PUBKEYS[2], PASSWORD)
    daemon.init()
    daemon.start()
    for pubkey in interop.PUBKEYS[:3]:
        assert daemon.sign(pubkey, messages.attestation(1, 2))[0] == 200
        assert daemon.sign(pubkey, messages.attestation(1, 2, "other"))[0] == 412
        assert daemon.sign(pubkey, b"{")[0] == 400
    assert daemon.get("/api/v1/eth2/publicKeys")[0] == 200
    return daemon


def searched(pid):
    """What of the secrets the process holds anywhere."""
    found = memory.search_memory(pid, SECRETS)
    found += memory.search_text(memory.arguments_and_environment(pid), SECRETS)
    text = b"".join(data for _, data in memory.memory_of(pid))
    if PASSWORD.encode() in text:
        found.append("the keystore password")
    return found


def test_C01_front_and_core_hold_no_key_bytes_and_the_vault_does(make_daemon):
    daemon = signing(make_daemon)
    rooms = daemon.rooms()
    assert set(rooms) == {"front", "core", "vault"}, "the loader has ended"
    control = " ".join(memory.search_memory(rooms["vault"], SECRETS))
    hidden = "secretmem" in pathlib.Path(f"/proc/{rooms['vault']}/maps").read_text()
    for number in range(3):
        assert hidden or f"secret {number}" in control, "the search does not find what is there"
    for room in ("front", "core"):
        assert searched(rooms[room]) == [], room
    assert searched(daemon.process.pid) == [], "supervisor"


def test_C01_the_search_finds_a_planted_key(make_daemon):
    """The control for machines where the vault's arena can't be read: the same search over this very process."""
    planted = bytearray(SECRETS[0])
    assert any("raw of secret 0" in hit for hit in memory.search_memory(os.getpid(), SECRETS))
    assert planted


def test_C03_no_secret_in_logs_answers_metrics_arguments_or_environment(make_daemon):
    daemon = signing(make_daemon)
    pids = [daemon.process.pid, *(pid for pid, _ in children_of(daemon.process.pid))]
    shown = b"".join(memory.arguments_and_environment(pid) for pid in pids)
    shown += daemon.metrics().encode()
    for path in ("/upcheck", "/healthcheck", "/api/v1/eth2/publicKeys", "/reload", "/nowhere"):
        shown += daemon.get(path)[2]
    shown += daemon.sign(interop.PUBKEYS[0], messages.attestation(1, 2, "other"))[2]
    assert daemon.stop() == 0
    shown += daemon.log_path.read_bytes()
    assert memory.search_text(shown, SECRETS) == []
    assert PASSWORD.encode() not in shown


def test_C03_no_secret_in_what_the_data_directory_holds(make_daemon):
    daemon = signing(make_daemon)
    assert daemon.stop() == 0
    for path in daemon.data_dir.rglob("*"):
        if path.is_file():
            assert memory.search_text(path.read_bytes(), SECRETS) == [], path
            assert PASSWORD.encode() not in path.read_bytes(), path
            assert path.stat().st_mode & 0o077 == 0 or path.name == "ports", path


def test_T24_rooms_are_executed_afresh_with_a_scrubbed_environment(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1], environment={"CANARY_VARIABLE": "canary-in-the-environment"})
    daemon.init()
    daemon.start()
    bases = {}
    for room, pid in daemon.rooms().items():
        assert b"canary-in-the-environment" not in memory.arguments_and_environment(pid), room
        maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
        bases[room] = next(line.split("-")[0] for line in maps if "containment-chamber" in line)
    assert len(set(bases.values())) == 3, f"rooms share their addresses: {bases}"


def test_C01_front_holds_no_descriptor_of_a_store_or_key_file(make_daemon):
    daemon = signing(make_daemon)
    wait_for("the loader's end", lambda: set(daemon.rooms()) == {"front", "core", "vault"})
    for number, target in memory.descriptors(daemon.room("front")).items():
        assert str(daemon.path) not in target or "log" in target, (number, target)
    for number, target in memory.descriptors(daemon.room("vault")).items():
        assert not target.startswith(str(daemon.path)), (number, target)


def may_read(uid, pid):
    """Whether a process with this uid may read another's environment, which asks for the right to trace it."""
    look = subprocess.run(["cat", f"/proc/{pid}/environ"], user=uid, group=uid, capture_output=True, check=False)
    return look.returncode == 0


def test_C03_no_core_is_dumped_and_no_stranger_may_look(make_daemon):
    daemon = signing(make_daemon)
    for room, pid in daemon.rooms().items():
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4] == "0", (room, core)
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status, room
        assert "Seccomp:\t2" in status, room
        uid = int(re.search(r"^Uid:\t(\d+)", status, flags=re.M).group(1))
        assert uid != 0, room
        # Not dumpable: what /proc shows belongs to root, not to the room's own user, who is turned away.
        assert pathlib.Path(f"/proc/{pid}/environ").stat().st_uid == 0, room
        assert not may_read(uid, pid), room
    with subprocess.Popen(["sleep", "60"], user=65521, group=65521) as plain:
        wait_for("the program", lambda: b"sleep" in pathlib.Path(f"/proc/{plain.pid}/cmdline").read_bytes())
        assert may_read(65521, plain.pid)  # the positive control: of a plain process it may
        plain.kill()
