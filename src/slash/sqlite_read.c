#include <stdlib.h>

#include "base/alloc.h"

#include "slash/sqlite_history.h"

static cc_err push_block(struct record_buffer *b, const struct slash_block *block)
{
    struct slash_block *blocks =
        cc_grow_array(b->blocks, b->block_count, &b->block_room, sizeof *blocks);
    if (!blocks)
        return CC_FAIL(NO_MEMORY, "records");
    b->blocks = blocks;
    b->blocks[b->block_count++] = *block;
    return CC_OK;
}

static cc_err push_attestation(struct record_buffer *b, const struct slash_attestation *attestation)
{
    struct slash_attestation *all =
        cc_grow_array(b->attestations, b->attestation_count, &b->attestation_room, sizeof *all);
    if (!all)
        return CC_FAIL(NO_MEMORY, "records");
    b->attestations = all;
    b->attestations[b->attestation_count++] = *attestation;
    return CC_OK;
}

static cc_err
tail_blocks(struct sqlite_history *h, const struct slash_key *key, uint64_t from, uint64_t to)
{
    const struct slash_tail_record *r;
    uint64_t at = 0;
    while ((r = slash_index_older(&h->index, key, at, &at))) {
        if (r->kind == SLASH_CLAIM_BLOCK && r->block.slot >= from && r->block.slot <= to)
            CC_TRY(push_block(&h->records, &r->block));
    }
    return CC_OK;
}

static cc_err
tail_attestations(struct sqlite_history *h, const struct slash_key *key, uint64_t from)
{
    const struct slash_tail_record *r;
    uint64_t at = 0;
    while ((r = slash_index_older(&h->index, key, at, &at))) {
        if (r->kind == SLASH_CLAIM_ATTESTATION && r->attestation.target >= from)
            CC_TRY(push_attestation(&h->records, &r->attestation));
    }
    return CC_OK;
}

CC_ERR
sqlite_read_blocks(struct sqlite_history *h,
                   const struct slash_key *key,
                   uint64_t from,
                   uint64_t to)
{
    h->records.block_count = 0;
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_BLOCKS, &s));
    sqlite_bind_row(s, 1, key->row);
    sqlite_bind_u64(s, 2, from);
    sqlite_bind_u64(s, 3, to);
    bool row = true;
    cc_err err = CC_OK;
    while (!err.code) {
        err = sqlite_db_row(s, &row);
        if (err.code || !row)
            break;
        struct slash_block block;
        err = sqlite_column_u64(s, 0, &block.slot);
        if (!err.code)
            err = sqlite_column_root(s, 1, &block.has_root, &block.root);
        if (!err.code)
            err = push_block(&h->records, &block);
    }
    (void)sqlite3_reset(s);
    CC_TRY(err);
    return tail_blocks(h, key, from, to);
}

CC_ERR
sqlite_read_attestations(struct sqlite_history *h, const struct slash_key *key, uint64_t from)
{
    h->records.attestation_count = 0;
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_ATTESTATIONS, &s));
    sqlite_bind_row(s, 1, key->row);
    sqlite_bind_u64(s, 2, from);
    bool row = true;
    cc_err err = CC_OK;
    while (!err.code) {
        err = sqlite_db_row(s, &row);
        if (err.code || !row)
            break;
        struct slash_attestation a;
        err = sqlite_column_u64(s, 0, &a.source);
        if (!err.code)
            err = sqlite_column_u64(s, 1, &a.target);
        if (!err.code)
            err = sqlite_column_root(s, 2, &a.has_root, &a.root);
        if (!err.code)
            err = push_attestation(&h->records, &a);
    }
    (void)sqlite3_reset(s);
    CC_TRY(err);
    return tail_attestations(h, key, from);
}

CC_ERR sqlite_read_validator(struct sqlite_history *h,
                             const struct slash_key *key,
                             struct slash_validator *ret_validator)
{
    CC_TRY(sqlite_read_blocks(h, key, 0, UINT64_MAX));
    CC_TRY(sqlite_read_attestations(h, key, 0));
    struct record_buffer *b = &h->records;
    if (b->block_count)
        qsort(b->blocks, b->block_count, sizeof *b->blocks, slash_block_order);
    if (b->attestation_count)
        qsort(b->attestations, b->attestation_count, sizeof *b->attestations,
              slash_attestation_order);
    *ret_validator = (struct slash_validator){.pubkey = key->pubkey,
                                              .enabled = key->enabled,
                                              .low = key->low,
                                              .blocks = b->blocks,
                                              .block_count = b->block_count,
                                              .attestations = b->attestations,
                                              .attestation_count = b->attestation_count};
    return CC_OK;
}
