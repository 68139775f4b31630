/* config/egress.h - the way out where there is no network: names, and what carries their connections.
 *
 * WHAT      Rows HOST:PORT=ENDPOINT of egress.routes. Each has a loopback address of its own, on which the forwarder listens at
 *           the host's own port: a client of HOST connects there, and everything else of it (the name in TLS, in HTTP, in a
 *           signature) stays as it is.
 * PROMISE   With any row, a name that has none is not looked up: an answer of a name server decides nothing. An address has
 *           one row, and a row one address.
 * THREADS   egress_install() once, before there are threads; after that everything is constant.
 * OWNERSHIP By value; egress_find() gives what lives as long as the process.
 * ERRORS    MALFORMED, with what is wrong as the detail.
 * SECRETS   None.
 */
#ifndef CONFIG_EGRESS_H
#define CONFIG_EGRESS_H

#include "base/endpoint.h"

#include "config/config.h"

enum {
    EGRESS_ADDRESS_SIZE = 16
};

struct egress_route {
    char host[ENDPOINT_HOST_SIZE];
    uint16_t port;
    char address[EGRESS_ADDRESS_SIZE]; /* where the forwarder listens for it */
    struct endpoint to;
};

/* Row `index`. */
CC_ERR
egress_route(const struct egress_config *config, uint32_t index, struct egress_route *ret_route);
/* All rows together: no host and port twice. */
CC_ERR egress_check(const struct egress_config *config, uint32_t *ret_wrong_row);

/* From now on this process finds hosts by these rows. */
CC_ERR egress_install(const struct egress_config *config);
/* True when there is any row. */
bool egress_is_on(void);
/* The address to connect to for HOST (a name or an IPv4 address) and PORT; NULL: there is no row. */
const char *egress_find(const char *host, uint16_t port);

#endif
