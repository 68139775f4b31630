#!/usr/bin/env python3
"""The offline checker (C6): reads the log of a run (journal.py) and what was recovered of the history, and says what is
wrong. It shares nothing with the program: the rules are written down here once more, from the consensus specification
(is_slashable_attestation_data, proposer slashing) and EIP-3076.

usage: checker.py LOG [--history INTERCHANGE.json] [--records-lost]

    pair        two released messages of one key are slashable together
    signature   one message, two different signatures
    unrecorded  a released message is neither in the recovered history nor below its watermarks
    lost        ... is below its watermarks only, though nothing may have been lost
    healing     after a fault was healed, no signature within the limit
"""
import argparse
import collections
import json
import pathlib
import sys

import journal

Vote = collections.namedtuple("Vote", "source target root")
Block = collections.namedtuple("Block", "slot root")
Violation = collections.namedtuple("Violation", "kind pubkey text")


def is_slashable(a, b):
    """The specification's words: two votes that are not the same."""
    double = a.root != b.root and a.target == b.target
    surround = a.source < b.source and b.target < a.target
    return double or surround or (b.source < a.source and a.target < b.target)


def slashable_votes(votes):
    """[(a, b)]: empty if and only if no two of the votes are slashable together."""
    pairs = []
    by_target = {}
    for vote in votes:
        other = by_target.setdefault(vote.target, vote)
        if other.root != vote.root:
            pairs.append((other, vote))
    # In order of the source: a vote is surrounded when an earlier source goes to a later target.
    widest, group = None, []
    for vote in sorted(set(votes), key=lambda v: v.source):
        if group and group[0].source < vote.source:
            best = max(group, key=lambda v: v.target)
            widest = best if widest is None or best.target > widest.target else widest
            group = []
        group.append(vote)
        if widest is not None and vote.target < widest.target:
            pairs.append((widest, vote))
    return pairs


def slashable_blocks(blocks):
    """[(a, b)]: two blocks for one slot."""
    first, pairs = {}, []
    for block in blocks:
        other = first.setdefault(block.slot, block)
        if other.root != block.root:
            pairs.append((other, block))
    return pairs


class Released:
    """What clients were given, by key. Fed event by event, so that a run can be watched while it goes on."""

    def __init__(self):
        self.votes = collections.defaultdict(set)
        self.blocks = collections.defaultdict(set)
        self.signatures = {}
        self.counts = collections.Counter()
        self.violations = []
        self.samples = []

    def take(self, event):
        """One event of the log."""
        if event["event"] == "answer":
            self.counts[event["outcome"]] += 1
            if event["outcome"] == "ok":
                self._released(event)
        elif event["event"] == "healed" and event["limit"] is not None:
            if event["seconds"] is None or event["seconds"] > event["limit"]:
                text = f"{event['name']}: {event['seconds']} s until {event['signer']} signed, limit {event['limit']} s"
                self.violations.append(Violation("healing", "", text))

    def _released(self, event):
        pubkey, root = event["pubkey"], event["root"]
        if event["kind"] == "vote":
            self.votes[pubkey].add(Vote(event["source"], event["target"], root))
        else:
            self.blocks[pubkey].add(Block(event["slot"], root))
        if event["signature"] is None:  # a co-writer's
            return
        first = self.signatures.setdefault((pubkey, root), event["signature"])
        if first != event["signature"]:
            self.violations.append(Violation("signature", pubkey, f"two signatures for root {root}"))

    def pairs(self):
        """Every kind of slashable pair, as violations."""
        found = []
        for table, search in ((self.votes, slashable_votes), (self.blocks, slashable_blocks)):
            for pubkey, messages in table.items():
                found += [Violation("pair", pubkey, f"{a} and {b}") for a, b in search(messages)]
        return found

    def messages(self):
        """(pubkey, vote or block)"""
        for table in (self.votes, self.blocks):
            for pubkey, messages in table.items():
                for message in messages:
                    yield pubkey, message


class Watch:
    """Looks at a log while it grows."""

    def __init__(self, path):
        self.file = open(path, "rb")  # pylint: disable=consider-using-with
        self.released = Released()

    def found(self):
        """The violations so far."""
        for line in iter(self.file.readline, b""):
            if not line.endswith(b"\n"):
                self.file.seek(-len(line), 1)
                break
            self.released.take(json.loads(line))
        return self.released.violations + self.released.pairs()


class History:
    """What was recovered: an EIP-3076 file, which refuses what contradicts a record of it and what is not beyond its
    lowest ones."""

    def __init__(self, interchange):
        self.votes, self.blocks, self.low_vote, self.low_slot = {}, {}, {}, {}
        for row in interchange["data"]:
            pubkey = row["pubkey"].lower()
            for record in row["signed_attestations"]:
                source, target = int(record["source_epoch"]), int(record["target_epoch"])
                root = (record.get("signing_root") or "").lower()
                self.votes.setdefault((pubkey, target), set()).add((source, root))
                low = self.low_vote.setdefault(pubkey, [source, target])
                low[0], low[1] = min(low[0], source), min(low[1], target)
            for record in row["signed_blocks"]:
                slot, root = int(record["slot"]), (record.get("signing_root") or "").lower()
                self.blocks.setdefault((pubkey, slot), set()).add(root)
                self.low_slot[pubkey] = min(self.low_slot.get(pubkey, slot), slot)

    def records(self, pubkey, message):
        """True: the message itself is there."""
        if isinstance(message, Vote):
            return (message.source, message.root) in self.votes.get((pubkey, message.target), ())
        return message.root in self.blocks.get((pubkey, message.slot), ())

    def refuses_all_against(self, pubkey, message):
        """True: whatever contradicts the message is below the watermarks, and is no repeat of a record either. What
        surrounds a vote has a lower source, so the source counts as much as the target."""
        if isinstance(message, Vote):
            low = self.low_vote.get(pubkey)
            below = low is not None and message.source <= low[0] and message.target <= low[1]
            return below and not any(root for _, root in self.votes.get((pubkey, message.target), ()))
        low = self.low_slot.get(pubkey)
        return low is not None and message.slot <= low and not any(self.blocks.get((pubkey, message.slot), ()))


def not_recovered(released, history, records_lost=False):
    """Violations: released messages that the history knows nothing of. `records_lost`: a fault may have taken records,
    then watermarks must stand in for them."""
    found = []
    for pubkey, message in released.messages():
        if history.records(pubkey, message):
            continue
        if not history.refuses_all_against(pubkey, message):
            found.append(Violation("unrecorded", pubkey, str(message)))
        elif not records_lost:
            found.append(Violation("lost", pubkey, str(message)))
    return found


def check(log, interchange=None, records_lost=False):
    """(Released, [Violation])"""
    released = Released()
    for event in journal.read(log):
        released.take(event)
    found = released.violations + released.pairs()
    if interchange is not None:
        found += not_recovered(released, History(interchange), records_lost)
    return released, found


def main():
    """Prints each violation; exit code 1 when there is one, 2 when the log holds no released message."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log")
    parser.add_argument("--history", type=pathlib.Path)
    parser.add_argument("--records-lost", action="store_true")
    args = parser.parse_args()
    history = json.loads(args.history.read_text()) if args.history else None
    released, found = check(args.log, history, args.records_lost)
    for violation in found:
        print(*violation)
    print(f"{dict(released.counts)}: {len(released.signatures)} messages released, {len(found)} violations")
    return 1 if found else 0 if released.signatures else 2


if __name__ == "__main__":
    sys.exit(main())
