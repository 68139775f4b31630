#include "core/registry.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/span.h"

#include "crypto/random.h"

struct entry {
    struct eth_pubkey pubkey;
    struct key_handle handle;
    uint64_t path_hash; /* of the file that last named it; 0: none */
    uint32_t scan;      /* the last scan that saw it */
    bool has_handle;
    bool registered;
    bool failed;
};

struct registry {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t all_registered;
    struct entry *entries;
    size_t count;
    size_t capacity;
    uint32_t *index; /* entry number + 1 by hash; twice the capacity, a power of two */
    uint64_t seed;
    size_t unregistered; /* entries that wait for their protection row */
    size_t waits_from;   /* no entry before this one does */
    uint64_t active;
    uint64_t failed;
    uint64_t load_errors;
    uint64_t *named; /* hashes of the files that this scan could name only by their path */
    size_t named_count;
    size_t named_room;
    uint32_t scan;
    bool unnamed; /* this scan found a file whose public key is known only after decryption */
    bool set_known;
    bool load_ended;
};

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

static struct entry *find(struct registry *r, const struct eth_pubkey *pubkey)
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

static void index_rebuild(struct registry *r)
{
    memset(r->index, 0, 2 * r->capacity * sizeof *r->index);
    for (size_t i = 0; i < r->count; i++)
        index_put(r, i);
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
    if (!index || !entries) {
        cc_free(index);
        return CC_FAIL(NO_MEMORY, NULL);
    }
    cc_free(r->index);
    r->index = index;
    r->capacity = capacity;
    index_rebuild(r);
    return CC_OK;
}

static cc_err
find_or_add(struct registry *r, const struct eth_pubkey *pubkey, struct entry **ret_entry)
{
    *ret_entry = find(r, pubkey);
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

static enum key_state state_of(const struct entry *e)
{
    if (e->has_handle)
        return e->registered ? KEY_STATE_ACTIVE : KEY_STATE_LOADING;
    return e->failed ? KEY_STATE_FAILED : KEY_STATE_LOADING;
}

static void set_failed(struct registry *r, struct entry *e, bool failed)
{
    if (failed != e->failed)
        r->failed += failed ? 1 : (uint64_t)-1;
    e->failed = failed;
}

/* A new handle for a key that has its row already can sign at once: the row is the public key's. */
static void set_handle(struct registry *r, struct entry *e, struct key_handle handle)
{
    size_t number = (size_t)(e - r->entries);
    if (!e->has_handle)
        e->registered ? r->active++ : r->unregistered++;
    if (number < r->waits_from)
        r->waits_from = number;
    e->has_handle = true;
    e->handle = handle;
    set_failed(r, e, false);
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
    cc_free(registry->named);
    cc_free(registry);
}

static void take_lock(struct registry *r)
{
    cc_assert(pthread_mutex_lock(&r->lock) == 0);
}

static void drop_lock(struct registry *r)
{
    cc_assert(pthread_mutex_unlock(&r->lock) == 0);
}

void registry_find(struct registry *registry,
                   const struct eth_pubkey *pubkey,
                   struct key_lookup *ret_lookup)
{
    *ret_lookup = (struct key_lookup){.state = KEY_STATE_ABSENT};
    take_lock(registry);
    const struct entry *e = find(registry, pubkey);
    if (e) {
        ret_lookup->state = state_of(e);
        ret_lookup->handle = e->handle;
    }
    ret_lookup->set_known = registry->set_known;
    drop_lock(registry);
}

void registry_count(struct registry *registry, struct registry_counts *ret_counts)
{
    take_lock(registry);
    ret_counts->active = registry->active;
    ret_counts->known = registry->count - registry->failed;
    ret_counts->load_errors = registry->load_errors;
    ret_counts->set_known = registry->set_known;
    ret_counts->load_ended = registry->load_ended;
    drop_lock(registry);
}

static cc_err list(const struct registry *r, struct eth_pubkey **ret_keys, size_t *ret_count)
{
    if (!r->set_known)
        return CC_FAIL(KEY_LOADING, "the set of keys is not known yet");
    struct eth_pubkey *keys = cc_alloc_array(r->count ? r->count : 1, sizeof *keys);
    if (!keys)
        return CC_FAIL(NO_MEMORY, NULL);
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        if (state_of(&r->entries[i]) != KEY_STATE_FAILED)
            keys[n++] = r->entries[i].pubkey;
    *ret_keys = keys;
    *ret_count = n;
    return CC_OK;
}

CC_ERR registry_list(struct registry *registry, struct eth_pubkey **ret_keys, size_t *ret_count)
{
    take_lock(registry);
    cc_err err = list(registry, ret_keys, ret_count);
    drop_lock(registry);
    return err;
}

void registry_scan_begin(struct registry *registry)
{
    take_lock(registry);
    registry->scan++;
    registry->load_errors = 0;
    registry->named_count = 0;
    registry->unnamed = false;
    drop_lock(registry);
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
    CC_TRY(find_or_add(r, &key->pubkey, &e));
    e->scan = r->scan;
    e->path_hash = path_hash;
    if (key->state == L_LOADED)
        set_handle(r, e, key->key);
    else if (!e->has_handle)
        set_failed(r, e, key->state == L_FAILED);
    return CC_OK;
}

CC_ERR registry_scan_key(struct registry *registry, const struct l_key *key, bool *ret_register)
{
    *ret_register = false;
    if (key->state != L_FOUND && key->state != L_LOADED && key->state != L_FAILED)
        return CC_FAIL(PROTOCOL, "state of a key");
    if (key->state == L_LOADED && !key->has_pubkey)
        return CC_FAIL(PROTOCOL, "a loaded key without its public key");
    take_lock(registry);
    cc_err err = scan_key(registry, key);
    *ret_register = registry->unregistered > 0;
    drop_lock(registry);
    return err;
}

/* A directory that could not be read leaves the set unknown: a partial answer would be a wrong one. */
void registry_scan_listed(struct registry *registry, const struct l_done *done)
{
    take_lock(registry);
    if (done->complete && !registry->unnamed)
        registry->set_known = true;
    drop_lock(registry);
}

static void forget(struct registry *r, const struct entry *e)
{
    if (e->has_handle)
        e->registered ? r->active-- : r->unregistered--;
    if (e->failed)
        r->failed--;
}

static void remove_unseen(struct registry *r, struct registry_key *gone, size_t *ret_count)
{
    size_t kept = 0;
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct entry *e = &r->entries[i];
        if (e->scan == r->scan) {
            r->entries[kept++] = *e;
            continue;
        }
        forget(r, e);
        if (e->has_handle)
            gone[n++] = (struct registry_key){e->pubkey, e->handle};
    }
    r->count = kept;
    r->waits_from = 0;
    if (r->capacity)
        index_rebuild(r);
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
    take_lock(registry);
    registry->load_ended = true;
    if (done->complete) {
        registry->set_known = true;
        *ret_gone = cc_alloc_array(registry->count ? registry->count : 1, sizeof **ret_gone);
        err =
            *ret_gone ? keep_named(registry) : CC_FAIL(NO_MEMORY, "removal of keys that are gone");
        if (!err.code)
            remove_unseen(registry, *ret_gone, ret_count);
    }
    drop_lock(registry);
    return err;
}

CC_ERR registry_restore(struct registry *registry, const struct registry_key *key)
{
    struct entry *e = NULL;
    take_lock(registry);
    cc_err err = find_or_add(registry, &key->pubkey, &e);
    if (!err.code)
        set_handle(registry, e, key->handle);
    drop_lock(registry);
    return err;
}

size_t
registry_take_unregistered(struct registry *registry, struct eth_pubkey *ret_keys, size_t max)
{
    size_t n = 0;
    take_lock(registry);
    size_t left = registry->unregistered;
    for (size_t i = registry->waits_from; i < registry->count && n < max && left; i++) {
        const struct entry *e = &registry->entries[i];
        if (!e->has_handle || e->registered)
            continue;
        if (n == 0)
            registry->waits_from = i; /* so that 100,000 keys are not walked over for each batch */
        ret_keys[n++] = e->pubkey;
        left--;
    }
    drop_lock(registry);
    return n;
}

void registry_registered(struct registry *registry, const struct eth_pubkey *keys, size_t count)
{
    take_lock(registry);
    for (size_t i = 0; i < count; i++) {
        struct entry *e = find(registry, &keys[i]);
        if (!e || e->registered)
            continue;
        e->registered = true;
        if (!e->has_handle)
            continue;
        registry->unregistered--;
        registry->active++;
    }
    if (registry->unregistered == 0)
        (void)pthread_cond_broadcast(&registry->all_registered);
    drop_lock(registry);
}

bool registry_wait_registered(struct registry *registry, uint64_t patience_ms)
{
    uint64_t until_ns = clock_mono_ns() + patience_ms * 1000000;
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int rc = 0;
    take_lock(registry);
    while (registry->unregistered && rc == 0)
        rc = pthread_cond_timedwait(&registry->all_registered, &registry->lock, &until);
    bool all = registry->unregistered == 0;
    drop_lock(registry);
    return all;
}
