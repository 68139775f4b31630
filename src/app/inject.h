/* app/inject.h - what code in a captured room would try, from inside the real lock.
 *
 * WHAT      In a -DCC_TESTING build a room can be told to make one forbidden call, from a thread that is older than the
 *           lock, right after it has fallen. In every other build these are nothing.
 * PROMISE   A release binary holds no trace of them.
 * THREADS   inject_choose() before the room starts, inject_start() before its other threads; inject_run() by the locking thread.
 * OWNERSHIP None.   ERRORS None.   SECRETS None.
 */
#ifndef APP_INJECT_H
#define APP_INJECT_H

#ifdef CC_TESTING
#    include <stdbool.h>

/* False when there is no attempt called `name`. */
bool inject_choose(const char *name);
void inject_start(void);
void inject_run(void);
#else
static inline void inject_start(void)
{
}
static inline void inject_run(void)
{
}
#endif

#endif
