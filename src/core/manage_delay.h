/* core/manage_delay.h - how long an answer to a wrong credential waits (T29).
 *
 * WHAT      Counts wrong credentials by operator's name and source, and says how long the next such answer is held back.
 * PROMISE   At most MANAGE_DELAY_MAX_MS, and only answers that say no: a right credential is processed at once, whatever was counted. A
 *           source or a name that is quiet for MANAGE_DELAY_QUIET_MS begins anew. What is kept is bounded: of more than
 *           MANAGE_DELAY_ROWS the one that was quiet longest is forgotten.
 * THREADS   The caller's.   OWNERSHIP By value.   ERRORS None.   SECRETS None.
 */
#ifndef CORE_MANAGE_DELAY_H
#define CORE_MANAGE_DELAY_H

#include <stdint.h>

#include "wire/caller.h"
#include "wire/seal.h"

enum {
    MANAGE_DELAY_MAX_MS = 5000,
    MANAGE_DELAY_FIRST_MS = 250, /* doubled each time */
    MANAGE_DELAY_QUIET_MS = 600000,
    MANAGE_DELAY_ROWS = 64
};

struct manage_delay_row {
    uint64_t last_ms; /* 0: not in use */
    uint32_t count;
    uint8_t address[16];
    char name[SEAL_NAME_SIZE];
};

struct manage_delay {
    struct manage_delay_row rows[MANAGE_DELAY_ROWS];
};

/* One more for this name from this source; how long its answer waits. `now_ms`: monotonic, above 0. */
uint32_t manage_delay_note(struct manage_delay *delay,
                           const struct caller *caller,
                           const char *name,
                           uint64_t now_ms);

#endif
