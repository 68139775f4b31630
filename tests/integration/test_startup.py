"""How soon keys can sign: raw keys at the speed of public-key derivation, keystores at that of scrypt on all processors,
and what the port says meanwhile. Times and ratios are asserted in the long form (CC_FULL=1), where nothing else should
run; the short form asserts processor time, which other work hardly moves."""
import ctypes
import json
import os
import threading
import time

import pytest

import interop
import keystores
import messages
import usage
from daemon import wait_for
from forms import FULL

PROCESSORS = os.cpu_count()
UNKNOWN = "0x" + "b0" + "11" * 47


def secret(index):
    """The bytes of an interop key."""
    return bytes.fromhex(interop.SECRETS[index][2:])


def start_and_time(daemon):
    """Starts the program; seconds from its exec to the answer that all keys can sign, and processor seconds for that."""
    began = time.monotonic()
    daemon.start(seconds=120)
    wall = time.monotonic() - began
    return wall, sum(usage.cpu_seconds(daemon).values())


def check_raw_keys(make_daemon, count, limit_seconds):
    """`count` raw keys, expected by configuration, ready within the limit on two processors: twice, since the first
    start makes their rows in the history and the second finds them."""
    keys = [usage.secret_of(n) for n in range(count)]
    daemon = make_daemon(keys=keys, config={"key_sources": {"expected_keys": count}, "logging": {"level": "info"}})
    daemon.init()
    for which in ("first", "second"):
        wall, processor = start_and_time(daemon)
        print(f"{count} raw keys, {which} start: ready after {wall:.2f} s, {processor:.2f} s of processor time")
        assert processor / 2 <= limit_seconds
        assert wall <= limit_seconds or not FULL
        assert daemon.stop() == 0


def test_ten_thousand_raw_keys_are_ready_within_two_seconds(make_daemon):
    check_raw_keys(make_daemon, 10_000, 2.0)


def test_a_hundred_thousand_raw_keys_are_ready_within_fifteen_seconds(make_daemon):
    check_raw_keys(make_daemon, 100_000 if FULL else 1000, 15.0)


def test_the_port_is_honest_while_keystores_are_decrypted(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    keystores.write(daemon.keys_dir, "a-fast", secret(1), interop.PUBKEYS[1], "p")
    slow = range(2, min(2 + 3 * PROCESSORS, len(interop.PUBKEYS)))
    for i in slow:
        name = f"slow{i:02}"
        # Half a second for each: 8 times the usual count of EIP-2335.
        keystores.write(
            daemon.keys_dir, name, secret(i), interop.PUBKEYS[i], "p", cost=1 << 21, salt=b"one for all of them, so 32 bytes"
        )
    known = {interop.PUBKEYS[i] for i in (0, 1, *slow)}
    daemon.init()
    daemon.start(ready=False)
    vote = messages.attestation(1, 2)

    wait_for("every file looked at", lambda: daemon.status_of("/api/v1/eth2/publicKeys") == 200)
    listed = json.loads(daemon.get("/api/v1/eth2/publicKeys")[2])
    assert set(listed) == known and len(listed) == len(known)
    wait_for("the raw key and the fast keystore", lambda: daemon.sign(interop.PUBKEYS[1], vote)[0] == 200)
    assert daemon.sign(interop.PUBKEYS[0], vote)[0] == 200
    status, _, body = daemon.sign(interop.PUBKEYS[slow[-1]], vote)
    assert status == 503 and b"still being loaded" in body
    assert daemon.sign(UNKNOWN, vote)[0] == 404
    assert daemon.status_of("/upcheck") == 200
    assert daemon.status_of("/healthcheck") == 503
    assert daemon.status_of("/readyz") == 503  # last: so all of the above was said while keys were still to come

    daemon.wait_ready(120)
    assert daemon.status_of("/healthcheck") == 200
    assert daemon.sign(interop.PUBKEYS[slow[-1]], vote)[0] == 200


def test_health_waits_for_the_first_load_but_not_for_that_of_a_core_that_follows(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    # Without its public key it has to be decrypted at every load, a second or more.
    keystores.write(daemon.keys_dir, "slow", secret(1), None, "p", cost=1 << 23)
    daemon.init()
    daemon.start(ready=False)
    vote = messages.attestation(1, 2)
    wait_for("the raw key", lambda: daemon.sign(interop.PUBKEYS[0], vote)[0] == 200)
    assert daemon.status_of("/healthcheck") == 503
    assert daemon.status_of("/readyz") == 503  # so the load had not ended
    daemon.wait_ready(120)
    assert daemon.status_of("/healthcheck") == 200
    daemon.kill_room("core")  # the vault has both keys still
    wait_for("/healthcheck 200", lambda: daemon.status_of("/healthcheck") == 200)
    assert daemon.status_of("/readyz") == 503
    assert daemon.sign(interop.PUBKEYS[1], vote)[0] == 200
    daemon.wait_ready(120)


def library_rate(cost, rounds):
    """Derivations per second of libscrypt alone, with one thread on each processor, as willing to yield as the vault's, and
    the processor time of one."""
    processor = []
    scrypt = ctypes.CDLL("libscrypt.so.0").libscrypt_scrypt
    size, number = ctypes.c_size_t, ctypes.c_uint32
    scrypt.argtypes = [ctypes.c_char_p, size, ctypes.c_char_p, size, ctypes.c_uint64, number, number, ctypes.c_char_p, size]

    def run():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        out = ctypes.create_string_buffer(32)
        before = time.thread_time()
        for _ in range(rounds):
            assert scrypt(b"p", 1, b"s" * 32, 32, cost, 8, 1, out, 32) == 0
        processor.append(time.thread_time() - before)

    workers = [threading.Thread(target=run) for _ in range(PROCESSORS)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return PROCESSORS * rounds / (time.monotonic() - began), sum(processor) / (PROCESSORS * rounds)


@pytest.mark.long_form
def test_keystores_are_decrypted_at_the_speed_of_scrypt_on_all_processors(make_daemon):
    cost, each = (1 << 18, 16) if FULL else (1 << 15, 16)
    count = PROCESSORS * each
    daemon = make_daemon(config={"logging": {"level": "info"}})
    for i in range(count):
        bare = bytes.fromhex(usage.secret_of(i)[2:])
        keystores.write(daemon.keys_dir, f"k{i:03}", bare, None, "p", kdf="scrypt", cost=cost, salt=b"s" * 32)
    daemon.init()
    before, processor_before = library_rate(cost, each)
    daemon.start(seconds=120)
    processor = usage.cpu_seconds(daemon)["vault"] / count
    after, processor_after = library_rate(cost, each)
    line = next(json.loads(t) for t in daemon.log_text().splitlines() if '"keys are loaded"' in t)
    rate = count / (line["took_ms"] / 1000)
    ratio = rate / ((before + after) / 2)
    processor_ratio = (processor_before + processor_after) / 2 / processor
    print(f"scrypt n={cost}: {rate:.2f}/s of {before:.2f} and {after:.2f} by the library alone: {ratio:.2f};")
    print(f"processor time of the library for that of the vault: {processor_ratio:.2f}")
    assert line["active"] == count
    assert ratio >= (0.9 if FULL else 0.4)
    assert processor_ratio >= (0.9 if FULL else 0.7)
