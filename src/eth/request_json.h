/* eth/request_json.h - from a client's JSON body to struct sign_request.
 *
 * WHAT      Reads the remote-signing API's request in every shape that clients send: each kind and its aliases, both
 *           spellings of signingRoot, wrapped {version, data} and bare objects.
 * PROMISE   What it accepts is complete: the claim of a slashable kind, or the hash_tree_root of the object. Which SSZ type
 *           an aggregate has is decided by its own shape (`committee_bits`: Electra) and, for Gloas, by the version
 *           it names, or by the fork schedule when it names none. Unknown fields are ignored. Nothing is checked against
 *           the network's schedule or genesis: that is the core's.
 * THREADS   One thread per jdoc.
 * OWNERSHIP The body is borrowed and changed (codec/json.h); the caller wipes or frees it.
 * ERRORS    INPUT class; the detail names the field. NO_MEMORY.
 * SECRETS   None in a sign request.
 */
#ifndef ETH_REQUEST_JSON_H
#define ETH_REQUEST_JSON_H

#include "codec/json.h"
#include "eth/network.h"
#include "eth/sign_request.h"

enum {
    SIGN_BODY_MAX = 1 << 20,      /* every kind but one */
    ENVELOPE_BODY_MAX = 32 << 20, /* EXECUTION_PAYLOAD_ENVELOPE */
    SIGN_TOKENS_MAX = 1 << 19,    /* for jdoc_init(): more than a body of SIGN_BODY_MAX can hold */
};

/* Reads one body. BODY_TOO_LARGE beyond what its kind may have. */
CC_ERR sign_request_parse(struct jdoc *doc,
                          const struct eth_network *network,
                          uint8_t *body,
                          size_t len,
                          const struct eth_pubkey *pubkey,
                          struct sign_request *ret_request);

/* The public key in a path or an item: 48 bytes of hex in any case, with or without 0x. IDENTIFIER otherwise. */
CC_ERR identifier_parse(struct span text, struct eth_pubkey *ret_pubkey);

#endif
