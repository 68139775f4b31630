/* front/http_inside.h - what the parts of the HTTP server share: http.c (connections), http_loop.c (the threads that
 * serve them) and http_request.c (requests).
 *
 * WHAT      The structs behind front/http.h.
 * PROMISE   A struct request belongs to the loop of its connection, but between suspend and resume to the ticket's way
 *           (exchange, large-body thread).
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
    HTTP_PARSERS = 12,             /* loops, at most, and the thread for large bodies */
    HTTP_LOOPS_MAX = HTTP_PARSERS - 1,
    LOOP_NEWCOMERS_MAX = 64
};

/* An accepted socket on its way to a loop. */
struct newcomer {
    int fd;
    struct connection *connection;
    struct sockaddr_storage address;
    socklen_t address_len;
};

/* A thread that runs libmicrohttpd for its share of the connections; one of them reads door A too. What a turn of it asks
 * the core leaves in as few packets as fit, and what a packet of answers holds goes out in the next turn: no thread
 * wakes another for a request.
 */
struct loop {
    struct http *http;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    bool runs;
    int epoll;          /* libmicrohttpd's epoll, wake_fd, the door */
    int wake_fd;        /* eventfd */
    _Atomic bool woken; /* there is something to do, before any event */
    _Atomic bool ending;
    pthread_mutex_t lock; /* newcomers, newcomer_count */
    pthread_cond_t taken;
    struct newcomer newcomers[LOOP_NEWCOMERS_MAX];
    uint32_t newcomer_count;
};

/* One per descriptor number. */
struct connection {
    bool open;                    /* under connections_lock */
    bool yields;                  /* shut to make room and not closed yet; under connections_lock */
    struct loop *loop;            /* constant while open */
    enum listener listener;       /* constant while open */
    uint32_t client;              /* constant while open: front/peer.h */
    _Atomic uint64_t deadline_ms; /* UINT64_MAX: none */
    _Atomic uint64_t idle_since_ms; /* 0: a request is under way */
    const char *target;             /* of the request under way: its loop only */
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
    struct batch *batch;     /* NULL: none */
    uint32_t admitted;       /* requests in `batch` that the budget counts */
    bool admitted_for_block; /* beyond its client's share */
    struct request *next;    /* in the queue of large bodies */
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
    struct loop loops[HTTP_LOOPS_MAX];
    uint32_t loop_count;
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

/* In http_loop.c. */
CC_ERR loop_open(struct http *http, struct loop *loop);
CC_ERR loop_start(struct loop *loop);
/* From now on the loop reads door A. */
CC_ERR loop_watch_door(struct loop *loop);
/* Hands an accepted socket over; the connection is closed when libmicrohttpd refuses it. */
void loop_adopt(struct loop *loop, const struct newcomer *newcomer);
/* Makes the loop take a turn; cheap from its own thread. */
void loop_wake(struct loop *loop);
/* Ends the thread, then libmicrohttpd with all its connections; no request may wait for the core. */
void loop_close(struct loop *loop);

/* In http.c. */
void connection_closed(struct http *http, struct connection *c);
void connection_notify(void *http,
                       struct MHD_Connection *mhd,
                       void **socket_context,
                       enum MHD_ConnectionNotificationCode code);
void connection_expect_request(struct http *http, struct connection *c);
void connection_expect_rest(struct http *http, struct connection *c);
void connection_wait(struct connection *c);
struct connection *connection_of(struct MHD_Connection *mhd);

#endif
