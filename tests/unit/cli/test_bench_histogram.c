#include <string.h>

#include "base/macros.h"

#include "cli/bench_histogram.h"
#include "support/test.h"

static struct bench_histogram histogram;

static void empty_says_nothing(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    assert_int_equal(bench_histogram_at(&histogram, 0.5), 0);
}

/* Every value, small and large, falls in a bucket that ends at most 1/64 above it, and not below it. */
static void buckets_are_narrow(void **state)
{
    (void)state;
    for (uint64_t value = 1; value < UINT64_C(1) << 40; value += value / 7 + 1) {
        memset(&histogram, 0, sizeof histogram);
        bench_histogram_add(&histogram, value);
        bench_histogram_add(&histogram, UINT64_C(1)
                                            << 40); /* so that the maximum does not cut it */
        uint64_t found = bench_histogram_at(&histogram, 0.5);
        assert_true(found >= value);
        assert_true(found - value <= value / BENCH_HISTOGRAM_STEPS);
    }
}

static void buckets_follow_each_other(void **state)
{
    (void)state;
    for (size_t i = 1; i < BENCH_HISTOGRAM_BUCKETS; i++)
        assert_true(bench_histogram_upper_ns(i) > bench_histogram_upper_ns(i - 1));
}

static void percentiles_are_those_of_the_values(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    for (uint64_t us = 1000; us > 0; us--)
        bench_histogram_add(&histogram, us * 1000);
    const struct {
        double share;
        uint64_t us;
    } cases[] = {{0.5, 500}, {0.9, 900}, {0.99, 990}, {0.999, 999}, {1, 1000}, {0, 1}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ns = bench_histogram_at(&histogram, cases[i].share);
        assert_true(ns >= cases[i].us * 1000);
        assert_true(ns <= cases[i].us * 1000 + cases[i].us * 1000 / BENCH_HISTOGRAM_STEPS);
    }
    assert_int_equal(histogram.total, 1000);
    assert_int_equal(histogram.sum_ns, UINT64_C(500500) * 1000);
    assert_int_equal(histogram.max_ns, 1000000);
}

static void the_longest_is_not_lost(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    bench_histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.count[BENCH_HISTOGRAM_BUCKETS - 1], 1);
    assert_true(bench_histogram_at(&histogram, 1) > UINT64_C(1) << 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_says_nothing),
        cmocka_unit_test(buckets_are_narrow),
        cmocka_unit_test(buckets_follow_each_other),
        cmocka_unit_test(percentiles_are_those_of_the_values),
        cmocka_unit_test(the_longest_is_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
