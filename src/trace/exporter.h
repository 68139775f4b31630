/* trace/exporter.h - traced requests on their way to a collector.
 *
 * WHAT      A fixed number of records, and a thread that sends those that are complete: as batches, by HTTP, with a few tries.
 * PROMISE   Nobody waits for the collector: with no record left a request is not traced, and that is counted. A batch is given up
 *           after EXPORT_TRIES; one that is under way at the end has EXPORT_LAST_MS. What became of each span is counted
 *           (containment_tracing_spans_total), and one line says when it begins to go wrong and when it is well again.
 * THREADS   take, put, give_back: any. open, before the process has a second thread; start, stop, close: one.
 *           exporter.lock is a leaf, and not held over I/O.
 * OWNERSHIP Owns all records: between take and put or give_back a record is the taker's. Options are borrowed until close.
 * ERRORS    NO_MEMORY, SYSTEM.
 * SECRETS   None.
 */
#ifndef TRACE_EXPORTER_H
#define TRACE_EXPORTER_H

#include "base/error.h"
#include "base/span.h"

#include "trace/record.h"

enum {
    EXPORT_RECORDS = 4096,
    EXPORT_BATCH = 256,       /* requests in one message */
    EXPORT_EVERY_MS = 500,    /* what is complete waits no longer for more */
    EXPORT_TIMEOUT_MS = 5000, /* of one try */
    EXPORT_TRIES = 4,
    EXPORT_RETRY_MS = 250, /* before the second try; twice as long before each further one */
    EXPORT_LAST_MS = 2000
};

struct exporter;

struct exporter_options {
    const char *url;
    struct span ca_bundle; /* PEM; empty: the system's */
    const char *version;
};

CC_ERR exporter_open(const struct exporter_options *options, struct exporter **ret_exporter);
/* Begins to send. `instance`: which signer this is. */
CC_ERR exporter_start(struct exporter *exporter, const char *instance);
/* Sends what is complete, within EXPORT_LAST_MS, and ends the thread. Nobody takes or puts any more. */
void exporter_stop(struct exporter *exporter);
void exporter_close(struct exporter *exporter); /* takes NULL */

/* All zero but for what is private; NULL: none is left, which counts as a span that is dropped. */
struct trace_record *exporter_take(struct exporter *exporter);
/* The request is answered. */
void exporter_put(struct exporter *exporter, struct trace_record *record);
/* Nobody waited for its answer: it is no span. */
void exporter_give_back(struct exporter *exporter, struct trace_record *record);

#endif
