#include "base/span.h"

#include "codec/utf8.h"
#include "support/test.h"

static void check(struct span text, struct span want)
{
    uint8_t bytes[64];
    size_t len = 99;
    assert_int_equal(utf8_password(text, bytes, sizeof bytes, &len).code, 0);
    assert_int_equal(len, want.len);
    assert_true(span_equal(span_of(bytes, len), want));
}

static void test_the_vector_of_the_EIP(void **state)
{
    (void)state;
    check(
        span_str("\xf0\x9d\x94\xb1\xf0\x9d\x94\xa2\xf0\x9d\x94\xb0\xf0\x9d\x94\xb1\xf0\x9d\x94\xad"
                 "\xf0\x9d\x94\x9e\xf0\x9d\x94\xb0\xf0\x9d\x94\xb0\xf0\x9d\x94\xb4\xf0\x9d\x94\xac"
                 "\xf0\x9d\x94\xaf\xf0\x9d\x94\xa1\xf0\x9f\x94\x91"),
        span_str("testpassword\xf0\x9f\x94\x91"));
}

static void test_nfkd(void **state)
{
    (void)state;
    check(span_str("\xc3\xa9"), span_str("e\xcc\x81"));           /* e acute */
    check(span_str("\xe2\x84\xab"), span_str("A\xcc\x8a"));       /* angstrom sign */
    check(span_str("\xef\xac\x81\xe2\x91\xa0"), span_str("fi1")); /* ligature, circled digit */
    check(span_str("\xea\xb0\x81"), span_str("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8")); /* Hangul */
    check(span_str("\xe1\xba\x9b\xcc\xa3"), span_str("s\xcc\xa3\xcc\x87")); /* marks in order */
    check(span_str("\xe5\xaf\x86\xe7\xa0\x81"), span_str("\xe5\xaf\x86\xe7\xa0\x81"));
    check(span_str("\xef\xbb\xbf"
                   "bom"),
          span_str("\xef\xbb\xbf"
                   "bom")); /* no control code */
}

static void test_control_codes_are_stripped(void **state)
{
    (void)state;
    check(span_of("pass\0word\x1f\x7f\xc2\x85tail", 17), span_str("passwordtail"));
    check(span_str("\t a\r\n\xc2\x80\xc2\x9f\xc2\xa0"),
          span_str(" a ")); /* U+00A0 is a space, no control */
    check(span_str("\x01\x7f\xc2\x90"), span_str(""));
    check(span_str(""), span_str(""));
    check((struct span){0}, span_str(""));
}

static void test_what_is_not_utf8_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\xff",      "a\xc3",        "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xe9t\xe9", "\xf0\x9d\x94",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        uint8_t bytes[64];
        size_t len;
        cc_err err = utf8_password(span_str(texts[i]), bytes, sizeof bytes, &len);
        assert_int_equal(err.code, ERROR_PASSWORD_TEXT);
        assert_string_equal(error_detail(), "not valid UTF-8");
    }
}

static void test_too_long_is_refused_and_never_cut(void **state)
{
    (void)state;
    static uint8_t text[4 * UTF8_PASSWORD_MAX + 1];
    uint8_t bytes[2048];
    size_t len = 0;
    memset(text, 'x', sizeof text);
    assert_int_equal(utf8_password(span_of(text, 2048), bytes, 2048, &len).code, 0);
    assert_int_equal(len, 2048);
    assert_int_equal(utf8_password(span_of(text, 300), bytes, 300, &len).code, 0);
    assert_int_equal(utf8_password(span_of(text, 300), bytes, 299, &len).code, ERROR_PASSWORD_TEXT);
    for (size_t i = 0; i < 299; i++)
        assert_int_equal(bytes[i], 0);
    assert_int_equal(utf8_password(span_of(text, 2049), bytes, 2048, &len).code,
                     ERROR_PASSWORD_TEXT);
    assert_int_equal(utf8_password(span_of(text, sizeof text), bytes, 2048, &len).code,
                     ERROR_PASSWORD_TEXT);
    /* One code point that decomposes to eighteen (U+FDFA), many times. */
    for (size_t i = 0; i + 3 <= 600; i += 3)
        memcpy(text + i, "\xef\xb7\xba", 3);
    assert_int_equal(utf8_password(span_of(text, 600), bytes, 2048, &len).code,
                     ERROR_PASSWORD_TEXT);
    assert_int_equal(utf8_password(span_of(text, 3), bytes, 2048, &len).code, 0);
    assert_int_equal(len, 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vector_of_the_EIP),
        cmocka_unit_test(test_nfkd),
        cmocka_unit_test(test_control_codes_are_stripped),
        cmocka_unit_test(test_what_is_not_utf8_is_refused),
        cmocka_unit_test(test_too_long_is_refused_and_never_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
