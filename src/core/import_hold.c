#include "core/import_hold.h"

#include <pthread.h>

#include "base/alloc.h"

struct import_hold {
    pthread_mutex_t lock; /* guards all below */
    uint32_t epoch;       /* the front's door */
    size_t count;
    struct import_held held[A_KEYS_IMPORTS_MAX];
};

static void take_lock(struct import_hold *hold)
{
    cc_assert(pthread_mutex_lock(&hold->lock) == 0);
}

static void drop_lock(struct import_hold *hold)
{
    cc_assert(pthread_mutex_unlock(&hold->lock) == 0);
}

CC_ERR import_hold_new(struct import_hold **ret_hold)
{
    struct import_hold *hold = cc_alloc(sizeof *hold);
    if (!hold)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_assert(pthread_mutex_init(&hold->lock, NULL) == 0);
    *ret_hold = hold;
    return CC_OK;
}

void import_hold_free(struct import_hold *hold)
{
    if (!hold)
        return;
    (void)pthread_mutex_destroy(&hold->lock);
    cc_free(hold);
}

void import_hold_begin(struct import_hold *hold, uint32_t epoch)
{
    take_lock(hold);
    hold->epoch = epoch;
    hold->count = 0;
    drop_lock(hold);
}

void import_hold_put(struct import_hold *hold, const struct import_held *held)
{
    take_lock(hold);
    cc_assert(hold->count < A_KEYS_IMPORTS_MAX);
    hold->held[hold->count++] = *held;
    drop_lock(hold);
}

/* The lock is held. */
static struct import_held *
find(struct import_hold *hold, uint32_t epoch, const struct eth_pubkey *pubkey)
{
    for (size_t i = 0; hold->epoch == epoch && i < hold->count; i++)
        if (key_store_order(&hold->held[i].row.pubkey, pubkey) == 0)
            return &hold->held[i];
    return NULL;
}

bool import_hold_has(struct import_hold *hold, uint32_t epoch, const struct eth_pubkey *pubkey)
{
    take_lock(hold);
    const bool has = find(hold, epoch, pubkey) != NULL;
    drop_lock(hold);
    return has;
}

void import_hold_merged(struct import_hold *hold,
                        uint32_t epoch,
                        const struct a_record *records,
                        size_t count)
{
    take_lock(hold);
    for (size_t i = 0; i < count; i++) {
        const struct eth_pubkey pubkey = records[i].is.pubkey;
        struct import_held *held =
            records[i].kind == RECORD_VALIDATOR ? find(hold, epoch, &pubkey) : NULL;
        if (held)
            held->merged = true;
    }
    drop_lock(hold);
}

bool import_hold_take(struct import_hold *hold,
                      uint32_t epoch,
                      const struct eth_pubkey *pubkey,
                      struct import_held *ret_held)
{
    take_lock(hold);
    struct import_held *held = find(hold, epoch, pubkey);
    const bool has = held != NULL;
    if (has) {
        *ret_held = *held;
        *held = hold->held[--hold->count];
    }
    drop_lock(hold);
    return has;
}
