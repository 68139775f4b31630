#include "auth/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "auth/fault.h"
#include "codec/base64.h"
#include "codec/hex.h"

static const char prefix[] = "cc_token_";

enum {
    TOKENS = 512 /* values and keys of a record's JSON */
};

_Static_assert(sizeof prefix - 1 + 43 + 1 == TOKEN_TEXT_SIZE, "a token's text");

CC_SENSITIVE void token_text(const uint8_t random[static TOKEN_RANDOM_SIZE],
                             char ret_text[static TOKEN_TEXT_SIZE])
{
    struct buf text = {.data = (uint8_t *)ret_text, .cap = TOKEN_TEXT_SIZE, .max = TOKEN_TEXT_SIZE};
    cc_err err = buf_append_str(&text, prefix);
    if (!err.code)
        err = base64url_append(&text, random, TOKEN_RANDOM_SIZE);
    cc_assert(!err.code && text.len == TOKEN_TEXT_SIZE - 1 && text.data == (uint8_t *)ret_text);
    ret_text[text.len] = 0;
}

void token_digest(struct span text, uint8_t ret_digest[static SHA256_SIZE])
{
    sha256(text, ret_digest);
}

void token_mac(const uint8_t key[static MAC_SIZE],
               const uint8_t digest[static SHA256_SIZE],
               uint8_t ret_mac[static MAC_SIZE])
{
    const struct span part = span_of(digest, SHA256_SIZE);
    mac_hmac_sha256(span_of(key, MAC_SIZE), &part, 1, ret_mac);
}

/* --- records ------------------------------------------------------------------------------------------------ */

struct reading {
    struct token *token;
    struct auth_fault *fault;
    unsigned seen; /* members that were there, by row of the table */
};

static cc_err
read_hex32(const struct reading *r, struct jval value, const char *place, uint8_t *ret_bytes)
{
    struct span text;
    if (jval_text(value, &text).code || hex_decode(text, ret_bytes, 32).code)
        return fault_at(r->fault, "not 32 bytes in hex", "%s", place);
    return CC_OK;
}

static cc_err
read_seconds(const struct reading *r, struct jval value, const char *place, uint64_t *to)
{
    return jval_u64(value, to).code
               ? fault_at(r->fault, "not a whole number below 2^64", "%s", place)
               : CC_OK;
}

static cc_err read_name(struct reading *r, struct jval value)
{
    struct span text;
    if (jval_text(value, &text).code || !span_is(text, r->token->name))
        return fault_at(r->fault, "not the record's name", "name");
    return CC_OK;
}

static cc_err read_mac(struct reading *r, struct jval value)
{
    return read_hex32(r, value, "mac", r->token->mac);
}

static cc_err read_policies(struct reading *r, struct jval value)
{
    struct jval element;
    CC_TRY(fault_check_list(r->fault, value, TOKEN_POLICIES_MAX, "policies"));
    struct jval_iter iter = jval_iterate(value);
    while (jval_next(&iter, &element)) {
        struct span text;
        uint32_t i = r->token->policy_count;
        CC_TRY(fault_text(r->fault, element, "policies", i, &text));
        if (!policy_is_name(text))
            return fault_at(r->fault, "not a policy's name", "policies[%u]", i);
        memcpy(r->token->policies[i], text.data, text.len);
        r->token->policy_count++;
    }
    return CC_OK;
}

static cc_err read_created(struct reading *r, struct jval value)
{
    return read_seconds(r, value, "created", &r->token->created);
}

static cc_err read_expires(struct reading *r, struct jval value)
{
    return read_seconds(r, value, "expires", &r->token->expires);
}

static cc_err read_last_used(struct reading *r, struct jval value)
{
    return read_seconds(r, value, "last_used", &r->token->last_used);
}

static cc_err read_cidrs(struct reading *r, struct jval value)
{
    struct jval element;
    CC_TRY(fault_check_list(r->fault, value, TOKEN_CIDRS_MAX, "cidrs"));
    struct jval_iter iter = jval_iterate(value);
    while (jval_next(&iter, &element)) {
        struct span text;
        uint32_t i = r->token->cidr_count;
        CC_TRY(fault_text(r->fault, element, "cidrs", i, &text));
        if (cidr_parse(text, &r->token->cidrs[i]).code)
            return fault_at(r->fault, error_detail(), "cidrs[%u]", i);
        r->token->cidr_count++;
    }
    return CC_OK;
}

static cc_err read_certificate(struct reading *r, struct jval value)
{
    r->token->has_certificate = true;
    return read_hex32(r, value, "certificate", r->token->certificate);
}

static const struct {
    const char *name;
    bool needed;
    cc_err (*read)(struct reading *r, struct jval value);
} members[] = {
    {"name", true, read_name},         {"mac", true, read_mac},
    {"policies", true, read_policies}, {"created", true, read_created},
    {"expires", false, read_expires},  {"last_used", false, read_last_used},
    {"cidrs", false, read_cidrs},      {"certificate", false, read_certificate},
};

static cc_err read_member(struct reading *r, struct span key, struct jval value)
{
    for (unsigned i = 0; i < ARRAY_LEN(members); i++) {
        if (!span_is(key, members[i].name))
            continue;
        r->seen |= 1U << i;
        return members[i].read(r, value);
    }
    return fault_at(r->fault, "an unknown member", "%s", "");
}

static cc_err read_token(struct reading *r, struct jval root)
{
    struct jval value;
    struct span key;
    if (jval_type(root) != JVAL_OBJECT)
        return fault_at(r->fault, "not an object", "%s", "");
    struct jval_iter iter = jval_iterate(root);
    while (jval_next_member(&iter, &key, &value))
        CC_TRY(read_member(r, key, value));
    for (unsigned i = 0; i < ARRAY_LEN(members); i++)
        if (members[i].needed && !(r->seen >> i & 1))
            return fault_at(r->fault, "is missing", "%s", members[i].name);
    return CC_OK;
}

CC_ERR token_parse(uint8_t *text,
                   size_t len,
                   const char *name,
                   struct token *ret_token,
                   struct auth_fault *ret_fault)
{
    struct token token = {0};
    struct reading r = {.token = &token, .fault = ret_fault};
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS);
    *ret_fault = (struct auth_fault){.what = ""};
    if (len > TOKEN_STORED_MAX)
        return fault_at(ret_fault, "longer than a token's record may be", "%s", "");
    if (!policy_is_name(span_str(name)))
        return fault_at(ret_fault, "not a name: [a-z0-9][a-z0-9._-]*, shorter than 40", "name");
    cc_err err = jdoc_parse(&doc, text, len);
    if (err.code)
        return fault_from(ret_fault, err, "");
    (void)snprintf(token.name, sizeof token.name, "%s", name);
    CC_TRY(read_token(&r, jdoc_root(&doc)));
    *ret_token = token;
    return CC_OK;
}

static cc_err put_hex32(struct buf *out, const char *name, const uint8_t *bytes)
{
    char digits[64];
    hex_encode(bytes, 32, digits);
    return buf_printf(out, ",\"%s\":\"%.64s\"", name, digits);
}

static cc_err put_seconds(struct buf *out, const char *name, uint64_t seconds)
{
    return seconds ? buf_printf(out, ",\"%s\":%" PRIu64, name, seconds) : CC_OK;
}

static cc_err put_cidrs(const struct token *token, struct buf *out)
{
    for (uint32_t i = 0; i < token->cidr_count; i++) {
        char text[CIDR_TEXT_SIZE];
        cidr_text(&token->cidrs[i], text);
        CC_TRY(buf_printf(out, "%s\"%s\"", i ? "," : ",\"cidrs\":[", text));
    }
    return token->cidr_count ? buf_append_str(out, "]") : CC_OK;
}

CC_ERR token_write(const struct token *token, struct buf *out)
{
    CC_TRY(buf_printf(out, "{\"name\":\"%s\"", token->name));
    CC_TRY(put_hex32(out, "mac", token->mac));
    for (uint32_t i = 0; i < token->policy_count; i++)
        CC_TRY(buf_printf(out, "%s\"%s\"", i ? "," : ",\"policies\":[", token->policies[i]));
    CC_TRY(buf_printf(out, "],\"created\":%" PRIu64, token->created));
    CC_TRY(put_seconds(out, "expires", token->expires));
    CC_TRY(put_seconds(out, "last_used", token->last_used));
    CC_TRY(put_cidrs(token, out));
    if (token->has_certificate)
        CC_TRY(put_hex32(out, "certificate", token->certificate));
    return buf_append_str(out, "}");
}

/* --- use ------------------------------------------------------------------------------------------------------ */

enum token_state token_check(const struct token *token, const struct caller *caller, uint64_t now)
{
    static const uint8_t none[sizeof caller->address] = {0};
    if (token->expires && now >= token->expires)
        return TOKEN_EXPIRED;
    bool local = span_equal(span_of(caller->address, sizeof none), span_of(none, sizeof none));
    bool from_there = token->cidr_count == 0;
    for (uint32_t i = 0; i < token->cidr_count && !local; i++)
        from_there |= cidr_holds(&token->cidrs[i], caller->address);
    if (!from_there)
        return TOKEN_ELSEWHERE;
    if (token->has_certificate && !span_equal(span_of(token->certificate, SHA256_SIZE),
                                              span_of(caller->fingerprint, SHA256_SIZE)))
        return TOKEN_OTHER_CERTIFICATE;
    return TOKEN_GOOD;
}
