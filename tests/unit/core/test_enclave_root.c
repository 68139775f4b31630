/* The record of an enclave's root: its one text, and which images may vouch for it. */
#include <stdlib.h>
#include <string.h>

#include "codec/hex.h"
#include "core/enclave_root_vouch.h"
#include "support/nsm_kit.h"
#include "support/test.h"

static const char *const arns[] = {
    "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555",
    "arn:aws:kms:us-east-1:111122223333:key/22222222-2222-3333-4444-555555555555",
    "arn:aws:kms:us-east-1:111122223333:key/33333333-2222-3333-4444-555555555555"};

static struct attest_kit kit;
static struct tee_root_config config;
static struct enclave_root_judge judge;
static struct enclave_root_record *record;

static const uint8_t earlier[ATTEST_PCR_SIZE] = {0xea};

/* A record with keys, and without documents. */
static void fill(uint32_t count, uint32_t threshold)
{
    memset(record, 0, sizeof *record);
    memset(record->chamber_id, 0x11, sizeof record->chamber_id);
    memset(record->identity_public, 0x22, sizeof record->identity_public);
    memset(record->commitment, 0x33, sizeof record->commitment);
    record->threshold = threshold;
    record->count = count;
    config.kms_key_arns.count = count;
    config.threshold = threshold;
    for (uint32_t i = 0; i < count; i++) {
        memset(record->commitments[i], (int)i, 32);
        (void)snprintf(record->keys[i].arn, SEAL_ARN_SIZE, "%s", arns[i]);
        (void)snprintf(config.kms_key_arns.items[i], CONFIG_TEXT_MAX, "%s", arns[i]);
        record->keys[i].len = 40;
        memset(record->keys[i].ciphertext, 0x44, 40);
    }
}

/* Of an image with this PCR0, for the record as it is, by `authority`. */
struct sign {
    const struct attest_kit *authority;
    const uint8_t *pcr0; /* NULL: this image's */
    enum attest_purpose purpose;
    bool key;   /* with a public key */
    bool debug; /* all registers are zero */
};

static void add_document(const struct sign *sign)
{
    uint8_t user_data[ATTEST_BINDING_MAX];
    struct attest_binding binding = {.purpose = sign->purpose};
    struct buf document = {0};
    struct kit_claims claims = kit_claims(sign->authority);
    assert_int_equal(enclave_root_digest(record, binding.record_digest).code, 0);
    claims.user_data = span_of(user_data, attest_binding_encode(&binding, user_data));
    if (sign->pcr0)
        memcpy(claims.pcrs.value[0], sign->pcr0, ATTEST_PCR_SIZE);
    if (sign->debug)
        memset(claims.pcrs.value, 0, sizeof claims.pcrs.value);
    if (sign->key)
        claims.public_key = span_of("key", 3);
    kit_document(sign->authority, &claims, &document);
    assert_int_equal(enclave_root_add(record, buf_span(&document)).code, 0);
    buf_release(&document);
}

static void vouch(const uint8_t *pcr0)
{
    const struct sign sign = {.authority = &kit, .pcr0 = pcr0, .purpose = ATTEST_FOR_ROOT};
    add_document(&sign);
}

static int check(bool *ret_own)
{
    bool own = false;
    const int code = enclave_root_check(&judge, record, &own).code;
    if (ret_own)
        *ret_own = own;
    return code;
}

static int begin(void **state)
{
    (void)state;
    kit_shape(&kit);
    kit_make(&kit);
    record = calloc(1, sizeof *record);
    assert_non_null(record);
    memset(&config, 0, sizeof config);
    judge =
        (struct enclave_root_judge){.config = &config, .authority = buf_span(&kit.der[KIT_ROOT])};
    const struct kit_claims claims = kit_claims(&kit);
    memcpy(judge.own.pcr0, claims.pcrs.value[0], ATTEST_PCR_SIZE);
    fill(1, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    kit_free(&kit);
    free(record);
    return 0;
}

/* --- the record ------------------------------------------------------------------------------------------------ */

static void test_the_record_has_one_text(void **state)
{
    struct buf text = buf_init(STATE_RECORD_MAX);
    struct buf again = buf_init(STATE_RECORD_MAX);
    (void)state;
    fill(3, 2);
    assert_int_equal(enclave_root_add(record, span_of("first", 5)).code, 0);
    assert_int_equal(enclave_root_add(record, span_of("second", 6)).code, 0);
    assert_int_equal(enclave_root_encode(record, &text).code, 0);
    memset(record, 0xff, sizeof *record);
    assert_int_equal(enclave_root_decode(buf_span(&text), record).code, 0);
    assert_string_equal(record->keys[2].arn, arns[2]);
    assert_int_equal(record->threshold, 2);
    assert_int_equal(enclave_root_encode(record, &again).code, 0);
    assert_true(span_equal(buf_span(&text), buf_span(&again)));
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(enclave_root_decode(span_of(text.data, len), record).code, ERROR_TAMPERED);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    assert_int_equal(enclave_root_decode(buf_span(&text), record).code, ERROR_TAMPERED);
    buf_release(&text);
    buf_release(&again);
}

static void test_the_oldest_document_goes_where_there_is_no_room(void **state)
{
    static uint8_t large[ATTEST_DOCUMENT_MAX];
    struct buf text = buf_init(STATE_RECORD_MAX);
    (void)state;
    for (uint32_t i = 0; i < ENCLAVE_ROOT_DOCUMENTS_MAX + 2; i++) {
        const uint8_t name = (uint8_t)i;
        assert_int_equal(enclave_root_add(record, span_of(&name, 1)).code, 0);
    }
    assert_int_equal(record->document_count, ENCLAVE_ROOT_DOCUMENTS_MAX);
    assert_int_equal(record->documents[0].bytes[0], 2);
    for (uint32_t i = 0; i < ENCLAVE_ROOT_DOCUMENTS_MAX; i++) {
        large[0] = (uint8_t)i;
        assert_int_equal(enclave_root_add(record, span_of(large, sizeof large)).code, 0);
        text.len = 0;
        assert_int_equal(enclave_root_encode(record, &text).code, 0);
        assert_int_equal(record->documents[record->document_count - 1].bytes[0], i);
    }
    assert_int_equal(enclave_root_add(record, span_of(large, 0)).code, ERROR_LIMIT);
    assert_int_equal(enclave_root_add(record, span_of(large, sizeof large + 1)).code, ERROR_LIMIT);
    buf_release(&text);
}

/* --- who may vouch --------------------------------------------------------------------------------------------- */

static void test_T11_an_image_takes_its_own_chamber(void **state)
{
    bool own = false;
    (void)state;
    vouch(NULL);
    assert_int_equal(check(&own), 0);
    assert_true(own);
}

static void test_T11_and_an_earlier_ones_only_where_it_is_named(void **state)
{
    bool own = true;
    (void)state;
    vouch(earlier);
    assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
    config.images.count = 2;
    memset(config.images.items[0], '7', 2 * ATTEST_PCR_SIZE);
    assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
    hex_encode(earlier, sizeof earlier, config.images.items[1]);
    assert_int_equal(check(&own), 0);
    assert_false(own);
    vouch(NULL); /* from now on by itself */
    config.images.count = 0;
    assert_int_equal(check(&own), 0);
    assert_true(own);
}

static void test_T11_without_a_document_there_is_no_chamber(void **state)
{
    (void)state;
    assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
    assert_int_equal(enclave_root_add(record, span_of("no document", 11)).code, 0);
    assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
}

static void test_T11_what_the_document_is_not_of_is_refused(void **state)
{
    struct attest_kit theirs;
    (void)state;
    kit_shape(&theirs);
    kit_make(&theirs);
    const struct sign wrong[] = {
        {.authority = &theirs, .purpose = ATTEST_FOR_ROOT}, /* the parent's own authority */
        {.authority = &kit, .purpose = ATTEST_FOR_CLOCK},
        {.authority = &kit, .purpose = ATTEST_FOR_TLS},
        {.authority = &kit, .purpose = ATTEST_FOR_KMS, .key = true},
        {.authority = &kit, .purpose = ATTEST_FOR_ROOT, .key = true},
        {.authority = &kit, .purpose = ATTEST_FOR_ROOT, .debug = true},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        fill(1, 1);
        add_document(&wrong[i]);
        assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
    }
    kit_free(&theirs);
}

/* Another secret, another key, another share, another chamber: all of it is in the digest. */
static void test_T11_no_byte_of_the_record_can_be_changed(void **state)
{
    struct buf text = buf_init(STATE_RECORD_MAX);
    (void)state;
    vouch(NULL);
    assert_int_equal(enclave_root_encode(record, &text).code, 0);
    const size_t body = text.len - record->documents[0].len - 3;
    for (size_t i = 0; i < text.len; i += i < body ? 1 : 97) {
        text.data[i] ^= 0x20;
        if (!enclave_root_decode(buf_span(&text), record).code)
            assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
        text.data[i] ^= 0x20;
    }
    assert_int_equal(enclave_root_decode(buf_span(&text), record).code, 0);
    assert_int_equal(check(NULL), 0);
    buf_release(&text);
}

static void test_T11_the_keys_are_those_of_the_configuration(void **state)
{
    (void)state;
    fill(3, 2);
    vouch(NULL);
    assert_int_equal(check(NULL), 0);
    config.threshold = 3;
    assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
    config.threshold = 2;
    config.kms_key_arns.count = 2;
    assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
    config.kms_key_arns.count = 3;
    (void)snprintf(config.kms_key_arns.items[0], CONFIG_TEXT_MAX, "%s", arns[1]);
    (void)snprintf(config.kms_key_arns.items[1], CONFIG_TEXT_MAX, "%s", arns[0]);
    assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
}

static void test_T11_in_debug_mode_no_record_counts(void **state)
{
    static const uint8_t zeros[ATTEST_PCR_SIZE];
    (void)state;
    vouch(zeros);
    memset(judge.own.pcr0, 0, sizeof judge.own.pcr0);
    assert_int_equal(check(NULL), ERROR_ENCLAVE_ROOT);
}

/* A record has no age: certificates of documents end after some hours. */
static void test_a_document_is_judged_at_its_own_time(void **state)
{
    struct attest_kit old;
    (void)state;
    kit_shape(&old);
    old.now_ms -= UINT64_C(1000) * 86400 * 400;
    kit_make(&old);
    const struct sign sign = {.authority = &old, .purpose = ATTEST_FOR_ROOT};
    judge.authority = buf_span(&old.der[KIT_ROOT]);
    add_document(&sign);
    assert_int_equal(check(NULL), 0);
    kit_free(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_record_has_one_text, begin, end),
        cmocka_unit_test_setup_teardown(test_the_oldest_document_goes_where_there_is_no_room, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_T11_an_image_takes_its_own_chamber, begin, end),
        cmocka_unit_test_setup_teardown(test_T11_and_an_earlier_ones_only_where_it_is_named, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_T11_without_a_document_there_is_no_chamber, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_T11_what_the_document_is_not_of_is_refused, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_T11_no_byte_of_the_record_can_be_changed, begin, end),
        cmocka_unit_test_setup_teardown(test_T11_the_keys_are_those_of_the_configuration, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_T11_in_debug_mode_no_record_counts, begin, end),
        cmocka_unit_test_setup_teardown(test_a_document_is_judged_at_its_own_time, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
