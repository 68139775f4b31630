/* vault/inside.h - what the vault's threads share.
 *
 * WHAT      The arena and all that lives in it, and the budget of keystore decryption.
 * PROMISE   Once sealed, sealed for this life.
 * THREADS   Each part has its own lock; see its header. Order: sets.lock or root.lock, then chamber.lock, master.lock or table.lock, entry.lock,
 *           arena.lock.
 * OWNERSHIP vault_close() wipes and frees everything but the engine; no thread may use it any more.
 * ERRORS    MEMLOCK, NO_MEMORY, LIMIT.
 * SECRETS   All: docs/secrets.md.
 */
#ifndef VAULT_INSIDE_H
#define VAULT_INSIDE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "attest/nsm.h"
#include "config/config.h"
#include "crypto/recipient.h"
#include "vault/chamber.h"
#include "vault/engine.h"
#include "vault/generate.h"
#include "vault/key_table.h"
#include "vault/keystore.h"
#include "vault/master.h"
#include "vault/root.h"
#include "vault/sets.h"

enum {
    VAULT_KEYS_MAX = 100000,
    VAULT_KEYS_MIN = 1000,
    VAULT_OTHER_SECRETS =
        16 + GENERATE_SESSIONS +
        SEAL_KMS_MAX, /* the chamber's, the master key's, those of new keys, shares of a root */
    VAULT_LOCKED_MAX = 4 << 20, /* bytes that the arena locks for VAULT_KEYS_MAX keys, rounded up */
};

struct vault {
    struct arena *arena;
    struct key_table *keys;
    struct chamber *chamber;
    struct master *master;
    struct sets *sets;
    struct generator *generator;
    struct recipient *recipient;               /* NULL: not in an enclave */
    struct nsm *nsm;                           /* the same; after CONTROL_START */
    const struct tee_root_config *root_config; /* borrowed */
    uint8_t config_digest[32];                 /* of the core's options: the supervisor's word */
    _Atomic uint32_t release_tries; /* that were no text, or are under way: vault/release.h */
    struct root *root;
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

/* Makes the head of an answer of door B and zeroes its items: nothing of an earlier message stays in them. */
void *
door_answer_init(struct door_message *answer, uint16_t type, size_t item_size, uint32_t count);

#endif
