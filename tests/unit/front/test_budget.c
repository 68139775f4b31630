/* Who may wait: bounds, shares, and that what is given back can be had again. */
#include "front/budget.h"
#include "support/test.h"

static struct budget budget;

static int empty(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < BUDGET_CLIENTS; i++) {
        atomic_store(&budget.used_by[i], 0);
        atomic_store(&budget.blocks_by[i], 0);
    }
    atomic_store(&budget.used, 0);
    return 0;
}

/* How many single requests a client gets admitted. */
static uint32_t fill(uint32_t client, bool has_block)
{
    uint32_t n = 0;
    while (budget_take(&budget, client, 1, has_block))
        n++;
    return n;
}

static void test_one_client_leaves_a_fifth(void **state)
{
    (void)state;
    uint32_t got = fill(1, false);
    assert_in_range(got, BUDGET_TOTAL * 4 / 5 - 2, BUDGET_TOTAL * 4 / 5);
    assert_int_equal(fill(1, false), 0);
    assert_true(budget_take(&budget, 2, 1, false));
}

static void test_a_flood_of_one_does_not_refuse_another(void **state)
{
    (void)state;
    (void)fill(1, false);
    uint32_t second = fill(2, false);
    assert_true(second >= 2048); /* a whole batch */
    assert_true(budget_take(&budget, 3, 256, false));
}

static void test_ten_thousand_of_one_client_in_five_batches(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_true(budget_take(&budget, 1, 2000, false));
}

static void test_blocks_have_more_and_an_end(void **state)
{
    (void)state;
    uint32_t all = 0;
    for (uint32_t client = 0; client < 40; client++)
        all += fill(client, false);
    assert_in_range(all, BUDGET_TOTAL - 8, BUDGET_TOTAL);
    assert_false(budget_take(&budget, 50, 2048, false));
    assert_true(budget_take(&budget, 50, 2048, true));
    assert_false(budget_take(&budget, 50, 1, true));
    assert_int_equal(fill(51, true), 2048);
    assert_int_equal(fill(52, true), BUDGET_TOTAL + BUDGET_BLOCKS - all - 2 * 2048);
    assert_false(budget_take(&budget, 53, 1, true));
}

/* One block in each batch does not let a client have everything. */
static void test_P29_batches_with_a_block_leave_room_for_others(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        if (!budget_take(&budget, 1, 2048, false))
            (void)budget_take(&budget, 1, 2048, true);
    assert_false(budget_take(&budget, 1, 2048, true));
    assert_true(budget_take(&budget, 2, 2048, false));
    assert_true(budget_take(&budget, 3, 2048, true));
    assert_true(budget_take(&budget, 4, 1, true));
}

static void test_what_is_given_back_can_be_had_again(void **state)
{
    (void)state;
    uint32_t got = fill(7, false);
    assert_false(budget_take(&budget, 7, got, false)); /* a refusal leaves no trace */
    budget_give(&budget, 7, got, false);
    assert_int_equal(atomic_load(&budget.used), 0);
    assert_int_equal(atomic_load(&budget.used_by[7]), 0);
    assert_int_equal(fill(7, false), got);
    budget_give(&budget, 7, got, false);
    assert_true(budget_take(&budget, 7, 2048, true));
    budget_give(&budget, 7, 2048, true);
    assert_int_equal(atomic_load(&budget.blocks_by[7]), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, empty)
    const struct CMUnitTest tests[] = {
        TEST(test_one_client_leaves_a_fifth),
        TEST(test_a_flood_of_one_does_not_refuse_another),
        TEST(test_ten_thousand_of_one_client_in_five_batches),
        TEST(test_blocks_have_more_and_an_end),
        TEST(test_P29_batches_with_a_block_leave_room_for_others),
        TEST(test_what_is_given_back_can_be_had_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
