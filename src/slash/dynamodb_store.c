#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "slash/dynamodb_history.h"

enum {
    ESTIMATE_PAGES =
        DYNAMODB_SHARDS /* that many reads, of a history that fits into them all of it */
};

static const struct slash_store_ops dynamodb_ops;

struct dynamodb_history *dynamodb_history_of(struct slash_store *store)
{
    cc_assert(store->ops == &dynamodb_ops);
    return (struct dynamodb_history *)store;
}

/* --- is it still the same history, in the same table? ------------------------------------------------------------------------ */

static bool same_history(const struct slash_identity *a, const struct slash_identity *b)
{
    return memcmp(a->history_id, b->history_id, sizeof a->history_id) == 0 &&
           memcmp(a->chamber_id, b->chamber_id, sizeof a->chamber_id) == 0 &&
           memcmp(a->proof, b->proof, sizeof a->proof) == 0;
}

static cc_err check_pinned(const struct dynamodb_history *h)
{
    if (h->for_repair || strcmp(h->table_id, h->root.table_id) == 0)
        return CC_OK;
    log_error(
        "the DynamoDB table was restored or copied: its newest records may be lost",
        KV_STR("table", h->db.table), KV_STR("history_is_of", h->root.table_id),
        KV_STR("table_is", h->table_id),
        KV_STR(
            "hint",
            "stop every signer and run `containment-chamber slashing repair-watermark --epoch N`, with N "
            "later than any epoch that may have been signed"));
    return CC_FAIL(TIMELINE, "the table is not the one that the history was made in");
}

static cc_err look(struct dynamodb_history *h)
{
    struct dynamodb_root found;
    CC_TRY(dynamodb_table_check(&h->db, h->table_id));
    CC_TRY(dynamodb_get_root(&h->db, &found));
    if (found.format != DYNAMODB_FORMAT)
        return CC_FAIL(IDENTITY,
                       "the history was made by another release: its format is unknown here");
    if (h->root.version && !same_history(&found.identity, &h->base.identity))
        return CC_FAIL(IDENTITY, "the table's history was replaced");
    h->root = found;
    h->base.identity = found.identity;
    return check_pinned(h);
}

CC_ERR dynamodb_history_ready(struct dynamodb_history *h)
{
    uint64_t now = clock_mono_ms();
    if (h->checked_ms && now - h->checked_ms < DYNAMODB_CHECK_MS)
        return CC_OK;
    /* Until it was seen again to be what it should be, nothing is known of it. */
    h->checked_ms = 0;
    cc_err err = look(h);
    if (err.code)
        dynamodb_cache_clear(&h->cache);
    else
        h->checked_ms = now;
    return err;
}

/* --- the history's own item --------------------------------------------------------------------------------------------------- */

/* Changes a copy of the item; true when there is something to write. */
typedef cc_err root_edit_fn(const void *context, struct dynamodb_root *root, bool *ret_changed);

static cc_err edit_root(struct dynamodb_history *h, root_edit_fn *edit, const void *context)
{
    for (int tries = 0; tries < DYNAMODB_TRIES; tries++) {
        struct dynamodb_root next;
        bool changed = false;
        CC_TRY(dynamodb_get_root(&h->db, &h->root));
        next = h->root;
        CC_TRY(edit(context, &next, &changed));
        if (!changed)
            return CC_OK;
        next.version++;
        cc_err err = dynamodb_put_root(&h->db, &next);
        if (!err.code)
            h->root = next;
        if (!error_is(err, ERROR_CONFLICT))
            return err;
    }
    return CC_FAIL(CONFLICT, "others change the history's item all the time");
}

static cc_err fix_genesis(const void *context, struct dynamodb_root *root, bool *ret_changed)
{
    *ret_changed = !root->identity.has_genesis_validators_root;
    return slash_identity_fix_genesis(&root->identity, context);
}

static cc_err dynamodb_fix_genesis(struct slash_store *store, const struct eth_root *root)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    CC_TRY(dynamodb_history_ready(h));
    CC_TRY(edit_root(h, fix_genesis, root));
    store->identity = h->root.identity;
    return CC_OK;
}

static cc_err set_high(const void *context, struct dynamodb_root *root, bool *ret_changed)
{
    static const struct slash_high none;
    const struct slash_high *high = context;
    root->high = high->set ? *high : none;
    root->high_version++;
    *ret_changed = true;
    return CC_OK;
}

/* It holds when it stands in every head, and what was made meanwhile has read it. */
static cc_err dynamodb_set_high(struct slash_store *store, const struct slash_high *high)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    CC_TRY(dynamodb_history_ready(h));
    CC_TRY(edit_root(h, set_high, high));
    return dynamodb_spread_high(h);
}

static cc_err set_ceiling(const void *context, struct dynamodb_root *root, bool *ret_changed)
{
    uint64_t epoch = *(const uint64_t *)context;
    *ret_changed = !root->has_ceiling || root->ceiling < epoch;
    if (*ret_changed)
        root->ceiling = epoch;
    root->has_ceiling = true;
    return CC_OK;
}

static cc_err dynamodb_set_ceiling(struct slash_store *store, uint64_t epoch)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    CC_TRY(dynamodb_history_ready(h));
    return edit_root(h, set_ceiling, &epoch);
}

static cc_err confirm_table(const void *context, struct dynamodb_root *root, bool *ret_changed)
{
    *ret_changed = strcmp(root->table_id, context) != 0;
    (void)snprintf(root->table_id, sizeof root->table_id, "%s", (const char *)context);
    return CC_OK;
}

CC_ERR slash_dynamodb_confirm_table(struct slash_store *store)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    CC_TRY(dynamodb_history_ready(h));
    return edit_root(h, confirm_table, h->table_id);
}

/* --- keys ----------------------------------------------------------------------------------------------------------------------- */

static cc_err dynamodb_register_keys(struct slash_store *store,
                                     const struct eth_pubkey *keys,
                                     size_t n,
                                     const struct slash_watermark *floor)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    CC_TRY(dynamodb_history_ready(h));
    for (size_t i = 0; i < n; i++)
        CC_TRY(dynamodb_make_head(h, &keys[i], true, floor));
    return CC_OK;
}

static bool set_flag(void *context, struct dynamodb_head *head)
{
    bool enabled = *(const bool *)context;
    bool differs = head->enabled != enabled;
    head->enabled = enabled;
    return differs;
}

static cc_err
dynamodb_set_enabled(struct slash_store *store, const struct eth_pubkey *key, bool enabled)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    unsigned shard;
    CC_TRY(dynamodb_history_ready(h));
    if (!dynamodb_shard(key, &shard))
        return CC_FAIL(KEY_UNKNOWN, "no protection row");
    return dynamodb_edit_head(h, key, set_flag, &enabled);
}

static bool raise_low(void *context, struct dynamodb_head *head)
{
    const struct slash_watermark before = head->low;
    slash_watermark_raise(&head->low, context);
    return before.has_slot != head->low.has_slot || before.slot != head->low.slot ||
           before.has_epochs != head->low.has_epochs || before.source != head->low.source ||
           before.target != head->low.target;
}

static cc_err dynamodb_raise_all(struct slash_store *store,
                                 const struct slash_watermark *floor,
                                 uint64_t *ret_count)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    struct slash_watermark copy = *floor;
    CC_TRY(dynamodb_history_ready(h));
    return dynamodb_edit_all(h, raise_low, &copy, ret_count);
}

static cc_err dynamodb_merge(struct slash_store *store,
                             const struct slash_validator *validator,
                             struct slash_import_report *report)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    CC_TRY(dynamodb_history_ready(h));
    CC_TRY(dynamodb_make_head(h, &validator->pubkey, validator->enabled, NULL));
    return dynamodb_merge_key(h, &validator->pubkey, validator, report);
}

/* --- the whole --------------------------------------------------------------------------------------------------------------------- */

/* An import that died leaves its mark on a key; whoever meets it settles it when its time is over, off the signing path. */
static cc_err dynamodb_maintain(struct slash_store *store, bool *ret_more)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    *ret_more = false;
    if (!h->has_marked)
        return CC_OK;
    h->has_marked = false;
    CC_TRY(dynamodb_history_ready(h));
    cc_err err = dynamodb_merge_key(h, &h->marked, NULL, NULL);
    return error_is(err, ERROR_CONFLICT) ? CC_OK : err;
}

/* Heads count their records: not one of them is read for it. */
static cc_err count_heads(struct dynamodb_history *h,
                          struct dynamodb_head *heads,
                          uint64_t max_pages,
                          struct slash_status *status)
{
    struct dynamodb_cursor cursor = {0};
    bool more = true;
    for (uint64_t page = 0; more && page < max_pages; page++) {
        size_t n = 0;
        CC_TRY(dynamodb_page_heads(h, &cursor, DYNAMODB_PAGE, heads, &n, &more));
        for (size_t i = 0; i < n; i++) {
            status->blocks += heads[i].blocks;
            status->attestations += heads[i].attestations;
        }
        status->validators += n;
    }
    status->counted = more ? SLASH_COUNTED_SOME : SLASH_COUNTED_ALL;
    return CC_OK;
}

static cc_err count(struct slash_store *store, uint64_t max_pages, struct slash_status *ret_status)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    struct slash_status status = {0};
    CC_CLEANUP(cc_freep) struct dynamodb_head *heads = cc_alloc_array(DYNAMODB_PAGE, sizeof *heads);
    if (!heads)
        return CC_FAIL(NO_MEMORY, "DynamoDB history");
    CC_TRY(dynamodb_history_ready(h));
    CC_TRY(dynamodb_get_root(&h->db, &h->root));
    CC_TRY(count_heads(h, heads, max_pages, &status));
    status.high = h->root.high;
    status.has_ceiling = h->root.has_ceiling;
    status.ceiling = h->root.ceiling;
    *ret_status = status;
    return CC_OK;
}

static cc_err dynamodb_status(struct slash_store *store, struct slash_status *ret_status)
{
    return count(store, UINT64_MAX, ret_status);
}

static cc_err dynamodb_estimate(struct slash_store *store, struct slash_status *ret_status)
{
    return count(store, ESTIMATE_PAGES, ret_status);
}

static void dynamodb_close(struct slash_store *store)
{
    struct dynamodb_history *h = dynamodb_history_of(store);
    dynamodb_db_close(&h->db);
    dynamodb_cache_clear(&h->cache);
    cc_free(h);
}

static const struct slash_store_ops dynamodb_ops = {
    .name = "dynamodb",
    .check_and_record = dynamodb_check_and_record,
    .register_keys = dynamodb_register_keys,
    .set_enabled = dynamodb_set_enabled,
    .raise_all = dynamodb_raise_all,
    .merge = dynamodb_merge,
    .visit = dynamodb_visit,
    .prune = dynamodb_prune,
    .maintain = dynamodb_maintain,
    .status = dynamodb_status,
    .estimate = dynamodb_estimate,
    .fix_genesis = dynamodb_fix_genesis,
    .set_high = dynamodb_set_high,
    .set_ceiling = dynamodb_set_ceiling,
    .visit_after = dynamodb_visit_after,
    .close = dynamodb_close,
};

/* --- opening ------------------------------------------------------------------------------------------------------------------------ */

/* A change of the high watermark that was cut short is finished. */
static cc_err first_look(struct dynamodb_history *h)
{
    CC_TRY(dynamodb_history_ready(h));
    return h->for_repair || h->root.high_spread == h->root.high_version ? CC_OK
                                                                        : dynamodb_spread_high(h);
}

static cc_err open_history(struct aws_session *session,
                           const char *table,
                           bool for_repair,
                           struct slash_store **ret_store)
{
    struct dynamodb_history *h = cc_alloc(sizeof *h);
    if (!h)
        return CC_FAIL(NO_MEMORY, "DynamoDB history");
    h->base.ops = &dynamodb_ops;
    h->for_repair = for_repair;
    cc_err err = dynamodb_db_open(&h->db, session, table);
    if (!err.code)
        err = first_look(h);
    if (err.code)
        dynamodb_close(&h->base);
    else
        *ret_store = &h->base;
    return err;
}

CC_ERR
slash_dynamodb_open(struct aws_session *session, const char *table, struct slash_store **ret_store)
{
    return open_history(session, table, false, ret_store);
}

CC_ERR slash_dynamodb_open_for_repair(struct aws_session *session,
                                      const char *table,
                                      struct slash_store **ret_store)
{
    return open_history(session, table, true, ret_store);
}

/* --- init --------------------------------------------------------------------------------------------------------------------------- */

static cc_err create_history(struct dynamodb_db *db, const struct slash_identity *identity)
{
    struct dynamodb_root root = {.version = 1,
                                 .format = DYNAMODB_FORMAT,
                                 .identity = *identity,
                                 .high_version = 1,
                                 .high_spread = 1};
    bool empty = false;
    struct dynamodb_table table = {0};
    cc_err made = dynamodb_table_make(db->client, db->table, &table);
    CC_TRY(dynamodb_table_fits(db->table, made, &table));
    memcpy(root.table_id, table.id, sizeof table.id);
    CC_TRY(dynamodb_table_is_empty(db, &empty));
    if (!empty)
        return CC_FAIL(EXISTS, "the DynamoDB table is not empty");
    cc_err err = dynamodb_put_root(db, &root);
    return error_is(err, ERROR_CONFLICT)
               ? CC_FAIL(EXISTS, "the DynamoDB table has a history already")
               : err;
}

CC_ERR slash_dynamodb_create(struct aws_session *session,
                             const char *table,
                             const struct slash_identity *identity)
{
    CC_CLEANUP(dynamodb_db_close) struct dynamodb_db db;
    CC_TRY(dynamodb_db_open(&db, session, table));
    return create_history(&db, identity);
}

void slash_dynamodb_forget(struct aws_session *session,
                           const char *table,
                           const struct slash_identity *identity)
{
    CC_CLEANUP(dynamodb_db_close) struct dynamodb_db db;
    cc_err err = dynamodb_db_open(&db, session, table);
    if (!err.code)
        err = dynamodb_drop_root(&db, identity->history_id);
    if (err.code)
        log_warn("the new history could not be taken back from the DynamoDB table",
                 KV_STR("table", table), KV_ERR(err));
}
