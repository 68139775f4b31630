#include "base/span.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"

bool span_equal(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    return a.len == 0 || __builtin_memcmp(a.data, b.data, a.len) == 0;
}

bool span_is(struct span s, const char *text)
{
    return span_equal(s, span_str(text));
}

bool span_is_nocase(struct span s, const char *text)
{
    return s.len == strlen(text) &&
           (s.len == 0 || strncasecmp((const char *)s.data, text, s.len) == 0);
}

static void wipe_plain(void *data, size_t len)
{
    if (data)
        explicit_bzero(data, len);
}

CC_ERR buf_grow(struct buf *b, size_t len, uint8_t **ret_at)
{
    if (len > b->max || b->len > b->max - len)
        return CC_FAIL(LIMIT, "buffer maximum reached");
    size_t need = b->len + len;
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 256;
        while (cap < need)
            cap = cap > b->max / 2 ? b->max : cap * 2;
        /* Not realloc: the old copy must be wiped before it goes back to the heap. */
        uint8_t *data = cc_alloc(cap);
        if (!data)
            return CC_FAIL(NO_MEMORY, "buffer");
        if (b->len)
            memcpy(data, b->data, b->len);
        wipe_plain(b->data, b->cap);
        cc_free(b->data);
        b->data = data;
        b->cap = cap;
    }
    *ret_at = b->data ? b->data + b->len : NULL; /* nothing asked of an empty buffer */
    b->len = need;
    return CC_OK;
}

CC_ERR buf_append(struct buf *b, const void *data, size_t len)
{
    uint8_t *at;
    CC_TRY(buf_grow(b, len, &at));
    if (len)
        memcpy(at, data, len);
    return CC_OK;
}

CC_ERR buf_append_str(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

CC_ERR buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return CC_FAIL(SYSTEM, "vsnprintf");
    uint8_t *at;
    CC_TRY(buf_grow(b, (size_t)n + 1, &at));
    va_start(ap, fmt);
    (void)vsnprintf((char *)at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len--; /* the terminator stays beyond the end */
    return CC_OK;
}

void buf_release(struct buf *b)
{
    wipe_plain(b->data, b->cap);
    cc_free(b->data);
    *b = (struct buf){.max = b->max};
}
