#include "aws/profile.h"

#include "base/alloc.h"

#include "aws/environment.h"
#include "aws/ini.h"

void aws_files_choose(struct aws_files *files, const char *wanted)
{
    static const char *const names[] = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"};
    files->profile = span_str(wanted);
    files->chosen = wanted[0] != 0;
    for (size_t i = 0; i < ARRAY_LEN(names) && !files->profile.len; i++)
        files->profile = aws_environment_get(files->environment, names[i]);
    if (!files->profile.len)
        files->profile = span_str("default");
}

/* [profile default] counts before [default]; other profiles need the word. */
static struct span get_from_config(const struct aws_files *files,
                                   struct span profile,
                                   const char *key,
                                   bool *ret_found)
{
    struct span value = aws_ini_get(files->config, "profile", profile, key, "", ret_found);
    if (!*ret_found && span_is(profile, "default"))
        value = aws_ini_get(files->config, "", profile, key, "", ret_found);
    return value;
}

struct span aws_profile_get(const struct aws_files *files, struct span profile, const char *key)
{
    bool found = false;
    struct span value = aws_ini_get(files->credentials, "", profile, key, "", &found);
    return value.len ? value : get_from_config(files, profile, key, &found);
}

bool aws_profile_exists(const struct aws_files *files, struct span profile)
{
    bool in_credentials = false;
    bool in_config = false;
    (void)aws_ini_get(files->credentials, "", profile, "", "", &in_credentials);
    (void)get_from_config(files, profile, "", &in_config);
    return in_credentials || in_config;
}

struct span aws_sso_session_get(const struct aws_files *files, struct span name, const char *key)
{
    bool found = false;
    return aws_ini_get(files->config, "sso-session", name, key, "", &found);
}

struct span aws_profile_endpoint(const struct aws_files *files, const char *service)
{
    bool found = false;
    struct span services = aws_profile_get(files, files->profile, "services");
    struct span url = span_of(NULL, 0);
    if (services.len)
        url = aws_ini_get(files->config, "services", services, service, "endpoint_url", &found);
    return url.len ? url : aws_profile_get(files, files->profile, "endpoint_url");
}

struct span aws_profile_source(const struct aws_files *files, struct span profile)
{
    if (!aws_profile_get(files, profile, "role_arn").len)
        return span_of(NULL, 0);
    struct span source = aws_profile_get(files, profile, "source_profile");
    /* A profile may name itself: its own keys are the source. */
    return span_equal(source, profile) ? span_of(NULL, 0) : source;
}

CC_ERR aws_profile_base(const struct aws_files *files, struct span profile, struct span *ret_base)
{
    for (int i = 0; i < AWS_PROFILE_CHAIN_MAX; i++) {
        struct span source = aws_profile_source(files, profile);
        if (!source.len) {
            *ret_base = profile;
            return CC_OK;
        }
        if (!aws_profile_exists(files, source))
            return CC_FAIL(AWS_CREDENTIALS, "source_profile names a profile that is not there");
        profile = source;
    }
    return CC_FAIL(AWS_CREDENTIALS, "source_profile: the chain is too long, or goes round");
}
