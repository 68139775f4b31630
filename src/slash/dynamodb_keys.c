#include <stdio.h>
#include <string.h>
#include <time.h>

#include "slash/dynamodb_history.h"

/* --- one head -------------------------------------------------------------------------------------------------------------- */

/* Longer after each try that somebody else won. */
static void pause_after(unsigned tries)
{
    const struct timespec pause = {.tv_nsec = 1000000L * (tries < 10 ? 1L << tries >> 1 : 500)};
    if (tries)
        (void)nanosleep(&pause, NULL);
}

CC_ERR dynamodb_edit_head(struct dynamodb_history *h,
                          const struct eth_pubkey *pubkey,
                          dynamodb_edit_fn *edit,
                          void *context)
{
    for (unsigned tries = 0; tries < DYNAMODB_TRIES; tries++) {
        struct dynamodb_head head;
        bool found = false;
        pause_after(tries);
        CC_TRY(dynamodb_get_head(&h->db, pubkey, &found, &head));
        if (!found)
            return CC_FAIL(KEY_UNKNOWN, "no protection row");
        if (head.merging) {
            cc_err err = dynamodb_merge_key(h, pubkey, NULL, NULL);
            if (err.code && !error_is(err, ERROR_CONFLICT))
                return err;
            continue;
        }
        if (!edit(context, &head))
            return CC_OK;
        head.version++;
        cc_err err = dynamodb_put_head(&h->db, &head);
        if (!error_is(err, ERROR_CONFLICT))
            return err;
    }
    return CC_FAIL(CONFLICT, "others change this key's head all the time");
}

/* A head begins closed: nothing is signed with it until the high watermark that is in force stands in it. That is read after
 * the head is there: one that is set later finds the head when it goes over all of them.
 */
static bool open_head(void *context, struct dynamodb_head *head)
{
    const struct dynamodb_root *root = context;
    if (head->high_version >= root->high_version)
        return false;
    head->high_version = root->high_version;
    head->high = root->high;
    return true;
}

static cc_err put_closed(struct dynamodb_history *h,
                         const struct eth_pubkey *pubkey,
                         bool enabled,
                         const struct slash_watermark *floor)
{
    struct dynamodb_head head = {.pubkey = *pubkey, .version = 1, .enabled = enabled};
    if (floor)
        head.low = *floor;
    cc_err err = dynamodb_put_head(&h->db, &head);
    return error_is(err, ERROR_CONFLICT) ? CC_OK : err;
}

CC_ERR dynamodb_make_head(struct dynamodb_history *h,
                          const struct eth_pubkey *pubkey,
                          bool enabled,
                          const struct slash_watermark *floor)
{
    struct dynamodb_head head;
    bool found = false;
    CC_TRY(dynamodb_get_head(&h->db, pubkey, &found, &head));
    if (found && head.high_version)
        return CC_OK;
    if (!found)
        CC_TRY(put_closed(h, pubkey, enabled, floor));
    CC_TRY(dynamodb_get_root(&h->db, &h->root));
    return dynamodb_edit_head(h, pubkey, open_head, &h->root);
}

/* --- all heads ------------------------------------------------------------------------------------------------------------- */

CC_ERR dynamodb_edit_all(struct dynamodb_history *h,
                         dynamodb_edit_fn *edit,
                         void *context,
                         uint64_t *ret_count)
{
    enum {
        PAGE = 100
    };
    struct dynamodb_head heads[PAGE];
    struct dynamodb_cursor cursor = {0};
    bool more = true;
    *ret_count = 0;
    while (more) {
        size_t n = 0;
        CC_TRY(dynamodb_page_heads(h, &cursor, PAGE, heads, &n, &more));
        for (size_t i = 0; i < n; i++)
            CC_TRY(dynamodb_edit_head(h, &heads[i].pubkey, edit, context));
        *ret_count += n;
    }
    return CC_OK;
}

CC_ERR dynamodb_spread_high(struct dynamodb_history *h)
{
    const struct dynamodb_root wanted = h->root;
    uint64_t count = 0;
    CC_TRY(dynamodb_edit_all(h, open_head, &h->root, &count));
    if (h->root.high_spread >= wanted.high_version)
        return CC_OK;
    h->root.high_spread = wanted.high_version;
    h->root.version++;
    cc_err err = dynamodb_put_root(&h->db, &h->root);
    /* Somebody else wrote the item: he has spread this one, or sets a newer one and spreads that. */
    if (error_is(err, ERROR_CONFLICT))
        err = dynamodb_get_root(&h->db, &h->root);
    return err;
}
