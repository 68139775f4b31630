/* base/metric.h - counters, gauges and histograms.
 *
 * WHAT      Cells of 64 bits in one memory block whose layout metric.def fixes, and their text form (Prometheus text
 *           format 0.0.4). Core and supervisor write a shared memfd; the front maps it read-only and has a block of
 *           its own for what it counts itself.
 * PROMISE   Writing is one atomic add or store: no lock, no allocation, no system call. Labels are indexes into closed
 *           sets; an index out of its set is counted under the set's last value, never written out of bounds.
 * THREADS   metric_add/set/observe: any. metric_attach() and metric_label_names(): once, before other threads start.
 * OWNERSHIP metric_open() maps for the life of the process. Names are borrowed for ever: static tables only.
 * ERRORS    metric_expose(): LIMIT, NO_MEMORY. metric_create/open(): SYSTEM, PROTOCOL (wrong size).
 * SECRETS   None, and nothing from a request: see the rules in metric.def.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum metric {
#define M(id, type, owner, a, b, name, help) METRIC_##id,
#include "base/metric.def"
#undef M
    METRIC_END
};

enum metric_set {
#define L(id, label, values, names) METRIC_SET_##id,
#include "base/metric.def"
#undef L
    METRIC_SET_END
};

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_GAUGE_NS,
    METRIC_DURATION,
    METRIC_SIZE
};

/* Values of the sets whose names stand here. */
enum metric_state {
    METRIC_STATE_NOT_CONFIGURED,
    METRIC_STATE_UNINITIALIZED,
    METRIC_STATE_AWAITING_REGISTRATION,
    METRIC_STATE_SEALED,
    METRIC_STATE_KMS_UNSEALED,
    METRIC_STATE_UNSEALED,
    METRIC_STATE_AWAITING_ROTATION
};
enum metric_source {
    METRIC_SOURCE_FILESYSTEM,
    METRIC_SOURCE_SQLITE,
    METRIC_SOURCE_POSTGRES,
    METRIC_SOURCE_DYNAMODB,
    METRIC_SOURCE_MEMORY
};
enum metric_room {
    METRIC_ROOM_FRONT,
    METRIC_ROOM_CORE,
    METRIC_ROOM_VAULT,
    METRIC_ROOM_LOADER,
    METRIC_ROOM_FORWARDER
};
enum metric_engine {
    METRIC_ENGINE_BLST,
    METRIC_ENGINE_FIXED_BASE,
    METRIC_ENGINE_IFMA
};

enum metric_reason {
    METRIC_REASON_NO_TOKEN, /* this and the next ones in the order of enum auth_failure (core/auth_failures.h) */
    METRIC_REASON_BAD_HEADER,
    METRIC_REASON_UNKNOWN_TOKEN,
    METRIC_REASON_EXPIRED,
    METRIC_REASON_ELSEWHERE,
    METRIC_REASON_OTHER_CERTIFICATE,
    METRIC_REASON_POLICY_RULE,
    METRIC_REASON_POLICY_DEFAULT,
    METRIC_REASON_POLICY_MISSING,
    METRIC_REASON_OPEN_OPERATIONS,
    METRIC_REASON_WRONG_NETWORK
};

enum metric_rotation {
    METRIC_ROTATION_KMS,
    METRIC_ROTATION_QUORUM,
    METRIC_ROTATION_MODE,
    METRIC_ROTATION_MASTER
};
enum metric_service {
    METRIC_SERVICE_DYNAMODB,
    METRIC_SERVICE_KMS,
    METRIC_SERVICE_OTHER
};
enum metric_outcome {
    METRIC_OUTCOME_OK,
    METRIC_OUTCOME_REFUSED,
    METRIC_OUTCOME_THROTTLED,
    METRIC_OUTCOME_UNREACHABLE,
    METRIC_OUTCOME_DENIED,
    METRIC_OUTCOME_CLOCK,
    METRIC_OUTCOME_CREDENTIALS,
    METRIC_OUTCOME_OTHER
};
enum metric_fault {
    METRIC_FAULT_AWAY,
    METRIC_FAULT_CONFLICT,
    METRIC_FAULT_REFUSED
};

enum metric_result {
    METRIC_RESULT_EXPORTED,
    METRIC_RESULT_DROPPED,
    METRIC_RESULT_FAILED
};

struct metric_cells;

struct metric_info {
    const char *name;
    const char *help;
    enum metric_type type;
    enum metric_set a;
    enum metric_set b;
    bool in_front;
};

/* Makes the shared block: *ret_write for core and supervisor, *ret_read (opened read-only) for the other rooms. */
CC_ERR metric_create(int *ret_write, int *ret_read);
/* Maps a block from metric_create(). */
CC_ERR metric_open(int fd, bool writable, struct metric_cells **ret_cells);
/* From now on this process writes there; before, it writes to a private block. */
void metric_attach(struct metric_cells *cells);
/* Names the values of OPERATION, RULE or ROUTE. Values with equal names are one series; before
 * it is called all values are one series.
 */
void metric_label_names(enum metric_set set, const char *const *names, size_t count);
/* The index of an HTTP status in the set STATUS. */
uint32_t metric_status(int http_status);

/* `a` and `b` are 0 where the metric has no such label. */
void metric_add(enum metric id, uint32_t a, uint32_t b, uint64_t n);
void metric_set(enum metric id, uint32_t a, uint64_t value);
/* For a gauge that many threads count up and down. */
void metric_sub(enum metric id, uint64_t n);
/* One observation: nanoseconds for a DURATION, a count for a SIZE. */
void metric_observe(enum metric id, uint32_t a, uint64_t value);
/* Sets `a` to 1 and all other values of its set to 0. */
void metric_choose(enum metric id, uint32_t a);
/* What this process has written; for a histogram the number of observations. */
uint64_t metric_get(enum metric id, uint32_t a, uint32_t b);

enum {
    METRIC_BUCKETS_MAX = 16
};
/* A histogram's observations of this process, all its series together; not cumulative. */
struct metric_histogram {
    uint32_t count;
    const uint64_t *bounds; /* upper ones, of all buckets but the last */
    uint64_t buckets[METRIC_BUCKETS_MAX];
    uint64_t sum;
};
void metric_histogram(enum metric id, struct metric_histogram *ret_histogram);

/* Appends every metric: those of the front from this process's own block, the others from `shared` (NULL: also from
 * the own block). Series of two labels and histograms appear with their first event, all others at once.
 */
CC_ERR metric_expose(const struct metric_cells *shared, struct buf *out);

/* For documents and tests. */
const struct metric_info *metric_info(enum metric id);
const char *metric_set_label(enum metric_set set);
/* docs/metrics.md. */
CC_ERR metric_document(struct buf *out);

#endif
