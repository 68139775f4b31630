#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "slash/sqlite_history.h"

static cc_err write_block(struct sqlite_history *h,
                          enum sqlite_statement how,
                          int64_t row,
                          const struct slash_block *b)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, how, &s));
    sqlite_bind_row(s, 1, row);
    sqlite_bind_u64(s, 2, b->slot);
    sqlite_bind_root(s, 3, b->has_root, &b->root);
    return sqlite_db_run(s);
}

static cc_err write_attestation(struct sqlite_history *h,
                                enum sqlite_statement how,
                                int64_t row,
                                const struct slash_attestation *a)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, how, &s));
    sqlite_bind_row(s, 1, row);
    sqlite_bind_u64(s, 2, a->source);
    sqlite_bind_u64(s, 3, a->target);
    sqlite_bind_root(s, 4, a->has_root, &a->root);
    return sqlite_db_run(s);
}

CC_ERR sqlite_add_block(struct sqlite_history *h, int64_t row, const struct slash_block *block)
{
    return write_block(h, STATEMENT_ADD_BLOCK, row, block);
}

CC_ERR sqlite_add_attestation(struct sqlite_history *h,
                              int64_t row,
                              const struct slash_attestation *attestation)
{
    return write_attestation(h, STATEMENT_ADD_ATTESTATION, row, attestation);
}

static cc_err drop(struct sqlite_history *h, int64_t row, enum sqlite_statement which)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, which, &s));
    sqlite_bind_row(s, 1, row);
    return sqlite_db_run(s);
}

/* Writes what the merge added. Both lists are sorted; without a contradiction no own record has changed, with one
 * some are gone, so all are written anew.
 */
static cc_err write_blocks(struct sqlite_history *h,
                           int64_t row,
                           const struct slash_validator *have,
                           const struct slash_merged *merged)
{
    size_t old = 0;
    if (merged->contradictory)
        CC_TRY(drop(h, row, STATEMENT_DROP_BLOCKS));
    for (size_t i = 0; i < merged->block_count; i++) {
        const struct slash_block *b = &merged->blocks[i];
        while (old < have->block_count && have->blocks[old].slot < b->slot)
            old++;
        bool same =
            !merged->contradictory && old < have->block_count && have->blocks[old].slot == b->slot;
        if (!same)
            CC_TRY(write_block(h, STATEMENT_PUT_BLOCK, row, b));
    }
    return CC_OK;
}

static cc_err write_attestations(struct sqlite_history *h,
                                 int64_t row,
                                 const struct slash_validator *have,
                                 const struct slash_merged *merged)
{
    size_t old = 0;
    if (merged->contradictory)
        CC_TRY(drop(h, row, STATEMENT_DROP_ATTESTATIONS));
    for (size_t i = 0; i < merged->attestation_count; i++) {
        const struct slash_attestation *a = &merged->attestations[i];
        while (old < have->attestation_count && have->attestations[old].target < a->target)
            old++;
        bool same = !merged->contradictory && old < have->attestation_count &&
                    have->attestations[old].target == a->target;
        if (!same)
            CC_TRY(write_attestation(h, STATEMENT_PUT_ATTESTATION, row, a));
    }
    return CC_OK;
}

static cc_err write_merged(struct sqlite_history *h,
                           const struct slash_validator *add,
                           const struct slash_validator *have,
                           const struct slash_merged *merged)
{
    struct slash_key *key = slash_index_find(&h->index, &add->pubkey);
    if (!key)
        CC_TRY(sqlite_add_key(h, &add->pubkey, add->enabled, &key));
    CC_TRY(write_blocks(h, key->row, have, merged));
    CC_TRY(write_attestations(h, key->row, have, merged));
    key->low = merged->low;
    CC_TRY(sqlite_write_low(h, key));
    key->has_block = key->has_attestation = false;
    return sqlite_load_newest(h, key);
}

/* Inside a transaction. */
static cc_err merge(struct sqlite_history *h,
                    const struct slash_validator *add,
                    struct slash_import_report *report)
{
    struct slash_validator have = {.pubkey = add->pubkey};
    const struct slash_key *key = slash_index_find(&h->index, &add->pubkey);
    if (key)
        CC_TRY(sqlite_read_validator(h, key, &have));
    CC_CLEANUP(slash_merged_release) struct slash_merged merged = {0};
    CC_TRY(slash_merge_records(&have, add, &merged));
    CC_TRY(write_merged(h, add, &have, &merged));
    slash_report_add(report, &merged);
    return CC_OK;
}

static cc_err merge_all(struct sqlite_history *h,
                        const struct slash_validator *validators,
                        size_t n,
                        struct slash_import_report *reports)
{
    for (size_t i = 0; i < n; i++)
        CC_TRY(merge(h, &validators[i], &reports[i]));
    return CC_OK;
}

/* All or none. */
cc_err sqlite_merge_many(struct slash_store *store,
                         const struct slash_validator *validators,
                         size_t n,
                         struct slash_import_report *reports)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    /* Only the tables can be rewritten. Imports come in long runs: the tail is empty after the first. */
    cc_err err = sqlite_fold_all(h);
    if (!err.code)
        err = sqlite_db_begin(&h->db);
    if (!err.code)
        err = sqlite_db_end(&h->db, merge_all(h, validators, n, reports));
    if (err.code)
        memset(reports, 0, n * sizeof *reports);
    return sqlite_history_done(h, err);
}

cc_err sqlite_merge(struct slash_store *store,
                    const struct slash_validator *validator,
                    struct slash_import_report *report)
{
    struct slash_import_report one = {0};
    CC_TRY(sqlite_merge_many(store, validator, 1, &one));
    slash_import_report_add(report, &one);
    return CC_OK;
}

static int key_order(const void *a, const void *b)
{
    const struct slash_key *const *x = a, *const *y = b;
    return memcmp((*x)->pubkey.bytes, (*y)->pubkey.bytes, sizeof(*x)->pubkey.bytes);
}

static cc_err visit_key(struct sqlite_history *h,
                        const struct slash_key *key,
                        slash_visit_fn *visit,
                        void *context)
{
    struct slash_validator validator;
    cc_err err = sqlite_read_validator(h, key, &validator);
    if (err.code)
        return sqlite_history_done(h, err);
    return visit(context, &validator);
}

cc_err sqlite_visit(struct slash_store *store,
                    const struct eth_pubkey *only,
                    slash_visit_fn *visit,
                    void *context)
{
    struct sqlite_history *h = sqlite_history_of(store);
    CC_TRY(sqlite_history_ready(h));
    if (only) {
        const struct slash_key *key = slash_index_find(&h->index, only);
        return key ? visit_key(h, key, visit, context) : CC_OK;
    }
    CC_CLEANUP(cc_freep)
    const struct slash_key **sorted = cc_alloc_array(h->index.count, sizeof(struct slash_key *));
    if (!sorted)
        return CC_FAIL(NO_MEMORY, "visit");
    for (size_t i = 0; i < h->index.count; i++)
        sorted[i] = &h->index.keys[i];
    qsort(sorted, h->index.count, sizeof(struct slash_key *), key_order);
    for (size_t i = 0; i < h->index.count; i++)
        CC_TRY(visit_key(h, sorted[i], visit, context));
    return CC_OK;
}

/* By the table's own index: keys in memory are in order of row. */
static cc_err keys_after(struct sqlite_history *h,
                         const struct eth_pubkey *after,
                         size_t max,
                         struct eth_pubkey *ret_keys,
                         size_t *ret_count)
{
    sqlite3_stmt *s;
    bool row = false;
    *ret_count = 0;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_KEYS_AFTER, &s));
    sqlite_bind_bytes(s, 1, after ? after->bytes : (const uint8_t *)"",
                      after ? sizeof after->bytes : 0);
    sqlite_bind_row(s, 2, (int64_t)max);
    for (;;) {
        CC_TRY(sqlite_db_row(s, &row));
        if (!row)
            return CC_OK;
        if (sqlite3_column_bytes(s, 0) != (int)sizeof ret_keys->bytes || *ret_count == max)
            return CC_FAIL(TAMPERED, "a public key's size");
        memcpy(ret_keys[(*ret_count)++].bytes, sqlite3_column_blob(s, 0), sizeof ret_keys->bytes);
    }
}

cc_err sqlite_visit_after(struct slash_store *store,
                          const struct eth_pubkey *after,
                          size_t max,
                          slash_visit_fn *visit,
                          void *context)
{
    struct sqlite_history *h = sqlite_history_of(store);
    struct eth_pubkey keys[SLASH_MERGE_MAX];
    size_t count = 0;
    CC_TRY(sqlite_history_ready(h));
    cc_err err = keys_after(h, after, max, keys, &count);
    if (err.code)
        return sqlite_history_done(h, err);
    for (size_t i = 0; i < count; i++) {
        const struct slash_key *key = slash_index_find(&h->index, &keys[i]);
        if (!key)
            return sqlite_history_done(h, CC_FAIL(TAMPERED, "a validator that was not there"));
        CC_TRY(visit_key(h, key, visit, context));
    }
    return CC_OK;
}
