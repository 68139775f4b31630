/* Which trace ids a ratio takes. */
#include <string.h>

#include "base/num.h"

#include "support/test.h"
#include "trace/sampler.h"

/* An id whose last eight bytes are `low`. */
static bool takes(uint32_t millionths, uint64_t low)
{
    uint8_t id[TRACE_ID_SIZE];
    memset(id, 0xff, sizeof id);
    u64_store_be(id + 8, low);
    return sampler_takes(sampler_bound(millionths), id);
}

static void test_none_and_all(void **state)
{
    (void)state;
    assert_false(takes(0, 0));
    assert_false(takes(0, UINT64_MAX));
    assert_true(takes(SAMPLER_MILLION, 0));
    assert_true(takes(SAMPLER_MILLION, UINT64_MAX));
    assert_true(sampler_bound(SAMPLER_MILLION) == UINT64_C(1) << 63);
}

/* The bound of a half is 2^62 after the shift, so 2^63 before it. */
static void test_the_bound_is_exact(void **state)
{
    (void)state;
    assert_true(sampler_bound(500000) == UINT64_C(1) << 62);
    assert_true(sampler_bound(1) == 9223372036854);
    assert_true(sampler_bound(999999) == UINT64_C(9223362813482738953));
    assert_true(takes(500000, (UINT64_C(1) << 63) - 1));
    assert_false(takes(500000, UINT64_C(1) << 63));
    assert_true(takes(1, UINT64_C(2) * 9223372036854 - 1));
    assert_false(takes(1, UINT64_C(2) * 9223372036854));
}

/* What a smaller ratio takes, a larger one takes too; and of evenly spread ids the ratio's part is taken. */
static void test_ratios_are_nested(void **state)
{
    (void)state;
    static const uint32_t ratios[] = {0, 1000, 10000, 250000, 500000, 900000, SAMPLER_MILLION};
    uint32_t taken[ARRAY_LEN(ratios)] = {0};
    const uint64_t step = UINT64_MAX / 100000;
    for (uint64_t i = 0; i < 100000; i++) {
        for (size_t r = 0; r < ARRAY_LEN(ratios); r++) {
            const bool it = takes(ratios[r], i * step);
            taken[r] += it;
            assert_true(r == 0 || it || !takes(ratios[r - 1], i * step));
        }
    }
    for (size_t r = 0; r < ARRAY_LEN(ratios); r++)
        assert_in_range(taken[r], ratios[r] / 10, ratios[r] / 10 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_and_all),
        cmocka_unit_test(test_the_bound_is_exact),
        cmocka_unit_test(test_ratios_are_nested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
