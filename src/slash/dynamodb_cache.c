#include "slash/dynamodb_cache.h"

#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

enum {
    TABLE_SIZE = 2 * DYNAMODB_CACHE_MAX
};

/* Public keys are points: their middle bytes are as good as random. */
static size_t first_place(const struct eth_pubkey *pubkey)
{
    return (size_t)(u64_load_le(pubkey->bytes + 8) ^ u64_load_le(pubkey->bytes + 40)) &
           (TABLE_SIZE - 1);
}

/* Where the key is, or where it would be put. */
static uint32_t *place_of(const struct dynamodb_cache *cache, const struct eth_pubkey *pubkey)
{
    size_t at = first_place(pubkey);
    while (cache->table[at] && memcmp(cache->heads[cache->table[at] - 1].pubkey.bytes,
                                      pubkey->bytes, sizeof pubkey->bytes) != 0)
        at = (at + 1) & (TABLE_SIZE - 1);
    return &cache->table[at];
}

const struct dynamodb_head *dynamodb_cache_find(const struct dynamodb_cache *cache,
                                                const struct eth_pubkey *pubkey)
{
    uint32_t at = cache->table ? *place_of(cache, pubkey) : 0;
    return at ? &cache->heads[at - 1] : NULL;
}

void dynamodb_cache_put(struct dynamodb_cache *cache, const struct dynamodb_head *head)
{
    if (!cache->table)
        cache->table = cc_alloc_array(TABLE_SIZE, sizeof *cache->table);
    if (!cache->table)
        return;
    uint32_t *at = place_of(cache, &head->pubkey);
    if (*at == 0) {
        struct dynamodb_head *heads = NULL;
        if (cache->count < DYNAMODB_CACHE_MAX)
            heads = cc_grow_array(cache->heads, cache->count, &cache->room, sizeof *heads);
        if (!heads)
            return;
        cache->heads = heads;
        *at = (uint32_t)++cache->count;
    }
    cache->heads[*at - 1] = *head;
}

void dynamodb_cache_clear(struct dynamodb_cache *cache)
{
    cc_free(cache->heads);
    cc_free(cache->table);
    *cache = (struct dynamodb_cache){0};
}
