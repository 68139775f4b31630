#include "crypto/hash_cache.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/span.h"

#include "crypto/batch_fault.h"
#include "crypto/sha256.h"

struct kept_root {
    struct bls_hash hash;
    uint8_t root[BLS_ROOT_SIZE];
    uint8_t seal[SHA256_SIZE]; /* of the two above */
    uint64_t used;             /* the cache's clock at the last use; 0: empty */
};

struct hash_cache {
    pthread_mutex_t lock; /* guards all below */
    uint64_t clock;
    struct kept_root kept[HASH_CACHE_SETS][HASH_CACHE_WAYS];
};

static void lock(struct hash_cache *cache)
{
    cc_assert(pthread_mutex_lock(&cache->lock) == 0);
}

static void unlock(struct hash_cache *cache)
{
    cc_assert(pthread_mutex_unlock(&cache->lock) == 0);
}

/* Roots are outputs of SHA-256: any byte of one spreads well. */
static struct kept_root *set_of(struct hash_cache *cache, const uint8_t *root)
{
    return cache->kept[root[0] % HASH_CACHE_SETS];
}

/* A kept point lies in memory for minutes, and blst would sign with whatever it has become. */
static void seal_of(const struct kept_root *kept, uint8_t ret_seal[static SHA256_SIZE])
{
    sha256(span_of(kept, offsetof(struct kept_root, seal)), ret_seal);
}

static bool is_whole(const struct kept_root *kept)
{
    uint8_t seal[SHA256_SIZE];
    seal_of(kept, seal);
    return span_equal(span_of(seal, sizeof seal), span_of(kept->seal, sizeof seal));
}

static struct kept_root *find(struct kept_root *set, const uint8_t *root)
{
    for (size_t i = 0; i < HASH_CACHE_WAYS; i++) {
        if (set[i].used &&
            span_equal(span_of(set[i].root, BLS_ROOT_SIZE), span_of(root, BLS_ROOT_SIZE)))
            return &set[i];
    }
    return NULL;
}

static struct kept_root *oldest(struct kept_root *set)
{
    struct kept_root *old = &set[0];
    for (size_t i = 1; i < HASH_CACHE_WAYS; i++) {
        if (set[i].used < old->used)
            old = &set[i];
    }
    return old;
}

CC_ERR hash_cache_new(struct hash_cache **ret_cache)
{
    struct hash_cache *cache = cc_alloc(sizeof *cache);
    if (!cache)
        return CC_FAIL(NO_MEMORY, "hash cache");
    cc_assert(pthread_mutex_init(&cache->lock, NULL) == 0);
    *ret_cache = cache;
    return CC_OK;
}

void hash_cache_free(struct hash_cache *cache)
{
    if (!cache)
        return;
    (void)pthread_mutex_destroy(&cache->lock);
    cc_free(cache);
}

static bool look_up(struct hash_cache *cache, const uint8_t *root, struct bls_hash *ret_hash)
{
    lock(cache);
    struct kept_root *found = find(set_of(cache, root), root);
    bool whole = false;
    if (found) {
        batch_fault(BATCH_FAULT_KEPT, &found->hash, 1);
        whole = is_whole(found);
        found->used = ++cache->clock;
        *ret_hash = found->hash;
    }
    unlock(cache);
    return whole;
}

/* Another thread may have kept the same root meanwhile: then this only renews it. */
static void keep(struct hash_cache *cache, const uint8_t *root, const struct bls_hash *hash)
{
    lock(cache);
    struct kept_root *set = set_of(cache, root);
    struct kept_root *place = find(set, root);
    if (!place)
        place = oldest(set);
    memcpy(place->root, root, BLS_ROOT_SIZE);
    place->hash = *hash;
    seal_of(place, place->seal);
    place->used = ++cache->clock;
    unlock(cache);
}

bool hash_cache_get(struct hash_cache *cache,
                    const uint8_t root[static BLS_ROOT_SIZE],
                    struct bls_hash *ret_hash)
{
    if (look_up(cache, root, ret_hash))
        return true;
    bls_hash(root, ret_hash);
    keep(cache, root, ret_hash);
    return false;
}

void hash_cache_forget(struct hash_cache *cache, const uint8_t root[static BLS_ROOT_SIZE])
{
    lock(cache);
    struct kept_root *found = find(set_of(cache, root), root);
    if (found)
        found->used = 0;
    unlock(cache);
}

size_t hash_cache_count(struct hash_cache *cache)
{
    size_t count = 0;
    lock(cache);
    for (size_t set = 0; set < HASH_CACHE_SETS; set++) {
        for (size_t way = 0; way < HASH_CACHE_WAYS; way++)
            count += cache->kept[set][way].used != 0;
    }
    unlock(cache);
    return count;
}
