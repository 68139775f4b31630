#include "aws/metadata.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"

#include "aws/answer.h"
#include "aws/ask.h"
#include "aws/resolve.h"
#include "secret/wipe.h"

enum {
    CONTAINER_TIMEOUT_MS = 2000,
    INSTANCE_TIMEOUT_MS = 1000,
    HEADER_MAX = 20480, /* Pod Identity's token is a signed one */
    ROLE_MAX = 128,
    STALE_SECONDS = 300
};

bool aws_metadata_may_be_plain(const char *host)
{
    static const char *const hosts[] = {
        "localhost",      "::1",           "169.254.169.254", "169.254.170.2",
        "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"};
    struct in_addr address;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
        if (strcmp(host, hosts[i]) == 0)
            return true;
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

static cc_err check_url(const char *text)
{
    struct aws_url url;
    if (aws_url_parse(text, &url).code)
        return CC_FAIL(AWS_CREDENTIALS, "the endpoint of the credentials is no URL");
    if (!url.tls && !aws_metadata_may_be_plain(url.host))
        return CC_FAIL(AWS_CREDENTIALS, "credentials from another machine need https");
    return CC_OK;
}

static cc_err make_url(const char *base, struct span path, char ret_url[static AWS_HTTP_URL_MAX])
{
    int n =
        snprintf(ret_url, AWS_HTTP_URL_MAX, "%s%.*s", base, (int)path.len, (const char *)path.data);
    if (n < 0 || n >= AWS_HTTP_URL_MAX)
        return CC_FAIL(AWS_CREDENTIALS, "the endpoint of the credentials is too long");
    return check_url(ret_url);
}

/* "Name: value" of a text that may end in a line break, as files do. */
static cc_err make_header(const char *name, struct span value, char ret_header[static HEADER_MAX])
{
    while (value.len && value.data[value.len - 1] <= ' ')
        value.len--;
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < ' ' || value.data[i] > '~')
            return CC_FAIL(AWS_CREDENTIALS, "a token has a character that none can have");
    int n = snprintf(ret_header, HEADER_MAX, "%s: %.*s", name, (int)value.len,
                     (const char *)value.data);
    return n > 0 && n < HEADER_MAX ? CC_OK : CC_FAIL(AWS_CREDENTIALS, "a token is too long");
}

struct secret_header {
    char text[HEADER_MAX];
};

static void secret_header_wipep(struct secret_header *header)
{
    wipe(header, sizeof *header);
}

CC_ERR aws_metadata_container(struct aws_pool *pool,
                              struct span relative,
                              struct span full,
                              struct span token,
                              struct aws_credentials *ret_credentials)
{
    char url[AWS_HTTP_URL_MAX];
    CC_CLEANUP(secret_header_wipep) struct secret_header authorization = {.text = ""};
    struct aws_http http = {.method = "GET", .url = url, .timeout_ms = CONTAINER_TIMEOUT_MS};
    CC_TRY(
        make_url(relative.len ? "http://169.254.170.2" : "", relative.len ? relative : full, url));
    if (token.len) {
        CC_TRY(make_header("Authorization", token, authorization.text));
        http.headers[0] = authorization.text;
    }
    cc_err err = aws_ask(pool, &http);
    if (!err.code)
        err = aws_answer_json(&http.answer, AWS_ANSWER_METADATA, ret_credentials);
    aws_http_release(&http);
    return error_is(err, ERROR_AWS_REFUSED)
               ? CC_FAIL(AWS_CREDENTIALS, "the container has no credentials")
               : err;
}

/* --- instance ---------------------------------------------------------------------------------------------------------- */

/* In a container the way to the service has a hop more than by default is allowed: then the PUT is never answered. */
static cc_err
get_token(struct aws_pool *pool, const char *endpoint, struct secret_header *ret_header)
{
    char url[AWS_HTTP_URL_MAX];
    CC_TRY(make_url(endpoint, span_str("/latest/api/token"), url));
    struct aws_http http = {.method = "PUT",
                            .url = url,
                            .headers = {"x-aws-ec2-metadata-token-ttl-seconds: 21600"},
                            .timeout_ms = INSTANCE_TIMEOUT_MS};
    cc_err err = aws_ask(pool, &http);
    if (!err.code)
        err = make_header("x-aws-ec2-metadata-token", buf_span(&http.answer), ret_header->text);
    aws_http_release(&http);
    if (error_is(err, ERROR_AWS_UNREACHABLE))
        return CC_FAIL(
            AWS_CREDENTIALS,
            "no source of credentials is set up, and no instance metadata service answers "
            "(in a container it needs a hop limit of 2)");
    return err;
}

static cc_err
get(struct aws_pool *pool, const char *url, const char *token, struct aws_http *ret_http)
{
    *ret_http = (struct aws_http){
        .method = "GET", .url = url, .headers = {token}, .timeout_ms = INSTANCE_TIMEOUT_MS};
    return aws_ask(pool, ret_http);
}

static const char credentials_path[] = "/latest/meta-data/iam/security-credentials/";

/* The first line, of the characters that a role's name has. */
static cc_err take_role(struct span answer,
                        char ret_path[static sizeof credentials_path + ROLE_MAX])
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-";
    size_t len = 0;
    while (len < answer.len && answer.data[len] > ' ')
        len++;
    if (len == 0 || len >= ROLE_MAX)
        return CC_FAIL(AWS_CREDENTIALS, "the instance has no role");
    for (size_t i = 0; i < len; i++)
        if (!strchr(allowed, answer.data[i]))
            return CC_FAIL(AWS_CREDENTIALS, "the instance's role has no name of a role");
    memcpy(ret_path, credentials_path, sizeof credentials_path - 1);
    memcpy(ret_path + sizeof credentials_path - 1, answer.data, len);
    ret_path[sizeof credentials_path - 1 + len] = 0;
    return CC_OK;
}

static cc_err get_role(struct aws_pool *pool,
                       const char *endpoint,
                       const char *token,
                       char ret_path[static sizeof credentials_path + ROLE_MAX])
{
    char url[AWS_HTTP_URL_MAX];
    struct aws_http http = {0};
    CC_TRY(make_url(endpoint, span_str(credentials_path), url));
    cc_err err = get(pool, url, token, &http);
    if (error_is(err, ERROR_AWS_REFUSED))
        err = CC_FAIL(AWS_CREDENTIALS, "the instance has no role");
    if (!err.code)
        err = take_role(buf_span(&http.answer), ret_path);
    aws_http_release(&http);
    return err;
}

CC_ERR aws_metadata_instance(struct aws_pool *pool,
                             const char *endpoint,
                             struct aws_credentials *ret_credentials)
{
    char url[AWS_HTTP_URL_MAX];
    char path[sizeof credentials_path + ROLE_MAX];
    CC_CLEANUP(secret_header_wipep) struct secret_header token = {.text = ""};
    struct aws_http http = {0};
    CC_TRY(get_token(pool, endpoint, &token));
    CC_TRY(get_role(pool, endpoint, token.text, path));
    CC_TRY(make_url(endpoint, span_str(path), url));
    cc_err err = get(pool, url, token.text, &http);
    if (!err.code)
        err = aws_answer_json(&http.answer, AWS_ANSWER_METADATA, ret_credentials);
    aws_http_release(&http);
    if (error_is(err, ERROR_AWS_REFUSED))
        return CC_FAIL(AWS_CREDENTIALS, "the instance's role gives no credentials");
    CC_TRY(err);
    /* While its own source is down the service gives old ones; AWS's services take them then, so they are used. */
    int64_t now = time(NULL);
    if (ret_credentials->expires && ret_credentials->expires < now + STALE_SECONDS)
        ret_credentials->expires = now + STALE_SECONDS;
    return CC_OK;
}
