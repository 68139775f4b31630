/* keys/key_map.h - a set of public keys, or of file identities, each with a number.
 *
 * WHAT      A hash map from 48 bytes to a uint32. The loader asks it which keys and which files it met already.
 * PROMISE   Look-up and insertion take constant time for keys that nobody chose to collide (public keys, inodes).
 * THREADS   One thread per map.   OWNERSHIP key_map_release() frees; it takes a zeroed map.
 * ERRORS    NO_MEMORY; LIMIT beyond KEY_MAP_MAX entries.   SECRETS None.
 */
#ifndef KEYS_KEY_MAP_H
#define KEYS_KEY_MAP_H

#include <stdbool.h>

#include "base/error.h"

#include "eth/types.h"

enum {
    KEY_MAP_MAX = 1 << 20
};

struct key_map_entry {
    struct eth_pubkey key;
    uint32_t value;
    bool used;
};

struct key_map {
    struct key_map_entry *entries; /* a power of two of them, or none */
    size_t capacity;
    size_t count;
};

/* NULL when `key` is not there; the pointer is good until the next key_map_put(). */
uint32_t *key_map_find(const struct key_map *map, const struct eth_pubkey *key);
/* Adds `key`, or gives it a new value. */
CC_ERR key_map_put(struct key_map *map, const struct eth_pubkey *key, uint32_t value);
void key_map_release(struct key_map *map);

#endif
