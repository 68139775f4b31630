/* app/landlock.h - the outer lock: which files a room can reach.
 *
 * WHAT      Landlock rules per room: the core its stores, the loader the key paths (to read), all of them the few files of
 *           the system that libraries read while they start; no TCP, no signals or abstract sockets out of the room.
 * PROMISE   Applied before the first thread, so that every thread inherits it. What the kernel can't restrict (older
 *           Landlock) is left to seccomp; a kernel without Landlock is logged.
 * THREADS   Before any other thread.   OWNERSHIP None.
 * ERRORS    SYSTEM: the room must end.
 * SECRETS   None.
 */
#ifndef APP_LANDLOCK_H
#define APP_LANDLOCK_H

#include "config/config.h"
#include "wire/control.h"

CC_ERR landlock_enter(enum room room, const struct config *config);
CC_ERR landlock_describe(enum room room, struct buf *out);

#endif
