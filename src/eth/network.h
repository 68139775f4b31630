/* eth/network.h - what the signer knows of a network.
 *
 * WHAT      Fork schedule, preset sizes, genesis: built in (networks.def) or from a consensus config YAML.
 * PROMISE   A loaded network is complete: each fork has a version and an epoch (FAR_FUTURE_EPOCH if unset).
 * THREADS   Any: constant after loading.
 * OWNERSHIP By value.
 * ERRORS    CONFIG (unknown name, unreadable or incomplete file), YAML_SYNTAX.
 * SECRETS   None.
 */
#ifndef ETH_NETWORK_H
#define ETH_NETWORK_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "eth/types.h"

#define FAR_FUTURE_EPOCH UINT64_MAX

enum eth_fork_name {
    FORK_PHASE0,
    FORK_ALTAIR,
    FORK_BELLATRIX,
    FORK_CAPELLA,
    FORK_DENEB,
    FORK_ELECTRA,
    FORK_FULU,
    FORK_GLOAS,
    FORK_END
};

/* Sizes that the preset decides and the signer needs (consensus-specs presets/). */
struct eth_preset {
    uint64_t slots_per_epoch;
    uint64_t sync_committee_size;
    uint64_t max_committees_per_slot;
};

struct eth_network {
    char name[32];
    struct eth_preset preset;
    struct {
        struct eth_version version;
        uint64_t epoch;
    } forks[FORK_END];
    bool has_genesis_validators_root;
    struct eth_root genesis_validators_root;
    uint64_t genesis_time; /* seconds; 0: unknown, no clock rules */
    uint64_t seconds_per_slot;
    bool production; /* carries real money: refuse unfit file systems */
};

/* Loads a built-in network by name, or a consensus config YAML when `name_or_path` contains a '/' or ends in
 * .yaml or .yml. Of the file, the fork schedule, the preset and the slot time are taken; what else stands there is
 * ignored. A network from a file has no genesis yet, and counts as production unless its preset is minimal.
 */
CC_ERR network_load(const char *name_or_path, struct eth_network *ret_network);
/* The same for the text of a consensus config YAML. */
CC_ERR network_parse(struct span text, struct eth_network *ret_network);
/* Applies one line of `network_overrides`, e.g. ("GLOAS_FORK_EPOCH", "353024"). After the last, network_check(). */
CC_ERR network_override(struct eth_network *network, const char *key, const char *value);
/* The same for "GLOAS_FORK_EPOCH=353024", of fewer than 256 characters. */
CC_ERR network_override_line(struct eth_network *network, const char *line);
/* CONFIG unless the forks follow one another and the sizes are possible ones. */
CC_ERR network_check(const struct eth_network *network);
/* The fork active at `epoch` by the schedule. */
enum eth_fork_name network_fork_at(const struct eth_network *network, uint64_t epoch);
/* "phase0", ...; upper-case names of BLOCK_V2 are compared without case. */
const char *fork_name(enum eth_fork_name fork);
CC_ERR fork_name_parse(const char *name, size_t len, enum eth_fork_name *ret_fork);
uint64_t network_epoch_of(const struct eth_network *network, uint64_t slot);

#endif
