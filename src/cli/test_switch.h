/* cli/test_switch.h - a room's last argument, in builds with test switches (app/test_switch.h).
 *
 * WHAT      Takes it, and prepares what it asks for. CC_TEST_HOST_ROOT=DIR: below it `doctor` finds /proc and /sys.
 * PROMISE   In a release build there is none.
 * THREADS   Main, before the room starts.   OWNERSHIP None.   ERRORS False: not understood.   SECRETS None.
 */
#ifndef CLI_TEST_SWITCH_H
#define CLI_TEST_SWITCH_H

#include "cli/command.h"

#ifdef CC_TESTING
bool test_switch_take(struct arguments *arguments);
const char *test_switch_host_root(void);
#else
static inline const char *test_switch_host_root(void)
{
    return "";
}
static inline bool test_switch_take(struct arguments *arguments)
{
    (void)arguments;
    return true;
}
#endif

#endif
