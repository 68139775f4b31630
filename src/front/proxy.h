/* front/proxy.h - the PROXY protocol's header, version 2.
 *
 * WHAT      What a proxy says before the first byte of HTTP: for whom it connects (haproxy.org, "The PROXY protocol").
 * PROMISE   Only the binary version 2; TCP over IPv4 or IPv6, or LOCAL, which is the proxy's own (a health check). Anything else,
 *           one byte too few or too many for what it claims to hold, is refused. Nothing is read beyond the header.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS MALFORMED.   SECRETS None.
 */
#ifndef FRONT_PROXY_H
#define FRONT_PROXY_H

#include <stdbool.h>

#include "base/cidr.h"

enum {
    PROXY_HEAD = 16,       /* of which the rest's length is a part */
    PROXY_REST_MAX = 1024, /* addresses and what else a proxy has to tell */
    PROXY_HEADER_MAX = PROXY_HEAD + PROXY_REST_MAX
};

struct proxy_client {
    bool local; /* the proxy asks for itself: there is no address */
    uint8_t address[CIDR_ADDRESS_SIZE];
};

/* How many bytes follow the first PROXY_HEAD ones. */
CC_ERR proxy_rest(const uint8_t head[static PROXY_HEAD], size_t *ret_len);
/* `header`: all of it. */
CC_ERR proxy_read(struct span header, struct proxy_client *ret_client);

#endif
