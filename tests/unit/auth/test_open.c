/* Every kind against every form of auth.open_operations. */
#include <stdio.h>
#include <string.h>

#include "auth/open.h"
#include "support/test.h"

static struct auth_config open_for(const char *first, const char *second)
{
    struct auth_config auth = {.mode = AUTH_OPEN};
    const char *const items[] = {first, second};
    for (size_t i = 0; i < ARRAY_LEN(items) && items[i]; i++)
        (void)snprintf(auth.open_operations.items[auth.open_operations.count++], CONFIG_TEXT_MAX,
                       "%s", items[i]);
    return auth;
}

static struct open_policy compiled(const char *first, const char *second)
{
    const struct auth_config auth = open_for(first, second);
    struct open_policy policy;
    const char *unknown = "set";
    assert_int_equal(open_policy_compile(&auth, &policy, &unknown).code, 0);
    assert_null(unknown);
    return policy;
}

static enum policy_rule
rule_of(const struct open_policy *policy, enum eth_kind kind, bool *ret_allowed)
{
    enum policy_rule rule = POLICY_RULE_END;
    cc_err err = open_policy_check(policy, kind, &rule);
    assert_true(err.code == 0 || error_is(err, ERROR_DENIED));
    *ret_allowed = err.code == 0;
    return rule;
}

static void test_T20_open_covers_the_routine_class_only(void **state)
{
    const struct open_policy policy = compiled("*", NULL);
    unsigned routine = 0;
    unsigned others = 0;
    (void)state;
    for (int kind = 0; kind < KIND_END; kind++) {
        bool allowed = false;
        enum policy_rule rule = rule_of(&policy, (enum eth_kind)kind, &allowed);
        bool is_routine = kind_info((enum eth_kind)kind)->class == KIND_CLASS_ROUTINE;
        assert_int_equal(allowed, is_routine);
        assert_int_equal(rule, is_routine ? POLICY_OPEN_ROUTINE : POLICY_NOT_ROUTINE);
        routine += is_routine;
        others += !is_routine;
    }
    assert_true(routine > 0);
    assert_true(others >= 3); /* DEPOSIT, VOLUNTARY_EXIT, EXECUTION_PAYLOAD_BID at least */
}

/* T31: what makes a kind part of "*" is its row's class, so a row without ROUTINE is denied. */
static void test_T31_money_and_irreversible_need_their_name(void **state)
{
    static const enum eth_kind guarded[] = {KIND_DEPOSIT, KIND_VOLUNTARY_EXIT,
                                            KIND_EXECUTION_PAYLOAD_BID};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(guarded); i++) {
        bool allowed = false;
        const struct open_policy routine = compiled("*", NULL);
        assert_int_equal(rule_of(&routine, guarded[i], &allowed), POLICY_NOT_ROUTINE);
        assert_false(allowed);
        const struct open_policy named = compiled("*", kind_info(guarded[i])->name);
        assert_int_equal(rule_of(&named, guarded[i], &allowed), POLICY_OPEN_NAMED);
        assert_true(allowed);
        for (size_t j = 0; j < ARRAY_LEN(guarded); j++) {
            (void)rule_of(&named, guarded[j], &allowed);
            assert_int_equal(allowed, i == j);
        }
    }
}

static void test_all_allows_all(void **state)
{
    const struct open_policy policy = compiled("all", NULL);
    (void)state;
    for (int kind = 0; kind < KIND_END; kind++) {
        bool allowed = false;
        assert_int_equal(rule_of(&policy, (enum eth_kind)kind, &allowed), POLICY_OPEN_ALL);
        assert_true(allowed);
    }
}

static void test_an_empty_list_denies_all(void **state)
{
    const struct open_policy policy = compiled(NULL, NULL);
    (void)state;
    for (int kind = 0; kind < KIND_END; kind++) {
        bool allowed = true;
        assert_int_equal(rule_of(&policy, (enum eth_kind)kind, &allowed), POLICY_NOT_LISTED);
        assert_false(allowed);
    }
}

static void test_a_name_covers_its_operation(void **state)
{
    const struct open_policy policy = compiled("BLOCK", NULL);
    bool allowed = false;
    (void)state;
    assert_int_equal(rule_of(&policy, KIND_BLOCK, &allowed), POLICY_OPEN_NAMED);
    assert_true(allowed);
    (void)rule_of(&policy, KIND_BLOCK_V2, &allowed);
    assert_true(allowed);
    assert_int_equal(rule_of(&policy, KIND_ATTESTATION, &allowed), POLICY_NOT_LISTED);
    assert_false(allowed);
}

static void test_the_order_of_the_list_does_not_matter(void **state)
{
    const struct open_policy a = compiled("*", "ATTESTATION");
    const struct open_policy b = compiled("ATTESTATION", "*");
    (void)state;
    assert_memory_equal(&a, &b, sizeof a);
}

static void test_an_unknown_operation_is_refused_by_name(void **state)
{
    const struct auth_config auth = open_for("ATTESTATION", "SIGN_ANYTHING");
    struct open_policy policy;
    const char *unknown = NULL;
    (void)state;
    assert_true(error_is(open_policy_compile(&auth, &policy, &unknown), ERROR_CONFIG));
    assert_string_equal(unknown, "SIGN_ANYTHING");
}

static void test_every_rule_has_a_name_and_a_text(void **state)
{
    (void)state;
    for (int rule = 0; rule < POLICY_RULE_END; rule++) {
        assert_true(strlen(policy_rule_name((enum policy_rule)rule)) > 0);
        assert_true(strlen(policy_rule_text((enum policy_rule)rule)) > 0);
    }
    assert_string_equal(policy_rule_name(POLICY_RULE_END), "");
    assert_string_equal(policy_rule_text(POLICY_RULE_END), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T20_open_covers_the_routine_class_only),
        cmocka_unit_test(test_T31_money_and_irreversible_need_their_name),
        cmocka_unit_test(test_all_allows_all),
        cmocka_unit_test(test_an_empty_list_denies_all),
        cmocka_unit_test(test_a_name_covers_its_operation),
        cmocka_unit_test(test_the_order_of_the_list_does_not_matter),
        cmocka_unit_test(test_an_unknown_operation_is_refused_by_name),
        cmocka_unit_test(test_every_rule_has_a_name_and_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
