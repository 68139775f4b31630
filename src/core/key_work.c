/* Listing, loading, pausing; and what all steps share. */
#include "core/key_work.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "codec/hex.h"
#include "core/report.h"

CC_ERR key_work_allow(const struct key_work *work,
                      const struct a_keys *ask,
                      const struct eth_pubkey *pubkey)
{
    const struct auth_question question = {
        .scope = (enum auth_scope)ask->head.scope, .kind = KIND_END, .pubkey = pubkey};
    struct auth_verdict verdict;
    authority_judge(work->authority, &ask->head.caller, &question, &verdict);
    cc_err err = error_from_number(verdict.error);
    return err.code ? error_make((enum error_code)err.code, "this key", __FILE__, __LINE__) : CC_OK;
}

void key_work_fail(struct a_key_item *item, cc_err err)
{
    item->outcome = A_KEY_ERROR;
    item->error = (uint32_t)err.code;
}

static enum a_key_source source_of(const struct key_work *work, uint32_t sources)
{
    static const enum a_key_source stores[] = {[KEY_BOOK_SQLITE] = A_KEY_SQLITE,
                                               [KEY_BOOK_POSTGRES] = A_KEY_POSTGRES,
                                               [KEY_BOOK_DYNAMODB] = A_KEY_DYNAMODB};
    if (sources & B_KEY_FROM_FILE)
        return A_KEY_FILESYSTEM;
    return work->book && (sources & B_KEY_FROM_ROW) ? stores[key_book_kind(work->book)]
                                                    : A_KEY_MEMORY;
}

static enum a_key_status status_of(const struct registry_view *view)
{
    if (view->hold)
        return view->hold == HOLD_INACTIVE ? A_KEY_INACTIVE : A_KEY_DELETING;
    switch (view->state) {
    case KEY_STATE_ACTIVE:
        return A_KEY_ACTIVE;
    case KEY_STATE_FAILED:
        return A_KEY_FAILED;
    case KEY_STATE_SEALED:
        return A_KEY_SEALED;
    case KEY_STATE_LOADING:
    case KEY_STATE_ABSENT:
    case KEY_STATE_STOPPED:
        break;
    }
    return A_KEY_LOADING;
}

void key_work_show(const struct key_work *work,
                   const struct registry_view *view,
                   struct a_key_item *ret_item)
{
    ret_item->pubkey = view->pubkey;
    ret_item->source = (uint8_t)source_of(work, view->sources);
    ret_item->status = (uint8_t)status_of(view);
    ret_item->flags = 0;
    if (view->sources & B_KEY_FROM_FILE)
        ret_item->flags |= A_KEY_READONLY;
    if (pause_names(work->pause, &view->pubkey))
        ret_item->flags |= A_KEY_PAUSED;
}

/* --- list ---------------------------------------------------------------------------------------------------- */

/* T28: a canary is not told from other keys by being in this list and not in that of public keys. */
static bool
is_hidden(const struct key_work *work, const struct a_keys *ask, const struct eth_pubkey *pubkey)
{
    const struct caller *caller = &ask->head.caller;
    return canary_has(work->canary, pubkey) && !(caller->flags & CALLER_OWNER) &&
           !authority_names_key(work->authority, caller, pubkey);
}

void key_work_list(const struct key_work *work, const struct a_keys *ask, struct a_keys_done *done)
{
    const struct eth_pubkey *after = ask->head.flags & KEYS_HAS_AFTER ? &ask->head.after : NULL;
    const size_t max = ask->head.count ? ask->head.count : A_KEYS_MAX;
    struct registry_view views[A_KEYS_MAX];
    bool more = false;
    /* The chamber's own list is for whoever looks what is wrong; tools take the Key Manager's for the whole truth. */
    const cc_err unsure = registry_is_complete(work->registry);
    if (ask->head.scope == SCOPE_LIST_KEYS && unsure.code) {
        done->head.error = (uint32_t)unsure.code;
        return;
    }
    const size_t n = registry_after(work->registry, after, views, max, &more);
    for (size_t i = 0; i < n; i++)
        if (!key_work_allow(work, ask, &views[i].pubkey).code &&
            !is_hidden(work, ask, &views[i].pubkey))
            key_work_show(work, &views[i], &done->items[done->head.count++]);
    /* Also past those that the caller may not see. */
    if (n)
        done->head.after = views[n - 1].pubkey;
    done->head.flags = more ? KEYS_MORE : 0;
    done->head.paused_all = pause_all(work->pause);
}

/* --- pause, resume --------------------------------------------------------------------------------------------- */

static void pause_keys_of(const struct key_work *work,
                          const struct a_keys *ask,
                          struct pause_change *change,
                          struct a_keys_done *done)
{
    struct eth_pubkey allowed[A_KEYS_MAX];
    uint32_t number[A_KEYS_MAX];
    for (uint32_t i = 0; i < ask->head.count; i++) {
        done->items[i].pubkey = ask->is.keys[i];
        cc_err err = key_work_allow(work, ask, &ask->is.keys[i]);
        if (err.code) {
            key_work_fail(&done->items[i], err);
            continue;
        }
        number[change->count] = i;
        allowed[change->count++] = ask->is.keys[i];
    }
    done->head.count = ask->head.count;
    if (!change->count)
        return;
    change->keys = allowed;
    cc_err err = keeper_run(work->keeper, pause_job, change, KEY_WORK_PATIENCE_MS);
    for (size_t i = 0; i < change->count; i++) {
        struct a_key_item *item = &done->items[number[i]];
        item->outcome = change->changed[i] ? A_KEY_CHANGED : A_KEY_UNCHANGED;
        if (err.code)
            key_work_fail(item, err);
    }
}

/* T20: all keys are an order of who may give it for each, those that have not come yet among them. */
static cc_err allow_all(const struct key_work *work, const struct a_keys *ask)
{
    const struct auth_question question = {
        .scope = (enum auth_scope)ask->head.scope, .kind = KIND_END, .every_key = true};
    struct auth_verdict verdict;
    authority_judge(work->authority, &ask->head.caller, &question, &verdict);
    cc_err err = error_from_number(verdict.error);
    return err.code ? error_make((enum error_code)err.code, "one of the keys", __FILE__, __LINE__)
                    : CC_OK;
}

void key_work_pause(const struct key_work *work, const struct a_keys *ask, struct a_keys_done *done)
{
    struct pause_change change = {.pause = ask->head.verb == KEYS_PAUSE};
    if (!(ask->head.flags & KEYS_ALL)) {
        pause_keys_of(work, ask, &change, done);
        return;
    }
    cc_err err = allow_all(work, ask);
    if (!err.code)
        err = keeper_run(work->keeper, pause_job, &change, KEY_WORK_PATIENCE_MS);
    done->head.error = (uint32_t)err.code;
    done->head.paused_all = pause_all(work->pause);
}

/* --- load ------------------------------------------------------------------------------------------------------ */

enum {
    LOAD_AT_ONCE = 256,
    LOAD_PER_MESSAGE = 16, /* 3 ms of a thread that signs */
    LOAD_UNDER_WAY = 128
};

struct loading {
    struct b_open_row questions[LOAD_AT_ONCE];
    struct b_opened answers[LOAD_AT_ONCE];
    size_t count;
    uint64_t failed;
    struct report_budget lines;
};

static void log_row(struct loading *loading, const struct sealed_row *row, cc_err err)
{
    char name[2 * sizeof row->pubkey.bytes + 1] = {0};
    uint32_t held_back = 0;
    loading->failed++;
    if (!report_may_log(&loading->lines, &held_back))
        return;
    hex_encode(row->pubkey.bytes, sizeof row->pubkey.bytes, name);
    log_error("a key of the key store can't be loaded", KV_STR("pubkey", name),
              KV_STR("error", error_name(err)), KV_STR("reason", error_text(err)),
              KV_NUM("lines_held_back", held_back));
}

static void load_some(const struct key_work *work, struct loading *loading)
{
    memset(loading->answers, 0, sizeof loading->answers);
    const struct vault_questions questions = {
        .type = B_OPEN_ROW,
        .items = loading->questions,
        .size = sizeof *loading->questions,
        .count = loading->count,
        .per_message = LOAD_PER_MESSAGE,
        .under_way = LOAD_UNDER_WAY,
        .answer_type = B_OPENED,
        .answers = loading->answers,
        .answer_size = sizeof *loading->answers,
        .patience_ms = KEY_WORK_OPEN_MS,
    };
    cc_err asked = vault_client_ask_many(work->vault, &questions);
    for (size_t i = 0; i < loading->count; i++) {
        const struct sealed_row *row = &loading->questions[i].row;
        cc_err err = asked.code ? asked : error_from_number(loading->answers[i].error);
        if (error_is(err, ERROR_SEALED)) {
            continue; /* it is loaded when the master key is open */
        } else if (err.code) {
            log_row(loading, row, err);
            registry_failed(work->registry, &row->pubkey);
        } else {
            registry_loaded(work->registry, &row->pubkey, loading->answers[i].key, false);
        }
    }
    loading->count = 0;
    writer_poke(work->writer);
}

/* True for a row whose key the vault has to open. */
static bool is_missing(const struct key_work *work, const struct sealed_row *row)
{
    struct registry_view view;
    return row->status == ROW_ACTIVE && registry_look(work->registry, &row->pubkey, &view) &&
           !view.has_handle;
}

uint64_t key_work_load(const struct key_work *work)
{
    CC_CLEANUP(cc_freep) struct loading *loading = NULL;
    const uint64_t began_ms = clock_mono_ms();
    size_t count = 0;
    size_t asked = 0;
    if (!work->book || registry_rows_are_closed(work->registry))
        return 0;
    const struct sealed_row *rows = key_book_rows(work->book, &count);
    if (count && !(loading = cc_alloc(sizeof *loading))) {
        log_error("the keys of the key store can't be loaded: out of memory");
        return count;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_missing(work, &rows[i]))
            continue;
        asked++;
        loading->questions[loading->count++] =
            (struct b_open_row){.source = B_KEY_FROM_ROW, .row = rows[i]};
        if (loading->count == LOAD_AT_ONCE)
            load_some(work, loading);
    }
    if (loading && loading->count)
        load_some(work, loading);
    if (asked)
        log_notice("keys of the key store are loaded", KV_NUM("keys", asked - loading->failed),
                   KV_NUM("failed", loading->failed),
                   KV_NUM("took_ms", clock_mono_ms() - began_ms));
    return loading ? loading->failed : 0;
}
