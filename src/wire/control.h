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
    ROOM_END
};

const char *room_name(enum room room); /* "front" */

/* Fixed descriptors of every room. 0 and 1 are /dev/null. */
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
    CONTROL_LISTENER,       /* to front: value says which, enum listener */
    CONTROL_CHAMBER_KEY,    /* to vault: an open chamber.key */
    CONTROL_START,          /* all that belongs to this life has been sent; value: enum room_mode */
    CONTROL_RELOAD,         /* SIGHUP: keys */
    CONTROL_DRAIN,          /* SIGTERM: unready at once; value: seconds until the end */
    CONTROL_LOG_LEVEL,      /* value: enum log_level */
    /* a room to the supervisor */
    CONTROL_READY = 32,   /* it serves */
    CONTROL_FAILED,       /* it can't, and ends; value: enum error_code */
    CONTROL_WANT_LOADER,  /* core: start a loader */
    CONTROL_PEER_STALLED, /* value: enum room of a peer that does not read: kill it */
    CONTROL_DRAINED,      /* front: the last answer is out */
};

enum listener {
    LISTENER_API = 1,
    LISTENER_UNIX,
    LISTENER_METRICS
};
enum room_mode {
    ROOM_MODE_SERVE = 1,
    ROOM_MODE_INIT
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
