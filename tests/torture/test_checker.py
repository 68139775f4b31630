"""The checker finds each kind of slashable pair, alone and among many, and each way in which a record can be missing."""
import itertools
import json
import random

import pytest

import checker
import journal
from checker import Block, Vote

KEY = "0xaa"


def released(*messages):
    """A Released that was given these, in this order."""
    taken = checker.Released()
    for number, message in enumerate(messages):
        kind = {"kind": "vote", "source": message.source, "target": message.target} if isinstance(message, Vote) else {
            "kind": "block", "slot": message.slot}
        taken.take({"event": "answer", "outcome": "ok", "pubkey": KEY, "root": message.root, "signature": f"s{message.root}",
                    "number": number, **kind})
    return taken


def history(*messages):
    """A recovered history that holds these."""
    votes = [{"source_epoch": str(m.source), "target_epoch": str(m.target), **({"signing_root": m.root} if m.root else {})}
             for m in messages if isinstance(m, Vote)]
    blocks = [{"slot": str(m.slot), **({"signing_root": m.root} if m.root else {})} for m in messages if isinstance(m, Block)]
    return checker.History({"data": [{"pubkey": KEY, "signed_attestations": votes, "signed_blocks": blocks}]})


PAIRS = {
    "double block": (Block(7, "a"), Block(7, "b")),
    "double vote": (Vote(1, 2, "a"), Vote(1, 2, "b")),
    "double vote, other source": (Vote(0, 2, "a"), Vote(1, 2, "b")),
    "surround": (Vote(2, 3, "a"), Vote(1, 4, "b")),
    "surround by a lower source, far beyond every target": (Vote(5, 6, "a"), Vote(4, 900, "b")),
    "surround of a vote in one epoch": (Vote(3, 3, "a"), Vote(2, 4, "b")),
    "surround from epoch 0": (Vote(1, 2, "a"), Vote(0, 3, "b")),
    "surround at the largest numbers": (Vote(2**64 - 3, 2**64 - 2, "a"), Vote(2**64 - 4, 2**64 - 1, "b")),
}

INNOCENT = {
    "successors": (Vote(1, 2, "a"), Vote(2, 3, "b")),
    "one source": (Vote(1, 2, "a"), Vote(1, 3, "b")),
    "overlap": (Vote(1, 3, "a"), Vote(2, 4, "b")),
    "the same again": (Vote(1, 2, "a"), Vote(1, 2, "a")),
    "the same block again": (Block(7, "a"), Block(7, "a")),
    "a vote and a block": (Vote(1, 7, "a"), Block(7, "b")),
    "blocks of two slots": (Block(7, "a"), Block(8, "b")),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("reverse", [False, True])
def test_C06_each_kind_of_pair_is_found(name, reverse):
    pair = PAIRS[name][::-1] if reverse else PAIRS[name]
    others = [Vote(n + 1000, n + 1001, f"v{n}") for n in range(50)] + [Block(n + 1000, f"b{n}") for n in range(50)]
    if name.startswith("surround"):
        others = [other for other in others if isinstance(other, Block)]
    assert not released(*others).pairs()
    assert len(released(*pair).pairs()) == 1
    assert released(*others[:25], pair[0], *others[25:], pair[1]).pairs()


@pytest.mark.parametrize("name", INNOCENT)
def test_C06_no_alarm_without_a_pair(name):
    assert not released(*INNOCENT[name]).pairs()
    assert not released(*INNOCENT[name][::-1]).pairs()


def test_C06_two_keys_are_never_a_pair():
    taken = released(Block(7, "a"))
    taken.take({"event": "answer", "outcome": "ok", "pubkey": "0xbb", "kind": "block", "slot": 7, "root": "b",
                "signature": "s"})
    assert not taken.pairs()


def test_C06_the_sweep_agrees_with_the_specification_pair_by_pair():
    chance = random.Random(6)
    found = 0
    for _ in range(3000):
        votes = []
        for number in range(chance.randrange(2, 7)):
            source = chance.randrange(9)
            votes.append(Vote(source, chance.randrange(source, 10), f"r{chance.choice([number, 0])}"))
        slashable = any(checker.is_slashable(a, b) for a, b in itertools.combinations(set(votes), 2))
        assert bool(checker.slashable_votes(votes)) == slashable, votes
        found += slashable
    assert 500 < found < 2500


def test_C06_refused_and_unknown_are_not_released():
    taken = checker.Released()
    for outcome in ("refused", "unknown"):
        for root in "ab":
            taken.take({"event": "answer", "outcome": outcome, "pubkey": KEY, "kind": "block", "slot": 1, "root": root})
    assert not taken.pairs() and not taken.signatures


def test_C06_two_signatures_for_one_message():
    taken = released(Block(7, "a"))
    taken.take({"event": "answer", "outcome": "ok", "pubkey": KEY, "kind": "block", "slot": 7, "root": "a", "signature": "other"})
    assert [v.kind for v in taken.violations] == ["signature"]


def kinds(found):
    """What kinds of violations."""
    return sorted({v.kind for v in found})


def test_C06_what_was_released_must_be_recovered():
    given = [Vote(1, 2, "a"), Vote(2, 3, "b"), Block(5, "c"), Block(6, "d")]
    assert not checker.not_recovered(released(*given), history(*given))
    for missing in (given[1], given[3]):
        kept = [message for message in given if message != missing]
        assert kinds(checker.not_recovered(released(*given), history(*kept))) == ["unrecorded"]
        assert kinds(checker.not_recovered(released(*given), history(*kept), records_lost=True)) == ["unrecorded"]
    assert kinds(checker.not_recovered(released(given[0]), history())) == ["unrecorded"]
    assert kinds(checker.not_recovered(released(given[0]), history(Vote(1, 2, "")))) == ["lost"]
    assert kinds(checker.not_recovered(released(given[2]), history(Block(5, "")))) == ["lost"]
    assert kinds(checker.not_recovered(released(given[1]), history(Vote(1, 1, "x"), Vote(2, 3, "other")))) == ["unrecorded"]


def test_C06_a_watermark_stands_in_for_a_lost_vote_with_source_and_target():
    lost = released(Vote(3, 6, "a"))
    assert kinds(checker.not_recovered(lost, history(Vote(3, 6, "")), records_lost=True)) == []
    assert kinds(checker.not_recovered(lost, history(Vote(9, 9, "")), records_lost=True)) == []
    assert kinds(checker.not_recovered(lost, history(Vote(2, 9, "")), records_lost=True)) == ["unrecorded"]
    assert kinds(checker.not_recovered(lost, history(Vote(3, 5, "")), records_lost=True)) == ["unrecorded"]
    assert kinds(checker.not_recovered(lost, history(Vote(9, 9, "")))) == ["lost"]
    # A repeat of another message for its target would be signed.
    assert kinds(checker.not_recovered(lost, history(Vote(3, 6, "b")), records_lost=True)) == ["unrecorded"]
    assert kinds(checker.not_recovered(released(Block(4, "a")), history(Block(4, "b")), records_lost=True)) == ["unrecorded"]
    assert kinds(checker.not_recovered(released(Block(4, "a")), history(Block(3, "")), records_lost=True)) == ["unrecorded"]
    assert kinds(checker.not_recovered(released(Block(4, "a")), history(Block(4, "")), records_lost=True)) == []


def test_C06_P19_healing_has_a_limit():
    taken = checker.Released()
    for seconds, limit in ((1.0, 5), (6.0, None), (None, None)):
        taken.take({"event": "healed", "name": "n", "signer": 0, "seconds": seconds, "limit": limit})
    assert not taken.violations
    for seconds in (5.1, None):
        taken.take({"event": "healed", "name": "n", "signer": 0, "seconds": seconds, "limit": 5})
    assert kinds(taken.violations) == ["healing"] and len(taken.violations) == 2


def test_the_log_is_read_as_it_was_written_and_a_torn_end_is_left_out(tmp_path):
    path = tmp_path / "log"
    log = journal.Journal(path)
    log.write(event="answer", outcome="ok", pubkey=KEY, kind="block", slot=2**64 - 1, root="a", signature="s")
    log.write(event="answer", outcome="ok", pubkey=KEY, kind="block", slot=2**64 - 1, root="b", signature="s")
    log.close()
    with open(path, "ab") as torn:
        torn.write(b'{"event":"answer","outc')
    assert [e["slot"] for e in journal.read(path)] == [2**64 - 1] * 2
    assert kinds(checker.check(path)[1]) == ["pair"]
    with open(path, "ab") as torn:
        torn.write(b"\n")
    with pytest.raises(json.JSONDecodeError):
        checker.check(path)
