/* aws/client.h - calls of one AWS service that speaks JSON.
 *
 * WHAT      A client has one endpoint and a pool of kept connections. A call is an operation and a JSON body; many are in
 *           flight at once. Each is signed, tried again where that can help, and has one deadline.
 * PROMISE   A call ends by its deadline. It is tried again only after throttling, a fault of the service, a connection
 *           that broke, or expired credentials (once), after a random pause that doubles; never after a refusal. `unsure`
 *           says truthfully whether a try that was not answered may have been carried out.
 * THREADS   One thread per client at a time; clients of one session may be used by different threads at once.
 * OWNERSHIP Borrows the session until aws_client_close(). A call borrows its inputs; the answer is the caller's:
 *           aws_call_release().
 * ERRORS    Per call, in `error`: CC_OK for a 2xx answer only; AWS_REFUSED (look at `fault.type` and `answer`),
 *           AWS_THROTTLED, AWS_UNREACHABLE, AWS_DENIED, AWS_CLOCK, AWS_CREDENTIALS, LIMIT, NO_MEMORY.
 * SECRETS   Credentials, in locked memory of the client, wiped after use.
 */
#ifndef AWS_CLIENT_H
#define AWS_CLIENT_H

#include "aws/fault.h"
#include "aws/http.h"
#include "aws/session.h"

enum {
    AWS_CALLS_IN_FLIGHT = 64,
    AWS_TARGET_MAX = 128,
    AWS_ANSWER_MAX =
        2 << 20 /* DynamoDB answers with 1 MiB of items at most; JSON and base64 add to it */
};

struct aws_client;

struct aws_service {
    const char *name;          /* "dynamodb": in the signature and in the endpoint's name */
    const char *target_prefix; /* "DynamoDB_20120810": of the header X-Amz-Target */
    const char *content_type;  /* "application/x-amz-json-1.0" */
};

struct aws_client_options {
    uint32_t connections;        /* 0: AWS_CALLS_IN_FLIGHT */
    uint32_t try_timeout_ms;     /* 0: 3000, for one try */
    uint32_t connect_timeout_ms; /* 0: 1500 */
    uint32_t tries_max;          /* 0: as many as the deadline allows, at most 10 */
};

struct aws_call {
    const char *operation; /* "TransactWriteItems"; letters and digits */
    struct span body;      /* JSON */
    struct span
        region; /* empty: the session's; another one has its own endpoint, but where the configuration names one */
    uint32_t deadline_ms; /* from now, all tries together; not 0 */
    bool once;            /* never sent again once a try may have been carried out */

    /* The result. */
    cc_err error;
    const char *detail; /* of `error`: a static sentence, or "" */
    bool
        unsure; /* a try without an answer may have been carried out: a condition that fails now may be its doing */
    uint32_t tries;
    int status;
    struct aws_fault fault;
    struct buf answer; /* JSON, of a 2xx answer and of a refusal */
    int64_t
        clock_ahead_s; /* AWS_CLOCK: by how many seconds this machine's clock is ahead of the service's */

    /* private */
    char target[AWS_TARGET_MAX];
    char in_region[AWS_REGION_MAX];
    char url[AWS_ENDPOINT_MAX];
    struct aws_http http;
    uint64_t began_ns;
    uint64_t end_ms;
    uint64_t next_ms;
    bool running;
    bool ended;
    bool renewed;
    char key_id[AWS_KEY_ID_MAX];
};

/* Called before any thread is made. NULL options: the defaults. */
CC_ERR aws_client_open(struct aws_session *session,
                       const struct aws_service *service,
                       const struct aws_client_options *options,
                       struct aws_client **ret_client);
void aws_client_close(struct aws_client *client);
const struct aws_session *aws_client_session(const struct aws_client *client);

/* All calls at once; returns when every one has ended. An error only when nothing could be done at all: then every call
 * that had not ended has that error. Otherwise each call's own `error` tells.
 */
CC_ERR aws_call_many(struct aws_client *client, struct aws_call *calls, size_t count);
/* The same, but when `enough` calls have succeeded the others have `grace_ms` left: what has not ended then is given up
 * (AWS_UNREACHABLE).
 */
CC_ERR aws_call_until(struct aws_client *client,
                      struct aws_call *calls,
                      size_t count,
                      size_t enough,
                      uint32_t grace_ms);
/* One call; returns its error. */
CC_ERR aws_call(struct aws_client *client, struct aws_call *call);
/* Why a call has failed: its detail, or else its error's text. A static sentence. */
static inline const char *aws_call_why(const struct aws_call *call)
{
    return call->detail && call->detail[0] ? call->detail : error_text(call->error);
}

/* Wipes and frees the answer. */
void aws_call_release(struct aws_call *call);

#endif
