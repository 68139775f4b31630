#include "core/key_rows.h"

#include <string.h>

#include "base/alloc.h"

void key_rows_release(struct key_rows *rows)
{
    cc_free(rows->rows);
    *rows = (struct key_rows){0};
}

static cc_err take_row(void *context, const struct sealed_row *row)
{
    struct key_rows *rows = context;
    struct sealed_row *grown = cc_grow_array(rows->rows, rows->count, &rows->room, sizeof *grown);
    if (!grown)
        return CC_FAIL(NO_MEMORY, "rows of a key store");
    rows->rows = grown;
    rows->rows[rows->count++] = *row;
    return CC_OK;
}

CC_ERR key_rows_read(struct key_store *store, struct key_rows *ret_rows)
{
    struct key_rows rows = {0};
    cc_err err = store ? key_store_scan(store, take_row, &rows) : CC_OK;
    if (!err.code)
        err = key_store_digest(rows.rows, rows.count, rows.digest);
    if (err.code)
        key_rows_release(&rows);
    else
        *ret_rows = rows;
    return err;
}

/* Where the row is, or where it belongs. */
static size_t place_of(const struct sealed_row *rows, size_t count, const struct eth_pubkey *pubkey)
{
    size_t from = 0;
    while (count) {
        const size_t half = count / 2;
        if (key_store_order(&rows[from + half].pubkey, pubkey) < 0) {
            from += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return from;
}

static bool is_at(const struct key_rows *rows, size_t at, const struct eth_pubkey *pubkey)
{
    return at < rows->count && key_store_order(&rows->rows[at].pubkey, pubkey) == 0;
}

const struct sealed_row *key_rows_find(const struct key_rows *rows, const struct eth_pubkey *pubkey)
{
    const size_t at = place_of(rows->rows, rows->count, pubkey);
    return is_at(rows, at, pubkey) ? &rows->rows[at] : NULL;
}

static cc_err put_row(struct key_rows *rows, const struct key_change *change)
{
    const size_t at = place_of(rows->rows, rows->count, &change->next.pubkey);
    const bool there = is_at(rows, at, &change->next.pubkey);
    if ((there ? rows->rows[at].version : 0) != change->expected)
        return CC_FAIL(CONFLICT, "a key's row has another version");
    if (!there) {
        memmove(&rows->rows[at + 1], &rows->rows[at], (rows->count - at) * sizeof *rows->rows);
        rows->count++;
    }
    rows->rows[at] = change->next;
    return CC_OK;
}

static cc_err put_all(struct key_rows *rows, const struct key_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CC_TRY(put_row(rows, &changes[i]));
    return key_store_digest(rows->rows, rows->count, rows->digest);
}

CC_ERR key_rows_after(const struct key_rows *before,
                      const struct key_change *changes,
                      size_t n,
                      struct key_rows *ret_after)
{
    struct key_rows after = {.count = before->count, .room = before->count + n};
    after.rows = cc_alloc_array(after.room, sizeof *after.rows);
    if (!after.rows)
        return CC_FAIL(NO_MEMORY, "rows of a key store");
    if (before->count)
        memcpy(after.rows, before->rows, before->count * sizeof *before->rows);
    cc_err err = put_all(&after, changes, n);
    if (err.code)
        key_rows_release(&after);
    else
        *ret_after = after;
    return err;
}

static uint32_t status_at(const struct key_rows *rows, size_t at)
{
    return rows->rows[at].status == ROW_DELETED ? 0 : rows->rows[at].status;
}

/* The next key of both lists, and its status in each. */
struct pair {
    const struct eth_pubkey *key;
    uint32_t before;
    uint32_t after;
};

static bool next_pair(const struct key_rows *before,
                      const struct key_rows *after,
                      size_t at[static 2],
                      struct pair *ret_pair)
{
    const bool b = at[0] < before->count;
    const bool a = at[1] < after->count;
    if (!a && !b)
        return false;
    const int order = a && b
                          ? key_store_order(&before->rows[at[0]].pubkey, &after->rows[at[1]].pubkey)
                          : (b ? -1 : 1);
    ret_pair->key = order <= 0 ? &before->rows[at[0]].pubkey : &after->rows[at[1]].pubkey;
    ret_pair->before = order <= 0 ? status_at(before, at[0]) : 0;
    ret_pair->after = order >= 0 ? status_at(after, at[1]) : 0;
    at[0] += order <= 0;
    at[1] += order >= 0;
    return true;
}

CC_ERR key_rows_compare(const struct key_rows *before,
                        const struct key_rows *after,
                        struct eth_pubkey **ret_keys,
                        size_t *ret_count)
{
    struct pair pair;
    size_t at[2] = {0, 0};
    size_t count = 0;
    while (next_pair(before, after, at, &pair))
        count += pair.before != pair.after;
    *ret_keys = cc_alloc_array(count ? count : 1, sizeof **ret_keys);
    if (!*ret_keys)
        return CC_FAIL(NO_MEMORY, "changed rows of a key store");
    at[0] = at[1] = 0;
    *ret_count = 0;
    while (next_pair(before, after, at, &pair))
        if (pair.before != pair.after)
            (*ret_keys)[(*ret_count)++] = *pair.key;
    return CC_OK;
}
