/* app/room.h - the beginning and the end of every room's process.
 *
 * WHAT      What stands between exec and a room's entry point: its configuration, its log, hardening, its lock; and
 *           the report when it fails.
 * PROMISE   A room that is not started by a supervisor does nothing. Its entry point runs only after the process was
 *           hardened.
 * THREADS   Main only, before any other.
 * OWNERSHIP None.
 * ERRORS    As exit codes.
 * SECRETS   None.
 */
#ifndef APP_ROOM_H
#define APP_ROOM_H

#include "wire/room.h"

/* Runs the room called `name` to its end; `mains` is indexed by enum room. Returns the process's exit code. */
int room_run(const char *name, room_main_fn *const mains[static ROOM_END]);

#endif
