#include "core/enclave_time.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "crypto/random.h"

enum {
    NONCE_SIZE = 32
};

struct enclave_time {
    struct documents *documents;
    pthread_t thread;
    pthread_mutex_t lock; /* of `stops` */
    pthread_cond_t changed;
    bool stops;
    /* Module's time minus monotonic time, and the monotonic time of the last good look. */
    _Atomic uint64_t ahead_ms;
    _Atomic uint64_t seen_ms;
    atomic_bool differs; /* the clock, from the module's time */
    atomic_bool told;
};

/* The module's time, and by how much it is ahead of the monotonic clock. Of the time that the answer took, the module's word may be from any
 * moment: its end is taken, so what is carried on is never ahead of the truth.
 */
static cc_err ask(struct documents *documents, uint64_t *ret_ms, uint64_t *ret_ahead_ms)
{
    CC_CLEANUP(buf_release) struct buf bytes = buf_init(ATTEST_DOCUMENT_MAX);
    uint8_t nonce[NONCE_SIZE];
    struct attest_document document;
    CC_TRY(random_bytes(nonce, sizeof nonce));
    CC_TRY(documents_ask(documents, ATTEST_FOR_CLOCK, NULL, span_of(nonce, sizeof nonce), &bytes));
    const uint64_t mono_ms = clock_mono_ms();
    CC_TRY(attest_document_parse(buf_span(&bytes), &document));
    if (!document.has_nonce || !span_equal(document.nonce, span_of(nonce, sizeof nonce)))
        return CC_FAIL(ATTEST_NONCE, "a document about the time is not the one that was asked for");
    *ret_ms = document.timestamp_ms;
    *ret_ahead_ms = document.timestamp_ms - mono_ms;
    return CC_OK;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Takes the module's word; *ret_off_ms is by how much this machine's clock differs from it. */
static cc_err take(struct enclave_time *t, uint64_t *ret_off_ms)
{
    uint64_t module_ms, ahead_ms;
    CC_TRY(ask(t->documents, &module_ms, &ahead_ms));
    *ret_off_ms = distance(clock_wall_ms(), module_ms);
    atomic_store(&t->ahead_ms, ahead_ms);
    atomic_store(&t->seen_ms, clock_mono_ms());
    atomic_store(&t->differs, *ret_off_ms >= ENCLAVE_TIME_LIMIT_MS);
    return CC_OK;
}

uint64_t enclave_time_now(const struct enclave_time *t)
{
    return t ? clock_mono_ms() + atomic_load(&t->ahead_ms) : clock_wall_ms();
}

/* How old the last good look is. It is read first: one that comes meanwhile would be later than the clock was read. */
static uint64_t age_ms(const struct enclave_time *t)
{
    const uint64_t seen_ms = atomic_load(&t->seen_ms);
    return clock_mono_ms() - seen_ms;
}

bool enclave_time_is_sure(const struct enclave_time *t)
{
    return !t || (!atomic_load(&t->differs) && age_ms(t) < ENCLAVE_TIME_LOST_MS);
}

void enclave_time_look(struct enclave_time *t)
{
    uint64_t off_ms = 0;
    cc_err err = take(t, &off_ms);
    const bool sure = enclave_time_is_sure(t);
    if (err.code)
        log_warn("the enclave's security module does not say the time", KV_ERR(err));
    if (!sure)
        log_error("the CLOCK of this enclave can't be trusted: no block or attestation is signed",
                  KV_NUM("differs_ms", off_ms),
                  KV_STR("hint", "start the enclave anew: its clock is set then"));
    if (sure && atomic_load(&t->told))
        log_notice("the clock of this enclave agrees with its security module again");
    atomic_store(&t->told, !sure);
    metric_set(METRIC_ENCLAVE_CLOCK_UNSURE, 0, !sure);
}

/* False: it is to end. */
static bool wait_a_while(struct enclave_time *t)
{
    struct timespec until;
    const bool fresh = age_ms(t) < ENCLAVE_TIME_MS / 2;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (fresh ? ENCLAVE_TIME_MS : ENCLAVE_TIME_AGAIN_MS) / 1000;
    cc_assert(pthread_mutex_lock(&t->lock) == 0);
    int waited = 0;
    while (!t->stops && waited == 0)
        waited = pthread_cond_timedwait(&t->changed, &t->lock, &until);
    const bool goes_on = !t->stops;
    cc_assert(pthread_mutex_unlock(&t->lock) == 0);
    return goes_on;
}

static void *enclave_time_thread(void *argument)
{
    struct enclave_time *t = argument;
    while (wait_a_while(t))
        enclave_time_look(t);
    return NULL;
}

static void enclave_time_free(struct enclave_time *t)
{
    (void)pthread_cond_destroy(&t->changed);
    (void)pthread_mutex_destroy(&t->lock);
    cc_free(t);
}

static cc_err begin(struct enclave_time *t)
{
    uint64_t off_ms;
    CC_TRY(take(t, &off_ms));
    if (atomic_load(&t->differs)) {
        log_error("the CLOCK of this enclave is not its security module's",
                  KV_NUM("differs_ms", off_ms), KV_NUM("allowed_ms", ENCLAVE_TIME_LIMIT_MS));
        return CC_FAIL(ENCLAVE_CLOCK, NULL);
    }
    return pthread_create(&t->thread, NULL, enclave_time_thread, t) == 0
               ? CC_OK
               : CC_FAIL(SYSTEM, "thread");
}

CC_ERR enclave_time_start(struct documents *documents, struct enclave_time **ret_time)
{
    pthread_condattr_t monotonic;
    struct enclave_time *t = cc_alloc(sizeof *t);
    if (!t)
        return CC_FAIL(NO_MEMORY, NULL);
    t->documents = documents;
    cc_assert(pthread_mutex_init(&t->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&monotonic) == 0);
    cc_assert(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&t->changed, &monotonic) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    cc_err err = begin(t);
    if (err.code)
        enclave_time_free(t);
    else
        *ret_time = t;
    return err;
}

void enclave_time_stop(struct enclave_time *t)
{
    if (!t)
        return;
    cc_assert(pthread_mutex_lock(&t->lock) == 0);
    t->stops = true;
    cc_assert(pthread_cond_signal(&t->changed) == 0);
    cc_assert(pthread_mutex_unlock(&t->lock) == 0);
    (void)pthread_join(t->thread, NULL);
    enclave_time_free(t);
}
