/* cli/operator_body.h - the bodies of init and of the rotations.
 *
 * WHAT      JSON out of the command's options: KMS keys, operators by name and public key, thresholds.
 * PROMISE   Public keys and ARNs are checked here: what the signer would refuse is said by option.
 * THREADS   Any.   OWNERSHIP Appends to the caller's buf.   ERRORS Exit codes of app/supervisor.h, printed.   SECRETS None.
 */
#ifndef CLI_OPERATOR_BODY_H
#define CLI_OPERATOR_BODY_H

#include "cli/operator_wanted.h"

/* Members with a comma before each; nothing for what was not given. */
int operator_put_kms(const struct operator_wanted *w, struct buf *body);
int operator_put_quorum(const struct operator_wanted *w, struct buf *body);

#endif
