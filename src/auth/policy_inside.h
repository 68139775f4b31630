/* auth/policy_inside.h - the compiled form of a policy, for the files that make, write and judge it.
 *
 * WHAT      Rules as sets of 64 bits, one bit for a rule: of what denies, of what names a scope, of what names a kind, of what has
 *           conditions; and every named key with the set of rules that name it, in a hash table.
 * PROMISE   A judgement is a few ANDs of sets; only rules that are left over have their conditions looked at.
 * THREADS   As auth/policy.h.   OWNERSHIP As auth/policy.h.   ERRORS None.   SECRETS None.
 */
#ifndef AUTH_POLICY_INSIDE_H
#define AUTH_POLICY_INSIDE_H

#include "base/cidr.h"

#include "auth/policy.h"

_Static_assert(POLICY_RULES_MAX == 64, "a set of rules is a uint64_t");
_Static_assert(KIND_END <= 32, "a set of kinds is a uint32_t");

struct policy_rule_text {
    bool denies;
    bool has_scopes;
    bool has_operations;
    bool star;       /* "*" */
    bool all;        /* "all" */
    uint32_t scopes; /* as written */
    uint32_t named;  /* kinds whose operation is named; aliases share one */
    bool has_gas_limit;
    bool has_min;
    bool has_max;
    uint64_t min;
    uint64_t max;
    struct eth_pubkey *keys;
    uint32_t key_count; /* 0: the rule has none */
    struct cidr *cidrs;
    uint32_t cidr_count;
    struct eth_address *recipients;
    uint32_t recipient_count;
};

struct policy_key {
    struct eth_pubkey pubkey;
    uint64_t rules; /* 0: an empty place of the table */
};

struct policy {
    char name[POLICY_NAME_SIZE];
    uint32_t rule_count;
    struct policy_rule_text *rules;
    /* the compiled form */
    uint64_t denies;
    uint64_t keyed;       /* has `keys` */
    uint64_t operational; /* has `operations` */
    uint64_t conditional; /* has cidrs, fee_recipients or gas_limit */
    uint64_t scopes[SCOPE_END];
    uint64_t kinds[KIND_END];
    struct policy_key *table; /* open addressing; NULL: no rule names a key */
    uint32_t table_mask;
};

/* Fills the compiled form in from the rules. */
CC_ERR policy_make(struct policy *policy);

#endif
