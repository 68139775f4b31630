#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"

#include "aws/dynamodb.h"
#include "support/aws_server.h"
#include "support/folder.h"
#include "support/test.h"

static struct aws_config config;
static struct aws_session *session;
static struct aws_client *client;

static int begin(void **state)
{
    (void)state;
    aws_server_config(&config);
    assert_int_equal(aws_session_open(&config, &aws_server_inputs, &session).code, 0);
    assert_int_equal(aws_client_open(session, &dynamodb_service, NULL, &client).code, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    aws_client_close(client);
    aws_session_close(session);
    return 0;
}

static int each(void **state)
{
    (void)state;
    aws_server_do("clear");
    return 0;
}

static cc_err read_with_bundle(void *context, enum aws_input input, struct buf *ret_text)
{
    const char *path = context;
    if (input != AWS_INPUT_CA_BUNDLE)
        return aws_server_inputs.read(NULL, input, ret_text);
    return path[0] ? file_read(path, ret_text) : CC_OK;
}

static void
make(struct aws_call *call, const char *operation, const char *body, uint32_t deadline_ms)
{
    *call = (struct aws_call){
        .operation = operation, .body = span_str(body), .deadline_ms = deadline_ms};
}

static struct aws_call ask(const char *operation, const char *body)
{
    struct aws_call call;
    make(&call, operation, body, 5000);
    cc_err err = aws_call(client, &call);
    assert_int_equal(err.code, call.error.code);
    return call;
}

static bool holds(const struct aws_call *call, const char *text)
{
    return call->answer.len && memmem(call->answer.data, call->answer.len, text, strlen(text));
}

static void make_table(const char *name)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"TableName\":\"%s\",\"AttributeDefinitions\":[{\"AttributeName\":\"p\","
                   "\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":"
                   "\"HASH\"}],\"BillingMode\":\"PAY_PER_REQUEST\"}",
                   name);
    struct aws_call call = ask("CreateTable", body);
    assert_int_equal(call.error.code, 0);
    aws_call_release(&call);
}

static const char put[] = "{\"TableName\":\"t\",\"Item\":{\"p\":{\"S\":\"1\"}},"
                          "\"ConditionExpression\":\"attribute_not_exists(p)\"}";

static void test_signed_calls_are_answered(void **state)
{
    (void)state;
    unsigned refused = aws_server_ask("refused");
    make_table("t");
    struct aws_call call = ask("ListTables", "{}");
    assert_int_equal(call.error.code, 0);
    assert_int_equal(call.status, 200);
    assert_int_equal(call.tries, 1);
    assert_false(call.unsure);
    assert_true(holds(&call, "\"t\""));
    aws_call_release(&call);
    assert_int_equal(aws_server_ask("refused"), refused);
}

static void test_a_refusal_is_told_once(void **state)
{
    (void)state;
    struct aws_call call = ask("PutItem", put);
    assert_int_equal(call.error.code, 0);
    aws_call_release(&call);
    call = ask("PutItem", put);
    assert_true(error_is(call.error, ERROR_AWS_REFUSED));
    assert_int_equal(call.tries, 1);
    assert_int_equal(call.status, 400);
    assert_string_equal(call.fault.type, "ConditionalCheckFailedException");
    assert_int_equal(dynamodb_reason(&call), DYNAMODB_CONDITION);
    aws_call_release(&call);
}

/* --- what comes between ------------------------------------------------------------------------------------------------ */

static const struct fault_case {
    const char *fault;
    enum error_code error; /* 0: it succeeds in the end */
    bool unsure;
    unsigned tries; /* 0: more than one */
    unsigned carried_out;
} fault_cases[] = {
    {"throttle PutItem 2", ERROR_NONE, false, 3, 1},
    {"429 PutItem 1", ERROR_NONE, false, 2, 1},
    {"500 PutItem 1", ERROR_NONE, true, 2, 1},
    {"503 PutItem 2", ERROR_NONE, true, 3, 1},
    {"expired PutItem 1", ERROR_NONE, false, 2, 1},
    {"refuse PutItem 1", ERROR_NONE, true, 2, 1},
    /* Carried out, and not answered: what the second try meets is the first one's doing. */
    {"drop PutItem 1", ERROR_AWS_REFUSED, true, 2, 2},
    {"half PutItem 1", ERROR_AWS_REFUSED, true, 2, 2},
    {"500after PutItem 1", ERROR_AWS_REFUSED, true, 2, 2},
    {"denied PutItem -1", ERROR_AWS_DENIED, false, 1, 0},
    {"skew PutItem -1", ERROR_AWS_CLOCK, false, 1, 0},
    {"redirect PutItem -1 http://127.0.0.1:1/", ERROR_AWS_REFUSED, false, 1, 0},
    {"large PutItem -1 3000000", ERROR_LIMIT, true, 1, 0},
    {"throttle PutItem -1", ERROR_AWS_THROTTLED, false, 0, 0},
    {"500 PutItem -1", ERROR_AWS_UNREACHABLE, true, 0, 0},
    {"refuse PutItem -1", ERROR_AWS_UNREACHABLE, true, 0, 0},
};

static struct aws_call put_new(uint32_t deadline_ms, bool once)
{
    static unsigned number;
    static char body[200];
    struct aws_call call;
    (void)snprintf(
        body, sizeof body,
        "{\"TableName\":\"t\",\"Item\":{\"p\":{\"S\":\"new %u\"}},\"ConditionExpression\":\"attribute_not_exists(p)\"}",
        ++number);
    make(&call, "PutItem", body, deadline_ms);
    call.once = once;
    (void)aws_call(client, &call).code;
    return call;
}

static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fault_cases); i++) {
        const struct fault_case *c = &fault_cases[i];
        aws_server_do("clear");
        unsigned before = aws_server_ask("count PutItem");
        aws_server_do("fault %s", c->fault);
        /* Faults without end: the deadline is what ends the call. */
        struct aws_call call = put_new(strstr(c->fault, "-1") ? 400 : 20000, false);
        if ((c->error ? !error_is(call.error, c->error) : call.error.code != 0) ||
            call.unsure != c->unsure || (c->tries ? call.tries != c->tries : call.tries < 2))
            fail_msg("%s: %s, unsure %d, %u tries", c->fault, error_name(call.error), call.unsure,
                     call.tries);
        assert_int_equal(aws_server_ask("count PutItem"), before + c->carried_out);
        aws_call_release(&call);
    }
}

static void test_once_is_never_repeated_when_unsure(void **state)
{
    (void)state;
    unsigned before = aws_server_ask("count PutItem");
    aws_server_do("fault drop PutItem 1");
    struct aws_call call = put_new(20000, true);
    assert_true(error_is(call.error, ERROR_AWS_UNREACHABLE));
    assert_true(call.unsure);
    assert_int_equal(call.tries, 1);
    aws_call_release(&call);
    assert_int_equal(aws_server_ask("count PutItem"), before + 1);
    /* Nothing was carried out: repeated all the same. */
    aws_server_do("fault throttle PutItem 1");
    call = put_new(20000, true);
    assert_int_equal(call.error.code, 0);
    assert_int_equal(call.tries, 2);
    aws_call_release(&call);
}

static void test_the_deadline_holds(void **state)
{
    (void)state;
    aws_server_do("fault late ListTables -1 1500");
    struct aws_call call;
    uint64_t then = clock_mono_ms();
    make(&call, "ListTables", "{}", 300);
    assert_true(error_is(aws_call(client, &call), ERROR_AWS_UNREACHABLE));
    assert_true(clock_mono_ms() - then < 1200);
    assert_true(call.unsure);
    aws_call_release(&call);
}

/* The server takes one at a time: that so many come back is a matter of their being on their way together. */
static void test_many_calls_at_once(void **state)
{
    (void)state;
    static struct aws_call calls[200];
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        make(&calls[i], i % 3 ? "ListTables" : "DescribeTable",
             i % 3 ? "{}" : "{\"TableName\":\"none\"}", 60000);
    aws_server_do("fault throttle ListTables 20");
    aws_server_do("fault drop ListTables 5");
    aws_server_do("fault delay ListTables 64 100");
    assert_int_equal(aws_call_many(client, calls, ARRAY_LEN(calls)).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (i % 3)
            assert_int_equal(calls[i].error.code, 0);
        else
            assert_true(error_is(calls[i].error, ERROR_AWS_REFUSED));
        assert_string_equal(calls[i].fault.type, i % 3 ? "" : "ResourceNotFoundException");
        aws_call_release(&calls[i]);
    }
}

static void test_connections_are_kept(void **state)
{
    (void)state;
    unsigned before = aws_server_ask("connections");
    for (int i = 0; i < 20; i++) {
        struct aws_call call = ask("ListTables", "{}");
        assert_int_equal(call.error.code, 0);
        aws_call_release(&call);
    }
    assert_true(aws_server_ask("connections") <= before + 1);
}

static void test_a_wrong_region_is_told(void **state)
{
    (void)state;
    struct aws_config elsewhere = config;
    struct aws_session *other = NULL;
    struct aws_client *to = NULL;
    struct aws_call call;
    (void)snprintf(elsewhere.region, sizeof elsewhere.region, "us-east-1");
    assert_int_equal(aws_session_open(&elsewhere, &aws_server_inputs, &other).code, 0);
    assert_int_equal(aws_client_open(other, &dynamodb_service, NULL, &to).code, 0);
    make(&call, "ListTables", "{}", 5000);
    assert_true(error_is(aws_call(to, &call), ERROR_AWS_DENIED));
    assert_int_equal(call.tries, 1);
    assert_string_equal(call.fault.type, "InvalidSignatureException");
    aws_call_release(&call);
    aws_client_close(to);
    aws_session_close(other);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct aws_config nowhere = config;
    struct aws_session *other = NULL;
    struct aws_client *to = NULL;
    struct aws_call call;
    static const char *const urls[] = {"http://127.0.0.1:1", "http://no-such-name.invalid:1"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        (void)snprintf(nowhere.endpoint_url, sizeof nowhere.endpoint_url, "%s", urls[i]);
        assert_int_equal(aws_session_open(&nowhere, &aws_server_inputs, &other).code, 0);
        assert_int_equal(aws_client_open(other, &dynamodb_service, NULL, &to).code, 0);
        make(&call, "ListTables", "{}", 300);
        assert_true(error_is(aws_call(to, &call), ERROR_AWS_UNREACHABLE));
        assert_false(call.unsure);
        aws_call_release(&call);
        aws_client_close(to);
        aws_session_close(other);
    }
}

static struct aws_call
ask_at(const char *url_to, unsigned port, const char *ca_bundle, uint32_t deadline_ms)
{
    struct aws_config there = config;
    struct aws_session *other = NULL;
    struct aws_client *to = NULL;
    struct aws_call call;
    const struct aws_inputs inputs = {read_with_bundle, (void *)(uintptr_t)ca_bundle};
    char url[128];
    (void)snprintf(url, sizeof url, "%s:%u", url_to, port);
    (void)snprintf(there.endpoint_url, sizeof there.endpoint_url, "%s", url);
    assert_int_equal(aws_session_open(&there, &inputs, &other).code, 0);
    assert_int_equal(aws_client_open(other, &dynamodb_service, NULL, &to).code, 0);
    make(&call, "ListTables", "{}", deadline_ms);
    (void)aws_call(to, &call).code;
    aws_client_close(to);
    aws_session_close(other);
    return call;
}

static void test_a_name_is_looked_up(void **state)
{
    (void)state;
    unsigned port = 0;
    assert_int_equal(sscanf(aws_server_endpoint(), "http://127.0.0.1:%u", &port), 1);
    struct aws_call call = ask_at("http://localhost", port, "", 5000);
    assert_int_equal(call.error.code, 0);
    aws_call_release(&call);
}

/* --- TLS ---------------------------------------------------------------------------------------------------------------------- */

static void
make_certificate(const struct folder *folder, const char *name, const char *alternatives)
{
    char command[1024];
    (void)snprintf(
        command, sizeof command,
        "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out %s.crt "
        "-days 2 -subj /CN=test -addext subjectAltName=%s 2>/dev/null && cat key %s.crt > %s.pem",
        folder->path, name, alternatives, name, name);
    assert_int_equal(system(command), 0);
}

static void test_tls_is_checked(void **state)
{
    (void)state;
    struct folder folder;
    folder_make(&folder);
    make_certificate(&folder, "good", "IP:127.0.0.1,DNS:localhost");
    make_certificate(&folder, "other", "DNS:example.org");
    unsigned good = aws_server_ask("tls %s", folder_at(&folder, "good.pem"));
    unsigned other = aws_server_ask("tls %s", folder_at(&folder, "other.pem"));
    static const struct {
        const char *url;
        bool other;
        const char *bundle; /* "": the system's */
        bool trusted;
    } cases[] = {
        {"https://127.0.0.1", false, "good.crt", true},
        {"https://localhost", false, "good.crt", true},
        {"https://127.0.0.1", false, "", false},
        {"https://127.0.0.1", false, "other.crt", false},
        {"https://127.0.0.1", true, "other.crt", false}, /* another name's */
        {"http://127.0.0.1", false, "good.crt", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned before = aws_server_ask("count *");
        struct aws_call call = ask_at(cases[i].url, cases[i].other ? other : good,
                                      cases[i].bundle[0] ? folder_at(&folder, cases[i].bundle) : "",
                                      cases[i].trusted ? 20000 : 700);
        if (call.error.code != 0 && !error_is(call.error, ERROR_AWS_UNREACHABLE))
            fail_msg("case %zu: %s", i, error_name(call.error));
        assert_int_equal(call.error.code == 0, cases[i].trusted);
        assert_int_equal(aws_server_ask("count *"), before + cases[i].trusted);
        aws_call_release(&call);
    }
    folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_signed_calls_are_answered, each),
        cmocka_unit_test_setup(test_a_refusal_is_told_once, each),
        cmocka_unit_test_setup(test_faults, each),
        cmocka_unit_test_setup(test_once_is_never_repeated_when_unsure, each),
        cmocka_unit_test_setup(test_the_deadline_holds, each),
        cmocka_unit_test_setup(test_many_calls_at_once, each),
        cmocka_unit_test_setup(test_connections_are_kept, each),
        cmocka_unit_test_setup(test_a_wrong_region_is_told, each),
        cmocka_unit_test_setup(test_nobody_listens, each),
        cmocka_unit_test_setup(test_a_name_is_looked_up, each),
        cmocka_unit_test_setup(test_tls_is_checked, each),
    };
    if (!aws_server_exists())
        return AWS_SERVER_SKIPPED;
    return cmocka_run_group_tests(tests, begin, end);
}
