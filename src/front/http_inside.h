/* front/http_inside.h - what the two halves of the HTTP server share: http.c (connections) and http_request.c (requests).
 *
 * WHAT      The structs behind front/http.h.
 * PROMISE   A struct request belongs to libmicrohttpd's thread of its connection, but between suspend and resume to the
 *           ticket's way (exchange, large-body thread).
 * THREADS   As said at each member.   OWNERSHIP struct http owns all tables.   ERRORS As front/http.h.   SECRETS None.
 */
#ifndef FRONT_HTTP_INSIDE_H
#define FRONT_HTTP_INSIDE_H

#include <microhttpd.h>
#include <semaphore.h>

#include "codec/json.h"
#include "front/answer.h"
#include "front/head.h"
#include "front/http.h"
#include "front/route.h"

enum {
    HTTP_HEAD_MAX =
        16384, /* libmicrohttpd's memory for a connection: request line, header, answer's header */
    HTTP_TICKETS_SPARE = 16, /* beyond server.max_connections: metrics and the local probes */
    HTTP_BODY_KEPT = 8192,   /* a buffer of this size stays with its request for the next one */
    HTTP_BODY_SMALL = 16384, /* bodies up to here are always taken */
    HTTP_BODIES_TOTAL = 128 << 20, /* all bodies larger than that, together */
    HTTP_LARGE_MAX = 4,            /* bodies beyond SIGN_BODY_MAX at one time */
    HTTP_PARSE_APART = 131072,     /* larger bodies are parsed by a thread of their own */
    HTTP_ANSWER_MAX = 128 << 20,   /* public keys: 101 bytes each */
    HTTP_PARSERS = 12 /* libmicrohttpd's threads, at most, and the thread for large bodies */
};

/* One per descriptor number. */
struct connection {
    bool open;                    /* under connections_lock */
    bool yields;                  /* shut to make room and not closed yet; under connections_lock */
    enum listener listener;       /* constant while open */
    uint32_t client;              /* constant while open: front/peer.h */
    _Atomic uint64_t deadline_ms; /* UINT64_MAX: none */
    _Atomic uint64_t idle_since_ms; /* 0: a request is under way */
    const char *target;             /* of the request under way: libmicrohttpd's thread only */
    size_t target_len;
};

enum request_phase {
    PHASE_ARRIVING,
    PHASE_ASKED,
    PHASE_ANSWERED
};

struct request {
    struct http *http;
    struct MHD_Connection *mhd;
    struct connection *connection;
    struct ticket *ticket;
    uint32_t client; /* the connection's */
    enum request_phase phase;
    bool close;       /* after the answer */
    bool refused;     /* `refusal` is the answer, once the body is in */
    bool large;       /* counts against HTTP_LARGE_MAX */
    size_t reserved;  /* of HTTP_BODIES_TOTAL */
    size_t swallowed; /* bytes of a body that is not kept */
    uint64_t began_ns;
    struct head head;
    struct route_match match;
    struct refusal refusal;
    struct buf body;
    struct buf answer;
    struct batch *batch;  /* NULL: none */
    uint32_t admitted;    /* requests in `batch` that the budget counts */
    struct request *next; /* in the queue of large bodies */
};

struct parser {
    struct jdoc doc;
    bool busy;
};

struct http {
    const struct server_config *config;
    const struct eth_network *network;
    struct exchange *exchange;
    const struct metric_cells *metrics;
    struct MHD_Daemon *daemon;
    struct request *requests; /* one per ticket */
    bool strict_layout;       /* written before there are connections */
    uint64_t peer_key;        /* the same */
    _Atomic bool draining;
    _Atomic uint32_t active;
    _Atomic uint32_t large;
    _Atomic size_t reserved;

    pthread_mutex_t connections_lock; /* connections[].open and .yields, the counts */
    struct connection *connections;
    uint32_t connection_slots;
    uint32_t open_count;
    uint32_t yield_count;

    int listeners[LISTENER_METRICS + 1];
    _Atomic bool accepting;
    pthread_t acceptor;
    bool has_acceptor;
    sem_t gate; /* opened by http_serve(), and to end */

    pthread_mutex_t parsers_lock; /* parsers[].busy */
    struct parser parsers[HTTP_PARSERS];

    pthread_mutex_t apart_lock; /* apart_head, apart_tail, apart_stop */
    pthread_cond_t apart_filled;
    struct request *apart_head;
    struct request *apart_tail;
    bool apart_stop;
    pthread_t apart;
    bool has_apart;
};

/* libmicrohttpd's callbacks for requests. */
enum MHD_Result request_handle(void *http,
                               struct MHD_Connection *mhd,
                               const char *target,
                               const char *method,
                               const char *version,
                               const char *upload,
                               size_t *upload_size,
                               void **request);
void request_completed(void *http,
                       struct MHD_Connection *mhd,
                       void **request,
                       enum MHD_RequestTerminationCode how);
void *request_target_seen(void *http, const char *target, struct MHD_Connection *mhd);

/* The thread for large bodies. */
void *request_apart_main(void *http);

/* In http.c: deadlines of a connection. */
void connection_expect_request(struct http *http, struct connection *c);
void connection_expect_rest(struct http *http, struct connection *c);
void connection_wait(struct connection *c);
struct connection *connection_of(struct MHD_Connection *mhd);

#endif
