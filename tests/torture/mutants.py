#!/usr/bin/env python3
"""Mutation testing of slashing protection (property P11).

Each mutant is one small wrong change to one file. It is compiled with the tests that guard that file; the tests must
fail (or not compile). A mutant that survives means that a rule could break without anyone noticing.

usage: mutants.py [--cc CC] [--only TEXT] [--sql]
"""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

FLAGS = ["-std=gnu17", "-O1", "-D_GNU_SOURCE", "-DCC_TESTING=1", f"-DCC_SOURCE_DIR=\"{ROOT}\"",
         "-I", str(ROOT / "src"), "-I", str(ROOT / "tests"), "-I/usr/include/postgresql"]

# (file, text, replacement): the text must stand exactly once in the file.
RULES = [
    ("high->set && slot >= high->slot", "high->set && slot > high->slot"),
    ("high->set && slot >= high->slot", "slot >= high->slot"),
    ("high->set && (source >= high->epoch || target >= high->epoch)", "(source >= high->epoch || target >= high->epoch)"),
    ("(source >= high->epoch || target >= high->epoch)", "(source > high->epoch || target >= high->epoch)"),
    ("(source >= high->epoch || target >= high->epoch)", "(source >= high->epoch || target > high->epoch)"),
    ("(source >= high->epoch || target >= high->epoch)", "(source >= high->epoch && target >= high->epoch)"),
    ("return has_a && has_b && memcmp", "return has_b && memcmp"),
    ("return has_a && has_b && memcmp", "return has_a && memcmp"),
    ("return has_a && has_b && memcmp", "return memcmp"),
    ("sizeof a->bytes) == 0", "4) == 0"),
    ("sizeof a->bytes) == 0", "sizeof a->bytes - 1) == 0"),
    ("if (records[i].slot != block->slot)", "if (records[i].slot == block->slot)"),
    ("if (records[i].slot != block->slot)", "if (records[i].slot > block->slot)"),
    ("        repeat = true;", "        break;"),
    ("    if (repeat)\n", "    if (!repeat)\n"),
    ("    if (repeat)\n        return (struct slash_verdict){.rule = SLASH_REPEAT", "    if (repeat)\n        return (struct slash_verdict){.rule = SLASH_SAFE"),
    ("low->has_slot && block->slot <= low->slot", "low->has_slot && block->slot < low->slot"),
    ("low->has_slot && block->slot <= low->slot", "block->slot <= low->slot"),
    ("low->has_slot && block->slot <= low->slot", "low->has_slot && block->slot >= low->slot"),
    ("if (r->target != a->target)", "if (r->source != a->target)"),
    ("if (r->target != a->target)", "if (r->target == a->target)"),
    ("r->source == a->source &&", ""),
    ("r->source == a->source &&", "r->source == a->source ||"),
    ("        if (!same)", "        if (same)"),
    ("return against(SLASH_DOUBLE_VOTE, r->source, r->target);", "verdict = against(SLASH_DOUBLE_VOTE, r->source, r->target);"),
    ("verdict = against(SLASH_REPEAT, r->source, r->target);", "return against(SLASH_REPEAT, r->source, r->target);"),
    ("a->source < r->source && r->target < a->target", "a->source <= r->source && r->target < a->target"),
    ("a->source < r->source && r->target < a->target", "a->source < r->source"),
    ("a->source < r->source && r->target < a->target", "a->source < r->target && r->target < a->target"),
    ("a->source < r->source && r->target < a->target", "a->target < r->source && r->target < a->target"),
    ("r->source < a->source && a->target < r->target", "r->source <= a->source && a->target < r->target"),
    ("r->source < a->source && a->target < r->target", "a->target < r->target"),
    ("r->source < a->source && a->target < r->target", "false"),
    ("if (!surrounding && !surrounded)", "if (!surrounding)"),
    ("if (!surrounding && !surrounded)", "if (!surrounded)"),
    ("if (!surrounding && !surrounded)", "if (!surrounding || !surrounded)"),
    ("r->target < verdict.earlier_target", "r->target > verdict.earlier_target"),
    ("surrounding ? SLASH_SURROUNDING : SLASH_SURROUNDED", "surrounding ? SLASH_SURROUNDED : SLASH_SURROUNDING"),
    ("if (attestation->source > attestation->target)", "if (attestation->source >= attestation->target)"),
    ("if (attestation->source > attestation->target)", "if (false)"),
    ("low->has_epochs && attestation->source < low->source", "low->has_epochs && attestation->source <= low->source"),
    ("low->has_epochs && attestation->source < low->source", "attestation->source < low->source"),
    ("low->has_epochs && attestation->source < low->source", "low->has_epochs && attestation->source < low->target"),
    ("low->has_epochs && attestation->source < low->source", "low->has_epochs && attestation->target < low->source"),
    ("low->has_epochs && attestation->target <= low->target", "low->has_epochs && attestation->target < low->target"),
    ("low->has_epochs && attestation->target <= low->target", "attestation->target <= low->target"),
    ("low->has_epochs && attestation->target <= low->target", "low->has_epochs && attestation->target <= low->source"),
    ("low->has_epochs && attestation->target <= low->target", "low->has_epochs && attestation->source <= low->target"),
    ("for (size_t i = 0; i < n; i++) {\n        if (records", "for (size_t i = 1; i < n; i++) {\n        if (records"),
    ("for (size_t i = 0; i < n; i++) {\n        if (records", "for (size_t i = 0; i + 1 < n; i++) {\n        if (records"),
    ("{.rule = SLASH_DOUBLE_BLOCK, ", "{.rule = SLASH_SAFE, "),
    ("{.rule = SLASH_BLOCK_BELOW, ", "{.rule = SLASH_SAFE, "),
]

MERGE = [
    ("into->has_root = false;\n        return true;", "return true;"),
    ("into->has_root = false;\n        return true;", "into->has_root = false;"),
    ("if (!own && !other->has_root)\n", "if (false)\n"),
    ("have->low.has_slot && add[a].slot <= have->low.slot", "false"),
    ("have->low.has_slot && add[a].slot <= have->low.slot", "have->low.has_slot && add[a].slot < have->low.slot"),
    ("if (own[i] && m->blocks[i].has_root)", "if (m->blocks[i].has_root)"),
    ("if (own[i] && m->attestations[i].has_root)", "if (m->attestations[i].has_root)"),
    ("low->slot = low->has_slot ? u64_max(low->slot, slot) : slot;", "low->slot = slot;"),
    ("raise_slot(&m->low, m->blocks[m->block_count - 1].slot);", "raise_slot(&m->low, m->blocks[0].slot);"),
    ("into->source != other->source ||", ""),
    ("low->has_epochs && (a->source < low->source || a->target <= low->target)", "false"),
    ("a->source > a->target || a->source < highest", "a->source < highest"),
    ("a->source > a->target || a->source < highest", "a->source > a->target"),
    ("highest = a->source;", ""),
    ("raise_epochs(&m->low, b.max_source, b.max_target);", "raise_epochs(&m->low, b.min_source, b.max_target);"),
    ("raise_epochs(&m->low, b.max_source, b.max_target);", "raise_epochs(&m->low, b.max_source, b.min_target);"),
    ("else if (!m->low.has_epochs && any)", "else if (any)"),
    ("widen(&b, have->attestations, have->attestation_count);", ""),
    ("if (add->low.has_epochs)", "if (false)"),
    ("y->has_root - x->has_root;\n}\n\nint", "0;\n}\n\nint"),
]

STORE = [
    ("index.c", "!key->has_attestation || target >= key->attestation.target", "true"),
    ("index.c", "!key->has_attestation || target >= key->attestation.target", "key->attestation.target >= target"),
    ("index.c", "return !key->has_block || slot >= key->block.slot;", "return true;"),
    ("index.c", "key->has_attestation && attestation->target < key->attestation.target", "false"),
    ("index.c", "key->has_block && block->slot < key->block.slot", "false"),
    ("index.c", ".older = key->newest_tail, ", ""),
    ("backend.c", "if (!enabled)\n        return SLASH_DISABLED;", ""),
    ("backend.c", "return newest > keep ? newest - keep : 0;", "return newest;"),
    ("backend.c", "if (identity->has_genesis_validators_root && !same)", "if (false)"),
    ("sqlite_sign.c", "a.source < a.target ? a.source : a.target", "a.target"),
    ("sqlite_sign.c", "sqlite_read_blocks(h, key, block.slot, block.slot)", "sqlite_read_blocks(h, key, block.slot + 1, block.slot)"),
    ("sqlite_sign.c", "if (!err.code && h->index.next != from)", "if (false)"),
    ("sqlite_sign.c", "err = sqlite_write_low(h, &h->index.keys[lows->keys[i]]);", ""),
    ("sqlite_read.c", "CC_TRY(push_attestation(&h->records, &r->attestation));", "continue;"),
    ("sqlite_read.c", "CC_TRY(push_block(&h->records, &r->block));", "continue;"),
    ("sqlite_upkeep.c", "key->low.target = u64_max(key->low.target, target);", ""),
    ("sqlite_upkeep.c", "key->low.slot = u64_max(key->low.slot, kept);", ""),
    ("sqlite_fold.c", "slash_index_folded(&h->index, first);", ""),
    ("sqlite_fold.c", "slash_index_fold_keys(&h->index, below, row);", ""),
    ("sqlite_fold.c", "CC_TRY(add_record(h, r));", ""),
    ("sqlite_fold.c", "return write_cursor(h, below, *ret_row);", "return CC_OK;"),
    ("sqlite_load.c", "    CC_TRY(load_fold(h));", ""),
    ("index.c", "(number < index->fold_below && row < index->fold_row)", "false"),
    ("index.c", "(number < index->fold_below && row < index->fold_row)", "number < index->fold_below"),
    ("index.c", "number < index->first || ", ""),
    ("sqlite_load.c", "    CC_TRY(load_tail(h));", ""),
    ("sqlite_load.c", "slash_key_saw_attestation(key, &a);\n    }", "}"),
    ("sqlite_load.c", "CC_TRY(load_low(s, &key->low));", ""),
    ("sqlite_merge.c", "key->low = merged->low;", ""),
    ("sqlite_merge.c", "if (!same)\n            CC_TRY(write_block", "if (same)\n            CC_TRY(write_block"),
    ("sqlite_merge.c", "bool same = !merged->contradictory && old < have->attestation_count &&", "bool same = old < have->attestation_count &&"),
    ("sqlite_merge.c", "CC_TRY(drop(h, row, STATEMENT_DROP_ATTESTATIONS));", ""),
    ("sqlite_db.c", "(sqlite3_int64)(value ^ SIGN_BIT)", "(sqlite3_int64)value"),
]

# What opening, and finding the files again, must notice.
OPEN = [
    ("sqlite_load.c", "    CC_TRY(save_lost_log(h));", ""),
    ("sqlite_load.c", "    CC_TRY(save_lost_log(h));", "    if (!h->stale)\n        CC_TRY(save_lost_log(h));"),
    ("sqlite_load.c", "    CC_TRY(sqlite_files_database_in_place(h));", ""),
    ("sqlite_files.c", "same(&now, &h->database)", "true"),
    ("sqlite_lock.c", "LOCK_EX | LOCK_NB", "LOCK_SH | LOCK_NB"),
    ("sqlite_lock.c", "O_CLOEXEC | O_NOFOLLOW", "O_CLOEXEC"),
    ("sqlite_load.c", "if (value != wanted[i].expected)", "if (false)"),
    ("sqlite_load.c", "if (number != h->index.next || number == 0)", "if (number == 0)"),
    ("sqlite_store.c", "if (st.st_size == 0)", "if (false)"),
    ("sqlite_store.c", "if ((st.st_mode & 077) && chmod(path, 0600) != 0)", "if (false)"),
    ("sqlite_store.c", "    if (production)\n        CC_TRY", "    if (false)\n        CC_TRY"),
    ("sqlite_create.c", "    if (production)\n        CC_TRY", "    if (false)\n        CC_TRY"),
    ("sqlite_create.c", "S_IFREG | 0600", "S_IFREG | 0666"),
    ("sqlite_db.c", "return right ? CC_OK :", "return true ? CC_OK :"),
    ("sqlite_db.c", "{\"journal_mode\", \"WAL\", \"wal\"},", ""),
    ("sqlite_db.c", "{\"fullfsync\", \"1\", \"1\"},", ""),
    ("sqlite_db.c", "CC_TRY(set_pragma(db, \"synchronous\", synchronous, synchronous));", ""),
]

# The rules in SQL, statement by statement: (tests that must fail, [(statement, text, replacement)]). "store" is the conformance
# suite on this backend, another name a test of tests/conformance/test_slash_postgres.c.
RACE = "test_T05_a_wait*"
SQL = [
    # T5: what is seen must not be older than the lock.
    (RACE, [("BEGIN", "READ COMMITTED", "REPEATABLE READ")]),
    (RACE, [("LOCK_TRY", "pg_try_advisory_xact_lock(c.kind, v.id)", "true"),
            ("CHECK_VOTES", "SELECT c.*, v.id,", "SELECT c.*, pg_advisory_xact_lock(1, v.id)::text AS locked, v.id,")]),
    (RACE, [("LOCK_TRY", "pg_try_advisory_xact_lock(c.kind, v.id)", "true")]),
    (RACE, [("LOCK_WAIT", "pg_advisory_xact_lock($2::int, id)", "$2::int, id")]),
    (RACE, [("CHECK_VOTES", "ord <> ALL (", "ord > 0 OR 0 <= ALL (")]),
    (RACE, [("LOCK_TRY", "(c.kind, v.id)", "(c.kind + 2, v.id)"), ("LOCK_WAIT", "($2::int, id)", "($2::int + 2, id)")]),
    ("store", [("CHECK_VOTES", "WHEN NOT enabled THEN 'DISABLED'", "")]),
    ("store", [("CHECK_VOTES", "source >= high OR target >= high", "source >= high")]),
    ("store", [("CHECK_VOTES", "source >= high OR target >= high", "source >= high OR target > high")]),
    ("store", [("CHECK_VOTES", "WHEN source > target THEN 'SOURCE_AFTER_TARGET'", "")]),
    ("store", [("CHECK_VOTES", "WHEN source > target", "WHEN source >= target")]),
    ("store", [("CHECK_VOTES", "same_source = source AND same_root = root", "same_root = root")]),
    ("store", [("CHECK_VOTES", "same_source = source AND same_root = root", "same_source = source")]),
    ("store", [("CHECK_VOTES", "WHEN same_target IS NOT NULL THEN 'DOUBLE_VOTE'", "")]),
    ("store", [("CHECK_VOTES", "target > newest_target AND source < newest_source", "false")]),
    ("store", [("CHECK_VOTES", "target > newest_target AND source < newest_source", "target > newest_target AND source <= newest_source")]),
    ("store", [("CHECK_VOTES", "ORDER BY target_epoch DESC LIMIT 1) newest", "ORDER BY target_epoch LIMIT 1) newest")]),
    ("store", [("CHECK_VOTES", "WHEN clash_source > source THEN 'SURROUNDING'", "")]),
    ("store", [("CHECK_VOTES", "WHEN clash_source < source THEN 'SURROUNDED'", "")]),
    ("store", [("CHECK_VOTES", "(c.source < source_epoch AND target_epoch < c.target)", "false")]),
    ("store", [("CHECK_VOTES", "(source_epoch < c.source AND c.target < target_epoch)", "false")]),
    ("store", [("CHECK_VOTES", "(source_epoch < c.source AND c.target < target_epoch)", "(source_epoch <= c.source AND c.target < target_epoch)")]),
    ("store", [("CHECK_VOTES", "target_epoch > c.source", "target_epoch > c.target")]),
    ("store", [("CHECK_VOTES", "ORDER BY target_epoch DESC LIMIT 1) clash", "ORDER BY target_epoch LIMIT 1) clash")]),
    ("store", [("CHECK_VOTES", "WHEN source < low_source THEN 'SOURCE_BELOW'", "")]),
    ("store", [("CHECK_VOTES", "WHEN source < low_source", "WHEN source <= low_source")]),
    ("store", [("CHECK_VOTES", "WHEN target <= low_target", "WHEN target < low_target")]),
    ("store", [("CHECK_VOTES", "SELECT id, source, target, root FROM judged", "SELECT id, source, target, NULL::bytea FROM judged")]),
    ("store", [("CHECK_VOTES", "rule = 'SAFE' AND low_source IS NULL", "false")]),
    ("store", [("CHECK_BLOCKS", "WHEN NOT enabled THEN 'DISABLED'", "")]),
    ("store", [("CHECK_BLOCKS", "WHEN slot >= high", "WHEN slot > high")]),
    ("store", [("CHECK_BLOCKS", "WHEN same_root = root", "WHEN same_root IS NOT NULL")]),
    ("store", [("CHECK_BLOCKS", "WHEN same_slot IS NOT NULL THEN 'DOUBLE_BLOCK'", "")]),
    ("store", [("CHECK_BLOCKS", "WHEN slot <= low_slot", "WHEN slot < low_slot")]),
    ("store", [("CHECK_BLOCKS", "SELECT id, slot, root FROM judged", "SELECT id, slot, NULL::bytea FROM judged")]),
    ("store", [("CHECK_BLOCKS", "rule = 'SAFE' AND low_slot IS NULL", "false")]),
    ("store", [("DROP_BLOCKS", "slot <> ALL ($2::numeric[])", "slot <> ALL ($2::numeric[]) AND false")]),
    ("store", [("DROP_VOTES", "target_epoch <> ALL ($2::numeric[])", "target_epoch <> ALL ($2::numeric[]) AND false")]),
    ("store", [("SET_LOW", "DO UPDATE SET slot = EXCLUDED.slot", "DO UPDATE SET slot = w.slot")]),
    ("store", [("SET_LOW", "source_epoch = EXCLUDED.source_epoch", "source_epoch = w.source_epoch")]),
    ("store", [("PRUNE_BLOCKS", "b.slot < l.line", "b.slot <= l.line")]),
    ("store", [("PRUNE_BLOCKS", "SET slot = greatest(w.slot, EXCLUDED.slot)", "SET slot = w.slot")]),
    ("store", [("PRUNE_VOTES", "a.target_epoch < l.line", "a.target_epoch <= l.line")]),
    ("store", [("PRUNE_VOTES", "greatest(w.target_epoch, EXCLUDED.target_epoch)", "w.target_epoch")]),
    ("test_P10*", [("PRUNE_BLOCKS", "least(k.slot, high.slot)", "k.slot")]),
    ("test_T06*", [("STATE", "encode(history_id, 'hex')", "''")]),
    ("test_T07_a_batch*", [("HEAD", "batches = h.batches + 1", "batches = h.batches")]),
]

# What stands around the statements: (tests that must fail, file, text, replacement).
AROUND = [
    ("test_T07_a_commit*", "postgres_store.c", "if (h->db.warned)", "if (false)"),
    ("test_T06*", "postgres_store.c", "PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), h->state) == 0", "PQntuples(result) == 1"),
    ("test_P01_T06*", "postgres_store.c", "if (strcmp(fault, faults[i].name) == 0)", "if (false)"),
    ("test_P21*", "postgres_store.c", "if (count <= h->head)", "if (false)"),
    ("test_P21*", "postgres_store.c", "if (own.batches < h->head)", "if (false)"),
    ("test_T06*", "postgres_store.c", "if (!same_cluster(found, wanted))", "if (false)"),
    ("test_T06*", "postgres_store.c", "if (h->head == 0)", "if (false)"),
    ("test_P01_T06*", "postgres_db.c", "ELSE 'on' END", "ELSE current_setting('synchronous_commit') END"),
    ("test_P03*", "postgres_store.c", "if (PQntuples(*ret_state) != 1)", "if (false)"),
    ("test_records*", "postgres_create.c", "return broken\n", "return false\n"),
    ("test_records*", "postgres_create.c", "strcmp(found, digits) == 0", "true"),
    ("test_a_web3signer*", "postgres_create.c", "if (taken)", "if (false)"),
    ("store", "postgres_sign.c", "b->wave[i] += ", "b->wave[i] += false && "),
    ("test_a_key*", "postgres_sign.c", "give_up_on(b, lock); /*", "/*"),
    ("test_one_claim*", "postgres_sign.c", "error_is(err, ERROR_CONFLICT) || error_is(err, ERROR_WATERMARK)", "error_is(err, ERROR_CONFLICT)"),
    ("store", "postgres_merge.c", "if (merged->contradictory)\n        CC_TRY(postgres_db_send(&m->h->db, POSTGRES_DROP_VOTES", "if (false)\n        CC_TRY(postgres_db_send(&m->h->db, POSTGRES_DROP_VOTES"),
    ("store", "postgres_db.c", "u32_store_be(at, bytes ? (uint32_t)len : UINT32_MAX);", "u32_store_be(at, bytes ? (uint32_t)len : 0);"),
]

COMMON = ["base/alloc.c", "base/error.c", "base/num.c", "base/span.c", "base/io.c", "base/clock.c", "base/log.c",
          "codec/hex.c", "codec/json_stream.c"]


def compile_one(cc, source, into, before=()):
    subprocess.run([cc, *before, *FLAGS, "-c", str(source), "-o", str(into)], check=True, capture_output=True, text=True)


def mutate(path, text, replacement):
    source = path.read_text()
    count = source.count(text)
    if count != 1:
        sys.exit(f"{path.name}: {text!r} stands there {count} times: bring the mutant up to date")
    return source.replace(text, replacement)


class Suite:
    """One test program; mutants replace one of its objects."""

    def __init__(self, cc, work, name, test_sources, sources, libraries, environment):
        self.cc, self.work, self.name, self.libraries = cc, work, name, libraries
        # What a crashed mutant leaves behind goes with the work directory.
        self.environment = {**os.environ, "TMPDIR": str(work), **environment}
        self.objects = {}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = []
            for source in [*test_sources, *sources]:
                into = work / f"{source.replace('/', '-')}.o"
                base = ROOT if source.startswith("tests/") else ROOT / "src"
                if not into.exists():  # another suite's
                    jobs.append(pool.submit(compile_one, cc, base / source, into))
                self.objects[source] = into
            for job in jobs:
                job.result()

    def run(self, label, replaced=None, mutated=None, environment=None, timeout=20):
        program = self.work / f"{self.name}-{label}"
        objects = [str(mutated if source == replaced else o) for source, o in self.objects.items()]
        subprocess.run([self.cc, *objects, "-o", str(program), *self.libraries], check=True, capture_output=True)
        try:
            done = subprocess.run([str(program)], capture_output=True,
                                  env={**self.environment, **(environment or {})}, timeout=timeout)
            return done.returncode == 0
        except subprocess.TimeoutExpired:  # an endless loop; the unchanged program takes a second
            return False
        finally:
            program.unlink()

    def killed(self, number, source, text, replacement, environment=None, timeout=20):
        mutant = self.work / f"{self.name}-{number}.c"
        mutant.write_text(mutate(ROOT / "src" / source, text, replacement))
        try:
            compile_one(self.cc, mutant, mutant.with_suffix(".o"))
        except subprocess.CalledProcessError as error:
            sys.exit(f"the mutant {text!r} -> {replacement!r} doesn't compile:\n{error.stderr}")
        return not self.run(str(number), source, mutant.with_suffix(".o"), environment, timeout)

    def killed_sql(self, number, tests, edits, opening):
        """The statements stand in a table that postgres_db.c includes; its mutant lies before it on the include path."""
        folder = self.work / f"{self.name}-{number}-table"
        (folder / "slash").mkdir(parents=True)
        table = ROOT / "src/slash/postgres_statement.def"
        text = table.read_text()
        for statement, old, new in edits:
            start = text.index(f"P({statement},")
            end = text.find("\nP(", start) % (len(text) + 1)
            if text[start:end].count(old) != 1:
                sys.exit(f"{statement}: {old!r} stands there {text[start:end].count(old)} times: bring the mutant up to date")
            text = text[:start] + text[start:end].replace(old, new) + text[end:]
        (folder / "slash" / table.name).write_text(text)
        compile_one(self.cc, ROOT / "src/slash/postgres_db.c", folder / "db.o", ["-I", str(folder)])
        if not opening.run(f"{number}-opens", "slash/postgres_db.c", folder / "db.o", {"CC_TESTS": "test_an_empty*"}):
            sys.exit(f"the server does not take the mutant {edits}")
        environment = {} if tests == "store" else {"CC_TESTS": tests}
        return not self.run(str(number), "slash/postgres_db.c", folder / "db.o", environment, 60)


def run_sql(args, work, suites):
    """The mutants of the SQL on one server. The conformance suite keeps to a schema of its own; the other tests look at the
    whole server, and change its settings: those run alone."""
    jobs = [j for j in [*SQL, *AROUND] if args.only in str(j)]
    survivors = 0
    with postgres.Postgres() as server:
        for suite in suites.values():
            suite.environment["CC_POSTGRES_URL"] = server.url()
            if not suite.run("original", timeout=120):
                sys.exit(f"{suite.name}: the unchanged program fails its tests")
        def killed(job):
            number, (tests, *edits) = job
            suite = suites["store" if tests == "store" else "other"]
            if tests != "store":
                server.reset()  # a mutant may end a test before it has put the settings back
            if len(edits) == 1:
                return suite.killed_sql(number, tests, *edits, suites["other"])
            environment = {} if tests == "store" else {"CC_TESTS": tests}
            return suite.killed(number, f"slash/{edits[0]}", *edits[1:], environment, 60)

        for together in (True, False):
            part = [(n, j) for n, j in enumerate(jobs) if (j[0] == "store") == together]
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count() if together else 1) as pool:
                for (_, mutant), dead in zip(part, pool.map(killed, part)):
                    if not dead:
                        survivors += 1
                        print(f"SURVIVED: {mutant}")
    print(f"{len(jobs)} mutants of PostgreSQL, {survivors} survived")
    return 1 if survivors else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--only", default="")
    parser.add_argument("--sql", action="store_true", help="the mutants of PostgreSQL's history, on a server of their own")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work_name:
        work = pathlib.Path(work_name)
        slash = sorted(f"slash/{p.name}" for p in (ROOT / "src/slash").glob("*.c"))
        kit = ["tests/support/slash_kit.c", "tests/support/fault_vfs.c", "tests/support/postgres_server.c"]
        libraries = ["-lcmocka", "-lsqlite3", "-lpq", "-lpthread"]
        if args.sql:
            everything = [*kit, *slash, *COMMON]
            sql = {"CC_SEED": "1", "CC_ROUNDS": "8", "CC_BACKEND": "postgres"}
            return run_sql(args, work, {
                "store": Suite(args.cc, work, "sql-store", ["tests/conformance/test_slash_store.c"], everything, libraries, sql),
                "other": Suite(args.cc, work, "sql-other", ["tests/conformance/test_slash_postgres.c"], everything, libraries,
                               {"CC_TESTS": "test_T0*"}),
            })
        rules = Suite(args.cc, work, "rules", ["tests/unit/slash/test_rules.c"], ["slash/rules.c"], ["-lcmocka"],
                      {"CC_SEED": "1"})
        merge = Suite(args.cc, work, "merge", ["tests/unit/slash/test_merge.c", *kit], [*slash, *COMMON], libraries,
                      {"CC_SEED": "1", "CC_ROUNDS": "300"})
        store = Suite(args.cc, work, "store", ["tests/conformance/test_slash_store.c", *kit], [*slash, *COMMON], libraries, {"CC_SEED": "1", "CC_ROUNDS": "25", "CC_NO_SYNC": "1", "CC_BACKEND": "sqlite"})
        opening = Suite(args.cc, work, "open", ["tests/unit/slash/test_sqlite_open.c", *kit], [*slash, *COMMON],
                        libraries, {})
        jobs = [(rules, "slash/rules.c", *m) for m in RULES]
        jobs += [(merge, "slash/merge.c", *m) for m in MERGE]
        jobs += [(store, "slash/" + file, text, replacement) for file, text, replacement in STORE]
        jobs += [(opening, "slash/" + file, text, replacement) for file, text, replacement in OPEN]
        jobs = [j for j in jobs if args.only in j[1] + j[2]]
        for suite in (rules, merge, store, opening):
            if not suite.run("original"):
                sys.exit(f"{suite.name}: the unchanged program fails its tests")
        survivors = 0
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = pool.map(lambda job: job[1][0].killed(job[0], *job[1][1:]), enumerate(jobs))
            for (_, source, text, replacement), killed in zip(jobs, results):
                if not killed:
                    survivors += 1
                    print(f"SURVIVED: {source}: {text!r} -> {replacement!r}")
        print(f"{len(jobs)} mutants, {survivors} survived")
        return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
