/* aws/credentials.h - what a request is signed with.
 *
 * WHAT      An access key, its secret and, where they are temporary, the session token and the end of their life.
 * PROMISE   Texts end in zero and are wiped by aws_credentials_wipe().
 * THREADS   Plain data.   OWNERSHIP By value; whoever holds one wipes it.   ERRORS None.
 * SECRETS   `secret_key` and `session_token` (docs/secrets.md): held in locked memory, passed by pointer.
 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

enum {
    AWS_KEY_ID_MAX = 132,
    AWS_SECRET_MAX = 132,
    AWS_TOKEN_MAX = 8192
};

struct aws_credentials {
    char key_id[AWS_KEY_ID_MAX];
    char secret_key[AWS_SECRET_MAX];
    char session_token[AWS_TOKEN_MAX]; /* "": long-term keys */
    int64_t expires;                   /* seconds since 1970; 0: they don't */
};

/* Copies texts that fit and are printable ASCII without spaces; else AWS_CREDENTIALS. An empty `token` is none. */
CC_ERR aws_credentials_set(struct aws_credentials *ret_credentials,
                           struct span key_id,
                           struct span secret_key,
                           struct span token);
void aws_credentials_wipe(struct aws_credentials *credentials);

#endif
