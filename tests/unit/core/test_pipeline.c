/* Writer, vault client and front link together, between a history, a vault and a front that the test plays. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/metric.h"

#include "core/backlog.h"
#include "core/front_link.h"
#include "core/objects.h"
#include "core/pending.h"
#include "core/report.h"
#include "core/vault_client.h"
#include "core/vault_window.h"
#include "core/writer.h"
#include "slash/store.h"
#include "support/test.h"
#include "wire/control.h"

enum {
    LIFE = 3,
    THREADS = 2,
    WINDOW = 2 * WINDOW_BLST_MESSAGES * WINDOW_BLST_CLAIMS, /* of two threads */
    BATCH_MAX = 16,
    DEADLINE_MS = 2500
};

/* --- a history that does as it is told ------------------------------------------------------------------------- */

struct fake_store {
    struct slash_store base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held;             /* check_and_record waits */
    unsigned passes;       /* so many calls go on although it is held */
    size_t claims;         /* of all calls */
    enum error_code fails; /* what it answers, ERROR_NONE: it works */
    unsigned fail_times;   /* how often; 0: until told otherwise */
    unsigned calls;
    size_t sizes[64];
    struct slash_claim first_of[64];
    unsigned prunes_left;
    atomic_uint prunes;
    atomic_uint upkeeps;
    atomic_uint probes;
    atomic_uint registered;
};

static struct fake_store store;

static cc_err error_of(enum error_code code)
{
    return code ? error_make(code, "the test says so", __FILE__, __LINE__) : CC_OK;
}

static cc_err fake_check(struct slash_store *s,
                         const struct slash_claim *claims,
                         size_t n,
                         struct slash_verdict *verdicts)
{
    (void)s;
    (void)pthread_mutex_lock(&store.lock);
    unsigned call = store.calls++;
    if (call < ARRAY_LEN(store.sizes)) {
        store.sizes[call] = n;
        store.first_of[call] = claims[0];
    }
    (void)pthread_cond_broadcast(&store.changed);
    store.claims += n;
    while (store.held && !store.passes)
        (void)pthread_cond_wait(&store.changed, &store.lock);
    if (store.held)
        store.passes--;
    cc_err err = error_of(store.fails);
    if (store.fails && store.fail_times && --store.fail_times == 0)
        store.fails = ERROR_NONE;
    (void)pthread_mutex_unlock(&store.lock);
    for (size_t i = 0; i < n; i++)
        verdicts[i] =
            (struct slash_verdict){.rule = claims[i].target == 666 ? SLASH_DOUBLE_VOTE : SLASH_SAFE,
                                   .earlier_target = claims[i].target == 666 ? 666 : 0};
    return err;
}

static cc_err fake_register(struct slash_store *s,
                            const struct eth_pubkey *keys,
                            size_t n,
                            const struct slash_watermark *floor)
{
    (void)s;
    (void)keys;
    (void)floor;
    (void)atomic_fetch_add(&store.registered, (unsigned)n);
    return CC_OK;
}

static cc_err fake_prune(struct slash_store *s,
                         uint64_t keep_epochs,
                         uint64_t slots,
                         struct slash_prune_step *ret_step)
{
    (void)s;
    cc_assert(keep_epochs == 250 && slots == 32);
    (void)atomic_fetch_add(&store.prunes, 1);
    *ret_step = (struct slash_prune_step){store.prunes_left && --store.prunes_left, 7};
    return CC_OK;
}

static cc_err fake_maintain(struct slash_store *s, bool *ret_more)
{
    (void)s;
    *ret_more = atomic_fetch_add(&store.upkeeps, 1) < 2;
    return CC_OK;
}

static cc_err fake_status(struct slash_store *s, struct slash_status *ret_status)
{
    (void)s;
    memset(ret_status, 0, sizeof *ret_status);
    (void)atomic_fetch_add(&store.probes, 1);
    (void)pthread_mutex_lock(&store.lock);
    cc_err err = error_of(store.fails);
    (void)pthread_mutex_unlock(&store.lock);
    return err;
}

static const struct slash_store_ops fake_ops = {
    .name = "fake",
    .check_and_record = fake_check,
    .register_keys = fake_register,
    .prune = fake_prune,
    .maintain = fake_maintain,
    .status = fake_status,
};

static void store_tell(enum error_code fails, unsigned times, bool held)
{
    (void)pthread_mutex_lock(&store.lock);
    store.fails = fails;
    store.fail_times = times;
    store.held = held;
    (void)pthread_cond_broadcast(&store.changed);
    (void)pthread_mutex_unlock(&store.lock);
}

static void store_await_calls(unsigned calls)
{
    (void)pthread_mutex_lock(&store.lock);
    while (store.calls < calls)
        (void)pthread_cond_wait(&store.changed, &store.lock);
    (void)pthread_mutex_unlock(&store.lock);
}

/* Lets the commit that is held go on, and holds the next one. */
static void store_release_one(void)
{
    (void)pthread_mutex_lock(&store.lock);
    store.passes++;
    (void)pthread_cond_broadcast(&store.changed);
    (void)pthread_mutex_unlock(&store.lock);
}

static size_t store_claims(void)
{
    (void)pthread_mutex_lock(&store.lock);
    size_t n = store.claims;
    (void)pthread_mutex_unlock(&store.lock);
    return n;
}

static void store_await_claims(size_t n)
{
    (void)pthread_mutex_lock(&store.lock);
    while (store.claims < n)
        (void)pthread_cond_wait(&store.changed, &store.lock);
    (void)pthread_mutex_unlock(&store.lock);
}

/* --- the parts --------------------------------------------------------------------------------------------------- */

static struct pending_table *table;
static struct registry *registry;
static struct front_link *link_;
static struct vault_client *vault;
static struct backlog *backlog;
static struct board *board;
static struct slashing_jobs *jobs;
static struct writer *writer;
static struct objects *objects;
static int door_a[2]; /* [0] is the front's */
static int door_b[2]; /* [0] is the vault's */
static int line[2];
static struct front_door door;
static struct door_message message;

static const struct eth_network no_clock;

static void start(bool prune)
{
    memset(&store, 0, sizeof store);
    store.base.ops = &fake_ops;
    assert_int_equal(pthread_mutex_init(&store.lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&store.changed, NULL), 0);
    store.prunes_left = 3;
    assert_int_equal(control_pair(line).code, 0);
    assert_int_equal(door_pair(door_a).code, 0);
    assert_int_equal(door_pair(door_b).code, 0);
    assert_int_equal(pending_table_new(&table).code, 0);
    assert_int_equal(registry_new(&registry).code, 0);
    assert_int_equal(front_link_new(table, line[1], &link_).code, 0);
    front_link_offer(link_, door_a[1], LIFE);
    assert_int_equal(front_link_accept(link_, &door).code, 0);
    assert_int_equal(vault_client_start(door_b[1], LIFE, THREADS, table, link_, &vault).code, 0);
    assert_int_equal(backlog_new(DEADLINE_MS, BATCH_MAX, &backlog).code, 0);
    assert_int_equal(board_new(&board).code, 0);
    const struct slashing_jobs_settings work = {.history = &store.base,
                                                .link = link_,
                                                .board = board,
                                                .slots_per_epoch = 32,
                                                .keep_epochs = 250};
    assert_int_equal(slashing_jobs_new(&work, &jobs).code, 0);
    const struct writer_settings settings = {.history = &store.base,
                                             .table = table,
                                             .registry = registry,
                                             .vault = vault,
                                             .link = link_,
                                             .backlog = backlog,
                                             .jobs = jobs,
                                             .prune = prune,
                                             .prune_interval_ms = 1,
                                             .keep_epochs = 250,
                                             .slots_per_epoch = 32,
                                             .quarantine = {&no_clock, 0}};
    assert_int_equal(writer_start(&settings, &writer).code, 0);
    assert_int_equal(objects_start(backlog, vault, link_, &objects).code, 0);
}

static int up(void **state)
{
    (void)state;
    start(false);
    return 0;
}

static int down(void **state)
{
    (void)state;
    store_tell(ERROR_NONE, 0, false);
    front_link_stop(link_);
    front_link_drop(link_);
    writer_stop(writer);
    slashing_jobs_free(jobs);
    board_free(board);
    objects_stop(objects);
    vault_client_stop(vault);
    front_link_free(link_);
    backlog_free(backlog);
    registry_free(registry);
    assert_int_equal(pending_free_rows(table), PENDING_MAX); /* every row came back */
    pending_table_free(table);
    (void)close(door_a[0]);
    (void)close(door_b[0]);
    (void)close(door_b[1]);
    (void)close(line[0]);
    (void)close(line[1]);
    return 0;
}

static struct pending *row_of(uint64_t id, enum kind_slashable slashable, uint64_t at)
{
    enum kind_rank rank = slashable == SLASHABLE_BLOCK ? KIND_RANK_BLOCK : KIND_RANK_DUTY;
    struct pending *row = pending_take(table, rank);
    assert_non_null(row);
    row->front_epoch = door.epoch;
    row->arrived_ns = row->queued_ns = clock_mono_ns();
    row->outcome.kind = slashable == SLASHABLE_BLOCK ? KIND_BLOCK_V2 : KIND_ATTESTATION;
    row->outcome.slashable = slashable;
    row->outcome.claim.kind =
        slashable == SLASHABLE_BLOCK ? SLASH_CLAIM_BLOCK : SLASH_CLAIM_ATTESTATION;
    row->outcome.claim.slot = row->outcome.claim.target = at;
    row->outcome.root.bytes[0] = (uint8_t)id;
    row->answer.id = id;
    row->answer.root = row->outcome.root;
    return row;
}

static void queue(struct pending_list *list)
{
    struct pending_list refused;
    backlog_put(backlog, list, PENDING_MAX, &refused);
    assert_int_equal(refused.count, 0);
}

static void record(uint64_t id, enum kind_slashable slashable, uint64_t at)
{
    struct pending_list list = {0};
    pending_list_add(&list, row_of(id, slashable, at));
    queue(&list);
}

static void sign_directly(uint64_t first_id, unsigned n)
{
    struct pending_list list = {0};
    for (unsigned i = 0; i < n; i++)
        pending_list_add(&list, row_of(first_id + i, SLASHABLE_NOTHING, 0));
    vault_client_sign(vault, &list);
}

/* --- the vault, played -------------------------------------------------------------------------------------------- */

static struct b_sign asked[1024];
static size_t asked_count;
static size_t message_sizes[64];
static size_t message_count;

/* The question for its counts, which comes once a second, is not answered. */
static void vault_receive(void)
{
    do
        assert_int_equal(door_receive(door_b[0], LIFE, door_b_to_vault, &message).code, 0);
    while (message.head.type == B_COUNT);
}

static void vault_read_one(void)
{
    vault_receive();
    assert_int_equal(message.head.type, B_SIGN);
    memcpy(&asked[asked_count], message.items, message.head.count * sizeof *asked);
    asked_count += message.head.count;
    message_sizes[message_count++] = message.head.count;
}

static bool vault_hears_nothing(void)
{
    while (recv(door_b[0], &message, sizeof message, MSG_DONTWAIT | MSG_PEEK) >= 0) {
        if (message.head.type != B_COUNT)
            return false;
        assert_int_equal(door_receive(door_b[0], LIFE, door_b_to_vault, &message).code, 0);
    }
    return true;
}

static void vault_say_counts(const struct b_counts *counts)
{
    do
        assert_int_equal(door_receive(door_b[0], LIFE, door_b_to_vault, &message).code, 0);
    while (message.head.type != B_COUNT);
    assert_int_equal(door_send(door_b[0], LIFE, B_COUNTS, counts, sizeof *counts, 1).code, 0);
}

static void vault_read(size_t claims)
{
    asked_count = 0;
    message_count = 0;
    while (asked_count < claims)
        vault_read_one();
}

static struct b_signed signed_of(uint64_t id, uint8_t root)
{
    struct b_signed answer = {.id = id};
    answer.root.bytes[0] = root;
    memset(&answer.signature, 0xaa, sizeof answer.signature);
    return answer;
}

static void vault_say(const struct b_signed *answer)
{
    assert_int_equal(door_send(door_b[0], LIFE, B_SIGNED, answer, sizeof *answer, 1).code, 0);
}

/* Signs all that was asked; roots are the low byte of the front's id, which the row carries in order. */
static void vault_sign_all(uint8_t first_root)
{
    for (size_t i = 0; i < asked_count; i++) {
        const struct b_signed answer = signed_of(asked[i].id, (uint8_t)(first_root + i));
        vault_say(&answer);
    }
}

/* --- the front, played ---------------------------------------------------------------------------------------------- */

static struct a_signed answers[2048];
static size_t answer_count;

static void front_read(size_t n)
{
    answer_count = 0;
    while (answer_count < n) {
        assert_int_equal(door_receive(door_a[0], LIFE, door_a_to_front, &message).code, 0);
        assert_int_equal(message.head.type, A_SIGNED);
        memcpy(&answers[answer_count], message.items, message.head.count * sizeof *answers);
        answer_count += message.head.count;
    }
    assert_int_equal(answer_count, n);
}

static bool is_signed(const struct a_signed *answer)
{
    static const struct eth_signature none;
    bool some = !span_equal(span_of(&none, sizeof none), span_of(&answer->signature, sizeof none));
    assert_true(some == (answer->error == 0));
    return some;
}

/* --- the writer ------------------------------------------------------------------------------------------------------ */

static void test_a_claim_is_recorded_then_signed_then_answered(void **state)
{
    (void)state;
    store_tell(ERROR_NONE, 0, true);
    record(1, SLASHABLE_ATTESTATION, 5);
    store_await_calls(1);
    /* The vault hears nothing while the record is not durable. */
    assert_true(vault_hears_nothing());
    store_tell(ERROR_NONE, 0, false);
    vault_read(1);
    vault_sign_all(1);
    front_read(1);
    assert_int_equal(answers[0].id, 1);
    assert_true(is_signed(&answers[0]));
}

static void test_what_waits_goes_in_one_batch_with_blocks_first(void **state)
{
    (void)state;
    store_tell(ERROR_NONE, 0, true);
    record(1, SLASHABLE_ATTESTATION, 1);
    store_await_calls(1);
    for (unsigned i = 0; i < 10; i++)
        record(2 + i, SLASHABLE_ATTESTATION, 10 + i);
    record(12, SLASHABLE_BLOCK, 77);
    store_tell(ERROR_NONE, 0, false);
    store_await_calls(2);
    assert_int_equal(store.sizes[1], 11);
    assert_int_equal(store.first_of[1].kind, SLASH_CLAIM_BLOCK);
    assert_int_equal(store.first_of[1].slot, 77);
}

static void test_a_batch_has_its_maximum(void **state)
{
    (void)state;
    store_tell(ERROR_NONE, 0, true);
    record(1, SLASHABLE_ATTESTATION, 1);
    store_await_calls(1);
    for (unsigned i = 0; i < 20; i++)
        record(2 + i, SLASHABLE_ATTESTATION, 10 + i);
    store_tell(ERROR_NONE, 0, false);
    vault_read(17);
    vault_sign_all(1);
    store_await_calls(3);
    assert_int_equal(store.sizes[1], 16);
    assert_int_equal(store.sizes[2], 4);
}

static void record_many(uint64_t first_id, unsigned n)
{
    struct pending_list list = {0};
    for (unsigned i = 0; i < n; i++)
        pending_list_add(&list, row_of(first_id + i, SLASHABLE_ATTESTATION, 10 + first_id + i));
    queue(&list);
}

/* No time is waited out anywhere: a lone claim is a batch at once, and batches are as large as what came meanwhile. */
static void test_batches_grow_with_the_load(void **state)
{
    static const unsigned coming[] = {1, 3, 7, 15};
    uint64_t id = 2;
    (void)state;
    store_tell(ERROR_NONE, 0, true);
    record(1, SLASHABLE_ATTESTATION, 1);
    store_await_calls(1);
    assert_int_equal(store.sizes[0], 1);
    for (unsigned i = 0; i < ARRAY_LEN(coming); id += coming[i++]) {
        record_many(id, coming[i]); /* while the commit before is on the disk */
        store_release_one();
        store_await_calls(i + 2);
        assert_int_equal(store.sizes[i + 1], coming[i]);
        vault_read(i ? coming[i - 1] : 1);
        vault_sign_all(i ? (uint8_t)(id - coming[i - 1]) : 1);
    }
}

/* What the vault can't sign yet waits before the history: recording it would only fill the vault's queue. */
static void test_claims_wait_before_the_history_while_the_vault_is_behind(void **state)
{
    (void)state;
    record_many(1, 200);
    while (store_claims() <= BACKLOG_AHEAD)
        (void)usleep(1000);
    vault_read(16); /* what is recorded beyond it waits for a thread of the vault */
    for (unsigned i = 0; i < 50; i++) /* a writer that went on would be seen to */
        (void)usleep(1000);
    size_t recorded = store_claims();
    assert_true(recorded <= BACKLOG_AHEAD + 2 * BATCH_MAX);
    record(201, SLASHABLE_BLOCK, 77);
    store_await_claims(recorded + 1);
    assert_int_equal(store.sizes[store.calls - 1], 1);
    assert_int_equal(store.first_of[store.calls - 1].kind, SLASH_CLAIM_BLOCK);
    vault_read(1);
}

/* Three times what one transaction takes are waiting. */
static void test_a_block_behind_thousands_of_attestations_is_in_the_next_transaction(void **state)
{
    (void)state;
    store_tell(ERROR_NONE, 0, true);
    record(1, SLASHABLE_ATTESTATION, 1);
    store_await_calls(1);
    record_many(2, 5000);
    record(6000, SLASHABLE_BLOCK, 77);
    store_release_one();
    store_await_calls(2);
    assert_int_equal(store.first_of[1].kind, SLASH_CLAIM_BLOCK);
    assert_int_equal(store.first_of[1].slot, 77);
}

static void test_a_refused_claim_never_reaches_the_vault(void **state)
{
    (void)state;
    record(1, SLASHABLE_ATTESTATION, 666);
    front_read(1);
    assert_int_equal(answers[0].error, ERROR_SLASHABLE);
    assert_int_equal(answers[0].rule, SLASH_DOUBLE_VOTE);
    assert_int_equal(answers[0].earlier_target, 666);
    assert_false(is_signed(&answers[0]));
    assert_true(vault_hears_nothing());
}

static void test_P19_a_store_that_comes_back_in_time_is_waited_for(void **state)
{
    (void)state;
    store_tell(ERROR_STORE, 3, false);
    record(1, SLASHABLE_ATTESTATION, 5);
    vault_read(1);
    vault_sign_all(1);
    front_read(1);
    assert_true(is_signed(&answers[0]));
    assert_int_equal(store.calls, 4);
}

static void test_P19_a_store_that_does_not_is_503_and_nothing_is_signed(void **state)
{
    uint64_t began = clock_mono_ms();
    (void)state;
    store_tell(ERROR_STORE, 0, false);
    record(1, SLASHABLE_ATTESTATION, 5);
    front_read(1);
    assert_int_equal(answers[0].error, ERROR_STORE);
    assert_false(is_signed(&answers[0]));
    uint64_t took = clock_mono_ms() - began;
    assert_true(took >= WRITER_PATIENCE_MS - 10 && took < 5 * WRITER_PATIENCE_MS);
    assert_false(writer_store_is_up(writer));
    store_tell(ERROR_NONE, 0, false);
    while (!writer_store_is_up(writer)) /* found out by itself */
        (void)usleep(1000);
    assert_true(atomic_load(&store.probes) > 0);
    record(2, SLASHABLE_ATTESTATION, 6);
    vault_read(1);
    vault_sign_all(2);
    front_read(1);
    assert_true(is_signed(&answers[0]));
}

static void test_a_tampered_store_is_not_asked_twice(void **state)
{
    (void)state;
    store_tell(ERROR_TAMPERED, 0, false);
    record(1, SLASHABLE_ATTESTATION, 5);
    front_read(1);
    assert_int_equal(answers[0].error, ERROR_TAMPERED);
    assert_int_equal(store.calls, 1);
}

static void test_keys_are_registered_by_the_writer(void **state)
{
    struct registry_key key = {.handle = {1, 1}};
    struct key_lookup lookup;
    (void)state;
    assert_int_equal(registry_restore(registry, &key).code, 0);
    writer_poke(writer);
    assert_true(registry_wait_registered(registry, 5000));
    registry_find(registry, &key.pubkey, &lookup);
    assert_int_equal(lookup.state, KEY_STATE_ACTIVE);
    assert_int_equal(atomic_load(&store.registered), 1);
}

static int up_with_pruning(void **state)
{
    (void)state;
    start(true);
    return 0;
}

static void test_pruning_goes_on_in_steps(void **state)
{
    (void)state;
    while (atomic_load(&store.prunes) <
           10) /* one pass of three steps, and the next ones when their time has come */
        (void)usleep(1000);
    record(1, SLASHABLE_ATTESTATION, 5);
    vault_read(1);
    vault_sign_all(1);
    front_read(1);
    assert_true(is_signed(&answers[0]));
}

static void test_upkeep_is_done_when_it_is_quiet(void **state)
{
    (void)state;
    while (atomic_load(&store.upkeeps) < 3)
        (void)usleep(1000);
    record(1, SLASHABLE_ATTESTATION, 5);
    vault_read(1);
    vault_sign_all(1);
    front_read(1);
    while (atomic_load(&store.upkeeps) < 4) /* a claim makes new work */
        (void)usleep(1000);
}

static struct board_view look(void)
{
    static struct board_view view;
    board_read(board, &view);
    return view;
}

static void test_the_page_waits_for_a_pause_of_signing(void **state)
{
    (void)state;
    store_tell(ERROR_NONE, 0, true);
    record(1, SLASHABLE_ATTESTATION, 1);
    store_await_calls(1);
    (void)look();
    record(2, SLASHABLE_ATTESTATION, 2);
    store_release_one();
    store_await_calls(2); /* between the two batches nothing was counted */
    assert_int_equal(atomic_load(&store.probes), 0);
    store_tell(ERROR_NONE, 0, false);
    while (!look().history_at)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&store.probes), 1);
}

static cc_err
see_whether_up(void *context, struct slash_store *history, const struct slash_watermark *floor)
{
    (void)history;
    (void)floor;
    *(bool *)context = writer_store_is_up(writer);
    return CC_OK;
}

static void test_what_the_page_cannot_be_told_is_no_failure_of_the_history(void **state)
{
    (void)state;
    while (atomic_load(&store.upkeeps) < 3)
        (void)usleep(1000);
    store_tell(ERROR_STORE, 0, false);
    (void)look();
    while (!atomic_load(&store.probes)) {
        writer_poke(writer);
        (void)usleep(1000);
    }
    bool up = false;
    assert_int_equal(writer_run(writer, see_whether_up, &up, 10000).code, 0);
    assert_true(up);
    assert_int_equal(look().history_at, 0);
}

static void test_claims_of_a_front_that_is_gone_are_dropped(void **state)
{
    (void)state;
    store_tell(ERROR_NONE, 0, true);
    record(1, SLASHABLE_ATTESTATION, 5);
    store_await_calls(1);
    record(2, SLASHABLE_ATTESTATION, 6);
    sign_directly(3, 1);
    vault_read(1); /* that one was with the vault already */
    front_link_drop(link_);
    store_tell(ERROR_NONE, 0, false);
    while (pending_free_rows(table) < PENDING_MAX - 1)
        (void)usleep(1000);
    assert_int_equal(store.calls, 1);
    vault_sign_all(3);
    while (pending_free_rows(table) < PENDING_MAX)
        (void)usleep(1000);
}

/* --- the vault client --------------------------------------------------------------------------------------------------- */

static void test_claims_are_split_among_the_vaults_threads(void **state)
{
    (void)state;
    sign_directly(0, 16);
    vault_read(16);
    assert_int_equal(message_count, THREADS * WINDOW_BLST_MESSAGES);
    assert_int_equal(message_sizes[0], 4);
    vault_sign_all(0);
    front_read(16);
    for (size_t i = 0; i < 16; i++)
        assert_true(is_signed(&answers[i]));
}

/* With an engine that wants many keys at once, a small backlog stays together although another thread is idle. */
static void test_the_engine_decides_what_is_split(void **state)
{
    const struct b_counts counts = {.engine = SIGNING_IFMA, .signatures = {[SIGNING_IFMA] = 7}};
    uint64_t before = metric_get(METRIC_VAULT_SIGNATURES, METRIC_ENGINE_IFMA, 0);
    (void)state;
    vault_say_counts(&counts);
    while (!metric_get(METRIC_VAULT_ENGINE, METRIC_ENGINE_IFMA, 0))
        (void)usleep(1000);
    assert_int_equal(metric_get(METRIC_VAULT_SIGNATURES, METRIC_ENGINE_IFMA, 0), before + 7);
    sign_directly(0, 60);
    vault_read(60);
    assert_int_equal(message_count, 1);
    vault_sign_all(0);
    front_read(60);
}

/* Asked once a second while there is something to ask for; what the vault says is added up. */
static void test_the_vaults_counts_become_metrics(void **state)
{
    const struct b_counts first = {.engine = SIGNING_FIXED_BASE};
    const struct b_counts second = {.engine = SIGNING_FIXED_BASE,
                                    .signatures = {[SIGNING_BLST] = 1, [SIGNING_FIXED_BASE] = 2},
                                    .hash_hits = 3,
                                    .hash_misses = 4,
                                    .flagged = 5,
                                    .failed_checks = 6};
    static const enum metric alone[] = {METRIC_VAULT_HASH_HITS, METRIC_VAULT_HASH_MISSES,
                                        METRIC_VAULT_FLAGGED, METRIC_VAULT_FAILED_CHECKS};
    uint64_t before[ARRAY_LEN(alone)];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(alone); i++)
        before[i] = metric_get(alone[i], 0, 0);
    uint64_t blst = metric_get(METRIC_VAULT_SIGNATURES, METRIC_ENGINE_BLST, 0);
    uint64_t fixed = metric_get(METRIC_VAULT_SIGNATURES, METRIC_ENGINE_FIXED_BASE, 0);
    vault_say_counts(&first);
    sign_directly(1, 1);
    vault_read(1);
    vault_sign_all(1);
    front_read(1);
    vault_say_counts(&second);
    while (metric_get(METRIC_VAULT_FAILED_CHECKS, 0, 0) < before[3] + 6)
        (void)usleep(1000);
    for (size_t i = 0; i < ARRAY_LEN(alone); i++)
        assert_int_equal(metric_get(alone[i], 0, 0), before[i] + 3 + i);
    assert_int_equal(metric_get(METRIC_VAULT_SIGNATURES, METRIC_ENGINE_BLST, 0), blst + 1);
    assert_int_equal(metric_get(METRIC_VAULT_SIGNATURES, METRIC_ENGINE_FIXED_BASE, 0), fixed + 2);
    assert_int_equal(metric_get(METRIC_VAULT_ENGINE, METRIC_ENGINE_FIXED_BASE, 0), 1);
    assert_int_equal(metric_get(METRIC_VAULT_ENGINE, METRIC_ENGINE_BLST, 0), 0);
}

static void test_only_a_window_is_with_the_vault_and_blocks_overtake(void **state)
{
    struct pending_list list = {0};
    (void)state;
    sign_directly(0, 200);
    vault_read(WINDOW);
    assert_int_equal(asked_count, WINDOW);
    assert_true(vault_hears_nothing());
    pending_list_add(&list, row_of(250, SLASHABLE_BLOCK, 9));
    vault_client_sign(vault, &list);
    vault_sign_all(0);
    asked_count = 0;
    message_count = 0;
    vault_read_one();
    assert_int_equal(message_sizes[0], 1); /* it waits for no other signature */
    const struct b_signed block = signed_of(asked[0].id, 250);
    vault_say(&block); /* it is the first of what comes next */
    front_read(WINDOW + 1);
    bool found = false;
    for (size_t i = 0; i < answer_count; i++)
        found |= answers[i].id == 250 && is_signed(&answers[i]);
    assert_true(found);
    /* the rest is answered by the end of the door */
    (void)shutdown(door_b[0], SHUT_RDWR);
    front_read(200 - WINDOW);
    for (size_t i = 0; i < answer_count; i++)
        assert_int_equal(answers[i].error, ERROR_DOOR_CLOSED);
}

static void test_a_signature_over_another_root_is_not_released(void **state)
{
    (void)state;
    sign_directly(1, 1);
    vault_read(1);
    vault_sign_all(99);
    front_read(1);
    assert_int_equal(answers[0].error, ERROR_PROTOCOL);
    assert_false(is_signed(&answers[0]));
}

static void test_ids_that_nobody_waits_for_are_ignored(void **state)
{
    (void)state;
    sign_directly(1, 1);
    vault_read(1);
    const uint64_t id = asked[0].id;
    const uint64_t wrong[] = {id ^ 1, id ^ 1ULL << 32, UINT64_MAX, (uint64_t)PENDING_MAX << 32};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const struct b_signed answer = signed_of(wrong[i], 1);
        vault_say(&answer);
    }
    const struct b_signed right = signed_of(id, 1);
    vault_say(&right);
    vault_say(&right); /* twice: the row is gone or another's by then */
    front_read(1);
    assert_true(is_signed(&answers[0]));
    sign_directly(2, 1);
    vault_read(1);
    vault_say(&right); /* late: the row may be in use again, its generation is another */
    vault_sign_all(2);
    front_read(1);
    assert_int_equal(answers[0].id, 2);
    assert_true(is_signed(&answers[0]));
}

static void test_what_the_vault_refuses_is_passed_on(void **state)
{
    struct b_signed refusal;
    (void)state;
    sign_directly(1, 2);
    vault_read(2);
    refusal = signed_of(asked[0].id, 1);
    refusal.error = ERROR_SLASHABLE;
    refusal.earlier_target = 44;
    vault_say(&refusal); /* bytes beside an error are not released */
    front_read(1);
    assert_int_equal(answers[0].error, ERROR_SLASHABLE);
    assert_int_equal(answers[0].rule, SLASH_VAULT_FLOOR);
    assert_int_equal(answers[0].earlier_target, 44);
    assert_false(is_signed(&answers[0]));
    refusal = signed_of(asked[1].id, 2);
    refusal.error = 0xdeadbeef; /* no error of the table */
    vault_say(&refusal);
    front_read(1);
    assert_int_equal(error_class(error_from_number(answers[0].error)), CLASS_INTERNAL);
    assert_false(is_signed(&answers[0]));
}

static void test_a_sealed_vault_is_noticed(void **state)
{
    (void)state;
    sign_directly(1, 1);
    vault_read(1);
    struct b_signed refusal = signed_of(asked[0].id, 1);
    refusal.error = ERROR_SEALED;
    vault_say(&refusal);
    front_read(1);
    assert_true(vault_client_is_sealed(vault));
    sign_directly(2, 1);
    vault_read(1);
    vault_sign_all(2);
    front_read(1);
    assert_false(vault_client_is_sealed(vault));
}

static void test_the_end_of_the_vault_answers_all(void **state)
{
    (void)state;
    assert_true(vault_client_is_up(vault));
    sign_directly(0, 300);
    vault_read(WINDOW);
    (void)shutdown(door_b[0], SHUT_RDWR);
    front_read(300);
    for (size_t i = 0; i < answer_count; i++)
        assert_int_equal(answers[i].error, ERROR_DOOR_CLOSED);
    assert_false(vault_client_is_up(vault));
    sign_directly(400, 1);
    record(401, SLASHABLE_ATTESTATION, 8);
    front_read(2);
    assert_int_equal(answers[0].error, ERROR_DOOR_CLOSED);
    assert_int_equal(answers[1].error, ERROR_DOOR_CLOSED);
}

static void test_a_malformed_answer_is_the_end_of_the_vault(void **state)
{
    const struct b_chamber unasked = {.id = 1};
    (void)state;
    sign_directly(1, 1);
    vault_read(1);
    assert_int_equal(door_send(door_b[0], LIFE, B_CHAMBER, &unasked, sizeof unasked, 1).code, 0);
    front_read(1);
    assert_int_equal(answers[0].error, ERROR_DOOR_CLOSED);
}

static void test_removed_keys_are_named_to_the_vault(void **state)
{
    struct registry_key keys[100];
    size_t removed = 0;
    (void)state;
    for (uint32_t i = 0; i < ARRAY_LEN(keys); i++)
        keys[i] = (struct registry_key){.handle = {i, 9}};
    assert_int_equal(vault_client_remove(vault, keys, ARRAY_LEN(keys)).code, 0);
    while (removed < ARRAY_LEN(keys)) {
        struct b_key key;
        vault_receive();
        assert_int_equal(message.head.type, B_REMOVE);
        for (size_t i = 0; i < message.head.count; i++, removed++) {
            memcpy(&key, &message.items[i * sizeof key], sizeof key);
            assert_int_equal(key.key.index, removed);
            assert_int_equal(key.key.generation, 9);
        }
    }
}

/* --- rows -------------------------------------------------------------------------------------------------------------- */

static void test_rows_are_bounded_with_a_reserve_for_blocks(void **state)
{
    struct pending_list taken = {0};
    struct pending *row = NULL;
    (void)state;
    while ((row = pending_take(table, KIND_RANK_DUTY)))
        pending_list_add(&taken, row);
    assert_int_equal(taken.count, PENDING_MAX - PENDING_BLOCK_RESERVE);
    while ((row = pending_take(table, KIND_RANK_BLOCK)))
        pending_list_add(&taken, row);
    assert_int_equal(taken.count, PENDING_MAX);
    uint64_t last = pending_id(table, taken.tail);
    assert_true(pending_to_vault(table, &taken));
    for (row = taken.head; row; row = row->next)
        assert_ptr_equal(pending_from_vault(table, pending_id(table, row)), row);
    pending_give(table, &taken);
    assert_int_equal(pending_free_rows(table), PENDING_MAX);
    /* Their memory was given back; what was told about them before is not believed. */
    assert_null(pending_from_vault(table, last));
    for (size_t i = 0; i < PENDING_MAX - PENDING_BLOCK_RESERVE; i++) {
        row = pending_take(table, KIND_RANK_DUTY);
        assert_null(row->next);
        assert_int_equal(row->arrived_ns, 0);
        pending_list_add(&taken, row);
    }
    pending_give(table, &taken);
}

static void test_a_budget_of_lines(void **state)
{
    struct report_budget budget = {0};
    uint32_t held_back = 0;
    unsigned passed = 0;
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        passed += report_may_log(&budget, &held_back);
    assert_true(passed >= 1 &&
                passed <= 2 * REPORT_LINES_PER_SECOND); /* a second may turn in between */
    while (!report_may_log(&budget, &held_back))
        (void)usleep(1000);
    assert_true(held_back >= 1000 - 2 * REPORT_LINES_PER_SECOND);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_claim_is_recorded_then_signed_then_answered),
        TEST(test_what_waits_goes_in_one_batch_with_blocks_first),
        TEST(test_a_batch_has_its_maximum),
        TEST(test_batches_grow_with_the_load),
        TEST(test_claims_wait_before_the_history_while_the_vault_is_behind),
        TEST(test_a_block_behind_thousands_of_attestations_is_in_the_next_transaction),
        TEST(test_a_refused_claim_never_reaches_the_vault),
        TEST(test_P19_a_store_that_comes_back_in_time_is_waited_for),
        TEST(test_P19_a_store_that_does_not_is_503_and_nothing_is_signed),
        TEST(test_a_tampered_store_is_not_asked_twice),
        TEST(test_keys_are_registered_by_the_writer),
        cmocka_unit_test_setup_teardown(test_pruning_goes_on_in_steps, up_with_pruning, down),
        TEST(test_upkeep_is_done_when_it_is_quiet),
        TEST(test_the_page_waits_for_a_pause_of_signing),
        TEST(test_what_the_page_cannot_be_told_is_no_failure_of_the_history),
        TEST(test_claims_of_a_front_that_is_gone_are_dropped),
        TEST(test_claims_are_split_among_the_vaults_threads),
        TEST(test_the_engine_decides_what_is_split),
        TEST(test_the_vaults_counts_become_metrics),
        TEST(test_only_a_window_is_with_the_vault_and_blocks_overtake),
        TEST(test_a_signature_over_another_root_is_not_released),
        TEST(test_ids_that_nobody_waits_for_are_ignored),
        TEST(test_what_the_vault_refuses_is_passed_on),
        TEST(test_a_sealed_vault_is_noticed),
        TEST(test_the_end_of_the_vault_answers_all),
        TEST(test_a_malformed_answer_is_the_end_of_the_vault),
        TEST(test_removed_keys_are_named_to_the_vault),
        TEST(test_rows_are_bounded_with_a_reserve_for_blocks),
        cmocka_unit_test(test_a_budget_of_lines),
    };
    report_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
