/* The registry fed with a loader's messages. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "support/registry_case.h"
#include "support/test.h"

static struct l_key item(enum l_state how, unsigned n)
{
    struct l_key key = {.state = how,
                        .has_pubkey = 1,
                        .pubkey = numbered_pubkey(n),
                        .key = {how == L_LOADED ? n : 0, how == L_LOADED}};
    (void)snprintf(key.path, sizeof key.path, "/keys/%u.json", n);
    if (how == L_FAILED)
        key.error = ERROR_KEYSTORE_PASSWORD;
    return key;
}

static bool feed(enum l_state how, unsigned n)
{
    const struct l_key key = item(how, n);
    bool more = false;
    assert_int_equal(registry_scan_key(registry, &key, &more).code, 0);
    return more;
}

static void listed(bool complete)
{
    const struct l_done done = {.complete = complete, .scanned = 1};
    registry_scan_listed(registry, &done);
}

static size_t end(bool complete, struct registry_key *ret_first)
{
    const struct l_done done = {.complete = complete};
    struct registry_key *gone = NULL;
    size_t count = 0;
    assert_int_equal(registry_scan_end(registry, &done, &gone, &count).code, 0);
    if (count && ret_first)
        *ret_first = gone[0];
    cc_free(gone);
    return count;
}

/* One whole load of keys 1..n. */
static void load(unsigned n)
{
    registry_scan_begin(registry);
    for (unsigned i = 1; i <= n; i++)
        (void)feed(L_FOUND, i);
    listed(true);
    for (unsigned i = 1; i <= n; i++)
        (void)feed(L_LOADED, i);
    register_all();
    assert_int_equal(end(true, NULL), 0);
}

static void test_P15_a_key_is_active_only_with_its_protection_row(void **state)
{
    struct eth_pubkey keys[4];
    (void)state;
    registry_scan_begin(registry);
    assert_false(feed(L_FOUND, 1));
    assert_int_equal(numbered_lookup(1).state, KEY_STATE_LOADING);
    assert_int_equal(registry_take_unregistered(registry, keys, 4), 0);
    assert_true(feed(L_LOADED, 1));
    assert_int_equal(numbered_lookup(1).state, KEY_STATE_LOADING);
    assert_int_equal(counts().active, 0);
    assert_false(registry_wait_registered(registry, 1));
    assert_int_equal(registry_take_unregistered(registry, keys, 4), 1);
    assert_int_equal(numbered_lookup(1).state, KEY_STATE_LOADING); /* taken is not done */
    registry_registered(registry, keys, 1);
    assert_int_equal(numbered_lookup(1).state, KEY_STATE_ACTIVE);
    assert_int_equal(numbered_lookup(1).handle.index, 1);
    assert_int_equal(counts().active, 1);
    assert_true(registry_wait_registered(registry, 0));
}

static void test_the_set_is_unknown_until_every_file_was_looked_at(void **state)
{
    struct eth_pubkey *keys = NULL;
    size_t count = 0;
    (void)state;
    assert_true(error_is(registry_list(registry, &keys, &count), ERROR_KEY_LOADING));
    registry_scan_begin(registry);
    (void)feed(L_FOUND, 1);
    (void)feed(L_FOUND, 2);
    assert_false(numbered_lookup(3).set_known);
    assert_true(error_is(registry_list(registry, &keys, &count), ERROR_KEY_LOADING));
    listed(true);
    assert_true(numbered_lookup(3).set_known);
    assert_int_equal(registry_list(registry, &keys, &count).code, 0);
    assert_int_equal(count, 2); /* complete, though nothing is decrypted yet */
    cc_free(keys);
}

static void test_a_file_without_a_public_key_keeps_the_set_unknown(void **state)
{
    struct l_key unnamed = item(L_FOUND, 1);
    bool more = false;
    (void)state;
    unnamed.has_pubkey = 0;
    registry_scan_begin(registry);
    assert_int_equal(registry_scan_key(registry, &unnamed, &more).code, 0);
    listed(true);
    assert_false(numbered_lookup(1).set_known);
    (void)feed(L_LOADED, 1);
    (void)end(true, NULL);
    assert_true(numbered_lookup(1).set_known);
}

static void test_a_directory_that_cannot_be_read_keeps_the_set_unknown(void **state)
{
    (void)state;
    registry_scan_begin(registry);
    (void)feed(L_FOUND, 1);
    listed(false);
    assert_false(numbered_lookup(1).set_known);
    (void)feed(L_LOADED, 1);
    register_all();
    (void)end(false, NULL);
    assert_false(numbered_lookup(1).set_known);
    assert_int_equal(numbered_lookup(1).state, KEY_STATE_ACTIVE); /* it can sign all the same */
}

static void test_a_failed_key_is_counted_and_not_listed(void **state)
{
    struct eth_pubkey *keys = NULL;
    size_t count = 0;
    (void)state;
    registry_scan_begin(registry);
    (void)feed(L_FOUND, 1);
    (void)feed(L_FOUND, 2);
    listed(true);
    (void)feed(L_LOADED, 1);
    (void)feed(L_FAILED, 2);
    register_all();
    (void)end(true, NULL);
    assert_int_equal(numbered_lookup(2).state, KEY_STATE_FAILED);
    assert_int_equal(counts().known, 1);
    assert_int_equal(counts().load_errors, 1);
    assert_int_equal(registry_list(registry, &keys, &count).code, 0);
    assert_int_equal(count, 1);
    cc_free(keys);
    load(2); /* mended */
    assert_int_equal(numbered_lookup(2).state, KEY_STATE_ACTIVE);
    assert_int_equal(counts().load_errors, 0);
}

static void test_what_a_complete_reload_does_not_see_is_removed(void **state)
{
    struct registry_key gone = {0};
    (void)state;
    load(3);
    registry_scan_begin(registry);
    (void)feed(L_LOADED, 1);
    (void)feed(L_LOADED, 3);
    listed(true);
    assert_int_equal(end(true, &gone), 1);
    assert_int_equal(gone.handle.index, 2);
    assert_int_equal(numbered_lookup(2).state, KEY_STATE_ABSENT);
    assert_int_equal(numbered_lookup(1).state, KEY_STATE_ACTIVE);
    assert_int_equal(numbered_lookup(3).state, KEY_STATE_ACTIVE);
    assert_int_equal(counts().active, 2);
    load(3); /* and it comes back */
    assert_int_equal(numbered_lookup(2).state, KEY_STATE_ACTIVE);
}

static void test_an_incomplete_reload_removes_nothing(void **state)
{
    (void)state;
    load(3);
    registry_scan_begin(registry);
    (void)feed(L_LOADED, 1);
    assert_int_equal(end(false, NULL), 0);
    assert_int_equal(numbered_lookup(3).state, KEY_STATE_ACTIVE);
}

static void test_a_known_key_whose_file_now_fails_stays(void **state)
{
    struct l_key nameless = item(L_FAILED, 2);
    bool more = false;
    (void)state;
    load(2);
    registry_scan_begin(registry);
    (void)feed(L_FAILED, 1); /* the file still says whose it is */
    nameless.has_pubkey = 0; /* the file can't be read at all: known by its path */
    memset(&nameless.pubkey, 0, sizeof nameless.pubkey);
    assert_int_equal(registry_scan_key(registry, &nameless, &more).code, 0);
    assert_int_equal(end(true, NULL), 0);
    assert_int_equal(numbered_lookup(1).state, KEY_STATE_ACTIVE);
    assert_int_equal(numbered_lookup(2).state, KEY_STATE_ACTIVE);
    assert_int_equal(counts().load_errors, 2);
}

static void test_files_that_do_not_name_their_keys_keep_them(void **state)
{
    bool more = false;
    (void)state;
    load(100);
    registry_scan_begin(registry);
    for (unsigned i = 2; i <= 100; i += 2) {
        struct l_key nameless = item(i % 4 ? L_FOUND : L_FAILED, i);
        nameless.has_pubkey = 0;
        memset(&nameless.pubkey, 0, sizeof nameless.pubkey);
        assert_int_equal(registry_scan_key(registry, &nameless, &more).code, 0);
    }
    assert_int_equal(end(true, NULL), 50);
    for (unsigned i = 1; i <= 100; i++)
        assert_int_equal(numbered_lookup(i).state, i % 2 ? KEY_STATE_ABSENT : KEY_STATE_ACTIVE);
    registry_scan_begin(registry); /* what one scan saw is nothing to the next */
    assert_int_equal(end(true, NULL), 50);
}

static void test_a_new_handle_replaces_the_old_one(void **state)
{
    struct l_key again = item(L_LOADED, 1);
    bool more = true;
    (void)state;
    load(1);
    again.key = (struct key_handle){99, 5};
    registry_scan_begin(registry);
    assert_int_equal(registry_scan_key(registry, &again, &more).code, 0);
    assert_false(more); /* its row exists */
    assert_int_equal(numbered_lookup(1).state, KEY_STATE_ACTIVE);
    assert_int_equal(numbered_lookup(1).handle.index, 99);
    assert_int_equal(counts().active, 1);
}

static void test_keys_that_the_vault_holds_wait_for_their_row_too(void **state)
{
    const struct registry_key held = {numbered_pubkey(5), {5, 1}, 0};
    (void)state;
    assert_int_equal(registry_restore(registry, &held).code, 0);
    assert_int_equal(numbered_lookup(5).state, KEY_STATE_LOADING);
    register_all();
    assert_int_equal(numbered_lookup(5).state, KEY_STATE_ACTIVE);
    assert_false(numbered_lookup(5).set_known);
}

static void test_a_key_that_goes_while_it_is_registered_stays_gone(void **state)
{
    struct eth_pubkey keys[1];
    (void)state;
    registry_scan_begin(registry);
    (void)feed(L_LOADED, 1);
    assert_int_equal(registry_take_unregistered(registry, keys, 1), 1);
    registry_scan_begin(registry);
    assert_int_equal(end(true, NULL), 1);
    registry_registered(registry, keys, 1);
    assert_int_equal(numbered_lookup(1).state, KEY_STATE_ABSENT);
    assert_int_equal(counts().active, 0);
}

/* Keystores are decrypted in any order, so rows are asked for in any order as well. */
static void test_a_key_that_comes_late_gets_its_row_too(void **state)
{
    struct eth_pubkey keys[4];
    (void)state;
    registry_scan_begin(registry);
    for (unsigned i = 1; i <= 4; i++)
        (void)feed(L_FOUND, i);
    (void)feed(L_LOADED, 3);
    (void)feed(L_LOADED, 4);
    assert_int_equal(registry_take_unregistered(registry, keys, 1), 1);
    registry_registered(registry, keys, 1);
    assert_true(feed(L_LOADED, 1));
    assert_int_equal(registry_take_unregistered(registry, keys, 4), 2);
    registry_registered(registry, keys, 2);
    assert_int_equal(registry_take_unregistered(registry, keys, 4), 0);
    assert_true(feed(L_LOADED, 2));
    assert_int_equal(registry_take_unregistered(registry, keys, 4), 1);
    assert_int_equal(registry_take_unregistered(registry, keys, 4), 1); /* its commit failed */
    registry_registered(registry, keys, 1);
    assert_int_equal(counts().active, 4);
}

static void test_messages_that_make_no_sense_are_refused(void **state)
{
    struct l_key key = item(L_LOADED, 1);
    bool more = false;
    (void)state;
    registry_scan_begin(registry);
    key.has_pubkey = 0;
    assert_true(error_is(registry_scan_key(registry, &key, &more), ERROR_PROTOCOL));
    key.has_pubkey = 1;
    key.state = 0;
    assert_true(error_is(registry_scan_key(registry, &key, &more), ERROR_PROTOCOL));
    key.state = 4;
    assert_true(error_is(registry_scan_key(registry, &key, &more), ERROR_PROTOCOL));
    assert_int_equal(counts().known, 0);
}

/* A path without a terminator is read no further than its field. */
static void test_a_path_that_fills_its_field(void **state)
{
    struct l_key key = item(L_LOADED, 1);
    bool more = false;
    (void)state;
    memset(key.path, 'x', sizeof key.path);
    registry_scan_begin(registry);
    assert_int_equal(registry_scan_key(registry, &key, &more).code, 0);
}

static void test_ten_thousand_keys(void **state)
{
    (void)state;
    load(10000);
    assert_int_equal(counts().active, 10000);
    for (unsigned n = 1; n <= 10000; n += 997)
        assert_int_equal(numbered_lookup(n).handle.index, n);
    registry_scan_begin(registry);
    for (unsigned n = 1; n <= 10000; n += 2)
        (void)feed(L_LOADED, n);
    assert_int_equal(end(true, NULL), 5000);
    for (unsigned n = 1; n <= 10000; n++)
        assert_int_equal(numbered_lookup(n).state, n % 2 ? KEY_STATE_ACTIVE : KEY_STATE_ABSENT);
}

static void test_C07_out_of_memory_adds_nothing(void **state)
{
    const struct l_key key = item(L_FOUND, 1);
    bool more = false;
    (void)state;
    registry_scan_begin(registry);
    for (uint64_t nth = 1; nth <= 2; nth++) {
        (void)alloc_fail_nth(nth);
        assert_true(error_is(registry_scan_key(registry, &key, &more), ERROR_NO_MEMORY));
        (void)alloc_fail_nth(0);
        assert_int_equal(numbered_lookup(1).state, KEY_STATE_ABSENT);
    }
    assert_int_equal(registry_scan_key(registry, &key, &more).code, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, registry_setup, registry_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_P15_a_key_is_active_only_with_its_protection_row),
        TEST(test_the_set_is_unknown_until_every_file_was_looked_at),
        TEST(test_a_file_without_a_public_key_keeps_the_set_unknown),
        TEST(test_a_directory_that_cannot_be_read_keeps_the_set_unknown),
        TEST(test_a_failed_key_is_counted_and_not_listed),
        TEST(test_what_a_complete_reload_does_not_see_is_removed),
        TEST(test_an_incomplete_reload_removes_nothing),
        TEST(test_a_known_key_whose_file_now_fails_stays),
        TEST(test_files_that_do_not_name_their_keys_keep_them),
        TEST(test_a_new_handle_replaces_the_old_one),
        TEST(test_keys_that_the_vault_holds_wait_for_their_row_too),
        TEST(test_a_key_that_goes_while_it_is_registered_stays_gone),
        TEST(test_a_key_that_comes_late_gets_its_row_too),
        TEST(test_messages_that_make_no_sense_are_refused),
        TEST(test_a_path_that_fills_its_field),
        TEST(test_ten_thousand_keys),
        TEST(test_C07_out_of_memory_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
