/* Parts and digits of scalars, the endomorphism, and the comb's points against blst's, over all edges of the scalars. */
#include <stdlib.h>
#include <string.h>

#include "crypto/comb.h"
#include "crypto/random.h"
#include "support/batch_rig.h"
#include "support/test.h"

__extension__ typedef unsigned __int128 wide;

/* Little-endian limbs of a sum of parts times powers of Z. */
static void join(const uint64_t part[static SPLIT_PARTS], uint64_t ret_limbs[static SPLIT_PARTS])
{
    memset(ret_limbs, 0, SPLIT_PARTS * sizeof *ret_limbs);
    for (size_t i = SPLIT_PARTS; i-- > 0;) {
        wide carry = part[i];
        for (size_t limb = 0; limb < SPLIT_PARTS; limb++) {
            carry += (wide)ret_limbs[limb] * BLS_Z;
            ret_limbs[limb] = (uint64_t)carry;
            carry >>= 64;
        }
        assert_true(carry == 0);
    }
}

/* False when the parts don't make a secret key. */
static bool secret_of(const uint64_t part[static SPLIT_PARTS], struct bls_secret *ret_secret)
{
    uint64_t limbs[SPLIT_PARTS];
    uint8_t bytes[BLS_SECRET_SIZE];
    join(part, limbs);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[31 - i] = (uint8_t)(limbs[i / 8] >> (8 * (i % 8)));
    return !bls_secret_parse(bytes, ret_secret).code;
}

static void secret_from(uint64_t seed, struct bls_secret *ret_secret)
{
    uint8_t bytes[BLS_SECRET_SIZE];
    rig_scalar(seed, bytes);
    assert_int_equal(bls_secret_parse(bytes, ret_secret).code, 0);
}

static void test_parts_make_the_scalar(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct bls_secret secret;
        struct bls_secret again;
        struct scalar_split split;
        secret_from(seed, &secret);
        scalar_split(&secret, &split);
        for (size_t i = 0; i < SPLIT_PARTS; i++)
            assert_true(split.part[i] < BLS_Z);
        assert_true(secret_of(split.part, &again));
        assert_memory_equal(&again, &secret, sizeof secret);
    }
}

static void test_digits_make_the_part(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        const uint64_t part = i < 1000   ? i
                              : i < 2000 ? 1999 - i - 1
                                         : i * UINT64_C(0x9e3779b97f4a7c15);
        wide sum = 0;
        for (unsigned j = SPLIT_DIGITS; j-- > 0;) {
            const struct split_digit digit = split_digit(part, j);
            assert_true(digit.size <= SPLIT_LARGEST);
            assert_true(digit.negative == 0 || digit.negative == UINT64_MAX);
            sum = sum * 32 + (digit.negative ? -(wide)digit.size : digit.size);
        }
        assert_true(sum == part);
    }
}

static void to_affine(const blst_p2 *point, blst_p2_affine *ret_affine)
{
    blst_p2_to_affine(ret_affine, point);
}

static void test_the_endomorphism_multiplies_by_z(void **state)
{
    (void)state;
    static const uint8_t z[8] = {0, 0, 1, 0, 0, 0, 1, 0xd2};
    struct bls_hash hash;
    for (uint8_t i = 0; i < 50; i++) {
        blst_p2_affine point;
        blst_p2_affine want;
        blst_p2 product;
        bls_hash((const uint8_t[BLS_ROOT_SIZE]){i}, &hash);
        blst_p2_mult(&product, hash_point(&hash), z, 64);
        to_affine(&product, &want);
        to_affine(hash_point(&hash), &point);
        affine_mul_by_z(&point, &point);
        assert_true(blst_p2_affine_is_equal(&point, &want));
    }
}

/* A walk's surroundings. */
struct walk {
    struct bls_hash hash;
    struct comb_table table;
    struct comb_scratch scratch;
    size_t n;
    struct bls_secret secrets[COMB_KEYS];
    struct scalar_split splits[COMB_KEYS];
    blst_p2_affine points[COMB_KEYS];
    uint64_t flags[COMB_KEYS];
};

static struct walk *walk_new(uint8_t root)
{
    struct walk *w = calloc(1, sizeof *w);
    assert_non_null(w);
    bls_hash((const uint8_t[BLS_ROOT_SIZE]){root}, &w->hash);
    comb_table_build(&w->table, &w->hash, &w->scratch);
    return w;
}

/* Signs what was added, compares it with blst and empties the walk. */
static void walk_end(struct walk *w)
{
    assert_int_equal(random_bytes(w->scratch.blinds, sizeof w->scratch.blinds).code, 0);
    for (size_t i = 0; i < COMB_BLINDS; i++)
        w->scratch.blinds[i].l[5] >>= 4;
    for (size_t i = 0; i < w->n; i++)
        scalar_split(&w->secrets[i], &w->splits[i]);
    comb_sign(&w->table, w->splits, w->n, &w->scratch, w->points, w->flags);
    for (size_t i = 0; i < w->n; i++) {
        uint8_t want[BLS_SIGNATURE_SIZE];
        uint8_t got[BLS_SIGNATURE_SIZE];
        bls_sign(&w->secrets[i], &w->hash, want);
        blst_p2_affine_compress(got, &w->points[i]);
        assert_memory_equal(got, want, sizeof want);
        assert_true(w->flags[i] == 0);
    }
    w->n = 0;
}

static void walk_add(struct walk *w, const struct bls_secret *secret)
{
    w->secrets[w->n++] = *secret;
    if (w->n == COMB_KEYS)
        walk_end(w);
}

static void walk_add_parts(struct walk *w, const uint64_t part[static SPLIT_PARTS])
{
    struct bls_secret secret;
    if (secret_of(part, &secret))
        walk_add(w, &secret);
}

static void test_table_holds_the_multiples(void **state)
{
    (void)state;
    struct walk *w = walk_new(1);
    for (size_t j = 0; j < SPLIT_DIGITS; j++) {
        for (size_t e = 0; e < SPLIT_LARGEST; e++) {
            const wide scalar = (wide)(e + 1) << (SPLIT_WINDOW * j);
            blst_p2 product;
            blst_p2_affine want;
            blst_p2_mult(&product, hash_point(&w->hash), (const uint8_t *)&scalar, 128);
            to_affine(&product, &want);
            assert_true(blst_p2_affine_is_equal(&w->table.entry[j][e], &want));
        }
    }
    free(w);
}

/* 1 to 40, each power of two and its neighbours, and r minus each of them. */
static void test_C04_T23_small_scalars_and_their_opposites(void **state)
{
    (void)state;
    struct walk *w = walk_new(2);
    for (uint64_t i = 1; i <= 40 + 3 * 64; i++) {
        const uint64_t k = i <= 40 ? i : (UINT64_C(1) << ((i - 41) / 3)) + (i - 41) % 3 - 1;
        uint8_t bytes[BLS_SECRET_SIZE] = {0};
        struct bls_secret secret;
        blst_fr scalar;
        for (size_t b = 0; b < 8; b++)
            bytes[31 - b] = (uint8_t)(k >> (8 * b));
        if (bls_secret_parse(bytes, &secret).code)
            continue;
        walk_add(w, &secret);
        blst_fr_from_scalar(&scalar, secret_scalar(&secret));
        blst_fr_cneg(&scalar, &scalar, true);
        blst_scalar_from_fr((blst_scalar *)(void *)&secret, &scalar);
        walk_add(w, &secret);
    }
    walk_end(w);
    free(w);
}

/* Every part at its edges, in all combinations: zero parts, equal parts, equal partial sums. */
static void test_C04_T23_edges_of_the_parts(void **state)
{
    (void)state;
    static const uint64_t edges[] = {
        0,  1,  2,         15,        16,         17,
        31, 32, BLS_Z - 1, BLS_Z - 2, BLS_Z >> 1, UINT64_C(0x8421084210842108)};
    enum {
        EDGES = ARRAY_LEN(edges)
    };
    struct walk *w = walk_new(3);
    for (size_t i = 0; i < (size_t)EDGES * EDGES * EDGES * EDGES; i += getenv("CC_FULL") ? 1 : 7)
        walk_add_parts(w, (const uint64_t[]){edges[i % EDGES], edges[i / EDGES % EDGES],
                                             edges[i / EDGES / EDGES % EDGES],
                                             edges[i / EDGES / EDGES / EDGES]});
    walk_end(w);
    free(w);
}

/* A digit of zero in each window of each part, alone and with all lower or all higher ones. */
static void test_C04_T23_zero_digits_in_each_window(void **state)
{
    (void)state;
    struct walk *w = walk_new(4);
    for (size_t i = 0; i < SPLIT_PARTS; i++) {
        for (unsigned j = 0; j < SPLIT_DIGITS; j++) {
            const uint64_t ones = UINT64_C(0x4210842108421084) >> 2; /* every digit is 1 */
            const unsigned shift = SPLIT_WINDOW * j;
            const uint64_t kept[3] = {ones & ~(UINT64_C(31) << shift), ones >> shift << shift,
                                      ones & ((UINT64_C(1) << shift) - 1)};
            for (size_t k = 0; k < 3; k++) {
                uint64_t part[SPLIT_PARTS] = {ones, ones, ones, ones};
                part[i] = kept[k];
                walk_add_parts(w, part);
            }
        }
    }
    walk_end(w);
    free(w);
}

/* A few thousand pairs of key and root; a million with CC_FULL. */
static void test_C04_random_pairs_against_blst(void **state)
{
    (void)state;
    const size_t roots = getenv("CC_FULL") ? 250 : 4;
    const size_t keys = getenv("CC_FULL") ? 4000 : 640;
    for (size_t r = 0; r < roots; r++) {
        struct walk *w = walk_new((uint8_t)r);
        for (size_t i = 0; i < keys; i++) {
            struct bls_secret secret;
            secret_from(r * keys + i, &secret);
            walk_add(w, &secret);
        }
        free(w);
    }
}

/* What a fault can bring about: points that are equal or opposite where none should be. Flagged, and no other spoilt. */
static void test_T22_exceptional_sums_are_flagged_alone(void **state)
{
    (void)state;
    struct walk *w = walk_new(5);
    for (uint64_t i = 0; i < 8; i++) {
        secret_from(i, &w->secrets[i]);
        scalar_split(&w->secrets[i], &w->splits[i]);
    }
    /* Key 3's second digit is 1, its first is 1: with the first row's entry in place of the second's the points are equal. */
    w->splits[3] = (struct scalar_split){.part = {33}};
    w->splits[4] = (struct scalar_split){.part = {32 - 1}};
    for (size_t i = 0; i < 8; i++) {
        if (i != 3 && i != 4)
            w->splits[i].part[0] = (w->splits[i].part[0] & ~UINT64_C(0x3ff)) | (2 + i) << 5 | 20;
    }
    w->table.entry[1][0] = w->table.entry[0][0];
    comb_sign(&w->table, w->splits, 8, &w->scratch, w->points, w->flags);
    for (size_t i = 0; i < 8; i++)
        assert_true((w->flags[i] != 0) == (i == 3 || i == 4));
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_make_the_scalar),
        cmocka_unit_test(test_digits_make_the_part),
        cmocka_unit_test(test_the_endomorphism_multiplies_by_z),
        cmocka_unit_test(test_table_holds_the_multiples),
        cmocka_unit_test(test_C04_T23_small_scalars_and_their_opposites),
        cmocka_unit_test(test_C04_T23_edges_of_the_parts),
        cmocka_unit_test(test_C04_T23_zero_digits_in_each_window),
        cmocka_unit_test(test_C04_random_pairs_against_blst),
        cmocka_unit_test(test_T22_exceptional_sums_are_flagged_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
