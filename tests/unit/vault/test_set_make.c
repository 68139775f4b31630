/* Sets follow one another by their quorum's will alone; what stays, what goes, and what is refused. */
#include <stdio.h>
#include <string.h>

#include "support/ceremony_kit.h"
#include "support/test.h"

static struct rite_chamber chamber;
static struct rite_vault vault;
static struct rite_parts parts;
static struct rite_parts next_parts;
static struct rite_operator operators[SEAL_OPERATORS_MAX];
static struct rite_operator next_operators[SEAL_OPERATORS_MAX];
static struct seal_set set;
static struct seal_set next_set;

static const struct rite_plan local_plan = {.mode = SEAL_LOCAL};
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
}

static uint32_t make(const struct seal_proposal *proposal)
{
    static const struct seal_set none;
    enum b_set_which which = (enum b_set_which)0;
    struct seal_set made;
    const uint32_t error = (uint32_t)sets_make(vault.sets, proposal, &which, &made).code;
    if (error)
        assert_memory_equal(&made, &none, sizeof made);
    return error;
}

static cc_err approve(uint32_t n, const uint8_t digest[static 32])
{
    return rite_visit(&vault, SEAL_TO_APPROVE, &operators[n], digest, NULL, NULL);
}

static void approve_all(const struct seal_proposal *proposal)
{
    uint8_t digest[32];
    proposal_digest(proposal, digest);
    assert_int_equal(approve(0, digest).code, 0);
    assert_int_equal(approve(2, digest).code, 0);
    assert_int_equal(rite_state(&vault).approved, 1);
}

static void row_key(uint32_t generation, uint8_t ret_key[static 32])
{
    assert_int_equal(master_row_key(vault.master, generation, ret_key).code, 0);
}

/* --- who may ---------------------------------------------------------------------------------------------------------------- */

static void test_T01_no_set_without_the_quorum(void **state)
{
    (void)state;
    uint8_t digest[32];
    begin(&operators_plan);
    struct seal_proposal proposal = rite_proposal(&chamber, &set, &quorum_plan);
    assert_int_equal(make(&proposal), ERROR_NOT_APPROVED);
    proposal_digest(&proposal, digest);
    assert_int_equal(approve(0, digest).code, 0);
    assert_int_equal(rite_state(&vault).approvals_have, 1);
    assert_int_equal(approve(0, digest).code, 0); /* one person is one */
    assert_int_equal(rite_state(&vault).approvals_have, 1);
    assert_int_equal(rite_state(&vault).approved, 0);
    assert_int_equal(make(&proposal), ERROR_NOT_APPROVED);
    assert_int_equal(approve(1, digest).code, 0);
    assert_int_equal(rite_state(&vault).approved, 1);
    assert_memory_equal(rite_state(&vault).approving, digest, 32);
    /* Exactly that one. */
    for (unsigned fault = 0; fault < 6; fault++) {
        struct seal_proposal other = proposal;
        if (fault == 0)
            other.id[0] ^= 1;
        else if (fault == 1)
            other.kms_keys[0] ^= 1;
        else if (fault == 2)
            other.kms_threshold = 1;
        else if (fault == 3)
            other.operators[1].recipient.key[0] ^= 1;
        else if (fault == 4)
            other.operators[2].name[3] = '9';
        else
            other.break_glass[1].key[0] ^= 1;
        assert_int_equal(make(&other), ERROR_NOT_APPROVED);
    }
    assert_int_equal(make(&proposal), 0);
    rite_stop(&vault);
}

static void test_T01_a_proposal_that_follows_another_set(void **state)
{
    (void)state;
    begin(&kms_plan);
    const struct seal_proposal right = rite_proposal(&chamber, &set, &kms_plan);
    struct seal_proposal wrong = right;
    wrong.from[0] ^= 1;
    assert_int_equal(make(&wrong), ERROR_SEAL_STATE);
    wrong = right;
    wrong.generation++;
    assert_int_equal(make(&wrong), ERROR_SEAL_STATE);
    wrong.generation = set.generation;
    assert_int_equal(make(&wrong), ERROR_SEAL_STATE);
    wrong = right;
    wrong.chamber_id[0] ^= 1;
    assert_int_equal(make(&wrong), ERROR_PROTOCOL);
    wrong = rite_proposal(&chamber, NULL, &kms_plan); /* a first one, where there is one */
    assert_int_equal(make(&wrong), ERROR_SEAL_STATE);
    assert_int_equal(make(&right), 0);
    assert_int_equal(make(&right), ERROR_EXISTS); /* one of a generation, until it is dropped */
    assert_int_equal(sets_drop(vault.sets, B_DROP_STAGED).code, 0);
    assert_int_equal(rite_state(&vault).staged_open, 0);
    assert_int_equal(make(&right), 0);
    rite_stop(&vault);
}

static void test_T01_a_closed_chamber_makes_nothing(void **state)
{
    (void)state;
    begin(&kms_plan);
    assert_int_equal(sets_drop(vault.sets, B_DROP_OPEN).code, 0);
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &kms_plan);
    assert_int_equal(make(&proposal), ERROR_SEALED);
    sets_seal(vault.sets);
    assert_int_equal(make(&proposal), ERROR_SEALED);
    rite_stop(&vault);
}

/* A chamber of mode local becomes another one only where the vault's own configuration says so: a core can't make a set whose shares it
 * sees, and have the keys sealed for it.
 */
static void test_T01_from_local_only_by_the_configuration(void **state)
{
    (void)state;
    rite_make(&chamber, true);
    rite_start(&vault, &chamber);
    vault.sets->by_ceremony = false;
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &chamber.set).code, 0);
    const struct seal_proposal proposal = rite_proposal(&chamber, &chamber.set, &kms_plan);
    assert_int_equal(make(&proposal), ERROR_NOT_APPROVED);
    vault.sets->by_ceremony = true;
    assert_int_equal(make(&proposal), 0);
    rite_stop(&vault);

    rite_make(&chamber, false);
    rite_start(&vault, &chamber);
    vault.sets->by_ceremony = false;
    const struct seal_proposal first = rite_proposal(&chamber, NULL, &operators_plan);
    assert_int_equal(make(&first), ERROR_NOT_APPROVED);
    rite_stop(&vault);
}

static void test_proposals_that_make_no_sense(void **state)
{
    (void)state;
    begin(&kms_plan);
    const struct seal_proposal right = rite_proposal(&chamber, &set, &quorum_plan);
    for (unsigned fault = 0; fault < 16; fault++) {
        struct seal_proposal p = right;
        switch (fault) {
        case 0:
            p.mode = 0;
            break;
        case 1:
            p.mode = SEAL_OPERATORS + 1;
            break;
        case 2:
            p.keep = 4;
            break;
        case 3:
            p.kms_threshold = 4;
            break;
        case 4:
            p.kms_threshold = 0;
            break;
        case 5:
            p.kms_count = SEAL_KMS_MAX + 1;
            break;
        case 6:
            p.operator_threshold = 1;
            break; /* one of three would be no quorum */
        case 7:
            p.operator_threshold = 4;
            break;
        case 8:
            p.operator_count = SEAL_OPERATORS_MAX + 1;
            break;
        case 9:
            memcpy(p.operators[1].name, p.operators[0].name, SEAL_NAME_SIZE);
            break;
        case 10:
            memset(p.operators[1].name, 'a', SEAL_NAME_SIZE);
            break;
        case 11:
            p.operators[1].name[0] = 'A';
            break;
        case 12:
            p.operators[1].recipient.kind = 3;
            break;
        case 13:
            p.break_glass_threshold = 3;
            break;
        case 14:
            p.break_glass[1].kind = 0;
            break;
        default:
            p.mode = SEAL_KMS;
            break; /* with operators */
        }
        assert_int_equal(make(&p), ERROR_PROTOCOL);
    }
    rite_stop(&vault);
}

/* --- what stays and what goes ------------------------------------------------------------------------------------------------- */

/* From each mode to each: rows of the present generation open until the switch, those of the next one from the start, and access tokens
 * stay good.
 */
static void rotate(const struct rite_plan *from, const struct rite_plan *to)
{
    uint8_t old[32];
    uint8_t staged[32];
    uint8_t key[32];
    uint8_t tokens[32];
    begin(from);
    row_key(1, old);
    assert_int_equal(master_token_key(vault.master, tokens).code, 0);
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, to);
    if (from->operator_count)
        approve_all(&proposal);
    assert_int_equal(rite_stage(&vault, &proposal, &next_parts, next_operators, &next_set).code, 0);
    assert_int_equal(rite_state(&vault).staged_open, 1);
    row_key(1, key);
    assert_memory_equal(key, old, sizeof key);
    row_key(2, staged);
    assert_memory_not_equal(staged, old, sizeof key);
    const uint64_t epoch = master_epoch(vault.master);
    rite_switch(&vault, &next_set);
    assert_int_not_equal(master_epoch(vault.master), epoch);
    row_key(2, key);
    assert_memory_equal(key, staged, sizeof key);
    assert_int_equal(master_row_key(vault.master, 1, key).code, ERROR_TAMPERED);
    assert_int_equal(master_token_key(vault.master, key).code, 0);
    assert_memory_equal(key, tokens, sizeof key);
    /* T12: the set before is good for nothing in this life, and in another one not for today's rows. */
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, ERROR_TAMPERED);
    rite_stop(&vault);
}

static void test_T12_every_mode_becomes_every_other(void **state)
{
    (void)state;
    static const struct rite_plan *const plans[] = {&local_plan, &kms_plan, &quorum_plan,
                                                    &operators_plan};
    for (size_t from = 0; from < ARRAY_LEN(plans); from++)
        for (size_t to = 0; to < ARRAY_LEN(plans); to++)
            rotate(plans[from], plans[to]);
}

static void reopen(const struct seal_set *present)
{
    rite_stop(&vault);
    rite_start(&vault, &chamber);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, present).code, 0);
    assert_int_equal(rite_state(&vault).open, 0);
}

static void reopen_next(void)
{
    reopen(&next_set);
}

/* `rotate kms`: other KMS keys, the operators' credentials stay. */
static void test_kms_keys_change_and_operators_stay(void **state)
{
    (void)state;
    begin(&quorum_plan);
    struct rite_plan plan = quorum_plan;
    plan.keep = SEAL_KEEP_OPERATORS;
    plan.kms_count = 2;
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &plan);
    approve_all(&proposal);
    assert_int_equal(rite_stage(&vault, &proposal, &next_parts, next_operators, &next_set).code, 0);
    assert_int_equal(next_set.unseal_generation, 1);
    assert_int_equal(next_set.kms_generation, 2);
    rite_switch(&vault, &next_set);
    reopen_next();
    assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, 0, parts.kms[0]).code, ERROR_TAMPERED);
    assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, 0, next_parts.kms[0]).code, 0);
    assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, 1, next_parts.kms[1]).code, 0);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &operators[i], NULL, NULL, NULL).code,
                         0);
    assert_int_equal(rite_state(&vault).open, 1);
    rite_stop(&vault);
}

/* A KMS layer around the operators, and off again: their credentials stay. */
static void test_a_kms_layer_comes_and_goes(void **state)
{
    (void)state;
    begin(&operators_plan);
    for (unsigned round = 0; round < 2; round++) {
        struct rite_plan plan = round ? operators_plan : quorum_plan;
        plan.keep = SEAL_KEEP_OPERATORS;
        const struct seal_proposal proposal = rite_proposal(&chamber, &set, &plan);
        approve_all(&proposal);
        assert_int_equal(rite_stage(&vault, &proposal, &next_parts, next_operators, &next_set).code,
                         0);
        rite_switch(&vault, &next_set);
        set = next_set;
        reopen_next();
        for (uint32_t i = 0; i < 2 && !round; i++)
            assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, i, next_parts.kms[i]).code, 0);
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(
                rite_visit(&vault, SEAL_TO_UNSEAL, &operators[i], NULL, NULL, NULL).code, 0);
        assert_int_equal(rite_state(&vault).open, 1);
    }
    rite_stop(&vault);
}

/* A credential that was used does not come back with a set that was staged before: it rolls after the switch. */
static void test_T15_nothing_rolls_while_operators_are_taken_over(void **state)
{
    (void)state;
    static const uint8_t next[32] = {6};
    struct b_enveloped answer;
    begin(&operators_plan);
    struct rite_plan plan = operators_plan;
    plan.keep = SEAL_KEEP_OPERATORS;
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &plan);
    approve_all(&proposal);
    assert_int_equal(rite_stage(&vault, &proposal, &next_parts, next_operators, &next_set).code, 0);
    struct rite_operator one = operators[0];
    assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &one, NULL, next, &answer).code, 0);
    assert_int_equal(answer.changed, 0);
    rite_switch(&vault, &next_set);
    one = operators[0];
    assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &one, NULL, next, &answer).code, 0);
    assert_int_equal(answer.changed, 1);
    rite_stop(&vault);
}

/* `rotate quorum`: other operators, the KMS keys and break-glass shares stay. */
static void test_operators_change_and_kms_keys_stay(void **state)
{
    (void)state;
    begin(&quorum_plan);
    struct rite_plan plan = quorum_plan;
    plan.keep = SEAL_KEEP_KMS;
    plan.operator_count = 2;
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &plan);
    approve_all(&proposal);
    assert_int_equal(rite_stage(&vault, &proposal, &next_parts, next_operators, &next_set).code, 0);
    assert_int_equal(vault.sets->secrets->making.kms_count, 0);
    rite_switch(&vault, &next_set);
    reopen_next();
    assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, 2, parts.kms[2]).code, 0);
    assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, 0, parts.kms[0]).code, 0);
    assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &operators[0], NULL, NULL, NULL).code,
                     ERROR_CREDENTIAL); /* T12: who has left opens nothing */
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(
            rite_visit(&vault, SEAL_TO_UNSEAL, &next_operators[i], NULL, NULL, NULL).code, 0);
    assert_int_equal(rite_state(&vault).open, 1);
    rite_stop(&vault);
}

/* `rotate master`: all stays but the master key; also after it was done before, with credentials of the first generation. */
static void test_T12_the_master_key_alone_changes(void **state)
{
    (void)state;
    begin(&quorum_plan);
    struct rite_plan plan = quorum_plan;
    plan.keep = SEAL_KEEP_KMS | SEAL_KEEP_OPERATORS;
    for (uint32_t round = 0; round < 2; round++) {
        const struct seal_proposal proposal = rite_proposal(&chamber, &set, &plan);
        approve_all(&proposal);
        assert_int_equal(rite_stage(&vault, &proposal, &next_parts, next_operators, &next_set).code,
                         0);
        rite_switch(&vault, &next_set);
        set = next_set;
        assert_int_equal(set.generation, round + 2);
        assert_int_equal(set.kms_generation, 1);
        assert_int_equal(set.unseal_generation, 1);
        reopen_next();
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, i, parts.kms[i]).code, 0);
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(
                rite_visit(&vault, SEAL_TO_UNSEAL, &operators[i], NULL, NULL, NULL).code, 0);
        assert_int_equal(rite_state(&vault).open, 1);
    }
    rite_stop(&vault);
}

static void test_what_stays_is_named_as_it_is(void **state)
{
    (void)state;
    begin(&quorum_plan);
    struct rite_plan plan = quorum_plan;
    plan.keep = SEAL_KEEP_KMS | SEAL_KEEP_OPERATORS;
    for (unsigned fault = 0; fault < 6; fault++) {
        struct seal_proposal p = rite_proposal(&chamber, &set, &plan);
        if (fault == 0)
            p.operators[1].recipient.key[0] ^= 1;
        else if (fault == 1)
            p.operators[1].name[3] = '9';
        else if (fault == 2)
            p.operator_threshold = 3;
        else if (fault == 3)
            p.kms_count = 4;
        else if (fault == 4)
            p.kms_threshold = 3;
        else
            p.break_glass_threshold = 1;
        approve_all(&p);
        assert_int_equal(make(&p), ERROR_SEAL_STATE);
        assert_int_equal(sets_drop(vault.sets, B_DROP_PENDING).code, 0);
    }
    rite_stop(&vault);
}

/* A replica that is open stays open: it goes over the bridge, and knows no new share. */
static void test_signing_goes_on_on_the_other_replicas(void **state)
{
    (void)state;
    struct rite_vault other;
    uint8_t here[32];
    uint8_t there[32];
    begin(&operators_plan);
    rite_start(&other, &chamber);
    assert_int_equal(rite_open(&other, B_SET_PRESENT, &set).code, 0);
    struct rite_vault mine = vault;
    vault = other;
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &operators[i], NULL, NULL, NULL).code,
                         0);
    other = vault;
    vault = mine;
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &operators_plan);
    approve_all(&proposal);
    assert_int_equal(rite_stage(&vault, &proposal, &next_parts, next_operators, &next_set).code, 0);
    struct seal_set broken = next_set;
    broken.bridge[50] ^= 1;
    assert_int_equal(rite_open(&other, B_SET_STAGED, &broken).code, ERROR_TAMPERED);
    assert_int_equal(rite_open(&other, B_SET_STAGED, &next_set).code, 0);
    assert_int_equal(rite_state(&other).staged_open, 1);
    row_key(2, here);
    assert_int_equal(master_row_key(other.master, 2, there).code, 0);
    assert_memory_equal(here, there, sizeof here);
    rite_switch(&other, &next_set);
    assert_int_equal(rite_state(&other).open, 1);
    rite_stop(&other);
    rite_stop(&vault);
}

static void test_T12_no_second_set_of_a_generation(void **state)
{
    (void)state;
    struct seal_set first;
    begin(&kms_plan);
    const struct seal_proposal a = rite_proposal(&chamber, &set, &kms_plan);
    const struct seal_proposal b = rite_proposal(&chamber, &set, &kms_plan);
    assert_int_equal(rite_stage(&vault, &a, &next_parts, next_operators, &first).code, 0);
    assert_int_equal(sets_drop(vault.sets, B_DROP_STAGED).code, 0);
    assert_int_equal(rite_stage(&vault, &b, &next_parts, next_operators, &next_set).code, 0);
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &first).code, ERROR_EXISTS);
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &set).code, ERROR_SEAL_STATE);
    rite_switch(&vault, &next_set);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &first).code, ERROR_TAMPERED);
    rite_stop(&vault);
}

/* --- registration --------------------------------------------------------------------------------------------------------------- */

static void stage_unregistered(const struct rite_plan *plan)
{
    enum b_set_which which;
    rite_make(&chamber, false);
    rite_start(&vault, &chamber);
    const struct seal_proposal proposal = rite_proposal(&chamber, NULL, plan);
    assert_int_equal(sets_make(vault.sets, &proposal, &which, &set).code, 0);
    memcpy(parts.tokens, vault.sets->secrets->making.tokens, sizeof parts.tokens);
    for (uint32_t i = 0; i < set.kms.count; i++)
        assert_int_equal(sets_part(vault.sets, i, parts.kms[i]).code, 0);
    for (uint32_t i = 0; i < plan->operator_count; i++) {
        (void)snprintf(operators[i].name, SEAL_NAME_SIZE, "op-%u", i + 1);
        memcpy(operators[i].credential, parts.tokens[i], 32);
    }
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &set).code, 0);
}

static void test_T14_an_operator_registers_once_with_his_own_token(void **state)
{
    (void)state;
    uint8_t next[32] = {1};
    struct b_enveloped answer;
    stage_unregistered(&operators_plan);
    const struct rite_operator invited = operators[0];
    struct rite_operator thief = operators[0];
    memcpy(thief.credential, parts.tokens[1], 32);
    assert_int_equal(rite_visit(&vault, SEAL_TO_REGISTER, &thief, set.fingerprint, next, NULL).code,
                     ERROR_CREDENTIAL);
    assert_int_equal(
        rite_visit(&vault, SEAL_TO_REGISTER, &operators[0], parts.tokens[0], next, NULL).code,
        ERROR_CREDENTIAL); /* for another set than the one he was shown */
    assert_int_equal(
        rite_visit(&vault, SEAL_TO_REGISTER, &operators[0], set.fingerprint, NULL, NULL).code,
        ERROR_PROTOCOL);
    assert_int_equal(
        rite_visit(&vault, SEAL_TO_REGISTER, &operators[0], set.fingerprint, next, &answer).code,
        0);
    assert_int_equal(answer.changed, 1);
    assert_int_equal(answer.set.operators[0].factor, SEAL_FACTOR_PASSPHRASE);
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &answer.set).code, 0);
    struct rite_operator again = invited;
    assert_int_equal(rite_visit(&vault, SEAL_TO_REGISTER, &again, set.fingerprint, next, NULL).code,
                     ERROR_EXISTS);
    /* The revision before his registration is not taken back, nor does a set come into force before all have registered. */
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &set).code, ERROR_TAMPERED);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, ERROR_TAMPERED);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &answer.set).code, ERROR_SEAL_STATE);
    assert_int_equal(rite_state(&vault).generation, 0);
    rite_stop(&vault);
}

/* After a restart the tokens still count; in mode quorum once the KMS layer of the staged set is open. */
static void test_T14_registration_survives_a_restart(void **state)
{
    (void)state;
    uint8_t next[32] = {1};
    struct b_enveloped answer;
    stage_unregistered(&quorum_plan);
    rite_stop(&vault);
    rite_start(&vault, &chamber);
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &set).code, 0);
    assert_int_equal(
        rite_visit(&vault, SEAL_TO_REGISTER, &operators[1], set.fingerprint, next, NULL).code,
        ERROR_SEALED);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(sets_unwrap(vault.sets, B_SET_STAGED, i, parts.kms[i]).code, 0);
    for (uint32_t i = 0; i < 3; i++) {
        next[1] = (uint8_t)i;
        assert_int_equal(
            rite_visit(&vault, SEAL_TO_REGISTER, &operators[i], set.fingerprint, next, &answer)
                .code,
            0);
        assert_int_equal(rite_open(&vault, B_SET_STAGED, &answer.set).code, 0);
    }
    set = answer.set;
    rite_switch(&vault, &set);
    for (uint32_t i = 1; i < 3; i++)
        assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &operators[i], NULL, NULL, NULL).code,
                         0);
    assert_int_equal(rite_state(&vault).open, 1);
    rite_stop(&vault);
}

/* What a set gives out, it gives out until it is stored. */
static void test_T14_parts_are_given_until_the_set_is_stored(void **state)
{
    (void)state;
    enum b_set_which which;
    uint8_t share[SEAL_SHARE_SIZE];
    struct buf out = buf_init(4096);
    rite_make(&chamber, false);
    rite_start(&vault, &chamber);
    const struct seal_proposal proposal = rite_proposal(&chamber, NULL, &quorum_plan);
    assert_int_equal(sets_part(vault.sets, 0, share).code, ERROR_SEAL_STATE);
    assert_int_equal(sets_make(vault.sets, &proposal, &which, &set).code, 0);
    struct seal_proposal nonsense = proposal; /* what is refused meanwhile takes nothing away */
    nonsense.mode = 0;
    assert_int_equal(make(&nonsense), ERROR_PROTOCOL);
    assert_int_equal(make(&proposal), ERROR_EXISTS);
    assert_int_equal(sets_part(vault.sets, 2, share).code, 0);
    assert_int_equal(sets_part(vault.sets, 3, share).code, ERROR_SEAL_STATE);
    assert_int_equal(sets_text(vault.sets, B_PART_REGISTRATION, 3, &out).code, ERROR_SEAL_STATE);
    assert_int_equal(sets_text(vault.sets, B_PART_BREAK_GLASS, 2, &out).code, ERROR_SEAL_STATE);
    assert_int_equal(sets_text(vault.sets, B_PART_KMS, 0, &out).code, ERROR_SEAL_STATE);
    assert_int_equal(sets_text(vault.sets, B_PART_BREAK_GLASS, 1, &out).code, 0);
    assert_true(out.len > 100 && out.len <= SEAL_TEXT_MAX);
    assert_null(memmem(out.data, out.len, &vault.sets->secrets->making.break_glass[1], 16));
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &set).code, 0);
    assert_int_equal(sets_part(vault.sets, 2, share).code, ERROR_SEAL_STATE);
    assert_int_equal(sets_text(vault.sets, B_PART_REGISTRATION, 0, &out).code, ERROR_SEAL_STATE);
    buf_release(&out);
    rite_stop(&vault);
}

/* --- approvals -------------------------------------------------------------------------------------------------------------------- */

/* P23: an approval of something else leaves what is under way as it is, and several may be. */
static void test_P23_approvals_of_other_digests_do_no_harm(void **state)
{
    (void)state;
    uint8_t digest[32];
    begin(&operators_plan);
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &operators_plan);
    proposal_digest(&proposal, digest);
    assert_int_equal(approve(0, digest).code, 0);
    assert_int_equal(approve(1, digest).code, 0);
    for (uint8_t n = 0; n < 3 * BALLOTS_MAX; n++) {
        const uint8_t other[32] = {n, 1};
        assert_int_equal(approve(2, other).code, 0);
    }
    assert_int_equal(make(&proposal), 0);
    rite_stop(&vault);
}

static void test_P23_a_cancel_has_a_digest_of_its_own(void **state)
{
    (void)state;
    uint8_t digest[32];
    uint8_t cancel[32];
    uint8_t manager[32];
    begin(&operators_plan);
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &operators_plan);
    proposal_digest(&proposal, digest);
    proposal_cancel_digest(proposal.chamber_id, digest, cancel);
    proposal_manager_digest(proposal.chamber_id, digest, manager);
    assert_memory_not_equal(cancel, digest, 32);
    assert_memory_not_equal(cancel, manager, 32);
    assert_int_equal(approve(0, cancel).code, 0);
    assert_int_equal(approve(1, cancel).code, 0);
    assert_int_equal(rite_state(&vault).approved, 1);
    assert_int_equal(make(&proposal), ERROR_NOT_APPROVED);
    rite_stop(&vault);
}

/* The approval of a dropped ceremony is gone with it. */
static void test_P23_dropped_approvals(void **state)
{
    (void)state;
    begin(&operators_plan);
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &operators_plan);
    approve_all(&proposal);
    assert_int_equal(sets_drop(vault.sets, B_DROP_PENDING).code, 0);
    assert_int_equal(make(&proposal), ERROR_NOT_APPROVED);
    assert_int_equal(rite_state(&vault).approved, 0);
    rite_stop(&vault);
}

/* The KMS layer stays, so whoever has it open can register the new operators: in whichever order the vault heard of both. */
static void test_T14_registration_where_the_kms_layer_is_open(void **state)
{
    (void)state;
    enum b_set_which which = B_SET_PRESENT;
    struct rite_plan plan = quorum_plan;
    plan.keep = SEAL_KEEP_KMS;
    plan.break_glass = false;
    for (unsigned staged_first = 0; staged_first < 2; staged_first++) {
        begin(&quorum_plan);
        struct seal_proposal proposal = rite_proposal(&chamber, &set, &plan);
        proposal.break_glass_count = proposal.break_glass_threshold = 2;
        approve_all(&proposal);
        assert_int_equal(sets_make(vault.sets, &proposal, &which, &next_set).code, 0);
        memcpy(next_parts.tokens, vault.sets->secrets->making.tokens, sizeof next_parts.tokens);
        reopen(&set);
        if (staged_first)
            assert_int_equal(rite_open(&vault, B_SET_STAGED, &next_set).code, 0);
        assert_int_equal(rite_state(&vault).staged_kms_open, 0);
        for (uint32_t i = 0; i < 2; i++)
            assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, i, parts.kms[i]).code, 0);
        if (!staged_first)
            assert_int_equal(rite_open(&vault, B_SET_STAGED, &next_set).code, 0);
        assert_int_equal(rite_state(&vault).staged_kms_open, 1);
        assert_int_equal(rite_state(&vault).staged_open, 0);
        (void)snprintf(next_operators[0].name, SEAL_NAME_SIZE, "op-1");
        memcpy(next_operators[0].credential, next_parts.tokens[0], 32);
        assert_int_equal(rite_visit(&vault, SEAL_TO_REGISTER, &next_operators[0],
                                    next_set.fingerprint, next_parts.tokens[1], NULL)
                             .code,
                         0);
        rite_stop(&vault);
    }
}

/* Another wrapping key: its own shares open it, the present one's do not. */
static void test_T18_a_new_kms_layer_opens_by_its_own_shares(void **state)
{
    (void)state;
    enum b_set_which which = B_SET_PRESENT;
    begin(&quorum_plan);
    const struct seal_proposal proposal = rite_proposal(&chamber, &set, &quorum_plan);
    approve_all(&proposal);
    assert_int_equal(sets_make(vault.sets, &proposal, &which, &next_set).code, 0);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(sets_part(vault.sets, i, next_parts.kms[i]).code, 0);
    reopen(&set);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, i, parts.kms[i]).code, 0);
    assert_int_equal(rite_open(&vault, B_SET_STAGED, &next_set).code, 0);
    assert_int_equal(rite_state(&vault).staged_kms_open, 0);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(sets_unwrap(vault.sets, B_SET_STAGED, i, next_parts.kms[i]).code, 0);
    assert_int_equal(rite_state(&vault).staged_kms_open, 1);
    assert_int_equal(rite_state(&vault).staged_open, 0);
    rite_stop(&vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T01_no_set_without_the_quorum),
        cmocka_unit_test(test_T01_a_proposal_that_follows_another_set),
        cmocka_unit_test(test_T01_a_closed_chamber_makes_nothing),
        cmocka_unit_test(test_T01_from_local_only_by_the_configuration),
        cmocka_unit_test(test_proposals_that_make_no_sense),
        cmocka_unit_test(test_T12_every_mode_becomes_every_other),
        cmocka_unit_test(test_kms_keys_change_and_operators_stay),
        cmocka_unit_test(test_a_kms_layer_comes_and_goes),
        cmocka_unit_test(test_T15_nothing_rolls_while_operators_are_taken_over),
        cmocka_unit_test(test_operators_change_and_kms_keys_stay),
        cmocka_unit_test(test_T12_the_master_key_alone_changes),
        cmocka_unit_test(test_what_stays_is_named_as_it_is),
        cmocka_unit_test(test_signing_goes_on_on_the_other_replicas),
        cmocka_unit_test(test_T12_no_second_set_of_a_generation),
        cmocka_unit_test(test_T14_an_operator_registers_once_with_his_own_token),
        cmocka_unit_test(test_T14_registration_survives_a_restart),
        cmocka_unit_test(test_T14_registration_where_the_kms_layer_is_open),
        cmocka_unit_test(test_T18_a_new_kms_layer_opens_by_its_own_shares),
        cmocka_unit_test(test_T14_parts_are_given_until_the_set_is_stored),
        cmocka_unit_test(test_P23_approvals_of_other_digests_do_no_harm),
        cmocka_unit_test(test_P23_a_cancel_has_a_digest_of_its_own),
        cmocka_unit_test(test_P23_dropped_approvals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
