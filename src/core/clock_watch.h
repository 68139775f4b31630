/* core/clock_watch.h - notices a clock that no client agrees with.
 *
 * WHAT      Counts, a minute at a time, the blocks and attestations whose epoch fits this machine's clock, and those that are
 *           ahead of it (refused, rule FUTURE) or far behind.
 * PROMISE   When not one of at least CLOCK_WATCH_CLAIMS fits, an alarm names the clock: an error in the log each such minute, and
 *           containment_clock_disagrees. One that fits ends it. Nothing is allowed or refused by this.
 * THREADS   One: door A's reader.
 * OWNERSHIP By value; zero-initialised.
 * ERRORS    None.   SECRETS None.
 */
#ifndef CORE_CLOCK_WATCH_H
#define CORE_CLOCK_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CLOCK_WATCH_MS = 60000,
    CLOCK_WATCH_CLAIMS = 4, /* fewer may be one client's fault */
    CLOCK_WATCH_BEHIND = 2  /* epochs: an attestation may be for the one before this */
};

struct clock_watch {
    uint64_t began_ms; /* monotonic; 0: no minute has begun */
    uint64_t fitting;
    uint64_t ahead;
    uint64_t behind;
    bool alarmed;
};

/* A claim of `epoch`, when the clock shows `now` and up to `last` may be signed for. True when an alarm was raised by it. */
bool clock_watch_note(
    struct clock_watch *watch, uint64_t mono_ms, uint64_t epoch, uint64_t now, uint64_t last);

#endif
