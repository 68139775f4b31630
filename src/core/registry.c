#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/span.h"

#include "core/registry_inside.h"
#include "crypto/random.h"

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

static size_t slot_of(const struct registry *r, const struct eth_pubkey *pubkey)
{
    uint64_t words[6];
    _Static_assert(sizeof words == sizeof *pubkey, "48 bytes");
    memcpy(words, pubkey, sizeof words);
    uint64_t h = r->seed;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        h = mix(h ^ words[i]);
    return (size_t)h & (2 * r->capacity - 1);
}

static bool same_key(const struct eth_pubkey *a, const struct eth_pubkey *b)
{
    return span_equal(span_of(a, sizeof *a), span_of(b, sizeof *b));
}

struct entry *registry_entry(struct registry *r, const struct eth_pubkey *pubkey)
{
    if (r->capacity == 0)
        return NULL;
    for (size_t i = slot_of(r, pubkey);; i = (i + 1) & (2 * r->capacity - 1)) {
        if (r->index[i] == 0)
            return NULL;
        struct entry *e = &r->entries[r->index[i] - 1];
        if (same_key(&e->pubkey, pubkey))
            return e;
    }
}

static void index_put(struct registry *r, size_t number)
{
    size_t i = slot_of(r, &r->entries[number].pubkey);
    while (r->index[i])
        i = (i + 1) & (2 * r->capacity - 1);
    r->index[i] = (uint32_t)number + 1;
}

static void rebuild_index(struct registry *r)
{
    memset(r->index, 0, 2 * r->capacity * sizeof *r->index);
    for (size_t i = 0; i < r->count; i++)
        index_put(r, i);
}

void registry_rebuild(struct registry *r)
{
    r->sorted_count = 0;
    rebuild_index(r);
}

static cc_err grow(struct registry *r)
{
    if (r->count >= REGISTRY_MAX)
        return CC_FAIL(LIMIT, "more keys than the registry may hold");
    size_t capacity = r->capacity ? 2 * r->capacity : 256;
    uint32_t *index = cc_alloc_array(2 * capacity, sizeof *index);
    struct entry *entries = cc_realloc_array(r->entries, capacity, sizeof *entries);
    if (entries)
        r->entries = entries;
    uint32_t *sorted = cc_realloc_array(r->sorted, capacity, sizeof *sorted);
    if (sorted)
        r->sorted = sorted;
    if (!index || !entries || !sorted) {
        cc_free(index);
        return CC_FAIL(NO_MEMORY, NULL);
    }
    cc_free(r->index);
    r->index = index;
    r->capacity = capacity;
    rebuild_index(r);
    return CC_OK;
}

CC_ERR
registry_entry_or_new(struct registry *r, const struct eth_pubkey *pubkey, struct entry **ret_entry)
{
    *ret_entry = registry_entry(r, pubkey);
    if (*ret_entry)
        return CC_OK;
    if (r->count == r->capacity)
        CC_TRY(grow(r));
    struct entry *e = &r->entries[r->count];
    *e = (struct entry){.pubkey = *pubkey};
    index_put(r, r->count++);
    *ret_entry = e;
    return CC_OK;
}

enum key_state registry_state(const struct entry *e)
{
    if (e->hold)
        return KEY_STATE_STOPPED;
    if (e->has_handle)
        return e->registered ? KEY_STATE_ACTIVE : KEY_STATE_LOADING;
    return e->failed ? KEY_STATE_FAILED : KEY_STATE_LOADING;
}

static unsigned shown_source(const struct entry *e)
{
    if (e->sources & B_KEY_FROM_FILE)
        return 0;
    return e->sources & B_KEY_FROM_ROW ? 1 : 2;
}

static void count(struct registry *r, const struct entry *e, uint64_t one)
{
    if (e->hold) {
        r->held_back += one;
    } else if (!e->has_handle) {
        r->failed += e->failed ? one : 0;
    } else if (e->registered) {
        r->active += one;
        r->active_from[shown_source(e)] += one;
    } else {
        r->unregistered += (size_t)one;
    }
}

void registry_uncount(struct registry *r, const struct entry *e)
{
    count(r, e, (uint64_t)-1);
}

/* A wait for protection rows may have ended. */
void registry_recount(struct registry *r, const struct entry *e)
{
    const size_t number = (size_t)(e - r->entries);
    count(r, e, 1);
    if (number < r->waits_from)
        r->waits_from = number;
    if (r->unregistered == 0)
        (void)pthread_cond_broadcast(&r->all_registered);
}

/* A new handle for a key that has its row already can sign at once: the row is the public key's. */
static void set_handle(struct registry *r, struct entry *e, struct key_handle handle)
{
    registry_uncount(r, e);
    e->has_handle = true;
    e->handle = handle;
    e->failed = false;
    registry_recount(r, e);
}

CC_ERR registry_new(struct registry **ret_registry)
{
    pthread_condattr_t attributes;
    struct registry *r = cc_alloc(sizeof *r);
    if (!r)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_err err = random_bytes(&r->seed, sizeof r->seed);
    if (err.code) {
        cc_free(r);
        return err;
    }
    cc_assert(pthread_mutex_init(&r->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&r->all_registered, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    *ret_registry = r;
    return CC_OK;
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    (void)pthread_cond_destroy(&registry->all_registered);
    (void)pthread_mutex_destroy(&registry->lock);
    cc_free(registry->entries);
    cc_free(registry->index);
    cc_free(registry->sorted);
    cc_free(registry->named);
    cc_free(registry);
}

void registry_lock(struct registry *r)
{
    cc_assert(pthread_mutex_lock(&r->lock) == 0);
}

void registry_unlock(struct registry *r)
{
    cc_assert(pthread_mutex_unlock(&r->lock) == 0);
}

/* Of a key that a file brings as well the loader says more. */
static bool waits_for_master(const struct entry *e)
{
    return !e->has_handle && !e->hold && e->sources == B_KEY_FROM_ROW;
}

enum key_state registry_state_now(const struct registry *r, const struct entry *e)
{
    return r->rows_closed && waits_for_master(e) ? KEY_STATE_SEALED : registry_state(e);
}

void registry_find(struct registry *registry,
                   const struct eth_pubkey *pubkey,
                   struct key_lookup *ret_lookup)
{
    *ret_lookup = (struct key_lookup){.state = KEY_STATE_ABSENT};
    registry_lock(registry);
    const struct entry *e = registry_entry(registry, pubkey);
    if (e) {
        ret_lookup->state = registry_state_now(registry, e);
        ret_lookup->handle = e->handle;
    }
    ret_lookup->set_known = registry->set_known;
    registry_unlock(registry);
}

void registry_count(struct registry *registry, struct registry_counts *ret_counts)
{
    registry_lock(registry);
    ret_counts->active = registry->active;
    memcpy(ret_counts->active_from, registry->active_from, sizeof ret_counts->active_from);
    ret_counts->known = registry->count - registry->failed - registry->held_back;
    ret_counts->load_errors = registry->load_errors;
    ret_counts->set_known = registry->set_known;
    ret_counts->load_ended = registry->load_ended;
    registry_unlock(registry);
}

void registry_latch(struct registry *registry)
{
    registry_lock(registry);
    registry->latched = true;
    registry_unlock(registry);
}

void registry_lack(struct registry *registry, enum error_code why)
{
    registry_lock(registry);
    registry->lacks = why;
    registry_unlock(registry);
}

static cc_err check_complete(const struct registry *r)
{
    if (r->lacks)
        return error_make(r->lacks, "keys of a refused store are missing", __FILE__, __LINE__);
    if (r->set_known)
        return CC_OK;
    return r->latched ? CC_FAIL(SEALED, "key files are not read until it is unsealed")
                      : CC_FAIL(KEY_LOADING, "the set of keys is not known yet");
}

CC_ERR registry_is_complete(struct registry *registry)
{
    registry_lock(registry);
    cc_err err = check_complete(registry);
    registry_unlock(registry);
    return err;
}

static cc_err list(const struct registry *r, struct eth_pubkey **ret_keys, size_t *ret_count)
{
    CC_TRY(check_complete(r));
    struct eth_pubkey *keys = cc_alloc_array(r->count ? r->count : 1, sizeof *keys);
    if (!keys)
        return CC_FAIL(NO_MEMORY, NULL);
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++) {
        const enum key_state state = registry_state(&r->entries[i]);
        if (state == KEY_STATE_ACTIVE || state == KEY_STATE_LOADING)
            keys[n++] = r->entries[i].pubkey;
    }
    *ret_keys = keys;
    *ret_count = n;
    return CC_OK;
}

CC_ERR registry_list(struct registry *registry, struct eth_pubkey **ret_keys, size_t *ret_count)
{
    registry_lock(registry);
    cc_err err = list(registry, ret_keys, ret_count);
    registry_unlock(registry);
    return err;
}

void registry_scan_begin(struct registry *registry)
{
    registry_lock(registry);
    registry->scan++;
    registry->latched = false;
    registry->load_errors = 0;
    registry->named_count = 0;
    registry->unnamed = false;
    registry_unlock(registry);
}

/* FNV-1a; a collision only keeps a key that could have been removed. */
static uint64_t hash_path(const char path[static L_PATH_MAX])
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < L_PATH_MAX && path[i]; i++)
        h = (h ^ (uint8_t)path[i]) * 0x100000001b3ULL;
    return path[0] ? h | 1 : 0;
}

/* A file that fails before its public key can be read still speaks for the keys that it held before. */
static cc_err see_path(struct registry *r, uint64_t path_hash)
{
    if (r->named_count >= 2 * REGISTRY_MAX) /* each may be found first and fail later */
        return CC_FAIL(LIMIT, "more key files than the registry may hold keys");
    uint64_t *named = cc_grow_array(r->named, r->named_count, &r->named_room, sizeof *named);
    if (!named)
        return CC_FAIL(NO_MEMORY, NULL);
    r->named = named;
    r->named[r->named_count++] = path_hash;
    return CC_OK;
}

/* Keeps the keys of those files; all at once, since a walk for each file would grow with their square. */
static cc_err keep_named(struct registry *r)
{
    size_t size = 16;
    while (size < 2 * r->named_count)
        size *= 2;
    CC_CLEANUP(cc_freep) uint64_t *set = cc_alloc_array(size, sizeof *set); /* 0: free */
    if (!set)
        return CC_FAIL(NO_MEMORY, NULL);
    for (size_t i = 0; i < r->named_count; i++) {
        size_t at = mix(r->named[i]) & (size - 1);
        while (set[at] && set[at] != r->named[i])
            at = (at + 1) & (size - 1);
        set[at] = r->named[i];
    }
    for (size_t i = 0; i < r->count; i++) {
        struct entry *e = &r->entries[i];
        size_t at = mix(e->path_hash) & (size - 1);
        while (set[at] && set[at] != e->path_hash)
            at = (at + 1) & (size - 1);
        if (e->path_hash && set[at])
            e->scan = r->scan;
    }
    return CC_OK;
}

static cc_err scan_key(struct registry *r, const struct l_key *key)
{
    uint64_t path_hash = hash_path(key->path);
    struct entry *e = NULL;
    if (key->state == L_FAILED)
        r->load_errors++;
    if (!key->has_pubkey) {
        r->unnamed |= key->state == L_FOUND;
        return see_path(r, path_hash);
    }
    CC_TRY(registry_entry_or_new(r, &key->pubkey, &e));
    registry_uncount(r, e);
    e->scan = r->scan;
    e->path_hash = path_hash;
    e->sources |= B_KEY_FROM_FILE;
    if (!e->has_handle && key->state != L_LOADED)
        e->failed = key->state == L_FAILED;
    registry_recount(r, e);
    if (key->state == L_LOADED)
        set_handle(r, e, key->key);
    return CC_OK;
}

CC_ERR registry_scan_key(struct registry *registry, const struct l_key *key, bool *ret_register)
{
    *ret_register = false;
    if (key->state != L_FOUND && key->state != L_LOADED && key->state != L_FAILED)
        return CC_FAIL(PROTOCOL, "state of a key");
    if (key->state == L_LOADED && !key->has_pubkey)
        return CC_FAIL(PROTOCOL, "a loaded key without its public key");
    registry_lock(registry);
    cc_err err = scan_key(registry, key);
    *ret_register = registry->unregistered > 0;
    registry_unlock(registry);
    return err;
}

/* A directory that could not be read leaves the set unknown: a partial answer would be a wrong one. */
void registry_scan_listed(struct registry *registry, const struct l_done *done)
{
    registry_lock(registry);
    if (done->complete && !registry->unnamed)
        registry->set_known = true;
    registry_unlock(registry);
}

/* Only what files alone had brought goes with its file. */
static void remove_unseen(struct registry *r, struct registry_key *gone, size_t *ret_count)
{
    size_t kept = 0;
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct entry *e = &r->entries[i];
        registry_uncount(r, e);
        if (e->scan != r->scan)
            e->sources &= (uint8_t)~B_KEY_FROM_FILE;
        if (e->sources) {
            count(r, e, 1);
            r->entries[kept++] = *e;
        } else if (e->has_handle) {
            gone[n++] = (struct registry_key){e->pubkey, e->handle, 0};
        }
    }
    r->count = kept;
    r->waits_from = 0;
    if (r->capacity)
        registry_rebuild(r);
    if (r->unregistered == 0)
        (void)pthread_cond_broadcast(&r->all_registered);
    *ret_count = n;
}

CC_ERR registry_scan_end(struct registry *registry,
                         const struct l_done *done,
                         struct registry_key **ret_gone,
                         size_t *ret_count)
{
    *ret_gone = NULL;
    *ret_count = 0;
    cc_err err = CC_OK;
    registry_lock(registry);
    registry->load_ended = true;
    if (done->complete) {
        registry->set_known = true;
        *ret_gone = cc_alloc_array(registry->count ? registry->count : 1, sizeof **ret_gone);
        err =
            *ret_gone ? keep_named(registry) : CC_FAIL(NO_MEMORY, "removal of keys that are gone");
        if (!err.code)
            remove_unseen(registry, *ret_gone, ret_count);
    }
    registry_unlock(registry);
    return err;
}

CC_ERR registry_restore(struct registry *registry, const struct registry_key *key)
{
    struct entry *e = NULL;
    registry_lock(registry);
    cc_err err = registry_entry_or_new(registry, &key->pubkey, &e);
    if (!err.code) {
        registry_uncount(registry, e);
        e->sources |= (uint8_t)(key->sources ? key->sources : B_KEY_FROM_FILE);
        registry_recount(registry, e);
        set_handle(registry, e, key->handle);
    }
    registry_unlock(registry);
    return err;
}

size_t
registry_take_unregistered(struct registry *registry, struct eth_pubkey *ret_keys, size_t max)
{
    size_t n = 0;
    registry_lock(registry);
    size_t left = registry->unregistered;
    for (size_t i = registry->waits_from; i < registry->count && n < max && left; i++) {
        const struct entry *e = &registry->entries[i];
        if (!e->has_handle || e->registered || e->hold)
            continue;
        if (n == 0)
            registry->waits_from = i; /* so that 100,000 keys are not walked over for each batch */
        ret_keys[n++] = e->pubkey;
        left--;
    }
    registry_unlock(registry);
    return n;
}

void registry_registered(struct registry *registry, const struct eth_pubkey *keys, size_t count)
{
    registry_lock(registry);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = registry_entry(registry, &keys[i]);
        if (!e || e->registered)
            continue;
        registry_uncount(registry, e);
        e->registered = true;
        registry_recount(registry, e);
    }
    registry_unlock(registry);
}

bool registry_wait_registered(struct registry *registry, uint64_t patience_ms)
{
    uint64_t until_ns = clock_mono_ns() + patience_ms * 1000000;
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int rc = 0;
    registry_lock(registry);
    while (registry->unregistered && rc == 0)
        rc = pthread_cond_timedwait(&registry->all_registered, &registry->lock, &until);
    bool all = registry->unregistered == 0;
    registry_unlock(registry);
    return all;
}
