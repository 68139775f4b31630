/* The order in which waiting requests go on, and the pace that is measured of them. */
#include <stdlib.h>
#include <string.h>

#include "core/fair_queue.h"
#include "core/pace.h"
#include "support/test.h"

static const uint64_t ms = 1000000;

static struct fair_queue queue;
static struct pending rows[4096];
static size_t used;

static int up(void **state)
{
    (void)state;
    fair_queue_init(&queue);
    used = 0;
    return 0;
}

static struct pending *row_of(uint32_t client, enum kind_rank rank)
{
    struct pending *row = &rows[used++];
    memset(row, 0, sizeof *row);
    row->client = client;
    row->rank = rank;
    return row;
}

static void put(uint32_t client, enum kind_rank rank, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fair_queue_put(&queue, row_of(client, rank));
}

static struct pending_list take(enum kind_rank last, size_t max)
{
    struct pending_list list = {0};
    fair_queue_take(&queue, last, max, &list);
    return list;
}

static size_t count_of(const struct pending_list *list, uint32_t client)
{
    size_t n = 0;
    for (const struct pending *row = list->head; row; row = row->next)
        n += row->client == client;
    return n;
}

static void test_P29_blocks_before_duties_before_the_rest(void **state)
{
    static const enum kind_rank order[] = {KIND_RANK_BLOCK, KIND_RANK_BLOCK, KIND_RANK_DUTY,
                                           KIND_RANK_DUTY,  KIND_RANK_REST,  KIND_RANK_REST};
    size_t i = 0;
    (void)state;
    put(1, KIND_RANK_REST, 1);
    put(1, KIND_RANK_DUTY, 1);
    put(1, KIND_RANK_BLOCK, 1);
    put(2, KIND_RANK_REST, 1);
    put(2, KIND_RANK_DUTY, 1);
    put(2, KIND_RANK_BLOCK, 1);
    assert_int_equal(fair_queue_count(&queue, KIND_RANK_BLOCK), 2);
    assert_int_equal(fair_queue_count(&queue, KIND_RANK_DUTY), 4);
    const struct pending_list list = take(KIND_RANK_REST, 10);
    for (const struct pending *row = list.head; row; row = row->next)
        assert_int_equal(row->rank, order[i++]);
    assert_int_equal(i, ARRAY_LEN(order));
    assert_int_equal(fair_queue_count(&queue, KIND_RANK_REST), 0);
}

static void test_P29_a_flood_of_blocks_leaves_an_eighth_to_the_rest(void **state)
{
    (void)state;
    put(1, KIND_RANK_BLOCK, 4000);
    put(2, KIND_RANK_DUTY, 20);
    /* As many as are before it in the first batch of 256, and seven for each that is before it. */
    assert_int_equal(fair_queue_ahead(&queue, row_of(2, KIND_RANK_DUTY)), 20 + 7 * (20 + 32));
    struct pending_list list = take(KIND_RANK_REST, 80);
    assert_int_equal(count_of(&list, 1), 70);
    assert_int_equal(count_of(&list, 2), 10);
    list = take(KIND_RANK_REST, 160); /* what is not used goes to blocks */
    assert_int_equal(count_of(&list, 1), 150);
    assert_int_equal(count_of(&list, 2), 10);
    assert_int_equal(take(KIND_RANK_BLOCK, 80).count, 80);
}

static void test_ranks_can_be_left_out(void **state)
{
    (void)state;
    put(1, KIND_RANK_DUTY, 3);
    put(1, KIND_RANK_REST, 3);
    assert_int_equal(take(KIND_RANK_BLOCK, 10).count, 0);
    assert_int_equal(take(KIND_RANK_DUTY, 2).count, 2);
    assert_int_equal(take(KIND_RANK_DUTY, 10).count, 1);
    assert_int_equal(take(KIND_RANK_REST, 10).count, 3);
}

static void test_P29_each_client_has_the_same_share(void **state)
{
    (void)state;
    put(1, KIND_RANK_DUTY, 1000);
    put(2, KIND_RANK_DUTY, 10);
    put(3, KIND_RANK_DUTY, 100);
    struct pending_list list = take(KIND_RANK_REST, 60);
    assert_int_equal(count_of(&list, 2), 10); /* all it has */
    assert_int_equal(count_of(&list, 1), 25);
    assert_int_equal(count_of(&list, 3), 25);
}

static void test_the_order_of_a_client_is_kept(void **state)
{
    (void)state;
    put(1, KIND_RANK_DUTY, 50);
    put(2, KIND_RANK_DUTY, 50);
    const struct pending_list list = take(KIND_RANK_REST, 100);
    const struct pending *last[3] = {0};
    for (const struct pending *row = list.head; row; row = row->next) {
        assert_true(row > last[row->client] || !last[row->client]);
        last[row->client] = row;
    }
}

/* What the queue says of a row is what happens to it, but for the turns that have been in this round. */
static void test_what_is_ahead_is_what_goes_before(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        (void)up(NULL);
        for (unsigned i = 0; i < 40; i++)
            put((uint32_t)(rand() % 5), (enum kind_rank)(rand() % KIND_RANKS), 1);
        size_t taken = (size_t)rand() % 20;
        (void)take(KIND_RANK_REST, taken);
        struct pending *row = row_of((uint32_t)(rand() % 6), (enum kind_rank)(rand() % 3));
        size_t ahead = fair_queue_ahead(&queue, row), before = 0;
        fair_queue_put(&queue, row);
        const struct pending_list list = take(KIND_RANK_REST, 100);
        for (const struct pending *r = list.head; r != row; r = r->next)
            before++;
        assert_in_range(before, ahead < 5 ? 0 : ahead - 5, ahead); /* it may be its turn already */
    }
}

static void test_P29_a_flood_is_not_ahead_of_who_asks_little(void **state)
{
    (void)state;
    put(1, KIND_RANK_DUTY, 4000);
    assert_int_equal(fair_queue_ahead(&queue, row_of(1, KIND_RANK_DUTY)), 4000);
    assert_int_equal(fair_queue_ahead(&queue, row_of(2, KIND_RANK_DUTY)), 1);
    assert_int_equal(fair_queue_ahead(&queue, row_of(1, KIND_RANK_BLOCK)), 0);
    assert_int_equal(fair_queue_of_client(&queue, row_of(1, KIND_RANK_DUTY)), 4000);
    assert_int_equal(fair_queue_of_client(&queue, row_of(2, KIND_RANK_DUTY)), 0);
}

/* More clients than places: they share, and nobody is lost. */
static void test_many_clients(void **state)
{
    (void)state;
    for (uint32_t client = 0; client < 2000; client++)
        put(client * 0x10001u, KIND_RANK_DUTY, 2);
    assert_int_equal(take(KIND_RANK_REST, 10000).count, 4000);
    assert_int_equal(fair_queue_count(&queue, KIND_RANK_REST), 0);
    for (uint32_t client = 0; client < FAIR_CLIENTS; client++) /* every place is free again */
        assert_int_equal(queue.rows[client], 0);
}

/* --- pace ---------------------------------------------------------------------------------------------- */

/* Who has read the clock before a sample began does not end it. */
static void test_pace_ends_no_sample_before_it_began(void **state)
{
    struct pace pace = {0};
    (void)state;
    pace_set_waiting(&pace, true, 1000);
    pace_count(&pace, 0, 999);
    assert_int_equal(pace_wait_ns(&pace, 1000000), 0);
}

static void test_without_a_measurement_there_is_no_guess(void **state)
{
    struct pace pace = {0};
    (void)state;
    assert_int_equal(pace_wait_ns(&pace, 1000000), 0);
    pace_count(&pace, 500, 1000 * ms); /* nothing waits: this says nothing of what could be done */
    assert_int_equal(pace_wait_ns(&pace, 1000000), 0);
    pace_set_waiting(&pace, true, 2000 * ms);
    pace_count(&pace, 500, 2050 * ms); /* too short */
    assert_int_equal(pace_wait_ns(&pace, 1000000), 0);
    pace_count(&pace, 500, 2100 * ms);
    assert_int_equal(pace.per_second, 10000);
    assert_int_equal(pace_wait_ns(&pace, 25000), 2500 * ms);
}

static void test_the_pace_follows_what_is_measured(void **state)
{
    struct pace pace = {0};
    uint64_t now = 1000 * ms;
    (void)state;
    pace_set_waiting(&pace, true, now);
    for (unsigned i = 0; i < 10; i++)
        pace_count(&pace, 1000, now += 100 * ms);
    assert_int_equal(pace.per_second, 10000);
    for (unsigned i = 0; i < 6; i++) /* half as fast */
        pace_count(&pace, 500, now += 100 * ms);
    assert_in_range(pace.per_second, 5000, 5200);
    for (unsigned i = 0; i < 8; i++) /* it stands still */
        pace_count(&pace, 0, now += 500 * ms);
    assert_in_range(pace.per_second, 1, 100);
    for (unsigned i = 0; i < 8; i++) /* and goes on */
        pace_count(&pace, 1000, now += 100 * ms);
    assert_in_range(pace.per_second, 9000, 10000);
}

static void test_a_pace_is_forgotten_when_nothing_waits(void **state)
{
    struct pace pace = {0};
    (void)state;
    pace_set_waiting(&pace, true, 1000 * ms);
    pace_count(&pace, 100, 2000 * ms);
    assert_int_equal(pace.per_second, 100);
    pace_set_waiting(&pace, true, 2100 * ms);
    assert_int_equal(pace.per_second, 100);
    pace_set_waiting(&pace, false, 2200 * ms);
    assert_int_equal(pace_wait_ns(&pace, 1000000), 0);
    pace_set_waiting(&pace, true, 2300 * ms);
    assert_int_equal(pace_wait_ns(&pace, 1000000), 0);
}

#define TEST(f) cmocka_unit_test_setup(f, up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_P29_blocks_before_duties_before_the_rest),
        TEST(test_P29_a_flood_of_blocks_leaves_an_eighth_to_the_rest),
        TEST(test_ranks_can_be_left_out),
        TEST(test_P29_each_client_has_the_same_share),
        TEST(test_the_order_of_a_client_is_kept),
        TEST(test_what_is_ahead_is_what_goes_before),
        TEST(test_P29_a_flood_is_not_ahead_of_who_asks_little),
        TEST(test_many_clients),
        TEST(test_without_a_measurement_there_is_no_guess),
        TEST(test_the_pace_follows_what_is_measured),
        TEST(test_a_pace_is_forgotten_when_nothing_waits),
        TEST(test_pace_ends_no_sample_before_it_began),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
