#include <string.h>

#include "crypto/ed25519.h"
#include "seal/challenge.h"
#include "support/test.h"

static const uint8_t seed[ED25519_SEED_SIZE] = {1, 2, 3};

static struct seal_challenge sample(void)
{
    struct seal_challenge c = {.purpose = SEAL_TO_UNSEAL,
                               .mode = SEAL_QUORUM,
                               .factor = SEAL_FACTOR_FIDO2,
                               .memory_kib = 262144,
                               .passes = 3,
                               .generation = 4,
                               .unseal_generation = 2,
                               .hint_len = 5,
                               .number = 6,
                               .issued = 1000,
                               .expires = 2000,
                               .name = "alice"};
    memset(c.fingerprint, 0x10, sizeof c.fingerprint);
    memset(c.chamber_id, 0x11, sizeof c.chamber_id);
    memset(c.box_key, 0x12, sizeof c.box_key);
    memset(c.nonce, 0x13, sizeof c.nonce);
    memset(c.salt, 0x14, sizeof c.salt);
    memset(c.challenge, 0x15, sizeof c.challenge);
    memset(c.next_salt, 0x16, sizeof c.next_salt);
    memset(c.next_challenge, 0x17, sizeof c.next_challenge);
    memset(c.hint, 0x18, c.hint_len);
    return c;
}

static void sign(struct seal_challenge *c)
{
    struct challenge_bytes bytes;
    challenge_encode(c, &bytes);
    ed25519_sign(seed, span_of(bytes.bytes, bytes.len), c->signature);
}

static int verify(const struct seal_challenge *c)
{
    uint8_t identity[ED25519_PUBLIC_SIZE];
    ed25519_public(seed, identity);
    return challenge_verify(c, identity).code;
}

static void test_a_signed_challenge_verifies(void **state)
{
    (void)state;
    struct seal_challenge c = sample();
    sign(&c);
    assert_int_equal(verify(&c), 0);
    for (uint32_t purpose = SEAL_TO_REGISTER; purpose <= SEAL_TO_BREAK_GLASS; purpose++) {
        c.purpose = purpose;
        sign(&c);
        assert_int_equal(verify(&c), 0);
    }
}

/* Whatever byte of it a server changes: but for what stands behind name and hint, and means nothing. */
static void test_T16_each_byte_is_signed(void **state)
{
    (void)state;
    struct seal_challenge good = sample();
    sign(&good);
    for (size_t i = 0; i < sizeof good; i++) {
        struct seal_challenge c = good;
        ((uint8_t *)&c)[i] ^= 1;
        const bool in_name = i >= offsetof(struct seal_challenge, name) &&
                             i < offsetof(struct seal_challenge, name) + SEAL_NAME_SIZE;
        const bool behind_hint = i >= offsetof(struct seal_challenge, hint) + good.hint_len &&
                                 i < offsetof(struct seal_challenge, hint) + SEAL_HINT_MAX;
        if (behind_hint || (in_name && i > offsetof(struct seal_challenge, name) + 5))
            assert_int_equal(verify(&c), 0);
        else
            assert_int_not_equal(verify(&c), 0);
    }
}

static void test_another_chambers_challenge_is_refused(void **state)
{
    (void)state;
    struct seal_challenge c = sample();
    sign(&c);
    uint8_t other[ED25519_PUBLIC_SIZE];
    const uint8_t other_seed[ED25519_SEED_SIZE] = {9};
    ed25519_public(other_seed, other);
    assert_int_equal(challenge_verify(&c, other).code, ERROR_CREDENTIAL);
}

static void test_fields_that_no_challenge_has_are_refused_whoever_signed_them(void **state)
{
    (void)state;
    struct seal_challenge wrong[10];
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        wrong[i] = sample();
    wrong[0].purpose = 0;
    wrong[1].purpose = SEAL_TO_BREAK_GLASS + 1;
    wrong[2].factor = SEAL_FACTOR_FIDO2 + 1;
    wrong[3].name[0] = 0;
    memset(wrong[4].name, 'a', SEAL_NAME_SIZE);
    wrong[5].hint_len = SEAL_HINT_MAX + 1;
    wrong[6].expires = wrong[6].issued;
    wrong[7].expires = 0;
    wrong[8].mode = 0;
    wrong[9].mode = SEAL_OPERATORS + 1;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(challenge_check(&wrong[i]).code, ERROR_PROTOCOL);
    const struct seal_challenge good = sample();
    assert_int_equal(challenge_check(&good).code, 0);
}

/* No field runs into the next one: names and hints have their lengths before them. */
static void test_the_largest_challenge_has_room(void **state)
{
    (void)state;
    struct seal_challenge c = sample();
    struct challenge_bytes small, large;
    challenge_encode(&c, &small);
    memset(c.name, 'a', SEAL_NAME_SIZE - 1);
    c.hint_len = SEAL_HINT_MAX;
    challenge_encode(&c, &large);
    assert_true(large.len <= CHALLENGE_BYTES_MAX);
    assert_int_equal(large.len - small.len, SEAL_NAME_SIZE - 1 - 5 + SEAL_HINT_MAX - 5);
    sign(&c);
    assert_int_equal(verify(&c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_signed_challenge_verifies),
        cmocka_unit_test(test_T16_each_byte_is_signed),
        cmocka_unit_test(test_another_chambers_challenge_is_refused),
        cmocka_unit_test(test_fields_that_no_challenge_has_are_refused_whoever_signed_them),
        cmocka_unit_test(test_the_largest_challenge_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
