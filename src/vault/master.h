/* vault/master.h - what is left of the master key while it is open.
 *
 * WHAT      The keys of at most two generations: the present one, and one that is staged to take its place. Of each the key of rows,
 *           the key of the bridge to the next, and the key of access tokens, which is the same in every generation.
 * PROMISE   The master key itself is never here: what opens it derives these and wipes it. What is dropped is wiped.
 * THREADS   Any; master.lock is a leaf.
 * OWNERSHIP Holds its slots of the borrowed arena from master_new() to master_free(), so that keys can't take them meanwhile.
 * ERRORS    SEALED (not open, or another generation), LIMIT.
 * SECRETS   All of it, in the arena.
 */
#ifndef VAULT_MASTER_H
#define VAULT_MASTER_H

#include "secret/arena.h"
#include "secret/wipe.h"
#include "wire/door_b.h"

struct master;

/* What a master key gives; on the stack of who opens or makes one, and wiped there. */
struct master_keys {
    struct secret32 row;
    struct secret32 bridge;
    struct secret32 check;  /* stands in the set, in clear */
    struct secret32 tokens; /* wraps the key of access tokens */
};

void master_keys_wipep(struct master_keys *keys);
void master_derive(const uint8_t master_key[static SECRET_SIZE],
                   const uint8_t chamber_id[static 32],
                   struct master_keys *ret_keys);

CC_ERR master_new(struct arena *arena, struct master **ret_master);
void master_free(struct master *master); /* takes NULL */

/* Puts a generation in place; one that was there is overwritten. */
void master_put(struct master *master,
                enum b_set_which which,
                uint32_t generation,
                const struct master_keys *keys,
                const uint8_t token_key[static SECRET_SIZE]);
/* The staged generation takes the present one's place, open or not. */
void master_promote(struct master *master);
void master_drop(struct master *master, enum b_set_which which);

/* Another number after each key that is dropped or moves up: two keys that were looked up in one epoch were open side by side. */
uint64_t master_epoch(struct master *master);
bool master_is_open(struct master *master, enum b_set_which which);
/* The generation that is asked for, if it is open; 0: the present one. */
CC_ERR master_generation(struct master *master, uint32_t wanted, uint32_t *ret_generation);
/* The caller wipes the key. */
CC_ERR
master_row_key(struct master *master, uint32_t generation, uint8_t ret_key[static SECRET_SIZE]);
/* Both of the present generation. */
CC_ERR master_token_key(struct master *master, uint8_t ret_key[static SECRET_SIZE]);
CC_ERR master_bridge_key(struct master *master, uint8_t ret_key[static SECRET_SIZE]);

#endif
