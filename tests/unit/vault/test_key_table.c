#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "secret/ct.h"
#include "support/test.h"
#include "vault/key_table.h"

enum {
    MANY = 1500
};

static struct arena *arena;
static struct key_table *table;

static int set_up(void **state)
{
    (void)state;
    return arena_new(1, MANY, &arena).code || key_table_new(arena, MANY, &table).code;
}

static int tear_down(void **state)
{
    (void)state;
    key_table_free(table);
    arena_free(arena);
    return 0;
}

static struct bls_secret secret_of(uint32_t n)
{
    uint8_t bytes[BLS_SECRET_SIZE] = {[28] = (uint8_t)(n >> 8), [29] = (uint8_t)n, [31] = 1};
    struct bls_secret secret;
    assert_int_equal(bls_secret_parse(bytes, &secret).code, 0);
    return secret;
}

static struct eth_pubkey pubkey_of(uint32_t n)
{
    const struct bls_secret secret = secret_of(n);
    struct eth_pubkey pubkey;
    bls_secret_public(&secret, pubkey.bytes);
    return pubkey;
}

static struct key_handle add(uint32_t n)
{
    const struct bls_secret secret = secret_of(n);
    const struct eth_pubkey pubkey = pubkey_of(n);
    struct key_handle handle;
    bool existed = true;
    assert_int_equal(key_table_add(table, &secret, &pubkey, &handle, &existed).code, 0);
    assert_false(existed);
    return handle;
}

static cc_err vote(struct key_handle handle, uint32_t n, uint64_t target, uint8_t root)
{
    struct slash_attestation a = {.source = 1, .target = target, .has_root = true};
    const struct eth_pubkey pubkey = pubkey_of(n);
    struct slash_verdict verdict;
    memset(&a.root, root, sizeof a.root);
    struct key_hold held;
    cc_err err = key_table_admit(table, handle, &pubkey, &(struct key_claim){.attestation = &a},
                                 &verdict, &held);
    if (!err.code)
        key_table_let_go(table, &held);
    return err;
}

/* Admits a message that can't be slashed for. */
static cc_err take(struct key_handle handle, uint32_t n, struct key_hold *ret_hold)
{
    const struct eth_pubkey pubkey = pubkey_of(n);
    struct slash_verdict verdict;
    return key_table_admit(table, handle, &pubkey, &(struct key_claim){NULL, NULL}, &verdict,
                           ret_hold);
}

static void test_keys_are_found_by_handle_and_by_name(void **state)
{
    (void)state;
    const struct key_handle handle = add(1);
    const struct eth_pubkey pubkey = pubkey_of(1);
    const struct eth_pubkey other = pubkey_of(2);
    const struct bls_secret secret = secret_of(1);
    struct key_handle found;
    bool existed = false;
    assert_int_equal(key_table_find(table, &pubkey, &found).code, 0);
    assert_memory_equal(&found, &handle, sizeof found);
    assert_int_equal(key_table_find(table, &other, &found).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(key_table_add(table, &secret, &pubkey, &found, &existed).code, 0);
    assert_true(existed);
    assert_memory_equal(&found, &handle, sizeof found);
    assert_int_equal(key_table_count(table), 1);
    assert_true(handle.generation != 0); /* a zeroed handle is never good */
}

static void test_lends_the_key_of_the_handle(void **state)
{
    (void)state;
    const struct key_handle one = add(1);
    const struct key_handle two = add(2);
    const struct bls_secret secret = secret_of(2);
    const struct eth_pubkey pubkey = pubkey_of(2);
    struct key_hold held;
    struct key_hold again;
    (void)one;
    assert_int_equal(take(two, 2, &held).code, 0);
    assert_memory_equal(held.secret, &secret, sizeof secret);
    assert_memory_equal(held.pubkey, &pubkey, sizeof pubkey);
    assert_false(atomic_load(held.keep_on_blst));
    assert_int_equal(take(two, 2, &again).code, 0); /* twice in one batch */
    assert_ptr_equal(again.secret, held.secret);
    key_table_let_go(table, &again);
    key_table_let_go(table, &held);
}

static void test_C09_a_wrong_or_stale_handle_lends_nothing(void **state)
{
    (void)state;
    const struct key_handle one = add(1);
    const struct key_handle two = add(2);
    struct key_hold held = {.secret = NULL};
    const struct key_handle wrong[] = {
        {one.index, one.generation + 1},
        {one.index, one.generation - 1},
        {one.index, 0},
        {2, 1},
        {MANY, 1},
        {UINT32_MAX, UINT32_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(take(wrong[i], 1, &held).code, ERROR_KEY_UNKNOWN);
        assert_int_equal(vote(wrong[i], 1, 5, 1).code, ERROR_KEY_UNKNOWN);
        assert_int_equal(key_table_remove(table, wrong[i]).code, ERROR_KEY_UNKNOWN);
    }
    assert_int_equal(vote(two, 1, 5, 1).code, ERROR_KEY_UNKNOWN); /* another key's handle */
    assert_null(held.secret);
    assert_int_equal(key_table_remove(table, one).code, 0);
    assert_int_equal(key_table_remove(table, one).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(take(one, 1, &held).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(vote(one, 1, 5, 1).code, ERROR_KEY_UNKNOWN);
    assert_null(held.secret);
}

/* A refused claim lends nothing: its removal does not wait. */
static void test_C09_a_refused_claim_holds_nothing(void **state)
{
    (void)state;
    const struct key_handle handle = add(1);
    assert_int_equal(vote(handle, 1, 9, 1).code, 0);
    assert_int_equal(vote(handle, 1, 9, 2).code, ERROR_SLASHABLE);
    assert_int_equal(key_table_remove(table, handle).code, 0);
}

/* What made a key's signature doubtful once is remembered however often the key comes and goes. */
static void test_T23_a_key_stays_on_blst_when_it_is_loaded_again(void **state)
{
    (void)state;
    const struct key_handle handle = add(1);
    struct key_hold held;
    assert_int_equal(take(handle, 1, &held).code, 0);
    atomic_store(held.keep_on_blst, true);
    key_table_let_go(table, &held);
    assert_int_equal(key_table_remove(table, handle).code, 0);
    assert_int_equal(take(add(1), 1, &held).code, 0);
    assert_true(atomic_load(held.keep_on_blst));
    key_table_let_go(table, &held);
    assert_int_equal(take(add(2), 2, &held).code, 0);
    assert_false(atomic_load(held.keep_on_blst));
    key_table_let_go(table, &held);
}

struct leaver {
    struct key_handle handle;
    bool seal;
    atomic_bool done;
};

static void *leave(void *argument)
{
    struct leaver *l = argument;
    if (l->seal)
        key_table_seal(table);
    else
        assert_int_equal(key_table_remove(table, l->handle).code, 0);
    atomic_store(&l->done, true);
    return NULL;
}

/* Removal and seal wait for who signs with the key; meanwhile its handle is stale already. */
static void outlasts(bool seal)
{
    struct leaver l = {.handle = add(1), .seal = seal};
    const struct bls_secret secret = secret_of(1);
    struct key_hold held;
    struct key_hold again;
    pthread_t thread;
    cc_err err;
    assert_int_equal(take(l.handle, 1, &held).code, 0);
    assert_int_equal(take(l.handle, 1, &again).code, 0);
    assert_int_equal(pthread_create(&thread, NULL, leave, &l), 0);
    struct key_hold late;
    while (!(err = take(l.handle, 1, &late)).code) /* until the removal has begun */
        key_table_let_go(table, &late);
    assert_int_equal(err.code, ERROR_KEY_UNKNOWN);
    assert_int_equal(
        take((struct key_handle){l.handle.index, l.handle.generation + 1}, 1, &late).code,
        ERROR_KEY_UNKNOWN);
    key_table_let_go(table, &again);
    assert_false(atomic_load(&l.done));
    assert_memory_equal(held.secret, &secret, sizeof secret);
    key_table_let_go(table, &held);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&l.done));
    assert_int_equal(key_table_count(table), 0);
}

static void test_a_removal_waits_for_who_holds_the_key(void **state)
{
    (void)state;
    outlasts(false);
    assert_true(add(1).generation > 1);
}

static void test_a_seal_waits_for_who_holds_a_key(void **state)
{
    (void)state;
    outlasts(true);
}

/* Removing and loading a key again would be the way around a floor that forgets. */
static void test_C09_P16_a_floor_outlives_its_key(void **state)
{
    (void)state;
    struct key_handle handle = add(1);
    assert_int_equal(vote(handle, 1, 9, 1).code, 0);
    assert_int_equal(key_table_remove(table, handle).code, 0);
    const struct key_handle again = add(1);
    assert_int_equal(again.index, handle.index);
    assert_true(again.generation > handle.generation);
    assert_int_equal(vote(again, 1, 9, 2).code, ERROR_SLASHABLE);
    assert_int_equal(vote(again, 1, 9, 1).code, 0);
    assert_int_equal(vote(handle, 1, 9, 1).code, ERROR_KEY_UNKNOWN);
}

static void test_dropped_floors_still_want_the_right_handle(void **state)
{
    (void)state;
    const struct key_handle one = add(1);
    const struct key_handle two = add(2);
    key_table_drop_floors(table);
    assert_int_equal(vote(one, 1, 9, 1).code, 0);
    assert_int_equal(vote(one, 1, 9, 2).code, 0);
    assert_int_equal(vote(two, 1, 9, 1).code, ERROR_KEY_UNKNOWN);
}

static struct key_handle add_from(uint32_t n, uint32_t source)
{
    const struct bls_secret secret = secret_of(n);
    const struct eth_pubkey pubkey = pubkey_of(n);
    struct key_handle handle;
    bool existed = true;
    assert_int_equal(key_table_add_from(table, &secret, &pubkey, source, &handle, &existed).code,
                     0);
    return handle;
}

static void test_a_key_goes_with_its_last_source(void **state)
{
    (void)state;
    const struct key_handle row = add_from(1, B_KEY_FROM_ROW);
    const struct key_handle both = add_from(2, B_KEY_FROM_ROW);
    const struct key_handle file = add_from(3, B_KEY_FROM_FILE);
    const struct key_handle memory = add_from(4, B_KEY_FROM_MEMORY);
    (void)add_from(2, B_KEY_FROM_FILE);
    key_table_drop_source(table, B_KEY_FROM_ROW);
    assert_int_equal(vote(row, 1, 5, 1).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(vote(both, 2, 5, 1).code, 0);
    assert_int_equal(vote(file, 3, 5, 1).code, 0);
    assert_int_equal(vote(memory, 4, 5, 1).code, 0);
    assert_int_equal(key_table_count(table), 3);
    const struct key_handle again = add_from(1, B_KEY_FROM_ROW);
    assert_int_equal(vote(again, 1, 5, 1).code, 0);
    key_table_drop_source(table, B_KEY_FROM_FILE);
    assert_int_equal(vote(both, 2, 6, 1).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(vote(again, 1, 6, 1).code, 0);
}

static void test_lists_all_in_pieces(void **state)
{
    (void)state;
    struct key_name names[7];
    uint32_t seen = 0;
    struct key_handle handles[20];
    for (uint32_t i = 0; i < 20; i++)
        handles[i] = add(i);
    assert_int_equal(key_table_remove(table, handles[3]).code, 0);
    for (uint32_t from = 0, next = 1; next; from = next) {
        uint32_t n = key_table_list(table, from, names, 7, &next);
        for (uint32_t i = 0; i < n; i++) {
            const struct eth_pubkey pubkey = pubkey_of(names[i].handle.index);
            assert_memory_equal(&names[i].pubkey, &pubkey, sizeof pubkey);
            assert_true(names[i].handle.index != 3);
        }
        seen += n;
    }
    assert_int_equal(seen, 19);
    uint32_t next = 1;
    assert_int_equal(key_table_list(table, UINT32_MAX, names, 7, &next), 0);
    assert_int_equal(next, 0);
}

static void test_a_full_table_refuses_and_forgets_nothing(void **state)
{
    (void)state;
    struct bls_secret secret = secret_of(0);
    struct eth_pubkey pubkey = {{0}};
    struct key_handle handle;
    bool existed;
    for (uint32_t i = 0; i < MANY; i++) {
        memcpy(pubkey.bytes, &i, sizeof i);
        memcpy(pubkey.bytes + 20, &i, sizeof i);
        assert_int_equal(key_table_add(table, &secret, &pubkey, &handle, &existed).code, 0);
        assert_int_equal(handle.index, i);
    }
    pubkey.bytes[40] = 1;
    assert_int_equal(key_table_add(table, &secret, &pubkey, &handle, &existed).code, ERROR_LIMIT);
    pubkey.bytes[40] = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        memcpy(pubkey.bytes, &i, sizeof i);
        memcpy(pubkey.bytes + 20, &i, sizeof i);
        assert_int_equal(key_table_find(table, &pubkey, &handle).code, 0);
        assert_int_equal(handle.index, i);
    }
    /* The entry of a removed key stays, for its floor: its place is not given to another key. */
    assert_int_equal(key_table_remove(table, handle).code, 0);
    pubkey.bytes[40] = 1;
    assert_int_equal(key_table_add(table, &secret, &pubkey, &handle, &existed).code, ERROR_LIMIT);
}

static void test_seal_wipes_all_and_latches(void **state)
{
    (void)state;
    const struct key_handle handle = add(1);
    const struct eth_pubkey pubkey = pubkey_of(1);
    const struct bls_secret secret = secret_of(1);
    struct key_handle found;
    bool existed;
    (void)add(2);
    key_table_seal(table);
    assert_int_equal(key_table_count(table), 0);
    assert_int_equal(vote(handle, 1, 9, 1).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(key_table_find(table, &pubkey, &found).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(key_table_add(table, &secret, &pubkey, &found, &existed).code, ERROR_SEALED);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_keys_are_found_by_handle_and_by_name),
        CASE(test_lends_the_key_of_the_handle),
        CASE(test_C09_a_wrong_or_stale_handle_lends_nothing),
        CASE(test_C09_a_refused_claim_holds_nothing),
        CASE(test_T23_a_key_stays_on_blst_when_it_is_loaded_again),
        CASE(test_a_removal_waits_for_who_holds_the_key),
        CASE(test_a_seal_waits_for_who_holds_a_key),
        CASE(test_C09_P16_a_floor_outlives_its_key),
        CASE(test_dropped_floors_still_want_the_right_handle),
        CASE(test_a_key_goes_with_its_last_source),
        CASE(test_lists_all_in_pieces),
        CASE(test_a_full_table_refuses_and_forgets_nothing),
        CASE(test_seal_wipes_all_and_latches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
