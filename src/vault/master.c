#include "vault/master.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"

#include "crypto/kdf.h"

struct generation {
    uint32_t number; /* 0: not open */
    struct secret *row;
    struct secret *bridge;
    struct secret *tokens;
};

struct master {
    pthread_mutex_t lock; /* guards all below */
    struct arena *arena;
    struct generation kept[2]; /* by enum b_set_which */
    uint64_t epoch;
};

static void lock(struct master *m)
{
    cc_assert(pthread_mutex_lock(&m->lock) == 0);
}

static void unlock(struct master *m)
{
    cc_assert(pthread_mutex_unlock(&m->lock) == 0);
}

void master_keys_wipep(struct master_keys *keys)
{
    wipe(keys, sizeof *keys);
}

#define DERIVE(text, to)                                                                           \
    kdf_hkdf_sha256(span_of(master_key, SECRET_SIZE), span_of(chamber_id, 32),                     \
                    span_of((text), sizeof(text)), (to).bytes, sizeof(to).bytes)

void master_derive(const uint8_t master_key[static SECRET_SIZE],
                   const uint8_t chamber_id[static 32],
                   struct master_keys *ret_keys)
{
    DERIVE("containment-chamber/key-row/v1", ret_keys->row);
    DERIVE("containment-chamber/master-bridge/v1", ret_keys->bridge);
    DERIVE("containment-chamber/master-check/v1", ret_keys->check);
    DERIVE("containment-chamber/master-tokens/v1", ret_keys->tokens);
}

static cc_err take_slots(struct master *m)
{
    for (size_t i = 0; i < ARRAY_LEN(m->kept); i++) {
        CC_TRY(arena_take(m->arena, &m->kept[i].row));
        CC_TRY(arena_take(m->arena, &m->kept[i].bridge));
        CC_TRY(arena_take(m->arena, &m->kept[i].tokens));
    }
    return CC_OK;
}

CC_ERR master_new(struct arena *arena, struct master **ret_master)
{
    struct master *m = cc_alloc(sizeof *m);
    if (!m)
        return CC_FAIL(NO_MEMORY, "master key");
    m->arena = arena;
    cc_assert(pthread_mutex_init(&m->lock, NULL) == 0);
    cc_err err = take_slots(m);
    if (err.code) {
        master_free(m);
        return err;
    }
    *ret_master = m;
    return CC_OK;
}

void master_free(struct master *master)
{
    if (!master)
        return;
    for (size_t i = 0; i < ARRAY_LEN(master->kept); i++) {
        arena_release(master->arena, master->kept[i].row);
        arena_release(master->arena, master->kept[i].bridge);
        arena_release(master->arena, master->kept[i].tokens);
    }
    (void)pthread_mutex_destroy(&master->lock);
    cc_free(master);
}

static struct generation *kept(struct master *m, enum b_set_which which)
{
    return &m->kept[which == B_SET_PRESENT ? 0 : 1];
}

static void put(struct secret *slot, const void *bytes)
{
    memcpy(secret_borrow_mut(slot), bytes, SECRET_SIZE);
}

static void clear(struct secret *slot)
{
    wipe(secret_borrow_mut(slot), SECRET_SIZE);
}

void master_put(struct master *master,
                enum b_set_which which,
                uint32_t generation,
                const struct master_keys *keys,
                const uint8_t token_key[static SECRET_SIZE])
{
    lock(master);
    struct generation *to = kept(master, which);
    to->number = generation;
    put(to->row, keys->row.bytes);
    put(to->bridge, keys->bridge.bytes);
    put(to->tokens, token_key);
    unlock(master);
}

/* The caller holds the lock. */
static void drop(struct master *m, enum b_set_which which)
{
    struct generation *g = kept(m, which);
    m->epoch++;
    g->number = 0;
    clear(g->row);
    clear(g->bridge);
    clear(g->tokens);
}

void master_promote(struct master *master)
{
    lock(master);
    struct generation *present = kept(master, B_SET_PRESENT);
    struct generation *staged = kept(master, B_SET_STAGED);
    present->number = staged->number;
    put(present->row, secret_borrow(staged->row));
    put(present->bridge, secret_borrow(staged->bridge));
    put(present->tokens, secret_borrow(staged->tokens));
    drop(master, B_SET_STAGED);
    unlock(master);
}

void master_drop(struct master *master, enum b_set_which which)
{
    lock(master);
    drop(master, which);
    unlock(master);
}

bool master_is_open(struct master *master, enum b_set_which which)
{
    lock(master);
    const bool open = kept(master, which)->number != 0;
    unlock(master);
    return open;
}

/* The caller holds the lock. NULL: it is not open, or does not follow the present one. */
static const struct generation *find(struct master *m, uint32_t generation)
{
    const struct generation *present = kept(m, B_SET_PRESENT);
    const struct generation *staged = kept(m, B_SET_STAGED);
    if (!generation || !present->number)
        return NULL;
    if (generation == present->number)
        return present;
    return generation == staged->number && generation == present->number + 1 ? staged : NULL;
}

uint64_t master_epoch(struct master *master)
{
    lock(master);
    const uint64_t epoch = master->epoch;
    unlock(master);
    return epoch;
}

static cc_err not_found(bool open)
{
    return open ? CC_FAIL(TAMPERED, "a row of another master key")
                : CC_FAIL(SEALED, "the master key is not open");
}

CC_ERR master_generation(struct master *master, uint32_t wanted, uint32_t *ret_generation)
{
    lock(master);
    const uint32_t present = kept(master, B_SET_PRESENT)->number;
    const struct generation *g = find(master, wanted ? wanted : present);
    *ret_generation = g ? g->number : 0;
    unlock(master);
    return g ? CC_OK : not_found(present != 0);
}

CC_ERR
master_row_key(struct master *master, uint32_t generation, uint8_t ret_key[static SECRET_SIZE])
{
    lock(master);
    const bool open = kept(master, B_SET_PRESENT)->number != 0;
    const struct generation *g = find(master, generation);
    if (g)
        memcpy(ret_key, secret_borrow(g->row), SECRET_SIZE);
    unlock(master);
    return g ? CC_OK : not_found(open);
}

static cc_err lend(struct master *m, const struct secret *slot, uint8_t *ret_key)
{
    lock(m);
    const bool open = kept(m, B_SET_PRESENT)->number != 0;
    if (open)
        memcpy(ret_key, secret_borrow(slot), SECRET_SIZE);
    unlock(m);
    return open ? CC_OK : CC_FAIL(SEALED, "the master key is not open");
}

CC_ERR master_token_key(struct master *master, uint8_t ret_key[static SECRET_SIZE])
{
    return lend(master, kept(master, B_SET_PRESENT)->tokens, ret_key);
}

CC_ERR master_bridge_key(struct master *master, uint8_t ret_key[static SECRET_SIZE])
{
    return lend(master, kept(master, B_SET_PRESENT)->bridge, ret_key);
}
