/* core/canary.h - keys of no validator, which nobody has a reason to sign with.
 *
 * WHAT      canary.public_keys: who may sign with one, by policy, and asks for it, has come by a list of keys that is not his. A hit is counted,
 *           logged and audited; by somebody who showed who he is it does what canary.action says besides.
 * PROMISE   Judged after policy: a stranger's word never seals the signer and revokes nothing, and what he is answered is what he would be
 *           for any other key (T28). Nothing waits for a token to be revoked or the chamber to be sealed but the canary's own thread.
 * THREADS   has: any. hit: the reader of door A. start, stop: the control thread.
 * OWNERSHIP Borrows what the settings point to until canary_stop() returns.
 * ERRORS    NO_MEMORY, SYSTEM.
 * SECRETS   None.
 */
#ifndef CORE_CANARY_H
#define CORE_CANARY_H

#include "config/config.h"
#include "core/audit.h"
#include "core/sign_path.h"

struct seal;

struct canary_settings {
    const struct canary_config *config;
    struct audit *audit;
    struct seal *seal;
    /* Revokes the token of this name; may block. The canary's own thread calls it. */
    cc_err (*revoke)(void *context, const char *token);
    void *context;
};

struct canary;

CC_ERR canary_start(const struct canary_settings *settings, struct canary **ret_canary);
void canary_stop(struct canary *canary); /* takes NULL */

bool canary_has(const struct canary *canary, const struct eth_pubkey *pubkey);
/* What happens when a request that policy allows names one; its outcome may become KEY_UNKNOWN. */
void canary_hit(struct canary *canary, const struct a_sign *item, struct sign_outcome *outcome);

#endif
