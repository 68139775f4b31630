/* net/forward_inside.h - what the files of net/forward share.
 *
 * WHAT      The engine, a route, a connection.
 * PROMISE   A link is in exactly one of the two lists of its engine, and freed at the end of a turn, never within: events of the
 *           same turn may still point at it.
 * THREADS   As net/forward.h.   OWNERSHIP The engine owns all.   ERRORS As net/forward.h.   SECRETS None.
 */
#ifndef NET_FORWARD_INSIDE_H
#define NET_FORWARD_INSIDE_H

#include "net/forward.h"
#include "net/relay.h"

enum watch_kind {
    WATCH_LISTENER,
    WATCH_NAMES,
    WATCH_LINK
};

/* What an event of epoll points at. */
struct watch {
    enum watch_kind kind;
    int side;        /* WATCH_LINK */
    uint32_t events; /* that are waited for; 0: not in the set */
    void *owner;     /* struct route, struct link */
};

struct route {
    struct forward_route set;
    struct watch watch;
    int listener; /* -1: none any more */
    struct name_watch *names;
    struct endpoint_address address; /* where there are no names */
    bool down;                       /* connections are not to be had: the log has said so */
    uint64_t told_ms;                /* when the log said something of it last */
    uint32_t open;
    uint64_t accepted;
    uint64_t refused; /* from another CID */
    uint64_t failed;  /* no connection to the target */
    uint64_t broken;  /* ended by an error, a time limit or the end of the program */
    uint64_t full;    /* times that all places were taken */
    uint64_t starved; /* times that the process had no descriptor or memory for a connection */
    uint64_t bytes[2];
};

enum link_state {
    LINK_NAMING,     /* waits for the target's addresses */
    LINK_QUEUEING,   /* the target's queue is full, or there is no descriptor */
    LINK_CONNECTING, /* to one of them */
    LINK_OPEN,
    LINK_ENDED
};

struct link {
    struct link *before;
    struct link *after;
    struct route *route;
    enum link_state state;
    struct relay relay; /* side 0 has connected to us; side 1 is the target */
    struct watch watches[2];
    uint32_t next_address;
    uint64_t started_ms;
    uint64_t attempt_ms; /* when the present attempt began */
    uint64_t moved_ms;   /* when the last byte went */
};

struct link_list {
    struct link *first;
};

struct forward {
    int epoll;
    int wake; /* of the name watches */
    struct watch wake_watch;
    struct route routes[FORWARD_ROUTES_MAX];
    size_t route_count;
    struct forward_options options;
    struct link_list waiting; /* not open yet */
    struct link_list carrying;
    struct link_list ended;
    uint32_t open;
    bool draining;
    uint64_t rest_until_ms;    /* no descriptors: nothing is accepted until then */
    uint64_t swept_ms;         /* what carries */
    uint64_t swept_waiting_ms; /* what waits */
    uint8_t scratch[RELAY_HOLD_MAX];
};

/* forward_link.c. Takes the socket. */
void link_new(struct forward *f,
              struct route *route,
              int client,
              const struct endpoint_address *from);
void link_on_event(struct forward *f, struct link *link, int side, uint32_t events);
/* Goes on with what waits for addresses, or for a place in a queue. */
void link_retry(struct forward *f, struct link *link);
void link_check_time(struct forward *f, struct link *link, uint64_t now_ms);
void link_end(struct forward *f, struct link *link, bool broken);
/* forward.c */
bool watch_for(struct forward *f, struct watch *watch, int fd, uint32_t events);
void link_list_add(struct link_list *list, struct link *link);
void link_list_remove(struct link_list *list, struct link *link);
/* If a connection that has come from there is let in. */
bool route_welcomes(const struct route *route, const struct endpoint_address *from);
/* forward_client.c: the PROXY v2 header for a connection from `from`, accepted as `fd`; its length. */
enum {
    CLIENT_HEADER_MAX = 52
};
size_t client_header(int fd,
                     const struct endpoint_address *from,
                     uint8_t ret_header[static CLIENT_HEADER_MAX]);

#endif
