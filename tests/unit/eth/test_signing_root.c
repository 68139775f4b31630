#include <string.h>

#include "codec/hex.h"
#include "eth/request_json.h"
#include "eth/signing_root.h"
#include "support/test.h"

static const char attestation[] =
    "{\"type\":\"attestation\",\"fork_info\":{\"fork\":{\"previous_version\":\"0x00000000\","
    "\"current_version\":\"0x00000000\",\"epoch\":\"0\"},\"genesis_validators_root\":"
    "\"0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95\"},\"attestation\":{"
    "\"slot\":\"0\",\"index\":58,\"beacon_block_root\":"
    "\"0xea1e48bcb128e027fbabb7c9fb428a2e6d89cddfec6b55535d9659e3e2c7a131\",\"source\":{\"epoch\":"
    "\"0\",\"root\":\"0xba03c6962e5535fc17a8df9d674bf98d04879a7e3eea68ee736a97bc8f5de373\"},"
    "\"target\":{\"epoch\":\"0\",\"root\":"
    "\"0xdc12c6a3e4e1bf04975ef8d8162d4307a9964d75a51bcab9fe26abe6814ff92e\"}},\"signingRoot\":"
    "\"0xe18f0a1888c5ce3a3b98f6933ef5acb22a1f8b26ae020e10c6f7d7fcdca9da3a\"}";

static struct jdoc doc = {.max = 1000};
static struct eth_network network;
static const struct eth_pubkey pubkey = {{1, 2, 3}};

static int setup(void **state)
{
    (void)state;
    assert_int_equal(network_load("mainnet", &network).code, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    jdoc_release(&doc);
    return 0;
}

static struct sign_request attestation_request(void)
{
    static uint8_t body[sizeof(attestation)];
    struct sign_request request;
    memcpy(body, attestation, sizeof(body));
    cc_err err =
        sign_request_parse(&doc, &network, body, sizeof(attestation) - 1, &pubkey, &request);
    assert_int_equal(err.code, 0);
    return request;
}

static void test_attestation_root_given_absent_and_wrong(void **state)
{
    (void)state;
    struct signing_parts parts;
    struct signing_root root;
    struct sign_request request = attestation_request();
    assert_int_equal(request.flags, SIGN_HAS_FORK_INFO | SIGN_HAS_CLIENT_ROOT);
    assert_int_equal(request.claim.attestation.index, 58);
    assert_int_equal(signing_root_compute(&network, &request, &parts, &root).code, 0);
    assert_memory_equal(root.bytes, request.client_root.bytes, 32);
    request.client_root.bytes[31] ^= 1;
    assert_int_equal(signing_root_compute(&network, &request, &parts, &root).code,
                     ERROR_ROOT_MISMATCH);
    request.flags = SIGN_HAS_FORK_INFO;
    assert_int_equal(signing_root_compute(&network, &request, &parts, &root).code, 0);
}

static void test_refuses_what_it_cannot_compute(void **state)
{
    (void)state;
    struct signing_parts parts;
    struct signing_root root;
    struct sign_request request = attestation_request();
    request.flags = 0;
    assert_int_equal(signing_root_compute(&network, &request, &parts, &root).code,
                     ERROR_FIELD_MISSING);
    request.kind = KIND_END;
    assert_int_equal(signing_root_compute(&network, &request, &parts, &root).code,
                     ERROR_KIND_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attestation_root_given_absent_and_wrong),
        cmocka_unit_test(test_refuses_what_it_cannot_compute),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
