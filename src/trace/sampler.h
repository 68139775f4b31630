/* trace/sampler.h - which requests are traced.
 *
 * WHAT      OpenTelemetry's TraceIdRatioBased: the last eight bytes of a trace id, without their lowest bit, against a bound. So all
 *           that sample the same trace by the same ratio come to the same answer, and a smaller ratio's traces are a part of a
 *           larger one's.
 * PROMISE   Ratio 0 takes none, 1 takes all.
 * THREADS   Any: pure.   OWNERSHIP None.   ERRORS None.   SECRETS None.
 */
#ifndef TRACE_SAMPLER_H
#define TRACE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/traceparent.h"

enum {
    SAMPLER_MILLION = 1000000
};

/* Of a ratio in millionths, at most SAMPLER_MILLION: 2^63 times the ratio, rounded down. */
uint64_t sampler_bound(uint32_t millionths);
bool sampler_takes(uint64_t bound, const uint8_t trace_id[static TRACE_ID_SIZE]);

#endif
