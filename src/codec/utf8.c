#include "codec/utf8.h"

#include <utf8proc.h>

#include "secret/wipe.h"

struct decomposed {
    utf8proc_int32_t points[UTF8_PASSWORD_MAX];
};

static void decomposed_wipep(struct decomposed *d)
{
    wipe(d, sizeof *d);
}

/* C0, Delete and C1. */
static int is_control(utf8proc_int32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

static CC_SENSITIVE cc_err encode(
    const utf8proc_int32_t *points, size_t count, uint8_t *ret_bytes, size_t size, size_t *ret_len)
{
    size_t len = 0;
    uint8_t encoded[4];
    cc_err err = CC_OK;
    for (size_t i = 0; i < count && !err.code; i++) {
        if (is_control(points[i]))
            continue;
        size_t n = (size_t)utf8proc_encode_char(points[i], encoded);
        if (n > size - len) {
            err = CC_FAIL(PASSWORD_TEXT, "longer than allowed");
        } else {
            memcpy(ret_bytes + len, encoded, n);
            len += n;
        }
    }
    wipe(encoded, sizeof encoded);
    if (err.code) {
        wipe(ret_bytes, len);
        return err;
    }
    *ret_len = len;
    return CC_OK;
}

CC_SENSITIVE CC_ERR utf8_password(struct span text,
                                  uint8_t *ret_bytes,
                                  size_t size,
                                  size_t *ret_len)
{
    if (text.len == 0) {
        *ret_len = 0;
        return CC_OK;
    }
    if (text.len > (size_t)4 * UTF8_PASSWORD_MAX)
        return CC_FAIL(PASSWORD_TEXT, "longer than allowed");
    CC_CLEANUP(decomposed_wipep) struct decomposed d;
    const int nfkd = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
    utf8proc_ssize_t count = utf8proc_decompose(text.data, (utf8proc_ssize_t)text.len, d.points,
                                                UTF8_PASSWORD_MAX, (utf8proc_option_t)nfkd);
    if (count < 0)
        return CC_FAIL(PASSWORD_TEXT, "not valid UTF-8");
    if (count > UTF8_PASSWORD_MAX)
        return CC_FAIL(PASSWORD_TEXT, "longer than allowed");
    return encode(d.points, (size_t)count, ret_bytes, size, ret_len);
}

bool utf8_is(struct span text)
{
    utf8proc_int32_t point;
    for (size_t at = 0; at < text.len;) {
        /* Four bytes are enough for one character; a negative length would mean "up to the first zero". */
        size_t left = text.len - at < 4 ? text.len - at : 4;
        utf8proc_ssize_t n = utf8proc_iterate(text.data + at, (utf8proc_ssize_t)left, &point);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}
