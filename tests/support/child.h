/* support/child.h - code that must die, or that would spoil its process, in a child of its own. */
#ifndef SUPPORT_CHILD_H
#define SUPPORT_CHILD_H

#include <stdbool.h>

/* Runs `body` in a forked child without standard error; returns the signal that ended it, 0 - N for exit status N.
 * The child exits with what `body` returns.
 */
int child_run(int (*body)(void *context), void *context);
/* True when `status` tells of an invalid access: SIGSEGV or SIGBUS. */
bool child_faulted(int status);
/* True in a sanitizer build, which does not lock memory and has stacks of its own; says what is left out there. */
bool child_sanitized(const char *left_out);

#endif
