/* The consensus layer's BLS vectors, and the edges of the scalar field. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bls.h"
#include "secret/ct.h"
#include "support/test.h"
#include "support/vectors.h"

#define VECTORS "bls12-381-tests/json-v0.1.1/"

/* Decodes hex with or without 0x; false unless it is exactly `len` bytes. */
static bool unhex(const cJSON *text, uint8_t *ret_bytes, size_t len)
{
    const char *digits = cJSON_GetStringValue(text);
    assert_non_null(digits);
    if (strncmp(digits, "0x", 2) == 0)
        digits += 2;
    return strlen(digits) == 2 * len && !ct_hex_decode(digits, ret_bytes, len).code;
}

typedef void check_fn(const cJSON *input, const cJSON *output);

/* Calls `check` for each file of a folder; returns how many. */
static size_t for_each(const char *folder, check_fn *check)
{
    size_t count = 0;
    char path[512];
    (void)snprintf(path, sizeof path, VECTORS "%s", folder);
    if (!vectors_present(path, folder))
        return 0;
    DIR *directory = opendir(vectors_path(path));
    assert_non_null(directory);
    for (struct dirent *e; (e = readdir(directory)) != NULL;) {
        size_t len = 0;
        if (!strstr(e->d_name, ".json"))
            continue;
        (void)snprintf(path, sizeof path, VECTORS "%s/%s", folder, e->d_name);
        char *text = vectors_read(path, &len);
        cJSON *json = cJSON_Parse(text);
        assert_non_null(json);
        check(cJSON_GetObjectItem(json, "input"), cJSON_GetObjectItem(json, "output"));
        cJSON_Delete(json);
        free(text);
        count++;
    }
    assert_int_equal(closedir(directory), 0);
    return count;
}

static void check_sign(const cJSON *input, const cJSON *output)
{
    uint8_t key[BLS_SECRET_SIZE];
    uint8_t root[BLS_ROOT_SIZE];
    uint8_t want[BLS_SIGNATURE_SIZE];
    uint8_t got[BLS_SIGNATURE_SIZE];
    uint8_t public_key[BLS_PUBLIC_SIZE];
    struct bls_secret secret;
    struct bls_hash hash;
    assert_true(unhex(cJSON_GetObjectItem(input, "privkey"), key, sizeof key));
    assert_true(unhex(cJSON_GetObjectItem(input, "message"), root, sizeof root));
    cc_err err = bls_secret_parse(key, &secret);
    if (cJSON_IsNull(output)) {
        assert_int_equal(err.code, ERROR_KEY_INVALID);
        assert_true(ct_is_zero(&secret, sizeof secret));
        return;
    }
    assert_int_equal(err.code, 0);
    assert_true(unhex(output, want, sizeof want));
    bls_hash(root, &hash);
    bls_sign(&secret, &hash, got);
    assert_memory_equal(got, want, sizeof got);
    bls_secret_public(&secret, public_key);
    assert_int_equal(bls_verify(public_key, root, got).code, 0);
}

static void test_sign_vectors(void **state)
{
    (void)state;
    size_t n = for_each("sign", check_sign);
    assert_true(n == 0 || n == 10);
}

static void check_verify(const cJSON *input, const cJSON *output)
{
    uint8_t public_key[BLS_PUBLIC_SIZE];
    uint8_t root[BLS_ROOT_SIZE];
    uint8_t signature[BLS_SIGNATURE_SIZE];
    bool formed = unhex(cJSON_GetObjectItem(input, "pubkey"), public_key, sizeof public_key) &&
                  unhex(cJSON_GetObjectItem(input, "message"), root, sizeof root) &&
                  unhex(cJSON_GetObjectItem(input, "signature"), signature, sizeof signature);
    assert_true(formed);
    cc_err err = bls_verify(public_key, root, signature);
    assert_int_equal(err.code, cJSON_IsTrue(output) ? 0 : ERROR_CRYPTO);
}

static void test_verify_vectors(void **state)
{
    (void)state;
    size_t n = for_each("verify", check_verify);
    assert_true(n == 0 || n > 20);
}

static void check_g1(const cJSON *input, const cJSON *output)
{
    uint8_t bytes[BLS_PUBLIC_SIZE];
    bool ok = unhex(cJSON_GetObjectItem(input, "pubkey"), bytes, sizeof bytes) &&
              bls_public_decodes(bytes);
    assert_int_equal(ok, cJSON_IsTrue(output));
}

static void check_g2(const cJSON *input, const cJSON *output)
{
    uint8_t bytes[BLS_SIGNATURE_SIZE];
    bool ok = unhex(cJSON_GetObjectItem(input, "signature"), bytes, sizeof bytes) &&
              bls_signature_decodes(bytes);
    assert_int_equal(ok, cJSON_IsTrue(output));
}

static void test_deserialization_vectors(void **state)
{
    (void)state;
    size_t n = for_each("deserialization_G1", check_g1);
    assert_true(n == 0 || n > 10);
    n = for_each("deserialization_G2", check_g2);
    assert_true(n == 0 || n > 10);
}

/* r, the group order, from the BLS12-381 standard. */
static const char order[] = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";

static void test_scalars_at_the_edges(void **state)
{
    (void)state;
    uint8_t bytes[BLS_SECRET_SIZE] = {0};
    uint8_t public_key[BLS_PUBLIC_SIZE];
    struct bls_secret secret;
    struct bls_hash hash;
    const uint8_t root[BLS_ROOT_SIZE] = {9};
    uint8_t signature[BLS_SIGNATURE_SIZE];
    assert_int_equal(bls_secret_parse(bytes, &secret).code, ERROR_KEY_INVALID);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(bls_secret_parse(bytes, &secret).code, ERROR_KEY_INVALID);
    assert_true(ct_is_zero(&secret, sizeof secret));
    assert_int_equal(ct_hex_decode(order, bytes, sizeof bytes).code, 0);
    assert_int_equal(bls_secret_parse(bytes, &secret).code, ERROR_KEY_INVALID);
    bytes[31]++;
    assert_int_equal(bls_secret_parse(bytes, &secret).code, ERROR_KEY_INVALID);

    bls_hash(root, &hash);
    bytes[31] = 0; /* r - 1 */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bls_secret_parse(bytes, &secret).code, 0);
        bls_secret_public(&secret, public_key);
        bls_sign(&secret, &hash, signature);
        assert_int_equal(bls_verify(public_key, root, signature).code, 0);
        memset(bytes, 0, sizeof bytes);
        bytes[31] = 1;
    }
}

/* The point at infinity verifies every signature of the zero key: it is no public key. */
static void test_infinity_is_no_public_key(void **state)
{
    (void)state;
    const uint8_t infinity[BLS_PUBLIC_SIZE] = {0xc0};
    const uint8_t signature[BLS_SIGNATURE_SIZE] = {0xc0};
    const uint8_t root[BLS_ROOT_SIZE] = {0};
    assert_true(bls_public_decodes(infinity));
    assert_int_equal(bls_verify(infinity, root, signature).code, ERROR_CRYPTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sign_vectors),
        cmocka_unit_test(test_verify_vectors),
        cmocka_unit_test(test_deserialization_vectors),
        cmocka_unit_test(test_scalars_at_the_edges),
        cmocka_unit_test(test_infinity_is_no_public_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
