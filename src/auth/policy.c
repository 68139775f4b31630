#include "auth/policy.h"

#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "auth/policy_inside.h"

static const struct {
    const char *name;
    bool allows;
    const char *text;
} rule_rows[POLICY_RULE_END] = {
#define P(name, allows, text) {#name, allows, text},
#include "auth/policy.def"
#undef P
};

const char *policy_rule_name(enum policy_rule rule)
{
    return (unsigned)rule < POLICY_RULE_END ? rule_rows[rule].name : "";
}

const char *policy_rule_text(enum policy_rule rule)
{
    return (unsigned)rule < POLICY_RULE_END ? rule_rows[rule].text : "";
}

bool policy_rule_allows(enum policy_rule rule)
{
    return (unsigned)rule < POLICY_RULE_END && rule_rows[rule].allows;
}

bool policy_is_name(struct span name)
{
    if (name.len == 0 || name.len >= POLICY_NAME_SIZE)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (i == 0 || (c != '.' && c != '_' && c != '-')))
            return false;
    }
    return true;
}

const char *policy_name(const struct policy *policy)
{
    return policy->name;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    for (uint32_t i = 0; policy->rules && i < policy->rule_count; i++) {
        cc_free(policy->rules[i].keys);
        cc_free(policy->rules[i].cidrs);
        cc_free(policy->rules[i].recipients);
    }
    cc_free(policy->rules);
    cc_free(policy->table);
    cc_free(policy);
}

/* --- making ---------------------------------------------------------------------------------------------- */

/* Public keys are as good as random where they do not begin. Who names keys in a policy is trusted to name no chain of them. */
static uint32_t place_of(const struct policy *policy, const struct eth_pubkey *pubkey)
{
    uint64_t mixed = u64_load_le(pubkey->bytes + 8) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 32) & policy->table_mask;
}

static bool same_key(const struct eth_pubkey *a, const struct eth_pubkey *b)
{
    return span_equal(span_of(a, sizeof *a), span_of(b, sizeof *b));
}

static struct policy_key *find_place(const struct policy *policy, const struct eth_pubkey *pubkey)
{
    uint32_t at = place_of(policy, pubkey);
    while (policy->table[at].rules && !same_key(&policy->table[at].pubkey, pubkey))
        at = (at + 1) & policy->table_mask;
    return &policy->table[at];
}

bool policy_names_key(const struct policy *policy, const struct eth_pubkey *pubkey)
{
    return policy->table && (find_place(policy, pubkey)->rules & ~policy->denies) != 0;
}

static cc_err make_table(struct policy *policy)
{
    size_t keys = 0;
    size_t places = 4;
    for (uint32_t i = 0; i < policy->rule_count; i++)
        keys += policy->rules[i].key_count;
    if (!keys)
        return CC_OK;
    while (places < 2 * keys)
        places *= 2;
    policy->table = cc_alloc_array(places, sizeof *policy->table);
    if (!policy->table)
        return CC_FAIL(NO_MEMORY, "policy");
    policy->table_mask = (uint32_t)places - 1;
    for (uint32_t i = 0; i < policy->rule_count; i++)
        for (uint32_t k = 0; k < policy->rules[i].key_count; k++) {
            struct policy_key *place = find_place(policy, &policy->rules[i].keys[k]);
            place->pubkey = policy->rules[i].keys[k];
            place->rules |= UINT64_C(1) << i;
        }
    return CC_OK;
}

static bool covers_kind(const struct policy_rule_text *rule, enum eth_kind kind)
{
    if (!rule->has_operations)
        return rule->denies || kind_info(kind)->class == KIND_CLASS_ROUTINE;
    return rule->all || (rule->star && kind_info(kind)->class == KIND_CLASS_ROUTINE) ||
           (rule->named >> kind & 1);
}

static void make_rule(struct policy *policy, const struct policy_rule_text *rule, uint64_t bit)
{
    if (rule->denies)
        policy->denies |= bit;
    if (rule->key_count)
        policy->keyed |= bit;
    if (rule->has_operations)
        policy->operational |= bit;
    if (rule->cidr_count || rule->recipient_count || rule->has_gas_limit)
        policy->conditional |= bit;
    for (int scope = 0; scope < SCOPE_END; scope++)
        if (!rule->has_scopes || (rule->scopes >> scope & 1))
            policy->scopes[scope] |= bit;
    for (int kind = 0; kind < KIND_END; kind++)
        if (covers_kind(rule, (enum eth_kind)kind))
            policy->kinds[kind] |= bit;
}

CC_ERR policy_make(struct policy *policy)
{
    for (uint32_t i = 0; i < policy->rule_count; i++)
        make_rule(policy, &policy->rules[i], UINT64_C(1) << i);
    return make_table(policy);
}

/* --- judging --------------------------------------------------------------------------------------------- */

static bool in_cidrs(const struct policy_rule_text *rule, const uint8_t *address)
{
    for (uint32_t i = 0; address && i < rule->cidr_count; i++)
        if (cidr_holds(&rule->cidrs[i], address))
            return true;
    return false;
}

static bool in_recipients(const struct policy_rule_text *rule, const struct eth_address *recipient)
{
    for (uint32_t i = 0; i < rule->recipient_count; i++)
        if (span_equal(span_of(&rule->recipients[i], sizeof *recipient),
                       span_of(recipient, sizeof *recipient)))
            return true;
    return false;
}

static bool in_limits(const struct policy_rule_text *rule, uint64_t gas_limit)
{
    return (!rule->has_min || gas_limit >= rule->min) && (!rule->has_max || gas_limit <= rule->max);
}

/* What the sets do not say of a rule. Of a message without the field an allow goes on and a deny does not match. */
static bool conditions_hold(const struct policy_rule_text *rule, const struct policy_question *q)
{
    if (rule->cidr_count && !in_cidrs(rule, q->address))
        return false;
    if (rule->recipient_count &&
        !(q->fee_recipient ? in_recipients(rule, q->fee_recipient) : !rule->denies))
        return false;
    if (rule->has_gas_limit && !(q->gas_limit ? in_limits(rule, *q->gas_limit) : !rule->denies))
        return false;
    return true;
}

/* Rules of `policy` that speak of the question, but for their conditions. */
static uint64_t rules_about(const struct policy *policy, const struct policy_question *q)
{
    uint64_t about = policy->scopes[q->scope];
    if (q->scope == SCOPE_SIGN)
        about &= policy->kinds[q->kind];
    else
        about &= ~(policy->operational & policy->denies);
    if (!policy->table)
        return about;
    if (q->every_key) /* a key that is allowed by name is not each; one that is denied is one of them */
        return about & (~policy->keyed | policy->denies);
    if (!q->pubkey || !scope_is_about_keys(q->scope))
        return about & ~(policy->keyed & policy->denies);
    return about & (~policy->keyed | find_place(policy, q->pubkey)->rules);
}

/* The number of the first rule of the set that holds; 0: none. */
static uint32_t
first_that_holds(const struct policy *policy, uint64_t set, const struct policy_question *q)
{
    for (; set; set &= set - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(set);
        if (!(policy->conditional >> i & 1) || conditions_hold(&policy->rules[i], q))
            return i + 1;
    }
    return 0;
}

void policy_judge(const struct policy *const *policies,
                  size_t count,
                  const struct policy_question *question,
                  struct policy_finding *ret_finding)
{
    cc_assert((unsigned)question->scope < SCOPE_END &&
              (question->scope != SCOPE_SIGN || (unsigned)question->kind < KIND_END));
    *ret_finding = (struct policy_finding){0};
    for (size_t i = 0; i < count; i++) {
        const struct policy *policy = policies[i];
        uint64_t about = rules_about(policy, question);
        uint32_t number = first_that_holds(policy, about & policy->denies, question);
        if (number) {
            *ret_finding = (struct policy_finding){POLICY_DENIES, policy, number};
            return;
        }
        if (ret_finding->effect == POLICY_ALLOWS)
            continue;
        number = first_that_holds(policy, about & ~policy->denies, question);
        if (number)
            *ret_finding = (struct policy_finding){POLICY_ALLOWS, policy, number};
    }
}
