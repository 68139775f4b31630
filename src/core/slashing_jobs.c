#include "core/slashing_jobs.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "core/slashing_step.h"
#include "core/test_point.h"

struct job {
    uint32_t epoch; /* the front's door */
    bool asks_high; /* for the high watermark, and nothing else */
    bool sorted;    /* the history's own upkeep before an import is done */
    struct a_slashing ask;
};

struct slashing_jobs {
    struct slashing_jobs_settings settings;
    pthread_mutex_t lock; /* guards queue, head, count */
    struct job *queue[SLASHING_JOBS_MAX];
    size_t head;
    size_t count;
    struct a_slashing answer; /* the writer's */
};

static void take_lock(struct slashing_jobs *jobs)
{
    cc_assert(pthread_mutex_lock(&jobs->lock) == 0);
}

static void drop_lock(struct slashing_jobs *jobs)
{
    cc_assert(pthread_mutex_unlock(&jobs->lock) == 0);
}

/* --- the queue ----------------------------------------------------------------------------------------------------- */

static cc_err push(struct slashing_jobs *jobs, struct job *job)
{
    take_lock(jobs);
    bool fits = jobs->count < SLASHING_JOBS_MAX;
    if (fits)
        jobs->queue[(jobs->head + jobs->count++) % SLASHING_JOBS_MAX] = job;
    drop_lock(jobs);
    if (fits)
        return CC_OK;
    cc_free(job);
    return CC_FAIL(BUSY, "other work on the history is under way");
}

CC_ERR slashing_jobs_put(struct slashing_jobs *jobs, uint32_t epoch, const struct a_slashing *ask)
{
    CC_TRY(slashing_step_check(ask));
    struct job *job = cc_alloc(sizeof *job);
    if (!job)
        return CC_FAIL(NO_MEMORY, "work on the history");
    job->epoch = epoch;
    job->ask = *ask;
    return push(jobs, job);
}

CC_ERR slashing_jobs_ask_high(struct slashing_jobs *jobs, uint32_t epoch, uint64_t id)
{
    struct job *job = cc_alloc(sizeof *job);
    if (!job)
        return CC_FAIL(NO_MEMORY, "work on the history");
    job->epoch = epoch;
    job->asks_high = true;
    job->ask.head.id = id;
    return push(jobs, job);
}

/* Stays at its place until pop(): the writer alone takes out. */
static struct job *first(struct slashing_jobs *jobs)
{
    take_lock(jobs);
    struct job *job = jobs->count ? jobs->queue[jobs->head] : NULL;
    drop_lock(jobs);
    return job;
}

static bool pop(struct slashing_jobs *jobs)
{
    take_lock(jobs);
    struct job *job = jobs->queue[jobs->head];
    jobs->head = (jobs->head + 1) % SLASHING_JOBS_MAX;
    bool more = --jobs->count > 0;
    drop_lock(jobs);
    cc_free(job);
    return more;
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static cc_err send_part(struct slashing_jobs *jobs, const struct job *job, bool last)
{
    struct a_slashing_head *head = &jobs->answer.head;
    head->last = last;
    cc_err err = front_link_send(jobs->settings.link, job->epoch, A_SLASHED, &jobs->answer,
                                 sizeof jobs->answer, 1);
    head->chunk++;
    head->count = 0;
    memset(jobs->answer.records, 0, sizeof jobs->answer.records);
    return err;
}

struct sending {
    struct slashing_jobs *jobs;
    const struct job *job;
    cc_err failed; /* the front's door did: the history did not */
};

static cc_err send_record(void *context, const struct a_record *record)
{
    struct sending *sending = context;
    struct a_slashing *answer = &sending->jobs->answer;
    if (answer->head.count == A_RECORDS_MAX) {
        sending->failed = send_part(sending->jobs, sending->job, false);
        CC_TRY(sending->failed);
    }
    answer->records[answer->head.count++] = *record;
    return CC_OK;
}

/* --- the steps ------------------------------------------------------------------------------------------------------ */

/* An import writes into the sorted tables: what waits to be sorted there is, a little at a time. */
static cc_err sort_first(struct slashing_jobs *jobs, struct job *job, bool *ret_more)
{
    *ret_more = false;
    if (job->ask.head.verb != SLASHING_IMPORT || job->sorted)
        return CC_OK;
    CC_TRY(slash_maintain(jobs->settings.history, ret_more));
    job->sorted = !*ret_more;
    return CC_OK;
}

/* What people should find in the log. */
static void took_effect(const struct a_slashing_head *head)
{
    if (head->verb == SLASHING_HAND_OVER) {
        log_notice(head->has_high ? "the high watermark was set: nothing is signed from there on"
                                  : "the high watermark was taken away",
                   KV_NUM("epoch", head->epoch), KV_NUM("slot", head->slot));
    } else if (head->verb == SLASHING_REPAIR) {
        log_notice("the low watermarks were raised by command", KV_NUM("epoch", head->epoch),
                   KV_NUM("keys", head->validators));
    } else if (head->verb == SLASHING_ENABLE) {
        log_notice("a key was enabled by command");
    }
}

static cc_err
do_step(struct slashing_jobs *jobs, const struct job *job, const struct slash_watermark *floor)
{
    struct sending sending = {.jobs = jobs, .job = job};
    const struct slashing_step step = {
        .history = jobs->settings.history,
        .backend = jobs->settings.backend,
        .slots_per_epoch = jobs->settings.slots_per_epoch,
        .keep_epochs = jobs->settings.keep_epochs,
        .floor = *floor,
        .put = send_record,
        .context = &sending,
    };
    cc_err err = slashing_step_do(&step, &job->ask, &jobs->answer.head);
    if (!err.code)
        took_effect(&jobs->answer.head);
    if (!err.code && job->ask.head.verb == SLASHING_IMPORT && jobs->settings.hold) {
        import_hold_merged(jobs->settings.hold, job->epoch, job->ask.records, job->ask.head.count);
        if (job->ask.head.count)
            test_point_pass(TEST_POINT_IMPORT_MERGED);
    }
    return sending.failed.code ? CC_OK : err;
}

static cc_err answer_high(struct slashing_jobs *jobs, const struct job *job)
{
    struct slash_high high = {0};
    cc_err err = slash_probe(jobs->settings.history, &high);
    const struct a_high_watermark answer = {.id = job->ask.head.id,
                                            .error = (uint32_t)err.code,
                                            .present = high.set,
                                            .slot = high.slot,
                                            .epoch = high.epoch};
    /* A front that is gone is noticed by whoever reads its door. */
    (void)front_link_send(jobs->settings.link, job->epoch, A_HIGH_WATERMARK, &answer, sizeof answer,
                          1)
        .code;
    return err;
}

void slashing_jobs_idle(struct slashing_jobs *jobs)
{
    struct slash_status status;
    if (first(jobs) || !board_wants_history(jobs->settings.board, clock_mono_ms()))
        return;
    cc_err err = slash_estimate(jobs->settings.history, &status);
    board_history(jobs->settings.board, err.code ? NULL : &status, clock_mono_ms(),
                  clock_wall_ms() / 1000);
}

CC_ERR
slashing_jobs_step(struct slashing_jobs *jobs, const struct slash_watermark *floor, bool *ret_more)
{
    struct job *job = first(jobs);
    *ret_more = false;
    if (!job)
        return CC_OK;
    if (!front_link_waits(jobs->settings.link, job->epoch)) {
        *ret_more = pop(jobs);
        return CC_OK;
    }
    if (job->asks_high) {
        cc_err asked = answer_high(jobs, job);
        *ret_more = pop(jobs);
        return asked;
    }
    cc_err err = sort_first(jobs, job, ret_more);
    if (*ret_more)
        return err;
    memset(&jobs->answer, 0, sizeof jobs->answer);
    jobs->answer.head.id = job->ask.head.id;
    jobs->answer.head.verb = job->ask.head.verb;
    if (!err.code)
        err = do_step(jobs, job, floor);
    jobs->answer.head.error = (uint32_t)err.code;
    /* A front that is gone is noticed by whoever reads its door. */
    (void)send_part(jobs, job, true).code;
    *ret_more = pop(jobs);
    return err;
}

/* --- making and freeing ----------------------------------------------------------------------------------------------- */

CC_ERR slashing_jobs_new(const struct slashing_jobs_settings *settings,
                         struct slashing_jobs **ret_jobs)
{
    struct slashing_jobs *jobs = cc_alloc(sizeof *jobs);
    if (!jobs)
        return CC_FAIL(NO_MEMORY, NULL);
    jobs->settings = *settings;
    cc_assert(pthread_mutex_init(&jobs->lock, NULL) == 0);
    *ret_jobs = jobs;
    return CC_OK;
}

void slashing_jobs_free(struct slashing_jobs *jobs)
{
    if (!jobs)
        return;
    while (jobs->count)
        (void)pop(jobs);
    (void)pthread_mutex_destroy(&jobs->lock);
    cc_free(jobs);
}
