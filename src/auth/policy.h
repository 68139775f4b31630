/* auth/policy.h - named lists of rules: who may do what, with which keys, from where.
 *
 * WHAT      A policy's JSON to a compiled form and back, and what the policies of one principal say of one question.
 * PROMISE   Deny, then allow, then default deny: any rule that denies wins over all that allow, in whichever policy they stand.
 *           Strict: a member, a name, a value that is not known, an empty list, is refused with its place, never
 *           passed over. "*" is the routine class, also in a policy that was stored before a kind was added (T31).
 *           A condition on something that the question does not have (a key, an operation, a fee recipient, a gas limit) never
 *           makes a deny match and never holds an allow up; only `cidrs` of an allow want an address.
 *           policy_judge() is pure, allocates nothing, and takes a look-up per policy, however many keys are named.
 * THREADS   Any: a policy is constant once it is made.
 * OWNERSHIP policy_free() frees. The text of policy_parse() is the caller's, and is changed.
 * ERRORS    What codec/json.h says; MALFORMED with a fault; NO_MEMORY.
 * SECRETS   None.
 *
 * Format: docs/formats.md, "Access control"; meaning: docs/access.md.
 */
#ifndef AUTH_POLICY_H
#define AUTH_POLICY_H

#include "auth/scope.h"
#include "eth/kind.h"
#include "eth/types.h"
#include "wire/door_a.h"

/* What a verdict rests on. */
enum policy_rule {
#define P(name, allows, text) POLICY_##name,
#include "auth/policy.def"
#undef P
    POLICY_RULE_END
};

/* "NOT_ROUTINE"; "" for a number that is no rule. */
const char *policy_rule_name(enum policy_rule rule);
const char *policy_rule_text(enum policy_rule rule);
bool policy_rule_allows(enum policy_rule rule);

enum {
    POLICY_NAME_SIZE = A_NAME_MAX, /* of a policy or a token, with the terminator */
    POLICIES_MAX = 64,             /* stored ones */
    POLICY_RULES_MAX = 64,
    POLICY_KEYS_MAX = 1000, /* of one rule */
    POLICY_CIDRS_MAX = 64,
    POLICY_RECIPIENTS_MAX = 64,
    POLICY_TEXT_MAX = 48 * 1024, /* what is accepted */
    POLICY_STORED_MAX = 65536    /* what policy_write() may make of it: a state record's size */
};

struct policy;

/* Where a text is wrong: "rules[2].keys[0]", "" for all of it; no part of either is from the text. */
struct auth_fault {
    char place[64];
    const char *what; /* static */
};

/* [a-z0-9][a-z0-9._-]*, shorter than POLICY_NAME_SIZE. */
bool policy_is_name(struct span name);

/* Reads one policy. `name`: what it must be called, and is where the text says nothing; NULL: the text must say.
 * On an error *ret_fault says where; what is error_detail() where that is all that is known.
 */
CC_ERR policy_parse(uint8_t *text,
                    size_t len,
                    const char *name,
                    struct policy **ret_policy,
                    struct auth_fault *ret_fault);
/* Appends the one text that stands for it: what a record holds, and what the API shows. */
CC_ERR policy_write(const struct policy *policy, struct buf *out);
void policy_free(struct policy *policy); /* takes NULL */
/* POLICY_NAME_SIZE bytes, zeros after its end. */
const char *policy_name(const struct policy *policy);
/* A rule that allows something has this key in its `keys`. */
bool policy_names_key(const struct policy *policy, const struct eth_pubkey *pubkey);

struct policy_question {
    enum auth_scope scope;
    enum eth_kind kind;                      /* counts for SCOPE_SIGN only */
    const struct eth_pubkey *pubkey;         /* NULL: about no one key */
    bool every_key;                          /* about each, those that are not here among them */
    const struct eth_address *fee_recipient; /* NULL: the message has none */
    const uint64_t *gas_limit;               /* NULL: none */
    const uint8_t *address;                  /* 16 bytes; NULL: a Unix connection */
};

enum policy_effect {
    POLICY_SAYS_NOTHING,
    POLICY_ALLOWS,
    POLICY_DENIES
};

struct policy_finding {
    enum policy_effect effect;
    const struct policy *policy; /* whose rule decided: the first that did */
    uint32_t number;             /* of that rule, from 1 */
};

/* What `count` policies say together. */
void policy_judge(const struct policy *const *policies,
                  size_t count,
                  const struct policy_question *question,
                  struct policy_finding *ret_finding);

#endif
