/* auth/open.h - what anybody may have signed while auth.mode is open.
 *
 * WHAT      The one anonymous principal of mode `open`: `auth.open_operations` says what it may have signed: "*" (the routine
 *           class of eth/kind.def), "all", or operations by name.
 * PROMISE   Default deny. "*" never covers a kind outside the routine class, so a kind that is added to the table
 *           later is covered only when its row says ROUTINE (T31). Every answer names the rule that it rests on.
 * THREADS   Any: constant after open_policy_compile().
 * OWNERSHIP By value.
 * ERRORS    CONFIG (an operation that no kind has), DENIED.
 * SECRETS   None.
 */
#ifndef AUTH_OPEN_H
#define AUTH_OPEN_H

#include "auth/policy.h"
#include "config/config.h"

/* The compiled form: one rule for each kind. */
struct open_policy {
    enum policy_rule kinds[KIND_END];
};

/* Compiles `auth`; on CONFIG, *ret_unknown is the item that is neither "*", "all" nor an operation. */
CC_ERR
open_policy_compile(const struct auth_config *auth,
                    struct open_policy *ret_policy,
                    const char **ret_unknown);
/* Decides for one kind and writes the rule in both cases; DENIED when it is not allowed. */
CC_ERR
open_policy_check(const struct open_policy *policy, enum eth_kind kind, enum policy_rule *ret_rule);

#endif
