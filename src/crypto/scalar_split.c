#include "crypto/scalar_split.h"

/* 2^128 / Z, rounded down, without its top bit: the reciprocal of Moeller and Granlund, "Improved division by invariant
 * integers" (IEEE Transactions on Computers, 2011), algorithm 4. It needs a divisor whose top bit is set: Z is one.
 */
#define RECIPROCAL UINT64_C(0x381204ca56cd56b5)

__extension__ typedef unsigned __int128 wide;

/* All ones when a < b. */
static uint64_t mask_below(uint64_t a, uint64_t b)
{
    return ct_mask_bit((uint64_t)(((wide)a - b) >> 64) & 1);
}

/* Divides high:low by Z, with high < Z. */
static uint64_t divide(uint64_t high, uint64_t low, uint64_t *ret_remainder)
{
    wide product = (wide)RECIPROCAL * high;
    product += (wide)high << 64 | low;
    uint64_t quotient = (uint64_t)(product >> 64) + 1;
    uint64_t remainder = low - quotient * BLS_Z;
    const uint64_t too_large = mask_below((uint64_t)product, remainder);
    quotient += too_large;
    remainder += too_large & BLS_Z;
    const uint64_t too_small = ~mask_below(remainder, BLS_Z);
    quotient -= too_small;
    remainder -= too_small & BLS_Z;
    *ret_remainder = remainder;
    return quotient;
}

/* A split's part is the remainder of what is left; what is left then is the quotient, a limb shorter. */
CC_SENSITIVE void scalar_split(const struct bls_secret *secret, struct scalar_split *ret_split)
{
    uint64_t left[SPLIT_PARTS];
    blst_uint64_from_scalar(left, secret_scalar(secret));
    for (size_t i = 0; i + 1 < SPLIT_PARTS; i++) {
        uint64_t remainder = 0;
        for (size_t limb = SPLIT_PARTS - i; limb-- > 0;)
            left[limb] = divide(remainder, left[limb], &remainder);
        ret_split->part[i] = remainder;
    }
    ret_split->part[SPLIT_PARTS - 1] = left[0];
    wipe(left, sizeof left);
}
