"""Three times as much as can be signed, from a client that floods, beside one that asks little.

The history is slowed down (builds with test switches): so the capacity is known, whatever else the machine does."""
import asyncio
import json
import os
import statistics

import messages
from daemon import binary_with_switches
from usage import secret_of

COMMIT_MS = 200
BATCH = 16
CAPACITY = BATCH * 1000 // COMMIT_MS  # a second
DEADLINE = 1.0
SECONDS = 6
KEYS = 64
FLOODER, MODEST = "127.0.0.2", "127.0.0.1"


class Client:
    """Kept-alive connections from one address; one more whenever all are in use."""

    def __init__(self, daemon, address):
        self.port, self.address = daemon.http_port, address
        self.idle, self.all = [], []

    async def connection(self):
        """An unused one."""
        if self.idle:
            return self.idle.pop()
        made = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))
        self.all.append(made)
        return made

    async def sign(self, key, message):
        """(status, seconds)"""
        body = json.dumps(message).encode()
        reader, writer = link = await self.connection()
        began = asyncio.get_running_loop().time()
        writer.write(
            f"POST /api/v1/eth2/sign/{key} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        await reader.readexactly(int(fields[b"content-length"]))
        took = asyncio.get_running_loop().time() - began
        self.idle.append(link)
        return int(head.split(b" ", 2)[1]), took

    def close(self):
        """Closes all."""
        for _, writer in self.all:
            writer.close()


async def steadily(per_second, seconds, ask):
    """Calls ask(number) so many times a second, whether the ones before are answered or not; their results."""
    loop = asyncio.get_running_loop()
    begun, tasks = loop.time(), []
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(max(0.0, begun + number / per_second - loop.time()))
        tasks.append(asyncio.create_task(ask(number)))
    return await asyncio.gather(*tasks)


async def overload(daemon, keys):
    """{"flood": [(status, seconds), ...], "modest": ..., "blocks": ...}"""
    flooder, modest = Client(daemon, FLOODER), Client(daemon, MODEST)

    def attest(client, own):
        def ask(number):
            epoch = 2 + number // len(own)
            return client.sign(own[number % len(own)], messages.attestation(epoch - 1, epoch))

        return ask

    def propose(number):
        return flooder.sign(keys[0], messages.block(10 + number))

    results = await asyncio.gather(
        steadily(3 * CAPACITY, SECONDS, attest(flooder, keys[1:-1])),
        steadily(5, SECONDS, attest(modest, keys[-1:])),
        steadily(3, SECONDS, propose),
    )
    flooder.close()
    modest.close()
    return dict(zip(("flood", "modest", "blocks"), results))


def times(answers, status):
    """Sorted, of the answers with that status."""
    return sorted(seconds for code, seconds in answers if code == status)


def test_P29_a_flood_is_shed_and_nobody_else_is_harmed(make_daemon):
    daemon = make_daemon(
        binary=binary_with_switches(),
        keys=[secret_of(n) for n in range(KEYS)],
        config={"signing": {"batch_max": BATCH, "duty_deadline_ms": int(DEADLINE * 1000)}, "logging": {"level": "warn"}},
        environment={"CC_TEST_SLOW": f"COMMIT:{COMMIT_MS}"},
    )
    daemon.init()
    daemon.start()
    keys = json.loads(daemon.get("/api/v1/eth2/publicKeys")[2])
    answers = asyncio.run(overload(daemon, keys))
    flood, modest, blocks = answers["flood"], answers["modest"], answers["blocks"]
    assert {code for code, _ in flood} == {200, 503}
    accepted, refused = times(flood, 200), times(flood, 503)
    # What can be signed is signed, and in time: without shedding the last would have waited twice as long as all took.
    assert len(accepted) > CAPACITY * SECONDS / 3
    assert accepted[len(accepted) * 99 // 100] < 1.5 * DEADLINE + 1.0
    # What can't is refused at once.
    assert len(refused) > CAPACITY * SECONDS / 3
    assert statistics.median(refused) < 0.05
    # Who asks little is never refused, and waits for a commit or two, not for the flood.
    assert {code for code, _ in modest} == {200}
    assert statistics.median(times(modest, 200)) < 3.5 * COMMIT_MS / 1000
    assert statistics.median(times(modest, 200)) < statistics.median(accepted)
    # Blocks, although they come from the one that floods.
    assert {code for code, _ in blocks} == {200}
    assert statistics.median(times(blocks, 200)) < 3.5 * COMMIT_MS / 1000
    shed = sum(int(line.split()[-1]) for line in daemon.metrics().splitlines() if line.startswith("containment_signing_shed_total{"))
    assert shed >= len(refused)
    if os.environ.get("CC_VERBOSE"):
        print(len(accepted), len(refused), statistics.median(refused), max(times(modest, 200)), max(accepted))
    assert daemon.stop() == 0
