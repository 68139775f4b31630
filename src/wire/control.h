/* wire/control.h - the supervisor's line to each room.
 *
 * WHAT      How a room gets its descriptors and its orders, and how it says that it is ready. It is not a door:
 *           the supervisor parses nothing from outside, and only it passes descriptors.
 * PROMISE   A room begins with the descriptors of enum room_fd and nothing else; every door, listener and file
 *           comes by CONTROL_* with its descriptor. A new socket pair for each life of a peer.
 * THREADS   One receiver per room.
 * OWNERSHIP A received descriptor belongs to the receiver (close-on-exec); a sent one stays the sender's.
 * ERRORS    DOOR_CLOSED (the other side has ended), PROTOCOL, IO.
 * SECRETS   The chamber key file's descriptor goes to the vault only.
 */
#ifndef WIRE_CONTROL_H
#define WIRE_CONTROL_H

#include "base/error.h"

enum room {
    ROOM_FRONT = 1,
    ROOM_CORE,
    ROOM_VAULT,
    ROOM_LOADER,
    ROOM_FORWARDER, /* only with egress.routes */
    ROOM_END
};

const char *room_name(enum room room); /* "front" */

/* Fixed descriptors of every room. 0 and 1 are /dev/null; the core's 1 is the supervisor's own with audit.sink: stdout. */
enum room_fd {
    ROOM_FD_LOG = 2,     /* pipe to the supervisor */
    ROOM_FD_CONFIG = 3,  /* its part of the configuration (config_decode); read once and closed */
    ROOM_FD_CONTROL = 4, /* SOCK_SEQPACKET to the supervisor */
    ROOM_FD_METRICS = 5, /* memfd of metric cells; read-only outside the core */
    ROOM_FD_FIRST_FREE = 6
};

enum control_type {
    /* supervisor to a room; the first group carries a descriptor */
    CONTROL_DOOR_FRONT = 1, /* to front and core: door A */
    CONTROL_DOOR_VAULT,     /* to core and vault: door B */
    CONTROL_DOOR_KEY,       /* to vault and loader: key door */
    CONTROL_DOOR_LOAD,      /* to core and loader: load door */
    CONTROL_DOOR_DOCUMENTS, /* to core and vault, in an enclave: wire/door_documents.h */
    CONTROL_LISTENER, /* to front: value says which, enum listener and LISTENER_HELD; to forwarder: the row of egress.routes */
    CONTROL_CHAMBER_KEY, /* to vault: an open chamber.key */
    CONTROL_ORDER, /* to core, ROOM_MODE_ORDER: a file with the order (core/order.h); _INIT: one that takes the history's id; _JOIN in an enclave: enum join_answer, a byte */
    CONTROL_START, /* all that belongs to this life has been sent; value: enum room_mode */
    CONTROL_RELOAD,     /* SIGHUP: keys */
    CONTROL_DRAIN,      /* SIGTERM: unready at once; value: seconds until the end */
    CONTROL_LOG_LEVEL,  /* value: enum log_level */
    CONTROL_AWS_INPUTS, /* to core, before CONTROL_START, with a descriptor: aws/inputs_line.h */
    CONTROL_NSM,        /* to vault, before CONTROL_START, with a descriptor: attest/nsm.h */
    CONTROL_TLS,        /* to front, with a descriptor: wire/tls_files.h; value: its generation */
    /* a room to the supervisor */
    CONTROL_READY = 32,   /* it serves */
    CONTROL_FAILED,       /* it can't, and ends; value: enum error_code */
    CONTROL_WANT_LOADER,  /* core: start a loader */
    CONTROL_PEER_STALLED, /* value: enum room of a peer that does not read: kill it */
    CONTROL_DRAINED,      /* front: the last answer is out */
    CONTROL_TLS_TAKEN,    /* front: it serves TLS with the files of this generation (value) */
    CONTROL_SEALED, /* core: the chamber is latched and the vault wiped: start all rooms anew */
};

enum listener {
    LISTENER_API = 1,
    LISTENER_UNIX,
    LISTENER_METRICS,
    LISTENER_ADMIN, /* a Unix socket that only its owner may open */
    LISTENER_TLS,
    LISTENER_END
};

enum {
    LISTENER_HELD =
        0x100 /* added to an enum listener: whoever keeps it open lets connections wait in it */
};

enum room_mode {
    ROOM_MODE_SERVE = 1,
    ROOM_MODE_INIT,
    ROOM_MODE_JOIN, /* init --join: the core looks at a chamber that another replica has made, and ends */
    ROOM_MODE_ORDER /* the core carries out what CONTROL_ORDER brings, and ends; for the vault it is as serving */
};

enum join_answer {
    JOIN_DONE = 1,
    JOIN_FOUND_NOTHING /* the state store is empty */
};

struct control {
    uint32_t type;
    uint32_t life;
    uint64_t value;
};

CC_ERR control_pair(int ret_fds[static 2]);
/* `fd` -1: none. */
CC_ERR control_send(int control_fd, uint32_t type, uint32_t life, uint64_t value, int fd);
/* Blocks for one message; *ret_fd is -1 where none came. */
CC_ERR control_receive(int control_fd, struct control *ret_message, int *ret_fd);

#endif
