/* Published vectors of the derivations, ciphers and signatures, and what each refuses. */
#include <string.h>

#include "crypto/aead.h"
#include "crypto/ed25519.h"
#include "crypto/kdf.h"
#include "crypto/mac.h"
#include "crypto/random.h"
#include "crypto/self_test.h"
#include "secret/ct.h"
#include "support/test.h"

enum {
    MAX = 256
};

struct bytes {
    uint8_t data[MAX];
    size_t len;
};

static struct bytes hex(const char *digits)
{
    struct bytes b = {.len = strlen(digits) / 2};
    assert_true(b.len <= MAX);
    assert_int_equal(ct_hex_decode(digits, b.data, b.len).code, 0);
    return b;
}

static struct span view(const struct bytes *b)
{
    return span_of(b->data, b->len);
}

static void expect(const uint8_t *got, const char *digits)
{
    const struct bytes want = hex(digits);
    assert_memory_equal(got, want.data, want.len);
}

static void test_self_test_passes(void **state)
{
    (void)state;
    assert_int_equal(crypto_self_test().code, 0);
}

/* RFC 4231, cases 1, 2, 3 and 6 (a key longer than a block). */
static void test_hmac_rfc4231(void **state)
{
    (void)state;
    const struct {
        const char *key;
        const char *data;
        const char *mac;
    } cases[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
         "dddddd",
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    };
    uint8_t mac[MAC_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct bytes key = hex(cases[i].key);
        const struct bytes data = hex(cases[i].data);
        const struct span halves[2] = {span_of(data.data, data.len / 2),
                                       span_of(data.data + data.len / 2, data.len - data.len / 2)};
        mac_hmac_sha256(view(&key), halves, 2, mac);
        expect(mac, cases[i].mac);
    }
    uint8_t long_key[131];
    memset(long_key, 0xaa, sizeof long_key);
    const struct span text = span_str("Test Using Larger Than Block-Size Key - Hash Key First");
    mac_hmac_sha256(span_of(long_key, sizeof long_key), &text, 1, mac);
    expect(mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* RFC 5869, appendix A.1 to A.3. */
static void test_hkdf_rfc5869(void **state)
{
    (void)state;
    struct bytes ikm = hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    struct bytes salt = hex("000102030405060708090a0b0c");
    struct bytes info = hex("f0f1f2f3f4f5f6f7f8f9");
    uint8_t out[82];
    kdf_hkdf_sha256(view(&ikm), view(&salt), view(&info), out, 42);
    expect(out,
           "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    kdf_hkdf_sha256(view(&ikm), span_str(""), span_str(""), out, 42);
    expect(out,
           "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    for (size_t i = 0; i < 80; i++) {
        ikm.data[i] = (uint8_t)i;
        salt.data[i] = (uint8_t)(0x60 + i);
        info.data[i] = (uint8_t)(0xb0 + i);
    }
    ikm.len = salt.len = info.len = 80;
    kdf_hkdf_sha256(view(&ikm), view(&salt), view(&info), out, 82);
    expect(
        out,
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e"
        "590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

/* RFC 7914, sections 11 and 12. */
static void test_pbkdf2_and_scrypt_rfc7914(void **state)
{
    (void)state;
    uint8_t out[64];
    assert_int_equal(kdf_pbkdf2_sha256(span_str("Password"), span_str("NaCl"), 80000, out, 64).code,
                     0);
    expect(out, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
                "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d");
    const struct scrypt_cost cost = {1024, 8, 16};
    assert_int_equal(kdf_scrypt(span_str("password"), span_str("NaCl"), &cost, out, 64).code, 0);
    expect(out, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
}

static void test_kdf_refuses_costs_out_of_range(void **state)
{
    (void)state;
    const struct scrypt_cost refused[] = {
        {0, 8, 1},
        {1, 8, 1},
        {3, 8, 1},
        {262143, 8, 1},
        {UINT64_C(1) << 63, 8, 1},
        {UINT64_MAX, 8, 1},
        {262144, 0, 1},
        {262144, 8, 0},
        {262144, 8, 17},
        {262144, 17, 1}, /* more than 512 MiB */
        {UINT64_C(1) << 40, 1, 1},
        {2, UINT32_MAX, 1},
        {2, 8, UINT32_MAX},
        {UINT64_C(1) << 32, 1u << 31, 1}, /* the product wraps */
    };
    uint8_t out[32];
    size_t bytes = 0;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_int_equal(kdf_scrypt_memory(refused[i].n, refused[i].r, refused[i].p, &bytes).code,
                         ERROR_NUMBER_RANGE);
        assert_int_equal(kdf_scrypt(span_str("p"), span_str("s"), &refused[i], out, 32).code,
                         ERROR_NUMBER_RANGE);
    }
    assert_int_equal(kdf_scrypt_memory(262144, 8, 1, &bytes).code, 0);
    assert_int_equal(bytes, 256 << 20);
    assert_int_equal(kdf_scrypt_memory(262144, 16, 1, &bytes).code, 0);
    assert_int_equal(kdf_pbkdf2_sha256(span_str("p"), span_str("s"), 0, out, 32).code,
                     ERROR_NUMBER_RANGE);
    assert_int_equal(
        kdf_pbkdf2_sha256(span_str("p"), span_str("s"), KDF_PBKDF2_MAX + 1, out, 32).code,
        ERROR_NUMBER_RANGE);
}

/* NIST GCM vectors (McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 14 and 16). */
static void test_gcm_vectors(void **state)
{
    (void)state;
    uint8_t out[64];
    const uint8_t zero_key[AEAD_KEY_SIZE] = {0};
    struct bytes sealed = hex("000000000000000000000000"
                              "cea7403d4d606b6e074ec5d3baf39d18"
                              "d0d1c8a799996bf0265b98b5d48ab919");
    assert_int_equal(aead_open(zero_key, span_str(""), view(&sealed), out).code, 0);
    assert_true(ct_is_zero(out, 16));

    const struct bytes key =
        hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    const struct bytes aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    sealed = hex("cafebabefacedbaddecaf888"
                 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                 "76fc6ece0f4e1768cddf8853bb2d551b");
    assert_int_equal(aead_open(key.data, view(&aad), view(&sealed), out).code, 0);
    expect(out, "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
}

static void test_a_sealed_blob_opens_only_whole(void **state)
{
    (void)state;
    uint8_t key[AEAD_KEY_SIZE];
    const uint8_t plain[32] = "thirty-two bytes of a secret...";
    uint8_t sealed[sizeof plain + AEAD_OVERHEAD];
    uint8_t again[sizeof sealed];
    uint8_t out[sizeof plain];
    assert_int_equal(random_bytes(key, sizeof key).code, 0);
    const struct span aad = span_str("place and purpose");
    const struct span whole = span_of(plain, sizeof plain);
    assert_int_equal(aead_seal(key, aad, whole, sealed).code, 0);
    assert_int_equal(aead_seal(key, aad, whole, again).code, 0);
    assert_memory_not_equal(sealed, again, sizeof sealed); /* another nonce */
    assert_int_equal(aead_open(key, aad, span_of(sealed, sizeof sealed), out).code, 0);
    assert_memory_equal(out, plain, sizeof plain);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 0x10;
        memset(out, 0xee, sizeof out);
        assert_int_equal(aead_open(key, aad, span_of(sealed, sizeof sealed), out).code,
                         ERROR_TAMPERED);
        assert_true(ct_is_zero(out, sizeof out));
        sealed[i] ^= 0x10;
    }
    for (size_t len = 0; len < sizeof sealed; len++)
        assert_int_equal(aead_open(key, aad, span_of(sealed, len), out).code, ERROR_TAMPERED);
    assert_int_equal(
        aead_open(key, span_str("another place"), span_of(sealed, sizeof sealed), out).code,
        ERROR_TAMPERED);
    key[0] ^= 1;
    assert_int_equal(aead_open(key, aad, span_of(sealed, sizeof sealed), out).code, ERROR_TAMPERED);
    assert_int_equal(aead_seal(key, aad, span_of(plain, 0), sealed).code, 0);
    assert_int_equal(aead_open(key, aad, span_of(sealed, AEAD_OVERHEAD), out).code, 0);
}

/* NIST SP 800-38A, F.5.1: all four blocks, and a part of one. */
static void test_ctr_sp800_38a(void **state)
{
    (void)state;
    const struct bytes key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    const struct bytes iv = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    const struct bytes plain =
        hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
            "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    const char cipher[] = "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
                          "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee";
    uint8_t out[64] = {0};
    assert_int_equal(aes128_ctr(key.data, iv.data, view(&plain), out).code, 0);
    expect(out, cipher);
    memset(out, 0, sizeof out);
    assert_int_equal(aes128_ctr(key.data, iv.data, span_of(plain.data, 21), out).code, 0);
    assert_memory_equal(out + 21, ((uint8_t[4]){0}), 4);
}

/* RFC 8032, section 7.1, tests 1 to 3. */
static void test_ed25519_rfc8032(void **state)
{
    (void)state;
    const struct {
        const char *seed;
        const char *public_key;
        const char *message;
        const char *signature;
    } cases[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555f"
         "b8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da08"
         "5ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18"
         "ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct bytes seed = hex(cases[i].seed);
        const struct bytes message = hex(cases[i].message);
        uint8_t public_key[ED25519_PUBLIC_SIZE];
        uint8_t signature[ED25519_SIGNATURE_SIZE];
        ed25519_public(seed.data, public_key);
        expect(public_key, cases[i].public_key);
        ed25519_sign(seed.data, view(&message), signature);
        expect(signature, cases[i].signature);
        assert_int_equal(ed25519_verify(public_key, view(&message), signature).code, 0);
        signature[5] ^= 1;
        assert_int_equal(ed25519_verify(public_key, view(&message), signature).code, ERROR_CRYPTO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self_test_passes),
        cmocka_unit_test(test_hmac_rfc4231),
        cmocka_unit_test(test_hkdf_rfc5869),
        cmocka_unit_test(test_pbkdf2_and_scrypt_rfc7914),
        cmocka_unit_test(test_kdf_refuses_costs_out_of_range),
        cmocka_unit_test(test_gcm_vectors),
        cmocka_unit_test(test_a_sealed_blob_opens_only_whole),
        cmocka_unit_test(test_ctr_sp800_38a),
        cmocka_unit_test(test_ed25519_rfc8032),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
