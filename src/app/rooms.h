/* app/rooms.h - the rooms of one signer: which live, which are due, and the doors between them.
 *
 * WHAT      Front death: a new front with a new door A. Core death: a new core and front, new doors B and A, the next
 *           life; the front before it ends by itself, once it has answered whom it can. Vault death: all. Loaders on the
 *           core's request, one at a time. The forwarder, where there is one, alone.
 * PROMISE   A room is started only after the one before it, and all that hung on that, have been reaped: two cores
 *           never live at once. Each life of a pair has its own door.
 * THREADS   The supervisor's one thread.
 * OWNERSHIP rooms_release() ends and reaps every child.
 * ERRORS    SYSTEM, NO_MEMORY; see enum rooms_state for what can't go on.
 * SECRETS   The descriptor of chamber.key passes through to the vault; its content is never read here.
 */
#ifndef APP_ROOMS_H
#define APP_ROOMS_H

#include "app/child.h"
#include "app/egress_listen.h"
#include "app/listeners.h"
#include "app/restart.h"
#include "app/tls_source.h"

struct rooms_setup {
    struct config *config;                 /* borrowed; rows that SIGHUP reloads may change */
    const struct listeners *listeners;     /* NULL but in ROOM_MODE_SERVE */
    struct tls_source *tls;                /* the same; borrowed */
    const struct egress_listeners *egress; /* borrowed; NULL or none: no forwarder */
    int chamber_key; /* open, read-only; borrowed. -1: an enclave's, which no file holds */
    int order; /* a file: what the core is to do, or where it says what it has made; 0: none. Borrowed */
    enum room_mode mode;
    struct log_sink sink;
};

enum rooms_state {
    ROOMS_STARTING, /* not yet ready for the first time */
    ROOMS_SERVING,
    ROOMS_RECOVERING, /* some room is being replaced */
    ROOMS_DONE,       /* the core has done what ROOM_MODE_INIT, _JOIN or _ORDER is for */
    ROOMS_FAILED
};

struct rooms {
    struct rooms_setup setup;
    struct child_maker maker;
    struct child children[ROOM_END];
    struct restart restarts[ROOM_END];
    uint64_t due_ms[ROOM_END]; /* when it may be started again */
    uint32_t life;             /* of the core */
    enum rooms_state state;
    enum error_code failure; /* of ROOMS_FAILED, where a room said why */
    bool drained;            /* the front's last answer is out */
    uint64_t front_until_ms; /* when a front whose core is gone is killed */
    /* private */
    int door_to_core;      /* end of door B for the next core */
    int documents_to_core; /* the same of the door of documents, in an enclave */
    int door_to_front;     /* end of door A for the next front */
    bool core_is_new;      /* the front that is started is its first */
    bool loader_wanted;    /* asked for while another one was running */
    pid_t aws_reader;      /* of the core that lives; 0: none */
    bool stopping;
};

CC_ERR rooms_init(struct rooms *rooms, const struct rooms_setup *setup);
void rooms_release(struct rooms *rooms);

/* Starts what is due. Returns in how many milliseconds there is something to do again; -1: nothing is planned. */
int rooms_tick(struct rooms *rooms);
/* Reaps every child that has ended. */
void rooms_on_child_end(struct rooms *rooms);
/* Reads the control line, or the log, of a room that epoll found readable. */
void rooms_on_control(struct rooms *rooms, enum room room);
void rooms_on_log(struct rooms *rooms, enum room room);

void rooms_tell(struct rooms *rooms, enum room room, enum control_type type, uint64_t value);
/* Hands the newest files of TLS to the front, where it lives. */
void rooms_tell_tls(struct rooms *rooms);
/* From now on nothing is started any more. */
void rooms_stop_starting(struct rooms *rooms);
bool rooms_alive(const struct rooms *rooms, enum room room);

#endif
