/* What others have to do with the state store runs on the keeper's thread, one after the other, and every change is told. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "core/keeper.h"
#include "support/shared_state.h"
#include "support/test.h"

static struct shared_state shared;
static struct state_store *ours;
static struct keeper *keeper;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static unsigned changes;
static char seen[16]; /* of record test/a */
static bool gate_is_shut;
static bool job_is_inside;
static bool changes_wait; /* who is told of a change stays inside */

static void take(void)
{
    assert_int_equal(pthread_mutex_lock(&lock), 0);
}

static void drop(void)
{
    assert_int_equal(pthread_mutex_unlock(&lock), 0);
}

static unsigned changes_now(void)
{
    take();
    const unsigned n = changes;
    drop();
    return n;
}

static void changed(void *context, const struct state_store *state)
{
    const struct state_record *record = state_find(state, "test", "a");
    assert_ptr_equal(context, &shared);
    take();
    changes++;
    memset(seen, 0, sizeof seen);
    if (record)
        memcpy(seen, record->bytes, record->len < sizeof seen ? record->len : sizeof seen - 1);
    (void)pthread_cond_broadcast(&news);
    while (changes_wait)
        assert_int_equal(pthread_cond_wait(&news, &lock), 0);
    drop();
}

static void tell(void *context)
{
    (void)context;
}

static int up(void **state)
{
    (void)state;
    shared_state_make(&shared);
    ours = shared_state_open(&shared, "ours");
    changes = 0;
    gate_is_shut = job_is_inside = changes_wait = false;
    keeper = NULL;
    return 0;
}

static int down(void **state)
{
    (void)state;
    keeper_stop(keeper);
    state_store_close(ours);
    shared_state_remove(&shared);
    return 0;
}

static void start(uint32_t refresh_seconds)
{
    const struct keeper_settings settings = {
        .state = ours,
        .signer = shared_state_signer,
        .refresh_seconds = refresh_seconds,
        .tell = tell,
        .changed = changed,
        .changed_context = &shared,
    };
    assert_int_equal(keeper_start(&settings, &keeper).code, 0);
}

/* --- jobs ------------------------------------------------------------------------------------------------- */

struct work {
    const char *text;          /* NULL: only looks */
    struct state_store *other; /* a replica that is faster, that many times */
    unsigned faster;
    enum error_code says;
    atomic_uint runs;
};

static cc_err put(struct state_store *state, const struct state_signer *signer, const char *text)
{
    const struct state_record *there = state_find(state, "test", "a");
    const struct state_change change = {.kind = "test",
                                        .name = "a",
                                        .expected_version = there ? there->version : 0,
                                        .bytes = span_str(text)};
    return state_commit(state, &change, 1, signer);
}

static cc_err do_work(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct work *work = context;
    struct state_fault fault;
    bool news_there = false;
    if (atomic_fetch_add(&work->runs, 1) < work->faster) {
        CC_TRY(state_refresh(work->other, &news_there, &fault));
        CC_TRY(shared_state_put(work->other, "test", "b", "theirs"));
    }
    if (work->says)
        return error_make(work->says, "the job says so", __FILE__, __LINE__);
    return work->text ? put(state, signer, work->text) : CC_OK;
}

static void assert_seen(const char *text)
{
    take();
    assert_string_equal(seen, text);
    drop();
}

static void test_a_change_is_told_before_its_job_returns(void **state)
{
    (void)state;
    struct work work = {.text = "one"};
    struct work look = {0};
    start(0);
    assert_int_equal(changes_now(), 1);
    assert_seen("");
    assert_int_equal(keeper_run(keeper, do_work, &work, 5000).code, 0);
    assert_int_equal(changes_now(), 2);
    assert_seen("one");
    assert_int_equal(keeper_run(keeper, do_work, &look, 5000).code, 0);
    assert_int_equal(changes_now(), 2); /* nothing has changed */
}

static void test_what_a_job_says_comes_back(void **state)
{
    (void)state;
    struct work work = {.says = ERROR_EXISTS};
    start(0);
    assert_int_equal(keeper_run(keeper, do_work, &work, 5000).code, ERROR_EXISTS);
    assert_int_equal(atomic_load(&work.runs), 1);
}

static void test_another_replica_was_faster_and_the_job_runs_again(void **state)
{
    (void)state;
    struct work work = {.text = "ours", .other = shared_state_open(&shared, "other"), .faster = 2};
    bool news_there = false;
    struct state_fault fault;
    start(0);
    assert_int_equal(keeper_run(keeper, do_work, &work, 5000).code, 0);
    assert_int_equal(atomic_load(&work.runs), 3);
    assert_seen("ours");
    assert_int_equal(state_refresh(work.other, &news_there, &fault).code, 0);
    assert_true(shared_state_is(work.other, "test", "a", "ours"));
    assert_true(shared_state_is(work.other, "test", "b", "theirs"));
    state_store_close(work.other);
}

static void test_a_conflict_without_end_has_one(void **state)
{
    (void)state;
    struct work work = {
        .text = "ours", .other = shared_state_open(&shared, "other"), .faster = UINT32_MAX};
    start(0);
    assert_int_equal(keeper_run(keeper, do_work, &work, 5000).code, ERROR_CONFLICT);
    assert_int_equal(atomic_load(&work.runs), KEEPER_TRIES);
    assert_true(shared_state_is(work.other, "test", "a", NULL));
    state_store_close(work.other);
}

static void test_a_store_that_is_away_leaves_nothing_half_done(void **state)
{
    (void)state;
    struct work work = {.text = "one"};
    struct work again = {.text = "two"};
    start(0);
    const unsigned before = shared_state_swaps(&shared);
    shared_state_set_away(&shared, true);
    assert_int_equal(keeper_run(keeper, do_work, &work, 5000).code, ERROR_STATE);
    assert_int_equal(atomic_load(&work.runs), 1);
    assert_int_equal(changes_now(), 1);
    assert_int_equal(shared_state_swaps(&shared), before);
    shared_state_set_away(&shared, false);
    assert_int_equal(keeper_run(keeper, do_work, &again, 5000).code, 0);
    assert_seen("two");
}

static void test_another_replicas_change_is_told(void **state)
{
    (void)state;
    struct state_store *other = shared_state_open(&shared, "other");
    start(1);
    assert_int_equal(shared_state_put(other, "test", "a", "theirs").code, 0);
    take();
    while (strcmp(seen, "theirs") != 0)
        assert_int_equal(pthread_cond_wait(&news, &lock), 0);
    drop();
    state_store_close(other);
}

/* Says "mine" to whatever else stands there, but the first time it can't. */
static cc_err answer(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct work *work = context;
    const struct state_record *there = state_find(state, "test", "a");
    if (!there || span_is(span_of(there->bytes, there->len), "mine"))
        return CC_OK;
    if (atomic_fetch_add(&work->runs, 1) == 0)
        return CC_FAIL(STATE, "not now");
    return put(state, signer, "mine");
}

static void test_what_it_has_to_say_to_a_change_is_said_and_told(void **state)
{
    (void)state;
    struct work says = {0};
    struct state_fault fault;
    bool news_there = false;
    const struct keeper_settings settings = {
        .state = ours,
        .signer = shared_state_signer,
        .refresh_seconds = 1,
        .tell = tell,
        .changed = changed,
        .changed_context = &shared,
        .answer = answer,
        .answer_context = &says,
    };
    struct state_store *other = shared_state_open(&shared, "other");
    assert_int_equal(keeper_start(&settings, &keeper).code, 0);
    assert_int_equal(shared_state_put(other, "test", "a", "theirs").code, 0);
    take();
    while (strcmp(seen, "mine") != 0)
        assert_int_equal(pthread_cond_wait(&news, &lock), 0);
    drop();
    assert_int_equal(state_refresh(other, &news_there, &fault).code, 0);
    assert_true(span_is(span_of(state_find(other, "test", "a")->bytes, 4), "mine"));
    assert_int_equal(atomic_load(&says.runs), 2);
    state_store_close(other);
}

/* --- turns ------------------------------------------------------------------------------------------------- */

static cc_err
wait_at_gate(void *context, struct state_store *state, const struct state_signer *signer)
{
    (void)context;
    (void)state;
    (void)signer;
    take();
    job_is_inside = true;
    (void)pthread_cond_broadcast(&news);
    while (gate_is_shut)
        (void)pthread_cond_wait(&news, &lock);
    drop();
    return CC_OK;
}

static void shut_gate(bool shut)
{
    take();
    gate_is_shut = shut;
    (void)pthread_cond_broadcast(&news);
    drop();
}

static void *run_at_gate(void *result)
{
    *(cc_err *)result = keeper_run(keeper, wait_at_gate, NULL, 60000);
    return NULL;
}

static void *run_work(void *context)
{
    struct work *work = context;
    work->says = (enum error_code)keeper_run(keeper, do_work, work, 60000).code;
    return NULL;
}

static void *stop(void *context)
{
    (void)context;
    keeper_stop(keeper);
    return NULL;
}

static pthread_t begin_thread(void *(*run)(void *), void *context)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, context), 0);
    return thread;
}

/* While `changed` has not returned, nor has the job's asker. */
static void test_a_job_waits_for_who_is_told(void **state)
{
    (void)state;
    enum {
        PATIENCE_NS = 200000000 /* nothing comes, however long it is */
    };
    struct work work = {.text = "one"};
    struct timespec until;
    start(0);
    take();
    changes_wait = true;
    drop();
    pthread_t thread = begin_thread(run_work, &work);
    take();
    while (changes < 2)
        (void)pthread_cond_wait(&news, &lock);
    drop();
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_nsec += PATIENCE_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    const bool came_early = pthread_timedjoin_np(thread, NULL, &until) == 0;
    take();
    changes_wait = false;
    (void)pthread_cond_broadcast(&news);
    drop();
    assert_false(came_early);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(work.says, 0);
}

static pthread_t shut_a_job_in(cc_err *result)
{
    shut_gate(true);
    pthread_t thread = begin_thread(run_at_gate, result);
    take();
    while (!job_is_inside)
        (void)pthread_cond_wait(&news, &lock);
    drop();
    return thread;
}

static void test_a_turn_that_does_not_come_is_given_up(void **state)
{
    (void)state;
    struct work work = {.text = "late"};
    struct work after = {0};
    cc_err result = CC_OK;
    start(0);
    pthread_t inside = shut_a_job_in(&result);
    assert_int_equal(keeper_run(keeper, do_work, &work, 20).code, ERROR_BUSY);
    assert_int_equal(keeper_waiting(keeper), 0);
    shut_gate(false);
    assert_int_equal(pthread_join(inside, NULL), 0);
    assert_int_equal(keeper_run(keeper, do_work, &after, 5000).code, 0);
    assert_int_equal(result.code, 0);
    assert_int_equal(atomic_load(&work.runs), 0);
}

static void test_the_end_with_jobs_that_wait(void **state)
{
    (void)state;
    struct work work[2] = {{.text = "first"}, {.text = "second"}};
    pthread_t waiting[2];
    cc_err result = CC_FAIL(BUSY, NULL);
    start(0);
    pthread_t inside = shut_a_job_in(&result);
    for (unsigned i = 0; i < 2; i++) {
        waiting[i] = begin_thread(run_work, &work[i]);
        while (keeper_waiting(keeper) != i + 1)
            (void)sched_yield();
    }
    pthread_t stopping = begin_thread(stop, NULL);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(waiting[i], NULL),
                         0); /* though the first one is inside yet */
        assert_int_equal(work[i].says, ERROR_DOOR_CLOSED);
        assert_int_equal(atomic_load(&work[i].runs), 0);
    }
    shut_gate(false);
    assert_int_equal(pthread_join(inside, NULL), 0);
    assert_int_equal(pthread_join(stopping, NULL), 0);
    assert_int_equal(result.code, 0); /* what was under way was done */
    keeper = NULL;
    assert_true(shared_state_is(ours, "test", "a", NULL));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_change_is_told_before_its_job_returns),
        TEST(test_a_job_waits_for_who_is_told),
        TEST(test_what_a_job_says_comes_back),
        TEST(test_another_replica_was_faster_and_the_job_runs_again),
        TEST(test_a_conflict_without_end_has_one),
        TEST(test_a_store_that_is_away_leaves_nothing_half_done),
        TEST(test_another_replicas_change_is_told),
        TEST(test_what_it_has_to_say_to_a_change_is_said_and_told),
        TEST(test_a_turn_that_does_not_come_is_given_up),
        TEST(test_the_end_with_jobs_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
