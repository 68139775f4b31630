/* vault/inside.h - what the vault's threads share.
 *
 * WHAT      The arena and all that lives in it, and the budget of keystore decryption.
 * PROMISE   Once sealed, sealed for this life.
 * THREADS   Each part has its own lock; see its header. Order: chamber.lock or table.lock, entry.lock, arena.lock.
 * OWNERSHIP vault_close() wipes and frees everything but the engine; no thread may use it any more.
 * ERRORS    MEMLOCK, NO_MEMORY, LIMIT.
 * SECRETS   All: docs/secrets.md.
 */
#ifndef VAULT_INSIDE_H
#define VAULT_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "vault/chamber.h"
#include "vault/engine.h"
#include "vault/key_table.h"
#include "vault/keystore.h"

enum {
    VAULT_KEYS_MAX = 100000,
    VAULT_KEYS_MIN = 1000,
    VAULT_OTHER_SECRETS = 8,    /* the chamber's */
    VAULT_LOCKED_MAX = 4 << 20, /* bytes that the arena locks for VAULT_KEYS_MAX keys, rounded up */
};

struct vault {
    struct arena *arena;
    struct key_table *keys;
    struct chamber *chamber;
    struct engine *engine; /* borrowed */
    struct keystore_gate gate;
    _Atomic bool sealed;
};

CC_ERR vault_open(uint64_t expected_keys,
                  size_t keystore_memory,
                  struct engine *engine,
                  struct vault *ret_vault);
void vault_close(struct vault *vault);
void vault_seal(struct vault *vault);

#endif
