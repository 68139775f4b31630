/* aws/ask.h - one question to a source of credentials.
 *
 * WHAT      An exchange with a few tries: after no connection, no answer, throttling, or the source's own trouble.
 * PROMISE   Returns an answer with a 2xx status, or an error. Ends after at most tries * timeout and short pauses.
 * THREADS   As the pool's.
 * OWNERSHIP The answer is the caller's: aws_http_release(), also after an error.
 * ERRORS    AWS_UNREACHABLE, AWS_THROTTLED, AWS_DENIED, AWS_CLOCK, AWS_REFUSED, NO_MEMORY, LIMIT.
 * SECRETS   Answers hold credentials.
 */
#ifndef AWS_ASK_H
#define AWS_ASK_H

#include "aws/http.h"

enum {
    AWS_ASK_TRIES = 3,
    AWS_ASK_ANSWER_MAX = 65536
};

/* Fills http->connect_timeout_ms and body_max; the rest is the caller's. */
CC_ERR aws_ask(struct aws_pool *pool, struct aws_http *http);

#endif
