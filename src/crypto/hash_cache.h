/* crypto/hash_cache.h - hash-to-curve once per root.
 *
 * WHAT      The last few hundred roots that were hashed, and their points.
 * PROMISE   Fixed memory. A kept point that memory has changed is not given out: it is hashed again (threat T22). The least
 *           recently used root of a set gives way.
 * THREADS   Any; the lock is not held while a root is hashed.
 * OWNERSHIP Copies in and out.
 * ERRORS    NO_MEMORY.
 * SECRETS   None: roots and their points are public.
 */
#ifndef CRYPTO_HASH_CACHE_H
#define CRYPTO_HASH_CACHE_H

#include <stdbool.h>

#include "crypto/bls.h"

enum {
    HASH_CACHE_SETS = 64,
    HASH_CACHE_WAYS = 4,
    HASH_CACHE_ROOTS = HASH_CACHE_SETS * HASH_CACHE_WAYS
};

struct hash_cache;

CC_ERR hash_cache_new(struct hash_cache **ret_cache);
void hash_cache_free(struct hash_cache *cache);

/* Gives the root's point, which it hashes and keeps if it wasn't there, unchanged; true when it was. */
bool hash_cache_get(struct hash_cache *cache,
                    const uint8_t root[static BLS_ROOT_SIZE],
                    struct bls_hash *ret_hash);
/* Drops a root whose point is in doubt. */
void hash_cache_forget(struct hash_cache *cache, const uint8_t root[static BLS_ROOT_SIZE]);
/* How many roots are kept. */
size_t hash_cache_count(struct hash_cache *cache);

#endif
