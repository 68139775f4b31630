#!/usr/bin/env python3
"""Mutation testing of slashing protection (property P11).

Each mutant is one small wrong change to one file. It is compiled with the tests that guard that file; the tests must
fail (or not compile). A mutant that survives means that a rule could break without anyone noticing.

usage: mutants.py [--cc CC] [--only TEXT] [--sql | --dynamodb | --access | --keys]
"""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import aws  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position

FLAGS = ["-std=gnu17", "-O1", "-ftrivial-auto-var-init=zero", "-D_GNU_SOURCE", "-DCC_TESTING=1", f"-DCC_SOURCE_DIR=\"{ROOT}\"",
         "-I", str(ROOT / "src"), "-I", str(ROOT / "tests"), "-I/usr/include/postgresql", "-I/usr/include/cjson"]

# Hundreds of programs are linked.
LINKER = ["-fuse-ld=mold"] if shutil.which("mold") else []

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
            ("CHECK_VOTES", "SELECT c.*, v.enabled,", "SELECT c.*, pg_advisory_xact_lock(1, c.id)::text AS locked, v.enabled,")]),
    (RACE, [("LOCK_TRY", "pg_try_advisory_xact_lock(c.kind, v.id)", "true")]),
    (RACE, [("LOCK_WAIT", "pg_advisory_xact_lock($2::int, id)", "$2::int")]),
    ("test_a_key*", [("CHECK_VOTES", "WHERE c.id <> 0", "")]),
    ("test_a_key*", [("LOCK_TRY", "THEN v.id ELSE 0 END", "THEN v.id ELSE -1 END")]),
    ("store", [("LOCK_TRY", "ORDER BY c.place)", "ORDER BY v.id)")]),
    (RACE, [("LOCK_TRY", "(c.kind, v.id)", "(c.kind + 2, v.id)"), ("LOCK_WAIT", "($2::int, id)", "($2::int + 2, id)")]),
    ("test_a_record_that*", [("CHECK_VOTES", "NOT id IN (SELECT validator_id FROM written)", "false")]),
    ("test_a_record_that*", [("CHECK_BLOCKS", "NOT id IN (SELECT validator_id FROM written)", "false")]),
    ("store", [("CHECK_VOTES", "AND c.target <= newest.target_epoch", "AND c.target < newest.target_epoch")]),
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
    ("store", [("MERGE_ADD", "SELECT key, enabled <> 0", "SELECT key, true")]),
    ("store", [("SET_LOW", "CASE WHEN blocks <> 0 THEN slot END", "slot")]),
    ("store", [("SET_LOW", "DO UPDATE SET slot = EXCLUDED.slot", "DO UPDATE SET slot = w.slot")]),
    ("store", [("SET_LOW", "source_epoch = EXCLUDED.source_epoch", "source_epoch = w.source_epoch")]),
    ("store", [("PRUNE_BLOCKS", "b.slot < l.line", "b.slot <= l.line")]),
    ("store", [("PRUNE_BLOCKS", "SET slot = greatest(w.slot, EXCLUDED.slot)", "SET slot = w.slot")]),
    ("store", [("PRUNE_VOTES", "a.target_epoch < l.line", "a.target_epoch <= l.line")]),
    ("store", [("PRUNE_VOTES", "greatest(w.target_epoch, EXCLUDED.target_epoch)", "w.target_epoch")]),
    ("test_P10*", [("PRUNE_BLOCKS", "least(k.slot, high.slot)", "k.slot")]),
    ("test_T06*", [("STATE_TEXT", "encode(history_id, 'hex')", "''::text")]),
    ("test_T06_P20_no*", [("CONFIRM", '($2::boolean OR (" WAITING ") = 0)', "$1::bytea IS NOT NULL AND $2::boolean IS NOT NULL")]),
    ("test_T06_P20_another*", [("TIMELINE_WAITING", "system_identifier = (SELECT", "system_identifier IS NOT NULL OR '' = (SELECT")]),
    ("test_T06_P20_a_replica*", [("OWN_HEAD", 'timeline = " HERE "', "true")]),
    ("test_T06_P20_only*", [("TIMELINE_SEEN", 'next_timeline IS DISTINCT FROM " HERE', 'true"')]),
    ("test_T06_P20_only*", [("WAITING", "interval '15 minutes'", "interval '15 years'")]),
    ("test_T06_P20_a_command*", [("WAITING", "WHERE o.replica AND", "WHERE")]),
    ("test_T07_a_batch*", [("HEAD", "batches = h.batches + 1", "batches = h.batches")]),
]

# What stands around the statements: (tests that must fail, file, text, replacement).
AROUND = [
    ("test_T07_a_commit*", "postgres_store.c", "if (h->db.warned)", "if (false)"),
    ("test_T06*", "postgres_store.c", "PQntuples(head) == 1 && strcmp(PQgetvalue(head, 0, 1), h->state) == 0", "PQntuples(head) == 1"),
    ("test_P01_T06*", "postgres_store.c", "if (strcmp(fault, faults[i].name) == 0)", "if (false)"),
    ("test_P21*", "postgres_store.c", "if (count <= h->head)", "if (false)"),
    ("test_P21*", "postgres_timeline.c", "if (own.batches < h->head)", "if (false)"),
    ("test_T06_P20_another*", "postgres_timeline.c", "if (strcmp(at->found, at->wanted) != 0 || !own.is_confirmed)", "if (!own.is_confirmed)"),
    ("test_T06_P20_no*", "postgres_store.c", "if (h->unsettled)", "if (false)"),
    ("test_T06_a_second*", "postgres_timeline.c", "strcmp(h->compared, at->found) == 0 && ", ""),
    ("test_T08*", "postgres_timeline.c", "if (count > h->head + h->unsure)", "if (false)"),
    ("test_P01_T06*", "sql/postgres_db.c", "ELSE 'on' END", "ELSE current_setting('synchronous_commit') END"),
    ("test_P03*", "postgres_store.c", "if (PQntuples(*ret_state) != 1)", "if (false)"),
    ("test_records*", "postgres_create.c", "return broken\n", "return false\n"),
    ("test_records*", "postgres_create.c", "strcmp(found, digits) == 0", "true"),
    ("test_a_web3signer*", "postgres_create.c", "if (taken)", "if (false)"),
    ("store", "postgres_sign.c", "b->wave[i] += ", "b->wave[i] += false && "),
    ("test_a_key*", "postgres_sign.c", "give_up_on(b, lock); /*", "/*"),
    ("test_one_claim*", "postgres_sign.c", "error_is(err, ERROR_CONFLICT) || error_is(err, ERROR_WATERMARK)", "error_is(err, ERROR_CONFLICT)"),
    ("store", "postgres_merge.c", "if (m->rows[i].merged.contradictory)", "if (false)"),
    ("store", "sql/postgres_db.c", "u32_store_be(at, bytes ? (uint32_t)len : UINT32_MAX);", "u32_store_be(at, bytes ? (uint32_t)len : 0);"),
]

# What the guard and its mirror must notice.
GUARD = [
    ("guard.c", "    if (mine.rule == SLASH_SAFE)\n        return mirror_claim(g, claim);", "    if (mine.rule == SLASH_SAFE)\n        return CC_OK;"),
    ("guard.c", "    if (key)\n        CC_TRY(judge(g, key, claim, &mine));", "    (void)key, (void)judge;"),
    ("guard.c", "if (verdict->rule == SLASH_REPEAT && mine.rule == SLASH_REPEAT)", "if (verdict->rule == SLASH_REPEAT)"),
    ("guard.c", "if (verdict->rule == SLASH_REPEAT && (is_below(mine.rule) || lies_below(key, claim))) {\n        *verdict = mine;", "if (verdict->rule == SLASH_REPEAT && is_below(mine.rule)) {"),
    ("guard.c", "        *verdict = *mine;", "        (void)mine;"),
    ("guard.c", "        verdict->rule = SLASH_HISTORY_TAMPERED;", "        (void)verdict;"),
    ("guard.c", "covered = slash_key_covers_block(key, block.slot)", "covered = true"),
    ("guard.c", "covered = slash_key_covers_attestation(key, vote.target)", "covered = true"),
    ("guard.c", "        CC_TRY(weigh(g, &claims[i], &ret_verdicts[i]));\n    return write_mirror(g);", "        CC_TRY(weigh(g, &claims[i], &ret_verdicts[i]));\n    return CC_OK;"),
    ("guard.c", "    CC_TRY(raise_mirror(g, floor));", "    (void)raise_mirror;"),
    ("guard.c", "    return reconsider(g);", "    (void)reconsider;\n    return CC_OK;"),
    ("guard.c", "if (g->refused.count && guard_keys_have(&g->refused, &claim->pubkey)) {", "if (false) {"),
    ("guard.c", "    if (!differs)\n        CC_TRY(guard_alarm", "    if (false)\n        CC_TRY(guard_alarm"),
    ("guard.c", "    if (g->mirror_lost) {", "    if (false) {"),
    ("guard.c", "    if (g->mirror && o->fresh)", "    if (false)"),
    ("guard.c", "    if (g->refused.count == 0) {\n        log_info", "    if (true) {\n        log_info"),
    ("guard.c", "    CC_TRY(mirror_follow(", "    level = true;\n    if (false)\n        CC_TRY(mirror_follow("),
    ("guard_compare.c", "d->missing += found == FOUND_NONE && !below;", ""),
    ("guard_compare.c", "d->changed += found == FOUND_OTHER && !below;", ""),
    ("guard_compare.c", "there->source == mine->source &&", ""),
    ("guard_compare.c", "!has_root || memcmp", "true || memcmp"),
    ("guard_compare.c", "low->has_slot && block->slot <= low->slot", "true"),
    ("guard_compare.c", "vote->target <= low->target && vote->source <= low->source", "vote->target <= low->target"),
    ("guard_compare.c", "vote->target <= low->target && vote->source <= low->source", "vote->source <= low->source"),
    ("guard_compare.c", "ret->lowered = is_lower(&v->low, &key->low);", "(void)is_lower;"),
    ("guard_compare.c", "return found != FOUND_NONE || !below;", "return !below;"),
    ("guard_compare.c", "return found != FOUND_NONE || !below;", "return found != FOUND_NONE;"),
    ("guard_compare.c", "return found != FOUND_NONE || !below;", "return true;"),
    ("guard_compare.c", "d->floor.source = u64_max(d->floor.source, a->source);", ""),
    ("guard_compare.c", "d->floor.target = u64_max(d->floor.target, a->target);", ""),
    ("guard_compare.c", "d->floor.slot = u64_max(d->floor.slot, b->slot);", ""),
    ("guard_compare.c", "if (until && key_order(&nothing.pubkey, until) >= 0)", "if (until)"),
    ("guard_compare.c", "        CC_TRY(look_at_rowless(&s, NULL));", "        (void)0;"),
    ("guard_compare.c", "    CC_TRY(slash_merge(g->inner, &raised, &ignored));", "    (void)raised, (void)ignored;"),
    ("guard_compare.c", "            CC_TRY(refuse_key(g, d));", "            (void)refuse_key;"),
    ("guard_timeline.c", "if (!t.same_cluster)", "if (false)"),
    ("guard_timeline.c", "if (g->on_new_timeline == SLASH_TIMELINE_REFUSE && !t.confirmed)", "if (false)"),
    ("guard_timeline.c", "if (g->on_new_timeline == SLASH_TIMELINE_RAISE || g->mirror_lost)", "if (g->mirror_lost)"),
    ("guard_timeline.c", "CC_TRY(compare_after(g, t->position, true, &different));", "(void)different;"),
    ("guard_timeline.c", "CC_TRY(compare_after(g, t->position, true, &different));", "CC_TRY(compare_after(g, t->position + 1, true, &different));"),
    ("guard_timeline.c", "return different ? refuse(\"an older", "return false ? refuse(\"an older"),
    ("guard_timeline.c", "    CC_TRY(guard_raise_to_ceiling(g));\n    return slash_timeline_confirm", "    return slash_timeline_confirm"),
    ("guard_timeline.c", "        g->settling = true;\n", ""),
    ("guard_timeline.c", "        .source = ceiling,\n", "        .source = ceiling ? ceiling - 1 : 0,\n"),
    ("guard_timeline.c", "        .source = ceiling,\n", "        .source = 0,\n"),
    ("guard_timeline.c", "    return g->has_ceiling ? slash_set_ceiling(g->inner, g->ceiling) : CC_OK;", "    return CC_OK;"),
]

MIRROR = [
    ("mirror.c", "if (frame.synced > m->sequence)", "if (false)"),
    ("mirror.c", "if (frame.synced > m->sequence)", "if (true)"),
    ("mirror.c", "CC_TRY(check_torn(m, &scan, size));", "(void)check_torn;"),
    ("mirror.c", "if (ftruncate(m->fd, (off_t)m->end) != 0 || fsync(m->fd) != 0)", "if (fsync(m->fd) != 0)"),
    ("mirror.c", "memcmp(m->header.history_id, id->history_id, sizeof id->history_id) != 0 ||", ""),
    ("mirror.c", "    key->newest_tail = pointer;", ""),
    ("mirror.c", "(void)slash_watermark_raise(&key->low, &item->low);", ""),
    ("mirror.c", "    memcpy(m->last_mac, frame.mac, sizeof m->last_mac);", ""),
    ("mirror.c", "    m->synced = m->sequence;\n    return CC_OK;\n}\n\n/* --- reading from", "    return CC_OK;\n}\n\n/* --- reading from"),
    ("mirror.c", "if (!record || frame->position <= a->position)", "if (!record || frame->position < a->position)"),
    ("mirror.c", "        mirror_set_position(f->next, frame->position);", ""),
    ("mirror.c", "*ret_level = *from == mirror->end;", "*ret_level = true;"),
    ("mirror.c", "O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600", "O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644"),
    ("mirror_frame.c", "if (memcmp(digest, bytes.data + body, MIRROR_MAC_SIZE) != 0)", "if (false)"),
    ("mirror_frame.c", "return memcmp(bytes, again, sizeof again) == 0\n", "return true\n"),
    ("mirror_frame.c", "mac(key, span_of(file_title, sizeof file_title), body, ret_file_key);", "memcpy(ret_file_key, key, MIRROR_KEY_SIZE);"),
]

# What a head in DynamoDB decides alone, and what the older records are read for.
JUDGE = [
    ("dynamodb_judge.c", "head->has_block && claim->slot <= head->max_slot", "false"),
    ("dynamodb_judge.c", "claim->slot <= head->max_slot", "claim->slot < head->max_slot"),
    ("dynamodb_judge.c", "inside = head->has_attestation && claim->target <= head->max_target;", "inside = false;"),
    ("dynamodb_judge.c", "claim->target <= head->max_target;", "claim->target < head->max_target;"),
    ("dynamodb_judge.c", "*ret_first = block ? claim->slot : claim->source;", "*ret_first = block ? claim->slot : claim->target;"),
    ("dynamodb_judge.c", "*ret_last = block ? claim->slot : UINT64_MAX;", "*ret_last = block ? claim->slot : claim->target;"),
    ("dynamodb_judge.c", "head->recent[i].kind == kind && head->recent[i].number == number", "head->recent[i].number == number"),
    ("dynamodb_judge.c", "if (head->recent[i].kind == claim->kind)", "if (false)"),
    ("dynamodb_judge.c", "? u64_max(head->max_source, source) : source", "? source : source"),
    ("dynamodb_judge.c", "? u64_max(head->max_target, target) : target", "? target : target"),
    ("dynamodb_judge.c", "? u64_max(head->max_slot, slot) : slot", "? slot : slot"),
    ("dynamodb_judge.c", "if (!head->low.has_epochs) {", "if (true) {"),
    ("dynamodb_judge.c", "if (ret_verdict->rule != SLASH_SAFE)", "if (false)"),
]

# The history in DynamoDB: (tests of tests/conformance/test_slash_dynamodb.c that must fail, file, text, replacement).
DYNAMODB = [
    ("test_P04*", "slash/dynamodb_db.c", "#v = :v", "#v >= :v"),
    ("test_P18*", "slash/dynamodb_sign.c", "    if (passing)\n", "    if (false)\n"),
    ("test_one_claim*", "slash/dynamodb_sign.c", "decide_all(b, &b->jobs[i], SLASH_CONTENDED);", "decide_all(b, &b->jobs[i], SLASH_SAFE);"),
    ("test_P15_death*registration", "slash/dynamodb_sign.c", "if (head->high_version == 0) {", "if (false) {"),
    ("test_P15_an_import*", "slash/dynamodb_sign.c", "if (head->merging) {", "if (false) {"),
    ("test_P02*", "slash/dynamodb_sign.c", "job->phase = full ? SPILL : WRITE;", "job->phase = WRITE;"),
    ("test_P12_a*", "slash/dynamodb_merge.c", "    if (drops.count)\n        CC_TRY(raise_first(m));\n", "    (void)raise_first;\n"),
    ("test_P07_a_high*", "slash/dynamodb_keys.c", ".version = 1, .enabled = enabled}", ".version = 1, .enabled = enabled, .high_version = 1}"),
    ("test_P07_death*", "slash/dynamodb_keys.c", "    CC_TRY(dynamodb_edit_all(h, open_head, &h->root, &count));", "    (void)count;"),
    ("test_P10*", "slash/dynamodb_upkeep.c", "    raise_lows(head, p);", "    (void)raise_lows;"),
    ("test_T27_a_restored*", "slash/dynamodb_store.c", "strcmp(h->table_id, h->root.table_id) == 0", "true"),
    ("test_T27_a_table_is*", "slash/dynamodb_store.c", "now - h->checked_ms < DYNAMODB_CHECK_MS", "true"),
    ("test_T27_a_table_that*", "slash/dynamodb_table.c", "if (table->unfit) {", "if (false) {"),
    ("test_T27_a_table_whose*", "aws/dynamodb_table.c", '!member_is(ttl, "TimeToLiveStatus", "DISABLED")', "false"),
    ("test_P03*", "slash/dynamodb_store.c", "if (!empty)", "if (false)"),
]

# At once: some mutants hang, and many tests wait for a disk.
WORKERS = 2 * os.cpu_count()

SYSTEM_LIBRARIES = ["yaml", "utf8proc", "crypto", "sodium", "scrypt", "pq", "curl", "sqlite3", "microhttpd", "seccomp", "cmocka",
                    "cjson", "pthread"]

# Who may ask: (tests, file, text, replacement).
ACCESS = [
    ("matrix", "auth/policy.c", "return rule->denies || kind_info(kind)->class == KIND_CLASS_ROUTINE;", "return true;"),
    ("matrix", "auth/policy.c", "return rule->denies || kind_info(kind)->class == KIND_CLASS_ROUTINE;", "return kind_info(kind)->class == KIND_CLASS_ROUTINE;"),
    ("matrix", "auth/policy.c", "(rule->star && kind_info(kind)->class == KIND_CLASS_ROUTINE)", "rule->star"),
    ("matrix", "auth/policy.c", "return rule->all || (rule", "return (rule"),
    ("matrix", "auth/policy.c", "(rule->named >> kind & 1)", "rule->named"),
    ("matrix", "auth/policy.c", "if (!rule->has_scopes || (rule->scopes >> scope & 1))", "if (rule->scopes >> scope & 1)"),
    ("matrix", "auth/policy.c", "if (!rule->has_scopes || (rule->scopes >> scope & 1))", "if (!rule->has_scopes || rule->scopes)"),
    ("matrix", "auth/policy.c", "if (rule->cidr_count || rule->recipient_count || rule->has_gas_limit)", "if (rule->recipient_count || rule->has_gas_limit)"),
    ("matrix", "auth/policy.c", "if (rule->cidr_count || rule->recipient_count || rule->has_gas_limit)", "if (rule->cidr_count || rule->has_gas_limit)"),
    ("matrix", "auth/policy.c", "if (rule->cidr_count || rule->recipient_count || rule->has_gas_limit)", "if (rule->cidr_count || rule->recipient_count)"),
    ("matrix", "auth/policy.c", "place->rules |= UINT64_C(1) << i;", "place->rules = UINT64_C(1) << i;"),
    ("matrix", "auth/policy.c", "while (policy->table[at].rules && !same_key(&policy->table[at].pubkey, pubkey))", "while (policy->table[at].rules && false)"),
    ("matrix", "auth/policy.c", "gas_limit >= rule->min", "gas_limit > rule->min"),
    ("matrix", "auth/policy.c", "gas_limit <= rule->max", "gas_limit < rule->max"),
    ("matrix", "auth/policy.c", "(!rule->has_max || gas_limit", "(gas_limit"),
    ("matrix", "auth/policy.c", "q->fee_recipient ? in_recipients(rule, q->fee_recipient) : !rule->denies", "q->fee_recipient ? in_recipients(rule, q->fee_recipient) : rule->denies"),
    ("matrix", "auth/policy.c", "q->fee_recipient ? in_recipients(rule, q->fee_recipient) : !rule->denies", "q->fee_recipient && in_recipients(rule, q->fee_recipient)"),
    ("matrix", "auth/policy.c", "q->gas_limit ? in_limits(rule, *q->gas_limit) : !rule->denies", "!q->gas_limit || in_limits(rule, *q->gas_limit)"),
    ("matrix", "auth/policy.c", "about &= policy->kinds[q->kind];", "about &= ~UINT64_C(0);"),
    ("matrix", "auth/policy.c", "about &= ~(policy->operational & policy->denies);", "about &= ~policy->operational;"),
    ("matrix", "auth/policy.c", "about &= ~(policy->operational & policy->denies);", "about &= ~UINT64_C(0);"),
    ("matrix", "auth/policy.c", "if (!q->pubkey || !scope_is_about_keys(q->scope))", "if (!q->pubkey)"),
    ("matrix", "auth/policy.c", "return about & ~(policy->keyed & policy->denies);", "return about & ~policy->keyed;"),
    ("matrix", "auth/policy.c", "return about & ~(policy->keyed & policy->denies);", "return about;"),
    ("matrix", "auth/policy.c", "return about & (~policy->keyed | find_place(policy, q->pubkey)->rules);", "return about & (policy->keyed | find_place(policy, q->pubkey)->rules);"),
    ("matrix", "auth/policy.c", "return about & (~policy->keyed | find_place(policy, q->pubkey)->rules);", "return about & find_place(policy, q->pubkey)->rules;"),
    ("matrix", "auth/policy.c", "first_that_holds(policy, about & policy->denies, question)", "first_that_holds(policy, 0 * about, question)"),
    ("matrix", "auth/policy.c", "        if (ret_finding->effect == POLICY_ALLOWS)\n            continue;", "        if (ret_finding->effect == POLICY_ALLOWS)\n            return;"),
    ("matrix", "auth/policy_parse.c", "if (strcmp(kind_operation((enum eth_kind)kind), kind_operation(named)) == 0)", "if ((enum eth_kind)kind == named)"),
    ("policy", "auth/policy_parse.c", "p->rule->star |= text.len == 1;", "p->rule->star = true;"),
    ("matrix", "auth/policy_parse.c", "p->rule->denies = span_is(text, \"deny\");", "p->rule->denies = span_is(text, \"allow\");"),
    ("matrix", "auth/policy_write.c", "if (rule->has_scopes)\n", "if (rule->has_scopes && !rule->denies)\n"),
    ("policy", "auth/policy_write.c", "bool own = operation == kind_info((enum eth_kind)kind)->name;", "bool own = true;"),
    ("policy", "auth/policy_parse.c", "if (!rule->denies && !rule->has_scopes)", "if (false)"),
    ("policy", "auth/policy_parse.c", "!scope_is_about_keys((enum auth_scope)scope))", "false)"),
    ("policy", "auth/policy_parse.c", "if (!signs && (rule->has_operations", "if (false && (rule->has_operations"),
    ("policy", "auth/policy_parse.c", "rule->min > rule->max", "rule->min < rule->max"),
    ("policy", "auth/policy_parse.c", "if (name && !span_is(text, name))", "if (false)"),
    ("policy", "auth/fault.c", "if (count == 0)", "if (false)"),
    ("cidr", "base/cidr.c", "if (range.address[i] & ~mask_at(&range, i))", "if (false)"),
    ("cidr", "base/cidr.c", "is_v4(address) != range->v4 ||", ""),
    ("token", "auth/token.c", "now >= token->expires", "now > token->expires"),
    ("token", "auth/token.c", "i < token->cidr_count && !local", "i < token->cidr_count"),
    ("token", "auth/token.c", "bool from_there = token->cidr_count == 0;", "bool from_there = true;"),
    ("token", "auth/token.c", "if (token->has_certificate && !", "if (false && !"),
    ("token", "auth/token.c", "if (members[i].needed && !(r->seen >> i & 1))", "if (false)"),
    ("token", "auth/token.c", "!span_is(text, r->token->name)", "false"),
    ("authority", "core/authority.c", "if (principal->missing) {", "if (false) {"),
    ("authority", "core/authority.c", "finding.effect == POLICY_ALLOWS ? 0 : ERROR_DENIED", "0"),
    ("authority", "core/authority.c", "if (owner && q->scope == SCOPE_SIGN)", "if (false)"),
    ("authority", "core/authority.c", "    if (asker->failure) {\n        require_token(v, asker->failure);\n        return;\n    }", ""),
    ("authority", "core/authority.c", "if (v->error && principal == &a->snapshot->anonymous)", "if (false)"),
    ("authority", "core/authority.c", "if (q->scope == SCOPE_PUBLIC_KEYS) {", "if (q->scope != SCOPE_SIGN) {"),
    ("authority", "core/authority.c", "if (a->mode == AUTH_ENFORCE || !strict->error)", "if (!strict->error)"),
    ("authority", "core/authority.c", "open.would_deny = !open.error && a->mode == AUTH_REPORT;", "open.would_deny = !open.error;"),
    ("authority", "core/authority.c", "strict->failure == AUTH_NO_TOKEN && ", ""),
    ("authority", "core/authority.c", "return latched || auth_latch_file(authority->data_dir) ? AUTH_ENFORCE", "return latched ? AUTH_ENFORCE"),
    ("authority", "core/authority.c", "return latched || auth_latch_file(authority->data_dir) ? AUTH_ENFORCE", "return auth_latch_file(authority->data_dir) ? AUTH_ENFORCE"),
    ("authority", "core/authority.c", "caller->certificate <= a->auth->certificates.count", "true"),
    ("authority", "core/authority.c", "    if (!a->has_key)\n        return 0;", ""),
    ("authority", "core/authority.c", "        memset(authority->recent, 0, sizeof authority->recent);\n    }\n    drop_lock", "    }\n    drop_lock"),
    ("authority", "core/authority.c", "if (asker.failure)\n        auth_failures_note", "if (false)\n        auth_failures_note"),
    ("authority", "core/authority.c", "        authority->last_used[i] = 0;", ""),
    ("authority", "core/auth_failures.c", "ret_rows, failures->of[who].rows, count * sizeof", "ret_rows, failures->of[who].rows, 0 * sizeof"),
    ("authority", "core/auth_failures.c", "memset(ret_source + 8, 0, 8);", "(void)0;"),
    ("authority", "core/auth_latch.c", "auth->mode == AUTH_OPEN && auth->policies.count ? AUTH_ENFORCE : auth->mode;", "auth->mode;"),
    ("manager", "auth/manager.c", "if (!span_equal(buf_span(&digest), signature->digest))", "if (false)"),
    ("manager", "auth/manager.c", "if (ed25519_verify(public_key, buf_span(&base), signature->bytes).code)", "if (false)"),
    ("manager", "auth/manager.c", "!span_equal(same, label)", "false"),
    ("manager", "auth/manager.c", "if (parameter == 0 || (seen & parameter))", "if (parameter == 0)"),
    ("manager", "auth/manager.c", "(seen & PARAMETER_NEEDED) == PARAMETER_NEEDED", "seen"),
    ("manager", "auth/manager.c", "return span_is(text, algorithm) ? CC_OK : odd();", "return CC_OK;"),
    ("manager", "auth/manager.c", "len > 15 || r->left.data[0] == '0'", "len > 15"),
    ("manager", "auth/managers.c", "if (apart > MANAGER_WINDOW_S)", "if (false)"),
    ("manager", "auth/managers.c", "if (apart > MANAGER_WINDOW_S)", "if (created + MANAGER_WINDOW_S < now)"),
    ("manager", "auth/managers.c", "if (created <= manager->last)", "if (created < manager->last)"),
    ("manager", "auth/managers.c", "jval_count(value) != 3 ||", ""),
    ("manage", "core/manage.c", "return caller->listener == LISTENER_ADMIN && (caller->flags & CALLER_OWNER);", "return (caller->flags & CALLER_OWNER) != 0;"),
    ("manage", "core/manage.c", "return caller->listener == LISTENER_ADMIN && (caller->flags & CALLER_OWNER);", "return caller->listener == LISTENER_ADMIN;"),
    ("manage", "core/manage.c", "return admin ? judge(call) : CC_FAIL(NOT_OWNER, NULL);", "return judge(call);"),
    ("manage", "core/manage.c", "return manage_run(call, manage_check_key, call);", "return CC_OK;"),
    ("manage", "core/manage.c", "if (who == MANAGE_BY_READER)", "if (true)"),
    ("manage", "core/manage.c", "(manage->others < MANAGE_QUEUE_OTHERS &&", "(true &&"),
    ("manage", "core/manage.c", "count_from(manage, &ask->caller) < MANAGE_QUEUE_SOURCE", "true"),
    ("manage", "core/manage.c", "        CC_TRY(check_signature(manage, call));\n", ""),
    ("manage", "core/manage_owner.c", "file->st_uid == directory->st_uid && ", ""),
    ("manage", "core/manage_owner.c", "(file->st_mode & (S_IWGRP | S_IWOTH)) == 0 && ", ""),
    ("manage", "core/manage_owner.c", " && apart <= PROOF_AGE_S", ""),
    ("manage", "core/manage_owner.c", " | O_NOFOLLOW", ""),
    ("manage", "core/manage_owner.c", " || !says(fd, text)", ""),
    ("manage", "core/manage_key.c", "if (!manager || manage_verify(call, &signature, manager->public_key).code)", "if (!manager)"),
    ("manage", "core/manage_key.c", "    CC_TRY(manage_check_time(call, manager, created));\n    manager->last", "    manager->last"),
    ("manage", "core/manage_key.c", "    manager->last = created;\n", ""),
    ("manage", "core/manage_key.c", "if (version && !b->replace)", "if (false)"),
    ("manage", "core/manage_key.c", "manager->last = u64_max(b->call->now, same ? same->last : 0);", "manager->last = 0;"),
    ("manage", "core/manage_key.c", "    CC_TRY(manage_owner_shows(call, proof));\n", ""),
    ("owner", "core/manage_owner_key.c", "return (call->ask->caller.flags & CALLER_TLS) &&", "return"),
    ("owner", "core/manage_owner_key.c", "!manage_verify(call, ret_signature, ret_owner->public_key).code;", "true;"),
    ("owner", "core/manage_owner_key.c", "call->verb->who == MANAGE_BY_KEY || ", ""),
    ("owner", "core/manage_owner_key.c", "    CC_TRY(manage_check_time(n->call, row, n->created));\n", ""),
    ("owner", "core/manage_owner_key.c", "    CC_TRY(manage_check_time(call, &any_time, signature.created));\n", ""),
    ("owner", "core/manage_owner_key.c", "    row->last = n->created;\n", ""),
    ("owner", "core/manage_owner_key.c", "        CC_TRY(manage_run(call, note, &noting));", "        (void)noting;"),
    ("owner", "auth/owner.c", "strcmp(ret_key->keyid, keyid) == 0)", "true)"),
    ("manage", "core/manage_policy.c", "    CC_TRY(manage_owner_shows(call, \"unlatch\\n\"));\n", ""),
    ("manage", "core/manage_policy.c", "    if (is_in_use(state, job->call->ask->name))\n", "    if (false)\n"),
    ("manage", "core/manage_policy.c", "if (!there && count_of(state) >= POLICIES_MAX)", "if (false)"),
    ("manage", "core/manage_token.c", "if (state_find(state, kind, job->token.name))", "if (false)"),
    ("manage", "core/manage_token.c", "token.last_used >= use->last_used", "true"),
    ("keys", "front/keys_work.c", "if (answers[i].outcome != A_KEY_OPENED) {", "if (false) {"),
    ("keys", "front/keys_work.c", "w->picked[place - w->sorted] = true;", "memset(w->picked, 1, w->chosen.count);"),
    ("keys", "front/slashing.c", "if (!s->is_picked[part->key])", "if (false)"),
    ("policy", "auth/policy.c", "if (q->every_key)", "if (false)"),
    ("keeper", "core/keeper.c", "error_is(err, ERROR_CONFLICT) && tries < KEEPER_TRIES", "false"),
    ("keeper", "core/keeper.c", "        CC_TRY(read_again(keeper));\n        err = job->run", "        err = job->run"),
    ("keeper", "core/keeper.c", "    tell_change(keeper);\n    take_lock(keeper);\n    job->result", "    take_lock(keeper);\n    job->result"),
    ("keeper", "core/keeper.c", "while (!job.begun && !keeper->stopping && rc == 0)", "while (!job.begun && rc == 0)"),
]


# What a key store that replicas share rests on: (backend, tests of tests/conformance/test_key_store.c that must fail, file, text,
# replacement).
KEYS = [
    ("postgres", "test_of_two_writers*", "keys/postgres_statement.def", " AND mark = $2::bigint", " AND $2::bigint > 0"),
    ("postgres", "test_T02_a_store_that*", "keys/postgres_statement.def", "store_id = $1::bytea AND", "$1::bytea IS NOT NULL AND"),
    ("postgres", "test_T02_a_store_that*", "keys/postgres_statement.def", " WHERE NOT EXISTS (SELECT 1 FROM containment_keys)", ""),
    ("postgres", "test_a_change_is_made*", "keys/postgres_statement.def", " AND k.version = c.expected", ""),
    ("postgres", "test_a_change_is_made*", "keys/postgres_statement.def", "DO NOTHING RETURNING 1)",
     "DO UPDATE SET version = EXCLUDED.version RETURNING 1)"),
    ("postgres", "test_what_was_stored*", "keys/postgres_statement.def", "pubkey > $1::bytea ORDER BY pubkey", "pubkey > $1::bytea ORDER BY pubkey DESC"),
    ("postgres", "test_a_change_is_made*", "keys/store_postgres.c", "return written == n ?", "return true ?"),
    ("postgres", "test_of_two_writers*", "keys/store_postgres.c", "return PQntuples(moved) == 1 ?", "return true ?"),
    ("postgres", "test_T02_another*", "keys/store_postgres.c", "return span_equal(span_of(chamber, sizeof chamber), span_of(s->chamber, sizeof chamber))",
     "return true"),
    ("postgres", "test_nothing_is_written*", "keys/store_postgres.c", "return store->has_id ? postgres_link_done(&s->link, write_all(s, NULL, 0))\n                         :",
     "return store->has_id ? postgres_link_done(&s->link, write_all(s, NULL, 0)) : true ? CC_OK :"),
    ("postgres", "test_what_was_stored*", "keys/store_postgres.c", "    s->base.mark++;\n    return CC_OK;", "    return CC_OK;"),
    ("dynamodb", "test_of_two_writers*", "keys/store_dynamodb.c", "mark = :m AND store_id", "mark >= :m AND store_id"),
    ("dynamodb", "test_a_change_is_made*", "keys/store_dynamodb.c", "        CC_TRY(compare_all(s, changes, n));", "        (void)compare_all;"),
    ("dynamodb", "test_a_random_life", "keys/store_dynamodb.c", "attribute_not_exists(pk) OR #v < :v", "attribute_not_exists(pk) OR (#v < :v AND #v > :v)"),
    ("dynamodb", "test_a_head_without*", "keys/store_dynamodb.c", "    CC_TRY(apply(s));\n    *next = s->head;", "    *next = s->head;"),
    ("dynamodb", "test_a_head_without*", "keys/store_dynamodb.c", "return *ret_whole ? lay_head_over(s, shards) : CC_OK;",
     "(void)lay_head_over;\n    return CC_OK;"),
    ("dynamodb", "test_what_was_not*", "keys/store_dynamodb.c", "if (err.code && (unsure || !error_is(err, ERROR_CONFLICT)))", "if (false)"),
    ("dynamodb", "test_T27*", "keys/store_dynamodb.c", "return strcmp(head->table_id, s->link.table_id) == 0", "return true"),
    ("dynamodb", "test_T27*", "aws/dynamodb_link.c", "    if (table->unfit)\n        return", "    if (false)\n        return"),
]


def built_libraries():
    """The build's own: a mutant stands before the archive that has the unchanged object, which is then not taken."""
    build = pathlib.Path(os.environ.get("CC_BUILD_DIR", ROOT / "build-dev"))
    archives = [*sorted(build.glob("libcc_*.a")), build / "libblst_objects.a"]
    return ["-Wl,--start-group", *map(str, archives), "-Wl,--end-group", *(f"-l{name}" for name in SYSTEM_LIBRARIES)]


def compile_one(cc, source, into, before=()):
    subprocess.run([cc, *before, *FLAGS, "-c", str(source), "-o", str(into)], check=True, capture_output=True, text=True)


def mutate(path, text, replacement):
    source = path.read_text()
    count = source.count(text)
    if count != 1:
        sys.exit(f"{path.name}: {text!r} stands there {count} times: bring the mutant up to date")
    return source.replace(text, replacement)


STATEMENTS = ROOT / "src/slash/postgres_statement.def"


def statement_with(table, statement, old, new):
    """The table with that one statement changed."""
    start = max(table.find(f"P({statement},"), table.find(f"#define {statement} "))
    end = table.find("\nP(", start) % (len(table) + 1)
    if table[start:end].count(old) != 1:
        sys.exit(f"{statement}: {old!r} stands there {table[start:end].count(old)} times: bring the mutant up to date")
    return table[:start] + table[start:end].replace(old, new) + table[end:]


def has_failed(log):
    """cmocka says so of each test as soon as it has."""
    return b"[  FAILED  ]" in pathlib.Path(log).read_bytes()


class Suite:
    """One test program with the build's libraries; a mutant replaces one of their objects."""

    def __init__(self, cc, work, name, test_source, environment):
        self.cc, self.work, self.name = cc, work, name
        # What a crashed mutant leaves behind goes with the work directory.
        self.environment = {**os.environ, "TMPDIR": str(work), **environment}
        self.test = work / f"{name}-test.o"
        compile_one(cc, ROOT / test_source, self.test)

    def run(self, label, mutated=None, environment=None, timeout=20):
        program = self.work / f"{self.name}-{label}"
        objects = [self.test, *([mutated] if mutated else [])]
        subprocess.run([self.cc, *map(str, objects), "-o", str(program), *LINKER, *built_libraries()], check=True, capture_output=True)
        with open(f"{program}.log", "wb") as log, subprocess.Popen(
                [str(program)], stdout=subprocess.DEVNULL, stderr=log, env={**self.environment, **(environment or {})}) as process:
            # The first test that fails says enough; a mutant may also go on for ever, where the unchanged program takes a second.
            deadline = time.monotonic() + timeout
            while process.poll() is None and time.monotonic() < deadline and not has_failed(log.name):
                time.sleep(0.02)
            process.kill()
        program.unlink()
        return process.returncode == 0 and not has_failed(log.name)

    def killed(self, number, source, text, replacement, environment=None, timeout=20):
        mutant = self.work / f"{self.name}-{number}.c"
        mutant.write_text(mutate(ROOT / "src" / source, text, replacement))
        try:
            compile_one(self.cc, mutant, mutant.with_suffix(".o"))
        except subprocess.CalledProcessError as error:
            sys.exit(f"the mutant {text!r} -> {replacement!r} doesn't compile:\n{error.stderr}")
        return not self.run(str(number), mutant.with_suffix(".o"), environment, timeout)

    def killed_table(self, number, table, text, replacement, environment):
        """A table of statements that one file beside it includes; its mutant lies before it on the include path."""
        folder = self.work / f"{self.name}-{number}-table"
        (folder / table).parent.mkdir(parents=True)
        (folder / table).write_text(mutate(ROOT / "src" / table, text, replacement))
        source = ROOT / "src" / pathlib.Path(table).parent / "store_postgres.c"
        compile_one(self.cc, source, folder / "table.o", ["-I", str(folder)])
        return not self.run(str(number), folder / "table.o", environment, 60)

    def killed_sql(self, number, tests, edits, opening):
        """The statements stand in a table that postgres_statement.c includes; its mutant lies before it on the include path."""
        source = "slash/postgres_statement.c"
        folder = self.work / f"{self.name}-{number}-table"
        (folder / "slash").mkdir(parents=True)
        text = STATEMENTS.read_text()
        for edit in edits:
            text = statement_with(text, *edit)
        (folder / "slash" / STATEMENTS.name).write_text(text)
        compile_one(self.cc, ROOT / "src" / source, folder / "table.o", ["-I", str(folder)])
        if not opening.run(f"{number}-opens", folder / "table.o", {"CC_TESTS": "test_an_empty*"}):
            sys.exit(f"the server does not take the mutant {edits}")
        environment = {} if tests == "store" else {"CC_TESTS": tests}
        return not self.run(str(number), folder / "table.o", environment, 60)


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
            return suite.killed(number, edits[0] if "/" in edits[0] else f"slash/{edits[0]}", *edits[1:], environment, 60)

        for together in (True, False):
            part = [(n, j) for n, j in enumerate(jobs) if (j[0] == "store") == together]
            with concurrent.futures.ThreadPoolExecutor(WORKERS if together else 1) as pool:
                for (_, mutant), dead in zip(part, pool.map(killed, part)):
                    if not dead:
                        survivors += 1
                        print(f"SURVIVED: {mutant}")
    print(f"{len(jobs)} mutants of PostgreSQL, {survivors} survived")
    return 1 if survivors else 0


def run_dynamodb(args, suite):
    """Each with the tests that must fail, and an AWS of its own."""
    if aws.missing():
        print(aws.missing())
        return 77
    jobs = [j for j in DYNAMODB if args.only in str(j)]
    survivors = 0
    if not suite.run("original", environment={"CC_TESTS": "test_T27_a_table_whose*"}, timeout=120):
        sys.exit("dynamodb: the unchanged program fails its tests")

    def killed(job):
        number, (tests, *edit) = job
        return suite.killed(number, *edit, {"CC_TESTS": tests}, 60)

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for mutant, dead in zip(jobs, pool.map(killed, enumerate(jobs))):
            if not dead:
                survivors += 1
                print(f"SURVIVED: {mutant}")
    print(f"{len(jobs)} mutants of DynamoDB, {survivors} survived")
    return 1 if survivors else 0


def run_keys(args, suite):
    """Each with the tests that must fail; those of DynamoDB where there is moto."""
    jobs = [j for j in KEYS if args.only in str(j) and not (j[0] == "dynamodb" and aws.missing())]
    survivors = 0
    with postgres.Postgres() as server:
        suite.environment["CC_POSTGRES_URL"] = server.url()
        tests = {(backend, tests) for backend, tests, *_ in jobs}
        for backend, name in tests:
            if not suite.run("original", environment={"CC_BACKEND": backend, "CC_TESTS": name}, timeout=120):
                sys.exit(f"{backend}: the unchanged program fails {name}")

        def killed(job):
            number, (backend, tests, file, text, replacement) = job
            environment = {"CC_BACKEND": backend, "CC_TESTS": tests}
            if file.endswith(".def"):
                return suite.killed_table(number, file, text, replacement, environment)
            return suite.killed(number, file, text, replacement, environment, 60)

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for mutant, dead in zip(jobs, pool.map(killed, enumerate(jobs))):
                if not dead:
                    survivors += 1
                    print(f"SURVIVED: {mutant}")
    print(f"{len(jobs)} mutants of shared key stores, {survivors} survived")
    return 1 if survivors else 0


def run_access(args, work):
    sources = {"matrix": "unit/auth/test_policy_matrix", "policy": "unit/auth/test_policy", "token": "unit/auth/test_token",
               "cidr": "unit/base/test_cidr", "authority": "unit/core/test_authority", "manager": "unit/auth/test_manager",
               "manage": "unit/core/test_manage", "owner": "unit/core/test_manage_owner_key", "keys": "unit/front/test_keys_work", "keeper": "unit/core/test_keeper"}
    suites = {name: Suite(args.cc, work, name, f"tests/{source}.c", {}) for name, source in sources.items()}
    jobs = [job for job in ACCESS if args.only in job[1] + job[2]]
    for suite in suites.values():
        if not suite.run("original"):
            sys.exit(f"{suite.name}: the unchanged program fails its tests")
    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for job, dead in zip(jobs, pool.map(lambda job: suites[job[1][0]].killed(job[0], *job[1][1:]), enumerate(jobs))):
            if not dead:
                survivors += 1
                print(f"SURVIVED: {job}")
    print(f"{len(jobs)} mutants of access control, {survivors} survived")
    return 1 if survivors else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--only", default="")
    parser.add_argument("--dynamodb", action="store_true", help="the mutants of DynamoDB's history")
    parser.add_argument("--sql", action="store_true", help="the mutants of PostgreSQL's history, on a server of their own")
    parser.add_argument("--access", action="store_true", help="the mutants of policies, tokens and principals")
    parser.add_argument("--keys", action="store_true", help="the mutants of key stores that replicas share")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work_name:
        work = pathlib.Path(work_name)
        if args.access:
            return run_access(args, work)
        if args.keys:
            return run_keys(args, Suite(args.cc, work, "keys", "tests/conformance/test_key_store.c", {"CC_SEED": "1"}))
        if args.dynamodb:
            return run_dynamodb(args, Suite(args.cc, work, "dynamodb", "tests/conformance/test_slash_dynamodb.c", {}))
        if args.sql:
            sql = {"CC_SEED": "1", "CC_ROUNDS": "8", "CC_BACKEND": "postgres"}
            return run_sql(args, work, {
                "store": Suite(args.cc, work, "sql-store", "tests/conformance/test_slash_store.c", sql),
                "other": Suite(args.cc, work, "sql-other", "tests/conformance/test_slash_postgres.c", {"CC_TESTS": "test_T0*"}),
            })
        rules = Suite(args.cc, work, "rules", "tests/unit/slash/test_rules.c", {"CC_SEED": "1"})
        merge = Suite(args.cc, work, "merge", "tests/unit/slash/test_merge.c", {"CC_SEED": "1", "CC_ROUNDS": "300"})
        store = Suite(args.cc, work, "store", "tests/conformance/test_slash_store.c",
                      {"CC_SEED": "1", "CC_ROUNDS": "25", "CC_NO_SYNC": "1", "CC_BACKEND": "sqlite"})
        opening = Suite(args.cc, work, "open", "tests/unit/slash/test_sqlite_open.c", {})
        guard = Suite(args.cc, work, "guard", "tests/unit/slash/test_guard.c", {"CC_SEED": "1"})
        head = Suite(args.cc, work, "head", "tests/unit/slash/test_dynamodb_judge.c", {"CC_SEED": "1"})
        mirror = Suite(args.cc, work, "mirror", "tests/unit/slash/test_mirror.c", {})
        jobs = [(rules, "slash/rules.c", *m) for m in RULES]
        jobs += [(merge, "slash/merge.c", *m) for m in MERGE]
        jobs += [(store, "slash/" + file, text, replacement) for file, text, replacement in STORE]
        jobs += [(opening, "slash/" + file, text, replacement) for file, text, replacement in OPEN]
        jobs += [(guard, "slash/" + file, text, replacement) for file, text, replacement in GUARD]
        jobs += [(mirror, "slash/" + file, text, replacement) for file, text, replacement in MIRROR]
        jobs += [(head, "slash/" + file, text, replacement) for file, text, replacement in JUDGE]
        jobs = [j for j in jobs if args.only in j[1] + j[2]]
        if not os.environ.get("CC_FULL"):  # the short form: those of the rules, and one of eight others
            jobs = [job for n, job in enumerate(jobs) if job[0] is rules or n % 8 == 0]
        for suite in (rules, merge, store, opening, guard, mirror, head):
            if not suite.run("original"):
                sys.exit(f"{suite.name}: the unchanged program fails its tests")
        survivors = 0
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            results = pool.map(lambda job: job[1][0].killed(job[0], *job[1][1:]), enumerate(jobs))
            for (_, source, text, replacement), killed in zip(jobs, results):
                if not killed:
                    survivors += 1
                    print(f"SURVIVED: {source}: {text!r} -> {replacement!r}")
        print(f"{len(jobs)} mutants, {survivors} survived")
        return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
