#include "keys/key_map.h"

#include "base/alloc.h"
#include "base/num.h"
#include "base/span.h"

static bool same(const struct eth_pubkey *a, const struct eth_pubkey *b)
{
    return span_equal(span_of(a->bytes, sizeof a->bytes), span_of(b->bytes, sizeof b->bytes));
}

/* The entry of `key`, or the free one where it belongs. There always is a free one. */
static struct key_map_entry *
place(struct key_map_entry *entries, size_t capacity, const struct eth_pubkey *key)
{
    /* The middle of a public key is as good as random; of a file identity it holds the inode. */
    uint64_t hash = u64_load_be(key->bytes + 8) * 0x9e3779b97f4a7c15u;
    for (size_t at = (size_t)(hash >> 32) & (capacity - 1);; at = (at + 1) & (capacity - 1))
        if (!entries[at].used || same(&entries[at].key, key))
            return &entries[at];
}

static cc_err grow(struct key_map *map)
{
    size_t capacity = map->capacity ? map->capacity * 2 : 64;
    struct key_map_entry *entries = cc_alloc_array(capacity, sizeof *entries);
    if (!entries)
        return CC_FAIL(NO_MEMORY, "key map");
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].used)
            *place(entries, capacity, &map->entries[i].key) = map->entries[i];
    cc_free(map->entries);
    map->entries = entries;
    map->capacity = capacity;
    return CC_OK;
}

uint32_t *key_map_find(const struct key_map *map, const struct eth_pubkey *key)
{
    if (!map->capacity)
        return NULL;
    struct key_map_entry *entry = place(map->entries, map->capacity, key);
    return entry->used ? &entry->value : NULL;
}

CC_ERR key_map_put(struct key_map *map, const struct eth_pubkey *key, uint32_t value)
{
    uint32_t *known = key_map_find(map, key);
    if (known) {
        *known = value;
        return CC_OK;
    }
    if (map->count >= KEY_MAP_MAX)
        return CC_FAIL(LIMIT, "too many keys");
    if (map->count * 2 >= map->capacity)
        CC_TRY(grow(map));
    *place(map->entries, map->capacity, key) = (struct key_map_entry){*key, value, true};
    map->count++;
    return CC_OK;
}

void key_map_release(struct key_map *map)
{
    cc_free(map->entries);
    *map = (struct key_map){0};
}
