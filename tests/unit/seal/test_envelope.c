#include <string.h>

#include "crypto/sealed_box.h"
#include "seal/envelope.h"
#include "support/test.h"

static uint8_t box_public[32], box_secret[32];
static const uint8_t digest[32] = {7};

static struct seal_challenge challenge_of(const char *name)
{
    struct seal_challenge c = {.purpose = SEAL_TO_APPROVE, .generation = 3};
    memcpy(c.name, name, strlen(name) + 1);
    memset(c.chamber_id, 1, 32);
    memset(c.fingerprint, 2, 32);
    memset(c.nonce, 3, 32);
    memcpy(c.box_key, box_public, 32);
    return c;
}

static struct seal_envelope sample(uint32_t factor, uint32_t hint_len)
{
    struct seal_envelope e = {.credential_len = ENVELOPE_CREDENTIAL_SIZE};
    memset(e.credential, 0x21, e.credential_len);
    e.next.factor = factor;
    if (factor) {
        e.next.memory_kib = 262144;
        e.next.passes = 3;
        memset(e.next.credential, 0x22, sizeof e.next.credential);
        e.next.hint_len = hint_len;
        memset(e.next.hint, 0x23, hint_len);
    }
    return e;
}

static int open_box(const struct seal_box *box, struct seal_envelope *ret_envelope)
{
    return envelope_open(box_public, box_secret, span_of(box->bytes, box->len), ret_envelope).code;
}

static void test_what_was_sealed_is_opened(void **state)
{
    (void)state;
    const struct seal_challenge c = challenge_of("alice");
    const uint32_t hints[] = {0, 1, 100, SEAL_HINT_MAX};
    for (uint32_t factor = SEAL_FACTOR_NONE; factor <= SEAL_FACTOR_FIDO2; factor++)
        for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
            struct seal_envelope e = sample(factor, hints[i]), opened;
            struct seal_box box;
            assert_int_equal(envelope_seal(&e, &c, digest, &box).code, 0);
            assert_int_equal(open_box(&box, &opened), 0);
            assert_memory_equal(&e, &opened, sizeof e);
            assert_int_equal(envelope_check(&opened, &c, digest).code, 0);
        }
}

static void test_a_break_glass_share_is_one_byte_longer(void **state)
{
    (void)state;
    const struct seal_challenge c = challenge_of("break-glass");
    struct seal_envelope e = sample(SEAL_FACTOR_NONE, 0), opened;
    struct seal_box box;
    e.credential_len = SEAL_SHARE_SIZE;
    e.credential[SEAL_SHARE_SIZE - 1] = 5;
    assert_int_equal(envelope_seal(&e, &c, digest, &box).code, 0);
    assert_int_equal(open_box(&box, &opened), 0);
    assert_memory_equal(e.credential, opened.credential, SEAL_SHARE_SIZE);
}

/* Each thing that a captured front, a proxy or another replica could change or keep for later. */
static void test_T15_it_answers_one_challenge_alone(void **state)
{
    (void)state;
    const struct seal_challenge c = challenge_of("alice");
    struct seal_envelope e = sample(SEAL_FACTOR_NONE, 0);
    struct seal_box box;
    struct seal_challenge others[7];
    const uint8_t other_digest[32] = {8};
    assert_int_equal(envelope_seal(&e, &c, digest, &box).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        others[i] = c;
    others[0].purpose = SEAL_TO_UNSEAL;
    others[1].generation++;
    others[2].chamber_id[31] ^= 1;
    others[3].fingerprint[31] ^= 1;
    others[4].nonce[31] ^= 1;
    others[5].name[4] = 'f';
    others[6].name[5] = 'x';
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(envelope_check(&e, &others[i], digest).code, ERROR_CREDENTIAL);
    assert_int_equal(envelope_check(&e, &c, other_digest).code, ERROR_CREDENTIAL);
    assert_int_equal(envelope_check(&e, &c, digest).code, 0);
}

static void test_T26_another_vault_cannot_open_it(void **state)
{
    (void)state;
    const struct seal_challenge c = challenge_of("alice");
    struct seal_envelope e = sample(SEAL_FACTOR_NONE, 0), opened;
    struct seal_box box;
    uint8_t other_public[32], other_secret[32];
    assert_int_equal(envelope_seal(&e, &c, digest, &box).code, 0);
    assert_int_equal(sealed_box_keys(other_public, other_secret).code, 0);
    assert_int_equal(
        envelope_open(other_public, other_secret, span_of(box.bytes, box.len), &opened).code,
        ERROR_CREDENTIAL);
    const struct seal_envelope nothing = {0};
    assert_memory_equal(&opened, &nothing, sizeof opened);
}

static void test_a_box_that_was_changed_or_cut_does_not_open(void **state)
{
    (void)state;
    const struct seal_challenge c = challenge_of("alice");
    struct seal_envelope e = sample(SEAL_FACTOR_YUBIKEY, 4), opened;
    struct seal_box box;
    assert_int_equal(envelope_seal(&e, &c, digest, &box).code, 0);
    for (uint32_t i = 0; i < box.len; i++) {
        struct seal_box changed = box;
        changed.bytes[i] ^= 1;
        assert_int_equal(open_box(&changed, &opened), ERROR_CREDENTIAL);
        changed = box;
        changed.len = i;
        assert_int_equal(open_box(&changed, &opened), ERROR_CREDENTIAL);
    }
}

/* Sealed by somebody who can write whatever he likes: he needs no more than the vault's public key. */
static int open_plain(const uint8_t *plain, size_t len)
{
    struct seal_box box;
    struct seal_envelope opened;
    assert_int_equal(sealed_box_seal(box_public, span_of(plain, len), box.bytes).code, 0);
    box.len = (uint32_t)len + SEALED_BOX_OVERHEAD;
    return open_box(&box, &opened);
}

static void test_a_plaintext_that_no_envelope_has_is_refused(void **state)
{
    (void)state;
    uint8_t plain[SEAL_ENVELOPE_MAX - SEALED_BOX_OVERHEAD] = {0};
    enum {
        LEN = 64,          /* where the credential's length stands */
        FACTOR = LEN + 33, /* of a credential of 32 */
        HINT = FACTOR + 1 + 8 + 32
    };
    plain[LEN] = 32;
    assert_int_equal(open_plain(plain, FACTOR + 1), 0);
    assert_int_equal(open_plain(plain, FACTOR), ERROR_CREDENTIAL);
    assert_int_equal(open_plain(plain, FACTOR + 2), ERROR_CREDENTIAL);
    const uint8_t lens[] = {0, 31, 34, 255};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        plain[LEN] = lens[i];
        assert_int_equal(open_plain(plain, FACTOR + 1), ERROR_CREDENTIAL);
    }
    plain[LEN] = 32;
    plain[FACTOR] = 4;
    assert_int_equal(open_plain(plain, HINT + 1), ERROR_CREDENTIAL);
    plain[FACTOR] = 1;
    assert_int_equal(open_plain(plain, HINT + 1), 0);
    assert_int_equal(open_plain(plain, HINT), ERROR_CREDENTIAL);
    plain[HINT] = SEAL_HINT_MAX;
    assert_int_equal(open_plain(plain, HINT + 1 + SEAL_HINT_MAX), 0);
    assert_int_equal(open_plain(plain, HINT + SEAL_HINT_MAX), ERROR_CREDENTIAL);
    plain[HINT] = SEAL_HINT_MAX + 1;
    assert_int_equal(open_plain(plain, HINT + 2 + SEAL_HINT_MAX), ERROR_CREDENTIAL);
}

static int setup(void **state)
{
    (void)state;
    return sealed_box_keys(box_public, box_secret).code;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_sealed_is_opened),
        cmocka_unit_test(test_a_break_glass_share_is_one_byte_longer),
        cmocka_unit_test(test_T15_it_answers_one_challenge_alone),
        cmocka_unit_test(test_T26_another_vault_cannot_open_it),
        cmocka_unit_test(test_a_box_that_was_changed_or_cut_does_not_open),
        cmocka_unit_test(test_a_plaintext_that_no_envelope_has_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
