"""signing.engine through the real program: whatever signs, clients get the same bytes, and the metrics say what signed."""
import json
import re

import pytest

import messages
from daemon import wait_for
from test_batch import ask, item, keys_of

KEYS = 96
SECRETS = [f"0x{0x1D2F << 180 | i << 90 | i + 1:064x}" for i in range(KEYS)]


def series(daemon, name):
    """{engine or "": value} of a metric."""
    pattern = rf'^{name}(?:{{engine="(\w+)"}})? (\d+)$'
    return {engine: int(value) for engine, value in re.findall(pattern, daemon.metrics(), re.MULTILINE)}


def start(make_daemon, engine):
    daemon = make_daemon(
        keys=SECRETS,
        config={"signing": {"engine": engine, "concurrency": 2}, "key_sources": {"expected_keys": KEYS}},
    )
    daemon.init()
    return daemon.start()


def sign_a_slot(daemon):
    """One root for all keys, then roots of their own, then one root once more; {(key, n): signature}."""
    keys = sorted(keys_of(daemon))
    same = [item(key, messages.attestation(3, 4)) for key in keys]
    own = [item(key, messages.attestation(4, 5 + n)) for n, key in enumerate(keys)]
    randao = [item(key, messages.randao(9)) for key in keys]
    signatures = {}
    for name, votes in (("same", same), ("own", own), ("randao", randao)):
        for key, answer in zip(keys, ask(daemon, votes)):
            assert answer["status"] == 200, answer
            signatures[key, name] = answer["signature"]
    assert len(signatures) == 3 * KEYS
    return signatures


@pytest.fixture(scope="module")
def of_blst():
    """What blst signs, from the first test that asks."""
    return {}


@pytest.mark.parametrize("engine", ["blst", "auto", "fixed_base", "ifma"])
def test_every_engine_gives_the_same_signatures(make_daemon, of_blst, engine):
    daemon = start(make_daemon, engine)
    signatures = sign_a_slot(daemon)
    wait_for(
        "counts of all signatures",
        lambda: sum(series(daemon, "containment_vault_signatures_total").values()) >= 3 * KEYS,
    )
    counts = series(daemon, "containment_vault_signatures_total")
    assert sum(counts.values()) == 3 * KEYS, counts
    assert set(counts) == {"blst", "fixed_base", "ifma"}
    used = [name for name, value in series(daemon, "containment_vault_engine").items() if value]
    assert len(used) == 1
    assert engine == "auto" or used[0] in (engine, "blst")
    assert counts[used[0]] > 0
    assert series(daemon, "containment_vault_failed_checks_total") == {"": 0}
    assert series(daemon, "containment_vault_flagged_total") == {"": 0}
    assert series(daemon, "containment_vault_hash_misses_total")[""] >= KEYS + 2
    lines = [json.loads(line) for line in daemon.log_text().splitlines() if '"signing engine"' in line]
    assert [(line["engine"], line["asked_for"]) for line in lines] == [(used[0], engine)]
    of_blst.setdefault("signatures", signatures)
    assert signatures == of_blst["signatures"]
