/* Rows sealed anew, under the master key of another generation: the end of a rotation. */
#include "base/alloc.h"
#include "base/log.h"

#include "codec/hex.h"
#include "core/key_work.h"
#include "core/test_point.h"

enum {
    REWRITE_AT_ONCE = 256 /* rows of one change of the key store */
};

struct rewriting {
    size_t count;
    size_t changed; /* of them, those that were sealed */
    struct b_seal_row seals[REWRITE_AT_ONCE];
    struct b_row sealed[REWRITE_AT_ONCE];
    struct key_change changes[REWRITE_AT_ONCE];
};

/* From row *from on, and where to go on. Nothing is sealed in a tombstone. */
static void pick(const struct key_work *work, uint32_t to, size_t *from, struct rewriting *r)
{
    size_t count = 0;
    const struct sealed_row *rows = key_book_rows(work->book, &count);
    size_t i = *from;
    r->count = r->changed = 0;
    for (; i < count && r->count < REWRITE_AT_ONCE; i++)
        if (rows[i].status != ROW_DELETED && rows[i].generation != to)
            r->seals[r->count++] = (struct b_seal_row){.status = rows[i].status,
                                                       .generation = to,
                                                       .version = rows[i].version + 1,
                                                       .row = rows[i]};
    *from = i;
}

/* It stays as it is, and so does the rotation, until it can be sealed or is deleted; the others go on. */
static cc_err say_failed(const struct eth_pubkey *pubkey, cc_err err)
{
    char hex[2 * sizeof pubkey->bytes + 1] = {0};
    err =
        error_make((enum error_code)err.code, "a row could not be sealed anew", __FILE__, __LINE__);
    hex_encode(pubkey->bytes, sizeof pubkey->bytes, hex);
    log_error("a key can't be sealed under the next master key", KV_STR("pubkey", hex),
              KV_ERR(err));
    return err;
}

/* *ret_failed: the last one that could not be. */
static cc_err seal(const struct key_work *work, struct rewriting *r, cc_err *ret_failed)
{
    const struct vault_questions questions = {
        .type = B_SEAL_ROW,
        .items = r->seals,
        .size = sizeof *r->seals,
        .count = r->count,
        .per_message = A_KEYS_IMPORTS_MAX,
        .under_way = 4 * A_KEYS_IMPORTS_MAX,
        .answer_type = B_ROW,
        .answers = r->sealed,
        .answer_size = sizeof *r->sealed,
        .patience_ms = KEY_WORK_OPEN_MS,
    };
    CC_TRY(vault_client_ask_many(work->vault, &questions));
    for (size_t i = 0; i < r->count; i++) {
        cc_err err = error_from_number(r->sealed[i].error);
        if (err.code)
            *ret_failed = say_failed(&r->seals[i].row.pubkey, err);
        else
            r->changes[r->changed++] =
                (struct key_change){r->seals[i].row.version, r->sealed[i].row};
    }
    return CC_OK;
}

/* That none is left is said only of rows that were read, and that are those of the state store now. */
static cc_err read_anew(struct key_book *book)
{
    CC_TRY(key_book_settle(book));
    CC_TRY(key_book_lacks(book));
    return key_book_is_away(book) ? CC_FAIL(KEY_STORE, "its rows can't be read now") : CC_OK;
}

CC_ERR key_work_rewrite(const struct key_work *work,
                        uint32_t to,
                        bool *ret_done,
                        struct key_seen *ret_seen)
{
    CC_CLEANUP(cc_freep) struct rewriting *r = NULL;
    cc_err failed = CC_OK;
    size_t from = 0;
    *ret_done = false;
    *ret_seen = (struct key_seen){0};
    if (!work->book) {
        *ret_done = true;
        return CC_OK;
    }
    CC_TRY(read_anew(work->book));
    *ret_seen = *key_book_seen(work->book);
    r = cc_alloc(sizeof *r);
    if (!r)
        return CC_FAIL(NO_MEMORY, NULL);
    do { /* past those that fail */
        pick(work, to, &from, r);
        if (r->count)
            CC_TRY(seal(work, r, &failed));
    } while (r->count && !r->changed);
    *ret_done = r->count == 0 && !failed.code;
    if (r->count == 0)
        return failed;
    test_point_pass(TEST_POINT_SEAL_ROWS);
    CC_TRY(key_book_set_status(work->book, r->changes, r->changed));
    log_info("rows of the key store were sealed under the next master key",
             KV_NUM("rows", r->changed), KV_NUM("generation", to));
    return CC_OK; /* the others are tried again with the next ones */
}
