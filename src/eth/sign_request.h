/* eth/sign_request.h - a signing request after the JSON, before any decision.
 *
 * WHAT      What the front makes of a client's body and the core judges: a plain struct that crosses door A.
 * PROMISE   For slashable kinds the claim itself is here, so that core and vault recompute the root
 *           from it; for the others the hash_tree_root of the object, which the domain keeps apart
 *           from every slashable message.
 * THREADS   Any.   OWNERSHIP By value.   ERRORS None.   SECRETS None.
 */
#ifndef ETH_SIGN_REQUEST_H
#define ETH_SIGN_REQUEST_H

#include "eth/kind.h"
#include "eth/types.h"

enum sign_request_flags {
    SIGN_HAS_FORK_INFO = 1 << 0,
    SIGN_HAS_CLIENT_ROOT = 1 << 1,
};

struct sign_request {
    struct eth_pubkey pubkey; /* from the path */
    uint32_t kind;            /* enum eth_kind, checked again by the core */
    uint32_t flags;           /* enum sign_request_flags */
    struct eth_fork_info fork_info;
    uint64_t epoch;              /* for the domain: the message's epoch, or that of its slot */
    struct eth_root object_root; /* kinds that can't be slashed for */
    union {
        struct eth_attestation_data attestation; /* SLASHABLE_ATTESTATION */
        struct eth_block_header block;           /* SLASHABLE_BLOCK */
        struct eth_version deposit_version;      /* DEPOSIT: genesis_fork_version of the request */
        /* VALIDATOR_REGISTRATION, PROPOSER_PREFERENCES, EXECUTION_PAYLOAD_BID, EXECUTION_PAYLOAD_ENVELOPE: for policies */
        struct {
            struct eth_address fee_recipient;
            uint32_t reserved;
            uint64_t gas_limit;
            uint64_t
                timestamp; /* these two: VALIDATOR_REGISTRATION, so that its root can be made again */
            struct eth_pubkey pubkey;
        } fees;
    } claim;
    struct eth_root client_root; /* signingRoot of the request */
};

#endif
