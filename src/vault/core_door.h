/* vault/core_door.h - the verbs of door B, as the vault answers them.
 *
 * WHAT      One message in, one message out; no descriptor, no thread.
 * PROMISE   Every accepted message has exactly one answer, of the type that wire/door_b.h names. Nothing is signed for a
 *           life that has not proved its history. No answer holds a key.
 * THREADS   Any number at once, each with its own messages.
 * OWNERSHIP Borrows.
 * ERRORS    In the answers.
 * SECRETS   None cross.
 */
#ifndef VAULT_CORE_DOOR_H
#define VAULT_CORE_DOOR_H

#include "vault/inside.h"
#include "vault/sign.h"
#include "wire/door_b.h"

/* `greeted` belongs to this life of the core: set by its B_HELLO. `work` to this thread. `message` has passed
 * door_check() with door_b_to_vault; the answer's head lacks version and life, which door_send() adds.
 */
void core_door_answer(struct vault *vault,
                      struct sign_work *work,
                      _Atomic bool *greeted,
                      const struct door_message *message,
                      struct door_message *ret_answer);

#endif
