/* What waits before history and vault: the test is the vault, and takes its time, by a clock of its own (cmake/Tests.cmake). */
#include <string.h>
#include <time.h>

#include "core/backlog.h"
#include "support/test.h"

enum {
    BATCH = 64,
    DEADLINE_MS = 1000,
    FLOODER = 1,
    MODEST = 2
};

static const uint64_t ms = 1000000;
static uint64_t now_ns = 1000000000;
static struct pending_table *table;
static struct backlog *backlog;

uint64_t __wrap_clock_mono_ns(void);
uint64_t __wrap_clock_mono_ns(void)
{
    return now_ns;
}

static int up(void **state)
{
    (void)state;
    assert_int_equal(pending_table_new(&table).code, 0);
    assert_int_equal(backlog_new(DEADLINE_MS, BATCH, &backlog).code, 0);
    return 0;
}

static void give(struct pending_list *list)
{
    backlog_answered(list);
    pending_give(table, list);
}

static int down(void **state)
{
    struct pending_list list;
    struct pending_list late;
    (void)state;
    backlog_stop(backlog);
    for (int i = 0; i < BACKLOG_STREAMS; i++)
        while (backlog_take(backlog, (enum backlog_stream)i, 0, &list, &late)) {
            give(&list);
            give(&late);
        }
    assert_int_equal(pending_free_rows(table), PENDING_MAX);
    backlog_free(backlog);
    pending_table_free(table);
    return 0;
}

static void add(struct pending_list *list, uint32_t client, enum eth_kind kind, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct pending *row = pending_take(table, kind_info(kind)->rank);
        assert_non_null(row);
        row->client = client;
        row->outcome.kind = kind;
        row->outcome.slashable = kind == KIND_BLOCK_V2      ? SLASHABLE_BLOCK
                                 : kind == KIND_ATTESTATION ? SLASHABLE_ATTESTATION
                                                            : SLASHABLE_NOTHING;
        pending_list_add(list, row);
    }
}

/* How many were refused. */
static size_t put(uint32_t client, enum eth_kind kind, size_t n)
{
    struct pending_list list = {0};
    struct pending_list refused;
    add(&list, client, kind, n);
    backlog_put(backlog, &list, pending_free_rows(table), &refused);
    n = refused.count;
    give(&refused);
    return n;
}

static size_t late_count;

/* What can be taken now, without waiting. */
static struct pending_list take(enum backlog_stream stream)
{
    struct pending_list list;
    struct pending_list late;
    assert_true(backlog_take(backlog, stream, 1, &list, &late)); /* long past */
    late_count += late.count;
    give(&late);
    return list;
}

static void pass_ms(uint64_t n)
{
    now_ns += n * ms;
}

/* The vault signs a batch of claims in so many milliseconds. */
static struct pending_list work(uint64_t took_ms)
{
    struct pending_list list = take(BACKLOG_CLAIMS);
    backlog_passed(backlog, BACKLOG_CLAIMS, &list, 0);
    pass_ms(took_ms);
    return list;
}

static void test_what_waits_is_a_batch(void **state)
{
    (void)state;
    assert_int_equal(put(FLOODER, KIND_ATTESTATION, 3), 0);
    struct pending_list list = take(BACKLOG_CLAIMS);
    assert_int_equal(list.count, 3);
    backlog_passed(backlog, BACKLOG_CLAIMS, &list, 0);
    give(&list);
    assert_int_equal(take(BACKLOG_CLAIMS).count, 0);
}

static void test_rows_wait_here_while_the_vault_has_enough(void **state)
{
    (void)state;
    assert_int_equal(put(FLOODER, KIND_ATTESTATION, BATCH + 20), 0);
    struct pending_list first = take(BACKLOG_CLAIMS);
    assert_int_equal(first.count, BATCH);
    backlog_passed(backlog, BACKLOG_CLAIMS, &first, 0);
    assert_int_equal(take(BACKLOG_CLAIMS).count, 0);
    assert_int_equal(backlog_count(backlog), 20);
    assert_int_equal(put(FLOODER, KIND_BLOCK_V2, 1), 0); /* but a block is given out */
    struct pending_list block = take(BACKLOG_CLAIMS);
    assert_int_equal(block.count, 1);
    assert_int_equal(block.head->outcome.kind, KIND_BLOCK_V2);
    give(&block);
    give(&first);
    struct pending_list second = take(BACKLOG_CLAIMS);
    assert_int_equal(second.count, 20);
    give(&second);
}

/* One is signed while the next is recorded. */
static void test_a_full_batch_does_not_wait_for_the_one_before(void **state)
{
    (void)state;
    assert_int_equal(put(FLOODER, KIND_ATTESTATION, 3 * BATCH), 0);
    struct pending_list first = take(BACKLOG_CLAIMS);
    backlog_passed(backlog, BACKLOG_CLAIMS, &first, 0);
    struct pending_list second = take(BACKLOG_CLAIMS);
    assert_int_equal(second.count, BATCH);
    backlog_passed(backlog, BACKLOG_CLAIMS, &second, 0);
    assert_int_equal(take(BACKLOG_CLAIMS).count, 0);
    give(&first);
    give(&second);
}

static void test_objects_do_not_wait_for_claims_but_the_rest_does(void **state)
{
    (void)state;
    assert_int_equal(put(FLOODER, KIND_ATTESTATION, BATCH + 1), 0);
    struct pending_list claims = take(BACKLOG_CLAIMS);
    backlog_passed(backlog, BACKLOG_CLAIMS, &claims, 0);
    assert_int_equal(put(MODEST, KIND_VALIDATOR_REGISTRATION, 1), 0);
    assert_int_equal(put(MODEST, KIND_SYNC_COMMITTEE_MESSAGE, 1), 0);
    struct pending_list objects = take(BACKLOG_OBJECTS);
    assert_int_equal(objects.count, 1);
    assert_int_equal(objects.head->outcome.kind, KIND_SYNC_COMMITTEE_MESSAGE);
    give(&objects);
    give(&claims);
    claims = take(BACKLOG_CLAIMS);
    give(&claims);
    objects = take(BACKLOG_OBJECTS);
    assert_int_equal(objects.count, 1);
    give(&objects);
}

/* 64 in 40 ms, 1,600 a second, of which a deadline has as many. */
static void test_P29_what_would_wait_too_long_is_refused_at_once(void **state)
{
    size_t waited = 0, refused = 0, modest = 0;
    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        refused += put(FLOODER, KIND_ATTESTATION, 3 * BATCH);
        modest += put(MODEST, KIND_ATTESTATION, 1);
        assert_int_equal(put(FLOODER, KIND_BLOCK_V2, 1), 0);
        struct pending_list batch = work(40);
        waited += batch.count;
        give(&batch);
    }
    assert_int_equal(modest, 0);
    assert_true(refused > 0);
    /* It was not a wild guess: what is left is a deadline's worth. */
    assert_in_range(backlog_count(backlog), 300, 30 * (3 * BATCH + 1) - waited);
    clock_t began = clock();
    assert_true(put(FLOODER, KIND_ATTESTATION, 3000) > 1000);
    assert_true(clock() - began <
                CLOCKS_PER_SEC / 5); /* of processor time: it computes little for each */
    assert_int_equal(put(MODEST, KIND_ATTESTATION, 1), 0);
}

static void test_P29_what_has_waited_too_long_is_refused_in_its_turn(void **state)
{
    (void)state;
    late_count = 0;
    assert_int_equal(put(FLOODER, KIND_ATTESTATION, 10), 0);
    assert_int_equal(put(FLOODER, KIND_BLOCK_V2, 2), 0);
    pass_ms(DEADLINE_MS * 3 / 2 + 1);
    assert_int_equal(put(MODEST, KIND_ATTESTATION, 1), 0);
    struct pending_list list = take(BACKLOG_CLAIMS);
    assert_int_equal(late_count, 10);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.head->outcome.kind, KIND_BLOCK_V2);
    give(&list);
}

/* A vault that is slow gets little at once: nothing overtakes what was given out. */
static void test_P29_who_asks_little_waits_little_for_a_slow_vault(void **state)
{
    (void)state;
    assert_int_equal(put(FLOODER, KIND_ATTESTATION, 5 * BATCH), 0);
    struct pending_list batch = work(500); /* a tenth of a second: 13 rows */
    give(&batch);
    batch = take(BACKLOG_CLAIMS);
    assert_in_range(batch.count, BACKLOG_AHEAD, BACKLOG_AHEAD + 14);
    backlog_passed(backlog, BACKLOG_CLAIMS, &batch, 0);
    assert_int_equal(put(MODEST, KIND_ATTESTATION, 1), 0);
    give(&batch);
    batch = take(BACKLOG_CLAIMS);
    size_t at = 0;
    for (struct pending *row = batch.head; row && row->client != MODEST; row = row->next)
        at++;
    assert_true(at <= 1);
    give(&batch);
}

/* Blocks, or what they are made of, without end: the next ones go when the vault has signed all that it got, so that others
 * find it idle now and then, and then each client has its turn.
 */
static void flood_with(enum eth_kind kind, enum backlog_stream stream)
{
    assert_int_equal(put(FLOODER, kind, 10 * BATCH), 0);
    struct pending_list most = take(stream);
    assert_int_equal(most.count, BATCH);
    backlog_passed(backlog, stream, &most, 0);
    assert_int_equal(take(stream).count, 0);
    assert_int_equal(put(MODEST, kind, 1), 0);
    struct pending_list last = {0};
    pending_list_add(&last, pending_list_shift(&most));
    give(&most);
    assert_int_equal(take(stream).count, 0);
    give(&last);
    struct pending_list next = take(stream);
    size_t at = 0;
    for (struct pending *row = next.head; row && row->client != MODEST; row = row->next)
        at++;
    assert_true(at <= 1);
    give(&next);
}

/* As long as the vault has few of them, they wait for nothing. */
static void test_P29_a_few_blocks_wait_for_nothing(void **state)
{
    struct pending_list given[BACKLOG_AHEAD];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        assert_int_equal(put(FLOODER, KIND_RANDAO_REVEAL, 1), 0);
        given[i] = take(BACKLOG_OBJECTS);
        assert_int_equal(given[i].count, 1);
        backlog_passed(backlog, BACKLOG_OBJECTS, &given[i], 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        give(&given[i]);
}

static void test_P29_a_flood_of_blocks_does_not_hold_up_another_block(void **state)
{
    (void)state;
    flood_with(KIND_RANDAO_REVEAL, BACKLOG_OBJECTS);
    flood_with(KIND_BLOCK_V2, BACKLOG_CLAIMS);
}

static void test_P29_no_client_has_all_rows(void **state)
{
    size_t refused = 0;
    (void)state;
    for (unsigned i = 0; i < 4 * PENDING_MAX / 1000; i++) {
        size_t room = pending_free_rows(table);
        if (room < 1000 + PENDING_BLOCK_RESERVE)
            break;
        refused += put(FLOODER, KIND_ATTESTATION, 1000);
    }
    assert_true(refused > 0);
    assert_true(pending_free_rows(table) > 4000);
    assert_in_range(backlog_count(backlog), 20000, PENDING_MAX); /* 10,000 validators twice */
    assert_int_equal(put(MODEST, KIND_ATTESTATION, 1000), 0);
}

/* A vault that stood still, and works again: what it could not do then is held against nobody. */
static void test_P29_a_stall_refuses_nobody_afterwards(void **state)
{
    (void)state;
    assert_int_equal(put(FLOODER, KIND_ATTESTATION, BATCH + 10), 0);
    struct pending_list first = take(BACKLOG_CLAIMS);
    backlog_passed(backlog, BACKLOG_CLAIMS, &first, 0);
    pass_ms(600);
    assert_int_equal(put(FLOODER, KIND_ATTESTATION, 10), 10); /* one a second, as it seems */
    give(&first);
    struct pending_list second = take(BACKLOG_CLAIMS);
    assert_true(second.count >= 10);
    backlog_passed(backlog, BACKLOG_CLAIMS, &second, 0);
    assert_int_equal(put(FLOODER, KIND_ATTESTATION, 10), 0);
    give(&second);
}

/* A client whose claims the history refuses does not make the vault look slow. */
static void test_refusals_of_the_history_count_as_progress(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        assert_int_equal(put(FLOODER, KIND_ATTESTATION, BATCH + 1), 0);
        struct pending_list list = take(BACKLOG_CLAIMS);
        const struct pending_list none = {0};
        pass_ms(20);
        backlog_passed(backlog, BACKLOG_CLAIMS, &none, list.count);
        give(&list);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_waits_is_a_batch),
        TEST(test_rows_wait_here_while_the_vault_has_enough),
        TEST(test_a_full_batch_does_not_wait_for_the_one_before),
        TEST(test_objects_do_not_wait_for_claims_but_the_rest_does),
        TEST(test_P29_what_would_wait_too_long_is_refused_at_once),
        TEST(test_P29_what_has_waited_too_long_is_refused_in_its_turn),
        TEST(test_P29_who_asks_little_waits_little_for_a_slow_vault),
        TEST(test_P29_a_few_blocks_wait_for_nothing),
        TEST(test_P29_a_flood_of_blocks_does_not_hold_up_another_block),
        TEST(test_P29_no_client_has_all_rows),
        TEST(test_P29_a_stall_refuses_nobody_afterwards),
        TEST(test_refusals_of_the_history_count_as_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
