/* core/pace.h - how many requests a second get through, measured.
 *
 * WHAT      A decaying average of what leaves while there is always more waiting: that, and only that, is what the slowest
 *           stage can do. When nothing waits nothing is learned, and what was learned is forgotten: it may be long ago
 *           when something waits again.
 * PROMISE   No guess: without a measurement of this time of waiting pace_wait_ns() is 0.
 * THREADS   None inside: the caller's lock, the caller's clock.
 * OWNERSHIP By value; zero-initialised.
 * ERRORS    None.   SECRETS None.
 */
#ifndef CORE_PACE_H
#define CORE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pace {
    uint64_t per_second; /* 0: not measured */
    /* private */
    uint64_t since_ns; /* of the sample; 0: nothing waits */
    uint64_t rows;
};

/* Whether more waits than has gone on. */
void pace_set_waiting(struct pace *pace, bool waiting, uint64_t now_ns);
/* `rows` have left. Called with 0 it notices that none did. */
void pace_count(struct pace *pace, size_t rows, uint64_t now_ns);
/* How long `rows` will take. */
uint64_t pace_wait_ns(const struct pace *pace, size_t rows);

#endif
