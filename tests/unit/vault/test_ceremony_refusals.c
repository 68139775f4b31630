/* Ceremonies against a hostile room between the operator and the vault, and against operators alone: nothing is gained. */
#include <string.h>

#include "crypto/random.h"
#include "seal/challenge.h"
#include "support/ceremony_kit.h"
#include "support/test.h"

static struct rite_chamber chamber;
static struct rite_vault vault;
static struct rite_parts parts;
static struct rite_operator operators[SEAL_OPERATORS_MAX];
static struct seal_set set;

static const struct rite_plan plan = {
    .mode = SEAL_OPERATORS, .operator_count = 3, .operator_threshold = 2};
static const struct rite_plan quorum_plan = {.mode = SEAL_QUORUM,
                                             .kms_count = 2,
                                             .kms_threshold = 2,
                                             .operator_count = 3,
                                             .operator_threshold = 2,
                                             .break_glass = true};

/* A vault that was started again and waits for its operators. */
static void wait_for(const struct rite_plan *which)
{
    rite_make(&chamber, false);
    rite_start(&vault, &chamber);
    const struct seal_proposal proposal = rite_proposal(&chamber, NULL, which);
    assert_int_equal(rite_stage(&vault, &proposal, &parts, operators, &set).code, 0);
    rite_switch(&vault, &set);
    rite_stop(&vault);
    rite_start(&vault, &chamber);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, 0);
}

static int begin(void **state)
{
    (void)state;
    wait_for(&plan);
    return 0;
}

static int end(void **state)
{
    (void)state;
    rite_stop(&vault);
    return 0;
}

static struct seal_envelope credential_of(uint32_t n)
{
    struct seal_envelope envelope = {.credential_len = 32};
    memcpy(envelope.credential, operators[n].credential, 32);
    return envelope;
}

/* The vault's answer to the box as it is; nothing was gained by it. */
static uint32_t send_box(const struct b_envelope *request)
{
    struct b_enveloped answer = {0};
    const uint32_t error =
        (uint32_t)ceremony_envelope(vault.sets, request, vault.now_ms, &answer).code;
    if (error) {
        assert_int_equal(answer.changed, 0);
        assert_int_equal(answer.state.open, 0);
    }
    return error;
}

static struct b_envelope boxed(const struct seal_challenge *challenge,
                               struct seal_envelope *envelope,
                               const uint8_t digest[static 32])
{
    struct seal_box box;
    struct b_envelope request = {.purpose = challenge->purpose, .which = B_SET_PRESENT};
    memcpy(request.name, challenge->name, sizeof request.name);
    memcpy(request.digest, digest, 32);
    assert_int_equal(envelope_seal(envelope, challenge, digest, &box).code, 0);
    memcpy(request.box, box.bytes, box.len);
    request.len = box.len;
    return request;
}

static const uint8_t none[32];

static void test_T15_an_envelope_counts_once(void **state)
{
    (void)state;
    const struct seal_challenge challenge = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    struct seal_envelope envelope = credential_of(0);
    const struct b_envelope request = boxed(&challenge, &envelope, none);
    assert_int_equal(send_box(&request), 0);
    assert_int_equal(send_box(&request), ERROR_CREDENTIAL);
    /* Nor does another credential find the nonce again. */
    const struct b_envelope again = boxed(&challenge, &envelope, none);
    assert_int_equal(send_box(&again), ERROR_CREDENTIAL);
    assert_int_equal(sets_drop(vault.sets, B_DROP_PENDING).code, 0);
    assert_int_equal(send_box(&request), ERROR_CREDENTIAL);
}

static void test_T15_a_challenge_expires(void **state)
{
    (void)state;
    const struct seal_challenge challenge = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    struct seal_envelope envelope = credential_of(0);
    const struct b_envelope request = boxed(&challenge, &envelope, none);
    vault.now_ms += CHALLENGE_LIFE_MS + 1;
    assert_int_equal(send_box(&request), ERROR_CREDENTIAL);
    vault.now_ms -= 2;
    assert_int_equal(send_box(&request), 0);
}

/* The key of the hour changes; what was asked before is still answered, for its five minutes. */
static void test_T15_the_key_of_the_hour(void **state)
{
    (void)state;
    vault.now_ms += 7;
    const struct seal_challenge first = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    vault.now_ms += BOX_LIFE_MS - 1000;
    const struct seal_challenge late = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    assert_memory_equal(first.box_key, late.box_key, 32);
    vault.now_ms += 2000;
    const struct seal_challenge next = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-2");
    assert_memory_not_equal(next.box_key, late.box_key, 32);
    struct seal_envelope envelope = credential_of(0);
    assert_int_equal(rite_send(&vault, &late, &envelope, NULL, NULL).code, 0);
    assert_true(vault.sets->secrets->box_past.is);
    sets_tick(vault.sets, vault.now_ms + CHALLENGE_LIFE_MS + 1);
    assert_false(vault.sets->secrets->box_past.is);
}

static struct seal_challenge asked(void)
{
    return rite_challenge(&vault, SEAL_TO_APPROVE, "op-1");
}

/* Each field that binds an envelope, changed on the way, makes it good for nothing. */
static void test_T15_an_envelope_for_anything_else(void **state)
{
    (void)state;
    const uint8_t digest[32] = {1};
    const uint8_t other_digest[32] = {2};
    for (unsigned fault = 0; fault < 9; fault++) {
        struct seal_challenge challenge = asked();
        struct seal_envelope envelope = credential_of(0);
        if (fault == 1)
            challenge.chamber_id[0] ^= 1;
        else if (fault == 2)
            challenge.generation++;
        else if (fault == 3)
            challenge.fingerprint[31] ^= 1;
        else if (fault == 4)
            challenge.purpose = SEAL_TO_UNSEAL;
        else if (fault == 5)
            memcpy(challenge.name, "op-2", 5);
        else if (fault == 6)
            challenge.nonce[20] ^= 1;
        else if (fault == 7)
            challenge.nonce[3] ^= 1;
        struct b_envelope request =
            boxed(&challenge, &envelope, fault == 8 ? other_digest : digest);
        request.purpose = SEAL_TO_APPROVE;
        memcpy(request.name, "op-1", 5);
        memcpy(request.digest, digest, sizeof digest);
        assert_int_equal(send_box(&request), fault ? ERROR_CREDENTIAL : 0);
    }
}

/* The core, or whoever is between, uses a right envelope for another purpose, operator or digest. */
static void test_T15_an_envelope_is_not_put_to_another_use(void **state)
{
    (void)state;
    const uint8_t digest[32] = {1};
    const struct seal_challenge challenge = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    struct seal_envelope envelope = credential_of(0);
    const struct b_envelope right = boxed(&challenge, &envelope, none);
    struct b_envelope wrong = right;
    wrong.purpose = SEAL_TO_REHEARSE;
    assert_int_equal(send_box(&wrong), ERROR_CREDENTIAL);
    wrong.purpose = SEAL_TO_APPROVE;
    memcpy(wrong.digest, digest, sizeof digest);
    assert_int_equal(send_box(&wrong), ERROR_CREDENTIAL);
    wrong = right;
    memcpy(wrong.name, "op-2", 5);
    assert_int_equal(send_box(&wrong), ERROR_CREDENTIAL);
    memcpy(wrong.name, "nobody", 7);
    assert_int_equal(send_box(&wrong), ERROR_CREDENTIAL);
    wrong = right;
    memcpy(wrong.digest, digest, sizeof digest);
    assert_int_equal(send_box(&wrong), ERROR_PROTOCOL);
    wrong = right;
    wrong.which = B_SET_STAGED;
    assert_int_equal(send_box(&wrong), ERROR_PROTOCOL);
    wrong = right;
    wrong.purpose = 0;
    assert_int_equal(send_box(&wrong), ERROR_PROTOCOL);
    wrong = right;
    wrong.len = SEAL_ENVELOPE_MAX + 1;
    assert_int_equal(send_box(&wrong), ERROR_CREDENTIAL);
    wrong.len = 20;
    assert_int_equal(send_box(&wrong), ERROR_CREDENTIAL);
    wrong = right;
    wrong.box[60] ^= 1;
    assert_int_equal(send_box(&wrong), ERROR_CREDENTIAL);
    assert_int_equal(send_box(&right), 0); /* and none of that has used it up */
}

/* T26: an envelope is one vault's. */
static void test_T26_another_vault_of_the_chamber(void **state)
{
    (void)state;
    struct rite_vault other;
    rite_start(&other, &chamber);
    assert_int_equal(rite_open(&other, B_SET_PRESENT, &set).code, 0);
    const struct seal_challenge challenge = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    (void)rite_challenge(&other, SEAL_TO_UNSEAL, "op-1");
    struct seal_envelope envelope = credential_of(0);
    assert_int_equal(rite_send(&other, &challenge, &envelope, NULL, NULL).code, ERROR_CREDENTIAL);
    assert_int_equal(rite_send(&vault, &challenge, &envelope, NULL, NULL).code, 0);
    rite_stop(&other);
}

static void test_T29_a_wrong_credential_stands_in_nobodys_way(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2 * USED_MAX; n++) {
        const struct seal_challenge challenge = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
        struct seal_envelope envelope = credential_of(0);
        envelope.credential[n % 32] ^= 1;
        assert_int_equal(rite_send(&vault, &challenge, &envelope, NULL, NULL).code,
                         ERROR_CREDENTIAL);
    }
    struct rite_operator short_one = operators[0];
    const struct seal_challenge challenge = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    struct seal_envelope envelope = credential_of(0);
    envelope.credential_len = SEAL_SHARE_SIZE;
    assert_int_equal(rite_send(&vault, &challenge, &envelope, NULL, NULL).code, ERROR_CREDENTIAL);
    assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &short_one, NULL, NULL, NULL).code, 0);
    assert_int_equal(rite_state(&vault).operators_have, 1);
}

/* --- T16 ---------------------------------------------------------------------------------------------------------------------- */

/* Whoever asks can't tell who is an operator: the same answer each time, and one like the others'. */
static void test_T16_unknown_names_get_stable_fakes(void **state)
{
    (void)state;
    const struct seal_challenge real = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    const struct seal_challenge fake = rite_challenge(&vault, SEAL_TO_UNSEAL, "mallory");
    assert_int_equal(challenge_verify(&fake, vault.identity).code, 0);
    assert_int_equal(fake.factor, real.factor);
    assert_int_equal(fake.memory_kib, real.memory_kib);
    assert_int_equal(fake.passes, real.passes);
    assert_int_equal(fake.hint_len, real.hint_len);
    assert_memory_not_equal(fake.salt, real.salt, 32);
    rite_stop(&vault);
    rite_start(&vault, &chamber);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, 0);
    const struct seal_challenge again = rite_challenge(&vault, SEAL_TO_UNSEAL, "mallory");
    assert_memory_equal(again.salt, fake.salt, 32);
    assert_memory_equal(again.challenge, fake.challenge, 32);
    const struct seal_challenge other = rite_challenge(&vault, SEAL_TO_UNSEAL, "mallory2");
    assert_memory_not_equal(other.salt, fake.salt, 32);
    struct rite_operator nobody = {.name = "mallory"};
    assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &nobody, NULL, NULL, NULL).code,
                     ERROR_CREDENTIAL);
}

/* Every field of a challenge is signed. */
static void test_T16_a_challenge_is_the_chambers(void **state)
{
    (void)state;
    struct seal_challenge challenge = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    assert_int_equal(challenge_verify(&challenge, vault.identity).code, 0);
    challenge.memory_kib = 8;
    assert_int_equal(challenge_verify(&challenge, vault.identity).code, ERROR_CREDENTIAL);
    challenge = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    challenge.box_key[0] ^= 1;
    assert_int_equal(challenge_verify(&challenge, vault.identity).code, ERROR_CREDENTIAL);
    challenge = rite_challenge(&vault, SEAL_TO_UNSEAL, "op-1");
    challenge.challenge[0] ^= 1;
    assert_int_equal(challenge_verify(&challenge, vault.identity).code, ERROR_CREDENTIAL);
}

static uint32_t asks(uint32_t purpose, uint32_t which, const char *name, size_t len)
{
    struct seal_challenge challenge;
    struct b_challenge request = {.purpose = purpose, .which = which};
    memcpy(request.name, name, len);
    return (uint32_t)ceremony_challenge(vault.sets, &request, vault.now_ms, &challenge).code;
}

static void test_T16_challenges_that_make_no_sense(void **state)
{
    (void)state;
    static const char endless[SEAL_NAME_SIZE] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_int_equal(asks(SEAL_TO_UNSEAL, B_SET_STAGED, "op-1", 4), ERROR_PROTOCOL);
    assert_int_equal(asks(SEAL_TO_REGISTER, B_SET_PRESENT, "op-1", 4), ERROR_PROTOCOL);
    assert_int_equal(asks(SEAL_TO_REGISTER, B_SET_STAGED, "op-1", 4), ERROR_SEAL_STATE);
    assert_int_equal(asks(SEAL_TO_BREAK_GLASS, B_SET_PRESENT, "break-glass", 11), ERROR_SEAL_STATE);
    assert_int_equal(asks(0, B_SET_PRESENT, "op-1", 4), ERROR_PROTOCOL);
    assert_int_equal(asks(99, B_SET_PRESENT, "op-1", 4), ERROR_PROTOCOL);
    assert_int_equal(asks(SEAL_TO_UNSEAL, 7, "op-1", 4), ERROR_PROTOCOL);
    assert_int_equal(asks(SEAL_TO_UNSEAL, B_SET_PRESENT, "", 0), ERROR_PROTOCOL);
    assert_int_equal(asks(SEAL_TO_UNSEAL, B_SET_PRESENT, "Op 1", 4), ERROR_PROTOCOL);
    assert_int_equal(asks(SEAL_TO_UNSEAL, B_SET_PRESENT, endless, sizeof endless), ERROR_PROTOCOL);
}

/* A next credential that is cheap to guess is not taken, whoever sends it; nor is another kind of factor, nor one that can't be derived. */
static void test_T16_the_floor_of_a_credential(void **state)
{
    (void)state;
    static const struct {
        uint32_t factor;
        uint32_t memory_kib;
        uint32_t passes;
        uint32_t error;
    } rows[] = {
        {SEAL_FACTOR_PASSPHRASE, CREDENTIAL_MEMORY_MIN_KIB - 1, 3, ERROR_PROTOCOL},
        {SEAL_FACTOR_PASSPHRASE, CREDENTIAL_MEMORY_MIN_KIB, 2, ERROR_PROTOCOL},
        {SEAL_FACTOR_YUBIKEY, CREDENTIAL_MEMORY_MIN_KIB, 3, ERROR_PROTOCOL},
        {SEAL_FACTOR_PASSPHRASE, CREDENTIAL_MEMORY_MAX_KIB + 1, 3, ERROR_PROTOCOL},
        {SEAL_FACTOR_PASSPHRASE, CREDENTIAL_MEMORY_MIN_KIB, 17, ERROR_PROTOCOL},
        {SEAL_FACTOR_PASSPHRASE, CREDENTIAL_MEMORY_MIN_KIB, 3, 0},
        {SEAL_FACTOR_PASSPHRASE, CREDENTIAL_MEMORY_MAX_KIB, 16, 0},
    };
    struct b_enveloped answer;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct seal_challenge challenge = rite_challenge(&vault, SEAL_TO_REHEARSE, "op-1");
        struct seal_envelope envelope = credential_of(0);
        envelope.next.factor = rows[i].factor;
        envelope.next.memory_kib = rows[i].memory_kib;
        envelope.next.passes = rows[i].passes;
        assert_int_equal(rite_send(&vault, &challenge, &envelope, NULL, &answer).code,
                         rows[i].error);
        assert_int_equal(answer.changed, !rows[i].error);
    }
}

/* --- T18 ---------------------------------------------------------------------------------------------------------------------- */

static void test_T18_a_share_that_is_another(void **state)
{
    (void)state;
    rite_stop(&vault);
    wait_for(&quorum_plan);
    uint8_t share[SEAL_SHARE_SIZE];
    for (size_t i = 0; i < sizeof share; i++) {
        memcpy(share, parts.kms[0], sizeof share);
        share[i] ^= 1;
        assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, 0, share).code, ERROR_TAMPERED);
    }
    assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, 1, parts.kms[0]).code, ERROR_TAMPERED);
    assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, 2, parts.kms[0]).code, ERROR_PROTOCOL);
    assert_int_equal(sets_unwrap(vault.sets, B_SET_STAGED, 0, parts.kms[0]).code, ERROR_SEAL_STATE);
    assert_int_equal(sets_unwrap(vault.sets, (enum b_set_which)0, 0, parts.kms[0]).code,
                     ERROR_PROTOCOL);
    /* One of the other polynomial is none of this. */
    assert_int_equal(sets_unwrap(vault.sets, B_SET_PRESENT, 0, parts.break_glass[0]).code,
                     ERROR_TAMPERED);
    assert_int_equal(rite_state(&vault).kms_have, 0);
}

/* What a writer of the state store may change in a set, each byte of it, is found by the MAC. */
static void test_T02_a_changed_set(void **state)
{
    (void)state;
    struct seal_set changed;
    for (unsigned fault = 0; fault < 14; fault++) {
        changed = set;
        switch (fault) {
        case 0:
            changed.mac[0] ^= 1;
            break;
        case 1:
            changed.number++;
            break;
        case 2:
            changed.generation++;
            break;
        case 3:
            changed.fingerprint[9] ^= 1;
            break;
        case 4:
            changed.check[0] ^= 1;
            break;
        case 5:
            changed.tokens[0] ^= 1;
            break;
        case 6:
            changed.master.bytes[40] ^= 1;
            break;
        case 7:
            changed.operators[1].share.bytes[40] ^= 1;
            break;
        case 8:
            changed.operators[1].commitment[0] ^= 1;
            break;
        case 9:
            changed.operators[1].name[0] = 'x';
            break;
        case 10:
            changed.operators[2].salt[0] ^= 1;
            break;
        case 11:
            changed.operators[2].memory_kib--;
            break;
        case 12:
            changed.operator_threshold = 1;
            break;
        default:
            changed.operators[0] = set.operators[1];
            break;
        }
        assert_int_equal(rite_open(&vault, B_SET_PRESENT, &changed).code, ERROR_TAMPERED);
    }
    changed = set;
    changed.operator_count = SEAL_OPERATORS_MAX + 1;
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &changed).code, ERROR_PROTOCOL);
    changed = set;
    changed.mode = SEAL_LOCAL;
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &changed).code, ERROR_PROTOCOL);
    changed = set;
    changed.operators[0].share.len = SEAL_BLOB_MAX + 1;
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &changed).code, ERROR_PROTOCOL);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, 0);
}

/* An older revision is refused in a life that has seen a newer one: a rolled credential stays rolled. */
static void test_T12_an_older_revision(void **state)
{
    (void)state;
    uint8_t next[32] = {8};
    struct b_enveloped answer;
    assert_int_equal(rite_visit(&vault, SEAL_TO_UNSEAL, &operators[0], NULL, next, &answer).code,
                     0);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &answer.set).code, 0);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &set).code, ERROR_TAMPERED);
    assert_int_equal(rite_state(&vault).number, answer.set.number);
}

/* Another chamber's set, also one with the same operators. */
static void test_T02_another_chambers_set(void **state)
{
    (void)state;
    const struct seal_set mine = set;
    rite_stop(&vault);
    wait_for(&plan);
    assert_int_equal(rite_open(&vault, B_SET_PRESENT, &mine).code, ERROR_TAMPERED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_T15_an_envelope_counts_once),
        CASE(test_T15_a_challenge_expires),
        CASE(test_T15_the_key_of_the_hour),
        CASE(test_T15_an_envelope_for_anything_else),
        CASE(test_T15_an_envelope_is_not_put_to_another_use),
        CASE(test_T26_another_vault_of_the_chamber),
        CASE(test_T29_a_wrong_credential_stands_in_nobodys_way),
        CASE(test_T16_unknown_names_get_stable_fakes),
        CASE(test_T16_a_challenge_is_the_chambers),
        CASE(test_T16_challenges_that_make_no_sense),
        CASE(test_T16_the_floor_of_a_credential),
        CASE(test_T18_a_share_that_is_another),
        CASE(test_T02_a_changed_set),
        CASE(test_T12_an_older_revision),
        CASE(test_T02_another_chambers_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
