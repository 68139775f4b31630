/* EIP-2335: the keystores of other implementations, and what is refused. The JSON is read here in the test's own way;
 * the product's parser is keys/eip2335.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/utf8.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "crypto/self_test.h"
#include "crypto/sha256.h"
#include "secret/ct.h"
#include "support/test.h"
#include "support/vectors.h"
#include "vault/key_door.h"

enum {
    EXPENSIVE_MAX = 4
};

static struct keystore_gate gate;
static unsigned expensive;
static unsigned opened;

static const cJSON *at(const cJSON *object, const char *path)
{
    char name[64];
    while (object && *path) {
        size_t len = strcspn(path, ".");
        (void)snprintf(name, sizeof name, "%.*s", (int)len, path);
        object = cJSON_GetObjectItemCaseSensitive(object, name);
        path += len + (path[len] == '.');
    }
    return object;
}

static size_t hex_at(const cJSON *object, const char *path, uint8_t *ret_bytes, size_t max)
{
    const char *digits = cJSON_GetStringValue(at(object, path));
    assert_non_null(digits);
    if (strncmp(digits, "0x", 2) == 0)
        digits += 2;
    size_t len = strlen(digits) / 2;
    assert_true(len <= max);
    assert_int_equal(ct_hex_decode(digits, ret_bytes, len).code, 0);
    return len;
}

static uint64_t number_at(const cJSON *object, const char *path)
{
    const cJSON *number = at(object, path);
    return number ? (uint64_t)number->valuedouble : 0;
}

static void read_keystore(const cJSON *json, const char *password, struct k_keystore *k)
{
    size_t len = 0;
    *k = (struct k_keystore){.id = 1};
    k->kdf = strcmp(cJSON_GetStringValue(at(json, "crypto.kdf.function")), "scrypt") == 0
                 ? K_KDF_SCRYPT
                 : K_KDF_PBKDF2_SHA256;
    k->n = number_at(json, "crypto.kdf.params.n");
    k->r = (uint32_t)number_at(json, "crypto.kdf.params.r");
    k->p = (uint32_t)number_at(json, "crypto.kdf.params.p");
    k->c = (uint32_t)number_at(json, "crypto.kdf.params.c");
    k->salt_len = (uint32_t)hex_at(json, "crypto.kdf.params.salt", k->salt, sizeof k->salt);
    assert_int_equal(hex_at(json, "crypto.cipher.params.iv", k->iv, 16), 16);
    assert_int_equal(hex_at(json, "crypto.checksum.message", k->checksum, 32), 32);
    assert_int_equal(hex_at(json, "crypto.cipher.message", k->ciphertext, 32), 32);
    assert_int_equal(utf8_password(span_str(password), k->password, sizeof k->password, &len).code,
                     0);
    k->password_len = (uint32_t)len;
}

static bool too_expensive(const struct k_keystore *k)
{
    return k->kdf == K_KDF_SCRYPT && k->n > 65536 && expensive++ >= EXPENSIVE_MAX &&
           !getenv("CC_FULL");
}

static void open_one(const char *folder, const cJSON *entry)
{
    char path[512];
    size_t len = 0;
    uint8_t want[32];
    struct k_keystore k;
    struct bls_secret secret;
    struct bls_secret expected;
    if (!at(entry, "secret"))
        return; /* not to be opened; what is wrong with it is the parser's to find */
    (void)snprintf(path, sizeof path, "eip2335-keystores/%s/%s", folder,
                   cJSON_GetStringValue(at(entry, "file")));
    char *text = vectors_read(path, &len);
    cJSON *json = cJSON_Parse(text);
    assert_non_null(json);
    read_keystore(json, cJSON_GetStringValue(at(entry, "password")), &k);
    if (!too_expensive(&k)) {
        (void)hex_at(entry, "secret", want, sizeof want);
        cc_err err = keystore_decrypt(&gate, &k, &secret);
        if (err.code)
            print_message("%s: %s\n", path, error_name(err));
        assert_int_equal(err.code, 0);
        assert_int_equal(bls_secret_parse(want, &expected).code, 0);
        assert_memory_equal(&secret, &expected, sizeof secret);
        opened++;
    }
    cJSON_Delete(json);
    free(text);
}

static void test_opens_the_keystores_of_others(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "chainsafe-bls-keystore", "generated-chainsafe-bls-keystore-3.1.0",
        "staking-deposit-cli",    "teku-bls-keystore",
        "web3signer-acceptance",  "web3signer-bls-keystore"};
    if (!vectors_present("eip2335-keystores", "keystores"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        char path[512];
        size_t len = 0;
        const cJSON *entry;
        (void)snprintf(path, sizeof path, "eip2335-keystores/%s/INDEX.json", folders[i]);
        char *text = vectors_read(path, &len);
        /* cJSON ends strings at NUL; any other control code is as good, for all are left out of passwords. */
        for (char *nul = text; (nul = strstr(nul, "\\u0000")) != NULL;)
            nul[5] = '1';
        cJSON *index = cJSON_Parse(text);
        cJSON_ArrayForEach(entry, index) open_one(folders[i], entry);
        cJSON_Delete(index);
        free(text);
    }
    print_message("%u keystores opened\n", opened);
    assert_true(opened > 100);
}

/* A keystore that costs one round of PBKDF2; what it holds does not fit its password yet. */
static struct k_keystore example(void)
{
    struct k_keystore k = {.id = 1, .kdf = K_KDF_PBKDF2_SHA256, .c = 1, .salt_len = 1};
    k.password_len = 4;
    memcpy(k.password, "test", 4);
    return k;
}

/* Makes the keystore hold `plain`. */
static void seal(struct k_keystore *k, const uint8_t plain[static 32])
{
    uint8_t key[32];
    uint8_t image[48];
    assert_int_equal(kdf_pbkdf2_sha256(span_of(k->password, k->password_len),
                                       span_of(k->salt, k->salt_len), k->c, key, sizeof key)
                         .code,
                     0);
    assert_int_equal(aes128_ctr(key, k->iv, span_of(plain, 32), k->ciphertext).code, 0);
    memcpy(image, key + 16, 16);
    memcpy(image + 16, k->ciphertext, 32);
    sha256(span_of(image, sizeof image), k->checksum);
}

static uint32_t refuse(const struct k_keystore *k)
{
    struct bls_secret secret;
    memset(&secret, 0xee, sizeof secret);
    cc_err err = keystore_decrypt(&gate, k, &secret);
    assert_true(err.code != 0);
    assert_true(ct_is_zero(&secret, sizeof secret));
    return (uint32_t)err.code;
}

static void test_P13_refusals(void **state)
{
    (void)state;
    const uint8_t plain[32] = {[31] = 5};
    struct bls_secret secret;
    struct k_keystore good = example();
    struct k_keystore k;
    seal(&good, plain);
    assert_int_equal(keystore_decrypt(&gate, &good, &secret).code, 0);
    good.has_pubkey = 1;
    bls_secret_public(&secret, good.pubkey.bytes);
    assert_int_equal(keystore_decrypt(&gate, &good, &secret).code, 0);

    k = good;
    k.pubkey.bytes[47] ^= 1;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE_PUBKEY);
    k = good;
    k.password[3] ^= 1;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE_PASSWORD);
    k = good;
    k.password_len--;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE_PASSWORD);
    k = good;
    k.ciphertext[0] ^= 1;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE_PASSWORD);
    k = good;
    k.salt[0] ^= 1;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE_PASSWORD);
    k = good;
    k.iv[0] ^= 1; /* not under the checksum: another secret comes out, the public key tells */
    assert_true(refuse(&k) == ERROR_KEYSTORE_PUBKEY || refuse(&k) == ERROR_KEY_INVALID);
}

static void test_refuses_secrets_out_of_the_field(void **state)
{
    (void)state;
    uint8_t plain[32] = {0};
    struct k_keystore k = example();
    seal(&k, plain);
    assert_int_equal(refuse(&k), ERROR_KEY_INVALID);
    memset(plain, 0xff, sizeof plain);
    seal(&k, plain);
    assert_int_equal(refuse(&k), ERROR_KEY_INVALID);
}

static void test_refuses_parameters_out_of_range(void **state)
{
    (void)state;
    const struct k_keystore good = example();
    struct k_keystore k = good;
    k.c = 0;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE);
    k.c = KDF_PBKDF2_MAX + 1;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE);
    for (uint32_t kdf = 0; kdf < 5; kdf++) {
        k = good;
        k.kdf = kdf == K_KDF_PBKDF2_SHA256 ? 99 : kdf; /* scrypt: n, r, p are zero */
        assert_int_equal(refuse(&k), ERROR_KEYSTORE);
    }
    k = good;
    k.salt_len = K_SALT_MAX + 1;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE);
    k = good;
    k.password_len = K_PASSWORD_MAX + 1;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE);
    k = good;
    k.kdf = K_KDF_SCRYPT;
    k.n = 262144;
    k.r = 17;
    k.p = 1;
    assert_int_equal(refuse(&k), ERROR_KEYSTORE);
}

/* A budget for one: many threads get through one after the other, and none is lost. */
static void *derive_small(void *argument)
{
    const struct k_keystore *k = argument;
    struct bls_secret secret;
    cc_err err = keystore_decrypt(&gate, k, &secret);
    return error_is(err, ERROR_KEYSTORE_PASSWORD) ? NULL : argument;
}

static void test_the_budget_lets_all_through(void **state)
{
    (void)state;
    pthread_t threads[6];
    void *failed = NULL;
    struct k_keystore k = example();
    k.kdf = K_KDF_SCRYPT;
    k.n = 16384;
    k.r = 8;
    k.p = 1;
    const size_t budgets[] = {(16 << 20) + 1, 0}; /* fits one of 16 MiB; fits none: one alone */
    for (size_t b = 0; b < ARRAY_LEN(budgets); b++) {
        gate.budget = budgets[b];
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            assert_int_equal(pthread_create(&threads[i], NULL, derive_small, &k), 0);
        for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
            assert_int_equal(pthread_join(threads[i], &failed), 0);
            assert_null(failed);
        }
        assert_int_equal(gate.used, 0);
    }
    gate.budget = KDF_SCRYPT_MEMORY_MAX;
}

static struct vault vault;
static struct door_message *message;
static struct door_message *result;

static const struct k_result *ask(uint16_t type, const void *items, size_t size, uint32_t count)
{
    memcpy(message->items, items, size * count);
    message->head = (struct door_head){DOOR_VERSION, type, 0, count, (uint32_t)size};
    assert_int_equal(
        door_check(message, sizeof message->head + size * count, 0, door_key_to_vault).code, 0);
    key_door_answer(&vault, message, result);
    assert_int_equal(result->head.type, K_RESULT);
    assert_int_equal(result->head.count, count);
    return (const void *)result->items;
}

static void test_the_key_door_names_each_fault(void **state)
{
    (void)state;
    const uint8_t plain[32] = {[31] = 9};
    struct k_keystore k = example();
    struct k_raw raw[3] = {{.id = 1}, {.id = 2}, {.id = 3}};
    struct k_have have = {.id = 4};
    assert_int_equal(vault_open(0, 0, NULL, &vault).code, 0);
    seal(&k, plain);
    const struct k_result *r = ask(K_KEYSTORE, &k, sizeof k, 1);
    assert_int_equal(r->error, 0);
    assert_int_equal(r->existed, 0);
    have.pubkey = r->pubkey;
    r = ask(K_HAVE, &have, sizeof have, 1);
    assert_int_equal(r->error, 0);
    assert_int_equal(r->existed, 1);
    have.pubkey.bytes[9] ^= 1;
    assert_int_equal(ask(K_HAVE, &have, sizeof have, 1)->error, ERROR_KEY_UNKNOWN);

    raw[0].secret[31] = 9; /* the same key again */
    raw[2].secret[31] = 11;
    raw[2].has_pubkey = 1;
    r = ask(K_RAW, raw, sizeof raw[0], 3);
    assert_int_equal(r[0].error, 0);
    assert_int_equal(r[0].existed, 1);
    assert_int_equal(r[1].error, ERROR_KEY_INVALID);
    assert_int_equal(r[2].error, ERROR_KEYSTORE_PUBKEY);
    assert_int_equal(key_table_count(vault.keys), 1);
    vault_seal(&vault);
    assert_int_equal(ask(K_RAW, raw, sizeof raw[0], 1)->error, ERROR_SEALED);
    assert_int_equal(ask(K_KEYSTORE, &k, sizeof k, 1)->error, ERROR_SEALED);
    vault_close(&vault);
}

static int set_up(void **state)
{
    (void)state;
    keystore_gate_init(&gate, KDF_SCRYPT_MEMORY_MAX);
    message = calloc(1, sizeof *message);
    result = calloc(1, sizeof *result);
    return message && result ? crypto_self_test().code : -1;
}

static int tear_down(void **state)
{
    (void)state;
    keystore_gate_destroy(&gate);
    free(message);
    free(result);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_the_keystores_of_others),
        cmocka_unit_test(test_P13_refusals),
        cmocka_unit_test(test_refuses_secrets_out_of_the_field),
        cmocka_unit_test(test_refuses_parameters_out_of_range),
        cmocka_unit_test(test_the_budget_lets_all_through),
        cmocka_unit_test(test_the_key_door_names_each_fault),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
