/* base/span.h - borrowed and owned byte ranges.
 *
 * WHAT      struct span borrows bytes; struct buf owns a growing array with a maximum.
 * PROMISE   A buf never grows beyond its `max`; buf_release() wipes it first.
 * THREADS   One thread per object.
 * OWNERSHIP A span never frees. buf_release() frees; it takes an empty buf.
 * ERRORS    NO_MEMORY; LIMIT beyond `max`.
 * SECRETS   A buf may hold them only in the vault and the loader (docs/secrets.md).
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <string.h>

#include "base/error.h"

struct span {
    const uint8_t *data;
    size_t len;
};

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max;
};

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){(const uint8_t *)data, len};
}

static inline struct span span_str(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

/* True when both hold the same bytes. Not constant-time: for secrets use ct_equal(). */
bool span_equal(struct span a, struct span b);
/* True when `s` is exactly the characters of `text`. */
bool span_is(struct span s, const char *text);
/* The same without regard to ASCII case. */
bool span_is_nocase(struct span s, const char *text);

/* Makes an empty buf that may grow to `max` bytes; allocates nothing. */
static inline struct buf buf_init(size_t max)
{
    return (struct buf){.max = max};
}
CC_ERR buf_append(struct buf *b, const void *data, size_t len);
CC_ERR buf_append_str(struct buf *b, const char *text);
CC_ERR buf_printf(struct buf *b, const char *fmt, ...) CC_PRINTF(2, 3);
/* Makes room for `len` more bytes and returns where they go; buf->len grows by `len`. */
CC_ERR buf_grow(struct buf *b, size_t len, uint8_t **ret_at);
static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->data, b->len};
}
void buf_release(struct buf *b);

#endif
