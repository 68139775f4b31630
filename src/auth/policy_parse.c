/* From JSON to a policy. The text is an administrator's, or a record's that a newer release may have written: strict either way. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "auth/fault.h"
#include "auth/policy_inside.h"
#include "codec/hex.h"
#include "eth/address.h"

enum {
    TOKENS = JSON_TOKENS_KEPT
};

struct parsing {
    struct policy *policy;
    struct policy_rule_text *rule; /* that is read */
    char place[32];                /* its own: "rules[3]" */
    char at[48];                   /* of the member that is read: "rules[3].keys" */
    struct auth_fault *fault;
};

/* --- the lists of a rule ----------------------------------------------------------------------------------- */

/* One element of a list: its text, and its index for the place of a fault. */
typedef cc_err element_fn(struct parsing *p, struct span text, uint32_t i);

static cc_err each(struct parsing *p, struct jval list, uint32_t max, element_fn *take)
{
    struct jval element;
    uint32_t i = 0;
    CC_TRY(fault_check_list(p->fault, list, max, p->at));
    struct jval_iter iter = jval_iterate(list);
    for (; jval_next(&iter, &element); i++) {
        struct span text;
        CC_TRY(fault_text(p->fault, element, p->at, i, &text));
        CC_TRY(take(p, text, i));
    }
    return CC_OK;
}

static cc_err take_scope(struct parsing *p, struct span text, uint32_t i)
{
    enum auth_scope scope = scope_find(text);
    if (scope == SCOPE_END)
        return fault_at(p->fault, "no such scope", "%s[%u]", p->at, i);
    p->rule->scopes |= UINT32_C(1) << scope;
    return CC_OK;
}

static cc_err read_scopes(struct parsing *p, struct jval value)
{
    p->rule->has_scopes = true;
    return each(p, value, SCOPE_END, take_scope);
}

/* By operation: naming BLOCK covers BLOCK_V2, and an alias covers what it stands for. */
static cc_err take_operation(struct parsing *p, struct span text, uint32_t i)
{
    enum eth_kind named;
    if (span_is(text, "*") || span_is(text, "all")) {
        p->rule->star |= text.len == 1;
        p->rule->all |= text.len == 3;
        return CC_OK;
    }
    if (kind_parse(text, &named).code)
        return fault_at(p->fault, "no such operation", "%s[%u]", p->at, i);
    for (int kind = 0; kind < KIND_END; kind++)
        if (strcmp(kind_operation((enum eth_kind)kind), kind_operation(named)) == 0)
            p->rule->named |= UINT32_C(1) << kind;
    return CC_OK;
}

static cc_err read_operations(struct parsing *p, struct jval value)
{
    p->rule->has_operations = true;
    return each(p, value, KIND_END + 2, take_operation);
}

static cc_err take_key(struct parsing *p, struct span text, uint32_t i)
{
    if (hex_decode(text, p->rule->keys[p->rule->key_count].bytes, sizeof(struct eth_pubkey)).code)
        return fault_at(p->fault, "not a public key of 48 bytes in hex", "%s[%u]", p->at, i);
    p->rule->key_count++;
    return CC_OK;
}

static cc_err read_keys(struct parsing *p, struct jval value)
{
    CC_TRY(fault_check_list(p->fault, value, POLICY_KEYS_MAX, p->at));
    p->rule->keys = cc_alloc_array(jval_count(value), sizeof *p->rule->keys);
    if (!p->rule->keys)
        return CC_FAIL(NO_MEMORY, "policy");
    return each(p, value, POLICY_KEYS_MAX, take_key);
}

static cc_err take_cidr(struct parsing *p, struct span text, uint32_t i)
{
    if (cidr_parse(text, &p->rule->cidrs[p->rule->cidr_count]).code)
        return fault_at(p->fault, error_detail(), "%s[%u]", p->at, i);
    p->rule->cidr_count++;
    return CC_OK;
}

static cc_err read_cidrs(struct parsing *p, struct jval value)
{
    CC_TRY(fault_check_list(p->fault, value, POLICY_CIDRS_MAX, p->at));
    p->rule->cidrs = cc_alloc_array(jval_count(value), sizeof *p->rule->cidrs);
    if (!p->rule->cidrs)
        return CC_FAIL(NO_MEMORY, "policy");
    return each(p, value, POLICY_CIDRS_MAX, take_cidr);
}

static cc_err take_recipient(struct parsing *p, struct span text, uint32_t i)
{
    struct eth_address *to = &p->rule->recipients[p->rule->recipient_count];
    cc_err err = address_parse(text, to);
    if (err.code)
        return fault_at(p->fault, address_fault(err), "%s[%u]", p->at, i);
    p->rule->recipient_count++;
    return CC_OK;
}

static cc_err read_recipients(struct parsing *p, struct jval value)
{
    CC_TRY(fault_check_list(p->fault, value, POLICY_RECIPIENTS_MAX, p->at));
    p->rule->recipients = cc_alloc_array(jval_count(value), sizeof *p->rule->recipients);
    if (!p->rule->recipients)
        return CC_FAIL(NO_MEMORY, "policy");
    return each(p, value, POLICY_RECIPIENTS_MAX, take_recipient);
}

/* --- gas_limit, effect --------------------------------------------------------------------------------------- */

static cc_err read_gas_limit(struct parsing *p, struct jval value)
{
    struct policy_rule_text *rule = p->rule;
    struct jval bound;
    if (jval_type(value) != JVAL_OBJECT)
        return fault_at(p->fault, "not an object", "%s", p->at);
    struct jval_iter iter = jval_iterate(value);
    struct span key;
    while (jval_next_member(&iter, &key, &bound)) {
        bool is_min = span_is(key, "min");
        if (!is_min && !span_is(key, "max"))
            return fault_at(p->fault, "an unknown member", "%s", p->at);
        if (jval_u64(bound, is_min ? &rule->min : &rule->max).code)
            return fault_at(p->fault, "not a whole number below 2^64", "%s.%s", p->at,
                            is_min ? "min" : "max");
        rule->has_min |= is_min;
        rule->has_max |= !is_min;
    }
    if (!rule->has_min && !rule->has_max)
        return fault_at(p->fault, "neither min nor max", "%s", p->at);
    if (rule->has_min && rule->has_max && rule->min > rule->max)
        return fault_at(p->fault, "min is above max", "%s", p->at);
    rule->has_gas_limit = true;
    return CC_OK;
}

static cc_err read_effect(struct parsing *p, struct jval value)
{
    struct span text = {0};
    (void)jval_text(value, &text).code; /* what is no string is no effect */
    p->rule->denies = span_is(text, "deny");
    return p->rule->denies || span_is(text, "allow")
               ? CC_OK
               : fault_at(p->fault, "neither allow nor deny", "%s", p->at);
}

/* --- a rule ---------------------------------------------------------------------------------------------------- */

typedef cc_err member_fn(struct parsing *p, struct jval value);

static const struct {
    const char *name;
    member_fn *read;
} members[] = {
    {"effect", read_effect},         {"scopes", read_scopes}, {"keys", read_keys},
    {"operations", read_operations}, {"cidrs", read_cidrs},   {"fee_recipients", read_recipients},
    {"gas_limit", read_gas_limit},
};

static cc_err read_member(struct parsing *p, struct span key, struct jval value)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (!span_is(key, members[i].name))
            continue;
        (void)snprintf(p->at, sizeof p->at, "%s.%s", p->place, members[i].name);
        return members[i].read(p, value);
    }
    return fault_at(p->fault, "an unknown member", "%s", p->place);
}

/* What would have no effect, or another one than it seems to have. */
static cc_err check_rule(struct parsing *p)
{
    const struct policy_rule_text *rule = p->rule;
    if (!rule->denies && !rule->has_scopes)
        return fault_at(p->fault, "an allow needs its scopes", "%s.scopes", p->place);
    if (!rule->has_scopes)
        return CC_OK;
    for (int scope = 0; rule->key_count && scope < SCOPE_END; scope++)
        if ((rule->scopes >> scope & 1) && !scope_is_about_keys((enum auth_scope)scope))
            return fault_at(p->fault, "one of the scopes has nothing to do with keys", "%s.keys",
                            p->place);
    bool signs = rule->scopes >> SCOPE_SIGN & 1;
    if (!signs && (rule->has_operations || rule->recipient_count || rule->has_gas_limit))
        return fault_at(p->fault,
                        "operations, fee_recipients and gas_limit count for the scope sign alone",
                        "%s", p->place);
    return CC_OK;
}

static cc_err read_rule(struct parsing *p, struct jval value, uint32_t i)
{
    struct jval_iter iter;
    struct jval member;
    struct span key;
    (void)snprintf(p->place, sizeof p->place, "rules[%u]", i);
    if (jval_type(value) != JVAL_OBJECT)
        return fault_at(p->fault, "not an object", "%s", p->place);
    if (!jval_member(value, "effect", &member))
        return fault_at(p->fault, "is missing", "%s.effect", p->place);
    iter = jval_iterate(value);
    while (jval_next_member(&iter, &key, &member))
        CC_TRY(read_member(p, key, member));
    return check_rule(p);
}

/* --- the policy ------------------------------------------------------------------------------------------------- */

static cc_err read_rules(struct parsing *p, struct jval list)
{
    struct jval element;
    CC_TRY(fault_check_list(p->fault, list, POLICY_RULES_MAX, "rules"));
    p->policy->rules = cc_alloc_array(jval_count(list), sizeof *p->policy->rules);
    if (!p->policy->rules)
        return CC_FAIL(NO_MEMORY, "policy");
    p->policy->rule_count = jval_count(list);
    struct jval_iter iter = jval_iterate(list);
    for (uint32_t i = 0; jval_next(&iter, &element); i++) {
        p->rule = &p->policy->rules[i];
        CC_TRY(read_rule(p, element, i));
    }
    return CC_OK;
}

static cc_err read_name(struct parsing *p, struct jval root, const char *name)
{
    struct jval value;
    struct span text = {0};
    bool says = jval_member(root, "name", &value);
    if (!says && !name)
        return fault_at(p->fault, "is missing", "name");
    if (says && jval_text(value, &text).code)
        return fault_at(p->fault, "not a string", "name");
    if (!says)
        text = span_str(name);
    if (!policy_is_name(text))
        return fault_at(p->fault, "not a name: [a-z0-9][a-z0-9._-]*, shorter than 40", "name");
    if (name && !span_is(text, name))
        return fault_at(p->fault, "not the name that was asked for", "name");
    memcpy(p->policy->name, text.data, text.len);
    return CC_OK;
}

static cc_err read_policy(struct parsing *p, struct jval root, const char *name)
{
    struct jval rules;
    struct jval value;
    struct span key;
    if (jval_type(root) != JVAL_OBJECT)
        return fault_at(p->fault, "not an object", "%s", "");
    struct jval_iter iter = jval_iterate(root);
    while (jval_next_member(&iter, &key, &value))
        if (!span_is(key, "name") && !span_is(key, "rules"))
            return fault_at(p->fault, "an unknown member", "%s", "");
    CC_TRY(read_name(p, root, name));
    if (!jval_member(root, "rules", &rules))
        return fault_at(p->fault, "is missing", "rules");
    CC_TRY(read_rules(p, rules));
    return policy_make(p->policy);
}

static cc_err parse(struct parsing *p, struct jdoc *doc, struct span text, const char *name)
{
    if (text.len > POLICY_STORED_MAX)
        return fault_at(p->fault, "longer than a policy may be", "%s", "");
    cc_err err = jdoc_parse(doc, (uint8_t *)(uintptr_t)text.data, text.len);
    if (err.code)
        return fault_from(p->fault, err, "");
    p->policy = cc_alloc(sizeof *p->policy);
    return p->policy ? read_policy(p, jdoc_root(doc), name) : CC_FAIL(NO_MEMORY, "policy");
}

CC_ERR policy_parse(uint8_t *text,
                    size_t len,
                    const char *name,
                    struct policy **ret_policy,
                    struct auth_fault *ret_fault)
{
    struct parsing p = {.fault = ret_fault};
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS);
    *ret_fault = (struct auth_fault){.what = ""};
    cc_err err = parse(&p, &doc, span_of(text, len), name);
    if (err.code) {
        policy_free(p.policy);
        return err;
    }
    *ret_policy = p.policy;
    return CC_OK;
}
