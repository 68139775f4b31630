/* Everything of src/aws that reads or makes a text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/answer.h"
#include "aws/dynamodb.h"
#include "aws/endpoint.h"
#include "aws/environment.h"
#include "aws/fault.h"
#include "aws/form.h"
#include "aws/ini.h"
#include "aws/metadata.h"
#include "aws/profile.h"
#include "aws/resolve.h"
#include "aws/time.h"
#include "support/test.h"

static void expect(struct span value, const char *text)
{
    if (!span_is(value, text))
        fail_msg("\"%.*s\" is not \"%s\"", (int)value.len,
                 value.len ? (const char *)value.data : "", text);
}

/* --- INI --------------------------------------------------------------------------------------------------------------- */

static const char ini[] = "# a comment\n"
                          "outside = 1\n"
                          "[default]\n"
                          "region=eu-west-1\r\n"
                          "  aws_access_key_id = nested, since it is indented\n"
                          "Output = json ; why\n"
                          "hash = a#b\n"
                          "empty =\n"
                          "no value here\n"
                          "= no key\n"
                          "[profile  \"two words\" ] ; behind\n"
                          "region = r2\n"
                          "[services local]\n"
                          "dynamodb =\n"
                          "  endpoint_url = http://one:1\n"
                          "kms =\n"
                          "\tendpoint_url = http://two:2\n"
                          "[default]\n"
                          "region = eu-west-3\n"
                          "[broken\n"
                          "region = lost\n";

static struct span get(const char *kind, const char *name, const char *key, const char *below)
{
    bool found = false;
    return aws_ini_get(span_str(ini), kind, span_str(name), key, below, &found);
}

static void test_ini(void **state)
{
    (void)state;
    bool found = true;
    expect(get("", "default", "region", ""), "eu-west-3"); /* the later one counts */
    expect(get("", "default", "output", ""), "json");
    expect(get("", "default", "hash", ""), "a#b");
    expect(get("", "default", "empty", ""), "");
    expect(get("", "default", "region", "aws_access_key_id"), "nested, since it is indented");
    expect(get("", "default", "aws_access_key_id", ""), "");
    expect(get("profile", "two words", "region", ""), "r2");
    expect(get("services", "local", "dynamodb", "endpoint_url"), "http://one:1");
    expect(get("services", "local", "kms", "endpoint_url"), "http://two:2");
    expect(get("", "default", "outside", ""), "");
    expect(get("profile", "default", "region", ""), "");
    expect(aws_ini_get(span_str(ini), "", span_str("nobody"), "region", "", &found), "");
    assert_false(found);
    expect(aws_ini_get(span_of(NULL, 0), "", span_str("default"), "region", "", &found), "");
}

static void test_environment(void **state)
{
    (void)state;
    static const char text[] = "AWS_A=1\0AWS_AB=2\0AWS_A=3\0AWS_EMPTY=\0NOTHING\0AWS_LAST=x=y";
    struct span environment = span_of(text, sizeof text - 1);
    expect(aws_environment_get(environment, "AWS_A"), "1");
    expect(aws_environment_get(environment, "AWS_AB"), "2");
    expect(aws_environment_get(environment, "AWS_EMPTY"), "");
    expect(aws_environment_get(environment, "NOTHING"), "");
    expect(aws_environment_get(environment, "AWS_LAST"), "x=y");
    expect(aws_environment_get(span_of(NULL, 0), "AWS_A"), "");
}

/* --- profiles ------------------------------------------------------------------------------------------------------------ */

static struct aws_files
files_of(const char *environment, const char *config, const char *credentials, const char *wanted)
{
    struct aws_files files = {.environment = span_str(environment),
                              .config = span_str(config),
                              .credentials = span_str(credentials)};
    aws_files_choose(&files, wanted);
    return files;
}

static void test_profiles(void **state)
{
    (void)state;
    struct aws_files files =
        files_of("", "[default]\nregion = a\nx = config\n[profile default]\nregion = b\n",
                 "[default]\nx = credentials\n", "");
    expect(files.profile, "default");
    assert_false(files.chosen);
    expect(aws_profile_get(&files, files.profile, "region"), "b");
    expect(aws_profile_get(&files, files.profile, "x"), "credentials");
    assert_true(aws_profile_exists(&files, span_str("default")));
    assert_false(aws_profile_exists(&files, span_str("other")));
    files = files_of("AWS_PROFILE=other", "[other]\nregion = no\n[profile other]\nregion = yes\n",
                     "", "");
    expect(aws_profile_get(&files, files.profile, "region"), "yes");
    files = files_of("AWS_PROFILE=other", "", "", "mine");
    expect(files.profile, "mine");
    assert_true(files.chosen);
}

static cc_err base_of(const char *config, const char *profile, struct span *ret_base)
{
    struct aws_files files = files_of("", config, "", profile);
    return aws_profile_base(&files, files.profile, ret_base);
}

static void test_chains_of_profiles(void **state)
{
    (void)state;
    struct span base;
    const char *good =
        "[profile a]\nrole_arn=x\nsource_profile=b\n[profile b]\nrole_arn=y\nsource_profile=c\n"
        "[profile c]\naws_access_key_id=k\nsource_profile=ignored, since there is no role\n"
        "[profile self]\nrole_arn=z\nsource_profile=self\n";
    assert_int_equal(base_of(good, "a", &base).code, 0);
    expect(base, "c");
    assert_int_equal(base_of(good, "self", &base).code, 0);
    expect(base, "self");
    const char *round =
        "[profile a]\nrole_arn=x\nsource_profile=b\n[profile b]\nrole_arn=y\nsource_profile=a\n";
    assert_true(error_is(base_of(round, "a", &base), ERROR_AWS_CREDENTIALS));
    const char *missing = "[profile a]\nrole_arn=x\nsource_profile=b\n";
    assert_true(error_is(base_of(missing, "a", &base), ERROR_AWS_CREDENTIALS));
}

static void test_endpoints_of_profiles(void **state)
{
    (void)state;
    struct aws_files files =
        files_of("",
                 "[default]\nservices = s\nendpoint_url = http://all\n[services s]\nkms =\n"
                 "  endpoint_url = http://kms\n",
                 "", "");
    expect(aws_profile_endpoint(&files, "kms"), "http://kms");
    expect(aws_profile_endpoint(&files, "dynamodb"), "http://all");
}

/* --- times ---------------------------------------------------------------------------------------------------------------- */

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* -1: refused */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2000-02-29T12:34:56Z", 951827696},
        {"2026-11-26T10:00:00UTC", 1795687200},
        {"2026-11-26T10:00:00.123456789Z", 1795687200},
        {"2026-11-26T11:30:00+01:30", 1795687200},
        {"2026-11-26T08:00:00-0200", 1795687200},
        {"9999-12-31T23:59:60Z", 253402300800},
        {"", -1},
        {"2026-11-26", -1},
        {"2026-11-26T10:00:00", -1},
        {"2026-11-26 10:00:00Z", -1},
        {"2026-13-01T00:00:00Z", -1},
        {"2026-00-01T00:00:00Z", -1},
        {"2026-02-29T00:00:00Z", -1},
        {"1900-02-28T00:00:00Z", -1},
        {"2026-11-26T24:00:00Z", -1},
        {"2026-11-26T10:60:00Z", -1},
        {"2026-11-26T10:00:00.Z", -1},
        {"2026-11-26T10:00:00Zulu", -1},
        {"2026-11-26T10:00:00+1:00", -1},
        {"2026-11-26T10:00:00+01:0", -1},
        {"2026-11-26T10:00:00+99:00", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t seconds = -1;
        cc_err err = aws_time_parse(span_str(cases[i].text), &seconds);
        if ((cases[i].seconds < 0) != (err.code != 0) || seconds != cases[i].seconds)
            fail_msg("%s: %lld", cases[i].text, (long long)seconds);
    }
}

/* --- credentials ------------------------------------------------------------------------------------------------------------ */

static struct aws_credentials got;

static cc_err read_json(enum aws_answer_form form, const char *text)
{
    CC_CLEANUP(buf_release) struct buf copy = buf_init(65536);
    assert_int_equal(buf_append_str(&copy, text).code, 0);
    memset(&got, 0, sizeof got);
    return aws_answer_json(&copy, form, &got);
}

static void test_credentials_in_json(void **state)
{
    (void)state;
    assert_int_equal(
        read_json(AWS_ANSWER_METADATA,
                  "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s/+=\","
                  "\"Token\":\"t\",\"Expiration\":\"1970-01-01T00:01:00Z\"}")
            .code,
        0);
    assert_string_equal(got.key_id, "A");
    assert_string_equal(got.secret_key, "s/+=");
    assert_string_equal(got.session_token, "t");
    assert_int_equal(got.expires, 60);
    assert_int_equal(read_json(AWS_ANSWER_PROCESS,
                               "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}")
                         .code,
                     0);
    assert_string_equal(got.session_token, "");
    assert_int_equal(got.expires, 0);
    assert_int_equal(
        read_json(AWS_ANSWER_SSO,
                  "{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\","
                  "\"sessionToken\":\"t\",\"expiration\":61999}}")
            .code,
        0);
    assert_int_equal(got.expires, 61);
}

static void test_other_json_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum aws_answer_form form;
        const char *text;
    } cases[] = {
        {AWS_ANSWER_METADATA, ""},
        {AWS_ANSWER_METADATA, "no JSON"},
        {AWS_ANSWER_METADATA, "[]"},
        {AWS_ANSWER_METADATA, "{\"AccessKeyId\":\"A\"}"},
        {AWS_ANSWER_METADATA, "{\"SecretAccessKey\":\"A\"}"},
        {AWS_ANSWER_METADATA, "{\"AccessKeyId\":1,\"SecretAccessKey\":\"s\"}"},
        {AWS_ANSWER_METADATA,
         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Expiration\":\"soon\"}"},
        {AWS_ANSWER_METADATA, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Expiration\":7}"},
        {AWS_ANSWER_METADATA, "{\"AccessKeyId\":\"A\\r\\nX: y\",\"SecretAccessKey\":\"s\"}"},
        {AWS_ANSWER_METADATA,
         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"a b\"}"},
        {AWS_ANSWER_PROCESS, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}"},
        {AWS_ANSWER_PROCESS, "{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\"}"},
        {AWS_ANSWER_SSO, "{\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\"}"},
        {AWS_ANSWER_SSO, "{\"roleCredentials\":[]}"},
        {AWS_ANSWER_SSO,
         "{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\",\"expiration\":\"x\"}}"},
    };
    char long_key[512];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (!error_is(read_json(cases[i].form, cases[i].text), ERROR_AWS_CREDENTIALS))
            fail_msg("taken: %s", cases[i].text);
    (void)snprintf(long_key, sizeof long_key,
                   "{\"AccessKeyId\":\"%0*d\",\"SecretAccessKey\":\"s\"}", 200, 0);
    assert_true(error_is(read_json(AWS_ANSWER_METADATA, long_key), ERROR_AWS_CREDENTIALS));
}

#define XML(key, secret, token, end)                                                               \
    "<R><Credentials><AccessKeyId>" key "</AccessKeyId><SecretAccessKey>" secret                   \
    "</SecretAccessKey><SessionToken>" token "</SessionToken><Expiration>" end                     \
    "</Expiration></Credentials></R>"

static void test_credentials_in_xml(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "<Credentials>",
        "<Credentials></Credentials>",
        XML("A", "s", "t", "soon"),
        XML("", "s", "t", "1970-01-01T00:01:00Z"),
        XML("A", "", "t", "1970-01-01T00:01:00Z"),
        XML("A", "s&amp;", "t", "1970-01-01T00:01:00Z"),
        XML("A", "s", "<t>", "1970-01-01T00:01:00Z"),
        XML("A", "s", "t\n", "1970-01-01T00:01:00Z"),
    };
    memset(&got, 0, sizeof got);
    assert_int_equal(
        aws_answer_xml(span_str(XML("A", "s/+=", "t", "1970-01-01T00:01:00Z")), &got).code, 0);
    assert_string_equal(got.key_id, "A");
    assert_string_equal(got.secret_key, "s/+=");
    assert_string_equal(got.session_token, "t");
    assert_int_equal(got.expires, 60);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!error_is(aws_answer_xml(span_str(refused[i]), &got), ERROR_AWS_CREDENTIALS))
            fail_msg("taken: %s", refused[i]);
}

/* --- faults ------------------------------------------------------------------------------------------------------------------ */

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *header;
        const char *body;
        enum aws_fault_class class;
        const char *type;
    } cases[] = {
        {200, "", "{\"__type\":\"x#AccessDenied\"}", AWS_FAULT_NONE, ""},
        {400, "",
         "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException\"}",
         AWS_FAULT_REFUSED, "ConditionalCheckFailedException"},
        {400, "ThrottlingException:http://x/", "", AWS_FAULT_THROTTLED, "ThrottlingException"},
        {400, "", "{\"code\":\"ExpiredTokenException\"}", AWS_FAULT_EXPIRED,
         "ExpiredTokenException"},
        {403, "", "<ErrorResponse><Error><Code>AccessDenied</Code>", AWS_FAULT_DENIED,
         "AccessDenied"},
        {403, "",
         "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: 2026\"}",
         AWS_FAULT_CLOCK, "InvalidSignatureException"},
        {400, "",
         "{\"__type\":\"x#InvalidSignatureException\",\"message\":\"Signature not yet current: 2026\"}",
         AWS_FAULT_CLOCK, "InvalidSignatureException"},
        {403, "", "{\"__type\":\"InvalidSignatureException\",\"message\":\"no\"}", AWS_FAULT_DENIED,
         "InvalidSignatureException"},
        {429, "", "", AWS_FAULT_THROTTLED, ""},
        {500, "", "<html>", AWS_FAULT_BROKEN, ""},
        {503, "", "{\"__type\":\"a b\"}", AWS_FAULT_BROKEN, ""},
        {403, "", "", AWS_FAULT_DENIED, ""},
        {302, "", "", AWS_FAULT_REFUSED, ""},
        {400, "", "{\"__type\":7}", AWS_FAULT_REFUSED, ""},
        {400, "", "<Code>", AWS_FAULT_REFUSED, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct aws_fault fault;
        aws_fault_read(cases[i].status, cases[i].header, span_str(cases[i].body), &fault);
        if (fault.class != cases[i].class || strcmp(fault.type, cases[i].type) != 0)
            fail_msg("%d %s: class %d, type %s", cases[i].status, cases[i].body, (int)fault.class,
                     fault.type);
        assert_int_equal(aws_fault_error(&fault).code == 0, fault.class == AWS_FAULT_NONE);
    }
}

static enum dynamodb_reason reason_of(const char *type, const char *body)
{
    struct aws_call call = {.answer = buf_init(65536)};
    (void)snprintf(call.fault.type, sizeof call.fault.type, "%s", type);
    assert_int_equal(buf_append_str(&call.answer, body).code, 0);
    enum dynamodb_reason reason = dynamodb_reason(&call);
    aws_call_release(&call);
    return reason;
}

static void test_reasons_of_a_cancelled_transaction(void **state)
{
    (void)state;
    static const char cancelled[] = "TransactionCanceledException";
    assert_int_equal(reason_of("ConditionalCheckFailedException", "{}"), DYNAMODB_CONDITION);
    assert_int_equal(reason_of("SomethingElse", "{}"), DYNAMODB_OTHER);
    assert_int_equal(
        reason_of(
            cancelled,
            "{\"CancellationReasons\":[{\"Code\":\"None\"},{\"Code\":\"TransactionConflict\"}]}"),
        DYNAMODB_CONFLICT);
    assert_int_equal(
        reason_of(cancelled,
                  "{\"CancellationReasons\":[{\"Code\":\"TransactionConflict\"},{\"Code\":"
                  "\"ConditionalCheckFailed\"}]}"),
        DYNAMODB_CONDITION);
    assert_int_equal(reason_of(cancelled,
                               "{\"CancellationReasons\":[{\"Code\":\"ThrottlingError\"},{\"Code\":"
                               "\"ValidationError\"}]}"),
                     DYNAMODB_VALIDATION);
    static const char *const strange[] = {"",
                                          "{}",
                                          "{\"CancellationReasons\":7}",
                                          "{\"CancellationReasons\":[7]}",
                                          "{\"CancellationReasons\":[{}]}",
                                          "{\"CancellationReasons\":[{\"Code\":[]}]}",
                                          "{\"CancellationReasons\":[]}",
                                          "{\"CancellationReasons\":[{\"Code\":\"None\"}]}"};
    for (size_t i = 0; i < ARRAY_LEN(strange); i++)
        assert_int_equal(reason_of(cancelled, strange[i]), DYNAMODB_OTHER);
}

/* --- URLs ---------------------------------------------------------------------------------------------------------------------- */

static void test_urls(void **state)
{
    (void)state;
    struct aws_url url;
    static const char *const refused[] = {
        "",
        "ftp://a",
        "http://",
        "http://a:0",
        "http://a:65536",
        "http://a:x",
        "http://a:",
        "http://[::1",
        "http://[a]",
        "http://a b",
        "http://a/\n",
        "http://u@a",
        "http://a#x",
        "http://a/b#c",
        "http://::1",
        "http://[::1]x",
        "HTTP://a",
        "http://a/\x80",
        "//a",
        "http://[::1]:",
        "http://a:1:2",
        "https://",
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!aws_url_parse(refused[i], &url).code)
            fail_msg("taken: %s", refused[i]);
    assert_int_equal(aws_url_parse("https://dynamodb.eu-west-1.amazonaws.com", &url).code, 0);
    assert_true(url.tls && !url.literal && url.port == 443);
    assert_string_equal(url.path, "");
    assert_int_equal(aws_url_parse("http://[fd00:ec2::254]:8080/a?b=c", &url).code, 0);
    assert_string_equal(url.host, "fd00:ec2::254");
    assert_true(!url.tls && url.literal && url.port == 8080);
    assert_string_equal(url.path, "/a?b=c");
}

static void test_endpoints(void **state)
{
    (void)state;
    char url[AWS_ENDPOINT_MAX];
    static const struct {
        struct aws_endpoint endpoint;
        const char *url;
    } cases[] = {
        {{"dynamodb", "eu-central-1", false, false}, "https://dynamodb.eu-central-1.amazonaws.com"},
        {{"sts", "cn-north-1", false, false}, "https://sts.cn-north-1.amazonaws.com.cn"},
        {{"kms", "us-gov-west-1", true, false}, "https://kms-fips.us-gov-west-1.amazonaws.com"},
        {{"kms", "us-east-1", false, true}, "https://kms.us-east-1.api.aws"},
        {{"kms", "us-isob-east-1", false, false}, "https://kms.us-isob-east-1.sc2s.sgov.gov"},
        {{"kms", "us-iso-east-1", false, true}, NULL},
        {{"kms", "", false, false}, NULL},
        {{"kms", "evil.example/", false, false}, NULL},
        {{"kms", "EU-WEST-1", false, false}, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cc_err err = aws_endpoint_make(&cases[i].endpoint, url);
        assert_int_equal(err.code != 0, cases[i].url == NULL);
        if (cases[i].url)
            assert_string_equal(url, cases[i].url);
    }
}

static void test_forms(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf out = buf_init(1024);
    assert_int_equal(aws_form_add(&out, "A", span_str("a-._~Z9")).code, 0);
    assert_int_equal(aws_form_add(&out, "B", span_str("/+= &\xc3")).code, 0);
    assert_int_equal(aws_form_add(&out, "C", span_str("")).code, 0);
    assert_int_equal(aws_form_add(&out, "D", span_str("d")).code, 0);
    expect(buf_span(&out), "A=a-._~Z9&B=%2F%2B%3D%20%26%C3&D=d");
}

static void test_plain_http_is_for_near_hosts(void **state)
{
    (void)state;
    static const char *const near[] = {"127.0.0.1", "127.9.9.9",     "::1",
                                       "localhost", "169.254.170.2", "169.254.170.23"};
    static const char *const far[] = {"10.0.0.1",    "169.254.1.1", "127.0.0.1.example.org",
                                      "example.org", "::2",         ""};
    for (size_t i = 0; i < ARRAY_LEN(near); i++)
        assert_true(aws_metadata_may_be_plain(near[i]));
    for (size_t i = 0; i < ARRAY_LEN(far); i++)
        assert_false(aws_metadata_may_be_plain(far[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ini),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_chains_of_profiles),
        cmocka_unit_test(test_endpoints_of_profiles),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_credentials_in_json),
        cmocka_unit_test(test_other_json_is_refused),
        cmocka_unit_test(test_credentials_in_xml),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_reasons_of_a_cancelled_transaction),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_plain_http_is_for_near_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
