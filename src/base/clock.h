/* base/clock.h - the two clocks.
 *
 * WHAT      Monotonic time for deadlines and durations; wall time for slots and log lines.
 * PROMISE   clock_mono_ns() never goes back.
 * THREADS   Any.   OWNERSHIP None.   ERRORS None (a kernel without them aborts).   SECRETS None.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);
/* Nanoseconds since 1970-01-01T00:00:00Z. */
uint64_t clock_wall_ns(void);
/* Milliseconds since 1970-01-01T00:00:00Z. */
uint64_t clock_wall_ms(void);

#endif
