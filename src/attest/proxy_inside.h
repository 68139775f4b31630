/* attest/proxy_inside.h - what the parts of the proxy share: proxy.c (listeners, turns), proxy_pair.c (one client and its connection to
 * the signer) and proxy_report.c (counters).
 *
 * WHAT      The structs behind attest/proxy.h.   PROMISE As there.   THREADS One.   OWNERSHIP The proxy owns its pairs.
 * ERRORS    As attest/proxy.h.   SECRETS The buffers of a pair.
 */
#ifndef ATTEST_PROXY_INSIDE_H
#define ATTEST_PROXY_INSIDE_H

#include "attest/proxy.h"
#include "attest/tls_client.h"
#include "net/metrics_page.h"

enum {
    FLOW_SIZE = 16384 /* a record of TLS */
};

/* What an event of the epoll is about; it lies in its owner. */
enum source_kind {
    SOURCE_CLIENTS,
    SOURCE_NAMES,
    SOURCE_PAGE,
    SOURCE_PAIR
};

struct source {
    enum source_kind kind;
    void *owner;
};

/* One way: filled when it is empty, so that who is slow holds up the other end. */
struct flow {
    uint32_t at;
    uint32_t len;   /* bytes from `at` on that are still to go out */
    bool ended_in;  /* nothing more comes */
    bool ended_out; /* and the other side has been told */
    uint8_t *data;  /* FLOW_SIZE */
};

enum pair_state {
    PAIR_WAITS, /* for addresses, or for another try */
    PAIR_CONNECTS,
    PAIR_SHAKES_HANDS,
    PAIR_CARRIES,
    PAIR_REFUSED, /* the answer is on its way to the client */
    PAIR_LINGERS  /* all is said; what the client still sends is thrown away */
};

struct pair {
    struct attest_proxy *proxy;
    struct pair *next, *previous;
    struct pair *next_again;
    struct pair *next_dead;
    struct source source;
    enum pair_state state;
    bool again; /* in the list of those that have more to do at once */
    bool dead;
    int client_fd;
    int signer_fd; /* -1: none */
    struct atls_session *session;
    struct endpoint_address addresses[NAME_ADDRESSES_MAX];
    size_t address_count;
    size_t address_at;
    struct flow up;   /* client to signer */
    struct flow down; /* signer to client */
    bool asks;        /* the last bytes went up: an answer is to be expected */
    uint64_t moved_ms;
    uint64_t deadline_ms; /* by the monotonic clock; UINT64_MAX: none */
    uint64_t until_ms;    /* by the wall clock: the document's end */
    uint64_t aging_ms;    /* so long before that it ends when it is quiet */
};

struct counters {
    uint64_t accepted;
    uint64_t verified;
    uint64_t unreachable;
    uint64_t aged;
    uint64_t bytes_up;
    uint64_t bytes_down;
    uint64_t refused[ERROR_CODE_END];
};

struct attest_proxy {
    struct endpoint signer;
    struct atls_client *client;
    struct name_watch *names; /* NULL: the signer's endpoint is an address */
    struct endpoint_address address;
    uint32_t patience_ms;
    uint32_t connections_max;
    int epoll;
    int wake; /* eventfd of `names` */
    int listener;
    struct metrics_page *page; /* NULL: none */
    struct source listener_source, names_source, page_source;
    bool accepts; /* the listener is watched */
    bool drains;
    uint64_t tick_ms;
    struct pair *pairs;
    struct pair *again;
    struct pair *dead;
    uint32_t pair_count;
    struct counters counters;
    struct atls_peer last; /* that was verified; timestamp 0: none */
    uint64_t told_ms;      /* of a refusal */
    uint32_t untold;
};

CC_ERR proxy_watch(struct attest_proxy *proxy, int fd, uint32_t events, struct source *source);

/* In proxy_pair.c. */
/* A client has come: the descriptor is the pair's. */
void pair_begin(struct attest_proxy *proxy, int client_fd);
void pair_step(struct pair *pair);
/* About four times a second. */
void pair_tick(struct pair *pair, uint64_t mono_ms, uint64_t wall_ms);
/* Names have been looked up. */
void pair_find_address(struct pair *pair);
void pair_free(struct pair *pair);

#endif
