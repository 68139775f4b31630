#include "core/key_order.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

#include "core/audit_answer.h"
#include "core/key_rows.h"
#include "seal/record.h"

enum {
    COMMIT_TRIES = 16, /* while others commit */
    ASK_MS = 5000,     /* at least; and three looks of a signer */
    ASK_POLL_MS = 200
};

/* --- the audit log ---------------------------------------------------------------------------------------------------- */

CC_ERR key_order_begin(struct key_order *order)
{
    return audit_begin(order->config, order->vault, order->stores, &order->audit);
}

CC_ERR
key_order_end(struct key_order *order, const char *operation, const char *subject, cc_err err)
{
    struct audit_entry entry = {
        .event = "manage", .operation = operation, .error = (uint32_t)err.code};
    (void)snprintf(entry.principal, sizeof entry.principal, "owner");
    (void)snprintf(entry.subject, sizeof entry.subject, "%s", subject);
    const char *detail = error_detail();
    cc_err written = audit_event(order->audit, &entry);
    audit_end(order->audit, order->config, order->stores, &order->signer);
    order->audit = NULL;
    return err.code ? error_make((enum error_code)err.code, detail, __FILE__, __LINE__) : written;
}

/* --- records ------------------------------------------------------------------------------------------------------------ */

static cc_err refresh(const struct key_order *order)
{
    struct state_fault fault;
    bool changed;
    return state_refresh(order->stores->state, &changed, &fault);
}

static uint64_t version_of(const struct key_order *order, const char *kind, const char *name)
{
    const struct state_record *there = state_find(order->stores->state, kind, name);
    return there ? there->version : 0;
}

CC_ERR
key_order_commit(const struct key_order *order, const struct state_change *changes, size_t n)
{
    cc_err err = CC_OK;
    for (unsigned tries = 0; tries < COMMIT_TRIES; tries++) {
        for (size_t i = 0; i < n; i++)
            if (version_of(order, changes[i].kind, changes[i].name) != changes[i].expected_version)
                return CC_FAIL(CONFLICT, "the record of the key store has changed meanwhile");
        err = state_commit(order->stores->state, changes, n, &order->signer);
        if (!error_is(err, ERROR_CONFLICT))
            return err;
        CC_TRY(refresh(order));
    }
    return err;
}

CC_ERR
key_order_find(const struct key_order *order, const char *name, struct key_order_record *ret_record)
{
    const struct state_record *there = state_find(order->stores->state, KEY_RECORD_KIND, name);
    *ret_record = (struct key_order_record){.there = there != NULL};
    if (!there)
        return CC_OK;
    ret_record->version = there->version;
    return key_book_record_decode(span_of(there->bytes, there->len), &ret_record->record);
}

/* --- whether anybody uses a store ------------------------------------------------------------------------------------------ */

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static uint64_t patience_ms(const struct key_order *order)
{
    const uint64_t looks = 3000 * (uint64_t)order->config->signer_state.refresh_interval_seconds;
    return looks > ASK_MS ? looks + 1000 : ASK_MS;
}

static cc_err put_question(const struct key_order *order,
                           const char *name,
                           const struct key_order_record *found,
                           uint64_t *ret_version)
{
    uint8_t bytes[KEY_BOOK_RECORD_SIZE];
    struct key_book_record asked = found->record;
    asked.mark = KEY_MARK_ASKED;
    key_book_record_encode(&asked, bytes);
    const struct state_change change = {.kind = KEY_RECORD_KIND,
                                        .name = name,
                                        .expected_version = found->version,
                                        .bytes = span_of(bytes, sizeof bytes)};
    *ret_version = found->version + 1;
    return key_order_commit(order, &change, 1);
}

/* A state store of one process has nobody else. A question that an earlier order has left there is put again; so it is where a change is
 * half done: whoever makes it lives, and takes the mark away or goes on, and the record is another then.
 */
CC_ERR key_order_ask(const struct key_order *order, const char *name)
{
    struct key_order_record found;
    uint64_t version = 0;
    CC_TRY(key_order_find(order, name, &found));
    if (!order->stores->state->ops->shared)
        return CC_OK;
    CC_TRY(put_question(order, name, &found, &version));
    log_notice("asking whether a signer uses the key store", KV_STR("record", name),
               KV_NUM("seconds", (patience_ms(order) + 999) / 1000));
    const uint64_t until_ms = clock_mono_ms() + patience_ms(order);
    while (clock_mono_ms() < until_ms) {
        pause_ms(ASK_POLL_MS);
        CC_TRY(refresh(order));
        if (version_of(order, KEY_RECORD_KIND, name) != version)
            return CC_FAIL(CONFLICT, "a running signer uses this key store");
    }
    return CC_OK;
}

/* --- list ---------------------------------------------------------------------------------------------------------------- */

static const char *state_of(const struct key_book_record *record)
{
    uint8_t none[KEY_STORE_DIGEST_SIZE];
    if (record->mark == KEY_MARK_MOVING)
        return KEY_ORDER_MOVING;
    if (record->mark == KEY_MARK_MOVED)
        return KEY_ORDER_MOVED;
    const bool empty =
        !record->has_next && !key_store_digest(NULL, 0, none).code &&
        span_equal(span_of(record->current, sizeof none), span_of(none, sizeof none));
    return empty ? "no keys" : "keys";
}

CC_ERR key_order_list(struct key_order *order, struct buf *ret_answer)
{
    const struct state_record *there = NULL;
    struct key_book_record record;
    if (!state_next(order->stores->state, KEY_RECORD_KIND, NULL))
        return buf_append_str(ret_answer, KEY_ORDER_NONE "\n");
    while ((there = state_next(order->stores->state, KEY_RECORD_KIND,
                               there ? there->name : NULL)) != NULL) {
        const bool bad =
            key_book_record_decode(span_of(there->bytes, there->len), &record).code != 0;
        if (buf_printf(ret_answer, "%s %s%s\n", there->name, bad ? "unreadable" : state_of(&record),
                       bad ? "" : record.to)
                .code) {
            ret_answer->len = ret_answer->len > 4 ? ret_answer->len - 4 : 0;
            return buf_append_str(ret_answer, KEY_ORDER_CUT "\n");
        }
    }
    return CC_OK;
}

/* --- forget --------------------------------------------------------------------------------------------------------------- */

/* The id that a shared store has now is what its record is named by. One that can't be reached may be the one. */
static cc_err find_own(const struct key_order *order,
                       enum key_book_kind kind,
                       char ret_name[static STATE_NAME_SIZE])
{
    char path[STORES_PATH_MAX];
    struct key_book_settings settings;
    struct key_store *store = NULL;
    struct key_rows rows = {0};
    if (kind == KEY_BOOK_SQLITE) {
        key_record_name(kind, order->stores->replica, ret_name);
        return CC_OK;
    }
    CC_TRY(stores_key_settings(order->config, order->stores, kind, path, &settings));
    CC_TRY(key_book_open_store(&settings, &store));
    cc_err err = key_rows_read(store, &rows);
    if (store->has_id)
        key_record_name(kind, store->id, ret_name);
    key_rows_release(&rows);
    key_store_close(store);
    return error_is(err, ERROR_STORE)
               ? CC_FAIL(
                     KEY_STORE,
                     "the key store that is configured can't be reached: whether it is this one is not known")
               : CC_OK;
}

/* Keys that lie here would be lost, and needn't be. */
static cc_err check_file(const struct key_order *order, const char *name)
{
    char own[STATE_NAME_SIZE], path[STORES_PATH_MAX];
    struct key_book_settings settings;
    struct key_store *store = NULL;
    struct key_rows rows = {0};
    key_record_name(KEY_BOOK_SQLITE, order->stores->replica, own);
    if (strcmp(own, name) != 0)
        return CC_OK;
    CC_TRY(stores_key_settings(order->config, order->stores, KEY_BOOK_SQLITE, path, &settings));
    CC_TRY(key_book_open_store(&settings, &store));
    cc_err err = key_rows_read(store, &rows);
    const size_t count = rows.count;
    key_rows_release(&rows);
    key_store_close(store);
    return !err.code && count
               ? CC_FAIL(CONFLICT,
                         "its file is here: `keys move --from sqlite`, or move the file away first")
               : CC_OK;
}

/* A store without an id may be a new one, or one that has lost it; it has no name then. */
static bool may_be_own(enum key_book_kind kind, const char *own, const char *name)
{
    const char *word = key_book_kind_name(kind);
    const size_t len = strlen(word);
    return !own[0] && strncmp(name, word, len) == 0 && name[len] == '-';
}

static cc_err check_own(const struct key_order *order, const char *name, bool force)
{
    char own[STATE_NAME_SIZE] = "";
    enum key_book_kind kind;
    if (!stores_key_kind(order->config, &kind))
        return check_file(order, name);
    CC_TRY(find_own(order, kind, own));
    if (!force && may_be_own(kind, own, name))
        return CC_FAIL(
            CONFLICT,
            "the key store that is configured has no id: it may be this one; --force says that it is not");
    return strcmp(own, name) == 0 ? CC_FAIL(CONFLICT, "it is the key store that is configured here")
                                  : check_file(order, name);
}

static cc_err check(const struct key_order *order, const char *name, bool force)
{
    struct key_order_record found;
    if (!state_find(order->stores->state, KEY_RECORD_KIND, name))
        return CC_FAIL(NAME_UNKNOWN, "there is no record of such a key store: `keys stores`");
    CC_TRY(check_own(order, name, force));
    if (!state_find(order->stores->state, SEAL_RECORD_KIND, SEAL_RECORD_CURRENT))
        return CC_FAIL(
            SEAL_STATE,
            "there is no set that these keys could be sealed under: a record is missing");
    if (!key_order_find(order, name, &found).code && found.record.mark == KEY_MARK_MOVING)
        return CC_FAIL(CONFLICT, "its keys are being moved: end that, or `keys move --cancel`");
    return CC_OK;
}

static cc_err forget(const struct key_order *order, const char *name, bool force)
{
    struct key_order_record found;
    CC_TRY(check(order, name, force));
    cc_err err = key_order_find(order, name, &found);
    if (err.code && !force)
        return CC_FAIL(
            CONFLICT,
            "its record can't be read, so no signer can be asked: stop all others, then --force");
    if (!err.code && found.record.mark != KEY_MARK_MOVED)
        CC_TRY(key_order_ask(order, name));
    const struct state_change change = {.kind = KEY_RECORD_KIND,
                                        .name = name,
                                        .expected_version =
                                            version_of(order, KEY_RECORD_KIND, name),
                                        .remove = true};
    return key_order_commit(order, &change, 1);
}

CC_ERR
key_order_forget(struct key_order *order, const char *name, bool force, struct buf *ret_answer)
{
    CC_TRY(key_order_begin(order));
    CC_TRY(key_order_end(order, "key_store_forget", name, forget(order, name, force)));
    log_notice("a key store is forgotten: its rows are loaded nowhere any more",
               KV_STR("record", name));
    return buf_printf(ret_answer, "forgotten: %s\n", name);
}
