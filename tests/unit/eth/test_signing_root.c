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

static struct sign_request plain_request(enum eth_kind kind, uint64_t fork_epoch, uint64_t epoch)
{
    return (struct sign_request){
        .kind = (uint32_t)kind,
        .flags = SIGN_HAS_FORK_INFO,
        .fork_info = {.fork = {.previous_version = {{9, 9, 9, 1}},
                               .current_version = {{9, 9, 9, 2}},
                               .epoch = fork_epoch},
                      .genesis_validators_root = {{0x77}}},
        .epoch = epoch,
    };
}

static struct signing_parts parts_of(const struct sign_request *request)
{
    struct signing_parts parts;
    struct signing_root root;
    assert_int_equal(signing_root_compute(&network, request, &parts, &root).code, 0);
    return parts;
}

static void test_fork_version_by_the_messages_epoch(void **state)
{
    (void)state;
    static const struct {
        uint64_t epoch;
        uint8_t last;
    } cases[] = {{0, 1}, {99, 1}, {100, 2}, {101, 2}, {UINT64_MAX, 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sign_request request = plain_request(KIND_RANDAO_REVEAL, 100, cases[i].epoch);
        struct signing_parts parts = parts_of(&request);
        assert_int_equal(parts.version.bytes[3], cases[i].last);
        assert_int_equal(parts.genesis_validators_root.bytes[0], 0x77);
    }
}

/* EIP-7044 on mainnet, where Deneb is at 269568: the fork's epoch decides, whatever the exit's epoch is. */
static void test_exit_is_locked_to_capella_by_the_forks_epoch(void **state)
{
    (void)state;
    static const uint8_t capella[4] = {3, 0, 0, 0};
    static const uint64_t exits[] = {0, 269567, 269568, 364032, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
        struct sign_request before = plain_request(KIND_VOLUNTARY_EXIT, 269567, exits[i]);
        struct sign_request after = plain_request(KIND_VOLUNTARY_EXIT, 269568, exits[i]);
        assert_int_equal(parts_of(&before).version.bytes[3], exits[i] >= 269567 ? 2 : 1);
        assert_memory_equal(parts_of(&after).version.bytes, capella, 4);
    }
    struct sign_request other = plain_request(KIND_RANDAO_REVEAL, 269568, 269568);
    assert_int_equal(parts_of(&other).version.bytes[3], 2);
}

static void test_builder_domains_are_of_the_genesis_fork(void **state)
{
    (void)state;
    static const enum eth_kind kinds[] = {KIND_VALIDATOR_REGISTRATION, KIND_BUILDER_REQUEST_AUTH};
    static const uint8_t zero[32];
    struct eth_network saved = network;
    assert_int_equal(network_load("sepolia", &network).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct sign_request request = plain_request(kinds[i], 100, 100);
        struct signing_parts parts = parts_of(&request);
        assert_memory_equal(parts.version.bytes, network.forks[FORK_PHASE0].version.bytes, 4);
        assert_memory_equal(parts.genesis_validators_root.bytes, zero, 32);
    }
    network = saved;
}

static void test_deposit_domain_is_of_the_requests_version(void **state)
{
    (void)state;
    static const uint8_t zero[32];
    struct sign_request request = plain_request(KIND_DEPOSIT, 100, 100);
    request.claim.deposit_version = (struct eth_version){{1, 2, 3, 4}};
    struct signing_parts parts = parts_of(&request);
    assert_memory_equal(parts.version.bytes, request.claim.deposit_version.bytes, 4);
    assert_memory_equal(parts.genesis_validators_root.bytes, zero, 32);
}

/* For slashable kinds a given object root counts for nothing: the claim is hashed. */
static void test_C09_slashable_roots_come_from_the_claim(void **state)
{
    (void)state;
    static const enum eth_kind kinds[] = {KIND_ATTESTATION, KIND_BLOCK, KIND_BLOCK_V2};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct sign_request request = plain_request(kinds[i], 100, 100);
        struct signing_parts before = parts_of(&request);
        memset(&request.object_root, 0xee, sizeof(request.object_root));
        struct signing_parts after = parts_of(&request);
        assert_memory_equal(&before, &after, sizeof(before));
        request.claim.block.slot ^= 1;
        after = parts_of(&request);
        assert_memory_not_equal(before.object_root.bytes, after.object_root.bytes, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attestation_root_given_absent_and_wrong),
        cmocka_unit_test(test_refuses_what_it_cannot_compute),
        cmocka_unit_test(test_fork_version_by_the_messages_epoch),
        cmocka_unit_test(test_exit_is_locked_to_capella_by_the_forks_epoch),
        cmocka_unit_test(test_builder_domains_are_of_the_genesis_fork),
        cmocka_unit_test(test_deposit_domain_is_of_the_requests_version),
        cmocka_unit_test(test_C09_slashable_roots_come_from_the_claim),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
