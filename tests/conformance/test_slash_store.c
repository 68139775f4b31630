/* One suite over every backend of the history, compared with the in-memory oracle verdict by verdict. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "support/slash_kit.h"
#include "support/test.h"

/* Runs `body` on a fresh store of each backend. */
static void on_each_backend(void (*body)(struct slash_fixture *f))
{
    for (size_t i = 0; i < slash_backend_count; i++) {
        struct slash_fixture f;
        if (!slash_backend_wanted(&slash_backends[i]))
            continue;
        slash_fixture_setup(&f, &slash_backends[i]);
        print_message("  %s\n", slash_backends[i].name);
        body(&f);
        slash_fixture_teardown(&f);
    }
}

/* --- the rules, through a store ----------------------------------------------------------------- */

static void rules_body(struct slash_fixture *f)
{
    struct slash_store *s = f->store;
    assert_int_equal(kit_sign(s, kit_block(1, 5, 1)), SLASH_UNREGISTERED);
    kit_register(s, 1, 2);
    assert_int_equal(kit_sign(s, kit_block(1, 5, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_block(1, 5, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_block(1, 5, 2)), SLASH_DOUBLE_BLOCK);
    assert_int_equal(kit_sign(s, kit_block(1, 4, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(s, kit_block(1, 9, 3)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_block(1, 7, 4)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_block(1, 5, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_block(1, 7, 5)), SLASH_DOUBLE_BLOCK);
    assert_int_equal(kit_sign(s, kit_block(2, 7, 5)), SLASH_SAFE);

    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 11, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 11, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 11, 2)), SLASH_DOUBLE_VOTE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 12, 15, 3)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 11, 16, 4)), SLASH_SURROUNDING);
    assert_int_equal(kit_sign(s, kit_attestation(1, 13, 14, 5)), SLASH_SURROUNDED);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 13, 6)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 9, 12, 7)), SLASH_SURROUNDING);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 10, 7)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(1, 16, 15, 8)), SLASH_SOURCE_AFTER_TARGET);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 11, 1)), SLASH_REPEAT);

    /* A later vote of the same source surrounds nothing, and hides none that does. */
    assert_int_equal(kit_sign(s, kit_attestation(2, 20, 21, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(2, 22, 30, 2)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(2, 23, 31, 3)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(2, 23, 29, 4)), SLASH_SURROUNDED);
    assert_int_equal(kit_sign(s, kit_attestation(2, 22, 29, 5)), SLASH_SAFE);
}

static void test_rules_hold_in_every_store(void **state)
{
    (void)state;
    on_each_backend(rules_body);
}

/* --- P14: integers at the edges ------------------------------------------------------------------- */

static const uint64_t edges[] = {0,
                                 1,
                                 (1ull << 31) - 1,
                                 1ull << 31,
                                 1ull << 32,
                                 1ull << 53,
                                 (1ull << 53) + 1,
                                 (1ull << 63) - 1,
                                 1ull << 63,
                                 (1ull << 63) + 1,
                                 UINT64_MAX - 1,
                                 UINT64_MAX};

static void edges_body(struct slash_fixture *f)
{
    kit_register(f->store, 0, 2 * ARRAY_LEN(edges));
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        assert_int_equal(kit_sign(f->store, kit_block(i, edges[i], 1)), SLASH_SAFE);
        assert_int_equal(kit_sign(f->store, kit_attestation(i, edges[i], edges[i], 1)), SLASH_SAFE);
    }
    if (f->backend->keeps)
        slash_fixture_reopen(f);
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        uint64_t e = edges[i];
        assert_int_equal(kit_sign(f->store, kit_block(i, e, 1)), SLASH_REPEAT);
        assert_int_equal(kit_sign(f->store, kit_block(i, e, 2)), SLASH_DOUBLE_BLOCK);
        assert_int_equal(kit_sign(f->store, kit_attestation(i, e, e, 1)), SLASH_REPEAT);
        assert_int_equal(kit_sign(f->store, kit_attestation(i, e, e, 2)), SLASH_DOUBLE_VOTE);
        if (e > 0) {
            assert_int_equal(kit_sign(f->store, kit_block(i, e - 1, 3)), SLASH_BLOCK_BELOW);
            assert_int_equal(kit_sign(f->store, kit_attestation(i, e - 1, e - 1, 3)),
                             SLASH_SOURCE_BELOW);
        }
        if (e < UINT64_MAX) {
            assert_int_equal(kit_sign(f->store, kit_block(i, e + 1, 4)), SLASH_SAFE);
            assert_int_equal(kit_sign(f->store, kit_attestation(i, e, e + 1, 4)), SLASH_SAFE);
        }
    }
}

static void test_P14_integers_at_all_edges(void **state)
{
    (void)state;
    on_each_backend(edges_body);
}

/* A huge value must not weaken what comes after it, also across the sign bit of a signed store. */
static void across_sign_body(struct slash_fixture *f)
{
    const uint64_t half = 1ull << 63;
    kit_register(f->store, 0, 1);
    assert_int_equal(kit_sign(f->store, kit_attestation(0, 3, half + 5, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_attestation(0, 3, half + 9, 2)), SLASH_SAFE);
    if (f->backend->keeps)
        slash_fixture_reopen(f);
    assert_int_equal(kit_sign(f->store, kit_attestation(0, 4, half + 6, 3)), SLASH_SURROUNDED);
    assert_int_equal(kit_sign(f->store, kit_attestation(0, 3, half + 6, 3)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_attestation(0, 4, half + 7, 4)), SLASH_SURROUNDED);
    assert_int_equal(kit_sign(f->store, kit_attestation(0, 2, UINT64_MAX, 5)), SLASH_SURROUNDING);
    assert_int_equal(kit_sign(f->store, kit_attestation(0, 4, 5, 6)), SLASH_SURROUNDED);
    assert_int_equal(kit_sign(f->store, kit_attestation(0, half, UINT64_MAX, 7)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(0, half - 1, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(0, half + 1, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(0, half, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(0, half - 1, 2)), SLASH_DOUBLE_BLOCK);
    assert_int_equal(kit_sign(f->store, kit_block(0, half - 2, 2)), SLASH_BLOCK_BELOW);
}

static void test_P14_order_across_the_sign_bit(void **state)
{
    (void)state;
    on_each_backend(across_sign_body);
}

/* --- batches ---------------------------------------------------------------------------------------- */

static void batch_body(struct slash_fixture *f)
{
    kit_register(f->store, 1, 2);
    const struct slash_claim claims[] = {
        kit_attestation(1, 1, 5, 1), kit_attestation(1, 1, 5, 2), kit_attestation(1, 2, 4, 3),
        kit_attestation(2, 2, 4, 3), kit_attestation(1, 1, 5, 1), kit_block(1, 8, 1),
        kit_block(1, 8, 2),          kit_block(1, 8, 1),          kit_attestation(1, 0, 6, 9),
        kit_attestation(3, 0, 6, 9),
    };
    static const enum slash_rule expected[] = {
        SLASH_SAFE, SLASH_DOUBLE_VOTE,  SLASH_SURROUNDED, SLASH_SAFE,        SLASH_REPEAT,
        SLASH_SAFE, SLASH_DOUBLE_BLOCK, SLASH_REPEAT,     SLASH_SURROUNDING, SLASH_UNREGISTERED,
    };
    struct slash_verdict verdicts[ARRAY_LEN(claims)];
    cc_err err = slash_check_and_record(f->store, claims, ARRAY_LEN(claims), verdicts);
    assert_int_equal(err.code, 0);
    for (size_t i = 0; i < ARRAY_LEN(claims); i++)
        assert_int_equal(verdicts[i].rule, expected[i]);
    assert_int_equal(verdicts[2].earlier_source, 1);
    assert_int_equal(verdicts[2].earlier_target, 5);
    assert_int_equal(verdicts[6].earlier_slot, 8);
}

static void test_claims_of_one_batch_are_folded_in_order(void **state)
{
    (void)state;
    on_each_backend(batch_body);
}

/* A refusal names the newest of all votes that it rests on. */
static void newest_clash_body(struct slash_fixture *f)
{
    struct slash_verdict verdict;
    const struct slash_claim claim = kit_attestation(1, 7, 19, 4);
    kit_register(f->store, 1, 1);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 1, 2, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 5, 20, 2)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 6, 21, 3)), SLASH_SAFE);
    assert_int_equal(slash_check_and_record(f->store, &claim, 1, &verdict).code, 0);
    assert_int_equal(verdict.rule, SLASH_SURROUNDED);
    assert_int_equal(verdict.earlier_source, 6);
    assert_int_equal(verdict.earlier_target, 21);
}

static void test_a_refusal_names_the_newest_vote_that_clashes(void **state)
{
    (void)state;
    on_each_backend(newest_clash_body);
}

/* --- repeats, deletion, re-import --------------------------------------------------------------------- */

static void repeat_body(struct slash_fixture *f)
{
    kit_register(f->store, 1, 1);
    for (uint64_t e = 1; e <= 20; e++)
        assert_int_equal(kit_sign(f->store, kit_attestation(1, e - 1, e, e)), SLASH_SAFE);
    for (int round = 0; round < 3; round++) {
        for (uint64_t e = 1; e <= 20; e++)
            assert_int_equal(kit_sign(f->store, kit_attestation(1, e - 1, e, e)), SLASH_REPEAT);
        if (f->backend->keeps)
            slash_fixture_reopen(f);
    }
}

static void test_P18_the_same_root_again_any_number_of_times(void **state)
{
    (void)state;
    on_each_backend(repeat_body);
}

static struct slash_validator one_record_each(uint64_t key,
                                              const struct slash_block *block,
                                              const struct slash_attestation *attestation)
{
    return (struct slash_validator){.pubkey = kit_key(key),
                                    .enabled = true,
                                    .blocks = block,
                                    .block_count = block != NULL,
                                    .attestations = attestation,
                                    .attestation_count = attestation != NULL};
}

static void reimport_body(struct slash_fixture *f)
{
    struct slash_import_report report = {0};
    kit_register(f->store, 1, 1);
    assert_int_equal(kit_sign(f->store, kit_block(1, 100, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 10, 11, 1)), SLASH_SAFE);

    struct eth_pubkey key = kit_key(1);
    assert_int_equal(slash_set_enabled(f->store, &key, false).code, 0);
    assert_int_equal(kit_sign(f->store, kit_block(1, 100, 1)), SLASH_DISABLED);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 11, 12, 2)), SLASH_DISABLED);
    if (f->backend->keeps)
        slash_fixture_reopen(f);
    /* Registering again, or importing an old history, is no way around the tombstone or the records. */
    kit_register(f->store, 1, 1);
    const struct slash_block old_block = {50, false, {{0}}};
    const struct slash_attestation old_vote = {1, 2, false, {{0}}};
    struct slash_validator old = one_record_each(1, &old_block, &old_vote);
    assert_int_equal(slash_merge(f->store, &old, &report).code, 0);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 11, 12, 2)), SLASH_DISABLED);
    assert_int_equal(slash_set_enabled(f->store, &key, true).code, 0);
    assert_int_equal(kit_sign(f->store, kit_block(1, 99, 2)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f->store, kit_block(1, 100, 2)), SLASH_DOUBLE_BLOCK);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 9, 12, 2)), SLASH_SURROUNDING);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 10, 10, 2)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 10, 11, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 11, 12, 2)), SLASH_SAFE);

    struct slash_validator disabled = one_record_each(50, &old_block, &old_vote);
    disabled.enabled = false;
    assert_int_equal(slash_merge(f->store, &disabled, &report).code, 0);
    assert_int_equal(kit_sign(f->store, kit_attestation(50, 20, 21, 1)), SLASH_DISABLED);

    struct eth_pubkey unknown = kit_key(99);
    assert_int_equal(slash_set_enabled(f->store, &unknown, false).code, ERROR_KEY_UNKNOWN);
}

static void test_P16_delete_and_add_again_keeps_the_history(void **state)
{
    (void)state;
    on_each_backend(reimport_body);
}

static void contradiction_body(struct slash_fixture *f)
{
    struct slash_import_report report = {0};
    kit_register(f->store, 1, 1);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 10, 11, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(1, 70, 1)), SLASH_SAFE);
    const struct slash_block block = {70, true, kit_root(2)};
    const struct slash_attestation vote = {0, 102122, true, kit_root(7)};
    struct slash_validator corrupt = one_record_each(1, &block, &vote);
    assert_int_equal(slash_merge(f->store, &corrupt, &report).code, 0);
    assert_int_equal(report.contradictory, 1);
    if (f->backend->keeps)
        slash_fixture_reopen(f);
    /* Not even the imported message itself: it would surround the one that was signed here. */
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 0, 102122, 7)), SLASH_SURROUNDING);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 11, 12, 2)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 10, 11, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 9, 102123, 2)), SLASH_SURROUNDING);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 10, 102123, 2)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(1, 70, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f->store, kit_block(1, 70, 2)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f->store, kit_block(1, 71, 2)), SLASH_SAFE);
}

static void test_P12_a_contradictory_import_becomes_a_watermark(void **state)
{
    (void)state;
    on_each_backend(contradiction_body);
}

/* --- high watermark ----------------------------------------------------------------------------------- */

static void high_body(struct slash_fixture *f)
{
    kit_register(f->store, 1, 1);
    assert_int_equal(kit_sign(f->store, kit_block(1, 63, 1)), SLASH_SAFE);
    struct slash_high high = {true, 64, 10};
    struct eth_root genesis = {{1}};
    assert_int_equal(slash_fix_genesis(f->store, &genesis).code, 0);
    assert_int_equal(slash_set_high(f->store, &high).code, 0);
    if (f->backend->keeps)
        slash_fixture_reopen(f);
    assert_int_equal(kit_sign(f->store, kit_block(1, 64, 1)), SLASH_HIGH_WATERMARK);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 8, 9, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 9, 10, 1)), SLASH_HIGH_WATERMARK);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 10, 11, 1)), SLASH_HIGH_WATERMARK);
    struct slash_status status;
    assert_int_equal(slash_status(f->store, &status).code, 0);
    assert_true(status.high.set);
    assert_int_equal(status.high.slot, 64);
    assert_int_equal(status.high.epoch, 10);
    /* Of so few records an estimate is exact. */
    struct slash_status estimate = {.counted = SLASH_COUNTED_SOME};
    assert_int_equal(slash_estimate(f->store, &estimate).code, 0);
    assert_int_equal(estimate.counted, SLASH_COUNTED_ALL);
    assert_int_equal(estimate.validators, status.validators);
    assert_int_equal(estimate.blocks, status.blocks);
    assert_int_equal(estimate.attestations, status.attestations);
    assert_int_equal(estimate.high.epoch, 10);
    assert_int_equal(estimate.ceiling, status.ceiling);
    high.set = false;
    assert_int_equal(slash_set_high(f->store, &high).code, 0);
    if (f->backend->keeps)
        slash_fixture_reopen(f);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 9, 10, 1)), SLASH_SAFE);
    assert_int_equal(slash_status(f->store, &status).code, 0);
    assert_false(status.high.set);
    assert_int_equal(status.validators, 1);
    assert_int_equal(status.blocks, 1);
    assert_int_equal(status.attestations, 2);
}

static void test_nothing_is_signed_at_or_beyond_the_high_watermark(void **state)
{
    (void)state;
    on_each_backend(high_body);
}

/* --- T9: a floor is a slot, a source and a target ------------------------------------------------- */

static void raise_body(struct slash_fixture *f)
{
    const struct slash_watermark low = {true, true, 70, 50, 60}, lower = {true, true, 7, 5, 6};
    uint64_t count = 0;
    kit_register(f->store, 1, 3);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 54, 65, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(1, 75, 1)), SLASH_SAFE);
    assert_int_equal(slash_raise_all(f->store, &low, &count).code, 0);
    assert_int_equal(count, 3);
    assert_int_equal(slash_raise_all(f->store, &lower, &count).code, 0);
    if (f->backend->keeps)
        slash_fixture_reopen(f);
    /* Where there are records, where there are none. */
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 54, 65, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f->store, kit_block(1, 71, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(2, 49, 61, 1)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(2, 50, 60, 1)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(2, 50, 61, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(2, 70, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f->store, kit_block(2, 71, 1)), SLASH_SAFE);
}

static void test_a_raised_watermark_is_a_floor_for_all_three(void **state)
{
    (void)state;
    on_each_backend(raise_body);
}

/* A key without history may be another's: its first floor stands before anything is recorded. */
static void floor_body(struct slash_fixture *f)
{
    const struct slash_watermark floor = {true, true, 70, 50, 60},
                                 higher = {true, true, 99, 98, 99};
    const struct slash_watermark blocks = {.has_slot = true, .slot = UINT64_MAX - 1};
    struct eth_pubkey keys[] = {kit_key(1), kit_key(2), kit_key(1)}, last = kit_key(3);
    assert_int_equal(slash_register_keys(f->store, keys, 3, &floor).code, 0);
    assert_int_equal(kit_sign(f->store, kit_block(1, 70, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 49, 61, 1)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 50, 60, 1)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 50, 61, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(1, 71, 1)), SLASH_SAFE);
    /* Who has a row keeps it. */
    assert_int_equal(slash_register_keys(f->store, keys, 2, &higher).code, 0);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 50, 62, 1)), SLASH_SAFE);
    assert_int_equal(slash_register_keys(f->store, &last, 1, &blocks).code, 0);
    if (f->backend->keeps)
        slash_fixture_reopen(f);
    assert_int_equal(kit_sign(f->store, kit_attestation(2, 49, 61, 1)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(2, 50, 61, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(f->store, kit_block(2, 70, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f->store, kit_block(3, UINT64_MAX - 1, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(3, 1, 2, 1)), SLASH_SAFE);
}

static void test_T09_a_new_key_starts_at_its_floor(void **state)
{
    (void)state;
    on_each_backend(floor_body);
}

static void expect_ceiling(struct slash_fixture *f, bool has, uint64_t epoch)
{
    struct slash_status status = {0};
    assert_int_equal(slash_status(f->store, &status).code, 0);
    assert_int_equal(status.has_ceiling, has);
    assert_true(!has || status.ceiling == epoch);
}

static void ceiling_body(struct slash_fixture *f)
{
    static const uint64_t epochs[] = {0, 7, (1ull << 63) - 1, 1ull << 63, UINT64_MAX};
    expect_ceiling(f, false, 0);
    for (size_t i = 0; i < ARRAY_LEN(epochs); i++) {
        assert_int_equal(slash_set_ceiling(f->store, epochs[i]).code, 0);
        expect_ceiling(f, true, epochs[i]);
        assert_int_equal(slash_set_ceiling(f->store, epochs[i] / 2).code, 0);
        if (f->backend->keeps)
            slash_fixture_reopen(f);
        expect_ceiling(f, true, epochs[i]);
    }
}

static void test_T08_a_ceiling_is_kept_and_only_rises(void **state)
{
    (void)state;
    on_each_backend(ceiling_body);
}

/* The count that tells what a database has forgotten: of those that count, each commit moves it. */
static void position_body(struct slash_fixture *f)
{
    kit_register(f->store, 1, 1);
    uint64_t before = f->store->position;
    assert_int_equal(kit_sign(f->store, kit_block(1, 5, 1)), SLASH_SAFE);
    assert_true(f->backend->in_database ? f->store->position == before + 1
                                        : before == 0 && f->store->position == 0);
}

static void test_T06_a_database_counts_the_commits(void **state)
{
    (void)state;
    on_each_backend(position_body);
}

static void genesis_body(struct slash_fixture *f)
{
    struct eth_root a = {{1}}, b = {{2}};
    assert_int_equal(slash_fix_genesis(f->store, &a).code, 0);
    assert_int_equal(slash_fix_genesis(f->store, &a).code, 0);
    assert_int_equal(slash_fix_genesis(f->store, &b).code, ERROR_IDENTITY);
    if (f->backend->keeps) {
        slash_fixture_reopen(f);
        assert_int_equal(slash_fix_genesis(f->store, &b).code, ERROR_IDENTITY);
        assert_memory_equal(f->store->identity.history_id, f->identity.history_id, 32);
        assert_memory_equal(f->store->identity.chamber_id, f->identity.chamber_id, 32);
        assert_memory_equal(f->store->identity.proof, f->identity.proof, 32);
    }
    assert_true(f->store->identity.has_genesis_validators_root);
    assert_memory_equal(f->store->identity.genesis_validators_root.bytes, a.bytes, 32);
}

static void test_a_history_belongs_to_one_network_for_good(void **state)
{
    (void)state;
    on_each_backend(genesis_body);
}

/* --- P10: pruning ----------------------------------------------------------------------------------- */

/* A whole pass; how many records it removed. */
static uint64_t prune_all(struct slash_store *store, uint64_t keep_epochs, uint64_t slots_per_epoch)
{
    struct slash_prune_step step = {.more = true};
    uint64_t removed = 0;
    while (step.more) {
        assert_int_equal(slash_prune(store, keep_epochs, slots_per_epoch, &step).code, 0);
        removed += step.removed;
    }
    return removed;
}

static void prune_body(struct slash_fixture *f)
{
    kit_register(f->store, 1, 70); /* more than one step */
    for (uint64_t e = 1; e <= 30; e++) {
        assert_int_equal(kit_sign(f->store, kit_attestation(1, e - 1, e, e)), SLASH_SAFE);
        assert_int_equal(kit_sign(f->store, kit_block(70, e * 4, e)), SLASH_SAFE);
    }
    assert_int_equal(prune_all(f->store, 10, 4), 38);
    if (f->backend->keeps)
        slash_fixture_reopen(f);
    struct slash_status status;
    assert_int_equal(slash_status(f->store, &status).code, 0);
    assert_int_equal(status.attestations, 11);
    assert_int_equal(status.blocks, 11);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 18, 19, 19)), SLASH_SOURCE_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 19, 19, 77)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 19, 20, 20)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f->store, kit_block(70, 79, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(f->store, kit_block(70, 80, 20)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f->store, kit_block(70, 81, 20)), SLASH_SAFE);
    /* Keeping more than before brings nothing back. */
    assert_int_equal(prune_all(f->store, 1000, 4), 0);
    assert_int_equal(prune_all(f->store, UINT64_MAX, 32), 0);
    assert_int_equal(kit_sign(f->store, kit_block(70, 79, 1)), SLASH_BLOCK_BELOW);
    /* Keeping nothing keeps the newest. */
    assert_true(prune_all(f->store, 0, 4) > 0);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 29, 30, 30)), SLASH_REPEAT);
    assert_int_equal(kit_sign(f->store, kit_attestation(1, 28, 31, 31)), SLASH_SURROUNDING);
}

static void test_P10_what_was_pruned_is_refused(void **state)
{
    (void)state;
    on_each_backend(prune_body);
}

/* --- random histories, verdict by verdict --------------------------------------------------------------- */

enum {
    KEYS = 5,
    ROUNDS = 60,
    TABLE_ROUNDS =
        200, /* one in so many with a table of an emulator, which is slow; CC_FULL: all */
    STEPS = 120,
    DUMP_MAX = 1 << 16
};

/* A history as text, to compare two stores record by record. */
struct dump {
    char text[DUMP_MAX];
    size_t len;
};

static cc_err dump_validator(void *context, const struct slash_validator *v)
{
    struct dump *d = context;
#define ADD(...) d->len += (size_t)snprintf(d->text + d->len, DUMP_MAX - d->len, __VA_ARGS__)
    ADD("%d%d%d e%d low %d:%llu %d:%llu,%llu\n", v->pubkey.bytes[8], v->pubkey.bytes[9],
        v->pubkey.bytes[47], v->enabled, v->low.has_slot,
        v->low.has_slot ? (unsigned long long)v->low.slot : 0, v->low.has_epochs,
        v->low.has_epochs ? (unsigned long long)v->low.source : 0,
        v->low.has_epochs ? (unsigned long long)v->low.target : 0);
    for (size_t i = 0; i < v->block_count; i++)
        ADD(" b%llu/%d.%d", (unsigned long long)v->blocks[i].slot, v->blocks[i].has_root,
            v->blocks[i].has_root ? v->blocks[i].root.bytes[31] : 0);
    for (size_t i = 0; i < v->attestation_count; i++)
        ADD(" a%llu>%llu/%d.%d", (unsigned long long)v->attestations[i].source,
            (unsigned long long)v->attestations[i].target, v->attestations[i].has_root,
            v->attestations[i].has_root ? v->attestations[i].root.bytes[31] : 0);
    ADD("\n");
#undef ADD
    assert_true(d->len < DUMP_MAX);
    return CC_OK;
}

static void assert_same_history(struct slash_store *a, struct slash_store *b)
{
    static struct dump x, y;
    x.len = y.len = 0;
    assert_int_equal(slash_visit(a, NULL, dump_validator, &x).code, 0);
    assert_int_equal(slash_visit(b, NULL, dump_validator, &y).code, 0);
    assert_string_equal(x.text, y.text);
    struct slash_status sa, sb;
    assert_int_equal(slash_status(a, &sa).code, 0);
    assert_int_equal(slash_status(b, &sb).code, 0);
    assert_int_equal(sa.blocks, sb.blocks);
    assert_int_equal(sa.attestations, sb.attestations);
    assert_int_equal(sa.validators, sb.validators);
}

/* Mostly near the end of a growing history, as in life; sometimes anywhere; sometimes at an edge. */
struct walk {
    struct chance chance;
    uint64_t base; /* where this history lies on the number line */
    uint64_t time;
    bool high; /* a high watermark is set */
    bool guarded;
    bool lows_stay_below;
};

static uint64_t near(struct walk *w)
{
    uint64_t spread = chance_below(&w->chance, 8) ? 4 : 40;
    uint64_t back = chance_below(&w->chance, spread);
    return w->base + (w->time > back ? w->time - back : 0);
}

static struct slash_claim random_claim(struct walk *w)
{
    uint64_t key = chance_below(&w->chance, KEYS + 1); /* one is never registered */
    uint64_t root = chance_below(&w->chance, 3);
    if (chance_below(&w->chance, 40) == 0)
        return kit_attestation(key, edges[chance_below(&w->chance, ARRAY_LEN(edges))],
                               edges[chance_below(&w->chance, ARRAY_LEN(edges))], root);
    if (chance_below(&w->chance, 3) == 0)
        return kit_block(key, near(w), root);
    uint64_t target = near(w), back = chance_below(&w->chance, 4);
    return kit_attestation(key, target > back ? target - back : 0, target, root);
}

static void step_claims(struct walk *w, struct slash_store *a, struct slash_store *b)
{
    struct slash_claim claims[8];
    struct slash_verdict x[8], y[8];
    size_t n = 1 + chance_below(&w->chance, ARRAY_LEN(claims));
    for (size_t i = 0; i < n; i++)
        claims[i] = random_claim(w);
    assert_int_equal(slash_check_and_record(a, claims, n, x).code, 0);
    assert_int_equal(slash_check_and_record(b, claims, n, y).code, 0);
    for (size_t i = 0; i < n; i++) {
        if (w->guarded && x[i].rule == SLASH_REPEAT && y[i].rule >= SLASH_BLOCK_BELOW &&
            y[i].rule <= SLASH_TARGET_BELOW)
            continue;
        assert_string_equal(slash_rule_name(x[i].rule), slash_rule_name(y[i].rule));
        assert_true(x[i].earlier_slot == y[i].earlier_slot);
        assert_true(x[i].earlier_source == y[i].earlier_source);
        assert_true(x[i].earlier_target == y[i].earlier_target);
    }
    w->time += chance_below(&w->chance, 3);
}

struct records {
    struct slash_block blocks[4];
    struct slash_attestation votes[6];
};

static struct slash_validator random_records(struct walk *w, uint64_t key, struct records *r)
{
    struct slash_validator v = {.pubkey = kit_key(key),
                                .enabled = chance_below(&w->chance, 8) != 0,
                                .blocks = r->blocks,
                                .block_count = chance_below(&w->chance, 5),
                                .attestations = r->votes,
                                .attestation_count = chance_below(&w->chance, 7)};
    for (size_t i = 0; i < v.block_count; i++) {
        struct slash_claim c = kit_block(0, near(w), chance_below(&w->chance, 3));
        r->blocks[i] = (struct slash_block){c.slot, chance_below(&w->chance, 3) != 0, c.root};
    }
    uint64_t epoch = near(w);
    for (size_t i = 0; i < v.attestation_count; i++) {
        /* Half of them in an order that holds together, half anyhow. */
        epoch = chance_below(&w->chance, 2) ? epoch + 1 : near(w);
        r->votes[i] = (struct slash_attestation){epoch ? epoch - 1 : 0, epoch,
                                                 chance_below(&w->chance, 3) != 0,
                                                 kit_root(chance_below(&w->chance, 3))};
        if (chance_below(&w->chance, 16) == 0)
            r->votes[i].source = epoch + chance_below(&w->chance, 3);
    }
    if (chance_below(&w->chance, 8) == 0)
        v.low = (struct slash_watermark){true, true, near(w), near(w), near(w)};
    return v;
}

/* One by one into the oracle, in one step into the other; sometimes one key comes twice. */
static void step_merge(struct walk *w, struct slash_store *a, struct slash_store *b)
{
    struct records records[4];
    struct slash_validator many[4];
    struct slash_import_report x[4] = {{0}}, y[4];
    size_t n = 1 + chance_below(&w->chance, 4);
    uint64_t first = chance_below(&w->chance, KEYS);
    bool twice = !w->high && chance_below(&w->chance, 4) == 0;
    for (size_t i = 0; i < n; i++)
        many[i] = random_records(w, twice ? first : (first + i) % KEYS, &records[i]);
    cc_err err = slash_merge_many(b, many, n, y);
    bool refused = w->lows_stay_below && w->high && error_is(err, ERROR_WATERMARK);
    assert_true(refused || !err.code);
    /* After an error those with a report are merged, and no others. */
    for (size_t i = 0; i < n; i++)
        if (!refused || y[i].validators)
            assert_int_equal(slash_merge(a, &many[i], &x[i]).code, 0);
    assert_memory_equal(x, y, n * sizeof *x);
}

static cc_err highest(void *context, const struct slash_validator *v)
{
    struct slash_high *high = context;
    if (v->block_count)
        high->slot = u64_max(high->slot, v->blocks[v->block_count - 1].slot);
    if (v->attestation_count)
        high->epoch = u64_max(high->epoch, v->attestations[v->attestation_count - 1].target);
    high->slot = u64_max(high->slot, v->low.slot);
    high->epoch = u64_max(high->epoch, u64_max(v->low.source, v->low.target));
    return CC_OK;
}

/* Where the store's schema keeps low watermarks below the high one, one above all that is there. */
static void step_high(struct walk *w, struct slash_store *a, struct slash_store *b)
{
    struct slash_high high = {chance_below(&w->chance, 4) == 0, near(w), near(w)};
    if (w->lows_stay_below && high.set) {
        struct slash_high top = {0};
        assert_int_equal(slash_visit(a, NULL, highest, &top).code, 0);
        high.slot = u64_add_sat(u64_max(high.slot, top.slot), 1);
        high.epoch = u64_add_sat(u64_max(high.epoch, top.epoch), 1);
        if (top.slot == UINT64_MAX || top.epoch == UINT64_MAX)
            return;
    }
    assert_int_equal(slash_set_high(a, &high).code, 0);
    assert_int_equal(slash_set_high(b, &high).code, 0);
    w->high = high.set;
}

static void step_raise(struct walk *w, struct slash_store *a, struct slash_store *b)
{
    struct slash_watermark floor = {true, true, near(w), near(w), near(w)};
    uint64_t x = 0, y = 0;
    if (w->lows_stay_below && w->high)
        return;
    assert_int_equal(slash_raise_all(a, &floor, &x).code, 0);
    assert_int_equal(slash_raise_all(b, &floor, &y).code, 0);
    assert_int_equal(x, y);
}

static void step_any(struct walk *w, struct slash_store *a, struct slash_store *b)
{
    struct eth_pubkey key = kit_key(chance_below(&w->chance, KEYS));
    bool more = true;
    switch (chance_below(&w->chance, 24)) {
    case 0:
    case 1:
        step_merge(w, a, b);
        break;
    case 2: {
        bool on = chance_below(&w->chance, 2);
        cc_err x = slash_set_enabled(a, &key, on), y = slash_set_enabled(b, &key, on);
        assert_int_equal(x.code, y.code);
        break;
    }
    case 3: {
        if (w->lows_stay_below && w->high)
            break; /* pruning stops at the high watermark there */
        uint64_t keep = chance_below(&w->chance, 12), slots = 1 + chance_below(&w->chance, 2);
        assert_int_equal(prune_all(a, keep, slots), prune_all(b, keep, slots));
        break;
    }
    case 4:
        kit_register(a, chance_below(&w->chance, 1), KEYS - 1);
        kit_register(b, 0, KEYS - 1);
        break;
    case 5:
        step_high(w, a, b);
        break;
    case 7:
        step_raise(w, a, b);
        break;
    case 6:
        while (more)
            assert_int_equal(slash_maintain(b, &more).code, 0);
        break;
    default:
        step_claims(w, a, b);
    }
}

static void compare_with_oracle(const struct slash_backend *backend, struct walk *w)
{
    struct slash_fixture oracle, f;
    slash_fixture_setup(&oracle, &slash_backends[0]);
    slash_fixture_setup(&f, backend);
    kit_register(oracle.store, 0, KEYS - 1);
    kit_register(f.store, 0, KEYS - 1);
    struct eth_root genesis = {{1}}; /* without which some stores have no high watermark */
    assert_int_equal(slash_fix_genesis(f.store, &genesis).code, 0);
    w->high = false;
    w->lows_stay_below = backend->in_database;
    w->guarded = backend->guarded;
    for (int step = 0; step < STEPS; step++) {
        step_any(w, oracle.store, f.store);
        if (backend->disturb)
            backend->disturb(f.store, &w->chance);
        if (backend->keeps && chance_below(&w->chance, 30) == 0)
            slash_fixture_reopen(&f);
        if (chance_below(&w->chance, 10) == 0)
            assert_same_history(oracle.store, f.store);
    }
    assert_same_history(oracle.store, f.store);
    slash_fixture_teardown(&f);
    slash_fixture_teardown(&oracle);
}

static void test_random_histories_agree_with_the_oracle(void **state)
{
    (void)state;
    static const uint64_t bases[] = {0, 1000, (1ull << 63) - 20, UINT64_MAX - 200};
    struct walk w = {.chance = chance_new("random histories")};
    const char *wanted = getenv("CC_ROUNDS");
    int rounds = wanted ? atoi(wanted) : ROUNDS;
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 1; i < slash_backend_count; i++) {
            if (!slash_backend_wanted(&slash_backends[i]))
                continue;
            /* A database takes its time; asked for alone, it gets all rounds. */
            if ((slash_backends[i].in_database || slash_backends[i].guarded) &&
                !getenv("CC_BACKEND") && round % 3)
                continue;
            if (slash_backends[i].in_table && !getenv("CC_FULL") && round % TABLE_ROUNDS)
                continue;
            w.base = bases[chance_below(&w.chance, ARRAY_LEN(bases))];
            w.time = 0;
            compare_with_oracle(&slash_backends[i], &w);
        }
    }
}

/* --- from each backend to each other -------------------------------------------------------------------- */

static void export_to(struct slash_store *store, struct buf *text)
{
    uint64_t count = 0;
    assert_int_equal(interchange_export(store, kit_write, text, NULL, 0, &count).code, 0);
    assert_true(count > 0);
}

static void import_from(struct slash_store *store, const struct buf *text)
{
    struct kit_text file = {.text = (const char *)text->data, .len = text->len};
    const struct interchange_source source = kit_source(&file);
    struct interchange_result result = {.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    assert_int_equal(interchange_import(store, &source, NULL, &result).code, 0);
    assert_int_equal(result.faults, 0);
    buf_release(&result.messages);
}

/* What one exports another imports and exports again, byte for byte, and refuses what the first refused. */
static void
come_round(const struct slash_backend *from, const struct slash_backend *to, struct walk *w)
{
    struct slash_fixture a, b;
    struct eth_root genesis = {{1}};
    int steps = from->in_table || to->in_table ? STEPS / 3 : STEPS;
    CC_CLEANUP(buf_release) struct buf first = buf_init(1 << 20);
    CC_CLEANUP(buf_release) struct buf second = buf_init(1 << 20);
    slash_fixture_setup(&a, from);
    slash_fixture_setup(&b, to);
    kit_register(a.store, 0, KEYS);
    assert_int_equal(slash_fix_genesis(a.store, &genesis).code, 0);
    for (int i = 0; i < steps; i++, w->time += chance_below(&w->chance, 3))
        (void)kit_sign(a.store, random_claim(w));
    export_to(a.store, &first);
    import_from(b.store, &first);
    export_to(b.store, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    for (int i = 0; i < steps; i++) {
        struct slash_claim claim = random_claim(w);
        bool one = slash_may_sign(kit_sign(b.store, claim)),
             other = slash_may_sign(kit_sign(a.store, claim));
        assert_true(other || !one);
    }
    slash_fixture_teardown(&b);
    slash_fixture_teardown(&a);
}

/* An emulator's table is compared with the oracle, both ways; with the others by CC_FULL. */
static bool is_quick(size_t i, size_t j)
{
    bool table = slash_backends[i].in_table || slash_backends[j].in_table;
    return !table || i * j == 0 || getenv("CC_FULL");
}

static void test_what_one_backend_exports_another_imports(void **state)
{
    (void)state;
    struct walk w = {.chance = chance_new("from each to each"), .base = 1000};
    for (size_t i = 0; i < slash_backend_count; i++)
        for (size_t j = 0; j < slash_backend_count; j++)
            if (slash_backend_wanted(&slash_backends[i]) &&
                slash_backend_wanted(&slash_backends[j]) && is_quick(i, j))
                come_round(&slash_backends[i], &slash_backends[j], &w);
}

/* --- visiting ------------------------------------------------------------------------------------------- */

static cc_err stop_at_second(void *context, const struct slash_validator *v)
{
    (void)v;
    int *seen = context;
    return ++*seen == 2 ? CC_FAIL(IO, "enough") : CC_OK;
}

static void visit_body(struct slash_fixture *f)
{
    kit_register(f->store, 1, 9);
    int seen = 0;
    assert_int_equal(slash_visit(f->store, NULL, stop_at_second, &seen).code, ERROR_IO);
    assert_int_equal(seen, 2);
    struct eth_pubkey key = kit_key(3), unknown = kit_key(33);
    seen = 0;
    assert_int_equal(slash_visit(f->store, &key, stop_at_second, &seen).code, 0);
    assert_int_equal(seen, 1);
    assert_int_equal(slash_visit(f->store, &unknown, stop_at_second, &seen).code, 0);
    assert_int_equal(seen, 1);
    /* The visitor's error is not the store's. */
    assert_int_equal(kit_sign(f->store, kit_block(1, 1, 1)), SLASH_SAFE);
}

struct seen {
    struct eth_pubkey last;
    size_t count;
};

static cc_err see(void *context, const struct slash_validator *v)
{
    struct seen *seen = context;
    if (seen->count)
        assert_true(memcmp(seen->last.bytes, v->pubkey.bytes, sizeof v->pubkey.bytes) < 0);
    seen->last = v->pubkey;
    seen->count++;
    return CC_OK;
}

static void steps_body(struct slash_fixture *f)
{
    kit_register(f->store, 1, 9);
    struct seen seen = {.count = 0};
    for (size_t steps = 1; steps <= 3; steps++) {
        assert_int_equal(
            slash_visit_after(f->store, steps > 1 ? &seen.last : NULL, 4, see, &seen).code, 0);
        assert_int_equal(seen.count, steps * 4 < 9 ? steps * 4 : 9);
        assert_int_equal(kit_sign(f->store, kit_block(1, steps, 1)), SLASH_SAFE);
    }
    struct eth_pubkey last = seen.last;
    assert_int_equal(slash_visit_after(f->store, &last, 4, see, &seen).code, 0);
    assert_int_equal(seen.count, 9);
    int stopped = 0;
    assert_int_equal(slash_visit_after(f->store, NULL, 4, stop_at_second, &stopped).code, ERROR_IO);
    assert_int_equal(kit_sign(f->store, kit_block(2, 1, 1)), SLASH_SAFE);
}

static void test_a_walk_in_steps_meets_every_key_once(void **state)
{
    (void)state;
    on_each_backend(steps_body);
}

static void test_a_visitor_can_stop_the_walk(void **state)
{
    (void)state;
    on_each_backend(visit_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_hold_in_every_store),
        cmocka_unit_test(test_P14_integers_at_all_edges),
        cmocka_unit_test(test_P14_order_across_the_sign_bit),
        cmocka_unit_test(test_claims_of_one_batch_are_folded_in_order),
        cmocka_unit_test(test_a_refusal_names_the_newest_vote_that_clashes),
        cmocka_unit_test(test_P18_the_same_root_again_any_number_of_times),
        cmocka_unit_test(test_P16_delete_and_add_again_keeps_the_history),
        cmocka_unit_test(test_P12_a_contradictory_import_becomes_a_watermark),
        cmocka_unit_test(test_nothing_is_signed_at_or_beyond_the_high_watermark),
        cmocka_unit_test(test_a_raised_watermark_is_a_floor_for_all_three),
        cmocka_unit_test(test_T09_a_new_key_starts_at_its_floor),
        cmocka_unit_test(test_T08_a_ceiling_is_kept_and_only_rises),
        cmocka_unit_test(test_T06_a_database_counts_the_commits),
        cmocka_unit_test(test_a_history_belongs_to_one_network_for_good),
        cmocka_unit_test(test_P10_what_was_pruned_is_refused),
        cmocka_unit_test(test_random_histories_agree_with_the_oracle),
        cmocka_unit_test(test_what_one_backend_exports_another_imports),
        cmocka_unit_test(test_a_visitor_can_stop_the_walk),
        cmocka_unit_test(test_a_walk_in_steps_meets_every_key_once),
    };
    const char *only = getenv("CC_TESTS");
    if (only)
        cmocka_set_test_filter(only);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
