/* codec/base64.h - bytes as base64 text (RFC 4648, sections 4 and 5).
 *
 * WHAT      The standard alphabet with padding, as DynamoDB writes binary attributes; and base64url without padding.
 * PROMISE   Decoding accepts exactly what encoding writes: no white space, no missing padding, no stray bits. The time of
 *           base64url depends on the length alone: tokens and management keys are written so.
 * THREADS   Any: pure.   OWNERSHIP Appends to the caller's buf.   ERRORS MALFORMED, LIMIT, NO_MEMORY.   SECRETS None of its own.
 */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/error.h"
#include "base/span.h"

CC_ERR base64_append(struct buf *out, const void *data, size_t len);
/* Decodes all of `text`, at most `max` bytes, and says how many there were. */
CC_ERR base64_decode(struct span text, uint8_t *ret_bytes, size_t max, size_t *ret_len);

CC_ERR base64url_append(struct buf *out, const void *data, size_t len);
/* Decodes `text` to exactly `len` bytes. On an error `ret_bytes` may hold part of them. */
CC_ERR base64url_decode(struct span text, uint8_t *ret_bytes, size_t len);

#endif
