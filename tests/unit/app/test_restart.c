#include "app/restart.h"
#include "support/test.h"

static void test_C02_who_had_served_is_back_within_half_a_second(void **state)
{
    (void)state;
    struct restart restart = {0};
    uint64_t now = 1000;
    for (int i = 0; i < 1000; i++) {
        uint32_t delay = UINT32_MAX;
        restart_started(&restart, now);
        now += 10;
        assert_true(restart_ended(&restart, now, true, &delay));
        assert_true(delay <= RESTART_SERVED_MAX_MS);
        assert_true(i > 0 || delay == 0);
    }
}

static void test_a_room_that_lived_long_starts_with_a_clean_slate(void **state)
{
    (void)state;
    struct restart restart = {0};
    uint32_t delay = 0;
    for (int i = 0; i < 5; i++) {
        restart_started(&restart, 0);
        assert_true(restart_ended(&restart, 10, true, &delay));
    }
    assert_true(delay > 0);
    restart_started(&restart, 0);
    assert_true(restart_ended(&restart, RESTART_STABLE_MS, true, &delay));
    assert_int_equal(delay, 0);
}

static void test_a_crash_loop_slows_down_has_a_cap_and_an_end(void **state)
{
    (void)state;
    struct restart restart = {0};
    uint32_t before = 0;
    for (int i = 1; i < RESTART_TRIES_MAX; i++) {
        uint32_t delay = 0;
        restart_started(&restart, 0);
        assert_true(restart_ended(&restart, 1, false, &delay));
        assert_true(delay >= before && delay <= RESTART_UNREADY_MAX_MS);
        before = delay;
    }
    assert_int_equal(before, RESTART_UNREADY_MAX_MS);
    uint32_t delay = 0;
    assert_false(restart_ended(&restart, 1, false, &delay));
}

static void test_one_success_ends_the_count_of_failures(void **state)
{
    (void)state;
    struct restart restart = {0};
    uint32_t delay = 0;
    for (int i = 1; i < RESTART_TRIES_MAX; i++)
        assert_true(restart_ended(&restart, 1, false, &delay));
    assert_true(restart_ended(&restart, 1, true, &delay));
    assert_true(restart_ended(&restart, 1, false, &delay));
    assert_int_equal(delay, RESTART_UNREADY_MIN_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C02_who_had_served_is_back_within_half_a_second),
        cmocka_unit_test(test_a_room_that_lived_long_starts_with_a_clean_slate),
        cmocka_unit_test(test_a_crash_loop_slows_down_has_a_cap_and_an_end),
        cmocka_unit_test(test_one_success_ends_the_count_of_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
