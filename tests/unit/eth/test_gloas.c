/* Gloas roots. There are no published vectors: the expected values come from gloas_reference.py, a second and independent
 * reading of the same specification text, so what is shown here is that two readings agree.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/hex.h"
#include "eth/request_json.h"
#include "eth/signing_root.h"
#include "support/test.h"

/* A whole envelope is longer than the 4,095 characters that C99 asks compilers for. */
#pragma GCC diagnostic ignored "-Woverlength-strings"

static const struct gloas_case {
    const char *name;
    const char *object_root;
    const char *request;
} cases[] = {
#define CASE(name, object_root, request) {name, object_root, request},
#include "unit/eth/gloas_cases.inc"
#undef CASE
};

static struct jdoc doc = {.max = SIGN_TOKENS_MAX};
static struct eth_network sepolia;

static int setup(void **state)
{
    (void)state;
    return network_load("sepolia", &sepolia).code;
}

static int teardown(void **state)
{
    (void)state;
    jdoc_release(&doc);
    return 0;
}

static cc_err
parse(const struct eth_network *network, const char *text, struct sign_request *request)
{
    static const struct eth_pubkey pubkey;
    char *body = strdup(text);
    assert_non_null(body);
    cc_err err = sign_request_parse(&doc, network, (uint8_t *)body, strlen(body), &pubkey, request);
    jdoc_wipe(&doc);
    free(body);
    return err;
}

static void check_case(const struct gloas_case *c)
{
    struct sign_request request;
    struct signing_parts parts;
    struct signing_root root;
    char text[65] = "";
    if (parse(&sepolia, c->request, &request).code)
        fail_msg("%s: %s", c->name, error_detail());
    hex_encode(request.object_root.bytes, 32, text);
    if (strcmp(text, c->object_root) != 0)
        fail_msg("%s: object root %s", c->name, text);
    assert_true(request.flags & SIGN_HAS_CLIENT_ROOT);
    if (signing_root_compute(&sepolia, &request, &parts, &root).code)
        fail_msg("%s: signing root", c->name);
}

static void test_second_reading_agrees(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_case(&cases[i]);
    print_message("%zu cases\n", ARRAY_LEN(cases));
}

static const char *bare_aggregate(void)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (strstr(cases[i].name, "by the schedule"))
            return cases[i].request;
    }
    return "";
}

/* Without a version it is the schedule that tells Gloas from Electra: where Gloas is not scheduled the same text is Electra. */
static void test_bare_aggregate_follows_the_schedule(void **state)
{
    (void)state;
    struct sign_request gloas;
    struct sign_request electra;
    struct eth_network later = sepolia;
    assert_int_equal(network_override(&later, "GLOAS_FORK_EPOCH", "18446744073709551615").code, 0);
    assert_int_equal(parse(&sepolia, bare_aggregate(), &gloas).code, 0);
    assert_int_equal(parse(&later, bare_aggregate(), &electra).code, 0);
    assert_memory_not_equal(gloas.object_root.bytes, electra.object_root.bytes, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_reading_agrees),
        cmocka_unit_test(test_bare_aggregate_follows_the_schedule),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
