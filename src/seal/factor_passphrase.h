/* seal/factor_passphrase.h - a passphrase as an operator's factor.
 *
 * WHAT      Makes one, judges one that somebody made up, answers with it.
 * PROMISE   What passphrase_make() gives has 100 bits of the kernel's randomness: enough where the share lies under nothing else
 *           (threat T17). What passphrase_bits() says of another one is an estimate that errs on the low side for what people do with letters,
 *           digits and repetitions, and can't know that a sentence stands in a book.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS FACTOR, SYSTEM (no randomness).
 * SECRETS   The passphrase, in the caller's memory.
 */
#ifndef SEAL_FACTOR_PASSPHRASE_H
#define SEAL_FACTOR_PASSPHRASE_H

#include "seal/factor.h"

enum {
    PASSPHRASE_MADE_LEN =
        24, /* five groups of four of an alphabet of 32, and what stands between them */
    PASSPHRASE_BITS_MIN = 80,       /* where a KMS layer lies over the share */
    PASSPHRASE_BITS_MIN_ALONE = 100 /* where nothing does */
};

CC_ERR passphrase_make(char ret_text[static PASSPHRASE_MADE_LEN + 1]);

/* How hard it is to guess, in bits. */
uint32_t passphrase_bits(struct span text);

/* FACTOR when it is too weak for a share in a set of that mode (enum seal_mode), too long, or has something else than printable
 * characters in it.
 */
CC_ERR passphrase_check(struct span text, uint32_t mode);

/* The factor borrows `text`. */
void factor_passphrase(struct factor *ret_factor, struct span *text);

#endif
