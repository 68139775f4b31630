/* front/http.h - the HTTP server: connections on one side, tickets of front/exchange.h on the other.
 *
 * WHAT      libmicrohttpd parses and answers on threads of ours that also send to and read from the core; connections are
 *           accepted here and handed to it, so that nothing is accepted before the room is locked, and so that limits,
 *           deadlines and draining are ours. A request that needs the core is suspended until its ticket is done.
 * PROMISE   Each request is answered once, on the connection that sent it. Bodies are bounded by route, by number of large
 *           ones and in total; they are wiped when the request ends. A connection that doesn't deliver a request, or
 *           doesn't take its answer, within its deadline is shut. What libmicrohttpd can't be made to refuse is listed
 *           in docs/http-api.md.
 * THREADS   http_* functions: the room's main thread. Inside: one thread that accepts, one for large bodies, and
 *           `threads` loops.
 * OWNERSHIP Listeners become the server's; configuration, network, exchange and TLS are borrowed.
 * ERRORS    SYSTEM, NO_MEMORY.
 * SECRETS   Bodies of the key routes (front/keys_body.h): wiped once they are read. Tokens: as front/http_inside.h.
 */
#ifndef FRONT_HTTP_H
#define FRONT_HTTP_H

#include "base/metric.h"

#include "config/config.h"
#include "eth/network.h"
#include "front/exchange.h"
#include "front/tls.h"
#include "wire/control.h"

enum {
    HTTP_CORE_LIMIT_MS = 10000 /* how long an answer of the core may take */
};

struct http;

struct http_options {
    const struct server_config *server;
    const struct config *config; /* what the key routes take */
    bool allow_plaintext;        /* auth.allow_plaintext */
    const struct eth_network *network;
    struct exchange
        *exchange; /* its tickets are as many as http_tickets() says; `done` is http_done() */
    const struct metric_cells *metrics;
    uint32_t threads; /* loops */
    struct tls *tls;  /* NULL: no TLS, and plain TCP serves the API; else it serves probes alone */
};

uint32_t http_tickets(const struct server_config *server);
/* Starts the threads and sends one request through all of it, over a socket pair: after that no code runs for
 * the first time. Nothing is accepted yet.
 */
CC_ERR http_open(const struct http_options *options, struct http **ret_http);
/* Adds a listening socket; before http_serve(). */
CC_ERR http_listen(struct http *http, enum listener kind, int fd);
/* Whoever connects there waits in the kernel's queue until http_let_in(); before http_serve(). */
void http_hold(struct http *http, enum listener kind);
void http_let_in(struct http *http);
/* From now on answers of the core are read; the exchange has been started. */
CC_ERR http_read_answers(struct http *http);
/* Then begins to accept. Makes no thread: the room may be locked by now. */
void http_serve(struct http *http);
/* exchange_done_fn of the exchange. */
void http_done(struct ticket *ticket);
/* To be called about ten times a second: shuts connections that are over their deadline. */
void http_tick(struct http *http, uint64_t now_ms);
/* From now on /readyz and /healthcheck say no and every answer ends its connection. */
void http_drain(struct http *http);
/* Closes the listeners. */
void http_stop_accepting(struct http *http);
/* Shuts every connection that has been without a request for a moment, and brings none. */
void http_shut_quiet(struct http *http, uint64_t now_ms);
/* Connections that are open, with a request or without. */
uint32_t http_open_count(struct http *http);
/* Requests that have begun and are not answered to their last byte. */
uint32_t http_active(const struct http *http);
/* Ends everything, after exchange_stop(): whoever still waits for the core is refused. */
void http_close(struct http *http);

#endif
