/* The door of documents, and a core that was captured on its other side: whatever it writes, what a document says is the vault's, and no public key but
 * the vault's is in any.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/kms_envelope.h"
#include "seal/enclave_root_record.h"
#include "support/document_kit.h"
#include "support/envelope_kit.h"
#include "support/nsm_kit.h"
#include "support/test.h"
#include "vault/vault.h"

enum {
    THRESHOLD = 2,
    COUNT = 3
};

static const char *const arns[COUNT] = {
    "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555",
    "arn:aws:kms:us-east-1:111122223333:key/22222222-2222-3333-4444-555555555555",
    "arn:aws:kms:us-east-1:111122223333:key/33333333-2222-3333-4444-555555555555"};

static struct nsm_kit kit;
static struct nsm *module; /* it serves one line at a time */
static struct tee_root_config config;
static struct vault first; /* at init */
static struct vault later; /* of a later enclave */
static struct b_root_made made;
static struct b_chamber stored;
static struct attest_document document;

static int begin(void **state)
{
    const struct b_root_make numbers = {.threshold = THRESHOLD, .count = COUNT};
    (void)state;
    *kit.mood = NSM_KIT_RIGHT;
    memset(&config, 0, sizeof config);
    config.threshold = THRESHOLD;
    config.kms_key_arns.count = COUNT;
    for (size_t i = 0; i < COUNT; i++)
        (void)snprintf(config.kms_key_arns.items[i], CONFIG_TEXT_MAX, "%s", arns[i]);
    document_vault_make(&first, ROOM_MODE_INIT, &config, module);
    document_vault_make(&later, ROOM_MODE_SERVE, &config, module);
    memset(&made, 0, sizeof made);
    assert_int_equal(root_make(first.root, &numbers, &made).code, 0);
    assert_int_equal(chamber_create(first.chamber, &stored).code, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    document_vault_end(&first);
    document_vault_end(&later);
    return 0;
}

static int group_begin(void **state)
{
    (void)state;
    nsm_kit_start(&kit, false);
    return nsm_open(kit.path, &module).code;
}

static int group_end(void **state)
{
    (void)state;
    nsm_close(module);
    nsm_kit_stop(&kit);
    return 0;
}

/* Parses what was given; an error has nothing with it. */
static uint32_t look(const struct d_document *answer)
{
    static const uint8_t none[D_DOCUMENT_MAX];
    static uint8_t bytes[D_DOCUMENT_MAX];
    assert_int_equal(answer->id, 5);
    if (answer->error) {
        assert_int_equal(answer->len, 0);
        assert_memory_equal(answer->bytes, none, sizeof none);
        return answer->error;
    }
    memcpy(bytes, answer->bytes, answer->len); /* the next answer overwrites it */
    assert_int_equal(attest_document_parse(span_of(bytes, answer->len), &document).code, 0);
    return 0;
}

static uint32_t ask(struct vault *v, const struct d_ask *question)
{
    return look(document_ask(v, D_ASK, question, sizeof *question));
}

static struct d_ask question_for(uint32_t purpose)
{
    struct d_ask question = {.id = 5, .purpose = purpose, .nonce_len = 4};
    memcpy(question.nonce, "abcd", 4);
    if (purpose == ATTEST_FOR_TLS)
        memset(question.spki_digest, 0x66, sizeof question.spki_digest);
    return question;
}

static struct attest_binding binding_of(enum attest_purpose purpose)
{
    struct attest_binding binding;
    struct attest_expected expected = {.purpose = purpose};
    uint8_t any[ATTEST_SPKI_DIGEST_SIZE];
    assert_true(document.has_user_data);
    assert_int_equal(attest_binding_decode(document.user_data, &binding).code, 0);
    memcpy(any, binding.spki_digest, sizeof any);
    expected.spki_digest = any;
    expected.record_digest = binding.record_digest;
    assert_int_equal(attest_binding_check(&document, &expected, &binding).code, 0);
    return binding;
}

/* --- documents by purpose ----------------------------------------------------------------------------------------------- */

static void test_T04_each_purpose_has_the_vaults_own_words(void **state)
{
    static const uint8_t zeros[32];
    uint8_t der[RECIPIENT_PUBLIC_MAX];
    uint32_t der_len = 0;
    (void)state;
    memset(first.config_digest, 0x77, sizeof first.config_digest);
    struct d_ask question = question_for(ATTEST_FOR_TLS);
    assert_int_equal(ask(&first, &question), 0);
    struct attest_binding binding = binding_of(ATTEST_FOR_TLS);
    assert_memory_equal(binding.spki_digest, question.spki_digest, sizeof binding.spki_digest);
    assert_memory_equal(binding.chamber_id, stored.chamber_id, 32);
    assert_memory_equal(binding.config_digest, first.config_digest, 32);
    assert_false(document.has_public_key);
    assert_true(span_is(document.nonce, "abcd"));
    question = question_for(ATTEST_FOR_CLOCK);
    question.nonce_len = 0;
    assert_int_equal(ask(&first, &question), 0);
    (void)binding_of(ATTEST_FOR_CLOCK);
    assert_false(document.has_public_key || document.has_nonce);
    question = question_for(ATTEST_FOR_KMS);
    assert_int_equal(ask(&first, &question), 0);
    binding = binding_of(ATTEST_FOR_KMS);
    assert_memory_equal(binding.chamber_id, stored.chamber_id, 32);
    assert_memory_equal(binding.config_digest, first.config_digest, 32);
    assert_int_equal(recipient_public(first.recipient, der, &der_len).code, 0);
    assert_true(span_equal(document.public_key, span_of(der, der_len)));
    /* Before there is a chamber KMS is asked all the same, and nobody's TLS key is this chamber's. */
    assert_int_equal(ask(&later, &question), 0);
    assert_memory_equal(binding_of(ATTEST_FOR_KMS).chamber_id, zeros, 32);
    question = question_for(ATTEST_FOR_TLS);
    assert_int_equal(ask(&later, &question), ERROR_SEALED);
}

/* It writes its key, and the purpose KMS, wherever a message has room. */
static void test_T04_a_captured_core_gets_no_document_with_a_key_of_its_own(void **state)
{
    static const uint32_t purposes[] = {
        ATTEST_FOR_TLS, ATTEST_FOR_KMS, ATTEST_FOR_CLOCK, ATTEST_FOR_ROOT, 0, 5, 0x101, UINT32_MAX};
    static const char kms[] = "containment-chamber/kms/v1";
    struct recipient *theirs = NULL;
    uint8_t der[RECIPIENT_PUBLIC_MAX], own[RECIPIENT_PUBLIC_MAX];
    uint32_t der_len = 0, own_len = 0;
    (void)state;
    assert_int_equal(recipient_new(&theirs).code, 0);
    assert_int_equal(recipient_public(theirs, der, &der_len).code, 0);
    assert_int_equal(recipient_public(first.recipient, own, &own_len).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(purposes); i++) {
        const unsigned before = *kit.asked;
        struct d_ask question = {.id = 5, .purpose = purposes[i], .nonce_len = D_NONCE_MAX};
        memcpy(question.nonce, kms, sizeof kms);
        memcpy(question.spki_digest, der, sizeof question.spki_digest);
        const uint32_t error = ask(&first, &question);
        if (purposes[i] < ATTEST_FOR_TLS || purposes[i] > ATTEST_FOR_CLOCK) {
            assert_int_equal(error, ERROR_DENIED);
            assert_int_equal(*kit.asked, before);
            continue;
        }
        assert_int_equal(error, 0);
        (void)binding_of((enum attest_purpose)purposes[i]);
        assert_int_equal(document.has_public_key, purposes[i] == ATTEST_FOR_KMS);
        if (document.has_public_key)
            assert_true(span_equal(document.public_key, span_of(own, own_len)));
    }
    recipient_free(theirs);
}

static void test_T04_a_nonce_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct d_ask question = question_for(ATTEST_FOR_CLOCK);
    const unsigned before = *kit.asked;
    for (uint32_t len = D_NONCE_MAX + 1; len; len *= 2) {
        question.nonce_len = len;
        assert_int_equal(ask(&first, &question), ERROR_PROTOCOL);
    }
    assert_int_equal(*kit.asked, before);
}

/* --- the record of the root --------------------------------------------------------------------------------------------- */

static struct d_vouch ciphertexts(void)
{
    struct d_vouch question = {.id = 5, .count = COUNT};
    for (uint32_t i = 0; i < COUNT; i++) {
        question.keys[i].len = 100 + i;
        memset(question.keys[i].ciphertext, (int)(0x50 + i), question.keys[i].len);
    }
    return question;
}

static uint32_t vouch(struct vault *v, const struct d_vouch *question)
{
    return look(document_ask(v, D_VOUCH, question, sizeof *question));
}

/* As an honest core has it. */
static struct enclave_root_record *record_of(const struct d_vouch *question)
{
    struct enclave_root_record *record = calloc(1, sizeof *record);
    assert_non_null(record);
    memcpy(record->chamber_id, stored.chamber_id, 32);
    memcpy(record->identity_public, stored.identity_public, 32);
    memcpy(record->commitment, made.commitment, 32);
    memcpy(record->commitments, made.commitments, sizeof made.commitments);
    record->threshold = THRESHOLD;
    record->count = COUNT;
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(record->keys[i].arn, SEAL_ARN_SIZE, "%s", arns[i]);
        record->keys[i].len = question->keys[i].len;
        memcpy(record->keys[i].ciphertext, question->keys[i].ciphertext, question->keys[i].len);
    }
    return record;
}

static bool is_for(struct enclave_root_record *record)
{
    uint8_t digest[ATTEST_RECORD_DIGEST_SIZE];
    assert_int_equal(enclave_root_digest(record, digest).code, 0);
    const struct attest_binding binding = binding_of(ATTEST_FOR_ROOT);
    return memcmp(binding.record_digest, digest, sizeof digest) == 0;
}

static struct b_root_open facts_made(void)
{
    struct b_root_open facts = {.threshold = THRESHOLD, .count = COUNT};
    memcpy(facts.commitment, made.commitment, sizeof facts.commitment);
    memcpy(facts.commitments, made.commitments, sizeof facts.commitments);
    return facts;
}

static void give_share(struct vault *v, uint32_t index)
{
    const struct d_open sealed = document_envelope(v, span_of(made.shares[index], SEAL_SHARE_SIZE));
    struct b_root_share item = {.index = index};
    memcpy(item.sealed.wrapped, sealed.wrapped, sizeof item.sealed.wrapped);
    memcpy(item.sealed.iv, sealed.iv, sizeof item.sealed.iv);
    memcpy(item.sealed.ciphertext, sealed.ciphertext, sizeof item.sealed.ciphertext);
    assert_int_equal(root_take_share(v->root, v->recipient, &item).code, 0);
}

static void test_T11_the_image_vouches_for_what_its_vault_has_made(void **state)
{
    (void)state;
    const struct d_vouch question = ciphertexts();
    struct enclave_root_record *record = record_of(&question);
    assert_int_equal(vouch(&first, &question), 0);
    assert_true(is_for(record));
    assert_false(document.has_public_key || document.has_nonce);
    /* Each part of it but the ciphertexts is the vault's word. */
    record->commitment[0] ^= 1;
    assert_false(is_for(record));
    free(record);
}

static void test_T11_and_for_what_it_has_opened(void **state)
{
    (void)state;
    const struct d_vouch question = ciphertexts();
    const struct b_root_open facts = facts_made();
    struct enclave_root_record *record = record_of(&question);
    assert_int_equal(vouch(&later, &question), ERROR_SEAL_STATE);
    assert_int_equal(root_begin(later.root, &facts).code, 0);
    give_share(&later, 2);
    assert_int_equal(vouch(&later, &question), ERROR_SEAL_STATE); /* too few */
    give_share(&later, 0);
    assert_int_equal(vouch(&later, &question), ERROR_SEALED); /* whose key is it? */
    assert_int_equal(chamber_open(later.chamber, &stored).code, 0);
    assert_int_equal(vouch(&later, &question), 0);
    assert_true(is_for(record));
    free(record);
}

/* Commitments are the core's to choose: they change nothing of what is vouched for. */
static void test_T11_a_captured_core_has_no_record_of_its_own_vouched_for(void **state)
{
    (void)state;
    const struct d_vouch question = ciphertexts();
    struct enclave_root_record *record = record_of(&question);
    struct b_root_open theirs = facts_made();
    const struct b_root_open facts = facts_made();
    memset(theirs.commitment, 0xcc, sizeof theirs.commitment);
    assert_int_equal(root_begin(first.root, &theirs).code, ERROR_EXISTS);
    theirs = facts_made();
    theirs.commitments[1][0] ^= 1;
    assert_int_equal(root_begin(first.root, &theirs).code, ERROR_EXISTS);
    theirs = facts_made();
    theirs.threshold = 1;
    assert_int_equal(root_begin(first.root, &theirs).code, ERROR_EXISTS);
    theirs.count = 1;
    assert_int_equal(root_begin(first.root, &theirs).code, ERROR_EXISTS);
    assert_int_equal(root_begin(first.root, &facts).code, 0);
    assert_int_equal(vouch(&first, &question), 0);
    assert_true(is_for(record));
    /* Of a root whose secret it doesn't bring, there is nothing. */
    memset(theirs.commitment, 0xcc, sizeof theirs.commitment);
    assert_int_equal(root_begin(later.root, &theirs).code, 0);
    assert_int_equal(vouch(&later, &question), ERROR_SEAL_STATE);
    /* Other KMS keys than the measured ones. */
    (void)snprintf(config.kms_key_arns.items[1], CONFIG_TEXT_MAX, "%s", arns[2]);
    assert_int_equal(vouch(&first, &question), 0);
    assert_false(is_for(record));
    config.kms_key_arns.count = 2;
    assert_int_equal(vouch(&first, &question), ERROR_ENCLAVE_ROOT);
    config.kms_key_arns.count = COUNT;
    config.threshold = COUNT;
    assert_int_equal(vouch(&first, &question), ERROR_ENCLAVE_ROOT);
    free(record);
}

static void test_T11_ciphertexts_that_can_not_be_are_refused(void **state)
{
    (void)state;
    const unsigned before = *kit.asked;
    struct d_vouch question = ciphertexts();
    static const uint32_t counts[] = {0, COUNT - 1, COUNT + 1, SEAL_KMS_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        question.count = counts[i];
        assert_int_equal(vouch(&first, &question), ERROR_PROTOCOL);
    }
    question = ciphertexts();
    static const uint32_t lengths[] = {0, D_WRAPPED_SHARE_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        question.keys[COUNT - 1].len = lengths[i];
        assert_int_equal(vouch(&first, &question), ERROR_PROTOCOL);
    }
    assert_int_equal(*kit.asked, before);
}

/* --- when there is nothing to be had ------------------------------------------------------------------------------------ */

static void test_T25_after_a_seal_kms_and_root_have_no_documents(void **state)
{
    (void)state;
    const struct d_vouch record = ciphertexts();
    struct d_ask question = question_for(ATTEST_FOR_KMS);
    root_seal(first.root);
    chamber_seal(first.chamber);
    recipient_seal(first.recipient);
    assert_int_equal(ask(&first, &question), ERROR_SEALED);
    assert_int_equal(vouch(&first, &record), ERROR_SEAL_STATE);
    /* The front's certificates go on. */
    question = question_for(ATTEST_FOR_TLS);
    assert_int_equal(ask(&first, &question), 0);
    assert_memory_equal(binding_of(ATTEST_FOR_TLS).chamber_id, stored.chamber_id, 32);
}

static void test_T04_a_module_that_refuses_gives_nothing(void **state)
{
    (void)state;
    const struct d_vouch record = ciphertexts();
    const struct d_ask question = question_for(ATTEST_FOR_CLOCK);
    *kit.mood = NSM_KIT_REFUSES;
    assert_int_equal(ask(&first, &question), ERROR_NSM_REFUSED);
    assert_int_equal(vouch(&first, &record), ERROR_NSM_REFUSED);
    assert_int_equal(document_door_look(&first).code, ERROR_NSM_REFUSED);
    *kit.mood = NSM_KIT_RIGHT;
    assert_int_equal(ask(&first, &question), 0);
    assert_int_equal(document_door_look(&first).code, 0);
}

static void test_outside_of_an_enclave_there_are_no_documents(void **state)
{
    (void)state;
    const struct d_vouch record = ciphertexts();
    const struct d_ask question = question_for(ATTEST_FOR_CLOCK);
    first.nsm = NULL;
    assert_int_equal(ask(&first, &question), ERROR_SEAL_STATE);
    assert_int_equal(vouch(&first, &record), ERROR_SEAL_STATE);
}

/* --- the room ----------------------------------------------------------------------------------------------------------- */

static cc_err no_lock(enum room room)
{
    (void)room;
    return CC_OK;
}

struct start {
    struct config config;
    int control;
    cc_err result;
};

static void *run_vault(void *argument)
{
    struct start *start = argument;
    const struct room_context context = {&start->config, start->control, no_lock};
    start->result = vault_main(&context);
    return NULL;
}

/* What a vault says that is told to be in an enclave, with this many lines to a module. */
static int start_with(unsigned modules)
{
    struct start *start = calloc(1, sizeof *start);
    int line[2];
    pthread_t thread;
    assert_non_null(start);
    config_defaults(&start->config);
    start->config.signing.concurrency = 1;
    start->config.tee.platform = TEE_NITRO;
    assert_int_equal(control_pair(line).code, 0);
    start->control = line[1];
    assert_int_equal(pthread_create(&thread, NULL, run_vault, start), 0);
    for (unsigned i = 0; i < modules; i++) {
        int fd = -1;
        assert_int_equal(nsm_descriptor_open(kit.path, &fd).code, 0);
        assert_int_equal(control_send(line[0], CONTROL_NSM, 0, 0, fd).code, 0);
        (void)close(fd);
    }
    (void)control_send(line[0], CONTROL_START, 0, ROOM_MODE_SERVE, -1).code;
    (void)close(line[0]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    const int code = start->result.code;
    (void)close(line[1]);
    free(start);
    return code;
}

/* It would promise an enclave and be none. */
static void test_T04_a_vault_does_not_start_without_its_module(void **state)
{
    (void)state;
    nsm_close(module);
    module = NULL;
    first.nsm = NULL;
    later.nsm = NULL;
    assert_int_equal(start_with(0), ERROR_PROTOCOL);
    assert_int_equal(start_with(2), ERROR_PROTOCOL);
    *kit.mood = NSM_KIT_REFUSES;
    assert_int_equal(start_with(1), ERROR_NSM_REFUSED);
    *kit.mood = NSM_KIT_RIGHT;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(test_T04_each_purpose_has_the_vaults_own_words),
        T(test_T04_a_captured_core_gets_no_document_with_a_key_of_its_own),
        T(test_T04_a_nonce_that_is_too_long_is_refused),
        T(test_T11_the_image_vouches_for_what_its_vault_has_made),
        T(test_T11_and_for_what_it_has_opened),
        T(test_T11_a_captured_core_has_no_record_of_its_own_vouched_for),
        T(test_T11_ciphertexts_that_can_not_be_are_refused),
        T(test_T25_after_a_seal_kms_and_root_have_no_documents),
        T(test_T04_a_module_that_refuses_gives_nothing),
        T(test_outside_of_an_enclave_there_are_no_documents),
        T(test_T04_a_vault_does_not_start_without_its_module),
    };
#undef T
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
