#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "slash/postgres_history.h"

enum {
    PAGE = 64 /* validators */
};

CC_ERR postgres_fetch(struct postgres_history *h,
                      enum postgres_statement which,
                      const struct postgres_params *params,
                      PGresult **ret_result)
{
    CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
    CC_TRY(postgres_db_send(&h->db, which, params));
    CC_TRY(postgres_db_sync(&h->db));
    CC_TRY(postgres_db_take(&h->db, &result));
    CC_TRY(postgres_db_synced(&h->db));
    *ret_result = result;
    result = NULL;
    return CC_OK;
}

/* --- rows ---------------------------------------------------------------------------------------------------------------- */

CC_ERR postgres_row_validator(const PGresult *rows, int row, struct slash_validator *ret)
{
    struct slash_validator v = {0};
    bool has_target;
    CC_TRY(postgres_column_hex(rows, row, 1, v.pubkey.bytes, sizeof v.pubkey.bytes));
    v.enabled = PQgetvalue(rows, row, 2)[0] == 't';
    CC_TRY(postgres_column_maybe(rows, row, 3, &v.low.has_slot, &v.low.slot));
    CC_TRY(postgres_column_maybe(rows, row, 4, &v.low.has_epochs, &v.low.source));
    CC_TRY(postgres_column_maybe(rows, row, 5, &has_target, &v.low.target));
    if (has_target != v.low.has_epochs)
        return CC_FAIL(TAMPERED, "a low watermark has one epoch without the other");
    *ret = v;
    return CC_OK;
}

static int rows_of(const PGresult *rows, int from, const char *id)
{
    int n = 0;
    while (from + n < PQntuples(rows) && strcmp(PQgetvalue(rows, from + n, 0), id) == 0)
        n++;
    return n;
}

CC_ERR
postgres_rows_blocks(const PGresult *rows, int *from, const char *id, struct postgres_records *r)
{
    int n = rows_of(rows, *from, id);
    r->blocks = cc_alloc_array((size_t)n, sizeof *r->blocks);
    if (!r->blocks)
        return CC_FAIL(NO_MEMORY, "records");
    for (int i = 0; i < n; i++, (*from)++) {
        struct slash_block *b = &r->blocks[i];
        CC_TRY(postgres_column_u64(rows, *from, 1, &b->slot));
        CC_TRY(postgres_column_root(rows, *from, 2, &b->has_root, &b->root));
    }
    r->block_count = (size_t)n;
    return CC_OK;
}

CC_ERR
postgres_rows_votes(const PGresult *rows, int *from, const char *id, struct postgres_records *r)
{
    int n = rows_of(rows, *from, id);
    r->attestations = cc_alloc_array((size_t)n, sizeof *r->attestations);
    if (!r->attestations)
        return CC_FAIL(NO_MEMORY, "records");
    for (int i = 0; i < n; i++, (*from)++) {
        struct slash_attestation *a = &r->attestations[i];
        CC_TRY(postgres_column_u64(rows, *from, 1, &a->source));
        CC_TRY(postgres_column_u64(rows, *from, 2, &a->target));
        CC_TRY(postgres_column_root(rows, *from, 3, &a->has_root, &a->root));
    }
    r->attestation_count = (size_t)n;
    return CC_OK;
}

void postgres_records_release(struct postgres_records *records)
{
    cc_free(records->blocks);
    cc_free(records->attestations);
    *records = (struct postgres_records){0};
}

/* --- the walk ------------------------------------------------------------------------------------------------------------ */

void postgres_page_release(struct postgres_page *page)
{
    PQclear(page->validators);
    PQclear(page->blocks);
    PQclear(page->votes);
}

/* They come in order of id, whatever the validators' order is. */
CC_ERR postgres_page_records(struct postgres_history *h, struct postgres_page *page)
{
    struct postgres_params params = {0};
    postgres_numbers_begin(&h->arrays[0]);
    for (int i = 0; i < PQntuples(page->validators); i++) {
        uint64_t id;
        CC_TRY(postgres_column_u64(page->validators, i, 0, &id));
        CC_TRY(postgres_numbers_add(&h->arrays[0], id));
    }
    CC_TRY(postgres_numbers_put(&h->arrays[0], &params));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_BLOCKS, &params));
    CC_TRY(postgres_db_send(&h->db, POSTGRES_VOTES, &params));
    CC_TRY(postgres_db_sync(&h->db));
    CC_TRY(postgres_db_take(&h->db, &page->blocks));
    CC_TRY(postgres_db_take(&h->db, &page->votes));
    return postgres_db_synced(&h->db);
}

/* Of numbers without leading zeros. */
static int order_of(const char *a, const char *b)
{
    size_t x = strlen(a), y = strlen(b);
    return x == y ? strcmp(a, b) : (x > y) - (x < y);
}

/* By halves: in order of id, as numbers. */
static int first_row(const PGresult *rows, const char *id)
{
    int low = 0;
    for (int high = PQntuples(rows); low < high;) {
        int middle = low + (high - low) / 2;
        if (order_of(PQgetvalue(rows, middle, 0), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct bad_row {
    const char *table;
    const char *public_key; /* as the database has it, which may be what is wrong */
    const char *number;     /* the slot of a block, the target of a vote */
};

/* What is read as a whole is refused as a whole, and whoever is to put the row right must know which it is. */
static cc_err name_row(struct postgres_history *h, const struct bad_row *row, cc_err err)
{
    char name[POSTGRES_ROW_NAME_MAX];
    if (!error_is(err, ERROR_TAMPERED))
        return err;
    (void)snprintf(name, sizeof name, "%.24s of 0x%.96s, %.40s", row->table, row->public_key,
                   row->number);
    if (strcmp(name, h->said_row) == 0)
        return err;
    memcpy(h->said_row, name, sizeof name);
    log_error(
        "a row of the history is out of its domain: the history can't be read until it is put right",
        KV_STR("row", name), KV_ERR(err),
        KV_STR(
            "hint",
            "put back what was there; where that isn't known, a root may become NULL, and a record with "
            "another number may be deleted before `containment-chamber slashing repair-watermark --epoch N`, "
            "with N later than any epoch that may have been signed"));
    return err;
}

CC_ERR postgres_page_validator(struct postgres_history *h,
                               const struct postgres_page *page,
                               int row,
                               struct postgres_records *records,
                               struct slash_validator *ret_validator)
{
    struct slash_validator v;
    const char *id = PQgetvalue(page->validators, row, 0);
    struct bad_row bad = {"low_watermarks", PQgetvalue(page->validators, row, 1), "its own"};
    int block = first_row(page->blocks, id);
    int vote = first_row(page->votes, id);
    CC_TRY(name_row(h, &bad, postgres_row_validator(page->validators, row, &v)));
    cc_err err = postgres_rows_blocks(page->blocks, &block, id, records);
    if (err.code) {
        bad.table = "signed_blocks";
        bad.number = PQgetvalue(page->blocks, block, 1);
        return name_row(h, &bad, err);
    }
    err = postgres_rows_votes(page->votes, &vote, id, records);
    if (err.code) {
        bad.table = "signed_attestations";
        bad.number = PQgetvalue(page->votes, vote, 2);
        return name_row(h, &bad, err);
    }
    v.blocks = records->blocks;
    v.block_count = records->block_count;
    v.attestations = records->attestations;
    v.attestation_count = records->attestation_count;
    *ret_validator = v;
    return CC_OK;
}

static cc_err visit_one(struct postgres_history *h,
                        const struct postgres_page *page,
                        int row,
                        slash_visit_fn *visit,
                        void *context)
{
    CC_CLEANUP(postgres_records_release) struct postgres_records records = {0};
    struct slash_validator v;
    CC_TRY(postgres_page_validator(h, page, row, &records, &v));
    return visit(context, &v);
}

static cc_err visit_page(struct postgres_history *h,
                         struct postgres_page *page,
                         slash_visit_fn *visit,
                         void *context)
{
    CC_TRY(postgres_page_records(h, page));
    for (int row = 0; row < PQntuples(page->validators); row++) {
        postgres_db_patience(&h->db, POSTGRES_WORK_PATIENCE_MS);
        CC_TRY(visit_one(h, page, row, visit, context));
    }
    return CC_OK;
}

/* Where a walk in order of public key stands. */
struct walk {
    struct eth_pubkey after;
    size_t after_len; /* 0: at the beginning */
    slash_visit_fn *visit;
    void *context;
};

static cc_err visit_next(struct postgres_history *h, struct walk *walk, size_t max, int *ret_count)
{
    CC_CLEANUP(postgres_page_release) struct postgres_page page = {0};
    struct postgres_params params = {0};
    char limit[24];
    (void)snprintf(limit, sizeof limit, "%zu", max);
    postgres_put_bytes(&params, walk->after.bytes, walk->after_len);
    postgres_put_text(&params, limit);
    CC_TRY(postgres_fetch(h, POSTGRES_PAGE, &params, &page.validators));
    *ret_count = PQntuples(page.validators);
    if (*ret_count == 0)
        return CC_OK;
    walk->after_len = sizeof walk->after.bytes;
    const struct bad_row last = {"validators", PQgetvalue(page.validators, *ret_count - 1, 1),
                                 "its own"};
    CC_TRY(name_row(h, &last,
                    postgres_column_hex(page.validators, *ret_count - 1, 1, walk->after.bytes,
                                        sizeof walk->after.bytes)));
    return visit_page(h, &page, walk->visit, walk->context);
}

static cc_err visit_all(struct postgres_history *h, slash_visit_fn *visit, void *context)
{
    struct walk walk = {.visit = visit, .context = context};
    int count;
    do
        CC_TRY(visit_next(h, &walk, PAGE, &count));
    while (count);
    return CC_OK;
}

static cc_err visit_key(struct postgres_history *h,
                        const struct eth_pubkey *only,
                        slash_visit_fn *visit,
                        void *context)
{
    CC_CLEANUP(postgres_page_release) struct postgres_page page = {0};
    struct postgres_params params = {0};
    postgres_put_bytes(&params, only->bytes, sizeof only->bytes);
    CC_TRY(postgres_fetch(h, POSTGRES_ONE, &params, &page.validators));
    return visit_page(h, &page, visit, context);
}

static cc_err pass_one(struct postgres_history *h, enum postgres_statement which)
{
    CC_CLEANUP(postgres_clearp) PGresult *result = NULL;
    return postgres_fetch(h, which, NULL, &result);
}

/* All pages show one moment; signing by others goes on meanwhile. */
cc_err postgres_visit(struct slash_store *store,
                      const struct eth_pubkey *only,
                      slash_visit_fn *visit,
                      void *context)
{
    struct postgres_history *h = postgres_history_of(store);
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    cc_err err = pass_one(h, POSTGRES_BEGIN_READ);
    if (!err.code)
        err = only ? visit_key(h, only, visit, context) : visit_all(h, visit, context);
    if (!err.code)
        err = pass_one(h, POSTGRES_COMMIT);
    return postgres_history_done(h, err);
}

cc_err postgres_visit_after(struct slash_store *store,
                            const struct eth_pubkey *after,
                            size_t max,
                            slash_visit_fn *visit,
                            void *context)
{
    struct postgres_history *h = postgres_history_of(store);
    struct walk walk = {.visit = visit, .context = context};
    int count;
    if (after) {
        walk.after = *after;
        walk.after_len = sizeof walk.after.bytes;
    }
    CC_TRY(postgres_history_ready(h, POSTGRES_WORK_PATIENCE_MS));
    cc_err err = pass_one(h, POSTGRES_BEGIN_READ);
    if (!err.code)
        err = visit_next(h, &walk, max, &count);
    if (!err.code)
        err = pass_one(h, POSTGRES_COMMIT);
    return postgres_history_done(h, err);
}
