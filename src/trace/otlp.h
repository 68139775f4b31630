/* trace/otlp.h - traced requests as OTLP's JSON (opentelemetry-proto, ExportTraceServiceRequest), and a collector's answer.
 *
 * WHAT      One span for a request, of kind SERVER, and below it one for each of its stages. Ids in hex, 64-bit integers as
 *           strings, as OTLP's mapping to JSON wants them.
 * PROMISE   Well-formed, whatever the records hold. Times never go back: a stage begins where the one before it ends, and all lie
 *           within the request's span. What the front says of its own moments counts only where it can be true.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS NO_MEMORY, LIMIT of the buf.   SECRETS None.
 */
#ifndef TRACE_OTLP_H
#define TRACE_OTLP_H

#include "base/error.h"
#include "base/span.h"

#include "trace/record.h"

enum {
    OTLP_FRONT_MAX_S = 3600 /* no request is that old when it comes to the core */
};

/* Who sends. */
struct otlp_source {
    const char *version;
    const char *instance;   /* "": not named */
    uint64_t wall_ahead_ns; /* of the monotonic clock: what is added to a mark */
};

/* The records of the list, `records` and what its `next` leads to. */
CC_ERR
otlp_encode(const struct otlp_source *source, const struct trace_record *records, struct buf *out);
/* How many spans a record makes. */
uint32_t otlp_spans(const struct trace_record *record);

/* The same request may be tried again after this status. */
bool otlp_may_retry(int status);
/* How many spans the answer of a status 200 says it has not taken; changes the answer. */
uint64_t otlp_rejected(struct buf *answer);

#endif
