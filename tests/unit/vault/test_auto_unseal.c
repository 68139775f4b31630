/* Blobs by which an image opens the chamber: who may have one made, and what opens one. */
#include <string.h>

#include "base/clock.h"

#include "seal/proposal.h"
#include "support/ceremony_kit.h"
#include "support/test.h"
#include "vault/auto_unseal.h"

enum {
    KEYS = 3,
    THRESHOLD = 2
};

static struct rite_chamber chamber;
static struct rite_vault vault;
static struct rite_parts parts;
static struct rite_operator operators[SEAL_OPERATORS_MAX];
static struct seal_set set;
static struct seal_auto blob;
static uint8_t shares[SEAL_KMS_MAX][SEAL_SHARE_SIZE];
static uint8_t row_before[32], tokens_before[32], bridge_before[32];

static const struct rite_plan kms_plan = {.mode = SEAL_KMS, .kms_count = 3, .kms_threshold = 2};
static const struct rite_plan quorum_plan = {.mode = SEAL_QUORUM,
                                             .kms_count = 3,
                                             .kms_threshold = 2,
                                             .operator_count = 3,
                                             .operator_threshold = 2};
static const struct rite_plan operators_plan = {
    .mode = SEAL_OPERATORS, .operator_count = 3, .operator_threshold = 2};

static void begin(const struct rite_plan *plan)
{
    rite_make(&chamber, false);
    rite_start(&vault, &chamber);
    auto_unseal_allow(vault.sets);
    const struct seal_proposal proposal = rite_proposal(&chamber, NULL, plan);
    assert_int_equal(rite_stage(&vault, &proposal, &parts, operators, &set).code, 0);
    rite_switch(&vault, &set);
}

static void remember_keys(uint32_t generation)
{
    assert_int_equal(master_row_key(vault.master, generation, row_before).code, 0);
    assert_int_equal(master_token_key(vault.master, tokens_before).code, 0);
    assert_int_equal(master_bridge_key(vault.master, bridge_before).code, 0);
}

static void assert_same_keys(uint32_t generation)
{
    uint8_t key[32];
    assert_int_equal(master_row_key(vault.master, generation, key).code, 0);
    assert_memory_equal(key, row_before, 32);
    assert_int_equal(master_token_key(vault.master, key).code, 0);
    assert_memory_equal(key, tokens_before, 32);
    assert_int_equal(master_bridge_key(vault.master, key).code, 0);
    assert_memory_equal(key, bridge_before, 32);
}

/* For the image whose PCR0 is all `byte`. */
static struct seal_auto_proposal proposal_of(uint8_t byte)
{
    struct seal_auto_proposal p = {.threshold = THRESHOLD, .count = KEYS};
    memcpy(p.chamber_id, chamber.stored.chamber_id, sizeof p.chamber_id);
    memcpy(p.from, set.fingerprint, sizeof p.from);
    memset(p.id, 9, sizeof p.id);
    memset(p.image.pcr0, byte, sizeof p.image.pcr0);
    memset(p.kms_keys, 7, sizeof p.kms_keys);
    return p;
}

static void approve(const struct seal_auto_proposal *p)
{
    uint8_t digest[32];
    proposal_auto_digest(p, digest);
    assert_int_equal(rite_visit(&vault, SEAL_TO_APPROVE, &operators[0], digest, NULL, NULL).code,
                     0);
    assert_int_equal(rite_visit(&vault, SEAL_TO_APPROVE, &operators[2], digest, NULL, NULL).code,
                     0);
}

static uint32_t make(const struct seal_auto_proposal *p)
{
    const struct b_auto_make request = {.proposal = *p};
    return (uint32_t)auto_unseal_make(vault.sets, &request, &blob).code;
}

static uint32_t renew(const struct seal_auto *before)
{
    struct b_auto_make request = {.renews = 1, .before = *before};
    return (uint32_t)auto_unseal_make(vault.sets, &request, &blob).code;
}

static void take_shares(void)
{
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(auto_unseal_part(vault.sets, i, shares[i]).code, 0);
    assert_int_equal(auto_unseal_part(vault.sets, KEYS, shares[KEYS]).code, ERROR_SEAL_STATE);
    assert_int_equal(sets_drop(vault.sets, B_DROP_AUTO).code, 0);
    assert_int_equal(auto_unseal_part(vault.sets, 0, shares[KEYS]).code, ERROR_SEAL_STATE);
}

static void make_approved(const struct rite_plan *plan)
{
    begin(plan);
    const struct seal_auto_proposal p = proposal_of(0xaa);
    approve(&p);
    assert_int_equal(make(&p), 0);
    take_shares();
    remember_keys(1);
}

/* Another life of the vault. */
static void restart(bool allowed)
{
    rite_stop(&vault);
    rite_start(&vault, &chamber);
    if (allowed)
        auto_unseal_allow(vault.sets);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, 0);
    assert_false(rite_state(&vault).open);
}

static uint32_t open_blob(const struct seal_auto *stored)
{
    return (uint32_t)auto_unseal_open(vault.sets, stored).code;
}

static uint32_t unwrap(uint32_t i)
{
    return (uint32_t)auto_unseal_unwrap(vault.sets, i, shares[i]).code;
}

/* --- who may have one made ------------------------------------------------------------------------------------------------- */

static void test_T01_no_blob_without_the_quorums_approval_of_that_image(void **state)
{
    (void)state;
    begin(&operators_plan);
    const struct seal_auto_proposal right = proposal_of(0xaa);
    uint8_t digest[32];
    assert_int_equal(make(&right), ERROR_NOT_APPROVED);
    proposal_auto_digest(&right, digest);
    assert_int_equal(rite_visit(&vault, SEAL_TO_APPROVE, &operators[0], digest, NULL, NULL).code,
                     0);
    assert_int_equal(make(&right), ERROR_NOT_APPROVED); /* one is no quorum */
    approve(&right);
    for (unsigned fault = 0; fault < 6; fault++) {
        struct seal_auto_proposal other = right;
        if (fault == 0)
            other.id[0] ^= 1;
        else if (fault == 1)
            other.image.pcr0[47] ^= 1;
        else if (fault == 2)
            other.image.pcr8[0] ^= 1;
        else if (fault == 3)
            other.kms_keys[0] ^= 1;
        else if (fault == 4)
            other.threshold = 1;
        else
            other.count = 4;
        assert_int_equal(make(&other), ERROR_NOT_APPROVED);
    }
    struct seal_auto_proposal wrong = right;
    wrong.from[0] ^= 1;
    assert_int_equal(make(&wrong), ERROR_SEAL_STATE);
    wrong = right;
    wrong.chamber_id[0] ^= 1;
    assert_int_equal(make(&wrong), ERROR_SEAL_STATE);
    assert_int_equal(make(&right), 0);
    rite_stop(&vault);
}

static void test_T01_a_debug_image_or_no_kms_keys_are_no_proposal(void **state)
{
    (void)state;
    begin(&operators_plan);
    struct seal_auto_proposal p = proposal_of(0);
    approve(&p);
    assert_int_equal(make(&p), ERROR_PROTOCOL);
    p = proposal_of(0xaa);
    p.threshold = 0;
    assert_int_equal(make(&p), ERROR_PROTOCOL);
    p.threshold = p.count + 1;
    assert_int_equal(make(&p), ERROR_PROTOCOL);
    p.threshold = p.count = SEAL_KMS_MAX + 1;
    assert_int_equal(make(&p), ERROR_PROTOCOL);
    rite_stop(&vault);
}

static void test_T25_only_an_open_set_with_operators_gives_a_blob(void **state)
{
    (void)state;
    begin(&kms_plan);
    struct seal_auto_proposal p = proposal_of(0xaa);
    assert_int_equal(make(&p), ERROR_SEAL_STATE); /* needless: KMS opens it anyway */
    rite_stop(&vault);
    begin(&operators_plan);
    p = proposal_of(0xaa);
    approve(&p);
    assert_int_equal(sets_drop(vault.sets, B_DROP_OPEN).code, 0);
    assert_int_equal(make(&p), ERROR_NOT_APPROVED); /* the approval went with it */
    approve(&p);
    assert_int_equal(make(&p), ERROR_SEALED);
    sets_seal(vault.sets);
    assert_int_equal(make(&p), ERROR_SEALED);
    rite_stop(&vault);
}

static void test_T25_a_vault_that_is_not_told_of_it_makes_and_opens_none(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    restart(false);
    const struct seal_auto_proposal p = proposal_of(0xaa);
    assert_int_equal(open_blob(&blob), ERROR_NOT_ENABLED);
    assert_int_equal(unwrap(0), ERROR_NOT_ENABLED);
    const struct seal_auto before = blob;
    assert_int_equal(make(&p), ERROR_NOT_ENABLED);
    assert_int_equal(renew(&before), ERROR_NOT_ENABLED);
    rite_stop(&vault);
}

/* --- how often --------------------------------------------------------------------------------------------------------------- */

static void test_T25_an_approval_makes_one_blob(void **state)
{
    (void)state;
    begin(&operators_plan);
    const struct seal_auto_proposal p = proposal_of(0xaa);
    approve(&p);
    assert_int_equal(make(&p), 0);
    const struct seal_auto first = blob;
    take_shares();
    assert_int_equal(make(&p), ERROR_NOT_APPROVED);
    assert_int_equal(auto_unseal_part(vault.sets, 0, shares[KEYS]).code, ERROR_SEAL_STATE);
    assert_int_equal(rite_state(&vault).approved, 0); /* whoever looks sees that it is gone */
    approve(&p);
    assert_int_equal(make(&p), 0);
    assert_memory_not_equal(&blob.shares, &first.shares, sizeof first.shares);
    take_shares();
    assert_int_equal(make(&p), ERROR_NOT_APPROVED);
    rite_stop(&vault);
}

/* KMS was away, or the core has died: what was made is asked for again, and is the same. */
static void test_T25_a_blob_that_was_not_stored_is_given_again_and_no_other_one(void **state)
{
    (void)state;
    uint8_t share[SEAL_SHARE_SIZE];
    begin(&operators_plan);
    const struct seal_auto_proposal p = proposal_of(0xaa);
    const struct seal_auto_proposal other = proposal_of(0xbb);
    approve(&p);
    assert_int_equal(make(&p), 0);
    const struct seal_auto first = blob;
    assert_int_equal(auto_unseal_part(vault.sets, 1, shares[1]).code, 0);
    assert_int_equal(rite_state(&vault).approved, 1);
    assert_int_equal(open_blob(&first), 0); /* it is tried out */
    assert_int_equal(unwrap(1), 0);
    assert_int_equal(make(&other), ERROR_NOT_APPROVED);
    assert_int_equal(make(&p), 0);
    assert_memory_equal(&blob, &first, sizeof first);
    assert_int_equal(auto_unseal_part(vault.sets, 1, share).code, 0);
    assert_memory_equal(share, shares[1], sizeof share);
    /* Voted for once more, it is that one still, and both approvals go with it. */
    approve(&p);
    assert_int_equal(make(&p), 0);
    assert_memory_equal(&blob, &first, sizeof first);
    take_shares();
    assert_int_equal(make(&p), ERROR_NOT_APPROVED);
    /* Another one in its place: it is gone, and so is its approval. */
    approve(&p);
    approve(&other);
    assert_int_equal(make(&p), 0);
    assert_int_equal(make(&other), 0);
    assert_int_equal(make(&p), ERROR_NOT_APPROVED);
    take_shares();
    rite_stop(&vault);
}

static void test_T25_a_blob_that_nobody_stores_is_forgotten(void **state)
{
    (void)state;
    begin(&operators_plan);
    const struct seal_auto_proposal p = proposal_of(0xaa);
    approve(&p);
    assert_int_equal(make(&p), 0);
    sets_tick(vault.sets, vault.now_ms + PENDING_LIFE_MS / 2);
    assert_int_equal(auto_unseal_part(vault.sets, 0, shares[0]).code, 0);
    sets_tick(vault.sets, clock_mono_ms() + PENDING_LIFE_MS + 1);
    assert_int_equal(auto_unseal_part(vault.sets, 0, shares[0]).code, ERROR_SEAL_STATE);
    assert_int_equal(make(&p), ERROR_NOT_APPROVED);
    approve(&p);
    assert_int_equal(make(&p), 0);
    assert_int_equal(sets_drop(vault.sets, B_DROP_OPEN).code, 0);
    assert_int_equal(auto_unseal_part(vault.sets, 0, shares[0]).code, ERROR_SEAL_STATE);
    rite_stop(&vault);
}

/* --- what opens one ------------------------------------------------------------------------------------------------------------ */

static void opens_with_its_threshold(const struct rite_plan *plan)
{
    make_approved(plan);
    restart(true);
    assert_int_equal(unwrap(0), ERROR_SEAL_STATE); /* nothing waits for it */
    assert_int_equal(open_blob(&blob), 0);
    assert_int_equal(unwrap(2), 0);
    assert_int_equal(unwrap(2), 0); /* one is one */
    assert_int_equal(rite_state(&vault).auto_have, 1);
    assert_false(rite_state(&vault).open);
    assert_int_equal(unwrap(0), 0);
    assert_true(rite_state(&vault).open);
    assert_int_equal(rite_state(&vault).auto_have, 0);
    assert_same_keys(1);
    rite_stop(&vault);
}

static void test_T25_the_threshold_of_shares_opens_the_same_keys(void **state)
{
    (void)state;
    opens_with_its_threshold(&operators_plan);
    opens_with_its_threshold(&quorum_plan);
}

static void test_T18_a_share_that_was_not_committed_to_counts_for_nothing(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    restart(true);
    assert_int_equal(open_blob(&blob), 0);
    for (size_t at = 0; at < SEAL_SHARE_SIZE; at++) {
        shares[0][at] ^= 1;
        assert_int_equal(unwrap(0), ERROR_TAMPERED);
        shares[0][at] ^= 1;
    }
    assert_int_equal(auto_unseal_unwrap(vault.sets, 1, shares[0]).code, ERROR_TAMPERED);
    assert_int_equal(auto_unseal_unwrap(vault.sets, KEYS, shares[0]).code, ERROR_PROTOCOL);
    assert_int_equal(rite_state(&vault).auto_have, 0);
    assert_int_equal(unwrap(0), 0);
    assert_int_equal(unwrap(1), 0);
    assert_true(rite_state(&vault).open);
    rite_stop(&vault);
}

static void test_T25_a_blob_that_is_changed_anywhere_is_refused(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    restart(true);
    uint8_t bytes[sizeof blob];
    const size_t unused = offsetof(struct seal_auto, shares.commitments) + KEYS * 32;
    for (size_t at = 0; at < sizeof bytes; at++) {
        struct seal_auto changed;
        if (at >= unused && at < offsetof(struct seal_auto, keys))
            continue; /* beyond the count: never read */
        memcpy(bytes, &blob, sizeof bytes);
        bytes[at] ^= 1;
        memcpy(&changed, bytes, sizeof changed);
        const uint32_t error = open_blob(&changed);
        assert_true(error == ERROR_TAMPERED || error == ERROR_PROTOCOL);
        assert_int_equal(unwrap(0), ERROR_SEAL_STATE);
    }
    rite_stop(&vault);
}

static void test_T25_a_blob_of_another_chamber_is_refused(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    const struct seal_auto theirs = blob;
    rite_stop(&vault);
    make_approved(&operators_plan);
    restart(true);
    assert_int_equal(open_blob(&theirs), ERROR_TAMPERED);
    assert_int_equal(open_blob(&blob), 0);
    rite_stop(&vault);
}

static void test_T25_a_blob_that_was_given_before_a_seal_is_forgotten(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    restart(true);
    assert_int_equal(open_blob(&blob), 0);
    assert_int_equal(unwrap(0), 0);
    sets_seal(vault.sets);
    assert_int_equal(unwrap(1), ERROR_SEALED);
    assert_int_equal(open_blob(&blob), ERROR_SEALED);
    assert_false(rite_state(&vault).open);
    rite_stop(&vault);
}

/* --- rotations ------------------------------------------------------------------------------------------------------------------- */

/* The quorum approves a new master key, and keeps itself; *ret_next: as it is staged. */
static void stage(struct seal_set *ret_next)
{
    static struct rite_parts none;
    uint8_t digest[32];
    struct rite_plan plan = operators_plan;
    plan.keep = SEAL_KEEP_OPERATORS;
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &plan);
    proposal_digest(&proposal, digest);
    assert_int_equal(rite_visit(&vault, SEAL_TO_APPROVE, &operators[0], digest, NULL, NULL).code,
                     0);
    assert_int_equal(rite_visit(&vault, SEAL_TO_APPROVE, &operators[1], digest, NULL, NULL).code,
                     0);
    assert_int_equal(rite_stage(&vault, &proposal, &none, NULL, ret_next).code, 0);
}

static void rotate(void)
{
    static struct seal_set next;
    stage(&next);
    rite_switch(&vault, &next);
    set = next;
}

static void unseal(void)
{
    for (int i = 0; i < THRESHOLD; i++)
        assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &operators[i], NULL, NULL, NULL).code,
                         0);
    assert_true(rite_state(&vault).open);
}

static void test_T12_an_approval_goes_over_to_the_next_generation_and_no_further(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    const struct seal_auto first = blob;
    assert_int_equal(renew(&first), ERROR_SEAL_STATE); /* it is of the present generation */
    rotate();
    assert_int_equal(open_blob(&first), ERROR_SEAL_STATE);
    struct seal_auto changed = first;
    changed.image.pcr0[0] ^= 1;
    assert_int_equal(renew(&changed), ERROR_TAMPERED);
    assert_int_equal(renew(&first), 0);
    take_shares();
    assert_int_equal(blob.generation, 2);
    assert_memory_equal(&blob.image, &first.image, sizeof first.image);
    remember_keys(2);
    restart(true);
    assert_int_equal(open_blob(&blob), 0);
    assert_int_equal(unwrap(0), 0);
    assert_int_equal(unwrap(1), 0);
    assert_same_keys(2);
    rotate();
    assert_int_equal(renew(&first), ERROR_SEAL_STATE); /* two generations back */
    rite_stop(&vault);
}

static void test_T12_every_image_is_renewed_until_the_core_says_that_all_are(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    const struct seal_auto first = blob;
    const struct seal_auto_proposal p = proposal_of(0xbb);
    approve(&p);
    assert_int_equal(make(&p), 0);
    const struct seal_auto second = blob;
    take_shares();
    rotate();
    assert_int_equal(renew(&first), 0);
    assert_int_equal(renew(&second), 0);
    assert_int_equal(renew(&first), 0); /* KMS was away */
    take_shares();
    assert_int_equal(renew(&first), ERROR_NOT_APPROVED);
    assert_int_equal(renew(&second), ERROR_NOT_APPROVED);
    assert_int_equal(auto_unseal_part(vault.sets, 0, shares[KEYS]).code, ERROR_SEAL_STATE);
    rite_stop(&vault);
}

static void test_T12_an_approval_that_is_not_taken_along_lapses(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    const struct seal_auto first = blob;
    rotate();
    sets_tick(vault.sets, vault.now_ms + PENDING_LIFE_MS / 2);
    assert_int_equal(renew(&first), 0);
    sets_tick(vault.sets, clock_mono_ms() + PENDING_LIFE_MS + 1);
    assert_int_equal(renew(&first), ERROR_NOT_APPROVED);
    assert_int_equal(auto_unseal_part(vault.sets, 0, shares[0]).code, ERROR_SEAL_STATE);
    rite_stop(&vault);
}

/* A core that was captured has the records of before, and a vault that knows of nothing yet. */
static void test_T12_another_life_takes_no_approval_along(void **state)
{
    (void)state;
    static struct seal_set staged;
    make_approved(&operators_plan);
    const struct seal_auto first = blob;
    const struct seal_set before = set;
    stage(&staged);
    const struct seal_set with_bridge = staged;
    rite_switch(&vault, &staged);
    assert_int_equal(renew(&first), 0);
    take_shares();
    set = staged;
    restart(true);
    unseal();
    assert_int_equal(renew(&first), ERROR_NOT_APPROVED);
    /* The switch, played once more. */
    set = before;
    restart(true);
    unseal();
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &with_bridge).code, 0);
    assert_true(rite_state(&vault).staged_open);
    rite_switch(&vault, &staged);
    assert_true(rite_state(&vault).open);
    assert_int_equal(renew(&first), ERROR_NOT_APPROVED);
    rite_stop(&vault);
}

/* It was made here, but what comes back after it was dropped may be of any life. */
static void test_T12_a_set_that_was_dropped_takes_no_approval_along(void **state)
{
    (void)state;
    static struct seal_set staged;
    make_approved(&operators_plan);
    const struct seal_auto first = blob;
    stage(&staged);
    assert_int_equal(sets_drop(vault.sets, B_DROP_STAGED).code, 0);
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &staged).code, 0);
    rite_switch(&vault, &staged);
    assert_true(rite_state(&vault).open);
    assert_int_equal(renew(&first), ERROR_NOT_APPROVED);
    rite_stop(&vault);
}

/* Of the same chamber and generation, and not of the set that was replaced: a core's own, from a life that it has begun with nothing. */
static void test_T12_a_blob_of_another_set_of_the_generation_before_is_not_renewed(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    const struct seal_auto of_another = blob;
    rite_stop(&vault);
    rite_start(&vault, &chamber);
    auto_unseal_allow(vault.sets);
    const struct seal_proposal proposal = rite_proposal(&chamber, NULL, &operators_plan);
    assert_int_equal(rite_stage(&vault, &proposal, &parts, operators, &set).code, 0);
    rite_switch(&vault, &set);
    rotate();
    assert_int_equal(of_another.generation + 1, set.generation);
    assert_int_equal(renew(&of_another), ERROR_NOT_APPROVED);
    rite_stop(&vault);
}

static void test_T12_a_set_that_changes_meanwhile_is_not_opened_by_the_old_blob(void **state)
{
    (void)state;
    make_approved(&operators_plan);
    const struct seal_set before = set;
    const struct seal_auto old = blob;
    uint8_t old_shares[KEYS][SEAL_SHARE_SIZE];
    memcpy(old_shares, shares, sizeof old_shares);
    rotate();
    const struct seal_set after = set;
    set = before;
    restart(true);
    assert_int_equal(open_blob(&old), 0);
    assert_int_equal(unwrap(0), 0);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &after).code, 0);
    assert_int_equal(unwrap(1), ERROR_SEAL_STATE);
    assert_false(rite_state(&vault).open);
    rite_stop(&vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T01_no_blob_without_the_quorums_approval_of_that_image),
        cmocka_unit_test(test_T01_a_debug_image_or_no_kms_keys_are_no_proposal),
        cmocka_unit_test(test_T25_only_an_open_set_with_operators_gives_a_blob),
        cmocka_unit_test(test_T25_a_vault_that_is_not_told_of_it_makes_and_opens_none),
        cmocka_unit_test(test_T25_an_approval_makes_one_blob),
        cmocka_unit_test(test_T25_a_blob_that_was_not_stored_is_given_again_and_no_other_one),
        cmocka_unit_test(test_T25_a_blob_that_nobody_stores_is_forgotten),
        cmocka_unit_test(test_T25_the_threshold_of_shares_opens_the_same_keys),
        cmocka_unit_test(test_T18_a_share_that_was_not_committed_to_counts_for_nothing),
        cmocka_unit_test(test_T25_a_blob_that_is_changed_anywhere_is_refused),
        cmocka_unit_test(test_T25_a_blob_of_another_chamber_is_refused),
        cmocka_unit_test(test_T25_a_blob_that_was_given_before_a_seal_is_forgotten),
        cmocka_unit_test(test_T12_an_approval_goes_over_to_the_next_generation_and_no_further),
        cmocka_unit_test(test_T12_every_image_is_renewed_until_the_core_says_that_all_are),
        cmocka_unit_test(test_T12_an_approval_that_is_not_taken_along_lapses),
        cmocka_unit_test(test_T12_another_life_takes_no_approval_along),
        cmocka_unit_test(test_T12_a_set_that_was_dropped_takes_no_approval_along),
        cmocka_unit_test(test_T12_a_blob_of_another_set_of_the_generation_before_is_not_renewed),
        cmocka_unit_test(test_T12_a_set_that_changes_meanwhile_is_not_opened_by_the_old_blob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
