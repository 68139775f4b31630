/* app/variable.h - one variable of the environment that the supervisor was started with.
 *
 * WHAT      What a service manager says by the environment: NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS and the like.
 * PROMISE   Reads the environment it is given, never the process's own, and changes nothing.
 * THREADS   Any.
 * OWNERSHIP The text stays the environment's.
 * ERRORS    None: what is missing, or is no number, is said by the value.
 * SECRETS   None.
 */
#ifndef APP_VARIABLE_H
#define APP_VARIABLE_H

#include <stdint.h>

/* NULL: it isn't set. */
const char *variable_of(char *const *environment, const char *name);
/* 0: it isn't set, or no number. */
uint64_t variable_number(char *const *environment, const char *name);

#endif
