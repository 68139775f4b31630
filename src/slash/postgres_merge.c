#include <stdio.h>

#include "slash/postgres_history.h"

/* A merge is one transaction of three round trips: the row and its locks; what is there; what becomes of it
 * (slash/merge.h decides, as for every backend).
 */
struct merging {
    struct postgres_history *h;
    char id[16];
    struct slash_validator have;
    struct postgres_records records;
    struct slash_merged merged;
};

static void merging_release(struct merging *m)
{
    postgres_records_release(&m->records);
    slash_merged_release(&m->merged);
}

static cc_err lock_row(struct merging *m, const struct slash_validator *add)
{
    CC_CLEANUP(postgres_clearp) PGresult *row = NULL;
    struct postgres_db *db = &m->h->db;
    struct postgres_params key = {0};
    postgres_put_bytes(&key, add->pubkey.bytes, sizeof add->pubkey.bytes);
    struct postgres_params new_row = key;
    postgres_put_text(&new_row, add->enabled ? "true" : "false");
    CC_TRY(postgres_begin(m->h));
    CC_TRY(postgres_db_send(db, POSTGRES_ADD, &new_row));
    CC_TRY(postgres_db_send(db, POSTGRES_LOCK_BOTH, &key));
    CC_TRY(postgres_db_send(db, POSTGRES_ONE, &key));
    CC_TRY(postgres_db_sync(db));
    CC_TRY(postgres_begun(m->h));
    CC_TRY(postgres_db_pass(db));
    CC_TRY(postgres_db_pass(db));
    CC_TRY(postgres_db_take(db, &row));
    CC_TRY(postgres_db_synced(db));
    if (PQntuples(row) != 1)
        return CC_FAIL(STORE, "the validator's row is gone");
    (void)snprintf(m->id, sizeof m->id, "%s", PQgetvalue(row, 0, 0));
    return postgres_row_validator(row, 0, &m->have);
}

static cc_err read_records(struct merging *m)
{
    CC_CLEANUP(postgres_clearp) PGresult *blocks = NULL;
    CC_CLEANUP(postgres_clearp) PGresult *votes = NULL;
    struct postgres_params ids = {0};
    char list[24];
    int from = 0;
    (void)snprintf(list, sizeof list, "{%s}", m->id);
    postgres_put_text(&ids, list);
    CC_TRY(postgres_fetch(m->h, POSTGRES_BLOCKS, &ids, &blocks));
    CC_TRY(postgres_fetch(m->h, POSTGRES_VOTES, &ids, &votes));
    CC_TRY(postgres_rows_blocks(blocks, &from, m->id, &m->records));
    from = 0;
    CC_TRY(postgres_rows_votes(votes, &from, m->id, &m->records));
    m->have.blocks = m->records.blocks;
    m->have.block_count = m->records.block_count;
    m->have.attestations = m->records.attestations;
    m->have.attestation_count = m->records.attestation_count;
    return CC_OK;
}

static cc_err send_blocks(struct merging *m)
{
    const struct slash_merged *merged = &m->merged;
    struct buf *a = m->h->arrays;
    postgres_numbers_begin(&a[0]);
    CC_TRY(postgres_bytes_begin(&a[1]));
    for (size_t i = 0; i < merged->block_count; i++) {
        const struct slash_block *b = &merged->blocks[i];
        CC_TRY(postgres_numbers_add(&a[0], b->slot));
        CC_TRY(postgres_bytes_add(&a[1], b->has_root ? b->root.bytes : NULL, sizeof b->root.bytes));
    }
    struct postgres_params params = {0};
    postgres_put_text(&params, m->id);
    CC_TRY(postgres_numbers_put(&a[0], &params));
    if (merged->contradictory)
        CC_TRY(postgres_db_send(&m->h->db, POSTGRES_DROP_BLOCKS, &params));
    CC_TRY(postgres_bytes_put(&a[1], &params));
    return postgres_db_send(&m->h->db, POSTGRES_PUT_BLOCKS, &params);
}

static cc_err send_votes(struct merging *m)
{
    const struct slash_merged *merged = &m->merged;
    struct buf *a = m->h->arrays;
    postgres_numbers_begin(&a[0]);
    postgres_numbers_begin(&a[1]);
    CC_TRY(postgres_bytes_begin(&a[2]));
    for (size_t i = 0; i < merged->attestation_count; i++) {
        const struct slash_attestation *v = &merged->attestations[i];
        CC_TRY(postgres_numbers_add(&a[0], v->source));
        CC_TRY(postgres_numbers_add(&a[1], v->target));
        CC_TRY(postgres_bytes_add(&a[2], v->has_root ? v->root.bytes : NULL, sizeof v->root.bytes));
    }
    struct postgres_params put = {0};
    struct postgres_params drop = {0};
    postgres_put_text(&put, m->id);
    postgres_put_text(&drop, m->id);
    CC_TRY(postgres_numbers_put(&a[0], &put));
    CC_TRY(postgres_numbers_put(&a[1], &put));
    CC_TRY(postgres_bytes_put(&a[2], &put));
    postgres_put_text(&drop, put.values[2]);
    if (merged->contradictory)
        CC_TRY(postgres_db_send(&m->h->db, POSTGRES_DROP_VOTES, &drop));
    return postgres_db_send(&m->h->db, POSTGRES_PUT_VOTES, &put);
}

static cc_err send_low(struct merging *m)
{
    const struct slash_watermark *low = &m->merged.low;
    char slot[24], source[24], target[24];
    struct postgres_params params = {0};
    (void)snprintf(slot, sizeof slot, "%llu", (unsigned long long)low->slot);
    (void)snprintf(source, sizeof source, "%llu", (unsigned long long)low->source);
    (void)snprintf(target, sizeof target, "%llu", (unsigned long long)low->target);
    postgres_put_text(&params, m->id);
    postgres_put_text(&params, low->has_slot ? slot : NULL);
    postgres_put_text(&params, low->has_epochs ? source : NULL);
    postgres_put_text(&params, low->has_epochs ? target : NULL);
    return postgres_db_send(&m->h->db, POSTGRES_SET_LOW, &params);
}

static cc_err write_merged(struct merging *m)
{
    /* Records are removed only where the union contradicts itself: else no DELETE, for which a role may lack the right. */
    int statements = m->merged.contradictory ? 5 : 3;
    CC_TRY(send_blocks(m));
    CC_TRY(send_votes(m));
    CC_TRY(send_low(m));
    CC_TRY(postgres_end_sent(m->h));
    for (int i = 0; i < statements; i++)
        CC_TRY(postgres_db_pass(&m->h->db));
    return postgres_ended(m->h);
}

cc_err postgres_merge(struct slash_store *store,
                      const struct slash_validator *validator,
                      struct slash_import_report *report)
{
    CC_CLEANUP(merging_release) struct merging m = {.h = postgres_history_of(store)};
    CC_TRY(postgres_history_ready(m.h, POSTGRES_WORK_PATIENCE_MS));
    cc_err err = lock_row(&m, validator);
    if (!err.code)
        err = read_records(&m);
    if (!err.code)
        err = slash_merge_records(&m.have, validator, &m.merged);
    if (!err.code)
        err = write_merged(&m);
    if (!err.code)
        slash_report_add(report, &m.merged);
    return postgres_history_done(m.h, err);
}
