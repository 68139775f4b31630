/* cli/bench_histogram.h - how long things took, counted in buckets.
 *
 * WHAT      A histogram of durations in nanoseconds: each power of two is cut into BENCH_HISTOGRAM_STEPS equal buckets, so a
 *           value is known to 1.6 % whatever its size, and nothing is sorted or kept.
 * PROMISE   No value is lost: larger ones than the last bucket's count there. A percentile is never below the true one.
 * THREADS   One per histogram.   OWNERSHIP By value.   ERRORS None.   SECRETS None.
 */
#ifndef CLI_BENCH_HISTOGRAM_H
#define CLI_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    BENCH_HISTOGRAM_STEPS = 64,
    BENCH_HISTOGRAM_OCTAVES = 36, /* the last bucket ends at 2^41 ns, some 37 minutes */
    BENCH_HISTOGRAM_BUCKETS = BENCH_HISTOGRAM_STEPS * BENCH_HISTOGRAM_OCTAVES
};

struct bench_histogram {
    uint64_t total;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t count[BENCH_HISTOGRAM_BUCKETS];
};

void bench_histogram_add(struct bench_histogram *histogram, uint64_t ns);
/* The upper end of bucket `index`. */
uint64_t bench_histogram_upper_ns(size_t index);
/* The duration that `share` (0 to 1) of all did not exceed; 0 when nothing was counted. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share);

#endif
