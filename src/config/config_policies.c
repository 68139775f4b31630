#include "config/config_policies.h"

#include <ctype.h>

#include "crypto/sha256.h"

enum {
    TOKEN_MIN = 16,
    TOKEN_MAX = 256
};

static cc_err take_text(char *to, size_t size, const struct yml_node *node)
{
    if (node->kind != YML_SCALAR || node->text.len == 0)
        return CC_FAIL(CONFIG, "has a member that is not plain text");
    if (node->text.len >= size || memchr(node->text.data, 0, node->text.len))
        return CC_FAIL(CONFIG, "has a text that is too long");
    memcpy(to, node->text.data, node->text.len);
    return CC_OK;
}

/* Where it is: a token in the file would be read by whoever may read the file, and stay in its copies. */
static cc_err take_token(struct static_policy *policy, const struct yml_node *node)
{
    CC_TRY(take_text(policy->token, sizeof policy->token, node));
    return config_is_reference(policy->token)
               ? CC_OK
               : CC_FAIL(CONFIG, "has a token in clear: write env:NAME or file:PATH");
}

static bool is_scope(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!islower(text.data[i]) && text.data[i] != '_')
            return false;
    return text.len > 0;
}

static cc_err take_scopes(char to[static CONFIG_SCOPES_MAX], const struct yml_node *node)
{
    size_t len = 0;
    if (node->kind != YML_SEQUENCE)
        return CC_FAIL(CONFIG, "has scopes that are not a list");
    YML_EACH(child, node)
    {
        if (child->kind != YML_SCALAR || !is_scope(child->text))
            return CC_FAIL(CONFIG, "has a scope that is none");
        if (len + 1 + child->text.len >= CONFIG_SCOPES_MAX)
            return CC_FAIL(CONFIG, "has too many scopes");
        if (len)
            to[len++] = ',';
        memcpy(to + len, child->text.data, child->text.len);
        len += child->text.len;
    }
    return len ? CC_OK : CC_FAIL(CONFIG, "has an empty list of scopes");
}

static cc_err take_member(struct static_policy *policy, const struct yml_node *node)
{
    struct span key = node->key->text;
    if (span_is(key, "token"))
        return take_token(policy, node);
    if (span_is(key, "allowed_scopes"))
        return take_scopes(policy->allowed_scopes, node);
    if (span_is(key, "denied_scopes"))
        return take_scopes(policy->denied_scopes, node);
    return CC_FAIL(CONFIG, "has a member that is none of token, allowed_scopes, denied_scopes");
}

static cc_err take_policy(struct static_policies *policies, const struct yml_node *node)
{
    struct span name = node->key->text;
    if (policies->count == CONFIG_POLICIES_MAX)
        return CC_FAIL(CONFIG, "has more than 16 policies");
    if (node->kind != YML_MAPPING)
        return CC_FAIL(CONFIG, "has a policy that is not a mapping");
    if (name.len == 0 || name.len >= CONFIG_NAME_MAX || memchr(name.data, 0, name.len))
        return CC_FAIL(CONFIG, "has a name of more than 39 characters");
    struct static_policy *policy = &policies->items[policies->count++];
    memcpy(policy->name, name.data, name.len);
    YML_EACH(child, node)
    {
        CC_TRY(take_member(policy, child));
    }
    return CC_OK;
}

CC_ERR config_policies_take(struct static_policies *policies, const struct yml_node *node)
{
    *policies = (struct static_policies){0};
    if (node->kind != YML_MAPPING)
        return CC_FAIL(CONFIG, "is not a mapping");
    YML_EACH(child, node)
    {
        CC_TRY(take_policy(policies, child));
    }
    return CC_OK;
}

/* --- tokens ---------------------------------------------------------------------------------------------------- */

static bool is_token(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum(text.data[i]) && text.data[i] != '-' && text.data[i] != '_')
            return false;
    return text.len >= TOKEN_MIN;
}

/* Sent as a token such a text is a management key that was given away: auth/manager.h. */
static bool is_management(struct span text)
{
    static const char prefix[] = "cc_management_";
    return text.len >= sizeof prefix - 1 && span_is(span_of(text.data, sizeof prefix - 1), prefix);
}

static cc_err resolve(struct static_policy *policy, char *const *environment)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(TOKEN_MAX);
    CC_TRY(config_read_reference(policy->token, environment, &text));
    if (is_management(buf_span(&text)))
        return CC_FAIL(CONFIG, "a token does not begin as management keys do: cc_management_");
    if (!is_token(buf_span(&text)))
        return CC_FAIL(CONFIG, "a token has at least 16 characters, letters, digits, - and _");
    sha256(buf_span(&text), policy->token_digest);
    policy->has_token = true;
    return CC_OK;
}

static bool is_known(const struct static_policies *policies, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++)
        if (policies->items[j].has_token &&
            span_equal(span_of(policies->items[j].token_digest, SHA256_SIZE),
                       span_of(policies->items[i].token_digest, SHA256_SIZE)))
            return true;
    return false;
}

void config_policies_resolve(struct config_loading *loading, char *const *environment)
{
    struct static_policies *policies = &loading->config->auth.policies;
    const char *path = "auth_policies";
    const struct config_row *row = config_row_find(path);
    cc_assert(row);
    struct config_place place = loading->faults->places[config_row_index(row)];
    for (uint32_t i = 0; i < policies->count; i++) {
        struct static_policy *policy = &policies->items[i];
        cc_err err = policy->token[0] ? resolve(policy, environment) : CC_OK;
        if (err.code)
            config_fault(loading, place, path, "token of %s: %s", policy->name, error_detail());
        else if (policy->has_token && is_known(policies, i))
            config_fault(loading, place, path, "token of %s: another policy has it too",
                         policy->name);
    }
}

/* --- out ------------------------------------------------------------------------------------------------------- */

static cc_err put_policy(struct buf *out, const struct static_policy *policy)
{
    const char *between = "";
    CC_TRY(config_quote(out, policy->name));
    CC_TRY(buf_append_str(out, ": {"));
    if (policy->token[0]) {
        CC_TRY(buf_append_str(out, "token: "));
        CC_TRY(config_quote(out, policy->token));
        between = ", ";
    }
    if (policy->allowed_scopes[0]) {
        CC_TRY(buf_printf(out, "%sallowed_scopes: [%s]", between, policy->allowed_scopes));
        between = ", ";
    }
    if (policy->denied_scopes[0])
        CC_TRY(buf_printf(out, "%sdenied_scopes: [%s]", between, policy->denied_scopes));
    return buf_append_str(out, "}");
}

CC_ERR config_policies_put(const struct static_policies *policies, struct buf *out)
{
    CC_TRY(buf_append_str(out, "{"));
    for (uint32_t i = 0; i < policies->count; i++) {
        if (i)
            CC_TRY(buf_append_str(out, ", "));
        CC_TRY(put_policy(out, &policies->items[i]));
    }
    return buf_append_str(out, "}");
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

bool config_policies_sound(const struct static_policies *policies)
{
    if (policies->count > CONFIG_POLICIES_MAX)
        return false;
    for (uint32_t i = 0; i < policies->count; i++) {
        const struct static_policy *policy = &policies->items[i];
        if (!ends(policy->name, sizeof policy->name) ||
            !ends(policy->token, sizeof policy->token) ||
            !ends(policy->allowed_scopes, sizeof policy->allowed_scopes) ||
            !ends(policy->denied_scopes, sizeof policy->denied_scopes))
            return false;
    }
    return true;
}
