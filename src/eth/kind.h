/* eth/kind.h - the table of signing kinds (kind.def).
 *
 * WHAT      Which kinds of message can be signed, and for each its class, its rank, whether it can be slashed for,
 *           its domain and where its fork version comes from.
 * PROMISE   A kind that is not in the table can't be signed.
 * THREADS   Any: constant data.   OWNERSHIP Static.   ERRORS KIND_UNKNOWN.   SECRETS None.
 */
#ifndef ETH_KIND_H
#define ETH_KIND_H

#include "base/error.h"
#include "base/span.h"

enum eth_kind {
#define K(name, key, class, rank, slashable, domain, version) KIND_##name,
#include "eth/kind.def"
#undef K
    KIND_END
};

enum kind_class {
    KIND_CLASS_ROUTINE,
    KIND_CLASS_MONEY,
    KIND_CLASS_IRREVERSIBLE
};
/* What goes first. */
enum kind_rank {
    KIND_RANK_BLOCK, /* a block and what it is made of: never refused for load */
    KIND_RANK_DUTY,  /* must be signed within seconds */
    KIND_RANK_REST,
    KIND_RANKS
};
enum kind_slashable {
    SLASHABLE_NOTHING,
    SLASHABLE_BLOCK,
    SLASHABLE_ATTESTATION
};
enum kind_version_from {
    VERSION_FORK,
    VERSION_EXIT,
    VERSION_GENESIS,
    VERSION_DEPOSIT
};

struct kind_info {
    const char *name;       /* "ATTESTATION": also the operation's name in policies */
    const char *object_key; /* where the request's JSON holds the object */
    enum kind_class class;
    enum kind_rank rank;
    enum kind_slashable slashable;
    uint8_t domain_type[4];
    enum kind_version_from version_from;
};

/* The row of a kind; asserts that it is one. */
const struct kind_info *kind_info(enum eth_kind kind);
/* Finds a kind by its name or one of its aliases (clients' other names of the Gloas kinds), in any case. */
CC_ERR kind_parse(struct span name, enum eth_kind *ret_kind);
/* The n-th key under which a request may hold the object of `kind`, the table's first; NULL after the last. */
const char *kind_object_key(enum eth_kind kind, unsigned n);
/* The name that policies and metrics know the kind by: BLOCK_V2 is BLOCK, AGGREGATE_AND_PROOF_V2 is AGGREGATE_AND_PROOF. */
const char *kind_operation(enum eth_kind kind);

#endif
