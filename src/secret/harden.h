/* secret/harden.h - what every room does to itself before it holds anything.
 *
 * WHAT      No core file, no debugger, no new privileges; room for locked memory.
 * PROMISE   After harden_process() the process leaves no core, /proc/PID/mem is closed to its own user, and exec
 *           gains no privilege. A sanitizer build stays dumpable, for its leak checker, and says so in the log.
 * THREADS   Before the first thread.   OWNERSHIP None.
 * ERRORS    SYSTEM: the room must not go on.
 * SECRETS   None.
 */
#ifndef SECRET_HARDEN_H
#define SECRET_HARDEN_H

#include <stdbool.h>

#include "base/error.h"

CC_ERR harden_process(void);
/* True in a sanitizer build, whose run time needs what other locks would forbid. */
bool harden_is_sanitized(void);
/* Raises the soft limit of locked memory to at least `bytes`, the hard one too where allowed. Best effort: the arena
 * reports what it could not get.
 */
void harden_raise_memlock(size_t bytes);

#endif
