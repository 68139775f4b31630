#include "core/audit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/audit_file.h"
#include "secret/wipe.h"

enum {
    LINES_MAX = 256, /* of one write; and one that says what is missing */
    ANCHOR_RETRY_MS = 5000
};

/* Of callers who have to show nothing: AUDIT_ANYBODY_PER_SECOND lines, and a number for the rest. */
enum quota_kind {
    QUOTA_FAILED,
    QUOTA_REFUSED,
    QUOTA_END
};

struct quota {
    uint64_t held_back;
    uint64_t second;
    uint32_t in_second;
};

struct audit {
    struct audit_settings settings;
    struct audit_helpers helpers;
    char directory[CONFIG_PATH_MAX + 16];
    pthread_t sync_thread;
    pthread_t anchor_thread;
    bool sync_runs;
    bool anchor_runs;

    /* of who has the turn */
    struct audit_file file;
    struct audit_chain chain;
    char *text;
    uint8_t next_key
        [AUDIT_KEY_SIZE]; /* of the segment next_segment: no vault gives it twice. The sync thread's */
    uint64_t next_segment; /* 0: none */
    bool ended;            /* the last line of this segment is written */

    pthread_mutex_t lock; /* guards all below; never held over I/O: the turn is */
    pthread_cond_t
        turn; /* is free: of who writes. Apart from `news`, so that a write wakes none of our threads */
    pthread_cond_t news; /* for our threads */
    bool taken;          /* somebody has the turn */
    bool stopping;       /* the threads end */
    bool finished;       /* nothing is written any more */
    bool failing;        /* the last write failed, or the last sync */
    bool
        broken; /* a sync failed: nobody knows what of this segment is on the disk, so another one is begun */
    bool dirty; /* there is something to sync */
    uint64_t
        behind_ns; /* monotonic: since when there is a line that is not on the disk; 0: all are */
    uint64_t newer_ns; /* the same of those that came after the last sync began */
    bool due;          /* to anchor, at once */
    uint64_t lost;     /* decisions that could not be written down since the last line */
    struct quota quotas[QUOTA_END];
    struct audit_position durable;
    struct audit_position anchored;
};

static const uint64_t ms = 1000000;

static void take_lock(struct audit *audit)
{
    cc_assert(pthread_mutex_lock(&audit->lock) == 0);
}

static void drop_lock(struct audit *audit)
{
    cc_assert(pthread_mutex_unlock(&audit->lock) == 0);
}

static void take_turn(struct audit *audit)
{
    take_lock(audit);
    while (audit->taken)
        cc_assert(pthread_cond_wait(&audit->turn, &audit->lock) == 0);
    audit->taken = true;
    drop_lock(audit);
}

static void end_turn(struct audit *audit)
{
    take_lock(audit);
    audit->taken = false;
    (void)pthread_cond_signal(&audit->turn);
    drop_lock(audit);
}

/* Waits until `until_ns`, or until there is news. The caller holds the lock. */
static void wait_until(struct audit *audit, uint64_t until_ns)
{
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    (void)pthread_cond_timedwait(&audit->news, &audit->lock, &until);
}

/* --- who has the turn ------------------------------------------------------------------------------------------------------ */

static void note(struct audit *audit, cc_err err, const char *doing, uint64_t lost)
{
    const int number = errno;
    take_lock(audit);
    const bool was_failing = audit->failing;
    audit->failing = err.code != 0;
    audit->dirty |= !err.code;
    if (!err.code && !audit->newer_ns)
        audit->newer_ns = clock_mono_ns();
    if (!audit->behind_ns)
        audit->behind_ns = audit->newer_ns;
    audit->lost = err.code ? audit->lost + lost : audit->lost;
    drop_lock(audit);
    metric_set(METRIC_AUDIT_FAILING, 0, err.code != 0);
    if (err.code)
        metric_add(METRIC_AUDIT_LOST, 0, 0, lost);
    if (err.code && !was_failing)
        log_error("the audit log failed", KV_STR("doing", doing), KV_ERR(err),
                  KV_NUM("errno", number),
                  KV_STR("on_failure", audit->settings.on_failure == AUDIT_REFUSE
                                           ? "refuse: nothing is answered until it can be written"
                                           : "continue: going on without"));
    if (!err.code && was_failing)
        log_notice("the audit log can be written again");
}

static uint64_t missing(struct audit *audit)
{
    take_lock(audit);
    const uint64_t lost = audit->lost;
    drop_lock(audit);
    return lost;
}

static void found(struct audit *audit, uint64_t lost)
{
    take_lock(audit);
    audit->lost -= lost;
    drop_lock(audit);
}

/* Writes entries in one go, before them what is missing. On an error the chain is where it was. */
static cc_err
write_lines(struct audit *audit, const struct audit_entry *entries, size_t n, uint64_t lost)
{
    const struct audit_entry gap = {.event = "gap", .error = ERROR_AUDIT, .count = lost};
    const uint64_t wall_ms = clock_wall_ms();
    struct audit_chain before = audit->chain;
    size_t len = 0;
    if (lost)
        len += audit_line_write(&audit->chain, &gap, wall_ms, audit->text);
    for (size_t i = 0; i < n; i++)
        len += audit_line_write(&audit->chain, &entries[i], wall_ms, audit->text + len);
    cc_err err = len ? audit_file_write(&audit->file, audit->text, len) : CC_OK;
    if (err.code)
        audit->chain = before;
    audit_chain_wipe(&before);
    return err;
}

static cc_err may_write(struct audit *audit)
{
    take_lock(audit);
    const bool broken = audit->broken;
    drop_lock(audit);
    if (audit->finished || audit->ended)
        return CC_FAIL(AUDIT, "the audit log's segment has ended");
    return broken ? CC_FAIL(AUDIT, "a segment could not be made durable") : CC_OK;
}

static cc_err write_piece(struct audit *audit, const struct audit_entry *entries, size_t n)
{
    const uint64_t lost = missing(audit);
    cc_err err = may_write(audit);
    if (!err.code)
        err = write_lines(audit, entries, n, lost);
    if (!err.code)
        found(audit, lost);
    note(audit, err, "writing", n);
    metric_add(METRIC_AUDIT_LINES, 0, 0, err.code ? 0 : n + (lost != 0));
    return err;
}

/* --- the quota of anybody ---------------------------------------------------------------------------------------------------- */

/* What a stranger can cause as often as he likes. */
static bool is_limited(const struct audit_entry *entry)
{
    return entry->anybody && entry->error;
}

/* What slashing protection refuses has a quota of its own: no other failures keep it out of the log. */
static enum quota_kind quota_of(const struct audit_entry *entry)
{
    return error_class(error_from_number(entry->error)) == CLASS_REFUSED ? QUOTA_REFUSED
                                                                         : QUOTA_FAILED;
}

/* Whether the entry may be written; the caller holds the lock. */
static bool fits_quota(struct audit *audit, const struct audit_entry *entry)
{
    if (!is_limited(entry))
        return true;
    struct quota *quota = &audit->quotas[quota_of(entry)];
    const uint64_t second = clock_mono_ns() / 1000000000;
    if (second != quota->second) {
        quota->second = second;
        quota->in_second = 0;
    }
    if (quota->in_second < AUDIT_ANYBODY_PER_SECOND) {
        quota->in_second++;
        return true;
    }
    quota->held_back++;
    return false;
}

static bool any_limited(const struct audit_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_limited(&entries[i]))
            return true;
    return false;
}

/* Writes runs of entries between those that are held back. */
static cc_err write_within_quota(struct audit *audit, const struct audit_entry *entries, size_t n)
{
    size_t from = 0;
    cc_err err = CC_OK;
    for (size_t i = 0; i < n; i++) {
        take_lock(audit);
        const bool fits = fits_quota(audit, &entries[i]);
        drop_lock(audit);
        if (fits)
            continue;
        if (i > from && !err.code)
            err = write_piece(audit, &entries[from], i - from);
        from = i + 1;
    }
    if (n > from && !err.code)
        err = write_piece(audit, &entries[from], n - from);
    return err;
}

static cc_err write_all(struct audit *audit, const struct audit_entry *entries, size_t n)
{
    for (size_t at = 0; at < n; at += LINES_MAX) {
        const size_t piece = (size_t)u64_min(LINES_MAX, n - at);
        CC_TRY(any_limited(&entries[at], piece) ? write_within_quota(audit, &entries[at], piece)
                                                : write_piece(audit, &entries[at], piece));
    }
    return CC_OK;
}

/* --- for all ------------------------------------------------------------------------------------------------------------------- */

bool audit_wants(const struct audit *audit, uint32_t error)
{
    if (!audit || audit->settings.level == AUDIT_ADMIN)
        return false;
    return audit->settings.level == AUDIT_ALL || error;
}

CC_ERR audit_write(struct audit *audit, const struct audit_entry *entries, size_t n)
{
    if (!audit || n == 0)
        return CC_OK;
    take_turn(audit);
    cc_err err = write_all(audit, entries, n);
    end_turn(audit);
    return err.code && audit->settings.on_failure == AUDIT_REFUSE
               ? CC_FAIL(AUDIT, "the audit log can't be written")
               : CC_OK;
}

CC_ERR audit_event(struct audit *audit, const struct audit_entry *entry)
{
    return audit_write(audit, entry, 1);
}

bool audit_failing(struct audit *audit)
{
    take_lock(audit);
    const bool failing = audit->failing;
    drop_lock(audit);
    return failing;
}

bool audit_blocks(struct audit *audit)
{
    return audit && audit->settings.on_failure == AUDIT_REFUSE && audit_failing(audit);
}

static struct audit_position audit_anchored(struct audit *audit)
{
    take_lock(audit);
    const struct audit_position anchored = audit->anchored;
    drop_lock(audit);
    return anchored;
}

struct audit_position audit_durable(struct audit *audit)
{
    take_lock(audit);
    const struct audit_position durable = audit->durable;
    drop_lock(audit);
    return durable;
}

uint64_t audit_lag_ns(struct audit *audit)
{
    if (!audit)
        return 0;
    take_lock(audit);
    const uint64_t behind = audit->behind_ns;
    drop_lock(audit);
    return behind ? clock_mono_ns() - behind : 0;
}

/* --- segments -------------------------------------------------------------------------------------------------------------------- */

CC_ERR audit_next_segment(const struct audit_settings *settings, uint64_t *ret_segment)
{
    uint64_t last = settings->anchor.segment;
    if (settings->sink == AUDIT_FILE)
        for (uint64_t i = 1; i <= AUDIT_GAP_MAX; i++)
            if (audit_file_exists(settings->directory, last + i)) {
                last += i;
                i = 0;
            }
    *ret_segment = last + 1;
    return CC_OK;
}

/* A file and a chain for the segment after `previous`, with its first line in it. */
static cc_err begin_segment(struct audit *audit,
                            uint64_t segment,
                            const struct audit_position *previous,
                            const struct audit_position *anchor)
{
    char line[AUDIT_LINE_MAX];
    struct audit_file file = {.fd = -1};
    struct audit_chain chain;
    struct audit_header header = {.previous = *previous, .anchor = *anchor};
    memcpy(header.replica, audit->settings.replica, sizeof header.replica);
    if (audit->settings.sink == AUDIT_STDOUT)
        audit_file_stdout(&file);
    else
        CC_TRY(audit_file_create(audit->directory, segment, &file));
    audit_chain_begin(&chain, segment, audit->next_key);
    const size_t len = audit_header_write(&chain, &header, clock_wall_ms(), line);
    cc_err err = audit_file_write(&file, line, len);
    if (!err.code)
        err = audit_file_sync(&file);
    if (err.code) {
        audit_file_close(&file);
        if (audit->settings.sink == AUDIT_FILE)
            audit_file_remove(audit->directory, segment);
    } else {
        audit_file_close(&audit->file);
        audit->file = file;
        audit->chain = chain;
        audit->next_segment = 0;
        wipe(audit->next_key, sizeof audit->next_key);
    }
    audit_chain_wipe(&chain);
    return err;
}

static void mended(struct audit *audit)
{
    take_lock(audit);
    audit->broken = false;
    audit->due = true;
    audit->dirty = true;
    (void)pthread_cond_broadcast(&audit->news);
    drop_lock(audit);
}

/* A number that somebody else had the vault give away is passed over; a verification then says that it is missing. */
static cc_err have_next_key(struct audit *audit)
{
    uint64_t segment = audit->chain.at.segment + 1;
    if (audit->next_segment >= segment)
        return CC_OK;
    cc_err err = audit->helpers.key(audit->helpers.context, segment, audit->next_key);
    for (unsigned i = 0; error_is(err, ERROR_EXISTS) && i < AUDIT_GAP_MAX; i++)
        err = audit->helpers.key(audit->helpers.context, ++segment, audit->next_key);
    if (!err.code)
        audit->next_segment = segment;
    return err;
}

/* What can't be had leaves this segment going on. */
static cc_err rotate(struct audit *audit)
{
    static const struct audit_entry end = {.event = "end"};
    CC_TRY(have_next_key(audit));
    const uint64_t segment = audit->next_segment;
    const struct audit_position anchored = audit_anchored(audit);
    take_turn(audit);
    /* Of a broken one this fails, and it stays without its last line. */
    if (!audit->ended && !write_piece(audit, &end, 1).code) {
        audit->ended = true;
        (void)audit_file_sync(&audit->file).code;
    }
    const struct audit_position previous = audit->chain.at;
    cc_err err = begin_segment(audit, segment, &previous, &anchored);
    audit->ended &= err.code != 0;
    if (!err.code)
        mended(audit);
    end_turn(audit);
    return err;
}

/* --- the thread that makes durable ------------------------------------------------------------------------------------------------ */

static bool wants_another(struct audit *audit)
{
    if (!audit->helpers.key || audit->settings.sink != AUDIT_FILE)
        return false;
    take_turn(audit);
    const bool full = audit->file.length >= audit->settings.segment_bytes;
    end_turn(audit);
    take_lock(audit);
    const bool broken = audit->broken;
    drop_lock(audit);
    return full || broken;
}

static void sync_now(struct audit *audit)
{
    take_turn(audit);
    const struct audit_position at = audit->chain.at;
    const struct audit_file file = audit->file;
    end_turn(audit);
    take_lock(audit);
    audit->dirty = false;
    audit->newer_ns = 0;
    drop_lock(audit);
    /* Only this thread closes a file, so it stays open meanwhile. */
    cc_err err = audit_file_sync(&file);
    if (err.code) {
        take_lock(audit); /* before anybody hears of it: who does finds this segment closed */
        audit->broken = audit->helpers.key != NULL;
        drop_lock(audit);
        note(audit, err, "syncing", 0);
        return;
    }
    take_lock(audit);
    audit->durable = at;
    audit->behind_ns = audit->newer_ns;
    drop_lock(audit);
}

/* One line for all that a quota held back; and one that shows whether a log that failed can be written again. */
static void write_what_is_left(struct audit *audit)
{
    static const uint32_t errors[QUOTA_END] = {
        [QUOTA_FAILED] = ERROR_UNAUTHENTICATED, [QUOTA_REFUSED] = ERROR_SLASHABLE};
    struct audit_entry entries[QUOTA_END];
    uint64_t held_back[QUOTA_END];
    size_t n = 0;
    take_lock(audit);
    const bool failing = audit->failing;
    for (size_t i = 0; i < QUOTA_END; i++) {
        held_back[i] = audit->quotas[i].held_back;
        audit->quotas[i].held_back = 0;
    }
    drop_lock(audit);
    for (size_t i = 0; i < QUOTA_END; i++) {
        if (!held_back[i])
            continue;
        metric_add(METRIC_AUDIT_HELD_BACK, 0, 0, held_back[i]);
        entries[n++] = (struct audit_entry){.event = "held_back",
                                            .error = errors[i],
                                            .count = held_back[i],
                                            .principal = "anonymous"};
    }
    if (!n && !failing)
        return;
    take_turn(audit);
    cc_err err = write_piece(audit, entries, n);
    end_turn(audit);
    take_lock(audit);
    for (size_t i = 0; err.code && i < QUOTA_END; i++)
        audit->quotas[i].held_back += held_back[i];
    drop_lock(audit);
}

static bool wait_for_sync(struct audit *audit)
{
    const uint64_t until_ns = clock_mono_ns() + AUDIT_SYNC_MS * ms;
    take_lock(audit);
    while (!audit->stopping && clock_mono_ns() < until_ns)
        wait_until(audit, until_ns);
    const bool stopping = audit->stopping;
    drop_lock(audit);
    return !stopping;
}

static bool is_dirty(struct audit *audit)
{
    take_lock(audit);
    const bool dirty = audit->dirty;
    drop_lock(audit);
    return dirty;
}

static void *sync_thread(void *argument)
{
    struct audit *audit = argument;
    bool failed = false;
    while (wait_for_sync(audit)) {
        write_what_is_left(audit);
        if (is_dirty(audit))
            sync_now(audit);
        cc_err err = wants_another(audit) ? rotate(audit) : CC_OK;
        if (err.code && !failed)
            log_warn("the audit log's next segment can't be begun: trying again", KV_ERR(err));
        failed = err.code != 0;
    }
    return NULL;
}

/* --- the thread that anchors --------------------------------------------------------------------------------------------------------- */

static bool same(const struct audit_position *a, const struct audit_position *b)
{
    return a->segment == b->segment && a->lines == b->lines;
}

static cc_err anchor_now(struct audit *audit)
{
    const struct audit_position at = audit_durable(audit);
    const struct audit_position anchored = audit_anchored(audit);
    if (!audit->helpers.anchor || !at.lines || same(&at, &anchored))
        return CC_OK;
    CC_TRY(audit->helpers.anchor(audit->helpers.context, &at));
    take_lock(audit);
    audit->anchored = at;
    drop_lock(audit);
    return CC_OK;
}

static bool wait_for_anchor(struct audit *audit, uint64_t until_ns)
{
    take_lock(audit);
    while (!audit->stopping && !audit->due && clock_mono_ns() < until_ns)
        wait_until(audit, until_ns);
    const bool stopping = audit->stopping;
    audit->due = false;
    drop_lock(audit);
    return !stopping;
}

static void *anchor_thread(void *argument)
{
    struct audit *audit = argument;
    uint64_t wait_ms = 0; /* the first one says that this segment was begun */
    bool failed = false;
    while (wait_for_anchor(audit, clock_mono_ns() + wait_ms * ms)) {
        cc_err err = anchor_now(audit);
        if (err.code && !failed)
            log_warn("the state store does not take the audit log's anchor: trying again",
                     KV_ERR(err));
        failed = err.code != 0;
        wait_ms =
            failed ? u64_min(ANCHOR_RETRY_MS, audit->helpers.anchor_ms) : audit->helpers.anchor_ms;
    }
    return NULL;
}

/* --- its life ------------------------------------------------------------------------------------------------------------------------ */

static cc_err make(const struct audit_settings *settings, struct audit **ret_audit)
{
    pthread_condattr_t attributes;
    struct audit *audit = cc_alloc(sizeof *audit);
    if (!audit)
        return CC_FAIL(NO_MEMORY, NULL);
    audit->settings = *settings;
    audit->file.fd = -1;
    audit->anchored = settings->anchor;
    cc_assert(pthread_mutex_init(&audit->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&audit->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    cc_assert(pthread_cond_init(&audit->turn, NULL) == 0);
    audit->text = cc_alloc((size_t)(LINES_MAX + 1) * AUDIT_LINE_MAX);
    if (!audit->text || strlen(settings->directory) >= sizeof audit->directory) {
        audit_close(audit);
        return CC_FAIL(NO_MEMORY, "audit log");
    }
    memcpy(audit->directory, settings->directory, strlen(settings->directory) + 1);
    *ret_audit = audit;
    return CC_OK;
}

/* A disk that is full at a start is as one that is full later: the segment is begun when it can be. */
CC_ERR audit_open(const struct audit_settings *settings,
                  uint64_t segment,
                  const uint8_t key[static AUDIT_KEY_SIZE],
                  struct audit **ret_audit)
{
    struct audit *audit = NULL;
    struct audit_position previous = {0};
    CC_TRY(make(settings, &audit));
    if (settings->sink == AUDIT_FILE && segment > 1)
        audit_file_tail(audit->directory, segment - 1, &previous);
    memcpy(audit->next_key, key, sizeof audit->next_key);
    audit->next_segment = segment;
    cc_err err = begin_segment(audit, segment, &previous, &settings->anchor);
    if (err.code && settings->sink == AUDIT_STDOUT) {
        audit_close(audit);
        return err;
    }
    if (err.code) {
        note(audit, err, "beginning a segment", 0);
        audit->chain.at = previous;
        audit->chain.at.segment = segment - 1;
        audit->broken = true;
    }
    audit->durable = audit->chain.at;
    *ret_audit = audit;
    return CC_OK;
}

CC_ERR audit_start(struct audit *audit, const struct audit_helpers *helpers)
{
    audit->helpers = *helpers;
    audit->sync_runs = pthread_create(&audit->sync_thread, NULL, sync_thread, audit) == 0;
    audit->anchor_runs =
        audit->sync_runs && pthread_create(&audit->anchor_thread, NULL, anchor_thread, audit) == 0;
    return audit->anchor_runs ? CC_OK : CC_FAIL(SYSTEM, "audit log's thread");
}

static void end_threads(struct audit *audit)
{
    take_lock(audit);
    audit->stopping = true;
    (void)pthread_cond_broadcast(&audit->news);
    drop_lock(audit);
    if (audit->sync_runs)
        (void)pthread_join(audit->sync_thread, NULL);
    if (audit->anchor_runs)
        (void)pthread_join(audit->anchor_thread, NULL);
    audit->sync_runs = audit->anchor_runs = false;
}

void audit_finish(struct audit *audit)
{
    static const struct audit_entry end = {.event = "end"};
    if (!audit)
        return;
    end_threads(audit);
    write_what_is_left(audit);
    take_turn(audit);
    cc_err err = write_piece(audit, &end, 1);
    audit->finished = true;
    end_turn(audit);
    if (err.code)
        return;
    sync_now(audit);
    err = anchor_now(audit);
    if (err.code)
        log_warn("the audit log's end is not anchored in the state store", KV_ERR(err));
}

void audit_close(struct audit *audit)
{
    if (!audit)
        return;
    end_threads(audit);
    audit_file_close(&audit->file);
    audit_chain_wipe(&audit->chain);
    wipe(audit->next_key, sizeof audit->next_key);
    (void)pthread_cond_destroy(&audit->news);
    (void)pthread_cond_destroy(&audit->turn);
    (void)pthread_mutex_destroy(&audit->lock);
    cc_free(audit->text);
    cc_free(audit);
}
