#include "auth/token_request.h"

#include <string.h>

#include "auth/fault.h"
#include "codec/hex.h"
#include "codec/json.h"

enum {
    TOKENS = 512 /* values and keys of the JSON */
};

struct reading {
    struct token *token;
    struct auth_fault *fault;
    uint64_t now;
};

static cc_err read_name(const struct reading *r, struct jval value, const char *place, char *to)
{
    struct span text;
    if (jval_text(value, &text).code || !policy_is_name(text))
        return fault_at(r->fault, "not a name: [a-z0-9][a-z0-9._-]*, shorter than 40", "%s", place);
    memcpy(to, text.data, text.len);
    to[text.len] = 0;
    return CC_OK;
}

static cc_err read_own_name(const struct reading *r, struct jval value)
{
    return read_name(r, value, "name", r->token->name);
}

static cc_err read_policies(const struct reading *r, struct jval value)
{
    struct jval element;
    CC_TRY(fault_check_list(r->fault, value, TOKEN_POLICIES_MAX, "policies"));
    struct jval_iter iter = jval_iterate(value);
    while (jval_next(&iter, &element)) {
        const uint32_t at = r->token->policy_count;
        CC_TRY(read_name(r, element, "policies", r->token->policies[at]));
        for (uint32_t i = 0; i < at; i++)
            if (strcmp(r->token->policies[i], r->token->policies[at]) == 0)
                return fault_at(r->fault, "twice the same", "policies[%u]", at);
        r->token->policy_count++;
    }
    return CC_OK;
}

static cc_err read_ttl(const struct reading *r, struct jval value)
{
    uint64_t seconds = 0;
    if (jval_u64(value, &seconds).code || seconds == 0 || seconds > TOKEN_TTL_MAX)
        return fault_at(r->fault, "not a number of seconds from 1 to ten years", "%s",
                        "ttl_seconds");
    r->token->expires = r->now + seconds;
    return CC_OK;
}

static cc_err read_cidrs(const struct reading *r, struct jval value)
{
    struct jval element;
    struct span text;
    CC_TRY(fault_check_list(r->fault, value, TOKEN_CIDRS_MAX, "cidrs"));
    struct jval_iter iter = jval_iterate(value);
    while (jval_next(&iter, &element)) {
        const uint32_t at = r->token->cidr_count;
        CC_TRY(fault_text(r->fault, element, "cidrs", at, &text));
        if (cidr_parse(text, &r->token->cidrs[at]).code)
            return fault_at(r->fault, error_detail(), "cidrs[%u]", at);
        r->token->cidr_count++;
    }
    return CC_OK;
}

static cc_err read_certificate(const struct reading *r, struct jval value)
{
    struct span text;
    if (jval_text(value, &text).code || text.len != 2 * SHA256_SIZE ||
        hex_decode(text, r->token->certificate, SHA256_SIZE).code)
        return fault_at(r->fault, "not a SHA-256 in hex", "%s", "certificate");
    r->token->has_certificate = true;
    return CC_OK;
}

static const struct {
    const char *name;
    cc_err (*read)(const struct reading *r, struct jval value);
} members[] = {
    {"name", read_own_name}, {"policies", read_policies},       {"ttl_seconds", read_ttl},
    {"cidrs", read_cidrs},   {"certificate", read_certificate},
};

static cc_err read_member(const struct reading *r, struct span key, struct jval value)
{
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (span_is(key, members[i].name))
            return members[i].read(r, value);
    return fault_at(r->fault, "an unknown member", "%s", "");
}

static cc_err read_all(const struct reading *r, struct jval root)
{
    struct jval value;
    struct span key;
    if (jval_type(root) != JVAL_OBJECT)
        return fault_at(r->fault, "not an object", "%s", "");
    struct jval_iter iter = jval_iterate(root);
    while (jval_next_member(&iter, &key, &value))
        CC_TRY(read_member(r, key, value));
    if (!r->token->name[0])
        return fault_at(r->fault, "is missing", "%s", "name");
    if (r->token->policy_count == 0)
        return fault_at(r->fault, "is missing", "%s", "policies");
    return CC_OK;
}

CC_ERR token_request_parse(
    uint8_t *text, size_t len, uint64_t now, struct token *ret_token, struct auth_fault *ret_fault)
{
    struct token token = {.created = now};
    const struct reading r = {&token, ret_fault, now};
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS);
    *ret_fault = (struct auth_fault){.what = ""};
    cc_err err = jdoc_parse(&doc, text, len);
    if (err.code)
        return fault_from(ret_fault, err, "");
    CC_TRY(read_all(&r, jdoc_root(&doc)));
    *ret_token = token;
    return CC_OK;
}
