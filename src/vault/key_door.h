/* vault/key_door.h - the verbs of the key door: what the loader brings.
 *
 * WHAT      One message in, one message of K_RESULT out, a result per item.
 * PROMISE   A key is in the table only under the public key that was derived from it here; a different one that the
 *           file claims is KEYSTORE_PUBKEY.
 * THREADS   Any number at once, each with its own messages. K_KEYSTORE runs for up to seconds.
 * OWNERSHIP Borrows.
 * ERRORS    In the results: as vault/keystore.h and vault/key_table.h.
 * SECRETS   The message holds raw keys or a password: the caller wipes it, and its stack, afterwards.
 */
#ifndef VAULT_KEY_DOOR_H
#define VAULT_KEY_DOOR_H

#include "vault/inside.h"
#include "wire/door_key.h"

/* `message` has passed door_check() with door_key_to_vault. */
void key_door_answer(struct vault *vault,
                     const struct door_message *message,
                     struct door_message *ret_answer);

#endif
