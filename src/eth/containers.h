/* eth/containers.h - hash_tree_root of JSON values by tables.
 *
 * WHAT      A struct ssz_type describes one consensus type; container_root() walks a JSON value by it. The types
 *           themselves are rows of containers.def.
 * PROMISE   The root is that of the typed object that the JSON stands for, or there is none: a missing field, a wrong length,
 *           a set bit beyond a bitvector's end or a list beyond its limit is an error. Fields that the type does not
 *           know are ignored. Memory does not depend on the value's size; recursion follows the table, not the input.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows.
 * ERRORS    FIELD_MISSING, FIELD_TYPE, LIST_LIMIT, NUMBER_RANGE, MALFORMED, HEX_SYNTAX, HEX_LENGTH; the detail is the
 *           field's name.
 * SECRETS   None.
 */
#ifndef ETH_CONTAINERS_H
#define ETH_CONTAINERS_H

#include "base/error.h"

#include "codec/json.h"
#include "eth/network.h"
#include "eth/types.h"

enum ssz_kind {
    SSZ_UINT64,
    SSZ_UINT256,
    SSZ_BOOLEAN,
    SSZ_BYTES,
    SSZ_ROOT, /* Bytes32 as Web3Signer reads it: fewer bytes are padded on the left */
    SSZ_BYTE_LIST,
    SSZ_BITVECTOR,
    SSZ_BITLIST,
    SSZ_LIST,
    SSZ_VECTOR,
    SSZ_CONTAINER
};

/* Where the size of a type stands. */
enum ssz_limit {
    LIMIT_FIXED,
    LIMIT_COMMITTEES,        /* MAX_COMMITTEES_PER_SLOT */
    LIMIT_SLOT_VALIDATORS,   /* MAX_VALIDATORS_PER_COMMITTEE * MAX_COMMITTEES_PER_SLOT */
    LIMIT_SYNC_COMMITTEE,    /* SYNC_COMMITTEE_SIZE */
    LIMIT_SYNC_SUBCOMMITTEE, /* SYNC_COMMITTEE_SIZE / SYNC_COMMITTEE_SUBNET_COUNT */
};

struct ssz_field {
    const char *name;
    const struct ssz_type *type;
};

struct ssz_type {
    enum ssz_kind kind;
    bool progressive; /* EIP-7495 or EIP-7916; `size` is no limit of the tree then */
    enum ssz_limit limit;
    uint32_t size;                  /* bytes, bits, elements or fields */
    const struct ssz_type *element; /* LIST, VECTOR */
    const struct ssz_field *fields; /* CONTAINER */
};

#define LIST(name, ...)        extern const struct ssz_type type_##name;
#define CONTAINER(name, ...)   extern const struct ssz_type type_##name;
#define PROGRESSIVE(name, ...) extern const struct ssz_type type_##name;
#include "eth/containers.def"
#undef LIST
#undef CONTAINER
#undef PROGRESSIVE

CC_ERR container_root(const struct ssz_type *type,
                      const struct eth_preset *preset,
                      struct jval value,
                      struct eth_root *ret_root);

#endif
