/* crypto/lane_code.h - the kernels of crypto/lane.h, over the lane type that is included before.
 *
 * WHAT      Defines LANE_OPS, under the name that is defined before.
 * PROMISE   See crypto/lane.h.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS Flags.
 * SECRETS   A kernel that had any wipes scratch, stack and registers.
 */
#ifndef CRYPTO_LANE_CODE_H
#define CRYPTO_LANE_CODE_H

#include "crypto/lane_each.h"
#include "crypto/lane_same.h"
#include "crypto/lane_weighted.h"

struct lane_scratch {
    union {
        struct table_scratch table;
        struct same_scratch same;
        struct each_scratch each;
        struct weighted_lanes weighted;
    };
};

static void
lane_table_build(struct lane_table *ret_table, const blst_p2 *hash, struct lane_scratch *scratch)
{
    same_table(ret_table, hash, &scratch->table);
    v_wipe();
}

static size_t groups_of(size_t n)
{
    cc_assert(n > 0 && n <= LANE_KEYS);
    return (n + LANES - 1) / LANES;
}

static void copy_points(blst_p2_affine *ret_points, const blst_p2_affine *points, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret_points[i] = points[i];
}

static uint64_t lane_sign_same(const struct lane_table *table,
                               const struct scalar_split *splits,
                               size_t n,
                               const blst_fp *blinds,
                               struct lane_scratch *scratch,
                               blst_p2_affine *ret_points)
{
    const size_t groups = groups_of(n);
    load_parts(scratch->same.parts, splits, n, groups);
    const uint64_t flag = same_points(table, groups, blinds, &scratch->same);
    copy_points(ret_points, scratch->same.points, n);
    wipe(&scratch->same, sizeof scratch->same);
    wipe_stack();
    v_wipe();
    return flag;
}

static uint64_t lane_sign_each(const struct bls_hash *const *hashes,
                               const struct scalar_split *splits,
                               size_t n,
                               const blst_fp *blinds,
                               struct lane_scratch *scratch,
                               blst_p2_affine *ret_points)
{
    const size_t groups = groups_of(n);
    load_parts(scratch->each.parts, splits, n, groups);
    uint64_t flag = each_tables(&scratch->each, hashes, n, groups);
    flag |= each_points(&scratch->each, groups, blinds);
    copy_points(ret_points, scratch->each.points, n);
    wipe(&scratch->each, sizeof scratch->each);
    wipe_stack();
    v_wipe();
    return flag;
}

static uint64_t lane_weighted_sum(const blst_p2_affine *points,
                                  const uint64_t *weights,
                                  size_t n,
                                  struct lane_scratch *scratch,
                                  blst_p2 *ret_sum)
{
    cc_assert(n > 0 && n <= LANE_SUM_MAX);
    const struct weighted_terms terms = {.points = points, .weights = weights, .n = n};
    const uint64_t flag = weighted_lanes_sum(&terms, &scratch->weighted, ret_sum);
    v_wipe();
    return flag;
}

const struct lane_ops LANE_OPS = {
    .table_build = lane_table_build,
    .sign_same = lane_sign_same,
    .sign_each = lane_sign_each,
    .weighted_sum = lane_weighted_sum,
};

#endif
