/* What the configuration says of access: the older form as a policy, and what is wrong with it before a signer starts. */
#include <stdio.h>
#include <string.h>

#include "auth/from_config.h"
#include "support/test.h"

static struct auth_config auth;
static struct config_faults faults;

static int set_up(void **state)
{
    (void)state;
    auth = (struct auth_config){0};
    faults = (struct config_faults){.text = buf_init(4096)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_release(&faults.text);
    return 0;
}

static void add(struct config_text_list *list, const char *text)
{
    (void)snprintf(list->items[list->count++], CONFIG_TEXT_MAX, "%s", text);
}

static const char *checked(uint32_t expected)
{
    auth_check_config(&auth, &faults);
    assert_int_equal(faults.count, expected);
    assert_int_equal(buf_append(&faults.text, "", 1).code, 0);
    return (const char *)faults.text.data;
}

static struct static_policy *add_policy(const char *name)
{
    struct static_policy *policy = &auth.policies.items[auth.policies.count++];
    (void)snprintf(policy->name, sizeof policy->name, "%s", name);
    return policy;
}

static void test_what_is_right_has_no_faults(void **state)
{
    (void)state;
    add(&auth.certificates, "cn:vc=a,b");
    add(&auth.listeners, "tls=a");
    (void)snprintf(add_policy("a")->allowed_scopes, CONFIG_SCOPES_MAX, "sign,public_keys");
    (void)snprintf(auth.unauthenticated_policy, sizeof auth.unauthenticated_policy, "a");
    (void)checked(0);
}

static void test_faults_name_their_option(void **state)
{
    (void)state;
    add(&auth.certificates, "cn:vc=a");
    add(&auth.certificates, "vc=a");
    add(&auth.listeners, "udp=a");
    (void)snprintf(add_policy("a")->denied_scopes, CONFIG_SCOPES_MAX, "sign,signs");
    (void)add_policy("Upper");
    (void)snprintf(auth.unauthenticated_policy, sizeof auth.unauthenticated_policy, "-");
    const char *text = checked(5);
    assert_non_null(strstr(text, "auth.certificates: item 2 is none of sha256:HEX"));
    assert_non_null(strstr(text, "auth.listeners: item 1 is none of unix, tcp, tls"));
    assert_non_null(strstr(text, "auth_policies: a: rules[1].scopes[1]: no such scope"));
    assert_non_null(strstr(text, "auth_policies: Upper: name: not a name"));
    assert_non_null(strstr(text, "unauthenticated_policy: is no name of a policy"));
}

static enum policy_effect judged(const struct policy *policy, enum auth_scope scope)
{
    struct policy_finding finding;
    const struct policy_question question = {.scope = scope, .kind = KIND_VOLUNTARY_EXIT};
    policy_judge(&policy, 1, &question, &finding);
    return finding.effect;
}

/* "Omit both: all routes", but no kind outside the routine class. */
static void test_T31_the_older_form_is_routine(void **state)
{
    struct policy *policy = NULL;
    struct auth_fault fault;
    struct static_policy *from = add_policy("all");
    (void)state;
    assert_int_equal(policy_from_config(from, &policy, &fault).code, 0);
    for (int scope = 0; scope < SCOPE_END; scope++)
        assert_int_equal(judged(policy, (enum auth_scope)scope),
                         scope == SCOPE_SIGN ? POLICY_SAYS_NOTHING : POLICY_ALLOWS);
    policy_free(policy);
    (void)snprintf(from->denied_scopes, sizeof from->denied_scopes, "reload");
    assert_int_equal(policy_from_config(from, &policy, &fault).code, 0);
    assert_int_equal(judged(policy, SCOPE_RELOAD), POLICY_DENIES);
    assert_int_equal(judged(policy, SCOPE_LIST_KEYS), POLICY_ALLOWS);
    policy_free(policy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_right_has_no_faults),
        TEST(test_faults_name_their_option),
        TEST(test_T31_the_older_form_is_routine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
