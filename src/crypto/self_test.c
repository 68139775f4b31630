#include "crypto/self_test.h"

#include <openssl/crypto.h>
#include <sodium.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/bls.h"
#include "crypto/ed25519.h"
#include "crypto/kdf.h"
#include "secret/ct.h"

enum {
    ANSWER_MAX = 96
};

static CC_ERR expect(const uint8_t *got, const char *hex, const char *primitive)
{
    uint8_t want[ANSWER_MAX];
    size_t len = strlen(hex) / 2;
    cc_assert(len <= sizeof want);
    CC_TRY(ct_hex_decode(hex, want, len));
    return ct_equal(got, want, len) ? CC_OK : CC_FAIL(CRYPTO, primitive);
}

/* RFC 7914 sections 11 and 12; RFC 5869 appendix A.1. */
static CC_ERR test_kdf(void)
{
    static const uint8_t ikm[22] = {11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11,
                                    11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11};
    static const uint8_t salt[13] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const uint8_t info[10] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9};
    uint8_t out[64];
    CC_TRY(kdf_pbkdf2_sha256(span_str("passwd"), span_str("salt"), 1, out, sizeof out));
    CC_TRY(expect(out,
                  "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
                  "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
                  "self test of PBKDF2"));
    CC_TRY(
        kdf_scrypt(span_str(""), span_str(""), &(struct scrypt_cost){16, 1, 1}, out, sizeof out));
    CC_TRY(expect(out,
                  "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
                  "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
                  "self test of scrypt"));
    kdf_hkdf_sha256(span_of(ikm, sizeof ikm), span_of(salt, sizeof salt),
                    span_of(info, sizeof info), out, 42);
    return expect(out,
                  "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                  "34007208d5b887185865",
                  "self test of HKDF");
}

/* AES-256-GCM: key 00..1f, nonce zero, AAD "chamber". CTR: NIST SP 800-38A F.5.1, first block. */
static CC_ERR test_aes(void)
{
    uint8_t key[AEAD_KEY_SIZE];
    uint8_t sealed[AEAD_OVERHEAD + 11] = {0};
    uint8_t again[sizeof sealed];
    uint8_t iv[CTR_IV_SIZE];
    uint8_t plain[16];
    uint8_t out[16];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    CC_TRY(ct_hex_decode("6dd3dbaad445edd06dc6dd2aefd59c7ad76939413d06849a52d828",
                         sealed + AEAD_NONCE_SIZE, sizeof sealed - AEAD_NONCE_SIZE));
    CC_TRY(aead_open(key, span_str("chamber"), span_of(sealed, sizeof sealed), out));
    if (!ct_equal(out, "containment", 11))
        return CC_FAIL(CRYPTO, "self test of AES-256-GCM");
    CC_TRY(aead_seal(key, span_str("chamber"), span_of(out, 11), again));
    CC_TRY(aead_open(key, span_str("chamber"), span_of(again, sizeof again), out));
    CC_TRY(ct_hex_decode("2b7e151628aed2a6abf7158809cf4f3c", key, CTR_KEY_SIZE));
    CC_TRY(ct_hex_decode("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", iv, sizeof iv));
    CC_TRY(ct_hex_decode("6bc1bee22e409f96e93d7e117393172a", plain, sizeof plain));
    CC_TRY(aes128_ctr(key, iv, span_of(plain, sizeof plain), out));
    return expect(out, "874d6191b620e3261bef6864990db6ce", "self test of AES-128-CTR");
}

/* The signing vector of the consensus specs; RFC 8032 section 7.1, test 1. */
static CC_ERR test_signatures(void)
{
    uint8_t bytes[32];
    uint8_t out[BLS_SIGNATURE_SIZE];
    struct bls_secret secret;
    struct bls_hash hash;
    CC_TRY(ct_hex_decode("47b8192d77bf871b62e87859d653922725724a5c031afeabc60bcef5ff665138", bytes,
                         32));
    CC_TRY(bls_secret_parse(bytes, &secret));
    bls_hash((const uint8_t[BLS_ROOT_SIZE]){0}, &hash);
    bls_sign(&secret, &hash, out);
    CC_TRY(expect(out,
                  "b23c46be3a001c63ca711f87a005c200cc550b9429d5f4eb38d74322144f1b63"
                  "926da3388979e5321012fb1a0526bcd100b5ef5fe72628ce4cd5e904aeaa3279"
                  "527843fae5ca9ca675f4f51ed8f83bbf7155da9ecc9663100a885d5dc6df96d9",
                  "self test of BLS"));
    CC_TRY(ct_hex_decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", bytes,
                         32));
    ed25519_sign(bytes, span_of(bytes, 0), out);
    return expect(out,
                  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555f"
                  "b8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
                  "self test of Ed25519");
}

CC_ERR crypto_self_test(void)
{
    /* No openssl.cnf: a file could bring in other implementations. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || sodium_init() < 0)
        return CC_FAIL(CRYPTO, "start of a library");
    CC_TRY(test_kdf());
    CC_TRY(test_aes());
    return test_signatures();
}
