/* cli/auth_proof.h - shows the running signer that its data directory's owner asks.
 *
 * WHAT      Writes `<data_dir>/auth.proof`, which the core looks at by itself (core/manage_owner.c), and takes it away again.
 * PROMISE   The file says one thing that may be done, and is there while that is asked for.
 * THREADS   Main only.   OWNERSHIP None.   ERRORS IO, PERMISSIONS, LIMIT.   SECRETS None.
 */
#ifndef CLI_AUTH_PROOF_H
#define CLI_AUTH_PROOF_H

#include "base/error.h"

CC_ERR auth_proof_write(const char *data_dir, const char *text);
void auth_proof_remove(const char *data_dir);

#endif
