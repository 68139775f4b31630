#include <stdlib.h>
#include <string.h>

#include "crypto/sha256.h"
#include "eth/ssz.h"
#include "support/test.h"

static struct eth_root chunk(uint64_t n)
{
    struct eth_root root = ssz_u64(n + 1);
    root.bytes[31] = 7;
    return root;
}

/* merkleize() as the specification writes it: pad for real, then halve. */
static struct eth_root plain_tree(const struct eth_root *chunks, size_t count, unsigned depth)
{
    size_t size = (size_t)1 << depth;
    struct eth_root *level = calloc(size, sizeof(*level));
    assert_non_null(level);
    if (count)
        memcpy(level, chunks, count * sizeof(*chunks));
    for (; size > 1; size /= 2) {
        for (size_t i = 0; i < size / 2; i++)
            level[i] = ssz_pair(&level[2 * i], &level[2 * i + 1]);
    }
    struct eth_root root = level[0];
    free(level);
    return root;
}

/* merkleize_progressive() as EIP-7916 writes it. */
static struct eth_root
plain_progressive(const struct eth_root *chunks, size_t count, unsigned depth)
{
    struct eth_root rest = {{0}};
    if (count == 0)
        return rest;
    size_t here = count < (size_t)1 << depth ? count : (size_t)1 << depth;
    struct eth_root first = plain_tree(chunks, here, depth);
    rest = plain_progressive(chunks + here, count - here, depth + 2);
    return ssz_pair(&first, &rest);
}

static void test_sha256_known_answers(void **state)
{
    (void)state;
    static const uint8_t empty[4] = {0xe3, 0xb0, 0xc4, 0x42};
    static const uint8_t abc[4] = {0xba, 0x78, 0x16, 0xbf};
    uint8_t digest[32];
    uint8_t pair[64] = {0};
    sha256(span_of(NULL, 0), digest);
    assert_memory_equal(digest, empty, 4);
    sha256(span_str("abc"), digest);
    assert_memory_equal(digest, abc, 4);
    sha256(span_of(pair, 64), digest);
    sha256_pair(pair, pair);
    assert_memory_equal(pair, digest, 32);
}

static void test_zero_trees(void **state)
{
    (void)state;
    struct ssz_tree tree;
    struct eth_root zero = {{0}};
    ssz_tree_init(&tree);
    for (unsigned depth = 0; depth <= SSZ_DEPTH_MAX; depth++) {
        struct eth_root root = ssz_tree_root(&tree, depth);
        assert_memory_equal(root.bytes, zero.bytes, 32);
        zero = ssz_pair(&zero, &zero);
    }
}

static void test_trees_of_every_small_size(void **state)
{
    (void)state;
    struct eth_root chunks[70];
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++)
        chunks[i] = chunk(i);
    for (size_t count = 0; count <= ARRAY_LEN(chunks); count++) {
        struct ssz_tree tree;
        ssz_tree_init(&tree);
        for (size_t i = 0; i < count; i++)
            ssz_tree_add(&tree, &chunks[i]);
        for (unsigned depth = ssz_depth(count); depth <= 9; depth++) {
            struct eth_root root = ssz_tree_root(&tree, depth);
            struct eth_root expected = plain_tree(chunks, count, depth);
            assert_memory_equal(root.bytes, expected.bytes, 32);
        }
    }
}

static void test_progressive_trees(void **state)
{
    (void)state;
    enum {
        MOST = 1400
    };
    struct eth_root *chunks = calloc(MOST, sizeof(*chunks));
    struct ssz_progressive progressive;
    assert_non_null(chunks);
    ssz_progressive_init(&progressive);
    for (size_t count = 0; count < MOST; count++) {
        if (count < 90 || count > 335) {
            struct eth_root root = ssz_progressive_root(&progressive);
            struct eth_root expected = plain_progressive(chunks, count, 0);
            assert_memory_equal(root.bytes, expected.bytes, 32);
        }
        chunks[count] = chunk(count);
        ssz_progressive_add(&progressive, &chunks[count]);
    }
    free(chunks);
}

static void test_depths(void **state)
{
    (void)state;
    static const struct {
        uint64_t limit;
        unsigned depth;
    } cases[] = {{0, 0}, {1, 0},  {2, 1},   {3, 2},    {4, 2},
                 {5, 3}, {33, 6}, {512, 9}, {513, 10}, {1ull << 32, 32}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(ssz_depth(cases[i].limit), cases[i].depth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_known_answers),
        cmocka_unit_test(test_zero_trees),
        cmocka_unit_test(test_trees_of_every_small_size),
        cmocka_unit_test(test_progressive_trees),
        cmocka_unit_test(test_depths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
