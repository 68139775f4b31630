/* cli/attest_verify.h - `attest verify`.
 *
 * WHAT      Verifies a document by a policy that the arguments make, and shows what it says.
 * PROMISE   What is shown of a document that nobody vouches for is called unproven. Nothing of it reaches a terminal but hex and
 *           printable ASCII.
 * THREADS   Main only.   OWNERSHIP Borrows.   ERRORS Exit codes: 0 it holds, 1 the file can't be read, 2 usage, 3 it doesn't.
 * SECRETS   None.
 */
#ifndef CLI_ATTEST_VERIFY_H
#define CLI_ATTEST_VERIFY_H

#include "cli/command.h"

int command_attest_verify(struct arguments *arguments);

#endif
