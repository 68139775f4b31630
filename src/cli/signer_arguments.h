/* cli/signer_arguments.h - the options of commands that talk to a running signer.
 *
 * WHAT      --signer-url URL, --auth-token env:NAME|file:PATH|fd:N, --allow-plaintext-signer; for https:// --ca FILE,
 *           --client-cert FILE and --client-key FILE, or --attested and whom (cli/attest_options.h).
 * PROMISE   A token is never taken from an argument itself: those stand in the process list. One that could not be sent as it is
 *           (blanks, control characters, too long, none) is refused.
 * THREADS   Main only.
 * OWNERSHIP The signer is the caller's, to be ended with signer_release() whatever comes back.
 * ERRORS    Exit codes of app/supervisor.h.
 * SECRETS   The token, in struct signer; what it was read into is wiped. An environment variable stays the process's own.
 */
#ifndef CLI_SIGNER_ARGUMENTS_H
#define CLI_SIGNER_ARGUMENTS_H

#include "cli/command.h"
#include "cli/signer_client.h"

/* For a command that can do nothing without one. */
#define COMMAND_NEEDS_SIGNER                                                                       \
    "needs --signer-url of a running signer, such as unix:/var/lib/containment-chamber/admin.sock"

/* Takes them out of `arguments`; ret_signer->url is NULL when there is no --signer-url, and then the others are refused. */
int command_take_signer(struct arguments *arguments, struct signer *ret_signer);

enum {
    SIGNERS_MAX = 16
};

struct signers {
    size_t count;
    struct signer each[SIGNERS_MAX];
};

/* The same for a command that asks several at a time: --signer-url may stand there more than once. */
int command_take_signers(struct arguments *arguments, struct signers *ret_signers);
void signers_release(struct signers *signers);

#endif
