/* core/tracing.h - which signing requests are traced, and what their spans tell.
 *
 * WHAT      Decides at a request's arrival: what the caller's traceparent says, else a ratio of random trace ids. Where it is traced,
 *           a record goes with it and collects the moments that the latency histograms are made of anyway.
 * PROMISE   No clock is read for it. Without tracing, and for a request that is not traced, nothing happens but that its caller's
 *           trace is kept for log lines. A span
 *           holds operation, status, error, rule, slot or epochs, and batch size: no key, no caller, no address.
 * THREADS   tracing_begin(): door A's reader. tracing_end(), tracing_forget(): any. open, before the process has a second thread.
 * OWNERSHIP A record is its request's until end or forget.
 * ERRORS    CONFIG (the CA file), NO_MEMORY, SYSTEM at the start. None later: tracing can't fail a request.
 * SECRETS   None.
 */
#ifndef CORE_TRACING_H
#define CORE_TRACING_H

#include <string.h>

#include "config/config.h"
#include "core/sign_path.h"
#include "trace/record.h"
#include "wire/door_a.h"

struct tracing;

/* What a request carries with it; all zero: it is in no trace that we know of. */
struct traced {
    struct trace_record *record;     /* NULL: not traced by us */
    uint8_t trace_id[TRACE_ID_SIZE]; /* of its caller's trace, or of ours; for log lines */
};

enum {
    TRACE_TEXT_SIZE = 2 * TRACE_ID_SIZE + 1
};

/* NULL where the configuration names no collector. */
CC_ERR tracing_open(const struct config *config, struct tracing **ret_tracing);
/* `instance`: the replica's name. */
CC_ERR tracing_start(struct tracing *tracing, const char *instance); /* takes NULL */
void tracing_close(struct tracing *tracing); /* takes NULL; sends what is left */

void tracing_decide(struct tracing *tracing,
                    const struct a_trace *from,
                    uint64_t arrived_ns,
                    struct traced *ret_traced);

/* A request has arrived. */
static inline void tracing_begin(struct tracing *tracing,
                                 const struct a_trace *from,
                                 uint64_t arrived_ns,
                                 struct traced *ret_traced)
{
    *ret_traced = (struct traced){0};
    memcpy(ret_traced->trace_id, from->trace_id, TRACE_ID_SIZE);
    if (tracing)
        tracing_decide(tracing, from, arrived_ns, ret_traced);
}

void tracing_send(struct tracing *tracing,
                  struct trace_record *record,
                  const struct sign_outcome *outcome,
                  const struct a_signed *answer);

/* It has its answer, and the mark of it. */
static inline void tracing_end(struct tracing *tracing,
                               struct trace_record *record,
                               const struct sign_outcome *outcome,
                               const struct a_signed *answer)
{
    if (record)
        tracing_send(tracing, record, outcome, answer);
}

/* Nobody is left to be answered. */
void tracing_forget(struct tracing *tracing, struct trace_record *record); /* takes NULL */

/* "" where there is no id. */
void tracing_id_text(const uint8_t trace_id[static TRACE_ID_SIZE],
                     char ret_text[static TRACE_TEXT_SIZE]);

#endif
