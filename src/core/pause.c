#include "core/pause.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/num.h"

#include "keys/store.h"

static const char kind[] = "pause";
static const char name_all[] = "all";
static const char name_keys[] = "keys";

enum {
    RECORD_VERSION = 1
};

struct pause {
    pthread_mutex_t lock; /* guards all below; a leaf */
    bool all;
    bool unreadable;
    struct pause_keys named;
};

CC_ERR pause_new(struct pause **ret_pause)
{
    struct pause *pause = cc_alloc(sizeof *pause);
    if (!pause)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_assert(pthread_mutex_init(&pause->lock, NULL) == 0);
    *ret_pause = pause;
    return CC_OK;
}

void pause_free(struct pause *pause)
{
    if (!pause)
        return;
    (void)pthread_mutex_destroy(&pause->lock);
    cc_free(pause);
}

static void take_lock(struct pause *pause)
{
    cc_assert(pthread_mutex_lock(&pause->lock) == 0);
}

static void drop_lock(struct pause *pause)
{
    cc_assert(pthread_mutex_unlock(&pause->lock) == 0);
}

/* --- the record ------------------------------------------------------------------------------------------- */

size_t pause_keys_encode(const struct pause_keys *keys, uint8_t *ret_bytes)
{
    cc_assert(keys->count <= A_KEYS_PAUSED_MAX);
    u32_store_be(ret_bytes, RECORD_VERSION);
    u32_store_be(ret_bytes + 4, keys->count);
    if (keys->count)
        memcpy(ret_bytes + PAUSE_KEYS_HEAD, keys->keys, keys->count * sizeof *keys->keys);
    return PAUSE_KEYS_HEAD + keys->count * sizeof *keys->keys;
}

CC_ERR pause_keys_decode(struct span bytes, struct pause_keys *ret_keys)
{
    uint8_t head[PAUSE_KEYS_HEAD];
    const size_t count = bytes.len < PAUSE_KEYS_HEAD
                             ? SIZE_MAX
                             : (bytes.len - PAUSE_KEYS_HEAD) / sizeof(struct eth_pubkey);
    if (count > A_KEYS_PAUSED_MAX)
        return CC_FAIL(TAMPERED, "the record of paused keys has another format");
    u32_store_be(head, RECORD_VERSION);
    u32_store_be(head + 4, (uint32_t)count);
    if (bytes.len != PAUSE_KEYS_HEAD + count * sizeof(struct eth_pubkey) ||
        !span_equal(span_of(bytes.data, PAUSE_KEYS_HEAD), span_of(head, PAUSE_KEYS_HEAD)))
        return CC_FAIL(TAMPERED, "the record of paused keys has another format");
    ret_keys->count = (uint32_t)count;
    if (count)
        memcpy(ret_keys->keys, bytes.data + PAUSE_KEYS_HEAD, count * sizeof *ret_keys->keys);
    for (size_t i = 1; i < count; i++)
        if (key_store_order(&ret_keys->keys[i - 1], &ret_keys->keys[i]) >= 0)
            return CC_FAIL(TAMPERED, "the record of paused keys is out of order");
    return CC_OK;
}

/* Where the key is, or where it belongs. */
static uint32_t
place_of(const struct pause_keys *keys, const struct eth_pubkey *pubkey, bool *ret_there)
{
    uint32_t from = 0;
    uint32_t to = keys->count;
    while (from < to) {
        const uint32_t half = from + (to - from) / 2;
        if (key_store_order(&keys->keys[half], pubkey) < 0)
            from = half + 1;
        else
            to = half;
    }
    *ret_there = from < keys->count && key_store_order(&keys->keys[from], pubkey) == 0;
    return from;
}

static cc_err read_keys(const struct state_record *record, struct pause_keys *ret_keys)
{
    ret_keys->count = 0;
    return record ? pause_keys_decode(span_of(record->bytes, record->len), ret_keys) : CC_OK;
}

/* --- for the signing path ---------------------------------------------------------------------------------- */

void pause_follow(struct pause *pause, const struct state_store *state)
{
    const struct state_record *keys = state_find(state, kind, name_keys);
    const bool all = state_find(state, kind, name_all) != NULL;
    take_lock(pause);
    const bool had_all = pause->all;
    cc_err err = read_keys(keys, &pause->named);
    pause->all = all;
    pause->unreadable = err.code != 0;
    drop_lock(pause);
    if (err.code)
        log_error("the record of paused keys can't be read: nothing is signed", KV_ERR(err));
    if (all != had_all)
        log_notice(all ? "signing is paused: no key signs until it is resumed"
                       : "signing is resumed");
}

bool pause_names(struct pause *pause, const struct eth_pubkey *pubkey)
{
    bool there = false;
    take_lock(pause);
    (void)place_of(&pause->named, pubkey, &there);
    drop_lock(pause);
    return there;
}

bool pause_all(struct pause *pause)
{
    take_lock(pause);
    const bool all = pause->all || pause->unreadable;
    drop_lock(pause);
    return all;
}

bool pause_covers(struct pause *pause, const struct eth_pubkey *pubkey)
{
    bool there = false;
    take_lock(pause);
    const bool all = pause->all || pause->unreadable;
    if (!all && pause->named.count)
        (void)place_of(&pause->named, pubkey, &there);
    drop_lock(pause);
    return all || there;
}

/* --- changes ----------------------------------------------------------------------------------------------- */

static cc_err change_all(const struct state_store *state,
                         struct pause_change *change,
                         struct state_change *ret_change,
                         uint8_t bytes[static PAUSE_ALL_SIZE])
{
    const struct state_record *record = state_find(state, kind, name_all);
    change->changed[0] = (record != NULL) != change->pause;
    u32_store_be(bytes, RECORD_VERSION);
    *ret_change = (struct state_change){.kind = kind,
                                        .name = name_all,
                                        .expected_version = record ? record->version : 0,
                                        .bytes = span_of(bytes, PAUSE_ALL_SIZE),
                                        .remove = !change->pause};
    return CC_OK;
}

static cc_err add(struct pause_keys *keys, const struct eth_pubkey *pubkey, bool *ret_changed)
{
    bool there = false;
    const uint32_t at = place_of(keys, pubkey, &there);
    *ret_changed = !there;
    if (there)
        return CC_OK;
    if (keys->count == A_KEYS_PAUSED_MAX)
        return CC_FAIL(LIMIT, "too many keys are paused by name: pause all");
    memmove(&keys->keys[at + 1], &keys->keys[at], (keys->count - at) * sizeof *keys->keys);
    keys->keys[at] = *pubkey;
    keys->count++;
    return CC_OK;
}

static void take_out(struct pause_keys *keys, const struct eth_pubkey *pubkey, bool *ret_changed)
{
    const uint32_t at = place_of(keys, pubkey, ret_changed);
    if (!*ret_changed)
        return;
    keys->count--;
    memmove(&keys->keys[at], &keys->keys[at + 1], (keys->count - at) * sizeof *keys->keys);
}

static cc_err change_keys(struct pause_keys *keys, struct pause_change *change, bool *ret_any)
{
    *ret_any = false;
    for (size_t i = 0; i < change->count; i++) {
        if (change->pause)
            CC_TRY(add(keys, &change->keys[i], &change->changed[i]));
        else
            take_out(keys, &change->keys[i], &change->changed[i]);
        *ret_any |= change->changed[i];
    }
    return CC_OK;
}

static cc_err commit_all(struct pause_change *change,
                         struct state_store *state,
                         const struct state_signer *signer)
{
    uint8_t bytes[PAUSE_ALL_SIZE];
    struct state_change commit;
    CC_TRY(change_all(state, change, &commit, bytes));
    return change->changed[0] ? state_commit(state, &commit, 1, signer) : CC_OK;
}

cc_err pause_job(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct pause_change *change = context;
    bool any = false;
    if (change->count == 0)
        return commit_all(change, state, signer);
    CC_CLEANUP(cc_freep) struct pause_keys *keys = cc_alloc(sizeof *keys);
    CC_CLEANUP(cc_freep) uint8_t *bytes = cc_alloc(PAUSE_KEYS_MAX);
    if (!keys || !bytes)
        return CC_FAIL(NO_MEMORY, NULL);
    const struct state_record *record = state_find(state, kind, name_keys);
    CC_TRY(read_keys(record, keys));
    CC_TRY(change_keys(keys, change, &any));
    if (!any)
        return CC_OK;
    const struct state_change commit = {
        .kind = kind,
        .name = name_keys,
        .expected_version = record ? record->version : 0,
        .bytes = span_of(bytes, pause_keys_encode(keys, bytes)),
        .remove = keys->count == 0,
    };
    return state_commit(state, &commit, 1, signer);
}
