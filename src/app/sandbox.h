/* app/sandbox.h - what a room can no longer do.
 *
 * WHAT      Two locks. The outer one (Landlock) stands before a room's first thread: which files it can reach, no TCP, no
 *           signals to others. The inner one (seccomp, sandbox.def) falls when the room has opened what it needs.
 * PROMISE   After sandbox_lock() no thread of the room makes a system call that sandbox.def does not give it; no
 *           memory becomes executable. A lock that can't be made is an error, but for a kernel without Landlock,
 *           which is logged.
 * THREADS   sandbox_enter() before any other thread; sandbox_lock() with all of them running.
 * OWNERSHIP None.
 * ERRORS    SYSTEM: the room must end.
 * SECRETS   None.
 */
#ifndef APP_SANDBOX_H
#define APP_SANDBOX_H

#include "config/config.h"
#include "wire/control.h"

CC_ERR sandbox_enter(enum room room, const struct config *config);
/* The databases that the core reaches: the nth one's URL, or NULL. */
const char *sandbox_database(const struct config *config, unsigned n);
/* True for the core alone, and only when it has something to reach (a database, AWS, a collector of traces) that is not a socket
 * among this machine's files.
 */
bool sandbox_needs_network(enum room room, const struct config *config);
CC_ERR sandbox_lock(enum room room);
/* The same with what a core's configuration adds: connections to a database, to AWS and to a collector of traces, an enclave's
 * security module.
 */
CC_ERR sandbox_lock_with(enum room room, const struct config *config);
/* For `attest proxy` and `enclave proxy`, which are no rooms: once they listen and their threads run. */
CC_ERR sandbox_lock_proxy(void);
/* The lists as text, one call a line, for the snapshot test and for people. */
CC_ERR sandbox_describe(enum room room, struct buf *out);
CC_ERR sandbox_describe_proxy(struct buf *out);

#endif
