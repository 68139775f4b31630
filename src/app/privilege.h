/* app/privilege.h - who a room runs as, and what of the machine it still sees.
 *
 * WHAT      Uids of the rooms where the supervisor is root, capabilities, network namespaces.
 * PROMISE   Started as root, no room is root: each has a uid of its own and no capability, but for the loader's
 *           CAP_DAC_READ_SEARCH (key files belong to anybody). Otherwise all run as the caller.
 * THREADS   Between fork and exec of a single-threaded process.
 * OWNERSHIP None.
 * ERRORS    SYSTEM: the room must not start.
 * SECRETS   None.
 */
#ifndef APP_PRIVILEGE_H
#define APP_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

#include "wire/control.h"

/* The uids, and the gids of the same numbers, are CC_UID_BASE + enum room; the build may choose another base. The
 * default lies between what systemd gives to dynamic users and nobody, in no distribution's range.
 */
#ifndef CC_UID_BASE
#    define CC_UID_BASE 65520
#endif

/* True where rooms get uids of their own. */
bool privilege_separates(void);
uid_t privilege_uid(enum room room);
/* Gives up root for the room's uid. Does nothing where privilege_separates() is false. */
CC_ERR privilege_enter(enum room room);
/* Moves into an empty network namespace; sockets that are open already stay in theirs. False where the kernel does not
 * allow it: the room's system-call list is then the only lock.
 */
bool privilege_leave_network(void);

#endif
