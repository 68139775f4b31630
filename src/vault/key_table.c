#include "vault/key_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "crypto/random.h"

struct entry {
    pthread_mutex_t lock; /* guards all below but pubkey, which never changes, and keep_on_blst */
    struct eth_pubkey pubkey;
    atomic_bool keep_on_blst;
    bool leaving; /* stale already, and wiped when nobody holds it any more */
    uint32_t generation;
    uint32_t holders;
    uint32_t sources;      /* enum b_key_source, of this loading */
    struct secret *secret; /* NULL: not loaded now */
    struct floor floor;
};

struct key_table {
    pthread_mutex_t lock;  /* guards index, sealed and loaded; who adds or removes has it */
    pthread_cond_t let_go; /* of the one entry that is leaving: its lock goes with it */
    struct arena *arena;
    uint32_t max;
    _Atomic uint32_t count; /* entries ever made: what is below it is never changed again */
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
    cc_assert(pthread_cond_init(&t->let_go, NULL) == 0);
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
    (void)pthread_cond_destroy(&table->let_go);
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
    const uint32_t number = t->count;
    if (number == t->max)
        return CC_FAIL(LIMIT, "the key table is full");
    struct entry *e = cc_alloc(sizeof *e);
    if (!e)
        return CC_FAIL(NO_MEMORY, "key table entry");
    cc_assert(pthread_mutex_init(&e->lock, NULL) == 0);
    e->pubkey = *pubkey;
    t->entries[number] = e;
    atomic_store_explicit(&t->count, number + 1, memory_order_release);
    *ret_number = number;
    *place = number + 1;
    return CC_OK;
}

static cc_err entry_load(struct key_table *t, struct entry *e, const struct bls_secret *secret)
{
    CC_TRY(arena_take(t->arena, &e->secret));
    memcpy(secret_borrow_mut(e->secret), secret->scalar, sizeof secret->scalar);
    e->generation++;
    e->sources = 0;
    t->loaded++;
    return CC_OK;
}

CC_ERR key_table_add(struct key_table *table,
                     const struct bls_secret *secret,
                     const struct eth_pubkey *pubkey,
                     struct key_handle *ret_handle,
                     bool *ret_existed)
{
    return key_table_add_from(table, secret, pubkey, B_KEY_FROM_FILE, ret_handle, ret_existed);
}

CC_ERR key_table_add_from(struct key_table *table,
                          const struct bls_secret *secret,
                          const struct eth_pubkey *pubkey,
                          uint32_t source,
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
        if (!err.code)
            e->sources |= source;
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

static bool is_named_by(const struct entry *e, struct key_handle handle)
{
    return e->secret && !e->leaving && e->generation == handle.generation;
}

/* The entry with its lock held, or NULL for a stale handle. Entries never go away and what lies below count never changes:
 * no need for table.lock, which a removal keeps while it waits.
 */
static struct entry *entry_lock(struct key_table *t, struct key_handle handle)
{
    if (handle.index >= atomic_load_explicit(&t->count, memory_order_acquire))
        return NULL;
    struct entry *e = t->entries[handle.index];
    lock(&e->lock);
    if (is_named_by(e, handle))
        return e;
    unlock(&e->lock);
    return NULL;
}

/* The caller holds both locks; the entry's is open while others still sign with the key. */
static void entry_unload(struct key_table *t, struct entry *e)
{
    e->leaving = true;
    while (e->holders)
        cc_assert(pthread_cond_wait(&t->let_go, &e->lock) == 0);
    arena_release(t->arena, e->secret);
    e->secret = NULL;
    e->leaving = false;
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
        done = is_named_by(e, handle);
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

void key_table_drop_source(struct key_table *table, uint32_t source)
{
    lock(&table->lock);
    for (uint32_t i = 0; i < table->count; i++) {
        struct entry *e = table->entries[i];
        lock(&e->lock);
        e->sources &= ~source;
        if (e->secret && !e->sources)
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
            ret_names[n++] = (struct key_name){{i, e->generation}, e->pubkey, e->sources};
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

static struct slash_verdict
ask_floor(struct key_table *t, struct entry *e, const struct key_claim *claim)
{
    if (!t->floors_dropped && claim->block)
        return floor_admit_block(&e->floor, &t->floor_secret, claim->block);
    if (!t->floors_dropped && claim->attestation)
        return floor_admit_attestation(&e->floor, &t->floor_secret, claim->attestation);
    return (struct slash_verdict){.rule = SLASH_SAFE};
}

/* The caller holds the entry's lock. */
static struct key_hold hold(struct entry *e)
{
    e->holders++;
    return (struct key_hold){
        .secret = (const struct bls_secret *)(const void *)secret_borrow(e->secret),
        .pubkey = &e->pubkey,
        .keep_on_blst = &e->keep_on_blst,
        .entry = e,
    };
}

CC_ERR key_table_admit(struct key_table *table,
                       struct key_handle handle,
                       const struct eth_pubkey *pubkey,
                       const struct key_claim *claim,
                       struct slash_verdict *ret_verdict,
                       struct key_hold *ret_hold)
{
    cc_err err = CC_OK;
    struct entry *e = entry_lock(table, handle);
    if (!e)
        return CC_FAIL(KEY_UNKNOWN, "a stale handle");
    if (!same_key(&e->pubkey, pubkey)) {
        err = CC_FAIL(KEY_UNKNOWN, "another key's handle");
    } else {
        *ret_verdict = ask_floor(table, e, claim);
        if (slash_may_sign(ret_verdict->rule))
            *ret_hold = hold(e);
        else
            err = CC_FAIL(SLASHABLE, "the vault's own floor");
    }
    unlock(&e->lock);
    return err;
}

void key_table_let_go(struct key_table *table, const struct key_hold *held)
{
    struct entry *e = held->entry;
    lock(&e->lock);
    cc_assert(e->holders > 0);
    if (--e->holders == 0 && e->leaving)
        cc_assert(pthread_cond_signal(&table->let_go) == 0);
    unlock(&e->lock);
}
