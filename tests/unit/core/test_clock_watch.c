/* T33: an alarm names the clock when no client agrees with it. */
#include "base/macros.h"

#include "core/clock_watch.h"
#include "support/test.h"

enum {
    NOW = 100,
    LAST = 102
};

/* `n` claims of one epoch in a minute that begins at `at`, then what the first claim of the next minute brings. */
static bool minute(struct clock_watch *watch, uint64_t at, unsigned n, uint64_t epoch)
{
    for (unsigned i = 0; i < n; i++)
        assert_false(clock_watch_note(watch, at + i, epoch, NOW, LAST));
    return clock_watch_note(watch, at + CLOCK_WATCH_MS, epoch, NOW, LAST);
}

static void test_T33_when_no_claim_fits_the_clock_is_named(void **state)
{
    static const uint64_t wrong[] = {LAST + 1, UINT64_MAX, NOW - CLOCK_WATCH_BEHIND - 1, 0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct clock_watch watch = {0};
        assert_true(minute(&watch, 1000, CLOCK_WATCH_CLAIMS, wrong[i]));
        assert_true(watch.alarmed);
        /* And again, each minute that it lasts. */
        assert_true(minute(&watch, 1001 + CLOCK_WATCH_MS, CLOCK_WATCH_CLAIMS, wrong[i]));
        assert_false(clock_watch_note(&watch, 2000 + 2 * CLOCK_WATCH_MS, NOW, NOW, LAST));
        assert_false(watch.alarmed);
    }
}

static void test_T33_one_that_fits_is_enough(void **state)
{
    static const uint64_t right[] = {LAST, NOW, NOW - 1, NOW - CLOCK_WATCH_BEHIND};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        struct clock_watch watch = {0};
        assert_false(clock_watch_note(&watch, 1000, right[i], NOW, LAST));
        assert_false(minute(&watch, 1000, 50, LAST + 1));
        assert_false(watch.alarmed);
    }
}

static void test_T33_few_claims_are_no_alarm(void **state)
{
    struct clock_watch watch = {0};
    (void)state;
    assert_false(minute(&watch, 1000, CLOCK_WATCH_CLAIMS - 1, LAST + 1));
    assert_false(watch.alarmed);
}

/* Ahead and behind are the same fault. */
static void test_T33_both_ways_count_together(void **state)
{
    struct clock_watch watch = {0};
    (void)state;
    assert_false(clock_watch_note(&watch, 1000, LAST + 1, NOW, LAST));
    assert_false(clock_watch_note(&watch, 1000, LAST + 1, NOW, LAST));
    assert_true(minute(&watch, 1000, 2, 0));
}

static void test_T33_near_the_beginning_nothing_is_behind(void **state)
{
    struct clock_watch watch = {0};
    (void)state;
    for (unsigned i = 0; i < 10; i++)
        assert_false(clock_watch_note(&watch, 1000, 0, 1, 3));
    assert_false(clock_watch_note(&watch, 1000 + CLOCK_WATCH_MS, 0, 1, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T33_when_no_claim_fits_the_clock_is_named),
        cmocka_unit_test(test_T33_one_that_fits_is_enough),
        cmocka_unit_test(test_T33_few_claims_are_no_alarm),
        cmocka_unit_test(test_T33_both_ways_count_together),
        cmocka_unit_test(test_T33_near_the_beginning_nothing_is_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
