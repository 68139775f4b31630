/* chamber.key of an enclave: made in the vault, shared out, put together again by as many shares as it takes. */
#include <string.h>

#include "aws/kms_envelope.h"
#include "crypto/sha256.h"
#include "support/envelope_kit.h"
#include "support/test.h"
#include "vault/inside.h"
#include "vault/set_door.h"

enum {
    THRESHOLD = 2,
    COUNT = 3
};

static struct vault first;  /* at init */
static struct vault second; /* of a later enclave */
static struct b_root_made made;
static struct b_chamber stored;
static struct b_root_open facts;

static void vault_make(struct vault *v, enum room_mode mode)
{
    *v = (struct vault){.arena = NULL};
    assert_int_equal(arena_new(1, 64, &v->arena).code, 0);
    assert_int_equal(chamber_new(v->arena, &v->chamber).code, 0);
    assert_int_equal(root_new(v->arena, v->chamber, &v->root).code, 0);
    assert_int_equal(recipient_new(&v->recipient).code, 0);
    chamber_set_mode(v->chamber, mode);
}

static void vault_end(struct vault *v)
{
    root_free(v->root);
    chamber_free(v->chamber);
    recipient_free(v->recipient);
    arena_free(v->arena);
    *v = (struct vault){.arena = NULL};
}

static struct b_root_make numbers(uint32_t threshold, uint32_t count)
{
    return (struct b_root_make){.threshold = threshold, .count = count};
}

static int begin(void **state)
{
    const struct b_root_make ask = numbers(THRESHOLD, COUNT);
    (void)state;
    vault_make(&first, ROOM_MODE_INIT);
    vault_make(&second, ROOM_MODE_SERVE);
    memset(&made, 0, sizeof made);
    assert_int_equal(root_make(first.root, &ask, &made).code, 0);
    assert_int_equal(chamber_create(first.chamber, &stored).code, 0);
    facts = (struct b_root_open){.threshold = THRESHOLD, .count = COUNT};
    memcpy(facts.commitment, made.commitment, sizeof facts.commitment);
    memcpy(facts.commitments, made.commitments, sizeof facts.commitments);
    return 0;
}

static int end(void **state)
{
    (void)state;
    vault_end(&first);
    vault_end(&second);
    return 0;
}

/* `share` as KMS gives it to `v`, for the place `index`. */
static struct b_root_share to(struct vault *v, const uint8_t *share, uint32_t index)
{
    uint8_t der[RECIPIENT_PUBLIC_MAX];
    uint32_t len = 0;
    struct b_root_share item = {.index = index};
    struct buf bytes = buf_init(KMS_ENVELOPE_MAX);
    struct buf ciphertext = buf_init(KMS_ENVELOPE_MAX);
    struct kms_envelope envelope;
    assert_int_equal(recipient_public(v->recipient, der, &len).code, 0);
    envelope_make(span_of(der, len), span_of(share, SEAL_SHARE_SIZE), ENVELOPE_PIECES, 48, &bytes);
    assert_int_equal(kms_envelope_parse(buf_span(&bytes), &envelope, &ciphertext).code, 0);
    memcpy(item.sealed.wrapped, envelope.wrapped.data, sizeof item.sealed.wrapped);
    memcpy(item.sealed.iv, envelope.iv.data, sizeof item.sealed.iv);
    memcpy(item.sealed.ciphertext, ciphertext.data, sizeof item.sealed.ciphertext);
    buf_release(&bytes);
    buf_release(&ciphertext);
    return item;
}

static int give(struct vault *v, const uint8_t *share, uint32_t index)
{
    const struct b_root_share item = to(v, share, index);
    return root_take_share(v->root, v->recipient, &item).code;
}

static struct b_root_state state_of(const struct vault *v)
{
    struct b_root_state is = {.id = 0};
    root_state(v->root, &is);
    return is;
}

static void test_T04_as_many_shares_as_it_takes_open_the_chamber(void **state)
{
    (void)state;
    assert_int_equal(root_begin(second.root, &facts).code, 0);
    assert_int_equal(chamber_open(second.chamber, &stored).code, ERROR_SEALED);
    assert_int_equal(give(&second, made.shares[2], 2), 0);
    assert_int_equal(give(&second, made.shares[2], 2), 0); /* the same again counts once */
    assert_int_equal(state_of(&second).have, 1);
    assert_int_equal(state_of(&second).open, 0);
    assert_int_equal(chamber_open(second.chamber, &stored).code, ERROR_SEALED);
    assert_int_equal(give(&second, made.shares[0], 0), 0);
    assert_int_equal(state_of(&second).open, 1);
    assert_int_equal(state_of(&second).have, 0);
    assert_int_equal(chamber_open(second.chamber, &stored).code, 0);
    /* For a core that follows, it is open. */
    assert_int_equal(root_begin(second.root, &facts).code, 0);
    assert_int_equal(state_of(&second).open, 1);
}

static void test_T18_a_share_that_was_not_made_is_refused(void **state)
{
    uint8_t other[SEAL_SHARE_SIZE];
    (void)state;
    assert_int_equal(root_begin(second.root, &facts).code, 0);
    for (size_t i = 0; i < sizeof other; i++) {
        memcpy(other, made.shares[0], sizeof other);
        other[i] ^= 0x40;
        assert_int_equal(give(&second, other, 0), ERROR_TAMPERED);
    }
    assert_int_equal(give(&second, made.shares[0], 1), ERROR_TAMPERED); /* in another place */
    assert_int_equal(give(&second, made.shares[0], COUNT), ERROR_SEAL_STATE);
    assert_int_equal(give(&second, made.shares[0], UINT32_MAX), ERROR_SEAL_STATE);
    struct b_root_share item = to(&first, made.shares[0], 0); /* to another vault */
    assert_int_equal(root_take_share(second.root, second.recipient, &item).code, ERROR_TAMPERED);
    assert_int_equal(state_of(&second).have, 0);
}

/* Nor is what the vault would give to a core (vault/release.h), whatever was committed to. */
static void test_T04_a_text_is_no_share(void **state)
{
    static const char label[] = "containment-chamber/enclave-root-share/v1";
    uint8_t text[sizeof label + SEAL_SHARE_SIZE];
    (void)state;
    memcpy(text, label, sizeof label);
    for (uint8_t last = 0; last <= '~'; last++) {
        memset(text + sizeof label, 'A', SEAL_SHARE_SIZE);
        text[sizeof text - 1] = last;
        for (uint32_t i = 0; i < COUNT; i++)
            sha256(span_of(text, sizeof text), facts.commitments[i]);
        assert_int_equal(root_begin(second.root, &facts).code, 0);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(give(&second, text + sizeof label, i),
                             last == i + 1 ? 0 : ERROR_TAMPERED);
        assert_int_equal(state_of(&second).open, 0);
    }
}

/* Who could choose commitments of shares could choose a secret, but not one with this commitment. */
static void test_T11_shares_of_another_secret_give_none(void **state)
{
    (void)state;
    facts.commitment[0] ^= 1;
    assert_int_equal(root_begin(second.root, &facts).code, 0);
    assert_int_equal(give(&second, made.shares[0], 0), 0);
    assert_int_equal(give(&second, made.shares[1], 1), ERROR_TAMPERED);
    assert_int_equal(state_of(&second).open, 0);
    assert_int_equal(state_of(&second).have, 0);
    assert_int_equal(chamber_open(second.chamber, &stored).code, ERROR_SEALED);
}

static void test_T04_it_is_made_by_init_alone_and_once(void **state)
{
    struct b_root_made none = {.id = 0};
    static const struct b_root_made zeros;
    (void)state;
    const struct b_root_make ask = numbers(THRESHOLD, COUNT);
    assert_int_equal(root_make(second.root, &ask, &none).code, ERROR_DENIED);
    assert_int_equal(root_make(first.root, &ask, &none).code, ERROR_EXISTS);
    assert_memory_equal(&none, &zeros, sizeof none);
    /* What was made first still counts. */
    assert_int_equal(give(&first, made.shares[1], 1), 0);
    assert_int_equal(give(&first, made.shares[0], 1), ERROR_TAMPERED);
    assert_int_equal(state_of(&first).have, 0);
    assert_int_equal(state_of(&first).open, 1);
}

static void test_numbers_that_can_not_be_are_refused(void **state)
{
    static const uint32_t odd[][2] = {
        {0, 3}, {4, 3}, {1, 0}, {0, 0}, {2, SEAL_KMS_MAX + 1}, {UINT32_MAX, UINT32_MAX}};
    struct b_root_made none = {.id = 0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        const struct b_root_make ask = numbers(odd[i][0], odd[i][1]);
        facts.threshold = odd[i][0];
        facts.count = odd[i][1];
        assert_int_equal(root_make(first.root, &ask, &none).code, ERROR_SEAL_STATE);
        assert_int_equal(root_begin(second.root, &facts).code, ERROR_SEAL_STATE);
    }
    assert_int_equal(give(&second, made.shares[0], 0), ERROR_SEAL_STATE); /* none was begun */
}

static void test_every_number_of_shares(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= SEAL_KMS_MAX; count += 5) {
        const struct b_root_make ask = numbers(count, count);
        end(NULL);
        vault_make(&first, ROOM_MODE_INIT);
        vault_make(&second, ROOM_MODE_SERVE);
        assert_int_equal(root_make(first.root, &ask, &made).code, 0);
        assert_int_equal(chamber_create(first.chamber, &stored).code, 0);
        facts = (struct b_root_open){.threshold = count, .count = count};
        memcpy(facts.commitment, made.commitment, sizeof facts.commitment);
        memcpy(facts.commitments, made.commitments, sizeof facts.commitments);
        assert_int_equal(root_begin(second.root, &facts).code, 0);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(give(&second, made.shares[i], i), 0);
        assert_int_equal(chamber_open(second.chamber, &stored).code, 0);
    }
}

static void test_T25_after_a_seal_nothing_is_put_together(void **state)
{
    (void)state;
    assert_int_equal(root_begin(second.root, &facts).code, 0);
    assert_int_equal(give(&second, made.shares[0], 0), 0);
    const struct b_root_share item = to(&second, made.shares[1], 1);
    root_seal(second.root);
    chamber_seal(second.chamber);
    recipient_seal(second.recipient);
    assert_int_equal(root_begin(second.root, &facts).code, ERROR_SEALED);
    assert_int_equal(root_take_share(second.root, second.recipient, &item).code, ERROR_SEAL_STATE);
    assert_int_equal(state_of(&second).open, 0);
    assert_int_equal(state_of(&second).have, 0);
}

/* --- by the door ---------------------------------------------------------------------------------------------- */

static struct door_message question;
static struct door_message answer;

static const void *ask_door(struct vault *v, uint16_t type, const void *item, size_t size)
{
    memcpy(question.items, item, size);
    question.head = (struct door_head){.type = type, .count = 1, .item_size = (uint32_t)size};
    set_door_answer(v, &question, &answer);
    return answer.items;
}

static void test_outside_of_an_enclave_there_is_no_root(void **state)
{
    struct master *master = NULL;
    (void)state;
    struct recipient *recipient = second.recipient;
    const struct b_root_make make = {.id = 4, .threshold = 1, .count = 1};
    const struct b_root_share share = to(&second, made.shares[0], 0);
    assert_int_equal(master_new(second.arena, &master).code, 0);
    second.master = master;
    second.recipient = NULL;
    const struct b_root_made *is = ask_door(&second, B_ROOT_MAKE, &make, sizeof make);
    assert_int_equal(is->error, ERROR_SEAL_STATE);
    assert_int_equal(is->id, 4);
    const struct b_root_state *was = ask_door(&second, B_ROOT_OPEN, &facts, sizeof facts);
    assert_int_equal(was->error, ERROR_SEAL_STATE);
    was = ask_door(&second, B_ROOT_SHARE, &share, sizeof share);
    assert_int_equal(was->error, ERROR_SEAL_STATE);
    second.recipient = recipient;
    was = ask_door(&second, B_ROOT_OPEN, &facts, sizeof facts);
    assert_int_equal(was->error, 0);
    assert_int_equal(was->threshold, THRESHOLD);
    was = ask_door(&second, B_ROOT_SHARE, &share, sizeof share);
    assert_int_equal(was->error, 0);
    assert_int_equal(was->have, 1);
    master_free(master);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_T04_as_many_shares_as_it_takes_open_the_chamber, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_T18_a_share_that_was_not_made_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_T04_a_text_is_no_share, begin, end),
        cmocka_unit_test_setup_teardown(test_T11_shares_of_another_secret_give_none, begin, end),
        cmocka_unit_test_setup_teardown(test_T04_it_is_made_by_init_alone_and_once, begin, end),
        cmocka_unit_test_setup_teardown(test_numbers_that_can_not_be_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_every_number_of_shares, begin, end),
        cmocka_unit_test_setup_teardown(test_T25_after_a_seal_nothing_is_put_together, begin, end),
        cmocka_unit_test_setup_teardown(test_outside_of_an_enclave_there_is_no_root, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
