/* aws/metadata.h - credentials from the machine that the program runs on.
 *
 * WHAT      The container's endpoint (ECS, EKS Pod Identity) and the instance's metadata service, version 2: a session
 *           token first, by PUT; version 1 is not spoken.
 * PROMISE   Plain http only where aws_metadata_may_be_plain() says so.
 * THREADS   As aws/ask.h.   OWNERSHIP Borrows.   ERRORS As aws/ask.h, AWS_CREDENTIALS.
 * SECRETS   Tokens and credentials; answers are wiped.
 */
#ifndef AWS_METADATA_H
#define AWS_METADATA_H

#include "aws/http.h"

/* Loopback, and the link-local addresses of AWS. */
bool aws_metadata_may_be_plain(const char *host);

/* `relative` (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI) or else `full`; `token`: the Authorization header's value, or empty. */
CC_ERR aws_metadata_container(struct aws_pool *pool,
                              struct span relative,
                              struct span full,
                              struct span token,
                              struct aws_credentials *ret_credentials);
/* `endpoint`: http://169.254.169.254, or one of the operator's own. */
CC_ERR aws_metadata_instance(struct aws_pool *pool,
                             const char *endpoint,
                             struct aws_credentials *ret_credentials);

#endif
