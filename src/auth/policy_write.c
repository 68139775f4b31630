/* From a policy to the one text that stands for it: members in this order, nothing that can be left out. */
#include <inttypes.h>

#include "auth/policy_inside.h"
#include "codec/hex.h"

static cc_err begin_list(struct buf *out, const char *name)
{
    return buf_printf(out, ",\"%s\":[", name);
}

static cc_err put_text(struct buf *out, uint32_t i, const char *text)
{
    return buf_printf(out, "%s\"%s\"", i ? "," : "", text);
}

static cc_err write_scopes(const struct policy_rule_text *rule, struct buf *out)
{
    uint32_t n = 0;
    CC_TRY(begin_list(out, "scopes"));
    for (int scope = 0; scope < SCOPE_END; scope++)
        if (rule->scopes >> scope & 1)
            CC_TRY(put_text(out, n++, scope_name((enum auth_scope)scope)));
    return buf_append_str(out, "]");
}

/* A kind whose name is its operation's stands for all that share it. */
static cc_err write_operations(const struct policy_rule_text *rule, struct buf *out)
{
    uint32_t n = 0;
    CC_TRY(begin_list(out, "operations"));
    if (rule->star)
        CC_TRY(put_text(out, n++, "*"));
    if (rule->all)
        CC_TRY(put_text(out, n++, "all"));
    for (int kind = 0; kind < KIND_END; kind++) {
        const char *operation = kind_operation((enum eth_kind)kind);
        bool own = operation == kind_info((enum eth_kind)kind)->name;
        if (own && (rule->named >> kind & 1))
            CC_TRY(put_text(out, n++, operation));
    }
    return buf_append_str(out, "]");
}

static cc_err put_hex(struct buf *out, uint32_t i, const void *bytes, size_t len)
{
    CC_TRY(buf_append_str(out, i ? ",\"" : "\""));
    CC_TRY(hex_append(out, bytes, len));
    return buf_append_str(out, "\"");
}

static cc_err write_keys(const struct policy_rule_text *rule, struct buf *out)
{
    CC_TRY(begin_list(out, "keys"));
    for (uint32_t i = 0; i < rule->key_count; i++)
        CC_TRY(put_hex(out, i, &rule->keys[i], sizeof rule->keys[i]));
    return buf_append_str(out, "]");
}

static cc_err write_recipients(const struct policy_rule_text *rule, struct buf *out)
{
    CC_TRY(begin_list(out, "fee_recipients"));
    for (uint32_t i = 0; i < rule->recipient_count; i++)
        CC_TRY(put_hex(out, i, &rule->recipients[i], sizeof rule->recipients[i]));
    return buf_append_str(out, "]");
}

static cc_err write_cidrs(const struct policy_rule_text *rule, struct buf *out)
{
    CC_TRY(begin_list(out, "cidrs"));
    for (uint32_t i = 0; i < rule->cidr_count; i++) {
        char text[CIDR_TEXT_SIZE];
        cidr_text(&rule->cidrs[i], text);
        CC_TRY(put_text(out, i, text));
    }
    return buf_append_str(out, "]");
}

static cc_err write_gas_limit(const struct policy_rule_text *rule, struct buf *out)
{
    CC_TRY(buf_append_str(out, ",\"gas_limit\":{"));
    if (rule->has_min)
        CC_TRY(buf_printf(out, "\"min\":%" PRIu64 "%s", rule->min, rule->has_max ? "," : ""));
    if (rule->has_max)
        CC_TRY(buf_printf(out, "\"max\":%" PRIu64, rule->max));
    return buf_append_str(out, "}");
}

static cc_err write_rule(const struct policy_rule_text *rule, struct buf *out)
{
    CC_TRY(buf_printf(out, "{\"effect\":\"%s\"", rule->denies ? "deny" : "allow"));
    if (rule->has_scopes)
        CC_TRY(write_scopes(rule, out));
    if (rule->key_count)
        CC_TRY(write_keys(rule, out));
    if (rule->has_operations)
        CC_TRY(write_operations(rule, out));
    if (rule->cidr_count)
        CC_TRY(write_cidrs(rule, out));
    if (rule->recipient_count)
        CC_TRY(write_recipients(rule, out));
    if (rule->has_gas_limit)
        CC_TRY(write_gas_limit(rule, out));
    return buf_append_str(out, "}");
}

CC_ERR policy_write(const struct policy *policy, struct buf *out)
{
    CC_TRY(buf_printf(out, "{\"name\":\"%s\",\"rules\":[", policy->name));
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        if (i)
            CC_TRY(buf_append_str(out, ","));
        CC_TRY(write_rule(&policy->rules[i], out));
    }
    return buf_append_str(out, "]}");
}
