/* codec/traceparent.h - the header that tells which trace a request belongs to (W3C Trace Context, level 1).
 *
 * WHAT      VERSION-TRACEID-PARENTID-FLAGS in small hex digits, and back to text.
 * PROMISE   Strict: what is not exactly the form of version 00, or a longer one of a later version, is not taken at all. Ids of
 *           zeros are none.
 * THREADS   Any: pure.   OWNERSHIP By value.   ERRORS MALFORMED.   SECRETS None.
 */
#ifndef CODEC_TRACEPARENT_H
#define CODEC_TRACEPARENT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum {
    TRACE_ID_SIZE = 16,
    SPAN_ID_SIZE = 8,
    TRACEPARENT_LEN = 55
};

struct traceparent {
    uint8_t trace_id[TRACE_ID_SIZE];
    uint8_t parent_id[SPAN_ID_SIZE];
    bool sampled; /* the caller's own span is kept */
};

CC_ERR traceparent_parse(struct span text, struct traceparent *ret_parent);
/* All bytes are zero: no id. */
bool trace_id_is_none(const uint8_t *id, size_t len);

#endif
