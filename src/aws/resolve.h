/* aws/resolve.h - the addresses of a host, looked up by ourselves.
 *
 * WHAT      getaddrinfo() on the caller's thread, and the answer as curl takes it (CURLOPT_RESOLVE), kept until it is old or
 *           a connection failed. curl's own resolver would make a thread, which a locked room can't.
 *           With egress.routes (config/egress.h) nothing is looked up: the rows say where to connect.
 * PROMISE   When a look-up fails the addresses of the last one that succeeded stay in use.
 * THREADS   One thread per object.
 * OWNERSHIP The text is the object's.
 * ERRORS    AWS_UNREACHABLE (nothing known about the name), MALFORMED (not a URL of ours), LIMIT.
 * SECRETS   None.
 */
#ifndef AWS_RESOLVE_H
#define AWS_RESOLVE_H

#include <stdbool.h>

#include "base/error.h"

enum {
    AWS_HOST_MAX = 256,
    AWS_ADDRESSES_MAX = 1024,
    AWS_RESOLVE_AGE_MS = 300000
};

struct aws_url {
    bool tls;
    char host[AWS_HOST_MAX]; /* without brackets */
    uint16_t port;
    bool literal;     /* the host is an address */
    const char *path; /* begins with '/', or "" */
};

/* Splits http://HOST[:PORT][/path] and https://...; nothing else, no user, no spaces or control characters. */
CC_ERR aws_url_parse(const char *text, struct aws_url *ret_url);

struct aws_addresses {
    char host[AWS_HOST_MAX];
    uint16_t port;
    uint64_t resolved_ms;                        /* 0: must be looked up */
    char text[AWS_HOST_MAX + AWS_ADDRESSES_MAX]; /* "HOST:PORT:ADDRESS,ADDRESS" */
};

/* Makes `text` valid for `url`: looks the name up when the addresses are another host's, old, or were given up. */
CC_ERR aws_addresses_refresh(struct aws_addresses *addresses, const struct aws_url *url);
/* After a connection failed: the next refresh looks the name up again. */
static inline void aws_addresses_doubt(struct aws_addresses *addresses)
{
    addresses->resolved_ms = 0;
}

#endif
