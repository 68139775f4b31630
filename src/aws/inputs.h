/* aws/inputs.h - what the credential chain reads from outside the configuration.
 *
 * WHAT      The AWS_* environment, the AWS CLI's two files, token files, the output of credential_process: each is one
 *           text, and read() gives it.
 * PROMISE   A room has no environment, may lie behind other permissions and executes nothing, so its read() asks the
 *           supervisor (aws/inputs_line.h); the command line's looks for itself: same chain, one switch. Which files and
 *           which process follows from the environment and the operator's own files alone, never from who asks.
 * THREADS   read() is called by one thread at a time.
 * OWNERSHIP The caller owns the buf. `context` is the opener's.
 * ERRORS    A text that is not there is empty, and no error. AWS_CREDENTIALS, LIMIT, NO_MEMORY, IO.
 * SECRETS   Most of these texts hold keys or tokens: bufs are wiped when released.
 */
#ifndef AWS_INPUTS_H
#define AWS_INPUTS_H

#include "base/span.h"

#include "config/config.h"

enum {
    AWS_INPUT_MAX = 1 << 20
};

enum aws_input {
    AWS_INPUT_ENVIRONMENT,        /* NAME=value, each ended by a zero byte: AWS_* and HOME alone */
    AWS_INPUT_CONFIG_FILE,        /* ~/.aws/config, or AWS_CONFIG_FILE */
    AWS_INPUT_CREDENTIALS_FILE,   /* ~/.aws/credentials, or AWS_SHARED_CREDENTIALS_FILE */
    AWS_INPUT_WEB_IDENTITY_TOKEN, /* of AWS_WEB_IDENTITY_TOKEN_FILE or the profile */
    AWS_INPUT_CONTAINER_TOKEN,    /* of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE */
    AWS_INPUT_SSO_TOKEN,          /* the SSO cache's file */
    AWS_INPUT_PROCESS,            /* what the profile's credential_process has written */
    AWS_INPUT_CA_BUNDLE, /* of aws.ca_bundle, AWS_CA_BUNDLE or the profile; empty: the system's */
    AWS_INPUT_END
};

struct aws_inputs {
    cc_err (*read)(void *context, enum aws_input input, struct buf *ret_text);
    void *context;
};

/* What this process itself can see; borrows `config`. */
struct aws_inputs aws_inputs_own(const struct aws_config *config);

#endif
