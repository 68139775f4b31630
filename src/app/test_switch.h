/* app/test_switch.h - how a test reaches a room, in builds with test switches.
 *
 * WHAT      CC_TEST_POINT=POINT:n kills the first core at the nth passage of a point (core/test_point.h); of a list with commas each
 *           core that is started has the next item, and those after its end none;
 *           CC_TEST_SLOW=POINT:MS makes every other core wait at each passage of one;
 *           CC_TEST_INJECT=ROOM:ATTEMPT has a room try a forbidden call (app/inject.h). The supervisor turns them into one
 *           more argument of the room.
 * PROMISE   A release binary holds no trace of them.
 * THREADS   The supervisor's one thread.   OWNERSHIP Static text.   ERRORS None.   SECRETS None.
 */
#ifndef APP_TEST_SWITCH_H
#define APP_TEST_SWITCH_H

#include <stddef.h>

#include "wire/control.h"

#ifdef CC_TESTING
/* NULL: none. */
char *test_switch_for(enum room room);
#else
static inline char *test_switch_for(enum room room)
{
    (void)room;
    return NULL;
}
#endif

#endif
