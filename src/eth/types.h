/* eth/types.h - the consensus-spec types that the signer handles by value.
 *
 * WHAT      Fixed-size newtypes (consensus-specs phase0/beacon-chain.md, "Custom types" and "Containers").
 * PROMISE   Plain data: no pointers, no padding read by anyone; a struct of zeros is valid.
 * THREADS   Any.   OWNERSHIP By value.   ERRORS None.   SECRETS None.
 */
#ifndef ETH_TYPES_H
#define ETH_TYPES_H

#include <stdint.h>

struct eth_root {
    uint8_t bytes[32];
};
struct eth_domain {
    uint8_t bytes[32];
};
struct eth_version {
    uint8_t bytes[4];
};
struct eth_pubkey {
    uint8_t bytes[48];
};
struct eth_signature {
    uint8_t bytes[96];
};
struct eth_address {
    uint8_t bytes[20];
};

/* What BLS signs. A type of its own, made only in eth/signing_root.c: no function signs 32 anonymous bytes. */
struct signing_root {
    uint8_t bytes[32];
};

struct eth_fork {
    struct eth_version previous_version;
    struct eth_version current_version;
    uint64_t epoch;
};
struct eth_fork_info {
    struct eth_fork fork;
    struct eth_root genesis_validators_root;
};
struct eth_checkpoint {
    uint64_t epoch;
    struct eth_root root;
};
struct eth_attestation_data {
    uint64_t slot;
    uint64_t index;
    struct eth_root beacon_block_root;
    struct eth_checkpoint source;
    struct eth_checkpoint target;
};
struct eth_block_header {
    uint64_t slot;
    uint64_t proposer_index;
    struct eth_root parent_root;
    struct eth_root state_root;
    struct eth_root body_root;
};

#endif
