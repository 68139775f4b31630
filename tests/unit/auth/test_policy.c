/* What a policy's text may be, what becomes of it, and what is refused with its place. The meaning of rules: test_policy_matrix.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "auth/policy.h"
#include "support/test.h"

#define KEY                                                                                        \
    "abababababababababababababababababababababababababababababababababababababababababababababab" \
    "abab"
#define RECIPIENT "0x4444444444444444444444444444444444444444"

static struct auth_fault fault;

static struct policy *parse(const char *text, const char *name, cc_err *ret_err)
{
    struct policy *policy = NULL;
    char *copy = strdup(text);
    assert_non_null(copy);
    *ret_err = policy_parse((uint8_t *)copy, strlen(copy), name, &policy, &fault);
    free(copy);
    assert_int_equal(!policy, ret_err->code != 0);
    return policy;
}

static struct policy *parsed(const char *text)
{
    cc_err err;
    struct policy *policy = parse(text, NULL, &err);
    if (err.code)
        fail_msg("refused at %s: %s", fault.place, fault.what);
    return policy;
}

static void assert_refused(const char *text, const char *place, const char *what)
{
    cc_err err;
    assert_null(parse(text, NULL, &err));
    assert_string_equal(fault.place, place);
    assert_string_equal(fault.what, what);
    assert_int_equal(error_class(err), CLASS_INPUT);
}

/* The rule alone, in a policy. */
static void rule_refused(const char *rule, const char *place, const char *what)
{
    char text[2048];
    (void)snprintf(text, sizeof text, "{\"name\":\"x\",\"rules\":[{\"effect\":\"deny\"},%s]}",
                   rule);
    assert_refused(text, place, what);
}

static void assert_written(const char *text, const char *expected)
{
    struct policy *policy = parsed(text);
    CC_CLEANUP(buf_release) struct buf out = buf_init(POLICY_STORED_MAX);
    assert_int_equal(policy_write(policy, &out).code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    assert_string_equal((const char *)out.data, expected);
    policy_free(policy);
}

static void test_one_text_stands_for_a_policy(void **state)
{
    (void)state;
    assert_written(
        "{ \"rules\": [ {\"gas_limit\":{\"max\":\"60000000\",\"min\":1},\"cidrs\":[\"::1\",\"10.0.0.0/8\"],"
        "\"operations\":[\"request_auth\",\"BLOCK_V2\",\"*\"],\"keys\":[\"0X" KEY
        "\"],\"fee_recipients\":[\"" RECIPIENT "\"],"
        "\"scopes\":[\"public_keys\",\"sign\",\"sign\"],\"effect\":\"allow\"} ], \"name\":\"a.b_c-1\" }",
        "{\"name\":\"a.b_c-1\",\"rules\":[{\"effect\":\"allow\",\"scopes\":[\"sign\",\"public_keys\"],"
        "\"keys\":[\"0x" KEY "\"],\"operations\":[\"*\",\"BLOCK\",\"BUILDER_REQUEST_AUTH\"],"
        "\"cidrs\":[\"::1/128\",\"10.0.0.0/8\"],\"fee_recipients\":[\"" RECIPIENT "\"],"
        "\"gas_limit\":{\"min\":1,\"max\":60000000}}]}");
    assert_written("{\"name\":\"d\",\"rules\":[{\"effect\":\"deny\"}]}",
                   "{\"name\":\"d\",\"rules\":[{\"effect\":\"deny\"}]}");
    assert_written("{\"name\":\"d\",\"rules\":[{\"effect\":\"deny\",\"operations\":[\"all\"],"
                   "\"gas_limit\":{\"max\":18446744073709551615}}]}",
                   "{\"name\":\"d\",\"rules\":[{\"effect\":\"deny\",\"operations\":[\"all\"],"
                   "\"gas_limit\":{\"max\":18446744073709551615}}]}");
}

static void test_what_is_not_understood_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("[]", "", "not an object");
    assert_refused("{\"rules\":[{\"effect\":\"deny\"}]}", "name", "is missing");
    assert_refused("{\"name\":\"x\"}", "rules", "is missing");
    assert_refused("{\"name\":\"x\",\"rules\":[]}", "rules", "an empty list");
    assert_refused("{\"name\":\"x\",\"rules\":{}}", "rules", "not a list");
    assert_refused("{\"name\":\"x\",\"rules\":[{\"effect\":\"deny\"}],\"note\":1}", "",
                   "an unknown member");
    assert_refused("{\"name\":\"X\",\"rules\":[{\"effect\":\"deny\"}]}", "name",
                   "not a name: [a-z0-9][a-z0-9._-]*, shorter than 40");
    assert_refused("{\"name\":7,\"rules\":[{\"effect\":\"deny\"}]}", "name", "not a string");
    rule_refused("7", "rules[1]", "not an object");
    rule_refused("{}", "rules[1].effect", "is missing");
    rule_refused("{\"effect\":\"forbid\"}", "rules[1].effect", "neither allow nor deny");
    rule_refused("{\"effect\":\"deny\",\"key\":[]}", "rules[1]", "an unknown member");
    rule_refused("{\"effect\":\"allow\"}", "rules[1].scopes", "an allow needs its scopes");
    rule_refused("{\"effect\":\"allow\",\"scopes\":[]}", "rules[1].scopes", "an empty list");
    rule_refused("{\"effect\":\"allow\",\"scopes\":\"sign\"}", "rules[1].scopes", "not a list");
    rule_refused("{\"effect\":\"allow\",\"scopes\":[\"sign\",\"Sign\"]}", "rules[1].scopes[1]",
                 "no such scope");
    rule_refused("{\"effect\":\"allow\",\"scopes\":[\"sign\",1]}", "rules[1].scopes[1]",
                 "not a string");
    rule_refused("{\"effect\":\"deny\",\"operations\":[\"EXIT\"]}", "rules[1].operations[0]",
                 "no such operation");
    rule_refused("{\"effect\":\"deny\",\"keys\":[\"0x12\"]}", "rules[1].keys[0]",
                 "not a public key of 48 bytes in hex");
    rule_refused("{\"effect\":\"deny\",\"fee_recipients\":[\"" RECIPIENT "\",\"0x\"]}",
                 "rules[1].fee_recipients[1]", "not an address of 20 bytes in hex");
    rule_refused(
        "{\"effect\":\"deny\",\"fee_recipients\":[\"" RECIPIENT
        "\",\"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD\"]}",
        "rules[1].fee_recipients[1]",
        "its capital letters are not its checksum (EIP-55): it is mistyped, or write it in lower case");
    rule_refused("{\"effect\":\"deny\",\"cidrs\":[\"10.0.0.1/8\"]}", "rules[1].cidrs[0]",
                 "the address has bits beyond the prefix");
    rule_refused("{\"effect\":\"deny\",\"gas_limit\":5}", "rules[1].gas_limit", "not an object");
    rule_refused("{\"effect\":\"deny\",\"gas_limit\":{}}", "rules[1].gas_limit",
                 "neither min nor max");
    rule_refused("{\"effect\":\"deny\",\"gas_limit\":{\"min\":2,\"max\":1}}", "rules[1].gas_limit",
                 "min is above max");
    rule_refused("{\"effect\":\"deny\",\"gas_limit\":{\"min\":18446744073709551616}}",
                 "rules[1].gas_limit.min", "not a whole number below 2^64");
    rule_refused("{\"effect\":\"deny\",\"gas_limit\":{\"low\":2}}", "rules[1].gas_limit",
                 "an unknown member");
}

/* Conditions that would have no effect, or a wider one than they seem to have. */
static void test_conditions_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    rule_refused("{\"effect\":\"allow\",\"scopes\":[\"sign\",\"chamber_seal\"],\"keys\":[\"" KEY
                 "\"]}",
                 "rules[1].keys", "one of the scopes has nothing to do with keys");
    rule_refused("{\"effect\":\"allow\",\"scopes\":[\"public_keys\"],\"operations\":[\"*\"]}",
                 "rules[1]",
                 "operations, fee_recipients and gas_limit count for the scope sign alone");
    rule_refused("{\"effect\":\"deny\",\"scopes\":[\"list_keys\"],\"gas_limit\":{\"min\":1}}",
                 "rules[1]",
                 "operations, fee_recipients and gas_limit count for the scope sign alone");
    policy_free(parsed("{\"name\":\"x\",\"rules\":[{\"effect\":\"deny\",\"keys\":[\"" KEY
                       "\"],\"operations\":[\"VOLUNTARY_EXIT\"]}]}"));
}

static void test_a_name_that_is_asked_for(void **state)
{
    cc_err err;
    static const char unnamed[] = "{\"rules\":[{\"effect\":\"deny\"}]}";
    (void)state;
    struct policy *policy = parse(unnamed, "from-the-path", &err);
    assert_int_equal(err.code, 0);
    assert_string_equal(policy_name(policy), "from-the-path");
    policy_free(policy);
    assert_null(parse("{\"name\":\"x\",\"rules\":[{\"effect\":\"deny\"}]}", "y", &err));
    assert_string_equal(fault.what, "not the name that was asked for");
    assert_null(parse(unnamed, "Not-one", &err));
    assert_string_equal(fault.place, "name");
    assert_true(policy_is_name(span_str("a234567890123456789012345678901234567_9")));
    assert_false(policy_is_name(span_str("a234567890123456789012345678901234567890")));
    assert_false(policy_is_name(span_str("")));
    assert_false(policy_is_name(span_str(".a")));
    assert_false(policy_is_name(span_of("a\0b", 3)));
}

/* `count` rules, or `count` keys in one rule. */
static cc_err parse_many(unsigned rules, unsigned keys)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 20);
    struct policy *policy = NULL;
    assert_int_equal(buf_append_str(&text, "{\"name\":\"x\",\"rules\":[").code, 0);
    for (unsigned i = 0; i < rules; i++) {
        assert_int_equal(buf_printf(&text, "%s{\"effect\":\"deny\",\"keys\":[", i ? "," : "").code,
                         0);
        for (unsigned k = 0; k < keys; k++)
            assert_int_equal(buf_printf(&text, "%s\"%096u\"", k ? "," : "", k).code, 0);
        assert_int_equal(buf_append_str(&text, "]}").code, 0);
    }
    assert_int_equal(buf_append_str(&text, "]}").code, 0);
    cc_err err = policy_parse(text.data, text.len, NULL, &policy, &fault);
    policy_free(policy);
    return err;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(parse_many(POLICY_RULES_MAX, 1).code, 0);
    assert_true(error_is(parse_many(POLICY_RULES_MAX + 1, 1), ERROR_MALFORMED));
    assert_string_equal(fault.place, "rules");
    assert_int_equal(parse_many(1, 600).code, 0);
    assert_true(error_is(parse_many(1, POLICY_KEYS_MAX), ERROR_MALFORMED));
    assert_string_equal(fault.what, "longer than a policy may be");
}

static void test_P24_json_is_bounded_and_strict(void **state)
{
    cc_err err;
    (void)state;
    assert_null(
        parse("{\"name\":\"x\",\"name\":\"x\",\"rules\":[{\"effect\":\"deny\"}]}", NULL, &err));
    assert_true(error_is(err, ERROR_JSON_DUPLICATE_KEY));
    assert_null(parse("{\"name\":\"x\",\"rules\":[{\"effect\":\"deny\"}]} ,", NULL, &err));
    assert_true(error_is(err, ERROR_JSON_SYNTAX));
    assert_string_equal(fault.place, "");
    assert_true(strlen(fault.what) > 0);
}

static void test_without_memory_there_is_no_policy(void **state)
{
    static const char text[] =
        "{\"name\":\"x\",\"rules\":[{\"effect\":\"allow\",\"scopes\":[\"sign\"],\"keys\":[\"" KEY
        "\"],\"cidrs\":[\"::/0\"],\"fee_recipients\":[\"" RECIPIENT "\"]}]}";
    unsigned failed = 0;
    cc_err err = CC_OK;
    (void)state;
    for (uint64_t nth = 1; nth < 100; nth++) {
        (void)alloc_fail_nth(nth);
        struct policy *policy = parse(text, NULL, &err);
        (void)alloc_fail_nth(0);
        policy_free(policy);
        if (!err.code)
            break;
        assert_true(error_is(err, ERROR_NO_MEMORY));
        failed++;
    }
    assert_true(failed >= 5);
}

static struct policy_finding judge(const struct policy *policy, enum auth_scope scope)
{
    struct policy_finding finding;
    const struct policy_question question = {.scope = scope, .kind = KIND_END};
    policy_judge(&policy, 1, &question, &finding);
    return finding;
}

/* A kind that is denied is no word on anything else. */
static void test_a_deny_of_operations_is_about_signing_alone(void **state)
{
    struct policy *policy =
        parsed("{\"name\":\"reference\",\"rules\":[{\"effect\":\"allow\",\"scopes\":[\"sign\","
               "\"public_keys\"]},{\"effect\":\"deny\",\"operations\":[\"VOLUNTARY_EXIT\"]}]}");
    (void)state;
    assert_int_equal(judge(policy, SCOPE_PUBLIC_KEYS).effect, POLICY_ALLOWS);
    assert_int_equal(judge(policy, SCOPE_LIST_KEYS).effect, POLICY_SAYS_NOTHING);
    struct policy_finding finding;
    const struct policy_question question = {.scope = SCOPE_SIGN, .kind = KIND_VOLUNTARY_EXIT};
    policy_judge((const struct policy *const[]){policy}, 1, &question, &finding);
    assert_int_equal(finding.effect, POLICY_DENIES);
    assert_int_equal(finding.number, 2);
    policy_free(policy);
}

static enum policy_effect judge_every(const char *rules)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(4096);
    assert_int_equal(buf_printf(&text, "{\"name\":\"x\",\"rules\":[%s]}", rules).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    struct policy *policy = parsed((const char *)text.data);
    struct policy_finding finding;
    const struct policy_question question = {
        .scope = SCOPE_KEYS_PAUSE, .kind = KIND_END, .every_key = true};
    policy_judge((const struct policy *const[]){policy}, 1, &question, &finding);
    policy_free(policy);
    return finding.effect;
}

/* A key that is denied by name is one of all, be it here or not; one that is allowed by name is not all. */
static void test_T20_every_key_is_each_that_a_rule_names(void **state)
{
    const char *named =
        "{\"effect\":\"allow\",\"scopes\":[\"keys_pause\"],\"keys\":[\"0x" KEY "\"]}";
    const char *all = "{\"effect\":\"allow\",\"scopes\":[\"keys_pause\"]}";
    const char *but = "{\"effect\":\"deny\",\"scopes\":[\"keys_pause\"],\"keys\":[\"0x" KEY
                      "\"]},{\"effect\":\"allow\",\"scopes\":[\"keys_pause\"]}";
    const char *other = "{\"effect\":\"deny\",\"scopes\":[\"list_keys\"],\"keys\":[\"0x" KEY
                        "\"]},{\"effect\":\"allow\",\"scopes\":[\"keys_pause\"]}";
    (void)state;
    assert_int_equal(judge_every(named), POLICY_SAYS_NOTHING);
    assert_int_equal(judge_every(all), POLICY_ALLOWS);
    assert_int_equal(judge_every(but), POLICY_DENIES);
    assert_int_equal(judge_every(other), POLICY_ALLOWS);
}

static void test_no_policies_allow_nothing(void **state)
{
    struct policy_finding finding;
    const struct policy_question question = {.scope = SCOPE_SIGN, .kind = KIND_ATTESTATION};
    (void)state;
    policy_judge(NULL, 0, &question, &finding);
    assert_int_equal(finding.effect, POLICY_SAYS_NOTHING);
    assert_int_equal(finding.number, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_text_stands_for_a_policy),
        cmocka_unit_test(test_what_is_not_understood_is_refused_with_its_place),
        cmocka_unit_test(test_conditions_that_mean_nothing_are_refused),
        cmocka_unit_test(test_a_name_that_is_asked_for),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_P24_json_is_bounded_and_strict),
        cmocka_unit_test(test_without_memory_there_is_no_policy),
        cmocka_unit_test(test_a_deny_of_operations_is_about_signing_alone),
        cmocka_unit_test(test_T20_every_key_is_each_that_a_rule_names),
        cmocka_unit_test(test_no_policies_allow_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
