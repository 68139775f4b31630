/* vault/vault.h - the room that holds the keys.
 *
 * WHAT      Key table, chamber secrets, BLS signatures, keystore decryption, its own slashing floor per key.
 * PROMISE   Parses fixed structs only; no verb returns a key; two conflicting signatures of one key can't be had
 *           from one life of it, whatever the core says (but with anti_slashing.backend noop, which promises nothing).
 * THREADS   room_main_fn.   OWNERSHIP As wire/room.h.   ERRORS As wire/room.h.
 * SECRETS   All of them: docs/secrets.md.
 */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include "wire/room.h"

CC_ERR vault_main(const struct room_context *room);
/* Takes the memory that a vault of this configuration locks at its start, and gives it back; *ret_key_slots: for how many keys
 * it was enough.
 */
CC_ERR vault_try_memory(const struct config *config, uint64_t *ret_key_slots);

#endif
