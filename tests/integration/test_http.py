"""Hostile requests against the real program: each gets the right refusal or a closed connection, and nobody else notices.

P17: no request crashes anything. P24: bodies, depth and time are bounded, before and without any authentication.
"""
import json
import os
import pathlib
import re
import select
import socket
import threading
import time

import pytest

import hostile
import messages
from daemon import binary_with_switches, release_binary, wait_for

SECRET = "0x" + "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866"


def ask(port, data, *, half_close=True, timeout=20):
    """Sends `data` and, with `half_close`, the end of it; reads to the server's end of the connection or one whole answer: (status or 0, head, body)."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        got = b""
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server has closed already; its answer may still be there
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    break
                got += part
                head, found, body = got.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                if found and length and len(body) >= int(length[1]):
                    break
        except ConnectionResetError:
            pass
    if not got.startswith(b"HTTP/1.1 "):
        return 0, got, b""
    head, _, body = got.partition(b"\r\n\r\n")
    return int(got[9:12]), head, body


def memory_kib(pid):
    """Resident memory of a process."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


class Watcher(threading.Thread):
    """Asks for /upcheck all the time and remembers what went wrong."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.daemon_under_test = daemon
        self.faults = []
        self.count = 0
        self.slowest = 0.0
        self.ending = threading.Event()

    def run(self):
        while not self.ending.is_set():
            began = time.monotonic()
            status = self.daemon_under_test.status_of("/upcheck")
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.count += 1
            if status != 200:
                self.faults.append(status)
            self.ending.wait(0.005)

    def end(self):
        self.ending.set()
        self.join()
        assert self.count > 2 and not self.faults, (self.count, self.faults)


# Short: a client that ends its half in the middle of a request is noticed by its deadline.
CONFIG = {"genesis_validators_root": messages.MINIMAL_GENESIS_ROOT, "server": {"request_deadline_seconds": 2}}


@pytest.fixture
def signer(make_daemon):
    daemon = make_daemon(keys=[SECRET], config=CONFIG)
    daemon.init()
    return daemon.start()


def pids(daemon):
    return {name: daemon.rooms().get(name) for name in ("front", "core", "vault")}


def test_P17_P24_hostile_requests_get_the_right_refusal(signer):
    public_key = json.loads(signer.get("/api/v1/eth2/publicKeys")[2])[0]
    assert public_key == hostile.KEY
    before = pids(signer)
    watcher = Watcher(signer)
    watcher.start()
    wrong = []
    seen = 0
    for name, data, right in hostile.cases():
        status, head, body = ask(signer.http_port, data, half_close=hostile.CLOSED in right)
        seen += 1
        if status not in right:
            wrong.append((name, status, sorted(right), (head + body)[:300]))
        if hostile.MARK.encode() in head + body:
            wrong.append((name, "sends input back", body[:300]))
        if status and b"application/json" in head:
            error = json.loads(body)
            if error["code"] != status or not error["error"] or not error["rule"]:
                wrong.append((name, "error body", body))
    watcher.end()
    assert not wrong, "\n".join(map(str, wrong))
    assert seen >= 200
    print(f"{seen} hostile requests, {watcher.count} probes beside them, the slowest {watcher.slowest * 1000:.0f} ms")
    assert pids(signer) == before
    status, _, _ = signer.sign(public_key, messages.attestation(0, 1))
    assert status == 200


def test_P17_mutated_requests_never_crash_or_sign_twice(signer):
    seed = int(os.environ.get("CC_SEED", "20"))
    print(f"CC_SEED={seed}")
    before = pids(signer)
    statuses = {}
    for data in hostile.mutations(seed, 600):
        status, _, _ = ask(signer.http_port, data)
        statuses[status] = statuses.get(status, 0) + 1
    assert not {s for s in statuses if s >= 500 and s != 505}, statuses
    assert pids(signer) == before
    assert signer.sign(hostile.KEY, messages.attestation(4, 5))[0] == 200


def test_memory_stays_flat(signer):
    front = signer.room("front")
    core = signer.room("core")
    everything = [data for _, data, right in hostile.cases() if hostile.CLOSED not in right]
    rounds = []
    for _ in range(5):
        for data in everything:
            ask(signer.http_port, data, half_close=False)
        rounds.append((memory_kib(front), memory_kib(core)))
    print(rounds)
    assert rounds[-1][0] - rounds[1][0] < 1500, rounds
    assert rounds[-1][1] - rounds[1][1] < 1500, rounds
    open_now = wait_for("connections to be given back", lambda: re.search(r"^containment_http_connections [12]$", signer.metrics(), re.M))
    assert open_now


def test_slow_requests_are_shut_and_nobody_waits_for_them(make_daemon):
    daemon = make_daemon(keys=[SECRET], config={"server": {"request_deadline_seconds": 1, "idle_timeout_seconds": 1}})
    daemon.init()
    daemon.start()
    watcher = Watcher(daemon)
    watcher.start()
    slow = []
    for data in (b"", b"P", b"POST /upcheck HTTP/1.1\r\nHost: loc", hostile.raw("POST", hostile.SIGN, ["Content-Length: 50"], b"{"),
                 hostile.raw("POST", hostile.SIGN, ["Transfer-Encoding: chunked"], b"5\r\nhe")) * 20:
        s = socket.create_connection(("127.0.0.1", daemon.http_port), 20)
        s.sendall(data)
        slow.append(s)
    open_until = time.monotonic() + 15
    while slow and time.monotonic() < open_until:
        for s in list(slow):
            try:  # a trickle doesn't keep it open
                s.send(b"a")
                s.settimeout(0.001)
                ended = s.recv(1024) == b""
            except TimeoutError:
                ended = False
            except OSError:
                ended = True
            if ended:
                s.close()
                slow.remove(s)
    watcher.end()
    assert not slow, f"{len(slow)} still open"
    assert re.search(r"^containment_http_timeouts_total [1-9]", daemon.metrics(), re.M)


def test_C07_out_of_descriptors_is_survived(make_daemon, workdir):
    wrapper = workdir / "few-descriptors"
    wrapper.write_text(f'#!/bin/sh\nulimit -n 48\nexec {release_binary() or binary_with_switches()} "$@"\n')
    wrapper.chmod(0o755)
    signer = make_daemon(keys=[SECRET], config=CONFIG, binary=wrapper)
    signer.init()
    signer.start()
    front = signer.room("front")
    clients = [socket.create_connection(("127.0.0.1", signer.http_port), 20) for _ in range(60)]
    for s in clients:
        s.sendall(hostile.raw("GET", "/upcheck"))
    answered = []
    while clients:
        ready, _, _ = select.select(clients, [], [], 20)
        assert ready, f"{len(answered)} answered, {len(clients)} wait for ever"
        for s in ready:
            answered.append(s.recv(1000)[:12])
            s.close()
            clients.remove(s)
    assert answered == [b"HTTP/1.1 200"] * 60
    assert signer.sign(hostile.KEY, messages.attestation(0, 1))[0] == 200
    assert signer.room("front") == front


def test_pipelined_requests_are_answered_in_order(signer):
    paths = ["/upcheck", "/api/v1/eth2/publicKeys", "/nowhere", "/api/v1/eth2/highWatermark", "/upcheck"] * 10
    with socket.create_connection(("127.0.0.1", signer.http_port), 20) as s:
        s.sendall(b"".join(hostile.raw("GET", p) for p in paths))
        reader = s.makefile("rb")
        for path in paths:
            status = int(reader.readline().split()[1])
            length = 0
            while (line := reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            reader.read(length)
            assert status == (404 if path == "/nowhere" else 200)


def test_head_expect_and_upgrade(signer):
    status, head, body = ask(signer.http_port, hostile.raw("HEAD", "/upcheck", ["Connection: close"]), half_close=False)
    assert status == 200 and body == b"" and b"content-length: 2" in head.lower()
    status, head, _ = ask(signer.http_port, hostile.raw("GET", "/upcheck", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]))
    assert status == 200 and b"upgrade" not in head.lower()
    body = json.dumps(messages.attestation(0, 1)).encode()
    with socket.create_connection(("127.0.0.1", signer.http_port), 20) as s:
        s.sendall(hostile.raw("POST", hostile.SIGN, [f"Content-Length: {len(body)}", "Expect: 100-continue"]))
        assert s.recv(100).startswith(b"HTTP/1.1 100 ")
        s.sendall(body)
        assert s.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_answers_follow_accept(signer):
    for accept, json_form in [
        (None, False),
        ("application/json", True),
        ("*/*", True),
        ("text/plain", False),
        ("text/plain, application/json;q=0.5", True),
    ]:
        headers = [f"Accept: {accept}"] if accept else []
        data = hostile.post(messages.attestation(0, 1), headers)
        status, head, body = ask(signer.http_port, data, half_close=False)
        assert status == 200
        if json_form:
            assert b"Content-Type: application/json; charset=utf-8" in head
            assert re.fullmatch(r"0x[0-9a-f]{192}", json.loads(body)["signature"])
        else:
            assert b"Content-Type: text/plain; charset=utf-8" in head
            assert re.fullmatch(rb"0x[0-9a-f]{192}", body)


def test_refusals_name_their_reason(signer):
    assert signer.sign(hostile.KEY, messages.attestation(2, 3))[0] == 200
    status, _, body = signer.sign(hostile.KEY, messages.attestation(2, 3, seed=1))
    refusal = json.loads(body)
    assert status == 412 and refusal["rule"] == "DOUBLE_VOTE", refusal
    assert refusal["earlier"] == {"source_epoch": "2", "target_epoch": "3"}
    status, _, body = signer.sign(hostile.KEY, {**messages.attestation(2, 3), "signingRoot": "0x" + "11" * 32})
    assert status == 400 and messages.signing_root(messages.attestation(2, 3)) in json.loads(body)["error"]
    status, _, body = signer.sign(hostile.KEY, {"type": "VOLUNTARY_EXIT", "fork_info": messages.fork_info(), "voluntary_exit": {"epoch": "1", "validator_index": "1"}})
    assert status == 403 and json.loads(body)["rule"] == "NOT_ROUTINE"
