"""GET /metrics of a real signer: what is counted where something happens, and that no label names a key or a caller."""
import re
import time

import interop
import messages
from daemon import wait_for

KEYS = interop.PUBKEYS[:2]


def value(text, name):
    """The value of one series; None where it isn't there."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    return float(found[1]) if found else None


def waits_for(daemon, name, wanted):
    """Gauges of the core are set once a second."""
    wait_for(f"{name} {wanted}", lambda: value(daemon.metrics(), name) == wanted, 10)


def test_what_a_signer_counts(make_daemon):
    begun = time.time()
    daemon = make_daemon(keys=interop.SECRETS[:2])
    (daemon.keys_dir / "broken.yaml").write_text("type: file-raw\n")
    daemon.init()
    daemon.start(ready=False)
    waits_for(daemon, "containment_keys_known", 2)
    waits_for(daemon, "containment_keys_failed", 1)
    text = daemon.metrics()
    assert begun - 1 < value(text, "containment_start_seconds") < time.time() + 1
    version = daemon.command("--version").stdout.split()[-1]
    assert value(text, f'containment_build_info{{version="{version}"}}') == 1
    assert value(text, 'containment_signing_last_seconds{operation="ATTESTATION"}') == 0
    assert value(text, "containment_chamber_rehearsal_seconds") == 0
    for operation in ("kms", "quorum", "mode", "master"):
        assert value(text, f'containment_chamber_rotation_total{{type="{operation}"}}') == 0
    before = time.time()
    assert daemon.sign(KEYS[0], messages.attestation(1, 2))[0] == 200
    assert daemon.sign(KEYS[0], messages.attestation(1, 2, "other"))[0] == 412
    text = daemon.metrics()
    assert before - 1 < value(text, 'containment_signing_last_seconds{operation="ATTESTATION"}') < time.time() + 1
    assert value(text, 'containment_signing_last_seconds{operation="BLOCK"}') == 0
    for stage in ("queue_", "commit_", "vault_"):
        assert value(text, f'containment_signing_{stage}duration_seconds_count{{operation="ATTESTATION"}}') >= 1
    assert value(text, 'containment_signing_duration_seconds_count{operation="ATTESTATION"}') == 2
    assert value(text, "containment_signing_unknown_fork_total") == 0
    odd = messages.attestation(2, 3)
    odd["fork_info"]["fork"]["current_version"] = odd["fork_info"]["fork"]["previous_version"] = "0x77777777"
    assert daemon.sign(KEYS[0], odd)[0] == 200  # the client says which fork it is: it is counted, not refused
    assert value(daemon.metrics(), "containment_signing_unknown_fork_total") == 1
    odd = messages.attestation(3, 4, genesis_root=messages.root("another network"))
    odd["fork_info"]["fork"]["current_version"] = "0x77777777"
    assert daemon.sign(KEYS[0], odd)[0] == 403
    assert value(daemon.metrics(), "containment_signing_unknown_fork_total") == 1
    waits_for(daemon, "containment_audit_lag_seconds", 0)  # the lines are on the disk within a second
    # A core that died counts on.
    daemon.kill_room("core")
    wait_for("a signature", lambda: daemon.sign(KEYS[1], messages.attestation(1, 2))[0] == 200)
    text = daemon.metrics()
    assert value(text, 'containment_signing_duration_seconds_count{operation="ATTESTATION"}') >= 5
    assert value(text, "containment_postgres_connections") == 0
    assert not re.search(r"[0-9a-f]{96}|127\.0\.0\.1", text)
