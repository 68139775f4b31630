#include <malloc.h>
#include <stdbool.h>

#include "base/alloc.h"

#include "support/test.h"

static void test_an_array_grows_by_doubling(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    size_t room = 0;
    size_t moves = 0;
    for (uint32_t n = 0; n < 1000; n++) {
        size_t before = room;
        uint32_t *grown = cc_grow_array(items, n, &room, sizeof *items);
        assert_non_null(grown);
        assert_true(room > n);
        moves += room != before;
        items = grown;
        items[n] = n;
    }
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(items[n], n);
    assert_int_equal(room, 1024);
    assert_int_equal(moves, 5);
    cc_free(items);
}

static void test_C07_out_of_memory_leaves_array_and_room(void **state)
{
    (void)state;
    size_t room = 0;
    uint32_t *items = cc_grow_array(NULL, 0, &room, sizeof *items);
    assert_non_null(items);
    size_t full = room;
    items[full - 1] = 7;
    (void)alloc_fail_nth(1);
    assert_null(cc_grow_array(items, full, &room, sizeof *items));
    (void)alloc_fail_nth(0);
    assert_int_equal(room, full);
    assert_int_equal(items[full - 1], 7);
    cc_free(items);
}

/* Blocks that malloc() has mapped by themselves: those that go back when they are freed. */
static size_t mapped(void)
{
    return mallinfo2().hblks;
}

static void test_large_blocks_go_back(void **state)
{
    (void)state;
    size_t none = mapped();
    void *huge = cc_alloc(64u << 20);
    assert_non_null(huge);
    bool is_glibc = mapped() > none; /* a sanitizer brings its own */
    cc_free(huge);
    if (!is_glibc)
        skip();
    alloc_give_back();
    for (size_t size = 16u << 20; size >= 1u << 19; size /= 2) {
        void *block = cc_alloc(size);
        assert_non_null(block);
        assert_int_equal(mapped(), none + 1);
        cc_free(block);
        assert_int_equal(mapped(), none);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_array_grows_by_doubling),
        cmocka_unit_test(test_large_blocks_go_back),
        cmocka_unit_test(test_C07_out_of_memory_leaves_array_and_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
