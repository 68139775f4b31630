/* The router: patterns, empty segments, percent-encoding, methods, listeners. */
#include <string.h>

#include "front/route.h"
#include "support/snapshot.h"
#include "support/test.h"

static struct route_match match;

static enum route_id find(const char *method, const char *target)
{
    return route_find(method, target, ROUTE_ON_API, &match).code ? ROUTE_NONE : match.id;
}

static void test_every_route_is_found(void **state)
{
    (void)state;
    assert_int_equal(find("GET", "/upcheck"), ROUTE_UPCHECK);
    assert_int_equal(find("GET", "/readyz"), ROUTE_READYZ);
    assert_int_equal(find("GET", "/healthcheck"), ROUTE_HEALTHCHECK);
    assert_int_equal(find("GET", "/reload"), ROUTE_RELOAD_STATUS);
    assert_int_equal(find("POST", "/reload"), ROUTE_RELOAD_START);
    assert_int_equal(find("GET", "/api/v1/eth2/publicKeys"), ROUTE_PUBLIC_KEYS);
    assert_int_equal(find("GET", "/api/v1/eth2/highWatermark"), ROUTE_HIGH_WATERMARK);
    assert_int_equal(find("POST", "/api/v1/eth2/sign/0xABcd"), ROUTE_SIGN);
    assert_string_equal(match.argument, "0xABcd");
    assert_int_equal(match.argument_len, 6);
}

static void test_empty_segments_and_queries(void **state)
{
    (void)state;
    assert_int_equal(find("GET", "//upcheck"), ROUTE_UPCHECK);
    assert_int_equal(find("GET", "/upcheck/"), ROUTE_UPCHECK);
    assert_int_equal(find("POST", "//api///v1/eth2/sign//ab/"), ROUTE_SIGN);
    assert_string_equal(match.argument, "ab");
    assert_int_equal(find("GET", "/upcheck?a=b&c=/x"), ROUTE_UPCHECK);
    assert_int_equal(find("GET", "/upcheck#part"), ROUTE_UPCHECK);
    assert_int_equal(find("POST", "/api/v1/eth2/sign/ab?x=%00"), ROUTE_SIGN);
    assert_string_equal(match.argument, "ab");
}

static void test_percent_encoding_makes_no_structure(void **state)
{
    (void)state;
    assert_int_equal(find("GET", "/%75pcheck"), ROUTE_UPCHECK);
    assert_int_equal(find("POST", "/api/v1/eth2/sign/0%78ab"), ROUTE_SIGN);
    assert_string_equal(match.argument, "0xab");
    static const char *const bad[] = {"/%2Fupcheck",
                                      "/upcheck%00",
                                      "/upcheck%2e%2e%2f",
                                      "/upcheck%",
                                      "/upcheck%7",
                                      "/upcheck%zz",
                                      "/upcheck%0a",
                                      "/%",
                                      "/x/%2e%2e/upcheck",
                                      "/upcheck%25",
                                      "/a/../upcheck",
                                      "/./upcheck",
                                      "/UPCHECK",
                                      "/upcheck;a",
                                      "/",
                                      "/api/v1/eth2/sign/a/b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(error_is(route_find("GET", bad[i], ROUTE_ON_API, &match), ERROR_ROUTE_UNKNOWN));
    /* It stays an argument that no identifier is. */
    assert_int_equal(find("POST", "/api/v1/eth2/sign/a%2fb"), ROUTE_SIGN);
    assert_string_equal(match.argument, "%");
}

static void test_long_segments_are_not_cut(void **state)
{
    (void)state;
    char target[1024] = "/api/v1/eth2/sign/";
    memset(target + strlen(target), 'a', ROUTE_ARGUMENT_MAX);
    assert_int_equal(find("POST", target), ROUTE_SIGN);
    assert_int_equal(match.argument_len, ROUTE_ARGUMENT_MAX);
    strcat(target, "a");
    assert_int_equal(find("POST", target), ROUTE_SIGN);
    assert_string_equal(match.argument, "%");
}

static void test_methods(void **state)
{
    (void)state;
    assert_int_equal(find("HEAD", "/upcheck"), ROUTE_UPCHECK);
    static const char *const others[] = {"DELETE", "PUT", "PATCH", "OPTIONS", "get", "TRACE", ""};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_true(error_is(route_find(others[i], "/reload", ROUTE_ON_API, &match), ERROR_METHOD));
    assert_string_equal(match.allow, "GET, HEAD, POST");
    assert_true(
        error_is(route_find("GET", "/api/v1/eth2/sign/ab", ROUTE_ON_API, &match), ERROR_METHOD));
    assert_string_equal(match.allow, "POST");
    assert_true(
        error_is(route_find("GET", "/api/v1/eth2/sign", ROUTE_ON_API, &match), ERROR_METHOD));
    assert_string_equal(match.allow, "POST");
    assert_true(error_is(route_find("POST", "/upcheck", ROUTE_ON_API, &match), ERROR_METHOD));
    assert_string_equal(match.allow, "GET, HEAD");
    assert_true(error_is(route_find("get", "/upcheck", ROUTE_ON_API, &match), ERROR_METHOD));
    assert_true(error_is(route_find("OPTIONS", "/upcheck", ROUTE_ON_API, &match), ERROR_METHOD));
}

static void test_targets_that_are_no_paths(void **state)
{
    (void)state;
    static const char *const bad[] = {"*", "http://evil/upcheck", "evil:443", "upcheck", ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(error_is(route_find("GET", bad[i], ROUTE_ON_API, &match), ERROR_MALFORMED));
}

static void test_listeners_have_their_own_routes(void **state)
{
    (void)state;
    assert_int_equal(find("GET", "/metrics"), ROUTE_NONE);
    assert_int_equal(route_find("GET", "/metrics", ROUTE_ON_METRICS, &match).code, 0);
    assert_true(error_is(route_find("POST", "/api/v1/eth2/sign/ab", ROUTE_ON_METRICS, &match),
                         ERROR_ROUTE_UNKNOWN));
}

/* T20: what needs no scope is this and nothing else, and none of it changes anything or tells of keys; but for ceremonies, whose bodies
 * hold what it takes: a setup token, or an operator's credential (P23).
 */
static void test_T20_open_routes_are_routine(void **state)
{
    (void)state;
    static const enum route_id open[] = {
        ROUTE_UPCHECK,        ROUTE_READYZ,  ROUTE_HEALTHCHECK, ROUTE_RELOAD_STATUS,
        ROUTE_HIGH_WATERMARK, ROUTE_METRICS, ROUTE_ATTESTATION};
    static const enum route_id by_credential[] = {ROUTE_INIT,    ROUTE_CHALLENGE,   ROUTE_REGISTER,
                                                  ROUTE_UNSEAL,  ROUTE_BREAK_GLASS, ROUTE_REHEARSE,
                                                  ROUTE_APPROVE, ROUTE_ROOT_TOKEN};
    for (enum route_id id = 0; id < ROUTE_NONE; id++) {
        bool listed = false, ceremony = false;
        for (size_t i = 0; i < ARRAY_LEN(open); i++)
            listed |= open[i] == id;
        for (size_t i = 0; i < ARRAY_LEN(by_credential); i++)
            ceremony |= by_credential[i] == id;
        assert_int_equal((unsigned)route_info(id)->gate >= SCOPE_END, listed || ceremony);
        assert_true(!listed || route_info(id)->method == ROUTE_GET);
    }
}

/* The routes with their gates and limits, for a person to look at when they change. */
static void test_routes_are_those_of_the_snapshot(void **state)
{
    (void)state;
    struct buf text = buf_init(1 << 16);
    for (enum route_id id = 0; id < ROUTE_NONE; id++) {
        const struct route *r = route_info(id);
        assert_int_equal(buf_printf(&text, "%-6s %-42s %-7s %-15s %zu\n",
                                    route_method_name(r->method), r->path,
                                    r->listeners == ROUTE_ON_API ? "api" : "metrics",
                                    route_gate_name(r->gate), r->body_limit)
                             .code,
                         0);
    }
    snapshot_check("tests/snapshot/routes.txt", &text);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_found),
        cmocka_unit_test(test_empty_segments_and_queries),
        cmocka_unit_test(test_percent_encoding_makes_no_structure),
        cmocka_unit_test(test_long_segments_are_not_cut),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_targets_that_are_no_paths),
        cmocka_unit_test(test_listeners_have_their_own_routes),
        cmocka_unit_test(test_T20_open_routes_are_routine),
        cmocka_unit_test(test_routes_are_those_of_the_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
