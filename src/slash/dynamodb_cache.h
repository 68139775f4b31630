/* slash/dynamodb_cache.h - heads as they were read or written last.
 *
 * WHAT      What lets the usual claim do with one call: the head that it is written over need not be read first.
 * PROMISE   Holds what was given to it last for a key, and forgets nothing but by _clear(); a key beyond DYNAMODB_CACHE_MAX is not
 *           kept. What stands here may be old: nothing is decided by it but what is written under the condition that the
 *           table still has this version.
 * THREADS   One thread.
 * OWNERSHIP The cache owns all; a found head is valid until the next _put().
 * ERRORS    None: without memory it keeps less.
 * SECRETS   None.
 */
#ifndef SLASH_DYNAMODB_CACHE_H
#define SLASH_DYNAMODB_CACHE_H

#include "slash/dynamodb_item.h"

enum {
    DYNAMODB_CACHE_MAX = 16384 /* keys; each takes about 850 bytes */
};

struct dynamodb_cache {
    /* private */
    struct dynamodb_head *heads;
    size_t count;
    size_t room;
    uint32_t *table; /* open addressing: position + 1 in `heads` */
};

const struct dynamodb_head *dynamodb_cache_find(const struct dynamodb_cache *cache,
                                                const struct eth_pubkey *pubkey);
void dynamodb_cache_put(struct dynamodb_cache *cache, const struct dynamodb_head *head);
void dynamodb_cache_clear(struct dynamodb_cache *cache);

#endif
