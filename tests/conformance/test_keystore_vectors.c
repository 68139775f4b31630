/* Every EIP-2335 file of the vectors: read, and decrypted with the password of its folder's INDEX.json.
 *
 * Where an index says that a file can be decrypted and we refuse it, EIP-2335 is stricter than the decryption that made
 * the index: these are the rows of `refused` below. Nothing in these folders is refused by us alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"

#include "codec/hex.h"
#include "codec/json.h"
#include "codec/utf8.h"
#include "keys/eip2335.h"
#include "support/keystore.h"
#include "support/test.h"

static const struct {
    const char *file;
    const char *why;
} refused[] = {
    {"missingCrypto.json", "crypto: object expected"},
    {"missingKdfSectionTestVector.json", "crypto.kdf.params: object expected"},
    {"missingVersion.json", "version: 4 expected"},
    {"unsupportedChecksumFunction.json", "crypto.checksum.function: only sha256 is supported"},
    {"unsupportedCipherFunction.json", "crypto.cipher.function: only aes-128-ctr is supported"},
    {"unsupportedDkLen.json", "crypto.kdf.params.dklen: only 32 is supported"},
    {"unsupportedKdfFunction.json", "crypto.kdf.function: only scrypt and pbkdf2 are supported"},
    {"unsupportedPBKDF2Prf.json", "crypto.kdf.params.prf: only hmac-sha256 is supported"},
    {"v3TestVector.json", "version: only 4 is supported"},
};

static const char *vectors(void)
{
    const char *path = getenv("CC_VECTORS");
    return path ? path : "../shared/vectors";
}

static void read_file(const char *folder, const char *file, struct buf *ret)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/eip2335-keystores/%s/%s", vectors(), folder, file);
    cc_err err = file_read(path, ret);
    if (err.code)
        print_error("%s\n", path);
    assert_int_equal(err.code, 0);
}

static const char *reason_to_refuse(const char *file)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (!strcmp(refused[i].file, file))
            return refused[i].why;
    return NULL;
}

static void assert_hex(struct span text, const void *bytes, size_t len)
{
    uint8_t want[64];
    assert_int_equal(hex_decode(text, want, len).code, 0);
    assert_memory_equal(bytes, want, len);
}

/* Decrypts with the index entry's password and compares what comes out. */
static void check_entry(struct k_keystore *keystore, struct jval entry)
{
    struct jval value;
    struct span text;
    size_t len;
    uint8_t secret[32];
    struct eth_pubkey pubkey;
    bool matches = true;
    assert_true(jval_member(entry, "password", &value));
    assert_int_equal(jval_text(value, &text).code, 0);
    assert_int_equal(utf8_password(text, keystore->password, K_PASSWORD_MAX, &len).code, 0);
    keystore->password_len = (uint32_t)len;
    if (jval_member(entry, "pubkeyMatches", &value))
        assert_int_equal(jval_bool(value, &matches).code, 0);
    cc_err err = keystore_open(keystore, secret, &pubkey);
    assert_int_equal(err.code, matches ? 0 : ERROR_KEYSTORE_PUBKEY);
    assert_true(jval_member(entry, "secret", &value));
    assert_int_equal(jval_text(value, &text).code, 0);
    assert_hex(text, secret, sizeof secret);
    assert_true(jval_member(entry, matches ? "pubkey" : "derivedPubkey", &value) ||
                jval_member(entry, "derivedPubkey", &value));
    assert_int_equal(jval_text(value, &text).code, 0);
    assert_hex(text, pubkey.bytes, sizeof pubkey.bytes);
    /* The wrong password is refused. */
    keystore->password[0] ^= 1;
    keystore->password_len = keystore->password_len ? keystore->password_len : 1;
    if (keystore->n <= 16384 && keystore->c <= 16384)
        assert_int_equal(keystore_open(keystore, secret, &pubkey).code, ERROR_KEYSTORE_PASSWORD);
}

static void check_file(const char *folder, struct jval entry)
{
    struct jval value;
    struct span name;
    char file[128];
    struct k_keystore keystore;
    assert_true(jval_member(entry, "file", &value));
    assert_int_equal(jval_text(value, &name).code, 0);
    (void)snprintf(file, sizeof file, "%.*s", (int)name.len, (const char *)name.data);
    struct buf text = buf_init(EIP2335_TEXT_MAX);
    read_file(folder, file, &text);
    cc_err err = eip2335_parse(text.data, text.len, &keystore);
    const char *why = reason_to_refuse(file);
    if (why) {
        assert_int_equal(err.code, ERROR_KEYSTORE);
        assert_string_equal(error_detail(), why);
    } else {
        if (err.code)
            print_error("%s/%s: %s\n", folder, file, error_detail());
        assert_int_equal(err.code, 0);
        if (jval_member(entry, "password", &value))
            check_entry(&keystore, entry);
    }
    buf_release(&text);
}

static void check_folder(const char *folder, uint32_t count)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/eip2335-keystores/%s", vectors(), folder);
    FILE *there = fopen(path, "r");
    if (!there) {
        print_message("left out: %s is not there\n", path);
        return;
    }
    (void)fclose(there);
    struct buf text = buf_init(1 << 20);
    struct jdoc index = jdoc_init(65536);
    read_file(folder, "INDEX.json", &text);
    assert_int_equal(jdoc_parse(&index, text.data, text.len).code, 0);
    assert_int_equal(jval_count(jdoc_root(&index)), count);
    struct jval_iter iter = jval_iterate(jdoc_root(&index));
    struct jval entry;
    while (jval_next(&iter, &entry))
        check_file(folder, entry);
    jdoc_release(&index);
    buf_release(&text);
}

static void test_chainsafe(void **state)
{
    (void)state;
    check_folder("chainsafe-bls-keystore", 4);
}

static void test_staking_deposit_cli(void **state)
{
    (void)state;
    check_folder("staking-deposit-cli", 2);
}

static void test_P13_teku_with_a_wrong_pair(void **state)
{
    (void)state;
    check_folder("teku-bls-keystore", 13);
}

static void test_web3signer(void **state)
{
    (void)state;
    check_folder("web3signer-bls-keystore", 12);
    check_folder("web3signer-acceptance", 3);
}

static void test_generated_passwords(void **state)
{
    (void)state;
    check_folder("generated-chainsafe-bls-keystore-3.1.0", 104);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chainsafe),
        cmocka_unit_test(test_staking_deposit_cli),
        cmocka_unit_test(test_P13_teku_with_a_wrong_pair),
        cmocka_unit_test(test_web3signer),
        cmocka_unit_test(test_generated_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
