/* Documents of real enclaves, and an authority of the same shape that does one thing wrong at a time. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "attest/verify.h"
#include "codec/hex.h"
#include "support/attest_kit.h"
#include "support/child.h"
#include "support/test.h"
#include "support/vectors.h"

static struct attest_kit kit;

static int make(void **state)
{
    (void)state;
    kit_shape(&kit);
    kit_make(&kit);
    return 0;
}

static int release(void **state)
{
    (void)state;
    kit_free(&kit);
    return 0;
}

/* What accepts the kit's documents as they are. */
static struct attest_policy kind_policy(const struct attest_kit *of)
{
    return (struct attest_policy){
        .root_der = buf_span(&of->der[KIT_ROOT]), .now_ms = of->now_ms, .any_pcrs = true};
}

static const struct {
    const char *path;
    bool debug;
} real[] = {
    {"nitro/evervault-ga.bin", true},
    {"nitro/evervault-debug-mode.bin", true},
    {"nitro/qos.bin", false},
};

static void test_T32_real_documents_hold_at_their_own_time(void **state)
{
    (void)state;
    if (!vectors_present("nitro", "real attestation documents"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(real); i++) {
        size_t len;
        char *bytes = vectors_read(real[i].path, &len);
        struct attest_policy policy = {.any_pcrs = true, .allow_zero_pcrs = real[i].debug};
        struct attest_document document;
        cc_err err = attest_verify(span_of(bytes, len), &policy, &document);
        if (err.code)
            print_message("%s: %s: %s\n", real[i].path, error_name(err), error_detail());
        assert_int_equal(err.code, 0);
        assert_int_equal(document.bundle_count, 4);
        assert_int_equal(document.pcrs.present, 0xffff);
        assert_int_equal(attest_pcr_set(&document.pcrs, 0), !real[i].debug);
        /* Not now: they lived for three hours. */
        policy.now_ms = clock_wall_ms();
        assert_int_equal(attest_verify(span_of(bytes, len), &policy, &document).code,
                         ERROR_ATTEST_TIME);
        /* And an hour before it was made nobody had it. */
        policy.now_ms = document.timestamp_ms - 3600000;
        assert_int_equal(attest_verify(span_of(bytes, len), &policy, &document).code,
                         ERROR_ATTEST_TIME);
        free(bytes);
    }
}

static void test_T32_a_real_document_of_debug_mode_is_refused(void **state)
{
    (void)state;
    if (!vectors_present("nitro", "real attestation documents"))
        return;
    size_t len;
    char *bytes = vectors_read("nitro/evervault-debug-mode.bin", &len);
    struct attest_policy policy = {.any_pcrs = true};
    struct attest_document document;
    assert_int_equal(attest_verify(span_of(bytes, len), &policy, &document).code,
                     ERROR_ATTEST_DEBUG);
    /* Not even where the policy names zeros. */
    struct attest_pcrs zeros = {.present = 1};
    policy = (struct attest_policy){.sets = &zeros, .set_count = 1};
    assert_int_equal(attest_verify(span_of(bytes, len), &policy, &document).code,
                     ERROR_ATTEST_DEBUG);
    free(bytes);
}

/* One changed bit in each byte; every bit under CC_FULL. */
static void test_T32_no_byte_of_a_document_can_be_changed(void **state)
{
    (void)state;
    if (!vectors_present("nitro", "real attestation documents"))
        return;
    unsigned bits = getenv("CC_FULL") ? 8 : 1;
    size_t step = child_sanitized("most of the changed bytes") ? 16 : 1;
    unsigned long tried = 0;
    for (size_t i = 0; i < ARRAY_LEN(real); i++) {
        size_t len;
        char *bytes = vectors_read(real[i].path, &len);
        const struct attest_policy policy = {.any_pcrs = true, .allow_zero_pcrs = true};
        struct attest_document document;
        assert_int_equal(attest_verify(span_of(bytes, len), &policy, &document).code, 0);
        for (size_t at = 0; at < len; at += step) {
            for (unsigned bit = 0; bit < bits; bit++) {
                char mask = (char)(1 << ((at + bit) % 8));
                bytes[at] ^= mask;
                if (!attest_verify(span_of(bytes, len), &policy, &document).code)
                    fail_msg("%s holds with byte %zu changed", real[i].path, at);
                bytes[at] ^= mask;
                tried++;
            }
        }
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(attest_verify(span_of(bytes, cut), &policy, &document).code,
                             ERROR_ATTEST_FORMAT);
        free(bytes);
    }
    print_message("%lu changed documents\n", tried);
}

static void expect(const struct attest_kit *of,
                   const struct kit_claims *claims,
                   const struct attest_policy *policy,
                   enum error_code code)
{
    struct buf bytes = {0};
    struct attest_document document;
    kit_document(of, claims, &bytes);
    cc_err err = attest_verify(buf_span(&bytes), policy, &document);
    if (err.code != (int)code)
        print_message("%s: %s\n", error_name(err), error_detail());
    assert_int_equal(err.code, code);
    buf_release(&bytes);
}

static void test_a_document_of_an_authority_of_that_shape_holds(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    struct attest_policy policy = kind_policy(&kit);
    expect(&kit, &claims, &policy, ERROR_NONE);
    policy.now_ms = 0;
    expect(&kit, &claims, &policy, ERROR_NONE);
}

static void test_T32_only_the_pinned_root_is_trusted(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    struct attest_policy policy = kind_policy(&kit);
    policy.root_der = span_of(NULL, 0); /* AWS's */
    expect(&kit, &claims, &policy, ERROR_ATTEST_CHAIN);
    struct attest_kit other;
    kit_shape(&other);
    kit_make(&other);
    policy.root_der = buf_span(&other.der[KIT_ROOT]);
    expect(&kit, &claims, &policy, ERROR_ATTEST_CHAIN);
    /* A chain that begins at the trusted root and goes on from another one of the same names. */
    const struct span joined[] = {buf_span(&other.der[KIT_ROOT]), buf_span(&kit.der[KIT_REGION]),
                                  buf_span(&kit.der[KIT_ZONE]), buf_span(&kit.der[KIT_INSTANCE])};
    claims.bundle = joined;
    claims.bundle_count = 4;
    expect(&kit, &claims, &policy, ERROR_ATTEST_CHAIN);
    kit_free(&other);
}

/* Each row is one fault in one certificate. */
static void test_T32_chains_that_are_not_of_the_shape_are_refused(void **state)
{
    (void)state;
    enum {
        HOUR_S = 3600
    };
    struct fault {
        int which;
        struct kit_certificate change; /* what is not NULL or zero */
        enum error_code code;
    };
    static const struct fault faults[] = {
        {KIT_REGION, {.curve = "P-256"}, ERROR_ATTEST_CHAIN},
        {KIT_LEAF, {.curve = "P-256"}, ERROR_ATTEST_CHAIN},
        {KIT_ROOT, {.curve = "P-521"}, ERROR_ATTEST_CHAIN},
        {KIT_ROOT, {.digest = "SHA256"}, ERROR_ATTEST_CHAIN},
        {KIT_INSTANCE, {.digest = "SHA256"}, ERROR_ATTEST_CHAIN},
        {KIT_LEAF, {.digest = "SHA512"}, ERROR_ATTEST_CHAIN},
        {KIT_INSTANCE, {.constraints = "critical,CA:FALSE"}, ERROR_ATTEST_CHAIN},
        {KIT_INSTANCE, {.constraints = ""}, ERROR_ATTEST_CHAIN},
        {KIT_REGION, {.constraints = "critical,CA:TRUE,pathlen:1"}, ERROR_ATTEST_CHAIN},
        {KIT_ZONE, {.usage = "critical,digitalSignature,cRLSign"}, ERROR_ATTEST_CHAIN},
        {KIT_ROOT, {.usage = "critical,digitalSignature"}, ERROR_ATTEST_CHAIN},
        {KIT_ZONE, {.usage = ""}, ERROR_ATTEST_CHAIN},
        {KIT_LEAF, {.constraints = "critical,CA:TRUE"}, ERROR_ATTEST_CHAIN},
        {KIT_LEAF, {.usage = "nonRepudiation"}, ERROR_ATTEST_CHAIN},
        {KIT_LEAF, {.usage = ""}, ERROR_ATTEST_CHAIN},
        {KIT_LEAF, {.strange = "1.2.3.4"}, ERROR_ATTEST_CHAIN},
        {KIT_ZONE, {.strange = "1.2.3.4"}, ERROR_ATTEST_CHAIN},
        {KIT_ROOT, {.to_s = -1}, ERROR_ATTEST_TIME},
        {KIT_REGION, {.to_s = -1}, ERROR_ATTEST_TIME},
        {KIT_INSTANCE, {.to_s = -1}, ERROR_ATTEST_TIME},
        {KIT_LEAF, {.from_s = -HOUR_S, .to_s = -1}, ERROR_ATTEST_TIME},
        {KIT_LEAF, {.from_s = 1}, ERROR_ATTEST_TIME},
        {KIT_ZONE, {.from_s = 1}, ERROR_ATTEST_TIME},
    };
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct attest_kit bad;
        kit_shape(&bad);
        struct kit_certificate *at = &bad.shape[faults[i].which];
        const struct kit_certificate *change = &faults[i].change;
        at->curve = change->curve ? change->curve : at->curve;
        at->digest = change->digest ? change->digest : at->digest;
        if (change->constraints)
            at->constraints = *change->constraints ? change->constraints : NULL;
        if (change->usage)
            at->usage = *change->usage ? change->usage : NULL;
        at->strange = change->strange;
        at->from_s = change->from_s ? change->from_s : at->from_s;
        at->to_s = change->to_s ? change->to_s : at->to_s;
        kit_make(&bad);
        struct kit_claims claims = kit_claims(&bad);
        struct attest_policy policy = kind_policy(&bad);
        print_message("fault %zu\n", i);
        expect(&bad, &claims, &policy, faults[i].code);
        kit_free(&bad);
    }
}

static void test_T32_chains_in_another_order_or_with_more_are_refused(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    struct attest_policy policy = kind_policy(&kit);
    struct span c[KIT_CERTIFICATES];
    for (int i = 0; i < KIT_CERTIFICATES; i++)
        c[i] = buf_span(&kit.der[i]);
    const struct span bundles[][4] = {
        {c[KIT_ROOT], c[KIT_ZONE], c[KIT_REGION], c[KIT_INSTANCE]},
        {c[KIT_INSTANCE], c[KIT_ZONE], c[KIT_REGION], c[KIT_ROOT]},
        {c[KIT_ROOT], c[KIT_REGION], c[KIT_ZONE], c[KIT_ZONE]},
        {c[KIT_ROOT], c[KIT_REGION], c[KIT_REGION], c[KIT_INSTANCE]},
        {c[KIT_ROOT], c[KIT_REGION], c[KIT_ZONE], span_of("\x30\x00", 2)},
    };
    for (size_t i = 0; i < ARRAY_LEN(bundles); i++) {
        claims.bundle = bundles[i];
        claims.bundle_count = 4;
        expect(&kit, &claims, &policy, ERROR_ATTEST_CHAIN);
    }
    claims.bundle = c; /* without the instance's */
    claims.bundle_count = 3;
    expect(&kit, &claims, &policy, ERROR_ATTEST_CHAIN);
    claims.bundle_count = 1;
    expect(&kit, &claims, &policy, ERROR_ATTEST_CHAIN);
    /* One byte after a certificate's end. */
    struct buf longer = buf_init(4096);
    assert_int_equal(buf_append(&longer, c[KIT_INSTANCE].data, c[KIT_INSTANCE].len).code, 0);
    assert_int_equal(buf_append(&longer, "", 1).code, 0);
    const struct span trailing[] = {c[KIT_ROOT], c[KIT_REGION], c[KIT_ZONE], buf_span(&longer)};
    claims.bundle = trailing;
    claims.bundle_count = 4;
    expect(&kit, &claims, &policy, ERROR_ATTEST_CHAIN);
    buf_release(&longer);
}

/* An instance that plays the authority of another enclave, and a certificate of version 1. */
static void test_T32_a_certificate_of_a_key_issues_none(void **state)
{
    (void)state;
    struct attest_kit bad;
    kit_shape(&bad);
    bad.shape[KIT_INSTANCE].version = 0;
    bad.shape[KIT_INSTANCE].constraints = bad.shape[KIT_INSTANCE].usage = NULL;
    kit_make(&bad);
    struct kit_claims claims = kit_claims(&bad);
    struct attest_policy policy = kind_policy(&bad);
    expect(&bad, &claims, &policy, ERROR_ATTEST_CHAIN);
    kit_free(&bad);
    kit_shape(&bad);
    bad.shape[KIT_LEAF].signer = KIT_ZONE; /* the right name, another one's signature */
    kit_make(&bad);
    policy = kind_policy(&bad);
    expect(&bad, &claims, &policy, ERROR_ATTEST_CHAIN);
    kit_free(&bad);
}

static void test_T32_another_signature_does_not_hold(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    struct attest_policy policy = kind_policy(&kit);
    struct buf payload = {0};
    struct buf bytes = {0};
    struct attest_document document;
    kit_payload(&kit, &claims, &payload);
    /* Signed by the instance's key instead of the document's. */
    struct attest_kit swapped = kit;
    swapped.key[KIT_LEAF] = kit.key[KIT_INSTANCE];
    kit_document_sign(&swapped, buf_span(&payload), &bytes);
    assert_int_equal(attest_verify(buf_span(&bytes), &policy, &document).code,
                     ERROR_ATTEST_SIGNATURE);
    /* Zeros: the signature of QEMU's module. */
    memset(bytes.data + bytes.len - ATTEST_SIGNATURE_SIZE, 0, ATTEST_SIGNATURE_SIZE);
    assert_int_equal(attest_verify(buf_span(&bytes), &policy, &document).code,
                     ERROR_ATTEST_SIGNATURE);
    memset(bytes.data + bytes.len - ATTEST_SIGNATURE_SIZE, 0xff, ATTEST_SIGNATURE_SIZE);
    assert_int_equal(attest_verify(buf_span(&bytes), &policy, &document).code,
                     ERROR_ATTEST_SIGNATURE);
    buf_release(&payload);
    buf_release(&bytes);
}

static void test_T32_age_and_clock_are_held_to_the_policy(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    struct attest_policy policy = kind_policy(&kit);
    policy.max_age_ms = 1000;
    policy.now_ms = kit.now_ms + 1000;
    expect(&kit, &claims, &policy, ERROR_NONE);
    policy.now_ms++;
    expect(&kit, &claims, &policy, ERROR_ATTEST_TIME);
    policy.max_age_ms = 0;
    expect(&kit, &claims, &policy, ERROR_NONE);
    /* Our clock is behind. */
    policy.now_ms = kit.now_ms - 2000;
    policy.leeway_ms = 1999;
    expect(&kit, &claims, &policy, ERROR_ATTEST_TIME);
    policy.leeway_ms = 2000;
    expect(&kit, &claims, &policy, ERROR_NONE);
    /* There is no leeway at the end. */
    policy.now_ms = kit.now_ms + (uint64_t)3 * 3600 * 1000 + 1000;
    policy.leeway_ms = 300000;
    expect(&kit, &claims, &policy, ERROR_ATTEST_TIME);
    /* A document whose time is not its certificate's. */
    policy.now_ms = kit.now_ms + 1000;
    policy.leeway_ms = 0;
    claims.timestamp_ms = kit.now_ms - 1000;
    expect(&kit, &claims, &policy, ERROR_ATTEST_TIME);
    claims.timestamp_ms = UINT64_MAX;
    expect(&kit, &claims, &policy, ERROR_ATTEST_TIME);
}

static void test_T32_only_images_that_are_allowed(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    struct attest_policy policy = kind_policy(&kit);
    struct attest_pcrs sets[2] = {{.present = 1}, {.present = 1}};
    policy.any_pcrs = false;
    expect(&kit, &claims, &policy, ERROR_ATTEST_PCRS); /* a policy that forgets them */
    policy.sets = sets;
    policy.set_count = 2;
    memset(sets[0].value[0], 1, ATTEST_PCR_SIZE);
    memcpy(sets[1].value[0], claims.pcrs.value[0], ATTEST_PCR_SIZE);
    expect(&kit, &claims, &policy, ERROR_NONE);
    policy.set_count = 1;
    expect(&kit, &claims, &policy, ERROR_ATTEST_PCRS);
    sets[0] = sets[1];
    sets[0].present |= 1 << 8; /* and an unsigned image, which PCR8 shows by zeros */
    expect(&kit, &claims, &policy, ERROR_NONE);
    sets[0].value[8][47] = 1;
    expect(&kit, &claims, &policy, ERROR_ATTEST_PCRS);
    sets[0] = sets[1];
    sets[0].value[0][47] ^= 1;
    expect(&kit, &claims, &policy, ERROR_ATTEST_PCRS);
    sets[0] = sets[1];
    sets[0].present |= 1 << 16; /* a register that the document has not */
    expect(&kit, &claims, &policy, ERROR_ATTEST_PCRS);
    sets[0] = (struct attest_pcrs){.present = 0}; /* a set of nothing holds for nothing */
    expect(&kit, &claims, &policy, ERROR_ATTEST_PCRS);
    policy.any_pcrs = true; /* does not undo sets */
    expect(&kit, &claims, &policy, ERROR_ATTEST_PCRS);
}

static void test_T32_zero_and_missing_registers(void **state)
{
    (void)state;
    struct attest_policy policy = kind_policy(&kit);
    for (int i = 0; i < 3; i++) {
        struct kit_claims claims = kit_claims(&kit);
        memset(claims.pcrs.value[i], 0, ATTEST_PCR_SIZE);
        policy.allow_zero_pcrs = false;
        expect(&kit, &claims, &policy, ERROR_ATTEST_DEBUG);
        policy.allow_zero_pcrs = true;
        expect(&kit, &claims, &policy, ERROR_NONE);
        claims.pcrs.present &= ~((uint32_t)1 << i);
        expect(&kit, &claims, &policy, ERROR_ATTEST_PCRS);
    }
}

static void test_T32_nonce_user_data_and_public_key(void **state)
{
    (void)state;
    struct kit_claims claims = kit_claims(&kit);
    struct attest_policy policy = kind_policy(&kit);
    policy.nonce = span_of("nonce", 5);
    expect(&kit, &claims, &policy, ERROR_ATTEST_NONCE);
    claims.nonce = span_of("noncf", 5);
    expect(&kit, &claims, &policy, ERROR_ATTEST_NONCE);
    claims.nonce = span_of("nonce ", 6);
    expect(&kit, &claims, &policy, ERROR_ATTEST_NONCE);
    claims.nonce = policy.nonce;
    expect(&kit, &claims, &policy, ERROR_NONE);
    policy.user_data = span_of("for", 3);
    expect(&kit, &claims, &policy, ERROR_ATTEST_BINDING);
    claims.user_data = span_of("fo", 2);
    expect(&kit, &claims, &policy, ERROR_ATTEST_BINDING);
    claims.user_data = policy.user_data;
    expect(&kit, &claims, &policy, ERROR_NONE);
    policy.public_key = span_of("key", 3);
    expect(&kit, &claims, &policy, ERROR_ATTEST_BINDING);
    claims.public_key = span_of("kez", 3);
    expect(&kit, &claims, &policy, ERROR_ATTEST_BINDING);
    claims.public_key = policy.public_key;
    expect(&kit, &claims, &policy, ERROR_NONE);
}

static void test_registers_as_text(void **state)
{
    (void)state;
    struct attest_pcrs set = {.present = 0};
    char text[3 + 2 * ATTEST_PCR_SIZE + 3] = "31=";
    memset(text + 3, 'A', (size_t)2 * ATTEST_PCR_SIZE);
    assert_int_equal(attest_pcrs_add(&set, span_str(text)).code, 0);
    assert_int_equal(set.present, 0x80000000);
    assert_int_equal(set.value[31][47], 0xaa);
    assert_int_equal(attest_pcrs_add(&set, span_str(text)).code, ERROR_EXISTS);
    text[1] = '2';
    assert_int_equal(attest_pcrs_add(&set, span_str(text)).code, ERROR_NUMBER_RANGE);
    text[0] = '2';
    text[5] = 'g';
    assert_int_equal(attest_pcrs_add(&set, span_str(text)).code, ERROR_HEX_SYNTAX);
    text[5] = 'a';
    text[strlen(text) - 2] = '\0';
    assert_int_equal(attest_pcrs_add(&set, span_str(text)).code, ERROR_HEX_LENGTH);
    static const char *const wrong[] = {"", "=", "0", "x=00", "-1=00", "0:00"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_not_equal(attest_pcrs_add(&set, span_str(wrong[i])).code, 0);
    assert_int_equal(set.present, 0x80000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T32_real_documents_hold_at_their_own_time),
        cmocka_unit_test(test_T32_a_real_document_of_debug_mode_is_refused),
        cmocka_unit_test(test_T32_no_byte_of_a_document_can_be_changed),
        cmocka_unit_test(test_a_document_of_an_authority_of_that_shape_holds),
        cmocka_unit_test(test_T32_only_the_pinned_root_is_trusted),
        cmocka_unit_test(test_T32_chains_that_are_not_of_the_shape_are_refused),
        cmocka_unit_test(test_T32_chains_in_another_order_or_with_more_are_refused),
        cmocka_unit_test(test_T32_a_certificate_of_a_key_issues_none),
        cmocka_unit_test(test_T32_another_signature_does_not_hold),
        cmocka_unit_test(test_T32_age_and_clock_are_held_to_the_policy),
        cmocka_unit_test(test_T32_only_images_that_are_allowed),
        cmocka_unit_test(test_T32_zero_and_missing_registers),
        cmocka_unit_test(test_T32_nonce_user_data_and_public_key),
        cmocka_unit_test(test_registers_as_text),
    };
    return cmocka_run_group_tests(tests, make, release);
}
