/* codec/json_stream.h - strict JSON as a stream of events, in bounded memory.
 *
 * WHAT      A pull parser over a read function, for texts that are too large to hold: slashing histories.
 * PROMISE   RFC 8259 and no more; UTF-8 checked; escapes decoded, lone surrogates refused; at most
 *           JSON_STREAM_DEPTH levels and JSON_STREAM_TEXT bytes in a string or number; nothing but white space
 *           after the value. Memory is this struct and never more. Keys are not compared: a caller that cares
 *           about duplicates watches for them.
 * THREADS   One thread per stream.
 * OWNERSHIP Borrows the read function's context; text belongs to the stream until the next call.
 * ERRORS    JSON_SYNTAX, JSON_UTF8, JSON_TOO_DEEP, JSON_TOO_LARGE (a long string or number), what `read` returns. After
 *           an error every further call returns it again.
 * SECRETS   Not for them.
 */
#ifndef CODEC_JSON_STREAM_H
#define CODEC_JSON_STREAM_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum {
    JSON_STREAM_DEPTH = 64,
    JSON_STREAM_TEXT = 1024,
    JSON_STREAM_BUFFER = 16384
};

/* Reads up to `room` bytes; *ret_len 0 means the end. */
typedef cc_err json_stream_read_fn(void *context, void *into, size_t room, size_t *ret_len);

enum json_stream_event {
    JSON_STREAM_OBJECT,
    JSON_STREAM_OBJECT_END,
    JSON_STREAM_ARRAY,
    JSON_STREAM_ARRAY_END,
    JSON_STREAM_KEY,    /* text: the key */
    JSON_STREAM_STRING, /* text: the string, decoded */
    JSON_STREAM_NUMBER, /* text: as written */
    JSON_STREAM_TRUE,
    JSON_STREAM_FALSE,
    JSON_STREAM_NULL,
    JSON_STREAM_END /* after the value, at the end of the input */
};

struct json_stream {
    uint64_t line;    /* of the last event, from 1 */
    struct span text; /* of the last KEY, STRING or NUMBER */
    /* private */
    json_stream_read_fn *read;
    void *context;
    cc_err failed;
    size_t at, filled;
    bool eof;
    unsigned depth;
    unsigned state;
    uint8_t in_object[JSON_STREAM_DEPTH];
    size_t text_len;
    uint8_t text_bytes[JSON_STREAM_TEXT];
    uint8_t buffer[JSON_STREAM_BUFFER];
};

void json_stream_init(struct json_stream *stream, json_stream_read_fn *read, void *context);
CC_ERR json_stream_next(struct json_stream *stream, enum json_stream_event *ret_event);
/* Reads past the value that `first` began. */
CC_ERR json_stream_skip(struct json_stream *stream, enum json_stream_event first);

#endif
