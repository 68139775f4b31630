/* vault/key_table.h - the keys, their handles and their floors.
 *
 * WHAT      One entry per public key that was ever loaded in this life: a slot of the arena while the key is loaded,
 *           and its floor for good. Found by handle (index, generation) or by public key.
 * PROMISE   A handle names one loading of one key: after a removal it is stale and finds nothing. A floor outlives the
 *           removal of its key: loading it again does not forget what was signed. A secret is lent for one batch, to
 *           who was admitted with it, and never wiped under a signature: removal and seal wait for who holds it.
 * THREADS   Any. Locks, in this order: table.lock (of who adds, removes or lists; kept while a removal waits, so nobody
 *           who holds a key may ask for it), entry.lock (floor, generation, holders and secret of one key, for
 *           nanoseconds: no signature is made under it), arena.lock. None is held over I/O. Admitting takes no
 *           table.lock. A thread may hold any number of keys, and one several times.
 * OWNERSHIP Entries live until key_table_free(), which wipes every secret; nobody may hold one then. What
 *           key_table_admit() lends goes back by key_table_let_go(). The arena is borrowed.
 * ERRORS    KEY_UNKNOWN (no such key, a stale handle, another key's handle), SLASHABLE, SEALED, LIMIT, NO_MEMORY.
 * SECRETS   Slots of the arena; see docs/secrets.md.
 */
#ifndef VAULT_KEY_TABLE_H
#define VAULT_KEY_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "crypto/bls.h"
#include "secret/arena.h"
#include "vault/floor.h"
#include "wire/door_b.h"

struct key_table;

CC_ERR key_table_new(struct arena *arena, uint32_t max_keys, struct key_table **ret_table);
void key_table_free(struct key_table *table);
/* For anti_slashing.backend noop, which promises nothing: floors are no longer asked. Before any thread uses the table. */
void key_table_drop_floors(struct key_table *table);

/* Loads a key from a file; *ret_existed when it was loaded already (then the handle is the one it had). */
CC_ERR key_table_add(struct key_table *table,
                     const struct bls_secret *secret,
                     const struct eth_pubkey *pubkey,
                     struct key_handle *ret_handle,
                     bool *ret_existed);
/* The same for a key from elsewhere (enum b_key_source). */
CC_ERR key_table_add_from(struct key_table *table,
                          const struct bls_secret *secret,
                          const struct eth_pubkey *pubkey,
                          uint32_t source,
                          struct key_handle *ret_handle,
                          bool *ret_existed);
CC_ERR key_table_find(struct key_table *table,
                      const struct eth_pubkey *pubkey,
                      struct key_handle *ret_handle);
CC_ERR key_table_remove(struct key_table *table, struct key_handle handle);
/* Wipes every key; from then on nothing can be added. */
/* Takes this source from all keys; those that have no other go. */
void key_table_drop_source(struct key_table *table, uint32_t source);
void key_table_seal(struct key_table *table);
uint32_t key_table_count(struct key_table *table);

struct key_name {
    struct key_handle handle;
    struct eth_pubkey pubkey;
    uint32_t sources; /* enum b_key_source */
};
/* Lists at most `max` loaded keys from entry `from` on; *ret_next is where to go on, 0 at the end. */
uint32_t key_table_list(struct key_table *table,
                        uint32_t from,
                        struct key_name *ret_names,
                        uint32_t max,
                        uint32_t *ret_next);

struct entry;

/* A key lent for one batch. */
struct key_hold {
    const struct bls_secret *secret;
    const struct eth_pubkey *pubkey;
    atomic_bool *keep_on_blst; /* of the key, for good: its removal does not forget it */
    /* private */
    struct entry *entry;
};

/* Asks the key's floor and, where it may be signed, lends the key; SLASHABLE fills *ret_verdict. `block` or `attestation` is
 * NULL, or both for a message that can't be slashed for: then only handle and public key are checked.
 */
struct key_claim {
    const struct slash_block *block;
    const struct slash_attestation *attestation;
};
CC_ERR key_table_admit(struct key_table *table,
                       struct key_handle handle,
                       const struct eth_pubkey *pubkey,
                       const struct key_claim *claim,
                       struct slash_verdict *ret_verdict,
                       struct key_hold *ret_hold);
/* Gives back what was lent: the secret must not be used after it. */
void key_table_let_go(struct key_table *table, const struct key_hold *held);

#endif
