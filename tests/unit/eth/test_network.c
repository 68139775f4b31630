#include <cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/hex.h"
#include "eth/network.h"
#include "support/test.h"
#include "support/vectors.h"

static const char *const built_ins[] = {"mainnet", "sepolia", "hoodi",    "holesky", "gnosis",
                                        "chiado",  "lukso",   "ephemery", "minimal"};

static const char small_file[] = "PRESET_BASE: 'minimal'\n"
                                 "GENESIS_FORK_VERSION: 0x00000001\n"
                                 "ALTAIR_FORK_VERSION: 0x01000001\n"
                                 "ALTAIR_FORK_EPOCH: 3\n"
                                 "SECONDS_PER_SLOT: 6\n";

static cc_err load_text(const char *text, struct eth_network *network)
{
    return network_parse(span_str(text), network);
}

static void test_built_ins_are_complete(void **state)
{
    (void)state;
    struct eth_network network;
    for (size_t i = 0; i < ARRAY_LEN(built_ins); i++) {
        assert_int_equal(network_load(built_ins[i], &network).code, 0);
        assert_string_equal(network.name, built_ins[i]);
        assert_int_equal(network_check(&network).code, 0);
        assert_int_equal(network.forks[FORK_PHASE0].epoch, 0);
        for (unsigned fork = 1; fork < FORK_END; fork++)
            assert_memory_not_equal(network.forks[fork].version.bytes,
                                    network.forks[fork - 1].version.bytes, 4);
    }
    assert_int_equal(network_load("mainnet2", &network).code, ERROR_CONFIG);
    assert_int_equal(network_load("", &network).code, ERROR_CONFIG);
}

static void test_production_networks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(built_ins); i++) {
        struct eth_network network;
        bool real = strcmp(built_ins[i], "mainnet") == 0 || strcmp(built_ins[i], "gnosis") == 0 ||
                    strcmp(built_ins[i], "lukso") == 0;
        assert_int_equal(network_load(built_ins[i], &network).code, 0);
        assert_int_equal(network.production, real);
    }
}

static void test_fork_at(void **state)
{
    (void)state;
    struct eth_network network;
    assert_int_equal(network_load("sepolia", &network).code, 0);
    assert_int_equal(network_fork_at(&network, 0), FORK_PHASE0);
    assert_int_equal(network_fork_at(&network, 49), FORK_PHASE0);
    assert_int_equal(network_fork_at(&network, 50), FORK_ALTAIR);
    assert_int_equal(network_fork_at(&network, 353023), FORK_FULU);
    assert_int_equal(network_fork_at(&network, 353024), FORK_GLOAS);
    assert_int_equal(network_fork_at(&network, UINT64_MAX), FORK_GLOAS);
    assert_int_equal(network_load("hoodi", &network).code, 0);
    assert_int_equal(network_fork_at(&network, 0), FORK_DENEB);
    assert_int_equal(network_fork_at(&network, UINT64_MAX), FORK_FULU);
    assert_int_equal(network_epoch_of(&network, 63), 1);
    assert_int_equal(network_load("gnosis", &network).code, 0);
    assert_int_equal(network_epoch_of(&network, 63), 3);
    assert_int_equal(network_load("minimal", &network).code, 0);
    assert_int_equal(network_epoch_of(&network, UINT64_MAX), UINT64_MAX / 8);
    assert_int_equal(network_fork_at(&network, UINT64_MAX - 1), FORK_PHASE0);
}

static void test_fork_names(void **state)
{
    (void)state;
    enum eth_fork_name fork;
    assert_int_equal(fork_name_parse("FULU", 4, &fork).code, 0);
    assert_int_equal(fork, FORK_FULU);
    assert_int_equal(fork_name_parse("Phase0", 6, &fork).code, 0);
    assert_string_equal(fork_name(fork), "phase0");
    assert_int_equal(fork_name_parse("FUL", 3, &fork).code, ERROR_VERSION_UNKNOWN);
    assert_int_equal(fork_name_parse("heze", 4, &fork).code, ERROR_VERSION_UNKNOWN);
}

static void test_overrides(void **state)
{
    (void)state;
    struct eth_network network;
    assert_int_equal(network_load("mainnet", &network).code, 0);
    assert_int_equal(network_override(&network, "GLOAS_FORK_EPOCH", "500000").code, 0);
    assert_int_equal(network.forks[FORK_GLOAS].epoch, 500000);
    assert_int_equal(network_override(&network, "GLOAS_FORK_VERSION", "0x07000001").code, 0);
    assert_int_equal(network.forks[FORK_GLOAS].version.bytes[3], 1);
    assert_int_equal(network_check(&network).code, 0);
    assert_int_equal(network_override(&network, "GLOAS_FORK_EPOCH", "1").code, 0);
    assert_int_equal(network_check(&network).code, ERROR_CONFIG);
    static const char *const refused[][2] = {
        {"GLOAS_FORK_EPOCH", ""},       {"GLOAS_FORK_EPOCH", "-1"},
        {"GLOAS_FORK_EPOCH", "0x10"},   {"GLOAS_FORK_EPOCH", "18446744073709551616"},
        {"GLOAS_FORK_VERSION", "0x07"}, {"GLOAS_FORK_VERSION", "7"},
        {"HEZE_FORK_EPOCH", "5"},       {"gloas_fork_epoch", "5"},
        {"PRESET_BASE", "minimal"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_int_equal(network_override(&network, refused[i][0], refused[i][1]).code,
                         ERROR_CONFIG);
}

static void test_override_lines(void **state)
{
    (void)state;
    struct eth_network network;
    char long_line[300] = "GLOAS_FORK_EPOCH=";
    assert_int_equal(network_load("mainnet", &network).code, 0);
    assert_int_equal(network_override_line(&network, "GLOAS_FORK_EPOCH=7").code, 0);
    assert_int_equal(network.forks[FORK_GLOAS].epoch, 7);
    assert_int_equal(network_override_line(&network, "GLOAS_FORK_EPOCH").code, ERROR_CONFIG);
    assert_int_equal(network_override_line(&network, "=7").code, ERROR_CONFIG);
    assert_int_equal(network_override_line(&network, "").code, ERROR_CONFIG);
    memset(long_line + strlen(long_line), '0', 280);
    assert_int_equal(network_override_line(&network, long_line).code, ERROR_CONFIG);
}

static void test_file_of_a_small_network(void **state)
{
    (void)state;
    struct eth_network network;
    assert_int_equal(load_text(small_file, &network).code, 0);
    assert_string_equal(network.name, "custom");
    assert_int_equal(network.preset.slots_per_epoch, 8);
    assert_int_equal(network.forks[FORK_ALTAIR].epoch, 3);
    assert_true(network.forks[FORK_GLOAS].epoch == FAR_FUTURE_EPOCH);
    assert_false(network.has_genesis_validators_root);
    assert_int_equal(network.genesis_time, 0);
    assert_int_equal(network.seconds_per_slot, 6);
    assert_false(network.production);
}

static void test_file_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum error_code error;
    } cases[] = {
        {"", ERROR_CONFIG},
        {"- a\n", ERROR_CONFIG},
        {"{", ERROR_YAML_SYNTAX},
        {"GENESIS_FORK_VERSION: 0x00000001\nSECONDS_PER_SLOT: 6\n", ERROR_CONFIG},
        {"PRESET_BASE: big\nGENESIS_FORK_VERSION: 0x00000001\nSECONDS_PER_SLOT: 6\n", ERROR_CONFIG},
        {"PRESET_BASE: minimal\nSECONDS_PER_SLOT: 6\n", ERROR_CONFIG},
        {"PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\n", ERROR_CONFIG},
        {"PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x000001\nSECONDS_PER_SLOT: 6\n",
         ERROR_CONFIG},
        {"PRESET_BASE: minimal\nGENESIS_FORK_VERSION: [1]\nSECONDS_PER_SLOT: 6\n", ERROR_CONFIG},
        {"PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nSECONDS_PER_SLOT: 0\n",
         ERROR_CONFIG},
        {"PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nSECONDS_PER_SLOT: 6\n"
         "ALTAIR_FORK_EPOCH: 3\n",
         ERROR_CONFIG},
        {"PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nSECONDS_PER_SLOT: 6\n"
         "CAPELLA_FORK_VERSION: 0x03000001\nCAPELLA_FORK_EPOCH: 3\n",
         ERROR_CONFIG},
        {"PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nSECONDS_PER_SLOT: 6\n"
         "SYNC_COMMITTEE_SIZE: 33\n",
         ERROR_CONFIG},
        {"PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nSECONDS_PER_SLOT: 6\n"
         "SLOTS_PER_EPOCH: 0\n",
         ERROR_CONFIG},
        {"PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nSECONDS_PER_SLOT: 6\n"
         "MAX_COMMITTEES_PER_SLOT: 99999999999\n",
         ERROR_CONFIG},
        {"PRESET_BASE: minimal\nPRESET_BASE: minimal\n", ERROR_YAML_SYNTAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct eth_network network;
        if (load_text(cases[i].text, &network).code != (int)cases[i].error)
            fail_msg("%zu: %s", i, error_detail());
    }
    struct eth_network network;
    assert_int_equal(network_load("/nonexistent/config.yaml", &network).code, ERROR_CONFIG);
    assert_int_equal(network_load("nonexistent.yml", &network).code, ERROR_CONFIG);
}

/* A config that is made for production has mainnet's preset; only what is surely a test network counts as none. */
static void test_files_count_as_production(void **state)
{
    (void)state;
    struct eth_network network;
    assert_int_equal(load_text("PRESET_BASE: mainnet\nGENESIS_FORK_VERSION: 0x00000001\n"
                               "SLOT_DURATION_MS: 12000\n",
                               &network)
                         .code,
                     0);
    assert_true(network.production);
    assert_int_equal(network.seconds_per_slot, 12);
}

static void
expect_same_schedule(const struct eth_network *a, const struct eth_network *b, unsigned forks)
{
    assert_memory_equal(&a->preset, &b->preset, sizeof(a->preset));
    assert_int_equal(a->seconds_per_slot, b->seconds_per_slot);
    for (unsigned fork = 0; fork < forks; fork++) {
        assert_memory_equal(a->forks[fork].version.bytes, b->forks[fork].version.bytes, 4);
        assert_true(a->forks[fork].epoch == b->forks[fork].epoch);
    }
}

/* The networks' own config files. `forks`: up to where the file's copy is as young as this table. */
static void test_built_ins_equal_published_configs(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *file;
        unsigned forks;
    } files[] = {
        {"mainnet", "eth-clients-mainnet/config.yaml", FORK_FULU},
        {"mainnet", "consensus-specs/configs/mainnet.yaml", FORK_END},
        {"minimal", "consensus-specs/configs/minimal.yaml", FORK_END},
        {"sepolia", "eth-clients-sepolia/config.yaml", FORK_FULU},
        {"holesky", "eth-clients-holesky/config.yaml", FORK_GLOAS},
        {"hoodi", "eth-clients-hoodi/config.yaml", FORK_FULU},
        {"gnosis", "gnosischain-mainnet/config.yaml", FORK_GLOAS},
        {"chiado", "gnosischain-chiado/config.yaml", FORK_GLOAS},
    };
    if (!vectors_present("consensus-constants", "published network configs"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[256];
        struct eth_network built_in;
        struct eth_network published;
        (void)snprintf(path, sizeof(path), "consensus-constants/%s", files[i].file);
        if (network_load(vectors_path(path), &published).code)
            fail_msg("%s: %s", files[i].file, error_detail());
        assert_int_equal(network_load(files[i].name, &built_in).code, 0);
        expect_same_schedule(&built_in, &published, files[i].forks);
    }
}

static void expect_network(const cJSON *row, const struct eth_network *network)
{
    const char *root =
        cJSON_GetObjectItemCaseSensitive(row, "genesis_validators_root")->valuestring;
    const cJSON *forks = cJSON_GetObjectItemCaseSensitive(row, "forks");
    char text[67] = "0x";
    hex_encode(network->genesis_validators_root.bytes, 32, text + 2);
    assert_string_equal(root, text);
    assert_true((uint64_t)cJSON_GetObjectItemCaseSensitive(row, "genesis_time")->valuedouble ==
                network->genesis_time);
    for (unsigned fork = 0; fork <= FORK_GLOAS; fork++) {
        const cJSON *item =
            cJSON_GetObjectItemCaseSensitive(forks, fork_name((enum eth_fork_name)fork));
        hex_encode(network->forks[fork].version.bytes, 4, text + 2);
        text[10] = 0;
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(item, "version")->valuestring, text);
    }
}

/* Genesis and fork versions of another client's table; epochs are in the config files above. */
static void test_built_ins_equal_another_clients_table(void **state)
{
    (void)state;
    static const char *const names[] = {"mainnet", "sepolia", "hoodi", "gnosis", "chiado"};
    size_t len;
    if (!vectors_present("consensus-constants", "another client's network table"))
        return;
    char *text = vectors_read("consensus-constants/lodestar-networks.json", &len);
    cJSON *file = cJSON_Parse(text);
    const cJSON *networks = cJSON_GetObjectItemCaseSensitive(file, "networks");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct eth_network network;
        assert_int_equal(network_load(names[i], &network).code, 0);
        expect_network(cJSON_GetObjectItemCaseSensitive(networks, names[i]), &network);
    }
    cJSON_Delete(file);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_ins_are_complete),
        cmocka_unit_test(test_production_networks),
        cmocka_unit_test(test_fork_at),
        cmocka_unit_test(test_fork_names),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_override_lines),
        cmocka_unit_test(test_file_of_a_small_network),
        cmocka_unit_test(test_file_refusals),
        cmocka_unit_test(test_files_count_as_production),
        cmocka_unit_test(test_built_ins_equal_published_configs),
        cmocka_unit_test(test_built_ins_equal_another_clients_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
