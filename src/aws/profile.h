/* aws/profile.h - one profile out of the AWS CLI's two files.
 *
 * WHAT      Values of a profile: [name] of the credentials file before [profile name] of the config file; the values that
 *           the environment may give in their stead; where the chain of source_profile ends.
 * PROMISE   A chain that is longer than AWS_PROFILE_CHAIN_MAX, or that comes back to itself, is refused.
 * THREADS   Any: pure.   OWNERSHIP Borrows: values point into the texts.   ERRORS AWS_CREDENTIALS.   SECRETS Values may be.
 */
#ifndef AWS_PROFILE_H
#define AWS_PROFILE_H

#include "base/span.h"

enum {
    AWS_PROFILE_CHAIN_MAX = 5
};

struct aws_files {
    struct span environment; /* AWS_INPUT_ENVIRONMENT */
    struct span config;
    struct span credentials;
    struct span profile; /* the one in use */
    bool chosen; /* by the configuration: then no key and no role of the environment counts */
};

/* `wanted`: aws.profile. Else AWS_PROFILE, AWS_DEFAULT_PROFILE, "default". */
void aws_files_choose(struct aws_files *files, const char *wanted);

/* Empty where there is none. */
struct span aws_profile_get(const struct aws_files *files, struct span profile, const char *key);
bool aws_profile_exists(const struct aws_files *files, struct span profile);
/* `key` of [sso-session name]. */
struct span aws_sso_session_get(const struct aws_files *files, struct span name, const char *key);
/* endpoint_url of the profile for `service` (its `services` section), or for all. */
struct span aws_profile_endpoint(const struct aws_files *files, const char *service);

/* The profile at the end of source_profile: the one that has keys, or says where they come from. */
CC_ERR aws_profile_base(const struct aws_files *files, struct span profile, struct span *ret_base);
/* One step; empty where the chain ends at `profile`. */
struct span aws_profile_source(const struct aws_files *files, struct span profile);

#endif
