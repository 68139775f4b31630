"""A real server with its history in a DynamoDB table: tests/support/aws.py is the service, with its faults."""
import json
import pathlib
import re
import sys
import time

import pytest

import interop
import messages
from daemon import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position

KEY = interop.PUBKEYS[0]

pytestmark = pytest.mark.skipif(bool(aws_module.missing()), reason="left out: " + aws_module.missing())


@pytest.fixture(name="aws", scope="module")
def the_aws():
    with aws_module.Aws() as aws:
        yield aws


@pytest.fixture(name="daemon")
def a_daemon(make_daemon, aws, request):
    """Four keys, a table of its own, made by init; not started."""
    aws.clear()
    table = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60]
    daemon = make_daemon(keys=interop.SECRETS[:4], environment=aws.environment(),
                         config={"anti_slashing": {"backend": "dynamodb", "table": table}})
    daemon.init()
    yield daemon
    aws.clear()


def answer(daemon, body, key=KEY):
    status, _, content = daemon.sign(key, body)
    return status, json.loads(content)


def goes_on(daemon, body, seconds=5.0):
    """The answer to `body` as soon as it is no longer 503."""
    return wait_for("a signature", lambda: (lambda a: a if a[0] != 503 else None)(answer(daemon, body)), seconds)


def test_P18_it_signs_refuses_and_remembers(daemon, aws):
    daemon.start()
    first = answer(daemon, messages.attestation(1, 2))
    assert first[0] == 200
    assert answer(daemon, messages.block(100))[0] == 200
    assert answer(daemon, messages.attestation(1, 2, "other"))[1]["rule"] == "DOUBLE_VOTE"
    assert answer(daemon, messages.attestation(0, 3))[1]["rule"] == "SURROUNDING"
    assert answer(daemon, messages.block(100, "other"))[1]["rule"] == "DOUBLE_BLOCK"
    # The write is carried out and its answer lost.
    aws.fault("drop", "PutItem", 1)
    second = answer(daemon, messages.attestation(2, 3))
    assert second[0] == 200
    assert answer(daemon, messages.attestation(2, 3)) == second
    assert answer(daemon, messages.attestation(2, 3, "other"))[0] == 412
    daemon.kill_room("core")
    daemon.wait_ready()
    assert answer(daemon, messages.attestation(1, 2)) == first
    daemon.kill_all()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2)) == first
    assert answer(daemon, messages.attestation(2, 3)) == second
    assert answer(daemon, messages.attestation(0, 4))[0] == 412
    assert aws.refused() == 0
    text = daemon.metrics()
    assert re.search(r'^containment_aws_calls_total{service="dynamodb",outcome="ok"} [1-9]', text, re.M)
    assert re.search(r'^containment_aws_call_duration_seconds_count{service="dynamodb"} [1-9]', text, re.M)


def test_P19_throttled_and_away_is_503_and_it_goes_on_when_it_is_back(daemon, aws):
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    for epoch, kind in enumerate(("throttle", "refuse"), 2):
        aws.fault(kind, "*", -1)
        begun = time.monotonic()
        assert answer(daemon, messages.attestation(epoch, epoch + 1))[0] == 503
        assert time.monotonic() - begun < 5
        aws.clear()
        assert goes_on(daemon, messages.attestation(epoch, epoch + 1))[0] == 200
    text = daemon.metrics()
    for outcome in ("throttled", "unreachable"):
        assert re.search(rf'^containment_aws_calls_total{{service="dynamodb",outcome="{outcome}"}} [1-9]', text, re.M), outcome


def test_the_state_store_too_in_one_table(make_daemon, aws):
    stores = {"anti_slashing": {"backend": "dynamodb", "table": "both"},
              "signer_state": {"backend": "dynamodb", "table": "both"}}
    daemon = make_daemon(keys=interop.SECRETS[:4], environment=aws.environment(), config=stores)
    daemon.init()
    daemon.start()
    first = answer(daemon, messages.attestation(1, 2))
    assert first[0] == 200
    assert not (daemon.data_dir / "state.sqlite").exists()
    daemon.kill_all()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2)) == first
    assert answer(daemon, messages.attestation(1, 2, "other"))[0] == 412
    assert aws.refused() == 0


def test_P03_a_start_refuses_a_table_without_a_history(daemon):
    daemon.config["anti_slashing"]["table"] += "-other"
    daemon.write_config()
    daemon.spawn()
    assert daemon.process.wait(20) != 0
    assert "HISTORY_MISSING" in daemon.log_text()


def test_slashing_commands_work_on_the_table(daemon, aws, tmp_path):
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    assert answer(daemon, messages.block(100))[0] == 200
    daemon.end()
    exported = tmp_path / "history.json"

    def slashing(*arguments):
        return daemon.command("slashing", *arguments, "-c", daemon.config_path).stdout

    slashing("export", "--to", exported)
    data = json.loads(exported.read_text())["data"]
    assert sum(len(v["signed_attestations"]) for v in data) == 1
    assert sum(len(v["signed_blocks"]) for v in data) == 1
    assert json.loads(slashing("status", "--json"))["validators"] == 4
    slashing("import", "--from", exported)
    slashing("hand-over", "--epoch", 3)
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    assert answer(daemon, messages.attestation(2, 3))[0] == 412
    daemon.end()
    slashing("hand-over", "--cancel", "--force")
    slashing("repair-watermark", "--epoch", 7)
    daemon.start()
    assert answer(daemon, messages.attestation(6, 7))[0] == 412
    assert answer(daemon, messages.attestation(7, 8))[0] == 200
    assert aws.refused() == 0
