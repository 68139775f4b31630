/* core/key_rows.h - the rows of a key store in memory, in order of public key.
 *
 * WHAT      Reading them from a store, finding one, and what a change makes of them.
 * PROMISE   A function that fails has changed nothing.
 * THREADS   One.
 * OWNERSHIP key_rows_release() frees.
 * ERRORS    CONFLICT (a row has another version than the change expects), NO_MEMORY, those of keys/store.h.
 * SECRETS   Sealed rows.
 */
#ifndef CORE_KEY_ROWS_H
#define CORE_KEY_ROWS_H

#include "keys/store.h"

struct key_rows {
    struct sealed_row *rows;
    size_t count;
    size_t room;
    uint8_t digest[KEY_STORE_DIGEST_SIZE];
};

/* `store` NULL: one without rows. */
CC_ERR key_rows_read(struct key_store *store, struct key_rows *ret_rows);
/* The rows as they will be. */
CC_ERR key_rows_after(const struct key_rows *before,
                      const struct key_change *changes,
                      size_t n,
                      struct key_rows *ret_after);
/* NULL when there is none. */
const struct sealed_row *key_rows_find(const struct key_rows *rows,
                                       const struct eth_pubkey *pubkey);
/* The keys whose status is another, a tombstone being as good as no row; cc_free(). */
CC_ERR key_rows_compare(const struct key_rows *before,
                        const struct key_rows *after,
                        struct eth_pubkey **ret_keys,
                        size_t *ret_count);
void key_rows_release(struct key_rows *rows);

#endif
