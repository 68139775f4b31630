#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "slash/postgres_history.h"

/* A merge is one transaction of three round trips, for one validator or for many: the rows and their locks; what is there;
 * what becomes of it (slash/merge.h decides, as for every backend).
 */
/* For keys that another client holds: a running signer merges too, and must not stand still. */
#define LOCK_PATIENCE_MS "1000"

struct merging {
    struct postgres_history *h;
    const struct slash_validator *validators;
    size_t n;
    struct postgres_page page;
    struct merged_row *rows; /* one for each validator, as the page has them */
};

struct merged_row {
    uint64_t id;
    const char *id_text; /* the page's */
    const struct slash_validator *add;
    struct postgres_records records;
    struct slash_validator have; /* borrows `records` */
    struct slash_merged merged;
};

static void merging_release(struct merging *m)
{
    for (size_t i = 0; m->rows && i < m->n; i++) {
        postgres_records_release(&m->rows[i].records);
        slash_merged_release(&m->rows[i].merged);
    }
    cc_free(m->rows);
    postgres_page_release(&m->page);
}

static cc_err lock_rows(struct merging *m)
{
    struct postgres_db *db = &m->h->db;
    struct buf *a = m->h->arrays;
    struct postgres_params keys = {0}, briefly = {0};
    CC_TRY(postgres_bytes_begin(&a[0]));
    postgres_numbers_begin(&a[1]);
    for (size_t i = 0; i < m->n; i++) {
        const struct slash_validator *v = &m->validators[i];
        CC_TRY(postgres_bytes_add(&a[0], v->pubkey.bytes, sizeof v->pubkey.bytes));
        CC_TRY(postgres_numbers_add(&a[1], v->enabled));
    }
    CC_TRY(postgres_bytes_put(&a[0], &keys));
    struct postgres_params new_rows = keys;
    CC_TRY(postgres_numbers_put(&a[1], &new_rows));
    postgres_put_text(&briefly, LOCK_PATIENCE_MS);
    CC_TRY(postgres_begin(m->h));
    CC_TRY(postgres_db_send(db, POSTGRES_WAIT_BRIEFLY, &briefly));
    CC_TRY(postgres_db_send(db, POSTGRES_MERGE_ADD, &new_rows));
    CC_TRY(postgres_db_send(db, POSTGRES_MERGE_LOCK, &keys));
    CC_TRY(postgres_db_send(db, POSTGRES_MERGE_ROWS, &keys));
    CC_TRY(postgres_db_sync(db));
    CC_TRY(postgres_begun(m->h));
    for (int i = 0; i < 3; i++)
        CC_TRY(postgres_db_pass(db));
    CC_TRY(postgres_db_take(db, &m->page.validators));
    CC_TRY(postgres_db_synced(db));
    if (PQntuples(m->page.validators) != (int)m->n)
        return CC_FAIL(STORE, "a validator's row is gone");
    return postgres_page_records(m->h, &m->page);
}

static const struct slash_validator *wanted(const struct merging *m, const struct eth_pubkey *key)
{
    for (size_t i = 0; i < m->n; i++)
        if (memcmp(m->validators[i].pubkey.bytes, key->bytes, sizeof key->bytes) == 0)
            return &m->validators[i];
    return NULL;
}

static cc_err merge_rows(struct merging *m)
{
    m->rows = cc_alloc_array(m->n, sizeof *m->rows);
    if (!m->rows)
        return CC_FAIL(NO_MEMORY, "merge");
    for (size_t i = 0; i < m->n; i++) {
        struct merged_row *row = &m->rows[i];
        row->id_text = PQgetvalue(m->page.validators, (int)i, 0);
        CC_TRY(postgres_column_u64(m->page.validators, (int)i, 0, &row->id));
        CC_TRY(postgres_page_validator(m->h, &m->page, (int)i, &row->records, &row->have));
        row->add = wanted(m, &row->have.pubkey);
        if (!row->add)
            return CC_FAIL(STORE, "a validator that was not asked for");
        CC_TRY(slash_merge_records(&row->have, row->add, &row->merged));
    }
    return CC_OK;
}

/* Records are removed only where the union contradicts itself: else no DELETE, for which a role may lack the right. */
static cc_err send_drops(struct merging *m, const struct merged_row *row, int *statements)
{
    struct buf *slots = &m->h->arrays[0], *targets = &m->h->arrays[1];
    struct postgres_params blocks = {0}, votes = {0};
    postgres_numbers_begin(slots);
    postgres_numbers_begin(targets);
    for (size_t i = 0; i < row->merged.block_count; i++)
        CC_TRY(postgres_numbers_add(slots, row->merged.blocks[i].slot));
    for (size_t i = 0; i < row->merged.attestation_count; i++)
        CC_TRY(postgres_numbers_add(targets, row->merged.attestations[i].target));
    postgres_put_text(&blocks, row->id_text);
    postgres_put_text(&votes, row->id_text);
    CC_TRY(postgres_numbers_put(slots, &blocks));
    CC_TRY(postgres_numbers_put(targets, &votes));
    CC_TRY(postgres_db_send(&m->h->db, POSTGRES_DROP_BLOCKS, &blocks));
    CC_TRY(postgres_db_send(&m->h->db, POSTGRES_DROP_VOTES, &votes));
    *statements += 2;
    return CC_OK;
}

/* Both lists are sorted, and what the history has is in the merged one or goes: the others are new. */
static cc_err add_new_blocks(const struct merged_row *row, struct buf *a)
{
    const struct slash_validator *have = &row->have;
    size_t old = 0;
    for (size_t i = 0; i < row->merged.block_count; i++) {
        const struct slash_block *b = &row->merged.blocks[i];
        while (old < have->block_count && have->blocks[old].slot < b->slot)
            old++;
        if (old < have->block_count && have->blocks[old].slot == b->slot)
            continue;
        CC_TRY(postgres_numbers_add(&a[0], row->id));
        CC_TRY(postgres_numbers_add(&a[1], b->slot));
        CC_TRY(postgres_bytes_add(&a[2], b->has_root ? b->root.bytes : NULL, sizeof b->root.bytes));
    }
    return CC_OK;
}

static cc_err add_new_votes(const struct merged_row *row, struct buf *a)
{
    const struct slash_validator *have = &row->have;
    size_t old = 0;
    for (size_t i = 0; i < row->merged.attestation_count; i++) {
        const struct slash_attestation *v = &row->merged.attestations[i];
        while (old < have->attestation_count && have->attestations[old].target < v->target)
            old++;
        if (old < have->attestation_count && have->attestations[old].target == v->target)
            continue;
        CC_TRY(postgres_numbers_add(&a[0], row->id));
        CC_TRY(postgres_numbers_add(&a[1], v->source));
        CC_TRY(postgres_numbers_add(&a[2], v->target));
        CC_TRY(postgres_bytes_add(&a[3], v->has_root ? v->root.bytes : NULL, sizeof v->root.bytes));
    }
    return CC_OK;
}

static cc_err send_blocks(struct merging *m)
{
    struct buf *a = m->h->arrays;
    struct postgres_params params = {0};
    postgres_numbers_begin(&a[0]);
    postgres_numbers_begin(&a[1]);
    CC_TRY(postgres_bytes_begin(&a[2]));
    for (size_t i = 0; i < m->n; i++)
        CC_TRY(add_new_blocks(&m->rows[i], a));
    CC_TRY(postgres_numbers_put(&a[0], &params));
    CC_TRY(postgres_numbers_put(&a[1], &params));
    CC_TRY(postgres_bytes_put(&a[2], &params));
    return postgres_db_send(&m->h->db, POSTGRES_PUT_BLOCKS, &params);
}

static cc_err send_votes(struct merging *m)
{
    struct buf *a = m->h->arrays;
    struct postgres_params params = {0};
    for (size_t i = 0; i < 3; i++)
        postgres_numbers_begin(&a[i]);
    CC_TRY(postgres_bytes_begin(&a[3]));
    for (size_t i = 0; i < m->n; i++)
        CC_TRY(add_new_votes(&m->rows[i], a));
    for (size_t i = 0; i < 3; i++)
        CC_TRY(postgres_numbers_put(&a[i], &params));
    CC_TRY(postgres_bytes_put(&a[3], &params));
    return postgres_db_send(&m->h->db, POSTGRES_PUT_VOTES, &params);
}

void postgres_put_low(struct postgres_params *params,
                      const struct slash_watermark *low,
                      struct postgres_low *ret_low)
{
    (void)snprintf(ret_low->slot, sizeof ret_low->slot, "%llu", (unsigned long long)low->slot);
    (void)snprintf(ret_low->source, sizeof ret_low->source, "%llu",
                   (unsigned long long)low->source);
    (void)snprintf(ret_low->target, sizeof ret_low->target, "%llu",
                   (unsigned long long)low->target);
    postgres_put_text(params, low->has_slot ? ret_low->slot : NULL);
    postgres_put_text(params, low->has_epochs ? ret_low->source : NULL);
    postgres_put_text(params, low->has_epochs ? ret_low->target : NULL);
}

static cc_err send_lows(struct merging *m)
{
    struct buf *a = m->h->arrays;
    struct postgres_params params = {0};
    for (size_t i = 0; i < 6; i++)
        postgres_numbers_begin(&a[i]);
    for (size_t i = 0; i < m->n; i++) {
        const struct slash_watermark *low = &m->rows[i].merged.low;
        const uint64_t columns[] = {m->rows[i].id,
                                    low->has_slot,
                                    low->has_slot ? low->slot : 0,
                                    low->has_epochs,
                                    low->has_epochs ? low->source : 0,
                                    low->has_epochs ? low->target : 0};
        for (size_t column = 0; column < 6; column++)
            CC_TRY(postgres_numbers_add(&a[column], columns[column]));
    }
    for (size_t i = 0; i < 6; i++)
        CC_TRY(postgres_numbers_put(&a[i], &params));
    return postgres_db_send(&m->h->db, POSTGRES_SET_LOW, &params);
}

static cc_err write_merged(struct merging *m)
{
    int statements = 3;
    for (size_t i = 0; i < m->n; i++)
        if (m->rows[i].merged.contradictory)
            CC_TRY(send_drops(m, &m->rows[i], &statements));
    CC_TRY(send_blocks(m));
    CC_TRY(send_votes(m));
    CC_TRY(send_lows(m));
    CC_TRY(postgres_end_sent(m->h));
    for (int i = 0; i < statements; i++)
        CC_TRY(postgres_db_pass(&m->h->db));
    return postgres_ended(m->h);
}

/* In one transaction. */
static cc_err merge(struct postgres_history *h,
                    const struct slash_validator *validators,
                    size_t n,
                    struct slash_import_report *reports)
{
    CC_CLEANUP(merging_release)
    struct merging m = {.h = h, .validators = validators, .n = n};
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    cc_err err = lock_rows(&m);
    if (!err.code)
        err = merge_rows(&m);
    if (!err.code)
        err = write_merged(&m);
    for (size_t i = 0; i < n && !err.code; i++)
        slash_report_add(&reports[m.rows[i].add - validators], &m.rows[i].merged);
    return postgres_history_done(h, err);
}

/* Two locks for each validator, out of a table that is for all the server's clients. */
cc_err postgres_merge_many(struct slash_store *store,
                           const struct slash_validator *validators,
                           size_t n,
                           struct slash_import_report *reports)
{
    struct postgres_history *h = postgres_history_of(store);
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    size_t most = (size_t)u64_max(1, h->claims_max / 2);
    for (size_t at = 0; at < n; at += most)
        CC_TRY(merge(h, validators + at, (size_t)u64_min(most, n - at), reports + at));
    return CC_OK;
}

cc_err postgres_merge(struct slash_store *store,
                      const struct slash_validator *validator,
                      struct slash_import_report *report)
{
    struct slash_import_report one = {0};
    CC_TRY(merge(postgres_history_of(store), validator, 1, &one));
    slash_import_report_add(report, &one);
    return CC_OK;
}
