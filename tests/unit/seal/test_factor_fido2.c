#include <string.h>

#include "seal/factor_fido2.h"
#include "support/ctap2_token.h"
#include "support/test.h"

static const uint8_t chamber[32] = {1}, random_part[32] = {2}, salt[32] = {3};

static struct factor_question question(void)
{
    return (struct factor_question){chamber, "alice", 1, random_part, salt, FACTOR_MEMORY_MIN_KIB,
                                    3};
}

static struct fido2 open_token(struct ctap2_token *token, const char *pin)
{
    return (struct fido2){.device = ctap2_token_open(token), .pin = pin};
}

static int answer_of(struct fido2 *key, uint8_t first, struct factor_answer *ret_answer)
{
    struct factor factor;
    uint8_t challenge[FACTOR_CHALLENGE_SIZE] = {first};
    factor_fido2(&factor, key);
    return factor.answer(factor.context, challenge, ret_answer).code;
}

static void touched(void *context)
{
    ++*(int *)context;
}

static void test_the_same_key_answers_the_same_and_each_challenge_differently(void **state)
{
    (void)state;
    struct ctap2_token token = {.seed = {7}};
    struct factor_answer first = {.len = 0}, again = {.len = 0}, other = {.len = 0};
    int touches = 0;
    struct fido2 key = open_token(&token, NULL);
    key.touch = touched;
    key.touch_context = &touches;
    const struct factor_question q = question();
    assert_false(fido2_wants_pin(&key));
    assert_int_equal(fido2_enroll(&key, &q).code, 0);
    assert_int_equal(key.hint.len, 49);
    assert_int_equal(key.hint.bytes[0], 0);
    assert_int_equal(answer_of(&key, 1, &first), 0);
    const struct fido2_hint hint = key.hint;
    fido2_close(&key);
    key = open_token(&token, NULL); /* another day */
    key.hint = hint;
    assert_int_equal(answer_of(&key, 1, &again), 0);
    assert_int_equal(answer_of(&key, 2, &other), 0);
    fido2_close(&key);
    assert_int_equal(first.len, FIDO2_ANSWER_SIZE);
    assert_memory_equal(first.bytes, again.bytes, FIDO2_ANSWER_SIZE);
    assert_memory_not_equal(first.bytes, other.bytes, FIDO2_ANSWER_SIZE);
    assert_int_equal(touches, 2);
}

/* The hint says whether the PIN goes with it: without it the key would give another secret. */
static void test_a_pin_belongs_to_the_credential(void **state)
{
    (void)state;
    struct ctap2_token token = {.pin = "1234", .seed = {7}};
    struct factor_answer with = {.len = 0}, again = {.len = 0};
    struct fido2 key = open_token(&token, "1234");
    const struct factor_question q = question();
    assert_true(fido2_wants_pin(&key));
    assert_int_equal(fido2_enroll(&key, &q).code, 0);
    assert_int_equal(key.hint.bytes[0], 1);
    assert_int_equal(answer_of(&key, 1, &with), 0);
    assert_true(token.last_had_pin);
    key.pin = NULL;
    assert_int_equal(answer_of(&key, 1, &again), ERROR_FACTOR);
    key.pin = "4321";
    assert_int_equal(answer_of(&key, 1, &again), ERROR_FACTOR);
    assert_int_equal(token.wrong_pins, 1);
    key.pin = "1234";
    assert_int_equal(answer_of(&key, 1, &again), 0);
    assert_memory_equal(with.bytes, again.bytes, FIDO2_ANSWER_SIZE);
    key.hint.bytes[0] = 0; /* another secret of the same credential */
    assert_int_equal(answer_of(&key, 1, &again), 0);
    assert_memory_not_equal(with.bytes, again.bytes, FIDO2_ANSWER_SIZE);
    fido2_close(&key);
}

static void test_a_key_that_has_not_what_it_takes_is_refused(void **state)
{
    (void)state;
    struct ctap2_token token = {.pin = "1234", .seed = {7}};
    struct factor_answer answer = {.len = 0};
    const struct factor_question q = question();
    struct fido2 key = open_token(&token, NULL);
    assert_int_equal(fido2_enroll(&key, &q).code, ERROR_FACTOR); /* no PIN given */
    key.pin = "12345";
    assert_int_equal(fido2_enroll(&key, &q).code, ERROR_FACTOR); /* a wrong one */
    key.pin = "1234";
    token.not_touched = true;
    assert_int_equal(fido2_enroll(&key, &q).code, ERROR_FACTOR);
    token.not_touched = false;
    assert_int_equal(fido2_enroll(&key, &q).code, 0);
    token.not_touched = true;
    assert_int_equal(answer_of(&key, 1, &answer), ERROR_FACTOR);
    token.not_touched = false;
    token.seed[0]++; /* somebody else's key */
    assert_int_equal(answer_of(&key, 1, &answer), ERROR_FACTOR);
    fido2_close(&key);
    token.no_hmac_secret = true;
    key = open_token(&token, "1234");
    assert_int_equal(fido2_enroll(&key, &q).code, ERROR_FACTOR);
    fido2_close(&key);
}

static void test_a_hint_that_is_none_asks_no_key(void **state)
{
    (void)state;
    struct ctap2_token token = {.seed = {7}};
    struct factor_answer answer = {.len = 0};
    struct fido2 key = open_token(&token, NULL);
    const struct factor_question q = question();
    assert_int_equal(fido2_enroll(&key, &q).code, 0);
    const struct fido2_hint good = key.hint;
    key.hint.len = 0;
    assert_int_equal(answer_of(&key, 1, &answer), ERROR_FACTOR);
    key.hint.len = 1;
    assert_int_equal(answer_of(&key, 1, &answer), ERROR_FACTOR);
    key.hint.len = SEAL_HINT_MAX + 1;
    assert_int_equal(answer_of(&key, 1, &answer), ERROR_FACTOR);
    key.hint = good;
    key.hint.bytes[0] = 2;
    assert_int_equal(answer_of(&key, 1, &answer), ERROR_FACTOR);
    assert_int_equal(token.asserted, 0);
    key.hint = good;
    key.hint.bytes[5] ^= 1;
    assert_int_equal(answer_of(&key, 1, &answer), ERROR_FACTOR);
    assert_int_equal(token.asserted, 0);
    fido2_close(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_key_answers_the_same_and_each_challenge_differently),
        cmocka_unit_test(test_a_pin_belongs_to_the_credential),
        cmocka_unit_test(test_a_key_that_has_not_what_it_takes_is_refused),
        cmocka_unit_test(test_a_hint_that_is_none_asks_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
