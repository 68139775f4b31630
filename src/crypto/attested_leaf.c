#include "crypto/attested_leaf.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "base/alloc.h"

enum {
    SERIAL_SIZE = 16,
    SPKI_SIZE = 91 /* of a key on P-256 */
};

static const char common_name[] = "containment-chamber";

struct attested_key {
    EVP_PKEY *pkey;
};

/* --- OpenSSL's objects, ended by scope -------------------------------------------------------------------- */

static void x509_freep(X509 **x)
{
    X509_free(*x);
}

static void object_freep(ASN1_OBJECT **object)
{
    ASN1_OBJECT_free(*object);
}

static void octets_freep(ASN1_OCTET_STRING **octets)
{
    ASN1_OCTET_STRING_free(*octets);
}

static void extension_freep(X509_EXTENSION **extension)
{
    X509_EXTENSION_free(*extension);
}

static void number_freep(BIGNUM **number)
{
    BN_free(*number);
}

/* --- the key --------------------------------------------------------------------------------------------------- */

CC_ERR attested_key_new(struct attested_key **ret_key)
{
    struct attested_key *key = cc_alloc(sizeof *key);
    if (!key)
        return CC_FAIL(NO_MEMORY, "attested key");
    key->pkey = EVP_EC_gen("P-256");
    if (!key->pkey) {
        cc_free(key);
        return CC_FAIL(CRYPTO, "a new P-256 key");
    }
    *ret_key = key;
    return CC_OK;
}

void attested_key_free(struct attested_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    cc_free(key);
}

void attested_key_freep(struct attested_key **key)
{
    attested_key_free(*key);
}

static cc_err digest_spki(struct span spki, uint8_t ret_digest[static LEAF_SPKI_DIGEST_SIZE])
{
    unsigned len = 0;
    if (EVP_Digest(spki.data, spki.len, ret_digest, &len, EVP_sha384(), NULL) != 1 ||
        len != LEAF_SPKI_DIGEST_SIZE)
        return CC_FAIL(CRYPTO, "SHA-384");
    return CC_OK;
}

CC_ERR attested_key_digest(const struct attested_key *key,
                           uint8_t ret_digest[static LEAF_SPKI_DIGEST_SIZE])
{
    uint8_t spki[SPKI_SIZE];
    uint8_t *at = spki;
    if (i2d_PUBKEY(key->pkey, NULL) != SPKI_SIZE || i2d_PUBKEY(key->pkey, &at) != SPKI_SIZE)
        return CC_FAIL(CRYPTO, "the public key's encoding");
    return digest_spki(span_of(spki, sizeof spki), ret_digest);
}

static void info_freep(PKCS8_PRIV_KEY_INFO **info)
{
    PKCS8_PRIV_KEY_INFO_free(*info);
}

CC_ERR attested_key_write(const struct attested_key *key, struct buf *out)
{
    CC_CLEANUP(info_freep) PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;
    uint8_t *at;
    if (len <= 0 || len > LEAF_KEY_MAX)
        return CC_FAIL(CRYPTO, "the private key's encoding");
    CC_TRY(buf_grow(out, (size_t)len, &at));
    return i2d_PKCS8_PRIV_KEY_INFO(info, &at) == len
               ? CC_OK
               : CC_FAIL(CRYPTO, "the private key's encoding");
}

/* --- making ---------------------------------------------------------------------------------------------------- */

/* A random serial number, positive and without a leading zero byte (RFC 5280 4.1.2.2). */
static bool set_serial(X509 *x)
{
    uint8_t bytes[SERIAL_SIZE];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (uint8_t)((bytes[0] & 0x3f) | 0x40);
    CC_CLEANUP(number_freep) BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    return number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
}

static bool set_time(ASN1_TIME *to, uint64_t seconds)
{
    return seconds <= INT64_MAX && ASN1_TIME_set(to, (time_t)seconds);
}

static bool set_names(X509 *x)
{
    X509_NAME *name = X509_get_subject_name(x);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const void *)common_name, -1, -1,
                                      0) == 1 &&
           X509_set_issuer_name(x, name) == 1;
}

static bool set_document(X509 *x, struct span document)
{
    CC_CLEANUP(object_freep) ASN1_OBJECT *oid = OBJ_txt2obj(ATTESTED_LEAF_OID, 1);
    CC_CLEANUP(octets_freep) ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    if (!oid || !octets || ASN1_OCTET_STRING_set(octets, document.data, (int)document.len) != 1)
        return false;
    CC_CLEANUP(extension_freep)
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, octets);
    return extension && X509_add_ext(x, extension, -1) == 1;
}

CC_ERR attested_leaf_make(const struct attested_key *key,
                          struct span document,
                          struct leaf_times times,
                          struct buf *out)
{
    if (document.len == 0 || document.len > LEAF_DOCUMENT_MAX)
        return CC_FAIL(LIMIT, "length of an attestation document");
    CC_CLEANUP(x509_freep) X509 *x = X509_new();
    if (!x)
        return CC_FAIL(NO_MEMORY, "certificate");
    /* What the certificate says last holds to its end: `end` itself is beyond. */
    bool made = X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) && set_names(x) &&
                set_time(X509_getm_notBefore(x), times.begin) &&
                set_time(X509_getm_notAfter(x), times.end - 1) &&
                X509_set_pubkey(x, key->pkey) == 1 && set_document(x, document) &&
                X509_sign(x, key->pkey, EVP_sha256()) > 0;
    int len = made ? i2d_X509(x, NULL) : 0;
    uint8_t *at;
    if (len <= 0)
        return CC_FAIL(CRYPTO, "the attested certificate");
    CC_TRY(buf_grow(out, (size_t)len, &at));
    return i2d_X509(x, &at) == len ? CC_OK : CC_FAIL(CRYPTO, "the attested certificate");
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static cc_err read_time(const ASN1_TIME *from, uint64_t *ret_seconds)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(from, &parts) != 1)
        return CC_FAIL(ATTEST_LEAF, "a time of the certificate can't be read");
    time_t seconds = timegm(&parts);
    if (seconds < 0)
        return CC_FAIL(ATTEST_LEAF, "a time of the certificate lies before 1970");
    *ret_seconds = (uint64_t)seconds;
    return CC_OK;
}

static cc_err read_times(const X509 *x, struct leaf_times *ret_times)
{
    CC_TRY(read_time(X509_get0_notBefore(x), &ret_times->begin));
    CC_TRY(read_time(X509_get0_notAfter(x), &ret_times->end));
    ret_times->end++;
    return CC_OK;
}

/* A point on P-256, named and in full: the one form, so that nothing else has the digest of the same key. */
static const uint8_t spki_begin[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                     0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                     0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};

static cc_err read_key(X509 *x, uint8_t ret_digest[static LEAF_SPKI_DIGEST_SIZE])
{
    uint8_t *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    bool right =
        len == SPKI_SIZE && X509_get0_pubkey(x) &&
        span_equal(span_of(der, sizeof spki_begin), span_of(spki_begin, sizeof spki_begin));
    cc_err err = right ? digest_spki(span_of(der, SPKI_SIZE), ret_digest)
                       : CC_FAIL(ATTEST_LEAF, "the certificate's key is not on P-256");
    OPENSSL_free(der);
    return err;
}

static cc_err check_signature(X509 *x)
{
    if (X509_get_signature_nid(x) != NID_ecdsa_with_SHA256)
        return CC_FAIL(ATTEST_LEAF, "the certificate is not signed by ECDSA with SHA-256");
    if (X509_verify(x, X509_get0_pubkey(x)) != 1)
        return CC_FAIL(ATTEST_LEAF, "the certificate is not signed by its own key");
    return CC_OK;
}

static cc_err read_document(const X509 *x, struct buf *document)
{
    CC_CLEANUP(object_freep) ASN1_OBJECT *oid = OBJ_txt2obj(ATTESTED_LEAF_OID, 1);
    const ASN1_OCTET_STRING *found = NULL;
    if (!oid)
        return CC_FAIL(NO_MEMORY, "object identifier");
    for (int i = 0; i < X509_get_ext_count(x); i++) {
        X509_EXTENSION *extension = X509_get_ext(x, i);
        if (OBJ_cmp(X509_EXTENSION_get_object(extension), oid) != 0) {
            if (X509_EXTENSION_get_critical(extension))
                return CC_FAIL(ATTEST_LEAF, "the certificate has a critical extension");
            continue;
        }
        if (found)
            return CC_FAIL(ATTEST_LEAF, "the certificate has two attestation documents");
        found = X509_EXTENSION_get_data(extension);
    }
    if (!found)
        return CC_FAIL(ATTEST_LEAF, "the certificate has no attestation document");
    int len = ASN1_STRING_length(found);
    if (len <= 0 || len > LEAF_DOCUMENT_MAX)
        return CC_FAIL(ATTEST_LEAF, "the attestation document is empty or too long");
    return buf_append(document, ASN1_STRING_get0_data(found), (size_t)len);
}

static cc_err parse(struct span der, X509 **ret_x)
{
    const uint8_t *at = der.data;
    if (der.len == 0 || der.len > LEAF_DER_MAX)
        return CC_FAIL(ATTEST_LEAF, "the certificate is empty or too long");
    *ret_x = d2i_X509(NULL, &at, (long)der.len);
    if (!*ret_x)
        return CC_FAIL(ATTEST_LEAF, "not a certificate");
    return at == der.data + der.len ? CC_OK
                                    : CC_FAIL(ATTEST_LEAF, "something follows the certificate");
}

CC_ERR
attested_leaf_read(struct span der, struct attested_leaf *ret_leaf, struct buf *document)
{
    CC_CLEANUP(x509_freep) X509 *x = NULL;
    struct attested_leaf leaf;
    CC_TRY(parse(der, &x));
    if (X509_get_version(x) != X509_VERSION_3)
        return CC_FAIL(ATTEST_LEAF, "the certificate is not of version 3");
    CC_TRY(read_key(x, leaf.spki_digest));
    CC_TRY(check_signature(x));
    CC_TRY(read_times(x, &leaf.times));
    CC_TRY(read_document(x, document));
    *ret_leaf = leaf;
    return CC_OK;
}

CC_ERR leaf_certificate_end(struct span der, uint64_t *ret_end)
{
    CC_CLEANUP(x509_freep) X509 *x = NULL;
    CC_TRY(parse(der, &x));
    CC_TRY(read_time(X509_get0_notAfter(x), ret_end));
    (*ret_end)++;
    return CC_OK;
}
