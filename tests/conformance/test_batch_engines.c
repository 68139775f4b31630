/* Every engine of the batch signer against blst, with the same random batches: of any size, of one root and of many, with
 * edge keys, opposite keys and the same key twice. A few thousand pairs of key and root each; a million with CC_FULL.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/batch_kernel.h"
#include "support/batch_rig.h"
#include "support/test.h"

enum {
    PAIRS = 3000,
    PAIRS_FULL = 1000000
};

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void opposite(struct bls_secret *secret)
{
    blst_fr scalar;
    blst_fr_from_scalar(&scalar, secret_scalar(secret));
    blst_fr_cneg(&scalar, &scalar, true);
    blst_scalar_from_fr((blst_scalar *)(void *)secret, &scalar);
}

/* A random key, or a small one, or one bit or digit, or what is opposite to one of these. */
static void draw_key(uint64_t *state, struct bls_secret *ret_secret)
{
    static const uint64_t small[] = {1, 2, 15, 16, 17, 31, 32, 33, BLS_Z, BLS_Z - 1, UINT64_MAX};
    const uint64_t kind = draw(state) % 8;
    uint8_t bytes[BLS_SECRET_SIZE] = {0};
    if (kind < 5) {
        rig_scalar(draw(state), bytes);
    } else if (kind == 5) {
        const uint64_t k = small[draw(state) % ARRAY_LEN(small)];
        for (size_t i = 0; i < sizeof k; i++)
            bytes[31 - i] = (uint8_t)(k >> (8 * i));
    } else {
        const uint64_t bit = draw(state) % 254;
        bytes[31 - bit / 8] = (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(bls_secret_parse(bytes, ret_secret).code, 0);
    if (draw(state) % 4 == 0)
        opposite(ret_secret);
}

/* A batch of one root, of a few or of as many as it has keys. */
static void draw_batch(struct batch_rig *rig, uint64_t *state)
{
    const uint64_t n = draw(state) % 4 ? 1 + draw(state) % 80 : BATCH_MAX - draw(state) % 3;
    const uint64_t first_root = draw(state);
    const uint64_t roots = draw(state) % 4 ? 1 : draw(state) % 2 ? 3 : n;
    rig_clear(rig);
    for (uint64_t i = 0; i < n; i++) {
        struct bls_secret secret;
        draw_key(state, &secret);
        if (i && draw(state) % 16 == 0)
            secret = rig->keys[draw(state) % i].secret;
        if (i && draw(state) % 16 == 0) {
            secret = rig->keys[draw(state) % i].secret;
            opposite(&secret);
        }
        rig_add_secret(rig, &secret, first_root + i % roots);
    }
}

static void check_engine(const struct batch_kernel *kernel, size_t pairs)
{
    struct batch_rig *rig = rig_new(kernel->engine);
    uint64_t state = 1;
    assert_int_equal(batch_signer_engine(rig->signer), kernel->engine);
    assert_false(batch_signer_self_test_failed(rig->signer));
    while (rig_counts(rig).by_engine[kernel->engine] < pairs) {
        draw_batch(rig, &state);
        rig_sign(rig);
        assert_int_equal(rig_right(rig), rig->n);
    }
    /* No engine was wrong with blst behind it to hide that. */
    const struct batch_counts counts = rig_counts(rig);
    print_message("%s: %llu signatures, %llu by blst\n", kernel->name,
                  (unsigned long long)counts.by_engine[kernel->engine],
                  (unsigned long long)counts.by_engine[BATCH_BLST]);
    assert_int_equal(counts.flagged, 0);
    assert_int_equal(counts.failed_checks, 0);
    rig_free(rig);
}

static void test_T23_random_batches_are_blsts(void **state)
{
    (void)state;
    for (const struct batch_kernel *const *k = batch_kernels; *k; k++) {
        if ((*k)->supported())
            check_engine(*k, getenv("CC_FULL") ? PAIRS_FULL : PAIRS);
        else
            print_message("%s: this processor doesn't have it\n", (*k)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T23_random_batches_are_blsts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
