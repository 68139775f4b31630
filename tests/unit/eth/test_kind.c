#include <cJSON.h>
#include <stdlib.h>

#include "codec/hex.h"
#include "eth/kind.h"
#include "support/test.h"
#include "support/vectors.h"

static void test_every_kind_is_found_by_its_name_in_any_case(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KIND_END; kind++) {
        enum eth_kind found = KIND_END;
        char lower[64] = "";
        const char *name = kind_info((enum eth_kind)kind)->name;
        for (size_t i = 0; name[i]; i++)
            lower[i] = (char)(name[i] | (name[i] >= 'A' && name[i] <= 'Z' ? 0x20 : 0));
        assert_int_equal(kind_parse(span_str(name), &found).code, 0);
        assert_int_equal(found, kind);
        assert_int_equal(kind_parse(span_str(lower), &found).code, 0);
        assert_int_equal(found, kind);
        assert_string_equal(kind_object_key(found, 0), kind_info(found)->object_key);
    }
}

static void test_other_names_of_clients(void **state)
{
    (void)state;
    enum eth_kind kind;
    assert_int_equal(kind_parse(span_str("payload_attestation"), &kind).code, 0);
    assert_int_equal(kind, KIND_PAYLOAD_ATTESTATION_MESSAGE);
    assert_string_equal(kind_object_key(kind, 1), "payload_attestation");
    assert_string_equal(kind_object_key(kind, 2), "payload_attestation_data");
    assert_null(kind_object_key(kind, 3));
    assert_int_equal(kind_parse(span_str("REQUEST_AUTH"), &kind).code, 0);
    assert_int_equal(kind, KIND_BUILDER_REQUEST_AUTH);
    assert_string_equal(kind_object_key(kind, 1), "request_auth");
    assert_null(kind_object_key(KIND_ATTESTATION, 1));
}

static void test_unknown_names_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "ATTESTATIO",
                                        "ATTESTATION ",
                                        "BLOB_SIDECAR",
                                        "BLS_TO_EXECUTION_CHANGE",
                                        "INCLUSION_LIST",
                                        "*"};
    enum eth_kind kind;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(kind_parse(span_str(names[i]), &kind).code, ERROR_KIND_UNKNOWN);
}

/* The domain types that a slashable message is signed under belong to slashable kinds alone. */
static void test_P27_domains_keep_kinds_apart(void **state)
{
    (void)state;
    for (unsigned a = 0; a < KIND_END; a++) {
        const struct kind_info *info = kind_info((enum eth_kind)a);
        uint32_t type = (uint32_t)info->domain_type[0] << 24 |
                        (uint32_t)info->domain_type[1] << 16 | (uint32_t)info->domain_type[2] << 8 |
                        info->domain_type[3];
        assert_int_equal(type == 0x01000000, info->slashable == SLASHABLE_ATTESTATION);
        assert_int_equal(type == 0, info->slashable == SLASHABLE_BLOCK);
    }
}

static void test_domain_types_equal_another_clients_table(void **state)
{
    (void)state;
    static const struct {
        enum eth_kind kind;
        const char *name;
    } domains[] = {
        {KIND_ATTESTATION, "DOMAIN_BEACON_ATTESTER"},
        {KIND_BLOCK, "DOMAIN_BEACON_PROPOSER"},
        {KIND_BLOCK_V2, "DOMAIN_BEACON_PROPOSER"},
        {KIND_RANDAO_REVEAL, "DOMAIN_RANDAO"},
        {KIND_AGGREGATION_SLOT, "DOMAIN_SELECTION_PROOF"},
        {KIND_AGGREGATE_AND_PROOF, "DOMAIN_AGGREGATE_AND_PROOF"},
        {KIND_AGGREGATE_AND_PROOF_V2, "DOMAIN_AGGREGATE_AND_PROOF"},
        {KIND_SYNC_COMMITTEE_MESSAGE, "DOMAIN_SYNC_COMMITTEE"},
        {KIND_SYNC_COMMITTEE_SELECTION_PROOF, "DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF"},
        {KIND_SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF, "DOMAIN_CONTRIBUTION_AND_PROOF"},
        {KIND_VALIDATOR_REGISTRATION, "DOMAIN_APPLICATION_BUILDER"},
        {KIND_DEPOSIT, "DOMAIN_DEPOSIT"},
        {KIND_VOLUNTARY_EXIT, "DOMAIN_VOLUNTARY_EXIT"},
        {KIND_EXECUTION_PAYLOAD_BID, "DOMAIN_BEACON_BUILDER"},
        {KIND_EXECUTION_PAYLOAD_ENVELOPE, "DOMAIN_BEACON_BUILDER"},
        {KIND_PAYLOAD_ATTESTATION_MESSAGE, "DOMAIN_PTC_ATTESTER"},
        {KIND_PROPOSER_PREFERENCES, "DOMAIN_PROPOSER_PREFERENCES"},
        {KIND_BUILDER_REQUEST_AUTH, "DOMAIN_BUILDER_REQUEST_AUTH"},
    };
    size_t len;
    assert_int_equal(ARRAY_LEN(domains), KIND_END);
    if (!vectors_present("consensus-constants", "another client's domain types"))
        return;
    char *text = vectors_read("consensus-constants/lodestar-networks.json", &len);
    cJSON *file = cJSON_Parse(text);
    const cJSON *table = cJSON_GetObjectItemCaseSensitive(file, "domains");
    for (size_t i = 0; i < ARRAY_LEN(domains); i++) {
        char type[11] = "0x";
        hex_encode(kind_info(domains[i].kind)->domain_type, 4, type + 2);
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(table, domains[i].name)->valuestring,
                            type);
    }
    cJSON_Delete(file);
    free(text);
}

static void test_operations_share_names(void **state)
{
    (void)state;
    assert_string_equal(kind_operation(KIND_BLOCK_V2), "BLOCK");
    assert_string_equal(kind_operation(KIND_BLOCK), "BLOCK");
    assert_string_equal(kind_operation(KIND_AGGREGATE_AND_PROOF_V2), "AGGREGATE_AND_PROOF");
    assert_string_equal(kind_operation(KIND_DEPOSIT), "DEPOSIT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_is_found_by_its_name_in_any_case),
        cmocka_unit_test(test_other_names_of_clients),
        cmocka_unit_test(test_unknown_names_are_refused),
        cmocka_unit_test(test_P27_domains_keep_kinds_apart),
        cmocka_unit_test(test_domain_types_equal_another_clients_table),
        cmocka_unit_test(test_operations_share_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
