#include "core/key_jobs.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include "core/key_audit.h"
#include "eth/deposit.h"
#include "secret/wipe.h"

enum {
    LOOK_MS = 1000 /* at a store that is away, or at a change half done */
};

struct job {
    uint32_t epoch; /* the front's door */
    struct a_keys ask;
};

/* Somebody waits for it. */
struct rewrite {
    uint32_t to;
    bool begun;
    bool ended;
    bool done;
    struct key_seen seen;
    cc_err result;
};

struct key_jobs {
    struct key_work work;
    struct front_link *link;
    pthread_t thread;
    _Atomic uint64_t errors;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t news;
    struct job *queue[KEY_JOBS_MAX];
    size_t head;
    size_t count;
    bool loads;              /* rows are to be loaded */
    struct rewrite *rewrite; /* NULL: none is asked for */
    bool rewrote;            /* the last turn was one of it */
    bool stopping;
    bool poked;
    uint64_t look_ms;            /* when to look again at what nobody tells of; the thread's own */
    struct buried_walk deleting; /* as it */
    struct a_keys_done done;     /* this and below: the thread's own */
    struct audit_entry entries[A_KEYS_MAX];
};

static void take_lock(struct key_jobs *jobs)
{
    cc_assert(pthread_mutex_lock(&jobs->lock) == 0);
}

static void drop_lock(struct key_jobs *jobs)
{
    cc_assert(pthread_mutex_unlock(&jobs->lock) == 0);
}

static void free_job(struct job *job)
{
    if (!job)
        return;
    wipe(job, sizeof *job);
    cc_free(job);
}

/* --- what a front may ask ---------------------------------------------------------------------------------------- */

static const struct verb {
    enum auth_scope scopes[2]; /* of the routes that lead here; the same twice where there is one */
    uint32_t flags;
    uint32_t most; /* items */
} verbs[KEYS_VERB_END] = {
    [KEYS_LIST] = {{SCOPE_LIST_KEYS, SCOPE_CHAMBER_KEYS_LIST}, KEYS_HAS_AFTER, A_KEYS_MAX},
    [KEYS_IMPORT] = {{SCOPE_IMPORT_KEYSTORES, SCOPE_CHAMBER_KEYS_IMPORT},
                     KEYS_INACTIVE | KEYS_HOLD | KEYS_KNOWN,
                     A_KEYS_IMPORTS_MAX},
    [KEYS_TAKE] = {{SCOPE_IMPORT_KEYSTORES, SCOPE_CHAMBER_KEYS_IMPORT},
                   KEYS_INACTIVE,
                   A_KEYS_IMPORTS_MAX},
    [KEYS_DELETE] = {{SCOPE_DELETE_KEYS, SCOPE_CHAMBER_KEYS_DELETE}, 0, A_KEYS_MAX},
    [KEYS_SET] = {{SCOPE_CHAMBER_KEYS_PATCH, SCOPE_CHAMBER_KEYS_PATCH}, KEYS_INACTIVE, A_KEYS_MAX},
    [KEYS_PAUSE] = {{SCOPE_KEYS_PAUSE, SCOPE_KEYS_PAUSE}, KEYS_ALL, A_KEYS_MAX},
    [KEYS_RESUME] = {{SCOPE_KEYS_PAUSE, SCOPE_KEYS_PAUSE}, KEYS_ALL, A_KEYS_MAX},
    [KEYS_GENERATE] = {{SCOPE_CHAMBER_KEYS_GENERATE, SCOPE_CHAMBER_KEYS_GENERATE},
                       KEYS_INACTIVE,
                       A_KEYS_GENERATE_MAX},
};

static cc_err check_keystores(const struct a_keys *ask)
{
    for (uint32_t i = 0; i < ask->head.count; i++) {
        const struct a_key_import *import = &ask->is.imports[i];
        if (import->keystore.has_pubkey > 1 || import->keystore.salt_len > K_SALT_MAX ||
            import->keystore.password_len > K_PASSWORD_MAX)
            return CC_FAIL(PROTOCOL, "a keystore of a step");
    }
    return CC_OK;
}

/* A step names its mnemonic, and none of the keys that it has not; the first one asks for no key. */
static cc_err check_generate(const struct a_keys *ask)
{
    const struct a_key_generate *g = &ask->is.generate;
    if (g->has_deposit > 1 || (g->session == 0) != (ask->head.count == 0))
        return CC_FAIL(PROTOCOL, "a step of new keys");
    if (g->total == 0 || g->total > A_KEYS_TOTAL_MAX || g->first > g->total ||
        ask->head.count > g->total - g->first)
        return CC_FAIL(PROTOCOL, "how many new keys");
    return g->has_deposit ? deposit_check(&g->withdrawal_credentials, g->amount) : CC_OK;
}

static cc_err check_items(const struct a_keys *ask)
{
    if (ask->head.verb == KEYS_IMPORT)
        return check_keystores(ask);
    if (ask->head.verb == KEYS_GENERATE && check_generate(ask).code)
        return CC_FAIL(PROTOCOL, "new keys that the front should not have asked for");
    return CC_OK;
}

CC_ERR key_jobs_check(const struct a_keys *ask)
{
    const struct a_keys_head *head = &ask->head;
    if (head->verb < KEYS_LIST || head->verb >= KEYS_VERB_END)
        return CC_FAIL(PROTOCOL, "verb of a step about keys");
    const struct verb *verb = &verbs[head->verb];
    const bool all = (head->flags & KEYS_ALL) != 0;
    if (head->scope != (uint32_t)verb->scopes[0] && head->scope != (uint32_t)verb->scopes[1])
        return CC_FAIL(PROTOCOL, "scope of a step about keys");
    if ((head->flags & ~verb->flags) || (head->flags & (KEYS_HOLD | KEYS_KNOWN)) == KEYS_KNOWN)
        return CC_FAIL(PROTOCOL, "flags of a step about keys");
    if (head->count > verb->most || (all && head->count))
        return CC_FAIL(PROTOCOL, "items of a step about keys");
    return check_items(ask);
}

/* Refused before anything waits or is opened. */
static cc_err
check_caller(struct key_jobs *jobs, const struct a_keys *ask, struct a_denied *ret_denied)
{
    const struct auth_question question = {.scope = (enum auth_scope)ask->head.scope,
                                           .kind = KIND_END};
    struct auth_verdict verdict;
    authority_judge(jobs->work.authority, &ask->head.caller, &question, &verdict);
    *ret_denied = (struct a_denied){
        .id = ask->head.id, .error = verdict.error, .rule = verdict.rule, .reason = verdict.reason};
    if (verdict.error)
        key_audit_refused(jobs->work.audit, ask, &verdict);
    cc_err err = error_from_number(verdict.error);
    return err.code ? error_make((enum error_code)err.code, NULL, __FILE__, __LINE__) : CC_OK;
}

static cc_err push(struct key_jobs *jobs, struct job *job)
{
    take_lock(jobs);
    const bool fits = jobs->count < KEY_JOBS_MAX && !jobs->stopping;
    if (fits) {
        jobs->queue[(jobs->head + jobs->count++) % KEY_JOBS_MAX] = job;
        (void)pthread_cond_broadcast(&jobs->news);
    }
    drop_lock(jobs);
    return fits ? CC_OK : CC_FAIL(BUSY, "other work on keys is under way");
}

CC_ERR key_jobs_put(struct key_jobs *jobs, uint32_t epoch, const struct a_keys *ask)
{
    struct a_denied denied;
    CC_TRY(key_jobs_check(ask));
    if (check_caller(jobs, ask, &denied).code)
        return front_link_send(jobs->link, epoch, A_DENIED, &denied, sizeof denied, 1);
    struct job *job = cc_alloc(sizeof *job);
    if (!job)
        return CC_FAIL(NO_MEMORY, "work on keys");
    job->epoch = epoch;
    job->ask = *ask;
    cc_err err = push(jobs, job);
    if (err.code)
        free_job(job);
    return err;
}

static void follow(struct key_jobs *jobs, bool fresh)
{
    uint64_t failed = 0;
    const bool again = atomic_load(&jobs->errors) != 0;
    if (key_work_follow(&jobs->work, fresh, again, &failed))
        atomic_store(&jobs->errors, failed);
}

/* What changes keys is decided on what the key store holds now, and not while it is away. */
static cc_err prepare(struct key_jobs *jobs, enum a_keys_verb verb)
{
    const struct key_work *work = &jobs->work;
    const bool only_looks = verb == KEYS_LIST || verb == KEYS_PAUSE || verb == KEYS_RESUME;
    if (!work->book || work->memory || only_looks)
        return CC_OK;
    follow(jobs, true);
    return key_book_is_away(work->book) ? CC_FAIL(KEY_STORE, "nothing was changed") : CC_OK;
}

/* --- the thread -------------------------------------------------------------------------------------------------- */

static void carry_out(struct key_jobs *jobs, struct job *job, struct a_keys_done *done)
{
    struct a_keys *ask = &job->ask;
    switch ((enum a_keys_verb)ask->head.verb) {
    case KEYS_LIST:
        key_work_list(&jobs->work, ask, done);
        break;
    case KEYS_IMPORT:
        key_work_import(&jobs->work, job->epoch, ask, done);
        break;
    case KEYS_TAKE:
        key_work_take(&jobs->work, job->epoch, ask, done);
        break;
    case KEYS_DELETE:
        key_work_delete(&jobs->work, ask, done);
        break;
    case KEYS_SET:
        key_work_set(&jobs->work, ask, done);
        break;
    case KEYS_PAUSE:
    case KEYS_RESUME:
        key_work_pause(&jobs->work, ask, done);
        break;
    case KEYS_GENERATE:
        key_work_generate(&jobs->work, ask, done);
        break;
    case KEYS_VERB_END:
        break;
    }
}

static void do_step(struct key_jobs *jobs, struct job *job)
{
    struct a_keys *ask = &job->ask;
    struct a_keys_done *done = &jobs->done;
    struct audit *audit = jobs->work.audit;
    memset(done, 0, sizeof *done);
    done->head.id = ask->head.id;
    done->head.verb = ask->head.verb;
    done->head.scope = ask->head.scope;
    done->head.error = (uint32_t)key_audit_admit(audit, ask).code;
    if (!done->head.error)
        done->head.error = (uint32_t)prepare(jobs, (enum a_keys_verb)ask->head.verb).code;
    if (!done->head.error)
        carry_out(jobs, job, done);
    key_audit_write(audit, jobs->work.authority, ask, jobs->entries, done);
    /* A front that is gone is noticed by whoever reads its door. */
    (void)front_link_send(jobs->link, job->epoch, A_KEYS_DONE, done, sizeof *done, 1).code;
}

/* Something is to be done, or it is the end. The lock is held. */
static bool is_called(const struct key_jobs *jobs)
{
    return jobs->count || jobs->loads || jobs->stopping || (jobs->rewrite && !jobs->rewrite->begun);
}

/* Steps that come without end don't hold a look at the store up. The lock is held. */
static bool is_time_to_look(const struct key_jobs *jobs, bool restless)
{
    return jobs->poked || (restless && clock_mono_ms() >= jobs->look_ms);
}

/* Keys that are about to be deleted, if there are any, may have been enabled again; *ret_any: there are. The lock is held. */
static void look_at_deleting(struct key_jobs *jobs, bool *ret_any)
{
    struct registry_view view;
    uint64_t failed = 0;
    drop_lock(jobs);
    *ret_any = registry_deleting(jobs->work.registry, NULL, &view, 1) != 0;
    if (*ret_any && key_work_take_back(&jobs->work, &jobs->deleting, &failed))
        atomic_store(&jobs->errors, failed);
    take_lock(jobs);
}

/* Until there is news, or it is `until_ms`. The lock is held. */
static void wait_until(struct key_jobs *jobs, uint64_t until_ms)
{
    const uint64_t until_ns = until_ms * UINT64_C(1000000);
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    (void)pthread_cond_timedwait(&jobs->news, &jobs->lock, &until);
}

/* Each second, while something is held back. The lock is held. */
static void wait_longer(struct key_jobs *jobs, bool restless)
{
    bool deleting = false;
    look_at_deleting(jobs, &deleting);
    if (is_called(jobs) || is_time_to_look(jobs, restless))
        return;
    const uint64_t soon_ms = clock_mono_ms() + LOOK_MS;
    if (restless || deleting)
        wait_until(jobs,
                   restless && (!deleting || jobs->look_ms < soon_ms) ? jobs->look_ms : soon_ms);
    else
        cc_assert(pthread_cond_wait(&jobs->news, &jobs->lock) == 0);
}

/* While there is nothing else to do, and the walk over the keys is not over, it goes on. The lock is held. */
static void wait_for_work(struct key_jobs *jobs, struct buried_walk *walk, bool restless)
{
    while (!is_called(jobs) && !is_time_to_look(jobs, restless)) {
        if (!walk->over) {
            drop_lock(jobs);
            cc_err err = key_work_find_buried(&jobs->work, walk);
            take_lock(jobs);
            if (err.code && !is_called(jobs)) /* the history can't be asked now */
                wait_until(jobs, clock_mono_ms() + LOOK_MS);
        } else {
            wait_longer(jobs, restless);
        }
    }
}

enum turn {
    TURN_END,
    TURN_LOAD,
    TURN_FOLLOW,
    TURN_REWRITE,
    TURN_STEP
};

/* Steps and batches of a rotation take turns: neither holds the other up. */
static enum turn choose(struct key_jobs *jobs, bool restless)
{
    if (jobs->stopping)
        return TURN_END;
    if (jobs->loads)
        return TURN_LOAD;
    if (is_time_to_look(jobs, restless))
        return TURN_FOLLOW;
    return jobs->rewrite && !jobs->rewrite->begun && (!jobs->count || !jobs->rewrote) ? TURN_REWRITE
                                                                                      : TURN_STEP;
}

static enum turn next_turn(struct key_jobs *jobs, struct buried_walk *walk, struct job **ret_job)
{
    const bool restless = jobs->work.book && key_book_is_restless(jobs->work.book);
    take_lock(jobs);
    wait_for_work(jobs, walk, restless);
    struct job *job = NULL;
    const enum turn turn = choose(jobs, restless);
    if (turn == TURN_REWRITE || turn == TURN_STEP)
        jobs->rewrote = turn == TURN_REWRITE;
    if (turn == TURN_REWRITE)
        jobs->rewrite->begun = true;
    if (turn == TURN_LOAD)
        jobs->loads = false;
    if (turn == TURN_FOLLOW) {
        jobs->poked = false;
        jobs->look_ms = clock_mono_ms() + LOOK_MS;
    }
    if (turn == TURN_STEP) {
        job = jobs->queue[jobs->head];
        jobs->head = (jobs->head + 1) % KEY_JOBS_MAX;
        jobs->count--;
    }
    drop_lock(jobs);
    *ret_job = job;
    return turn;
}

void key_jobs_poke(struct key_jobs *jobs)
{
    take_lock(jobs);
    jobs->poked = true;
    (void)pthread_cond_signal(&jobs->news);
    drop_lock(jobs);
}

/* Other replicas may have sealed the rows anew while the master key was closed here: those that it opens are the newest. */
static void load(struct key_jobs *jobs, bool first)
{
    struct key_work *work = &jobs->work;
    work->generation = 0;
    if (!first && !registry_rows_are_closed(work->registry))
        follow(jobs, true);
    const uint64_t failed = key_work_load(work);
    atomic_store(&jobs->errors, failed);
}

static void do_rewrite(struct key_jobs *jobs)
{
    struct rewrite *rewrite = jobs->rewrite; /* it stays until it has ended */
    bool done = false;
    jobs->work.generation = rewrite->to;
    struct key_seen seen = {0};
    cc_err err = key_work_rewrite(&jobs->work, rewrite->to, &done, &seen);
    take_lock(jobs);
    rewrite->seen = seen;
    rewrite->done = done;
    rewrite->result = err;
    rewrite->ended = true;
    (void)pthread_cond_broadcast(&jobs->news);
    drop_lock(jobs);
}

static void *key_jobs_thread(void *argument)
{
    struct key_jobs *jobs = argument;
    struct buried_walk walk = {.over = !jobs->work.book && !jobs->work.memory};
    struct job *job = NULL;
    enum turn turn = TURN_LOAD;
    bool first = true;
    do {
        if (turn == TURN_LOAD)
            load(jobs, first);
        first = false;
        if (turn == TURN_FOLLOW)
            follow(jobs, false);
        if (turn == TURN_REWRITE)
            do_rewrite(jobs);
        if (turn == TURN_STEP && front_link_waits(jobs->link, job->epoch))
            do_step(jobs, job);
        free_job(job);
        turn = next_turn(jobs, &walk, &job);
    } while (turn != TURN_END);
    return NULL;
}

CC_ERR
key_jobs_rewrite(struct key_jobs *jobs, uint32_t to, bool *ret_done, struct key_seen *ret_seen)
{
    struct rewrite rewrite = {.to = to};
    take_lock(jobs);
    cc_assert(!jobs->rewrite);
    jobs->rewrite = &rewrite;
    (void)pthread_cond_broadcast(&jobs->news);
    while (!rewrite.ended && !(jobs->stopping && !rewrite.begun))
        cc_assert(pthread_cond_wait(&jobs->news, &jobs->lock) == 0);
    jobs->rewrite = NULL;
    drop_lock(jobs);
    if (!rewrite.ended)
        return CC_FAIL(DOOR_CLOSED, "the core ends");
    *ret_done = rewrite.done;
    *ret_seen = rewrite.seen;
    return rewrite.result;
}

void key_jobs_load(struct key_jobs *jobs)
{
    take_lock(jobs);
    jobs->loads = true;
    (void)pthread_cond_broadcast(&jobs->news);
    drop_lock(jobs);
}

uint64_t key_jobs_errors(struct key_jobs *jobs)
{
    const struct key_book *book = jobs->work.book;
    const bool refused = book && key_book_fault(book).code;
    const bool away = book && key_book_is_away(book);
    return atomic_load(&jobs->errors) + refused + away;
}

void key_jobs_free(struct key_jobs *jobs)
{
    if (!jobs)
        return;
    for (; jobs->count; jobs->count--) {
        free_job(jobs->queue[jobs->head]);
        jobs->head = (jobs->head + 1) % KEY_JOBS_MAX;
    }
    (void)pthread_cond_destroy(&jobs->news);
    (void)pthread_mutex_destroy(&jobs->lock);
    cc_free(jobs);
}

CC_ERR
key_jobs_start(const struct key_work *work, struct front_link *link, struct key_jobs **ret_jobs)
{
    struct key_jobs *jobs = cc_alloc(sizeof *jobs);
    if (!jobs)
        return CC_FAIL(NO_MEMORY, NULL);
    jobs->work = *work;
    jobs->link = link;
    cc_assert(pthread_mutex_init(&jobs->lock, NULL) == 0);
    pthread_condattr_t attributes;
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&jobs->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    if (pthread_create(&jobs->thread, NULL, key_jobs_thread, jobs) != 0) {
        key_jobs_free(jobs);
        return CC_FAIL(SYSTEM, "thread");
    }
    *ret_jobs = jobs;
    return CC_OK;
}

void key_jobs_stop(struct key_jobs *jobs)
{
    if (!jobs)
        return;
    take_lock(jobs);
    jobs->stopping = true;
    (void)pthread_cond_broadcast(&jobs->news);
    drop_lock(jobs);
    (void)pthread_join(jobs->thread, NULL);
}
