#include "core/key_move.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "codec/hex.h"
#include "core/key_rows.h"
#include "core/test_point.h"

enum {
    LINES_MAX = 20 /* keys that are named */
};

struct place {
    enum key_book_kind kind;
    char path[STORES_PATH_MAX];
    struct key_book_settings settings;
    char name[STATE_NAME_SIZE]; /* of its record; "": it has none */
    struct key_order_record found;
};

struct moving {
    struct key_order *order;
    struct place from;
    struct place to;
    struct key_book *source;               /* NULL: nothing is left to be moved */
    struct key_book *live;                 /* the target, where it is in use; else NULL */
    struct key_store *fresh;               /* and where it is not */
    uint8_t digest[KEY_STORE_DIGEST_SIZE]; /* of the fresh one's rows, in the end */
    uint64_t keys;
    uint64_t tombstones;
    uint64_t there;  /* of them, what the target has already */
    uint64_t differ; /* of those, with another status */
    struct key_change changes[KEY_STORE_CHANGE_MAX];
};

static void moving_free(struct moving **at)
{
    struct moving *m = *at;
    if (!m)
        return;
    key_book_close(m->source);
    key_book_close(m->live);
    key_store_close(m->fresh);
    cc_free(m);
}

static cc_err new_moving(struct key_order *order,
                         enum key_book_kind from,
                         enum key_book_kind to,
                         struct moving **ret_moving)
{
    struct moving *m = cc_alloc(sizeof *m);
    if (!m)
        return CC_FAIL(NO_MEMORY, NULL);
    *m = (struct moving){.order = order, .from = {.kind = from}, .to = {.kind = to}};
    *ret_moving = m;
    return CC_OK;
}

static cc_err configure(const struct moving *m, struct place *place)
{
    return stores_key_settings(m->order->config, m->order->stores, place->kind, place->path,
                               &place->settings);
}

/* --- records -------------------------------------------------------------------------------------------------------------- */

/* As a signer that starts finds it: by its name, or as the first one of its kind. */
static cc_err find_record(const struct moving *m, struct place *place)
{
    const struct key_record_path in = {.state = m->order->stores->state,
                                       .signer = &m->order->signer};
    char prefix[STATE_NAME_SIZE];
    struct key_seen seen;
    memset(place->name, 0, sizeof place->name);
    if (place->kind == KEY_BOOK_SQLITE)
        key_record_name(place->kind, m->order->stores->replica, place->name);
    (void)snprintf(prefix, sizeof prefix, "%s-", key_book_kind_name(place->kind));
    CC_TRY(key_record_look(&in, place->name, prefix, false, &seen));
    memcpy(place->name, seen.name, sizeof place->name);
    return place->name[0] ? key_order_find(m->order, place->name, &place->found) : CC_OK;
}

static struct state_change change_of(const struct place *place,
                                     const struct key_book_record *record,
                                     uint8_t bytes[static KEY_BOOK_RECORD_SIZE])
{
    key_book_record_encode(record, bytes);
    return (struct state_change){.kind = KEY_RECORD_KIND,
                                 .name = place->name,
                                 .expected_version = place->found.version,
                                 .bytes = span_of(bytes, KEY_BOOK_RECORD_SIZE)};
}

static cc_err put_mark(const struct moving *m, struct place *place, enum key_mark mark)
{
    uint8_t bytes[KEY_BOOK_RECORD_SIZE];
    struct key_book_record record = place->found.record;
    record.mark = mark;
    memset(record.to, 0, sizeof record.to);
    if (mark >= KEY_MARK_MOVING)
        memcpy(record.to, m->to.name, sizeof record.to);
    const struct state_change change = change_of(place, &record, bytes);
    CC_TRY(key_order_commit(m->order, &change, 1));
    return key_order_find(m->order, place->name, &place->found);
}

/* --- the source ------------------------------------------------------------------------------------------------------------- */

/* Its rows are those of its record, and nothing is left half done. */
static cc_err open_source(struct moving *m)
{
    struct stores *stores = m->order->stores;
    CC_TRY(configure(m, &m->from));
    m->from.settings.to_move = true;
    m->from.settings.may_make = false;
    CC_TRY(key_book_open(&m->from.settings, stores->state, &m->order->signer, &m->source));
    CC_TRY(key_book_lacks(m->source));
    CC_TRY(key_book_settle(m->source));
    return key_order_find(m->order, m->from.name, &m->from.found);
}

/* --- the target --------------------------------------------------------------------------------------------------------------- */

static cc_err open_live(struct moving *m)
{
    struct stores *stores = m->order->stores;
    key_store_close(m->fresh);
    m->fresh = NULL;
    CC_TRY(key_book_open(&m->to.settings, stores->state, &m->order->signer, &m->live));
    CC_TRY(key_book_lacks(m->live));
    return key_book_settle(m->live);
}

static cc_err make_file(const struct moving *m)
{
    const struct key_book_settings *s = &m->to.settings;
    return key_store_sqlite_create(s->path, s->production);
}

/* The store is there, and has an id. */
static cc_err open_bare(struct moving *m)
{
    CC_TRY(key_book_make(&m->to.settings));
    CC_TRY(key_book_open_store(&m->to.settings, &m->fresh));
    if (!m->fresh) {
        CC_TRY(make_file(m));
        CC_TRY(key_book_open_store(&m->to.settings, &m->fresh));
    }
    struct key_rows rows = {0};
    cc_err err = key_rows_read(m->fresh, &rows); /* with it the id, if there is one */
    key_rows_release(&rows);
    CC_TRY(err);
    return key_store_begin(m->fresh);
}

/* Of shared stores of one kind a signer takes the first record that counts: there must be no second one. */
static cc_err name_target(struct moving *m)
{
    char known[STATE_NAME_SIZE];
    CC_TRY(find_record(m, &m->to));
    memcpy(known, m->to.name, sizeof known);
    if (m->to.kind != KEY_BOOK_SQLITE)
        key_record_name(m->to.kind, m->fresh->id, m->to.name);
    if (known[0] && strcmp(known, m->to.name) != 0 && m->to.found.record.mark != KEY_MARK_MOVED)
        return CC_FAIL(KEYS_MOVED, "this chamber has another key store of the target's kind");
    return key_order_find(m->order, m->to.name, &m->to.found);
}

static cc_err open_target(struct moving *m)
{
    CC_TRY(configure(m, &m->to));
    CC_TRY(open_bare(m));
    CC_TRY(name_target(m));
    if (m->to.found.record.mark == KEY_MARK_MOVING)
        return CC_FAIL(KEYS_MOVED, "the target's own keys are being moved: end that first");
    return m->to.found.there && m->to.found.record.mark != KEY_MARK_MOVED ? open_live(m) : CC_OK;
}

/* --- before the first step -------------------------------------------------------------------------------------------------- */

/* The rows were read before the question: whoever has changed them since may have gone by now. */
static cc_err check_rows(const struct moving *m)
{
    const struct key_book_record *record = &m->from.found.record;
    const struct key_book_record *read = &key_book_seen(m->source)->record;
    return !record->has_next && span_equal(span_of(record->current, sizeof record->current),
                                           span_of(read->current, sizeof read->current))
               ? CC_OK
               : CC_FAIL(CONFLICT, "a signer has just changed the key store: move again");
}

/* A move that was begun goes to where it was begun to. */
static cc_err mark_source(struct moving *m)
{
    if (m->from.found.record.mark == KEY_MARK_MOVING)
        return strcmp(m->from.found.record.to, m->to.name) == 0
                   ? CC_OK
                   : CC_FAIL(KEYS_MOVED,
                             "its keys are on their way to another store: `keys stores`");
    if (m->from.kind != KEY_BOOK_SQLITE) {
        CC_TRY(key_order_ask(m->order, m->from.name));
        CC_TRY(key_order_find(m->order, m->from.name, &m->from.found));
    }
    CC_TRY(check_rows(m));
    CC_TRY(put_mark(m, &m->from, KEY_MARK_MOVING));
    test_point_pass(TEST_POINT_MOVE_MARKED);
    return CC_OK;
}

/* Somebody may have put a first key there meanwhile. From the mark on nobody can: the target is what it is now. */
static cc_err look_again(const struct moving *m)
{
    struct key_order_record now;
    CC_TRY(key_order_find(m->order, m->to.name, &now));
    return m->live || now.version == m->to.found.version
               ? CC_OK
               : CC_FAIL(CONFLICT, "another signer has just begun to use the target: move again");
}

/* --- copying ------------------------------------------------------------------------------------------------------------------ */

static bool same_row(const struct sealed_row *a, const struct sealed_row *b)
{
    return key_store_order(&a->pubkey, &b->pubkey) == 0 && a->status == b->status &&
           a->generation == b->generation && a->version == b->version &&
           span_equal(span_of(a->sealed, sizeof a->sealed), span_of(b->sealed, sizeof b->sealed));
}

static void count(struct moving *m, const struct sealed_row *row)
{
    m->keys += row->status != ROW_DELETED;
    m->tombstones += row->status == ROW_DELETED;
}

static void
name_difference(struct moving *m, const struct sealed_row *ours, const struct sealed_row *theirs)
{
    static const char *const words[] = {
        [ROW_ACTIVE] = "active", [ROW_INACTIVE] = "inactive", [ROW_DELETED] = "deleted"};
    char hex[2 * sizeof ours->pubkey.bytes + 1] = {0};
    if (ours->status == theirs->status || m->differ++ >= LINES_MAX)
        return;
    hex_encode(ours->pubkey.bytes, sizeof ours->pubkey.bytes, hex);
    log_warn("a key is in both stores, and stays as the target has it", KV_STR("pubkey", hex),
             KV_STR("source", words[ours->status]), KV_STR("target", words[theirs->status]));
}

/* What there is in a place that no record speaks of must be what an earlier try has left, or an older state of these rows. */
static cc_err check_leftovers(const struct key_rows *there, const struct key_book *source)
{
    for (size_t i = 0; i < there->count; i++) {
        const struct sealed_row *row = key_book_find(source, &there->rows[i].pubkey);
        if (!row || row->version < there->rows[i].version ||
            (row->version == there->rows[i].version && !same_row(row, &there->rows[i])))
            return CC_FAIL(EXISTS, "the target has other rows: give it an empty place");
    }
    return CC_OK;
}

static cc_err write_some(struct moving *m, size_t *n)
{
    const size_t count = *n;
    *n = 0;
    if (!count)
        return CC_OK;
    CC_TRY(m->live ? key_book_copy(m->live, m->changes, count)
                   : key_store_copy(m->fresh, m->changes, count));
    test_point_pass(TEST_POINT_MOVE_COPIED);
    return CC_OK;
}

static cc_err copy_fresh(struct moving *m, const struct key_rows *there)
{
    size_t total = 0, n = 0;
    const struct sealed_row *rows = key_book_rows(m->source, &total);
    CC_TRY(check_leftovers(there, m->source));
    for (size_t i = 0; i < total; i++) {
        const struct sealed_row *old = key_rows_find(there, &rows[i].pubkey);
        count(m, &rows[i]);
        order_progress_tell(m->order->progress, i + 1, total);
        if (old && same_row(old, &rows[i]))
            continue;
        m->changes[n++] = (struct key_change){old ? old->version : 0, rows[i]};
        if (n == KEY_STORE_CHANGE_MAX)
            CC_TRY(write_some(m, &n));
    }
    return write_some(m, &n);
}

/* Read again: what the record will say is what is there. */
static cc_err compare(struct moving *m)
{
    size_t total = 0;
    struct key_rows there = {0};
    const struct sealed_row *rows = key_book_rows(m->source, &total);
    CC_TRY(key_rows_read(m->fresh, &there));
    bool same = there.count == total;
    for (size_t i = 0; same && i < total; i++)
        same = same_row(&there.rows[i], &rows[i]);
    memcpy(m->digest, there.digest, sizeof m->digest);
    key_rows_release(&there);
    return same ? CC_OK : CC_FAIL(EXISTS, "somebody else writes the target");
}

static cc_err fill_fresh(struct moving *m)
{
    struct key_rows there = {0};
    CC_TRY(key_rows_read(m->fresh, &there));
    cc_err err = copy_fresh(m, &there);
    key_rows_release(&there);
    return err.code ? err : compare(m);
}

/* The target's row stands where it has one. Rows move in memory with each change, so they are looked for each time. */
static cc_err fill_live(struct moving *m)
{
    size_t total = 0, n = 0;
    const struct sealed_row *rows = key_book_rows(m->source, &total);
    for (size_t i = 0; i < total; i++) {
        const struct sealed_row *old = key_book_find(m->live, &rows[i].pubkey);
        count(m, &rows[i]);
        order_progress_tell(m->order->progress, i + 1, total);
        if (old) {
            m->there++;
            name_difference(m, &rows[i], old);
            continue;
        }
        m->changes[n++] = (struct key_change){0, rows[i]};
        if (n == KEY_STORE_CHANGE_MAX)
            CC_TRY(write_some(m, &n));
    }
    return write_some(m, &n);
}

/* --- the last step -------------------------------------------------------------------------------------------------------------- */

static cc_err finish(struct moving *m)
{
    uint8_t bytes[2][KEY_BOOK_RECORD_SIZE];
    struct state_change changes[2];
    struct key_book_record left = {.mark = KEY_MARK_MOVED};
    struct key_book_record taken = {.has_next = false};
    size_t n = 0;
    memcpy(left.to, m->to.name, sizeof left.to);
    CC_TRY(key_store_digest(NULL, 0, left.current));
    memcpy(taken.current, m->digest, sizeof taken.current);
    changes[n++] = change_of(&m->from, &left, bytes[0]);
    if (!m->live)
        changes[n++] = change_of(&m->to, &taken, bytes[1]);
    test_point_pass(TEST_POINT_MOVE_WRITTEN);
    CC_TRY(key_order_commit(m->order, changes, n));
    test_point_pass(TEST_POINT_MOVE_ENDED);
    return CC_OK;
}

/* --- the orders --------------------------------------------------------------------------------------------------------------------- */

/* The name of the store that is there now; "": it has no id. */
static cc_err look_at_target(struct moving *m)
{
    struct key_rows rows = {0};
    CC_TRY(configure(m, &m->to));
    if (m->to.kind == KEY_BOOK_SQLITE) {
        key_record_name(m->to.kind, m->order->stores->replica, m->to.name);
        return CC_OK;
    }
    CC_TRY(key_book_open_store(&m->to.settings, &m->fresh));
    CC_TRY(key_rows_read(m->fresh, &rows)); /* with it the id */
    key_rows_release(&rows);
    if (m->fresh->has_id)
        key_record_name(m->to.kind, m->fresh->id, m->to.name);
    return CC_OK;
}

/* An earlier order has come to its end: it went to the same store, or this one can't be carried out. */
static cc_err check_moved(struct moving *m)
{
    const char *in = m->from.found.record.to;
    const cc_err err = m->to.kind != m->from.kind ? look_at_target(m) : CC_OK;
    if (!err.code && strcmp(in, m->to.name) == 0)
        return CC_OK;
    const char *why = error_detail();
    log_error(
        "the keys of this key store were moved before, and not to the store that is named now",
        KV_STR("from", m->from.name), KV_STR("in", in), KV_STR("named", m->to.name));
    return err.code ? error_make((enum error_code)err.code, why, __FILE__, __LINE__)
                    : CC_FAIL(KEYS_MOVED, "its keys are in another store: `keys stores`");
}

/* *ret_there: the chamber has a record of such a store. *ret_moved: an earlier order has come to its end. */
static cc_err find_source(struct moving *m, bool *ret_there, bool *ret_moved)
{
    CC_TRY(find_record(m, &m->from));
    *ret_there = m->from.found.there;
    *ret_moved = *ret_there && m->from.found.record.mark == KEY_MARK_MOVED;
    return *ret_moved ? check_moved(m) : CC_OK;
}

static cc_err say_nothing(const struct moving *m, struct buf *ret_answer)
{
    return buf_printf(
        ret_answer,
        KEY_MOVE_NOTHING
        ": no key of this chamber is in %s here; `keys stores` shows where they are\n",
        key_book_kind_name(m->from.kind));
}

static cc_err move(struct moving *m)
{
    CC_TRY(open_source(m));
    test_point_pass(TEST_POINT_MOVE_READ);
    CC_TRY(open_target(m));
    CC_TRY(mark_source(m));
    CC_TRY(look_again(m));
    CC_TRY(m->live ? fill_live(m) : fill_fresh(m));
    return finish(m);
}

static cc_err tell(const struct moving *m, struct buf *ret_answer)
{
    CC_TRY(buf_printf(ret_answer,
                      "%" PRIu64 " keys and %" PRIu64 " tombstones of %s are in %s now\n", m->keys,
                      m->tombstones, m->from.name, m->to.name));
    if (m->there)
        CC_TRY(buf_printf(ret_answer,
                          "%" PRIu64 " of them were there already, %" PRIu64
                          " with another status: they stay as they were there\n",
                          m->there, m->differ));
    return CC_OK;
}

CC_ERR key_move(struct key_order *order,
                enum key_book_kind from,
                enum key_book_kind to,
                struct buf *ret_answer)
{
    CC_CLEANUP(moving_free) struct moving *m = NULL;
    bool there = false, moved = false;
    CC_TRY(new_moving(order, from, to, &m));
    CC_TRY(find_source(m, &there, &moved));
    if (!there)
        return say_nothing(m, ret_answer);
    if (moved)
        return buf_printf(ret_answer, "its keys were moved before: nothing to do\n");
    CC_TRY(key_order_begin(order));
    CC_TRY(key_order_end(order, "key_store_move", m->from.name, move(m)));
    log_notice("the keys of a key store were moved", KV_STR("from", m->from.name),
               KV_STR("to", m->to.name), KV_NUM("keys", m->keys),
               KV_NUM("tombstones", m->tombstones));
    return tell(m, ret_answer);
}

/* Where the target has a record it may load what has come, so there is no way back. */
static cc_err cancel(struct moving *m)
{
    struct key_order_record target;
    if (m->from.found.record.mark != KEY_MARK_MOVING)
        return CC_FAIL(CONFLICT, "its keys are not being moved");
    CC_TRY(key_order_find(m->order, m->from.found.record.to, &target));
    if (target.there && target.record.mark != KEY_MARK_MOVED)
        return CC_FAIL(CONFLICT, "the target is in use and has some of the keys: end the move");
    return put_mark(m, &m->from, KEY_MARK_NONE);
}

CC_ERR key_move_cancel(struct key_order *order, enum key_book_kind from, struct buf *ret_answer)
{
    CC_CLEANUP(moving_free) struct moving *m = NULL;
    bool there = false, moved = false;
    CC_TRY(new_moving(order, from, from, &m));
    CC_TRY(find_source(m, &there, &moved));
    if (!there)
        return say_nothing(m, ret_answer);
    CC_TRY(key_order_begin(order));
    CC_TRY(key_order_end(order, "key_store_move_cancel", m->from.name, cancel(m)));
    return buf_printf(ret_answer, "%s has its keys again\n", m->from.name);
}
