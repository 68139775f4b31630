/* What the batch signer's check is made of: curve, encoding, weights and their sum. */
#include <stdlib.h>
#include <string.h>

#include "crypto/batch_check.h"
#include "crypto/weighted_sum.h"
#include "support/batch_rig.h"
#include "support/test.h"

static void point_of(uint8_t root, blst_p2_affine *ret_point)
{
    struct bls_hash hash;
    bls_hash((const uint8_t[BLS_ROOT_SIZE]){root}, &hash);
    blst_p2_to_affine(ret_point, hash_point(&hash));
}

static void test_T22_only_points_of_the_curve_pass(void **state)
{
    (void)state;
    blst_p2_affine point;
    const blst_p2_affine none = {0};
    point_of(1, &point);
    assert_true(batch_check_on_curve(&point));
    assert_false(batch_check_on_curve(&none));
    for (size_t bit = 0; bit < 8 * sizeof point; bit += 7) {
        ((uint8_t *)&point)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(batch_check_on_curve(&point));
        ((uint8_t *)&point)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_T22_an_encoding_is_its_own_points_alone(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 50; i++) {
        blst_p2_affine point;
        uint8_t bytes[BLS_SIGNATURE_SIZE];
        point_of(i, &point);
        for (int turn = 0; turn < 2; turn++) {
            blst_p2_affine_compress(bytes, &point);
            assert_true(batch_check_output(bytes, &point));
            blst_fp2_cneg(&point.y, &point.y, true);
            assert_false(batch_check_output(bytes, &point));
        }
        blst_p2_affine_compress(bytes, &point);
        for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(batch_check_output(bytes, &point));
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

/* Where y has no imaginary part the real one decides. Such a y needs no point. */
static void test_T22_an_encodings_sign_when_y_is_real(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 20; i++) {
        blst_p2_affine point;
        uint8_t bytes[BLS_SIGNATURE_SIZE];
        point_of(i, &point);
        memset(&point.y.fp[1], 0, sizeof point.y.fp[1]);
        for (int turn = 0; turn < 2; turn++) {
            blst_p2_affine_compress(bytes, &point);
            assert_true(batch_check_output(bytes, &point));
            blst_fp2_cneg(&point.y, &point.y, true);
        }
    }
}

static void test_T22_weights_have_no_small_factor_of_the_order(void **state)
{
    (void)state;
    static const uint64_t factors[] = {13, 23, 2713, 11953, 262069};
    uint64_t weights[WEIGHTED_MAX];
    for (size_t round = 0; round < 20; round++) {
        assert_int_equal(weights_draw(weights, WEIGHTED_MAX).code, 0);
        for (size_t i = 0; i < WEIGHTED_MAX; i++) {
            for (size_t f = 0; f < ARRAY_LEN(factors); f++)
                assert_int_not_equal(weights[i] % factors[f], 0);
            assert_true(i == 0 || weights[i] != weights[i - 1]);
        }
    }
}

struct sum {
    struct weighted_scratch scratch;
    struct affine_sum sums[WEIGHTED_BUCKETS];
    blst_p2_affine points[WEIGHTED_MAX];
    uint64_t weights[WEIGHTED_MAX];
};

static void expect_sum(struct sum *s, size_t n)
{
    blst_p2 got;
    blst_p2 want = {0};
    weighted_sum(s->points, s->weights, n, &s->scratch, s->sums, &got);
    for (size_t i = 0; i < n; i++) {
        blst_p2 point;
        blst_p2_from_affine(&point, &s->points[i]);
        blst_p2_mult(&point, &point, (const uint8_t *)&s->weights[i], 64);
        blst_p2_add_or_double(&want, &want, &point);
    }
    assert_true(blst_p2_is_equal(&got, &want));
}

static void test_weighted_sums_are_blsts(void **state)
{
    (void)state;
    struct sum *s = calloc(1, sizeof *s);
    assert_non_null(s);
    for (size_t i = 0; i < WEIGHTED_MAX; i++)
        point_of((uint8_t)i, &s->points[i]);
    for (size_t n = 0; n <= WEIGHTED_MAX; n = n * 2 + 1) {
        assert_int_equal(weights_draw(s->weights, WEIGHTED_MAX).code, 0);
        expect_sum(s, n);
    }
    free(s);
}

/* The same key many times, and keys k and r-k: equal and opposite points meet in all buckets, or the sum is infinity. */
static void test_T23_equal_and_opposite_points_add_up(void **state)
{
    (void)state;
    static const uint64_t edges[] = {
        1, 2, 16, 17, 31, 32, 33, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63, 0};
    struct sum *s = calloc(1, sizeof *s);
    assert_non_null(s);
    for (size_t i = 0; i < 64; i++) {
        point_of((uint8_t)(i % 3), &s->points[i]);
        blst_fp2_cneg(&s->points[i].y, &s->points[i].y, i % 2);
    }
    for (size_t round = 0; round < 20; round++) {
        assert_int_equal(weights_draw(s->weights, 64).code, 0);
        expect_sum(s, 64);
        for (size_t i = 0; i < 64; i++)
            s->weights[i] = edges[(i / 2 + round) % ARRAY_LEN(edges)];
        expect_sum(s, 64);
        for (size_t i = 0; i < 64; i++)
            s->weights[i] = s->weights[0];
        expect_sum(s, 64);
        point_of(0, &s->points[1]);
        expect_sum(s, 2);
        blst_fp2_cneg(&s->points[1].y, &s->points[1].y, true);
        expect_sum(s, 2);
    }
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T22_only_points_of_the_curve_pass),
        cmocka_unit_test(test_T22_an_encoding_is_its_own_points_alone),
        cmocka_unit_test(test_T22_an_encodings_sign_when_y_is_real),
        cmocka_unit_test(test_T22_weights_have_no_small_factor_of_the_order),
        cmocka_unit_test(test_weighted_sums_are_blsts),
        cmocka_unit_test(test_T23_equal_and_opposite_points_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
