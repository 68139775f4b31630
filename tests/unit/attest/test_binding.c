/* What user data say: the forms to the byte, and that nothing passes for another purpose. */
#include <string.h>

#include "attest/binding.h"
#include "support/test.h"

static struct attest_binding whole(enum attest_purpose purpose)
{
    struct attest_binding b = {.purpose = purpose};
    memset(b.spki_digest, 0x51, sizeof b.spki_digest);
    memset(b.chamber_id, 0xc4, sizeof b.chamber_id);
    memset(b.config_digest, 0xcf, sizeof b.config_digest);
    memset(b.record_digest, 0x7e, sizeof b.record_digest);
    return b;
}

static void test_the_forms_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        enum attest_purpose purpose;
        const char *text;
        size_t after;
    } rows[] = {
        {ATTEST_FOR_TLS, "containment-chamber/atls/v1", 48 + 32 + 32},
        {ATTEST_FOR_KMS, "containment-chamber/kms/v1", 32 + 32},
        {ATTEST_FOR_CLOCK, "containment-chamber/clock/v1", 0},
        {ATTEST_FOR_ROOT, "containment-chamber/root/v1", 48},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct attest_binding in = whole(rows[i].purpose);
        uint8_t data[ATTEST_BINDING_MAX];
        uint8_t wanted[ATTEST_BINDING_MAX];
        size_t text = strlen(rows[i].text) + 1;
        size_t at = text;
        memcpy(wanted, rows[i].text, text);
        if (rows[i].purpose == ATTEST_FOR_TLS) {
            memset(wanted + at, 0x51, 48);
            at += 48;
        }
        if (rows[i].purpose == ATTEST_FOR_ROOT) {
            memset(wanted + at, 0x7e, 48);
        } else if (rows[i].after) {
            memset(wanted + at, 0xc4, 32);
            memset(wanted + at + 32, 0xcf, 32);
        }
        size_t len = attest_binding_encode(&in, data);
        assert_int_equal(len, text + rows[i].after);
        assert_memory_equal(data, wanted, len);
        struct attest_binding out;
        assert_int_equal(attest_binding_decode(span_of(data, len), &out).code, 0);
        assert_int_equal(out.purpose, in.purpose);
        uint8_t again[ATTEST_BINDING_MAX];
        assert_int_equal(attest_binding_encode(&out, again), len);
        assert_memory_equal(again, data, len);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(attest_binding_decode(span_of(data, cut), &out).code,
                             ERROR_ATTEST_BINDING);
        data[len] = 0;
        assert_int_equal(attest_binding_decode(span_of(data, len + 1), &out).code,
                         ERROR_ATTEST_BINDING);
        for (size_t c = 0; c < text; c++) { /* every character of the purpose counts */
            data[c] ^= 1;
            assert_int_equal(attest_binding_decode(span_of(data, len), &out).code,
                             ERROR_ATTEST_BINDING);
            data[c] ^= 1;
        }
    }
}

static cc_err
check(enum attest_purpose made_for, const struct attest_expected *expected, bool has_public_key)
{
    const struct attest_binding in = whole(made_for);
    uint8_t data[ATTEST_BINDING_MAX];
    struct attest_binding out;
    const struct attest_document document = {
        .has_user_data = true,
        .user_data = span_of(data, attest_binding_encode(&in, data)),
        .has_public_key = has_public_key,
    };
    return attest_binding_check(&document, expected, &out);
}

static void test_T04_a_document_of_one_purpose_is_none_of_another(void **state)
{
    (void)state;
    const struct attest_binding right = whole(ATTEST_FOR_TLS);
    for (int made = ATTEST_FOR_TLS; made <= ATTEST_FOR_ROOT; made++) {
        for (int wanted = ATTEST_FOR_TLS; wanted <= ATTEST_FOR_ROOT; wanted++) {
            const struct attest_expected expected = {
                .purpose = (enum attest_purpose)wanted,
                .spki_digest = wanted == ATTEST_FOR_TLS ? right.spki_digest : NULL,
                .record_digest = wanted == ATTEST_FOR_ROOT ? right.record_digest : NULL};
            /* Only a document for KMS has a public key. */
            bool key = made == ATTEST_FOR_KMS;
            assert_int_equal(check((enum attest_purpose)made, &expected, key).code,
                             made == wanted ? 0 : ERROR_ATTEST_BINDING);
            assert_int_equal(check((enum attest_purpose)made, &expected, !key).code,
                             ERROR_ATTEST_BINDING);
        }
    }
    const struct attest_document empty = {.has_user_data = false};
    const struct attest_expected expected = {.purpose = ATTEST_FOR_CLOCK};
    assert_int_equal(attest_binding_check(&empty, &expected, NULL).code, ERROR_ATTEST_BINDING);
}

static void test_T32_each_field_is_compared(void **state)
{
    (void)state;
    const struct attest_binding right = whole(ATTEST_FOR_TLS);
    struct attest_binding other = right;
    other.spki_digest[47] ^= 1;
    other.chamber_id[31] ^= 1;
    other.config_digest[0] ^= 1;
    struct attest_expected expected = {.purpose = ATTEST_FOR_TLS,
                                       .spki_digest = right.spki_digest,
                                       .chamber_id = right.chamber_id,
                                       .config_digest = right.config_digest};
    assert_int_equal(check(ATTEST_FOR_TLS, &expected, false).code, 0);
    expected.spki_digest = other.spki_digest;
    assert_int_equal(check(ATTEST_FOR_TLS, &expected, false).code, ERROR_ATTEST_BINDING);
    expected.spki_digest = right.spki_digest;
    expected.chamber_id = other.chamber_id;
    assert_int_equal(check(ATTEST_FOR_TLS, &expected, false).code, ERROR_ATTEST_BINDING);
    expected.chamber_id = NULL;
    assert_int_equal(check(ATTEST_FOR_TLS, &expected, false).code, 0);
    expected.config_digest = other.config_digest;
    assert_int_equal(check(ATTEST_FOR_TLS, &expected, false).code, ERROR_ATTEST_BINDING);
    expected.config_digest = NULL;
    assert_int_equal(check(ATTEST_FOR_TLS, &expected, false).code, 0);
    other.record_digest[47] ^= 1;
    struct attest_expected record = {.purpose = ATTEST_FOR_ROOT,
                                     .record_digest = right.record_digest};
    assert_int_equal(check(ATTEST_FOR_ROOT, &record, false).code, 0);
    record.record_digest = other.record_digest;
    assert_int_equal(check(ATTEST_FOR_ROOT, &record, false).code, ERROR_ATTEST_BINDING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_forms_to_the_byte),
        cmocka_unit_test(test_T04_a_document_of_one_purpose_is_none_of_another),
        cmocka_unit_test(test_T32_each_field_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
