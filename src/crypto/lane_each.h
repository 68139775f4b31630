/* crypto/lane_each.h - many keys, each with a root of its own.
 *
 * WHAT      Eight keys in the lanes, eight such groups at a time. Each lane has a table of 1 to 16 times its own point; a
 *           window's four digits, those of the scalar's parts, are added up in affine coordinates with one inversion for
 *           several windows of all groups, and only their sum goes into the chain of doublings.
 * PROMISE   Constant time in the scalars: all entries are read for each digit. No scalar in 1..r-1 meets an exceptional
 *           addition. In a window: digits of at most 16 make no relation between powers of Z. In the chain: let
 *           a + w = k be the parts' values so far, w the window's digits. That 32 times the last sum equals w says that
 *           k - 2 w is in the lattice of relations (Z, -1, 0, 0), (0, Z, -1, 0), (0, 0, Z, -1), (1, 0, -1, Z), whose
 *           vectors have a part of at least Z - 1 in size; above the lowest window k is too small. In the lowest it needs
 *           a part k = Z + 2 w with k = w and Z = 0 modulo 32, so w = 0 and k = Z, but parts are below Z. That it is
 *           opposite says that k is zero.
 * THREADS   Any: all state is the caller's.   OWNERSHIP Borrows.
 * ERRORS    A flag.
 * SECRETS   Parts and sums, in the scratch and on the stack; lane_code.h wipes.
 */
#ifndef CRYPTO_LANE_EACH_H
#define CRYPTO_LANE_EACH_H

#include "crypto/lane_digit.h"

enum {
    EACH_WINDOW = 5,
    EACH_DIGITS = 13, /* 64 bits and a carry */
    EACH_ENTRIES = 16,
    EACH_DOUBLES = 5, /* 1, 2, 4, 8, 16 times */
    EACH_AT_ONCE = 4, /* windows */
    EACH_SUMS = 2 * EACH_AT_ONCE * GROUPS
};

struct each_scratch {
    struct lane_affine entry[GROUPS][EACH_ENTRIES]; /* i + 1 times the point */
    struct lane_jacobian acc[GROUPS];
    lane_m acc_is_zero[GROUPS];
    lane_v parts[GROUPS][SPLIT_PARTS];
    union {
        struct {
            struct lane_jacobian doubles[EACH_DOUBLES * GROUPS];
            struct fp2 products[EACH_DOUBLES * GROUPS];
        };
        struct lane_sum sums[EACH_SUMS];
    };
    blst_p2_affine points[LANE_KEYS];
};

/* 1, 2, 4, 8, 16 times each point of a group. */
LANE_CALL void each_double(struct lane_jacobian doubles[static EACH_DOUBLES],
                           const struct bls_hash *const *hashes,
                           size_t n)
{
    blst_p2 points[LANES];
    struct lane_jacobian p;
    const size_t stride = sizeof(blst_p2) / sizeof(uint64_t);
    for (size_t lane = 0; lane < LANES; lane++)
        points[lane] = *hash_point(hashes[lane < n ? lane : 0]);
    fp2_from_blst(&p.x, &points->x, stride);
    fp2_from_blst(&p.y, &points->y, stride);
    fp2_from_blst(&p.z, &points->z, stride);
    doubles[0] = p;
    for (size_t i = 1; i < EACH_DOUBLES; i++) {
        jacobian_double(&p, 1);
        doubles[i] = p;
    }
}

/* From 1 to known - 1 times each point, and `known` times it, makes known + 1 to 2 known - 1 times it. */
LANE_CALL uint64_t each_extend(struct each_scratch *scratch, size_t known, size_t groups)
{
    const size_t more = known - 1;
    for (size_t group = 0; group < groups; group++) {
        for (size_t i = 0; i < more; i++) {
            struct lane_sum *sum = &scratch->sums[group * more + i];
            sum->acc = scratch->entry[group][i];
            sum->add = scratch->entry[group][known - 1];
            sum->acc_is_zero = 0;
            sum->add_is_zero = 0;
        }
    }
    const uint64_t flag = sum_batch(scratch->sums, groups * more, &unblinded);
    for (size_t group = 0; group < groups; group++)
        for (size_t i = 0; i < more; i++)
            scratch->entry[group][known + i] = scratch->sums[group * more + i].acc;
    return flag;
}

LANE_CALL uint64_t each_tables(struct each_scratch *scratch,
                               const struct bls_hash *const *hashes,
                               size_t n,
                               size_t groups)
{
    struct lane_jacobian *doubles = scratch->doubles;
    for (size_t group = 0; group < groups; group++)
        each_double(&doubles[group * EACH_DOUBLES], hashes + group * LANES, n - group * LANES);
    uint64_t flag = to_affine(doubles, scratch->products, groups * EACH_DOUBLES, &unblinded);
    for (size_t group = 0; group < groups; group++) {
        for (size_t i = 0; i < EACH_DOUBLES; i++) {
            const struct lane_jacobian *from = &doubles[group * EACH_DOUBLES + i];
            scratch->entry[group][(1U << i) - 1] = (struct lane_affine){.x = from->x, .y = from->y};
        }
    }
    for (size_t known = 2; known < EACH_ENTRIES; known *= 2)
        flag |= each_extend(scratch, known, groups);
    return flag;
}

enum {
    SCAN_LIMBS = 4 /* at a time: with four digits' choices they fill the registers */
};

/* For each of four digits some limbs of its entry, while each entry is loaded once for all of them. */
LANE_INLINE void scan_limbs(lane_v *const ret[static SPLIT_PARTS],
                            const lane_v *limbs,
                            const struct lane_digit digits[static SPLIT_PARTS])
{
    lane_v found[SPLIT_PARTS][SCAN_LIMBS];
    LANE_UNROLL
    for (size_t part = 0; part < SPLIT_PARTS; part++)
        LANE_UNROLL
    for (size_t i = 0; i < SCAN_LIMBS; i++)
        found[part][i] = limbs[i];
    for (size_t e = 1; e < EACH_ENTRIES; e++) {
        const lane_v *entry = limbs + e * COORDINATE_LIMBS;
        LANE_UNROLL
        for (size_t part = 0; part < SPLIT_PARTS; part++) {
            const lane_m here = v_equal(digits[part].index, v_set1(e));
            LANE_UNROLL
            for (size_t i = 0; i < SCAN_LIMBS; i++)
                found[part][i] = v_blend(here, found[part][i], entry[i]);
        }
    }
    LANE_UNROLL
    for (size_t part = 0; part < SPLIT_PARTS; part++)
        LANE_UNROLL
    for (size_t i = 0; i < SCAN_LIMBS; i++)
        ret[part][i] = found[part][i];
}

/* Each lane's own entries for the four digits of a window. */
LANE_CALL void each_choose(struct lane_affine ret[static SPLIT_PARTS],
                           const struct lane_affine entry[static EACH_ENTRIES],
                           const struct lane_digit digits[static SPLIT_PARTS])
{
    const lane_v *limbs = (const lane_v *)entry;
    for (size_t i = 0; i < COORDINATE_LIMBS; i += SCAN_LIMBS) {
        lane_v *const to[SPLIT_PARTS] = {(lane_v *)&ret[0] + i, (lane_v *)&ret[1] + i,
                                         (lane_v *)&ret[2] + i, (lane_v *)&ret[3] + i};
        scan_limbs(to, limbs + i, digits);
    }
    for (size_t part = 0; part < SPLIT_PARTS; part++) {
        struct fp2 minus_y;
        fp2_negate(&minus_y, &ret[part].y, 4);
        fp2_blend(&ret[part].y, digits[part].is_negative, &ret[part].y, &minus_y);
    }
}

/* Sets up d0 + Z d1 and d2 + Z d3 of a window. */
LANE_CALL void each_pairs(struct lane_sum *low,
                          struct lane_sum *high,
                          const struct each_scratch *scratch,
                          size_t group,
                          unsigned j)
{
    struct lane_affine chosen[SPLIT_PARTS];
    struct lane_digit digits[SPLIT_PARTS];
    struct lane_sum *const sums[] = {low, high};
    for (size_t part = 0; part < SPLIT_PARTS; part++)
        digits[part] = digit_of(scratch->parts[group][part], j, EACH_WINDOW);
    each_choose(chosen, scratch->entry[group], digits);
    for (size_t i = 0; i < 2; i++) {
        sums[i]->acc = chosen[2 * i];
        sums[i]->acc_is_zero = digits[2 * i].is_zero;
        affine_mul_z(&sums[i]->add, &chosen[2 * i + 1]);
        sums[i]->add_is_zero = digits[2 * i + 1].is_zero;
    }
}

/* The sums of windows j, j + 1 ... of all groups: window by window. */
LANE_CALL uint64_t each_windows(
    struct each_scratch *scratch, unsigned j, unsigned count, size_t groups, const blst_fp *blinds)
{
    const size_t n = count * groups;
    /* A group's table stays near while its digits are looked up. */
    for (size_t group = 0; group < groups; group++) {
        for (unsigned w = 0; w < count; w++) {
            struct lane_sum *sum = &scratch->sums[w * groups + group];
            each_pairs(sum, sum + n, scratch, group, j + w);
        }
    }
    const uint64_t flag = sum_batch(scratch->sums, 2 * n, &blinds[0]);
    return flag | sum_fold(scratch->sums, n, affine_mul_z2, &blinds[1]);
}

/* acc := 32 acc + window, from infinity too, for `n` groups, at most ABREAST. */
LANE_CALL void
each_step(struct lane_jacobian *acc, lane_m *acc_is_zero, const struct lane_sum *windows, size_t n)
{
    struct fp2 one;
    fp2_set_one(&one);
    for (size_t i = 0; i < EACH_WINDOW; i++)
        jacobian_double(acc, n);
    jacobian_add(acc, windows, n);
    for (size_t i = 0; i < n; i++) {
        fp2_blend(&acc[i].x, acc_is_zero[i], &acc[i].x, &windows[i].acc.x);
        fp2_blend(&acc[i].y, acc_is_zero[i], &acc[i].y, &windows[i].acc.y);
        fp2_blend(&acc[i].z, acc_is_zero[i], &acc[i].z, &one);
        acc_is_zero[i] &= windows[i].acc_is_zero;
    }
}

/* Where acc has met an exceptional addition, its z is zero: that makes the last inversion's product zero. */
LANE_CALL uint64_t each_finish(struct each_scratch *scratch, size_t groups, const blst_fp *blind)
{
    struct fp2 one;
    fp2_set_one(&one);
    for (size_t group = 0; group < groups; group++)
        fp2_blend(&scratch->acc[group].z, scratch->acc_is_zero[group], &scratch->acc[group].z,
                  &one);
    const uint64_t flag = to_affine(scratch->acc, scratch->products, groups, blind);
    for (size_t group = 0; group < groups; group++) {
        const struct lane_affine point = {.x = scratch->acc[group].x, .y = scratch->acc[group].y};
        affine_to_blst(&scratch->points[group * LANES], &point);
    }
    return flag;
}

/* The highest window is where the chain begins. */
LANE_CALL void
each_begin(struct each_scratch *scratch, const struct lane_sum *windows, size_t groups)
{
    for (size_t group = 0; group < groups; group++) {
        scratch->acc[group].x = windows[group].acc.x;
        scratch->acc[group].y = windows[group].acc.y;
        fp2_set_one(&scratch->acc[group].z);
        scratch->acc_is_zero[group] = windows[group].acc_is_zero;
    }
}

LANE_CALL uint64_t each_points(struct each_scratch *scratch, size_t groups, const blst_fp *blinds)
{
    uint64_t flag = 0;
    for (unsigned left = EACH_DIGITS; left > 0;) {
        unsigned count = left < EACH_AT_ONCE ? left : EACH_AT_ONCE;
        const bool first = left == EACH_DIGITS;
        left -= count;
        flag |= each_windows(scratch, left, count, groups, blinds);
        blinds += 2;
        if (first)
            each_begin(scratch, &scratch->sums[--count * groups], groups);
        for (size_t group = 0; group < groups; group += ABREAST)
            for (unsigned w = count; w-- > 0;)
                each_step(&scratch->acc[group], &scratch->acc_is_zero[group],
                          &scratch->sums[w * groups + group],
                          groups - group < ABREAST ? groups - group : ABREAST);
    }
    return flag | each_finish(scratch, groups, blinds);
}

#endif
