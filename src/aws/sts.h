/* aws/sts.h - temporary credentials from STS.
 *
 * WHAT      AssumeRole, signed with other credentials; AssumeRoleWithWebIdentity, with a token; whose credentials are.
 * PROMISE   The answer's credentials are whole, and end. An account is twelve digits.
 * THREADS   As aws/ask.h.   OWNERSHIP Borrows.   ERRORS As aws/ask.h, AWS_CREDENTIALS.
 * SECRETS   Token and credentials; bodies are wiped.
 */
#ifndef AWS_STS_H
#define AWS_STS_H

#include "aws/http.h"
#include "config/config.h"

struct aws_sts {
    struct aws_pool *pool;
    const char *url;
    const char *region;
};

struct aws_role {
    struct span arn;
    struct span session_name; /* empty: one is made up */
    struct span external_id;  /* empty: none */
    struct span duration;     /* seconds; empty: STS's default */
};

CC_ERR aws_sts_assume(const struct aws_sts *sts,
                      const struct aws_role *role,
                      const struct aws_credentials *from,
                      struct aws_credentials *ret_credentials);
CC_ERR aws_sts_assume_with_token(const struct aws_sts *sts,
                                 const struct aws_role *role,
                                 struct span token,
                                 struct aws_credentials *ret_credentials);
/* The account of `of` (GetCallerIdentity, which needs no permission). */
CC_ERR aws_sts_account(const struct aws_sts *sts,
                       const struct aws_credentials *of,
                       char ret_account[static AWS_ACCOUNT_SIZE]);

#endif
