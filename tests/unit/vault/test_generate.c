/* New keys, as the vault makes them under its real lock: the age tool opens the words, which are those of the keys; nothing else of them
 * comes out.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#include "crypto/bip39.h"
#include "crypto/bls.h"
#include "crypto/eip2333.h"
#include "eth/deposit.h"
#include "support/age_tool.h"
#include "support/test.h"
#include "support/vault_room.h"
#include "vault/inside.h"

static struct test_chamber chamber;
static struct vault_room room;
static struct door_message *answer;

static int make_chamber(void **state)
{
    (void)state;
    answer = calloc(1, sizeof *answer);
    test_chamber_make(&chamber);
    return answer ? 0 : -1;
}

static int remove_chamber(void **state)
{
    (void)state;
    free(answer);
    test_chamber_remove(&chamber);
    return 0;
}

static int start(void **state)
{
    (void)state;
    vault_room_start_generate(&room, &chamber);
    vault_room_greet(&room, &chamber);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return vault_room_stop(&room);
}

static void ask(uint16_t type, const void *item, size_t size, uint16_t answer_type)
{
    assert_int_equal(core_ask(&room, type, item, size, 1, answer).code, 0);
    assert_int_equal(answer->head.type, answer_type);
}

static struct b_generated generate(uint32_t count)
{
    struct b_generated generated;
    const struct b_generate question = {.id = 5, .count = count};
    ask(B_GENERATE, &question, sizeof question, B_GENERATED);
    memcpy(&generated, answer->items, sizeof generated);
    assert_int_equal(generated.id, 5);
    return generated;
}

static struct b_derive key_of(uint64_t session, uint32_t index)
{
    static const struct eth_address address = {{0x0d, 1, 2, 3}};
    return (struct b_derive){.id = 6,
                             .session = session,
                             .index = index,
                             .status = ROW_ACTIVE,
                             .has_deposit = 1,
                             .genesis_fork_version = {{0x10, 0, 9, 0x10}},
                             .withdrawal_credentials =
                                 deposit_credentials(DEPOSIT_TO_ADDRESS, &address),
                             .amount = DEPOSIT_GWEI_DEFAULT};
}

static struct b_derived derive(const struct b_derive *question)
{
    struct b_derived derived;
    ask(B_DERIVE, question, sizeof *question, B_DERIVED);
    memcpy(&derived, answer->items, sizeof derived);
    assert_int_equal(derived.id, 6);
    return derived;
}

/* The words that its recipients read, the line feeds behind them left out. */
static size_t
words_of(const struct b_generated *generated, enum age_tool_identity identity, char text[256])
{
    long len = age_tool_decrypt(identity, generated->backup, generated->len, text, 256);
    assert_int_equal(len, BIP39_TEXT_MAX);
    while (len && text[len - 1] == '\n')
        len--;
    return (size_t)len;
}

static void assert_is_of(const struct b_derived *derived, struct span words, uint32_t index)
{
    uint8_t seed[BIP39_SEED_SIZE];
    struct bls_secret secret;
    struct eth_pubkey pubkey;
    assert_int_equal(bip39_seed(words, span_of(NULL, 0), seed).code, 0);
    assert_int_equal(eip2334_validators(span_of(seed, sizeof seed), &secret).code, 0);
    eip2334_signing_key(&secret, index, &secret);
    bls_secret_public(&secret, pubkey.bytes);
    assert_memory_equal(&derived->row.pubkey, &pubkey, sizeof pubkey);
}

static void assert_deposit_holds(const struct b_derived *derived, const struct b_derive *question)
{
    const struct deposit deposit = {.pubkey = derived->row.pubkey,
                                    .withdrawal_credentials = question->withdrawal_credentials,
                                    .amount = question->amount};
    const struct signing_root root =
        deposit_signing_root(&deposit, &question->genesis_fork_version);
    assert_int_equal(
        bls_verify(derived->row.pubkey.bytes, root.bytes, derived->signature.bytes).code, 0);
}

static void test_the_words_are_those_of_the_keys(void **state)
{
    (void)state;
    char text[256], same[256];
    if (!age_tool_present())
        return;
    const struct b_generated generated = generate(3);
    assert_int_equal(generated.error, 0);
    const size_t len = words_of(&generated, AGE_TOOL_X25519, text);
    assert_int_equal(words_of(&generated, AGE_TOOL_SSH, same), len);
    assert_memory_equal(text, same, len);
    for (uint32_t index = 0; index < 3; index++) {
        const struct b_derive question = key_of(generated.session, index);
        const struct b_derived derived = derive(&question);
        assert_int_equal(derived.error, 0);
        assert_int_equal(derived.row.version, 1);
        assert_is_of(&derived, span_of(text, len), index);
        assert_deposit_holds(&derived, &question);
    }
}

/* What was sealed opens in its place, and signs only then. */
static void test_P15_a_new_key_is_in_no_table_before_its_row_comes_back(void **state)
{
    (void)state;
    const struct b_generated generated = generate(1);
    const struct b_derive question = key_of(generated.session, 0);
    const struct b_derived derived = derive(&question);
    const struct b_keys listing = {.id = 3};
    struct b_key_list list;
    struct b_opened opened;
    ask(B_KEYS, &listing, sizeof listing, B_KEY_LIST);
    memcpy(&list, answer->items, sizeof list);
    assert_int_equal(list.count, 0);
    const struct b_open_row open = {.id = 8, .source = B_KEY_FROM_ROW, .row = derived.row};
    ask(B_OPEN_ROW, &open, sizeof open, B_OPENED);
    memcpy(&opened, answer->items, sizeof opened);
    assert_int_equal(opened.error, 0);
}

static void test_two_mnemonics_have_nothing_in_common(void **state)
{
    (void)state;
    const struct b_generated a = generate(1);
    const struct b_generated b = generate(1);
    const struct b_derive of_a = key_of(a.session, 0);
    const struct b_derive of_b = key_of(b.session, 0);
    const struct b_derived first = derive(&of_a);
    const struct b_derived second = derive(&of_b);
    assert_int_not_equal(a.session, b.session);
    assert_memory_not_equal(&first.row.pubkey, &second.row.pubkey, sizeof first.row.pubkey);
}

static void test_a_session_ends_with_its_last_key(void **state)
{
    (void)state;
    const struct b_generated generated = generate(2);
    struct b_derive question = key_of(generated.session, 2);
    assert_int_equal(derive(&question).error, ERROR_PROTOCOL);
    question = key_of(generated.session, 1);
    assert_int_equal(derive(&question).error, 0);
    question = key_of(generated.session, 0);
    assert_int_equal(derive(&question).error, 0);
    assert_int_equal(derive(&question).error, ERROR_NAME_UNKNOWN);
    question = key_of(generated.session + 1, 0);
    assert_int_equal(derive(&question).error, ERROR_NAME_UNKNOWN);
}

static void assert_refused(struct b_derive question, enum error_code error)
{
    static const struct b_derived none;
    struct b_derived derived = derive(&question);
    assert_int_equal(derived.error, error);
    derived.id = 0;
    derived.error = 0;
    assert_memory_equal(&derived, &none, sizeof none);
}

static void test_questions_that_make_no_sense(void **state)
{
    (void)state;
    const struct b_generated generated = generate(1);
    const struct b_derive right = key_of(generated.session, 0);
    struct b_derive question = right;
    question.status = ROW_DELETED;
    assert_refused(question, ERROR_PROTOCOL);
    question = right;
    question.has_deposit = 2;
    assert_refused(question, ERROR_PROTOCOL);
    question = right;
    question.withdrawal_credentials.bytes[0] = 0;
    assert_refused(question, ERROR_MALFORMED);
    question = right;
    question.withdrawal_credentials.bytes[5] = 1;
    assert_refused(question, ERROR_MALFORMED);
    question = right;
    memset(question.withdrawal_credentials.bytes + 12, 0, 20);
    assert_refused(question, ERROR_MALFORMED);
    question = right;
    question.amount = DEPOSIT_GWEI_DEFAULT + 1;
    assert_refused(question, ERROR_NUMBER_RANGE);
    question.amount = DEPOSIT_GWEI_MIN - 1;
    assert_refused(question, ERROR_NUMBER_RANGE);
    assert_int_equal(generate(0).error, ERROR_PROTOCOL);
    assert_int_equal(generate(B_GENERATE_KEYS_MAX + 1).error, ERROR_PROTOCOL);
    /* None of them has used the session up. */
    assert_int_equal(derive(&right).error, 0);
}

/* Beside the bound there is room again as soon as one of them ends. */
static void test_sessions_are_bounded(void **state)
{
    (void)state;
    struct b_generated some = {.error = 0};
    uint32_t begun = 0;
    for (struct b_generated next; (next = generate(1)).error == 0; begun++) {
        some = next;
        assert_true(begun < 1000);
    }
    assert_int_equal(begun, GENERATE_SESSIONS);
    const struct b_generated refused = generate(1);
    assert_int_equal(refused.error, ERROR_BUSY);
    assert_int_equal(refused.len, 0);
    assert_int_equal(refused.session, 0);
    const struct b_derive question = key_of(some.session, 0);
    assert_int_equal(derive(&question).error, 0);
    assert_int_equal(generate(1).error, 0);
}

static void test_a_sealed_vault_makes_none(void **state)
{
    (void)state;
    const struct b_generated generated = generate(2);
    const struct b_seal seal = {.id = 1};
    ask(B_SEAL, &seal, sizeof seal, B_ANSWER);
    assert_refused(key_of(generated.session, 0), ERROR_SEALED);
    assert_int_equal(generate(1).error, ERROR_SEALED);
}

static void test_without_history_or_recipients_there_are_none(void **state)
{
    (void)state;
    vault_room_start_generate(&room, &chamber);
    assert_int_equal(generate(1).error, ERROR_IDENTITY);
    assert_refused(key_of(1, 0), ERROR_IDENTITY);
    assert_int_equal(vault_room_stop(&room), 0);
    vault_room_start(&room, &chamber, ROOM_MODE_SERVE, false);
    vault_room_greet(&room, &chamber);
    const struct b_generated refused = generate(1);
    assert_int_equal(refused.error, ERROR_NOT_ENABLED);
    assert_int_equal(refused.len, 0);
    assert_int_equal(vault_room_stop(&room), 0);
}

/* --- time ------------------------------------------------------------------------------------------------------ */

/* A vault in this process, with a chamber of its own and a history. */
static void open_vault(struct vault *v)
{
    static const char file[] = "containment-chamber-key-v1\n"
                               "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    struct age_recipient recipient;
    struct b_chamber stored = {.id = 1};
    struct b_hello hello = {.history_id = {7}};
    struct seal_proposal proposal = {.mode = SEAL_LOCAL, .generation = 1};
    struct seal_set set;
    enum b_set_which which;
    int fds[2];
    assert_int_equal(vault_open(10, 0, NULL, v).code, 0);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], file, sizeof file - 1), sizeof file - 1);
    (void)close(fds[1]);
    assert_int_equal(chamber_take_key(v->chamber, fds[0]).code, 0);
    chamber_set_mode(v->chamber, ROOM_MODE_INIT);
    assert_int_equal(chamber_create(v->chamber, &stored).code, 0);
    memcpy(proposal.chamber_id, stored.chamber_id, sizeof proposal.chamber_id);
    assert_int_equal(sets_make(v->sets, &proposal, &which, &set).code, 0);
    assert_int_equal(chamber_prove_history(v->chamber, hello.history_id, hello.proof).code, 0);
    assert_int_equal(chamber_check_history(v->chamber, &hello).code, 0);
    assert_int_equal(age_recipient_parse(span_str(AGE_TOOL_RECIPIENT), &recipient).code, 0);
    generator_set_recipients(v->generator, &recipient, 1);
}

static uint32_t derive_in(struct vault *v, uint64_t session, uint32_t index)
{
    const struct b_derive question = key_of(session, index);
    struct b_derived derived = {.id = 6};
    generate_derive(v, &question, &derived);
    return derived.error;
}

static void test_a_session_that_nobody_uses_ends(void **state)
{
    (void)state;
    struct vault v;
    struct b_generated generated = {.id = 5};
    const struct b_generate question = {.id = 5, .count = 3};
    open_vault(&v);
    generate_begin(&v, &question, &generated);
    assert_int_equal(generated.error, 0);
    assert_int_equal(derive_in(&v, generated.session, 0), 0);
    const uint64_t used = clock_mono_ms();
    generator_sweep(v.generator, used + GENERATE_IDLE_MS / 2);
    assert_int_equal(derive_in(&v, generated.session, 1), 0);
    generator_sweep(v.generator, clock_mono_ms() + GENERATE_IDLE_MS);
    assert_int_equal(derive_in(&v, generated.session, 2), ERROR_NAME_UNKNOWN);
    vault_close(&v);
}

/* Another generation than those that are open: nothing is sealed for it. */
static void test_only_an_open_generation_gets_keys(void **state)
{
    (void)state;
    const struct b_generated generated = generate(1);
    struct b_derive question = key_of(generated.session, 0);
    question.generation = 2;
    assert_refused(question, ERROR_TAMPERED);
    question.generation = 1;
    assert_int_equal(derive(&question).row.generation, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_words_are_those_of_the_keys, start, stop),
        cmocka_unit_test_setup_teardown(test_P15_a_new_key_is_in_no_table_before_its_row_comes_back,
                                        start, stop),
        cmocka_unit_test_setup_teardown(test_two_mnemonics_have_nothing_in_common, start, stop),
        cmocka_unit_test_setup_teardown(test_a_session_ends_with_its_last_key, start, stop),
        cmocka_unit_test_setup_teardown(test_questions_that_make_no_sense, start, stop),
        cmocka_unit_test_setup_teardown(test_sessions_are_bounded, start, stop),
        cmocka_unit_test_setup_teardown(test_a_sealed_vault_makes_none, start, stop),
        cmocka_unit_test_setup_teardown(test_only_an_open_generation_gets_keys, start, stop),
        cmocka_unit_test(test_a_session_that_nobody_uses_ends),
        cmocka_unit_test(test_without_history_or_recipients_there_are_none),
    };
    return cmocka_run_group_tests(tests, make_chamber, remove_chamber);
}
