/* wire/room.h - what a room is given, and its entry points.
 *
 * WHAT      front, core, vault, loader and forwarder are one binary, exec'd afresh: each is a function of this context.
 * PROMISE   An entry point first collects its descriptors from the control line until CONTROL_START, opens what
 *           it needs and starts its threads, calls lock() once, sends CONTROL_READY, and only then serves.
 * THREADS   The entry point runs on the main thread.
 * OWNERSHIP Everything is borrowed for the room's life.
 * ERRORS    Returning an error ends the process; the supervisor reads the class from CONTROL_FAILED.
 * SECRETS   As each room's own header says.
 */
#ifndef WIRE_ROOM_H
#define WIRE_ROOM_H

#include "config/config.h"
#include "wire/control.h"

struct room_context {
    const struct config *config; /* this room's part; the rest has its defaults */
    int control_fd;
    /* Locks the room in: seccomp and Landlock for all threads. Fails closed: an error ends the room. */
    cc_err (*lock)(enum room room);
};

typedef cc_err room_main_fn(const struct room_context *room);

#endif
