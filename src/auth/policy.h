/* auth/policy.h - who may ask for which kind of signature.
 *
 * WHAT      In mode `open` there is one anonymous principal, and `auth.open_operations` says what it may have signed:
 *           "*" (the routine class of eth/kind.def), "all", or operations by name.
 * PROMISE   Default deny. "*" never covers a kind outside the routine class, so a kind that is added to the table
 *           later is covered only when its row says ROUTINE (T31). Every answer names the rule that it rests on.
 * THREADS   Any: constant after policy_compile().
 * OWNERSHIP By value.
 * ERRORS    CONFIG (an operation that no kind has), DENIED.
 * SECRETS   None.
 */
#ifndef AUTH_POLICY_H
#define AUTH_POLICY_H

#include "config/config.h"
#include "eth/kind.h"

enum policy_rule {
#define P(name, allows, text) POLICY_##name,
#include "auth/policy.def"
#undef P
    POLICY_RULE_END
};

/* "NOT_ROUTINE"; "" for a number that is no rule. */
const char *policy_rule_name(enum policy_rule rule);
const char *policy_rule_text(enum policy_rule rule);

/* The compiled form: one rule for each kind. */
struct policy {
    enum policy_rule kinds[KIND_END];
};

/* Compiles `auth`; on CONFIG, *ret_unknown is the item that is neither "*", "all" nor an operation. */
CC_ERR
policy_compile(const struct auth_config *auth, struct policy *ret_policy, const char **ret_unknown);
/* Decides for one kind and writes the rule in both cases; DENIED when it is not allowed. */
CC_ERR policy_check(const struct policy *policy, enum eth_kind kind, enum policy_rule *ret_rule);

#endif
