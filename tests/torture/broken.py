#!/usr/bin/env python3
"""Deliberately broken signers: each row is the program with one wrong change. A short run of the history checker must find
each of them; a checker that can't tell them from the real one shows nothing.

usage: broken.py [--only TEXT] [--all] runs them; exit code 1: one was not found
       broken.py --names               for the build
       broken.py --write NAME FOLDER   the changed files of one
"""
import argparse
import collections
import os
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# edits: (file of src, text, replacement); the text must stand exactly once in it. finds: what kind of violation, any of.
Broken = collections.namedtuple("Broken", "name system faults finds edits quick", defaults=(True,))

# A change of the statements is compiled with the file that includes them.
INCLUDERS = {"slash/postgres_statement.def": "slash/postgres_statement.c"}

RUNS = 4  # at most, for each

ANY_TIME = ()
POWER_CUT = ("power cut",)
REPEAT = ("repeat of what is not durable, then a crash",)
# Where records are lost the signer may find it out by itself: floors rise (lost), or it refuses to start (stuck).
LOST = {"pair", "unrecorded", "lost", "stuck"}
SURROUND = "a->source < r->source && r->target < a->target"

# What a batch writes even if it holds repeats alone.
HEAD = """INSERT INTO containment_heads AS h (writer, replica, batches, timeline, since, at)"
                    " SELECT $1::bytea, $2::boolean, 1, timeline, now(), now() FROM containment_history WHERE id = 1"
                    " ON CONFLICT (writer) DO UPDATE SET batches = h.batches + 1, at = now() RETURNING batches, """

BROKEN = [
    Broken("double_block", "sqlite", ANY_TIME, {"pair"}, [
        ("slash/rules.c", "if (records[i].slot != block->slot)", "if (true)")]),
    Broken("double_vote", "sqlite", ANY_TIME, {"pair"}, [("slash/rules.c", "if (r->target != a->target)", "if (true)")],
           quick=False),
    Broken("surrounding", "sqlite", ANY_TIME, {"pair"}, [("slash/rules.c", SURROUND, "false")]),
    Broken("surrounded", "sqlite", ANY_TIME, {"pair"}, [
        ("slash/rules.c", "r->source < a->source && a->target < r->target", "false")], quick=False),
    Broken("answers_before_its_commit", "sqlite", POWER_CUT, LOST, [
        ("slash/sqlite_sign.c", "    uint64_t from = h->index.next;\n    struct new_lows lows = {0};",
         "    static uint64_t late;\n    static struct new_lows late_lows;\n"
         "    if (late && late < h->index.next && write_batch(h, late, &late_lows).code)\n"
         "        return CC_FAIL(STORE, \"late\");\n"
         "    uint64_t from = late = h->index.next;\n    struct new_lows lows = {0};"),
        ("slash/sqlite_sign.c", "        err = write_batch(h, from, &lows);", "        late_lows = lows;")]),
    Broken("synchronous_off", "sqlite", POWER_CUT, LOST, [
        ("slash/sqlite_db.c", "set_pragma(db, \"synchronous\", synchronous, synchronous)",
         "set_pragma(db, \"synchronous\", \"0\", \"0\")")], quick=False),
    Broken("synchronous_normal", "sqlite", POWER_CUT, LOST, [
        ("slash/sqlite_db.c", "set_pragma(db, \"synchronous\", synchronous, synchronous)",
         "set_pragma(db, \"synchronous\", \"1\", \"1\")")]),
    Broken("forgets_on_restart", "sqlite", ("kill -9 everything",), LOST, [
        ("slash/sqlite_load.c", "    CC_TRY(load_tail(h));",
         "    CC_TRY(sqlite_db_exec(&h->db, \"DELETE FROM tail; DELETE FROM blocks; DELETE FROM attestations\"));")]),
    Broken("no_lock", "two-signers", ANY_TIME, {"pair"}, [
        ("slash/postgres_statement.def", "WHEN pg_try_advisory_xact_lock(c.kind, v.id) THEN", "WHEN true THEN")]),
    Broken("repeatable_read", "two-signers", ANY_TIME, {"pair"}, [
        ("slash/postgres_statement.def", "ISOLATION LEVEL READ COMMITTED", "ISOLATION LEVEL REPEATABLE READ")]),
    Broken("sql_lower_source", "two-signers", ANY_TIME, {"pair"}, [
        ("slash/postgres_statement.def", "target > newest_target AND source < newest_source", "false")], quick=False),
    Broken("asynchronous_commit", "shared", REPEAT, LOST, [
        ("sql/postgres_db.c", "ELSE 'on' END", "ELSE 'off' END"),
        ("slash/postgres_statement.def", "current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')", "false")]),
    Broken("repeats_do_not_wait", "shared", REPEAT, LOST, [
        ("slash/postgres_statement.def", HEAD,
         "SELECT coalesce((SELECT batches FROM containment_heads WHERE writer = $1::bytea), ($2::boolean)::int * 0), "),
        ("slash/postgres_store.c", "if (count <= h->head)", "if (false)")], quick=False),
    Broken("believes_a_commit_with_a_warning", "synchronous", ("waits for the replica cancelled, then fail-over",), LOST, [
        ("slash/postgres_store.c", "    if (h->db.warned)", "    if (false)")], quick=False),
    Broken("writes_without_its_condition", "table-replicas", ANY_TIME, {"pair"}, [
        ("slash/dynamodb_db.c", "#v = :v\\\",", "#v = :v OR attribute_exists(pk)\\\",")], quick=False),
]


def stale(broken):
    """What no longer stands in its file as it should, or None."""
    for name, text, _ in broken.edits:
        count = (ROOT / "src" / name).read_text().count(text)
        if count != 1:
            return f"{name}: {text!r} stands there {count} times: bring {broken.name} up to date"
    return None


def changed(broken):
    """{file: text}. Whoever changes a file that is broken here finds out from the test, not from the build."""
    texts = {}
    for name, text, replacement in broken.edits:
        source = texts.get(name) or (ROOT / "src" / name).read_text()
        texts[name] = source.replace(text, replacement)
        if name in INCLUDERS:
            texts.setdefault(INCLUDERS[name], (ROOT / "src" / INCLUDERS[name]).read_text())
    return texts


def write(name, folder):
    """Into FOLDER, as in src/."""
    for file, text in changed(next(b for b in BROKEN if b.name == name)).items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def compiled(broken):
    """The files that the build compiles in place of the real ones."""
    return sorted({INCLUDERS.get(name, name) for name, _, _ in broken.edits})


def find(broken, seed, seconds=5.0):
    """(seconds it took, kinds of violations, those that were to be found)"""
    import torture  # pylint: disable=import-outside-toplevel
    binary = torture.daemon_module.build_dir() / "bin" / f"broken-{broken.name}"
    began = time.monotonic()
    part = torture.prepare(broken.system, seconds, seed, binary=binary, only=broken.faults)
    part.hurry()
    _, found = part.run()
    kinds = {violation.kind for violation in found}
    return time.monotonic() - began, kinds, sorted(kinds & broken.finds)


def can_run(broken):
    """False where the system's database is missing."""
    import torture  # pylint: disable=import-outside-toplevel
    return torture.SYSTEMS[broken.system].available()


def find_with_luck(broken):
    """A row of find_all(). A single short run may miss what depends on a moment; that every run misses it is what shows a blind checker."""
    seconds, kinds, found = 0.0, set(), []
    for attempt in range(1, RUNS + 1):
        took, seen, found = find(broken, random.randrange(2**32))
        seconds += took
        kinds |= seen
        print(f"{broken.name}: {'found' if found else 'NOT FOUND'} by run {attempt} after {seconds:.1f} s {sorted(kinds)}", flush=True)
        if found:
            break
    return {"name": broken.name, "system": broken.system, "faults": broken.faults, "seconds": round(seconds, 1),
            "kinds": sorted(kinds), "found": bool(found)}


def find_all(only="", everything=True):
    """[{name, system, faults, seconds, kinds, found}], printed as they come."""
    rows = []
    for broken in BROKEN:
        if only not in broken.name or not (everything or broken.quick):
            continue
        if stale(broken):
            sys.exit(stale(broken))
        if not can_run(broken):
            print(f"{broken.name}: left out, what {broken.system} needs is not installed")
            continue
        rows.append(find_with_luck(broken))
    return rows


def main():
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--write", nargs=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--all", action="store_true", help="also those that take long")
    args = parser.parse_args()
    if args.names:
        print(";".join(f"{b.name}:{','.join(compiled(b))}" for b in BROKEN), end="")
        return 0
    if args.write:
        write(args.write[0], pathlib.Path(args.write[1]))
        return 0
    everything = args.all or args.only or os.environ.get("CC_FULL")
    return 1 if any(not row["found"] for row in find_all(args.only, everything)) else 0


if __name__ == "__main__":
    sys.exit(main())
