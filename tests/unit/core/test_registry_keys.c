/* Keys that come from several places, are held back, and go one by one. */
#include <string.h>

#include "base/alloc.h"

#include "core/registry_keys.h"
#include "support/registry_case.h"
#include "support/test.h"

static void add(unsigned n, enum b_key_source source, enum registry_hold hold)
{
    const struct eth_pubkey key = numbered_pubkey(n);
    assert_int_equal(registry_add(registry, &key, source, hold).code, 0);
}

static void loaded(unsigned n, bool registered)
{
    const struct eth_pubkey key = numbered_pubkey(n);
    registry_loaded(registry, &key, (struct key_handle){n, 1}, registered);
}

static enum key_state state_of(unsigned n)
{
    return numbered_lookup(n).state;
}

/* One scan of the loader that finds keys first..last loaded. */
static size_t scan(unsigned first, unsigned last)
{
    const struct l_done done = {.complete = 1};
    struct registry_key *gone = NULL;
    size_t count = 0;
    bool more;
    registry_scan_begin(registry);
    for (unsigned n = first; n <= last; n++) {
        const struct l_key key = {.state = L_LOADED,
                                  .has_pubkey = 1,
                                  .pubkey = numbered_pubkey(n),
                                  .key = {n, 1},
                                  .path = "/k"};
        assert_int_equal(registry_scan_key(registry, &key, &more).code, 0);
    }
    assert_int_equal(registry_scan_end(registry, &done, &gone, &count).code, 0);
    cc_free(gone);
    return count;
}

static void test_P15_a_stored_key_waits_for_its_row(void **state)
{
    struct eth_pubkey waiting[4];
    (void)state;
    add(1, B_KEY_FROM_ROW, HOLD_NONE);
    assert_int_equal(state_of(1), KEY_STATE_LOADING);
    loaded(1, false);
    assert_int_equal(state_of(1), KEY_STATE_LOADING);
    assert_int_equal(registry_take_unregistered(registry, waiting, 4), 1);
    registry_registered(registry, waiting, 1);
    assert_int_equal(state_of(1), KEY_STATE_ACTIVE);
    add(2, B_KEY_FROM_MEMORY, HOLD_NONE);
    loaded(2, true); /* its row was made before */
    assert_int_equal(state_of(2), KEY_STATE_ACTIVE);
    assert_int_equal(counts().active, 2);
    assert_int_equal(counts().active_from[1], 1);
    assert_int_equal(counts().active_from[2], 1);
}

static void test_a_key_that_is_held_back_is_not_active(void **state)
{
    struct eth_pubkey *keys = NULL;
    size_t count = 0;
    const struct eth_pubkey one = numbered_pubkey(1);
    (void)state;
    assert_int_equal(scan(5, 5), 0); /* the set is known */
    add(1, B_KEY_FROM_ROW, HOLD_NONE);
    loaded(1, true);
    registry_hold(registry, &one, HOLD_DELETING);
    assert_int_equal(state_of(1), KEY_STATE_STOPPED);
    assert_int_equal(counts().active, 0);
    assert_int_equal(counts().known, 1); /* key 5, which has no row yet */
    assert_int_equal(registry_list(registry, &keys, &count).code, 0);
    assert_int_equal(count, 1);
    cc_free(keys);
    registry_hold(registry, &one, HOLD_NONE);
    assert_int_equal(state_of(1), KEY_STATE_ACTIVE);
    /* Held back before it came: no row is asked for. */
    add(2, B_KEY_FROM_ROW, HOLD_INACTIVE);
    loaded(2, false);
    struct eth_pubkey waiting[4];
    assert_int_equal(registry_take_unregistered(registry, waiting, 4), 1);
    const struct eth_pubkey five = numbered_pubkey(5);
    assert_memory_equal(&waiting[0], &five, sizeof five);
    assert_true(registry_wait_registered(registry, 1) == false);
    register_all();
    assert_true(registry_wait_registered(registry, 1));
}

static void test_T03_keys_of_rows_are_sealed_while_the_master_key_is_closed(void **state)
{
    struct eth_pubkey *keys = NULL;
    size_t count = 0;
    (void)state;
    assert_int_equal(scan(5, 6), 0);
    register_all();
    add(1, B_KEY_FROM_ROW, HOLD_NONE);
    add(2, B_KEY_FROM_ROW, HOLD_INACTIVE);
    add(3, B_KEY_FROM_MEMORY, HOLD_NONE);
    add(6, B_KEY_FROM_ROW, HOLD_NONE); /* a file has it, too */
    loaded(1, true);
    loaded(3, true);
    assert_false(registry_rows_are_closed(registry));
    registry_close_rows(registry);
    assert_true(registry_rows_are_closed(registry));
    assert_int_equal(state_of(1), KEY_STATE_SEALED);
    assert_int_equal(state_of(2), KEY_STATE_STOPPED);
    for (unsigned n = 3; n <= 6; n += n == 3 ? 2 : 1)
        assert_int_equal(state_of(n), KEY_STATE_ACTIVE);
    assert_int_equal(state_of(9), KEY_STATE_ABSENT);
    assert_int_equal(counts().active, 3);
    assert_int_equal(registry_list(registry, &keys, &count).code, 0);
    assert_int_equal(count, 4); /* the set is complete, the sealed key in it */
    cc_free(keys);
    registry_open_rows(registry);
    assert_int_equal(state_of(1), KEY_STATE_LOADING);
    loaded(1, false);
    assert_int_equal(state_of(1), KEY_STATE_ACTIVE); /* it had its row */
}

/* T25: of a latched chamber nobody says that its keys were about to come; the first scan after the latch says what there is. */
static void test_T25_a_latched_set_is_sealed_and_not_loading(void **state)
{
    struct eth_pubkey *keys = NULL;
    size_t count = 0;
    struct registry_view view = {0};
    bool more = false;
    (void)state;
    assert_int_equal(registry_is_complete(registry).code, ERROR_KEY_LOADING);
    registry_latch(registry);
    registry_close_rows(registry);
    add(1, B_KEY_FROM_ROW, HOLD_NONE);
    assert_int_equal(registry_is_complete(registry).code, ERROR_SEALED);
    assert_int_equal(registry_list(registry, &keys, &count).code, ERROR_SEALED);
    assert_int_equal(registry_after(registry, NULL, &view, 1, &more), 1);
    assert_int_equal(view.state, KEY_STATE_SEALED);
    registry_scan_begin(registry);
    assert_int_equal(registry_is_complete(registry).code, ERROR_KEY_LOADING);
    assert_int_equal(scan(5, 6), 0);
    assert_int_equal(registry_is_complete(registry).code, 0);
}

static void test_a_reload_takes_only_what_files_alone_had_brought(void **state)
{
    (void)state;
    assert_int_equal(scan(1, 3), 0);
    add(2, B_KEY_FROM_ROW, HOLD_NONE);
    add(4, B_KEY_FROM_MEMORY, HOLD_NONE);
    loaded(4, true);
    register_all();
    assert_int_equal(counts().active_from[0], 3);
    assert_int_equal(scan(3, 3),
                     1); /* key 1 is gone; key 2 has a row as well, key 4 never had a file */
    assert_int_equal(state_of(1), KEY_STATE_ABSENT);
    assert_int_equal(state_of(2), KEY_STATE_ACTIVE);
    assert_int_equal(state_of(4), KEY_STATE_ACTIVE);
    assert_int_equal(counts().active_from[0], 1);
    assert_int_equal(counts().active_from[1], 1);
    assert_int_equal(counts().active_from[2], 1);
}

static void test_a_key_goes_with_its_last_source(void **state)
{
    struct eth_pubkey keys[2] = {numbered_pubkey(1), numbered_pubkey(2)};
    struct registry_view view;
    (void)state;
    assert_int_equal(scan(1, 1), 0);
    add(1, B_KEY_FROM_ROW, HOLD_DELETING);
    add(2, B_KEY_FROM_ROW, HOLD_NONE);
    add(3, B_KEY_FROM_ROW, HOLD_NONE);
    loaded(3, true);
    registry_drop(registry, keys, 2, B_KEY_FROM_ROW);
    assert_true(registry_look(registry, &keys[0], &view));
    assert_int_equal(view.sources, B_KEY_FROM_FILE);
    assert_int_equal(view.hold, HOLD_NONE);
    assert_false(registry_look(registry, &keys[1], &view));
    assert_int_equal(state_of(3),
                     KEY_STATE_ACTIVE); /* found again in the table that was built anew */
    registry_drop(registry, keys, 1, B_KEY_FROM_FILE);
    assert_int_equal(counts().known, 1);
}

static void test_a_key_that_can_not_be_loaded(void **state)
{
    const struct eth_pubkey one = numbered_pubkey(1);
    (void)state;
    add(1, B_KEY_FROM_ROW, HOLD_NONE);
    registry_failed(registry, &one);
    assert_int_equal(state_of(1), KEY_STATE_FAILED);
    assert_int_equal(counts().known, 0);
    loaded(1, true);
    assert_int_equal(state_of(1), KEY_STATE_ACTIVE);
    registry_failed(registry, &one); /* it is loaded: that stays */
    assert_int_equal(state_of(1), KEY_STATE_ACTIVE);
    registry_unloaded(registry, &one);
    assert_int_equal(state_of(1), KEY_STATE_LOADING);
    assert_int_equal(counts().active, 0);
}

static void test_keys_are_shown_in_order_and_each_once(void **state)
{
    struct registry_view views[7];
    struct eth_pubkey after;
    bool more = true;
    unsigned seen = 0;
    (void)state;
    assert_int_equal(registry_after(registry, NULL, views, 7, &more), 0);
    assert_false(more);
    for (unsigned n = 1; n <= 40; n++)
        add(n, B_KEY_FROM_ROW, HOLD_NONE);
    more = true;
    for (const struct eth_pubkey *from = NULL; more; from = &after) {
        const size_t n = registry_after(registry, from, views, 7, &more);
        assert_true(n > 0 && (n == 7 || !more));
        for (size_t i = 0; i < n; i++, seen++) {
            if (i > 0)
                assert_true(memcmp(&views[i - 1].pubkey, &views[i].pubkey, 48) < 0);
            else if (from)
                assert_true(memcmp(from, &views[i].pubkey, 48) < 0);
        }
        after = views[n - 1].pubkey;
    }
    assert_int_equal(seen, 40);
}

static unsigned walk(struct eth_pubkey *last)
{
    struct registry_view views[7];
    bool more = true, has_last = false;
    unsigned seen = 0;
    while (more) {
        const size_t n = registry_after(registry, has_last ? last : NULL, views, 7, &more);
        for (size_t i = 0; i < n; i++, seen++) {
            assert_true(!has_last || memcmp(last, &views[i].pubkey, sizeof *last) < 0);
            *last = views[i].pubkey;
            has_last = true;
        }
    }
    return seen;
}

/* Few at a time, which find their places; many, which are sorted; and some that go. */
static void test_the_order_is_kept_while_keys_come_and_go(void **state)
{
    struct eth_pubkey last;
    struct registry_view views[4];
    unsigned n = 0;
    (void)state;
    for (unsigned step = 1; step < 400; step = step * 2 + 1) {
        for (unsigned i = 0; i < step; i++) {
            n++;
            add((n * 7919) % 10007, B_KEY_FROM_ROW, n % 100 ? HOLD_NONE : HOLD_DELETING);
        }
        assert_int_equal(walk(&last), n);
    }
    unsigned deleting = 0;
    size_t found;
    bool has_last = false;
    while ((found = registry_deleting(registry, has_last ? &last : NULL, views, 4)) != 0) {
        for (size_t i = 0; i < found; i++, deleting++) {
            assert_int_equal(views[i].hold, HOLD_DELETING);
            assert_true(!has_last || memcmp(&last, &views[i].pubkey, sizeof last) < 0);
            last = views[i].pubkey;
            has_last = true;
        }
    }
    assert_int_equal(deleting, n / 100);
    for (unsigned i = 1; i <= n; i += 2) {
        const struct eth_pubkey gone = numbered_pubkey((i * 7919) % 10007);
        registry_drop(registry, &gone, 1, B_KEY_FROM_ROW);
    }
    assert_int_equal(walk(&last), n / 2);
    add(20000, B_KEY_FROM_ROW, HOLD_NONE);
    assert_int_equal(walk(&last), n / 2 + 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, registry_setup, registry_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_P15_a_stored_key_waits_for_its_row),
        TEST(test_a_key_that_is_held_back_is_not_active),
        TEST(test_T03_keys_of_rows_are_sealed_while_the_master_key_is_closed),
        TEST(test_T25_a_latched_set_is_sealed_and_not_loading),
        TEST(test_a_reload_takes_only_what_files_alone_had_brought),
        TEST(test_a_key_goes_with_its_last_source),
        TEST(test_a_key_that_can_not_be_loaded),
        TEST(test_keys_are_shown_in_order_and_each_once),
        TEST(test_the_order_is_kept_while_keys_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
