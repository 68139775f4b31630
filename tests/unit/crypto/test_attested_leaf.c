/* The certificate of attested TLS: what is made is read, and nothing else. */
#include <string.h>

#include "base/clock.h"

#include "crypto/attested_leaf.h"
#include "support/atls_kit.h"
#include "support/test.h"

static const uint8_t document[] = "any bytes: what they are worth is asked elsewhere";
static const struct leaf_times times = {1700000000, 1700007200};

static void make(struct attested_key **ret_key, struct buf *der)
{
    assert_int_equal(attested_key_new(ret_key).code, 0);
    assert_int_equal(
        attested_leaf_make(*ret_key, span_of(document, sizeof document), times, der).code, 0);
}

static cc_err read_der(struct span der, struct attested_leaf *leaf, struct buf *found)
{
    found->len = 0;
    found->max = LEAF_DOCUMENT_MAX;
    return attested_leaf_read(der, leaf, found);
}

static void test_what_is_made_is_read(void **state)
{
    (void)state;
    struct attested_key *key;
    struct attested_leaf leaf;
    uint8_t digest[LEAF_SPKI_DIGEST_SIZE];
    struct buf der = buf_init(LEAF_DER_MAX);
    struct buf found = {0};
    make(&key, &der);
    assert_int_equal(attested_key_digest(key, digest).code, 0);
    assert_int_equal(read_der(buf_span(&der), &leaf, &found).code, 0);
    assert_memory_equal(leaf.spki_digest, digest, sizeof digest);
    assert_int_equal(leaf.times.begin, times.begin);
    assert_int_equal(leaf.times.end, times.end);
    assert_true(span_equal(buf_span(&found), span_of(document, sizeof document)));
    uint64_t end;
    assert_int_equal(leaf_certificate_end(buf_span(&der), &end).code, 0);
    assert_int_equal(end, times.end);
    attested_key_free(key);
    buf_release(&der);
    buf_release(&found);
}

/* The private key that is written signs what the certificate's key checks; another key's digest is another. */
static void test_the_key_is_the_certificates(void **state)
{
    (void)state;
    struct attested_key *key;
    struct attested_key *other;
    struct buf der = buf_init(LEAF_DER_MAX);
    struct buf private = buf_init(LEAF_KEY_MAX);
    uint8_t digest[LEAF_SPKI_DIGEST_SIZE];
    uint8_t other_digest[LEAF_SPKI_DIGEST_SIZE];
    make(&key, &der);
    assert_int_equal(attested_key_write(key, &private).code, 0);
    const uint8_t *at = private.data;
    EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &at, (long)private.len);
    at = der.data;
    X509 *x = d2i_X509(NULL, &at, (long)der.len);
    assert_int_equal(X509_check_private_key(x, pkey), 1);
    assert_int_equal(attested_key_new(&other).code, 0);
    assert_int_equal(attested_key_digest(key, digest).code, 0);
    assert_int_equal(attested_key_digest(other, other_digest).code, 0);
    assert_memory_not_equal(digest, other_digest, sizeof digest);
    X509_free(x);
    EVP_PKEY_free(pkey);
    attested_key_free(key);
    attested_key_free(other);
    buf_release(&der);
    buf_release(&private);
}

static void test_limits_of_the_document(void **state)
{
    (void)state;
    static const uint8_t large[LEAF_DOCUMENT_MAX + 1];
    struct attested_key *key;
    struct attested_leaf leaf;
    struct buf der = buf_init(LEAF_DER_MAX);
    struct buf found = {0};
    assert_int_equal(attested_key_new(&key).code, 0);
    assert_int_equal(attested_leaf_make(key, span_of(large, sizeof large), times, &der).code,
                     ERROR_LIMIT);
    assert_int_equal(attested_leaf_make(key, span_of(large, 0), times, &der).code, ERROR_LIMIT);
    assert_int_equal(attested_leaf_make(key, span_of(large, LEAF_DOCUMENT_MAX), times, &der).code,
                     0);
    assert_int_equal(read_der(buf_span(&der), &leaf, &found).code, 0);
    assert_int_equal(found.len, LEAF_DOCUMENT_MAX);
    attested_key_free(key);
    buf_release(&der);
    buf_release(&found);
}

static void test_T32_every_changed_byte_is_refused(void **state)
{
    (void)state;
    struct attested_key *key;
    struct attested_leaf leaf;
    struct buf der = buf_init(LEAF_DER_MAX);
    struct buf found = {0};
    make(&key, &der);
    for (size_t i = 0; i < der.len; i++) {
        for (int bit = 0; bit < 8; bit += 7) {
            der.data[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(read_der(buf_span(&der), &leaf, &found).code, ERROR_ATTEST_LEAF);
            der.data[i] ^= (uint8_t)(1 << bit);
        }
        assert_int_equal(read_der(span_of(der.data, i), &leaf, &found).code, ERROR_ATTEST_LEAF);
    }
    assert_int_equal(buf_append(&der, "", 1).code, 0);
    assert_int_equal(read_der(buf_span(&der), &leaf, &found).code, ERROR_ATTEST_LEAF);
    attested_key_free(key);
    buf_release(&der);
    buf_release(&found);
}

static void expect(const struct atls_shape *shape, const char *curve, const char *detail)
{
    struct attested_leaf leaf;
    struct buf der = {0};
    struct buf found = {0};
    EVP_PKEY *key = atls_key(curve);
    X509 *x = atls_leaf(key, span_of(document, sizeof document), clock_wall_ms(), shape);
    atls_der(x, &der);
    cc_err err = read_der(buf_span(&der), &leaf, &found);
    if (detail) {
        assert_int_equal(err.code, ERROR_ATTEST_LEAF);
        assert_string_equal(error_detail(), detail);
    } else {
        assert_int_equal(err.code, 0);
    }
    X509_free(x);
    EVP_PKEY_free(key);
    buf_release(&der);
    buf_release(&found);
}

static void test_T32_other_certificates_are_refused(void **state)
{
    (void)state;
    EVP_PKEY *other = atls_key("P-256");
    expect(&(struct atls_shape){0}, "P-256", NULL);
    expect(&(struct atls_shape){.strange = true}, "P-256", NULL);
    expect(&(struct atls_shape){.strange_critical = true}, "P-256",
           "the certificate has a critical extension");
    expect(&(struct atls_shape){.documents = 1}, "P-256",
           "the certificate has two attestation documents");
    expect(&(struct atls_shape){.documents = -1}, "P-256",
           "the certificate has no attestation document");
    expect(&(struct atls_shape){.version_1 = true}, "P-256", "the certificate is not of version 3");
    expect(&(struct atls_shape){.sha384 = true}, "P-256",
           "the certificate is not signed by ECDSA with SHA-256");
    expect(&(struct atls_shape){.signer = other}, "P-256",
           "the certificate is not signed by its own key");
    expect(&(struct atls_shape){0}, "P-384", "the certificate's key is not on P-256");
    expect(&(struct atls_shape){0}, "secp256k1", "the certificate's key is not on P-256");
    EVP_PKEY_free(other);
}

/* The same curve, written out: another form of the same key would be another digest of it. */
static void test_T32_a_curve_in_parts_is_refused(void **state)
{
    (void)state;
    expect(&(struct atls_shape){.explicit_curve = true}, "P-256",
           "the certificate's key is not on P-256");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_made_is_read),
        cmocka_unit_test(test_the_key_is_the_certificates),
        cmocka_unit_test(test_limits_of_the_document),
        cmocka_unit_test(test_T32_every_changed_byte_is_refused),
        cmocka_unit_test(test_T32_other_certificates_are_refused),
        cmocka_unit_test(test_T32_a_curve_in_parts_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
