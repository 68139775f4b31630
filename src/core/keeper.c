#include "core/keeper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/report.h"
#include "slash/backend.h"

static const uint64_t ms = 1000000;

enum work {
    WORK_STOP,
    WORK_BEGIN,   /* first step of a ceiling */
    WORK_CONFIRM, /* third step */
    WORK_JOB,     /* what somebody else has to do with the state store */
    WORK_REFRESH  /* looks at what others have changed */
};

/* Lives on the stack of who waits for it, so there are no more than threads. */
struct job {
    keeper_job *run;
    void *context;
    struct job *next;
    bool begun;
    bool ended;
    cc_err result;
    const char *detail; /* of an error: static, as all of them are */
};

struct keeper {
    struct keeper_settings settings;
    pthread_t thread;
    /* the thread's own */
    struct ceiling ceiling;
    uint64_t refresh_at_ns;
    uint64_t retry_at_ns;
    uint64_t began_ns; /* of the last ceiling; 0: none yet */
    uint64_t ahead;
    struct report_budget failures;
    struct state_mark told; /* what `changed` has seen */
    bool unanswered;        /* it is to be asked what it says to that */
    bool after_job;         /* a job was the last thing done */
    /* published: the second one first */
    atomic_bool has_confirmed;
    _Atomic uint64_t confirmed;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t news;
    bool has_newest;
    uint64_t newest; /* claim */
    bool has_needed;
    uint64_t needed;
    bool failing; /* the last use of the state store did */
    bool due;     /* the history is to record due_epoch */
    bool recorded;
    uint64_t due_epoch;
    bool follows; /* the history is to know follow_epoch, which another replica has confirmed */
    uint64_t follow_epoch;
    struct slash_watermark floor;
    struct job *jobs; /* that wait, the first one first */
    unsigned waiters; /* threads inside keeper_run() */
    bool started;     /* `changed` has seen what there was at the start */
    bool stopping;
};

static void take_lock(struct keeper *keeper)
{
    cc_assert(pthread_mutex_lock(&keeper->lock) == 0);
}

static void drop_lock(struct keeper *keeper)
{
    cc_assert(pthread_mutex_unlock(&keeper->lock) == 0);
}

/* --- for the history's writer -------------------------------------------------------------------------- */

bool keeper_allows(const struct keeper *keeper, uint64_t epoch)
{
    return atomic_load(&keeper->has_confirmed) && epoch <= atomic_load(&keeper->confirmed);
}

void keeper_note(struct keeper *keeper, uint64_t epoch)
{
    take_lock(keeper);
    if (!keeper->has_newest || epoch > keeper->newest) {
        keeper->has_newest = true;
        keeper->newest = epoch;
        (void)pthread_cond_broadcast(&keeper->news);
    }
    drop_lock(keeper);
}

void keeper_need(struct keeper *keeper, uint64_t epoch)
{
    take_lock(keeper);
    if (!keeper->has_needed || epoch > keeper->needed) {
        keeper->has_needed = true;
        keeper->needed = epoch;
        (void)pthread_cond_broadcast(&keeper->news);
    }
    drop_lock(keeper);
}

bool keeper_blocks(struct keeper *keeper)
{
    take_lock(keeper);
    const bool blocks =
        keeper->failing && keeper->has_needed && !keeper_allows(keeper, keeper->needed);
    drop_lock(keeper);
    return blocks;
}

bool keeper_due(struct keeper *keeper, uint64_t *ret_epoch)
{
    take_lock(keeper);
    const bool due = keeper->due && !keeper->recorded;
    const bool follows = keeper->follows;
    *ret_epoch = due ? keeper->due_epoch : keeper->follow_epoch;
    drop_lock(keeper);
    return due || follows;
}

void keeper_recorded(struct keeper *keeper, uint64_t epoch)
{
    take_lock(keeper);
    keeper->recorded |= keeper->due && epoch == keeper->due_epoch;
    keeper->follows &= epoch < keeper->follow_epoch;
    (void)pthread_cond_broadcast(&keeper->news);
    drop_lock(keeper);
}

/* --- the floor of new rows -------------------------------------------------------------------------------- */

struct slash_watermark keeper_floor(struct keeper *keeper)
{
    take_lock(keeper);
    const struct slash_watermark floor = keeper->floor;
    drop_lock(keeper);
    return floor;
}

/* --- what the thread does -------------------------------------------------------------------------------- */

static void publish(struct keeper *keeper)
{
    const struct ceiling *ceiling = &keeper->ceiling;
    if (!ceiling->has_confirmed)
        return;
    atomic_store(&keeper->confirmed, ceiling->confirmed);
    atomic_store(&keeper->has_confirmed, true);
    metric_set(METRIC_HISTORY_CEILING, 0, ceiling->confirmed);
    take_lock(keeper);
    if (keeper->due && ceiling->confirmed >= keeper->due_epoch)
        keeper->due = keeper->recorded = false;
    drop_lock(keeper);
    keeper->settings.tell(keeper->settings.context);
}

static void note(struct keeper *keeper, cc_err err, const char *what)
{
    uint32_t held_back = 0;
    take_lock(keeper);
    const bool was_failing = keeper->failing;
    keeper->failing = err.code != 0;
    drop_lock(keeper);
    if (!err.code) {
        if (was_failing)
            log_notice("the state store can be used again");
        return;
    }
    keeper->retry_at_ns = clock_mono_ns() + KEEPER_RETRY_MS * ms;
    keeper->settings.tell(keeper->settings.context);
    metric_add(METRIC_STATE_ERRORS, 0, 0, 1);
    if (report_may_log(&keeper->failures, &held_back))
        log_error("the state store failed: without it no claim above the ceiling is signed",
                  KV_STR("doing", what), KV_NUM("ceiling", atomic_load(&keeper->confirmed)),
                  KV_ERR(err), KV_NUM("lines_held_back", held_back));
}

/* What the state store says now, after it was read again. */
static cc_err take_over(struct keeper *keeper)
{
    struct slash_watermark floor;
    bool there = false;
    if (!keeper->settings.has_ceiling)
        return CC_OK;
    CC_TRY(ceiling_read(keeper->settings.state, &there, &keeper->ceiling));
    CC_TRY(ceiling_read_floor(keeper->settings.state, &floor));
    const struct ceiling *ceiling = &keeper->ceiling;
    take_lock(keeper);
    (void)slash_watermark_raise(&keeper->floor, &floor);
    if (ceiling->has_confirmed && !keeper_allows(keeper, ceiling->confirmed)) {
        keeper->follows = true;
        keeper->follow_epoch = ceiling->confirmed;
    }
    drop_lock(keeper);
    publish(keeper);
    return CC_OK;
}

static cc_err read_again(struct keeper *keeper)
{
    struct state_fault fault = {0};
    bool changed = false;
    cc_err err = state_refresh(keeper->settings.state, &changed, &fault);
    if (!err.code && changed)
        err = take_over(keeper);
    if (error_is(err, ERROR_TAMPERED))
        log_error("the state store is refused", KV_STR("fault", fault.what),
                  KV_STR("kind", fault.kind), KV_STR("name", fault.name), KV_ERR(err));
    return err;
}

/* Another replica was faster: nothing is wrong, and the next round begins with what it wrote. */
static cc_err settle_conflict(struct keeper *keeper, cc_err err)
{
    return error_is(err, ERROR_CONFLICT) ? read_again(keeper) : err;
}

static uint64_t next_ahead(struct keeper *keeper)
{
    const uint64_t now = clock_mono_ns();
    bool hurries = keeper->began_ns && now - keeper->began_ns < KEEPER_HURRY_MS * ms;
    keeper->began_ns = now;
    keeper->ahead = hurries ? u64_min(2 * keeper->ahead, KEEPER_AHEAD_MAX) : KEEPER_AHEAD;
    return keeper->ahead;
}

/* One that a replica has begun, and that is high enough, is finished and not begun again. */
static bool is_begun(const struct ceiling *ceiling, uint64_t epoch)
{
    const bool unfinished =
        ceiling->has_confirmed ? ceiling->pending > ceiling->confirmed : ceiling->pending > 0;
    return unfinished && ceiling->pending >= epoch;
}

static uint64_t wanted_epoch(struct keeper *keeper)
{
    take_lock(keeper);
    const uint64_t epoch =
        u64_max(keeper->has_newest ? keeper->newest : 0, keeper->has_needed ? keeper->needed : 0);
    drop_lock(keeper);
    return epoch;
}

static void ask_history(struct keeper *keeper)
{
    take_lock(keeper);
    keeper->due = true;
    keeper->recorded = false;
    keeper->due_epoch = keeper->ceiling.pending;
    drop_lock(keeper);
    keeper->settings.tell(keeper->settings.context);
}

static void begin(struct keeper *keeper)
{
    const uint64_t epoch = wanted_epoch(keeper);
    if (is_begun(&keeper->ceiling, epoch)) {
        ask_history(keeper);
        return;
    }
    cc_err err = ceiling_begin(keeper->settings.state, &keeper->settings.signer,
                               u64_add_sat(epoch, next_ahead(keeper)), &keeper->ceiling);
    const bool begun = !err.code;
    note(keeper, settle_conflict(keeper, err), "raising the ceiling");
    if (begun)
        ask_history(keeper);
}

static void confirm(struct keeper *keeper)
{
    cc_err err =
        ceiling_confirm(keeper->settings.state, &keeper->settings.signer, &keeper->ceiling);
    err = settle_conflict(keeper, err);
    note(keeper, err, "confirming the ceiling");
    if (!err.code)
        publish(keeper);
}

static void refresh(struct keeper *keeper)
{
    keeper->refresh_at_ns = clock_mono_ns() + keeper->settings.refresh_seconds * 1000 * ms;
    note(keeper, read_again(keeper), "looking at it");
}

/* --- what others have to do with the state store ---------------------------------------------------------- */

static cc_err run_job(struct keeper *keeper, const struct job *job)
{
    cc_err err = job->run(job->context, keeper->settings.state, &keeper->settings.signer);
    for (int tries = 1; error_is(err, ERROR_CONFLICT) && tries < KEEPER_TRIES; tries++) {
        CC_TRY(read_again(keeper));
        err = job->run(job->context, keeper->settings.state, &keeper->settings.signer);
    }
    return err;
}

static void tell(struct keeper *keeper)
{
    struct state_mark now;
    state_image_mark(&keeper->settings.state->image, &now);
    if (keeper->started && state_mark_equal(&now, &keeper->told))
        return;
    keeper->told = now;
    keeper->unanswered = keeper->settings.answer != NULL;
    if (keeper->settings.changed)
        keeper->settings.changed(keeper->settings.changed_context, keeper->settings.state);
}

static void tell_change(struct keeper *keeper)
{
    const struct job answer = {.run = keeper->settings.answer,
                               .context = keeper->settings.answer_context};
    tell(keeper);
    if (!keeper->unanswered || !keeper->started)
        return;
    keeper->unanswered = run_job(keeper, &answer).code != 0;
    tell(keeper);
}

/* The store that is away is said in the log as it is for a ceiling; what else a job may say is its caller's. */
static void do_job(struct keeper *keeper)
{
    take_lock(keeper);
    struct job *job = keeper->jobs;
    if (job) {
        keeper->jobs = job->next;
        job->begun = true;
    }
    drop_lock(keeper);
    keeper->after_job = true;
    if (!job)
        return;
    cc_err err = run_job(keeper, job);
    const char *detail = error_detail();
    if (error_is(err, ERROR_STATE))
        note(keeper, err, "a change");
    tell_change(keeper);
    take_lock(keeper);
    job->result = err;
    job->detail = detail;
    job->ended = true;
    (void)pthread_cond_broadcast(&keeper->news);
    drop_lock(keeper);
}

static void put_job(struct keeper *keeper, struct job *job)
{
    struct job **end = &keeper->jobs;
    while (*end)
        end = &(*end)->next;
    *end = job;
    keeper->waiters++;
    (void)pthread_cond_broadcast(&keeper->news);
}

static void withdraw_job(struct keeper *keeper, struct job *job)
{
    struct job **at = &keeper->jobs;
    while (*at && *at != job)
        at = &(*at)->next;
    if (*at)
        *at = job->next;
}

CC_ERR
keeper_run(struct keeper *keeper, keeper_job *run, void *context, uint64_t patience_ms)
{
    struct job job = {.run = run, .context = context};
    const uint64_t until_ns = clock_mono_ns() + patience_ms * ms;
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int rc = 0;
    cc_assert(!pthread_equal(pthread_self(), keeper->thread));
    take_lock(keeper);
    put_job(keeper, &job);
    while (!job.begun && !keeper->stopping && rc == 0)
        rc = pthread_cond_timedwait(&keeper->news, &keeper->lock, &until);
    while (job.begun && !job.ended)
        (void)pthread_cond_wait(&keeper->news, &keeper->lock);
    if (!job.begun) {
        withdraw_job(keeper, &job);
        job.result = keeper->stopping ? CC_FAIL(DOOR_CLOSED, "the core ends")
                                      : CC_FAIL(BUSY, "the state store has other work");
    }
    keeper->waiters--;
    (void)pthread_cond_broadcast(&keeper->news);
    drop_lock(keeper);
    /* The detail is the thread's that ran it. */
    return job.ended && job.result.code
               ? error_make((enum error_code)job.result.code, job.detail, __FILE__, __LINE__)
               : job.result;
}

unsigned keeper_waiting(struct keeper *keeper)
{
    unsigned n = 0;
    take_lock(keeper);
    for (const struct job *job = keeper->jobs; job; job = job->next)
        n++;
    drop_lock(keeper);
    return n;
}

/* --- the thread --------------------------------------------------------------------------------------------- */

/* Under the lock: the ceiling should be higher than it is. */
static bool should_rise(const struct keeper *keeper)
{
    return (keeper->has_newest && !keeper_allows(keeper, u64_add_sat(keeper->newest, 1))) ||
           (keeper->has_needed && !keeper_allows(keeper, keeper->needed));
}

/* Under the lock: what there is to do, or false and when to look again (0: at the next news). */
static bool find_work(const struct keeper *keeper, enum work *ret_work, uint64_t *ret_at_ns)
{
    const uint64_t now = clock_mono_ns();
    *ret_at_ns = 0;
    *ret_work = WORK_STOP;
    if (keeper->stopping)
        return true;
    if (keeper->recorded || (!keeper->due && should_rise(keeper))) {
        *ret_work = keeper->recorded ? WORK_CONFIRM : WORK_BEGIN;
        *ret_at_ns = keeper->retry_at_ns;
        if (now >= keeper->retry_at_ns)
            return true;
    }
    /* Jobs and looks take turns: neither many of the first nor long ones of the second hold the other up. */
    bool looks = keeper->settings.refresh_seconds != 0 && now >= keeper->refresh_at_ns;
    if (looks || keeper->jobs) {
        *ret_work = keeper->jobs && !(looks && keeper->after_job) ? WORK_JOB : WORK_REFRESH;
        return true;
    }
    if (keeper->settings.refresh_seconds == 0)
        return false;
    *ret_at_ns = *ret_at_ns ? u64_min(*ret_at_ns, keeper->refresh_at_ns) : keeper->refresh_at_ns;
    return false;
}

static enum work wait_for_work(struct keeper *keeper)
{
    enum work work;
    uint64_t at_ns;
    take_lock(keeper);
    while (!find_work(keeper, &work, &at_ns)) {
        const struct timespec until = {(time_t)(at_ns / 1000000000), (long)(at_ns % 1000000000)};
        if (at_ns)
            (void)pthread_cond_timedwait(&keeper->news, &keeper->lock, &until);
        else
            (void)pthread_cond_wait(&keeper->news, &keeper->lock);
    }
    drop_lock(keeper);
    return work;
}

static void begin_thread(struct keeper *keeper)
{
    tell_change(keeper);
    take_lock(keeper);
    keeper->started = true;
    (void)pthread_cond_broadcast(&keeper->news);
    drop_lock(keeper);
}

static void *keeper_thread(void *argument)
{
    struct keeper *keeper = argument;
    begin_thread(keeper);
    tell_change(keeper);
    for (;;) {
        const enum work work = wait_for_work(keeper);
        keeper->after_job = false;
        switch (work) {
        case WORK_STOP:
            return NULL;
        case WORK_BEGIN:
            begin(keeper);
            break;
        case WORK_CONFIRM:
            confirm(keeper);
            break;
        case WORK_JOB:
            do_job(keeper);
            break;
        case WORK_REFRESH:
            refresh(keeper);
            break;
        }
        tell_change(keeper);
    }
}

static void release(struct keeper *keeper)
{
    (void)pthread_cond_destroy(&keeper->news);
    (void)pthread_mutex_destroy(&keeper->lock);
    cc_free(keeper);
}

CC_ERR keeper_start(const struct keeper_settings *settings, struct keeper **ret_keeper)
{
    pthread_condattr_t attributes;
    struct keeper *keeper = cc_alloc(sizeof *keeper);
    if (!keeper)
        return CC_FAIL(NO_MEMORY, NULL);
    keeper->settings = *settings;
    keeper->ceiling = settings->ceiling;
    keeper->floor = settings->floor;
    keeper->ahead = KEEPER_AHEAD;
    keeper->refresh_at_ns = clock_mono_ns() + settings->refresh_seconds * 1000 * ms;
    cc_assert(pthread_mutex_init(&keeper->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&keeper->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    publish(keeper);
    if (pthread_create(&keeper->thread, NULL, keeper_thread, keeper) != 0) {
        release(keeper);
        return CC_FAIL(SYSTEM, "thread");
    }
    take_lock(keeper);
    while (!keeper->started)
        (void)pthread_cond_wait(&keeper->news, &keeper->lock);
    drop_lock(keeper);
    *ret_keeper = keeper;
    return CC_OK;
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper)
        return;
    take_lock(keeper);
    keeper->stopping = true;
    (void)pthread_cond_broadcast(&keeper->news);
    drop_lock(keeper);
    (void)pthread_join(keeper->thread, NULL);
    take_lock(keeper);
    while (keeper->waiters)
        (void)pthread_cond_wait(&keeper->news, &keeper->lock);
    drop_lock(keeper);
    release(keeper);
}
