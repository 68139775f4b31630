/* crypto/affine.h - many independent additions in G2 at the price of one inversion.
 *
 * WHAT      acc := acc + add for each sum of a batch, in affine coordinates: five multiplications and a squaring each,
 *           against eleven for a mixed Jacobian addition, and the result needs no inversion any more. The inversions
 *           are one, by Montgomery's trick.
 * PROMISE   affine_sum_secret() and affine_add() are constant-time in the points. An exceptional sum spoils no other.
 *           affine_sum_public() isn't constant-time and has no exceptions.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows. No two sums of a batch have one `acc`.
 * ERRORS    SYSTEM: no random bytes. Of a sum: see affine_sum_secret().
 * SECRETS   Sums of secret points: callers keep them in locked memory and wipe them.
 */
#ifndef CRYPTO_AFFINE_H
#define CRYPTO_AFFINE_H

#include "crypto/blst_inside.h"

struct affine_sum {
    blst_p2_affine *acc;
    blst_p2_affine add;
    /* Masks, for the point at infinity, whose coordinates are arbitrary. acc's is up to date after the addition too. */
    uint64_t add_is_zero;
    uint64_t acc_is_zero;
    /* private */
    blst_fp2 numerator;
    blst_fp2 denominator;
    blst_fp2 product;
};

/* Prepares a sum whose acc, add and masks are set. Returns a mask: the points are equal or opposite, and the sum will be
 * nonsense.
 */
uint64_t affine_sum_secret(struct affine_sum *sum) CC_MUST_USE;
/* Prepares a sum of two public points, neither at infinity; false when they are opposite: their sum has no place here. */
bool affine_sum_public(struct affine_sum *sum, blst_p2_affine *acc, const blst_p2_affine *add)
    CC_MUST_USE;

/* Random numbers of the field, of which each hides one inversion. */
CC_ERR affine_draw_blinds(blst_fp *ret_blinds, size_t n);
/* Adds what was prepared. `blind` is random, made for this call; NULL when all points are public. */
void affine_add(struct affine_sum *sums, size_t n, const blst_fp *blind);

#endif
