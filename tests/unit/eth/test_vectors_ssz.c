/* hash_tree_root against the consensus-spec tests that can be had: v0.12.3's ssz_static (Phase0), and three all-ones
 * cases of Altair and Electra whose roots were verified by the hash in their LFS pointers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/hex.h"
#include "eth/containers.h"
#include "support/test.h"
#include "support/vectors.h"

#define F(name, type) {#name, &type_##type},
#define TEST_CONTAINER(name_, ...)                                                                 \
    static const struct ssz_field fields_##name_[] = {__VA_ARGS__};                                \
    static const struct ssz_type type_##name_ = {                                                  \
        .kind = SSZ_CONTAINER, .size = ARRAY_LEN(fields_##name_), .fields = fields_##name_};
/* Containers of the test suite that no request holds. */
/* clang-format off */
TEST_CONTAINER(block,
    F(slot, u64) F(proposer_index, u64) F(parent_root, root) F(state_root, root) F(body, block_body_phase0))
TEST_CONTAINER(fork, F(previous_version, version) F(current_version, version) F(epoch, u64))
TEST_CONTAINER(fork_data, F(current_version, version) F(genesis_validators_root, root))
TEST_CONTAINER(signing_data, F(object_root, root) F(domain, root))
TEST_CONTAINER(signed_aggregate, F(message, aggregate_and_proof_phase0) F(signature, signature))
/* clang-format on */

static const struct {
    const char *file;
    const struct ssz_type *type;
} phase0[] = {
    {"AggregateAndProof.json", &type_aggregate_and_proof_phase0},
    {"Attestation.json", &type_attestation_phase0},
    {"AttestationData.json", &type_attestation_data},
    {"BeaconBlock_minimal-preset.json.gz", &type_block},
    {"BeaconBlockHeader.json", &type_block_header},
    {"Checkpoint.json", &type_checkpoint},
    {"DepositData.json", &type_deposit_data},
    {"DepositMessage.json", &type_deposit_message},
    {"Eth1Data.json", &type_eth1_data},
    {"Fork.json", &type_fork},
    {"ForkData.json", &type_fork_data},
    {"SignedAggregateAndProof.json", &type_signed_aggregate},
    {"SignedVoluntaryExit.json", &type_signed_voluntary_exit},
    {"SigningData.json", &type_signing_data},
    {"VoluntaryExit.json", &type_voluntary_exit},
};

static const struct {
    const char *path_part;
    const struct ssz_type *type;
} pointers[] = {
    {"electra/ssz_static/AggregateAndProof", &type_aggregate_and_proof_electra},
    {"altair/ssz_static/ContributionAndProof", &type_contribution_and_proof},
    {"altair/ssz_static/SyncAggregatorSelectionData", &type_sync_aggregator_selection_data},
};

static struct eth_network minimal;

static int setup(void **state)
{
    (void)state;
    return network_load("minimal", &minimal).code;
}

static void check_case(const struct ssz_type *type, struct jval item)
{
    struct jval value;
    struct jval root_text;
    struct span text;
    struct eth_root expected;
    struct eth_root root;
    assert_true(jval_member(item, "value", &value));
    assert_true(jval_member(item, "root", &root_text));
    assert_int_equal(jval_text(root_text, &text).code, 0);
    assert_int_equal(hex_decode(text, expected.bytes, 32).code, 0);
    assert_int_equal(container_root(type, &minimal.preset, value, &root).code, 0);
    assert_memory_equal(root.bytes, expected.bytes, 32);
}

static struct jval load(const char *path, struct jdoc *doc, char **ret_text)
{
    size_t len;
    *ret_text = vectors_read(path, &len);
    assert_int_equal(jdoc_parse(doc, (uint8_t *)*ret_text, len).code, 0);
    return jdoc_root(doc);
}

static void test_phase0_static(void **state)
{
    (void)state;
    char path[256];
    unsigned cases = 0;
    if (!vectors_present("consensus-spec-tests", "ssz_static"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(phase0); i++) {
        char *text;
        struct jval item;
        struct jdoc doc = jdoc_init(1u << 24);
        (void)snprintf(path, sizeof(path), "consensus-spec-tests/v0.12.3-phase0-ssz_static/%s",
                       phase0[i].file);
        struct jval_iter iter = jval_iterate(load(path, &doc, &text));
        for (; jval_next(&iter, &item); cases++)
            check_case(phase0[i].type, item);
        jdoc_release(&doc);
        free(text);
    }
    print_message("%u cases\n", cases);
    assert_int_equal(cases, 1845);
}

static const struct ssz_type *pointer_type(struct jval item)
{
    struct jval path;
    struct span text;
    assert_true(jval_member(item, "path", &path));
    assert_int_equal(jval_text(path, &text).code, 0);
    for (size_t i = 0; i < ARRAY_LEN(pointers); i++) {
        if (memmem(text.data, text.len, pointers[i].path_part, strlen(pointers[i].path_part)))
            return pointers[i].type;
    }
    return NULL;
}

static void test_verified_pointers(void **state)
{
    (void)state;
    char *text;
    struct jval item;
    if (!vectors_present("consensus-spec-tests", "the verified ssz_max cases"))
        return;
    struct jdoc doc = jdoc_init(1u << 16);
    struct jval_iter iter =
        jval_iterate(load("consensus-spec-tests/pointer-verified/vectors.json", &doc, &text));
    unsigned cases = 0;
    for (; jval_next(&iter, &item); cases++) {
        assert_non_null(pointer_type(item));
        check_case(pointer_type(item), item);
    }
    assert_int_equal(cases, 3);
    jdoc_release(&doc);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phase0_static),
        cmocka_unit_test(test_verified_pointers),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
