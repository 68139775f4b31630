"""Clients with conflicting intents. They share, per key, how far the chain has come and what was asked lately, and ask
for what follows it, for what contradicts it, and for the same again; some of it from two clients, to two signers, at the
same moment. What a client is given stands in the log before it asks for anything else."""
import collections
import http.client
import json
import pathlib
import queue
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import messages  # noqa: E402  pylint: disable=wrong-import-position

FIRST_EPOCH = 100
ANSWER_SECONDS = 6


class Message:
    """One vote or block of one key."""

    def __init__(self, pubkey, kind, numbers, seed):
        self.pubkey, self.kind, self.numbers = pubkey, kind, numbers
        self.request = (messages.attestation if kind == "vote" else messages.block)(*numbers, seed)
        self.root = messages.signing_root(self.request)

    def described(self):
        """Its fields of the log."""
        names = ("source", "target") if self.kind == "vote" else ("slot",)
        return {"pubkey": self.pubkey, "kind": self.kind, **dict(zip(names, self.numbers)), "root": self.root}


class Key:
    """How far one key's chain has come, and what was asked for lately."""

    def __init__(self, pubkey):
        self.pubkey = pubkey
        self.epoch, self.slot, self.seed = FIRST_EPOCH, FIRST_EPOCH * messages.SLOTS_PER_EPOCH, 0
        self.lock = threading.Lock()
        self.recent = collections.deque(maxlen=24)

    def vote(self, source, target):
        """A vote that nobody has asked for yet."""
        return self._make("vote", (max(0, source), target))

    def block(self, slot):
        """A block that nobody has asked for yet."""
        return self._make("block", (slot,))

    def _make(self, kind, numbers):
        with self.lock:
            self.seed += 1
            message = Message(self.pubkey, kind, numbers, self.seed)
            self.recent.append(message)
        return message

    def advance(self, epochs=1, slots=1):
        """(epoch, slot) after the chain has gone on."""
        with self.lock:
            self.epoch += epochs
            self.slot += slots
            return self.epoch, self.slot

    def leap(self, epoch):
        """Time has passed: the next messages are beyond `epoch`."""
        with self.lock:
            self.epoch = epoch + 8
            self.slot = max(self.slot, self.epoch * messages.SLOTS_PER_EPOCH)

    def some(self, chance, kind):
        """A message of that kind that was asked for lately, or the next one."""
        with self.lock:
            found = [message for message in self.recent if message.kind == kind]
        return chance.choice(found) if found else self.fresh(chance, kind)

    def fresh(self, _chance, kind):
        """The next one: a chain that goes on."""
        epoch, slot = self.advance()
        return self.vote(epoch - 1, epoch) if kind == "vote" else self.block(slot)


# --- intents: (key, chance) -> the messages to ask for at once -------------------------------------------------------


def next_vote(key, chance):
    """What an honest client asks for."""
    return [key.fresh(chance, "vote")]


def next_block(key, chance):
    """What an honest proposer asks for."""
    return [key.fresh(chance, "block")]


def late_vote(key, chance):
    """A chain that doesn't finalise: the source stays behind."""
    epoch, _ = key.advance()
    return [key.vote(epoch - chance.randrange(2, 9), epoch)]


def skipping_vote(key, chance):
    """Leaves epochs out, into which surrounded and late votes fit."""
    epoch, _ = key.advance(chance.randrange(2, 6))
    return [key.vote(epoch - chance.randrange(1, 8), epoch)]


def double_vote(key, chance):
    """Another root for a target."""
    return [key.vote(*key.some(chance, "vote").numbers)]


def double_vote_other_source(key, chance):
    """Another source for a target."""
    source, target = key.some(chance, "vote").numbers
    return [key.vote(source + chance.choice((-1, 1)) if source + 1 < target else source - 1, target)]


def double_block(key, chance):
    """Another block for a slot."""
    return [key.block(*key.some(chance, "block").numbers)]


def surrounding_vote(key, chance):
    """Begins before a vote and ends after it."""
    source, target = key.some(chance, "vote").numbers
    return [key.vote(source - chance.randrange(1, 4), target + chance.randrange(1, 4))]


def lower_source_vote(key, chance):
    """Surrounds by its source alone: its target lies beyond everything, as honest ones do."""
    source, _ = key.some(chance, "vote").numbers
    epoch, _ = key.advance()
    return [key.vote(source - 1, epoch)]


def surrounded_vote(key, chance):
    """Lies inside a vote."""
    source, target = key.some(chance, "vote").numbers
    return [key.vote(source + 1, target - 1)] if target - source > 2 else late_vote(key, chance)


def out_of_order(key, chance):
    """A target that was left out, or a slot."""
    if chance.random() < 0.5:
        return [key.block(key.slot - chance.randrange(1, 20))]
    target = key.epoch - chance.randrange(1, 8)
    return [key.vote(target - 1, target)]


def repeat(key, chance):
    """The same message again: refused or signed as it was before."""
    return [key.some(chance, chance.choice(("vote", "block")))]


def duel_of_targets(key, chance):
    """Two votes for a new target at once."""
    epoch, _ = key.advance()
    return [key.vote(epoch - 1, epoch), key.vote(epoch - chance.randrange(1, 3), epoch)]


def duel_of_slots(key, _chance):
    """Two blocks for a new slot at once."""
    _, slot = key.advance()
    return [key.block(slot), key.block(slot)]


def duel_of_surrounds(key, chance):
    """A vote and one that surrounds it, both new, at once; no two of its targets are equal."""
    epoch, _ = key.advance(5)
    pair = [key.vote(epoch - 2, epoch - 1), key.vote(epoch - 3, epoch)]
    chance.shuffle(pair)
    return pair


INTENTS = {
    next_vote: 16, next_block: 10, late_vote: 4, skipping_vote: 4, double_vote: 5, double_vote_other_source: 4,
    double_block: 5, surrounding_vote: 5, lower_source_vote: 4, surrounded_vote: 5, out_of_order: 5, repeat: 10,
    duel_of_targets: 6, duel_of_slots: 6, duel_of_surrounds: 10,
}


class Workload:
    """Client threads against `signers` (Daemons; the list may change while they run)."""

    def __init__(self, log, signers, pubkeys, *, seed, others=(), clients=5, pause=0.004):
        self.log, self.signers, self.pause = log, signers, pause
        self.keys = [Key(pubkey) for pubkey in pubkeys]
        self.duels = queue.SimpleQueue()
        self.ending, self.quiet = threading.Event(), threading.Event()
        self.odd = []
        chances = [random.Random(f"{seed}/{n}") for n in range(clients)]
        self.threads = [threading.Thread(target=self._run, args=(n, chance)) for n, chance in enumerate(chances)]
        self.threads += [threading.Thread(target=self._run_other, args=(other, random.Random(f"{seed}/other{n}")))
                         for n, other in enumerate(others)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def _wanted(self, chance):
        """One message, or two that are to be asked for at once."""
        while self.quiet.is_set() and not self.ending.is_set():
            self.ending.wait(0.01)
        try:
            return [self.duels.get_nowait()]
        except queue.Empty:
            intent = chance.choices(list(INTENTS), INTENTS.values())[0]
            return intent(chance.choice(self.keys), chance)

    def _run_other(self, other, chance):
        """One that is no client of ours, but signs with the same keys beside us (cowriter.py)."""
        while not self.ending.is_set():
            asked = self._wanted(chance)
            if len(asked) == 2:
                self.duels.put(asked.pop())
            other.ask(asked[0], durable=chance.random() < 0.5)
            self.ending.wait(chance.expovariate(1 / self.pause))
        other.close()

    def _run(self, number, chance):
        client = Client(self.log, number, self.odd)
        while not self.ending.is_set():
            asked = self._wanted(chance)
            signers = list(self.signers)
            if len(asked) == 2:
                if chance.random() < 0.3:
                    client.ask_batch(chance.choice(signers), asked)
                    continue
                self.duels.put(asked.pop())
            client.ask(chance.choice(signers), asked[0])
            self.ending.wait(chance.expovariate(1 / self.pause))
        client.close()


class Client:
    """One client's connections; logs every answer."""

    def __init__(self, log, number, odd):
        self.log, self.number, self.odd = log, number, odd
        self.connections = {}

    def _connection(self, signer):
        kept = self.connections.get(signer)
        if kept is None or kept.args[1] != signer.http_port:
            self.connections[signer] = kept = signer.connect(timeout=ANSWER_SECONDS)
        return kept

    def _post(self, signer, path, body):
        """(status, parsed body), or None where nobody answered."""
        try:
            status, _, content = self._connection(signer).request("POST", path, body)
            return status, json.loads(content)
        except (OSError, http.client.HTTPException, ValueError):
            self.connections.pop(signer, None)
            time.sleep(0.01)
            return None

    def _note(self, signer, message, answer):
        """Into the log, at once; whether it was signed."""
        status, content = answer or (None, {})
        outcome = {200: "ok", 412: "refused", 503: "refused", None: "unknown"}.get(status, "odd")
        if outcome == "odd":
            self.odd.append((status, content))
            outcome = "refused"
        more = {"signature": content["signature"]} if outcome == "ok" else {"status": status, "rule": content.get("rule")}
        self.log.write(event="answer", outcome=outcome, client=self.number, signer=signer.path.name,
                       **message.described(), **more)
        return outcome == "ok"

    def ask(self, signer, message):
        """One request; whether it was signed."""
        return self._note(signer, message, self._post(signer, f"/api/v1/eth2/sign/{message.pubkey}", message.request))

    def ask_batch(self, signer, asked):
        """Several in one request: one commit."""
        body = [{"identifier": message.pubkey, **message.request} for message in asked]
        answer = self._post(signer, "/api/v1/eth2/sign", body)
        if answer is None or answer[0] != 200:
            for message in asked:
                self._note(signer, message, answer)
            return
        for message, item in zip(asked, answer[1]):
            self._note(signer, message, (item["status"], item if "signature" in item else item.get("error", {})))

    def close(self):
        """Closes what is open."""
        for connection in self.connections.values():
            connection.close()


class Probe:
    """An honest client with a key of its own, which nothing contradicts: how soon is it served again?"""

    def __init__(self, log, signer, pubkey):
        self.key = Key(pubkey)
        self.signer = signer
        self.client = Client(log, "probe", [])

    def signed(self):
        """True when it is, now."""
        return self.client.ask(self.signer, self.key.fresh(None, "vote"))

    def seconds_until_signed(self, since, patience):
        """Seconds from `since` (monotonic) to the first signature, or None."""
        while time.monotonic() < since + patience:
            if self.signed():
                return round(time.monotonic() - since, 3)
            time.sleep(0.02)
        return None
