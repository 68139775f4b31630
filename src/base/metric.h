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
    METRIC_STATE_UNINITIALIZED,
    METRIC_STATE_SEALED,
    METRIC_STATE_UNSEALED
};
enum metric_source {
    METRIC_SOURCE_FILESYSTEM
};
enum metric_room {
    METRIC_ROOM_FRONT,
    METRIC_ROOM_CORE,
    METRIC_ROOM_VAULT,
    METRIC_ROOM_LOADER
};
enum metric_engine {
    METRIC_ENGINE_BLST,
    METRIC_ENGINE_FIXED_BASE,
    METRIC_ENGINE_IFMA
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
