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
    BATCH_BODY_MAX = 4 << 20,     /* many requests in one array */
    BATCH_ITEMS_MAX = 2048,
};

/* Reads one body. BODY_TOO_LARGE beyond what its kind may have. */
CC_ERR sign_request_parse(struct jdoc *doc,
                          const struct eth_network *network,
                          uint8_t *body,
                          size_t len,
                          const struct eth_pubkey *pubkey,
                          struct sign_request *ret_request);

/* Reads a body of many requests: an array of up to BATCH_ITEMS_MAX values, whatever they are. BODY_TOO_LARGE beyond that. */
CC_ERR sign_batch_parse(struct jdoc *doc, uint8_t *body, size_t len, uint32_t *ret_count);
/* One value of the array: a request with its `identifier` beside the other fields. */
CC_ERR sign_batch_item(const struct eth_network *network,
                       struct jval item,
                       struct sign_request *ret_request);
/* What such a value asks for, nothing else of it being looked at. */
CC_ERR sign_batch_kind(struct jval item, enum eth_kind *ret_kind);

/* The public key in a path or an item: 48 bytes of hex in any case, with or without 0x. IDENTIFIER otherwise. */
CC_ERR identifier_parse(struct span text, struct eth_pubkey *ret_pubkey);

#endif
