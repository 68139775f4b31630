/* C9: a core under an attacker's control asks a real vault, in a process of its own, for the master key: by sets, shares, challenges and
 * envelopes. It gets nothing that opens a row, and nothing stays in the vault's memory.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"
#include "seal/envelope.h"
#include "seal/proposal.h"
#include "support/core_room.h"
#include "support/key_room.h"
#include "support/test.h"
#include "support/vault_room.h"
#include "vault/ceremony.h"

static struct test_chamber chamber;
static struct vault_room room;
static struct door_message *answer;
static struct b_set *given;

static int make_chamber(void **state)
{
    (void)state;
    answer = calloc(1, sizeof *answer);
    given = calloc(1, sizeof *given);
    test_chamber_make(&chamber);
    return answer && given ? 0 : -1;
}

static int remove_chamber(void **state)
{
    (void)state;
    free(answer);
    free(given);
    test_chamber_remove(&chamber);
    return 0;
}

static int start(void **state)
{
    (void)state;
    vault_room_start(&room, &chamber, ROOM_MODE_SERVE, false);
    vault_room_greet(&room, &chamber);
    return 0;
}

static int start_ceremony(void **state)
{
    (void)state;
    vault_room_start_ceremony(&room, &chamber);
    vault_room_greet(&room, &chamber);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return vault_room_stop(&room);
}

static const void *ask(uint16_t type, const void *item, size_t size, uint16_t answer_type)
{
    assert_int_equal(core_ask(&room, type, item, size, 1, answer).code, 0);
    assert_int_equal(answer->head.type, answer_type);
    return answer->items;
}

static struct b_set_make to_operators(const struct seal_set *from)
{
    struct b_set_make make = {.id = 1,
                              .proposal = {.generation = from->generation + 1,
                                           .mode = SEAL_OPERATORS,
                                           .operator_count = 2,
                                           .operator_threshold = 2}};
    memcpy(make.proposal.chamber_id, chamber.stored.chamber_id, 32);
    memcpy(make.proposal.from, from->fingerprint, 32);
    for (uint32_t i = 0; i < 2; i++) {
        make.proposal.operators[i].name[0] = (char)('a' + i);
        make.proposal.operators[i].recipient.kind = SEAL_RECIPIENT_AGE;
        make.proposal.operators[i].recipient.key[0] = 9;
    }
    return make;
}

static struct b_set_make to_kms(const struct seal_set *from)
{
    struct b_set_make make = to_operators(from);
    make.proposal.mode = SEAL_KMS;
    make.proposal.operator_count = make.proposal.operator_threshold = 0;
    make.proposal.kms_count = make.proposal.kms_threshold = 2;
    return make;
}

static struct b_seal_state give(uint32_t which, const struct seal_set *set)
{
    struct b_seal_state state;
    *given = (struct b_set){.id = 2, .which = which, .set = *set};
    memcpy(&state, ask(B_SET_OPEN, given, sizeof *given, B_SEAL_STATE), sizeof state);
    return state;
}

/* Today's chamber: keys are in the store, and its configuration knows of no ceremony. */
static void test_C09_T01_no_set_of_the_cores_own(void **state)
{
    (void)state;
    struct b_set_make make = to_operators(&chamber.set);
    const struct b_set *made = ask(B_SET_MAKE, &make, sizeof make, B_SET);
    assert_int_equal(made->error, ERROR_NOT_APPROVED);
    make.proposal.mode = SEAL_KMS;
    make.proposal.operator_count = make.proposal.operator_threshold = 0;
    make.proposal.kms_count = make.proposal.kms_threshold = 1;
    made = ask(B_SET_MAKE, &make, sizeof make, B_SET);
    assert_int_equal(made->error, ERROR_NOT_APPROVED);
    for (uint32_t kind = 0; kind < 5; kind++) {
        const struct b_set_part part = {.id = 3, .kind = kind};
        const struct b_share *share = ask(B_SET_SHARE, &part, sizeof part, B_SHARE);
        static const uint8_t none[SEAL_SHARE_SIZE];
        assert_true(share->error);
        assert_memory_equal(share->share, none, sizeof none);
        const struct b_text *text = ask(B_SET_TEXT, &part, sizeof part, B_TEXT);
        assert_int_equal(text->error, ERROR_SEAL_STATE);
        assert_int_equal(text->len, 0);
    }
    /* A set of its own writing. */
    struct seal_set forged = chamber.set;
    forged.mac[0] ^= 1;
    assert_int_equal(give(B_SET_PRESENT, &forged).error, ERROR_TAMPERED);
    forged = chamber.set;
    forged.generation++;
    assert_int_equal(give(B_SET_STAGED, &forged).error, ERROR_TAMPERED);
    assert_int_equal(give(0, &chamber.set).error, ERROR_PROTOCOL);
    assert_int_equal(give(B_SET_STAGED, &chamber.set).error, ERROR_SEAL_STATE);
}

static struct sealed_row import(void)
{
    const struct k_keystore keystore = test_keystore(1);
    const struct b_import question = {
        .id = 7, .status = ROW_ACTIVE, .version = 1, .keystore = keystore};
    const struct b_row *row = ask(B_IMPORT, &question, sizeof question, B_ROW);
    assert_int_equal(row->error, 0);
    return row->row;
}

static uint32_t reseal(const struct sealed_row *row, uint32_t generation, struct sealed_row *ret)
{
    const struct b_seal_row question = {.id = 9,
                                        .status = ROW_ACTIVE,
                                        .generation = generation,
                                        .version = row->version + 1,
                                        .row = *row};
    const struct b_row *answered = ask(B_SEAL_ROW, &question, sizeof question, B_ROW);
    *ret = answered->row;
    return answered->error;
}

static uint32_t open_row(const struct sealed_row *row)
{
    const struct b_open_row question = {.id = 8, .source = B_KEY_FROM_ROW, .row = *row};
    const struct b_opened *opened = ask(B_OPEN_ROW, &question, sizeof question, B_OPENED);
    return opened->error;
}

/* Rows go from one generation to the next while both are open, and only then. */
static void test_T12_rows_follow_the_master_key(void **state)
{
    (void)state;
    struct sealed_row again;
    struct sealed_row next;
    const struct sealed_row row = import();
    assert_int_equal(row.generation, 1);
    assert_int_equal(reseal(&row, 2, &again), ERROR_TAMPERED); /* there is no such generation */
    assert_int_equal(reseal(&row, 0, &again), 0);
    assert_int_equal(again.generation, 1);
    const struct b_set_make make = to_kms(&chamber.set);
    const struct b_set *made = ask(B_SET_MAKE, &make, sizeof make, B_SET);
    assert_int_equal(made->error, 0);
    struct seal_set staged = made->set;
    assert_int_equal(reseal(&row, 2, &next), 0);
    assert_int_equal(next.generation, 2);
    assert_int_equal(open_row(&next), 0);
    struct sealed_row back;
    assert_int_equal(reseal(&next, 1, &back), ERROR_PROTOCOL);
    assert_int_equal(reseal(&next, 0, &back), 0);
    assert_int_equal(back.generation, 2);
    struct sealed_row mixed = next;
    mixed.generation = 1;
    assert_int_equal(open_row(&mixed), ERROR_TAMPERED);
    mixed.generation = 0;
    assert_int_equal(open_row(&mixed), ERROR_TAMPERED);
    assert_int_equal(give(B_SET_STAGED, &staged).staged_open, 1);
    const struct b_seal_state state_now = give(B_SET_PRESENT, &staged);
    assert_int_equal(state_now.error, 0);
    assert_int_equal(state_now.open, 1);
    assert_int_equal(open_row(&row), ERROR_TAMPERED);
    assert_int_equal(open_row(&next), 0);
    assert_int_equal(give(B_SET_PRESENT, &chamber.set).error, ERROR_TAMPERED);
    /* Closed, it opens no row and lends no key. */
    const struct b_set_drop drop = {.id = 4, .what = B_DROP_OPEN};
    const struct b_seal_state *dropped = ask(B_SET_DROP, &drop, sizeof drop, B_SEAL_STATE);
    assert_int_equal(dropped->open, 0);
    assert_int_equal(open_row(&next), ERROR_SEALED);
    const struct b_subkey tokens = {.id = 5, .purpose = B_SUBKEY_TOKENS};
    const struct b_subkey_is *subkey = ask(B_SUBKEY, &tokens, sizeof tokens, B_SUBKEY_IS);
    assert_int_equal(subkey->error, ERROR_SEALED);
}

/* Positive control first: what the vault was told and still has to answer with is found, a public key. */
static void test_C03_no_share_or_credential_stays(void **state)
{
    (void)state;
    uint8_t credential[32];
    struct seal_box box;
    struct b_share share = {.id = 6, .which = B_SET_PRESENT};
    struct b_challenge question = {.id = 7, .purpose = SEAL_TO_REGISTER, .which = B_SET_STAGED};
    struct seal_envelope envelope = {.credential_len = 32};
    const struct b_set_make make = to_operators(&chamber.set);
    const struct b_set *made = ask(B_SET_MAKE, &make, sizeof make, B_SET);
    const struct seal_set staged = made->set;
    assert_int_equal(give(B_SET_STAGED, &staged).error, 0);
    assert_true(vault_room_holds(&room, staged.fingerprint));
    question.name[0] = 'a';
    const struct b_challenged *challenged =
        ask(B_CHALLENGE, &question, sizeof question, B_CHALLENGED);
    assert_int_equal(challenged->error, 0);
    assert_int_equal(random_bytes(credential, sizeof credential).code, 0);
    memcpy(envelope.credential, credential, sizeof credential);
    envelope.next.factor = SEAL_FACTOR_PASSPHRASE;
    envelope.next.memory_kib = CREDENTIAL_MEMORY_MIN_KIB;
    envelope.next.passes = CREDENTIAL_PASSES_MIN;
    memcpy(envelope.next.credential, credential, sizeof credential);
    assert_int_equal(
        envelope_seal(&envelope, &challenged->challenge, staged.fingerprint, &box).code, 0);
    struct b_envelope sent = {
        .id = 8, .purpose = SEAL_TO_REGISTER, .which = B_SET_STAGED, .name = "a", .len = box.len};
    memcpy(sent.digest, staged.fingerprint, sizeof sent.digest);
    memcpy(sent.box, box.bytes, box.len);
    const struct b_enveloped *enveloped = ask(B_ENVELOPE, &sent, sizeof sent, B_ENVELOPED);
    assert_int_equal(enveloped->error, ERROR_CREDENTIAL);
    assert_false(vault_room_holds(&room, credential));
    assert_int_equal(random_bytes(share.share, sizeof share.share).code, 0);
    const struct b_seal_state *refused = ask(B_SET_UNWRAP, &share, sizeof share, B_SEAL_STATE);
    assert_int_equal(refused->error, ERROR_SEAL_STATE);
    assert_false(vault_room_holds(&room, share.share));
}

/* The shares that a core sees in mode kms are the exception of that mode; they are wiped from the vault's messages as well. */
static void test_C03_a_given_share_is_wiped_from_the_message(void **state)
{
    (void)state;
    uint8_t share[SEAL_SHARE_SIZE];
    const struct b_set_make make = to_kms(&chamber.set);
    const struct b_set *made = ask(B_SET_MAKE, &make, sizeof make, B_SET);
    assert_int_equal(made->error, 0);
    const struct seal_set staged = made->set;
    const struct b_set_part part = {.id = 3, .kind = B_PART_KMS, .index = 1};
    const struct b_share *given_share = ask(B_SET_SHARE, &part, sizeof part, B_SHARE);
    assert_int_equal(given_share->error, 0);
    memcpy(share, given_share->share, sizeof share);
    assert_int_equal(give(B_SET_STAGED, &staged).error, 0);
    assert_false(vault_room_holds(&room, share));
    const struct b_seal seal = {.id = 4};
    (void)ask(B_SEAL, &seal, sizeof seal, B_ANSWER);
    assert_false(vault_room_holds(&room, share));
    assert_int_equal(give(B_SET_PRESENT, &staged).error, ERROR_SEALED);
}

/* --- a captured core brings a set whose master key it knows --------------------------------------------------------------------- */

static struct b_set_make from_nothing(void)
{
    static const struct seal_set none;
    return to_kms(&none);
}

/* Takes both shares of what was just made. */
static void take_shares(struct b_share shares[static 2])
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct b_set_part part = {.id = 3, .kind = B_PART_KMS, .index = i};
        const struct b_share *share = ask(B_SET_SHARE, &part, sizeof part, B_SHARE);
        assert_int_equal(share->error, 0);
        shares[i] = *share;
    }
}

static struct b_seal_state unwrap(uint32_t which, const struct b_share shares[static 2])
{
    struct b_seal_state state = {0};
    for (uint32_t i = 0; i < 2; i++) {
        struct b_share share = shares[i];
        share.which = which;
        memcpy(&state, ask(B_SET_UNWRAP, &share, sizeof share, B_SEAL_STATE), sizeof state);
    }
    return state;
}

static struct seal_set make_set(const struct b_set_make *make)
{
    const struct b_set *made = ask(B_SET_MAKE, make, sizeof *make, B_SET);
    assert_int_equal(made->error, 0);
    return made->set;
}

/* The set after `from`, staged and then in its place. */
static struct seal_set follow(const struct seal_set *from, struct b_share shares[static 2])
{
    const struct b_set_make make = to_kms(from);
    const struct seal_set set = make_set(&make);
    take_shares(shares);
    assert_int_equal(give(B_SET_STAGED, &set).error, 0);
    const struct b_seal_state state = give(B_SET_PRESENT, &set);
    assert_int_equal(state.error, 0);
    assert_int_equal(state.open, 1);
    return set;
}

static void say_hello(void)
{
    const struct b_answer *hello = ask(B_HELLO, &chamber.hello, sizeof chamber.hello, B_ANSWER);
    assert_int_equal(hello->error, 0);
}

static void next_life(void)
{
    assert_int_equal(vault_room_stop(&room), 0);
    vault_room_start_ceremony(&room, &chamber);
    vault_room_open_root(&room, &chamber);
}

/* No row of the real set, open again by `shares`, goes over to the generation of another. */
static void rows_stay(const struct seal_set *real, const struct b_share shares[static 2])
{
    struct sealed_row stolen;
    assert_int_equal(unwrap(B_SET_PRESENT, shares).open, 1);
    say_hello();
    const struct sealed_row row = import();
    assert_int_equal(row.generation, real->generation);
    for (uint32_t generation = 1; generation < 5; generation++)
        if (generation != real->generation)
            assert_int_equal(reseal(&row, generation, &stolen), ERROR_TAMPERED);
    assert_int_equal(reseal(&row, 0, &stolen), 0);
    assert_int_equal(stolen.generation, real->generation);
    assert_int_equal(open_row(&row), 0);
}

/* In one life, before the vault is given its set: what was made from nothing goes when the real one comes. */
static void test_T01_a_set_made_from_nothing_goes_when_there_is_one(void **state)
{
    (void)state;
    struct b_share real_shares[2];
    struct b_share shares[2];
    const struct seal_set real = follow(&chamber.set, real_shares);
    assert_int_equal(real.generation, 2);
    next_life();
    const struct b_set_make make = from_nothing();
    const struct seal_set own = make_set(&make);
    assert_int_equal(own.generation, 1);
    take_shares(shares);
    const struct b_seal_state state_now = give(B_SET_PRESENT, &real);
    assert_int_equal(state_now.error, 0);
    assert_int_equal(state_now.open, 0);
    assert_int_equal(state_now.staged_open, 0);
    rows_stay(&real, real_shares);
    assert_int_equal(give(B_SET_STAGED, &own).error, ERROR_SEAL_STATE);
}

/* In two lives: a chain of sets made from nothing, and its last one staged after the real set. */
static void test_T01_a_staged_set_is_opened_over_its_bridge_alone(void **state)
{
    (void)state;
    struct b_share real_shares[2];
    struct b_share shares[2];
    const struct seal_set real = follow(&chamber.set, real_shares);
    next_life();
    const struct b_set_make make = from_nothing();
    struct seal_set own = make_set(&make);
    assert_int_equal(give(B_SET_PRESENT, &own).open, 1);
    while (own.generation < real.generation + 1)
        own = follow(&own, shares);
    next_life();
    assert_int_equal(give(B_SET_PRESENT, &real).error, 0);
    own.has_bridge = 0;
    assert_int_equal(give(B_SET_STAGED, &own).error, ERROR_TAMPERED);
    assert_int_equal(unwrap(B_SET_STAGED, shares).error, ERROR_SEAL_STATE);
    /* With a bridge of its own it is refused as soon as that can be crossed, and its wrapping key opens nothing before. */
    own.has_bridge = 1;
    assert_int_equal(give(B_SET_STAGED, &own).error, 0);
    const struct b_seal_state unwrapped = unwrap(B_SET_STAGED, shares);
    assert_int_equal(unwrapped.error, 0);
    assert_int_equal(unwrapped.staged_kms_open, 1);
    assert_int_equal(unwrapped.staged_open, 0);
    rows_stay(&real, real_shares);
    assert_int_equal(give(B_SET_STAGED, &own).error, ERROR_TAMPERED);
}

/* The chain's set of the generation before the real one, present: the real one is not opened beside it. */
static void test_T01_a_real_set_is_not_staged_after_another(void **state)
{
    (void)state;
    struct b_share real_shares[2];
    struct seal_set real = follow(&chamber.set, real_shares);
    next_life();
    const struct b_set_make make = from_nothing();
    const struct seal_set own = make_set(&make);
    assert_int_equal(give(B_SET_PRESENT, &own).open, 1);
    real.has_bridge = 0;
    assert_int_equal(give(B_SET_STAGED, &real).error, ERROR_TAMPERED);
    real.has_bridge = 1;
    assert_int_equal(give(B_SET_STAGED, &real).error, ERROR_TAMPERED);
    assert_int_equal(unwrap(B_SET_STAGED, real_shares).staged_open, 0);
    assert_int_equal(give(B_SET_PRESENT, &real).open, 0);
    rows_stay(&real, real_shares);
}

#define CEREMONY(test) cmocka_unit_test_setup_teardown(test, start_ceremony, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_C09_T01_no_set_of_the_cores_own, start, stop),
        CEREMONY(test_T12_rows_follow_the_master_key),
        CEREMONY(test_C03_no_share_or_credential_stays),
        CEREMONY(test_C03_a_given_share_is_wiped_from_the_message),
        CEREMONY(test_T01_a_set_made_from_nothing_goes_when_there_is_one),
        CEREMONY(test_T01_a_staged_set_is_opened_over_its_bridge_alone),
        CEREMONY(test_T01_a_real_set_is_not_staged_after_another),
    };
    return cmocka_run_group_tests(tests, make_chamber, remove_chamber);
}
