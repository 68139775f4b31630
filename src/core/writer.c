#include "core/writer.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

#include "core/report.h"
#include "core/test_point.h"

static const uint64_t ms = 1000000;

struct writer {
    struct writer_settings settings;
    pthread_t thread;
    atomic_bool store_up;
    atomic_bool stopping;
    uint64_t prune_at_ns;
    bool upkeep; /* the store has something to do that can wait for a quiet moment */
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

/* A key that another client of the database holds is no verdict about its message. */
static void refuse(struct pending *row, const struct slash_verdict *verdict)
{
    row->answer.error = verdict->rule == SLASH_CONTENDED ? ERROR_CONTENDED : ERROR_SLASHABLE;
    row->answer.rule = verdict->rule;
    row->answer.earlier_slot = verdict->earlier_slot;
    row->answer.earlier_source = verdict->earlier_source;
    row->answer.earlier_target = verdict->earlier_target;
}

/* Only here does a claim become something that the vault is asked to sign. */
static void pass_on(struct writer *writer, struct pending_list *list)
{
    struct pending_list allowed = {0};
    struct pending_list refused = {0};
    struct pending *row = NULL;
    for (size_t i = 0; (row = pending_list_shift(list)); i++) {
        if (slash_may_sign(writer->verdicts[i].rule)) {
            metric_add(METRIC_SLASHING_PERMITTED, report_label(row->outcome.kind), 0, 1);
            pending_list_add(&allowed, row);
        } else {
            refuse(row, &writer->verdicts[i]);
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
    for (row = list->head; row; row = row->next)
        metric_observe(METRIC_SIGNING_COMMIT, report_label(row->outcome.kind), took_ns);
    pass_on(writer, list);
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
    cc_err err = slash_register_keys(writer->settings.history, writer->keys, n);
    note(writer, err, "registering keys");
    if (err.code)
        return false;
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
    struct slash_status status;
    note(writer, slash_status(writer->settings.history, &status), "probing");
}

/* What is done when no claim waits; true when there is more of it. */
static bool idle_step(struct writer *writer)
{
    bool more = false;
    if (!writer_store_is_up(writer)) {
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

static uint64_t wait_until(const struct writer *writer, bool more)
{
    uint64_t now = clock_mono_ns();
    if (more)
        return now;
    if (!writer_store_is_up(writer))
        return now + WRITER_PROBE_MS * ms;
    if (writer->upkeep)
        return now + WRITER_QUIET_MS * ms;
    return writer->settings.prune ? writer->prune_at_ns : 0;
}

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
        if (list.head) {
            commit(writer, &list);
            writer->upkeep = true;
        } else {
            more = idle_step(writer);
        }
        /* Under a load that never pauses the pass must go on all the same. */
        if (list.head && prune_is_due(writer, WRITER_PRUNE_LATE_MS))
            (void)prune_step(writer);
        more |= register_some(writer);
    }
    return NULL;
}

CC_ERR writer_start(const struct writer_settings *settings, struct writer **ret_writer)
{
    struct writer *writer = cc_alloc(sizeof *writer);
    if (!writer)
        return CC_FAIL(NO_MEMORY, NULL);
    writer->settings = *settings;
    writer->upkeep = true;
    writer->prune_at_ns = clock_mono_ns() + settings->prune_interval_ms * ms;
    atomic_init(&writer->store_up, true);
    if (pthread_create(&writer->thread, NULL, writer_thread, writer) != 0) {
        cc_free(writer);
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
    backlog_stop(writer->settings.backlog);
    (void)pthread_join(writer->thread, NULL);
    cc_free(writer);
}
