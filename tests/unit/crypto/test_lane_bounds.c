/* The bounds of lazy reduction, proved by running the lane code over intervals (support/lane_vec_bound.h). */
#define LANE_OPS lane_bound
#include "support/lane_vec_bound.h"
/* The lane type goes first. */
#include <stdlib.h>

#include "crypto/lane_code.h"
#include "support/test.h"

static struct bls_hash hash;
static struct lane_table table;
static struct lane_scratch scratch;
static const blst_fp blinds[LANE_BLINDS] = {FP_ONE, FP_ONE, FP_ONE, FP_ONE, FP_ONE, FP_ONE,
                                            FP_ONE, FP_ONE, FP_ONE, FP_ONE, FP_ONE, FP_ONE,
                                            FP_ONE, FP_ONE, FP_ONE, FP_ONE};

static int build(void **state)
{
    (void)state;
    bls_hash((const uint8_t[BLS_ROOT_SIZE]){1}, &hash);
    lane_bound_faults = 0;
    lane_bound.table_build(&table, hash_point(&hash), &scratch);
    return 0;
}

static void test_table_stays_in_bounds(void **state)
{
    (void)state;
    assert_int_equal(lane_bound_faults, 0);
    for (size_t j = 0; j < SAME_DIGITS; j++)
        for (size_t v = 0; v < SAME_VECTORS; v++)
            assert_true(table.entry[j][FP_LIMBS - 1][v].high < 4 * LANE_PRIME_TOP);
}

static void test_same_root_stays_in_bounds(void **state)
{
    (void)state;
    static const struct scalar_split splits[LANE_KEYS];
    static blst_p2_affine points[LANE_KEYS];
    lane_bound.sign_same(&table, splits, LANE_KEYS, blinds, &scratch, points);
    assert_int_equal(lane_bound_faults, 0);
}

static void test_different_roots_stay_in_bounds(void **state)
{
    (void)state;
    static const struct scalar_split splits[LANE_KEYS];
    static blst_p2_affine points[LANE_KEYS];
    const struct bls_hash *hashes[LANE_KEYS];
    for (size_t i = 0; i < LANE_KEYS; i++)
        hashes[i] = &hash;
    lane_bound.sign_each(hashes, splits, LANE_KEYS, blinds, &scratch, points);
    assert_int_equal(lane_bound_faults, 0);
}

static void test_weighted_sums_stay_in_bounds(void **state)
{
    (void)state;
    static blst_p2_affine points[LANE_SUM_MAX];
    static uint64_t weights[LANE_SUM_MAX];
    blst_p2 sum;
    for (size_t i = 0; i < LANE_SUM_MAX; i++)
        blst_p2_to_affine(&points[i], hash_point(&hash));
    lane_bound.weighted_sum(points, weights, LANE_SUM_MAX, &scratch, &sum);
    assert_int_equal(lane_bound_faults, 0);
}

/* The method can fail: with factors as large as a limb allows, and with a difference that may be negative. */
static void test_bounds_that_do_not_hold_are_noticed(void **state)
{
    (void)state;
    struct fp2 a;
    struct fp2 b;
    fp2_set_one(&a);
    for (size_t i = 0; i < FP_LIMBS; i++)
        a.re.limb[i] = a.im.limb[i] = (lane_v){0, LANE_LIMB_MASK};
    fp2_mul(&b, &a, &a);
    assert_true(lane_bound_faults > 0);
    lane_bound_faults = 0;
    fp2_set_one(&a);
    a.im.limb[FP_LIMBS - 1].high = 40 * LANE_PRIME_TOP;
    fp2_square(&b, &a);
    assert_true(lane_bound_faults > 0);
    lane_bound_faults = 0;
    a.im.limb[FP_LIMBS - 1].high = 30 * LANE_PRIME_TOP;
    fp2_square(&b, &a);
    assert_int_equal(lane_bound_faults, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_stays_in_bounds),
        cmocka_unit_test(test_same_root_stays_in_bounds),
        cmocka_unit_test(test_different_roots_stay_in_bounds),
        cmocka_unit_test(test_weighted_sums_stay_in_bounds),
        cmocka_unit_test(test_bounds_that_do_not_hold_are_noticed),
    };
    return cmocka_run_group_tests(tests, build, NULL);
}
