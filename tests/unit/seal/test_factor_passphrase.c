#include <string.h>

#include "seal/factor_passphrase.h"
#include "support/test.h"
#include "wire/seal.h"

/* 20 characters of an alphabet of 32: 100 bits. All of the alphabet is used, and no two are alike. */
static void test_T17_what_is_made_has_a_hundred_bits(void **state)
{
    (void)state;
    bool used[256] = {false};
    size_t kinds = 0;
    char last[PASSPHRASE_MADE_LEN + 1] = "";
    for (int i = 0; i < 200; i++) {
        char text[PASSPHRASE_MADE_LEN + 1];
        assert_int_equal(passphrase_make(text).code, 0);
        assert_int_equal(strlen(text), PASSPHRASE_MADE_LEN);
        assert_string_not_equal(text, last);
        memcpy(last, text, sizeof last);
        for (size_t at = 0; text[at]; at++) {
            if (at % 5 == 4)
                assert_int_equal(text[at], '-');
            else
                used[(uint8_t)text[at]] = true;
        }
    }
    for (size_t c = 0; c < 256; c++)
        kinds += used[c];
    assert_int_equal(kinds, 32);
    assert_false(used['0'] || used['o'] || used['l'] || used['i']);
}

static void test_T17_what_is_easy_to_guess_is_refused(void **state)
{
    (void)state;
    static const char *const weak[] = {
        "",
        "password",
        "P@ssw0rd!2026",
        "correct horse battery staple",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
        "qwertyuiopasdfghjklzxcvbnmqwertyuiopasdfghjklzxcvbnmqwertyuiopasdfghjklzxcvbnm",
        "1234567890123456789012345678901234567890123456789012345678901234567890",
        "validator validator validator validator validator validator validator",
        "01.01.1970 02.02.1980 03.03.1990 04.04.2000",
        "Tr0ub4dor&3",
    };
    for (size_t i = 0; i < ARRAY_LEN(weak); i++)
        assert_int_equal(passphrase_check(span_str(weak[i]), SEAL_QUORUM).code, ERROR_FACTOR);
}

static void test_what_is_hard_to_guess_is_taken(void **state)
{
    (void)state;
    static const char *const strong[] = {
        "hawk velvet monsoon brittle cactus jumble orchid parade", /* eight words of a list */
        "k9#Vq2!xTf7&Zm4^Wd8*Rb",
    };
    for (size_t i = 0; i < ARRAY_LEN(strong); i++)
        assert_int_equal(passphrase_check(span_str(strong[i]), SEAL_QUORUM).code, 0);
}

/* T17: under nothing but itself a share needs more. */
static void test_T17_without_a_kms_layer_a_hundred_bits_are_wanted(void **state)
{
    (void)state;
    const char between[] = "hawk velvet monsoon brittle cactus jumble orchid";
    const char strong[] = "hawk velvet monsoon brittle cactus jumble orchid parade lantern";
    const uint32_t bits = passphrase_bits(span_str(between));
    assert_true(bits >= PASSPHRASE_BITS_MIN && bits < PASSPHRASE_BITS_MIN_ALONE);
    assert_int_equal(passphrase_check(span_str(between), SEAL_QUORUM).code, 0);
    assert_int_equal(passphrase_check(span_str(between), SEAL_OPERATORS).code, ERROR_FACTOR);
    assert_int_equal(passphrase_check(span_str(between), 0).code, ERROR_FACTOR);
    assert_int_equal(passphrase_check(span_str(strong), SEAL_OPERATORS).code, 0);
}

static void test_a_longer_passphrase_is_never_weaker(void **state)
{
    (void)state;
    const char text[] = "hawk velvet Monsoon9 brittle!! cactus aaaa jumble 12345 orchid parade";
    uint32_t last = 0;
    for (size_t len = 0; len < sizeof text; len++) {
        const uint32_t bits = passphrase_bits(span_of(text, len));
        assert_true(bits >= last && bits <= 5 * len);
        last = bits;
    }
}

static void test_only_printable_ascii_is_taken(void **state)
{
    (void)state;
    char text[FACTOR_ANSWER_MAX + 2];
    const char good[] = "hawk velvet monsoon brittle cactus jumble orchid parade";
    for (int c = 1; c < 256; c++) {
        memcpy(text, good, sizeof good);
        text[4] = (char)c;
        const int code = passphrase_check(span_str(text), SEAL_QUORUM).code;
        assert_true((code == 0) == (c >= 0x20 && c <= 0x7e));
    }
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = good[(i * 7 + i / 11) % (sizeof good - 1)];
    assert_int_equal(passphrase_check(span_of(text, FACTOR_ANSWER_MAX), SEAL_QUORUM).code, 0);
    assert_int_equal(passphrase_check(span_of(text, FACTOR_ANSWER_MAX + 1), SEAL_QUORUM).code,
                     ERROR_FACTOR);
}

static void test_it_answers_with_itself(void **state)
{
    (void)state;
    struct span text = span_str("abc");
    struct factor factor;
    struct factor_answer answer = {.len = 0};
    const uint8_t challenge[FACTOR_CHALLENGE_SIZE] = {0};
    factor_passphrase(&factor, &text);
    assert_int_equal(factor.answer(factor.context, challenge, &answer).code, 0);
    assert_int_equal(answer.len, 3);
    assert_memory_equal(answer.bytes, "abc", 3);
    text.len = 0;
    assert_int_equal(factor.answer(factor.context, challenge, &answer).code, ERROR_FACTOR);
    text.len = FACTOR_ANSWER_MAX + 1;
    assert_int_equal(factor.answer(factor.context, challenge, &answer).code, ERROR_FACTOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T17_what_is_made_has_a_hundred_bits),
        cmocka_unit_test(test_T17_what_is_easy_to_guess_is_refused),
        cmocka_unit_test(test_what_is_hard_to_guess_is_taken),
        cmocka_unit_test(test_T17_without_a_kms_layer_a_hundred_bits_are_wanted),
        cmocka_unit_test(test_a_longer_passphrase_is_never_weaker),
        cmocka_unit_test(test_only_printable_ascii_is_taken),
        cmocka_unit_test(test_it_answers_with_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
