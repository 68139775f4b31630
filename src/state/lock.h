/* state/lock.h - one process at a time for a chamber's data directory.
 *
 * WHAT      An flock on a file beside the store, or in its place where the store is a database.
 * PROMISE   Held until the descriptor is closed or the process ends, however it ends.
 * THREADS   One.
 * OWNERSHIP The caller closes the descriptor.
 * ERRORS    LOCKED (another process holds it), LIMIT, IO.
 * SECRETS   None.
 */
#ifndef STATE_LOCK_H
#define STATE_LOCK_H

#include "base/error.h"

/* Takes `path`.lock, made if it is missing, mode 0600. */
CC_ERR state_lock(const char *path, int *ret_fd);

#endif
