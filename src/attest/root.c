#include "attest/root.h"

#include "base/io.h"

#include "codec/base64.h"

static const char pem_begin[] = "-----BEGIN CERTIFICATE-----";
static const char pem_end[] = "-----END CERTIFICATE-----";

/* Base64 in lines, as PEM has it. */
static cc_err decode_lines(struct span text, struct buf *ret_bytes)
{
    CC_CLEANUP(buf_release) struct buf digits = buf_init(text.len + 1);
    uint8_t *at;
    size_t len;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.data[i];
        if (c != '\n' && c != '\r' && c != ' ' && c != '\t')
            CC_TRY(buf_append(&digits, &c, 1));
    }
    CC_TRY(buf_grow(ret_bytes, digits.len, &at)); /* more than it takes */
    if (base64_decode(buf_span(&digits), at, digits.len, &len).code || len == 0)
        return CC_FAIL(ATTEST_FORMAT, "not base64");
    ret_bytes->len -= digits.len - len;
    return CC_OK;
}

static const uint8_t *find(struct span text, const char *what)
{
    return text.len ? memmem(text.data, text.len, what, strlen(what)) : NULL;
}

CC_ERR attest_root_decode(struct span content, struct buf *ret_der)
{
    const uint8_t *begin = find(content, pem_begin);
    if (!begin) {
        if (content.len == 0 || content.data[0] != 0x30)
            return CC_FAIL(ATTEST_FORMAT, "not a certificate in DER or PEM");
        return buf_append(ret_der, content.data, content.len);
    }
    begin += sizeof pem_begin - 1;
    struct span rest = span_of(begin, (size_t)(content.data + content.len - begin));
    const uint8_t *end = find(rest, pem_end);
    if (!end || find(rest, pem_begin))
        return CC_FAIL(ATTEST_FORMAT, "not one certificate in PEM");
    return decode_lines(span_of(begin, (size_t)(end - begin)), ret_der);
}

CC_ERR attest_root_read(const char *path, struct buf *ret_der)
{
    CC_CLEANUP(buf_release) struct buf content = buf_init(ATTEST_ROOT_MAX);
    CC_TRY(file_read(path, &content));
    return attest_root_decode(buf_span(&content), ret_der);
}

CC_ERR attest_bytes_decode(struct span content, struct buf *ret_bytes)
{
    if (content.len == 0)
        return CC_FAIL(ATTEST_FORMAT, "empty");
    if (content.data[0] >= 0x80) /* an array or a tag: no character of base64 */
        return buf_append(ret_bytes, content.data, content.len);
    return decode_lines(content, ret_bytes);
}
