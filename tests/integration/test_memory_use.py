"""How much memory all processes take together, and that it does not grow: PSS, so that shared pages count once. The long
form (CC_FULL=1) makes the ten thousand reloads and the million signatures that the short form makes some hundreds of."""
import json
import os
import signal
import subprocess

import pytest

import interop
import keystores
import messages
import parallel
import usage
from daemon import build_dir, wait_for
from forms import FULL

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="left out: reading another process's memory map needs root")
VALIDATORS = 10_000
LIMIT_MB = 100
GROWTH_MB = 1.0


class Log:
    """The program's log from here on; what was read is not read again."""

    def __init__(self, daemon):
        self.file = open(daemon.log_path, encoding="utf-8", errors="replace")  # pylint: disable=consider-using-with
        self.file.seek(0, os.SEEK_END)
        self.line = ""

    def has_line(self, text):
        """Reads on; True once a line with `text` has come."""
        for part in iter(self.file.readline, ""):
            self.line += part
            if not self.line.endswith("\n"):
                continue
            found, self.line = text in self.line, ""
            if found:
                return True
        return False


def total(daemon, measure=usage.pss_mb):
    """PSS, or what else, of all processes in MB, rounded for messages."""
    parts = {name: round(mb, 2) for name, mb in measure(daemon).items()}
    return sum(parts.values()), parts


def reload_keys(daemon, log, times):
    """So many reloads, each to its end."""
    for _ in range(times):
        daemon.process.send_signal(signal.SIGHUP)
        wait_for("the load's end", lambda: daemon.alive() and log.has_line('"keys are loaded"'))
    # The supervisor reaps the last loader before its memory is looked at.
    wait_for("the loader's end", lambda: "loader" not in daemon.rooms())


@pytest.mark.timeout(3600)
def test_P30_memory_is_flat_over_reloads(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:8], config={"logging": {"level": "notice"}})
    for i in range(8, 12):
        keystores.write(daemon.keys_dir, f"k{i}", bytes.fromhex(interop.SECRETS[i][2:]), interop.PUBKEYS[i], "p")
    (daemon.keys_dir / "bad.json").write_text('{"version": 4')
    daemon.init()
    daemon.start()
    log = Log(daemon)
    reload_keys(daemon, log, 100 if FULL else 20)
    before, parts_before = total(daemon, usage.own_mb)
    times = 10_000 if FULL else 200
    moved = daemon.keys_dir / "key7.yaml", daemon.path / "key7.yaml"
    for number in range(10):  # a key that comes and goes
        moved[number % 2].rename(moved[1 - number % 2])
        reload_keys(daemon, log, times // 10)
    after, parts_after = total(daemon, usage.own_mb)
    print(f"{times} reloads: {before:.2f} MB, then {after:.2f} MB; {parts_before}, {parts_after}")
    status, _, body = daemon.get("/api/v1/eth2/publicKeys")
    assert status == 200 and set(json.loads(body)) == set(interop.PUBKEYS[:12])
    assert after - before <= GROWTH_MB


def sign_once(daemon, pubkeys, epoch):
    """An attestation by every validator."""
    vote = messages.attestation(epoch - 1, epoch)
    sign = lambda connection, pubkey: connection.request("POST", f"/api/v1/eth2/sign/{pubkey}", vote)[0]
    assert set(parallel.each(daemon, pubkeys, sign)) == {200}


def sign_much(daemon, pubkeys, epoch, seconds):
    """Attestations of all validators as fast as bench_load asks for them; (signatures, the epoch to go on with)."""
    command = [build_dir() / "bin/bench_load", daemon.http_port, 64, 0, seconds, epoch, "shared"]
    result = subprocess.run(
        list(map(str, command)), input="\n".join(pubkeys) + "\n\n", capture_output=True, text=True, check=True
    )
    said = json.loads(result.stdout.splitlines()[-1])
    return said["signatures"], said["next_epoch"] + 1


@pytest.mark.timeout(3600)
def test_ten_thousand_validators_fit_a_hundred_megabytes(make_daemon):
    keys = [usage.secret_of(n) for n in range(VALIDATORS)]
    daemon = make_daemon(
        keys=keys, config={"key_sources": {"expected_keys": VALIDATORS}, "logging": {"level": "warn"}}
    )
    daemon.init()
    daemon.start(seconds=120)
    started, parts = total(daemon)
    print(f"{VALIDATORS} keys loaded: {started:.1f} MB {parts}")
    assert started <= LIMIT_MB
    pubkeys = json.loads(daemon.get("/api/v1/eth2/publicKeys")[2])
    assert len(pubkeys) == VALIDATORS
    sign_once(daemon, pubkeys, 2)
    signed, parts = total(daemon)
    print(f"each has signed: {signed:.1f} MB {parts}")
    assert signed <= LIMIT_MB
    if not FULL:
        return
    done, epoch = sign_much(daemon, pubkeys, 4, 30)  # until every key's floor is full
    warm, parts = total(daemon)
    print(f"{done} signatures: {warm:.1f} MB {parts}")
    while done < 1_000_000:
        more, epoch = sign_much(daemon, pubkeys, epoch, 30)
        done += more
    end, parts = total(daemon)
    print(f"{done} signatures: {end:.1f} MB {parts}")
    assert end <= LIMIT_MB
    assert end - warm <= 5
