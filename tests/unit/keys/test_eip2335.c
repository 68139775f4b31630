#include <stdio.h>

#include "base/alloc.h"
#include "base/span.h"

#include "keys/eip2335.h"
#include "support/test.h"

#define PUBKEY                                                                                     \
    "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27"                             \
    "f4ae4040902382ae2910c15e2b420d07"

/* The EIP's scrypt example. */
static const char scrypt_text[] =
    "{\"crypto\": {\"kdf\": {\"function\": \"scrypt\", \"params\": {\"dklen\": 32, \"n\": 262144, "
    "\"p\": 1, \"r\": 8, "
    "\"salt\": \"d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3\"}, "
    "\"message\": \"\"}, "
    "\"checksum\": {\"function\": \"sha256\", \"params\": {}, "
    "\"message\": \"d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484\"}, "
    "\"cipher\": {\"function\": \"aes-128-ctr\", "
    "\"params\": {\"iv\": \"264daa3f303d7259501c93d997d84fe6\"}, "
    "\"message\": \"06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f\"}}, "
    "\"description\": \"d\", \"pubkey\": \"" PUBKEY "\", "
    "\"path\": \"m/12381/60/3141592653/589793238\", "
    "\"uuid\": \"1d85ae20-35c5-4611-98e8-aa14a633906f\", \"version\": 4}";

static const char pbkdf2_params[] = "\"pbkdf2\", \"params\": {\"c\": 262144, \"prf\": "
                                    "\"hmac-sha256\", \"dklen\": 32, \"n\": 262144, ";

static struct k_keystore keystore;

/* Parses scrypt_text with the first `from` in it replaced by `to`. */
static cc_err parse_with(const char *from, const char *to)
{
    struct buf text = buf_init(2 * EIP2335_TEXT_MAX);
    const char *at = strstr(scrypt_text, from);
    assert_non_null(at);
    assert_int_equal(buf_append(&text, scrypt_text, (size_t)(at - scrypt_text)).code, 0);
    assert_int_equal(buf_append_str(&text, to).code, 0);
    assert_int_equal(buf_append_str(&text, at + strlen(from)).code, 0);
    cc_err err = eip2335_parse(text.data, text.len, &keystore);
    buf_release(&text);
    return err;
}

static void test_scrypt(void **state)
{
    (void)state;
    assert_int_equal(parse_with("d", "d").code, 0);
    assert_int_equal(keystore.kdf, K_KDF_SCRYPT);
    assert_int_equal(keystore.n, 262144);
    assert_int_equal(keystore.r, 8);
    assert_int_equal(keystore.p, 1);
    assert_int_equal(keystore.salt_len, 32);
    assert_int_equal(keystore.salt[0], 0xd4);
    assert_int_equal(keystore.salt[31], 0xa3);
    assert_int_equal(keystore.iv[15], 0xe6);
    assert_int_equal(keystore.checksum[0], 0xd2);
    assert_int_equal(keystore.ciphertext[31], 0x0f);
    assert_int_equal(keystore.has_pubkey, 1);
    assert_int_equal(keystore.pubkey.bytes[47], 0x07);
    assert_int_equal(keystore.password_len, 0);
}

static void test_pbkdf2(void **state)
{
    (void)state;
    assert_int_equal(
        parse_with("\"scrypt\", \"params\": {\"dklen\": 32, \"n\": 262144, ", pbkdf2_params).code,
        0);
    assert_int_equal(keystore.kdf, K_KDF_PBKDF2_SHA256);
    assert_int_equal(keystore.c, 262144);
    assert_int_equal(keystore.n, 0);
}

static void test_what_may_be_left_out_or_added(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"\"path\": \"m/12381/60/3141592653/589793238\", ", ""},
        {"\"uuid\": \"1d85ae20-35c5-4611-98e8-aa14a633906f\", ", ""},
        {"\"description\": \"d\", ", ""},
        {"\"description\": \"d\"", "\"description\": null, \"name\": [1, {\"x\": 2}]"},
        {"\"params\": {}, ", ""},
        {", \"message\": \"\"", ""},
        {"\"dklen\": 32", "\"dklen\": 32, \"extra\": 1e3"},
        {"\"264daa3f", "\"0x264DAA3F"},
        {"\"r\": 8, ", "\"r\": 1, "},
        {"\"n\": 262144", "\"n\": 2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(parse_with(rows[i][0], rows[i][1]).code, 0);
    assert_int_equal(parse_with("\"pubkey\": \"" PUBKEY "\", ", "").code, 0);
    assert_int_equal(keystore.has_pubkey, 0);
    assert_int_equal(parse_with("\"" PUBKEY "\"", "null").code, 0);
    assert_int_equal(keystore.has_pubkey, 0);
    assert_int_equal(parse_with("\"" PUBKEY, "\"0x" PUBKEY).code, 0);
    assert_int_equal(keystore.has_pubkey, 1);
}

static void test_refusals_name_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        const char *why;
    } rows[] = {
        {"\"version\": 4", "\"version\": 3", "version: only 4 is supported"},
        {"\"version\": 4", "\"version\": 4.0", "version: 4 expected"},
        {"\"version\": 4", "\"version\": \"4\"", "version: 4 expected"},
        {"\"version\": 4", "\"Version\": 4", "version: 4 expected"},
        {"\"crypto\": {", "\"crypto\": [], \"x\": {", "crypto: object expected"},
        {"\"kdf\"", "\"Kdf\"", "crypto.kdf: object expected"},
        {"\"scrypt\"", "\"argon2id\"", "crypto.kdf.function: only scrypt and pbkdf2 are supported"},
        {"\"scrypt\"", "null", "crypto.kdf.function: text expected"},
        {"\"dklen\": 32", "\"dklen\": 64", "crypto.kdf.params.dklen: only 32 is supported"},
        {"\"dklen\": 32", "\"dklen\": -32", "crypto.kdf.params.dklen: 32 expected"},
        {"\"n\": 262144", "\"n\": 262143", "crypto.kdf.params.n: a power of two above 1 expected"},
        {"\"n\": 262144", "\"n\": 1", "crypto.kdf.params.n: a power of two above 1 expected"},
        {"\"n\": 262144", "\"n\": 0", "crypto.kdf.params.n: out of range"},
        {"\"n\": 262144", "\"n\": 262144.0", "crypto.kdf.params.n: out of range"},
        {"\"n\": 262144", "\"n\": 2.62144e5", "crypto.kdf.params.n: out of range"},
        {"\"n\": 262144", "\"n\": \"262144\"", "crypto.kdf.params.n: out of range"},
        {"\"n\": 262144", "\"n\": 18446744073709551618", "crypto.kdf.params.n: out of range"},
        {"\"n\": 262144", "\"n\": 4294967296", "crypto.kdf.params.n: out of range"},
        {"\"n\": 262144", "\"n\": 2147483648",
         "crypto.kdf.params: scrypt would need too much memory"},
        {"\"r\": 8", "\"r\": 4294967295", "crypto.kdf.params: scrypt would need too much memory"},
        {"\"r\": 8", "\"r\": 0", "crypto.kdf.params.r: out of range"},
        {"\"p\": 1", "\"p\": 17", "crypto.kdf.params.p: out of range"},
        {"\"salt\": \"", "\"salt\": \"0", "crypto.kdf.params.salt: 1 to 256 bytes of hex expected"},
        {"\"salt\"", "\"pepper\"", "crypto.kdf.params.salt: 1 to 256 bytes of hex expected"},
        {"\"salt\": \"", "\"salt\": \"\", \"x\": \"",
         "crypto.kdf.params.salt: 1 to 256 bytes of hex expected"},
        {"\"sha256\"", "\"SHA256\"", "crypto.checksum.function: only sha256 is supported"},
        {"\"d2217f", "\"2217f", "crypto.checksum.message: 32 bytes of hex expected"},
        {"\"aes-128-ctr\"", "\"aes-128-cbc\"",
         "crypto.cipher.function: only aes-128-ctr is supported"},
        {"\"264daa", "\"264daa00", "crypto.cipher.params.iv: 16 bytes of hex expected"},
        {"\"06ae", "\"06", "crypto.cipher.message: 32 bytes of hex expected"},
        {"\"06ae", "\"06zz", "crypto.cipher.message: 32 bytes of hex expected"},
        {"\"" PUBKEY, "\"00" PUBKEY, "pubkey: 48 bytes of hex expected"},
        {"\"" PUBKEY, "\"", "pubkey: 48 bytes of hex expected"},
        {"\"" PUBKEY "\"", "7", "pubkey: 48 bytes of hex expected"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cc_err err = parse_with(rows[i].from, rows[i].to);
        if (err.code != ERROR_KEYSTORE)
            print_error("row %zu: %s\n", i, rows[i].to);
        assert_int_equal(err.code, ERROR_KEYSTORE);
        assert_string_equal(error_detail(), rows[i].why);
    }
}

static void test_pbkdf2_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        const char *why;
    } rows[] = {
        {"\"c\": 0, \"prf\": \"hmac-sha256\"", "crypto.kdf.params.c: out of range"},
        {"\"c\": 16777217, \"prf\": \"hmac-sha256\"", "crypto.kdf.params.c: out of range"},
        {"\"prf\": \"hmac-sha256\"", "crypto.kdf.params.c: out of range"},
        {"\"c\": 1, \"prf\": \"hmac-sha512\"",
         "crypto.kdf.params.prf: only hmac-sha256 is supported"},
        {"\"c\": 1", "crypto.kdf.params.prf: hmac-sha256 expected"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char to[256];
        (void)snprintf(to, sizeof to, "\"pbkdf2\", \"params\": {%s, \"dklen\": 32, \"n\": 262144, ",
                       rows[i].params);
        assert_int_equal(
            parse_with("\"scrypt\", \"params\": {\"dklen\": 32, \"n\": 262144, ", to).code,
            ERROR_KEYSTORE);
        assert_string_equal(error_detail(), rows[i].why);
    }
}

static void test_json_is_strict(void **state)
{
    (void)state;
    assert_int_equal(parse_with("\"version\": 4", "\"version\": 4, \"version\": 4").code,
                     ERROR_JSON_DUPLICATE_KEY);
    assert_int_equal(parse_with("\"version\": 4", "\"version\": 4,").code, ERROR_JSON_SYNTAX);
    assert_int_equal(parse_with("\"version\": 4}", "\"version\": 4} x").code, ERROR_JSON_SYNTAX);
    uint8_t array[] = "[1]";
    assert_int_equal(eip2335_parse(array, 3, &keystore).code, ERROR_KEYSTORE);
    assert_int_equal(eip2335_parse(array, 0, &keystore).code, ERROR_JSON_SYNTAX);
    uint8_t *large = cc_alloc(EIP2335_TEXT_MAX + 1);
    memset(large, ' ', EIP2335_TEXT_MAX + 1);
    assert_int_equal(eip2335_parse(large, EIP2335_TEXT_MAX + 1, &keystore).code, ERROR_KEYSTORE);
    assert_int_equal(eip2335_parse(large, EIP2335_TEXT_MAX, &keystore).code, ERROR_JSON_SYNTAX);
    cc_free(large);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        uint8_t text[sizeof scrypt_text];
        memcpy(text, scrypt_text, sizeof text);
        (void)alloc_fail_nth(nth);
        cc_err err = eip2335_parse(text, sizeof text - 1, &keystore);
        (void)alloc_fail_nth(0);
        if (!err.code) {
            assert_true(nth > 1);
            return;
        }
        assert_int_equal(err.code, ERROR_NO_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scrypt),
        cmocka_unit_test(test_pbkdf2),
        cmocka_unit_test(test_what_may_be_left_out_or_added),
        cmocka_unit_test(test_refusals_name_the_field),
        cmocka_unit_test(test_pbkdf2_refusals),
        cmocka_unit_test(test_json_is_strict),
        cmocka_unit_test(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
