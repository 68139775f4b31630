#include "crypto/batch_engines.h"

#include <string.h>

#include "crypto/batch_check.h"
#include "secret/arena.h"

const struct batch_kernel *const batch_kernels[] = {&lane_kernel, &comb_kernel, NULL};

enum {
    TEST_KEYS = 12
};

/* What a test signs with, in locked memory as in earnest. */
struct engine_test {
    struct bls_secret secrets[TEST_KEYS];
    struct batch_item items[TEST_KEYS];
    struct bls_hash hash;
    struct bls_hash hashes[TEST_KEYS];
    const struct bls_hash *hash_list[TEST_KEYS];
    struct batch_made made;
    _Alignas(64) uint8_t scratch[];
};

/* 1, 2, 3, 16, r - 1, and keys with bits everywhere. */
static void make_keys(struct engine_test *test)
{
    static const uint8_t last[BLS_SECRET_SIZE] = {
        0x73, 0xed, 0xa7, 0x53, 0x29, 0x9d, 0x7d, 0x48, 0x33, 0x39, 0xd8, 0x08, 0x09, 0xa1,
        0xd8, 0x05, 0x53, 0xbd, 0xa4, 0x02, 0xff, 0xfe, 0x5b, 0xfe, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t small[] = {1, 2, 3, 16};
    for (size_t i = 0; i < TEST_KEYS; i++) {
        uint8_t bytes[BLS_SECRET_SIZE] = {0};
        for (size_t b = 0; i > ARRAY_LEN(small) && b < sizeof bytes; b++)
            bytes[b] = (uint8_t)((37 * i + 101 * b) % (b ? 256 : 0x70));
        if (i < ARRAY_LEN(small))
            bytes[BLS_SECRET_SIZE - 1] = small[i];
        else if (i == ARRAY_LEN(small))
            memcpy(bytes, last, sizeof bytes);
        cc_assert(!bls_secret_parse(bytes, &test->secrets[i]).code);
        scalar_split(&test->secrets[i], &test->made.splits[i]);
        test->items[i].secret = &test->secrets[i];
        test->made.item[i] = (uint16_t)i;
        bls_hash((const uint8_t[BLS_ROOT_SIZE]){(uint8_t)i, 1}, &test->hashes[i]);
        test->hash_list[i] = &test->hashes[i];
    }
    test->made.n = TEST_KEYS;
    test->hash = test->hashes[0];
}

/* Did the engine make what blst makes? */
static bool is_right(const struct engine_test *test, bool same)
{
    for (size_t i = 0; i < TEST_KEYS; i++) {
        uint8_t want[BLS_SIGNATURE_SIZE];
        bls_sign(&test->secrets[i], same ? &test->hash : test->hash_list[i], want);
        if (test->made.flags[i] || !batch_check_output(want, &test->made.points[i]))
            return false;
    }
    return true;
}

static bool same_root_works(const struct batch_kernel *kernel, struct engine_test *test)
{
    struct batch_made *made = &test->made;
    kernel->prepare(test->scratch, &test->hash);
    if (kernel->sign_same(test->scratch, made->splits, TEST_KEYS, made->points, made->flags).code ||
        !is_right(test, true))
        return false;
    if (!batch_check_same_root(kernel, test->scratch, test->items, made, &test->hash))
        return false;
    /* Right points, but not of these keys: the check has to see it. */
    const blst_p2_affine first = made->points[0];
    made->points[0] = made->points[1];
    made->points[1] = first;
    return !batch_check_same_root(kernel, test->scratch, test->items, made, &test->hash);
}

static bool different_roots_work(const struct batch_kernel *kernel, struct engine_test *test)
{
    struct batch_made *made = &test->made;
    return !kernel
                ->sign_different(test->scratch, made->splits, test->hash_list, TEST_KEYS,
                                 made->points, made->flags)
                .code &&
           is_right(test, false);
}

static CC_ERR test_kernel(const struct batch_kernel *kernel, bool *ret_works)
{
    const size_t size = sizeof(struct engine_test) + kernel->scratch_size;
    void *region = NULL;
    CC_TRY(secret_map(size, &region));
    struct engine_test *test = region;
    make_keys(test);
    *ret_works = (!kernel->same_root_min || same_root_works(kernel, test)) &&
                 (!kernel->different_roots_min || different_roots_work(kernel, test));
    secret_unmap(region, size);
    return CC_OK;
}

static bool is_wanted(enum batch_engine wanted, const struct batch_kernel *kernel)
{
    return wanted == BATCH_AUTO || wanted == kernel->engine;
}

CC_ERR batch_engines_choose(enum batch_engine wanted, struct batch_engines *ret_engines)
{
    struct batch_engines chosen = {.n = 0};
    for (const struct batch_kernel *const *k = batch_kernels; *k; k++) {
        bool works = false;
        if (!is_wanted(wanted, *k) || !(*k)->supported())
            continue;
        CC_TRY(test_kernel(*k, &works));
        if (works)
            chosen.use[chosen.n++] = *k;
        else
            chosen.self_test_failed = true;
    }
    *ret_engines = chosen;
    return CC_OK;
}

const struct batch_kernel *batch_engines_same(const struct batch_engines *engines, size_t n)
{
    for (size_t i = 0; i < engines->n; i++) {
        const struct batch_kernel *kernel = engines->use[i];
        if (kernel->same_root_min && n >= kernel->same_root_min)
            return kernel;
        if (kernel->different_roots_min && n >= kernel->different_roots_min)
            return NULL; /* it is faster with these as part of a mixture than the engines after it */
    }
    return NULL;
}

const struct batch_kernel *batch_engines_different(const struct batch_engines *engines, size_t n)
{
    for (size_t i = 0; i < engines->n; i++) {
        const struct batch_kernel *kernel = engines->use[i];
        if (kernel->different_roots_min && n >= kernel->different_roots_min)
            return kernel;
    }
    return NULL;
}

size_t batch_engines_scratch(const struct batch_engines *engines)
{
    size_t most = 0;
    for (size_t i = 0; i < engines->n; i++) {
        if (engines->use[i]->scratch_size > most)
            most = engines->use[i]->scratch_size;
    }
    return most;
}
