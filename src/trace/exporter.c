#include "trace/exporter.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "aws/http.h"
#include "trace/otlp.h"

enum {
    BODY_MAX = 4 << 20,
    ANSWER_MAX = 16384,
    INSTANCE_SIZE = 80,
    SLICE_MS = 100 /* how soon a try under way sees that this ends */
};

static const uint64_t ns_per_ms = 1000000;

struct chain {
    struct trace_record *head;
    struct trace_record *tail;
    size_t count;
};

struct exporter {
    struct exporter_options options;
    char instance[INSTANCE_SIZE];
    struct trace_record *records; /* EXPORT_RECORDS */
    struct aws_pool *pool;        /* the thread's, once it runs */
    struct buf body;              /* the same */
    bool failing;                 /* the same */
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t news;
    struct trace_record *unused;
    struct chain ready;
    bool stopping;
    uint64_t last_ms; /* stopping: until when */
};

static void take_lock(struct exporter *x)
{
    cc_assert(pthread_mutex_lock(&x->lock) == 0);
}

static void drop_lock(struct exporter *x)
{
    cc_assert(pthread_mutex_unlock(&x->lock) == 0);
}

static void count(enum metric_result result, uint64_t spans)
{
    metric_add(METRIC_TRACING_SPANS, result, 0, spans);
}

/* --- records ----------------------------------------------------------------------------------------------------------- */

static void give(struct exporter *x, struct trace_record *record)
{
    record->next = x->unused;
    x->unused = record;
}

struct trace_record *exporter_take(struct exporter *exporter)
{
    take_lock(exporter);
    struct trace_record *record = exporter->unused;
    if (record)
        exporter->unused = record->next;
    drop_lock(exporter);
    if (record)
        *record = (struct trace_record){0};
    else
        count(METRIC_RESULT_DROPPED, 1);
    return record;
}

void exporter_put(struct exporter *exporter, struct trace_record *record)
{
    struct chain *ready = &exporter->ready;
    record->next = NULL;
    take_lock(exporter);
    if (ready->tail)
        ready->tail->next = record;
    else
        ready->head = record;
    ready->tail = record;
    ready->count++;
    /* The first one begins the wait for more, and a batch ends it. */
    if (ready->count == 1 || ready->count == EXPORT_BATCH)
        (void)pthread_cond_signal(&exporter->news);
    drop_lock(exporter);
}

void exporter_give_back(struct exporter *exporter, struct trace_record *record)
{
    take_lock(exporter);
    give(exporter, record);
    drop_lock(exporter);
}

static void give_all(struct exporter *x, struct trace_record *records)
{
    take_lock(x);
    while (records) {
        struct trace_record *next = records->next;
        give(x, records);
        records = next;
    }
    drop_lock(x);
}

/* --- one batch --------------------------------------------------------------------------------------------------------- */

/* Until when a try, or a pause, may last. */
static uint64_t bounded(struct exporter *x, uint64_t until_ms)
{
    take_lock(x);
    const uint64_t bound = x->stopping ? u64_min(until_ms, x->last_ms) : until_ms;
    drop_lock(x);
    return bound;
}

static void carry(struct exporter *x, struct aws_http *http)
{
    const uint64_t until_ms = clock_mono_ms() + EXPORT_TIMEOUT_MS;
    while (!http->done) {
        const uint64_t now_ms = clock_mono_ms();
        if (now_ms >= bounded(x, until_ms) || aws_pool_wait(x->pool, SLICE_MS).code)
            aws_pool_cancel(x->pool, http);
    }
}

/* `*ret_rejected`: of the spans that were taken. False: not taken; *ret_again says whether it may be tried again. */
static bool
send_once(struct exporter *x, const char **ret_why, uint64_t *ret_rejected, bool *ret_again)
{
    struct aws_http http = {.method = "POST",
                            .url = x->options.url,
                            .headers = {"Content-Type: application/json"},
                            .body = buf_span(&x->body),
                            .timeout_ms = EXPORT_TIMEOUT_MS,
                            .connect_timeout_ms = EXPORT_TIMEOUT_MS,
                            .body_max = ANSWER_MAX};
    cc_err err = aws_pool_start(x->pool, &http);
    if (err.code) { /* its name can't be looked up, say */
        *ret_why = error_detail();
    } else {
        carry(x, &http);
        err = http.error;
        *ret_why = err.code ? http.detail : "the collector refuses";
    }
    const bool taken = !err.code && http.status == 200;
    *ret_again = err.code || otlp_may_retry(http.status);
    *ret_rejected = taken ? otlp_rejected(&http.answer) : 0;
    aws_http_release(&http);
    return taken;
}

/* False: this ends, and so do the tries. */
static bool pause_before_retry(struct exporter *x, uint64_t pause_ms)
{
    const uint64_t until_ns = (clock_mono_ms() + pause_ms) * ns_per_ms;
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int rc = 0;
    take_lock(x);
    while (!x->stopping && rc == 0)
        rc = pthread_cond_timedwait(&x->news, &x->lock, &until);
    const bool goes_on = !x->stopping;
    drop_lock(x);
    return goes_on;
}

static void note(struct exporter *x, bool well, const char *why)
{
    if (well && x->failing)
        log_notice("traces reach the collector again");
    if (!well && !x->failing)
        log_warn("traces don't reach the collector: what it doesn't take in time is dropped",
                 KV_STR("url", x->options.url), KV_STR("why", why));
    x->failing = !well;
}

static void deliver(struct exporter *x, uint64_t spans)
{
    const char *why = "";
    uint64_t rejected = 0;
    uint64_t pause_ms = EXPORT_RETRY_MS;
    bool again = true;
    bool taken = false;
    for (int tries = 0; tries < EXPORT_TRIES && again && !taken; tries++) {
        if (tries && !pause_before_retry(x, pause_ms))
            break;
        if (tries)
            pause_ms *= 2;
        taken = send_once(x, &why, &rejected, &again);
    }
    note(x, taken, why);
    rejected = taken ? u64_min(rejected, spans) : spans;
    count(METRIC_RESULT_FAILED, rejected);
    count(METRIC_RESULT_EXPORTED, spans - rejected);
}

static void send_batch(struct exporter *x, struct trace_record *records)
{
    const struct otlp_source source = {.version = x->options.version,
                                       .instance = x->instance,
                                       .wall_ahead_ns = clock_wall_ns() - clock_mono_ns()};
    uint64_t spans = 0;
    for (const struct trace_record *record = records; record; record = record->next)
        spans += otlp_spans(record);
    x->body.len = 0;
    cc_err err = otlp_encode(&source, records, &x->body);
    give_all(x, records); /* others need them, however long this takes */
    if (err.code) {
        log_error("traces can't be written", KV_ERR(err));
        count(METRIC_RESULT_FAILED, spans);
        return;
    }
    deliver(x, spans);
}

/* --- the thread -------------------------------------------------------------------------------------------------------- */

/* Under the lock: there is something, and it needs no company. */
static void wait_for_batch(struct exporter *x)
{
    struct timespec until;
    int rc = 0;
    while (!x->ready.count && !x->stopping)
        (void)pthread_cond_wait(&x->news, &x->lock);
    const uint64_t until_ns = clock_mono_ns() + EXPORT_EVERY_MS * ns_per_ms;
    until.tv_sec = (time_t)(until_ns / 1000000000);
    until.tv_nsec = (long)(until_ns % 1000000000);
    while (x->ready.count < EXPORT_BATCH && !x->stopping && rc == 0)
        rc = pthread_cond_timedwait(&x->news, &x->lock, &until);
}

/* At most a batch, first in, first out; NULL: this ends, and all is sent or the time is over. */
static struct trace_record *next_batch(struct exporter *x)
{
    struct chain *ready = &x->ready;
    take_lock(x);
    wait_for_batch(x);
    struct trace_record *head = ready->head;
    struct trace_record *last = head;
    if (x->stopping && clock_mono_ms() >= x->last_ms)
        head = NULL;
    if (head) {
        ready->count--;
        for (size_t n = 1; n < EXPORT_BATCH && last->next; n++, ready->count--)
            last = last->next;
        ready->head = last->next;
        if (!ready->head)
            ready->tail = NULL;
        last->next = NULL;
    }
    drop_lock(x);
    return head;
}

/* What the end has no time for. */
static void drop_rest(struct exporter *x)
{
    uint64_t spans = 0;
    for (const struct trace_record *record = x->ready.head; record; record = record->next)
        spans += otlp_spans(record);
    count(METRIC_RESULT_DROPPED, spans);
}

static void *exporter_thread(void *argument)
{
    struct exporter *x = argument;
    struct trace_record *records = NULL;
    while ((records = next_batch(x)))
        send_batch(x, records);
    drop_rest(x);
    return NULL;
}

CC_ERR exporter_open(const struct exporter_options *options, struct exporter **ret_exporter)
{
    const struct aws_pool_options pool = {.ca_bundle = options->ca_bundle, .connections_max = 1};
    pthread_condattr_t attributes;
    struct exporter *x = cc_alloc(sizeof *x);
    if (!x)
        return CC_FAIL(NO_MEMORY, NULL);
    x->options = *options;
    x->body = buf_init(BODY_MAX);
    cc_assert(pthread_mutex_init(&x->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&x->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    x->records = cc_alloc_array(EXPORT_RECORDS, sizeof *x->records);
    cc_err err = x->records ? aws_pool_open(&pool, &x->pool) : CC_FAIL(NO_MEMORY, NULL);
    if (err.code) {
        exporter_close(x);
        return err;
    }
    for (size_t i = EXPORT_RECORDS; i > 0; i--)
        give(x, &x->records[i - 1]);
    *ret_exporter = x;
    return CC_OK;
}

CC_ERR exporter_start(struct exporter *exporter, const char *instance)
{
    (void)snprintf(exporter->instance, sizeof exporter->instance, "%s", instance);
    if (pthread_create(&exporter->thread, NULL, exporter_thread, exporter) != 0)
        return CC_FAIL(SYSTEM, "thread");
    exporter->runs = true;
    return CC_OK;
}

void exporter_stop(struct exporter *exporter)
{
    if (!exporter->runs)
        return;
    take_lock(exporter);
    exporter->stopping = true;
    exporter->last_ms = clock_mono_ms() + EXPORT_LAST_MS;
    (void)pthread_cond_broadcast(&exporter->news);
    drop_lock(exporter);
    (void)pthread_join(exporter->thread, NULL);
    exporter->runs = false;
}

void exporter_close(struct exporter *exporter)
{
    if (!exporter)
        return;
    exporter_stop(exporter);
    aws_pool_close(exporter->pool);
    buf_release(&exporter->body);
    (void)pthread_cond_destroy(&exporter->news);
    (void)pthread_mutex_destroy(&exporter->lock);
    cc_free(exporter->records);
    cc_free(exporter);
}
