/* app/restart.h - when a room that has ended is started again.
 *
 * WHAT      A pure policy: how long to wait before the next start, and when to give up.
 * PROMISE   A room that had served is back within half a second, however often it is killed; one that can't get ready
 *           is tried ever more slowly, and after RESTART_TRIES_MAX tries in a row not at all.
 * THREADS   One.   OWNERSHIP By value.   ERRORS None.   SECRETS None.
 */
#ifndef APP_RESTART_H
#define APP_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RESTART_STABLE_MS = 60000, /* who lived so long starts with a clean slate */
    RESTART_SERVED_MAX_MS = 400,
    RESTART_UNREADY_MIN_MS = 100,
    RESTART_UNREADY_MAX_MS = 5000,
    RESTART_TRIES_MAX = 10
};

struct restart {
    uint64_t started_ms;
    uint32_t quick_ends; /* in a row, after it was ready */
    uint32_t unready_ends;
};

void restart_started(struct restart *restart, uint64_t now_ms);
/* Notes an end; false: give up. Else *ret_delay_ms is how long to wait. */
bool restart_ended(struct restart *restart,
                   uint64_t now_ms,
                   bool was_ready,
                   uint32_t *ret_delay_ms);

#endif
