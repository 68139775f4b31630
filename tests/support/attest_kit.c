#include "support/attest_kit.h"

#include <openssl/ec.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "codec/cbor.h"
#include "support/test.h"

enum {
    DAY_S = 86400
};

void kit_shape(struct attest_kit *kit)
{
    static const struct kit_certificate right[KIT_CERTIFICATES] = {
        {"P-384", "SHA384", "critical,CA:TRUE", "critical,digitalSignature,keyCertSign,cRLSign",
         NULL, -DAY_S, 100 * DAY_S, KIT_ROOT, KIT_ROOT, 2},
        {"P-384", "SHA384", "critical,CA:TRUE,pathlen:2",
         "critical,digitalSignature,keyCertSign,cRLSign", NULL, -DAY_S, 20 * DAY_S, KIT_ROOT,
         KIT_ROOT, 2},
        {"P-384", "SHA384", "critical,CA:TRUE,pathlen:1",
         "critical,digitalSignature,keyCertSign,cRLSign", NULL, -DAY_S, 6 * DAY_S, KIT_REGION,
         KIT_REGION, 2},
        {"P-384", "SHA384", "critical,CA:TRUE,pathlen:0", "critical,keyCertSign", NULL, -3600,
         DAY_S, KIT_ZONE, KIT_ZONE, 2},
        {"P-384", "SHA384", "CA:FALSE", "digitalSignature,nonRepudiation", NULL, 0, 3 * 3600,
         KIT_INSTANCE, KIT_INSTANCE, 2},
    };
    *kit = (struct attest_kit){.now_ms = 1700000000000};
    memcpy(kit->shape, right, sizeof right);
}

static void name_set(X509_NAME *name, int which)
{
    static const char *const names[KIT_CERTIFICATES] = {"root", "region", "zone", "instance",
                                                        "document"};
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const uint8_t *)"Test", -1, -1, 0), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const uint8_t *)names[which], -1, -1, 0),
                     1);
}

static void extension_add(X509 *c, int nid, const char *value)
{
    if (!value)
        return;
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(c, e, -1), 1);
    X509_EXTENSION_free(e);
}

static void strange_add(X509 *c, const char *oid)
{
    if (!oid)
        return;
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(value, (const uint8_t *)"\x05\x00", 2), 1);
    X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
    assert_int_equal(X509_add_ext(c, e, -1), 1);
    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

static void certificate_make(struct attest_kit *kit, int which)
{
    const struct kit_certificate *shape = &kit->shape[which];
    X509 *c = X509_new();
    time_t now = (time_t)(kit->now_ms / 1000);
    assert_int_equal(X509_set_version(c, shape->version), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(c), which + 1), 1);
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(c), now + shape->from_s));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(c), now + shape->to_s));
    name_set(X509_get_subject_name(c), which);
    name_set(X509_get_issuer_name(c), shape->issuer);
    assert_int_equal(X509_set_pubkey(c, kit->key[which]), 1);
    extension_add(c, NID_basic_constraints, shape->constraints);
    extension_add(c, NID_key_usage, shape->usage);
    strange_add(c, shape->strange);
    assert_true(X509_sign(c, kit->key[shape->signer], EVP_get_digestbyname(shape->digest)) > 0);
    int len = i2d_X509(c, NULL);
    uint8_t *at;
    kit->der[which] = buf_init(4096);
    assert_int_equal(buf_grow(&kit->der[which], (size_t)len, &at).code, 0);
    assert_int_equal(i2d_X509(c, &at), len);
    X509_free(c);
}

void kit_make(struct attest_kit *kit)
{
    for (int i = 0; i < KIT_CERTIFICATES; i++) {
        kit->key[i] = EVP_EC_gen(kit->shape[i].curve);
        assert_non_null(kit->key[i]);
    }
    for (int i = 0; i < KIT_CERTIFICATES; i++)
        certificate_make(kit, i);
}

void kit_free(struct attest_kit *kit)
{
    for (int i = 0; i < KIT_CERTIFICATES; i++) {
        EVP_PKEY_free(kit->key[i]);
        buf_release(&kit->der[i]);
    }
}

struct kit_claims kit_claims(const struct attest_kit *kit)
{
    struct kit_claims c = {.timestamp_ms = kit->now_ms, .pcrs.present = 0xffff};
    for (int i = 0; i < 3; i++)
        memset(c.pcrs.value[i], 0xa0 + i, ATTEST_PCR_SIZE);
    return c;
}

static void put_or_null(struct cbor_writer *w, const char *name, struct span bytes)
{
    cbor_put_text(w, name);
    if (bytes.data)
        cbor_put_bytes(w, bytes);
    else
        cbor_put_null(w);
}

static void put_pcrs(struct cbor_writer *w, const struct attest_pcrs *pcrs)
{
    cbor_put_text(w, "pcrs");
    cbor_put_map(w, (uint32_t)__builtin_popcount(pcrs->present));
    for (uint32_t i = 0; i < ATTEST_PCR_COUNT; i++) {
        if (!(pcrs->present >> i & 1))
            continue;
        cbor_put_uint(w, i);
        cbor_put_bytes(w, span_of(pcrs->value[i], ATTEST_PCR_SIZE));
    }
}

static void written(struct cbor_writer *w, struct buf *ret_bytes)
{
    struct span bytes;
    assert_int_equal(cbor_written(w, &bytes).code, 0);
    buf_release(ret_bytes);
    *ret_bytes = buf_init(65536);
    assert_int_equal(buf_append(ret_bytes, bytes.data, bytes.len).code, 0);
}

void kit_payload(const struct attest_kit *kit,
                 const struct kit_claims *claims,
                 struct buf *ret_payload)
{
    static uint8_t space[65536];
    struct cbor_writer w = cbor_writer_init(space, sizeof space);
    struct span own[KIT_LEAF];
    for (int i = 0; i < KIT_LEAF; i++)
        own[i] = buf_span(&kit->der[i]);
    const struct span *bundle = claims->bundle ? claims->bundle : own;
    uint32_t count = claims->bundle ? claims->bundle_count : KIT_LEAF;
    cbor_put_map(&w, 9);
    cbor_put_text(&w, "module_id");
    cbor_put_text(&w, "i-0123456789abcdef0-enc0123456789abcdef");
    cbor_put_text(&w, "digest");
    cbor_put_text(&w, "SHA384");
    cbor_put_text(&w, "timestamp");
    cbor_put_uint(&w, claims->timestamp_ms);
    put_pcrs(&w, &claims->pcrs);
    cbor_put_text(&w, "certificate");
    cbor_put_bytes(&w, buf_span(&kit->der[KIT_LEAF]));
    cbor_put_text(&w, "cabundle");
    cbor_put_array(&w, count);
    for (uint32_t i = 0; i < count; i++)
        cbor_put_bytes(&w, bundle[i]);
    put_or_null(&w, "public_key", claims->public_key);
    put_or_null(&w, "user_data", claims->user_data);
    put_or_null(&w, "nonce", claims->nonce);
    written(&w, ret_payload);
}

static void raw_signature(EVP_PKEY *key, struct span message, uint8_t ret_raw[96])
{
    uint8_t der[256];
    size_t len = sizeof der;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(c, NULL, EVP_sha384(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(c, der, &len, message.data, message.len), 1);
    EVP_MD_CTX_free(c);
    const uint8_t *at = der;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)len);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret_raw, 48), 48);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret_raw + 48, 48), 48);
    ECDSA_SIG_free(pair);
}

void kit_document_sign(const struct attest_kit *kit, struct span payload, struct buf *ret_document)
{
    static const uint8_t header[] = {0xa1, 0x01, 0x38, 0x22};
    static uint8_t space[65536];
    uint8_t raw[96];
    struct span signed_bytes;
    struct cbor_writer w = cbor_writer_init(space, sizeof space);
    cbor_put_array(&w, 4);
    cbor_put_text(&w, "Signature1");
    cbor_put_bytes(&w, span_of(header, sizeof header));
    cbor_put_bytes(&w, span_of("", 0));
    cbor_put_bytes(&w, payload);
    assert_int_equal(cbor_written(&w, &signed_bytes).code, 0);
    raw_signature(kit->key[KIT_LEAF], signed_bytes, raw);
    w = cbor_writer_init(space, sizeof space);
    cbor_put_array(&w, 4);
    cbor_put_bytes(&w, span_of(header, sizeof header));
    cbor_put_map(&w, 0);
    cbor_put_bytes(&w, payload);
    cbor_put_bytes(&w, span_of(raw, sizeof raw));
    written(&w, ret_document);
}

void kit_document(const struct attest_kit *kit,
                  const struct kit_claims *claims,
                  struct buf *ret_document)
{
    struct buf payload = {0};
    kit_payload(kit, claims, &payload);
    kit_document_sign(kit, buf_span(&payload), ret_document);
    buf_release(&payload);
}
