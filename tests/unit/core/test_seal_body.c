/* Bodies of requests about the sealed chamber; and the delays of wrong credentials. */
#include <stdio.h>
#include <string.h>

#include "core/manage_delay.h"
#include "core/seal_body.h"
#include "support/test.h"

#define KEY1 "age1nl3sn2v3y3tmszs82sqt6ecxzntg9ua7e4j08gxe9de4ytjelyys4kkg5r"
#define KEY2 "age163k8m95l95055uv0tmazfa8uu6d849c3n6q9d3wvs9d2tejlz38qh472w3"
#define ARN(n)                                                                                     \
    "\"arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-4000-8000-00000000000" n "\""
#define PEOPLE                                                                                     \
    "\"operators\":[{\"name\":\"alice\",\"public_key\":\"" KEY1                                    \
    "\"},{\"name\":\"bob\",\"public_key\":\"" KEY2 "\"}]"
#define TOKEN "\"setup_token\":\"cc_setup_x\""

static struct ceremony_wish wish;
static char secret[SEAL_BODY_SECRET_MAX];
static struct auth_fault fault;

static enum error_code read_wish(uint32_t kind, const char *body)
{
    uint8_t text[4096];
    const size_t len = strlen(body);
    assert_true(len < sizeof text);
    memcpy(text, body, len);
    fault = (struct auth_fault){.what = NULL};
    return (enum error_code)seal_body_wish(kind, text, len, &wish, secret, &fault).code;
}

static void test_a_first_set(void **state)
{
    (void)state;
    assert_int_equal(read_wish(SEAL_KIND_INIT,
                               "{" TOKEN ",\"mode\":\"quorum\"," PEOPLE ",\"operator_threshold\":2,"
                               "\"kms_key_arns\":[" ARN("1") "," ARN(
                                   "2") "],\"kms_threshold\":1,"
                                        "\"break_glass\":{\"threshold\":1,\"recipients\":[\"" KEY2
                                        "\"]}}"),
                     0);
    assert_int_equal(wish.mode, SEAL_QUORUM);
    assert_true(wish.has_kms && wish.has_operators);
    assert_string_equal(wish.proposal.operators[1].name, "bob");
    assert_int_equal(wish.proposal.operators[1].recipient.kind, SEAL_RECIPIENT_AGE);
    assert_int_equal(wish.proposal.operator_threshold, 2);
    assert_int_equal(wish.proposal.kms_count, 2);
    assert_int_equal(wish.proposal.break_glass_count, 1);
    assert_string_equal(secret, "cc_setup_x");
    assert_memory_equal(wish.keys[0].arn, "arn:aws:kms:", 12);
}

static void test_sets_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind;
        const char *body;
        const char *place;
    } bad[] = {
        {SEAL_KIND_INIT, "", ""},
        {SEAL_KIND_INIT, "[]", ""},
        {SEAL_KIND_INIT, "{" TOKEN "}", "mode"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"none\"}", "mode"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"operators\"," PEOPLE "}", "operator_threshold"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"operators\"," PEOPLE ",\"operator_threshold\":3}",
         "operator_threshold"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"operators\"," PEOPLE ",\"operator_threshold\":1}",
         "operator_threshold"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"operators\"," PEOPLE ",\"operator_threshold\":0}",
         "operator_threshold"},
        {SEAL_KIND_INIT,
         "{" TOKEN ",\"mode\":\"operators\"," PEOPLE ",\"operator_threshold\":\"2\"}",
         "operator_threshold"},
        {SEAL_KIND_INIT,
         "{" TOKEN ",\"mode\":\"operators\",\"operators\":[{\"name\":\"a\",\"public_key\":\"" KEY1
         "\"},{\"name\":\"a\",\"public_key\":\"" KEY2 "\"}]}",
         "operators[1]"},
        {SEAL_KIND_INIT,
         "{" TOKEN ",\"mode\":\"operators\",\"operators\":[{\"name\":\"A\",\"public_key\":\"" KEY1
         "\"}]}",
         "operators[0]"},
        {SEAL_KIND_INIT,
         "{" TOKEN
         ",\"mode\":\"operators\",\"operators\":[{\"name\":\"a\",\"public_key\":\"age1x\"}]}",
         "operators[0]"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"operators\",\"operators\":[{\"name\":\"a\"}]}",
         "operators[0]"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"operators\",\"operators\":[]}", "operators"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"kms\",\"kms_key_arns\":[" ARN("1") "]}",
         "kms_threshold"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"kms\",\"kms_threshold\":1}", "kms_key_arns"},
        {SEAL_KIND_INIT,
         "{" TOKEN
         ",\"mode\":\"kms\",\"kms_key_arns\":[" ARN("1") "," ARN("1") "],\"kms_threshold\":1}",
         "kms_key_arns[1]"},
        {SEAL_KIND_INIT,
         "{" TOKEN
         ",\"mode\":\"kms\",\"kms_key_arns\":[\"arn:aws:kms:x:1:alias/a\"],\"kms_threshold\":1}",
         "kms_key_arns[0]"},
        {SEAL_KIND_INIT,
         "{" TOKEN ",\"mode\":\"kms\",\"kms_key_arns\":[" ARN("1") "],\"kms_threshold\":2}",
         "kms_threshold"},
        {SEAL_KIND_INIT,
         "{" TOKEN ",\"mode\":\"operators\"," PEOPLE
         ",\"operator_threshold\":2,\"break_glass\":{\"threshold\":1,\"recipients\":[\"" KEY1
         "\"]}}",
         "break_glass"},
        {SEAL_KIND_INIT, "{" TOKEN ",\"mode\":\"kms\",\"x\":1}", ""},
        {SEAL_KIND_KMS, "{}", "kms_key_arns"},
        {SEAL_KIND_KMS, "{" PEOPLE "}", ""},
        {SEAL_KIND_KMS,
         "{\"kms_key_arns\":[" ARN(
             "1") "],\"kms_threshold\":1,\"break_glass\":{\"threshold\":2,\"recipients\":[\"" KEY1
                  "\"]}}",
         "break_glass.threshold"},
        {SEAL_KIND_QUORUM, "{}", "operators"},
        {SEAL_KIND_QUORUM, "{\"kms_threshold\":1}", ""},
        {SEAL_KIND_MODE, "{}", "mode"},
        {SEAL_KIND_MODE, "{" TOKEN ",\"mode\":\"kms\"}", ""},
        {SEAL_KIND_MASTER, "{\"mode\":\"kms\"}", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const enum error_code code = read_wish(bad[i].kind, bad[i].body);
        assert_int_equal(error_status((cc_err){(int)code}), 400);
        assert_string_equal(fault.place, bad[i].place);
        assert_non_null(fault.what);
    }
    assert_int_equal(read_wish(SEAL_KIND_MASTER, ""), 0);
    assert_int_equal(read_wish(SEAL_KIND_MASTER, "{}"), 0);
    assert_int_equal(read_wish(SEAL_KIND_MODE, "{\"mode\":\"local\"}"), 0);
}

static struct ceremony_envelope envelope;

static enum error_code read_envelope(uint32_t purpose, const char *body)
{
    uint8_t text[2048];
    const size_t len = strlen(body);
    assert_true(len < sizeof text);
    memcpy(text, body, len);
    fault = (struct auth_fault){.what = NULL};
    return (enum error_code)seal_body_envelope(purpose, text, len, &envelope, &fault).code;
}

#define DIGEST "\"digest\":\"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\""

static void test_envelopes(void **state)
{
    (void)state;
    assert_int_equal(read_envelope(SEAL_TO_UNSEAL, "{\"name\":\"alice\",\"envelope\":\"AAEC\"}"),
                     0);
    assert_int_equal(envelope.len, 3);
    assert_int_equal(envelope.box[2], 2);
    assert_int_equal(
        read_envelope(SEAL_TO_REGISTER, "{\"name\":\"alice\",\"envelope\":\"AAEC\"," DIGEST "}"),
        0);
    assert_int_equal(envelope.digest[31], 0x20);
    assert_int_equal(read_envelope(SEAL_TO_APPROVE, "{" DIGEST "}"), 0); /* the owner */
    assert_int_equal(envelope.len, 0);
    assert_int_equal(read_envelope(SEAL_TO_REGISTER, "{\"name\":\"alice\",\"envelope\":\"AAEC\"}"),
                     ERROR_FIELD_MISSING);
    assert_int_equal(read_envelope(SEAL_TO_APPROVE, "{\"name\":\"alice\"," DIGEST "}"),
                     ERROR_FIELD_MISSING);
    assert_int_equal(read_envelope(SEAL_TO_APPROVE, "{\"envelope\":\"AAEC\"," DIGEST "}"),
                     ERROR_FIELD_MISSING);
    assert_int_equal(
        read_envelope(SEAL_TO_UNSEAL, "{\"name\":\"alice\",\"envelope\":\"AAEC\"," DIGEST "}"),
        ERROR_MALFORMED);
    assert_int_equal(read_envelope(SEAL_TO_UNSEAL, "{\"name\":\"alice\",\"envelope\":\"\"}"),
                     ERROR_MALFORMED);
    assert_int_equal(read_envelope(SEAL_TO_UNSEAL, "{\"name\":\"../x\",\"envelope\":\"AAEC\"}"),
                     ERROR_MALFORMED);
    assert_int_equal(read_envelope(SEAL_TO_UNSEAL, "{\"name\":\"alice\",\"envelope\":\"?\"}"),
                     ERROR_MALFORMED);
    assert_int_equal(seal_body_purpose(span_str("break_glass")), SEAL_TO_BREAK_GLASS);
    assert_int_equal(seal_body_purpose(span_str("unsea")), 0);
}

#define PCR                                                                                        \
    "2020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020ab"

static uint32_t read_image(const char *text, struct seal_image *ret_image, bool *ret_remove)
{
    uint8_t bytes[512];
    memcpy(bytes, text, strlen(text));
    return (uint32_t)seal_body_image(bytes, strlen(text), ret_image, ret_remove, &fault).code;
}

static void test_images(void **state)
{
    static const char *const refused[] = {"{\"pcr0\":\"20\"}",
                                          "{\"pcr0\":\"" PCR "20\"}",
                                          "{\"pcr0\":1}",
                                          "{\"pcr0\":\"" PCR "\",\"pcr8\":\"x\"}",
                                          "{\"pcr0\":\"" PCR "\",\"pcr1\":\"" PCR "\"}",
                                          "{\"pcr0\":\"" PCR "\",\"remove\":false}",
                                          "{\"pcr0\":\"" PCR "\",\"remove\":1}",
                                          "{\"pcr0\":\"" PCR "\",\"pcr8\":\"" PCR
                                          "\",\"remove\":true}",
                                          "[]",
                                          ""};
    static const uint8_t zeros[SEAL_PCR_SIZE];
    struct seal_image image;
    bool removes = true;
    (void)state;
    assert_int_equal(read_image("{\"pcr0\":\"" PCR "\"}", &image, &removes), 0);
    assert_int_equal(image.pcr0[47], 0xab);
    assert_memory_equal(image.pcr8, zeros, sizeof zeros);
    assert_false(removes);
    assert_int_equal(read_image("{\"pcr8\":\"" PCR "\",\"pcr0\":\"" PCR "\"}", &image, &removes),
                     0);
    assert_int_equal(image.pcr8[47], 0xab);
    assert_int_equal(read_image("{\"pcr0\":\"" PCR "\",\"remove\":true}", &image, &removes), 0);
    assert_true(removes);
    assert_int_equal(read_image("{\"pcr8\":\"" PCR "\"}", &image, &removes), ERROR_FIELD_MISSING);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_int_not_equal(read_image(refused[i], &image, &removes), 0);
}

/* T29: from a quarter of a second to five, for this name and source alone. */
static void test_T29_delays_grow_for_one_name_from_one_source(void **state)
{
    (void)state;
    static struct manage_delay delay;
    const struct caller here = {.address = {[15] = 1}}, there = {.address = {[15] = 2}};
    static const uint32_t expected[] = {250, 500, 1000, 2000, 4000, 5000, 5000};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(manage_delay_note(&delay, &here, "alice", 10 + i), expected[i]);
    assert_int_equal(manage_delay_note(&delay, &there, "alice", 20), 250);
    assert_int_equal(manage_delay_note(&delay, &here, "bob", 20), 250);
    assert_int_equal(manage_delay_note(&delay, &here, "alice", 20 + MANAGE_DELAY_QUIET_MS), 250);
    for (unsigned i = 0; i < 10 * MANAGE_DELAY_ROWS; i++) { /* however many there are */
        char name[SEAL_NAME_SIZE];
        (void)snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(manage_delay_note(&delay, &there, name, MANAGE_DELAY_QUIET_MS + 100 + i),
                         250);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_first_set),
        cmocka_unit_test(test_sets_that_are_refused),
        cmocka_unit_test(test_envelopes),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_T29_delays_grow_for_one_name_from_one_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
