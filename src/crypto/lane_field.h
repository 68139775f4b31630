/* crypto/lane_field.h - arithmetic modulo the BLS12-381 prime, eight numbers at a time.
 *
 * WHAT      Fp in Montgomery form with R = 2^416, in eight limbs of 52 bits, and Fp2 = Fp[i]/(i^2 + 1) on top of it.
 *           Written over the lane type that is included before.
 * PROMISE   Branch-free. Bounds, in multiples of p: a product is below 2.4, whatever its factors, as long as theirs
 *           multiply to less than 2^30; subtraction says what it takes. Limbs 0 to 6 are below 2^52 after every
 *           function, limb 7 is not negative. tests/unit/crypto/test_lane_bounds.c runs this source over intervals
 *           instead of numbers, which proves that no input of any kernel leaves these bounds.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows; results may be one of the inputs.
 * ERRORS    None.
 * SECRETS   Pass through.
 */
#ifndef CRYPTO_LANE_FIELD_H
#define CRYPTO_LANE_FIELD_H

#include <stddef.h>

#include "crypto/lane_constants.h"

enum {
    FP_LIMBS = 8
};

struct fp {
    lane_v limb[FP_LIMBS];
};

struct fp2 {
    struct fp re, im;
};

/* A product before its reduction: limb-wise sums that have not been carried. */
struct fp_wide {
    lane_v limb[2 * FP_LIMBS];
};

#define LANE_CALL static __attribute__((noinline, unused))

LANE_INLINE void fp_carry(struct fp *a)
{
    lane_v mask = v_set1(LANE_LIMB_MASK);
    lane_v carry = v_zero();
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS - 1; i++) {
        lane_v sum = v_add(a->limb[i], carry);
        a->limb[i] = v_and(sum, mask);
        carry = v_carry(sum);
    }
    a->limb[FP_LIMBS - 1] = v_add(a->limb[FP_LIMBS - 1], carry);
}

/* a + b, not carried: no factor yet. */
LANE_INLINE void fp_add_raw(struct fp *ret, const struct fp *a, const struct fp *b)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        ret->limb[i] = v_add(a->limb[i], b->limb[i]);
}

/* a - b + multiple * p, for b below multiple * p; not carried. */
LANE_INLINE void
fp_sub_raw(struct fp *ret, const struct fp *a, const struct fp *b, uint64_t multiple)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        ret->limb[i] = v_add(v_sub(a->limb[i], b->limb[i]), v_set1(multiple * lane_prime[i]));
}

LANE_INLINE void fp_add(struct fp *ret, const struct fp *a, const struct fp *b)
{
    fp_add_raw(ret, a, b);
    fp_carry(ret);
}

LANE_INLINE void fp_sub(struct fp *ret, const struct fp *a, const struct fp *b, uint64_t multiple)
{
    fp_sub_raw(ret, a, b, multiple);
    fp_carry(ret);
}

LANE_INLINE void fp_negate(struct fp *ret, const struct fp *a, uint64_t multiple)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        ret->limb[i] = v_sub(v_set1(multiple * lane_prime[i]), a->limb[i]);
    fp_carry(ret);
}

LANE_INLINE void fp_blend(struct fp *ret, lane_m mask, const struct fp *a, const struct fp *b)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        ret->limb[i] = v_blend(mask, a->limb[i], b->limb[i]);
}

LANE_INLINE void fp_wide_mul(struct fp_wide *ret, const struct fp *a, const struct fp *b)
{
    LANE_UNROLL
    for (int i = 0; i < 2 * FP_LIMBS; i++)
        ret->limb[i] = v_zero();
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++) {
        LANE_UNROLL
        for (int j = 0; j < FP_LIMBS; j++)
            ret->limb[i + j] = v_mul_low(ret->limb[i + j], a->limb[i], b->limb[j]);
        LANE_UNROLL
        for (int j = 0; j < FP_LIMBS; j++)
            ret->limb[i + j + 1] = v_mul_high(ret->limb[i + j + 1], a->limb[i], b->limb[j]);
    }
}

LANE_INLINE void fp_wide_sub(struct fp_wide *a, const struct fp_wide *b)
{
    LANE_UNROLL
    for (int i = 0; i < 2 * FP_LIMBS; i++)
        a->limb[i] = v_sub(a->limb[i], b->limb[i]);
}

/* A step of Montgomery's reduction: adds a multiple of p that makes limb i a multiple of 2^52, and hands its carry on. Of
 * LANE_PRIME_INVERSE * p, which is -1 modulo 2^52, the multiple is limb i itself, and needs no product to be found; the
 * sum is (limb i) * (2^52 * lane_prime_step - 1). That is 52 bits longer than p, so the last step is done with p.
 */
LANE_INLINE void reduce_limb(struct fp_wide *t, int i)
{
    lane_v m = t->limb[i];
    LANE_UNROLL
    for (int j = 0; j < FP_LIMBS; j++)
        t->limb[i + j + 1] = v_mul_low_of(t->limb[i + j + 1], m, v_set1(lane_prime_step[j]));
    LANE_UNROLL
    for (int j = 0; j < FP_LIMBS; j++)
        t->limb[i + j + 2] = v_mul_high_of(t->limb[i + j + 2], m, v_set1(lane_prime_step[j]));
    t->limb[i + 1] = v_add(t->limb[i + 1], v_carry(m));
}

LANE_INLINE void reduce_last(struct fp_wide *t)
{
    const int i = FP_LIMBS - 1;
    lane_v m = v_mul_low_of(v_zero(), t->limb[i], v_set1(LANE_PRIME_INVERSE));
    LANE_UNROLL
    for (int j = 0; j < FP_LIMBS; j++)
        t->limb[i + j] = v_mul_low(t->limb[i + j], m, v_set1(lane_prime[j]));
    LANE_UNROLL
    for (int j = 0; j < FP_LIMBS; j++)
        t->limb[i + j + 1] = v_mul_high(t->limb[i + j + 1], m, v_set1(lane_prime[j]));
    t->limb[i + 1] = v_add(t->limb[i + 1], v_carry(t->limb[i]));
}

/* t / R + p: the p keeps a difference of products from becoming negative. */
LANE_INLINE void reduce_top(struct fp *ret, const struct fp_wide *t)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        ret->limb[i] = v_add(t->limb[FP_LIMBS + i], v_set1(lane_prime[i]));
    fp_carry(ret);
}

/* Both together, because each step of one waits for the last. */
LANE_INLINE void reduce_pair(struct fp2 *ret, struct fp_wide *re, struct fp_wide *im)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS - 1; i++) {
        reduce_limb(re, i);
        reduce_limb(im, i);
    }
    reduce_last(re);
    reduce_last(im);
    reduce_top(&ret->re, re);
    reduce_top(&ret->im, im);
}

LANE_INLINE void fp2_add_raw(struct fp2 *ret, const struct fp2 *a, const struct fp2 *b)
{
    fp_add_raw(&ret->re, &a->re, &b->re);
    fp_add_raw(&ret->im, &a->im, &b->im);
}

LANE_INLINE void fp2_add(struct fp2 *ret, const struct fp2 *a, const struct fp2 *b)
{
    fp_add(&ret->re, &a->re, &b->re);
    fp_add(&ret->im, &a->im, &b->im);
}

LANE_INLINE void
fp2_sub(struct fp2 *ret, const struct fp2 *a, const struct fp2 *b, uint64_t multiple)
{
    fp_sub(&ret->re, &a->re, &b->re, multiple);
    fp_sub(&ret->im, &a->im, &b->im, multiple);
}

LANE_INLINE void fp2_negate(struct fp2 *ret, const struct fp2 *a, uint64_t multiple)
{
    fp_negate(&ret->re, &a->re, multiple);
    fp_negate(&ret->im, &a->im, multiple);
}

LANE_INLINE void fp2_blend(struct fp2 *ret, lane_m mask, const struct fp2 *a, const struct fp2 *b)
{
    fp_blend(&ret->re, mask, &a->re, &b->re);
    fp_blend(&ret->im, mask, &a->im, &b->im);
}

/* Karatsuba: three wide products, two reductions. */
LANE_INLINE void
fp2_wide_mul(struct fp_wide *re, struct fp_wide *im, const struct fp2 *a, const struct fp2 *b)
{
    struct fp sum_a, sum_b;
    struct fp_wide high;
    fp_add(&sum_a, &a->re, &a->im);
    fp_add(&sum_b, &b->re, &b->im);
    fp_wide_mul(im, &sum_a, &sum_b);
    fp_wide_mul(re, &a->re, &b->re);
    fp_wide_sub(im, re);
    fp_wide_mul(&high, &a->im, &b->im);
    fp_wide_sub(im, &high);
    fp_wide_sub(re, &high);
}

LANE_CALL void fp2_mul(struct fp2 *ret, const struct fp2 *a, const struct fp2 *b)
{
    struct fp_wide re, im;
    fp2_wide_mul(&re, &im, a, b);
    reduce_pair(ret, &re, &im);
}

/* a * b - c * d, with one reduction for both products. */
LANE_CALL void fp2_mul_sub(struct fp2 *ret,
                           const struct fp2 *a,
                           const struct fp2 *b,
                           const struct fp2 *c,
                           const struct fp2 *d)
{
    struct fp_wide re, im, re2, im2;
    fp2_wide_mul(&re, &im, a, b);
    fp2_wide_mul(&re2, &im2, c, d);
    fp_wide_sub(&re, &re2);
    fp_wide_sub(&im, &im2);
    reduce_pair(ret, &re, &im);
}

/* (re + im)(re - im) and 2 re im, both times `times`, for a below 32 p. */
LANE_INLINE void
fp2_wide_square(struct fp_wide *re, struct fp_wide *im, const struct fp2 *a, int times)
{
    struct fp sum, difference, twice;
    fp_add_raw(&sum, &a->re, &a->im);
    fp_add_raw(&twice, &a->re, &a->re);
    if (times == 2) {
        fp_add_raw(&sum, &sum, &sum);
        fp_add_raw(&twice, &twice, &twice);
    }
    fp_carry(&sum);
    fp_carry(&twice);
    fp_sub(&difference, &a->re, &a->im, 32);
    fp_wide_mul(re, &sum, &difference);
    fp_wide_mul(im, &twice, &a->im);
}

LANE_CALL void fp2_square(struct fp2 *ret, const struct fp2 *a)
{
    struct fp_wide re, im;
    fp2_wide_square(&re, &im, a, 1);
    reduce_pair(ret, &re, &im);
}

/* a * b - 2 c^2, for c below 32 p. */
LANE_CALL void
fp2_mul_sub_square(struct fp2 *ret, const struct fp2 *a, const struct fp2 *b, const struct fp2 *c)
{
    struct fp_wide re, im, re2, im2;
    fp2_wide_mul(&re, &im, a, b);
    fp2_wide_square(&re2, &im2, c, 2);
    fp_wide_sub(&re, &re2);
    fp_wide_sub(&im, &im2);
    reduce_pair(ret, &re, &im);
}

/* For a below 64 p, carried or not, with a top limb of at least 4: takes away as many p as limb 7 shows, and leaves less
 * than 1.1 p. The quotient is (limb 7 - 4) / ((limb 7 of p) + 1), rounded down. That is never too large, since the sums of a
 * few numbers that are yet to be carried take less than 4 from limb 7; what it is too small by is below
 * 1 + (64 * 2 + 8) / (limb 7 of p).
 */
LANE_INLINE void fp_shrink(struct fp *a)
{
    lane_v quotient = v_mul_high(v_zero(), v_sub(a->limb[FP_LIMBS - 1], v_set1(4)),
                                 v_set1((UINT64_C(1) << 52) / (LANE_PRIME_TOP + 1)));
    lane_v low[FP_LIMBS];
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        low[i] = v_mul_low(v_zero(), quotient, v_set1(lane_prime[i]));
    LANE_UNROLL
    for (int i = 1; i < FP_LIMBS; i++)
        low[i] = v_mul_high(low[i], quotient, v_set1(lane_prime[i - 1]));
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        a->limb[i] = v_sub(a->limb[i], low[i]);
    fp_carry(a);
    a->limb[FP_LIMBS - 1] = v_known(a->limb[FP_LIMBS - 1], LANE_PRIME_TOP + LANE_PRIME_TOP / 10);
}

/* a, or a - p where that is not negative. */
LANE_INLINE void fp_subtract_prime(struct fp *a)
{
    struct fp less;
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        less.limb[i] = v_sub(a->limb[i], v_set1(lane_prime[i]));
    fp_carry(&less);
    fp_blend(a, v_negative(less.limb[FP_LIMBS - 1]), &less, a);
}

LANE_INLINE void fp2_set_one(struct fp2 *ret)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++) {
        ret->re.limb[i] = v_set1(lane_one[i]);
        ret->im.limb[i] = v_zero();
    }
}

/* Each part times a number of Fp. */
LANE_CALL void
fp2_mul_parts(struct fp2 *ret, const struct fp2 *a, const uint64_t factor[static FP_LIMBS])
{
    struct fp f;
    struct fp_wide re, im;
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        f.limb[i] = v_set1(factor[i]);
    fp_wide_mul(&re, &a->re, &f);
    fp_wide_mul(&im, &a->im, &f);
    reduce_pair(ret, &re, &im);
}

#endif
