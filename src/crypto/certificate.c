#include "crypto/certificate.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

enum {
    /* What a certificate of a key needs to be let sign something else than certificates. */
    MAY_SIGN = KU_DIGITAL_SIGNATURE,
    MAY_ISSUE = KU_KEY_CERT_SIGN
};

struct chain {
    X509 *certificate[CERTIFICATE_CHAIN_MAX];
    size_t count;
};

static void chain_release(struct chain *c)
{
    for (size_t i = 0; i < c->count; i++)
        X509_free(c->certificate[i]);
    ERR_clear_error();
}

static void x509_freep(X509 **c)
{
    X509_free(*c);
    ERR_clear_error();
}

static void store_freep(X509_STORE **s)
{
    X509_STORE_free(*s);
}

static void check_freep(X509_STORE_CTX **c)
{
    X509_STORE_CTX_free(*c);
}

/* Borrows its certificates. */
static void stack_freep(STACK_OF(X509) * *s)
{
    sk_X509_free(*s);
}

static void point_freep(ECDSA_SIG **s)
{
    ECDSA_SIG_free(*s);
}

static void digest_freep(EVP_MD_CTX **c)
{
    EVP_MD_CTX_free(*c);
    ERR_clear_error();
}

static void openssl_freep(unsigned char **p)
{
    OPENSSL_free(*p);
}

static X509 *certificate_parse(struct span der)
{
    if (der.len == 0 || der.len > LONG_MAX)
        return NULL;
    const unsigned char *at = der.data;
    X509 *c = d2i_X509(NULL, &at, (long)der.len);
    if (c && at == der.data + der.len)
        return c;
    X509_free(c);
    return NULL;
}

/* A curve by name; one that is spelt out could be another one of the same look. */
static bool key_is_p384(X509 *c)
{
    EVP_PKEY *key = X509_get0_pubkey(c);
    char text[32];
    size_t len;
    return key && EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, text, sizeof text,
                                          &len) == 1 &&
           span_is(span_str(text), "secp384r1") &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, text, sizeof text,
                                          &len) == 1 &&
           span_is(span_str(text), OSSL_PKEY_EC_ENCODING_GROUP);
}

/* What OpenSSL would let pass: other algorithms, and authorities of X.509 version 1. */
static cc_err rules_check(X509 *c, bool issues)
{
    if (X509_get_signature_nid(c) != NID_ecdsa_with_SHA384)
        return CC_FAIL(ATTEST_CHAIN, "a certificate is not signed by ecdsa-with-SHA384");
    if (!key_is_p384(c))
        return CC_FAIL(ATTEST_CHAIN, "a certificate's key is not on P-384");
    if (issues && X509_check_ca(c) != 1)
        return CC_FAIL(ATTEST_CHAIN, "a certificate above the last is no authority's");
    if (!issues && (X509_get_extension_flags(c) & EXFLAG_CA))
        return CC_FAIL(ATTEST_CHAIN, "the last certificate is an authority's");
    uint32_t usage = X509_get_key_usage(c);
    if (usage == UINT32_MAX || !(usage & (issues ? MAY_ISSUE : MAY_SIGN)))
        return CC_FAIL(ATTEST_CHAIN, "a certificate's key may not be used for this");
    return CC_OK;
}

static cc_err time_check(X509 *c, const struct certificate_time *when)
{
    uint64_t late = when->at_ms + when->leeway_ms;
    if (late < when->at_ms || late / 1000 > INT_MAX * (uint64_t)100)
        return CC_FAIL(ATTEST_TIME, "the time is out of range");
    int begins = ASN1_TIME_cmp_time_t(X509_get0_notBefore(c), (time_t)(late / 1000));
    int ends = ASN1_TIME_cmp_time_t(X509_get0_notAfter(c), (time_t)(when->at_ms / 1000));
    if (begins == -2 || ends == -2)
        return CC_FAIL(ATTEST_CHAIN, "a certificate's time can't be read");
    if (begins > 0)
        return CC_FAIL(ATTEST_TIME, "a certificate is not valid yet");
    if (ends < 0)
        return CC_FAIL(ATTEST_TIME, "a certificate has expired");
    return CC_OK;
}

static cc_err chain_parse(const struct span *ders, size_t count, struct chain *chain)
{
    if (count < 2 || count > CERTIFICATE_CHAIN_MAX)
        return CC_FAIL(ATTEST_CHAIN, "a chain of too few or too many certificates");
    for (size_t i = 0; i < count; i++) {
        X509 *c = certificate_parse(ders[i]);
        if (!c)
            return CC_FAIL(ATTEST_CHAIN, "a certificate can't be read");
        chain->certificate[chain->count++] = c;
        CC_TRY(rules_check(c, i + 1 < count));
    }
    return CC_OK;
}

/* OpenSSL looks for a way to the root by itself; it has to be the one that was shown, whole and in its order. */
static bool way_is_chain(X509_STORE_CTX *check, const struct chain *chain)
{
    const STACK_OF(X509) *way = X509_STORE_CTX_get0_chain(check);
    if (sk_X509_num(way) != (int)chain->count)
        return false;
    for (size_t i = 0; i < chain->count; i++) {
        if (X509_cmp(sk_X509_value(way, (int)i), chain->certificate[chain->count - 1 - i]) != 0)
            return false;
    }
    return true;
}

static cc_err chain_verify(const struct chain *chain)
{
    CC_CLEANUP(store_freep) X509_STORE *roots = X509_STORE_new();
    CC_CLEANUP(stack_freep) STACK_OF(X509) *between = sk_X509_new_null();
    CC_CLEANUP(check_freep) X509_STORE_CTX *check = X509_STORE_CTX_new();
    if (!roots || !between || !check || X509_STORE_add_cert(roots, chain->certificate[0]) != 1)
        return CC_FAIL(NO_MEMORY, "chain of certificates");
    for (size_t i = 1; i + 1 < chain->count; i++) {
        if (sk_X509_push(between, chain->certificate[i]) == 0)
            return CC_FAIL(NO_MEMORY, "chain of certificates");
    }
    if (X509_STORE_CTX_init(check, roots, chain->certificate[chain->count - 1], between) != 1)
        return CC_FAIL(NO_MEMORY, "chain of certificates");
    /* Times are checked apart. X509_V_FLAG_X509_STRICT would refuse what AWS issues: certificates without key identifiers. */
    X509_VERIFY_PARAM *how = X509_STORE_CTX_get0_param(check);
    if (X509_VERIFY_PARAM_set_flags(how, X509_V_FLAG_NO_CHECK_TIME |
                                             X509_V_FLAG_CHECK_SS_SIGNATURE) != 1)
        return CC_FAIL(ATTEST_CHAIN, "flags");
    if (X509_verify_cert(check) != 1)
        return CC_FAIL(ATTEST_CHAIN,
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(check)));
    if (!way_is_chain(check, chain))
        return CC_FAIL(ATTEST_CHAIN,
                       "the certificates are not in the order in which they issue each other");
    return CC_OK;
}

CC_ERR certificate_chain_check(const struct span *chain,
                               size_t count,
                               const struct certificate_time *times,
                               size_t time_count)
{
    CC_CLEANUP(chain_release) struct chain parsed = {.count = 0};
    CC_TRY(chain_parse(chain, count, &parsed));
    CC_TRY(chain_verify(&parsed));
    for (size_t t = 0; t < time_count; t++) {
        for (size_t i = 0; i < parsed.count; i++)
            CC_TRY(time_check(parsed.certificate[i], &times[t]));
    }
    return CC_OK;
}

/* r and s in the form that OpenSSL wants them in. */
static cc_err signature_der(const uint8_t *raw, unsigned char **ret_der, size_t *ret_len)
{
    enum {
        HALF = CERTIFICATE_ES384_SIZE / 2
    };
    CC_CLEANUP(point_freep) ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, HALF, NULL);
    BIGNUM *s = BN_bin2bn(raw + HALF, HALF, NULL);
    if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return CC_FAIL(NO_MEMORY, "signature");
    }
    int len = i2d_ECDSA_SIG(pair, ret_der);
    if (len <= 0)
        return CC_FAIL(NO_MEMORY, "signature");
    *ret_len = (size_t)len;
    return CC_OK;
}

CC_ERR certificate_es384_check(struct span certificate,
                               const struct span *parts,
                               size_t count,
                               const uint8_t signature[static CERTIFICATE_ES384_SIZE])
{
    CC_CLEANUP(x509_freep) X509 *c = certificate_parse(certificate);
    if (!c || !key_is_p384(c))
        return CC_FAIL(ATTEST_CHAIN, "a certificate's key is not on P-384");
    CC_CLEANUP(openssl_freep) unsigned char *der = NULL;
    size_t der_len = 0;
    CC_TRY(signature_der(signature, &der, &der_len));
    CC_CLEANUP(digest_freep) EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (!digest)
        return CC_FAIL(NO_MEMORY, "signature");
    bool ok = EVP_DigestVerifyInit(digest, NULL, EVP_sha384(), NULL, X509_get0_pubkey(c)) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_DigestVerifyUpdate(digest, parts[i].data, parts[i].len) == 1;
    if (!ok || EVP_DigestVerifyFinal(digest, der, der_len) != 1)
        return CC_FAIL(ATTEST_SIGNATURE, NULL);
    return CC_OK;
}
