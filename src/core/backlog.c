#include "core/backlog.h"

#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"

#include "core/fair_queue.h"
#include "core/pace.h"

static const uint64_t busy_remembered_ns = 200000000;
static const uint64_t taken_ns = 100000000; /* of work, at most, is taken at once */

/* How fast the vault signs what it has. */
struct busy {
    uint64_t ns;
    uint64_t rows;
    uint64_t since_ns; /* with_vault was not 0 since then */
};

struct stream {
    pthread_cond_t news;
    struct fair_queue queue;
    struct pace pace;
    struct busy busy;
    size_t with_vault;
    size_t blocks_with_vault; /* of these, rows of KIND_RANK_BLOCK */
    bool sated;               /* it got many of those, and has not signed all of them yet */
    size_t most;              /* that its taker takes at once */
    uint64_t commit_ns;
    bool poked;
};

struct backlog {
    /* Guards all below. The clock is read under it, so that no sample ends before it began. */
    pthread_mutex_t lock;
    uint64_t deadline_ns;
    struct stream streams[BACKLOG_STREAMS];
    bool stopped;
};

static void take_lock(struct backlog *backlog)
{
    cc_assert(pthread_mutex_lock(&backlog->lock) == 0);
}

static void drop_lock(struct backlog *backlog)
{
    cc_assert(pthread_mutex_unlock(&backlog->lock) == 0);
}

static struct stream *stream_of(struct backlog *backlog, const struct pending *row)
{
    return &backlog->streams[row->outcome.slashable == SLASHABLE_NOTHING ? BACKLOG_OBJECTS
                                                                         : BACKLOG_CLAIMS];
}

/* --- when there is something to take ----------------------------------------------------------------- */

/* How many rows the vault signs in `ns`. */
static uint64_t signed_within(const struct stream *s, uint64_t ns)
{
    return s->busy.ns ? ns * s->busy.rows / s->busy.ns : 0;
}

/* With so many the vault has enough until the next commit is over. */
static size_t ahead_of(const struct stream *s)
{
    return (size_t)u64_min(BACKLOG_AHEAD + signed_within(s, 3 * s->commit_ns / 2),
                           BACKLOG_AHEAD_MAX);
}

/* How many are taken at once: of a slow vault less than a batch, because nothing overtakes what was taken. */
static size_t batch_of(const struct stream *s)
{
    uint64_t within = s->busy.ns ? BACKLOG_AHEAD + signed_within(s, taken_ns) : UINT64_MAX;
    return (size_t)u64_min(within, s->most);
}

/* A batch that is full gains nothing by waiting longer: one is signed while the next is recorded. */
static bool vault_wants_more(const struct stream *s)
{
    size_t batch = batch_of(s);
    return s->with_vault <= ahead_of(s) ||
           (s->with_vault <= batch && fair_queue_count(&s->queue, KIND_RANK_REST) >= batch);
}

/* Down to which rank rows of the stream may go on; the rest waits for duties of both streams. */
static enum kind_rank last_rank(const struct backlog *backlog, const struct stream *s)
{
    const struct stream *claims = &backlog->streams[BACKLOG_CLAIMS];
    if (backlog->stopped)
        return KIND_RANK_REST;
    if (!vault_wants_more(s))
        return KIND_RANK_BLOCK;
    return s != claims && fair_queue_count(&claims->queue, KIND_RANK_DUTY) ? KIND_RANK_DUTY
                                                                           : KIND_RANK_REST;
}

/* Blocks go on while the vault has enough of the rest, but not without end: nothing overtakes what was taken, another client's
 * block has its turn only here, and with the vault the rest has its turn only when no block is there.
 */
static bool is_open(const struct backlog *backlog, const struct stream *s)
{
    return backlog->stopped || !s->sated;
}

static void count_blocks(struct stream *s, size_t with_vault)
{
    s->blocks_with_vault = with_vault;
    s->sated = with_vault > (s->sated ? 0 : BACKLOG_AHEAD);
}

static bool has_news(const struct backlog *backlog, const struct stream *s)
{
    return s->poked || backlog->stopped ||
           (is_open(backlog, s) && fair_queue_count(&s->queue, last_rank(backlog, s)));
}

static void signal_news(struct backlog *backlog)
{
    for (size_t i = 0; i < BACKLOG_STREAMS; i++)
        if (has_news(backlog, &backlog->streams[i]))
            (void)pthread_cond_signal(&backlog->streams[i].news);
}

/* --- in ------------------------------------------------------------------------------------------------ */

static bool is_refused(struct backlog *backlog, const struct pending *row, size_t free_rows)
{
    struct stream *s = stream_of(backlog, row);
    if (row->rank == KIND_RANK_BLOCK || backlog->stopped)
        return false;
    if (fair_queue_of_client(&s->queue, row) > BACKLOG_SHARE * free_rows)
        return true;
    size_t ahead = s->with_vault + fair_queue_ahead(&s->queue, row);
    return pace_wait_ns(&s->pace, ahead) > backlog->deadline_ns;
}

void backlog_put(struct backlog *backlog,
                 struct pending_list *list,
                 size_t free_rows,
                 struct pending_list *ret_refused)
{
    struct pending *row = NULL;
    *ret_refused = (struct pending_list){0};
    if (!list->head)
        return;
    take_lock(backlog);
    const uint64_t now = clock_mono_ns();
    for (size_t i = 0; i < BACKLOG_STREAMS; i++)
        pace_count(&backlog->streams[i].pace, 0, now);
    while ((row = pending_list_shift(list))) {
        row->queued_ns = now;
        trace_mark(row->traced.record, TRACE_QUEUED, now);
        if (is_refused(backlog, row, free_rows))
            pending_list_add(ret_refused, row);
        else
            fair_queue_put(&stream_of(backlog, row)->queue, row);
    }
    signal_news(backlog);
    drop_lock(backlog);
}

/* --- out ----------------------------------------------------------------------------------------------- */

static void wait_for_news(struct backlog *backlog, struct stream *s, uint64_t until_ns)
{
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int rc = 0;
    while (!has_news(backlog, s) && rc == 0)
        rc = until_ns ? pthread_cond_timedwait(&s->news, &backlog->lock, &until)
                      : pthread_cond_wait(&s->news, &backlog->lock);
}

static bool is_late(const struct backlog *backlog, const struct pending *row, uint64_t now)
{
    return row->rank != KIND_RANK_BLOCK && now - row->queued_ns > 3 * backlog->deadline_ns / 2;
}

static void take_rows(struct backlog *backlog,
                      struct stream *s,
                      struct pending_list *ret_list,
                      struct pending_list *ret_late)
{
    enum kind_rank last = last_rank(backlog, s);
    size_t batch = is_open(backlog, s) ? batch_of(s) : 0;
    uint64_t now = clock_mono_ns();
    struct pending *row = NULL;
    while (ret_list->count < batch && fair_queue_count(&s->queue, last)) {
        struct pending_list some = {0};
        fair_queue_take(&s->queue, last, batch - ret_list->count, &some);
        while ((row = pending_list_shift(&some)))
            pending_list_add(is_late(backlog, row, now) ? ret_late : ret_list, row);
    }
    pace_set_waiting(&s->pace, fair_queue_count(&s->queue, KIND_RANK_REST) != 0, now);
}

bool backlog_take(struct backlog *backlog,
                  enum backlog_stream stream,
                  uint64_t until_ns,
                  struct pending_list *ret_list,
                  struct pending_list *ret_late)
{
    struct stream *s = &backlog->streams[stream];
    *ret_list = (struct pending_list){0};
    *ret_late = (struct pending_list){0};
    take_lock(backlog);
    wait_for_news(backlog, s, until_ns);
    s->poked = false;
    take_rows(backlog, s, ret_list, ret_late);
    signal_news(backlog); /* the rest of the objects may have waited for the last claim */
    bool going_on = !backlog->stopped || ret_list->head || ret_late->head;
    drop_lock(backlog);
    return going_on;
}

/* --- with the vault -------------------------------------------------------------------------------------- */

static void count_busy(struct stream *s, size_t answered, uint64_t now)
{
    struct busy *busy = &s->busy;
    if (s->with_vault)
        busy->ns += now - busy->since_ns;
    busy->rows += answered;
    busy->since_ns = now;
    if (busy->ns > busy_remembered_ns) {
        busy->ns /= 2;
        busy->rows /= 2;
    }
}

void backlog_passed(struct backlog *backlog,
                    enum backlog_stream stream,
                    const struct pending_list *list,
                    size_t answered)
{
    struct stream *s = &backlog->streams[stream];
    size_t blocks = 0;
    for (struct pending *row = list->head; row; row = row->next) {
        row->backlog = backlog;
        blocks += row->rank == KIND_RANK_BLOCK;
    }
    take_lock(backlog);
    const uint64_t now = clock_mono_ns();
    count_busy(s, 0, now);
    pace_count(&s->pace, answered, now);
    s->with_vault += list->count;
    count_blocks(s, s->blocks_with_vault + blocks);
    drop_lock(backlog);
}

struct answered {
    size_t rows;
    size_t blocks;
};

static void count_answered(struct stream *s, struct answered answered, uint64_t now)
{
    if (answered.rows == 0)
        return;
    count_busy(s, answered.rows, now);
    pace_count(&s->pace, answered.rows, now);
    s->with_vault -= answered.rows;
    count_blocks(s, s->blocks_with_vault - answered.blocks);
}

void backlog_answered(const struct pending_list *list)
{
    struct backlog *backlog = NULL;
    struct answered n[BACKLOG_STREAMS] = {{0}};
    for (struct pending *row = list->head; row; row = row->next) {
        if (!row->backlog)
            continue;
        cc_assert(!backlog || row->backlog == backlog);
        backlog = row->backlog;
        row->backlog = NULL;
        struct answered *of = &n[stream_of(backlog, row) - backlog->streams];
        of->rows++;
        of->blocks += row->rank == KIND_RANK_BLOCK;
    }
    if (!backlog)
        return;
    take_lock(backlog);
    const uint64_t now = clock_mono_ns();
    for (size_t i = 0; i < BACKLOG_STREAMS; i++)
        count_answered(&backlog->streams[i], n[i], now);
    signal_news(backlog);
    drop_lock(backlog);
}

void backlog_set_commit_time(struct backlog *backlog, uint64_t commit_ns)
{
    struct stream *s = &backlog->streams[BACKLOG_CLAIMS];
    take_lock(backlog);
    s->commit_ns = s->commit_ns ? (3 * s->commit_ns + commit_ns) / 4 : commit_ns;
    drop_lock(backlog);
}

/* --- life ------------------------------------------------------------------------------------------------- */

void backlog_poke(struct backlog *backlog)
{
    take_lock(backlog);
    backlog->streams[BACKLOG_CLAIMS].poked = true;
    (void)pthread_cond_signal(&backlog->streams[BACKLOG_CLAIMS].news);
    drop_lock(backlog);
}

void backlog_stop(struct backlog *backlog)
{
    take_lock(backlog);
    backlog->stopped = true;
    for (size_t i = 0; i < BACKLOG_STREAMS; i++)
        (void)pthread_cond_broadcast(&backlog->streams[i].news);
    drop_lock(backlog);
}

size_t backlog_count(struct backlog *backlog)
{
    size_t n = 0;
    take_lock(backlog);
    for (size_t i = 0; i < BACKLOG_STREAMS; i++)
        n += fair_queue_count(&backlog->streams[i].queue, KIND_RANK_REST);
    drop_lock(backlog);
    return n;
}

size_t backlog_with_vault(struct backlog *backlog)
{
    size_t n = 0;
    take_lock(backlog);
    for (size_t i = 0; i < BACKLOG_STREAMS; i++)
        n += backlog->streams[i].with_vault;
    drop_lock(backlog);
    return n;
}

CC_ERR backlog_new(uint64_t deadline_ms, size_t batch_max, struct backlog **ret_backlog)
{
    pthread_condattr_t attributes;
    struct backlog *backlog = cc_alloc(sizeof *backlog);
    if (!backlog)
        return CC_FAIL(NO_MEMORY, NULL);
    backlog->deadline_ns = deadline_ms * 1000000;
    cc_assert(pthread_mutex_init(&backlog->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    for (size_t i = 0; i < BACKLOG_STREAMS; i++) {
        fair_queue_init(&backlog->streams[i].queue);
        backlog->streams[i].most = batch_max;
        cc_assert(pthread_cond_init(&backlog->streams[i].news, &attributes) == 0);
    }
    (void)pthread_condattr_destroy(&attributes);
    *ret_backlog = backlog;
    return CC_OK;
}

void backlog_free(struct backlog *backlog)
{
    if (!backlog)
        return;
    for (size_t i = 0; i < BACKLOG_STREAMS; i++)
        (void)pthread_cond_destroy(&backlog->streams[i].news);
    (void)pthread_mutex_destroy(&backlog->lock);
    cc_free(backlog);
}
