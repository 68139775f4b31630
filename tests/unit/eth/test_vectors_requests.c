/* Whole requests with known roots: a generated matrix of every kind, fork and edge, and the deposits of Web3Signer's own
 * tests. Each is computed with the client's root given, absent, and wrong in one byte.
 */
#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/hex.h"
#include "eth/request_json.h"
#include "eth/signing_root.h"
#include "support/test.h"
#include "support/vectors.h"

static struct jdoc doc = {.max = SIGN_TOKENS_MAX};
static const struct eth_pubkey pubkey = {{0xa9}};

/* The vector at hand, for the message of a failure. */
static const char *running = "";

static void expect(bool holds, const char *what)
{
    if (!holds)
        fail_msg("%s: %s", running, what);
}

static int teardown(void **state)
{
    (void)state;
    jdoc_release(&doc);
    return 0;
}

static void expect_hex(const cJSON *expected, const char *key, const void *bytes)
{
    char text[67] = "0x";
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(expected, key);
    if (!item)
        return;
    hex_encode(bytes, 32, text + 2);
    expect(strcmp(text, item->valuestring) == 0, key);
}

/* Parses and computes; `parts` and `root` are set also on ROOT_MISMATCH. */
static cc_err compute(const struct eth_network *network,
                      const cJSON *request,
                      struct signing_parts *parts,
                      struct signing_root *root)
{
    struct sign_request parsed;
    char *body = cJSON_PrintUnformatted(request);
    assert_non_null(body);
    cc_err err = sign_request_parse(&doc, network, (uint8_t *)body, strlen(body), &pubkey, &parsed);
    if (!err.code)
        err = signing_root_compute(network, &parsed, parts, root);
    jdoc_wipe(&doc);
    free(body);
    return err;
}

static void check_vector(const struct eth_network *network, cJSON *request, const cJSON *expected)
{
    struct signing_parts parts;
    struct signing_root root;
    const char *given = cJSON_GetObjectItemCaseSensitive(expected, "signingRoot")->valuestring;
    cJSON_DeleteItemFromObjectCaseSensitive(request, "signingRoot");
    expect(!compute(network, request, &parts, &root).code, "without a root");
    expect_hex(expected, "objectRoot", parts.object_root.bytes);
    expect_hex(expected, "domain", parts.domain.bytes);
    expect_hex(expected, "signingRoot", root.bytes);
    cJSON_AddStringToObject(request, "signing_root", given);
    expect(!compute(network, request, &parts, &root).code, "with its root");
    char wrong[67];
    (void)strcpy(wrong, given);
    wrong[40] = wrong[40] == '0' ? '1' : '0';
    cJSON_DeleteItemFromObjectCaseSensitive(request, "signing_root");
    cJSON_AddStringToObject(request, "signingRoot", wrong);
    expect(error_is(compute(network, request, &parts, &root), ERROR_ROOT_MISMATCH), "wrong root");
}

static cJSON *load(const char *path)
{
    size_t len;
    char *text = vectors_read(path, &len);
    cJSON *json = cJSON_Parse(text);
    free(text);
    assert_non_null(json);
    return json;
}

static void check_matrix(const char *name)
{
    char path[128];
    struct eth_network network;
    (void)snprintf(path, sizeof(path), "web3signer-api/generated-matrix/%s.json", name);
    if (!vectors_present(path, "the request matrix"))
        return;
    assert_int_equal(network_load(name, &network).code, 0);
    cJSON *file = load(path);
    int count = 0;
    const cJSON *vector;
    cJSON_ArrayForEach(vector, cJSON_GetObjectItemCaseSensitive(file, "vectors"))
    {
        running = cJSON_GetObjectItemCaseSensitive(vector, "name")->valuestring;
        check_vector(&network, cJSON_GetObjectItemCaseSensitive(vector, "request"),
                     cJSON_GetObjectItemCaseSensitive(vector, "expected"));
        count++;
    }
    print_message("%s: %d requests, three times each\n", name, count);
    assert_int_equal(count, 348);
    cJSON_Delete(file);
}

static void test_matrix(void **state)
{
    (void)state;
    static const char *const networks[] = {"mainnet", "sepolia", "minimal"};
    for (size_t i = 0; i < ARRAY_LEN(networks); i++)
        check_matrix(networks[i]);
}

static void test_deposits(void **state)
{
    (void)state;
    struct eth_network network;
    if (!vectors_present("web3signer-api/web3signer-deposit", "the deposit requests"))
        return;
    assert_int_equal(network_load("mainnet", &network).code, 0);
    cJSON *file = load("web3signer-api/web3signer-deposit/deposits.json");
    assert_int_equal(cJSON_GetArraySize(file), 4);
    const cJSON *vector;
    cJSON_ArrayForEach(vector, file)
    {
        check_vector(&network, cJSON_GetObjectItemCaseSensitive(vector, "request"),
                     cJSON_GetObjectItemCaseSensitive(vector, "expected"));
    }
    cJSON_Delete(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_deposits),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
