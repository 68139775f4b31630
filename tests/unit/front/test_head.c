/* Heads that have one reading, and each kind that has two. */
#include <string.h>

#include "front/head.h"
#include "support/test.h"

static struct head head;

/* Lines as "Name: value", apart from one another: no layout is checked. */
static cc_err judge(const char *version, const char *const *lines, size_t count)
{
    head_begin(&head, NULL);
    for (size_t i = 0; i < count; i++) {
        const char *colon = strchr(lines[i], ':');
        const char *value = colon + 1 + (colon[1] == ' ');
        head_add(&head, span_of(lines[i], (size_t)(colon - lines[i])), span_str(value));
    }
    return head_finish(&head, version);
}

#define JUDGE(version, ...)                                                                        \
    judge(version, (const char *const[]){__VA_ARGS__},                                             \
          sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
#define assert_good(...)      assert_int_equal(JUDGE("HTTP/1.1", __VA_ARGS__).code, 0)
#define assert_bad(name, ...) assert_true(error_is(JUDGE("HTTP/1.1", __VA_ARGS__), ERROR_##name))

static void test_plain_heads(void **state)
{
    (void)state;
    assert_good("Host: localhost:9000");
    assert_false(head.has_length || head.chunked);
    assert_good("hOST: a", "content-length: 18446744073709551615");
    assert_true(head.has_length && head.length == UINT64_MAX);
    assert_good("Host: a", "Transfer-Encoding: CHUNKED", "Expect: 100-continue");
    assert_true(head.chunked && head.continues);
    assert_good("Host:");
    assert_good("Host: a", "X-Odd!#$%&'*+-.^_`|~9: tab\tand \xc3\xa9");
    assert_good("Host: a", "Content-Encoding: identity");
    assert_int_equal(JUDGE("HTTP/1.0", "X: y").code, 0);
}

static void test_framing_with_two_readings_is_refused(void **state)
{
    (void)state;
    assert_bad(MALFORMED, "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked");
    assert_bad(MALFORMED, "Host: a", "Content-Length: 5", "Content-Length: 5");
    assert_bad(MALFORMED, "Host: a", "Content-Length: 5", "Content-Length: 6");
    assert_good("Host: a", "Authorization: anything at all");
    assert_bad(MALFORMED, "Host: a", "Authorization: Bearer a", "authorization: Bearer a");
    assert_bad(MALFORMED, "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked");
    static const char *const lengths[] = {
        "+5", "-1", "5,5", "5 5", "0x5", "", "5a", "18446744073709551616", "1e3"};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        char line[64] = "Content-Length: ";
        strcat(line, lengths[i]);
        assert_bad(MALFORMED, "Host: a", line);
    }
    static const char *const codings[] = {"identity", "gzip, chunked", "chunked, chunked",
                                          "xchunked", "chunked;a",     ""};
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        char line[64] = "Transfer-Encoding: ";
        strcat(line, codings[i]);
        assert_bad(MALFORMED, "Host: a", line);
    }
    assert_true(error_is(JUDGE("HTTP/1.0", "Transfer-Encoding: chunked"), ERROR_MALFORMED));
}

static void test_hosts(void **state)
{
    (void)state;
    assert_bad(MALFORMED, "X: y");
    assert_bad(MALFORMED, "Host: a", "Host: a");
    char line[400] = "Host: ";
    memset(line + strlen(line), 'a', 256);
    assert_bad(MALFORMED, line);
}

static void test_names_and_values(void **state)
{
    (void)state;
    assert_bad(MALFORMED, "Host: a", "Content-Length : 5");
    assert_bad(MALFORMED, "Host: a", " X: 5");
    assert_bad(MALFORMED, "Host: a", ": 5");
    assert_bad(MALFORMED, "Host: a", "X(y): 5");
    assert_bad(MALFORMED, "Host: a", "X\xff: 5");
    assert_bad(MALFORMED, "Host: a", "X: a\rb");
    assert_bad(MALFORMED, "Host: a",
               "X: a\x01"
               "b");
    assert_bad(MALFORMED, "Host: a", "X: a\x7f");
}

static void test_versions(void **state)
{
    (void)state;
    static const char *const versions[] = {"HTTP/1.2", "HTTP/0.9", "HTTP/2.0", "http/1.1", ""};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        assert_true(error_is(JUDGE(versions[i], "Host: a"), ERROR_HTTP_VERSION));
}

static void test_T20_origin_and_encodings(void **state)
{
    (void)state;
    assert_bad(ORIGIN_DENIED, "Host: a", "Origin: http://localhost");
    assert_bad(ORIGIN_DENIED, "Host: a", "Origin: null");
    assert_bad(CONTENT_TYPE, "Host: a", "Content-Encoding: gzip");
}

/* The lines of a raw request as the HTTP library hands them out: pointers into the buffer. */
static void add_raw(const char *raw, const char *name, const char *value, size_t value_len)
{
    const char *n = strstr(raw, name);
    const char *v = strstr(n, value);
    head_add(&head, span_of(n, strlen(name)), span_of(v, value_len));
}

static void test_hidden_bytes_are_found(void **state)
{
    (void)state;
    static const char good[] = "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: zz\r\n\r\n";
    head_begin(&head, good + 14);
    add_raw(good, "Host", "a", 1);
    head_add(&head, span_of(strstr(good, "X:"), 1), span_of(strstr(good, "X:") + 2, 0));
    add_raw(good, "Y", "zz", 2);
    assert_int_equal(head_finish(&head, "HTTP/1.1").code, 0);

    static const char bare[] = "GET / HTTP/1.1\r\nHost: a\nY: zz\r\n\r\n";
    head_begin(&head, bare + 14);
    add_raw(bare, "Host", "a", 1);
    add_raw(bare, "Y", "zz", 2);
    assert_true(error_is(head_finish(&head, "HTTP/1.1"), ERROR_MALFORMED));

    static const char nul[] = "GET / HTTP/1.1\r\nHost: a#hidden\r\nY: zz\r\n\r\n";
    head_begin(&head, nul + 14);
    add_raw(nul, "Host", "a", 1);
    add_raw(nul, "Y", "zz", 2);
    assert_true(error_is(head_finish(&head, "HTTP/1.1"), ERROR_MALFORMED));

    head_begin(&head, good + 14);
    add_raw(good, "Host", "a", 1);
    head_end(&head, strstr(good, "X:") + 2);
    assert_int_equal(head_finish(&head, "HTTP/1.1").code, 0);
    head_end(&head, strstr(good, "X:") + 1);
    assert_true(error_is(head_finish(&head, "HTTP/1.1"), ERROR_MALFORMED));

    head_begin(&head, NULL);
    head_end(&head, good);
    head_refuse(&head, "the request line");
    add_raw(good, "Host", "a", 1);
    assert_true(error_is(head_finish(&head, "HTTP/1.1"), ERROR_MALFORMED));
}

static void check_accept(const char *value, bool wants, bool takes)
{
    char line[200] = "Accept: ";
    strcat(line, value);
    assert_good("Host: a", line);
    assert_int_equal(head_wants_json(&head), wants);
    assert_int_equal(head_takes_json(&head), takes);
}

/* Web3Signer's rule: any entry equal to application/json or any type. */
static void test_accept(void **state)
{
    (void)state;
    assert_good("Host: a");
    assert_false(head_wants_json(&head));
    assert_true(head_takes_json(&head));
    check_accept("application/json", true, true);
    check_accept("*/*", true, true);
    check_accept("text/plain, application/json;q=0.1", true, true);
    check_accept("Application/JSON; charset=utf-8", true, true);
    check_accept("text/plain", false, false);
    check_accept("text/plain,*/*;q=0.8", true, true);
    check_accept("application/*", false, true);
    check_accept("application/json;q=0", false, false);
    check_accept("application/json;q=0.000, text/plain", false, false);
    check_accept("application/json;q=0.001", true, true);
    check_accept("application/jsonx, xapplication/json", false, false);
    check_accept("", false, false);
    check_accept(",,,", false, false);
    assert_good("Host: a", "Accept: text/plain", "Accept: application/json");
    assert_true(head_wants_json(&head));
}

static struct config_text_list list_of(const char *a, const char *b)
{
    struct config_text_list list = {.count = 2};
    strcpy(list.items[0], a);
    strcpy(list.items[1], b);
    return list;
}

static bool host_passes(const char *host, const struct config_text_list *list)
{
    head_begin(&head, NULL);
    strcpy(head.host, host);
    cc_err err = head_check_host(&head, list);
    assert_true(!err.code || error_is(err, ERROR_HOST_DENIED));
    return !err.code;
}

static void test_host_allow_list(void **state)
{
    (void)state;
    struct config_text_list list = list_of("localhost", "[::1]");
    assert_true(host_passes("localhost", &list));
    assert_true(host_passes("LocalHost:9000", &list));
    assert_true(host_passes("[::1]:9000", &list));
    assert_true(host_passes("[::1]", &list));
    assert_false(host_passes("", &list));
    assert_false(host_passes(":9000", &list));
    assert_false(host_passes("localhost.evil", &list));
    assert_false(host_passes("evil", &list));
    assert_false(host_passes("localhos", &list));
    assert_false(host_passes("[::1].evil", &list));
    list = list_of("x", "*");
    assert_true(host_passes("evil", &list));
    list = list_of("x", "ALL");
    assert_true(host_passes("evil", &list));
    list.count = 0;
    assert_false(host_passes("localhost", &list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_heads),
        cmocka_unit_test(test_framing_with_two_readings_is_refused),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_names_and_values),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_T20_origin_and_encodings),
        cmocka_unit_test(test_hidden_bytes_are_found),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_host_allow_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
