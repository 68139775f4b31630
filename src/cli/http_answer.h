/* cli/http_answer.h - reads one HTTP/1.1 response.
 *
 * WHAT      Status, and the body to a sink, out of a read function: with a length, in chunks, or up to the end.
 * PROMISE   Bounded memory. CC_OK means that the whole body came: a response that breaks off is an error.
 * THREADS   One.   OWNERSHIP Borrows.   ERRORS PROTOCOL, IO, what `read` and `sink` return.   SECRETS None.
 */
#ifndef CLI_HTTP_ANSWER_H
#define CLI_HTTP_ANSWER_H

#include "codec/json_stream.h"

typedef cc_err http_sink_fn(void *context, const void *data, size_t len);

struct http_answer {
    json_stream_read_fn *read;
    void *read_context;
    http_sink_fn *sink; /* gets the body */
    void *sink_context;
    /* Called when the status is known, before the body; may change the sink. NULL: not. */
    void (*head)(struct http_answer *answer);
    int status;
    /* private */
    uint8_t buffer[16384];
    size_t at, filled;
};

CC_ERR http_answer_read(struct http_answer *answer);

#endif
