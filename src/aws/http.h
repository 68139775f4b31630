/* aws/http.h - HTTP exchanges, many at once, over libcurl.
 *
 * WHAT      A pool keeps connections open and carries exchanges over them: HTTP/1.1, TLS against a bundle of
 *           certificates, signed with AWS Signature Version 4 where credentials are given.
 * PROMISE   No redirect is followed, no proxy is taken from the environment, no cookie is kept; an answer has at most
 *           `body_max` bytes; an exchange ends by its timeout. A request is sent at most once: what curl would repeat by
 *           itself on a connection that died is reported instead, with `sent`. After aws_pool_open() no thread is made:
 *           names are looked up by getaddrinfo() on the caller's thread (aws/resolve.h).
 * THREADS   One thread per pool at a time. The first aws_pool_open() of a process is made while it has one thread.
 * OWNERSHIP An exchange borrows its inputs until it is done; its answer is the caller's: aws_http_release().
 * ERRORS    Of an exchange, in `error`: AWS_UNREACHABLE (no connection, no TLS, no answer in time, or one cut short), LIMIT
 *           (the answer is too large), NO_MEMORY. Any HTTP status is an answer, not an error.
 * SECRETS   Keys, session tokens and bearer headers pass through; curl's copies are wiped when it frees them
 *           (docs/secrets.md).
 */
#ifndef AWS_HTTP_H
#define AWS_HTTP_H

#include "base/span.h"

#include "aws/credentials.h"

enum {
    AWS_HTTP_HEADERS_MAX = 6,
    AWS_HTTP_URL_MAX = 1024,
    AWS_HTTP_ERROR_TYPE_MAX = 96
};

struct aws_pool;

struct aws_pool_options {
    struct span ca_bundle;    /* PEM, borrowed until aws_pool_close(); empty: the system's */
    uint32_t connections_max; /* kept open, and in use at one time */
};

struct aws_http {
    const char *method; /* "POST", "GET", "PUT" */
    const char *url;
    const char *headers[AWS_HTTP_HEADERS_MAX]; /* "Name: value"; NULL ends */
    struct span body;
    const struct aws_credentials *credentials; /* NULL: not signed */
    const char *region;                        /* of the signature, as is the service */
    const char *service;
    uint32_t timeout_ms;
    uint32_t connect_timeout_ms;
    size_t body_max;

    /* The answer; valid when done. */
    bool done;
    bool sent; /* the request, or part of it, may have arrived */
    cc_err error;
    const char *detail; /* of `error`: a static sentence, or "" */
    int status;
    struct buf answer;
    char error_type
        [AWS_HTTP_ERROR_TYPE_MAX]; /* header x-amzn-errortype, as sent; "" where there is none */
    int64_t server_time;           /* header Date, in seconds since 1970; -1: none */

    /* private */
    struct aws_pool *pool;
    void *handle;
    void *list;
    void *addresses;
};

CC_ERR aws_pool_open(const struct aws_pool_options *options, struct aws_pool **ret_pool);
void aws_pool_close(struct aws_pool *pool);

/* Begins an exchange; it is done when aws_pool_wait() has set `done`. An error means that it has not begun. */
CC_ERR aws_pool_start(struct aws_pool *pool, struct aws_http *http);
/* Carries all exchanges on until one or more are done, or `wait_ms` have passed. */
CC_ERR aws_pool_wait(struct aws_pool *pool, uint32_t wait_ms);
/* Gives up an exchange that is not done; nothing for one that is. */
void aws_pool_cancel(struct aws_pool *pool, struct aws_http *http);

/* One exchange from beginning to end; the result is http->error. */
CC_ERR aws_pool_run(struct aws_pool *pool, struct aws_http *http);

/* Wipes and frees the answer. */
void aws_http_release(struct aws_http *http);

#endif
