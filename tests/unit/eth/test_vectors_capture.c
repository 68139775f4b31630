/* Every sign request that a real validator client sent in two runs (Phase0 to Capella, Deneb to Electra): parsed, and its
 * signing root computed and compared with the client's. The networks come from the runs' own config files.
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

static int teardown(void **state)
{
    (void)state;
    jdoc_release(&doc);
    return 0;
}

static void check_request(const struct eth_network *network, const cJSON *line)
{
    static const char route[] = "/api/v1/eth2/sign/";
    const char *url = cJSON_GetObjectItemCaseSensitive(line, "url")->valuestring;
    char *body = cJSON_GetObjectItemCaseSensitive(line, "body")->valuestring;
    const char *expected = cJSON_GetObjectItemCaseSensitive(line, "signingRoot")->valuestring;
    struct eth_pubkey pubkey;
    struct sign_request request;
    struct signing_parts parts;
    struct signing_root root;
    char text[67] = "0x";
    const char *identifier = strstr(url, route);
    assert_non_null(identifier);
    assert_int_equal(identifier_parse(span_str(identifier + strlen(route)), &pubkey).code, 0);
    assert_int_equal(
        sign_request_parse(&doc, network, (uint8_t *)body, strlen(body), &pubkey, &request).code,
        0);
    assert_int_equal(signing_root_compute(network, &request, &parts, &root).code, 0);
    assert_true(request.flags & SIGN_HAS_CLIENT_ROOT);
    hex_encode(root.bytes, 32, text + 2);
    assert_string_equal(text, expected);
}

static void check_run(const char *folder, unsigned expected)
{
    char path[256];
    struct eth_network network;
    size_t len;
    unsigned count = 0;
    (void)snprintf(path, sizeof(path), "lodestar-capture/%s/_config.yaml", folder);
    assert_int_equal(network_load(vectors_path(path), &network).code, 0);
    assert_false(network.production);
    (void)snprintf(path, sizeof(path), "lodestar-capture/%s/_all.jsonl.gz", folder);
    char *text = vectors_read(path, &len);
    char *next = NULL;
    for (char *at = strtok_r(text, "\n", &next); at; at = strtok_r(NULL, "\n", &next)) {
        cJSON *line = cJSON_Parse(at);
        assert_non_null(line);
        if (cJSON_HasObjectItem(line, "signingRoot")) {
            check_request(&network, line);
            count++;
        }
        cJSON_Delete(line);
    }
    print_message("%s: %u requests\n", folder, count);
    assert_int_equal(count, expected);
    free(text);
}

static void test_captured_requests(void **state)
{
    (void)state;
    if (!vectors_present("lodestar-capture", "captured requests"))
        return;
    check_run("v1.5.1-npm_minimal_phase0-capella", 4733);
    check_run("v1.22_minimal_deneb-electra", 4712);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_captured_requests)};
    return cmocka_run_group_tests(tests, NULL, teardown);
}
