/* The lane code, native and in plain C, against blst: field by field at its edges, scalars at theirs, and what a fault
 * makes of it.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/lane.h"
#include "crypto/random.h"
#include "crypto/weighted_sum.h"
#include "support/batch_rig.h"
#include "support/test.h"

/* Keys that are signed together, and what they are signed with. */
struct row {
    const struct lane_ops *ops;
    struct bls_hash hash;
    struct lane_table *table;
    struct lane_scratch *scratch;
    blst_fp blinds[LANE_BLINDS];
    size_t n;
    struct bls_secret secrets[LANE_KEYS];
    struct scalar_split splits[LANE_KEYS];
    blst_p2_affine points[LANE_KEYS];
};

static void *aligned(size_t size)
{
    void *p = aligned_alloc(LANE_ALIGN, size);
    assert_non_null(p);
    return p;
}

static struct row *row_new(const struct lane_ops *ops, uint8_t root)
{
    struct row *row = calloc(1, sizeof *row);
    assert_non_null(row);
    row->ops = ops;
    row->table = aligned(LANE_TABLE_SIZE);
    row->scratch = aligned(LANE_SCRATCH_SIZE);
    assert_int_equal(random_bytes(row->blinds, sizeof row->blinds).code, 0);
    for (size_t i = 0; i < LANE_BLINDS; i++)
        row->blinds[i].l[5] >>= 4;
    bls_hash((const uint8_t[BLS_ROOT_SIZE]){root}, &row->hash);
    ops->table_build(row->table, hash_point(&row->hash), row->scratch);
    return row;
}

static void row_free(struct row *row)
{
    free(row->table);
    free(row->scratch);
    free(row);
}

static uint64_t row_sign(struct row *row)
{
    for (size_t i = 0; i < row->n; i++)
        scalar_split(&row->secrets[i], &row->splits[i]);
    return row->ops->sign_same(row->table, row->splits, row->n, row->blinds, row->scratch,
                               row->points);
}

/* Signs what was added, compares it with blst and empties the row. */
static void row_end(struct row *row)
{
    if (row->n == 0)
        return;
    assert_true(row_sign(row) == 0);
    for (size_t i = 0; i < row->n; i++) {
        uint8_t want[BLS_SIGNATURE_SIZE];
        uint8_t got[BLS_SIGNATURE_SIZE];
        bls_sign(&row->secrets[i], &row->hash, want);
        blst_p2_affine_compress(got, &row->points[i]);
        assert_memory_equal(got, want, sizeof want);
    }
    row->n = 0;
}

static void row_add(struct row *row, const struct bls_secret *secret)
{
    row->secrets[row->n++] = *secret;
    if (row->n == LANE_KEYS)
        row_end(row);
}

/* A scalar and its opposite, r - k. */
static void row_add_both(struct row *row, const uint8_t big_endian[static BLS_SECRET_SIZE])
{
    struct bls_secret secret;
    blst_fr scalar;
    if (bls_secret_parse(big_endian, &secret).code)
        return;
    row_add(row, &secret);
    blst_fr_from_scalar(&scalar, secret_scalar(&secret));
    blst_fr_cneg(&scalar, &scalar, true);
    blst_scalar_from_fr((blst_scalar *)(void *)&secret, &scalar);
    row_add(row, &secret);
}

static void row_add_random(struct row *row, uint64_t seed)
{
    uint8_t bytes[BLS_SECRET_SIZE];
    struct bls_secret secret;
    rig_scalar(seed, bytes);
    assert_int_equal(bls_secret_parse(bytes, &secret).code, 0);
    row_add(row, &secret);
}

static void skip_without_lanes(void)
{
    if (!lane_supported()) {
        print_message("no AVX-512 IFMA here: only the plain form is tested\n");
        skip();
    }
}

/* 1 to 70, each power of two and its neighbours, bits alone in all 255 places; and r minus each of them. */
static void test_C04_T23_small_scalars_and_their_opposites(void **state)
{
    (void)state;
    skip_without_lanes();
    struct row *row = row_new(&lane_native, 1);
    for (unsigned k = 1; k <= 70; k++)
        row_add_both(row, (const uint8_t[BLS_SECRET_SIZE]){[31] = (uint8_t)k});
    for (unsigned bit = 0; bit < 255; bit++) {
        uint8_t bytes[BLS_SECRET_SIZE] = {0};
        bytes[31 - bit / 8] = (uint8_t)(1U << bit % 8);
        row_add_both(row, bytes);
        bytes[31] |= 1;
        row_add_both(row, bytes);
        for (size_t i = 31 - bit / 8 + 1; i < sizeof bytes; i++)
            bytes[i] = 0xff;
        row_add_both(row, bytes);
    }
    row_end(row);
    row_free(row);
}

/* Parts with a zero digit in each window, alone and with all that is below or above; all parts equal; zero parts. */
static void test_C04_T23_edges_of_parts_and_digits(void **state)
{
    (void)state;
    skip_without_lanes();
    struct row *row = row_new(&lane_native, 2);
    const uint64_t ones = UINT64_C(0x41041041041041);
    for (unsigned j = 0; j < 11; j++) {
        const uint64_t window = UINT64_C(63) << (6 * j);
        const uint64_t edges[] = {ones & ~window, ones & window, ones & (window - 1), ones | window,
                                  0};
        for (size_t i = 0; i < ARRAY_LEN(edges) * ARRAY_LEN(edges); i++) {
            const uint64_t a = edges[i % ARRAY_LEN(edges)];
            const uint64_t b = edges[i / ARRAY_LEN(edges)];
            row->splits[row->n++] = (struct scalar_split){{a, b, a, b >> 1}};
            if (row->n < LANE_KEYS && i + 1 < ARRAY_LEN(edges) * ARRAY_LEN(edges))
                continue;
            blst_p2_affine got[LANE_KEYS];
            (void)row->ops->sign_same(row->table, row->splits, row->n, row->blinds, row->scratch,
                                      got);
            for (size_t k = 0; k < row->n; k++) {
                blst_p2 sum = {0};
                blst_p2 term;
                for (size_t part = SPLIT_PARTS; part-- > 0;) {
                    const uint64_t z = BLS_Z;
                    blst_p2_mult(&sum, &sum, (const uint8_t *)&z, 64);
                    blst_p2_mult(&term, hash_point(&row->hash),
                                 (const uint8_t *)&row->splits[k].part[part], 64);
                    blst_p2_add_or_double(&sum, &sum, &term);
                }
                if (blst_p2_is_inf(&sum))
                    continue;
                blst_p2_affine want;
                blst_p2_to_affine(&want, &sum);
                assert_true(blst_p2_affine_is_equal(&got[k], &want));
            }
            row->n = 0;
        }
    }
    row_free(row);
}

/* Thousands of pairs of key and root, in batches of every size; a million with CC_FULL. */
static void test_random_pairs_against_blst(void **state)
{
    (void)state;
    skip_without_lanes();
    const size_t roots = getenv("CC_FULL") ? 250 : 4;
    for (size_t r = 0; r < roots; r++) {
        struct row *row = row_new(&lane_native, (uint8_t)r);
        const size_t batches = getenv("CC_FULL") ? 62 : 20;
        for (size_t b = 0; b < batches; b++) {
            const size_t n = getenv("CC_FULL") ? LANE_KEYS : (b * 13 + r) % LANE_KEYS + 1;
            for (size_t i = 0; i < n; i++)
                row_add_random(row, (r * batches + b) * LANE_KEYS + i);
            row_end(row);
        }
        row_free(row);
    }
}

/* Each key with its own root: edges and random keys, batches of every size, the same key and root twice. */
static void check_each(const struct lane_ops *ops, size_t n, uint64_t seed)
{
    static struct bls_hash hashes[LANE_KEYS];
    const struct bls_hash *list[LANE_KEYS];
    struct row *row = row_new(ops, 1);
    for (size_t i = 0; i < n; i++) {
        const size_t twin = i % 16 == 15 ? i - 8 : i;
        const uint8_t small[BLS_SECRET_SIZE] = {[31] = (uint8_t)(1 + twin)};
        uint8_t bytes[BLS_SECRET_SIZE];
        rig_scalar(seed + twin, bytes);
        assert_int_equal(bls_secret_parse(twin % 3 ? bytes : small, &row->secrets[i]).code, 0);
        scalar_split(&row->secrets[i], &row->splits[i]);
        bls_hash((const uint8_t[BLS_ROOT_SIZE]){(uint8_t)twin, (uint8_t)seed}, &hashes[i]);
        list[i] = &hashes[i];
    }
    assert_true(ops->sign_each(list, row->splits, n, row->blinds, row->scratch, row->points) == 0);
    for (size_t i = 0; i < n; i++) {
        uint8_t want[BLS_SIGNATURE_SIZE];
        uint8_t got[BLS_SIGNATURE_SIZE];
        bls_sign(&row->secrets[i], &hashes[i], want);
        blst_p2_affine_compress(got, &row->points[i]);
        assert_memory_equal(got, want, sizeof want);
    }
    row_free(row);
}

static void test_C04_different_roots_against_blst(void **state)
{
    (void)state;
    check_each(&lane_plain, 9, 1);
    skip_without_lanes();
    for (size_t n = 1; n <= LANE_KEYS; n += getenv("CC_FULL") ? 1 : 9)
        check_each(&lane_native, n, n);
    check_each(&lane_native, LANE_KEYS, 77);
}

static void check_weighted(const struct lane_ops *ops, const blst_p2_affine *points, size_t n)
{
    static uint64_t weights[LANE_SUM_MAX];
    struct lane_scratch *scratch = aligned(LANE_SCRATCH_SIZE);
    blst_p2 want = {0};
    blst_p2 got;
    assert_int_equal(weights_draw(weights, n).code, 0);
    weights[0] = UINT64_MAX;
    weights[n / 2] = 1;
    for (size_t i = 0; i < n; i++) {
        blst_p2 term;
        blst_p2_from_affine(&term, &points[i]);
        blst_p2_mult(&term, &term, (const uint8_t *)&weights[i], 64);
        blst_p2_add_or_double(&want, &want, &term);
    }
    assert_true(ops->weighted_sum(points, weights, n, scratch, &got) == 0);
    assert_true(blst_p2_is_equal(&got, &want));
    free(scratch);
}

static void test_weighted_sums_against_blst(void **state)
{
    (void)state;
    static blst_p2_affine points[LANE_SUM_MAX];
    for (size_t i = 0; i < LANE_SUM_MAX; i++) {
        struct bls_hash hash;
        bls_hash((const uint8_t[BLS_ROOT_SIZE]){(uint8_t)i, 9}, &hash);
        blst_p2_to_affine(&points[i], hash_point(&hash));
    }
    check_weighted(&lane_plain, points, 35);
    skip_without_lanes();
    for (size_t n = 1; n <= LANE_SUM_MAX; n += n < 34 ? 1 : 37)
        check_weighted(&lane_native, points, n);
    check_weighted(&lane_native, points, LANE_SUM_MAX);
}

/* One key twice, or k and r - k, in lanes that are paired. */
static void test_weighted_sums_flag_what_they_cannot_add(void **state)
{
    (void)state;
    const struct lane_ops *ops = lane_supported() ? &lane_native : &lane_plain;
    struct lane_scratch *scratch = aligned(LANE_SCRATCH_SIZE);
    blst_p2_affine points[16];
    uint64_t weights[16];
    blst_p2 sum;
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        struct bls_hash hash;
        bls_hash((const uint8_t[BLS_ROOT_SIZE]){(uint8_t)i, 9}, &hash);
        blst_p2_to_affine(&points[i], hash_point(&hash));
        weights[i] = 2 * i + 1;
    }
    points[11] = points[3];
    assert_true(ops->weighted_sum(points, weights, ARRAY_LEN(points), scratch, &sum) != 0);
    blst_fp2_cneg(&points[11].y, &points[11].y, true);
    assert_true(ops->weighted_sum(points, weights, ARRAY_LEN(points), scratch, &sum) != 0);
    free(scratch);
}

/* The plain form is right, and the native one gives the same bytes, table and points. */
static void test_plain_and_native_agree(void **state)
{
    (void)state;
    struct row *plain = row_new(&lane_plain, 5);
    for (size_t i = 0; i < 11; i++)
        row_add_random(plain, i);
    plain->n = 11;
    assert_true(row_sign(plain) == 0);
    if (lane_supported()) {
        struct row *native = row_new(&lane_native, 5);
        for (size_t i = 0; i < 11; i++)
            row_add_random(native, i);
        assert_true(row_sign(native) == 0);
        assert_memory_equal(native->table, plain->table, LANE_TABLE_SIZE);
        assert_memory_equal(native->points, plain->points, 11 * sizeof *plain->points);
        row_free(native);
    }
    row_end(plain);
    row_free(plain);
}

/* A fault can make points equal or opposite that never are: here the second row of a table becomes the first, so that
 * 65 adds a point to itself and 63 takes it away from itself.
 */
static void test_C05_T22_exceptional_additions_are_flagged(void **state)
{
    (void)state;
    const struct lane_ops *forms[] = {&lane_plain, lane_supported() ? &lane_native : &lane_plain};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct row *row = row_new(forms[i], 6);
        uint8_t *bytes = (uint8_t *)row->table;
        const size_t row_size = LANE_TABLE_SIZE / 11;
        memcpy(bytes + row_size, bytes, row_size);
        for (uint8_t k = 63; k <= 65; k++) {
            const uint8_t scalar[BLS_SECRET_SIZE] = {[31] = k};
            row->n = 2;
            assert_int_equal(bls_secret_parse(scalar, &row->secrets[0]).code, 0);
            row->secrets[1] = row->secrets[0];
            assert_int_equal(row_sign(row) != 0, k != 64);
        }
        row_free(row);
    }
}

static bool is_zero(const struct lane_scratch *scratch)
{
    const uint64_t *words = (const uint64_t *)(const void *)scratch;
    uint64_t bits = 0;
    for (size_t i = 0; i < LANE_SCRATCH_SIZE / sizeof *words; i++)
        bits |= words[i];
    return bits == 0;
}

/* Nothing of a signature stays in the scratch. */
static void test_scratch_is_wiped(void **state)
{
    (void)state;
    struct row *row = row_new(lane_supported() ? &lane_native : &lane_plain, 7);
    memset(row->scratch, 0, LANE_SCRATCH_SIZE);
    row_add_random(row, 1);
    row_end(row);
    assert_true(is_zero(row->scratch));
    row_add_random(row, 1);
    const struct bls_hash *hashes[] = {&row->hash};
    scalar_split(&row->secrets[0], &row->splits[0]);
    assert_true(
        row->ops->sign_each(hashes, row->splits, 1, row->blinds, row->scratch, row->points) == 0);
    assert_true(is_zero(row->scratch));
    row_free(row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C04_T23_small_scalars_and_their_opposites),
        cmocka_unit_test(test_C04_T23_edges_of_parts_and_digits),
        cmocka_unit_test(test_random_pairs_against_blst),
        cmocka_unit_test(test_C04_different_roots_against_blst),
        cmocka_unit_test(test_weighted_sums_against_blst),
        cmocka_unit_test(test_weighted_sums_flag_what_they_cannot_add),
        cmocka_unit_test(test_plain_and_native_agree),
        cmocka_unit_test(test_C05_T22_exceptional_additions_are_flagged),
        cmocka_unit_test(test_scratch_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
