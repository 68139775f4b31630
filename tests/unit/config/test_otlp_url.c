/* Which collectors an endpoint may name. */
#include <string.h>

#include "config/otlp_url.h"
#include "support/test.h"

static char url[OTLP_URL_SIZE];

static bool takes(const char *endpoint, bool in_the_clear)
{
    return !otlp_url(endpoint, in_the_clear, url).code;
}

static void becomes(const char *endpoint, const char *expected)
{
    assert_true(takes(endpoint, false));
    assert_string_equal(url, expected);
}

static void test_the_path_is_appended(void **state)
{
    (void)state;
    becomes("https://collector.example", "https://collector.example/v1/traces");
    becomes("https://collector.example/", "https://collector.example/v1/traces");
    becomes("https://collector.example:4318/otlp/",
            "https://collector.example:4318/otlp/v1/traces");
    becomes("https://[2001:db8::1]:4318", "https://[2001:db8::1]:4318/v1/traces");
    assert_false(takes("https://collector.example/v1/traces", false));
    assert_false(takes("https://collector.example/v1/traces/", false));
}

static void test_in_the_clear_to_loopback_alone(void **state)
{
    (void)state;
    becomes("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces");
    becomes("http://127.9.9.9", "http://127.9.9.9/v1/traces");
    becomes("http://[::1]:4318", "http://[::1]:4318/v1/traces");
    becomes("http://localhost:4318", "http://localhost:4318/v1/traces");
    static const char *const elsewhere[] = {"http://collector.example", "http://10.0.0.1:4318",
                                            "http://localhost.example", "http://[::2]",
                                            "http://127.0.0.1.example"};
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        assert_false(takes(elsewhere[i], false));
        assert_true(takes(elsewhere[i], true));
    }
}

static void test_nothing_but_host_port_and_path(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "collector.example",
        "ftp://collector.example",
        "HTTPS://collector.example",
        "https://",
        "https:///path",
        "https://:4318",
        "https://user@collector.example",
        "https://user:secret@collector.example",
        "https://collector.example?token=1",
        "https://collector.example#here",
        "https://collector.example:0",
        "https://collector.example:65536",
        "https://collector.example:",
        "https://collector.example:4318x",
        "https://[::1",
        "https://[]:4318",
        "https://[::1]4318",
        "https://collector example",
        "https://collector.example/%41",
    };
    for (size_t i = 0; i < ARRAY_LEN(broken); i++)
        assert_false(takes(broken[i], true));
}

static void test_the_longest_one(void **state)
{
    (void)state;
    char endpoint[CONFIG_TEXT_MAX];
    memset(endpoint, 'a', sizeof endpoint);
    memcpy(endpoint, "https://", 8);
    endpoint[sizeof endpoint - 1] = 0;
    assert_true(takes(endpoint, false));
    assert_int_equal(strlen(url), strlen(endpoint) + strlen("/v1/traces"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_path_is_appended),
        cmocka_unit_test(test_in_the_clear_to_loopback_alone),
        cmocka_unit_test(test_nothing_but_host_port_and_path),
        cmocka_unit_test(test_the_longest_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
