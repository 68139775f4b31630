/* crypto/lane_same.h - one root, many keys: a table of the root's multiples, and its sums.
 *
 * WHAT      What crypto/comb.h does, with windows of six bits and eight keys in the lanes of each sum.
 * PROMISE   Constant time in the scalars: all entries of a row are read for each digit. crypto/comb.h says why no scalar
 *           in 1..r-1 meets an exceptional addition.
 * THREADS   Any: all state is the caller's.   OWNERSHIP Borrows.
 * ERRORS    Flags.
 * SECRETS   Parts and sums, in the scratch and on the stack; lane_code.h wipes.
 */
#ifndef CRYPTO_LANE_SAME_H
#define CRYPTO_LANE_SAME_H

#include "crypto/lane_digit.h"

enum {
    SAME_WINDOW = 6,
    SAME_DIGITS = 11, /* 64 bits and a carry */
    SAME_ENTRIES = 32,
    SAME_VECTORS = SAME_ENTRIES / LANES,
    SAME_SUMS = GROUPS * SPLIT_PARTS,
    TABLE_SUMS = SAME_DIGITS * (SAME_VECTORS - 1),
    LAST_LANE = 1 << (LANES - 1)
};

/* entry[j][limb][v]: a limb of 1 + 8 v + lane times 2^(6 j) times the point. */
struct lane_table {
    lane_v entry[SAME_DIGITS][COORDINATE_LIMBS][SAME_VECTORS];
};

/* What a row of the table is made from: 1 to 8 times its base, and 4 to 32 times in steps of 4. */
enum {
    ROW_ONES,
    ROW_FOURS,
    ROW_BASES
};

struct same_scratch {
    struct lane_sum sums[SAME_SUMS];
    lane_v parts[GROUPS][SPLIT_PARTS];
    blst_p2_affine points[LANE_KEYS];
};

struct table_scratch {
    struct lane_jacobian rows[SAME_DIGITS * ROW_BASES];
    struct fp2 products[SAME_DIGITS * ROW_BASES];
    struct lane_sum sums[TABLE_SUMS];
};

LANE_INLINE void fp_choose(struct fp *ret, const lane_v entries[][SAME_VECTORS], lane_v index)
{
    LANE_UNROLL
    for (int i = 0; i < FP_LIMBS; i++)
        ret->limb[i] = v_choose32(entries[i], index);
}

/* The entries of a row for a digit. */
LANE_CALL void same_choose(struct lane_affine *ret,
                           const lane_v row[static COORDINATE_LIMBS][SAME_VECTORS],
                           const struct lane_digit *digit)
{
    struct fp2 minus_y;
    fp_choose(&ret->x.re, row, digit->index);
    fp_choose(&ret->x.im, row + FP_LIMBS, digit->index);
    fp_choose(&ret->y.re, row + 2 * FP_LIMBS, digit->index);
    fp_choose(&ret->y.im, row + 3 * FP_LIMBS, digit->index);
    fp2_negate(&minus_y, &ret->y, 4);
    fp2_blend(&ret->y, digit->is_negative, &ret->y, &minus_y);
}

/* Where the sum of a part of a group lies: parts 0 and 2 before 1 and 3, so that each fold is one batch. */
LANE_INLINE size_t same_place(size_t part, size_t group, size_t groups)
{
    return ((part & 1) * 2 + part / 2) * groups + group;
}

/* Chooses what digit j adds to each sum; at j = 0 that is where the sums begin. */
LANE_INLINE void
same_window(struct same_scratch *scratch, const struct lane_table *table, unsigned j, size_t groups)
{
    for (size_t part = 0; part < SPLIT_PARTS; part++) {
        for (size_t group = 0; group < groups; group++) {
            struct lane_sum *sum = &scratch->sums[same_place(part, group, groups)];
            struct lane_digit digit = digit_of(scratch->parts[group][part], j, SAME_WINDOW);
            same_choose(&sum->add, table->entry[j], &digit);
            sum->add_is_zero = digit.is_zero;
        }
    }
}

LANE_CALL uint64_t same_points(const struct lane_table *table,
                               size_t groups,
                               const blst_fp *blinds,
                               struct same_scratch *scratch)
{
    struct lane_sum *sums = scratch->sums;
    same_window(scratch, table, 0, groups);
    for (size_t i = 0; i < SPLIT_PARTS * groups; i++) {
        sums[i].acc = sums[i].add;
        sums[i].acc_is_zero = sums[i].add_is_zero;
    }
    uint64_t flag = 0;
    for (unsigned j = 1; j < SAME_DIGITS; j++) {
        same_window(scratch, table, j, groups);
        flag |= sum_batch(sums, SPLIT_PARTS * groups, blinds++);
    }
    flag |= sum_fold(sums, 2 * groups, affine_mul_z, blinds++);
    flag |= sum_fold(sums, groups, affine_mul_z2, blinds++);
    for (size_t group = 0; group < groups; group++)
        affine_to_blst(&scratch->points[group * LANES], &sums[group].acc);
    return flag;
}

/* Makes the rows' bases and the multiples that come with doubling: lane i of `ones` is i + 1 times the base. */
LANE_CALL void table_chain(struct lane_jacobian rows[static SAME_DIGITS * ROW_BASES],
                           const blst_p2 *hash)
{
    struct {
        blst_p2 times[LANES];
    } small;
    const size_t stride = sizeof(blst_p2) / sizeof(uint64_t);
    struct lane_jacobian p;
    small.times[0] = *hash;
    blst_p2_double(&small.times[1], hash);
    for (size_t i = 2; i < LANES; i++)
        blst_p2_add(&small.times[i], &small.times[i - 1], hash);
    fp2_from_blst(&p.x, &small.times->x, stride);
    fp2_from_blst(&p.y, &small.times->y, stride);
    fp2_from_blst(&p.z, &small.times->z, stride);
    for (size_t j = 0; j < SAME_DIGITS; j++) {
        rows[j * ROW_BASES + ROW_ONES] = p;
        for (size_t i = 0; i < SAME_WINDOW; i++) {
            jacobian_double(&p, 1);
            if (i == 1)
                rows[j * ROW_BASES + ROW_FOURS] = p;
        }
    }
}

LANE_INLINE void
affine_spread(struct lane_affine *ret, const struct lane_jacobian *a, unsigned lane)
{
    fp2_spread(&ret->x, &a->x, lane);
    fp2_spread(&ret->y, &a->y, lane);
}

/* What is added to the first eight entries of a row: 8, 16 and 24 times the base, lanes 1, 3 and 5 of `fours`. The last
 * lane of the first sum would add a point to itself; its result is lane 3 of `fours`.
 */
LANE_CALL void row_open(struct lane_sum *sums, const struct lane_jacobian row[static ROW_BASES])
{
    for (unsigned v = 0; v < SAME_VECTORS - 1; v++) {
        sums[v].acc = (struct lane_affine){.x = row[ROW_ONES].x, .y = row[ROW_ONES].y};
        affine_spread(&sums[v].add, &row[ROW_FOURS], 2 * v + 1);
        sums[v].acc_is_zero = 0;
        sums[v].add_is_zero = v == 0 ? LAST_LANE : 0;
    }
}

LANE_CALL void row_close(lane_v ret_row[static COORDINATE_LIMBS][SAME_VECTORS],
                         const struct lane_jacobian row[static ROW_BASES],
                         struct lane_sum *sums)
{
    struct lane_affine vectors[SAME_VECTORS] = {{.x = row[ROW_ONES].x, .y = row[ROW_ONES].y}};
    struct lane_affine sixteen;
    for (size_t v = 1; v < SAME_VECTORS; v++)
        vectors[v] = sums[v - 1].acc;
    affine_spread(&sixteen, &row[ROW_FOURS], 3);
    fp2_blend(&vectors[1].x, LAST_LANE, &vectors[1].x, &sixteen.x);
    fp2_blend(&vectors[1].y, LAST_LANE, &vectors[1].y, &sixteen.y);
    for (size_t v = 0; v < SAME_VECTORS; v++) {
        for (size_t i = 0; i < FP_LIMBS; i++) {
            ret_row[i][v] = vectors[v].x.re.limb[i];
            ret_row[FP_LIMBS + i][v] = vectors[v].x.im.limb[i];
            ret_row[2 * FP_LIMBS + i][v] = vectors[v].y.re.limb[i];
            ret_row[3 * FP_LIMBS + i][v] = vectors[v].y.im.limb[i];
        }
    }
}

LANE_CALL void
same_table(struct lane_table *ret_table, const blst_p2 *hash, struct table_scratch *scratch)
{
    struct lane_jacobian *rows = scratch->rows;
    struct lane_sum *sums = scratch->sums;
    table_chain(rows, hash);
    (void)to_affine(rows, scratch->products, SAME_DIGITS * ROW_BASES, &unblinded);
    for (size_t j = 0; j < SAME_DIGITS; j++)
        row_open(&sums[j * (SAME_VECTORS - 1)], &rows[j * ROW_BASES]);
    (void)sum_batch(sums, TABLE_SUMS, &unblinded);
    for (size_t j = 0; j < SAME_DIGITS; j++)
        row_close(ret_table->entry[j], &rows[j * ROW_BASES], &sums[j * (SAME_VECTORS - 1)]);
}

#endif
