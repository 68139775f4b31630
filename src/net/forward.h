/* net/forward.h - connections carried on from one endpoint to another, many at a time.
 *
 * WHAT      Routes: what connects to one endpoint is connected to another, and bytes go both ways (net/relay.h). The engine of
 *           `enclave proxy` on the parent, and of the room that carries the core's connections out of an enclave.
 * PROMISE   Each connection goes where its route says and nowhere else: nothing that is carried is looked at. A route that is
 *           full, unreachable or flooded costs the other routes nothing: each has its own places. When descriptors run out the
 *           rest of the connections goes on, and new ones wait in the kernel's queue. Who is refused over TCP sees a reset. It never
 *           blocks but in forward_turn().
 * THREADS   One thread per object; names are looked up by threads of their own (net/name_watch.h), where a target has one.
 * OWNERSHIP forward_free() closes everything; options are copied.
 * ERRORS    SYSTEM, LIMIT, NO_MEMORY, and those of endpoint_listen(), with the endpoint in the log.
 * SECRETS   None that it can read: it carries TLS.
 */
#ifndef NET_FORWARD_H
#define NET_FORWARD_H

#include "base/endpoint.h"

#include "net/name_watch.h"

enum {
    FORWARD_ROUTES_MAX = 32,
    FORWARD_PLACES = 4096 /* of a route, unless it says otherwise */
};

struct forward_route {
    struct endpoint from;
    struct endpoint to;
    uint32_t peer_cid; /* from vsock: the only one that is let in; ENDPOINT_ANY_CID: everybody */
    uint32_t places;   /* connections at one time; further ones wait. 0: FORWARD_PLACES */
    bool says_client;  /* begins with a PROXY v2 header that names the client */
    int listener;      /* taken over, in the place of opening `from`; -1: none */
    const char *way;   /* "ingress", "egress": static, for log and metrics */
};

struct forward_options {
    const struct forward_route *routes;
    size_t count;
    uint32_t connect_ms;    /* for one address of a target; 0: 5 s */
    uint32_t idle_ms;       /* a connection that has carried nothing for so long ends; 0: never */
    uint32_t half_ms;       /* the same where one side has ended; 0: 15 min */
    mode_t unix_mode;       /* of Unix sockets; 0: 0660 */
    name_lookup_fn *lookup; /* NULL: the C library's */
};

struct forward;

/* All routes listen, or none. */
CC_ERR forward_new(const struct forward_options *options, struct forward **ret_forward);
/* Ends every connection that is left, those over TCP with a reset. */
void forward_free(struct forward *forward); /* takes NULL */

/* A descriptor that is readable when forward_turn() has something to do; besides, it wants a turn every
 * forward_patience_ms().
 */
int forward_fd(const struct forward *forward);
uint32_t forward_patience_ms(const struct forward *forward);
/* Does what there is to do, after at most `wait_ms`. */
CC_ERR forward_turn(struct forward *forward, uint32_t wait_ms);

/* Takes no more connections; those that are there go on. */
void forward_drain(struct forward *forward);
uint32_t forward_open(const struct forward *forward);
/* The port that the route's TCP listener has. */
uint16_t forward_port(const struct forward *forward, size_t route);
/* Appends counters in Prometheus text format. */
CC_ERR forward_report(const struct forward *forward, struct buf *out);

#endif
