#include "aws/ask.h"

#include <time.h>

#include "aws/fault.h"

enum {
    CONNECT_TIMEOUT_MS = 1000,
    PAUSE_MS = 100
};

static void pause_for(uint32_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

static cc_err ask_once(struct aws_pool *pool, struct aws_http *http, bool *ret_passing)
{
    struct aws_fault fault;
    cc_err err = aws_pool_run(pool, http);
    *ret_passing = error_is(err, ERROR_AWS_UNREACHABLE);
    CC_TRY(err);
    aws_fault_read(http->status, http->error_type, buf_span(&http->answer), &fault);
    *ret_passing = aws_fault_is_passing(fault.class);
    return aws_fault_error(&fault);
}

CC_ERR aws_ask(struct aws_pool *pool, struct aws_http *http)
{
    http->connect_timeout_ms =
        http->timeout_ms < CONNECT_TIMEOUT_MS ? http->timeout_ms : CONNECT_TIMEOUT_MS;
    http->body_max = AWS_ASK_ANSWER_MAX;
    for (uint32_t i = 1;; i++) {
        bool passing = false;
        cc_err err = ask_once(pool, http, &passing);
        if (!err.code || !passing || i == AWS_ASK_TRIES)
            return err;
        pause_for(PAUSE_MS * i);
    }
}
