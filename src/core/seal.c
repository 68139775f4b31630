#include "core/seal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "core/test_point.h"

static const uint64_t ms = 1000000;

struct seal {
    const char *data_dir;
    struct seal_work work;
    pthread_t thread;
    bool runs;
    atomic_bool sealed;

    pthread_mutex_t lock; /* guards all below; a leaf, and not held over I/O */
    pthread_cond_t news;
    bool asked;
    bool by_state; /* the state store has the latch already */
    bool lifting;
    bool stopping;
    bool complete; /* the first round of the work is done */
    cc_err result; /* of it */
    uint64_t wall_ms;
    char by[SEAL_BY_MAX];
};

static void take_lock(struct seal *seal)
{
    cc_assert(pthread_mutex_lock(&seal->lock) == 0);
}

static void drop_lock(struct seal *seal)
{
    cc_assert(pthread_mutex_unlock(&seal->lock) == 0);
}

/* The caller holds the lock. */
static int wait_until(struct seal *seal, uint64_t until_ns)
{
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    return pthread_cond_timedwait(&seal->news, &seal->lock, &until);
}

bool seal_is(const struct seal *seal)
{
    return seal && atomic_load_explicit(&seal->sealed, memory_order_relaxed);
}

static void ask(struct seal *seal, const char *by, bool by_state)
{
    take_lock(seal);
    atomic_store(&seal->sealed, true);
    seal->by_state |= by_state;
    if (!seal->asked) {
        seal->asked = true;
        seal->wall_ms = clock_wall_ms();
        (void)snprintf(seal->by, sizeof seal->by, "%s", by);
        (void)pthread_cond_broadcast(&seal->news);
    }
    drop_lock(seal);
}

void seal_ask(struct seal *seal, const char *by)
{
    ask(seal, by, false);
}

/* A chamber that began latched knows. */
void seal_changed(struct seal *seal, const struct state_store *state)
{
    if (seal_latch_record(state) && !seal_is(seal))
        ask(seal, "replica", true);
}

void seal_begin_latched(struct seal *seal)
{
    take_lock(seal);
    atomic_store(&seal->sealed, true);
    drop_lock(seal);
}

CC_ERR seal_wait(struct seal *seal, uint64_t patience_ms)
{
    const uint64_t until_ns = clock_mono_ns() + patience_ms * ms;
    int rc = 0;
    take_lock(seal);
    while (!seal->complete && !seal->stopping && rc == 0)
        rc = wait_until(seal, until_ns);
    cc_err err = seal->complete ? seal->result : CC_FAIL(BUSY, "the seal is not complete yet");
    drop_lock(seal);
    return err;
}

/* --- taking the latch away ------------------------------------------------------------------------------------------------ */

static cc_err begin_lift(struct seal *seal)
{
    cc_err err = CC_OK;
    take_lock(seal);
    if (seal->lifting)
        err = CC_FAIL(BUSY, "the latch is being taken away");
    else if (seal->asked)
        err = CC_FAIL(SEALED, "sealed in this life: the signer starts anew by itself");
    else
        seal->lifting = true;
    drop_lock(seal);
    return err;
}

static void end_lift(struct seal *seal)
{
    take_lock(seal);
    seal->lifting = false;
    (void)pthread_cond_broadcast(&seal->news);
    drop_lock(seal);
}

static cc_err
remove_record(void *context, struct state_store *state, const struct state_signer *signer)
{
    (void)context;
    return seal_latch_remove_record(state, signer);
}

/* On the keeper's thread, as seal_changed() is: a seal of another replica comes before this or after it, never in between. */
static cc_err clear(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct seal *seal = context;
    (void)signer;
    if (seal_latch_record(state)) {
        ask(seal, "replica", true);
        return CC_FAIL(SEALED, "sealed anew meanwhile");
    }
    take_lock(seal);
    const bool asked = seal->asked;
    if (!asked)
        atomic_store(&seal->sealed, false);
    drop_lock(seal);
    return asked ? CC_FAIL(SEALED, "sealed anew meanwhile") : CC_OK;
}

static cc_err remove_latches(struct seal *seal, struct keeper *keeper)
{
    CC_TRY(keeper_run(keeper, remove_record, NULL, SEAL_PATIENCE_MS));
    test_point_pass(TEST_POINT_LIFTED_RECORD);
    CC_TRY(seal_latch_remove_file(seal->data_dir));
    test_point_pass(TEST_POINT_LIFTED_FILE);
    return keeper_run(keeper, clear, seal, SEAL_PATIENCE_MS);
}

CC_ERR seal_lift(struct seal *seal, struct keeper *keeper, const char *by)
{
    CC_TRY(begin_lift(seal));
    cc_err err = remove_latches(seal, keeper);
    end_lift(seal);
    CC_TRY(err);
    log_notice("the latch of the emergency seal was taken away", KV_STR("by", by));
    if (seal->work.lifted)
        seal->work.lifted(seal->work.context);
    return CC_OK;
}

/* --- the work ----------------------------------------------------------------------------------------------------------- */

struct sealing {
    char by[SEAL_BY_MAX];
    uint64_t wall_ms;
    bool needs_file;
    bool needs_state;
    bool needs_wipe;
};

static void say(cc_err err, const char *what)
{
    if (err.code)
        log_error("a part of the seal could not be made", KV_STR("part", what), KV_ERR(err));
}

static cc_err make_file(struct seal *seal, struct sealing *s)
{
    if (!s->needs_file)
        return CC_OK;
    CC_TRY(seal_latch_make_file(seal->data_dir, s->by, s->wall_ms));
    s->needs_file = false;
    return CC_OK;
}

/* Once the vault is wiped nobody can sign a change of the state any more. */
static cc_err make_record(struct seal *seal, struct sealing *s)
{
    if (!s->needs_state)
        return CC_OK;
    CC_TRY(seal->work.latch_state(seal->work.context, s->by, s->wall_ms, SEAL_PATIENCE_MS));
    s->needs_state = false;
    return CC_OK;
}

static cc_err wipe(struct seal *seal, struct sealing *s)
{
    if (!s->needs_wipe)
        return CC_OK;
    CC_TRY(seal->work.wipe(seal->work.context));
    s->needs_wipe = false;
    return CC_OK;
}

/* In this order: what is cut short has left the latch. */
static void make_all(struct seal *seal, struct sealing *s)
{
    cc_err file = make_file(seal, s);
    say(file, "seal.latch");
    test_point_pass(TEST_POINT_SEALED_FILE);
    seal->work.write_down(seal->work.context, s->by, file);
    cc_err record = make_record(seal, s);
    say(record, "the state store's latch: other replicas are not told, seal each of them");
    s->needs_state = false;
    test_point_pass(TEST_POINT_SEALED_RECORD);
    cc_err wiped = wipe(seal, s);
    test_point_pass(TEST_POINT_SEALED_WIPED);
    say(wiped, "the vault's wiping");
    cc_err result = file.code ? file : record.code ? record : wiped;
    metric_add(METRIC_CHAMBER_SEAL, 0, 0, 1);
    log_notice("the chamber is sealed: nothing is signed until `operator unseal`",
               KV_STR("by", s->by));
    take_lock(seal);
    seal->complete = true;
    seal->result = result;
    (void)pthread_cond_broadcast(&seal->news);
    drop_lock(seal);
}

static bool wait_for_work(struct seal *seal, struct sealing *s)
{
    take_lock(seal);
    /* A latch that is being taken away is gone before a new one is made. */
    while ((!seal->asked && !seal->stopping) || seal->lifting)
        (void)pthread_cond_wait(&seal->news, &seal->lock);
    const bool asked = seal->asked;
    memcpy(s->by, seal->by, sizeof s->by);
    s->wall_ms = seal->wall_ms;
    s->needs_file = s->needs_wipe = true;
    s->needs_state = !seal->by_state;
    drop_lock(seal);
    return asked;
}

static bool wait_for_retry(struct seal *seal)
{
    const uint64_t until_ns = clock_mono_ns() + SEAL_RETRY_MS * ms;
    take_lock(seal);
    while (!seal->stopping && clock_mono_ns() < until_ns)
        (void)wait_until(seal, until_ns);
    const bool stopping = seal->stopping;
    drop_lock(seal);
    return !stopping;
}

static void *seal_thread(void *argument)
{
    struct seal *seal = argument;
    struct sealing s = {0};
    if (!wait_for_work(seal, &s))
        return NULL;
    make_all(seal, &s);
    while ((s.needs_file || s.needs_wipe) && wait_for_retry(seal)) {
        (void)make_file(seal, &s).code;
        (void)wipe(seal, &s).code;
    }
    /* Who has sealed is told so first. Without the file a restart would undo it. */
    if (!s.needs_file && !s.needs_wipe && wait_for_retry(seal) && seal->work.restart)
        seal->work.restart(seal->work.context);
    return NULL;
}

/* --- its life ------------------------------------------------------------------------------------------------------------ */

CC_ERR seal_new(const char *data_dir, struct seal **ret_seal)
{
    pthread_condattr_t attributes;
    struct seal *seal = cc_alloc(sizeof *seal);
    if (!seal)
        return CC_FAIL(NO_MEMORY, NULL);
    seal->data_dir = data_dir;
    cc_assert(pthread_mutex_init(&seal->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&seal->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    *ret_seal = seal;
    return CC_OK;
}

CC_ERR seal_start(struct seal *seal, const struct seal_work *work)
{
    seal->work = *work;
    seal->runs = pthread_create(&seal->thread, NULL, seal_thread, seal) == 0;
    return seal->runs ? CC_OK : CC_FAIL(SYSTEM, "seal's thread");
}

void seal_stop(struct seal *seal)
{
    if (!seal)
        return;
    take_lock(seal);
    seal->stopping = true;
    (void)pthread_cond_broadcast(&seal->news);
    drop_lock(seal);
    if (seal->runs)
        (void)pthread_join(seal->thread, NULL);
    seal->runs = false;
}

void seal_free(struct seal *seal)
{
    if (!seal)
        return;
    seal_stop(seal);
    (void)pthread_cond_destroy(&seal->news);
    (void)pthread_mutex_destroy(&seal->lock);
    cc_free(seal);
}
