/* Shares that KMS has encrypted to the vault: they open what shares in clear open, and whatever is wrong with them has one and the same error. */
#include <stdlib.h>
#include <string.h>

#include "aws/kms_envelope.h"
#include "support/ceremony_kit.h"
#include "support/envelope_kit.h"
#include "support/test.h"
#include "vault/inside.h"
#include "vault/set_door.h"

static const struct rite_plan plan = {.mode = SEAL_KMS, .kms_count = 3, .kms_threshold = 2};

static struct rite_chamber chamber;
static struct rite_vault rite;
static struct rite_parts parts;
static struct rite_operator operators[SEAL_OPERATORS_MAX];
static struct seal_set set;
static struct vault vault;
static struct door_message *question;
static struct door_message *answer;

static const void *ask(uint16_t type, const void *item, size_t size)
{
    memcpy(question->items, item, size);
    question->head = (struct door_head){.type = type, .count = 1, .item_size = (uint32_t)size};
    set_door_answer(&vault, question, answer);
    return answer->items;
}

static void restart(void)
{
    rite_stop(&rite);
    rite_start(&rite, &chamber);
    assert_int_equal(rite_open(&rite, B_SET_PRESENT, &set).code, 0);
    vault.sets = rite.sets;
    vault.master = rite.master;
}

static int begin(void **state)
{
    (void)state;
    question = calloc(1, sizeof *question);
    answer = calloc(1, sizeof *answer);
    assert_true(question && answer);
    rite_make(&chamber, false);
    rite_start(&rite, &chamber);
    const struct seal_proposal proposal = rite_proposal(&chamber, NULL, &plan);
    assert_int_equal(rite_stage(&rite, &proposal, &parts, operators, &set).code, 0);
    rite_switch(&rite, &set);
    assert_int_equal(recipient_new(&vault.recipient).code, 0);
    restart();
    return 0;
}

static int end(void **state)
{
    (void)state;
    rite_stop(&rite);
    recipient_free(vault.recipient);
    free(question);
    free(answer);
    return 0;
}

/* What KMS would answer for share `index`, as the core takes it apart. */
static struct b_sealed_share sealed_share(uint32_t index)
{
    uint8_t der[RECIPIENT_PUBLIC_MAX];
    uint32_t der_len = 0;
    struct b_sealed_share item = {.id = 2, .which = B_SET_PRESENT, .index = index};
    struct buf bytes = buf_init(KMS_ENVELOPE_MAX);
    struct buf ciphertext = buf_init(KMS_ENVELOPE_MAX);
    struct kms_envelope envelope;
    assert_int_equal(recipient_public(vault.recipient, der, &der_len).code, 0);
    envelope_make(span_of(der, der_len), span_of(parts.kms[index], SEAL_SHARE_SIZE),
                  ENVELOPE_PIECES, 48, &bytes);
    assert_int_equal(kms_envelope_parse(buf_span(&bytes), &envelope, &ciphertext).code, 0);
    assert_int_equal(ciphertext.len, SEAL_SEALED_SHARE);
    memcpy(item.sealed.wrapped, envelope.wrapped.data, sizeof item.sealed.wrapped);
    memcpy(item.sealed.iv, envelope.iv.data, sizeof item.sealed.iv);
    memcpy(item.sealed.ciphertext, ciphertext.data, sizeof item.sealed.ciphertext);
    buf_release(&bytes);
    buf_release(&ciphertext);
    return item;
}

static struct b_seal_state give(const struct b_sealed_share *item)
{
    struct b_seal_state said;
    memcpy(&said, ask(B_SET_UNWRAP_SEALED, item, sizeof *item), sizeof said);
    return said;
}

static void test_T04_sealed_shares_open_the_master_key(void **state)
{
    (void)state;
    struct b_sealed_share first = sealed_share(0);
    struct b_sealed_share third = sealed_share(2);
    assert_int_equal(give(&first).open, 0);
    const struct b_seal_state said = give(&third);
    assert_int_equal(said.error, 0);
    assert_int_equal(said.open, 1);
}

/* Each byte of it, and each other share: an oracle of paddings would have told them apart. */
static void test_T18_whatever_is_wrong_has_one_error(void **state)
{
    (void)state;
    const struct b_sealed_share right = sealed_share(0);
    for (size_t i = 0; i < sizeof right.sealed; i++) {
        struct b_sealed_share wrong = right;
        ((uint8_t *)&wrong.sealed)[i] ^= 0x80;
        const struct b_seal_state said = give(&wrong);
        if (said.error != ERROR_TAMPERED || said.kms_have != 0)
            fail_msg("byte %zu: error %u", i, said.error);
    }
    struct b_sealed_share moved = right;
    moved.index = 1;
    assert_int_equal(give(&moved).error, ERROR_TAMPERED);
    assert_int_equal(give(&right).error, 0);
    assert_int_equal(give(&right).kms_have, 1); /* the same again counts once */
}

static void test_another_vaults_share_does_not_open(void **state)
{
    (void)state;
    const struct b_sealed_share old = sealed_share(0);
    recipient_free(vault.recipient);
    assert_int_equal(recipient_new(&vault.recipient).code, 0);
    assert_int_equal(give(&old).error, ERROR_TAMPERED);
}

static void test_outside_an_enclave_there_is_no_recipient(void **state)
{
    (void)state;
    struct b_sealed_share item = sealed_share(0);
    struct recipient *recipient = vault.recipient;
    vault.recipient = NULL;
    assert_int_equal(give(&item).error, ERROR_SEAL_STATE);
    vault.recipient = recipient;
}

static void test_T25_after_a_seal_nothing_opens(void **state)
{
    (void)state;
    const struct b_sealed_share item = sealed_share(0);
    recipient_seal(vault.recipient);
    assert_int_equal(give(&item).error, ERROR_SEALED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_T04_sealed_shares_open_the_master_key, begin, end),
        cmocka_unit_test_setup_teardown(test_T18_whatever_is_wrong_has_one_error, begin, end),
        cmocka_unit_test_setup_teardown(test_another_vaults_share_does_not_open, begin, end),
        cmocka_unit_test_setup_teardown(test_outside_an_enclave_there_is_no_recipient, begin, end),
        cmocka_unit_test_setup_teardown(test_T25_after_a_seal_nothing_opens, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
