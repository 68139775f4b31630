/* auth/from_config.h - what the configuration says of access, as this layer understands it.
 *
 * WHAT      An entry of auth_policies as a policy; and a check of all options of access whose names the configuration can't know.
 * PROMISE   The older form grants nothing that it does not name: without allowed_scopes every scope, as it was, and of operations the
 *           routine class, as everywhere (T31).
 * THREADS   Any.   OWNERSHIP policy_free().   ERRORS As policy_parse(); NO_MEMORY.   SECRETS None.
 */
#ifndef AUTH_FROM_CONFIG_H
#define AUTH_FROM_CONFIG_H

#include "auth/policy.h"
#include "config/config.h"

CC_ERR policy_from_config(const struct static_policy *from,
                          struct policy **ret_policy,
                          struct auth_fault *ret_fault);
/* Adds what is wrong with auth.certificates, auth.listeners, auth.owner_keys, auth_policies and unauthenticated_policy. */
void auth_check_config(const struct auth_config *auth, struct config_faults *faults);

#endif
