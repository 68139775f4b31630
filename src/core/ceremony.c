#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "core/ceremony_inside.h"
#include "core/rehearsal.h"
#include "secret/wipe.h"

static const uint64_t ms = 1000000;

static void take_lock(struct ceremony *c)
{
    cc_assert(pthread_mutex_lock(&c->lock) == 0);
}

static void drop_lock(struct ceremony *c)
{
    cc_assert(pthread_mutex_unlock(&c->lock) == 0);
}

uint64_t ceremony_wall_ms(const struct ceremony *c)
{
    return c->settings.wall_ms ? c->settings.wall_ms() : clock_wall_ms();
}

bool ceremony_latched(const struct ceremony *c)
{
    const struct ceremony_events *events = &c->settings.events;
    return events->latched && events->latched(events->context);
}

/* --- what is tried again -------------------------------------------------------------------------------------------------- */

bool ceremony_due(const struct ceremony_retry *retry)
{
    return clock_mono_ns() >= retry->at_ns;
}

void ceremony_put_off(struct ceremony_retry *retry)
{
    retry->pause_ms = retry->pause_ms
                          ? (uint32_t)u64_min(2 * (uint64_t)retry->pause_ms, CEREMONY_RETRY_MAX_MS)
                          : CEREMONY_RETRY_MS;
    retry->at_ns = clock_mono_ns() + retry->pause_ms * ms;
}

/* --- records come in -------------------------------------------------------------------------------------------------------- */

void ceremony_changed(struct ceremony *c, const struct state_store *state)
{
    struct ceremony_records *records = cc_alloc(sizeof *records);
    cc_err err = records ? ceremony_read_records(state, ceremony_wall_ms(c), records)
                         : CC_FAIL(NO_MEMORY, NULL);
    if (err.code)
        log_error("the records of the sealed chamber can't be read", KV_ERR(err));
    rehearsal_show(state, err.code || records->current.set.operator_count != 0);
    if (!records)
        return;
    take_lock(c);
    struct ceremony_records *before = c->incoming;
    c->incoming = records;
    (void)pthread_cond_broadcast(&c->news);
    drop_lock(c);
    cc_free(before);
}

/* The end of an init closes what it has made: its operators open it. */
static void note_init(struct ceremony *c, const struct ceremony_records *records)
{
    const struct seal_next *next = &records->next;
    if (records->next_version == 0 || next->kind != SEAL_KIND_INIT ||
        next->proposal.operator_count == 0)
        return;
    c->init_awaited = true;
    memcpy(c->init_fingerprint, next->digest, sizeof c->init_fingerprint);
}

bool ceremony_take_incoming(struct ceremony *c)
{
    take_lock(c);
    struct ceremony_records *records = c->incoming;
    c->incoming = NULL;
    drop_lock(c);
    if (!records)
        return false;
    note_init(c, records);
    cc_free(c->records);
    c->records = records;
    c->give_retry = (struct ceremony_retry){0};
    return true;
}

void ceremony_show(struct ceremony *c)
{
    const enum seal_state state = ceremony_state_now(c);
    const bool latched = ceremony_latched(c);
    take_lock(c);
    struct ceremony_shown *shown = c->shown;
    shown->records = *c->records;
    shown->vault = c->vault;
    memcpy(shown->kms, c->kms, sizeof shown->kms);
    shown->state = state;
    shown->latched = latched;
    shown->fault = c->records->bad;
    drop_lock(c);
}

enum seal_state ceremony_state(struct ceremony *c)
{
    take_lock(c);
    const enum seal_state state = c->shown->state;
    drop_lock(c);
    return state;
}

cc_err ceremony_write_down(
    struct ceremony *c, const char *operation, const char *subject, const char *by, cc_err err)
{
    struct audit_entry entry = {
        .event = "ceremony", .operation = operation, .error = (uint32_t)err.code};
    (void)snprintf(entry.subject, sizeof entry.subject, "%s", subject);
    (void)snprintf(entry.principal, sizeof entry.principal, "%s", by);
    cc_err written = audit_event(c->settings.audit, &entry);
    return err.code ? err : written;
}

/* --- jobs ----------------------------------------------------------------------------------------------------------------------- */

static void put_job(struct ceremony *c, struct ceremony_job *job)
{
    struct ceremony_job **end = &c->jobs;
    while (*end)
        end = &(*end)->next;
    *end = job;
    c->waiters++;
    (void)pthread_cond_broadcast(&c->news);
}

static void withdraw_job(struct ceremony *c, struct ceremony_job *job)
{
    struct ceremony_job **at = &c->jobs;
    while (*at && *at != job)
        at = &(*at)->next;
    if (*at)
        *at = job->next;
}

CC_ERR ceremony_run(struct ceremony *c, cc_err (*run)(struct ceremony *, void *), void *context)
{
    return ceremony_run_within(c, CEREMONY_PATIENCE_MS, run, context);
}

CC_ERR ceremony_run_within(struct ceremony *c,
                           uint32_t patience_ms,
                           cc_err (*run)(struct ceremony *, void *),
                           void *context)
{
    struct ceremony_job job = {.run = run, .context = context};
    const uint64_t until_ns = clock_mono_ns() + patience_ms * ms;
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int rc = 0;
    cc_assert(!pthread_equal(pthread_self(), c->thread));
    take_lock(c);
    put_job(c, &job);
    while (!job.begun && !c->stopping && rc == 0)
        rc = pthread_cond_timedwait(&c->news, &c->lock, &until);
    while (job.begun && !job.ended)
        (void)pthread_cond_wait(&c->news, &c->lock);
    if (!job.begun) {
        withdraw_job(c, &job);
        job.result = c->stopping ? CC_FAIL(DOOR_CLOSED, "the core ends")
                                 : CC_FAIL(BUSY, "a ceremony is under way");
    }
    c->waiters--;
    (void)pthread_cond_broadcast(&c->news);
    drop_lock(c);
    /* The detail is the thread's that ran it. */
    return job.begun && job.result.code
               ? error_make((enum error_code)job.result.code, job.detail, __FILE__, __LINE__)
               : job.result;
}

static void do_job(struct ceremony *c, struct ceremony_job *job)
{
    cc_err err = job->run(c, job->context);
    const char *detail = error_detail();
    ceremony_show(c);
    take_lock(c);
    job->result = err;
    job->detail = detail;
    job->ended = true;
    (void)pthread_cond_broadcast(&c->news);
    drop_lock(c);
}

/* --- the thread -------------------------------------------------------------------------------------------------------------------- */

/* The next job, or NULL for a look around; false at the end. */
static bool wait_for_work(struct ceremony *c, uint64_t at_ns, struct ceremony_job **ret_job)
{
    const struct timespec until = {(time_t)(at_ns / 1000000000), (long)(at_ns % 1000000000)};
    int rc = 0;
    take_lock(c);
    while (!c->stopping && !c->jobs && !c->incoming && !c->poked && rc == 0)
        rc = at_ns ? pthread_cond_timedwait(&c->news, &c->lock, &until)
                   : pthread_cond_wait(&c->news, &c->lock);
    c->poked = false;
    *ret_job = c->stopping ? NULL : c->jobs;
    if (*ret_job) {
        c->jobs = (*ret_job)->next;
        (*ret_job)->begun = true;
    }
    const bool goes_on = !c->stopping;
    drop_lock(c);
    return goes_on;
}

static void *ceremony_thread(void *argument)
{
    struct ceremony *c = argument;
    struct ceremony_job *job = NULL;
    uint64_t at_ns = ceremony_drive(c);
    ceremony_show(c);
    at_ns = ceremony_note_shown(c, at_ns);
    while (wait_for_work(c, at_ns, &job)) {
        (void)ceremony_take_incoming(c);
        if (job)
            do_job(c, job);
        at_ns = ceremony_drive(c);
        ceremony_show(c);
        at_ns = ceremony_note_shown(c, at_ns); /* last: nothing waits for it */
    }
    return NULL;
}

void ceremony_poke(struct ceremony *c)
{
    take_lock(c);
    c->poked = true;
    (void)pthread_cond_broadcast(&c->news);
    drop_lock(c);
}

/* --- making and freeing ------------------------------------------------------------------------------------------------------------ */

static void make_lock(struct ceremony *c)
{
    pthread_condattr_t attributes;
    cc_assert(pthread_mutex_init(&c->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&c->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

CC_ERR ceremony_new(const struct ceremony_settings *settings, struct ceremony **ret_ceremony)
{
    struct ceremony *c = cc_alloc(sizeof *c);
    if (!c)
        return CC_FAIL(NO_MEMORY, NULL);
    c->settings = *settings;
    make_lock(c);
    ceremony_glass_init(c);
    c->records = cc_alloc(sizeof *c->records);
    c->messages = cc_alloc(sizeof *c->messages);
    c->shown = cc_alloc(sizeof *c->shown);
    if (!c->records || !c->messages || !c->shown) {
        ceremony_free(c);
        return CC_FAIL(NO_MEMORY, NULL);
    }
    *ret_ceremony = c;
    return CC_OK;
}

CC_ERR ceremony_start(struct ceremony *c, struct keeper *keeper)
{
    c->settings.keeper = keeper;
    (void)ceremony_take_incoming(c);
    ceremony_show(c);
    c->runs = pthread_create(&c->thread, NULL, ceremony_thread, c) == 0;
    return c->runs ? CC_OK : CC_FAIL(SYSTEM, "the ceremony's thread");
}

void ceremony_stop(struct ceremony *c)
{
    if (!c)
        return;
    take_lock(c);
    c->stopping = true;
    (void)pthread_cond_broadcast(&c->news);
    drop_lock(c);
    if (c->runs)
        (void)pthread_join(c->thread, NULL);
    c->runs = false;
    take_lock(c);
    while (c->waiters)
        (void)pthread_cond_wait(&c->news, &c->lock);
    drop_lock(c);
}

void ceremony_free(struct ceremony *c)
{
    if (!c)
        return;
    ceremony_stop(c);
    ceremony_glass_release(c);
    if (c->messages)
        wipe(c->messages, sizeof *c->messages);
    cc_free(c->incoming);
    cc_free(c->records);
    cc_free(c->messages);
    cc_free(c->shown);
    (void)pthread_cond_destroy(&c->news);
    (void)pthread_mutex_destroy(&c->lock);
    cc_free(c);
}
