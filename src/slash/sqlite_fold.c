/* From the tail into the tables, in steps that nobody has to wait long for. What is new in `blocks` and `attestations` goes
 * where its key's records are: one page for a key. So a pass takes all that a key has in the tail, key after key. How far
 * it has come is written in the same transaction: after a crash nothing is in both places.
 */
#include <limits.h>

#include "base/num.h"

#include "slash/sqlite_history.h"

enum {
    KEY_COST = 8,     /* a key's page, in records */
    DROP_STEP = 16384 /* tail records dropped at once: about 5 ms */
};

static cc_err write_cursor(struct sqlite_history *h, uint64_t below, int64_t row)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_SET_FOLD, &s));
    sqlite_bind_row(s, 1, (int64_t)below);
    sqlite_bind_row(s, 2, row);
    return sqlite_db_run(s);
}

static cc_err add_record(struct sqlite_history *h, const struct slash_tail_record *r)
{
    return r->kind == SLASH_CLAIM_BLOCK ? sqlite_add_block(h, r->row, &r->block)
                                        : sqlite_add_attestation(h, r->row, &r->attestation);
}

/* *ret_count: how many there were. */
static cc_err
fold_key(struct sqlite_history *h, const struct slash_key *key, uint64_t below, uint64_t *ret_count)
{
    const struct slash_tail_record *r;
    uint64_t at = 0;
    *ret_count = 0;
    while ((r = slash_index_older(&h->index, key, at, &at))) {
        if (at >= below)
            continue;
        CC_TRY(add_record(h, r));
        (*ret_count)++;
    }
    return CC_OK;
}

/* Where the pass stands: the first key that is not folded. */
static size_t first_key(const struct slash_index *index)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->keys[middle].row < index->fold_row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static cc_err fold_keys(struct sqlite_history *h, uint64_t below, uint64_t limit, int64_t *ret_row)
{
    const struct slash_index *index = &h->index;
    uint64_t cost = 0, count = 0;
    size_t i = first_key(index);
    for (; i < index->count && cost < limit; i++) {
        CC_TRY(fold_key(h, &index->keys[i], below, &count));
        cost += count ? count + KEY_COST : 0;
    }
    *ret_row = i < index->count ? index->keys[i].row : INT64_MAX;
    return write_cursor(h, below, *ret_row);
}

static cc_err step_keys(struct sqlite_history *h, uint64_t below, uint64_t limit)
{
    int64_t row = 0;
    CC_TRY(sqlite_db_begin(&h->db));
    CC_TRY(sqlite_db_end(&h->db, fold_keys(h, below, limit, &row)));
    slash_index_fold_keys(&h->index, below, row);
    return CC_OK;
}

static cc_err drop_tail(struct sqlite_history *h, uint64_t first)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_DROP_TAIL, &s));
    sqlite_bind_row(s, 1, (int64_t)first);
    CC_TRY(sqlite_db_run(s));
    if (first < h->index.fold_below)
        return CC_OK;
    CC_TRY(sqlite_db_statement(&h->db, STATEMENT_END_FOLD, &s));
    return sqlite_db_run(s);
}

static cc_err step_drop(struct sqlite_history *h)
{
    uint64_t first = u64_min(h->index.first + DROP_STEP, h->index.fold_below);
    CC_TRY(sqlite_db_begin(&h->db));
    CC_TRY(sqlite_db_end(&h->db, drop_tail(h, first)));
    slash_index_folded(&h->index, first);
    return CC_OK;
}

CC_ERR sqlite_fold(struct sqlite_history *h, uint64_t limit)
{
    const struct slash_index *index = &h->index;
    if (index->first == index->next || limit == 0)
        return CC_OK;
    if (index->fold_below && index->fold_row == INT64_MAX)
        return step_drop(h);
    return step_keys(h, index->fold_below ? index->fold_below : index->next, limit);
}

CC_ERR sqlite_fold_all(struct sqlite_history *h)
{
    while (h->index.first < h->index.next)
        CC_TRY(sqlite_fold(h, UINT64_MAX));
    return CC_OK;
}
