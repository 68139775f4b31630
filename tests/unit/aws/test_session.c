/* Where credentials come from, and for how long they are used: every source against an endpoint that answers like AWS's. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#include "aws/dynamodb.h"
#include "support/aws_server.h"
#include "support/test.h"

#define KEY    "AKIDTEST"
#define SECRET "wJalr/XUtnFEMI+K7MDENG/bPxRfiCYEXAMPLEKEY"

/* What the sources read. */
static struct {
    char environment[2048];
    size_t environment_len;
    char texts[AWS_INPUT_END][2048];
    unsigned reads[AWS_INPUT_END];
} given;
static struct aws_config config;
static struct aws_credentials credentials;
static struct aws_session *session;

static cc_err read_given(void *context, enum aws_input input, struct buf *ret_text)
{
    (void)context;
    given.reads[input]++;
    if (input == AWS_INPUT_ENVIRONMENT)
        return buf_append(ret_text, given.environment, given.environment_len);
    return buf_append_str(ret_text, given.texts[input]);
}

static const struct aws_inputs inputs = {read_given, NULL};

static void variable(const char *fmt, ...) CC_PRINTF(1, 2);
static void variable(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(given.environment + given.environment_len,
                      sizeof given.environment - given.environment_len, fmt, ap);
    va_end(ap);
    given.environment_len += (size_t)n + 1;
    assert_true(given.environment_len < sizeof given.environment);
}

static void text(enum aws_input input, const char *content)
{
    (void)snprintf(given.texts[input], sizeof given.texts[input], "%s", content);
}

/* Nothing is set up, and nothing outside of this machine is asked. */
static int begin(void **state)
{
    (void)state;
    memset(&given, 0, sizeof given);
    aws_server_config(&config);
    aws_server_do("clear");
    aws_server_do("give ASIAGIVEN given-secret given/token+of=base64 3600");
    variable("AWS_EC2_METADATA_SERVICE_ENDPOINT=%s/", aws_server_endpoint());
    variable("AWS_ENDPOINT_URL_SSO=%s", aws_server_endpoint());
    return 0;
}

static int end(void **state)
{
    (void)state;
    aws_session_close(session);
    session = NULL;
    return 0;
}

static void open_session(void)
{
    cc_err err = aws_session_open(&config, &inputs, &session);
    if (err.code)
        fail_msg("%s: %s", error_text(err), error_detail());
}

static cc_err get(void)
{
    if (!session)
        open_session();
    return aws_session_credentials(session, "", &credentials);
}

static void expect_key(const char *key_id)
{
    cc_err err = get();
    if (err.code)
        fail_msg("%s: %s", error_text(err), error_detail());
    assert_string_equal(credentials.key_id, key_id);
}

static void expect_refusal(const char *part)
{
    cc_err err = get();
    assert_true(error_is(err, ERROR_AWS_CREDENTIALS));
    if (!strstr(error_detail(), part))
        fail_msg("\"%s\" is not in \"%s\"", part, error_detail());
}

/* --- sources --------------------------------------------------------------------------------------------------------------- */

static void test_environment(void **state)
{
    (void)state;
    variable("AWS_ACCESS_KEY_ID=" KEY);
    variable("AWS_SECRET_ACCESS_KEY=" SECRET);
    variable("AWS_SESSION_TOKEN=tok");
    text(AWS_INPUT_CREDENTIALS_FILE,
         "[default]\naws_access_key_id=other\naws_secret_access_key=x\n");
    expect_key(KEY);
    assert_string_equal(credentials.session_token, "tok");
    assert_int_equal(credentials.expires, 0);
}

static void test_half_a_key_is_none(void **state)
{
    (void)state;
    variable("AWS_ACCESS_KEY_ID=" KEY);
    expect_refusal("id and its secret");
}

static void test_a_profile_of_the_configuration_counts_before_the_environment(void **state)
{
    (void)state;
    variable("AWS_ACCESS_KEY_ID=" KEY);
    variable("AWS_SECRET_ACCESS_KEY=" SECRET);
    (void)snprintf(config.profile, sizeof config.profile, "mine");
    text(AWS_INPUT_CREDENTIALS_FILE, "[mine]\naws_access_key_id=MINE\naws_secret_access_key=x\n");
    expect_key("MINE");
}

static void test_a_profile_that_is_not_there(void **state)
{
    (void)state;
    (void)snprintf(config.profile, sizeof config.profile, "nobody");
    expect_refusal("no such profile");
}

static void test_credential_process(void **state)
{
    (void)state;
    text(AWS_INPUT_CONFIG_FILE, "[default]\ncredential_process = /x\n");
    text(AWS_INPUT_PROCESS, "{\"Version\":1,\"AccessKeyId\":\"PROC\",\"SecretAccessKey\":\"s\"}");
    expect_key("PROC");
    end(NULL);
    text(
        AWS_INPUT_PROCESS,
        "{\"Version\":1,\"AccessKeyId\":\"P\",\"SecretAccessKey\":\"s\",\"Expiration\":\"2020-01-01T00:00:00Z\"}");
    expect_refusal("expired");
    end(NULL);
    text(AWS_INPUT_PROCESS, "");
    expect_refusal("written nothing");
}

static void test_assumed_role(void **state)
{
    (void)state;
    aws_server_do("expect external let-me-in");
    text(AWS_INPUT_CONFIG_FILE,
         "[default]\nrole_arn=arn:aws:iam::111122223333:role/signer\nsource_profile=base\n"
         "external_id=let-me-in\nduration_seconds=900\n[profile base]\n"
         "aws_access_key_id=" KEY "\naws_secret_access_key=" SECRET "\n");
    expect_key("ASIAGIVEN");
    assert_string_equal(credentials.secret_key, "given-secret");
    assert_string_equal(credentials.session_token, "given/token+of=base64");
    assert_true(credentials.expires > time(NULL) + 3500);
    end(NULL);
    aws_server_do("expect external another");
    cc_err err = get();
    assert_true(error_is(err, ERROR_AWS_DENIED));
    aws_server_do("expect external");
}

static void test_a_chain_of_roles(void **state)
{
    (void)state;
    unsigned before = aws_server_ask("count sts");
    aws_server_do("expect external");
    text(AWS_INPUT_CONFIG_FILE,
         "[default]\nrole_arn=arn:aws:iam::1:role/outer\nsource_profile=inner\n[profile inner]\n"
         "role_arn=arn:aws:iam::1:role/inner\ncredential_source=Environment\n");
    variable("AWS_ACCESS_KEY_ID=" KEY);
    variable("AWS_SECRET_ACCESS_KEY=" SECRET);
    /* The environment itself comes first, unless the profile was chosen. */
    (void)snprintf(config.profile, sizeof config.profile, "default");
    expect_key("ASIAGIVEN");
    assert_int_equal(aws_server_ask("count sts"), before + 2);
}

static void test_a_role_that_wants_a_person(void **state)
{
    (void)state;
    text(AWS_INPUT_CONFIG_FILE,
         "[default]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=default\nmfa_serial=x\n"
         "aws_access_key_id=" KEY "\naws_secret_access_key=" SECRET "\n");
    expect_refusal("mfa_serial");
}

static void test_web_identity(void **state)
{
    (void)state;
    variable("AWS_ROLE_ARN=arn:aws:iam::1:role/pod");
    variable("AWS_WEB_IDENTITY_TOKEN_FILE=/not/read/by/us");
    text(AWS_INPUT_WEB_IDENTITY_TOKEN, "web-token\n");
    expect_key("ASIAGIVEN");
    end(NULL);
    text(AWS_INPUT_WEB_IDENTITY_TOKEN, "an old one");
    cc_err err = get();
    assert_true(error_is(err, ERROR_AWS_DENIED));
    end(NULL);
    text(AWS_INPUT_WEB_IDENTITY_TOKEN, "\n");
    expect_refusal("token file is missing");
}

static void test_web_identity_of_a_profile(void **state)
{
    (void)state;
    text(AWS_INPUT_CONFIG_FILE,
         "[default]\nrole_arn=arn:aws:iam::1:role/pod\nweb_identity_token_file=/x\n");
    text(AWS_INPUT_WEB_IDENTITY_TOKEN, "web-token");
    expect_key("ASIAGIVEN");
}

static const char sso_profile[] =
    "[default]\nsso_session=work\nsso_account_id=111122223333\nsso_role_name=Signer Role\n"
    "[sso-session work]\nsso_region=eu-west-1\nsso_start_url=https://x.awsapps.com/start\n";

static void test_sso(void **state)
{
    (void)state;
    text(AWS_INPUT_CONFIG_FILE, sso_profile);
    text(AWS_INPUT_SSO_TOKEN,
         "{\"accessToken\":\"sso-token\",\"expiresAt\":\"2999-01-01T00:00:00Z\"}");
    expect_key("ASIAGIVEN");
    end(NULL);
    text(AWS_INPUT_SSO_TOKEN,
         "{\"accessToken\":\"sso-token\",\"expiresAt\":\"2020-01-01T00:00:00UTC\"}");
    expect_refusal("aws sso login");
    end(NULL);
    text(AWS_INPUT_SSO_TOKEN, "");
    expect_refusal("aws sso login");
    end(NULL);
    text(AWS_INPUT_SSO_TOKEN, "{\"accessToken\":\"wrong\",\"expiresAt\":\"2999-01-01T00:00:00Z\"}");
    expect_refusal("SSO refuses");
}

static void test_container(void **state)
{
    (void)state;
    aws_server_do("expect container Bearer pod");
    variable("AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/container", aws_server_endpoint());
    variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/not/read/by/us");
    text(AWS_INPUT_CONTAINER_TOKEN, "Bearer pod\n");
    expect_key("ASIAGIVEN");
    end(NULL);
    text(AWS_INPUT_CONTAINER_TOKEN, "");
    expect_refusal("token file is missing");
    end(NULL);
    text(AWS_INPUT_CONTAINER_TOKEN, "a\nb");
    expect_refusal("character that none can have");
    end(NULL);
    text(AWS_INPUT_CONTAINER_TOKEN, "Bearer stranger");
    cc_err err = get();
    assert_true(error_is(err, ERROR_AWS_DENIED));
}

static void test_a_far_container_needs_tls(void **state)
{
    (void)state;
    variable("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://192.0.2.1/");
    expect_refusal("need https");
}

static void test_instance(void **state)
{
    (void)state;
    expect_key("ASIAGIVEN");
    assert_true(aws_server_ask("count imds-token") >= 1);
    end(NULL);
    aws_server_do("fault 500 imds-token 2");
    expect_key("ASIAGIVEN");
    /* Credentials that have ended while the service's own source is down: still used, and asked for again soon. */
    end(NULL);
    aws_server_do("give ASIAOLD s t -100");
    expect_key("ASIAOLD");
    assert_true(credentials.expires > time(NULL) && credentials.expires < time(NULL) + 400);
}

static void test_an_instance_that_does_not_answer(void **state)
{
    (void)state;
    aws_server_do("fault refuse imds-token 3");
    expect_refusal("hop limit");
}

static void test_nothing_is_set_up(void **state)
{
    (void)state;
    variable("AWS_EC2_METADATA_DISABLED=true");
    expect_refusal("no source of credentials is set up");
}

/* --- renewal ------------------------------------------------------------------------------------------------------------------ */

static void test_credentials_are_kept_while_they_are_good(void **state)
{
    (void)state;
    unsigned before = aws_server_ask("count imds");
    for (int i = 0; i < 10; i++)
        expect_key("ASIAGIVEN");
    assert_int_equal(aws_server_ask("count imds"), before + 1);
}

static void test_others_are_fetched_when_these_end(void **state)
{
    (void)state;
    variable("AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/container", aws_server_endpoint());
    aws_server_do("expect container");
    aws_server_do(
        "give ASIASHORT s t 13"); /* good for three seconds more: a request needs ten to arrive */
    expect_key("ASIASHORT");
    aws_server_do("give ASIANEXT s t 3600");
    uint64_t limit = clock_mono_ms() + 30000;
    do
        (void)get(); /* it fails where this thread slept beyond their end: a fetch has just been */
    while (strcmp(credentials.key_id, "ASIANEXT") != 0 && clock_mono_ms() < limit);
    assert_string_equal(credentials.key_id, "ASIANEXT");
}

static void test_a_refused_key_is_replaced_once(void **state)
{
    (void)state;
    variable("AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/container", aws_server_endpoint());
    aws_server_do("expect container");
    aws_server_do("give ASIAFIRST s t 3600");
    expect_key("ASIAFIRST");
    aws_server_do("give ASIASECOND s t 3600");
    expect_key("ASIAFIRST");
    uint64_t limit =
        clock_mono_ms() + 20000; /* a fetch has just been: the next is a second later */
    do
        assert_int_equal(aws_session_credentials(session, "ASIAFIRST", &credentials).code, 0);
    while (strcmp(credentials.key_id, "ASIASECOND") != 0 && clock_mono_ms() < limit);
    assert_string_equal(credentials.key_id, "ASIASECOND");
    unsigned before = aws_server_ask("count container");
    assert_int_equal(aws_session_credentials(session, "ASIAFIRST", &credentials).code, 0);
    assert_string_equal(credentials.key_id, "ASIASECOND");
    assert_int_equal(aws_server_ask("count container"), before);
}

static void test_old_ones_are_used_while_a_renewal_fails(void **state)
{
    (void)state;
    variable("AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/container", aws_server_endpoint());
    aws_server_do("expect container");
    aws_server_do("give ASIAKEPT s t 3600");
    expect_key("ASIAKEPT");
    aws_server_do("fault 500 container -1");
    uint64_t limit = clock_mono_ms() + 20000;
    unsigned before = given.reads[AWS_INPUT_ENVIRONMENT];
    do {
        assert_int_equal(aws_session_credentials(session, "ASIAKEPT", &credentials).code, 0);
        assert_string_equal(credentials.key_id, "ASIAKEPT");
    } while (given.reads[AWS_INPUT_ENVIRONMENT] == before && clock_mono_ms() < limit);
    assert_true(given.reads[AWS_INPUT_ENVIRONMENT] > before);
}

static void *get_many(void *context)
{
    struct aws_credentials *mine = context;
    for (int i = 0; i < 20; i++)
        if (aws_session_credentials(session, "", mine).code)
            return NULL;
    return mine;
}

static void test_threads_share_one_fetch(void **state)
{
    (void)state;
    pthread_t threads[8];
    static struct aws_credentials mine[8];
    aws_server_do("fault delay imds 1 200");
    unsigned before = aws_server_ask("count imds");
    open_session();
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_many, &mine[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *done = NULL;
        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_ptr_equal(done, &mine[i]);
        assert_string_equal(mine[i].key_id, "ASIAGIVEN");
    }
    assert_int_equal(aws_server_ask("count imds"), before + 1);
}

static void test_a_client_renews_what_is_refused(void **state)
{
    (void)state;
    struct aws_client *client = NULL;
    struct aws_call call = {
        .operation = "ListTables", .body = span_str("{}"), .deadline_ms = 20000};
    variable("AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/container", aws_server_endpoint());
    aws_server_do("expect container");
    aws_server_do("give ASIAFIRST s t 3600");
    expect_key("ASIAFIRST");
    assert_int_equal(aws_client_open(session, &dynamodb_service, NULL, &client).code, 0);
    assert_int_equal(aws_call(client, &call).code, 0);
    aws_call_release(&call);
    aws_server_do("forget ASIAFIRST");
    aws_server_do("give ASIASECOND s t 3600");
    uint64_t limit = clock_mono_ms() + 20000;
    while (aws_call(client, &call).code && clock_mono_ms() < limit)
        aws_call_release(&call);
    assert_int_equal(call.error.code, 0);
    assert_int_equal(call.tries, 2);
    aws_call_release(&call);
    aws_client_close(client);
}

/* --- whose they are ----------------------------------------------------------------------------------------------------------- */

static void from_container(void)
{
    variable("AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/container", aws_server_endpoint());
    aws_server_do("expect container");
}

static void test_T11_credentials_of_another_account_are_not_used(void **state)
{
    (void)state;
    from_container();
    aws_server_do("give ASIATHEIRS s t 3600");
    aws_server_do("account ASIATHEIRS 999999999999");
    open_session();
    aws_session_pin(session, "123456789012");
    assert_true(error_is(get(), ERROR_AWS_ACCOUNT));
    assert_true(error_is(get(), ERROR_AWS_ACCOUNT)); /* who comes before the next try, too */
    aws_server_do("give ASIAOURS s t 3600");
    uint64_t limit = clock_mono_ms() + 20000;
    while (get().code && clock_mono_ms() < limit)
        ;
    expect_key("ASIAOURS");
}

static void test_T11_right_ones_are_kept_when_a_renewal_brings_wrong_ones(void **state)
{
    (void)state;
    from_container();
    aws_server_do("give ASIARIGHT s t 3600");
    open_session();
    aws_session_pin(session, "123456789012");
    expect_key("ASIARIGHT");
    aws_server_do("give ASIATHEIRS s t 3600");
    aws_server_do("account ASIATHEIRS 999999999999");
    unsigned before = aws_server_ask("count sts-who");
    uint64_t limit = clock_mono_ms() + 20000;
    do {
        assert_int_equal(aws_session_credentials(session, "ASIARIGHT", &credentials).code, 0);
        assert_string_equal(credentials.key_id, "ASIARIGHT");
    } while (aws_server_ask("count sts-who") == before && clock_mono_ms() < limit);
    assert_true(aws_server_ask("count sts-who") > before);
    assert_int_equal(aws_session_credentials(session, "", &credentials).code, 0);
    assert_string_equal(credentials.key_id, "ASIARIGHT");
}

static void test_T11_nobody_says_whose_they_are(void **state)
{
    (void)state;
    from_container();
    open_session();
    aws_session_pin(session, "123456789012");
    aws_server_do("fault 503 sts-who 3");
    assert_true(error_is(get(), ERROR_AWS_UNREACHABLE));
    end(NULL);
    open_session();
    aws_session_pin(session, "123456789012");
    aws_server_do("fault large sts-who 1 100"); /* an answer that is none */
    expect_refusal("whose the credentials are");
    end(NULL);
    /* Without an account nobody is asked. */
    unsigned before = aws_server_ask("count sts-who");
    expect_key("ASIAGIVEN");
    assert_int_equal(aws_server_ask("count sts-who"), before);
}

/* --- settings ------------------------------------------------------------------------------------------------------------------- */

static void expect_endpoint(const char *service, const char *expected)
{
    char url[AWS_ENDPOINT_MAX];
    assert_int_equal(aws_session_endpoint(session, service, url).code, 0);
    assert_string_equal(url, expected);
}

static void test_region_and_endpoints(void **state)
{
    (void)state;
    memset(&config, 0, sizeof config);
    assert_true(error_is(aws_session_open(&config, &inputs, &session), ERROR_CONFIG));
    text(
        AWS_INPUT_CONFIG_FILE,
        "[default]\nregion = eu-west-3\nservices = s\n[services s]\nkms =\n  endpoint_url = http://k:1\n");
    open_session();
    assert_string_equal(aws_session_region(session), "eu-west-3");
    expect_endpoint("dynamodb", "https://dynamodb.eu-west-3.amazonaws.com");
    expect_endpoint("kms", "http://k:1");
    end(NULL);
    variable("AWS_DEFAULT_REGION=eu-west-2");
    variable("AWS_ENDPOINT_URL_DYNAMODB=http://d:2");
    variable("AWS_USE_FIPS_ENDPOINT=true");
    open_session();
    assert_string_equal(aws_session_region(session), "eu-west-2");
    expect_endpoint("dynamodb", "http://d:2");
    expect_endpoint("sts", "https://sts-fips.eu-west-2.amazonaws.com");
    end(NULL);
    variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true");
    variable("AWS_REGION=eu-west-1");
    (void)snprintf(config.sts_endpoint_url, sizeof config.sts_endpoint_url, "http://s:3");
    open_session();
    assert_string_equal(aws_session_region(session), "eu-west-1");
    expect_endpoint("dynamodb", "https://dynamodb-fips.eu-west-1.amazonaws.com");
    expect_endpoint("sts", "http://s:3");
    end(NULL);
    (void)snprintf(config.region, sizeof config.region, "x/y");
    assert_true(error_is(aws_session_open(&config, &inputs, &session), ERROR_CONFIG));
    (void)snprintf(config.region, sizeof config.region, "eu-west-1");
    (void)snprintf(config.endpoint_url, sizeof config.endpoint_url, "localhost:4566");
    assert_true(error_is(aws_session_open(&config, &inputs, &session), ERROR_CONFIG));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
        T(test_environment),
        T(test_half_a_key_is_none),
        T(test_a_profile_of_the_configuration_counts_before_the_environment),
        T(test_a_profile_that_is_not_there),
        T(test_credential_process),
        T(test_assumed_role),
        T(test_a_chain_of_roles),
        T(test_a_role_that_wants_a_person),
        T(test_web_identity),
        T(test_web_identity_of_a_profile),
        T(test_sso),
        T(test_container),
        T(test_a_far_container_needs_tls),
        T(test_instance),
        T(test_an_instance_that_does_not_answer),
        T(test_nothing_is_set_up),
        T(test_credentials_are_kept_while_they_are_good),
        T(test_others_are_fetched_when_these_end),
        T(test_a_refused_key_is_replaced_once),
        T(test_old_ones_are_used_while_a_renewal_fails),
        T(test_threads_share_one_fetch),
        T(test_a_client_renews_what_is_refused),
        T(test_T11_credentials_of_another_account_are_not_used),
        T(test_T11_right_ones_are_kept_when_a_renewal_brings_wrong_ones),
        T(test_T11_nobody_says_whose_they_are),
        T(test_region_and_endpoints),
#undef T
    };
    if (!aws_server_exists())
        return AWS_SERVER_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
