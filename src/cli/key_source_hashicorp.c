#include <stdio.h>
#include <string.h>

#include "base/io.h"

#include "cli/json_answer.h"
#include "cli/key_source.h"
#include "codec/yaml.h"
#include "secret/wipe.h"

/* Web3Signer's descriptions of type hashicorp; the secret is what KV version 2 keeps at keyPath under keyName. */

enum {
    TOKEN_MAX = 2048,
    BODY_MAX = 8192,
    JWT_MAX = 4096
};

struct vault_token {
    char line[TOKEN_MAX + 32]; /* a header with its end */
};

static void vault_token_wipep(struct vault_token *token)
{
    wipe(token, sizeof *token);
}

static cc_err ask(const struct signer *vault,
                  const char *method,
                  const char *target,
                  struct span body,
                  struct json_answer *ret_answer)
{
    CC_TRY(json_ask(vault, method, target, body, ret_answer));
    if (ret_answer->status == 403)
        return CC_FAIL(DENIED, "the vault refuses this token or role (403)");
    if (ret_answer->status == 404)
        return CC_FAIL(FIELD_MISSING, "the vault has nothing at keyPath (404)");
    return ret_answer->status == 200 ? CC_OK : CC_FAIL(PROTOCOL, "the vault does not answer 200");
}

static bool is_header_text(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text > '~')
            return false;
    return true;
}

static cc_err set_token(struct span text, struct vault_token *ret_token)
{
    if (text.len == 0 || text.len > TOKEN_MAX)
        return CC_FAIL(FIELD_TYPE, "the vault's token has an impossible length");
    int n = snprintf(ret_token->line, sizeof ret_token->line, "X-Vault-Token: %.*s\r\n",
                     (int)text.len, (const char *)text.data);
    cc_assert(n > 0 && (size_t)n < sizeof ret_token->line);
    char token[TOKEN_MAX + 1];
    memcpy(token, text.data, text.len);
    token[text.len] = 0;
    bool plain = is_header_text(token);
    wipe(token, sizeof token);
    return plain ? CC_OK
                 : CC_FAIL(FIELD_TYPE, "the vault's token has blanks or control characters");
}

/* --- a token for a Kubernetes role ------------------------------------------------------------------------------ */

static cc_err read_jwt(const char *path, struct buf *jwt)
{
    CC_TRY(file_read(path, jwt));
    while (jwt->len && jwt->data[jwt->len - 1] == '\n')
        jwt->len--;
    for (size_t i = 0; i < jwt->len; i++)
        if (jwt->data[i] <= ' ' || jwt->data[i] > '~' || jwt->data[i] == '"' ||
            jwt->data[i] == '\\')
            return CC_FAIL(FIELD_TYPE, "the service account's token is none");
    return jwt->len ? CC_OK : CC_FAIL(FIELD_MISSING, "the service account's token is empty");
}

static cc_err log_in(const struct signer *vault,
                     const struct yml_node *description,
                     struct vault_token *ret_token)
{
    const char *role, *file, *path;
    char target[KEY_SOURCE_NAME_MAX];
    CC_TRY(key_source_property(description, "kubernetesRole", NULL, &role));
    CC_TRY(key_source_property(description, "kubernetesServiceAccountTokenPath",
                               "/var/run/secrets/kubernetes.io/serviceaccount/token", &file));
    CC_TRY(key_source_property(description, "kubernetesAuthPath", "kubernetes", &path));
    if (!is_header_text(role) || strpbrk(role, "\"\\") || !is_header_text(path))
        return CC_FAIL(FIELD_TYPE,
                       "kubernetesRole or kubernetesAuthPath has characters that none has");
    int n = snprintf(target, sizeof target, "/v1/auth/%s/login", path);
    if (n < 0 || (size_t)n >= sizeof target)
        return CC_FAIL(LIMIT, "kubernetesAuthPath");
    CC_CLEANUP(buf_release) struct buf jwt = buf_init(JWT_MAX);
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    CC_CLEANUP(json_answer_release) struct json_answer answer = {0};
    struct jval auth;
    struct span text;
    CC_TRY(read_jwt(file, &jwt));
    CC_TRY(buf_printf(&body, "{\"role\":\"%s\",\"jwt\":\"", role));
    CC_TRY(buf_append(&body, jwt.data, jwt.len));
    CC_TRY(buf_append_str(&body, "\"}"));
    CC_TRY(ask(vault, "POST", target, buf_span(&body), &answer));
    if (!jval_member(jdoc_root(&answer.doc), "auth", &auth) ||
        !json_member_text(auth, "client_token", &text))
        return CC_FAIL(PROTOCOL, "the vault's answer to the login has no client_token");
    return set_token(text, ret_token);
}

static cc_err find_token(const struct signer *vault,
                         const struct yml_node *description,
                         struct vault_token *ret_token)
{
    const char *method, *token;
    CC_TRY(key_source_property(description, "authMethod", "TOKEN", &method));
    if (span_is_nocase(span_str(method), "KUBERNETES"))
        return log_in(vault, description, ret_token);
    if (!span_is_nocase(span_str(method), "TOKEN"))
        return CC_FAIL(FIELD_TYPE, "authMethod is TOKEN or KUBERNETES");
    CC_TRY(key_source_property(description, "token", NULL, &token));
    return set_token(span_str(token), ret_token);
}

/* --- the secret -------------------------------------------------------------------------------------------------------- */

static cc_err where(const struct key_source *source,
                    const struct yml_node *description,
                    char url[static SIGNER_HOST_MAX + 16],
                    struct signer *ret_vault)
{
    const char *host, *port, *tls, *known;
    CC_TRY(key_source_property(description, "serverHost", NULL, &host));
    CC_TRY(key_source_property(description, "serverPort", "8200", &port));
    CC_TRY(key_source_property(description, "tlsEnabled", "true", &tls));
    CC_TRY(key_source_property(description, "tlsKnownServersPath", "", &known));
    bool plain = span_is_nocase(span_str(tls), "false");
    if (known[0] && !plain && !source->ca)
        return CC_FAIL(FIELD_TYPE,
                       "tlsKnownServersPath is not read: name the authority's certificate with "
                       "--source-ca");
    int n = snprintf(url, SIGNER_HOST_MAX + 16, "%s://%s:%s", plain ? "http" : "https", host, port);
    if (n < 0 || n >= SIGNER_HOST_MAX + 16)
        return CC_FAIL(LIMIT, "serverHost");
    CC_TRY(signer_of_url(url, ret_vault));
    ret_vault->ca = source->ca;
    return CC_OK;
}

static cc_err find_value(const struct json_answer *answer, const char *name, struct buf *ret_secret)
{
    struct jval outer, inner;
    struct span text;
    if (!jval_member(jdoc_root(&answer->doc), "data", &outer) ||
        !jval_member(outer, "data", &inner))
        return CC_FAIL(PROTOCOL, "the vault's answer is not that of KV version 2");
    if (!json_member_text(inner, name, &text))
        return CC_FAIL(FIELD_MISSING, "the secret has no text of the name keyName");
    return buf_append(ret_secret, text.data, text.len);
}

static cc_err describe(const struct key_source *source,
                       const struct yml_node *description,
                       char ret_name[static KEY_SOURCE_NAME_MAX],
                       struct buf *ret_secret)
{
    char url[SIGNER_HOST_MAX + 16];
    const char *path, *name;
    struct signer vault = {0};
    CC_CLEANUP(vault_token_wipep) struct vault_token token;
    CC_CLEANUP(json_answer_release) struct json_answer answer = {0};
    CC_TRY(key_source_property(description, "keyPath", NULL, &path));
    CC_TRY(key_source_property(description, "keyName", "value", &name));
    if (path[0] != '/' || !is_header_text(path))
        return CC_FAIL(FIELD_TYPE, "keyPath is a path, such as /v1/secret/data/NAME");
    (void)snprintf(ret_name, KEY_SOURCE_NAME_MAX, "%s", path);
    CC_TRY(where(source, description, url, &vault));
    CC_TRY(find_token(&vault, description, &token));
    vault.headers = token.line;
    CC_TRY(ask(&vault, "GET", path, (struct span){0}, &answer));
    return find_value(&answer, name, ret_secret);
}

static const char *lacks(const struct key_source *source)
{
    return source->descriptions ? NULL : "--from-dir DIR of Web3Signer's descriptions";
}

const struct key_source_kind key_source_hashicorp = {
    .name = "hashicorp", .type = "hashicorp", .describe = describe, .lacks = lacks};
