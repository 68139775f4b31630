#include "vault/key_table.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "crypto/random.h"

struct entry {
    pthread_mutex_t lock; /* guards all below but pubkey, which never changes */
    struct eth_pubkey pubkey;
    uint32_t generation;
    struct secret *secret; /* NULL: not loaded now */
    struct floor floor;
};

struct key_table {
    pthread_mutex_t lock; /* guards count, index, sealed and the pointers in entries */
    struct arena *arena;
    uint32_t max;
    uint32_t count; /* entries ever made */
    uint32_t loaded;
    bool sealed;
    bool floors_dropped; /* constant while threads use the table */
    struct entry **entries;
    uint32_t *index; /* open addressing by public key: entry number + 1; 0 is free */
    uint32_t index_mask;
    uint64_t seed; /* so that nobody can choose keys that collide */
    struct floor_secret floor_secret;
};

static void lock(pthread_mutex_t *m)
{
    cc_assert(pthread_mutex_lock(m) == 0);
}

static void unlock(pthread_mutex_t *m)
{
    cc_assert(pthread_mutex_unlock(m) == 0);
}

CC_ERR key_table_new(struct arena *arena, uint32_t max_keys, struct key_table **ret_table)
{
    struct key_table *t = cc_alloc(sizeof *t);
    if (!t)
        return CC_FAIL(NO_MEMORY, "key table");
    uint32_t size = 16;
    while (size < 2 * max_keys)
        size *= 2;
    t->arena = arena;
    t->max = max_keys;
    t->index_mask = size - 1;
    cc_assert(pthread_mutex_init(&t->lock, NULL) == 0);
    t->entries = cc_alloc_array(max_keys, sizeof *t->entries);
    t->index = cc_alloc_array(size, sizeof *t->index);
    cc_err err = t->entries && t->index ? random_bytes(&t->seed, sizeof t->seed)
                                        : CC_FAIL(NO_MEMORY, "key table");
    if (!err.code)
        err = random_bytes(&t->floor_secret, sizeof t->floor_secret);
    if (err.code) {
        key_table_free(t);
        return err;
    }
    *ret_table = t;
    return CC_OK;
}

void key_table_free(struct key_table *table)
{
    if (!table)
        return;
    for (uint32_t i = 0; i < table->count; i++) {
        struct entry *e = table->entries[i];
        arena_release(table->arena, e->secret);
        (void)pthread_mutex_destroy(&e->lock);
        cc_free(e);
    }
    (void)pthread_mutex_destroy(&table->lock);
    cc_free(table->entries);
    cc_free(table->index);
    cc_free(table);
}

static bool same_key(const struct eth_pubkey *a, const struct eth_pubkey *b)
{
    return span_equal(span_of(a, sizeof *a), span_of(b, sizeof *b));
}

/* Where `pubkey` is in the index, or the free place where it would go. The caller holds table.lock. */
static uint32_t *place_of(struct key_table *t, const struct eth_pubkey *pubkey)
{
    uint64_t h = (u64_load_le(pubkey->bytes + 8) ^ t->seed) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29 ^ u64_load_le(pubkey->bytes + 24)) * 0xbf58476d1ce4e5b9u;
    for (uint32_t i = (uint32_t)(h >> 32) & t->index_mask;; i = (i + 1) & t->index_mask) {
        uint32_t *place = &t->index[i];
        if (*place == 0 || same_key(&t->entries[*place - 1]->pubkey, pubkey))
            return place;
    }
}

/* Finds or makes the entry of `pubkey`. */
static cc_err entry_of(struct key_table *t, const struct eth_pubkey *pubkey, uint32_t *ret_number)
{
    uint32_t *place = place_of(t, pubkey);
    if (*place) {
        *ret_number = *place - 1;
        return CC_OK;
    }
    if (t->count == t->max)
        return CC_FAIL(LIMIT, "the key table is full");
    struct entry *e = cc_alloc(sizeof *e);
    if (!e)
        return CC_FAIL(NO_MEMORY, "key table entry");
    cc_assert(pthread_mutex_init(&e->lock, NULL) == 0);
    e->pubkey = *pubkey;
    t->entries[t->count] = e;
    *ret_number = t->count;
    *place = ++t->count;
    return CC_OK;
}

static cc_err entry_load(struct key_table *t, struct entry *e, const struct bls_secret *secret)
{
    CC_TRY(arena_take(t->arena, &e->secret));
    memcpy(secret_borrow_mut(e->secret), secret->scalar, sizeof secret->scalar);
    e->generation++;
    t->loaded++;
    return CC_OK;
}

CC_ERR key_table_add(struct key_table *table,
                     const struct bls_secret *secret,
                     const struct eth_pubkey *pubkey,
                     struct key_handle *ret_handle,
                     bool *ret_existed)
{
    uint32_t number = 0;
    lock(&table->lock);
    cc_err err = table->sealed ? CC_FAIL(SEALED, "the vault was sealed in this life")
                               : entry_of(table, pubkey, &number);
    if (!err.code) {
        struct entry *e = table->entries[number];
        lock(&e->lock);
        *ret_existed = e->secret != NULL;
        if (!e->secret)
            err = entry_load(table, e, secret);
        *ret_handle = (struct key_handle){number, e->generation};
        unlock(&e->lock);
    }
    unlock(&table->lock);
    return err;
}

CC_ERR key_table_find(struct key_table *table,
                      const struct eth_pubkey *pubkey,
                      struct key_handle *ret_handle)
{
    bool found = false;
    lock(&table->lock);
    uint32_t place = *place_of(table, pubkey);
    if (place) {
        struct entry *e = table->entries[place - 1];
        lock(&e->lock);
        found = e->secret != NULL;
        *ret_handle = (struct key_handle){place - 1, e->generation};
        unlock(&e->lock);
    }
    unlock(&table->lock);
    return found ? CC_OK : CC_FAIL(KEY_UNKNOWN, "this key is not loaded");
}

/* The entry with its lock held, or NULL for a stale handle. Entries never go away, so table.lock need not stay held. */
static struct entry *entry_lock(struct key_table *t, struct key_handle handle)
{
    lock(&t->lock);
    struct entry *e = handle.index < t->count ? t->entries[handle.index] : NULL;
    unlock(&t->lock);
    if (!e)
        return NULL;
    lock(&e->lock);
    if (e->secret && e->generation == handle.generation)
        return e;
    unlock(&e->lock);
    return NULL;
}

/* The caller holds both locks. */
static void entry_unload(struct key_table *t, struct entry *e)
{
    arena_release(t->arena, e->secret);
    e->secret = NULL;
    e->generation++;
    t->loaded--;
}

CC_ERR key_table_remove(struct key_table *table, struct key_handle handle)
{
    bool done = false;
    lock(&table->lock);
    if (handle.index < table->count) {
        struct entry *e = table->entries[handle.index];
        lock(&e->lock);
        done = e->secret && e->generation == handle.generation;
        if (done)
            entry_unload(table, e);
        unlock(&e->lock);
    }
    unlock(&table->lock);
    return done ? CC_OK : CC_FAIL(KEY_UNKNOWN, "a stale handle");
}

void key_table_seal(struct key_table *table)
{
    lock(&table->lock);
    table->sealed = true;
    for (uint32_t i = 0; i < table->count; i++) {
        struct entry *e = table->entries[i];
        lock(&e->lock);
        if (e->secret)
            entry_unload(table, e);
        unlock(&e->lock);
    }
    unlock(&table->lock);
}

uint32_t key_table_count(struct key_table *table)
{
    lock(&table->lock);
    uint32_t loaded = table->loaded;
    unlock(&table->lock);
    return loaded;
}

uint32_t key_table_list(struct key_table *table,
                        uint32_t from,
                        struct key_name *ret_names,
                        uint32_t max,
                        uint32_t *ret_next)
{
    uint32_t n = 0;
    uint32_t i = from;
    lock(&table->lock);
    for (; i < table->count && n < max; i++) {
        struct entry *e = table->entries[i];
        lock(&e->lock);
        if (e->secret)
            ret_names[n++] = (struct key_name){{i, e->generation}, e->pubkey};
        unlock(&e->lock);
    }
    *ret_next = i < table->count ? i : 0;
    unlock(&table->lock);
    return n;
}

void key_table_drop_floors(struct key_table *table)
{
    table->floors_dropped = true;
}

CC_ERR key_table_admit(struct key_table *table,
                       struct key_handle handle,
                       const struct eth_pubkey *pubkey,
                       const struct key_claim *claim,
                       struct slash_verdict *ret_verdict)
{
    struct slash_verdict verdict = {.rule = SLASH_SAFE};
    struct entry *e = entry_lock(table, handle);
    if (!e)
        return CC_FAIL(KEY_UNKNOWN, "a stale handle");
    bool same = same_key(&e->pubkey, pubkey);
    if (table->floors_dropped)
        verdict.rule = SLASH_SAFE;
    else if (same && claim->block)
        verdict = floor_admit_block(&e->floor, &table->floor_secret, claim->block);
    else if (same && claim->attestation)
        verdict = floor_admit_attestation(&e->floor, &table->floor_secret, claim->attestation);
    unlock(&e->lock);
    *ret_verdict = verdict;
    if (!same)
        return CC_FAIL(KEY_UNKNOWN, "another key's handle");
    return slash_may_sign(verdict.rule) ? CC_OK : CC_FAIL(SLASHABLE, "the vault's own floor");
}

CC_ERR key_table_sign(struct key_table *table,
                      struct key_handle handle,
                      const struct bls_hash *hash,
                      struct eth_signature *ret_signature)
{
    struct entry *e = entry_lock(table, handle);
    if (!e)
        return CC_FAIL(KEY_UNKNOWN, "removed since it was admitted");
    const struct bls_secret *secret =
        (const struct bls_secret *)(const void *)secret_borrow(e->secret);
    bls_sign(secret, hash, ret_signature->bytes);
    unlock(&e->lock);
    return CC_OK;
}
