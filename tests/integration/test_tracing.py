"""Traces of a real signer, as a collector on loopback gets them: whose they are, what they tell, and that nobody waits for it."""
import json
import re
import threading
import time

import pytest

import interop
import messages
from certificates import Pair
from collector import Collector, attributes
from daemon import Daemon, fresh_dir, wait_for
from test_http import ask
from test_metrics import value

KEYS = interop.PUBKEYS[:2]
PARENT = "00f067aa0ba902b7"
ATTESTATION = ["front.parse", "front.queue", "core.check", "core.queue", "history.commit", "vault.queue", "vault.sign", "answer"]
POOL = 4096 + 256  # records, and those of the batch that is under way
epochs = iter(range(1, 10000))
ids = iter(range(1, 10000))


def config_of(collector, scheme="http", **more):
    """A signer's configuration, with the most patient limits."""
    tracing = {"otlp_endpoint": f"{scheme}://127.0.0.1:{collector.port}", **more}
    return {"tracing": tracing, "signing": {"duty_deadline_ms": 60000}, "genesis_validators_root": messages.MINIMAL_GENESIS_ROOT}


@pytest.fixture(name="collector", scope="module")
def the_collector():
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(name="signer", scope="module")
def the_signer(collector):
    """One that traces all."""
    daemon = Daemon(fresh_dir("tracing"), keys=interop.SECRETS[:2], config=config_of(collector, sample_ratio=1.0))
    try:
        daemon.init()
        yield daemon.start()
    finally:
        daemon.end()


def fresh_attestation():
    epoch = next(epochs)
    return messages.attestation(epoch, epoch + 1)


def traceparent(flags="01"):
    """A header, and its trace's id."""
    trace = f"{next(ids):032x}"
    return {"traceparent": f"00-{trace}-{PARENT}-{flags}"}, trace


def spans_of(result):
    """How many spans had that end: of one signer."""
    return lambda daemon: value(daemon.metrics(), f'containment_tracing_spans_total{{result="{result}"}}')


exported, dropped, failed = (spans_of(result) for result in ("exported", "dropped", "failed"))


def one_request(collector, trace):
    """The span of the request, once it has come."""
    (request,) = wait_for("the trace", lambda: collector.requests(trace))
    return request


def check_times(request, stages):
    """Stages follow one another without a gap, and fill the request's time."""
    times = [(int(s["startTimeUnixNano"]), int(s["endTimeUnixNano"])) for s in stages]
    assert all(isinstance(s["startTimeUnixNano"], str) for s in stages)
    assert times[0][0] == int(request["startTimeUnixNano"]) and times[-1][1] == int(request["endTimeUnixNano"])
    for (begin, end), (following, _) in zip(times, times[1:]):
        assert begin <= end == following
    assert abs(times[-1][1] / 1e9 - time.time()) < 60


def test_a_signature_is_a_trace_of_its_stages(signer, collector):
    header, trace = traceparent()
    begun = time.time()
    assert signer.sign(KEYS[0], fresh_attestation(), header)[0] == 200
    took_ns = (time.time() - begun) * 1e9
    request = one_request(collector, trace)
    assert request["parentSpanId"] == PARENT and request["name"] == "sign ATTESTATION"
    assert re.fullmatch("[0-9a-f]{16}", request["spanId"]) and "status" not in request
    told = attributes(request)
    assert told.pop("containment.target_epoch") == told.pop("containment.source_epoch") + 1
    assert told == {"containment.operation": "ATTESTATION", "http.response.status_code": 200, "containment.batch_claims": 1}
    stages = collector.stages(request)
    assert list(stages) == ATTESTATION
    assert all(s["traceId"] == trace for s in stages.values())
    check_times(request, list(stages.values()))
    assert 0 < int(request["endTimeUnixNano"]) - int(request["startTimeUnixNano"]) < took_ns
    assert set(collector.heads) == {("/v1/traces", "application/json")}
    assert collector.resources[0]["service.name"] == "containment-chamber"
    assert re.fullmatch("[0-9a-f]{32}", collector.resources[0]["service.instance.id"])
    wait_for("the count", lambda: exported(signer) >= len(collector.spans))


def test_what_needs_no_record_has_fewer_stages(signer, collector):
    header, trace = traceparent()
    assert signer.sign(KEYS[0], messages.randao(3), header)[0] == 200
    request = one_request(collector, trace)
    stages = collector.stages(request)
    assert list(stages) == [s for s in ATTESTATION if s not in ("history.commit", "vault.queue")]
    check_times(request, list(stages.values()))
    assert attributes(request) == {"containment.operation": "RANDAO_REVEAL", "http.response.status_code": 200}


def test_a_refusal_tells_its_rule_and_the_log_its_trace(signer, collector):
    (header, trace), (other, unknown) = traceparent(), traceparent()
    vote = fresh_attestation()
    assert signer.sign(KEYS[0], vote)[0] == 200
    rival = json.loads(json.dumps(vote))
    rival["attestation"]["beacon_block_root"] = messages.root("a rival")
    assert signer.sign(KEYS[0], rival, header)[0] == 412
    assert signer.sign("0x" + "ab" * 48, messages.randao(3), other)[0] == 404
    request = one_request(collector, trace)
    told = attributes(request)
    assert told["http.response.status_code"] == 412 and told["error.type"] == "SLASHABLE"
    assert told["containment.rule"] == "DOUBLE_VOTE" and "status" not in request
    assert list(collector.stages(request)) == [s for s in ATTESTATION if not s.startswith("vault")]
    stages = collector.stages(one_request(collector, unknown))
    assert list(stages) == ["front.parse", "front.queue", "core.check"]
    lines = [json.loads(line) for line in signer.log_text().splitlines() if "trace_id" in line]
    assert {trace, unknown} <= {line["trace_id"] for line in lines}
    assert KEYS[0] not in json.dumps(collector.spans) and "ab" * 48 not in json.dumps(collector.spans)


def refusal_line(signer, answer):
    """The one log line of a refused request, by its answer's id."""
    request = answer[1]["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", request)
    lines = [json.loads(line) for line in signer.log_text().splitlines() if f'"request":"{request}"' in line]
    assert len(lines) == 1, lines
    return lines[0]


def test_a_refusal_has_an_id_that_the_log_has_too_and_its_trace_without_a_collector(make_daemon):
    signer = make_daemon(keys=interop.SECRETS[:1])
    signer.init()
    signer.start()
    header, trace = traceparent("00")
    refused = signer.sign("0x" + "ab" * 48, messages.randao(3), {**header, "X-Request-Id": "of-the-client"})
    again = signer.sign("0x" + "cd" * 48, messages.randao(3))
    good = signer.sign(KEYS[0], messages.randao(3), header)
    assert (refused[0], again[0], good[0]) == (404, 404, 200)
    line, other = refusal_line(signer, refused), refusal_line(signer, again)
    assert (line["key"], line["trace_id"]) == ("ab" * 48, trace)
    assert other["key"] == "cd" * 48 and "trace_id" not in other
    assert "x-request-id" not in good[1] and "x-request-id" not in signer.get("/no/such/route")[1]


def test_the_header_is_honoured_or_ignored(signer, collector):
    unsampled, silent = traceparent("00")
    assert signer.sign(KEYS[0], fresh_attestation(), unsampled)[0] == 200
    good, trace = traceparent("03")
    before = len(collector.requests())
    broken = [good["traceparent"].upper().replace("00-", "FF-"), good["traceparent"] + "-00", good["traceparent"][:-1], "", "00-",
              "ff" + good["traceparent"][2:], f"00-{'0' * 32}-{PARENT}-01", good["traceparent"].replace("-", "_"), "é"]
    for text in broken:
        assert signer.sign(KEYS[0], messages.randao(3), {"traceparent": text.encode()})[0] == 200
    twice, doubled = traceparent()
    body = json.dumps(messages.randao(3))
    line = f"traceparent: {twice['traceparent']}\r\n"
    form = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    head = f"POST /api/v1/eth2/sign/{KEYS[0]} HTTP/1.1\r\n{form}{line}{line}\r\n"
    assert ask(signer.http_port, (head + body).encode())[0] == 200
    assert signer.sign(KEYS[0], messages.randao(3), good)[0] == 200
    one_request(collector, trace)
    wait_for("all of them", lambda: len(collector.requests()) >= before + len(broken) + 2)
    assert not collector.requests(silent) and not collector.requests(doubled) and len(collector.requests(trace)) == 1
    own = [r for r in collector.requests() if "parentSpanId" not in r]
    assert len({r["traceId"] for r in own}) == len(own) >= len(broken)


def test_items_of_a_batch_are_spans_of_one_trace(signer, collector):
    header, trace = traceparent()
    items = [{"identifier": key, **messages.randao(5)} for key in (*KEYS, "0x" + "cd" * 48)]
    status, _, _ = signer.post("/api/v1/eth2/sign", json.dumps(items).encode(), {"Content-Type": "application/json", **header})
    assert status == 200
    wait_for("the batch", lambda: len(collector.requests(trace)) == 3)
    found = collector.requests(trace)
    assert sorted(attributes(r)["http.response.status_code"] for r in found) == [200, 200, 404]
    assert {r["parentSpanId"] for r in found} == {PARENT} and len({r["spanId"] for r in found}) == 3


def test_a_collector_that_refuses_is_counted(signer, collector):
    before = failed(signer)
    collector.answers = [400]  # for good: not tried again
    assert signer.sign(KEYS[0], fresh_attestation())[0] == 200
    wait_for("a failure", lambda: failed(signer) == before + 1 + len(ATTESTATION))
    collector.answers = [503, 429]  # for now: tried again
    header, trace = traceparent()
    assert signer.sign(KEYS[0], fresh_attestation(), header)[0] == 200
    one_request(collector, trace)
    assert not collector.answers
    before = failed(signer)
    collector.body = b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too \\"many\\""}}'
    try:
        assert signer.sign(KEYS[0], fresh_attestation())[0] == 200
        wait_for("a partial success", lambda: failed(signer) == before + 2)
    finally:
        collector.body = b"{}"
    assert "traces don't reach the collector" in signer.log_text()


def test_a_collector_that_hangs_slows_nobody(signer, collector):
    collector.hold = threading.Event()
    try:
        before = dropped(signer)
        assert signer.sign(KEYS[0], messages.randao(7))[0] == 200
        wait_for("a collector that hangs", lambda: collector.waiting)
        refused = json.dumps([{"identifier": "0x" + "ef" * 48, **messages.randao(5)}] * 512).encode()
        for _ in range(POOL // 512 + 2):  # of no key: as many requests as fit, and more
            assert signer.post("/api/v1/eth2/sign", refused, {"Content-Type": "application/json"})[0] == 200
        assert dropped(signer) > before
        begun = time.monotonic()
        assert signer.sign(KEYS[0], fresh_attestation())[0] == 200
        assert time.monotonic() - begun < 10  # the tries take twice as long
        assert signer.status_of("/readyz") == 200 and signer.status_of("/healthcheck") == 200
    finally:
        collector.hold.set()
        collector.hold = None
    header, trace = traceparent()

    def traced():
        return signer.sign(KEYS[0], messages.randao(9), header)[0] == 200 and collector.requests(trace)

    wait_for("traces again", traced, 60)


def test_tls_is_checked_and_the_end_sends_what_is_left(workdir, make_daemon):
    authority, other = (Pair(name, authority=True) for name in ("collectors", "others"))
    (workdir / "ca.pem").write_bytes(authority.pem())
    collector = Collector(tls=Pair("collector", other).write(workdir, "other"))
    daemon = make_daemon(keys=interop.SECRETS[:1],
                         config=config_of(collector, "https", ca_path=str(workdir / "ca.pem"), sample_ratio=0))
    try:
        daemon.init()
        daemon.start()
        assert daemon.sign(KEYS[0], fresh_attestation(), traceparent()[0])[0] == 200
        wait_for("a stranger", lambda: "certificate is not trusted" in daemon.log_text())
        assert not collector.spans
        collector.context.load_cert_chain(*Pair("collector", authority).write(workdir, "own"))
        header, trace = traceparent()
        assert daemon.sign(KEYS[0], fresh_attestation(), header)[0] == 200
        one_request(collector, trace)
        header, last = traceparent()
        assert daemon.sign(KEYS[0], fresh_attestation())[0] == 200  # a ratio of 0: none of its own
        assert daemon.sign(KEYS[0], fresh_attestation(), header)[0] == 200
        assert daemon.stop() == 0
        assert len(collector.requests(last)) == 1
        assert all("parentSpanId" in request for request in collector.requests())
    finally:
        collector.close()


def test_a_collector_that_hangs_holds_no_end_up(signer, collector):
    collector.hold, collector.waiting = threading.Event(), 0
    try:
        assert signer.sign(KEYS[0], messages.randao(7))[0] == 200
        wait_for("a collector that hangs", lambda: collector.waiting)
        assert signer.stop(20) == 0  # what is under way at the end has two seconds
    finally:
        collector.hold.set()
