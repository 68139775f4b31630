#include "cli/bench_histogram.h"

#include "base/num.h"

enum {
    STEP_BITS = 6 /* BENCH_HISTOGRAM_STEPS is 2^6 */
};

/* Below BENCH_HISTOGRAM_STEPS a bucket is one nanosecond; from there on the value's highest bit gives the octave, the six bits
 * after it the step.
 */
static size_t bucket_of(uint64_t ns)
{
    if (ns < BENCH_HISTOGRAM_STEPS)
        return (size_t)ns;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - STEP_BITS;
    size_t index = ((size_t)shift + 1) * BENCH_HISTOGRAM_STEPS +
                   (size_t)((ns >> shift) - BENCH_HISTOGRAM_STEPS);
    return index < BENCH_HISTOGRAM_BUCKETS ? index : BENCH_HISTOGRAM_BUCKETS - 1;
}

uint64_t bench_histogram_upper_ns(size_t index)
{
    if (index < BENCH_HISTOGRAM_STEPS)
        return index;
    unsigned shift = (unsigned)(index / BENCH_HISTOGRAM_STEPS) - 1;
    uint64_t step = index % BENCH_HISTOGRAM_STEPS + BENCH_HISTOGRAM_STEPS;
    return ((step + 1) << shift) - 1;
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t ns)
{
    histogram->total++;
    histogram->sum_ns += ns;
    histogram->max_ns = u64_max(histogram->max_ns, ns);
    histogram->count[bucket_of(ns)]++;
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->total + 0.999999), seen = 0;
    if (histogram->total == 0)
        return 0;
    for (size_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->count[i];
        if (seen >= wanted && seen > 0)
            return u64_min(bench_histogram_upper_ns(i), histogram->max_ns);
    }
    return histogram->max_ns;
}
