/* Chains as such; what attestation makes of them is in attest/test_verify.c. */
#include <string.h>

#include "crypto/certificate.h"
#include "crypto/sha384.h"
#include "support/attest_kit.h"
#include "support/test.h"

static struct attest_kit kit;
static struct span chain[CERTIFICATE_CHAIN_MAX + 1];
static struct certificate_time now;

static int make(void **state)
{
    (void)state;
    kit_shape(&kit);
    kit_make(&kit);
    for (int i = 0; i < KIT_CERTIFICATES; i++)
        chain[i] = buf_span(&kit.der[i]);
    now = (struct certificate_time){kit.now_ms, 0};
    return 0;
}

static int release(void **state)
{
    (void)state;
    kit_free(&kit);
    return 0;
}

static void test_chains_that_are_too_short_or_too_long(void **state)
{
    (void)state;
    assert_int_equal(certificate_chain_check(chain, KIT_CERTIFICATES, &now, 1).code, 0);
    assert_int_equal(certificate_chain_check(chain, 0, &now, 1).code, ERROR_ATTEST_CHAIN);
    /* The root by itself, and an authority in the last place. */
    assert_int_equal(certificate_chain_check(chain, 1, &now, 1).code, ERROR_ATTEST_CHAIN);
    assert_int_equal(certificate_chain_check(chain, KIT_CERTIFICATES - 1, &now, 1).code,
                     ERROR_ATTEST_CHAIN);
    /* A certificate of a key, trusted as its own root. */
    assert_int_equal(certificate_chain_check(chain + KIT_LEAF, 1, &now, 1).code,
                     ERROR_ATTEST_CHAIN);
    const struct span leaf_twice[] = {chain[KIT_LEAF], chain[KIT_LEAF]};
    assert_int_equal(certificate_chain_check(leaf_twice, 2, &now, 1).code, ERROR_ATTEST_CHAIN);
    /* What is trusted has to be a root: the instance's own certificate is none. */
    assert_int_equal(certificate_chain_check(chain + KIT_INSTANCE, 2, &now, 1).code,
                     ERROR_ATTEST_CHAIN);
    for (int i = KIT_CERTIFICATES; i <= CERTIFICATE_CHAIN_MAX; i++)
        chain[i] = chain[KIT_LEAF];
    assert_int_equal(certificate_chain_check(chain, CERTIFICATE_CHAIN_MAX + 1, &now, 1).code,
                     ERROR_ATTEST_CHAIN);
    const struct span empty[] = {{NULL, 0}, {NULL, 0}};
    assert_int_equal(certificate_chain_check(empty, 2, &now, 1).code, ERROR_ATTEST_CHAIN);
}

static void test_times_at_their_edges(void **state)
{
    (void)state;
    const uint64_t end_ms = kit.now_ms + (uint64_t)3 * 3600 * 1000;
    const struct {
        struct certificate_time when;
        enum error_code code;
    } rows[] = {
        {{end_ms + 999, 0}, ERROR_NONE}, /* the last second belongs to it */
        {{end_ms + 1000, 0}, ERROR_ATTEST_TIME},
        {{end_ms + 1000, UINT32_MAX}, ERROR_ATTEST_TIME},
        {{kit.now_ms - 1, 0}, ERROR_ATTEST_TIME},
        {{kit.now_ms - 1000, 1000}, ERROR_NONE},
        {{0, 0}, ERROR_ATTEST_TIME},
        {{UINT64_MAX, 0}, ERROR_ATTEST_TIME},
        {{UINT64_MAX, UINT32_MAX}, ERROR_ATTEST_TIME},
        {{(uint64_t)INT64_MAX, 1}, ERROR_ATTEST_TIME},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct certificate_time both[] = {now, rows[i].when};
        assert_int_equal(certificate_chain_check(chain, KIT_CERTIFICATES, &rows[i].when, 1).code,
                         rows[i].code);
        assert_int_equal(certificate_chain_check(chain, KIT_CERTIFICATES, both, 2).code,
                         rows[i].code); /* each of them counts */
    }
}

static void test_signatures_of_what_is_no_such_key(void **state)
{
    (void)state;
    uint8_t signature[CERTIFICATE_ES384_SIZE] = {1};
    const struct span message = span_of("m", 1);
    assert_int_equal(certificate_es384_check(span_of("x", 1), &message, 1, signature).code,
                     ERROR_ATTEST_CHAIN);
    assert_int_equal(certificate_es384_check(chain[KIT_LEAF], &message, 1, signature).code,
                     ERROR_ATTEST_SIGNATURE);
    struct attest_kit other;
    kit_shape(&other);
    other.shape[KIT_LEAF].curve = "P-256";
    kit_make(&other);
    assert_int_equal(
        certificate_es384_check(buf_span(&other.der[KIT_LEAF]), &message, 1, signature).code,
        ERROR_ATTEST_CHAIN);
    kit_free(&other);
}

/* FIPS 180-4's example, in one part and in three. */
static void test_sha384(void **state)
{
    (void)state;
    static const uint8_t abc[SHA384_SIZE] = {
        0xcb, 0x00, 0x75, 0x3f, 0x45, 0xa3, 0x5e, 0x8b, 0xb5, 0xa0, 0x3d, 0x69,
        0x9a, 0xc6, 0x50, 0x07, 0x27, 0x2c, 0x32, 0xab, 0x0e, 0xde, 0xd1, 0x63,
        0x1a, 0x8b, 0x60, 0x5a, 0x43, 0xff, 0x5b, 0xed, 0x80, 0x86, 0x07, 0x2b,
        0xa1, 0xe7, 0xcc, 0x23, 0x58, 0xba, 0xec, 0xa1, 0x34, 0xc8, 0x25, 0xa7};
    const struct span parts[] = {span_of("a", 1), span_of("", 0), span_of("bc", 2)};
    const struct span whole = span_of("abc", 3);
    uint8_t digest[SHA384_SIZE];
    assert_int_equal(sha384(parts, 3, digest).code, 0);
    assert_memory_equal(digest, abc, sizeof abc);
    assert_int_equal(sha384(&whole, 1, digest).code, 0);
    assert_memory_equal(digest, abc, sizeof abc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains_that_are_too_short_or_too_long),
        cmocka_unit_test(test_times_at_their_edges),
        cmocka_unit_test(test_signatures_of_what_is_no_such_key),
        cmocka_unit_test(test_sha384),
    };
    return cmocka_run_group_tests(tests, make, release);
}
