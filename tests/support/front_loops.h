/* support/front_loops.h - the front's HTTP server with its loops, in this process, and the core's end of its one door.
 *
 * WHAT      What a test needs that works with the server itself and not with a whole front (support/front_rig.h).
 * PROMISE   front_loops_close() ends what front_loops_open() began; a server that the test has closed is NULL by then.
 * THREADS   Those of the server, and the core's once it is started.
 * OWNERSHIP Owns the sockets and the server; TLS is the test's.   ERRORS Assertions.   SECRETS None.
 */
#ifndef SUPPORT_FRONT_LOOPS_H
#define SUPPORT_FRONT_LOOPS_H

#include "front/http.h"
#include "support/front_rig.h"

struct front_loops {
    struct config config;
    struct eth_network network;
    struct exchange exchange;
    struct http *http;
    struct rig core; /* its end of the door, and what it was asked */
    int port;
    /* private */
    int door; /* the front's end */
};

/* Defaults: network "minimal", 64 connections. To be changed before the server is opened. */
void front_loops_defaults(struct front_loops *loops);
/* Serves on a port of loopback: over TLS where there is one, else in the clear. Nobody reads the door yet. */
void front_loops_open(struct front_loops *loops, uint32_t threads, struct tls *tls_or_null);
/* rig_good_core() on a thread of its own. */
void front_loops_start_core(struct front_loops *loops);
void front_loops_close(struct front_loops *loops);

#endif
