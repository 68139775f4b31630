#include "eth/network.h"

#include "base/io.h"
#include "base/num.h"

#include "codec/hex.h"
#include "codec/yaml.h"

static const struct eth_preset preset_mainnet = {32, 512, 64};
static const struct eth_preset preset_minimal = {8, 32, 4};
static const struct eth_preset preset_gnosis = {16, 512, 64};

static const struct {
    const char *name;
    const struct eth_preset *preset;
} presets[] = {
    {"mainnet", &preset_mainnet},
    {"minimal", &preset_minimal},
    {"gnosis", &preset_gnosis},
};

static const struct built_in {
    const char *name;
    const struct eth_preset *preset;
    bool production;
    uint64_t genesis_time;
    uint64_t seconds_per_slot;
    const char *genesis_validators_root; /* NULL: not fixed */
    struct {
        uint32_t version;
        uint64_t epoch;
    } forks[FORK_END];
} built_ins[] = {
#define NO_ROOT           NULL
#define ROOT(hex)         #hex
#define F(version, epoch) {(version), (epoch)},
#define NETWORK(name_, sizes_, production_, genesis_time_, seconds_, root_, forks_)                \
    {                                                                                              \
        .name = #name_,                                                                            \
        .preset = &preset_##sizes_,                                                                \
        .production = (production_),                                                               \
        .genesis_time = (genesis_time_),                                                           \
        .seconds_per_slot = (seconds_),                                                            \
        .genesis_validators_root = root_,                                                          \
        .forks = {forks_},                                                                         \
    },
#include "eth/networks.def"
#undef NETWORK
#undef F
#undef ROOT
#undef NO_ROOT
};

static const char *const fork_names[FORK_END] = {
    [FORK_PHASE0] = "phase0",   [FORK_ALTAIR] = "altair", [FORK_BELLATRIX] = "bellatrix",
    [FORK_CAPELLA] = "capella", [FORK_DENEB] = "deneb",   [FORK_ELECTRA] = "electra",
    [FORK_FULU] = "fulu",       [FORK_GLOAS] = "gloas",
};

const char *fork_name(enum eth_fork_name fork)
{
    cc_assert((unsigned)fork < FORK_END);
    return fork_names[fork];
}

CC_ERR fork_name_parse(const char *name, size_t len, enum eth_fork_name *ret_fork)
{
    for (unsigned fork = 0; fork < FORK_END; fork++) {
        if (span_is_nocase(span_of(name, len), fork_names[fork])) {
            *ret_fork = (enum eth_fork_name)fork;
            return CC_OK;
        }
    }
    return CC_FAIL(VERSION_UNKNOWN, NULL);
}

enum eth_fork_name network_fork_at(const struct eth_network *network, uint64_t epoch)
{
    unsigned fork = FORK_END - 1;
    while (fork > FORK_PHASE0 &&
           (network->forks[fork].epoch > epoch || network->forks[fork].epoch == FAR_FUTURE_EPOCH))
        fork--;
    return (enum eth_fork_name)fork;
}

uint64_t network_epoch_of(const struct eth_network *network, uint64_t slot)
{
    return slot / network->preset.slots_per_epoch;
}

static void set_name(struct eth_network *network, struct span name)
{
    size_t len = u64_min(name.len, sizeof(network->name) - 1);
    memset(network->name, 0, sizeof(network->name));
    if (len)
        memcpy(network->name, name.data, len);
}

static CC_ERR load_built_in(const char *name, struct eth_network *ret_network)
{
    const struct built_in *from = NULL;
    for (size_t i = 0; i < ARRAY_LEN(built_ins); i++) {
        if (span_is(span_str(name), built_ins[i].name))
            from = &built_ins[i];
    }
    if (!from)
        return CC_FAIL(CONFIG, "unknown network name");
    struct eth_network network = {
        .preset = *from->preset,
        .has_genesis_validators_root = from->genesis_validators_root != NULL,
        .genesis_time = from->genesis_time,
        .seconds_per_slot = from->seconds_per_slot,
        .production = from->production,
    };
    set_name(&network, span_str(from->name));
    for (unsigned fork = 0; fork < FORK_END; fork++) {
        u32_store_be(network.forks[fork].version.bytes, from->forks[fork].version);
        network.forks[fork].epoch = from->forks[fork].epoch;
    }
    if (network.has_genesis_validators_root)
        CC_TRY(hex_decode(span_str(from->genesis_validators_root),
                          network.genesis_validators_root.bytes,
                          sizeof(network.genesis_validators_root.bytes)));
    *ret_network = network;
    return CC_OK;
}

/* One row per key of a consensus config that matters to a signer. */
enum setting_type {
    SETTING_VERSION,
    SETTING_EPOCH,
    SETTING_NUMBER,
    SETTING_MILLISECONDS
};

#define FORK_SETTINGS(NAME)                                                                        \
    {#NAME "_FORK_VERSION", SETTING_VERSION,                                                       \
     offsetof(struct eth_network, forks[FORK_##NAME].version)},                                    \
    {                                                                                              \
#        NAME "_FORK_EPOCH", SETTING_EPOCH, offsetof(struct eth_network, forks[FORK_##NAME].epoch) \
    }

static const struct setting {
    const char *key;
    enum setting_type type;
    size_t offset;
} settings[] = {
    {"GENESIS_FORK_VERSION", SETTING_VERSION,
     offsetof(struct eth_network, forks[FORK_PHASE0].version)},
    FORK_SETTINGS(ALTAIR),
    FORK_SETTINGS(BELLATRIX),
    FORK_SETTINGS(CAPELLA),
    FORK_SETTINGS(DENEB),
    FORK_SETTINGS(ELECTRA),
    FORK_SETTINGS(FULU),
    FORK_SETTINGS(GLOAS),
    {"SLOT_DURATION_MS", SETTING_MILLISECONDS, offsetof(struct eth_network, seconds_per_slot)},
    {"SECONDS_PER_SLOT", SETTING_NUMBER, offsetof(struct eth_network, seconds_per_slot)},
    {"SLOTS_PER_EPOCH", SETTING_NUMBER, offsetof(struct eth_network, preset.slots_per_epoch)},
    {"SYNC_COMMITTEE_SIZE", SETTING_NUMBER,
     offsetof(struct eth_network, preset.sync_committee_size)},
    {"MAX_COMMITTEES_PER_SLOT", SETTING_NUMBER,
     offsetof(struct eth_network, preset.max_committees_per_slot)},
};

static CC_ERR
setting_apply(const struct setting *setting, struct span value, struct eth_network *network)
{
    uint8_t *at = (uint8_t *)network + setting->offset;
    uint64_t number;
    if (setting->type == SETTING_VERSION) {
        cc_err err = hex_decode(value, at, sizeof(struct eth_version));
        return err.code ? CC_FAIL(CONFIG, setting->key) : CC_OK;
    }
    cc_err err = u64_parse(value, &number);
    if (err.code)
        return CC_FAIL(CONFIG, setting->key);
    /* Whole seconds are enough: the clock only bounds how far ahead a claim may be. */
    if (setting->type == SETTING_MILLISECONDS)
        number = number < 1000 ? 1 : number / 1000;
    memcpy(at, &number, sizeof(number));
    return CC_OK;
}

CC_ERR network_override(struct eth_network *network, const char *key, const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (span_is(span_str(key), settings[i].key))
            return setting_apply(&settings[i], span_str(value), network);
    }
    return CC_FAIL(CONFIG, "network_overrides: unknown key");
}

CC_ERR network_override_line(struct eth_network *network, const char *line)
{
    char key[256];
    size_t len = strnlen(line, sizeof(key));
    const char *equals = memchr(line, '=', len);
    if (!equals || len == sizeof(key))
        return CC_FAIL(CONFIG, "network_overrides: NAME=VALUE");
    memcpy(key, line, len);
    key[len] = 0;
    key[equals - line] = 0;
    return network_override(network, key, key + (equals - line) + 1);
}

CC_ERR network_check(const struct eth_network *network)
{
    static const uint64_t size_max = 1 << 16;
    const struct eth_preset *preset = &network->preset;
    for (unsigned fork = 1; fork < FORK_END; fork++) {
        if (network->forks[fork].epoch < network->forks[fork - 1].epoch)
            return CC_FAIL(CONFIG, "network: a fork is scheduled before the one that it follows");
    }
    if (preset->slots_per_epoch == 0 || preset->slots_per_epoch > size_max)
        return CC_FAIL(CONFIG, "SLOTS_PER_EPOCH");
    /* Four subcommittees of whole bytes (SYNC_COMMITTEE_SUBNET_COUNT). */
    if (preset->sync_committee_size == 0 || preset->sync_committee_size > size_max ||
        preset->sync_committee_size % 32)
        return CC_FAIL(CONFIG, "SYNC_COMMITTEE_SIZE");
    if (preset->max_committees_per_slot == 0 || preset->max_committees_per_slot > size_max)
        return CC_FAIL(CONFIG, "MAX_COMMITTEES_PER_SLOT");
    if (network->seconds_per_slot == 0 || network->seconds_per_slot > size_max)
        return CC_FAIL(CONFIG, "SECONDS_PER_SLOT");
    return CC_OK;
}

static CC_ERR read_preset(const struct yml_node *root, struct eth_network *network)
{
    const struct yml_node *base = yml_get(root, "PRESET_BASE");
    if (!base)
        return CC_FAIL(CONFIG, "network file: PRESET_BASE is missing");
    for (size_t i = 0; i < ARRAY_LEN(presets); i++) {
        if (yml_is(base, presets[i].name)) {
            network->preset = *presets[i].preset;
            network->production = presets[i].preset != &preset_minimal;
            return CC_OK;
        }
    }
    return CC_FAIL(CONFIG, "network file: PRESET_BASE is unknown");
}

/* A scheduled fork whose version the file leaves out would be signed for under version zero. In the table the epoch
 * follows its version.
 */
static CC_ERR require_versions(const struct yml_node *root, const struct eth_network *network)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (settings[i].type != SETTING_VERSION || yml_get(root, settings[i].key))
            continue;
        uint64_t epoch = 0;
        if (i > 0)
            memcpy(&epoch, (const uint8_t *)network + settings[i + 1].offset, sizeof(epoch));
        if (epoch != FAR_FUTURE_EPOCH)
            return CC_FAIL(CONFIG, settings[i].key);
    }
    return CC_OK;
}

static CC_ERR read_document(const struct yml_node *root, struct eth_network *ret_network)
{
    struct eth_network network = {0};
    if (!root || root->kind != YML_MAPPING)
        return CC_FAIL(CONFIG, "network file: not a mapping");
    for (unsigned fork = 1; fork < FORK_END; fork++)
        network.forks[fork].epoch = FAR_FUTURE_EPOCH;
    CC_TRY(read_preset(root, &network));
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct yml_node *value = yml_get(root, settings[i].key);
        if (!value)
            continue;
        if (value->kind != YML_SCALAR)
            return CC_FAIL(CONFIG, settings[i].key);
        CC_TRY(setting_apply(&settings[i], value->text, &network));
    }
    CC_TRY(require_versions(root, &network));
    CC_TRY(network_check(&network));
    const struct yml_node *name = yml_get(root, "CONFIG_NAME");
    set_name(&network, name && name->kind == YML_SCALAR ? name->text : span_str("custom"));
    *ret_network = network;
    return CC_OK;
}

CC_ERR network_parse(struct span text, struct eth_network *ret_network)
{
    struct yml_fault fault;
    CC_CLEANUP(yml_release) struct yml yml = {0};
    cc_err err = yml_load(text, &yml_limits_default, &yml, &fault);
    if (err.code)
        return error_make((enum error_code)err.code, fault.text, __FILE__, __LINE__);
    return read_document(yml.first, ret_network);
}

static bool is_path(const char *name)
{
    size_t len = strlen(name);
    return strchr(name, '/') || (len > 5 && span_is(span_str(name + len - 5), ".yaml")) ||
           (len > 4 && span_is(span_str(name + len - 4), ".yml"));
}

CC_ERR network_load(const char *name_or_path, struct eth_network *ret_network)
{
    if (!is_path(name_or_path))
        return load_built_in(name_or_path, ret_network);
    CC_CLEANUP(buf_release) struct buf content = buf_init(yml_limits_default.max_bytes);
    cc_err err = file_read(name_or_path, &content);
    if (err.code)
        return CC_FAIL(CONFIG, "the network file cannot be read");
    return network_parse(buf_span(&content), ret_network);
}
