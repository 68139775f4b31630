/* crypto/weighted_sum.h - the sum of many points of G2, each times a weight of its own.
 *
 * WHAT      Draws weights, and adds weight times point over a batch: buckets by digit, whose additions are independent
 *           and share inversions (crypto/affine.h).
 * PROMISE   Any points of the curve, equal and opposite ones too. A weight is odd, has 63 random bits and no factor in
 *           common with the small primes of the curve's order: times a weight, no point but infinity is infinity.
 *           Not constant-time: the points are about to be public, and weights are drawn after the points are made, so
 *           that it helps nobody to learn them.
 * THREADS   Any: all state is the caller's.
 * OWNERSHIP Borrows.
 * ERRORS    SYSTEM: no random bytes.
 * SECRETS   Weights, until their sum has been compared.
 */
#ifndef CRYPTO_WEIGHTED_SUM_H
#define CRYPTO_WEIGHTED_SUM_H

#include <stdbool.h>

#include "crypto/affine.h"
#include "crypto/scalar_split.h"

enum {
    WEIGHTED_MAX = 256,
    WEIGHTED_BUCKETS = SPLIT_DIGITS * SPLIT_LARGEST
};

/* A point, or infinity when it isn't there. */
struct weighted_point {
    blst_p2_affine point;
    bool there;
};

struct weighted_scratch {
    struct affine_sum *sums; /* set by weighted_sum() */
    struct weighted_point bucket[SPLIT_DIGITS][SPLIT_LARGEST];
    /* Points that wait for a bucket: 1 + the index of the first, and of each point's successor; 0 for none. */
    uint16_t first[SPLIT_DIGITS][SPLIT_LARGEST];
    uint16_t next[SPLIT_DIGITS][WEIGHTED_MAX];
    struct weighted_point running[SPLIT_DIGITS];
    struct weighted_point total[SPLIT_DIGITS];
};

CC_ERR weights_draw(uint64_t *ret_weights, size_t n);

/* `n` is at most WEIGHTED_MAX; `sums` has room for WEIGHTED_BUCKETS. */
void weighted_sum(const blst_p2_affine *points,
                  const uint64_t *weights,
                  size_t n,
                  struct weighted_scratch *scratch,
                  struct affine_sum *sums,
                  blst_p2 *ret_sum);

#endif
