#include "aws/chain.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"

#include "aws/answer.h"
#include "aws/ask.h"
#include "aws/endpoint.h"
#include "aws/environment.h"
#include "aws/form.h"
#include "aws/metadata.h"
#include "aws/sts.h"
#include "secret/wipe.h"

enum {
    SSO_TIMEOUT_MS = 5000,
    SSO_TOKEN_MAX = 8192
};

/* --- texts ------------------------------------------------------------------------------------------------------------- */

CC_ERR aws_texts_read(const struct aws_inputs *inputs,
                      const char *profile,
                      struct aws_texts *ret_texts,
                      struct aws_files *ret_files)
{
    *ret_texts = (struct aws_texts){buf_init(AWS_INPUT_MAX), buf_init(AWS_INPUT_MAX),
                                    buf_init(AWS_INPUT_MAX)};
    CC_TRY(inputs->read(inputs->context, AWS_INPUT_ENVIRONMENT, &ret_texts->environment));
    CC_TRY(inputs->read(inputs->context, AWS_INPUT_CONFIG_FILE, &ret_texts->config));
    CC_TRY(inputs->read(inputs->context, AWS_INPUT_CREDENTIALS_FILE, &ret_texts->credentials));
    *ret_files = (struct aws_files){.environment = buf_span(&ret_texts->environment),
                                    .config = buf_span(&ret_texts->config),
                                    .credentials = buf_span(&ret_texts->credentials)};
    aws_files_choose(ret_files, profile);
    return CC_OK;
}

void aws_texts_release(struct aws_texts *texts)
{
    buf_release(&texts->environment);
    buf_release(&texts->config);
    buf_release(&texts->credentials);
}

/* What all sources are given. */
struct fetch {
    const struct aws_chain *chain;
    const struct aws_files *files;
    struct aws_credentials *to;
};

static struct span variable(const struct fetch *fetch, const char *name)
{
    return aws_environment_get(fetch->files->environment, name);
}

static cc_err read_text(const struct fetch *fetch, enum aws_input input, struct buf *ret_text)
{
    *ret_text = buf_init(AWS_INPUT_MAX);
    return fetch->chain->inputs->read(fetch->chain->inputs->context, input, ret_text);
}

static struct span trimmed(struct span text)
{
    while (text.len && text.data[text.len - 1] <= ' ')
        text.len--;
    return text;
}

/* --- environment --------------------------------------------------------------------------------------------------------- */

static bool environment_is_set(const struct fetch *fetch)
{
    return !fetch->files->chosen && variable(fetch, "AWS_ACCESS_KEY_ID").len;
}

static cc_err from_environment(const struct fetch *fetch)
{
    return aws_credentials_set(fetch->to, variable(fetch, "AWS_ACCESS_KEY_ID"),
                               variable(fetch, "AWS_SECRET_ACCESS_KEY"),
                               variable(fetch, "AWS_SESSION_TOKEN"));
}

/* --- web identity -------------------------------------------------------------------------------------------------------- */

static bool web_identity_is_set(const struct fetch *fetch)
{
    return !fetch->files->chosen && variable(fetch, "AWS_WEB_IDENTITY_TOKEN_FILE").len;
}

static struct aws_sts sts_of(const struct fetch *fetch)
{
    return (struct aws_sts){fetch->chain->pool, fetch->chain->sts_url, fetch->chain->region};
}

static cc_err assume_with_token(const struct fetch *fetch, const struct aws_role *role)
{
    CC_CLEANUP(buf_release) struct buf token = buf_init(0);
    const struct aws_sts sts = sts_of(fetch);
    if (!role->arn.len)
        return CC_FAIL(AWS_CREDENTIALS, "a web identity needs a role: AWS_ROLE_ARN, or role_arn");
    CC_TRY(read_text(fetch, AWS_INPUT_WEB_IDENTITY_TOKEN, &token));
    if (!trimmed(buf_span(&token)).len)
        return CC_FAIL(AWS_CREDENTIALS, "the web identity's token file is missing, or empty");
    return aws_sts_assume_with_token(&sts, role, trimmed(buf_span(&token)), fetch->to);
}

static cc_err from_web_identity(const struct fetch *fetch)
{
    const struct aws_role role = {.arn = variable(fetch, "AWS_ROLE_ARN"),
                                  .session_name = variable(fetch, "AWS_ROLE_SESSION_NAME")};
    return assume_with_token(fetch, &role);
}

/* --- container, instance --------------------------------------------------------------------------------------------------- */

static bool container_is_set(const struct fetch *fetch)
{
    return variable(fetch, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").len ||
           variable(fetch, "AWS_CONTAINER_CREDENTIALS_FULL_URI").len;
}

static cc_err from_container(const struct fetch *fetch)
{
    CC_CLEANUP(buf_release) struct buf file = buf_init(0);
    struct span token = variable(fetch, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (!container_is_set(fetch))
        return CC_FAIL(AWS_CREDENTIALS, "there is no container that gives credentials");
    if (variable(fetch, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").len) {
        CC_TRY(read_text(fetch, AWS_INPUT_CONTAINER_TOKEN, &file));
        token = trimmed(buf_span(&file));
        if (!token.len)
            return CC_FAIL(AWS_CREDENTIALS, "the container's token file is missing, or empty");
    }
    return aws_metadata_container(
        fetch->chain->pool, variable(fetch, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        variable(fetch, "AWS_CONTAINER_CREDENTIALS_FULL_URI"), token, fetch->to);
}

static cc_err from_instance(const struct fetch *fetch)
{
    char endpoint[AWS_HTTP_URL_MAX];
    struct span own = variable(fetch, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (span_is_nocase(variable(fetch, "AWS_EC2_METADATA_DISABLED"), "true"))
        return CC_FAIL(AWS_CREDENTIALS, "no source of credentials is set up");
    bool six = span_is_nocase(variable(fetch, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), "IPv6");
    if (!own.len)
        own = span_str(six ? "http://[fd00:ec2::254]" : "http://169.254.169.254");
    if (own.data[own.len - 1] == '/')
        own.len--;
    int n = snprintf(endpoint, sizeof endpoint, "%.*s", (int)own.len, (const char *)own.data);
    if (n < 0 || (size_t)n >= sizeof endpoint)
        return CC_FAIL(AWS_CREDENTIALS, "the endpoint of the credentials is too long");
    return aws_metadata_instance(fetch->chain->pool, endpoint, fetch->to);
}

/* --- a profile --------------------------------------------------------------------------------------------------------------- */

static struct span value_of(const struct fetch *fetch, struct span profile, const char *key)
{
    return aws_profile_get(fetch->files, profile, key);
}

/* Of the profile, or of the sso-session that it names. */
static struct span sso_value(const struct fetch *fetch, struct span profile, const char *key)
{
    struct span session = value_of(fetch, profile, "sso_session");
    struct span value =
        session.len ? aws_sso_session_get(fetch->files, session, key) : span_of(NULL, 0);
    return value.len ? value : value_of(fetch, profile, key);
}

struct sso_secrets {
    char token[SSO_TOKEN_MAX];
    char header[SSO_TOKEN_MAX + 32];
};

static void sso_secrets_wipep(struct sso_secrets *secrets)
{
    wipe(secrets, sizeof *secrets);
}

static cc_err sso_token(const struct fetch *fetch, struct sso_secrets *secrets)
{
    CC_CLEANUP(buf_release) struct buf file = buf_init(0);
    int64_t expires = 0;
    CC_TRY(read_text(fetch, AWS_INPUT_SSO_TOKEN, &file));
    if (!file.len)
        return CC_FAIL(AWS_CREDENTIALS, "SSO: there is no session: run `aws sso login`");
    CC_TRY(aws_answer_sso_token(&file, secrets->token, sizeof secrets->token, &expires));
    if (expires <= time(NULL))
        return CC_FAIL(AWS_CREDENTIALS, "SSO: the session has expired: run `aws sso login`");
    (void)snprintf(secrets->header, sizeof secrets->header, "x-amz-sso_bearer_token: %s",
                   secrets->token);
    return CC_OK;
}

/* The portal's endpoint, or one of the operator's own (AWS_ENDPOINT_URL_SSO). */
static cc_err sso_url(const struct fetch *fetch, struct span profile, struct buf *url)
{
    struct span region = sso_value(fetch, profile, "sso_region");
    struct span own = variable(fetch, "AWS_ENDPOINT_URL_SSO");
    if (aws_region_check(region).code)
        return CC_FAIL(AWS_CREDENTIALS, "SSO: the profile has no sso_region");
    if (own.len)
        CC_TRY(buf_append(url, own.data, own.len));
    else
        CC_TRY(buf_printf(url, "https://portal.sso.%.*s.amazonaws.com", (int)region.len,
                          (const char *)region.data));
    CC_TRY(buf_append_str(url, "/federation/credentials?"));
    CC_TRY(aws_form_add(url, "account_id", value_of(fetch, profile, "sso_account_id")));
    CC_TRY(aws_form_add(url, "role_name", value_of(fetch, profile, "sso_role_name")));
    return buf_append(url, "", 1);
}

static cc_err from_sso(const struct fetch *fetch, struct span profile)
{
    CC_CLEANUP(buf_release) struct buf url = buf_init(AWS_HTTP_URL_MAX);
    CC_CLEANUP(sso_secrets_wipep) struct sso_secrets secrets = {.token = ""};
    CC_TRY(sso_token(fetch, &secrets));
    CC_TRY(sso_url(fetch, profile, &url));
    struct aws_http http = {.method = "GET",
                            .url = (const char *)url.data,
                            .headers = {secrets.header},
                            .timeout_ms = SSO_TIMEOUT_MS};
    cc_err err = aws_ask(fetch->chain->pool, &http);
    if (!err.code)
        err = aws_answer_json(&http.answer, AWS_ANSWER_SSO, fetch->to);
    aws_http_release(&http);
    return error_is(err, ERROR_AWS_REFUSED) || error_is(err, ERROR_AWS_DENIED)
               ? CC_FAIL(AWS_CREDENTIALS,
                         "SSO refuses: is the session still good, the account and the role right?")
               : err;
}

static cc_err from_process(const struct fetch *fetch)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(0);
    CC_TRY(read_text(fetch, AWS_INPUT_PROCESS, &text));
    if (!text.len)
        return CC_FAIL(AWS_CREDENTIALS, "credential_process has failed, or has written nothing");
    CC_TRY(aws_answer_json(&text, AWS_ANSWER_PROCESS, fetch->to));
    if (fetch->to->expires && fetch->to->expires <= time(NULL))
        return CC_FAIL(AWS_CREDENTIALS, "credential_process gives credentials that have expired");
    return CC_OK;
}

static struct aws_role role_of(const struct fetch *fetch, struct span profile)
{
    return (struct aws_role){.arn = value_of(fetch, profile, "role_arn"),
                             .session_name = value_of(fetch, profile, "role_session_name"),
                             .external_id = value_of(fetch, profile, "external_id"),
                             .duration = value_of(fetch, profile, "duration_seconds")};
}

/* The credentials of a profile itself, whatever role it may assume with them. */
static cc_err from_base(const struct fetch *fetch, struct span profile)
{
    struct span source = value_of(fetch, profile, "credential_source");
    if (span_is(source, "Environment"))
        return from_environment(fetch);
    if (span_is(source, "EcsContainer"))
        return from_container(fetch);
    if (span_is(source, "Ec2InstanceMetadata"))
        return from_instance(fetch);
    if (source.len)
        return CC_FAIL(AWS_CREDENTIALS,
                       "credential_source: not Environment, EcsContainer or Ec2InstanceMetadata");
    if (value_of(fetch, profile, "web_identity_token_file").len) {
        const struct aws_role role = role_of(fetch, profile);
        return assume_with_token(fetch, &role);
    }
    if (sso_value(fetch, profile, "sso_start_url").len)
        return from_sso(fetch, profile);
    if (value_of(fetch, profile, "aws_access_key_id").len)
        return aws_credentials_set(fetch->to, value_of(fetch, profile, "aws_access_key_id"),
                                   value_of(fetch, profile, "aws_secret_access_key"),
                                   value_of(fetch, profile, "aws_session_token"));
    if (value_of(fetch, profile, "credential_process").len)
        return from_process(fetch);
    return CC_FAIL(AWS_CREDENTIALS,
                   "the profile has no credentials, and does not say where they are");
}

static bool assumes_role(const struct fetch *fetch, struct span profile)
{
    return value_of(fetch, profile, "role_arn").len &&
           !value_of(fetch, profile, "web_identity_token_file").len;
}

/* One more role with the credentials that there are. */
static cc_err assume(const struct fetch *fetch, struct span profile)
{
    const struct aws_sts sts = sts_of(fetch);
    const struct aws_role role = role_of(fetch, profile);
    if (value_of(fetch, profile, "mfa_serial").len)
        return CC_FAIL(AWS_CREDENTIALS, "a role with mfa_serial needs a person, and there is none");
    *fetch->chain->work = *fetch->to;
    cc_err err = aws_sts_assume(&sts, &role, fetch->chain->work, fetch->to);
    aws_credentials_wipe(fetch->chain->work);
    return err;
}

static bool profile_is_set(const struct fetch *fetch)
{
    static const char *const keys[] = {"role_arn",          "web_identity_token_file",
                                       "sso_session",       "sso_start_url",
                                       "aws_access_key_id", "credential_process"};
    if (fetch->files->chosen)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (value_of(fetch, fetch->files->profile, keys[i]).len)
            return true;
    return false;
}

/* From the end of the chain back to the profile in use. */
static cc_err from_profile(const struct fetch *fetch)
{
    struct span profiles[AWS_PROFILE_CHAIN_MAX + 1] = {fetch->files->profile};
    size_t count = 1;
    struct span base;
    if (!aws_profile_exists(fetch->files, fetch->files->profile))
        return CC_FAIL(AWS_CREDENTIALS,
                       "there is no such profile in ~/.aws/config or ~/.aws/credentials");
    CC_TRY(aws_profile_base(fetch->files, fetch->files->profile, &base));
    while (!span_equal(profiles[count - 1], base) && count < ARRAY_LEN(profiles)) {
        profiles[count] = aws_profile_source(fetch->files, profiles[count - 1]);
        count++;
    }
    CC_TRY(from_base(fetch, base));
    for (size_t i = count; i-- > 0;)
        if (assumes_role(fetch, profiles[i]))
            CC_TRY(assume(fetch, profiles[i]));
    return CC_OK;
}

/* --- the order ----------------------------------------------------------------------------------------------------------------- */

static bool always(const struct fetch *fetch)
{
    (void)fetch;
    return true;
}

static bool role_is_set(const struct fetch *fetch)
{
    return assumes_role(fetch, fetch->files->profile);
}

static const struct {
    bool (*is_set)(const struct fetch *fetch);
    cc_err (*fetch)(const struct fetch *fetch);
} sources[] = {
    {environment_is_set, from_environment},   {role_is_set, from_profile},
    {web_identity_is_set, from_web_identity}, {profile_is_set, from_profile},
    {container_is_set, from_container},       {always, from_instance},
};

static cc_err
fetch_from(const struct aws_chain *chain, const struct aws_files *files, struct aws_credentials *to)
{
    const struct fetch fetch = {chain, files, to};
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        if (sources[i].is_set(&fetch))
            return sources[i].fetch(&fetch);
    return CC_FAIL(AWS_CREDENTIALS, "no source of credentials is set up");
}

CC_ERR aws_chain_fetch(const struct aws_chain *chain, struct aws_credentials *ret_credentials)
{
    struct aws_texts texts;
    struct aws_files files;
    aws_credentials_wipe(ret_credentials);
    cc_err err = aws_texts_read(chain->inputs, chain->profile, &texts, &files);
    if (!err.code)
        err = fetch_from(chain, &files, ret_credentials);
    aws_texts_release(&texts);
    if (err.code)
        aws_credentials_wipe(ret_credentials);
    return err;
}
