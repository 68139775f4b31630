#include "auth/principal.h"

#include "codec/hex.h"
#include "wire/control.h"

/* The last '=': a common name may have one of its own, a policy's name has none. */
static cc_err split(struct span text, struct span *ret_who, struct span *ret_policies)
{
    size_t at = text.len;
    while (at > 0 && text.data[at - 1] != '=')
        at--;
    if (at < 2)
        return CC_FAIL(CONFIG, "is not WHO=policy[,policy]");
    *ret_who = span_of(text.data, at - 1);
    *ret_policies = span_of(text.data + at, text.len - at);
    return CC_OK;
}

static cc_err add_policy(struct principal_row *row, struct span name)
{
    if (!policy_is_name(name))
        return CC_FAIL(CONFIG, "names no policy that could be one");
    if (row->policy_count == PRINCIPAL_POLICIES_MAX)
        return CC_FAIL(CONFIG, "names more than 8 policies");
    memcpy(row->policies[row->policy_count++], name.data, name.len);
    return CC_OK;
}

static cc_err add_policies(struct principal_row *row, struct span names)
{
    for (;;) {
        const uint8_t *comma = names.len ? memchr(names.data, ',', names.len) : NULL;
        size_t len = comma ? (size_t)(comma - names.data) : names.len;
        CC_TRY(add_policy(row, span_of(names.data, len)));
        if (!comma)
            return CC_OK;
        names = span_of(comma + 1, names.len - len - 1);
    }
}

static bool begins(struct span text, const char *prefix, struct span *ret_rest)
{
    size_t len = strlen(prefix);
    if (text.len < len || !span_is(span_of(text.data, len), prefix))
        return false;
    *ret_rest = span_of(text.data + len, text.len - len);
    return true;
}

static cc_err take_name(struct principal_row *row, enum principal_kind kind, struct span name)
{
    if (name.len == 0 || name.len >= sizeof row->name)
        return CC_FAIL(CONFIG, "names nobody");
    row->kind = kind;
    memcpy(row->name, name.data, name.len);
    return CC_OK;
}

static cc_err take_certificate(struct principal_row *row, struct span who)
{
    struct span rest = {0};
    if (begins(who, "san:", &rest))
        return take_name(row, PRINCIPAL_SAN, rest);
    if (begins(who, "cn:", &rest))
        return take_name(row, PRINCIPAL_CN, rest);
    if (!begins(who, "sha256:", &rest) ||
        hex_decode(rest, row->fingerprint, sizeof row->fingerprint).code)
        return CC_FAIL(CONFIG, "is none of sha256:HEX, san:NAME, cn:NAME");
    row->kind = PRINCIPAL_FINGERPRINT;
    return CC_OK;
}

CC_ERR principal_certificate_parse(struct span text, struct principal_row *ret_row)
{
    struct principal_row row = {0};
    struct span who = {0};
    struct span policies = {0};
    CC_TRY(split(text, &who, &policies));
    CC_TRY(take_certificate(&row, who));
    CC_TRY(add_policies(&row, policies));
    *ret_row = row;
    return CC_OK;
}

static cc_err take_listener(struct principal_row *row, struct span who)
{
    row->kind = PRINCIPAL_LISTENER;
    if (span_is(who, "unix"))
        row->listener = 1U << LISTENER_UNIX;
    else if (span_is(who, "tcp"))
        row->listener = 1U << LISTENER_API;
    else if (span_is(who, "tls"))
        row->listener = 1U << LISTENER_TLS;
    else
        return CC_FAIL(CONFIG, "is none of unix, tcp, tls");
    memcpy(row->name, who.data, who.len);
    return CC_OK;
}

CC_ERR principal_listener_parse(struct span text, struct principal_row *ret_row)
{
    struct principal_row row = {0};
    struct span who = {0};
    struct span policies = {0};
    CC_TRY(split(text, &who, &policies));
    CC_TRY(take_listener(&row, who));
    CC_TRY(add_policies(&row, policies));
    *ret_row = row;
    return CC_OK;
}
