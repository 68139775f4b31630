"""A key without a history waits before it signs, says so, and says until when."""
import json
import time

import interop
import messages

EPOCH_SECONDS = 8 * 6  # of the minimal preset


def with_a_clock(make_daemon, policy, **options):
    """A signer whose clock shows the beginning of epoch 100, and that signs far ahead of it."""
    daemon = make_daemon(
        config={
            "genesis_time": int(time.time()) - 100 * EPOCH_SECONDS - 1,
            "anti_slashing": {"max_future_epochs": 1000, **policy},
        },
        **options,
    )
    daemon.init()
    daemon.start()
    return daemon


def test_P07_a_new_key_waits_and_says_until_when(make_daemon):
    daemon = with_a_clock(make_daemon, {}, keys=interop.SECRETS[:1])
    key = interop.PUBKEYS[0]
    lines = [json.loads(line) for line in daemon.log_text().splitlines() if "keys without a history" in line]
    assert len(lines) == 1, daemon.log_text()
    first = lines[0]["epoch"]
    assert lines[0]["keys"] == 1 and first in (103, 104)  # an epoch may have begun since
    for epoch in (first - 2, first - 1):
        code, _, content = daemon.sign(key, messages.attestation(epoch - 1, epoch))
        assert code == 412 and b"QUARANTINED" in content and b"new_key_policy" in content, content
    assert daemon.sign(key, messages.block(8 * first - 1))[0] == 412
    assert daemon.sign(key, messages.block(8 * first))[0] == 200
    assert daemon.sign(key, messages.attestation(first - 1, first))[0] == 200
    assert daemon.stop() == 0


def test_allow_signs_at_once(make_daemon):
    daemon = with_a_clock(make_daemon, {"new_key_policy": "allow"}, keys=interop.SECRETS[:1])
    assert daemon.sign(interop.PUBKEYS[0], messages.attestation(99, 100))[0] == 200
    assert "keys without a history" not in daemon.log_text()
    assert daemon.stop() == 0
