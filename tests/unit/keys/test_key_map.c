#include "base/alloc.h"
#include "base/num.h"

#include "keys/key_map.h"
#include "support/test.h"

static struct eth_pubkey key_of(uint64_t number)
{
    struct eth_pubkey key = {{0}};
    u64_store_be(key.bytes + 8, number);
    return key;
}

static void test_many_keys(void **state)
{
    (void)state;
    struct key_map map = {0};
    struct eth_pubkey key = key_of(0);
    assert_null(key_map_find(&map, &key));
    for (uint32_t i = 0; i < 5000; i++) {
        key = key_of(i);
        assert_int_equal(key_map_put(&map, &key, i).code, 0);
    }
    assert_int_equal(map.count, 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        key = key_of(i);
        uint32_t *value = key_map_find(&map, &key);
        assert_non_null(value);
        assert_int_equal(*value, i);
    }
    key = key_of(5000);
    assert_null(key_map_find(&map, &key));
    key_map_release(&map);
    key_map_release(&map);
}

static void test_a_key_takes_a_new_value(void **state)
{
    (void)state;
    struct key_map map = {0};
    struct eth_pubkey key = key_of(7);
    assert_int_equal(key_map_put(&map, &key, 1).code, 0);
    assert_int_equal(key_map_put(&map, &key, 2).code, 0);
    assert_int_equal(map.count, 1);
    assert_int_equal(*key_map_find(&map, &key), 2);
    key.bytes[47] = 1; /* the same hash, another key */
    assert_null(key_map_find(&map, &key));
    assert_int_equal(key_map_put(&map, &key, 3).code, 0);
    assert_int_equal(map.count, 2);
    key_map_release(&map);
}

static void test_the_map_stays_whole_when_memory_is_out(void **state)
{
    (void)state;
    struct key_map map = {0};
    struct eth_pubkey key;
    for (uint32_t i = 0; i < 32; i++) {
        key = key_of(i);
        assert_int_equal(key_map_put(&map, &key, i).code, 0);
    }
    key = key_of(32);
    (void)alloc_fail_nth(1);
    assert_int_equal(key_map_put(&map, &key, 32).code, ERROR_NO_MEMORY);
    (void)alloc_fail_nth(0);
    assert_null(key_map_find(&map, &key));
    key = key_of(31);
    assert_non_null(key_map_find(&map, &key));
    key_map_release(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_a_key_takes_a_new_value),
        cmocka_unit_test(test_the_map_stays_whole_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
