/* The password of a database, and DynamoDB's credentials, from KMS, by a document of a security module in software: tests/support/kms.py checks it as KMS does. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#include "aws/kms.h"
#include "codec/base64.h"
#include "core/enclave_secrets.h"
#include "sql/postgres_password.h"
#include "support/aws_server.h"
#include "support/document_room.h"
#include "support/kms_server.h"
#include "support/nsm_kit.h"
#include "support/test.h"

#define ARN  "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
#define ROLE "arn:aws:iam::111122223333:role/signer"
#define URL  "postgresql://u@h/d?sslmode=verify-full&sslrootcert=/ca.crt"
#define TEXT "S3cret-Pass"

static struct nsm_kit kit;
static struct document_room room;
static struct config config;
static struct aws_config aws;
static struct aws_session *session;
static struct enclave_secrets *secrets;
static struct aws_session *tables;
static struct buf password;
static struct aws_credentials credentials;

static int set_up(void **state)
{
    char path[128];
    (void)state;
    nsm_kit_start(&kit, false);
    (void)snprintf(path, sizeof path, "%s/root", kit.directory);
    FILE *root = fopen(path, "wb");
    assert_non_null(root);
    const struct buf *der = &kit.authority.der[KIT_ROOT];
    assert_int_equal(fwrite(der->data, 1, der->len, root), der->len);
    assert_int_equal(fclose(root), 0);
    kms_server_do("key %s", ARN);
    kms_server_do("everything " ROLE);
    kms_server_do("root %s", path);
    assert_int_equal(unlink(path), 0);
    kms_server_config(&aws);
    return aws_session_open(&aws, &aws_server_inputs, &session).code;
}

static int tear_down(void **state)
{
    (void)state;
    aws_session_close(session);
    nsm_kit_stop(&kit);
    return 0;
}

/* As a configuration has it, encrypted for that purpose. */
static void
seal(const char *plain, size_t len, const char *purpose, char ret_text[static CONFIG_PATH_MAX])
{
    const struct kms_pair context[] = {{"app", "containment-chamber"}, {"purpose", purpose}};
    const struct kms_request request = {ARN, context, ARRAY_LEN(context), {0}};
    struct aws_client *client = NULL;
    uint8_t ciphertext[512];
    uint32_t sealed_len = 0;
    CC_CLEANUP(buf_release) struct buf body = buf_init(KMS_BODY_MAX);
    CC_CLEANUP(buf_release) struct buf text = buf_init(CONFIG_PATH_MAX);
    assert_int_equal(kms_encrypt_body(&request, span_of(plain, len), &body).code, 0);
    struct aws_call call = {.operation = "Encrypt", .body = buf_span(&body), .deadline_ms = 20000};
    assert_int_equal(aws_client_open(session, &kms_service, NULL, &client).code, 0);
    assert_int_equal(aws_call(client, &call).code, 0);
    assert_int_equal(
        kms_encrypt_read(&call.answer, ARN, ciphertext, sizeof ciphertext, &sealed_len).code, 0);
    aws_call_release(&call);
    aws_client_close(client);
    assert_int_equal(buf_append_str(&text, ARN " ").code, 0);
    assert_int_equal(base64_append(&text, ciphertext, sealed_len).code, 0);
    (void)snprintf(ret_text, CONFIG_PATH_MAX, "%.*s", (int)text.len, (const char *)text.data);
}

static void put(const char *plain, size_t len, const char *purpose)
{
    memset(&config, 0, sizeof config);
    config.anti_slashing.backend = HISTORY_POSTGRES;
    (void)snprintf(config.anti_slashing.url, sizeof config.anti_slashing.url, URL);
    seal(plain, len, purpose, config.anti_slashing.url_password_kms);
}

static void open_all(void)
{
    enclave_secrets_close(secrets);
    assert_int_equal(enclave_secrets_open(&config, session, room.documents, &secrets).code, 0);
    assert_non_null(secrets);
}

static int begin(void **state)
{
    (void)state;
    kms_server_do("clear");
    *kit.mood = NSM_KIT_RIGHT;
    document_room_start(&room, kit.path);
    password = buf_init(POSTGRES_PASSWORD_MAX);
    put(TEXT, strlen(TEXT), "database-password");
    open_all();
    return 0;
}

static int end(void **state)
{
    (void)state;
    aws_session_close(tables);
    tables = NULL;
    enclave_secrets_close(secrets);
    secrets = NULL;
    document_room_stop(&room);
    buf_release(&password);
    return 0;
}

/* With time for a machine that has much to do: the signer's own patience is two seconds. */
static cc_err get(void)
{
    cc_err err = CC_FAIL(STORE, NULL);
    for (int tries = 0; tries < 5 && err.code; tries++) {
        password.len = 0;
        err = postgres_password_get(URL, &password);
    }
    return err;
}

static void test_T11_kms_is_asked_once_and_anew_when_it_is_refused(void **state)
{
    (void)state;
    const unsigned before = kms_server_ask("count Decrypt *");
    assert_int_equal(get().code, 0);
    assert_string_equal((const char *)password.data, TEXT);
    const unsigned asked = kms_server_ask("count Decrypt *");
    assert_true(asked > before);
    assert_int_equal(get().code, 0);
    assert_int_equal(kms_server_ask("count Decrypt *"), asked);
    postgres_password_refused(URL);
    assert_int_equal(get().code, 0);
    assert_string_equal((const char *)password.data, TEXT);
    assert_true(kms_server_ask("count Decrypt *") > asked);
}

static void test_T11_passwords_of_all_lengths(void **state)
{
    static const size_t lengths[] = {1, 15, 16, 17, 100, 150};
    char text[160];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        memset(text, 'p', sizeof text);
        put(text, lengths[i], "database-password");
        open_all();
        assert_int_equal(get().code, 0);
        assert_int_equal(password.len, lengths[i] + 1);
        assert_memory_equal(password.data, text, lengths[i]);
        assert_int_equal(password.data[lengths[i]], 0);
    }
}

static void test_T11_what_is_no_password_of_this_image_is_none(void **state)
{
    static const char *const faults[] = {"in-clear",        "to-nobody", "other-key " ARN "0",
                                         "other-algorithm", "no-json",   "denied"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        char kind[32], argument[128] = "";
        (void)sscanf(faults[i], "%31s %127s", kind, argument);
        kms_server_do("fault %s * -1 %s", kind, argument);
        assert_int_equal(postgres_password_get(URL, &password).code, ERROR_STORE);
        assert_int_equal(password.len, 0);
        kms_server_do("clear");
    }
    *kit.mood = NSM_KIT_REFUSES;
    assert_int_equal(postgres_password_get(URL, &password).code, ERROR_STORE);
    *kit.mood = NSM_KIT_RIGHT;
    assert_int_equal(get().code, 0); /* nothing of all that has stayed */
    put(TEXT, strlen(TEXT), "seal-share");
    open_all();
    assert_int_equal(postgres_password_get(URL, &password).code, ERROR_STORE);
    put("two\nlines", 9, "database-password");
    open_all();
    assert_int_equal(postgres_password_get(URL, &password).code, ERROR_STORE);
}

static void *get_one(void *argument)
{
    struct buf *mine = argument;
    return postgres_password_get(URL, mine).code ? NULL : argument;
}

static void test_T11_connections_that_come_together_ask_once(void **state)
{
    enum {
        THREADS = 6
    };
    pthread_t threads[THREADS];
    struct buf mine[THREADS];
    (void)state;
    const unsigned before = kms_server_ask("count Decrypt *");
    kms_server_do("fault delay * 1 200");
    for (size_t i = 0; i < THREADS; i++) {
        mine[i] = buf_init(POSTGRES_PASSWORD_MAX);
        assert_int_equal(pthread_create(&threads[i], NULL, get_one, &mine[i]), 0);
    }
    unsigned good = 0;
    for (size_t i = 0; i < THREADS; i++) {
        void *done = NULL;
        assert_int_equal(pthread_join(threads[i], &done), 0);
        good += done != NULL;
        buf_release(&mine[i]);
    }
    /* Where the machine was too slow for one, the next has asked again. */
    assert_true(good && kms_server_ask("count Decrypt *") - before <= THREADS - good + 1);
}

/* --- DynamoDB's credentials ------------------------------------------------------------------------------------------------ */

/* Beside the password, which they don't disturb. */
static void open_credentials(const char *plain, const char *purpose)
{
    aws_session_close(tables);
    tables = NULL;
    config.aws = aws;
    seal(plain, strlen(plain), purpose, config.aws.dynamodb_credentials_kms);
    open_all();
    assert_int_equal(
        enclave_secrets_aws_session(secrets, &config, &aws_server_inputs, &tables).code, 0);
    assert_non_null(tables);
}

static cc_err get_credentials(const char *stale)
{
    cc_err err = CC_FAIL(STORE, NULL);
    const uint64_t limit = clock_mono_ms() + 20000; /* of a machine that has much to do */
    do
        err = aws_session_credentials(tables, stale, &credentials);
    while (error_is(err, ERROR_AWS_UNREACHABLE) && clock_mono_ms() < limit);
    return err;
}

static void test_T11_dynamodbs_credentials_are_kept_until_they_are_refused(void **state)
{
    (void)state;
    open_credentials("AKIATABLES s3cret/+", "dynamodb-credentials");
    assert_int_equal(get_credentials("").code, 0);
    assert_string_equal(credentials.key_id, "AKIATABLES");
    assert_string_equal(credentials.secret_key, "s3cret/+");
    assert_string_equal(credentials.session_token, "");
    assert_int_equal(credentials.expires, 0);
    const unsigned asked = kms_server_ask("count Decrypt *");
    assert_int_equal(get_credentials("").code, 0);
    assert_int_equal(kms_server_ask("count Decrypt *"), asked);
    const uint64_t limit = clock_mono_ms() + 20000;
    do
        assert_int_equal(get_credentials("AKIATABLES").code, 0);
    while (kms_server_ask("count Decrypt *") == asked && clock_mono_ms() < limit);
    assert_true(kms_server_ask("count Decrypt *") > asked);
    assert_int_equal(get().code, 0);
    assert_string_equal((const char *)password.data, TEXT);
}

static void test_T11_what_are_no_credentials_of_this_image_are_none(void **state)
{
    static const char *const bad[] = {"AKIATABLES", "AKIATABLES ", " s3cret", "AKIATABLES  s3cret",
                                      "AKIATABLES s3cret more"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        open_credentials(bad[i], "dynamodb-credentials");
        assert_int_equal(get_credentials("").code, ERROR_AWS_CREDENTIALS);
    }
    open_credentials("AKIATABLES s3cret", "database-password");
    assert_int_equal(get_credentials("").code, ERROR_AWS_REFUSED);
    open_credentials("AKIATABLES s3cret", "dynamodb-credentials");
    kms_server_do("fault in-clear * -1");
    assert_int_equal(get_credentials("").code, ERROR_KMS_ANSWER);
}

static void test_a_configuration_without_any(void **state)
{
    (void)state;
    enclave_secrets_close(secrets);
    secrets = NULL;
    assert_false(postgres_password_exists(URL));
    assert_int_equal(enclave_secrets_open(&config, session, NULL, &secrets).code, ERROR_CONFIG);
    assert_null(secrets);
    config.anti_slashing.url_password_kms[0] = 0;
    assert_int_equal(enclave_secrets_open(&config, NULL, NULL, &secrets).code, 0);
    assert_null(secrets);
    assert_int_equal(
        enclave_secrets_aws_session(secrets, &config, &aws_server_inputs, &tables).code, 0);
    assert_null(tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(test_T11_kms_is_asked_once_and_anew_when_it_is_refused),
        T(test_T11_passwords_of_all_lengths),
        T(test_T11_what_is_no_password_of_this_image_is_none),
        T(test_T11_connections_that_come_together_ask_once),
        T(test_T11_dynamodbs_credentials_are_kept_until_they_are_refused),
        T(test_T11_what_are_no_credentials_of_this_image_are_none),
        T(test_a_configuration_without_any),
#undef T
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
