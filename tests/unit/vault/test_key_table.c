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
    return key_table_admit(table, handle, &pubkey, &(struct key_claim){.attestation = &a},
                           &verdict);
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

static void test_signs_with_the_key_of_the_handle(void **state)
{
    (void)state;
    const struct key_handle one = add(1);
    const struct key_handle two = add(2);
    const struct eth_pubkey pubkey = pubkey_of(2);
    const uint8_t root[32] = {4};
    struct bls_hash hash;
    struct eth_signature signature;
    (void)one;
    bls_hash(root, &hash);
    assert_int_equal(key_table_sign(table, two, &hash, &signature).code, 0);
    assert_int_equal(bls_verify(pubkey.bytes, root, signature.bytes).code, 0);
}

static void test_C09_a_wrong_or_stale_handle_signs_nothing(void **state)
{
    (void)state;
    const struct key_handle one = add(1);
    const struct key_handle two = add(2);
    struct bls_hash hash;
    struct eth_signature signature = {{0}};
    bls_hash((const uint8_t[32]){0}, &hash);
    const struct key_handle wrong[] = {
        {one.index, one.generation + 1},
        {one.index, one.generation - 1},
        {one.index, 0},
        {2, 1},
        {MANY, 1},
        {UINT32_MAX, UINT32_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(key_table_sign(table, wrong[i], &hash, &signature).code,
                         ERROR_KEY_UNKNOWN);
        assert_int_equal(vote(wrong[i], 1, 5, 1).code, ERROR_KEY_UNKNOWN);
        assert_int_equal(key_table_remove(table, wrong[i]).code, ERROR_KEY_UNKNOWN);
    }
    assert_int_equal(vote(two, 1, 5, 1).code, ERROR_KEY_UNKNOWN); /* another key's handle */
    assert_true(ct_is_zero(&signature, sizeof signature));
    assert_int_equal(key_table_remove(table, one).code, 0);
    assert_int_equal(key_table_remove(table, one).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(key_table_sign(table, one, &hash, &signature).code, ERROR_KEY_UNKNOWN);
    assert_int_equal(vote(one, 1, 5, 1).code, ERROR_KEY_UNKNOWN);
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
        CASE(test_signs_with_the_key_of_the_handle),
        CASE(test_C09_a_wrong_or_stale_handle_signs_nothing),
        CASE(test_C09_P16_a_floor_outlives_its_key),
        CASE(test_dropped_floors_still_want_the_right_handle),
        CASE(test_lists_all_in_pieces),
        CASE(test_a_full_table_refuses_and_forgets_nothing),
        CASE(test_seal_wipes_all_and_latches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
