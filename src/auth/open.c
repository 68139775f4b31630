#include "auth/open.h"

#include <string.h>

/* The widest grant wins, so that what is logged does not hang on the order of the list. */
static void grant(struct open_policy *policy, enum eth_kind kind, enum policy_rule rule)
{
    if (!policy_rule_allows(policy->kinds[kind]) || rule < policy->kinds[kind])
        policy->kinds[kind] = rule;
}

static void grant_all(struct open_policy *policy)
{
    for (int kind = 0; kind < KIND_END; kind++)
        grant(policy, (enum eth_kind)kind, POLICY_OPEN_ALL);
}

static void grant_routine(struct open_policy *policy)
{
    for (int kind = 0; kind < KIND_END; kind++) {
        bool routine = kind_info((enum eth_kind)kind)->class == KIND_CLASS_ROUTINE;
        if (routine)
            grant(policy, (enum eth_kind)kind, POLICY_OPEN_ROUTINE);
        else if (policy->kinds[kind] == POLICY_NOT_LISTED)
            policy->kinds[kind] = POLICY_NOT_ROUTINE;
    }
}

/* By operation, so that naming BLOCK covers BLOCK_V2 and an alias covers what it stands for. */
static cc_err grant_named(struct open_policy *policy, const char *item)
{
    enum eth_kind named;
    if (kind_parse(span_str(item), &named).code)
        return CC_FAIL(CONFIG, "auth.open_operations: no such operation");
    const char *operation = kind_operation(named);
    for (int kind = 0; kind < KIND_END; kind++)
        if (strcmp(kind_operation((enum eth_kind)kind), operation) == 0)
            grant(policy, (enum eth_kind)kind, POLICY_OPEN_NAMED);
    return CC_OK;
}

CC_ERR
open_policy_compile(const struct auth_config *auth,
                    struct open_policy *ret_policy,
                    const char **ret_unknown)
{
    struct open_policy policy;
    for (int kind = 0; kind < KIND_END; kind++)
        policy.kinds[kind] = POLICY_NOT_LISTED;
    cc_assert(auth->open_operations.count <= CONFIG_LIST_MAX);
    for (uint32_t i = 0; i < auth->open_operations.count; i++) {
        const char *item = auth->open_operations.items[i];
        *ret_unknown = item;
        if (strcmp(item, "*") == 0)
            grant_routine(&policy);
        else if (strcmp(item, "all") == 0)
            grant_all(&policy);
        else
            CC_TRY(grant_named(&policy, item));
    }
    *ret_unknown = NULL;
    *ret_policy = policy;
    return CC_OK;
}

CC_ERR
open_policy_check(const struct open_policy *policy, enum eth_kind kind, enum policy_rule *ret_rule)
{
    cc_assert((unsigned)kind < KIND_END);
    *ret_rule = policy->kinds[kind];
    return policy_rule_allows(policy->kinds[kind])
               ? CC_OK
               : CC_FAIL(DENIED, policy_rule_text(policy->kinds[kind]));
}
