#!/usr/bin/env python3
"""The history checker's runs (C6): conflicting clients against real signers while their rooms, stores and network fail;
then an offline look at everything that was signed.

usage: torture.py [--seconds N] [--systems a,b] [--seed N] [--report docs/reliability.md]

Each round has a directory of its own below the build directory, with the seed, the log and the recovered history;
`checker.py LOG --history recovered.json` looks at them again. Exit code 1: a violation.
"""
import argparse
import collections
import concurrent.futures
import os
import random
import subprocess
import sys
import time

import broken
import checker
import journal
import report
import systems
import failover
import shared
import stalls
import table
import workload

sys.path.insert(0, str(systems.HERE.parent / "integration"))
import daemon as daemon_module  # noqa: E402  pylint: disable=wrong-import-position

SYSTEMS = {system.name: system for system in (systems.Sqlite, systems.Postgres, systems.Three, failover.Failover, failover.Replicas,
                                              failover.Synchronous, shared.Shared, table.Table, table.Two)}
SIGNATURES_VERIFIED = 500  # of a round


class Round:
    """One system, one seed, for some seconds."""

    def __init__(self, system, seconds, seed, only=None):
        self.system, self.seconds, self.seed, self.only = system, seconds, seed, only
        self.log = journal.Journal(system.path / "log.jsonl")
        self.chance = random.Random(seed)
        self.struck = collections.Counter()
        self.patience = 20.0  # longer than any limit, so that the log says how late it was
        self.gap = (0.1, 0.6)
        self.watch = None
        self.stalls = stalls.Stalls(self.log)

    def hurry(self):
        """Ends as soon as a violation shows."""
        self.watch = checker.Watch(self.log.path)
        self.patience, self.gap = 6.0, (0.3, 0.5)

    def run(self):
        """(Released, [Violation])"""
        self.log.write(event="run", system=self.system.name, seed=self.seed)
        found = []
        with self.system:
            try:
                found += self._play()
                found += [checker.Violation("exit", "", f"a signer ended with {code}") for code in self.system.stop() if code]
            except AssertionError as stuck:
                kind = "stuck" if any(name in str(stuck) for name in systems.rollback.NAMES) else "failed"
                found.append(checker.Violation(kind, "", str(stuck)[-600:]))
                for signer in self.system.signers:
                    signer.end()
            recovered = self.system.recovered()
        if recovered is None:
            found.append(checker.Violation("unreadable", "", "the history can't be exported"))
        self.log.close()
        released, violations = checker.check(self.log.path, recovered, self.system.records_lost)
        return released, found + violations + wrong_signatures(released, self.chance)

    def _play(self):
        """Clients and faults until the time is over."""
        probes = [workload.Probe(self.log, signer, key) for signer, key in zip(self.system.signers, systems.PROBES_OWN)]
        load = workload.Workload(self.log, self.system.signers, systems.CLIENTS_OWN, seed=self.seed,
                                 others=self.system.others(self.log))
        self.system.attach(self.log, load, probes)
        deadline = time.monotonic() + self.seconds
        with load, self.stalls:
            self._wait_for_all(probes, "start", 5.0, time.monotonic())
            while time.monotonic() < deadline and not (self.watch and self.watch.found()):
                self._strike(probes)
                time.sleep(self.chance.uniform(*self.gap))
        return [checker.Violation("odd", "", str(odd)) for odd in load.odd[:5]]

    def _faults(self):
        if self.only is None:
            return self.system.faults
        known = {**self.system.faults, **systems.MORE_FAULTS}
        return {name: known[name] for name in self.only}

    def _strike(self, probes):
        faults = self._faults()
        if not faults:
            return
        name = self.chance.choices(list(faults), [fault.weight for fault in faults.values()])[0]
        fault = faults[name]
        self.log.write(event="fault", name=name, phase="strike")
        healed = fault.act(self.system, self.chance) or time.monotonic()
        self.log.write(event="fault", name=name, phase="heal")
        self.struck[name] += 1
        self.system.records_lost |= fault.lost
        self._wait_for_all(probes, name, fault.limit, healed)

    def _wait_for_all(self, probes, name, limit, since):
        """How long each signer needs until it signs."""
        with concurrent.futures.ThreadPoolExecutor(len(probes)) as pool:
            taken = list(pool.map(lambda probe: probe.seconds_until_signed(since, self.patience), probes))
        stalled = self.stalls.since(since)
        for probe, seconds in zip(probes, taken):
            if seconds is not None:
                seconds = round(max(0.0, seconds - stalled), 3)
            self.log.write(event="healed", name=name, signer=probe.signer.path.name, seconds=seconds, limit=limit)


def wrong_signatures(released, chance):
    """Violations: some of the signatures are verified, by blst itself (verify.c)."""
    known = sorted(released.signatures.items())
    some = chance.sample(known, min(len(known), SIGNATURES_VERIFIED))
    lines = "".join(f"{pubkey[2:]} {root[2:]} {signature[2:]}\n" for (pubkey, root), signature in some)
    done = subprocess.run([daemon_module.build_dir() / "bin/torture-verify"], input=lines, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [checker.Violation("signature", line[:96], f"wrong: {line}") for line in done.stdout.splitlines()]


def prepare(name, seconds, seed, binary=None, only=None):
    """A round in a fresh directory; `only`: with these faults."""
    program = f"-{binary.name}" if binary else ""
    system = SYSTEMS[name](daemon_module.fresh_dir(f"torture-{name}{program}-{seed}"), binary)
    return Round(system, seconds, seed, only)


def play(name, seconds, seed):
    """One round, and its line; what the report needs of it."""
    part = prepare(name, seconds, seed)
    began = time.monotonic()
    released, found = part.run()
    took = time.monotonic() - began
    print(f"{name} seed {seed}: {took:.0f} s, {dict(released.counts)}, {sum(part.struck.values())} faults,"
          f" {len(found)} violations", flush=True)
    for violation in found[:20]:
        print(" ", *violation)
    if found:
        print(f"  see {part.system.path}")
    healed = collections.defaultdict(list)
    for event in journal.read(part.log.path):
        if event["event"] == "healed":
            healed[event["name"]].append(event["seconds"])
    promises = {fault: part.system.faults[fault].promise for fault in part.struck}
    return {"system": name, "seed": seed, "seconds": took, "counts": released.counts, "released": len(released.signatures),
            "struck": part.struck, "promises": promises, "healed": healed, "violations": [list(v) for v in found]}


def rounds(names, seconds, longest, seed):
    """In turn until the time is over; each at least once."""
    each = min(longest, seconds / len(names))
    ends = time.monotonic() + seconds
    played = []
    while time.monotonic() + each / 2 < ends or len(played) < len(names):
        played.append(play(names[len(played) % len(names)], each, seed + len(played)))
    return played


def chosen(words):
    """The systems that are meant by names or backends, and can run here."""
    wanted = [name for name, system in SYSTEMS.items() if {name, system.backend} & set(words)]
    left_out = [name for name in wanted if not SYSTEMS[name].available()]
    if left_out:
        print("left out, not installed:", *left_out)
    if wanted == left_out:
        sys.exit(f"nothing to run: {words}")
    return [name for name in wanted if name not in left_out]


def main():
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("TORTURE_SECONDS") or 1800))
    parser.add_argument("--round", type=float, default=60, help="seconds of one round")
    parser.add_argument("--systems", default=os.environ.get("TORTURE_BACKENDS") or "sqlite,postgres,dynamodb",
                        help="backends, or systems: " + ", ".join(SYSTEMS))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CC_SEED") or time.time_ns() % 2**32))
    parser.add_argument("--report", help="a page whose tables are written anew; also runs the broken signers")
    args = parser.parse_args()
    played = rounds(chosen(args.systems.split(",")), args.seconds, args.round, args.seed)
    missed = []
    if args.report:
        found = broken.find_all()
        missed = [row for row in found if not row["found"]]
        report.write(args.report, played, found, {name: system.about for name, system in SYSTEMS.items()})
    return 1 if missed or any(part["violations"] for part in played) else 0


if __name__ == "__main__":
    sys.exit(main())
