/* eth/signing_root.h - domains and signing roots (consensus-specs phase0, compute_domain and compute_signing_root).
 *
 * WHAT      From a request to the 32 bytes that BLS signs.
 * PROMISE   The only maker of struct signing_root. The root is always computed, never taken from a client.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS FIELD_MISSING (no fork_info), ROOT_MISMATCH.   SECRETS None.
 */
#ifndef ETH_SIGNING_ROOT_H
#define ETH_SIGNING_ROOT_H

#include "base/error.h"

#include "eth/network.h"
#include "eth/sign_request.h"

/* domain = type ++ fork_data_root(version, genesis_validators_root)[0:28]. */
void domain_compute(const uint8_t type[static 4],
                    const struct eth_version *version,
                    const struct eth_root *genesis_validators_root,
                    struct eth_domain *ret_domain);

struct eth_root attestation_data_root(const struct eth_attestation_data *data);
struct eth_root block_header_root(const struct eth_block_header *header);

/* Of a VALIDATOR_REGISTRATION, from request->claim.fees. */
struct eth_root registration_root(const struct sign_request *request);

/* hash_tree_root(SigningData(object_root, domain)). */
struct signing_root signing_root_of(const struct eth_root *object_root,
                                    const struct eth_domain *domain);

/* What the vault needs to compute the same root by itself. */
struct signing_parts {
    struct eth_root object_root;
    struct eth_domain domain;
    struct eth_version version; /* that went into the domain */
    struct eth_root
        genesis_validators_root; /* that went into the domain: zero for GENESIS and DEPOSIT kinds */
};

/* Computes the parts and the root of `request` under `network` (EIP-7044 and genesis version need it) and
 * compares the client's root when it sent one.
 */
CC_ERR signing_root_compute(const struct eth_network *network,
                            const struct sign_request *request,
                            struct signing_parts *ret_parts,
                            struct signing_root *ret_root);

#endif
