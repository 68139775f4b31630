/* core/status_page.h - what the signer is doing, as one page of HTML.
 *
 * WHAT      State, keys by source, history, rates, latencies and batches, the latest refusals, replicas: a document without
 *           anything from elsewhere. Text and charts are there without a script; the script only fetches the page anew.
 * PROMISE   Reads only. Whatever comes from a request, a name or a configuration is escaped. No part of a request chooses what is
 *           in it. Keys are shortened: the whole set is told to who may have it, elsewhere.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows.
 * ERRORS    LIMIT, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CORE_STATUS_PAGE_H
#define CORE_STATUS_PAGE_H

#include "core/board.h"
#include "wire/door_a.h"

enum {
    STATUS_SOURCES = 5
};

struct status_view {
    uint64_t now; /* seconds since 1970 */
    uint64_t started;
    const char *network;
    const char *state; /* of the chamber, as in its status */
    struct a_health health;
    bool draining;
    bool clock_disagrees;
    bool audit_failing;
    uint64_t epoch; /* by the clock; 0: not known */
    uint64_t waiting;
    uint64_t keys[STATUS_SOURCES]; /* that can sign; the order of enum metric_source */
    const char *history_backend;
    const char *state_backend;
    struct slash_identity identity;
    bool has_ceiling;
    uint64_t ceiling;
    uint8_t replica[AUDIT_REPLICA_SIZE]; /* this one */
    struct board_view board;
};

CC_ERR status_page_write(const struct status_view *view, struct buf *out);

/* core/status_chart.c: up to two lines over the points. */
struct status_line {
    const char *name;
    uint64_t (*value)(const struct board_point *point);
};
struct status_chart {
    const char *id;
    const char *title;
    const char *unit;
    uint64_t scale; /* values are so many times the unit */
    size_t count;
    struct status_line lines[2];
};
CC_ERR status_chart_write(const struct status_chart *chart,
                          const struct board_view *board,
                          struct buf *out);

/* `text`, so that it is text and nothing else. */
CC_ERR status_put_text(struct buf *out, const char *text);
/* "2026-11-27 05:12:30 UTC"; "never" for 0. */
CC_ERR status_put_time(struct buf *out, uint64_t seconds);

#endif
