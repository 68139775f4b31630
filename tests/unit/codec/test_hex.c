#include <string.h>

#include "codec/hex.h"
#include "support/test.h"

static void expect_error(cc_err err, enum error_code code)
{
    assert_int_equal(err.code, code);
}

static void test_decode_any_case_with_and_without_prefix(void **state)
{
    (void)state;
    static const char *const spellings[] = {"0x0aBcFf", "0X0abcff", "0ABCFF"};
    static const uint8_t expected[3] = {0x0a, 0xbc, 0xff};
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        uint8_t bytes[3];
        assert_int_equal(hex_decode(span_str(spellings[i]), bytes, 3).code, 0);
        assert_memory_equal(bytes, expected, 3);
    }
}

static void test_decode_refuses_length_and_syntax(void **state)
{
    (void)state;
    uint8_t bytes[4];
    size_t len;
    expect_error(hex_decode(span_str("0x0a0b"), bytes, 3), ERROR_HEX_LENGTH);
    expect_error(hex_decode(span_str("0x0a0b0c0d"), bytes, 3), ERROR_HEX_LENGTH);
    expect_error(hex_decode(span_str("0x0a0b0"), bytes, 3), ERROR_HEX_SYNTAX);
    expect_error(hex_decode(span_str("0x0x0b0c"), bytes, 3), ERROR_HEX_SYNTAX);
    expect_error(hex_decode(span_str(" 0a0b0c"), bytes, 3), ERROR_HEX_SYNTAX);
    expect_error(hex_decode(span_str("0a0b0c\n"), bytes, 3), ERROR_HEX_SYNTAX);
    expect_error(hex_decode_padded(span_str("0x010203"), bytes, 2), ERROR_HEX_LENGTH);
    expect_error(hex_decode_padded(span_str("0x1"), bytes, 2), ERROR_HEX_SYNTAX);
    expect_error(hex_decode_some(span_str("0x010203"), bytes, 2, &len), ERROR_HEX_LENGTH);
    expect_error(hex_decode_some(span_str("123"), bytes, 2, &len), ERROR_HEX_SYNTAX);
    assert_int_equal(hex_decode(span_str("0x"), bytes, 0).code, 0);
    assert_int_equal(hex_decode(span_str(""), bytes, 0).code, 0);
}

/* Each of the 256 bytes at each place of a pair: only hex digits pass. */
static void test_every_byte_in_every_place(void **state)
{
    (void)state;
    for (int place = 0; place < 2; place++) {
        for (int c = 0; c < 256; c++) {
            char text[2] = {'1', '1'};
            uint8_t byte;
            text[place] = (char)c;
            bool digit = c && strchr("0123456789abcdefABCDEF", c);
            assert_int_equal(hex_decode(span_of(text, 2), &byte, 1).code == 0, digit);
        }
    }
}

static void test_short_roots_are_padded_on_the_left(void **state)
{
    (void)state;
    static const uint8_t expected[4] = {0, 0, 0x12, 0x34};
    static const uint8_t zero[4] = {0};
    uint8_t bytes[4] = {9, 9, 9, 9};
    assert_int_equal(hex_decode_padded(span_str("0x1234"), bytes, 4).code, 0);
    assert_memory_equal(bytes, expected, 4);
    assert_int_equal(hex_decode_padded(span_str("0x"), bytes, 4).code, 0);
    assert_memory_equal(bytes, zero, 4);
}

static void test_encode_and_back(void **state)
{
    (void)state;
    uint8_t all[256];
    uint8_t back[256];
    size_t len;
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    CC_CLEANUP(buf_release) struct buf out = buf_init(1024);
    assert_int_equal(hex_append(&out, all, sizeof(all)).code, 0);
    assert_int_equal(out.len, 2 + 512);
    assert_memory_equal(out.data, "0x000102", 8);
    assert_int_equal(hex_decode_some(buf_span(&out), back, sizeof(back), &len).code, 0);
    assert_int_equal(len, sizeof(back));
    assert_memory_equal(all, back, sizeof(all));
    struct buf small = buf_init(4);
    expect_error(hex_append(&small, all, 2), ERROR_LIMIT);
    buf_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_any_case_with_and_without_prefix),
        cmocka_unit_test(test_decode_refuses_length_and_syntax),
        cmocka_unit_test(test_every_byte_in_every_place),
        cmocka_unit_test(test_short_roots_are_padded_on_the_left),
        cmocka_unit_test(test_encode_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
