/* support/front_rig.h - a whole front room in this process, with a core that is the test's.
 *
 * WHAT      front_main() on a thread of its own over real loopback sockets; the far ends of door A and of the control line
 *           are here. `core` is called on a thread of its own for each message that the front sends.
 * PROMISE   rig_close() ends what rig_open() began and returns what front_main() returned. Nothing here allocates through
 *           base/alloc once the rig is open: what a test makes fail there is the front's.
 * THREADS   One rig at a time: the room's metrics have a fixed descriptor.
 * OWNERSHIP The rig owns its sockets.   ERRORS Assertions.   SECRETS None.
 */
#ifndef SUPPORT_FRONT_RIG_H
#define SUPPORT_FRONT_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

#include "config/config.h"
#include "wire/control.h"
#include "wire/door_a.h"
#include "wire/room.h"

enum {
    RIG_LIFE = 7
};

struct rig;
typedef void rig_core_fn(struct rig *rig, const struct door_message *message);

struct rig {
    struct config config;
    rig_core_fn *core; /* NULL: nobody reads */
    void *core_data;
    bool held;            /* the API's socket is another's, who keeps it open */
    int kept_fd;          /* that other's, the test's to close */
    bool core_comes_late; /* only with rig_start_core(): until then questions wait in the door */
    int api_port;
    int metrics_port;
    bool tls_by_unix; /* tls.mode: atls is at tls_path, not at a port */
    int tls_port;     /* of tls.mode: atls */
    char tls_path[64];
    char unix_path[64];
    char admin_path[64];
    _Atomic bool
        closed; /* the core lets nobody without RIG_TOKEN do anything; else routine work is open */
    _Atomic uint32_t asked[ASK_ALLOWED + 1]; /* questions that came */
    int control;                             /* the supervisor's end */
    int door;                                /* the core's end */
    _Atomic int locked;
    /* private */
    pthread_mutex_t last_lock; /* guards last */
    struct caller last;
    struct room_context room;
    int front_control;
    int metrics;
    pthread_t front;
    pthread_t core_thread;
    cc_err result;
};

/* Defaults: network "minimal", an allow-list of localhost and 127.0.0.1. */
void rig_defaults(struct rig *rig);
/* Starts and waits until the front is ready. */
void rig_open(struct rig *rig);
void rig_start_core(struct rig *rig);
/* Who asked the last question. */
struct caller rig_last(struct rig *rig);
void rig_forget_last(struct rig *rig);
/* Ends the front by closing its control line. */
cc_err rig_close(struct rig *rig);
/* Waits until front_main() has ended by itself; rig_close() is still to be called. */
cc_err rig_wait_end(struct rig *rig);
/* Ends the core: closes its end of the door. */
void rig_kill_core(struct rig *rig);
/* Receives orders from the front until one of `type` comes. */
struct control rig_expect(struct rig *rig, uint32_t type);

/* The one token that this core knows. */
#define RIG_TOKEN "cc_token_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* A core that says yes to whom it may: signatures begin with the slot (attestations), health is up, two public keys. */
void rig_good_core(struct rig *rig, const struct door_message *message);
void rig_answer_sign(struct rig *rig, const struct a_sign *request);

/* --- a small HTTP client ------------------------------------------------------------------------------------------ */

struct reply {
    int status; /* 0: the connection ended without one */
    char head[4096];
    size_t len;
    char *body;  /* zero-terminated; freed by reply_release() */
    bool closed; /* the server ended the connection after it */
};

/* A listening socket on a free port of loopback. */
int rig_listen_tcp(int *ret_port);
int rig_connect(int port);
int rig_connect_unix(const char *path);
void rig_send(int fd, const void *data, size_t len);
void rig_say(int fd, const char *text);
/* Reads one answer; gives up after `timeout_ms`. */
struct reply rig_read(int fd, int timeout_ms);
void reply_release(struct reply *reply);
/* One request on a connection of its own. */
struct reply
rig_ask(int port, const char *method, const char *target, const char *headers, const char *body);
/* True once the peer has ended the connection, waiting for it at most `timeout_ms`. */
bool rig_is_closed(int fd, int timeout_ms);
/* A sign body: an attestation of the minimal network at this slot. */
void rig_attestation(char *out, size_t size, uint64_t slot);

extern const char rig_key[];

#endif
