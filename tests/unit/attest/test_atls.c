/* Whose certificate is accepted, and what every other one is refused for. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "attest/atls.h"
#include "support/atls_kit.h"
#include "support/test.h"

static struct attest_kit kit;
static struct attest_pcrs wanted;

static int setup(void **state)
{
    (void)state;
    kit_shape(&kit);
    kit.now_ms = clock_wall_ms();
    kit_make(&kit);
    wanted = kit_claims(&kit).pcrs;
    wanted.present = 7;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_free(&kit);
    return 0;
}

static struct atls_policy right_policy(void)
{
    return (struct atls_policy){.attest = {.root_der = buf_span(&kit.der[KIT_ROOT]),
                                           .sets = &wanted,
                                           .set_count = 1,
                                           .max_age_ms = 7200000},
                                .chamber_id = atls_chamber,
                                .config_digest = atls_config};
}

struct attempt {
    struct atls_policy policy;
    struct kit_claims claims;
    struct atls_shape shape;
    EVP_PKEY *key;
    EVP_PKEY *about; /* of whom the document tells; NULL: of the key */
    struct atls_peer peer;
};

static struct attempt right_attempt(void)
{
    return (struct attempt){
        .policy = right_policy(), .claims = kit_claims(&kit), .key = atls_key("P-256")};
}

static cc_err try(struct attempt *attempt)
{
    struct buf document = {0};
    struct buf der = {0};
    atls_document(&kit, attempt->about ? attempt->about : attempt->key, &attempt->claims,
                  &document);
    X509 *leaf = atls_leaf(attempt->key, buf_span(&document), kit.now_ms, &attempt->shape);
    atls_der(leaf, &der);
    cc_err err = atls_check_leaf(buf_span(&der), &attempt->policy, &attempt->peer);
    X509_free(leaf);
    EVP_PKEY_free(attempt->key);
    buf_release(&document);
    buf_release(&der);
    return err;
}

static void expect(struct attempt *attempt, enum error_code code)
{
    cc_err err = try(attempt);
    if (err.code != (int)code)
        print_message("%s: %s\n", error_name(err), error_detail());
    assert_int_equal(err.code, code);
}

static void test_the_right_one_is_accepted(void **state)
{
    (void)state;
    struct attempt a = right_attempt();
    uint8_t digest[ATTEST_SPKI_DIGEST_SIZE];
    atls_digest(a.key, digest);
    expect(&a, ERROR_NONE);
    assert_memory_equal(a.peer.binding.spki_digest, digest, sizeof digest);
    assert_memory_equal(a.peer.binding.chamber_id, atls_chamber, 32);
    assert_memory_equal(a.peer.binding.config_digest, atls_config, 32);
    assert_true(a.peer.pcrs_known);
    assert_int_equal(a.peer.timestamp_ms, kit.now_ms);
    /* The leaf's end comes before the document's two hours are over. */
    assert_true(a.peer.until_ms <= kit.now_ms + 6900000 && a.peer.until_ms > kit.now_ms + 6890000);
}

static void test_the_end_is_the_earliest_of_all(void **state)
{
    (void)state;
    struct attempt a = right_attempt();
    a.policy.attest.max_age_ms = 600000;
    expect(&a, ERROR_NONE);
    assert_int_equal(a.peer.until_ms, kit.now_ms + 600000);
}

/* Soon the machine's certificate ends, say, though the module has just renewed its own. */
static void test_T32_no_certificate_of_the_chain_outlives_itself(void **state)
{
    (void)state;
    const struct attest_kit right = kit;
    for (int i = 0; i < KIT_CERTIFICATES; i++) {
        kit_shape(&kit);
        kit.now_ms = clock_wall_ms();
        kit.shape[i].to_s = 600;
        kit_make(&kit);
        struct attempt a = right_attempt();
        expect(&a, ERROR_NONE);
        assert_in_range(a.peer.until_ms, kit.now_ms + 599000, kit.now_ms + 602000);
        kit_free(&kit);
    }
    kit = right;
}

static void test_T32_another_image_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct attempt a = right_attempt();
        a.claims.pcrs.value[i][47] ^= 1;
        expect(&a, ERROR_ATTEST_PCRS);
        assert_true(a.peer.pcrs_known);
        assert_int_equal(a.peer.until_ms, 0);
    }
}

static void test_T32_a_policy_of_nothing_refuses_all(void **state)
{
    (void)state;
    struct attempt a = right_attempt();
    a.policy.attest.set_count = 0;
    expect(&a, ERROR_ATTEST_PCRS);
}

static void test_T32_debug_mode_is_refused(void **state)
{
    (void)state;
    struct attempt a = right_attempt();
    for (int i = 0; i < 3; i++)
        memset(a.claims.pcrs.value[i], 0, ATTEST_PCR_SIZE);
    expect(&a, ERROR_ATTEST_DEBUG);
}

static void test_T32_another_chamber_or_configuration_is_refused(void **state)
{
    (void)state;
    static const uint8_t other[32] = {1};
    struct attempt a = right_attempt();
    a.policy.chamber_id = other;
    expect(&a, ERROR_ATTEST_BINDING);
    a = right_attempt();
    a.policy.config_digest = other;
    expect(&a, ERROR_ATTEST_BINDING);
    a = right_attempt();
    a.policy.chamber_id = a.policy.config_digest = NULL;
    expect(&a, ERROR_NONE);
}

/* The relay: somebody shows a genuine document in a certificate of his own key. */
static void test_T32_a_document_of_another_key_is_refused(void **state)
{
    (void)state;
    EVP_PKEY *genuine = atls_key("P-256");
    struct attempt a = right_attempt();
    a.about = genuine;
    expect(&a, ERROR_ATTEST_BINDING);
    EVP_PKEY_free(genuine);
}

static void test_T32_documents_for_other_purposes_are_refused(void **state)
{
    (void)state;
    static const char *const others[] = {"containment-chamber/kms/v1",
                                         "containment-chamber/clock/v1"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        uint8_t user_data[160] = {0};
        struct attempt a = right_attempt();
        memcpy(user_data, others[i], strlen(others[i]));
        const size_t len = strlen(others[i]) + 1 + (i == 0 ? 64 : 0);
        a.claims.user_data = span_of(user_data, len);
        expect(&a, ERROR_ATTEST_BINDING);
    }
    struct attempt a = right_attempt();
    uint8_t user_data[ATTEST_BINDING_MAX];
    struct attest_binding binding = {.purpose = ATTEST_FOR_TLS};
    atls_digest(a.key, binding.spki_digest);
    memcpy(binding.chamber_id, atls_chamber, 32);
    memcpy(binding.config_digest, atls_config, 32);
    a.claims.user_data = span_of(user_data, attest_binding_encode(&binding, user_data));
    a.claims.public_key = span_of("a public key", 12);
    expect(&a, ERROR_ATTEST_BINDING);
}

static void test_T32_documents_out_of_time_are_refused(void **state)
{
    (void)state;
    struct attempt a = right_attempt();
    a.policy.attest.max_age_ms = 60000;
    a.claims.timestamp_ms = kit.now_ms - 70000;
    expect(&a, ERROR_ATTEST_TIME);
    a = right_attempt();
    a.claims.timestamp_ms = kit.now_ms + 600000; /* from a future that no leeway reaches */
    expect(&a, ERROR_ATTEST_TIME);
}

static void test_T32_certificates_out_of_time_are_refused(void **state)
{
    (void)state;
    struct attempt a = right_attempt();
    a.shape.from_s = a.shape.to_s = -7000;
    expect(&a, ERROR_ATTEST_LEAF);
    assert_string_equal(error_detail(), "the certificate has expired");
    a = right_attempt();
    a.shape.from_s = a.shape.to_s = 1200;
    expect(&a, ERROR_ATTEST_LEAF);
    assert_string_equal(error_detail(), "the certificate is not valid yet");
    a = right_attempt();
    a.shape.to_s = 60;
    expect(&a, ERROR_ATTEST_LEAF);
    assert_string_equal(error_detail(), "the certificate is valid for longer than two hours");
    a = right_attempt();
    a.shape.from_s = 7200;
    a.shape.to_s = -1;
    expect(&a, ERROR_ATTEST_LEAF);
}

static void test_T32_another_root_is_refused(void **state)
{
    (void)state;
    struct attest_kit other;
    kit_shape(&other);
    other.now_ms = kit.now_ms;
    kit_make(&other);
    struct attempt a = right_attempt();
    a.policy.attest.root_der = buf_span(&other.der[KIT_ROOT]);
    expect(&a, ERROR_ATTEST_CHAIN);
    a = right_attempt();
    a.policy.attest.root_der = span_of(NULL, 0); /* that of AWS */
    expect(&a, ERROR_ATTEST_CHAIN);
    kit_free(&other);
}

/* What a caller left in its policy for something else does not count here. */
static void test_the_policys_own_time_and_nonce_do_not_count(void **state)
{
    (void)state;
    struct attempt a = right_attempt();
    a.policy.attest.nonce = span_of("a nonce that nobody gave", 24);
    a.policy.attest.now_ms = 1;
    expect(&a, ERROR_NONE);
}

/* --- liveness ---------------------------------------------------------------------------------------------------- */

struct live {
    struct attempt attempt;
    struct attest_binding binding;
    uint8_t user_data[ATTEST_BINDING_MAX];
    uint8_t nonce[ATLS_NONCE_SIZE];
};

/* A connection that has been opened, and a claim that answers its nonce. */
static void live_begin(struct live *live)
{
    *live = (struct live){.attempt = right_attempt()};
    expect(&live->attempt, ERROR_NONE);
    memset(live->nonce, 7, sizeof live->nonce);
    live->binding = live->attempt.peer.binding;
    live->attempt.claims.nonce = span_of(live->nonce, sizeof live->nonce);
}

static cc_err live_try(struct live *live)
{
    struct buf document = {0};
    live->attempt.claims.user_data =
        span_of(live->user_data, attest_binding_encode(&live->binding, live->user_data));
    kit_document(&kit, &live->attempt.claims, &document);
    cc_err err = atls_check_live(buf_span(&document), &live->attempt.policy, &live->attempt.peer,
                                 live->nonce);
    buf_release(&document);
    return err;
}

static void test_T32_a_live_document_has_the_nonce_and_the_key(void **state)
{
    (void)state;
    struct live live;
    uint8_t other[ATLS_NONCE_SIZE] = {1};
    live_begin(&live);
    assert_int_equal(live_try(&live).code, 0);
    live.attempt.claims.nonce = span_of(other, sizeof other);
    assert_int_equal(live_try(&live).code, ERROR_ATTEST_NONCE);
    live.attempt.claims.nonce = span_of(NULL, 0);
    assert_int_equal(live_try(&live).code, ERROR_ATTEST_NONCE);
    live.attempt.claims.nonce = span_of(live.nonce, sizeof live.nonce - 1);
    assert_int_equal(live_try(&live).code, ERROR_ATTEST_NONCE);
}

static void test_T32_a_live_document_is_of_the_same_enclave(void **state)
{
    (void)state;
    struct live live;
    live_begin(&live);
    /* Any chamber was allowed, and then it must stay the one that it was. */
    live.attempt.policy.chamber_id = live.attempt.policy.config_digest = NULL;
    assert_int_equal(live_try(&live).code, 0);
    live.binding.chamber_id[0] ^= 1;
    assert_int_equal(live_try(&live).code, ERROR_ATTEST_BINDING);
    live.binding = live.attempt.peer.binding;
    live.binding.config_digest[0] ^= 1;
    assert_int_equal(live_try(&live).code, ERROR_ATTEST_BINDING);
    live.binding = live.attempt.peer.binding;
    live.binding.spki_digest[0] ^= 1;
    assert_int_equal(live_try(&live).code, ERROR_ATTEST_BINDING);
    live.binding = live.attempt.peer.binding;
    live.attempt.claims.pcrs.value[0][0] ^= 1;
    assert_int_equal(live_try(&live).code, ERROR_ATTEST_PCRS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_right_one_is_accepted),
        cmocka_unit_test(test_the_end_is_the_earliest_of_all),
        cmocka_unit_test(test_T32_no_certificate_of_the_chain_outlives_itself),
        cmocka_unit_test(test_T32_another_image_is_refused),
        cmocka_unit_test(test_T32_a_policy_of_nothing_refuses_all),
        cmocka_unit_test(test_T32_debug_mode_is_refused),
        cmocka_unit_test(test_T32_another_chamber_or_configuration_is_refused),
        cmocka_unit_test(test_T32_a_document_of_another_key_is_refused),
        cmocka_unit_test(test_T32_documents_for_other_purposes_are_refused),
        cmocka_unit_test(test_T32_documents_out_of_time_are_refused),
        cmocka_unit_test(test_T32_certificates_out_of_time_are_refused),
        cmocka_unit_test(test_T32_another_root_is_refused),
        cmocka_unit_test(test_the_policys_own_time_and_nonce_do_not_count),
        cmocka_unit_test(test_T32_a_live_document_has_the_nonce_and_the_key),
        cmocka_unit_test(test_T32_a_live_document_is_of_the_same_enclave),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
