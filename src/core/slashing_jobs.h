/* core/slashing_jobs.h - steps of work on the history that the front asks for, done by the history writer.
 *
 * WHAT      A short queue of steps (wire/door_a.h, struct a_slashing): export, import, verify, prune and the rest. The writer
 *           does one between two batches of claims.
 * PROMISE   A step is bounded (core/slashing_step.h), so signing goes on beside the longest import. Nothing is kept between
 *           steps: a front, or a client, that goes away leaves nothing behind. The high watermark is the
 *           history's at that moment, whoever has set it.
 * THREADS   slashing_jobs_put, slashing_jobs_ask_high: door A's reader. slashing_jobs_step, slashing_jobs_idle: the writer.
 * OWNERSHIP Borrows what the settings name.
 * ERRORS    put: PROTOCOL (the front is to be shut out), BUSY, NO_MEMORY. step: what the history said, for its health.
 * SECRETS   None.
 */
#ifndef CORE_SLASHING_JOBS_H
#define CORE_SLASHING_JOBS_H

#include "core/board.h"
#include "core/front_link.h"
#include "core/import_hold.h"
#include "slash/store.h"

enum {
    SLASHING_JOBS_MAX = 8 /* steps that wait; each request has one under way */
};

struct slashing_jobs_settings {
    struct slash_store *history;
    const char *backend;
    struct front_link *link;
    struct board *board;      /* is told what there is, when it wants to know; NULL: nobody does */
    struct import_hold *hold; /* is told whose data was merged; NULL: nobody is */
    uint64_t slots_per_epoch;
    uint64_t keep_epochs;
};

struct slashing_jobs;

CC_ERR slashing_jobs_new(const struct slashing_jobs_settings *settings,
                         struct slashing_jobs **ret_jobs);
void slashing_jobs_free(struct slashing_jobs *jobs); /* takes NULL */

/* Checks and queues a step that came through the door of `epoch`. */
CC_ERR slashing_jobs_put(struct slashing_jobs *jobs, uint32_t epoch, const struct a_slashing *ask);
/* Queues the question of `id` for the high watermark; the step answers it. */
CC_ERR slashing_jobs_ask_high(struct slashing_jobs *jobs, uint32_t epoch, uint64_t id);
/* Does one step, or a bounded part of what must come before it; *ret_more: there is more to do. `floor`: as keeper_floor() says now. */
CC_ERR
slashing_jobs_step(struct slashing_jobs *jobs, const struct slash_watermark *floor, bool *ret_more);
/* For who looks at the status page, not often: an estimate of what there is. Only while no claim waits. Its failure is nobody's. */
void slashing_jobs_idle(struct slashing_jobs *jobs);

#endif
