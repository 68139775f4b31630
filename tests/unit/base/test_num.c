
#include "base/num.h"

#include "support/test.h"

static void parses(const char *text, uint64_t expected)
{
    uint64_t value = 0;
    assert_int_equal(u64_parse(span_str(text), &value).code, 0);
    assert_int_equal(value, expected);
}

static void refuses(const char *text, enum error_code code)
{
    uint64_t value = 7;
    assert_true(error_is(u64_parse(span_str(text), &value), code));
    assert_int_equal(value, 7); /* written only on success */
}

static void test_P14_every_edge_is_kept(void **state)
{
    (void)state;
    parses("0", 0);
    parses("1", 1);
    parses("2147483648", UINT64_C(1) << 31);
    parses("9007199254740993", (UINT64_C(1) << 53) + 1);
    parses("9223372036854775807", INT64_MAX);
    parses("9223372036854775808", UINT64_C(1) << 63);
    parses("18446744073709551615", UINT64_MAX);
    parses("00000000000000000000000018446744073709551615", UINT64_MAX);
}

static void test_P14_what_does_not_fit_is_refused(void **state)
{
    (void)state;
    refuses("18446744073709551616", ERROR_NUMBER_RANGE);
    refuses("99999999999999999999999", ERROR_NUMBER_RANGE);
    refuses("", ERROR_MALFORMED);
    refuses("-1", ERROR_MALFORMED);
    refuses("+1", ERROR_MALFORMED);
    refuses(" 1", ERROR_MALFORMED);
    refuses("1.0", ERROR_MALFORMED);
    refuses("1e3", ERROR_MALFORMED);
    refuses("0x10", ERROR_MALFORMED);
}

static void test_byte_order_round_trips(void **state)
{
    (void)state;
    const uint64_t values[] = {0, 1, 0x0102030405060708u, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        uint8_t be[8];
        uint8_t le[8];
        u64_store_be(be, values[i]);
        u64_store_le(le, values[i]);
        assert_int_equal(u64_load_be(be), values[i]);
        assert_int_equal(u64_load_le(le), values[i]);
        assert_int_equal(be[0], le[7]);
    }
    assert_int_equal(u64_add_sat(UINT64_MAX, 1), UINT64_MAX);
    assert_int_equal(u64_add_sat(1, 2), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_P14_every_edge_is_kept),
        cmocka_unit_test(test_P14_what_does_not_fit_is_refused),
        cmocka_unit_test(test_byte_order_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
