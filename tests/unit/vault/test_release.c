/* What KMS gives to the core by way of the vault: texts, and nothing that the vault itself has KMS keep, whatever a captured core makes of it. */
#include <string.h>

#include "seal/proposal.h"
#include "support/ceremony_kit.h"
#include "support/document_kit.h"
#include "support/test.h"
#include "vault/auto_unseal.h"
#include "vault/release.h"

static struct vault vault;

static int begin(void **state)
{
    static const struct tee_root_config no_keys;
    (void)state;
    document_vault_make(&vault, ROOM_MODE_INIT, &no_keys, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    document_vault_end(&vault);
    return 0;
}

/* The error; of a text that is given, what it is. */
static uint32_t give(const struct d_open *sealed, struct d_text *ret_text)
{
    static const char none[D_TEXT_MAX];
    struct d_text text;
    memcpy(&text, document_ask(&vault, D_OPEN, sealed, sizeof *sealed), sizeof text);
    assert_int_equal(text.id, sealed->id);
    if (text.error) {
        assert_int_equal(text.len, 0);
        assert_memory_equal(text.text, none, sizeof none);
    }
    if (ret_text)
        *ret_text = text;
    return text.error;
}

static uint32_t try_plain(const void *plain, size_t len)
{
    const struct d_open sealed = document_envelope(&vault, span_of(plain, len));
    return give(&sealed, NULL);
}

/* Refused, in a vault that has refused nothing before. */
static void refused(const void *plain, size_t len)
{
    atomic_store(&vault.release_tries, 0);
    assert_int_equal(try_plain(plain, len), ERROR_KMS_ANSWER);
    assert_int_equal(atomic_load(&vault.release_tries), 1);
}

static void test_T11_a_text_is_given_whole(void **state)
{
    static const size_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 34, 100, 254, 255};
    char text[D_TEXT_MAX];
    struct d_text given;
    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(' ' + i % ('~' - ' ' + 1));
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        const struct d_open sealed = document_envelope(&vault, span_of(text, lengths[i]));
        assert_int_equal(give(&sealed, &given), 0);
        assert_int_equal(given.len, lengths[i]);
        assert_memory_equal(given.text, text, lengths[i]);
        assert_int_equal(given.text[lengths[i]], 0);
    }
    assert_int_equal(atomic_load(&vault.release_tries), 0); /* none of them counts */
}

static void test_T04_what_is_no_text_is_not_given(void **state)
{
    static const uint8_t odd[] = {0, 1, 9, 10, 13, 16, 31, 127, 128, 0xc3, 255};
    uint8_t bytes[48];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        for (size_t at = 0; at < 40; at += 13) {
            memset(bytes, 'a', sizeof bytes);
            bytes[at] = odd[i];
            refused(bytes, 40);
        }
    }
    refused(bytes, 0);
}

/* --- all that the vault has KMS keep ------------------------------------------------------------------------------------ */

static void refuses_shares(uint8_t (*shares)[SEAL_SHARE_SIZE], uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        refused(shares[i], SEAL_SHARE_SIZE);
        /* Had its secret part the form of a text, too. */
        memset(shares[i], 'A', SEAL_SHARE_SIZE - 1);
        refused(shares[i], SEAL_SHARE_SIZE);
    }
}

static void test_T04_no_share_of_the_root_is_given(void **state)
{
    const struct b_root_make numbers = {.threshold = SEAL_KMS_MAX, .count = SEAL_KMS_MAX};
    struct b_root_made made = {.id = 0};
    (void)state;
    assert_int_equal(root_make(vault.root, &numbers, &made).code, 0);
    refuses_shares(made.shares, SEAL_KMS_MAX);
}

static const struct rite_plan kms_plan = {
    .mode = SEAL_KMS, .kms_count = SEAL_KMS_MAX, .kms_threshold = 2};
static const struct rite_plan quorum_plan = {.mode = SEAL_QUORUM,
                                             .kms_count = SEAL_KMS_MAX,
                                             .kms_threshold = 2,
                                             .operator_count = 3,
                                             .operator_threshold = 2};

static void test_T04_no_share_of_a_set_is_given(void **state)
{
    static const struct rite_plan *const plans[] = {&kms_plan, &quorum_plan};
    static struct rite_parts parts;
    struct rite_chamber chamber;
    struct rite_vault rite;
    struct rite_operator operators[SEAL_OPERATORS_MAX];
    struct seal_set set;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        rite_make(&chamber, false);
        rite_start(&rite, &chamber);
        const struct seal_proposal proposal = rite_proposal(&chamber, NULL, plans[i]);
        assert_int_equal(rite_stage(&rite, &proposal, &parts, operators, &set).code, 0);
        refuses_shares(parts.kms, SEAL_KMS_MAX);
        rite_stop(&rite);
    }
}

static void test_T04_no_share_of_an_image_is_given(void **state)
{
    static struct rite_parts parts;
    struct rite_chamber chamber;
    struct rite_vault rite;
    struct rite_operator operators[SEAL_OPERATORS_MAX];
    struct seal_set set;
    struct seal_auto blob;
    uint8_t digest[32];
    uint8_t shares[SEAL_KMS_MAX][SEAL_SHARE_SIZE];
    (void)state;
    rite_make(&chamber, false);
    rite_start(&rite, &chamber);
    auto_unseal_allow(rite.sets);
    const struct seal_proposal proposal = rite_proposal(&chamber, NULL, &quorum_plan);
    assert_int_equal(rite_stage(&rite, &proposal, &parts, operators, &set).code, 0);
    rite_switch(&rite, &set);
    struct b_auto_make make = {.proposal = {.threshold = 2, .count = SEAL_KMS_MAX}};
    memcpy(make.proposal.chamber_id, chamber.stored.chamber_id, 32);
    memcpy(make.proposal.from, set.fingerprint, 32);
    memset(make.proposal.id, 9, sizeof make.proposal.id);
    memset(make.proposal.image.pcr0, 0xaa, sizeof make.proposal.image.pcr0);
    memset(make.proposal.kms_keys, 7, sizeof make.proposal.kms_keys);
    proposal_auto_digest(&make.proposal, digest);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(rite_visit(&rite, SEAL_TO_APPROVE, &operators[i], digest, NULL, NULL).code,
                         0);
    assert_int_equal(auto_unseal_make(rite.sets, &make, &blob).code, 0);
    for (uint32_t i = 0; i < SEAL_KMS_MAX; i++)
        assert_int_equal(auto_unseal_part(rite.sets, i, shares[i]).code, 0);
    refuses_shares(shares, SEAL_KMS_MAX);
    rite_stop(&rite);
}

/* --- envelopes that were changed ---------------------------------------------------------------------------------------- */

/* CBC has no MAC: blocks of a share's envelope alone, and each with another beginning. */
static void test_T18_pieces_of_a_share_are_not_given(void **state)
{
    static const struct {
        uint32_t from;
        uint32_t len;
    } pieces[] = {{0, 16}, {0, 32}, {16, 16}, {16, 32}, {32, 16}};
    uint8_t share[SEAL_SHARE_SIZE];
    (void)state;
    memset(share, 'A', sizeof share);
    share[32] = 7;
    const struct d_open whole = document_envelope(&vault, span_of(share, sizeof share));
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct d_open piece = whole;
        piece.len = pieces[i].len;
        memcpy(piece.ciphertext, whole.ciphertext + pieces[i].from, piece.len);
        if (pieces[i].from)
            memcpy(piece.iv, whole.ciphertext + pieces[i].from - sizeof piece.iv, sizeof piece.iv);
        atomic_store(&vault.release_tries, 0);
        assert_int_equal(give(&piece, NULL), ERROR_KMS_ANSWER);
    }
}

/* Whoever sends changed envelopes until one opens has few tries, and learns nothing of how they fail. */
static void test_T18_after_some_that_were_no_text_nothing_is_opened(void **state)
{
    (void)state;
    const struct d_open right = document_envelope(&vault, span_of("S3cret", 6));
    const struct d_open share = document_envelope(&vault, span_of("\1\2\3", 3));
    struct d_open unfit = right;
    assert_int_equal(give(&right, NULL), 0);
    static const uint32_t lengths[] = {0, 1, 15, 17, 272, UINT32_MAX, UINT32_MAX - 15};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        unfit.len = lengths[i];
        assert_int_equal(give(&unfit, NULL), ERROR_KMS_ANSWER);
    }
    for (unsigned i = 0; i < RELEASE_REFUSALS_MAX; i++) {
        struct d_open wrong = i % 2 ? share : right;
        ((uint8_t *)(i % 4 ? wrong.wrapped : wrong.ciphertext))[i] ^= 0x80;
        assert_int_equal(give(&wrong, NULL), ERROR_KMS_ANSWER);
        if (i + 1 < RELEASE_REFUSALS_MAX)
            assert_int_equal(give(&right, NULL), 0);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(give(&right, NULL), ERROR_LIMIT);
}

static void test_another_vaults_text_does_not_open(void **state)
{
    (void)state;
    const struct d_open old = document_envelope(&vault, span_of("S3cret", 6));
    recipient_free(vault.recipient);
    assert_int_equal(recipient_new(&vault.recipient).code, 0);
    assert_int_equal(give(&old, NULL), ERROR_KMS_ANSWER);
}

static void test_T25_after_a_seal_nothing_is_given(void **state)
{
    (void)state;
    const struct d_open right = document_envelope(&vault, span_of("S3cret", 6));
    recipient_seal(vault.recipient);
    assert_int_equal(give(&right, NULL), ERROR_SEALED);
}

static void test_outside_of_an_enclave_nothing_is_given(void **state)
{
    (void)state;
    const struct d_open right = document_envelope(&vault, span_of("S3cret", 6));
    struct recipient *recipient = vault.recipient;
    vault.recipient = NULL;
    assert_int_equal(give(&right, NULL), ERROR_SEAL_STATE);
    vault.recipient = recipient;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(test_T11_a_text_is_given_whole),
        T(test_T04_what_is_no_text_is_not_given),
        T(test_T04_no_share_of_the_root_is_given),
        T(test_T04_no_share_of_a_set_is_given),
        T(test_T04_no_share_of_an_image_is_given),
        T(test_T18_pieces_of_a_share_are_not_given),
        T(test_T18_after_some_that_were_no_text_nothing_is_opened),
        T(test_another_vaults_text_does_not_open),
        T(test_T25_after_a_seal_nothing_is_given),
        T(test_outside_of_an_enclave_nothing_is_given),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
