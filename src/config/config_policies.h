/* config/config_policies.h - auth_policies: policies as configurations of older releases have them.
 *
 * WHAT      {NAME: {token: env:VARIABLE, allowed_scopes: [...], denied_scopes: [...]}} to struct static_policies and back.
 * PROMISE   Strict, as all options. Of a token only the SHA-256 is kept; in the file stands where it is, never itself.
 * THREADS   As config/config.h.   OWNERSHIP By value.
 * ERRORS    CONFIG with a sentence for the user as error_detail().
 * SECRETS   The token while its digest is made; wiped.
 */
#ifndef CONFIG_CONFIG_POLICIES_H
#define CONFIG_CONFIG_POLICIES_H

#include "codec/yaml.h"
#include "config/config_load.h"

CC_ERR config_policies_take(struct static_policies *policies, const struct yml_node *node);
/* Fills in the digests of the tokens; what can't be had is a fault. */
void config_policies_resolve(struct config_loading *loading, char *const *environment);
/* As one line of YAML. */
CC_ERR config_policies_put(const struct static_policies *policies, struct buf *out);
/* Texts end and the count is in range. */
bool config_policies_sound(const struct static_policies *policies);

#endif
