#include "codec/traceparent.h"

#include "codec/hex.h"

enum {
    VERSION_AT = 0,
    TRACE_AT = 3,
    PARENT_AT = 36,
    FLAGS_AT = 53,
    VERSION_FORBIDDEN = 0xff,
    FLAG_SAMPLED = 1
};

bool trace_id_is_none(const uint8_t *id, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= id[i];
    return any == 0;
}

/* Capital digits are as wrong as any other character. */
static cc_err read_hex(struct span text, size_t at, uint8_t *ret_bytes, size_t len)
{
    for (size_t i = at; i < at + 2 * len; i++) {
        const uint8_t c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return CC_FAIL(MALFORMED, "traceparent: not a small hex digit");
    }
    return hex_decode(span_of(text.data + at, 2 * len), ret_bytes, len);
}

static bool has_dash(struct span text, size_t at)
{
    return text.data[at] == '-';
}

CC_ERR traceparent_parse(struct span text, struct traceparent *ret_parent)
{
    uint8_t version = 0;
    uint8_t flags = 0;
    if (text.len < TRACEPARENT_LEN || !has_dash(text, TRACE_AT - 1) ||
        !has_dash(text, PARENT_AT - 1) || !has_dash(text, FLAGS_AT - 1))
        return CC_FAIL(MALFORMED, "traceparent: form");
    CC_TRY(read_hex(text, VERSION_AT, &version, 1));
    CC_TRY(read_hex(text, TRACE_AT, ret_parent->trace_id, TRACE_ID_SIZE));
    CC_TRY(read_hex(text, PARENT_AT, ret_parent->parent_id, SPAN_ID_SIZE));
    CC_TRY(read_hex(text, FLAGS_AT, &flags, 1));
    if (version == VERSION_FORBIDDEN)
        return CC_FAIL(MALFORMED, "traceparent: version ff");
    if (text.len > TRACEPARENT_LEN && (version == 0 || !has_dash(text, TRACEPARENT_LEN)))
        return CC_FAIL(MALFORMED, "traceparent: length");
    if (trace_id_is_none(ret_parent->trace_id, TRACE_ID_SIZE) ||
        trace_id_is_none(ret_parent->parent_id, SPAN_ID_SIZE))
        return CC_FAIL(MALFORMED, "traceparent: an id of zeros");
    ret_parent->sampled = (flags & FLAG_SAMPLED) != 0;
    return CC_OK;
}
