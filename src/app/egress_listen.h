/* app/egress_listen.h - the sockets that the forwarder accepts on.
 *
 * WHAT      One loopback TCP socket for each row of egress.routes (config/egress.h), opened by the supervisor: ports below 1024
 *           are root's, and a forwarder that is started again keeps what waits in the queues.
 * PROMISE   All rows, or none.
 * THREADS   The supervisor's one thread.
 * OWNERSHIP egress_close() closes.
 * ERRORS    SYSTEM, MALFORMED; the log says which row.
 * SECRETS   None.
 */
#ifndef APP_EGRESS_LISTEN_H
#define APP_EGRESS_LISTEN_H

#include "config/config.h"

struct egress_listeners {
    uint32_t count;
    int fds[CONFIG_LIST_MAX];
};

CC_ERR egress_open(const struct egress_config *config, struct egress_listeners *ret_listeners);
void egress_close(struct egress_listeners *listeners);

#endif
