"""P2, P17, P18, C2, C6: kill -9 of each process and of all of them under load. Every signature that a client received is
in the history afterwards, no two of them are slashable together, and the same request is signed again."""
import http.client
import json
import os
import random
import re
import signal
import threading
import time

import pytest

import interop
import messages
from daemon import binary_with_switches, wait_for
from forms import FULL

KEYS = interop.PUBKEYS[:4]


class Load:
    """Clients that vote on, conflicting with each other on purpose, and remember every signature they were given."""

    def __init__(self, daemon, threads=6):
        self.daemon = daemon
        self.released = {}  # (pubkey, signing root) -> (request, signature)
        self.lock = threading.Lock()
        self.epoch = 2
        self.strange = []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def _next_epoch(self):
        with self.lock:
            self.epoch += 1
            return self.epoch

    def _run(self, number):
        connection, port, turn = None, None, 0
        while not self.ending.is_set():
            turn += 1
            # Every third message is for the epoch that another thread is at: those conflict.
            epoch = self._next_epoch() if turn % 3 else self.epoch
            pubkey = KEYS[turn % len(KEYS)]
            make = messages.attestation(epoch - 1, epoch, number) if turn // 4 % 2 else messages.block(epoch, number)
            try:
                if connection is None or port != self.daemon.http_port:
                    port = self.daemon.http_port
                    connection = self.daemon.connect(timeout=10)
                status, _, body = connection.request("POST", f"/api/v1/eth2/sign/{pubkey}", make)
            except (OSError, http.client.HTTPException):
                connection = None
                self.ending.wait(0.01)
                continue
            if status == 200:
                with self.lock:
                    self.released[pubkey, messages.signing_root(make)] = (make, json.loads(body)["signature"])
            elif status not in (412, 503):
                self.strange.append((status, body[:200]))

    def count(self):
        """Signatures received so far."""
        with self.lock:
            return len(self.released)

    def wait_for_more(self, number=20, seconds=30):
        """Waits until `number` more signatures have come."""
        target = self.count() + number
        wait_for(f"{number} more signatures", lambda: self.count() >= target, seconds)


def slashable_pairs(released):
    """The offline checker: pairs of released messages that together are slashable."""
    pairs = []
    votes, proposals = {}, {}
    for (pubkey, root), (request, _) in released.items():
        if request["type"] == "ATTESTATION":
            data = request["attestation"]
            votes.setdefault(pubkey, []).append((int(data["source"]["epoch"]), int(data["target"]["epoch"]), root))
        else:
            proposals.setdefault(pubkey, []).append((int(request["beacon_block"]["block_header"]["slot"]), root))
    for mine in votes.values():
        mine.sort(key=lambda vote: vote[1])
        highest_source = (-1, None)
        for index, vote in enumerate(mine):
            if index and mine[index - 1][1] == vote[1]:
                pairs.append((mine[index - 1], vote))
            if vote[0] < highest_source[0] and highest_source[1][1] < vote[1]:
                pairs.append((highest_source[1], vote))
            highest_source = max(highest_source, (vote[0], vote), key=lambda pair: pair[0])
    for mine in proposals.values():
        mine.sort()
        pairs += [(a, b) for a, b in zip(mine, mine[1:]) if a[0] == b[0]]
    return pairs


def recorded_roots(daemon):
    """{(pubkey, signing root)} of everything in the history, by way of an export."""
    path = daemon.path / "export.json"
    path.unlink(missing_ok=True)
    daemon.command("slashing", "export", "-c", daemon.config_path, "--to", path)
    roots = set()
    for row in json.loads(path.read_text())["data"]:
        for record in row["signed_blocks"] + row["signed_attestations"]:
            roots.add((row["pubkey"].lower(), record.get("signing_root", "").lower()))
    return roots


def newest(released, number):
    """(pubkey, request, signature) of the `number` highest messages of each key and kind: a vault is sure to sign those
    again that lie in its window or that it has signed itself (vault/floor.h)."""
    groups = {}
    for (pubkey, _), (request, signature) in released.items():
        if request["type"] == "ATTESTATION":
            height = int(request["attestation"]["target"]["epoch"])
        else:
            height = int(request["beacon_block"]["block_header"]["slot"])
        groups.setdefault((pubkey, request["type"]), []).append((height, request, signature))
    for (pubkey, _), messages_of_one in groups.items():
        for _, request, signature in sorted(messages_of_one, key=lambda m: m[0])[-number:]:
            yield pubkey, request, signature


def check(daemon, load, repeats=2):
    """The properties, on a running daemon whose load has ended."""
    assert not load.strange, load.strange[:5]
    assert load.released
    assert slashable_pairs(load.released) == []
    for pubkey, request, signature in newest(load.released, repeats):
        status, _, body = daemon.sign(pubkey, request)
        assert (status, json.loads(body).get("signature")) == (200, signature), body
    assert daemon.stop() == 0
    missing = set(load.released) - recorded_roots(daemon)
    assert not missing, f"{len(missing)} of {len(load.released)} released signatures have no record"


def started(make_daemon, **options):
    """A daemon with the keys of the load, ready."""
    daemon = make_daemon(keys=interop.SECRETS[:4], config={"logging": {"level": "info"}}, **options)
    daemon.init()
    daemon.start()
    return daemon


def test_the_offline_checker_finds_what_it_looks_for():
    key = KEYS[0]

    def found(*requests):
        return slashable_pairs({(key, messages.signing_root(r)): (r, "") for r in requests})

    vote, block = messages.attestation, messages.block
    assert not found(vote(1, 2), vote(2, 3), block(5), block(6))
    assert found(vote(1, 2), vote(1, 2, "other"))
    assert found(vote(3, 4), vote(2, 5))
    assert found(vote(2, 5), vote(3, 4), vote(5, 6))
    assert found(block(5), block(5, "other"))


@pytest.mark.parametrize("room", ["front", "core", "vault"])
def test_P02_P17_kill_of_one_room_under_load(room, make_daemon):
    daemon = started(make_daemon)
    with Load(daemon) as load:
        for _ in range(10 if FULL else 3):
            load.wait_for_more()
            daemon.kill_room(room)
            daemon.wait_ready()
        load.wait_for_more()
    check(daemon, load, repeats=2 if room == "vault" else 20)


def test_P02_P18_kill_of_everything_under_load(make_daemon):
    seed = int(os.environ.get("CC_SEED", time.time_ns() % 2**32))
    print("seed", seed)
    chance = random.Random(seed)
    daemon = started(make_daemon)
    with Load(daemon) as load:
        for _ in range(30 if FULL else 4):
            load.wait_for_more(chance.randrange(1, 60))
            daemon.kill_all()
            daemon.start()
        load.wait_for_more()
    check(daemon, load)


POINTS = "RECEIVED ENQUEUED COMMIT COMMITTED TO_VAULT SIGNED ANSWER ANSWERED REGISTER REGISTERED".split()


@pytest.mark.parametrize("point", POINTS)
def test_P02_kill_at_each_point_between_check_and_answer(point, make_daemon):
    """CC_TEST_POINT=POINT:n kills the core at the nth passage, once (builds with test switches only)."""
    nth = 1 if point.startswith("REGISTER") else 25
    daemon = make_daemon(
        keys=interop.SECRETS[:4],
        binary=binary_with_switches(),
        environment={"CC_TEST_POINT": f"{point}:{nth}"},
        config={"logging": {"level": "info"}},
    )
    daemon.init()
    daemon.start()
    with Load(daemon) as load:
        wait_for("the kill", lambda: "test point" in daemon.log_text(), 30)
        daemon.wait_ready()
        load.wait_for_more()
    check(daemon, load)


@pytest.mark.timed
def test_C02_front_is_back_within_a_second_and_nothing_else_notices(make_daemon):
    daemon = started(make_daemon)
    assert daemon.sign(KEYS[0], messages.attestation(1, 2))[0] == 200
    others = {name: pid for name, pid in daemon.rooms().items() if name != "front"}
    for _ in range(5):
        daemon.kill_room("front")
        begun = time.monotonic()
        wait_for("an answer", lambda: daemon.status_of("/upcheck") == 200, 1.0)
        assert daemon.sign(KEYS[0], messages.attestation(1, 2))[0] == 200
        assert time.monotonic() - begun < 1.0
    assert {name: pid for name, pid in daemon.rooms().items() if name != "front"} == others


def test_C02_who_waits_for_a_core_that_dies_is_told_to_ask_again(make_daemon):
    """503, and no connection that closes without an answer."""
    daemon = started(make_daemon)
    waiting = [http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=30) for _ in range(16)]
    core = daemon.room("core")
    daemon.halt(core)
    for number, connection in enumerate(waiting):
        connection.request("POST", f"/api/v1/eth2/sign/{KEYS[number % len(KEYS)]}", json.dumps(messages.attestation(1, 2)),
                           {"Content-Type": "application/json"})
    wait_for("all requests at the core", lambda: f"containment_http_in_flight {len(waiting)}\n" in daemon.metrics())
    os.kill(core, signal.SIGKILL)
    for connection in waiting:
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Retry-After"), answer.getheader("Connection")) == (503, "1", "close"), answer.read()
        assert json.loads(answer.read())["rule"] == "DOOR_CLOSED"
        connection.close()
    daemon.wait_ready()
    assert daemon.sign(KEYS[0], messages.attestation(1, 2))[0] == 200


def test_C02_core_is_back_with_the_keys_still_open(make_daemon):
    daemon = started(make_daemon)
    assert daemon.sign(KEYS[0], messages.attestation(1, 2))[0] == 200
    vault = daemon.room("vault")
    assert "the vault holds keys already" not in daemon.log_text()
    daemon.kill_room("core")
    daemon.wait_ready()
    assert daemon.sign(KEYS[0], messages.attestation(1, 2))[0] == 200
    assert daemon.room("vault") == vault
    held = re.search(r'"the vault holds keys already","keys":(\d+)', daemon.log_text())
    assert held and held.group(1) == "4", "the new core found the keys in the vault"
