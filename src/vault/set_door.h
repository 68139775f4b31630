/* vault/set_door.h - the verbs of sets and ceremonies, as the vault answers them.
 *
 * WHAT      Door B's items in, its items out; what it all means is in vault/sets.h and vault/ceremony.h.
 * PROMISE   Every request has exactly one answer, of the type that wire/door_b.h names. What is wrong with a credential is neither
 *           told nor logged.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS In the answers.
 * SECRETS   Shares for KMS keys, in answers to B_SET_SHARE and in requests B_SET_UNWRAP: vault/threads.h wipes both messages.
 */
#ifndef VAULT_SET_DOOR_H
#define VAULT_SET_DOOR_H

#include "vault/inside.h"

/* Answers one of B_SET_*, B_CHALLENGE, B_ENVELOPE. */
void set_door_answer(struct vault *vault,
                     const struct door_message *message,
                     struct door_message *ret_answer);

#endif
