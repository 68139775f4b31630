/* crypto/lane_code.h - the kernels of crypto/lane.h, over the lane type that is included before.
 *
 * WHAT      Defines LANE_OPS, under the name that is defined before.
 * PROMISE   See crypto/lane.h.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS Flags.
 * SECRETS   Each kernel's entry wipes scratch, stack and registers.
 */
#ifndef CRYPTO_LANE_CODE_H
#define CRYPTO_LANE_CODE_H

#include "crypto/lane.h"
#include "crypto/lane_curve.h"
#include "secret/wipe.h"

enum {
    LANES = 8,
    GROUPS = LANE_KEYS / LANES,
    COORDINATE_LIMBS = sizeof(struct lane_affine) / sizeof(lane_v),
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

struct lane_scratch {
    union {
        struct {
            struct lane_sum sums[SAME_SUMS];
            lane_v parts[GROUPS][SPLIT_PARTS];
        } same;
        struct {
            struct lane_jacobian rows[SAME_DIGITS * ROW_BASES];
            struct fp2 products[SAME_DIGITS * ROW_BASES];
            struct lane_sum sums[TABLE_SUMS];
        } table;
    };
    blst_p2_affine points[LANE_KEYS];
};

struct lane_digit {
    lane_v index; /* of the entry; anything for 0 */
    lane_m is_zero, is_negative;
};

/* Digit j of eight scalars, 0 the lowest, in -32..32: half of (seven bits, from one below its own, + 1). */
LANE_INLINE struct lane_digit same_digit(lane_v part, unsigned j)
{
    lane_v one = v_set1(1);
    lane_v low = v_and(part, v_set1((1 << SAME_WINDOW) - 1));
    lane_v bits = j == 0 ? v_add(low, low) : v_shift_right(part, SAME_WINDOW * j - 1);
    bits = v_and(bits, v_set1(2 * (1 << SAME_WINDOW) - 1));
    lane_m is_negative = v_equal(v_shift_right(bits, SAME_WINDOW), one);
    lane_v half = v_shift_right(v_add(bits, one), 1);
    lane_v size = v_blend(is_negative, half, v_sub(v_set1(1 << SAME_WINDOW), half));
    return (struct lane_digit){.index = v_and(v_sub(size, one), v_set1(SAME_ENTRIES - 1)),
                               .is_zero = v_equal(size, v_zero()),
                               .is_negative = is_negative};
}

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
    fp2_negate(&minus_y, &ret->y, 2);
    fp2_blend(&ret->y, digit->is_negative, &ret->y, &minus_y);
}

/* Where the sum of a part of a group lies: parts 0 and 2 before 1 and 3, so that each fold is one batch. */
LANE_INLINE size_t same_place(size_t part, size_t group, size_t groups)
{
    return ((part & 1) * 2 + part / 2) * groups + group;
}

/* Loads the parts of n scalars, zero for the lanes that are left over. */
LANE_CALL void load_parts(lane_v ret_parts[][SPLIT_PARTS],
                          const struct scalar_split *splits,
                          size_t n,
                          size_t groups)
{
    struct {
        uint64_t lane[LANES];
    } words;
    for (size_t group = 0; group < groups; group++) {
        for (size_t part = 0; part < SPLIT_PARTS; part++) {
            for (size_t lane = 0; lane < LANES; lane++) {
                size_t key = group * LANES + lane;
                words.lane[lane] = key < n ? splits[key].part[part] : 0;
            }
            ret_parts[group][part] = v_load(words.lane);
        }
    }
    wipe(&words, sizeof words);
}

/* Chooses what digit j adds to each sum; at j = 0 that is where the sums begin. */
LANE_INLINE void
same_window(struct lane_scratch *scratch, const struct lane_table *table, unsigned j, size_t groups)
{
    for (size_t part = 0; part < SPLIT_PARTS; part++) {
        for (size_t group = 0; group < groups; group++) {
            struct lane_sum *sum = &scratch->same.sums[same_place(part, group, groups)];
            struct lane_digit digit = same_digit(scratch->same.parts[group][part], j);
            same_choose(&sum->add, table->entry[j], &digit);
            sum->add_is_zero = digit.is_zero;
        }
    }
}

/* Sums i of `n`: adds Z (or Z^2) times sum n + i. */
LANE_INLINE uint64_t same_fold(struct lane_sum *sums,
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

LANE_CALL uint64_t same_points(const struct lane_table *table,
                               size_t groups,
                               const blst_fp *blinds,
                               struct lane_scratch *scratch)
{
    struct lane_sum *sums = scratch->same.sums;
    same_window(scratch, table, 0, groups);
    for (size_t i = 0; i < SPLIT_PARTS * groups; i++) {
        sums[i].acc = sums[i].add;
        fp2_shrink(&sums[i].acc.y);
        sums[i].acc_is_zero = sums[i].add_is_zero;
    }
    uint64_t flag = 0;
    for (unsigned j = 1; j < SAME_DIGITS; j++) {
        same_window(scratch, table, j, groups);
        flag |= sum_batch(sums, SPLIT_PARTS * groups, blinds++);
    }
    flag |= same_fold(sums, 2 * groups, affine_mul_z, blinds++);
    flag |= same_fold(sums, groups, affine_mul_z2, blinds++);
    for (size_t group = 0; group < groups; group++)
        affine_to_blst(&scratch->points[group * LANES], &sums[group].acc);
    return flag;
}

static uint64_t lane_sign_same(const struct lane_table *table,
                               const struct scalar_split *splits,
                               size_t n,
                               const blst_fp *blinds,
                               struct lane_scratch *scratch,
                               blst_p2_affine *ret_points)
{
    cc_assert(n > 0 && n <= LANE_KEYS);
    size_t groups = (n + LANES - 1) / LANES;
    load_parts(scratch->same.parts, splits, n, groups);
    uint64_t flag = same_points(table, groups, blinds, scratch);
    for (size_t i = 0; i < n; i++)
        ret_points[i] = scratch->points[i];
    wipe(scratch, sizeof *scratch);
    wipe_stack();
    v_wipe();
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
            jacobian_double(&p);
            if (i == 1)
                rows[j * ROW_BASES + ROW_FOURS] = p;
        }
    }
}

static const blst_fp unblinded = FP_ONE; /* for what is public */

/* Jacobian to affine, in place: z is left as it was. */
LANE_CALL void to_affine(struct lane_jacobian *points, struct fp2 *products, size_t n)
{
    struct fp2 inverse, z, zz;
    products[0] = points[0].z;
    for (size_t i = 1; i < n; i++)
        fp2_mul(&products[i], &products[i - 1], &points[i].z);
    inverse = products[n - 1];
    (void)fp2_invert(&inverse, &unblinded);
    for (size_t i = n; i-- > 0;) {
        z = inverse;
        if (i > 0)
            fp2_mul(&z, &inverse, &products[i - 1]);
        fp2_mul(&inverse, &inverse, &points[i].z);
        fp2_square(&zz, &z);
        fp2_mul(&points[i].x, &points[i].x, &zz);
        fp2_mul(&zz, &zz, &z);
        fp2_mul(&points[i].y, &points[i].y, &zz);
        fp2_shrink(&points[i].x);
        fp2_shrink(&points[i].y);
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

static void
lane_table_build(struct lane_table *ret_table, const blst_p2 *hash, struct lane_scratch *scratch)
{
    struct lane_jacobian *rows = scratch->table.rows;
    struct lane_sum *sums = scratch->table.sums;
    table_chain(rows, hash);
    to_affine(rows, scratch->table.products, SAME_DIGITS * ROW_BASES);
    for (size_t j = 0; j < SAME_DIGITS; j++)
        row_open(&sums[j * (SAME_VECTORS - 1)], &rows[j * ROW_BASES]);
    (void)sum_batch(sums, TABLE_SUMS, &unblinded);
    for (size_t j = 0; j < SAME_DIGITS; j++)
        row_close(ret_table->entry[j], &rows[j * ROW_BASES], &sums[j * (SAME_VECTORS - 1)]);
    v_wipe();
}

const struct lane_ops LANE_OPS = {
    .table_build = lane_table_build,
    .sign_same = lane_sign_same,
};

#endif
