/* crypto/scalar_split.h - a secret scalar in four parts, and their digits.
 *
 * WHAT      k = part[0] + part[1] Z + part[2] Z^2 + part[3] Z^3 with parts below Z = BLS_Z, since multiplication by Z
 *           is nearly free in G2 (affine_mul_by_z()); a part's signed digits to base 32.
 * PROMISE   Constant time. Every digit is in -16..16.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS None.
 * SECRETS   A split is as secret as its scalar: it lives in locked memory, and is wiped.
 */
#ifndef CRYPTO_SCALAR_SPLIT_H
#define CRYPTO_SCALAR_SPLIT_H

#include "crypto/blst_inside.h"

enum {
    SPLIT_PARTS = 4,
    SPLIT_WINDOW = 5,
    SPLIT_DIGITS = 13, /* 64 bits and a carry */
    SPLIT_LARGEST = 16 /* digit */
};

struct scalar_split {
    uint64_t part[SPLIT_PARTS];
};

void scalar_split(const struct bls_secret *secret, struct scalar_split *ret_split);

struct split_digit {
    uint64_t size;     /* 0..16 */
    uint64_t negative; /* mask; may be set for 0 */
};

/* Digit `at` of a part, 0 the lowest: half of (six bits, from one below its own, + 1), which is Booth's recoding. */
static inline struct split_digit split_digit(uint64_t part, unsigned at)
{
    const uint64_t bits = (at == 0 ? part << 1 : part >> (SPLIT_WINDOW * at - 1)) & 63;
    const uint64_t negative = ct_mask_bit(bits >> SPLIT_WINDOW);
    return (struct split_digit){.size = (((bits ^ negative) & 63) + 1) >> 1, .negative = negative};
}

#endif
