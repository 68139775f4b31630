/* Trees of keys and sentences of words, against the vectors of EIP-2333, of BIP-39, and keys that another implementation made. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/hex.h"
#include "crypto/bip39.h"
#include "crypto/eip2333.h"
#include "support/test.h"
#include "support/vectors.h"

#define FOLDER    "eip2333-2334-derivation"
#define CLI       FOLDER "/staking-deposit-cli/"
#define GENERATED FOLDER "/generated-chainsafe-bls-keygen-0.4.0/derivation.json"

static cJSON *read_json(const char *path)
{
    size_t len;
    char *text = vectors_read(path, &len);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    free(text);
    return json;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItem(object, name);
    assert_true(cJSON_IsString(value));
    return value->valuestring;
}

/* Decimal digits as 32 big-endian bytes. */
static void from_decimal(const char *digits, uint8_t out[static 32])
{
    memset(out, 0, 32);
    for (; *digits; digits++) {
        uint32_t carry = (uint32_t)(*digits - '0');
        for (size_t i = 32; i--;) {
            carry += out[i] * UINT32_C(10);
            out[i] = (uint8_t)carry;
            carry >>= 8;
        }
        assert_int_equal(carry, 0);
    }
}

static void assert_secret(const struct bls_secret *secret, const uint8_t want[static 32])
{
    uint8_t got[32];
    bls_secret_bytes(secret, got);
    assert_memory_equal(got, want, sizeof got);
}

static void assert_secret_hex(const struct bls_secret *secret, const char *hex)
{
    uint8_t want[32];
    assert_int_equal(hex_decode(hex_digits(span_str(hex)), want, sizeof want).code, 0);
    assert_secret(secret, want);
}

/* cJSON would take the numbers for doubles. */
static void number_after(const char *text, const char *name, char *ret, size_t room)
{
    const char *at = strstr(text, name);
    assert_non_null(at);
    at += strlen(name) + strspn(at + strlen(name), "\": ");
    size_t len = strspn(at, "0123456789");
    assert_true(len && len < room);
    memcpy(ret, at, len);
    ret[len] = 0;
}

static void test_the_cases_of_the_eip(void **state)
{
    (void)state;
    unsigned cases = 0;
    size_t len;
    if (!vectors_present(FOLDER, "trees of keys"))
        return;
    char *text = vectors_read(CLI "tree_kdf.json", &len);
    for (const char *at = text; (at = strstr(at, "\"seed\"")) != NULL; at++, cases++) {
        char number[100];
        uint8_t seed[64], want[32];
        size_t seed_len;
        struct bls_secret node;
        const char *hex = strchr(at + 6, '"') + 1;
        hex += strncmp(hex, "0x", 2) == 0 ? 2 : 0;
        assert_int_equal(
            hex_decode_some(span_of(hex, strcspn(hex, "\"")), seed, sizeof seed, &seed_len).code,
            0);
        assert_int_equal(eip2333_master(span_of(seed, seed_len), &node).code, 0);
        number_after(at, "master_SK", number, sizeof number);
        from_decimal(number, want);
        assert_secret(&node, want);
        number_after(at, "child_index", number, sizeof number);
        eip2333_child(&node, (uint32_t)strtoul(number, NULL, 10), &node);
        number_after(at, "child_SK", number, sizeof number);
        from_decimal(number, want);
        assert_secret(&node, want);
    }
    assert_int_equal(cases, 4);
    free(text);
}

static void walk(struct bls_secret *node, const char *path)
{
    for (const char *at = path; (at = strchr(at, '/')) != NULL;) {
        char *end;
        eip2333_child(node, (uint32_t)strtoul(++at, &end, 10), node);
    }
}

static void check_key(struct span seed, const struct bls_secret *master, const cJSON *key)
{
    struct bls_secret node = *master;
    const char *path = text_of(key, "path");
    walk(&node, path);
    assert_secret_hex(&node, text_of(key, "secretKey"));
    unsigned index;
    int used = 0;
    if (sscanf(path, "m/12381/3600/%u/0/0%n", &index, &used) != 1 || path[used] || !used)
        return;
    assert_int_equal(eip2334_validators(seed, &node).code, 0);
    eip2334_signing_key(&node, index, &node);
    assert_secret_hex(&node, text_of(key, "secretKey"));
}

static void check_tree(const cJSON *tree)
{
    uint8_t seed[BIP39_SEED_SIZE];
    size_t len = sizeof seed;
    struct bls_secret master;
    const cJSON *key;
    if (cJSON_HasObjectItem(tree, "mnemonic"))
        assert_int_equal(bip39_seed(span_str(text_of(tree, "mnemonic")),
                                    span_str(text_of(tree, "passphrase")), seed)
                             .code,
                         0);
    else
        assert_int_equal(
            hex_decode_some(hex_digits(span_str(text_of(tree, "seed"))), seed, sizeof seed, &len)
                .code,
            0);
    assert_int_equal(eip2333_master(span_of(seed, len), &master).code, 0);
    assert_secret_hex(&master, text_of(tree, "master_SK"));
    cJSON_ArrayForEach(key, cJSON_GetObjectItem(tree, "keys"))
        check_key(span_of(seed, len), &master, key);
}

static void test_keys_that_another_implementation_made(void **state)
{
    (void)state;
    int trees = 0;
    if (!vectors_present(FOLDER, "trees of keys"))
        return;
    cJSON *json = read_json(GENERATED);
    const cJSON *tree;
    cJSON_ArrayForEach(tree, json)
    {
        check_tree(tree);
        trees++;
    }
    assert_int_equal(trees, 10);
    cJSON_Delete(json);
}

static void test_words_and_seeds_of_bip_39(void **state)
{
    (void)state;
    int sentences = 0;
    if (!vectors_present(FOLDER, "words"))
        return;
    cJSON *json = read_json(CLI "mnemonic.json");
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "english"))
    {
        uint8_t entropy[32], seed[BIP39_SEED_SIZE], want[BIP39_SEED_SIZE];
        char text[BIP39_TEXT_MAX];
        size_t len;
        const char *words = cJSON_GetArrayItem(row, 1)->valuestring;
        assert_int_equal(
            hex_decode(span_str(cJSON_GetArrayItem(row, 2)->valuestring), want, sizeof want).code,
            0);
        assert_int_equal(bip39_seed(span_str(words), span_str("TREZOR"), seed).code, 0);
        assert_memory_equal(seed, want, sizeof want);
        if (hex_decode(span_str(cJSON_GetArrayItem(row, 0)->valuestring), entropy, sizeof entropy)
                .code)
            continue; /* of fewer words */
        bip39_words(entropy, text, &len);
        assert_true(span_is(span_of(text, len), words));
        sentences++;
    }
    assert_int_equal(sentences, 8);
    cJSON_Delete(json);
}

static void test_refusals(void **state)
{
    (void)state;
    static const uint8_t seed[257];
    uint8_t out[BIP39_SEED_SIZE];
    struct bls_secret node;
    assert_true(error_is(eip2333_master(span_of(seed, 31), &node), ERROR_NUMBER_RANGE));
    assert_int_equal(eip2333_master(span_of(seed, 32), &node).code, 0);
    assert_true(
        error_is(bip39_seed(span_str("words"), span_of(seed, 257), out), ERROR_NUMBER_RANGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_cases_of_the_eip),
        cmocka_unit_test(test_keys_that_another_implementation_made),
        cmocka_unit_test(test_words_and_seeds_of_bip_39),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
