#include "core/writer.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/ceiling_gate.h"
#include "core/report.h"
#include "core/test_point.h"
#include "slash/backend.h"

static const uint64_t ms = 1000000;

/* What writer_run() brings; on its caller's stack. */
struct brought {
    writer_job *job;
    void *context;
    cc_err result;
    bool begun;
    bool ended;
};

struct writer {
    struct writer_settings settings;
    pthread_mutex_t lock; /* guards brought, and what it points to; above backlog.lock */
    pthread_cond_t news;
    struct brought *brought; /* NULL: nothing */
    struct ceiling_gate gate;
    pthread_t thread;
    atomic_bool store_up;
    atomic_bool stopping;
    uint64_t prune_at_ns;
    uint64_t used_at_ns; /* the history, last */
    bool upkeep;         /* the store has something to do that can wait for a quiet moment */
    struct report_budget failures;
    struct slash_claim claims[SLASH_BATCH_MAX];
    struct slash_verdict verdicts[SLASH_BATCH_MAX];
    struct eth_pubkey keys[REGISTRY_TAKE_MAX];
};

bool writer_store_is_up(const struct writer *writer)
{
    return atomic_load(&writer->store_up);
}

void writer_poke(struct writer *writer)
{
    backlog_poke(writer->settings.backlog);
}

static void note(struct writer *writer, cc_err err, const char *what)
{
    uint32_t held_back = 0;
    writer->used_at_ns = clock_mono_ns();
    bool was_up = atomic_exchange(&writer->store_up, err.code == 0);
    if (!err.code) {
        if (!was_up)
            log_notice("the history can be used again");
        return;
    }
    metric_add(METRIC_HISTORY_ERRORS, 0, 0, 1);
    if (report_may_log(&writer->failures, &held_back))
        log_error("the history failed", KV_STR("doing", what), KV_ERR(err),
                  KV_NUM("lines_held_back", held_back));
}

/* Worth another try: the cause may go by itself. A failed integrity check does not. */
static bool may_recover(cc_err err)
{
    enum error_class class = error_class(err);
    return class == CLASS_UNAVAILABLE || class == CLASS_BUSY || error_is(err, ERROR_NO_MEMORY);
}

static void pause_before_retry(void)
{
    const struct timespec pause = {0, WRITER_RETRY_MS * 1000000L};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static cc_err record(struct writer *writer, size_t n, uint64_t until_ns)
{
    for (;;) {
        test_point_pass(TEST_POINT_COMMIT);
        cc_err err =
            slash_check_and_record(writer->settings.history, writer->claims, n, writer->verdicts);
        note(writer, err, "check and record");
        if (!err.code || !may_recover(err) || clock_mono_ns() >= until_ns ||
            atomic_load(&writer->stopping))
            return err;
        pause_before_retry();
    }
}

static void fail_batch(struct writer *writer, struct pending_list *list, cc_err err)
{
    for (struct pending *row = list->head; row; row = row->next)
        row->answer.error = (uint32_t)err.code;
    front_link_answer(writer->settings.link, list);
}

/* A key that another client of the database holds, or whose history can't be trusted, is no verdict about its message. */
static enum error_code error_of_rule(enum slash_rule rule)
{
    if (rule == SLASH_CONTENDED)
        return ERROR_CONTENDED;
    return rule == SLASH_HISTORY_TAMPERED ? ERROR_HISTORY_TAMPERED : ERROR_SLASHABLE;
}

static void
refuse(const struct writer *writer, struct pending *row, const struct slash_verdict *verdict)
{
    row->answer.error = error_of_rule(verdict->rule);
    row->answer.rule = quarantine_rule(&writer->settings.quarantine, clock_wall_ms(), verdict);
    row->answer.earlier_slot = verdict->earlier_slot;
    row->answer.earlier_source = verdict->earlier_source;
    row->answer.earlier_target = verdict->earlier_target;
}

/* Only here does a claim become something that the vault is asked to sign. */
static void pass_on(struct writer *writer, struct pending_list *list, uint64_t recorded_ns)
{
    struct pending_list allowed = {0};
    struct pending_list refused = {0};
    struct pending *row = NULL;
    for (size_t i = 0; (row = pending_list_shift(list)); i++) {
        if (slash_may_sign(writer->verdicts[i].rule)) {
            metric_add(METRIC_SLASHING_PERMITTED, report_label(row->outcome.kind), 0, 1);
            trace_mark(row->traced.record, TRACE_RECORDED, recorded_ns);
            pending_list_add(&allowed, row);
        } else {
            refuse(writer, row, &writer->verdicts[i]);
            trace_mark(row->traced.record, TRACE_DECIDED, recorded_ns);
            pending_list_add(&refused, row);
        }
    }
    backlog_passed(writer->settings.backlog, BACKLOG_CLAIMS, &allowed, refused.count);
    vault_client_sign(writer->settings.vault, &allowed);
    front_link_answer(writer->settings.link, &refused);
}

static void commit(struct writer *writer, struct pending_list *list)
{
    uint64_t began_ns = clock_mono_ns();
    uint64_t until_ns = UINT64_MAX;
    size_t n = 0;
    struct pending *row = NULL;
    for (row = list->head; row; row = row->next) {
        writer->claims[n++] = row->outcome.claim;
        metric_observe(METRIC_SIGNING_QUEUE, report_label(row->outcome.kind),
                       began_ns - row->queued_ns);
        trace_mark(row->traced.record, TRACE_RECORDING, began_ns);
        if (row->arrived_ns + WRITER_PATIENCE_MS * ms < until_ns)
            until_ns = row->arrived_ns + WRITER_PATIENCE_MS * ms;
    }
    cc_err err = record(writer, n, until_ns);
    if (err.code) {
        fail_batch(writer, list, err);
        return;
    }
    test_point_pass(TEST_POINT_COMMITTED);
    uint64_t took_ns = clock_mono_ns() - began_ns;
    backlog_set_commit_time(writer->settings.backlog, took_ns);
    metric_observe(METRIC_HISTORY_BATCH, 0, n);
    for (row = list->head; row; row = row->next) {
        metric_observe(METRIC_SIGNING_COMMIT, report_label(row->outcome.kind), took_ns);
        if (row->traced.record)
            trace_set_number(row->traced.record, TRACE_BATCH_CLAIMS, n);
    }
    pass_on(writer, list, began_ns + took_ns);
}

/* What a front that is gone had asked for need not be recorded: it will not be signed. */
static void drop_orphans(struct writer *writer, struct pending_list *list)
{
    struct pending_list orphans = {0};
    struct pending_list wanted = {0};
    struct pending *row = NULL;
    while ((row = pending_list_shift(list)))
        pending_list_add(
            front_link_waits(writer->settings.link, row->front_epoch) ? &wanted : &orphans, row);
    *list = wanted;
    if (orphans.head)
        fail_batch(writer, &orphans, CC_FAIL(DOOR_CLOSED, "the front that asked is gone"));
}

/* The history's step of raising the ceiling. A failure leaves it due, and the next round tries again. */
static void raise_ceiling(struct writer *writer)
{
    uint64_t epoch = 0;
    if (!writer->settings.keeper || !keeper_due(writer->settings.keeper, &epoch))
        return;
    cc_err err = slash_set_ceiling(writer->settings.history, epoch);
    note(writer, err, "raising the ceiling");
    if (err.code)
        return;
    test_point_pass(TEST_POINT_CEILING_RECORDED);
    keeper_recorded(writer->settings.keeper, epoch);
}

/* What may be recorded now stays in `list`. */
static void keep_below_ceiling(struct writer *writer, struct pending_list *list)
{
    struct pending_list late;
    ceiling_gate_pass(&writer->gate, SLASH_BATCH_MAX, list, &late);
    if (late.head)
        fail_batch(writer, &late, CC_FAIL(CEILING, "waited for the ceiling"));
    if (!writer->gate.waiting.head || vault_client_is_up(writer->settings.vault))
        return;
    /* Nobody is left who could sign, be it the claim or the state that a higher ceiling needs. */
    late = ceiling_gate_empty(&writer->gate);
    fail_batch(writer, &late, CC_FAIL(DOOR_CLOSED, "the vault is gone"));
}

/* Beyond what is known to be lost: no row begins below it, whatever comes with its key. */
static struct slash_watermark floor_of_all(struct writer *writer)
{
    return writer->settings.keeper ? keeper_floor(writer->settings.keeper)
                                   : (struct slash_watermark){0};
}

/* Where a row begins that is made now for a key without a history: at the end of its quarantine too. */
static struct slash_watermark floor_of_new(struct writer *writer)
{
    struct slash_watermark floor = floor_of_all(writer);
    struct slash_watermark quarantine;
    if (quarantine_floor(&writer->settings.quarantine, clock_wall_ms(), &quarantine))
        (void)slash_watermark_raise(&floor, &quarantine);
    return floor;
}

static void log_new_rows(const struct writer *writer, const struct slash_watermark *floor)
{
    const uint64_t made = writer->settings.history->rows_made;
    if (made && floor->has_epochs)
        log_notice(
            "keys without a history begin behind low watermarks: blocks and attestations are signed from this epoch on",
            KV_NUM("keys", made), KV_NUM("epoch", u64_add_sat(floor->target, 1)));
}

/* One transaction's worth; true when there may be more. A failure leaves the keys waiting, and the next round tries
 * again.
 */
static bool register_some(struct writer *writer)
{
    size_t n =
        registry_take_unregistered(writer->settings.registry, writer->keys, REGISTRY_TAKE_MAX);
    if (n == 0)
        return false;
    test_point_pass(TEST_POINT_REGISTER);
    const struct slash_watermark floor = floor_of_new(writer);
    cc_err err = slash_register_keys(writer->settings.history, writer->keys, n, &floor);
    note(writer, err, "registering keys");
    if (err.code)
        return false;
    log_new_rows(writer, &floor);
    test_point_pass(TEST_POINT_REGISTERED);
    registry_registered(writer->settings.registry, writer->keys, n);
    return true;
}

/* One bounded step of a pass; true when the pass goes on. */
static bool prune_step(struct writer *writer)
{
    const struct writer_settings *s = &writer->settings;
    struct slash_prune_step step = {0};
    cc_err err = slash_prune(s->history, s->keep_epochs, s->slots_per_epoch, &step);
    metric_add(METRIC_HISTORY_PRUNED, 0, 0, step.removed);
    note(writer, err, "pruning");
    if (!err.code && step.more)
        return true;
    if (!err.code)
        log_info("the history was pruned", KV_NUM("keep_epochs", s->keep_epochs));
    writer->prune_at_ns = clock_mono_ns() + s->prune_interval_ms * ms;
    return false;
}

static bool prune_is_due(const struct writer *writer, uint64_t late_ms)
{
    return writer->settings.prune && clock_mono_ns() >= writer->prune_at_ns + late_ms * ms;
}

/* A store that failed is asked until it works again, so that health turns green without a client's request. */
static void probe(struct writer *writer)
{
    struct slash_high ignored;
    note(writer, slash_probe(writer->settings.history, &ignored), "probing");
}

/* When an idle writer should see whether the history is still there; UINT64_MAX: never. */
static uint64_t look_at_ns(const struct writer *writer)
{
    return writer->settings.may_go_away ? writer->used_at_ns + WRITER_LOOK_MS * ms : UINT64_MAX;
}

/* What is done when no claim waits; true when there is more of it. */
static bool idle_step(struct writer *writer)
{
    bool more = false;
    if (!writer_store_is_up(writer) || look_at_ns(writer) <= clock_mono_ns()) {
        probe(writer);
        return false;
    }
    if (prune_is_due(writer, 0))
        return prune_step(writer);
    if (!writer->upkeep)
        return false;
    cc_err err = slash_maintain(writer->settings.history, &more);
    note(writer, err, "upkeep");
    writer->upkeep = !err.code && more;
    return writer->upkeep;
}

/* A store that is away, and claims that the ceiling holds back, are not made to wait for it. */
static void look_for_the_page(struct writer *writer)
{
    if (writer_store_is_up(writer) && !writer->gate.waiting.head)
        slashing_jobs_idle(writer->settings.jobs);
}

static uint64_t wait_for_upkeep(const struct writer *writer, uint64_t now)
{
    if (!writer_store_is_up(writer))
        return now + WRITER_PROBE_MS * ms;
    if (writer->upkeep)
        return now + WRITER_QUIET_MS * ms;
    const uint64_t next =
        u64_min(look_at_ns(writer), writer->settings.prune ? writer->prune_at_ns : UINT64_MAX);
    return next == UINT64_MAX ? 0 : next;
}

static uint64_t wait_until(const struct writer *writer, bool more)
{
    const uint64_t now = clock_mono_ns();
    const uint64_t upkeep_at = wait_for_upkeep(writer, now);
    const uint64_t late_at = ceiling_gate_late_at(&writer->gate);
    if (more || ceiling_gate_is_open(&writer->gate))
        return now;
    return upkeep_at && late_at ? u64_min(upkeep_at, late_at) : u64_max(upkeep_at, late_at);
}

/* True when there is more of it. Only what makes the history unusable is its failure. */
static bool job_step(struct writer *writer)
{
    bool more = false;
    const struct slash_watermark floor = floor_of_all(writer);
    cc_err err = slashing_jobs_step(writer->settings.jobs, &floor, &more);
    if (error_class(err) == CLASS_UNAVAILABLE)
        note(writer, err, "work that was asked for");
    return more;
}

/* --- what others bring ------------------------------------------------------------------------------------ */

static void take_lock(struct writer *writer)
{
    cc_assert(pthread_mutex_lock(&writer->lock) == 0);
}

static void drop_lock(struct writer *writer)
{
    cc_assert(pthread_mutex_unlock(&writer->lock) == 0);
}

static struct brought *begin_brought(struct writer *writer)
{
    take_lock(writer);
    struct brought *brought = writer->brought;
    if (brought)
        brought->begun = true;
    drop_lock(writer);
    return brought;
}

static void end_brought(struct writer *writer, struct brought *brought, cc_err err)
{
    take_lock(writer);
    writer->brought = NULL;
    brought->result = err;
    brought->ended = true;
    (void)pthread_cond_broadcast(&writer->news);
    drop_lock(writer);
}

static void do_brought(struct writer *writer)
{
    struct brought *brought = begin_brought(writer);
    if (!brought)
        return;
    const struct slash_watermark floor = floor_of_new(writer);
    cc_err err = brought->job(brought->context, writer->settings.history, &floor);
    if (!err.code || error_class(err) == CLASS_UNAVAILABLE)
        note(writer, err, "work that was asked for");
    end_brought(writer, brought, err);
}

/* Under the lock: false when the writer stops or the time is over. */
static bool
wait_while(struct writer *writer, const struct brought *brought, const struct timespec *until)
{
    int rc = 0;
    while ((brought ? writer->brought == brought && !brought->begun : writer->brought != NULL) &&
           !atomic_load(&writer->stopping) && rc == 0)
        rc = pthread_cond_timedwait(&writer->news, &writer->lock, until);
    return rc == 0 && !atomic_load(&writer->stopping);
}

CC_ERR
writer_run(struct writer *writer, writer_job *job, void *context, uint64_t patience_ms)
{
    struct brought brought = {.job = job, .context = context};
    const uint64_t until_ns = clock_mono_ns() + patience_ms * ms;
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    take_lock(writer);
    if (wait_while(writer, NULL, &until)) {
        writer->brought = &brought;
        writer_poke(writer);
        (void)wait_while(writer, &brought, &until);
        while (brought.begun && !brought.ended)
            (void)pthread_cond_wait(&writer->news, &writer->lock);
        if (!brought.ended)
            writer->brought = NULL;
    }
    if (!brought.ended)
        brought.result = atomic_load(&writer->stopping)
                             ? CC_FAIL(DOOR_CLOSED, "the core ends")
                             : CC_FAIL(BUSY, "the history has other work");
    (void)pthread_cond_broadcast(&writer->news);
    drop_lock(writer);
    return brought.result;
}

/* --- the thread ------------------------------------------------------------------------------------------- */

static void *writer_thread(void *argument)
{
    struct writer *writer = argument;
    struct pending_list list;
    struct pending_list late;
    bool more = false;
    while (backlog_take(writer->settings.backlog, BACKLOG_CLAIMS, wait_until(writer, more), &list,
                        &late)) {
        more = false;
        front_link_shed(writer->settings.link, &late);
        drop_orphans(writer, &list);
        keep_below_ceiling(writer, &list);
        if (list.head) {
            commit(writer, &list);
            writer->upkeep = true;
        } else {
            more = idle_step(writer);
            if (!more)
                look_for_the_page(writer);
        }
        /* Under a load that never pauses the pass must go on all the same. */
        if (list.head && prune_is_due(writer, WRITER_PRUNE_LATE_MS))
            (void)prune_step(writer);
        raise_ceiling(writer);
        more |= register_some(writer);
        more |= job_step(writer);
        do_brought(writer);
    }
    list = ceiling_gate_empty(&writer->gate);
    if (list.head)
        fail_batch(writer, &list, CC_FAIL(CEILING, "the core ends"));
    return NULL;
}

static void release(struct writer *writer)
{
    (void)pthread_cond_destroy(&writer->news);
    (void)pthread_mutex_destroy(&writer->lock);
    cc_free(writer);
}

CC_ERR writer_start(const struct writer_settings *settings, struct writer **ret_writer)
{
    struct writer *writer = cc_alloc(sizeof *writer);
    if (!writer)
        return CC_FAIL(NO_MEMORY, NULL);
    writer->settings = *settings;
    writer->gate = (struct ceiling_gate){.keeper = settings->keeper,
                                         .slots_per_epoch = settings->slots_per_epoch,
                                         .patience_ns = WRITER_PATIENCE_MS * ms};
    pthread_condattr_t attributes;
    cc_assert(pthread_mutex_init(&writer->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&writer->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    writer->upkeep = true;
    writer->prune_at_ns = clock_mono_ns() + settings->prune_interval_ms * ms;
    atomic_init(&writer->store_up, true);
    if (pthread_create(&writer->thread, NULL, writer_thread, writer) != 0) {
        release(writer);
        return CC_FAIL(SYSTEM, "thread");
    }
    *ret_writer = writer;
    return CC_OK;
}

void writer_stop(struct writer *writer)
{
    if (!writer)
        return;
    atomic_store(&writer->stopping, true);
    take_lock(writer);
    (void)pthread_cond_broadcast(&writer->news);
    drop_lock(writer);
    backlog_stop(writer->settings.backlog);
    (void)pthread_join(writer->thread, NULL);
    release(writer);
}
