/* Deposits: the roots and signatures of the vectors, what may be deposited, and the entry of the launchpad's file. */
#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "codec/hex.h"
#include "crypto/bls.h"
#include "eth/deposit.h"
#include "support/test.h"
#include "support/vectors.h"

static const struct eth_address address = {{0xde, 0xad, 0xbe, 0xef, 1}};

static void bytes_of(const cJSON *object, const char *name, void *ret, size_t len)
{
    const cJSON *value = cJSON_GetObjectItem(object, name);
    assert_true(cJSON_IsString(value));
    assert_int_equal(hex_decode(hex_digits(span_str(value->valuestring)), ret, len).code, 0);
}

static void check_vector(const cJSON *row)
{
    const cJSON *request = cJSON_GetObjectItem(cJSON_GetObjectItem(row, "request"), "deposit");
    const cJSON *expected = cJSON_GetObjectItem(row, "expected");
    uint8_t big_endian[32];
    struct deposit deposit;
    struct eth_version version;
    struct eth_signature want, got;
    struct bls_secret secret;
    struct bls_hash hash;
    bytes_of(row, "secretKey", big_endian, sizeof big_endian);
    bytes_of(request, "pubkey", &deposit.pubkey, sizeof deposit.pubkey);
    bytes_of(request, "withdrawal_credentials", &deposit.withdrawal_credentials,
             sizeof deposit.withdrawal_credentials);
    bytes_of(request, "genesis_fork_version", &version, sizeof version);
    bytes_of(expected, "signature", &want, sizeof want);
    deposit.amount = strtoull(cJSON_GetObjectItem(request, "amount")->valuestring, NULL, 10);
    const struct signing_root root = deposit_signing_root(&deposit, &version);
    assert_int_equal(bls_secret_parse(big_endian, &secret).code, 0);
    bls_hash(root.bytes, &hash);
    bls_sign(&secret, &hash, got.bytes);
    assert_memory_equal(&got, &want, sizeof got);
}

static void test_the_vectors(void **state)
{
    (void)state;
    const char *const folder = "web3signer-api/web3signer-deposit";
    size_t len;
    int rows = 0;
    const cJSON *row;
    if (!vectors_present(folder, "deposits"))
        return;
    char *text = vectors_read("web3signer-api/web3signer-deposit/deposits.json", &len);
    cJSON *json = cJSON_Parse(text);
    cJSON_ArrayForEach(row, json)
    {
        check_vector(row);
        rows++;
    }
    assert_true(rows > 0);
    cJSON_Delete(json);
    free(text);
}

static void test_what_may_be_deposited(void **state)
{
    (void)state;
    struct eth_root one = deposit_credentials(DEPOSIT_TO_ADDRESS, &address);
    struct eth_root two = deposit_credentials(DEPOSIT_COMPOUNDING, &address);
    assert_int_equal(one.bytes[0], 1);
    assert_int_equal(two.bytes[0], 2);
    assert_memory_equal(one.bytes + 12, address.bytes, sizeof address.bytes);
    assert_int_equal(deposit_check(&one, DEPOSIT_GWEI_MIN).code, 0);
    assert_int_equal(deposit_check(&one, DEPOSIT_GWEI_DEFAULT).code, 0);
    assert_int_equal(deposit_check(&two, DEPOSIT_GWEI_MAX).code, 0);
    assert_true(error_is(deposit_check(&one, DEPOSIT_GWEI_DEFAULT + 1), ERROR_NUMBER_RANGE));
    assert_true(error_is(deposit_check(&two, DEPOSIT_GWEI_MAX + 1), ERROR_NUMBER_RANGE));
    assert_true(error_is(deposit_check(&two, DEPOSIT_GWEI_MIN - 1), ERROR_NUMBER_RANGE));
    for (uint8_t kind = 0; kind < 5; kind++) {
        one.bytes[0] = kind;
        assert_int_equal(deposit_check(&one, DEPOSIT_GWEI_DEFAULT).code,
                         kind == 1 || kind == 2 ? 0 : ERROR_MALFORMED);
    }
    for (size_t i = 1; i < 12; i++) {
        two.bytes[i] = 1;
        assert_true(error_is(deposit_check(&two, DEPOSIT_GWEI_DEFAULT), ERROR_MALFORMED));
        two.bytes[i] = 0;
    }
    memset(two.bytes + 12, 0, 20);
    assert_true(error_is(deposit_check(&two, DEPOSIT_GWEI_DEFAULT), ERROR_MALFORMED));
}

/* The roots are those that @lodestar/types has of the same deposit. */
static void test_an_entry_of_the_file(void **state)
{
    (void)state;
    static const struct eth_version version = {{0, 0, 0, 1}};
    struct deposit deposit = {.withdrawal_credentials =
                                  deposit_credentials(DEPOSIT_TO_ADDRESS, &address),
                              .amount = DEPOSIT_GWEI_DEFAULT};
    struct eth_signature signature;
    struct buf out = buf_init(4096);
    memset(&deposit.pubkey, 0xa1, sizeof deposit.pubkey);
    memset(&signature, 0xb2, sizeof signature);
    assert_int_equal(deposit_append_json(&deposit, &signature, &version, "minimal", &out).code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    cJSON *json = cJSON_Parse((const char *)out.data);
    assert_non_null(json);
    struct eth_root root;
    static const struct eth_root message_root = {{0xa0, 0x16, 0x18, 0xdc, 0x99, 0x28, 0x5c, 0x9c,
                                                  0xb8, 0x1c, 0xe6, 0x3e, 0xf4, 0x7e, 0x2b, 0x63,
                                                  0x01, 0xa7, 0x19, 0x08, 0x43, 0x96, 0xab, 0xf0,
                                                  0xcc, 0x6f, 0x27, 0xb7, 0x98, 0xeb, 0x3f, 0x59}};
    static const struct eth_root data_root = {{0xd7, 0x22, 0xbe, 0xc1, 0x5a, 0x54, 0x93, 0x69,
                                               0x63, 0xc5, 0xa0, 0x2a, 0x6f, 0x39, 0xfa, 0x36,
                                               0xae, 0xda, 0xc9, 0xf1, 0x91, 0xbb, 0x5c, 0xec,
                                               0xe9, 0x54, 0x8a, 0xb5, 0xdf, 0x09, 0xfc, 0x1a}};
    bytes_of(json, "deposit_message_root", &root, sizeof root);
    assert_memory_equal(&root, &message_root, sizeof root);
    bytes_of(json, "deposit_data_root", &root, sizeof root);
    assert_memory_equal(&root, &data_root, sizeof root);
    assert_string_equal(cJSON_GetObjectItem(json, "fork_version")->valuestring, "00000001");
    assert_string_equal(cJSON_GetObjectItem(json, "network_name")->valuestring, "minimal");
    assert_true(cJSON_GetObjectItem(json, "amount")->valuedouble == 32e9);
    assert_int_equal(cJSON_GetArraySize(json), 9);
    cJSON_Delete(json);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vectors),
        cmocka_unit_test(test_what_may_be_deposited),
        cmocka_unit_test(test_an_entry_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
