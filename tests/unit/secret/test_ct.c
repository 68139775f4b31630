#include <string.h>

#include "secret/ct.h"
#include "secret/wipe.h"
#include "support/test.h"

static void test_equal_sees_every_bit(void **state)
{
    (void)state;
    uint8_t a[33];
    uint8_t b[33];
    memset(a, 0x5a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(ct_equal(a, b, sizeof a));
    assert_true(ct_equal(a, b, 0));
    for (size_t i = 0; i < 8 * sizeof a; i++) {
        b[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(ct_equal(a, b, sizeof a));
        b[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

static void test_is_zero(void **state)
{
    (void)state;
    uint8_t a[32] = {0};
    assert_true(ct_is_zero(a, sizeof a));
    a[31] = 0x80;
    assert_false(ct_is_zero(a, sizeof a));
}

static void test_hex_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t back[256];
    char digits[512];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    ct_hex_encode(bytes, sizeof bytes, digits);
    assert_memory_equal(digits, "000102", 6);
    assert_memory_equal(digits + 506, "fdfeff", 6);
    assert_int_equal(ct_hex_decode(digits, back, sizeof back).code, 0);
    assert_memory_equal(bytes, back, sizeof back);
    assert_int_equal(ct_hex_decode("aBcDeF09", back, 4).code, 0);
    assert_memory_equal(back, "\xab\xcd\xef\x09", 4);
}

/* Every character that is no hex digit is refused, in either place, and nothing is given back. */
static void test_hex_refuses_every_other_character(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        for (int place = 0; place < 2; place++) {
            char text[2] = {'7', '7'};
            uint8_t out = 0xee;
            text[place] = (char)c;
            assert_int_equal(ct_hex_decode(text, &out, 1).code, digit ? 0 : ERROR_HEX_SYNTAX);
            if (!digit)
                assert_int_equal(out, 0);
        }
    }
}

static void test_wipe_by_scope(void **state)
{
    (void)state;
    uint8_t bytes[8] = {1, 2, 3};
    wipe(bytes, sizeof bytes);
    assert_true(ct_is_zero(bytes, sizeof bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_sees_every_bit),
        cmocka_unit_test(test_is_zero),
        cmocka_unit_test(test_hex_round_trip),
        cmocka_unit_test(test_hex_refuses_every_other_character),
        cmocka_unit_test(test_wipe_by_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
