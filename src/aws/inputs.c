#include "aws/inputs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"

#include "aws/environment.h"
#include "aws/process.h"
#include "aws/profile.h"
#include "codec/hex.h"
#include "crypto/sha1.h"

/* AWS_* and HOME: nothing else of the environment is anybody's business here. */
static cc_err read_environment(struct buf *ret_text)
{
    for (char **at = environ; at && *at; at++)
        if (strncmp(*at, "AWS_", 4) == 0 || strncmp(*at, "HOME=", 5) == 0)
            CC_TRY(buf_append(ret_text, *at, strlen(*at) + 1));
    return CC_OK;
}

/* "~/" stands for HOME. */
static cc_err
read_file(struct span environment, struct span path, bool may_be_closed, struct buf *ret_text)
{
    char whole[PATH_MAX];
    struct span home = span_str("");
    if (path.len >= 2 && path.data[0] == '~' && path.data[1] == '/') {
        home = aws_environment_get(environment, "HOME");
        if (!home.len)
            return CC_OK;
        path = span_of(path.data + 1, path.len - 1);
    }
    int n = snprintf(whole, sizeof whole, "%.*s%.*s", (int)home.len, (const char *)home.data,
                     (int)path.len, (const char *)path.data);
    if (path.len == 0 || n < 0 || (size_t)n >= sizeof whole)
        return CC_OK;
    CC_CLEANUP(fd_closep) int fd = open(whole, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0)
        return fd_read_all(fd, ret_text);
    if (errno == ENOENT || errno == ENOTDIR || (errno == EACCES && may_be_closed))
        return CC_OK;
    return CC_FAIL(AWS_CREDENTIALS, "a file of the credentials can't be opened");
}

static cc_err read_named(struct span environment,
                         const char *variable,
                         const char *otherwise,
                         struct buf *ret_text)
{
    /* A service is often kept out of all home directories: one that nobody has named may be closed. */
    struct span path = aws_environment_get(environment, variable);
    return read_file(environment, path.len ? path : span_str(otherwise), !path.len, ret_text);
}

/* --- what follows from the profile ----------------------------------------------------------------------------------------- */

struct own {
    struct buf environment;
    struct buf config;
    struct buf credentials;
    struct aws_files files;
};

static void own_release(struct own *own)
{
    buf_release(&own->environment);
    buf_release(&own->config);
    buf_release(&own->credentials);
}

static cc_err own_read(const struct aws_config *config, struct own *own)
{
    CC_TRY(read_environment(&own->environment));
    struct span environment = buf_span(&own->environment);
    CC_TRY(read_named(environment, "AWS_CONFIG_FILE", "~/.aws/config", &own->config));
    CC_TRY(read_named(environment, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials",
                      &own->credentials));
    own->files = (struct aws_files){.environment = environment,
                                    .config = buf_span(&own->config),
                                    .credentials = buf_span(&own->credentials)};
    aws_files_choose(&own->files, config->profile);
    return CC_OK;
}

static cc_err read_web_identity(const struct own *own, struct span base, struct buf *ret_text)
{
    struct span path = own->files.chosen ? span_of(NULL, 0)
                                         : aws_environment_get(own->files.environment,
                                                               "AWS_WEB_IDENTITY_TOKEN_FILE");
    if (!path.len)
        path = aws_profile_get(&own->files, base, "web_identity_token_file");
    return read_file(own->files.environment, path, false, ret_text);
}

/* The cache's file is named after the SSO session, or the start URL of a profile without one. */
static cc_err read_sso_token(const struct own *own, struct span base, struct buf *ret_text)
{
    uint8_t digest[SHA1_SIZE];
    char path[64] = "~/.aws/sso/cache/";
    struct span name = aws_profile_get(&own->files, base, "sso_session");
    if (!name.len)
        name = aws_profile_get(&own->files, base, "sso_start_url");
    if (!name.len)
        return CC_OK;
    CC_TRY(sha1(name, digest));
    size_t len = strlen(path);
    hex_encode(digest, sizeof digest, path + len);
    len += 2 * sizeof digest;
    memcpy(path + len, ".json", 6);
    return read_file(own->files.environment, span_str(path), false, ret_text);
}

static cc_err read_process(const struct own *own, struct span base, struct buf *ret_text)
{
    struct span command = aws_profile_get(&own->files, base, "credential_process");
    return command.len ? aws_process_run(command, AWS_PROCESS_TIMEOUT_MS, ret_text) : CC_OK;
}

static cc_err read_ca_bundle(const struct own *own, const char *configured, struct buf *ret_text)
{
    struct span path = span_str(configured);
    if (!path.len)
        path = aws_environment_get(own->files.environment, "AWS_CA_BUNDLE");
    if (!path.len)
        path = aws_profile_get(&own->files, own->files.profile, "ca_bundle");
    CC_TRY(read_file(own->files.environment, path, false, ret_text));
    return path.len && !ret_text->len
               ? CC_FAIL(AWS_CREDENTIALS, "the bundle of authorities is missing, or empty")
               : CC_OK;
}

static cc_err read_of_profile(const struct own *own, enum aws_input input, struct buf *ret_text)
{
    struct span base;
    CC_TRY(aws_profile_base(&own->files, own->files.profile, &base));
    if (input == AWS_INPUT_WEB_IDENTITY_TOKEN)
        return read_web_identity(own, base, ret_text);
    return input == AWS_INPUT_SSO_TOKEN ? read_sso_token(own, base, ret_text)
                                        : read_process(own, base, ret_text);
}

static cc_err read_own(void *context, enum aws_input input, struct buf *ret_text)
{
    CC_CLEANUP(own_release)
    struct own own = {buf_init(AWS_INPUT_MAX),
                      buf_init(AWS_INPUT_MAX),
                      buf_init(AWS_INPUT_MAX),
                      {.chosen = false}};
    if (input == AWS_INPUT_ENVIRONMENT)
        return read_environment(ret_text);
    const struct aws_config *config = context;
    CC_TRY(own_read(config, &own));
    struct span environment = own.files.environment;
    switch (input) {
    case AWS_INPUT_CONFIG_FILE:
        return buf_append(ret_text, own.config.data, own.config.len);
    case AWS_INPUT_CREDENTIALS_FILE:
        return buf_append(ret_text, own.credentials.data, own.credentials.len);
    case AWS_INPUT_CONTAINER_TOKEN:
        return read_named(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "", ret_text);
    case AWS_INPUT_CA_BUNDLE:
        return read_ca_bundle(&own, config->ca_bundle, ret_text);
    case AWS_INPUT_WEB_IDENTITY_TOKEN:
    case AWS_INPUT_SSO_TOKEN:
    case AWS_INPUT_PROCESS:
        return read_of_profile(&own, input, ret_text);
    case AWS_INPUT_ENVIRONMENT:
    case AWS_INPUT_END:
        break;
    }
    return CC_FAIL(AWS_CREDENTIALS, "no such input");
}

struct aws_inputs aws_inputs_own(const struct aws_config *config)
{
    return (struct aws_inputs){read_own, (void *)(uintptr_t)config};
}
