/* crypto/blst_inside.h - the arithmetic below blst's signatures, for engines of our own.
 *
 * WHAT      Fp2, points of G2, the endomorphism psi. The only way to blst for files other than bls and sha256.
 * PROMISE   Constant time in the operands (blst's functions are, by its documentation; ours by their masks). Only
 *           functions that blst's headers declare: any version of the library will do.
 * THREADS   Any: pure.   OWNERSHIP Borrows; results may be operands.   ERRORS None.
 * SECRETS   Pass through: callers wipe.
 */
#ifndef CRYPTO_BLST_INSIDE_H
#define CRYPTO_BLST_INSIDE_H

#include <blst.h>

#include "crypto/bls.h"
#include "secret/ct.h"

/* The curve's parameter is -BLS_Z; the group order is z^4 - z^2 + 1. psi acts on G2 as multiplication by -BLS_Z. */
#define BLS_Z UINT64_C(0xd201000000010000)

/* 1, as blst keeps it. */
#define FP_ONE                                                                                     \
    {                                                                                              \
        {                                                                                          \
            0x760900000002fffd, 0xebf4000bc40c0002, 0x5f48985753c758ba, 0x77ce585370525745,        \
                0x5c071a97a256ec6d, 0x15f65ec3fa80e493                                             \
        }                                                                                          \
    }

static inline const blst_p2 *hash_point(const struct bls_hash *hash)
{
    return (const blst_p2 *)(const void *)hash;
}

static inline const blst_scalar *secret_scalar(const struct bls_secret *secret)
{
    return (const blst_scalar *)(const void *)secret;
}

static inline uint64_t fp_or(const blst_fp *a)
{
    return a->l[0] | a->l[1] | a->l[2] | a->l[3] | a->l[4] | a->l[5];
}

/* A mask: is it zero? */
static inline uint64_t fp2_mask_zero(const blst_fp2 *a)
{
    return ct_mask_zero(fp_or(&a->fp[0]) | fp_or(&a->fp[1]));
}

static inline void
fp2_select(blst_fp2 *ret, uint64_t mask, const blst_fp2 *if_true, const blst_fp2 *if_false)
{
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 6; j++)
            ret->fp[i].l[j] = ct_select(mask, if_true->fp[i].l[j], if_false->fp[i].l[j]);
    }
}

static inline void affine_select(blst_p2_affine *ret,
                                 uint64_t mask,
                                 const blst_p2_affine *if_true,
                                 const blst_p2_affine *if_false)
{
    fp2_select(&ret->x, mask, &if_true->x, &if_false->x);
    fp2_select(&ret->y, mask, &if_true->y, &if_false->y);
}

/* -psi(p), which on G2 is multiplication by BLS_Z. psi takes (x, y) to (conj(x) * cx, conj(y) * cy) with
 * cx = (1+i)^-((p-1)/3), which has no real part, and cy = (1+i)^-((p-1)/2) = c - ci.
 */
static inline void affine_mul_by_z(blst_p2_affine *ret, const blst_p2_affine *p)
{
    static const blst_fp cx = {{0x890dc9e4867545c3, 0x2af322533285a5d5, 0x50880866309b7e2c,
                                0xa20d1b8c7e881024, 0x14e4f04fe2db9068, 0x14e56d3f1564853a}};
    static const blst_fp cy = {{0x3e2f585da55c9ad1, 0x4294213d86c18183, 0x382844c88b623732,
                                0x92ad2afd19103e18, 0x1d794e4fac7cf0b9, 0x0bd592fc7d825ec8}};
    blst_fp2 x;
    blst_fp2 y;
    blst_fp_mul(&x.fp[0], &p->x.fp[1], &cx);
    blst_fp_mul(&x.fp[1], &p->x.fp[0], &cx);
    blst_fp_sub(&y.fp[0], &p->y.fp[1], &p->y.fp[0]);
    blst_fp_add(&y.fp[1], &p->y.fp[0], &p->y.fp[1]);
    blst_fp_mul(&ret->y.fp[0], &y.fp[0], &cy);
    blst_fp_mul(&ret->y.fp[1], &y.fp[1], &cy);
    ret->x = x;
}

/* 1/a for a secret a. `blind` is random: what blst's inversion gets to see is random too, whatever a is. */
static inline void fp2_inverse_blinded(blst_fp2 *ret, const blst_fp2 *a, const blst_fp *blind)
{
    blst_fp norm;
    blst_fp square;
    blst_fp_sqr(&norm, &a->fp[0]);
    blst_fp_sqr(&square, &a->fp[1]);
    blst_fp_add(&norm, &norm, &square);
    blst_fp_mul(&norm, &norm, blind);
    CT_DECLASSIFY(&norm, sizeof norm);
    blst_fp_inverse(&norm, &norm);
    blst_fp_mul(&norm, &norm, blind);
    blst_fp_mul(&ret->fp[0], &a->fp[0], &norm);
    blst_fp_mul(&ret->fp[1], &a->fp[1], &norm);
    blst_fp_cneg(&ret->fp[1], &ret->fp[1], true);
}

#endif
