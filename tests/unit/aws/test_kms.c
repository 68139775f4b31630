/* KMS's requests and answers as texts, and against moto: signed for the region of the key, with a context that has to be the same. */
#include <stdlib.h>
#include <string.h>

#include "aws/kms.h"
#include "support/aws_server.h"
#include "support/test.h"

#define KEY   "arn:aws:kms:eu-central-1:111122223333:key/0001"
#define OTHER "arn:aws:kms:eu-central-1:111122223333:key/0002"

static const struct kms_pair pairs[] = {{"app", "containment-chamber"}, {"index", "1"}};
static const struct kms_request request = {KEY, pairs, 2, {0}};

static void put(struct buf *text, const char *what)
{
    text->len = 0;
    assert_int_equal(buf_append_str(text, what).code, 0);
}

static void test_the_texts_of_requests(void **state)
{
    static const uint8_t bytes[] = {0xfb, 0xff, 0xbf, 0x00};
    struct buf body = buf_init(KMS_BODY_MAX);
    (void)state;
    assert_int_equal(kms_encrypt_body(&request, span_of(bytes, 3), &body).code, 0);
    assert_true(span_is(buf_span(&body),
                        "{\"KeyId\":\"" KEY "\",\"EncryptionAlgorithm\":\"SYMMETRIC_DEFAULT\","
                        "\"EncryptionContext\":{\"app\":\"containment-chamber\","
                        "\"index\":\"1\"},\"Plaintext\":\"+/+/\"}"));
    body.len = 0;
    assert_int_equal(kms_encrypt_body(&request, span_of(bytes, 4), &body).code, 0);
    assert_non_null(memmem(body.data, body.len, "\"+/+/AA==\"}", 11));
    body.len = 0;
    assert_int_equal(kms_decrypt_body(&request, span_of(bytes, 4), &body).code, 0);
    assert_non_null(memmem(body.data, body.len, "\"CiphertextBlob\":\"+/+/AA==\"}", 28));
    assert_true(error_is(kms_encrypt_body(&request, span_of(bytes, 0), &body), ERROR_LIMIT));
    assert_true(error_is(kms_decrypt_body(&request, span_of(bytes, 0), &body), ERROR_LIMIT));
    uint8_t *large = calloc(1, KMS_CIPHERTEXT_MAX + 1);
    assert_non_null(large);
    assert_true(error_is(kms_encrypt_body(&request, span_of(large, KMS_PLAIN_MAX + 1), &body),
                         ERROR_LIMIT));
    assert_true(error_is(kms_decrypt_body(&request, span_of(large, KMS_CIPHERTEXT_MAX + 1), &body),
                         ERROR_LIMIT));
    free(large);
    buf_release(&body);
}

/* All bytes, in all lengths: what is coded for KMS is what Python's base64 says (moto decodes it), and comes back. */
static void test_every_byte_comes_back(void **state)
{
    struct buf body = buf_init(KMS_BODY_MAX);
    struct buf answer = buf_init(KMS_BODY_MAX);
    uint8_t plain[256];
    uint8_t again[256];
    (void)state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(7 * i);
    for (size_t len = 1; len <= sizeof plain; len++) {
        body.len = 0;
        assert_int_equal(kms_encrypt_body(&request, span_of(plain, len), &body).code, 0);
        const uint8_t *at = memmem(body.data, body.len, "\"Plaintext\"", 11);
        assert_non_null(at);
        put(&answer, "{\"KeyId\":\"" KEY "\",");
        assert_int_equal(buf_append(&answer, at, body.len - (size_t)(at - body.data)).code, 0);
        assert_int_equal(kms_decrypt_read(&answer, KEY, again, len).code, 0);
        assert_memory_equal(again, plain, len);
    }
    buf_release(&body);
    buf_release(&answer);
}

static void test_answers_that_do_not_count(void **state)
{
    static const char *const bad[] = {
        "{\"Plaintext\":\"AAAA\"}",
        "{\"KeyId\":\"" OTHER "\",\"Plaintext\":\"AAAA\"}",
        "{\"KeyId\":\"0001\",\"Plaintext\":\"AAAA\"}",
        "{\"KeyId\":\"" KEY "\"}",
        "{\"KeyId\":\"" KEY "\",\"Plaintext\":null}",
        "{\"KeyId\":\"" KEY "\",\"Plaintext\":\"\"}",
        "{\"KeyId\":\"" KEY "\",\"Plaintext\":\"AAA=\"}",
        "{\"KeyId\":\"" KEY "\",\"Plaintext\":\"AAAAAAAA\"}",
        "{\"KeyId\":\"" KEY "\",\"Plaintext\":\"AA-_\"}",
        "{\"KeyId\":\"" KEY "\",\"Plaintext\":\"AA A\"}",
        "{\"KeyId\":\"" KEY
        "\",\"Plaintext\":\"AAAA\",\"EncryptionAlgorithm\":\"RSAES_OAEP_SHA_1\"}",
        "{\"KeyId\":\"" KEY "\",\"Plaintext\":\"AAAA\",\"EncryptionAlgorithm\":1}",
        "{\"KeyId\":\"" KEY "\",\"KeyId\":\"" KEY "\",\"Plaintext\":\"AAAA\"}",
        "[]",
        "",
    };
    struct buf answer = buf_init(KMS_BODY_MAX);
    uint8_t plain[3];
    uint8_t blob[8];
    uint32_t len = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        static const uint8_t zeros[3];
        put(&answer, bad[i]);
        memset(plain, 0xee, sizeof plain);
        const cc_err err = kms_decrypt_read(&answer, KEY, plain, sizeof plain);
        if (!err.code)
            fail_msg("accepted: %s", bad[i]);
        assert_memory_equal(plain, zeros, sizeof plain); /* nothing is left of it */
    }
    put(&answer, "{\"KeyId\":\"" OTHER "\",\"CiphertextBlob\":\"AAAA\"}");
    assert_true(
        error_is(kms_encrypt_read(&answer, KEY, blob, sizeof blob, &len), ERROR_KMS_ANSWER));
    put(&answer, "{\"KeyId\":\"" KEY "\",\"CiphertextBlob\":\"AAAAAAAAAAAA\"}");
    assert_true(
        error_is(kms_encrypt_read(&answer, KEY, blob, sizeof blob, &len), ERROR_KMS_ANSWER));
    put(&answer, "{\"KeyId\":\"" KEY "\",\"CiphertextBlob\":\"\"}");
    assert_true(
        error_is(kms_encrypt_read(&answer, KEY, blob, sizeof blob, &len), ERROR_KMS_ANSWER));
    put(&answer, "{\"KeyId\":\"" KEY "\",\"CiphertextBlob\":\"AAEC\"}");
    assert_int_equal(kms_encrypt_read(&answer, KEY, blob, sizeof blob, &len).code, 0);
    assert_true(len == 3 && blob[2] == 2);
    buf_release(&answer);
}

/* --- moto ------------------------------------------------------------------------------------------------------- */

static struct aws_config config;
static struct aws_session *session;
static struct aws_client *client;

static int open_moto(void **state)
{
    (void)state;
    if (client)
        return 0;
    aws_server_config(&config);
    if (aws_session_open(&config, &aws_server_inputs, &session).code)
        return -1;
    return aws_client_open(session, &kms_service, NULL, &client).code;
}

static void ask(struct aws_call *call, const char *operation, struct span body, const char *region)
{
    *call = (struct aws_call){
        .operation = operation, .body = body, .region = span_str(region), .deadline_ms = 10000};
    (void)aws_call(client, call).code;
}

/* A key of moto's in a region; its ARN. */
static void make_key(const char *region, char arn[static KMS_ARN_SIZE])
{
    struct aws_call call;
    ask(&call, "CreateKey", span_str("{}"), region);
    assert_int_equal(call.error.code, 0);
    const char *at = memmem(call.answer.data, call.answer.len, "arn:aws:kms", 11);
    assert_non_null(at);
    const size_t len = strcspn(at, "\"");
    assert_true(len < KMS_ARN_SIZE);
    memcpy(arn, at, len);
    arn[len] = 0;
    aws_call_release(&call);
    assert_true(kms_arn_check(span_str(arn)));
    assert_true(span_is(kms_arn_region(span_str(arn)), region));
}

static void test_moto_encrypts_and_decrypts_in_the_keys_region(void **state)
{
    static const char *const regions[] = {"eu-central-1", "us-east-1", "ap-southeast-2"};
    uint8_t plain[33];
    uint8_t again[33];
    uint8_t blob[512];
    uint32_t len = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(regions); i++) {
        char arn[KMS_ARN_SIZE];
        struct aws_call call;
        struct buf body = buf_init(KMS_BODY_MAX);
        make_key(regions[i], arn);
        const struct kms_request of_key = {arn, pairs, 2, {0}};
        memset(plain, (int)(0xf0 + i), sizeof plain);
        assert_int_equal(kms_encrypt_body(&of_key, span_of(plain, sizeof plain), &body).code, 0);
        ask(&call, "Encrypt", buf_span(&body), regions[i]);
        assert_int_equal(call.error.code, 0);
        assert_int_equal(kms_encrypt_read(&call.answer, arn, blob, sizeof blob, &len).code, 0);
        aws_call_release(&call);
        body.len = 0;
        assert_int_equal(kms_decrypt_body(&of_key, span_of(blob, len), &body).code, 0);
        ask(&call, "Decrypt", buf_span(&body), regions[i]);
        assert_int_equal(call.error.code, 0);
        assert_int_equal(kms_decrypt_read(&call.answer, arn, again, sizeof again).code, 0);
        assert_memory_equal(again, plain, sizeof plain);
        aws_call_release(&call);
        /* In another context it is another ciphertext. */
        const struct kms_pair moved[] = {pairs[0], {"index", "2"}};
        const struct kms_request elsewhere = {arn, moved, 2, {0}};
        body.len = 0;
        assert_int_equal(kms_decrypt_body(&elsewhere, span_of(blob, len), &body).code, 0);
        ask(&call, "Decrypt", buf_span(&body), regions[i]);
        assert_true(error_is(call.error, ERROR_AWS_REFUSED));
        assert_string_equal(call.fault.type, "InvalidCiphertextException");
        aws_call_release(&call);
        /* And in another region there is no such key. */
        ask(&call, "Decrypt", buf_span(&body), "eu-west-3");
        assert_true(error_is(call.error, ERROR_AWS_REFUSED));
        aws_call_release(&call);
        buf_release(&body);
    }
    assert_int_equal(aws_server_ask("refused"), 0);
}

static void test_enough_answers_end_the_wait(void **state)
{
    struct aws_call calls[3];
    (void)state;
    for (size_t i = 0; i < 3; i++)
        calls[i] = (struct aws_call){.operation = i == 2 ? "ListAliases" : "ListKeys",
                                     .body = span_str("{}"),
                                     .deadline_ms = 20000};
    aws_server_do("fault delay ListAliases -1 8000");
    assert_int_equal(aws_call_until(client, calls, 3, 2, 200).code, 0);
    aws_server_do("clear");
    assert_int_equal(calls[0].error.code, 0);
    assert_int_equal(calls[1].error.code, 0);
    assert_true(error_is(calls[2].error, ERROR_AWS_UNREACHABLE));
    assert_string_equal(aws_call_why(&calls[2]), "given up, since others have answered");
    for (size_t i = 0; i < 3; i++)
        aws_call_release(&calls[i]);
    struct aws_call after;
    ask(&after, "ListKeys", span_str("{}"), "");
    assert_int_equal(after.error.code, 0); /* the client is as good as before */
    aws_call_release(&after);
}

static void test_a_region_of_another_form_is_refused(void **state)
{
    struct aws_call call;
    (void)state;
    ask(&call, "ListKeys", span_str("{}"),
        "a-region-whose-name-is-longer-than-the-name-of-any-region-can-be-and-then-some");
    assert_true(error_is(call.error, ERROR_CONFIG));
    aws_call_release(&call);
}

int main(void)
{
    const struct CMUnitTest texts[] = {
        cmocka_unit_test(test_the_texts_of_requests),
        cmocka_unit_test(test_every_byte_comes_back),
        cmocka_unit_test(test_answers_that_do_not_count),
    };
    const struct CMUnitTest with_moto[] = {
        cmocka_unit_test_setup(test_moto_encrypts_and_decrypts_in_the_keys_region, open_moto),
        cmocka_unit_test_setup(test_enough_answers_end_the_wait, open_moto),
        cmocka_unit_test_setup(test_a_region_of_another_form_is_refused, open_moto),
    };
    const int failed = cmocka_run_group_tests(texts, NULL, NULL);
    if (failed || !aws_server_exists())
        return failed ? failed : AWS_SERVER_SKIPPED;
    const int more = cmocka_run_group_tests(with_moto, NULL, NULL);
    aws_client_close(client);
    aws_session_close(session);
    return more;
}
