#include <string.h>

#include "crypto/argon2.h"
#include "crypto/self_test.h"
#include "crypto/sha512.h"
#include "seal/factor.h"
#include "support/test.h"

static const uint8_t chamber[32] = {1, 2, 3}, salt[32] = {4, 5}, random_part[32] = {6};

static struct factor_question question(void)
{
    return (struct factor_question){
        chamber, "alice", 7, random_part, salt, FACTOR_MEMORY_MIN_KIB, FACTOR_PASSES_MIN};
}

/* What libargon2, the reference implementation, gives for one lane and a salt of 16 bytes: RFC 9106's own vectors are for four
 * lanes with a secret and associated data, which libsodium has not.
 */
static void test_argon2id_is_the_reference_implementations(void **state)
{
    (void)state;
    static const struct {
        const char *passphrase, *salt;
        uint32_t memory_kib, passes;
        uint8_t key[32];
    } cases[] = {
        {"password", "somesaltsomesalt", 64, 3, {0x61, 0x64, 0xc7, 0x39, 0xa0, 0x4e, 0x17, 0xde,
                                                 0x34, 0xa8, 0x0b, 0xee, 0x65, 0xc6, 0xa5, 0x8f,
                                                 0x4b, 0x8a, 0x24, 0x0c, 0xbf, 0x56, 0x52, 0xf4,
                                                 0xa7, 0x9e, 0x35, 0xae, 0x02, 0xb7, 0xc6, 0x16}},
        {"abcd-efgh-jkmn-pqrs-tuvw",
         "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f",
         FACTOR_MEMORY_MIN_KIB,
         FACTOR_PASSES_MIN,
         {0xbd, 0x38, 0xa7, 0xf2, 0xc5, 0xf3, 0x4b, 0x9d, 0x8b, 0x33, 0x71,
          0x4e, 0xf3, 0x61, 0x90, 0x79, 0xd8, 0xf6, 0xfe, 0xe9, 0x0e, 0x8e,
          0x5f, 0x02, 0x5a, 0x60, 0x26, 0x7a, 0xd8, 0x3c, 0xa8, 0x7a}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t key[ARGON2_KEY_SIZE];
        assert_int_equal(argon2id(span_str(cases[i].passphrase), (const uint8_t *)cases[i].salt,
                                  cases[i].memory_kib, cases[i].passes, key)
                             .code,
                         0);
        assert_memory_equal(key, cases[i].key, sizeof key);
    }
}

static void test_argon2id_refuses_what_it_has_not(void **state)
{
    (void)state;
    uint8_t key[ARGON2_KEY_SIZE];
    assert_int_equal(argon2id(span_str("x"), salt, 7, 3, key).code, ERROR_NUMBER_RANGE);
    assert_int_equal(argon2id(span_str("x"), salt, 64, 0, key).code, ERROR_NUMBER_RANGE);
}

/* FIPS 180-4's example, in one part and in several. */
static void test_sha512(void **state)
{
    (void)state;
    static const uint8_t abc[] = {0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba};
    uint8_t digest[SHA512_SIZE];
    const struct span whole[] = {span_str("abc")}, parts[] = {span_str("a"), span_str("bc")};
    sha512(whole, 1, digest);
    assert_memory_equal(digest, abc, sizeof abc);
    sha512(parts, 2, digest);
    assert_memory_equal(digest, abc, sizeof abc);
}

/* --- what a server may say ------------------------------------------------------------------------------------------------- */

static int asked;

static cc_err count_and_answer(void *context,
                               const uint8_t challenge[static FACTOR_CHALLENGE_SIZE],
                               struct factor_answer *ret_answer)
{
    asked++;
    memcpy(ret_answer->bytes, challenge, FACTOR_CHALLENGE_SIZE);
    ret_answer->len = context ? *(const size_t *)context : FACTOR_CHALLENGE_SIZE;
    return CC_OK;
}

static void test_T16_a_cost_below_the_floors_or_above_the_ceilings_asks_nobody(void **state)
{
    (void)state;
    static const struct {
        uint32_t memory_kib, passes;
    } refused[] = {
        {FACTOR_MEMORY_MIN_KIB - 1, 3},
        {0, 3},
        {8, 1},
        {FACTOR_MEMORY_MIN_KIB, 2},
        {FACTOR_MEMORY_MIN_KIB, 0},
        {FACTOR_MEMORY_MAX_KIB + 1, 3},
        {UINT32_MAX, 3},
        {FACTOR_MEMORY_MIN_KIB, FACTOR_PASSES_MAX + 1},
        {FACTOR_MEMORY_MIN_KIB, UINT32_MAX},
    };
    const struct factor factor = {NULL, count_and_answer};
    asked = 0;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct secret32 credential;
        struct factor_question q = question();
        q.memory_kib = refused[i].memory_kib;
        q.passes = refused[i].passes;
        assert_int_equal(factor_derive(&factor, &q, &credential).code, ERROR_NUMBER_RANGE);
    }
    assert_int_equal(asked, 0);
    assert_int_equal(factor_check_cost(FACTOR_MEMORY_MIN_KIB, FACTOR_PASSES_MIN).code, 0);
    assert_int_equal(factor_check_cost(FACTOR_MEMORY_MAX_KIB, FACTOR_PASSES_MAX).code, 0);
}

/* A device answers for one chamber, operator, generation and random part, and for no text that a server made up. */
static void test_T16_the_challenge_is_bound_to_all_that_it_is_for(void **state)
{
    (void)state;
    uint8_t seen[6][FACTOR_CHALLENGE_SIZE];
    const uint8_t other[32] = {9};
    struct factor_question q = question();
    factor_challenge(&q, seen[0]);
    q.chamber_id = other;
    factor_challenge(&q, seen[1]);
    q = question();
    q.name = "alicf";
    factor_challenge(&q, seen[2]);
    q = question();
    q.generation++;
    factor_challenge(&q, seen[3]);
    q = question();
    q.random = other;
    factor_challenge(&q, seen[4]);
    q = question();
    q.generation = 7u << 24;
    factor_challenge(&q, seen[5]);
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(seen[i], seen[j], sizeof seen[i]);
}

/* Made by Python's hashlib from the words of docs/sealing.md. */
static void test_the_challenge_is_the_documented_one(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        0x1e, 0x00, 0xa8, 0x41, 0x2d, 0xb5, 0xed, 0x87, 0x72, 0x8b, 0x13, 0xdd, 0x01,
        0xe2, 0x7f, 0x5e, 0x1f, 0x26, 0x70, 0x94, 0x6a, 0xdf, 0x52, 0xbc, 0xc5, 0x7a,
        0xf8, 0x9a, 0x1f, 0xc1, 0x5d, 0x9b, 0x1a, 0x95, 0x40, 0xfe, 0xc1, 0xc3, 0x36,
        0xea, 0x08, 0x0f, 0xde, 0xee, 0xcc, 0xb0, 0x97, 0x8c, 0x70, 0x78, 0x8c, 0x7a,
        0x35, 0xc0, 0x71, 0x3f, 0xab, 0xba, 0x02, 0xdd, 0x94, 0x50, 0xde};
    uint8_t challenge[FACTOR_CHALLENGE_SIZE];
    const struct factor_question q = question();
    factor_challenge(&q, challenge);
    assert_memory_equal(challenge, expected, sizeof expected);
}

static void test_the_credential_depends_on_answer_salt_and_chamber(void **state)
{
    (void)state;
    const struct factor factor = {NULL, count_and_answer};
    const uint8_t other[32] = {9};
    struct secret32 credentials[4];
    struct factor_question q = question();
    assert_int_equal(factor_derive(&factor, &q, &credentials[0]).code, 0);
    assert_int_equal(factor_derive(&factor, &q, &credentials[1]).code, 0);
    assert_memory_equal(credentials[0].bytes, credentials[1].bytes, 32);
    q.salt = other;
    assert_int_equal(factor_derive(&factor, &q, &credentials[1]).code, 0);
    q = question();
    q.random = other;
    assert_int_equal(factor_derive(&factor, &q, &credentials[2]).code, 0);
    q = question();
    q.chamber_id = other;
    assert_int_equal(factor_derive(&factor, &q, &credentials[3]).code, 0);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(credentials[i].bytes, credentials[j].bytes, 32);
}

static void test_an_empty_answer_is_none(void **state)
{
    (void)state;
    size_t lens[] = {0, FACTOR_ANSWER_MAX + 1};
    struct secret32 credential;
    const struct factor_question q = question();
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        const struct factor factor = {&lens[i], count_and_answer};
        assert_int_equal(factor_derive(&factor, &q, &credential).code, ERROR_FACTOR);
    }
}

static int setup(void **state)
{
    (void)state;
    return crypto_self_test().code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_argon2id_is_the_reference_implementations),
        cmocka_unit_test(test_argon2id_refuses_what_it_has_not),
        cmocka_unit_test(test_sha512),
        cmocka_unit_test(test_T16_a_cost_below_the_floors_or_above_the_ceilings_asks_nobody),
        cmocka_unit_test(test_T16_the_challenge_is_bound_to_all_that_it_is_for),
        cmocka_unit_test(test_the_challenge_is_the_documented_one),
        cmocka_unit_test(test_the_credential_depends_on_answer_salt_and_chamber),
        cmocka_unit_test(test_an_empty_answer_is_none),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
