#include "base/num.h"

#include "slash/sqlite_history.h"

/* Measured: a key costs a page read and written, 25 us; each further record of it 2 us; a page of checkpoint 10 us. So
 * the longer the tail, the cheaper a record: a key then has many in it.
 */
enum {
    FOLD_STEP = 4096,        /* a step when nothing waits: about 15 ms */
    FOLD_STEP_URGENT = 1024, /* one between two batches */
    FOLD_AT = 16384,         /* folding begins when the tail is this long... */
    FOLD_URGENT_AT = 65536,  /* ...and here it waits no longer for a quiet moment */
    WAL_PAGES_AT = 1000,     /* checkpoint when idle */
    WAL_PAGES_MAX = 16384    /* 64 MiB: checkpoint in any case */
};

static uint64_t tail_length(const struct sqlite_history *h)
{
    return h->index.next - h->index.first;
}

CC_ERR sqlite_upkeep_if_urgent(struct sqlite_history *h)
{
    if (tail_length(h) > FOLD_URGENT_AT)
        CC_TRY(sqlite_fold(h, FOLD_STEP_URGENT));
    if (h->db.wal_pages > WAL_PAGES_MAX)
        CC_TRY(sqlite_db_checkpoint(&h->db, false));
    return CC_OK;
}

static bool folding_is_due(const struct sqlite_history *h)
{
    return tail_length(h) >= FOLD_AT || h->index.fold_below;
}

cc_err sqlite_maintain(struct slash_store *store, bool *ret_more)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    cc_err err = CC_OK;
    if (folding_is_due(h))
        err = sqlite_fold(h, FOLD_STEP);
    else if (h->db.wal_pages >= WAL_PAGES_AT)
        err = sqlite_db_checkpoint(&h->db, false);
    *ret_more = !err.code && (folding_is_due(h) || h->db.wal_pages >= WAL_PAGES_AT);
    return sqlite_history_done(h, err);
}

/* --- pruning ---------------------------------------------------------------------------------------- */

enum {
    PRUNE_STEP = 64 /* keys at once */
};

/* What goes raises the watermark too: whatever those records were, nothing may slip in below them. */
static cc_err prune_attestations(struct sqlite_history *h,
                                 struct slash_key *key,
                                 uint64_t keep_epochs,
                                 size_t *ret_removed)
{
    if (!key->has_attestation)
        return CC_OK;
    uint64_t line = slash_prune_line(key->attestation.target, keep_epochs);
    CC_TRY(sqlite_read_attestations(h, key, 0));
    const struct slash_attestation *a = h->records.attestations;
    uint64_t source = key->low.source, target = UINT64_MAX, kept_source = UINT64_MAX;
    size_t old = 0;
    for (size_t i = 0; i < h->records.attestation_count; i++) {
        if (a[i].target < line) {
            source = u64_max(source, a[i].source);
            old++;
        } else {
            target = u64_min(target, a[i].target);
            kept_source = u64_min(kept_source, a[i].source);
        }
    }
    if (old == 0)
        return CC_OK;
    key->low.source = u64_max(source, kept_source);
    key->low.target = u64_max(key->low.target, target);
    *ret_removed = old;
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_CUT_ATTESTATIONS, &s));
    sqlite_bind_row(s, 1, key->row);
    sqlite_bind_u64(s, 2, line);
    return sqlite_db_run(s);
}

static cc_err prune_blocks(struct sqlite_history *h,
                           struct slash_key *key,
                           uint64_t keep_slots,
                           size_t *ret_removed)
{
    if (!key->has_block)
        return CC_OK;
    uint64_t line = slash_prune_line(key->block.slot, keep_slots);
    CC_TRY(sqlite_read_blocks(h, key, 0, UINT64_MAX));
    uint64_t kept = UINT64_MAX;
    size_t old = 0;
    for (size_t i = 0; i < h->records.block_count; i++) {
        if (h->records.blocks[i].slot < line)
            old++;
        else
            kept = u64_min(kept, h->records.blocks[i].slot);
    }
    if (old == 0)
        return CC_OK;
    key->low.slot = u64_max(key->low.slot, kept);
    *ret_removed = old;
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_CUT_BLOCKS, &s));
    sqlite_bind_row(s, 1, key->row);
    sqlite_bind_u64(s, 2, line);
    return sqlite_db_run(s);
}

static cc_err prune_keys(struct sqlite_history *h,
                         size_t end,
                         uint64_t keep_epochs,
                         uint64_t keep_slots,
                         uint64_t *ret_removed)
{
    for (size_t i = h->prune_at; i < end; i++) {
        struct slash_key *key = &h->index.keys[i];
        size_t attestations = 0, blocks = 0;
        CC_TRY(prune_attestations(h, key, keep_epochs, &attestations));
        CC_TRY(prune_blocks(h, key, keep_slots, &blocks));
        if (attestations + blocks)
            CC_TRY(sqlite_write_low(h, key));
        *ret_removed += attestations + blocks;
    }
    return CC_OK;
}

cc_err sqlite_prune(struct slash_store *store,
                    uint64_t keep_epochs,
                    uint64_t slots_per_epoch,
                    struct slash_prune_step *ret_step)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    *ret_step = (struct slash_prune_step){.more = true};
    /* Only the tables are pruned, so the pass starts with an empty tail. */
    if (h->prune_at == 0 && tail_length(h) > 0)
        return sqlite_history_done(h, sqlite_fold(h, FOLD_STEP));
    size_t end = (size_t)u64_min(h->prune_at + PRUNE_STEP, h->index.count);
    uint64_t keep_slots = slash_keep_slots(keep_epochs, slots_per_epoch), removed = 0;
    cc_err err = sqlite_db_begin(&h->db);
    if (!err.code)
        err = sqlite_db_end(&h->db, prune_keys(h, end, keep_epochs, keep_slots, &removed));
    if (err.code)
        return sqlite_history_done(h, err);
    *ret_step = (struct slash_prune_step){end < h->index.count, removed};
    h->prune_at = ret_step->more ? end : 0;
    return CC_OK;
}
