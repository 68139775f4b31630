/* aws/chain.h - where credentials come from: the sources of the AWS CLI, in its order.
 *
 * WHAT      environment; a profile's role (source_profile, credential_source); web identity; a profile's SSO, keys,
 *           credential_process; container (ECS, EKS Pod Identity); instance metadata, version 2 only. The first source that
 *           is set up is the one: when it fails, no other is tried in its stead.
 * PROMISE   Plain http is spoken to loopback and to AWS's link-local addresses alone. Texts are read anew for each fetch, so
 *           rotated token files and changed profiles count. A fetch ends: each exchange has a time-out and few tries.
 * THREADS   One at a time for a chain.
 * OWNERSHIP Borrows all that the struct names.
 * ERRORS    AWS_CREDENTIALS with what is wrong as error_detail(), AWS_UNREACHABLE, AWS_DENIED, AWS_THROTTLED, AWS_CLOCK,
 *           NO_MEMORY, LIMIT.
 * SECRETS   Everything here: texts in bufs that are wiped, credentials in the caller's locked memory.
 */
#ifndef AWS_CHAIN_H
#define AWS_CHAIN_H

#include "aws/http.h"
#include "aws/inputs.h"
#include "aws/profile.h"

/* The texts that a fetch reads; aws_texts_release() wipes them. */
struct aws_texts {
    struct buf environment;
    struct buf config;
    struct buf credentials;
};

CC_ERR aws_texts_read(const struct aws_inputs *inputs,
                      const char *profile,
                      struct aws_texts *ret_texts,
                      struct aws_files *ret_files);
void aws_texts_release(struct aws_texts *texts);

struct aws_chain {
    const struct aws_inputs *inputs;
    struct aws_pool *pool;
    const char *profile; /* aws.profile; "": none */
    const char *region;
    const char *sts_url;
    struct aws_credentials *work; /* locked memory for what is only on the way */
};

CC_ERR aws_chain_fetch(const struct aws_chain *chain, struct aws_credentials *ret_credentials);

#endif
