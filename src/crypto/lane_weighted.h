/* crypto/lane_weighted.h - the sum of public points, each times its weight.
 *
 * WHAT      Weights are odd, so they are sums of +-2^j for all j below 64. Four points share one addition a bit: a table has
 *           +-A +-B +-C +-D but for the sign of the whole, a bit of the four weights chooses from it, and the doublings
 *           are shared by all points of a lane.
 * PROMISE   Branch-free over the points and weights, though neither need be secret. Equal or opposite points (among
 *           others) raise the flag, and the sum is not to be used.
 * THREADS   Any: all state is the caller's.   OWNERSHIP Borrows.
 * ERRORS    A flag.
 * SECRETS   Weights, until they have served: the scratch's signs are wiped.
 */
#ifndef CRYPTO_LANE_WEIGHTED_H
#define CRYPTO_LANE_WEIGHTED_H

#include "crypto/lane.h"
#include "crypto/lane_curve.h"
#include "secret/wipe.h"

enum {
    QUAD = 4,
    QUADS = LANE_SUM_MAX / (LANES * QUAD),
    QUAD_ENTRIES = 8,
    QUADS_AT_ONCE = 4,
    WEIGHT_BITS = 64
};

/* Four groups of eight points. */
struct lane_quad {
    struct lane_affine entry
        [QUAD_ENTRIES]; /* bits of the index: is the sign of B other than A's; C's; is D's other than C's */
    lane_v signs[QUAD];  /* bit j: 2^j counts positive */
    lane_m absent[QUAD]; /* lanes beyond the last point */
};

struct weighted_lanes {
    struct lane_quad quads[QUADS];
    struct lane_sum pairs[QUADS_AT_ONCE * QUAD];
    struct lane_sum fours[QUADS_AT_ONCE * QUAD_ENTRIES];
    blst_p2 sums[LANES];
};

struct weighted_terms {
    const blst_p2_affine *points;
    const uint64_t *weights;
    size_t n;
};

/* Loads group `at` of a quad; where there is no point, any other one. */
LANE_CALL void quad_load(struct lane_affine *ret,
                         struct lane_quad *quad,
                         size_t at,
                         const struct weighted_terms *terms,
                         size_t first)
{
    blst_p2_affine points[LANES];
    uint64_t signs[LANES];
    unsigned absent = 0;
    for (size_t lane = 0; lane < LANES; lane++) {
        const bool there = first + lane < terms->n;
        const size_t from = there ? first + lane : 0;
        points[lane] = terms->points[from];
        signs[lane] = terms->weights[from] >> 1 | UINT64_C(1) << (WEIGHT_BITS - 1);
        absent |= (unsigned)!there << lane;
    }
    affine_from_blst(ret, points);
    quad->signs[at] = v_load(signs);
    quad->absent[at] = (lane_m)absent;
    wipe(signs, sizeof signs);
}

LANE_INLINE void sum_set(struct lane_sum *sum,
                         const struct lane_affine *a,
                         const struct lane_affine *b,
                         bool minus,
                         lane_m b_is_zero)
{
    sum->acc = *a;
    sum->add = *b;
    if (minus)
        fp2_negate(&sum->add.y, &b->y, 5);
    sum->acc_is_zero = 0;
    sum->add_is_zero = b_is_zero;
}

/* A + B, A - B, C + D, C - D */
LANE_CALL void quad_pairs(struct lane_sum *pairs,
                          struct lane_quad *quad,
                          const struct weighted_terms *terms,
                          size_t first)
{
    struct lane_affine a, b;
    for (size_t at = 0; at < QUAD; at += 2) {
        quad_load(&a, quad, at, terms, first + at * LANES);
        quad_load(&b, quad, at + 1, terms, first + (at + 1) * LANES);
        sum_set(&pairs[at], &a, &b, false, quad->absent[at + 1]);
        sum_set(&pairs[at + 1], &a, &b, true, quad->absent[at + 1]);
    }
}

/* All entries, from the pairs. */
LANE_CALL void
quad_fours(struct lane_sum *fours, const struct lane_sum *pairs, const struct lane_quad *quad)
{
    for (size_t e = 0; e < QUAD_ENTRIES; e++)
        sum_set(&fours[e], &pairs[e / 4].acc, &pairs[2 + e % 2].acc, e & 2, quad->absent[2]);
}

LANE_CALL uint64_t quads_build(struct weighted_lanes *scratch,
                               size_t first,
                               size_t count,
                               const struct weighted_terms *terms)
{
    struct lane_quad *quads = &scratch->quads[first];
    for (size_t q = 0; q < count; q++)
        quad_pairs(&scratch->pairs[q * QUAD], &quads[q], terms, (first + q) * QUAD * LANES);
    uint64_t flag = sum_batch(scratch->pairs, count * QUAD, &unblinded);
    for (size_t q = 0; q < count; q++)
        quad_fours(&scratch->fours[q * QUAD_ENTRIES], &scratch->pairs[q * QUAD], &quads[q]);
    flag |= sum_batch(scratch->fours, count * QUAD_ENTRIES, &unblinded);
    for (size_t q = 0; q < count; q++)
        for (size_t e = 0; e < QUAD_ENTRIES; e++)
            quads[q].entry[e] = scratch->fours[q * QUAD_ENTRIES + e].acc;
    return flag;
}

LANE_INLINE lane_m sign_at(const struct lane_quad *quad, size_t at, unsigned bit)
{
    return v_equal(v_and(v_shift_right(quad->signs[at], bit), v_set1(1)), v_set1(1));
}

/* +-A +-B +-C +-D, by the signs that a bit of the four weights stands for. */
LANE_CALL void quad_choose(struct lane_affine *ret, const struct lane_quad *quad, unsigned bit)
{
    const lane_m a = sign_at(quad, 0, bit);
    const lane_m c = sign_at(quad, 2, bit);
    const lane_m other_b = (lane_m)(a ^ sign_at(quad, 1, bit));
    const lane_m other_c = (lane_m)(a ^ c);
    const lane_m other_d = (lane_m)(c ^ sign_at(quad, 3, bit));
    const lane_v *entry = (const lane_v *)quad->entry;
    lane_v *limbs = (lane_v *)ret;
    for (size_t i = 0; i < COORDINATE_LIMBS; i++) {
        lane_v fours[2];
        for (size_t b = 0; b < 2; b++) {
            const lane_v *e = entry + b * 4 * COORDINATE_LIMBS + i;
            lane_v same = v_blend(other_d, e[0], e[COORDINATE_LIMBS]);
            lane_v other = v_blend(other_d, e[2 * COORDINATE_LIMBS], e[3 * COORDINATE_LIMBS]);
            fours[b] = v_blend(other_c, same, other);
        }
        limbs[i] = v_blend(other_b, fours[0], fours[1]);
    }
    struct fp2 minus_y;
    fp2_negate(&minus_y, &ret->y, 6);
    fp2_blend(&ret->y, a, &minus_y, &ret->y);
}

/* Each lane's sum. */
LANE_CALL void quads_sum(struct lane_jacobian *acc, const struct lane_quad *quads, size_t count)
{
    struct lane_sum choice;
    quad_choose(&choice.acc, &quads[0], WEIGHT_BITS - 1);
    acc->x = choice.acc.x;
    acc->y = choice.acc.y;
    fp2_set_one(&acc->z);
    for (unsigned bit = WEIGHT_BITS; bit-- > 0;) {
        if (bit + 1 < WEIGHT_BITS)
            jacobian_double(acc, 1);
        for (size_t q = bit + 1 < WEIGHT_BITS ? 0 : 1; q < count; q++) {
            quad_choose(&choice.acc, &quads[q], bit);
            choice.acc_is_zero = quads[q].absent[0];
            jacobian_add(acc, &choice, 1);
        }
    }
}

LANE_CALL uint64_t weighted_lanes_sum(const struct weighted_terms *terms,
                                      struct weighted_lanes *scratch,
                                      blst_p2 *ret_sum)
{
    const size_t count = (terms->n + QUAD * LANES - 1) / (QUAD * LANES);
    const size_t stride = sizeof(blst_p2) / sizeof(uint64_t);
    struct lane_jacobian acc;
    uint64_t flag = 0;
    for (size_t first = 0; first < count; first += QUADS_AT_ONCE) {
        const size_t left = count - first;
        flag |= quads_build(scratch, first, left < QUADS_AT_ONCE ? left : QUADS_AT_ONCE, terms);
    }
    quads_sum(&acc, scratch->quads, count);
    fp2_to_blst(&scratch->sums->x, stride, &acc.x);
    fp2_to_blst(&scratch->sums->y, stride, &acc.y);
    fp2_to_blst(&scratch->sums->z, stride, &acc.z);
    *ret_sum = scratch->sums[0];
    flag |= fp2_mask_zero(&scratch->sums[0].z);
    for (size_t lane = 1; lane < LANES && lane < terms->n; lane++) {
        flag |= fp2_mask_zero(&scratch->sums[lane].z);
        blst_p2_add_or_double(ret_sum, ret_sum, &scratch->sums[lane]);
    }
    for (size_t q = 0; q < count; q++)
        wipe(scratch->quads[q].signs, sizeof scratch->quads[q].signs);
    return flag;
}

#endif
