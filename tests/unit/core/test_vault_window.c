/* How much goes to the vault at once: the arithmetic, and the waiting. */
#include <stdatomic.h>

#include "core/vault_window.h"
#include "support/test.h"

static const uint64_t us = 1000;

static struct vault_window window;

static int up(void **state)
{
    (void)state;
    vault_window_init(&window, 2);
    vault_window_set_engine(&window, SIGNING_FIXED_BASE);
    return 0;
}

static int down(void **state)
{
    (void)state;
    vault_window_release(&window);
    return 0;
}

/* The vault signs `messages` full messages at `each_ns` a claim. */
static void measure(uint64_t each_ns, int messages)
{
    for (int i = 0; i < messages; i++) {
        size_t n = vault_window_piece(&window, 1000, false);
        uint32_t message = vault_window_send(&window, n, 5);
        vault_window_back(&window, message, n, 5 + n * each_ns);
    }
}

static void test_a_block_waits_8_ms_at_most(void **state)
{
    static const uint64_t paces_us[] = {33, 50, 125};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paces_us); i++) {
        measure(paces_us[i] * us, 100);
        size_t n = vault_window_piece(&window, 1000, false);
        assert_true(n * paces_us[i] * us <= WINDOW_BLOCK_WAIT_NS);
        assert_true((n + 2) * paces_us[i] * us > WINDOW_BLOCK_WAIT_NS * 9 / 10);
        assert_int_equal(vault_window_room(&window), 2 * n);
    }
}

static void test_a_fast_engine_gets_full_messages(void **state)
{
    (void)state;
    assert_true(vault_window_piece(&window, 1000, false) < B_SIGN_MAX);
    measure(12 * us, 20);
    assert_int_equal(vault_window_piece(&window, 1000, false), B_SIGN_MAX);
}

static void test_a_slow_machine_still_gets_batches(void **state)
{
    (void)state;
    measure(5000 * us, 200);
    assert_int_equal(vault_window_piece(&window, 1000, false), 48); /* its share */
}

/* What blst has signed goes back while it signs on. */
static void test_blst_has_small_messages_and_the_next_at_hand(void **state)
{
    (void)state;
    vault_window_set_engine(&window, SIGNING_BLST);
    assert_int_equal(vault_window_piece(&window, 1000, false), WINDOW_BLST_CLAIMS);
    for (size_t left = 2 * WINDOW_BLST_MESSAGES; left > 0; left--) {
        assert_int_equal(vault_window_room(&window), left * WINDOW_BLST_CLAIMS);
        (void)vault_window_send(&window, WINDOW_BLST_CLAIMS, 0);
    }
    assert_int_equal(vault_window_room(&window), 0);
    vault_window_back(&window, 1, WINDOW_BLST_CLAIMS, 1000 * us);
    assert_int_equal(vault_window_room(&window), WINDOW_BLST_CLAIMS);
}

/* A lonely request takes long for what it is; a thousand of them do not spoil what a burst has shown at once. */
static void test_lonely_requests_hardly_count(void **state)
{
    (void)state;
    measure(12 * us, 20);
    for (int i = 0; i < 30; i++)
        vault_window_back(&window, vault_window_send(&window, 1, 0), 1, 400 * us);
    assert_true(vault_window_piece(&window, 1000, false) > 100);
    measure(12 * us, 3);
    assert_int_equal(vault_window_piece(&window, 1000, false), B_SIGN_MAX);
}

static void test_small_backlogs_stay_together(void **state)
{
    static const struct {
        enum signing_engine engine;
        size_t whole, split;
    } cases[] = {{SIGNING_BLST, 7, 8}, {SIGNING_FIXED_BASE, 95, 96}, {SIGNING_IFMA, 191, 192}};
    (void)state;
    measure(12 * us, 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        vault_window_set_engine(&window, cases[i].engine);
        assert_int_equal(vault_window_piece(&window, 1, false), 1);
        assert_int_equal(vault_window_piece(&window, cases[i].whole, false), cases[i].whole);
        assert_int_equal(vault_window_piece(&window, cases[i].split, false), cases[i].split / 2);
    }
    vault_window_set_engine(&window, (enum signing_engine)99); /* a vault of another mind */
    assert_int_equal(vault_window_piece(&window, 191, false), 191);
}

static void test_blocks_are_spread_whatever_signs(void **state)
{
    (void)state;
    vault_window_set_engine(&window, SIGNING_IFMA);
    assert_int_equal(vault_window_piece(&window, 3, true), 2);
    (void)vault_window_send(&window, 2, 0);
    (void)vault_window_send(&window, 1, 0);
    assert_int_equal(vault_window_piece(&window, 3, true),
                     3); /* no thread is idle: they go all the same */
    assert_int_equal(vault_window_piece(&window, 100, true), WINDOW_CLAIMS_MIN);
}

static void test_only_idle_threads_share(void **state)
{
    (void)state;
    measure(12 * us, 20);
    assert_int_equal(vault_window_piece(&window, 100, false), 50);
    uint32_t one = vault_window_send(&window, 50, 0);
    assert_int_equal(vault_window_piece(&window, 100, false), 100);
    uint32_t two = vault_window_send(&window, 50, 0);
    assert_true(one != two);
    assert_int_equal(vault_window_piece(&window, 100, false),
                     100); /* taken already: it goes, too */
}

static void test_there_is_room_when_a_whole_message_is_back(void **state)
{
    (void)state;
    size_t all = vault_window_room(&window);
    uint32_t one = vault_window_send(&window, 10, 0);
    assert_int_equal(vault_window_room(&window), all / 2);
    uint32_t two = vault_window_send(&window, 3, 0);
    uint32_t block = vault_window_send(&window, 1, 0); /* beyond the threads */
    assert_int_equal(vault_window_room(&window), 0);
    vault_window_back(&window, two, 1, 1500 * us);
    vault_window_back(&window, block, 1, 150 * us);
    vault_window_back(&window, one, 9, 1500 * us);
    assert_int_equal(vault_window_room(&window), 0);
    vault_window_back(&window, one, 1, 1500 * us);
    assert_int_equal(vault_window_room(&window), all / 2);
}

static void *send_one(void *argument)
{
    atomic_bool *sent = argument;
    (void)vault_window_send(&window, 1, 0);
    atomic_store(sent, true);
    return NULL;
}

static void test_places_are_bounded(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < WINDOW_MESSAGES_MAX; i++)
        assert_int_equal(vault_window_send(&window, 1, 0), i);
    atomic_bool sent = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_one, &sent), 0); /* waits for a place */
    assert_false(atomic_load(&sent));
    vault_window_back(&window, 7, 1, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (uint32_t i = 0; i < WINDOW_MESSAGES_MAX; i++)
        vault_window_back(&window, i, 1, 1);
    assert_true(vault_window_room(&window) > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_block_waits_8_ms_at_most),
        TEST(test_a_fast_engine_gets_full_messages),
        TEST(test_a_slow_machine_still_gets_batches),
        TEST(test_blst_has_small_messages_and_the_next_at_hand),
        TEST(test_lonely_requests_hardly_count),
        TEST(test_small_backlogs_stay_together),
        TEST(test_blocks_are_spread_whatever_signs),
        TEST(test_only_idle_threads_share),
        TEST(test_there_is_room_when_a_whole_message_is_back),
        TEST(test_places_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
