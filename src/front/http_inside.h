/* front/http_inside.h - what the parts of the HTTP server share: http.c (connections), http_proxy.c (those that a proxy has
 * to introduce), http_loop.c (the threads that serve them), http_request.c (requests), http_answer.c (what is sent back), http_caller.c (who asks them),
 * http_trace.c (which trace they belong to), http_slashing.c (work on the history), http_keys.c (work on keys) and http_attest.c (documents).
 *
 * WHAT      The structs behind front/http.h.
 * PROMISE   A struct request belongs to the loop of its connection, but between suspend and resume to the ticket's way
 *           (exchange, large-body thread).
 * THREADS   As said at each member.   OWNERSHIP struct http owns all tables.   ERRORS As front/http.h.
 * SECRETS   Tokens, in the library's memory of a request's head until its header is read: then only their digest stays.
 */
#ifndef FRONT_HTTP_INSIDE_H
#define FRONT_HTTP_INSIDE_H

#include <microhttpd.h>
#include <poll.h>
#include <semaphore.h>

#include "base/cidr.h"

#include "codec/json.h"
#include "front/answer.h"
#include "front/head.h"
#include "front/http.h"
#include "front/keys_work.h"
#include "front/route.h"
#include "front/slashing.h"

enum {
    HTTP_HEAD_MAX =
        16384, /* libmicrohttpd's memory for a connection: request line, header, answer's header */
    HTTP_TICKETS_SPARE = 16, /* beyond server.max_connections: metrics and the local probes */
    HTTP_BODY_KEPT = 8192,   /* a buffer of this size stays with its request for the next one */
    HTTP_BODY_SMALL = 16384, /* bodies up to here are always taken */
    HTTP_BODIES_TOTAL = 128 << 20, /* all bodies larger than that, together */
    HTTP_LARGE_MAX = 4,            /* bodies beyond SIGN_BODY_MAX at one time */
    HTTP_ATTESTATIONS_MAX = 4,     /* at one time: the enclave's module has other things to do */
    HTTP_PARSE_APART = 131072,     /* larger bodies are parsed by a thread of their own */
    HTTP_ANSWER_MAX = 128 << 20,   /* public keys: 101 bytes each */
    HTTP_PARSERS = 12,             /* loops, at most, and the thread for large bodies */
    HTTP_LOOPS_MAX = HTTP_PARSERS - 1,
    LOOP_NEWCOMERS_MAX = 64,
    PROXY_WAITING_MAX = 256 /* connections whose proxy has not said for whom they are */
};

/* A socket that was accepted, and from whom. */
struct arrival {
    int fd;
    enum listener listener;
    socklen_t address_len;
    struct sockaddr_storage address; /* the socket's peer */
    bool proxied;
    uint8_t client[CIDR_ADDRESS_SIZE]; /* proxied: for whom */
};

/* What an event of a loop's epoll is about. */
enum loop_source {
    SOURCE_CLIENTS, /* libmicrohttpd's epolls */
    SOURCE_WAKE,
    SOURCE_DOOR,
    SOURCE_HANDSHAKE /* of a descriptor */
};

static inline uint64_t loop_event(enum loop_source source, int fd)
{
    return (uint64_t)source << 32 | (uint32_t)fd;
}

/* A TLS handshake under way; all of it its loop's. */
struct handshake {
    struct MHD_Connection *mhd; /* NULL: none */
    void *session;
    int fd;
    struct connection **list; /* the loop's `moving` or `resting` */
    struct connection *next, *previous;
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
    struct MHD_Daemon *tls_daemon; /* for connections of LISTENER_TLS; NULL: there is no TLS */
    pthread_t thread;
    bool runs;
    int epoll;                  /* libmicrohttpd's epolls, wake_fd, the door */
    int wake_fd;                /* eventfd */
    struct connection *moving;  /* TLS handshakes; its thread only */
    struct connection *resting; /* those that are suspended, and watched by `epoll` */
    _Atomic bool woken;         /* there is something to do, before any event */
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
    struct caller caller;         /* the same: what every request of it has in common */
    bool crosses_network;         /* the same: what it carries, others on the way can read */
    bool nameless;                /* the same: its client has no address, and may be several */
    _Atomic uint64_t deadline_ms; /* UINT64_MAX: none */
    _Atomic uint64_t idle_since_ms; /* 0: a request is under way */
    struct tls_peer tls;            /* its loop only, while open */
    struct handshake handshake;     /* the same */
    const char *target;             /* of the request under way: its loop only */
    size_t target_len;
};

/* Routes that share their limits. */
enum keys_group {
    KEYS_GROUP_NONE,
    KEYS_GROUP_READS,
    KEYS_GROUP_WRITES,
    KEYS_GROUP_LIST,
    KEYS_GROUP_IMPORT,
    KEYS_GROUP_LIFECYCLE,
    KEYS_GROUP_PAUSE,
    KEYS_GROUP_GENERATE,
    KEYS_GROUP_END
};

enum request_phase {
    PHASE_ARRIVING,
    PHASE_ALLOWING, /* the core is asked whether the body may come */
    PHASE_ASKED,
    PHASE_ANSWERED
};

struct request {
    struct http *http;
    struct MHD_Connection *mhd;
    struct connection *connection;
    struct ticket *ticket;
    uint32_t client;      /* the connection's */
    struct caller caller; /* complete once the head is */
    enum request_phase phase;
    bool close;       /* after the answer */
    bool refused;     /* `refusal` is the answer, once the body is in */
    bool large;       /* counts against HTTP_LARGE_MAX */
    bool imports;     /* holds `importing` */
    uint32_t attests; /* 1 + its place in `attesting`; 0: none */
    size_t reserved;  /* of HTTP_BODIES_TOTAL */
    size_t swallowed; /* bytes of a body that is not kept */
    uint64_t began_ns;
    struct a_trace trace;  /* for the core */
    uint32_t traceparents; /* headers of that name */
    struct head head;
    struct route_match match;
    struct refusal refusal;
    struct buf body;
    struct buf answer;
    struct batch *batch;        /* NULL: none */
    struct slashing *slashing;  /* NULL: none */
    struct a_manage *manage;    /* NULL: none */
    struct keys_work *keys;     /* NULL: none */
    enum keys_group keys_group; /* among whose requests it counts */
    bool keys_read; /* the thread for large bodies has read its body, and there is nothing to ask */
    uint32_t admitted;       /* requests in `batch` that the budget counts */
    bool admitted_for_block; /* beyond its client's share */
    struct request *next;    /* in the queue of large bodies */
};

struct parser {
    struct jdoc doc;
    bool busy;
};

struct proxy_gate;

struct http {
    const struct server_config *config;
    bool allow_plaintext; /* auth.allow_plaintext */
    const struct eth_network *network;
    struct exchange *exchange;
    const struct metric_cells *metrics;
    struct tls *tls; /* NULL: none */
    struct loop loops[HTTP_LOOPS_MAX];
    uint32_t loop_count;
    struct request *requests; /* one per ticket */
    bool strict_layout;       /* written before there are connections */
    uint64_t peer_key;        /* the same */
    uint32_t own_uid;         /* the same */
    _Atomic bool draining;
    _Atomic uint32_t active;
    _Atomic uint32_t large;
    _Atomic bool importing; /* one import at a time */
    _Atomic uint64_t
        attesting[HTTP_ATTESTATIONS_MAX]; /* who waits for a document (http_attest.c); 0: nobody */
    const struct config *keys_config;     /* http.key_manager_api, chamber.keys */
    _Atomic uint32_t keys_active[KEYS_GROUP_END];
    _Atomic size_t reserved;

    pthread_mutex_t connections_lock; /* connections[].open and .yields, the counts */
    struct connection *connections;
    uint32_t connection_slots;
    uint32_t open_count;
    uint32_t yield_count;

    int listeners[LISTENER_END];
    _Atomic uint32_t held;      /* bits 1 << enum listener: nothing is accepted there yet */
    struct proxy_gate *proxies; /* NULL: server.trusted_proxies is empty */
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

enum http_type {
    HTTP_JSON,
    HTTP_TEXT,
    HTTP_COSE,
    HTTP_PAGE, /* HTML, for nobody to keep, to frame or to take for something else */
    HTTP_METRICS
};

struct http_header {
    int status;
    enum http_type type;
};

/* In http_answer.c: r->answer, under that header. */
enum MHD_Result request_send(struct request *r, struct http_header header);
enum MHD_Result request_send_refusal(struct request *r, const struct refusal *refusal);
enum MHD_Result request_send_json(struct request *r, int status);
enum MHD_Result request_send_page(struct request *r);
enum MHD_Result request_send_error(struct request *r, cc_err err);
/* What the ticket's error is about, in the core's own words where it has said more than the error. */
enum MHD_Result request_send_ticket_error(struct request *r);
struct refusal request_refusal(const struct request *r);
/* Before the body: answers now and ends the connection, or leaves the answer for the end of a body that is short. */
enum MHD_Result request_refuse_early(struct request *r, const struct refusal *refusal);
/* Who asks: for the message to the core. Complete when a handler runs. */
static inline const struct caller *request_caller(const struct request *r)
{
    return &r->caller;
}
/* After MHD_suspend_connection(): from here on the request is its loop's. */
void request_resume(struct request *r);
/* Leaves the suspended request to the thread for large bodies; DOOR_CLOSED once that has ended. */
void request_parse_apart(struct request *r);
void request_drop_body(struct request *r);

/* In http_caller.c: who asks, and whether his body is let in. */
/* Reads the Authorization header into r->caller, and wipes it where it lies. */
void caller_take_authorization(struct request *r, const char *value, size_t len);
/* The head is complete: refuses a token that others have seen. */
CC_ERR caller_check(const struct request *r);
/* The core is to be asked before the body. */
bool caller_asks_first(const struct request *r);
enum MHD_Result caller_ask(struct request *r);
/* The core has answered. */
enum MHD_Result caller_asked(struct request *r);

/* In http_trace.c: the header that names the request's trace; of several none counts. */
void trace_take_header(struct request *r, struct span value);

/* In http_slashing.c: work on the history. SLASHING_VERB_END for a route that is none. */
enum a_slashing_verb slashing_verb_of(enum route_id route);
/* The request is here in full. */
enum MHD_Result slashing_begin(struct request *r, enum a_slashing_verb verb);
/* In the thread for large bodies: reads the body, and asks or resumes. */
void slashing_apart(struct request *r);
/* A step was answered, or the body refused. */
enum MHD_Result slashing_continue(struct request *r);

/* In http_manage.c: management. MANAGE_VERB_END for a route that is none. */
enum a_manage_verb manage_verb_of(enum route_id route);
/* The request is here in full. */
enum MHD_Result manage_begin(struct request *r, enum a_manage_verb verb);
/* The core has answered. */
enum MHD_Result manage_continue(struct request *r);

/* In http_keys.c: work on keys. */
bool keys_is_route(enum route_id route);
/* NOT_ENABLED, ROUTE_UNKNOWN. */
CC_ERR keys_check_enabled(const struct http *http, enum route_id route);
/* The request is here in full. */
enum MHD_Result keys_begin(struct request *r);
/* In the thread for large bodies: reads the body, and asks or resumes. */
void keys_apart(struct request *r);
/* A step was answered, or the body is read. */
enum MHD_Result keys_continue(struct request *r);
/* Ends what the request has of this. */
void keys_end(struct request *r);

/* In http_attest.c: the request is here in full, and then the core has answered. */
enum MHD_Result attestation_begin(struct request *r);
void attestation_end(struct request *r);

/* In http_handshake.c; all in the loop's thread. */
void handshake_begin(struct http *http, struct connection *c, struct MHD_Connection *mhd, int fd);
void handshake_end(struct connection *c); /* takes one without a handshake */
/* Before a request: who the client is by its certificate. False where it may ask nothing; true without TLS. */
bool handshake_identify(struct connection *c, struct MHD_Connection *mhd);
/* After each turn. */
void handshakes_rest(struct loop *loop);
void handshake_wake(struct loop *loop, int fd);
void handshakes_wake_all(struct loop *loop);

/* In http_loop.c. */
CC_ERR loop_open(struct http *http, struct loop *loop);
CC_ERR loop_start(struct loop *loop);
/* From now on the loop reads door A. */
CC_ERR loop_watch_door(struct loop *loop);
/* Hands an accepted socket over; the connection is closed when libmicrohttpd refuses it. */
void loop_adopt(struct loop *loop, const struct newcomer *newcomer);
/* Makes the loop take a turn; cheap from its own thread. */
void loop_wake(struct loop *loop);
void loop_join(struct loop *loop); /* ends the thread */
/* Ends libmicrohttpd with all its connections, after the thread; no request may wait for the core. */
void loop_close(struct loop *loop);

/* In http_proxy.c, of the thread that accepts. */
CC_ERR proxy_gate_new(const struct config_text_list *trusted, struct proxy_gate **ret_gate);
void proxy_gate_free(struct proxy_gate *gate); /* takes NULL; closes what waits */
/* True for a connection of a trusted proxy; from any other nothing is read before HTTP. */
bool proxy_gate_wants(const struct proxy_gate *gate, const struct arrival *arrival);
/* Takes the socket over until its header is here, at most until `deadline_ms`. */
void proxy_gate_hold(struct proxy_gate *gate, const struct arrival *arrival, uint64_t deadline_ms);
uint32_t proxy_gate_count(const struct proxy_gate *gate);
/* Adds the sockets that wait to `fds`, which has room for PROXY_WAITING_MAX; says how many. */
nfds_t proxy_gate_watch(const struct proxy_gate *gate, struct pollfd *fds);
/* Reads from those that `fds` says it of, closes what is late or wrong; false when there is none (any more) whose header is
 * complete, else it is *ret_arrival and the caller's.
 */
void proxy_gate_read(struct proxy_gate *gate, const struct pollfd *fds, uint64_t now_ms);
bool proxy_gate_take(struct proxy_gate *gate, struct arrival *ret_arrival);

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
