/* Ceremonies at the vault: every mode opens by what it needs, and by nothing else. */
#include <string.h>

#include "crypto/random.h"
#include "support/ceremony_kit.h"
#include "support/test.h"
#include "vault/master.h"

static struct rite_chamber chamber;
static struct rite_vault vault;
static struct rite_parts parts;
static struct rite_operator operators[SEAL_OPERATORS_MAX];
static struct seal_set set;
static uint8_t row_key[32]; /* of the generation that was made: what opening is measured by */

static const struct rite_plan kms_plan = {
    .mode = SEAL_KMS, .kms_count = 3, .kms_threshold = 2, .break_glass = true};
static const struct rite_plan quorum_plan = {.mode = SEAL_QUORUM,
                                             .kms_count = 3,
                                             .kms_threshold = 2,
                                             .operator_count = 3,
                                             .operator_threshold = 2,
                                             .break_glass = true};
static const struct rite_plan operators_plan = {
    .mode = SEAL_OPERATORS, .operator_count = 3, .operator_threshold = 2};

static void begin(const struct rite_plan *plan)
{
    rite_make(&chamber, false);
    rite_start(&vault, &chamber);
    const struct seal_proposal proposal = rite_proposal(&chamber, NULL, plan);
    assert_int_equal(rite_stage(&vault, &proposal, &parts, operators, &set).code, 0);
    rite_switch(&vault, &set);
    assert_int_equal(rite_state(&vault).open, 1);
    assert_int_equal(master_row_key(vault.master, 1, row_key).code, 0);
}

static void restart(void)
{
    rite_stop(&vault);
    rite_start(&vault, &chamber);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, 0);
    assert_int_equal(rite_state(&vault).open, set.mode == SEAL_LOCAL);
}

static void is_open(void)
{
    uint8_t key[32];
    assert_int_equal(rite_state(&vault).open, 1);
    assert_int_equal(master_row_key(vault.master, set.generation, key).code, 0);
    assert_memory_equal(key, row_key, sizeof key);
    assert_int_equal(master_token_key(vault.master, key).code, 0);
}

static void is_closed(void)
{
    uint8_t key[32];
    assert_int_equal(rite_state(&vault).open, 0);
    assert_int_equal(master_row_key(vault.master, set.generation, key).code, ERROR_SEALED);
    assert_int_equal(master_token_key(vault.master, key).code, ERROR_SEALED);
}

static cc_err unwrap(uint32_t index)
{
    return sets_unwrap(vault.sets, B_SET_PRESENT, index, parts.kms[index]);
}

static cc_err unseal(uint32_t n)
{
    return rite_visit(&vault, SEAL_TO_UNSEAL, &operators[n], NULL, NULL, NULL);
}

static void test_T02_mode_local_needs_the_chambers_root_alone(void **state)
{
    (void)state;
    rite_make(&chamber, true);
    set = chamber.set;
    rite_start(&vault, &chamber);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, 0);
    assert_int_equal(master_row_key(vault.master, 1, row_key).code, 0);
    restart();
    is_open();
    assert_int_equal(sets_drop(vault.sets, B_DROP_OPEN).code, 0);
    is_closed();
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, 0);
    is_open();
    rite_stop(&vault);
}

static void test_P25_mode_kms_opens_by_any_two_of_three(void **state)
{
    (void)state;
    begin(&kms_plan);
    for (uint32_t lost = 0; lost < 3; lost++) {
        restart();
        for (uint32_t i = 0; i < 3; i++) {
            if (i == lost)
                continue;
            is_closed();
            assert_int_equal(unwrap(i).code, 0);
            assert_int_equal(unwrap(i).code, 0); /* the same again counts once */
        }
        is_open();
        assert_int_equal(rite_state(&vault).kms_open, 1);
    }
    restart();
    assert_int_equal(unwrap(1).code, 0);
    assert_int_equal(unwrap(1).code, 0);
    assert_int_equal(rite_state(&vault).kms_have, 1);
    is_closed();
    rite_stop(&vault);
}

static void test_quorum_needs_both_layers(void **state)
{
    (void)state;
    begin(&quorum_plan);
    restart();
    assert_int_equal(unseal(0).code,
                     ERROR_SEALED); /* his share lies under the KMS layer too (T17) */
    assert_int_equal(unwrap(0).code, 0);
    assert_int_equal(unwrap(2).code, 0);
    assert_int_equal(rite_state(&vault).kms_open, 1);
    is_closed();
    assert_int_equal(unseal(2).code, 0);
    assert_int_equal(rite_state(&vault).operators_have, 1);
    is_closed();
    assert_int_equal(unseal(2).code, 0); /* one person is one */
    assert_int_equal(rite_state(&vault).operators_have, 1);
    assert_int_equal(unseal(0).code, 0);
    is_open();
    assert_int_equal(unseal(1).code, 0); /* he comes late */
    is_open();
    rite_stop(&vault);
}

static void test_P25_operators_open_by_any_two_of_three(void **state)
{
    (void)state;
    begin(&operators_plan);
    for (uint32_t lost = 0; lost < 3; lost++) {
        restart();
        for (uint32_t i = 0; i < 3; i++) {
            if (i == lost)
                continue;
            is_closed();
            assert_int_equal(unseal(i).code, 0);
        }
        is_open();
    }
    rite_stop(&vault);
}

static void test_one_operator_alone(void **state)
{
    (void)state;
    const struct rite_plan plan = {
        .mode = SEAL_OPERATORS, .operator_count = 1, .operator_threshold = 1};
    begin(&plan);
    restart();
    assert_int_equal(unseal(0).code, 0);
    is_open();
    rite_stop(&vault);
}

static cc_err give_break_glass(uint32_t n, uint8_t change)
{
    const struct seal_challenge challenge =
        rite_challenge(&vault, SEAL_TO_BREAK_GLASS, "break-glass");
    struct seal_envelope envelope = {.credential_len = SEAL_SHARE_SIZE};
    memcpy(envelope.credential, parts.break_glass[n], SEAL_SHARE_SIZE);
    envelope.credential[0] ^= change;
    return rite_send(&vault, &challenge, &envelope, NULL, NULL);
}

static void test_P25_break_glass_when_every_kms_key_is_lost(void **state)
{
    (void)state;
    begin(&kms_plan);
    restart();
    assert_int_equal(give_break_glass(0, 1).code, ERROR_CREDENTIAL);
    assert_int_equal(give_break_glass(0, 0).code, 0);
    assert_int_equal(give_break_glass(0, 0).code, 0);
    is_closed();
    assert_int_equal(give_break_glass(1, 0).code, 0);
    is_open();
    rite_stop(&vault);

    begin(&quorum_plan);
    restart();
    assert_int_equal(give_break_glass(1, 0).code, 0);
    assert_int_equal(give_break_glass(0, 0).code, 0);
    assert_int_equal(rite_state(&vault).kms_open, 1);
    is_closed(); /* that is one layer of two */
    assert_int_equal(unseal(0).code, 0);
    assert_int_equal(unseal(1).code, 0);
    is_open();
    rite_stop(&vault);
}

/* Shares prove themselves without opening anything. */
static void test_P25_a_rehearsal_changes_nothing(void **state)
{
    (void)state;
    begin(&quorum_plan);
    restart();
    assert_int_equal(unwrap(0).code, 0);
    assert_int_equal(unwrap(1).code, 0);
    for (uint32_t i = 1; i < 3; i++)
        assert_int_equal(rite_visit(&vault, SEAL_TO_REHEARSE, &operators[i], NULL, NULL, NULL).code,
                         0);
    assert_int_equal(rite_state(&vault).rehearsed, 1);
    assert_int_equal(rite_state(&vault).operators_have, 0);
    is_closed();
    assert_int_equal(rite_visit(&vault, SEAL_TO_REHEARSE, &operators[0], NULL, NULL, NULL).code, 0);
    assert_int_equal(rite_state(&vault).rehearsed, 0);
    assert_int_equal(rite_state(&vault).rehearsals_have, 1);
    rite_stop(&vault);
}

/* T15: what is used once makes room for the next; the old one opens nothing any more. */
static void test_T15_a_credential_rolls(void **state)
{
    (void)state;
    uint8_t next[32];
    struct b_enveloped answer;
    struct rite_operator old;
    begin(&operators_plan);
    restart();
    old = operators[0];
    assert_int_equal(random_bytes(next, sizeof next).code, 0);
    assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &operators[0], NULL, next, &answer).code,
                     0);
    assert_int_equal(answer.changed, 1);
    assert_int_equal(answer.set.number, set.number + 1);
    assert_memory_equal(answer.set.fingerprint, set.fingerprint, 32);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &answer.set).code, 0);
    assert_int_equal(rite_state(&vault).operators_have, 1); /* what was collected stays */
    set = answer.set;
    restart();
    assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &old, NULL, NULL, NULL).code,
                     ERROR_CREDENTIAL);
    assert_int_equal(unseal(0).code, 0);
    assert_int_equal(unseal(2).code, 0);
    is_open();
    rite_stop(&vault);
}

/* Two replicas ask the operator at once; the second one hears of the first one's roll before his answer. */
static void test_T26_a_challenge_outlives_a_roll_elsewhere(void **state)
{
    (void)state;
    uint8_t next[32] = {5};
    struct b_enveloped rolled;
    struct b_enveloped answer;
    struct rite_vault other;
    begin(&operators_plan);
    restart();
    rite_start(&other, &chamber);
    assert_int_equal(rite_open(&other, B_SET_PRESENT, &set).code, 0);
    const struct rite_operator before = operators[0];
    const struct seal_challenge late = rite_challenge(&other, SEAL_TO_UNSEAL, "op-1");
    assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &operators[0], NULL, next, &rolled).code,
                     0);
    assert_int_equal(rite_open(&other, B_SET_PRESENT, &rolled.set).code, 0);
    struct seal_envelope envelope = {.credential_len = 32,
                                     .next = {.factor = SEAL_FACTOR_PASSPHRASE,
                                              .memory_kib = CREDENTIAL_MEMORY_MIN_KIB,
                                              .passes = CREDENTIAL_PASSES_MIN}};
    memcpy(envelope.credential, before.credential, 32);
    assert_int_equal(rite_send(&other, &late, &envelope, NULL, &answer).code, 0);
    assert_int_equal(answer.changed, 0); /* it does not roll what was rolled already */
    assert_int_equal(answer.state.operators_have, 1);
    /* Minutes later that is over. */
    const struct seal_challenge fresh = rite_challenge(&other, SEAL_TO_UNSEAL, "op-1");
    assert_int_equal(rite_send(&other, &fresh, &envelope, NULL, NULL).code, ERROR_CREDENTIAL);
    rite_stop(&other);
    rite_stop(&vault);
}

static void test_P23_shares_that_wait_can_be_dropped(void **state)
{
    (void)state;
    begin(&operators_plan);
    restart();
    assert_int_equal(unseal(0).code, 0);
    assert_int_equal(sets_drop(vault.sets, B_DROP_PENDING).code, 0);
    assert_int_equal(rite_state(&vault).operators_have, 0);
    assert_int_equal(unseal(1).code, 0);
    is_closed();
    vault.now_ms += PENDING_LIFE_MS + 1; /* a core that never drops them */
    assert_int_equal(unseal(0).code, 0);
    is_closed();
    assert_int_equal(unseal(2).code, 0);
    is_open();
    rite_stop(&vault);
}

static void test_P25_break_glass_shares_that_wait_can_be_dropped(void **state)
{
    (void)state;
    begin(&kms_plan);
    restart();
    assert_int_equal(give_break_glass(0, 0).code, 0);
    assert_int_equal(rite_state(&vault).break_glass_have, 1);
    assert_int_equal(sets_drop(vault.sets, B_DROP_PENDING).code, 0);
    assert_int_equal(rite_state(&vault).break_glass_have, 0);
    assert_int_equal(give_break_glass(1, 0).code, 0);
    assert_int_equal(rite_state(&vault).break_glass_have, 1);
    is_closed();
    /* What KMS keys open leaves none waiting. */
    assert_int_equal(unwrap(0).code, 0);
    assert_int_equal(unwrap(2).code, 0);
    is_open();
    assert_int_equal(rite_state(&vault).break_glass_have, 0);
    rite_stop(&vault);
}

static void test_after_a_seal_nothing_is_left(void **state)
{
    (void)state;
    const struct set_secrets *secrets;
    begin(&quorum_plan);
    assert_int_equal(unseal(0).code, 0);
    sets_seal(vault.sets);
    secrets = vault.sets->secrets;
    for (size_t i = 0; i < sizeof *secrets; i++)
        assert_int_equal(((const uint8_t *)secrets)[i], 0);
    is_closed();
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, ERROR_SEALED);
    assert_int_equal(unwrap(0).code, ERROR_SEALED);
    rite_stop(&vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T02_mode_local_needs_the_chambers_root_alone),
        cmocka_unit_test(test_P25_mode_kms_opens_by_any_two_of_three),
        cmocka_unit_test(test_quorum_needs_both_layers),
        cmocka_unit_test(test_P25_operators_open_by_any_two_of_three),
        cmocka_unit_test(test_one_operator_alone),
        cmocka_unit_test(test_P25_break_glass_when_every_kms_key_is_lost),
        cmocka_unit_test(test_P25_break_glass_shares_that_wait_can_be_dropped),
        cmocka_unit_test(test_P25_a_rehearsal_changes_nothing),
        cmocka_unit_test(test_T15_a_credential_rolls),
        cmocka_unit_test(test_T26_a_challenge_outlives_a_roll_elsewhere),
        cmocka_unit_test(test_P23_shares_that_wait_can_be_dropped),
        cmocka_unit_test(test_after_a_seal_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
