/* A real core with a security module, and a front that the test plays, captured or not: what it can have attested. */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#include "attest/binding.h"
#include "attest/nsm.h"
#include "attest/verify.h"
#include "core/attestation.h"
#include "support/core_room.h"
#include "support/nsm_kit.h"
#include "support/test.h"

static struct core_room room;
static struct nsm_kit kit;
static struct door_message message;

static int up(enum tee_platform platform)
{
    nsm_kit_start(&kit, false);
    core_room_make(&room);
    room.config->tee.platform = platform;
    if (platform == TEE_NITRO && nsm_descriptor_open(kit.path, &room.nsm).code)
        return -1;
    if (core_room_init(&room) != 0)
        return -1;
    core_room_start_vault(&room);
    if (core_room_start(&room) != 0)
        return -1;
    core_room_load(&room, 1);
    (void)core_room_await_health(&room, true);
    (void)core_room_await_load(&room);
    return 0;
}

static int end(void **state)
{
    (void)state;
    core_room_remove(&room);
    if (room.nsm >= 0)
        (void)close(room.nsm);
    nsm_kit_stop(&kit);
    return 0;
}

/* Without a module. */
static int make_plain(void **state)
{
    (void)state;
    return up(TEE_NONE);
}

static int make(void **state)
{
    (void)state;
    return up(TEE_NITRO);
}

static void ask(const struct a_attest *question)
{
    assert_int_equal(
        door_send(room.front, room.front_life, A_ATTEST, question, sizeof *question, 1).code, 0);
}

static void receive(struct a_attested *ret_answer)
{
    assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code, 0);
    assert_int_equal(message.head.type, A_ATTESTED);
    memcpy(ret_answer, message.items, sizeof *ret_answer);
}

static struct a_attest question_of(uint64_t id)
{
    struct a_attest q = {.id = id};
    memset(q.spki_digest, (int)id, sizeof q.spki_digest);
    return q;
}

static cc_err
verify(const struct a_attested *answer, struct span nonce, struct attest_document *ret_document)
{
    const struct attest_policy policy = {.root_der = buf_span(&kit.authority.der[KIT_ROOT]),
                                         .now_ms = clock_wall_ms(),
                                         .max_age_ms = 60000,
                                         .any_pcrs = true,
                                         .nonce = nonce};
    return attest_verify(span_of(answer->document, answer->len), &policy, ret_document);
}

static void test_T04_a_document_vouches_for_the_key_and_for_the_vaults_own_words(void **state)
{
    (void)state;
    static struct a_attested answer;
    struct attest_document document;
    struct attest_binding binding;
    struct a_attest question = question_of(7);
    uint8_t digest[ATTEST_CONFIG_DIGEST_SIZE];
    static const uint8_t zeros[ATTEST_CHAMBER_ID_SIZE];
    ask(&question);
    receive(&answer);
    assert_int_equal(answer.id, 7);
    assert_int_equal(answer.error, 0);
    assert_int_equal(verify(&answer, span_of(NULL, 0), &document).code, 0);
    assert_false(document.has_nonce);
    assert_false(document.has_public_key);
    const struct attest_expected expected = {.purpose = ATTEST_FOR_TLS,
                                             .spki_digest = question.spki_digest};
    assert_int_equal(attest_binding_check(&document, &expected, &binding).code, 0);
    assert_memory_not_equal(binding.chamber_id, zeros, sizeof zeros);
    assert_int_equal(config_digest(room.config, digest).code, 0);
    assert_memory_equal(binding.config_digest, digest, sizeof digest);
    /* With a client's nonce. */
    question = question_of(8);
    question.nonce_len = A_ATTEST_NONCE_MAX;
    memset(question.nonce, 0x5a, sizeof question.nonce);
    ask(&question);
    receive(&answer);
    assert_int_equal(answer.id, 8);
    assert_int_equal(
        verify(&answer, span_of(question.nonce, sizeof question.nonce), &document).code, 0);
    struct attest_binding second;
    const struct attest_expected expected_8 = {.purpose = ATTEST_FOR_TLS,
                                               .spki_digest = question.spki_digest};
    assert_int_equal(attest_binding_check(&document, &expected_8, &second).code, 0);
    assert_memory_equal(second.chamber_id, binding.chamber_id, sizeof binding.chamber_id);
}

/* Whatever a captured front writes into its message, the document is for TLS and has no public key. */
static void test_T04_a_captured_front_gets_no_document_for_kms(void **state)
{
    (void)state;
    static struct a_attested answer;
    static const char kms[] = "containment-chamber/kms/v1";
    struct attest_document document;
    struct attest_binding binding;
    struct a_attest question = question_of(9);
    memcpy(question.spki_digest, kms, sizeof kms);
    memcpy(question.nonce, kms, sizeof kms);
    question.nonce_len = sizeof kms;
    question.reserved = 0xffffffff;
    ask(&question);
    receive(&answer);
    assert_int_equal(verify(&answer, span_of(NULL, 0), &document).code, 0);
    assert_false(document.has_public_key);
    assert_int_equal(attest_binding_decode(document.user_data, &binding).code, 0);
    assert_int_equal(binding.purpose, ATTEST_FOR_TLS);
    const struct attest_expected for_kms = {.purpose = ATTEST_FOR_KMS};
    assert_int_equal(attest_binding_check(&document, &for_kms, NULL).code, ERROR_ATTEST_BINDING);
}

static void test_T04_a_front_that_asks_wrongly_is_shut_out(void **state)
{
    (void)state;
    struct a_attest question = question_of(10);
    question.nonce_len = A_ATTEST_NONCE_MAX + 1;
    ask(&question);
    (void)core_room_expect(&room, CONTROL_PEER_STALLED);
    /* The next one is served. */
    core_room_next_front(&room);
    static struct a_attested answer;
    question = question_of(11);
    ask(&question);
    receive(&answer);
    assert_int_equal(answer.id, 11);
    assert_int_equal(answer.error, 0);
}

/* A front that floods the module with questions gets BUSY, and signing goes on meanwhile. */
static void test_T04_a_flood_is_bounded_and_signing_does_not_wait(void **state)
{
    (void)state;
    static struct a_attested answer;
    unsigned busy = 0;
    const unsigned before = *kit.asked;
    *kit.mood = NSM_KIT_WAITS;
    for (uint64_t i = 0; i < ATTESTATION_QUEUE_MAX + 8; i++) {
        const struct a_attest question = question_of(100 + i);
        ask(&question);
    }
    /* One is with the module at most, 16 wait: 7 at least are refused now. */
    for (int i = 0; i < 7; i++) {
        receive(&answer);
        assert_int_equal(answer.error, ERROR_BUSY);
        busy++;
    }
    const struct a_sign request = test_object(1, KIND_RANDAO_REVEAL, 0);
    struct a_signed signature;
    assert_int_equal(
        door_send(room.front, room.front_life, A_SIGN, &request, sizeof request, 1).code, 0);
    do {
        assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code,
                         0);
        busy += message.head.type == A_ATTESTED;
    } while (message.head.type != A_SIGNED);
    memcpy(&signature, message.items, sizeof signature);
    assert_int_equal(signature.error, 0);
    assert_true(busy <= 8);
    *kit.mood = NSM_KIT_RIGHT;
    for (unsigned i = busy; i < ATTESTATION_QUEUE_MAX + 8; i++) {
        receive(&answer);
        assert_int_equal(answer.error, 0);
    }
    assert_int_equal(*kit.asked - before, ATTESTATION_QUEUE_MAX + 8 - busy);
}

/* The history is empty, and allows it; another enclave may have signed the same. */
static void test_P26_a_core_that_starts_in_an_enclave_signs_for_no_earlier_epoch(void **state)
{
    (void)state;
    struct a_signed signature;
    const struct a_sign requests[] = {test_attestation(1, 3, 4, 0), test_block(1, 200, 0)};
    static const uint32_t rules[] = {SLASH_SOURCE_BELOW, SLASH_BLOCK_BELOW};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        assert_int_equal(
            door_send(room.front, room.front_life, A_SIGN, &requests[i], sizeof *requests, 1).code,
            0);
        assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code,
                         0);
        assert_int_equal(message.head.type, A_SIGNED);
        memcpy(&signature, message.items, sizeof signature);
        assert_int_equal(signature.error, ERROR_SLASHABLE);
        assert_int_equal(signature.rule, rules[i]);
    }
}

static void test_a_module_that_fails_is_told_and_comes_again(void **state)
{
    (void)state;
    static struct a_attested answer;
    struct attest_document document;
    *kit.mood = NSM_KIT_REFUSES;
    struct a_attest question = question_of(12);
    ask(&question);
    receive(&answer);
    assert_int_equal(answer.error, ERROR_NSM_REFUSED);
    assert_int_equal(answer.len, 0);
    *kit.mood = NSM_KIT_RIGHT;
    question = question_of(13);
    ask(&question);
    receive(&answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(verify(&answer, span_of(NULL, 0), &document).code, 0);
}

static void test_without_an_enclave_nothing_is_attested(void **state)
{
    (void)state;
    static struct a_attested answer;
    const struct a_attest question = question_of(14);
    ask(&question);
    receive(&answer);
    assert_int_equal(answer.id, 14);
    assert_int_equal(answer.error, ERROR_NOT_ENABLED);
    assert_int_equal(answer.len, 0);
    assert_int_equal(*kit.asked, 0);
}

/* It would promise an enclave and be none. */
static void test_T04_a_core_does_not_start_without_its_door_to_the_module(void **state)
{
    (void)state;
    core_room_kill(&room);
    room.config->tee.platform = TEE_NITRO;
    assert_int_equal(core_room_start(&room), ERROR_PROTOCOL);
}

static void test_T04_a_core_does_not_start_without_the_modules_time(void **state)
{
    (void)state;
    core_room_kill(&room);
    *kit.mood = NSM_KIT_REFUSES;
    assert_int_equal(core_room_start(&room), ERROR_NSM_REFUSED);
    *kit.mood = NSM_KIT_RIGHT;
    assert_int_equal(core_room_start(&room), 0);
}

int main(void)
{
    core_room_reserve_metrics();
#define TEST(f, from) cmocka_unit_test_setup_teardown(f, from, end)
    const struct CMUnitTest tests[] = {
        TEST(test_T04_a_document_vouches_for_the_key_and_for_the_vaults_own_words, make),
        TEST(test_T04_a_captured_front_gets_no_document_for_kms, make),
        TEST(test_T04_a_front_that_asks_wrongly_is_shut_out, make),
        TEST(test_T04_a_flood_is_bounded_and_signing_does_not_wait, make),
        TEST(test_P26_a_core_that_starts_in_an_enclave_signs_for_no_earlier_epoch, make),
        TEST(test_a_module_that_fails_is_told_and_comes_again, make),
        TEST(test_without_an_enclave_nothing_is_attested, make_plain),
        TEST(test_T04_a_core_does_not_start_without_its_door_to_the_module, make_plain),
        TEST(test_T04_a_core_does_not_start_without_the_modules_time, make),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
