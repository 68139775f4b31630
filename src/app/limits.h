/* app/limits.h - open files and locked memory, as many as the rooms need.
 *
 * WHAT      Raises the soft limits of this process, which the rooms inherit, as far as the hard ones allow.
 * PROMISE   Lowers nothing. What can't be had is said in the log, by limits_raise() or by the room that misses it.
 * THREADS   Before the first thread.   OWNERSHIP None.   ERRORS None: the signer starts with less.   SECRETS None.
 */
#ifndef APP_LIMITS_H
#define APP_LIMITS_H

#include "config/config.h"

/* Raises the limit of open files; false when fewer may be open than *ret_needed. */
bool limits_raise_files(const struct config *config, uint64_t *ret_limit, uint64_t *ret_needed);
void limits_raise(const struct config *config);

#endif
