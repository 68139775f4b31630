/* Delete, and change of status. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/num.h"

#include "codec/hex.h"
#include "core/key_work.h"
#include "core/test_point.h"

/* One key on its way. */
struct change_item {
    bool on; /* nothing has stopped it yet */
    bool unknown;
    bool in_history; /* of one that is unknown */
    bool disabled;
    struct registry_view before;
    struct sealed_row row; /* as it will be */
};

struct changing {
    const struct key_work *work;
    const struct a_keys *ask;
    struct a_keys_done *done;
    uint32_t count;
    uint32_t from; /* of the keys that one turn of the writer is for */
    uint32_t to;
    struct change_item items[A_KEYS_MAX];
    struct key_change changes[A_KEYS_MAX];
    struct b_seal_row seals[A_KEYS_MAX];
    struct b_row sealed[A_KEYS_MAX];
};

static void stop(struct changing *c, uint32_t i, cc_err err)
{
    c->items[i].on = false;
    key_work_fail(&c->done->items[i], err);
}

/* What it was before goes on, where nothing durable has changed. */
static void take_back(struct changing *c, uint32_t i, cc_err err)
{
    registry_hold(c->work->registry, &c->items[i].before.pubkey, c->items[i].before.hold);
    stop(c, i, err);
}

static struct changing *
new_change(const struct key_work *work, const struct a_keys *ask, struct a_keys_done *done)
{
    struct changing *c = cc_alloc(sizeof *c);
    if (!c) {
        done->head.error = ERROR_NO_MEMORY;
        return NULL;
    }
    c->work = work;
    c->ask = ask;
    c->done = done;
    c->count = ask->head.count;
    done->head.count = ask->head.count;
    return c;
}

static bool asked_before(const struct changing *c, uint32_t i)
{
    for (uint32_t before = 0; before < i; before++)
        if (key_store_order(&c->ask->is.keys[before], &c->ask->is.keys[i]) == 0)
            return true;
    return false;
}

/* Who may do it with which key, and what that one is. */
static void look(struct changing *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct eth_pubkey *pubkey = &c->ask->is.keys[i];
        struct change_item *item = &c->items[i];
        struct a_key_item *answer = &c->done->items[i];
        answer->pubkey = *pubkey;
        cc_err err = key_work_allow(c->work, c->ask, pubkey);
        if (err.code) {
            key_work_fail(answer, err);
            continue;
        }
        item->unknown =
            asked_before(c, i) || !registry_look(c->work->registry, pubkey, &item->before);
        item->on = !item->unknown;
        if (item->unknown)
            continue;
        key_work_show(c->work, &item->before, answer);
        if (item->before.sources & B_KEY_FROM_FILE)
            stop(c, i, CC_FAIL(KEY_READONLY, NULL));
    }
}

/* --- turns of the history's writer ------------------------------------------------------------------------------ */

static cc_err note_there(void *context, const struct slash_validator *validator)
{
    bool *there = context;
    (void)validator;
    *there = true;
    return CC_OK;
}

/* For a key that never got its row, the tombstone is made with one. */
static cc_err disable(struct slash_store *history,
                      const struct eth_pubkey *pubkey,
                      const struct slash_watermark *floor)
{
    cc_err err = slash_set_enabled(history, pubkey, false);
    if (!error_is(err, ERROR_KEY_UNKNOWN))
        return err;
    CC_TRY(slash_register_keys(history, pubkey, 1, floor));
    return slash_set_enabled(history, pubkey, false);
}

static cc_err bury(void *context, struct slash_store *history, const struct slash_watermark *floor)
{
    struct changing *c = context;
    for (uint32_t i = c->from; i < c->to; i++) {
        struct change_item *item = &c->items[i];
        const struct eth_pubkey *pubkey = &c->ask->is.keys[i];
        if (item->unknown) {
            CC_TRY(slash_visit(history, pubkey, note_there, &item->in_history));
        } else if (item->on) {
            CC_TRY(disable(history, pubkey, floor));
            item->disabled = true;
        }
    }
    return CC_OK;
}

/* In small turns: each key's tombstone is a commit of its own. */
static void bury_all(struct changing *c)
{
    for (c->from = 0; c->from < c->count; c->from = c->to) {
        c->to = (uint32_t)u64_min(c->count, c->from + KEY_WORK_HISTORY_KEYS);
        cc_err err = writer_run(c->work->writer, bury, c, KEY_WORK_PATIENCE_MS);
        /* Who hears that a key is not here lets it sign elsewhere: that is said of a complete set alone. */
        const cc_err unsure = registry_is_complete(c->work->registry);
        for (uint32_t i = c->from; i < c->to; i++) {
            struct change_item *item = &c->items[i];
            if (item->unknown && (err.code || unsure.code))
                key_work_fail(&c->done->items[i], err.code ? err : unsure);
            else if (item->unknown)
                c->done->items[i].outcome = item->in_history ? A_KEY_NOT_ACTIVE : A_KEY_NOT_FOUND;
            else if (item->on && !item->disabled)
                take_back(c, i, err);
        }
    }
    test_point_pass(TEST_POINT_DELETE_DISABLED);
}

/* --- delete ----------------------------------------------------------------------------------------------------- */

static void stop_signing(struct changing *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->items[i].on)
            registry_hold(c->work->registry, &c->items[i].before.pubkey, HOLD_DELETING);
    test_point_pass(TEST_POINT_DELETE_STOPPED);
}

static cc_err erase_rows(struct changing *c)
{
    size_t n = 0;
    if (!c->work->book)
        return CC_OK;
    CC_TRY(key_book_settle(c->work->book));
    for (uint32_t i = 0; i < c->count; i++) {
        const struct change_item *item = &c->items[i];
        const struct sealed_row *row =
            item->on ? key_book_find(c->work->book, &item->before.pubkey) : NULL;
        if (row && row->status != ROW_DELETED)
            c->changes[n++] = key_store_tombstone(row);
    }
    return n ? key_book_delete(c->work->book, c->changes, n) : CC_OK;
}

/* What the history has buried stays held back and listed, until the delete comes to its end. */
static void erase(struct changing *c)
{
    bool any = false;
    for (uint32_t i = 0; i < c->count; i++)
        any |= c->items[i].on && (c->items[i].before.sources & B_KEY_FROM_ROW);
    cc_err err = any ? erase_rows(c) : CC_OK;
    for (uint32_t i = 0; err.code && i < c->count; i++)
        if (c->items[i].on && (c->items[i].before.sources & B_KEY_FROM_ROW))
            stop(c, i, err);
    if (err.code)
        log_error("keys could not be erased from the key store: they sign no more, and stay listed",
                  KV_ERR(err));
    test_point_pass(TEST_POINT_DELETE_ERASED);
}

/* The vault waits for who still signs with the key: after it, nobody does. */
static cc_err take_out(const struct key_work *work, const struct eth_pubkey *pubkey)
{
    struct registry_view view;
    if (!registry_look(work->registry, pubkey, &view) || !view.has_handle)
        return CC_OK;
    cc_err err = vault_client_take_out(work->vault, view.handle);
    if (err.code && !error_is(err, ERROR_KEY_UNKNOWN))
        return err;
    registry_unloaded(work->registry, pubkey);
    return CC_OK;
}

static void forget(struct changing *c)
{
    struct eth_pubkey keys[A_KEYS_MAX];
    size_t n = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if (!c->items[i].on)
            continue;
        const struct eth_pubkey *pubkey = &c->items[i].before.pubkey;
        cc_err err = take_out(c->work, pubkey);
        if (err.code) {
            stop(c, i, err);
            continue;
        }
        keys[n++] = *pubkey;
        c->done->items[i].outcome = A_KEY_DELETED;
        c->done->items[i].status = 0;
    }
    if (n) {
        registry_drop(c->work->registry, keys, n, B_KEY_FROM_ROW);
        registry_drop(c->work->registry, keys, n, B_KEY_FROM_MEMORY);
    }
    test_point_pass(TEST_POINT_DELETE_FORGOTTEN);
    if (n)
        log_notice("keys were deleted", KV_NUM("keys", n));
}

void key_work_delete(const struct key_work *work,
                     const struct a_keys *ask,
                     struct a_keys_done *done)
{
    CC_CLEANUP(cc_freep) struct changing *c = new_change(work, ask, done);
    if (!c)
        return;
    look(c);
    stop_signing(c);
    bury_all(c);
    erase(c);
    forget(c);
}

/* --- what an earlier core began -------------------------------------------------------------------------------- */

struct looking {
    struct registry_view views[KEY_WORK_HISTORY_KEYS];
    bool buried[KEY_WORK_HISTORY_KEYS];
    size_t count;
};

static cc_err note_buried(void *context, const struct slash_validator *validator)
{
    bool *buried = context;
    *buried = !validator->enabled;
    return CC_OK;
}

/* A key of a file has no delete that could be finished. */
static bool can_be_deleted(const struct registry_view *view)
{
    return view->hold != HOLD_DELETING && !(view->sources & B_KEY_FROM_FILE);
}

static cc_err
look_for_buried(void *context, struct slash_store *history, const struct slash_watermark *floor)
{
    struct looking *looking = context;
    (void)floor;
    for (size_t i = 0; i < looking->count; i++)
        if (can_be_deleted(&looking->views[i]))
            CC_TRY(
                slash_visit(history, &looking->views[i].pubkey, note_buried, &looking->buried[i]));
    return CC_OK;
}

CC_ERR key_work_find_buried(const struct key_work *work, struct buried_walk *walk)
{
    struct looking looking = {0};
    bool more = false, any = false;
    looking.count = registry_after(work->registry, walk->has_after ? &walk->after : NULL,
                                   looking.views, KEY_WORK_HISTORY_KEYS, &more);
    for (size_t i = 0; i < looking.count; i++)
        any |= can_be_deleted(&looking.views[i]);
    if (any)
        CC_TRY(writer_run(work->writer, look_for_buried, &looking, KEY_WORK_PATIENCE_MS));
    for (size_t i = 0; i < looking.count; i++) {
        char name[2 * sizeof walk->after + 1] = {0};
        walk->after = looking.views[i].pubkey;
        walk->has_after = true;
        if (!looking.buried[i])
            continue;
        registry_hold(work->registry, &walk->after, HOLD_DELETING);
        hex_encode(walk->after.bytes, sizeof walk->after.bytes, name);
        log_error("a key was not deleted to the end: it signs nothing, delete it again",
                  KV_STR("pubkey", name));
    }
    walk->over = !more;
    return CC_OK;
}

/* --- a delete that is taken back --------------------------------------------------------------------------------- */

static cc_err
look_for_enabled(void *context, struct slash_store *history, const struct slash_watermark *floor)
{
    struct looking *looking = context;
    (void)floor;
    for (size_t i = 0; i < looking->count; i++) {
        looking->buried[i] = true; /* so it stays where the history knows nothing of the key */
        CC_TRY(slash_visit(history, &looking->views[i].pubkey, note_buried, &looking->buried[i]));
    }
    return CC_OK;
}

/* Its row, where it has one, says what it is; one that is erased can't come back this way. */
static bool put_back(const struct key_work *work, const struct registry_view *view)
{
    enum registry_hold hold = HOLD_NONE;
    char name[2 * sizeof view->pubkey.bytes + 1] = {0};
    if (view->sources & B_KEY_FROM_ROW) {
        const struct sealed_row *row = work->book && !key_book_lacks(work->book).code
                                           ? key_book_find(work->book, &view->pubkey)
                                           : NULL;
        if (!row || row->status == ROW_DELETED)
            return false;
        hold = row->status == ROW_INACTIVE ? HOLD_INACTIVE : HOLD_NONE;
    }
    registry_hold(work->registry, &view->pubkey, hold);
    hex_encode(view->pubkey.bytes, sizeof view->pubkey.bytes, name);
    log_notice("a key that was about to be deleted is enabled again", KV_STR("pubkey", name));
    return true;
}

bool key_work_take_back(const struct key_work *work, struct buried_walk *walk, uint64_t *ret_failed)
{
    struct looking looking = {0};
    bool any = false;
    looking.count = registry_deleting(work->registry, walk->has_after ? &walk->after : NULL,
                                      looking.views, KEY_WORK_HISTORY_KEYS);
    walk->has_after = looking.count == KEY_WORK_HISTORY_KEYS; /* else from the first one again */
    if (!looking.count)
        return false;
    walk->after = looking.views[looking.count - 1].pubkey;
    if (writer_run(work->writer, look_for_enabled, &looking, KEY_WORK_PATIENCE_MS).code)
        return false;
    for (size_t i = 0; i < looking.count; i++)
        any |= !looking.buried[i] && put_back(work, &looking.views[i]);
    if (any)
        *ret_failed = key_work_load(work);
    return any;
}

/* --- status ------------------------------------------------------------------------------------------------------ */

/* Only a key of the key store alone has a status that can change. */
static void choose(struct changing *c, enum registry_hold wanted)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct change_item *item = &c->items[i];
        struct a_key_item *answer = &c->done->items[i];
        if (item->unknown)
            key_work_fail(answer, CC_FAIL(KEY_UNKNOWN, NULL));
        if (!item->on)
            continue;
        const struct sealed_row *row =
            c->work->book ? key_book_find(c->work->book, &item->before.pubkey) : NULL;
        if (item->before.hold == HOLD_DELETING) {
            stop(c, i, CC_FAIL(CONFLICT, "it is being deleted"));
        } else if (!row || row->status == ROW_DELETED) {
            stop(c, i, CC_FAIL(KEY_READONLY, NULL));
        } else if (item->before.hold == wanted) {
            item->on = false;
            answer->outcome = A_KEY_UNCHANGED;
        } else {
            item->row = *row;
        }
    }
}

/* Seals the rows for their new status; the key store's versions are those that were looked at. */
static cc_err seal_rows(struct changing *c, enum row_status status, uint32_t *number, size_t *ret_n)
{
    size_t n = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct sealed_row *row = &c->items[i].row;
        if (!c->items[i].on)
            continue;
        number[n] = i;
        c->seals[n++] = (struct b_seal_row){.status = status,
                                            .generation = c->work->generation,
                                            .version = row->version + 1,
                                            .row = *row};
    }
    *ret_n = n;
    const struct vault_questions questions = {
        .type = B_SEAL_ROW,
        .items = c->seals,
        .size = sizeof *c->seals,
        .count = n,
        .per_message = A_KEYS_IMPORTS_MAX,
        .under_way = A_KEYS_IMPORTS_MAX,
        .answer_type = B_ROW,
        .answers = c->sealed,
        .answer_size = sizeof *c->sealed,
        .patience_ms = KEY_WORK_OPEN_MS,
    };
    return vault_client_ask_many(c->work->vault, &questions);
}

static void store_rows(struct changing *c, enum row_status status)
{
    uint32_t number[A_KEYS_MAX];
    size_t sealed = 0;
    size_t n = 0;
    cc_err err = seal_rows(c, status, number, &sealed);
    for (size_t k = 0; k < sealed; k++) {
        struct change_item *item = &c->items[number[k]];
        cc_err one = err.code ? err : error_from_number(c->sealed[k].error);
        if (one.code) {
            take_back(c, number[k], one);
            continue;
        }
        c->changes[n++] = (struct key_change){item->row.version, c->sealed[k].row};
        item->row = c->sealed[k].row;
    }
    err = n ? key_book_set_status(c->work->book, c->changes, n) : CC_OK;
    for (uint32_t i = 0; err.code && i < c->count; i++)
        if (c->items[i].on)
            take_back(c, i, err);
}

static cc_err load_row(const struct key_work *work, const struct sealed_row *row)
{
    struct b_open_row question = {.source = B_KEY_FROM_ROW, .row = *row};
    struct b_opened answer = {0};
    const struct vault_questions questions = {
        .type = B_OPEN_ROW,
        .items = &question,
        .size = sizeof question,
        .count = 1,
        .per_message = 1,
        .under_way = 1,
        .answer_type = B_OPENED,
        .answers = &answer,
        .answer_size = sizeof answer,
        .patience_ms = KEY_WORK_OPEN_MS,
    };
    CC_TRY(vault_client_ask_many(work->vault, &questions));
    cc_err err = error_from_number(answer.error);
    if (err.code)
        return error_make((enum error_code)err.code, "the vault refused", __FILE__, __LINE__);
    /* It waits for the writer to see that it has its protection row. */
    registry_loaded(work->registry, &row->pubkey, answer.key, false);
    return CC_OK;
}

static void end_status(struct changing *c, enum registry_hold wanted)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct change_item *item = &c->items[i];
        if (!item->on)
            continue;
        const struct eth_pubkey *pubkey = &item->before.pubkey;
        cc_err err = wanted ? take_out(c->work, pubkey) : load_row(c->work, &item->row);
        registry_hold(c->work->registry, pubkey, wanted);
        if (err.code) {
            stop(c, i, err);
            continue;
        }
        struct registry_view view;
        if (registry_look(c->work->registry, pubkey, &view))
            key_work_show(c->work, &view, &c->done->items[i]);
        c->done->items[i].outcome = A_KEY_CHANGED;
    }
    writer_poke(c->work->writer);
}

void key_work_set(const struct key_work *work, const struct a_keys *ask, struct a_keys_done *done)
{
    const bool inactive = (ask->head.flags & KEYS_INACTIVE) != 0;
    const enum registry_hold wanted = inactive ? HOLD_INACTIVE : HOLD_NONE;
    CC_CLEANUP(cc_freep) struct changing *c = new_change(work, ask, done);
    if (!c)
        return;
    look(c);
    choose(c, wanted);
    for (uint32_t i = 0; inactive && i < c->count; i++)
        if (c->items[i].on)
            registry_hold(work->registry, &c->items[i].before.pubkey, HOLD_INACTIVE);
    store_rows(c, inactive ? ROW_INACTIVE : ROW_ACTIVE);
    end_status(c, wanted);
}
