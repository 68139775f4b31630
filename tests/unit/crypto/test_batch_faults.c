/* Threats T22, T23: whatever is damaged at whatever stage of a batch, every signature that comes out is blst's. */
#include <stdlib.h>
#include <string.h>

#include "crypto/batch_fault.h"
#include "crypto/batch_kernel.h"
#include "crypto/comb.h"
#include "support/batch_rig.h"
#include "support/test.h"

enum {
    KEYS = 24
};

static unsigned damaged; /* how often a stage was damaged */

typedef void engine_test(struct batch_rig *rig);

static bool signs_one_root(const struct batch_kernel *kernel)
{
    return kernel->same_root_min != 0;
}

static bool signs_different_roots(const struct batch_kernel *kernel)
{
    return kernel->different_roots_min != 0;
}

/* Runs the test with each engine of this processor that can do it, and a batch of fresh keys with one root. */
static void each_engine(bool can(const struct batch_kernel *kernel), engine_test *test)
{
    for (const struct batch_kernel *const *k = batch_kernels; *k; k++) {
        if (!(*k)->supported() || !can(*k))
            continue;
        struct batch_rig *rig = rig_new((*k)->engine);
        assert_int_equal(batch_signer_engine(rig->signer), (*k)->engine);
        for (uint64_t i = 0; i < KEYS; i++) {
            uint8_t scalar[BLS_SECRET_SIZE];
            rig_scalar(i, scalar);
            rig_add_scalar(rig, scalar, 1);
        }
        test(rig);
        rig_free(rig);
    }
}

static size_t kept_on_blst(const struct batch_rig *rig)
{
    size_t kept = 0;
    for (size_t i = 0; i < rig->n; i++)
        kept += rig->keys[i].keep_on_blst;
    return kept;
}

/* Signs with the damage: nothing wrong comes out, and it was noticed. Then without: all is as ever, but for `blamed` keys. */
static void damage_one(struct batch_rig *rig,
                       enum batch_fault_stage stage,
                       batch_fault_fn *damage,
                       size_t blamed)
{
    const struct batch_counts before = rig_counts(rig);
    const enum batch_engine engine = batch_signer_engine(rig->signer);
    for (size_t i = 0; i < rig->n; i++)
        rig->keys[i].keep_on_blst = false;
    damaged = 0;
    batch_fault_arm(stage, damage);
    rig_sign(rig);
    batch_fault_arm(BATCH_FAULT_NONE, NULL);
    assert_int_not_equal(damaged, 0);
    assert_int_equal(rig_right(rig), rig->n);
    const struct batch_counts after = rig_counts(rig);
    assert_int_not_equal(after.failed_checks + after.flagged,
                         before.failed_checks + before.flagged);
    /* Not once a key: once for the group, and once for what it left to a mixture. */
    assert_true(after.failed_checks <= before.failed_checks + 2);
    assert_int_not_equal(after.by_engine[BATCH_BLST], before.by_engine[BATCH_BLST]);
    assert_int_equal(kept_on_blst(rig), blamed);

    rig_sign(rig);
    assert_int_equal(rig_right(rig), rig->n);
    assert_int_equal(rig_counts(rig).by_engine[engine], after.by_engine[engine] + rig->n - blamed);
    assert_int_equal(rig_counts(rig).failed_checks, after.failed_checks);
}

static void flip(void *data, size_t at)
{
    ((uint8_t *)data)[at] ^= 4;
    damaged++;
}

static void other_roots_hash(void *data, size_t n)
{
    (void)n;
    bls_hash((const uint8_t[BLS_ROOT_SIZE]){99}, data);
    damaged++;
}

static void flip_hash(void *data, size_t n)
{
    (void)n;
    flip(data, 33);
}

/* A point of order 13: a point of the curve times the order divided by 13^2, and by 13 if that isn't infinity yet. */
static void small_order(blst_p2_affine *ret_point)
{
    static const uint8_t cofactor[95] = {
        0xdd, 0xcf, 0x41, 0x09, 0x38, 0xe3, 0xf4, 0x29, 0x45, 0x91, 0x81, 0x82, 0x88, 0x29,
        0x06, 0xa7, 0xf8, 0x8f, 0xfd, 0xc3, 0x33, 0x5c, 0xca, 0xb3, 0xb4, 0x50, 0xc7, 0x18,
        0x2d, 0x8f, 0x56, 0x96, 0x8e, 0xd7, 0x37, 0x77, 0x90, 0x1e, 0x46, 0xd6, 0x48, 0x5b,
        0xfc, 0xf1, 0x0f, 0xc1, 0xda, 0xcf, 0xb8, 0xed, 0x7c, 0x5f, 0xd4, 0xf5, 0x77, 0x36,
        0xd3, 0xa7, 0x57, 0x15, 0xd7, 0x07, 0x39, 0xb3, 0xca, 0x96, 0x43, 0xc8, 0xbd, 0xb9,
        0xf3, 0x56, 0x83, 0x70, 0xb6, 0xa6, 0x1f, 0x1c, 0xba, 0x28, 0xb7, 0x65, 0x0c, 0x0a,
        0x44, 0x6c, 0x13, 0xa7, 0x31, 0xa7, 0xcd, 0x49, 0x54, 0x00, 0x04};
    uint8_t x[BLS_SIGNATURE_SIZE] = {0x80};
    for (x[95] = 1;; x[95]++) {
        blst_p2_affine start;
        blst_p2 point;
        if (blst_p2_uncompress(&start, x) != BLST_SUCCESS)
            continue;
        blst_p2_from_affine(&point, &start);
        blst_p2_unchecked_mult(&point, &point, cofactor, 8 * sizeof cofactor);
        if (blst_p2_is_inf(&point))
            continue;
        for (blst_p2 next;; point = next) {
            blst_p2_unchecked_mult(&next, &point, (const uint8_t[]){13}, 8);
            if (blst_p2_is_inf(&next))
                break;
        }
        blst_p2_to_affine(ret_point, &point);
        return;
    }
}

static void add_small_order(blst_p2_affine *point)
{
    blst_p2_affine small;
    blst_p2 sum;
    small_order(&small);
    assert_true(blst_p2_affine_on_curve(&small));
    blst_p2_from_affine(&sum, point);
    blst_p2_add_or_double_affine(&sum, &sum, &small);
    blst_p2_to_affine(point, &sum);
    damaged++;
}

static void small_order_hash(void *data, size_t n)
{
    (void)n;
    blst_p2 *hash = data;
    blst_p2_affine point;
    blst_p2_to_affine(&point, hash);
    add_small_order(&point);
    blst_p2_from_affine(hash, &point);
}

static void check_wrong_hashes(struct batch_rig *rig)
{
    batch_fault_fn *const damages[] = {other_roots_hash, flip_hash, small_order_hash};
    /* The last one many times: the sum alone would miss one in 13. */
    for (size_t i = 0; i < ARRAY_LEN(damages) + 60; i++) {
        /* The table of the last time was made from the right hash: another root's batch takes its place. */
        for (size_t k = 0; k < rig->n; k++)
            rig->roots[k][9] = (uint8_t)(10 + i);
        damage_one(rig, BATCH_FAULT_HASH,
                   damages[i < ARRAY_LEN(damages) ? i : ARRAY_LEN(damages) - 1], 0);
    }
}

static void test_C05_T22_a_wrong_hash_signs_nothing(void **state)
{
    (void)state;
    each_engine(signs_one_root, check_wrong_hashes);
}

/* The cache's own copy, as memory may change it: blst has nothing after it that would notice. */
static void test_C05_T22_a_kept_hash_that_changed_is_hashed_again(void **state)
{
    (void)state;
    for (int engine = 0; engine < BATCH_ENGINE_END; engine++) {
        struct batch_rig *rig = rig_new((enum batch_engine)engine);
        for (uint64_t i = 0; i < 10; i++)
            rig_add(rig, 100 + i, i / 9);
        rig_sign(rig);
        damaged = 0;
        batch_fault_arm(BATCH_FAULT_KEPT, other_roots_hash);
        rig_sign(rig);
        batch_fault_arm(BATCH_FAULT_NONE, NULL);
        assert_int_equal(damaged, 2);
        assert_int_equal(rig_right(rig), rig->n);
        assert_int_equal(rig_counts(rig).hash_misses, 4);
        rig_free(rig);
    }
}

static void flip_every_row(void *table, size_t n)
{
    for (size_t at = 100; at < n; at += 192)
        flip(table, at);
}

static void flip_one_entry(void *table, size_t n)
{
    flip(table, n / 26 + 57);
}

static void check_wrong_tables(struct batch_rig *rig)
{
    damage_one(rig, BATCH_FAULT_TABLE, flip_every_row, rig->n);
    rig->keys[0].keep_on_blst = false;
    /* Which keys use the entry depends on their digits; some do. */
    const struct batch_counts before = rig_counts(rig);
    for (size_t i = 0; i < rig->n; i++)
        rig->keys[i].keep_on_blst = false;
    batch_fault_arm(BATCH_FAULT_TABLE, flip_one_entry);
    rig_sign(rig);
    batch_fault_arm(BATCH_FAULT_NONE, NULL);
    assert_int_equal(rig_right(rig), rig->n);
    assert_int_equal(rig_counts(rig).failed_checks, before.failed_checks + 1);
}

static void test_C05_T22_a_wrong_table_entry_signs_nothing(void **state)
{
    (void)state;
    each_engine(signs_one_root, check_wrong_tables);
}

static void flip_a_digit(void *splits, size_t n)
{
    (void)n;
    ((struct scalar_split *)splits)[5].part[2] ^= UINT64_C(1) << 40;
    damaged++;
}

static void clear_a_digit_of_each(void *splits, size_t n)
{
    for (size_t i = 0; i < n; i++, damaged++)
        ((struct scalar_split *)splits)[i].part[0] = 0;
}

static void swap_slots(void *slots, size_t n)
{
    (void)n;
    uint16_t *slot = slots;
    const uint16_t third = slot[3];
    slot[3] = slot[4];
    slot[4] = third;
    damaged++;
}

static void same_slot(void *slots, size_t n)
{
    (void)n;
    uint16_t *slot = slots;
    slot[3] = slot[4];
    damaged++;
}

static void check_wrong_scalars(struct batch_rig *rig)
{
    damage_one(rig, BATCH_FAULT_SPLITS, flip_a_digit, 1);
    damage_one(rig, BATCH_FAULT_SPLITS, clear_a_digit_of_each, rig->n);
    damage_one(rig, BATCH_FAULT_SLOT, swap_slots, 2);
    damage_one(rig, BATCH_FAULT_SLOT, same_slot, 1);
}

static void test_C05_T22_a_wrong_digit_or_key_slot_signs_nothing(void **state)
{
    (void)state;
    each_engine(signs_one_root, check_wrong_scalars);
}

static unsigned inversions_until_damage;

static void flip_an_inverse(void *inverse, size_t n)
{
    (void)n;
    if (inversions_until_damage-- == 0)
        flip(inverse, 17);
}

/* In each step of each stage: the table's, the walk's, the check's. A check that is damaged itself fails too. */
static void check_wrong_inverses(struct batch_rig *rig)
{
    for (unsigned nth = 0;; nth++) {
        for (size_t k = 0; k < rig->n; k++) {
            rig->roots[k][7] = (uint8_t)nth; /* a new table */
            rig->keys[k].keep_on_blst = false;
        }
        const struct batch_counts before = rig_counts(rig);
        inversions_until_damage = nth;
        damaged = 0;
        batch_fault_arm(BATCH_FAULT_INVERSE, flip_an_inverse);
        rig_sign(rig);
        batch_fault_arm(BATCH_FAULT_NONE, NULL);
        assert_int_equal(rig_right(rig), rig->n);
        const struct batch_counts after = rig_counts(rig);
        assert_int_equal(after.failed_checks + after.flagged !=
                             before.failed_checks + before.flagged,
                         damaged != 0);
        if (!damaged) {
            assert_true(nth > 15);
            return;
        }
    }
}

static void test_C05_T22_a_wrong_inversion_signs_nothing(void **state)
{
    (void)state;
    each_engine(signs_one_root, check_wrong_inverses);
}

static void swap_points(void *points, size_t n)
{
    blst_p2_affine *point = points;
    const blst_p2_affine first = point[0];
    point[0] = point[n - 1];
    point[n - 1] = first;
    damaged++;
}

static void negate_points(void *points, size_t n)
{
    blst_p2_affine *point = points;
    for (size_t i = 0; i < n; i++, damaged++)
        blst_fp2_cneg(&point[i].y, &point[i].y, true);
}

static void add_small_order_to_one(void *points, size_t n)
{
    (void)n;
    add_small_order((blst_p2_affine *)points + 2);
}

/* Opposite errors, whose plain sum is zero. */
static void add_opposite_errors(void *points, size_t n)
{
    (void)n;
    blst_p2_affine *point = points;
    struct bls_hash error;
    bls_hash((const uint8_t[BLS_ROOT_SIZE]){7}, &error);
    for (size_t i = 0; i < 2; i++, damaged++) {
        blst_p2 sum;
        blst_p2_from_affine(&sum, &point[i]);
        blst_p2_add_or_double(&sum, &sum, (const blst_p2 *)(const void *)&error);
        blst_p2_to_affine(&point[i], &sum);
        blst_p2_cneg((blst_p2 *)(void *)&error, true);
    }
}

static void off_the_curve(void *points, size_t n)
{
    flip(points, (n / 2) * sizeof(blst_p2_affine) + 5);
}

static void infinity(void *points, size_t n)
{
    memset((blst_p2_affine *)points + n / 2, 0, sizeof(blst_p2_affine));
    damaged++;
}

static void check_wrong_points(struct batch_rig *rig)
{
    damage_one(rig, BATCH_FAULT_POINTS, swap_points, 2);
    damage_one(rig, BATCH_FAULT_POINTS, negate_points, rig->n);
    damage_one(rig, BATCH_FAULT_POINTS, add_opposite_errors, 2);
    damage_one(rig, BATCH_FAULT_POINTS, off_the_curve, 1);
    damage_one(rig, BATCH_FAULT_POINTS, infinity, 1);
    /* A weight is never a multiple of 13: not by luck either. */
    for (size_t i = 0; i < 40; i++)
        damage_one(rig, BATCH_FAULT_POINTS, add_small_order_to_one, 1);
}

static void test_C05_T22_swapped_or_shifted_points_sign_nothing(void **state)
{
    (void)state;
    each_engine(signs_one_root, check_wrong_points);
}

static void flip_x(void *signature, size_t n)
{
    if (damaged == 0)
        flip(signature, n - 1);
}

static void flip_sign(void *signature, size_t n)
{
    (void)n;
    if (damaged == 0)
        *(uint8_t *)signature ^= 0x20;
    damaged++;
}

static void clear_output(void *signature, size_t n)
{
    memset(signature, 0, n);
    damaged++;
}

static void check_wrong_outputs(struct batch_rig *rig)
{
    damage_one(rig, BATCH_FAULT_OUTPUT, flip_x, 0);
    damage_one(rig, BATCH_FAULT_OUTPUT, flip_sign, 0);
    damage_one(rig, BATCH_FAULT_OUTPUT, clear_output, 0);
}

static void test_C05_T22_wrong_output_bytes_are_signed_again(void **state)
{
    (void)state;
    each_engine(signs_one_root, check_wrong_outputs);
}

static void test_T22_an_engine_that_fails_its_test_is_left_out(void **state)
{
    (void)state;
    for (const struct batch_kernel *const *k = batch_kernels; *k; k++) {
        if (!(*k)->supported())
            continue;
        batch_fault_arm(BATCH_FAULT_TABLE, flip_every_row);
        struct batch_rig *rig = rig_new((*k)->engine);
        batch_fault_arm(BATCH_FAULT_NONE, NULL);
        assert_true(batch_signer_self_test_failed(rig->signer));
        assert_int_equal(batch_signer_engine(rig->signer), BATCH_BLST);
        for (uint64_t i = 0; i < KEYS; i++)
            rig_add(rig, 100 + i, 1);
        rig_sign(rig);
        assert_int_equal(rig_right(rig), KEYS);
        assert_int_equal(rig_counts(rig).by_engine[BATCH_BLST], KEYS);
        rig_free(rig);
    }
}

/* T23: a key that is kept on blst costs its batch nothing but itself. */
static void check_a_kept_key(struct batch_rig *rig)
{
    const enum batch_engine engine = batch_signer_engine(rig->signer);
    rig->keys[7].keep_on_blst = true;
    rig_sign(rig);
    assert_int_equal(rig_right(rig), rig->n);
    assert_int_equal(rig_counts(rig).by_engine[engine], rig->n - 1);
    assert_int_equal(rig_counts(rig).by_engine[BATCH_BLST], 1);
}

static void test_T23_a_key_kept_on_blst_leaves_the_others_fast(void **state)
{
    (void)state;
    each_engine(signs_one_root, check_a_kept_key);
}

static bool damage_stays;

/* 33 H is H + 32 H: with H in the place of 32 H two equal points meet. */
static void make_entries_equal(void *table, size_t n)
{
    (void)n;
    struct comb_table *comb = table;
    if (damage_stays || damaged == 0)
        comb->entry[1][0] = comb->entry[0][0];
    damaged++;
}

/* T23: the key that meets an exceptional case by itself is kept on blst; one that met it through a fault is not. */
static void test_T23_a_flag_blames_only_who_raises_it_again(void **state)
{
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct batch_rig *rig = rig_new(BATCH_FIXED_BASE);
        for (uint64_t i = 0; i < KEYS; i++)
            rig_add(rig, (i + 2) << 10, 1); /* these have no digits in the first two windows */
        rig_add(rig, 33, 1);
        damage_stays = turn == 0;
        damaged = 0;
        batch_fault_arm(BATCH_FAULT_TABLE, make_entries_equal);
        rig_sign(rig);
        batch_fault_arm(BATCH_FAULT_NONE, NULL);
        assert_int_equal(rig_right(rig), rig->n);
        assert_int_equal(rig_counts(rig).flagged, 1);
        assert_int_equal(rig_counts(rig).failed_checks, 0);
        assert_int_equal(rig_counts(rig).by_engine[BATCH_FIXED_BASE], KEYS);
        assert_int_equal(kept_on_blst(rig), damage_stays);
        assert_true(rig->keys[KEYS].keep_on_blst == damage_stays);
        rig_free(rig);
    }
}

static void give_each_its_root(struct batch_rig *rig)
{
    for (size_t i = 0; i < rig->n; i++)
        rig->roots[i][20] = (uint8_t)i;
}

/* The splits are damaged twice, at the same place: another key's the second time. */
static void check_different_roots(struct batch_rig *rig)
{
    give_each_its_root(rig);
    damage_one(rig, BATCH_FAULT_SPLITS, flip_a_digit, 2);
    damage_one(rig, BATCH_FAULT_SPLITS, clear_a_digit_of_each, rig->n);
    damage_one(rig, BATCH_FAULT_SLOT, swap_slots, 3);
    damage_one(rig, BATCH_FAULT_SLOT, same_slot, 2);
    damage_one(rig, BATCH_FAULT_POINTS, swap_points, 2);
    damage_one(rig, BATCH_FAULT_POINTS, negate_points, rig->n);
    damage_one(rig, BATCH_FAULT_POINTS, off_the_curve, 1);
    damage_one(rig, BATCH_FAULT_POINTS, infinity, 1);
    damage_one(rig, BATCH_FAULT_POINTS, add_small_order_to_one, 1);
    damage_one(rig, BATCH_FAULT_OUTPUT, flip_x, 0);
    damage_one(rig, BATCH_FAULT_OUTPUT, flip_sign, 0);
    damage_one(rig, BATCH_FAULT_OUTPUT, clear_output, 0);
}

static void test_T22_different_roots_are_computed_twice_and_compared(void **state)
{
    (void)state;
    each_engine(signs_different_roots, check_different_roots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_C05_T22_a_wrong_hash_signs_nothing),
        cmocka_unit_test(test_C05_T22_a_kept_hash_that_changed_is_hashed_again),
        cmocka_unit_test(test_C05_T22_a_wrong_table_entry_signs_nothing),
        cmocka_unit_test(test_C05_T22_a_wrong_digit_or_key_slot_signs_nothing),
        cmocka_unit_test(test_C05_T22_a_wrong_inversion_signs_nothing),
        cmocka_unit_test(test_C05_T22_swapped_or_shifted_points_sign_nothing),
        cmocka_unit_test(test_C05_T22_wrong_output_bytes_are_signed_again),
        cmocka_unit_test(test_T22_an_engine_that_fails_its_test_is_left_out),
        cmocka_unit_test(test_T22_different_roots_are_computed_twice_and_compared),
        cmocka_unit_test(test_T23_a_flag_blames_only_who_raises_it_again),
        cmocka_unit_test(test_T23_a_key_kept_on_blst_leaves_the_others_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
