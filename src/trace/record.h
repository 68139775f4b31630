/* trace/record.h - what is known of one request that is traced: its ids, its moments, and how it ended.
 *
 * WHAT      Marks are moments of the monotonic clock. Each one but the last begins a stage, which ends with the next mark that is
 *           set; so stages follow one another without a gap, and a request that skips some has fewer.
 * PROMISE   Texts are static. No key, no caller, nothing secret is in it.
 * THREADS   One owner at a time.   OWNERSHIP trace/exporter.h owns all records.   ERRORS None.   SECRETS None.
 */
#ifndef TRACE_RECORD_H
#define TRACE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/traceparent.h"

/* In the order of time. The first ones are the front's word. */
enum trace_mark {
    TRACE_BEGAN,     /* the request's head has come in */
    TRACE_ASKED,     /* its body is read: it waits for door A */
    TRACE_ARRIVED,   /* it is in the core */
    TRACE_QUEUED,    /* it is judged: it waits for its batch */
    TRACE_RECORDING, /* its batch's history transaction begins */
    TRACE_RECORDED,  /* that one is durable: it waits for its turn at the vault */
    TRACE_SENT,      /* it is with the vault */
    TRACE_DECIDED,   /* the vault, or the history, has given its answer */
    TRACE_ANSWERED,  /* it is counted and written down: the answer leaves */
    TRACE_MARKS
};

enum trace_number {
    TRACE_SLOT,
    TRACE_SOURCE_EPOCH,
    TRACE_TARGET_EPOCH,
    TRACE_BATCH_CLAIMS, /* of the history transaction */
    TRACE_NUMBERS
};

struct trace_record {
    uint8_t trace_id[TRACE_ID_SIZE];
    uint8_t parent_id[SPAN_ID_SIZE]; /* zeros: it is the first span of its trace */
    uint8_t span_id[SPAN_ID_SIZE];
    uint64_t marks[TRACE_MARKS]; /* 0: not set */
    const char *operation;
    const char *error; /* the error's name; NULL: none */
    const char *rule;  /* NULL: none */
    uint32_t status;   /* of HTTP */
    uint64_t numbers[TRACE_NUMBERS];
    unsigned has; /* 1 << enum trace_number: which count */
    /* private */
    struct trace_record *next;
};

static inline void
trace_set_number(struct trace_record *record, enum trace_number which, uint64_t n)
{
    record->numbers[which] = n;
    record->has |= 1U << which;
}

/* For a request that is not traced: nothing. */
static inline void trace_mark(struct trace_record *record, enum trace_mark mark, uint64_t mono_ns)
{
    if (record)
        record->marks[mark] = mono_ns;
}

#endif
