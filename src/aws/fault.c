#include "aws/fault.h"

#include <ctype.h>

#include "base/alloc.h"

#include "codec/json.h"

enum {
    JSON_TOKENS_MAX = 4096,
    BODY_MAX = 65536
};

static const struct {
    const char *type;
    enum aws_fault_class class;
} classes[] = {
#define F(type, class) {type, AWS_FAULT_##class},
#include "aws/fault.def"
#undef F
};

/* "com.amazonaws.dynamodb.v20120810#Name" and "Name:http://..." are both Name. */
static bool take_type(struct span text, struct aws_fault *fault)
{
    const uint8_t *hash = text.len ? memchr(text.data, '#', text.len) : NULL;
    if (hash)
        text = span_of(hash + 1, text.len - (size_t)(hash + 1 - text.data));
    const uint8_t *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
    if (colon)
        text.len = (size_t)(colon - text.data);
    if (text.len == 0 || text.len >= sizeof fault->type)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum(text.data[i]) && text.data[i] != '.' && text.data[i] != '_')
            return false;
    memcpy(fault->type, text.data, text.len);
    fault->type[text.len] = 0;
    return true;
}

static void take_type_of_json(struct span body, struct aws_fault *fault)
{
    static const char *const members[] = {"__type", "code", "Code"};
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(JSON_TOKENS_MAX);
    CC_CLEANUP(buf_release) struct buf copy = buf_init(BODY_MAX);
    if (buf_append(&copy, body.data, body.len).code || jdoc_parse(&doc, copy.data, copy.len).code)
        return;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct jval value;
        struct span text;
        if (jval_member(jdoc_root(&doc), members[i], &value) && jval_type(value) == JVAL_STRING &&
            !jval_text(value, &text).code && take_type(text, fault))
            return;
    }
}

/* STS: <ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>... */
static void take_type_of_xml(struct span body, struct aws_fault *fault)
{
    static const char open[] = "<Code>";
    const uint8_t *at = memmem(body.data, body.len, open, sizeof open - 1);
    if (!at)
        return;
    at += sizeof open - 1;
    size_t left = body.len - (size_t)(at - body.data);
    const uint8_t *end = memchr(at, '<', left);
    if (end)
        (void)take_type(span_of(at, (size_t)(end - at)), fault);
}

static enum aws_fault_class class_of(int status, const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (span_is(span_str(type), classes[i].type))
            return classes[i].class;
    if (status == 429)
        return AWS_FAULT_THROTTLED;
    if (status >= 500)
        return AWS_FAULT_BROKEN;
    if (status == 401 || status == 403)
        return AWS_FAULT_DENIED;
    return AWS_FAULT_REFUSED;
}

/* A signature of another time is named like any wrong signature; only the text says more: "Signature expired: ...",
 * "Signature not yet current: ...".
 */
static bool speaks_of_time(struct span body)
{
    static const char *const signs[] = {"Signature expired", "Signature not yet current"};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (memmem(body.data, body.len, signs[i], strlen(signs[i])))
            return true;
    return false;
}

void aws_fault_read(int status, const char *header, struct span body, struct aws_fault *ret_fault)
{
    *ret_fault = (struct aws_fault){.class = AWS_FAULT_NONE};
    if (status >= 200 && status < 300)
        return;
    if (!take_type(span_str(header), ret_fault) && body.len) {
        if (body.data[0] == '<')
            take_type_of_xml(body, ret_fault);
        else
            take_type_of_json(body, ret_fault);
    }
    ret_fault->class = class_of(status, ret_fault->type);
    if (ret_fault->class == AWS_FAULT_DENIED && body.len && speaks_of_time(body))
        ret_fault->class = AWS_FAULT_CLOCK;
}

CC_ERR aws_fault_error(const struct aws_fault *fault)
{
    switch (fault->class) {
    case AWS_FAULT_NONE:
        return CC_OK;
    case AWS_FAULT_THROTTLED:
        return CC_FAIL(AWS_THROTTLED, NULL);
    case AWS_FAULT_BROKEN:
        return CC_FAIL(AWS_UNREACHABLE, "the service reports a fault of its own");
    case AWS_FAULT_EXPIRED:
        return CC_FAIL(AWS_DENIED, "the credentials have expired, or are not known");
    case AWS_FAULT_DENIED:
        return CC_FAIL(AWS_DENIED, NULL);
    case AWS_FAULT_CLOCK:
        return CC_FAIL(AWS_CLOCK, NULL);
    case AWS_FAULT_REFUSED:
        return CC_FAIL(AWS_REFUSED, NULL);
    }
    return CC_FAIL(AWS_REFUSED, NULL);
}

bool aws_fault_is_passing(enum aws_fault_class class)
{
    return class == AWS_FAULT_THROTTLED || class == AWS_FAULT_BROKEN;
}
