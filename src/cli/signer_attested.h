/* cli/signer_attested.h - the way to a signer that has to prove what it is.
 *
 * WHAT      Attested TLS over a socket that stands, and then a nonce, which the enclave has to answer on the same connection.
 * PROMISE   CC_OK only when both are right: no request, and so no token and no credential, is sent before.
 * THREADS   One.   OWNERSHIP The descriptor is the line's, whatever comes back.
 * ERRORS    ATTEST_*, IO, PROTOCOL (no answer to the nonce that can be read), SYSTEM, NO_MEMORY.   SECRETS None.
 */
#ifndef CLI_SIGNER_ATTESTED_H
#define CLI_SIGNER_ATTESTED_H

#include "attest/atls_line.h"
#include "cli/signer_client.h"

CC_ERR signer_attested_open(const struct signer *signer, int fd, struct atls_line **ret_line);

#endif
