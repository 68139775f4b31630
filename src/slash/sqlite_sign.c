#include "slash/sqlite_history.h"

/* The newest record, when there is one, is all that the usual claim needs; any other claim reads the range in
 * which a conflict can lie. For an attestation that starts at its own source: a record with an earlier target
 * has another target, can't surround it, and can't be surrounded by it, since no kept record has a source
 * later than its own target.
 */
static cc_err judge_attestation(struct sqlite_history *h,
                                struct slash_key *key,
                                const struct slash_claim *claim,
                                struct slash_verdict *ret_verdict)
{
    const struct slash_attestation a = slash_claim_attestation(claim);
    const struct slash_attestation *records = &key->attestation;
    size_t n = key->has_attestation;
    if (!slash_key_covers_attestation(key, a.target)) {
        CC_TRY(sqlite_read_attestations(h, key, a.source < a.target ? a.source : a.target));
        records = h->records.attestations;
        n = h->records.attestation_count;
    }
    *ret_verdict = slash_judge_attestation(&a, &key->low, records, n);
    if (ret_verdict->rule == SLASH_SAFE)
        slash_index_append_attestation(&h->index, key, &a);
    return CC_OK;
}

static cc_err judge_block(struct sqlite_history *h,
                          struct slash_key *key,
                          const struct slash_claim *claim,
                          struct slash_verdict *ret_verdict)
{
    const struct slash_block block = slash_claim_block(claim);
    const struct slash_block *records = &key->block;
    size_t n = key->has_block;
    if (!slash_key_covers_block(key, block.slot)) {
        CC_TRY(sqlite_read_blocks(h, key, block.slot, block.slot));
        records = h->records.blocks;
        n = h->records.block_count;
    }
    *ret_verdict = slash_judge_block(&block, &key->low, records, n);
    if (ret_verdict->rule == SLASH_SAFE)
        slash_index_append_block(&h->index, key, &block);
    return CC_OK;
}

static cc_err judge(struct sqlite_history *h,
                    struct slash_key *key,
                    const struct slash_claim *claim,
                    struct slash_verdict *ret_verdict)
{
    ret_verdict->rule = slash_gate(key->enabled, &h->high, claim);
    if (ret_verdict->rule != SLASH_SAFE)
        return CC_OK;
    return claim->kind == SLASH_CLAIM_BLOCK ? judge_block(h, key, claim, ret_verdict)
                                            : judge_attestation(h, key, claim, ret_verdict);
}

static cc_err append_row(struct sqlite_history *h, uint64_t number)
{
    const struct slash_tail_record *r = slash_index_tail(&h->index, number);
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_APPEND, &s));
    sqlite_bind_row(s, 1, (int64_t)number);
    sqlite_bind_row(s, 2, r->row);
    if (r->kind == SLASH_CLAIM_BLOCK) {
        sqlite_bind_u64(s, 3, r->block.slot);
        sqlite_bind_root(s, 6, r->block.has_root, &r->block.root);
    } else {
        sqlite_bind_u64(s, 4, r->attestation.source);
        sqlite_bind_u64(s, 5, r->attestation.target);
        sqlite_bind_root(s, 6, r->attestation.has_root, &r->attestation.root);
    }
    return sqlite_db_run(s);
}

/* The rows of keys whose first record this batch holds, and with it their low watermark. */
struct new_lows {
    size_t count;
    size_t keys[SLASH_BATCH_MAX]; /* positions in the index */
};

static cc_err write_batch(struct sqlite_history *h, uint64_t from, const struct new_lows *lows)
{
    CC_TRY(sqlite_db_begin(&h->db));
    cc_err err = CC_OK;
    for (uint64_t number = from; number < h->index.next && !err.code; number++)
        err = append_row(h, number);
    for (size_t i = 0; i < lows->count && !err.code; i++)
        err = sqlite_write_low(h, &h->index.keys[lows->keys[i]]);
    return sqlite_db_end(&h->db, err);
}

static cc_err judge_batch(struct sqlite_history *h,
                          const struct slash_claim *claims,
                          size_t n,
                          struct slash_verdict *ret_verdicts,
                          struct new_lows *lows)
{
    CC_TRY(slash_index_reserve(&h->index, n));
    for (size_t i = 0; i < n; i++) {
        struct slash_key *key = slash_index_find(&h->index, &claims[i].pubkey);
        if (!key) {
            ret_verdicts[i] = (struct slash_verdict){.rule = SLASH_UNREGISTERED};
            continue;
        }
        const struct slash_watermark low = key->low;
        CC_TRY(judge(h, key, &claims[i], &ret_verdicts[i]));
        if (low.has_slot != key->low.has_slot || low.has_epochs != key->low.has_epochs)
            lows->keys[lows->count++] = (size_t)(key - h->index.keys);
    }
    return CC_OK;
}

cc_err sqlite_check_and_record(struct slash_store *store,
                               const struct slash_claim *claims,
                               size_t n,
                               struct slash_verdict *ret_verdicts)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    uint64_t from = h->index.next;
    struct new_lows lows = {0};
    cc_err err = judge_batch(h, claims, n, ret_verdicts, &lows);
    /* A batch of repeats writes nothing: whatever the index holds was committed before. */
    if (!err.code && h->index.next != from)
        err = write_batch(h, from, &lows);
    if (err.code)
        return sqlite_history_done(h, err);
    CC_TRY(sqlite_files_in_place(h));
    /* The batch is durable. If upkeep fails now, the next call finds out. */
    (void)sqlite_history_done(h, sqlite_upkeep_if_urgent(h));
    return CC_OK;
}
