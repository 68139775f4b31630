/* vault/sign.h - one batch of signatures.
 *
 * WHAT      Checks each claim, asks the key's floor, hashes each distinct root once, signs.
 * PROMISE   For blocks and attestations the root is computed here, from the claim and the domain type of its kind; an
 *           object whose domain type is one of theirs is refused. The floor has recorded a claim before it is signed.
 *           One claim's error is its own: the others are signed.
 * THREADS   Any number of batches at once.
 * OWNERSHIP Borrows.
 * ERRORS    None of its own: each answer carries its error (KEY_UNKNOWN, SLASHABLE, PROTOCOL).
 * SECRETS   Keys stay in the arena; the caller wipes its stack after the batch.
 */
#ifndef VAULT_SIGN_H
#define VAULT_SIGN_H

#include "vault/key_table.h"

enum {
    SIGN_BATCH_MAX = DOOR_FIT(sizeof(struct b_sign))
};

/* `n` is at most SIGN_BATCH_MAX. */
void sign_batch(struct key_table *keys,
                const struct b_sign *requests,
                size_t n,
                struct b_signed *ret_answers);

#endif
