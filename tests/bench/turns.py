"""What a signing request costs each process, by processor time. The client takes turns: one request on each connection, then the answers."""
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
import interop  # noqa: E402  pylint: disable=wrong-import-position
import messages  # noqa: E402  pylint: disable=wrong-import-position


def cpu_ns(pid):
    """Processor time of all threads of a process so far."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def requests_of(epoch, count):
    """One request for each connection, all of one epoch: a key each."""
    made = []
    for pubkey in interop.PUBKEYS[:count]:
        body = json.dumps(messages.attestation(epoch, epoch + 1)).encode()
        head = f"POST /api/v1/eth2/sign/{pubkey} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        made.append(f"{head}Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


def read_answer(one):
    """Reads one answer to its end."""
    got = one.recv(4096)
    while b'"}' not in got:
        got += one.recv(4096)
    assert got.startswith(b"HTTP/1.1 200"), got


def take(connections, turns, first_epoch, pids):
    """({name: µs of its processor time for a request}, requests a second); `pids`: {name: pid}."""
    before, begin = {name: cpu_ns(pid) for name, pid in pids.items()}, time.monotonic()
    for epoch in range(first_epoch, first_epoch + turns):
        for one, request in zip(connections, requests_of(epoch, len(connections))):
            one.sendall(request)
        for one in connections:
            read_answer(one)
    count = turns * len(connections)
    took = time.monotonic() - begin
    return {name: (cpu_ns(pid) - before[name]) / count / 1000 for name, pid in pids.items()}, count / took
