/* vault/sign.h - one batch of signatures.
 *
 * WHAT      Checks each claim, asks the key's floor, and gives what may be signed to the batch signer, all at once.
 * PROMISE   For blocks and attestations the root is computed here, from the claim and the domain type of its kind; an
 *           object whose domain type is one of theirs is refused. The floor has recorded a claim before it is signed.
 *           One claim's error is its own: the others are signed. The keys of a batch are held until it is signed.
 * THREADS   Any number of batches at once, each with its own work, made before the sandbox locks.
 * OWNERSHIP Borrows. A work ends before its signer.
 * ERRORS    None of a batch's own: each answer carries its error (KEY_UNKNOWN, SLASHABLE, PROTOCOL). Making a work:
 *           NO_MEMORY, MEMLOCK.
 * SECRETS   Keys stay in the arena; crypto/batch.h says what a work holds.
 */
#ifndef VAULT_SIGN_H
#define VAULT_SIGN_H

#include "crypto/batch.h"
#include "vault/key_table.h"

enum {
    SIGN_WORK_LOCKED_MAX = 1 << 20 /* bytes that a work locks at most (crypto/batch.h) */
};

struct sign_work;
CC_ERR sign_work_new(struct batch_signer *signer, struct sign_work **ret_work);
void sign_work_free(struct sign_work *work);

/* `n` is at most B_SIGN_MAX. */
void sign_batch(struct sign_work *work,
                struct key_table *keys,
                const struct b_sign *requests,
                size_t n,
                struct b_signed *ret_answers);

#endif
