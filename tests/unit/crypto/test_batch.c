/* The batch signer's outside: groups, refused claims, counts; and its hash cache. */
#include <string.h>

#include "crypto/hash_cache.h"
#include "support/batch_rig.h"
#include "support/test.h"

static void test_groups_by_root(void **state)
{
    (void)state;
    struct batch_rig *rig = rig_new(BATCH_BLST);
    for (size_t i = 0; i < 12; i++)
        rig_add(rig, 100 + i, i % 3);
    rig_sign(rig);
    assert_int_equal(rig_right(rig), 12);
    /* Three roots, three hashes; all of them known the second time. */
    assert_int_equal(rig_counts(rig).hash_misses, 3);
    rig_sign(rig);
    assert_int_equal(rig_counts(rig).hash_misses, 3);
    assert_int_equal(rig_counts(rig).hash_hits, 3);
    assert_int_equal(rig_counts(rig).by_engine[BATCH_BLST], 24);
    rig_free(rig);
}

static void test_sign_nothing_one_and_the_most(void **state)
{
    (void)state;
    struct batch_rig *rig = rig_new(BATCH_BLST);
    rig_sign(rig);
    assert_int_equal(rig_counts(rig).by_engine[BATCH_BLST], 0);
    rig_add(rig, 7, 0);
    rig_sign(rig);
    assert_int_equal(rig_right(rig), 1);
    while (rig->n < BATCH_MAX)
        rig_add(rig, 1000 + rig->n, rig->n);
    rig_sign(rig);
    assert_int_equal(rig_right(rig), BATCH_MAX);
    rig_free(rig);
}

/* T23: k beside r-k, 1, 16, and the same key twice, among honest keys. */
static void test_T23_chosen_keys_spoil_nobodys_batch(void **state)
{
    (void)state;
    static const uint8_t order_less[2][BLS_SECRET_SIZE] = {
        /* r - 5, r - 1 */
        {0x73, 0xed, 0xa7, 0x53, 0x29, 0x9d, 0x7d, 0x48, 0x33, 0x39, 0xd8,
         0x08, 0x09, 0xa1, 0xd8, 0x05, 0x53, 0xbd, 0xa4, 0x02, 0xff, 0xfe,
         0x5b, 0xfe, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xfc},
        {0x73, 0xed, 0xa7, 0x53, 0x29, 0x9d, 0x7d, 0x48, 0x33, 0x39, 0xd8,
         0x08, 0x09, 0xa1, 0xd8, 0x05, 0x53, 0xbd, 0xa4, 0x02, 0xff, 0xfe,
         0x5b, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00},
    };
    for (int engine = 0; engine < BATCH_ENGINE_END; engine++) {
        struct batch_rig *rig = rig_new((enum batch_engine)engine);
        for (size_t i = 0; i < 32; i++)
            rig_add(rig, i % 8 == 0 ? 5 : 1000 + i, 1);
        rig_add_scalar(rig, order_less[0], 1);
        rig_add_scalar(rig, order_less[1], 1);
        rig_add(rig, 1, 1);
        rig_add(rig, 16, 1);
        rig_sign(rig);
        assert_int_equal(rig_right(rig), rig->n);
        for (size_t i = 0; i < 32; i++)
            assert_true(!rig->keys[i].keep_on_blst || i % 8 == 0);
        rig_free(rig);
    }
}

/* Several clients ask for one duty: one signature for all of them, also where only some may have it. */
static void test_a_slot_signs_a_root_once(void **state)
{
    (void)state;
    for (int engine = 0; engine < BATCH_ENGINE_END; engine++) {
        struct batch_rig *rig = rig_new((enum batch_engine)engine);
        for (size_t i = 0; i < 60; i++) {
            rig_add(rig, 100 + i, i % 2);
            if (i >= 20) {
                rig->items[i].secret = rig->items[i % 20].secret;
                rig->items[i].slot_public = rig->items[i % 20].slot_public;
                rig->items[i].claim_public = rig->items[i % 20].slot_public;
            }
        }
        rig->items[0].claim_public = rig->keys[1].public_key;  /* the first of three */
        rig->items[25].claim_public = rig->keys[1].public_key; /* a later one */
        rig_sign(rig);
        assert_int_equal(rig_right(rig), 58);
        assert_int_equal(rig->items[0].error, ERROR_KEY_UNKNOWN);
        assert_int_equal(rig->items[25].error, ERROR_KEY_UNKNOWN);
        const struct batch_counts counts = rig_counts(rig);
        assert_int_equal(counts.by_engine[batch_signer_engine(rig->signer)], 58);
        /* The same slots for another root are not the same signatures. */
        for (size_t i = 40; i < 60; i++)
            rig->roots[i][5] = 1;
        rig_sign(rig);
        assert_int_equal(rig_right(rig), 58);
        rig_free(rig);
    }
}

/* T22: the slot's key is not the one that the request names, in the middle of a batch. */
static void test_T22_another_keys_slot_is_refused_alone(void **state)
{
    (void)state;
    static const uint8_t untouched[BLS_SIGNATURE_SIZE] = {0};
    for (int engine = 0; engine < BATCH_ENGINE_END; engine++) {
        struct batch_rig *rig = rig_new((enum batch_engine)engine);
        for (size_t i = 0; i < 32; i++)
            rig_add(rig, 50 + i, 1);
        rig->items[9].claim_public = rig->keys[10].public_key;
        rig->items[31].slot_public = rig->keys[0].public_key;
        rig_sign(rig);
        assert_int_equal(rig_right(rig), 30);
        assert_int_equal(rig->items[9].error, ERROR_KEY_UNKNOWN);
        assert_int_equal(rig->items[31].error, ERROR_KEY_UNKNOWN);
        assert_memory_equal(rig->signatures[9], untouched, sizeof untouched);
        assert_memory_equal(rig->signatures[31], untouched, sizeof untouched);
        assert_false(rig->keys[9].keep_on_blst);
        rig_free(rig);
    }
}

static void test_hash_cache_keeps_the_last_and_no_more(void **state)
{
    (void)state;
    struct hash_cache *cache = NULL;
    struct bls_hash got;
    struct bls_hash want;
    uint8_t root[BLS_ROOT_SIZE] = {0};
    assert_int_equal(hash_cache_new(&cache).code, 0);
    assert_false(hash_cache_get(cache, root, &got));
    assert_true(hash_cache_get(cache, root, &got));
    bls_hash(root, &want);
    assert_memory_equal(&got, &want, sizeof want);

    /* More roots than there are places, all in the set of the first, which is used between them and stays. */
    for (uint8_t i = 1; i <= 2 * HASH_CACHE_WAYS; i++) {
        root[1] = i;
        assert_false(hash_cache_get(cache, root, &got));
        root[1] = 0;
        assert_true(hash_cache_get(cache, root, &got));
    }
    assert_int_equal(hash_cache_count(cache), HASH_CACHE_WAYS);
    root[1] = 1;
    assert_false(hash_cache_get(cache, root, &got));

    for (size_t i = 0; i < 2 * HASH_CACHE_ROOTS; i++) {
        root[0] = (uint8_t)i;
        root[2] = (uint8_t)(i >> 8);
        (void)hash_cache_get(cache, root, &got);
    }
    assert_int_equal(hash_cache_count(cache), HASH_CACHE_ROOTS);
    bls_hash(root, &want);
    assert_memory_equal(&got, &want, sizeof want);

    assert_true(hash_cache_get(cache, root, &got));
    hash_cache_forget(cache, root);
    assert_false(hash_cache_get(cache, root, &got));
    hash_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_by_root),
        cmocka_unit_test(test_sign_nothing_one_and_the_most),
        cmocka_unit_test(test_T23_chosen_keys_spoil_nobodys_batch),
        cmocka_unit_test(test_a_slot_signs_a_root_once),
        cmocka_unit_test(test_T22_another_keys_slot_is_refused_alone),
        cmocka_unit_test(test_hash_cache_keeps_the_last_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
