#include "core/board.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/metric.h"
#include "base/num.h"

#include "auth/policy.h"
#include "codec/hex.h"
#include "core/report.h"

/* Counters as they stood at the end of an interval. */
struct counted {
    uint64_t signed_count;
    uint64_t answered;
    struct metric_histogram latency;
    struct metric_histogram batch;
};

struct board {
    /* the control thread's */
    struct counted before;
    uint64_t since_ms; /* monotonic; 0: nothing was counted yet */

    pthread_mutex_t lock; /* guards all below; a leaf */
    struct board_view view;
    uint32_t next_point;
    uint32_t next_refusal;
    bool looked_at;
    uint64_t counted_ms; /* monotonic; 0: never */
};

static void take_lock(struct board *board)
{
    cc_assert(pthread_mutex_lock(&board->lock) == 0);
}

static void drop_lock(struct board *board)
{
    cc_assert(pthread_mutex_unlock(&board->lock) == 0);
}

CC_ERR board_new(struct board **ret_board)
{
    struct board *board = cc_alloc(sizeof *board);
    if (!board)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_assert(pthread_mutex_init(&board->lock, NULL) == 0);
    *ret_board = board;
    return CC_OK;
}

void board_free(struct board *board)
{
    if (!board)
        return;
    (void)pthread_mutex_destroy(&board->lock);
    cc_free(board);
}

/* --- points ------------------------------------------------------------------------------------------------ */

static void count(struct counted *ret_counted)
{
    metric_histogram(METRIC_SIGNING_DURATION, &ret_counted->latency);
    metric_histogram(METRIC_HISTORY_BATCH, &ret_counted->batch);
    ret_counted->signed_count = ret_counted->answered = 0;
    /* Kinds that share a name share a series, so each is looked at once. */
    for (uint32_t kind = 0; kind <= KIND_END; kind++) {
        if (kind < KIND_END && report_label((enum eth_kind)kind) != kind)
            continue;
        for (uint32_t status = 0; status <= metric_status(0); status++) {
            const uint64_t n = metric_get(METRIC_SIGNING_REQUESTS, kind, status);
            ret_counted->answered += n;
            if (status == metric_status(200))
                ret_counted->signed_count += n;
        }
    }
}

static void subtract(struct metric_histogram *from, const struct metric_histogram *before)
{
    for (uint32_t i = 0; i < from->count; i++)
        from->buckets[i] -= before->buckets[i];
    from->sum -= before->sum;
}

static uint64_t observations(const struct metric_histogram *h)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < h->count; i++)
        n += h->buckets[i];
    return n;
}

/* Evenly spread within its bucket; beyond the last bound it is that bound. */
static uint64_t quantile_us(const struct metric_histogram *h, uint64_t percent)
{
    const uint64_t wanted = (observations(h) * percent + 99) / 100;
    uint64_t seen = 0;
    uint64_t lower = 0;
    for (uint32_t i = 0; i + 1 < h->count; i++) {
        if (h->buckets[i] && seen + h->buckets[i] >= wanted)
            return (lower + (h->bounds[i] - lower) * (wanted - seen) / h->buckets[i]) / 1000;
        seen += h->buckets[i];
        lower = h->bounds[i];
    }
    return wanted ? lower / 1000 : 0;
}

static void add_point(struct board *board, const struct board_point *point)
{
    take_lock(board);
    board->view.points[board->next_point] = *point;
    board->next_point = (board->next_point + 1) % BOARD_POINTS;
    board->view.point_count += board->view.point_count < BOARD_POINTS;
    drop_lock(board);
}

void board_tick(struct board *board, uint64_t mono_ms, uint64_t wall_s)
{
    struct counted now;
    if (board->since_ms && mono_ms - board->since_ms < BOARD_POINT_S * 1000)
        return;
    count(&now);
    if (board->since_ms) {
        struct counted in = now;
        subtract(&in.latency, &board->before.latency);
        subtract(&in.batch, &board->before.batch);
        const uint64_t batches = observations(&in.batch);
        const uint64_t signed_count = now.signed_count - board->before.signed_count;
        const struct board_point point = {
            .at = wall_s,
            .span_ms = mono_ms - board->since_ms,
            .signed_count = signed_count,
            .refused_count = now.answered - board->before.answered - signed_count,
            .median_us = quantile_us(&in.latency, 50),
            .p99_us = quantile_us(&in.latency, 99),
            .batch_tenths = batches ? in.batch.sum * 10 / batches : 0};
        add_point(board, &point);
    }
    board->before = now;
    board->since_ms = mono_ms ? mono_ms : 1;
}

/* --- answers ----------------------------------------------------------------------------------------------- */

static const char *rule_name(uint32_t error, uint32_t rule)
{
    if (error == ERROR_SLASHABLE)
        return slash_rule_name((enum slash_rule)rule);
    return error == ERROR_DENIED ? policy_rule_name((enum policy_rule)rule) : "";
}

static void note_signed(struct board *board, const struct sign_outcome *outcome)
{
    if (outcome->slashable == SLASHABLE_NOTHING)
        return;
    struct board_view *v = &board->view;
    take_lock(board);
    if (outcome->slashable == SLASHABLE_BLOCK) {
        v->newest_slot = u64_max(v->newest_slot, outcome->claim.slot);
        v->has_slot = true;
    } else {
        v->newest_target = u64_max(v->newest_target, outcome->claim.target);
        v->has_target = true;
    }
    drop_lock(board);
}

void board_answered(struct board *board,
                    const struct sign_outcome *outcome,
                    const struct eth_pubkey *pubkey,
                    uint32_t error,
                    uint32_t rule,
                    uint64_t wall_s)
{
    if (!board)
        return;
    if (!error) {
        note_signed(board, outcome);
        return;
    }
    struct board_refusal refusal = {
        .at = wall_s,
        .error = error,
        .operation = outcome->kind < KIND_END ? kind_operation(outcome->kind) : "UNKNOWN",
        .rule = rule_name(error, rule),
        .pubkey = *pubkey};
    memcpy(refusal.principal, outcome->principal, sizeof refusal.principal);
    take_lock(board);
    board->view.refusals[board->next_refusal] = refusal;
    board->next_refusal = (board->next_refusal + 1) % BOARD_REFUSALS;
    board->view.refusal_count += board->view.refusal_count < BOARD_REFUSALS;
    drop_lock(board);
}

/* --- replicas and history ------------------------------------------------------------------------------------ */

static bool read_replica(const struct state_record *record, struct board_replica *ret_replica)
{
    struct audit_position at;
    size_t len = strlen(record->name);
    if (len != 2 * (size_t)AUDIT_REPLICA_SIZE ||
        hex_decode(span_of(record->name, len), ret_replica->id, AUDIT_REPLICA_SIZE).code ||
        audit_anchor_read(span_of(record->bytes, record->len), &at).code)
        return false;
    ret_replica->segment = at.segment;
    ret_replica->lines = at.lines;
    return true;
}

void board_follow(struct board *board, const struct state_store *state)
{
    struct board_replica replicas[BOARD_REPLICAS];
    uint32_t n = 0;
    const struct state_record *record = NULL;
    while (n < BOARD_REPLICAS &&
           (record = state_next(state, "audit", record ? record->name : NULL)) != NULL)
        n += read_replica(record, &replicas[n]);
    take_lock(board);
    if (n)
        memcpy(board->view.replicas, replicas, n * sizeof *replicas);
    board->view.replica_count = n;
    drop_lock(board);
}

bool board_wants_history(struct board *board, uint64_t mono_ms)
{
    if (!board)
        return false;
    take_lock(board);
    const bool wants =
        board->looked_at && (!board->counted_ms || mono_ms - board->counted_ms >= BOARD_HISTORY_MS);
    drop_lock(board);
    return wants;
}

void board_history(struct board *board,
                   const struct slash_status *status,
                   uint64_t mono_ms,
                   uint64_t wall_s)
{
    take_lock(board);
    board->looked_at = false;
    board->counted_ms = mono_ms ? mono_ms : 1;
    if (status) {
        board->view.history = *status;
        board->view.history_at = wall_s;
    }
    drop_lock(board);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

void board_read(struct board *board, struct board_view *ret_view)
{
    take_lock(board);
    board->looked_at = true;
    const struct board_view *v = &board->view;
    *ret_view = *v;
    for (uint32_t i = 0; i < v->point_count; i++)
        ret_view->points[i] =
            v->points[(board->next_point + BOARD_POINTS - v->point_count + i) % BOARD_POINTS];
    for (uint32_t i = 0; i < v->refusal_count; i++)
        ret_view->refusals[i] =
            v->refusals[(board->next_refusal + BOARD_REFUSALS - 1 - i) % BOARD_REFUSALS];
    drop_lock(board);
}
