/* crypto/lane_curve.h - points of G2, eight at a time.
 *
 * WHAT      Loads from and stores to blst's form; affine sums in batches that share one inversion, as crypto/affine.h
 *           does them one by one; Jacobian doubling for chains; multiplication by powers of Z.
 * PROMISE   Branch-free. An addition of equal or opposite points (which crypto/comb.h shows to need a fault) makes the
 *           product of all denominators zero: the batch's flag is raised, and none of its points is to be used.
 * THREADS   Any: all state is the caller's.
 * OWNERSHIP Borrows.   ERRORS Flags.
 * SECRETS   Sums of secret points: the caller's locked scratch, and the stack, which the entry points wipe.
 */
#ifndef CRYPTO_LANE_CURVE_H
#define CRYPTO_LANE_CURVE_H

#include "crypto/batch_fault.h"
#include "crypto/blst_inside.h"
#include "crypto/lane_field.h"

struct lane_affine {
    struct fp2 x, y;
};

struct lane_jacobian {
    struct fp2 x, y, z;
};

/* One sum of a batch: acc := acc + add. Coordinates are below 7 p. */
struct lane_sum {
    struct lane_affine acc, add; /* add is used up */
    struct fp2 product;          /* of the denominators up to this one */
    lane_m acc_is_zero;          /* lanes at infinity; kept up to date */
    lane_m add_is_zero;
};

enum {
    LANES = 8,
    COORDINATE_LIMBS = sizeof(struct lane_affine) / sizeof(lane_v),
    WORD_BITS = 64,
    LIMB_BITS = 52,
    FP_WORDS = 6
};

/* Eight numbers as blst keeps them, `stride` words apart. */
LANE_CALL void fp_load(struct fp *ret, const uint64_t *first, size_t stride)
{
    uint64_t limbs[FP_LIMBS][8];
    for (size_t lane = 0; lane < 8; lane++) {
        const uint64_t *word = first + lane * stride;
        for (size_t i = 0; i < FP_LIMBS; i++) {
            size_t at = i * LIMB_BITS / WORD_BITS;
            size_t shift = i * LIMB_BITS % WORD_BITS;
            uint64_t limb = word[at] >> shift;
            if (shift > WORD_BITS - LIMB_BITS && at + 1 < FP_WORDS)
                limb |= word[at + 1] << (WORD_BITS - shift);
            limbs[i][lane] = limb & LANE_LIMB_MASK;
        }
    }
    for (size_t i = 0; i < FP_LIMBS; i++)
        ret->limb[i] =
            v_known(v_load(limbs[i]), i + 1 < FP_LIMBS ? LANE_LIMB_MASK : LANE_PRIME_TOP);
}

/* And back, from below 3 p. */
LANE_CALL void fp_store(uint64_t *first, size_t stride, const struct fp *a)
{
    uint64_t limbs[FP_LIMBS][8];
    struct fp reduced = *a;
    fp_subtract_prime(&reduced);
    fp_subtract_prime(&reduced);
    for (size_t i = 0; i < FP_LIMBS; i++)
        v_store(limbs[i], reduced.limb[i]);
    for (size_t lane = 0; lane < 8; lane++) {
        uint64_t *word = first + lane * stride;
        for (size_t w = 0; w < FP_WORDS; w++) {
            size_t at = w * WORD_BITS / LIMB_BITS;
            size_t shift = w * WORD_BITS % LIMB_BITS;
            word[w] = limbs[at][lane] >> shift | limbs[at + 1][lane] << (LIMB_BITS - shift);
            if (2 * LIMB_BITS - shift < WORD_BITS)
                word[w] |= limbs[at + 2][lane] << (2 * LIMB_BITS - shift);
        }
    }
}

LANE_CALL void fp2_from_blst(struct fp2 *ret, const blst_fp2 *first, size_t stride)
{
    fp_load(&ret->re, first->fp[0].l, stride);
    fp_load(&ret->im, first->fp[1].l, stride);
    fp2_mul_parts(ret, ret, lane_from_blst);
}

LANE_CALL void fp2_to_blst(blst_fp2 *first, size_t stride, const struct fp2 *a)
{
    struct fp2 t;
    fp2_mul_parts(&t, a, lane_to_blst);
    fp_store(first->fp[0].l, stride, &t.re);
    fp_store(first->fp[1].l, stride, &t.im);
}

LANE_CALL void affine_from_blst(struct lane_affine *ret, const blst_p2_affine points[static 8])
{
    fp2_from_blst(&ret->x, &points->x, sizeof *points / sizeof(uint64_t));
    fp2_from_blst(&ret->y, &points->y, sizeof *points / sizeof(uint64_t));
}

LANE_CALL void affine_to_blst(blst_p2_affine ret_points[static 8], const struct lane_affine *a)
{
    fp2_to_blst(&ret_points->x, sizeof *ret_points / sizeof(uint64_t), &a->x);
    fp2_to_blst(&ret_points->y, sizeof *ret_points / sizeof(uint64_t), &a->y);
}

typedef lane_v (*lane_shuffle)(lane_v);

LANE_INLINE void fp2_shuffle(struct fp2 *ret, const struct fp2 *a, lane_shuffle shuffle)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++) {
        ret->re.limb[i] = shuffle(a->re.limb[i]);
        ret->im.limb[i] = shuffle(a->im.limb[i]);
    }
}

LANE_INLINE void fp2_spread(struct fp2 *ret, const struct fp2 *a, unsigned lane)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++) {
        ret->re.limb[i] = v_spread(a->re.limb[i], lane);
        ret->im.limb[i] = v_spread(a->im.limb[i], lane);
    }
}

/* Inverts eight numbers by one inversion: each lane's inverse is that of the product of all times the product of the
 * other seven. A mask of all ones, when one of them is zero: then all become zero.
 */
LANE_CALL uint64_t fp2_invert(struct fp2 *a, const blst_fp *blind)
{
    struct fp2 pairs, fours, all, others, t;
    blst_fp2 one_by_one[8];
    fp2_shuffle(&others, a, v_swap1);
    fp2_mul(&pairs, a, &others);
    fp2_shuffle(&t, &pairs, v_swap2);
    fp2_mul(&fours, &pairs, &t);
    fp2_mul(&others, &others, &t);
    fp2_shuffle(&t, &fours, v_swap4);
    fp2_mul(&all, &fours, &t);
    fp2_mul(&others, &others, &t);
    fp2_to_blst(one_by_one, sizeof *one_by_one / sizeof(uint64_t), &all);
    uint64_t is_zero = fp2_mask_zero(&one_by_one[0]);
    fp2_inverse_blinded(&one_by_one[0], &one_by_one[0], blind);
    batch_fault(BATCH_FAULT_INVERSE, one_by_one, sizeof *one_by_one);
    fp2_from_blst(&t, one_by_one, 0);
    fp2_mul(a, &others, &t);
    return is_zero;
}

/* Turns add into its distance from acc, and multiplies the distance in x, or 1 where there is nothing to add, to the
 * product so far. Where acc is infinity the sum is add, and there is nothing to add to that.
 */
LANE_CALL void sum_open(struct lane_sum *sum, const struct fp2 *so_far)
{
    struct fp2 one;
    fp2_set_one(&one);
    fp2_blend(&sum->acc.x, sum->acc_is_zero, &sum->acc.x, &sum->add.x);
    fp2_blend(&sum->acc.y, sum->acc_is_zero, &sum->acc.y, &sum->add.y);
    fp2_sub(&sum->add.x, &sum->add.x, &sum->acc.x, 8);
    fp2_sub(&sum->add.y, &sum->add.y, &sum->acc.y, 8);
    fp2_blend(&sum->add.x, sum->acc_is_zero | sum->add_is_zero, &sum->add.x, &one);
    fp2_mul(&sum->product, so_far, &sum->add.x);
}

/* ret := a - 2 b - c, below 1.1 p, from below 3, 7 and 15 p; but b where `keep`. */
LANE_INLINE void
sum_x(struct fp *ret, const struct fp *a, const struct fp *b, const struct fp *c, lane_m keep)
{
    struct fp t, x;
    fp_add_raw(&t, b, b);
    fp_add_raw(&t, &t, c);
    fp_sub_raw(&x, a, &t, 32);
    fp_shrink(&x);
    fp_blend(ret, keep, &x, b);
}

/* ret := a - b, below 1.1 p, from below 3 and 7 p; but b where `keep`. */
LANE_INLINE void sum_y(struct fp *ret, const struct fp *a, const struct fp *b, lane_m keep)
{
    struct fp y;
    fp_sub_raw(&y, a, b, 8);
    fp_shrink(&y);
    fp_blend(ret, keep, &y, b);
}

/* What lane code works on at the same time: each product waits for the one before it in a chain, and two chains fill each
 * other's waits.
 */
enum {
    ABREAST = 2
};

/* With the inverse of the product up to the last of `n` sums in *inverse: adds, and leaves there that of the product before
 * the first. `so_far` is that product; n is at most ABREAST.
 */
LANE_CALL void
sum_close(struct lane_sum *sums, size_t n, const struct fp2 *so_far, struct fp2 *inverse)
{
    struct fp2 slope[ABREAST], x[ABREAST], t[ABREAST];
    for (size_t i = n; i-- > 0;) {
        fp2_mul(&slope[i], inverse, i == 0 ? so_far : &sums[i - 1].product);
        fp2_mul(inverse, inverse, &sums[i].add.x);
    }
    for (size_t i = 0; i < n; i++)
        fp2_mul(&slope[i], &slope[i], &sums[i].add.y);
    for (size_t i = 0; i < n; i++)
        fp2_square(&t[i], &slope[i]);
    for (size_t i = 0; i < n; i++) {
        const struct lane_sum *sum = &sums[i];
        const lane_m keep = sum->acc_is_zero | sum->add_is_zero;
        sum_x(&x[i].re, &t[i].re, &sum->acc.x.re, &sum->add.x.re, keep);
        sum_x(&x[i].im, &t[i].im, &sum->acc.x.im, &sum->add.x.im, keep);
        fp2_sub(&t[i], &sum->acc.x, &x[i], 8);
    }
    for (size_t i = 0; i < n; i++)
        fp2_mul(&t[i], &slope[i], &t[i]);
    for (size_t i = 0; i < n; i++) {
        struct lane_sum *sum = &sums[i];
        const lane_m keep = sum->acc_is_zero | sum->add_is_zero;
        sum_y(&sum->acc.y.re, &t[i].re, &sum->acc.y.re, keep);
        sum_y(&sum->acc.y.im, &t[i].im, &sum->acc.y.im, keep);
        sum->acc.x = x[i];
        sum->acc_is_zero &= sum->add_is_zero;
    }
}

/* Adds in `n` sums; all ones when one of the additions was exceptional. */
LANE_CALL uint64_t sum_batch(struct lane_sum *sums, size_t n, const blst_fp *blind)
{
    struct fp2 one, inverse;
    fp2_set_one(&one);
    for (size_t i = 0; i < n; i++)
        sum_open(&sums[i], i == 0 ? &one : &sums[i - 1].product);
    inverse = sums[n - 1].product;
    uint64_t flag = fp2_invert(&inverse, blind);
    for (size_t left = n; left > 0;) {
        const size_t many = left < ABREAST ? left : ABREAST;
        left -= many;
        sum_close(&sums[left], many, left == 0 ? &one : &sums[left - 1].product, &inverse);
    }
    return flag;
}

/* Sums i of `n`: adds Z (or Z^2) times sum n + i. */
LANE_INLINE uint64_t sum_fold(struct lane_sum *sums,
                              size_t n,
                              void (*times)(struct lane_affine *, const struct lane_affine *),
                              const blst_fp *blind)
{
    for (size_t i = 0; i < n; i++) {
        times(&sums[i].add, &sums[n + i].acc);
        sums[i].add_is_zero = sums[n + i].acc_is_zero;
    }
    return sum_batch(sums, n, blind);
}

/* i * factor * conj(a) */
LANE_INLINE void
fp2_turn(struct fp2 *ret, const struct fp2 *a, const uint64_t factor[static FP_LIMBS])
{
    struct fp2 swapped = {.re = a->im, .im = a->re};
    fp2_mul_parts(ret, &swapped, factor);
}

/* Z times a point, Z being minus the curve's parameter: -psi. For coordinates below 7 p. */
LANE_CALL void affine_mul_z(struct lane_affine *ret, const struct lane_affine *a)
{
    struct fp2 y;
    fp2_turn(&ret->x, &a->x, lane_psi_x);
    fp_sub(&y.re, &a->y.im, &a->y.re, 8);
    fp_add(&y.im, &a->y.im, &a->y.re);
    fp2_mul_parts(&ret->y, &y, lane_psi_y);
}

/* Z^2 times a point: psi^2. For y below 5 p. */
LANE_CALL void affine_mul_z2(struct lane_affine *ret, const struct lane_affine *a)
{
    fp2_mul_parts(&ret->x, &a->x, lane_psi2_x);
    fp2_negate(&ret->y, &a->y, 5);
}

/* Doubles `n` points, at most ABREAST, for x below 23 p and the others below 5 p: three multiplications, four squarings,
 * and one reduction saved (alnr-2009-l).
 */
LANE_CALL void jacobian_double(struct lane_jacobian *p, size_t n)
{
    struct fp2 xx[ABREAST], yy[ABREAST], d[ABREAST], e[ABREAST], t;
    for (size_t i = 0; i < n; i++)
        fp2_square(&xx[i], &p[i].x);
    for (size_t i = 0; i < n; i++)
        fp2_square(&yy[i], &p[i].y);
    for (size_t i = 0; i < n; i++) {
        fp2_mul(&p[i].z, &p[i].y, &p[i].z);
        fp2_add(&p[i].z, &p[i].z, &p[i].z);
    }
    for (size_t i = 0; i < n; i++) {
        fp2_mul(&d[i], &p[i].x, &yy[i]);
        fp2_add_raw(&d[i], &d[i], &d[i]);
        fp2_add(&d[i], &d[i], &d[i]); /* 4 x y^2 */
        fp2_add_raw(&e[i], &xx[i], &xx[i]);
        fp2_add(&e[i], &e[i], &xx[i]); /* 3 x^2 */
    }
    for (size_t i = 0; i < n; i++) {
        fp2_square(&xx[i], &e[i]);
        fp2_add_raw(&t, &d[i], &d[i]);
        fp2_sub(&p[i].x, &xx[i], &t, 20);
    }
    for (size_t i = 0; i < n; i++) {
        fp2_sub(&d[i], &d[i], &p[i].x, 24);
        fp2_add(&yy[i], &yy[i], &yy[i]);
        fp2_mul_sub_square(&p[i].y, &e[i], &d[i], &yy[i]); /* 8 y^4 = 2 (2 y^2)^2 */
    }
}

/* acc := acc + the acc of a sum, for each of `n`, at most ABREAST, but in the lanes where that is infinity: eight
 * multiplications, three squarings, one reduction saved. For acc as jacobian_double() leaves it or this, or an affine point.
 * Where acc is plus or minus what is added, z becomes zero and stays so.
 */
LANE_CALL void jacobian_add(struct lane_jacobian *acc, const struct lane_sum *add, size_t n)
{
    struct fp2 zz[ABREAST], h[ABREAST], hh[ABREAST], r[ABREAST], v[ABREAST], x, t;
    for (size_t i = 0; i < n; i++)
        fp2_square(&zz[i], &acc[i].z);
    for (size_t i = 0; i < n; i++) {
        fp2_mul(&h[i], &add[i].acc.x, &zz[i]);
        fp2_sub(&h[i], &h[i], &acc[i].x, 24);
    }
    for (size_t i = 0; i < n; i++)
        fp2_mul(&zz[i], &acc[i].z, &zz[i]);
    for (size_t i = 0; i < n; i++) {
        fp2_mul(&r[i], &add[i].acc.y, &zz[i]);
        fp2_sub(&r[i], &r[i], &acc[i].y, 8);
    }
    for (size_t i = 0; i < n; i++)
        fp2_square(&hh[i], &h[i]);
    for (size_t i = 0; i < n; i++)
        fp2_mul(&v[i], &acc[i].x, &hh[i]);
    for (size_t i = 0; i < n; i++) {
        fp2_mul(&hh[i], &hh[i], &h[i]);
        fp2_mul(&t, &acc[i].z, &h[i]);
        fp2_blend(&acc[i].z, add[i].acc_is_zero, &t, &acc[i].z);
    }
    for (size_t i = 0; i < n; i++) {
        fp2_square(&x, &r[i]);
        fp2_add_raw(&t, &v[i], &v[i]);
        fp2_add_raw(&t, &t, &hh[i]);
        fp2_sub(&x, &x, &t, 8);
        fp2_sub(&v[i], &v[i], &x, 12);
        fp2_blend(&acc[i].x, add[i].acc_is_zero, &x, &acc[i].x);
    }
    for (size_t i = 0; i < n; i++) {
        fp2_mul_sub(&t, &r[i], &v[i], &acc[i].y, &hh[i]);
        fp2_blend(&acc[i].y, add[i].acc_is_zero, &t, &acc[i].y);
    }
}

static const blst_fp unblinded = FP_ONE; /* for what is public */

/* Jacobian to affine, in place: z is left as it was. The flag: one was at infinity. */
LANE_CALL uint64_t to_affine(struct lane_jacobian *points,
                             struct fp2 *products,
                             size_t n,
                             const blst_fp *blind)
{
    struct fp2 inverse, z, zz;
    products[0] = points[0].z;
    for (size_t i = 1; i < n; i++)
        fp2_mul(&products[i], &products[i - 1], &points[i].z);
    inverse = products[n - 1];
    const uint64_t flag = fp2_invert(&inverse, blind);
    for (size_t i = n; i-- > 0;) {
        z = inverse;
        if (i > 0)
            fp2_mul(&z, &inverse, &products[i - 1]);
        fp2_mul(&inverse, &inverse, &points[i].z);
        fp2_square(&zz, &z);
        fp2_mul(&points[i].x, &points[i].x, &zz);
        fp2_mul(&zz, &zz, &z);
        fp2_mul(&points[i].y, &points[i].y, &zz);
    }
    return flag;
}

#endif
