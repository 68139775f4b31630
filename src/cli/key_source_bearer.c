#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/json_answer.h"
#include "cli/key_source.h"
#include "codec/base64.h"
#include "codec/yaml.h"
#include "config/config_load.h"
#include "secret/wipe.h"

/* Azure Key Vault and GCP Secret Manager: the same pages of a list and the same secrets, by other names, with an access token. The
 * operator's own tool has one (`az account get-access-token`, `gcloud auth print-access-token`), so no client secret and no
 * service account's key comes near this program.
 */

enum {
    TOKEN_MAX = 3072,
    TARGET_MAX = 2048,
    URL_MAX = 256,
    SECRET_MAX = 1 << 16
};

/* One run against one place. */
struct service {
    const struct key_source *source;
    char url[URL_MAX];
    struct signer place;
    char line[TOKEN_MAX + 32]; /* the token's header with its end */
};

static void service_wipep(struct service *service)
{
    signer_release(&service->place);
    wipe(service, sizeof *service);
}

static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~' || strchr("\"\\?#%&", text.data[i]))
            return false;
    return text.len > 0;
}

/* --- asking -------------------------------------------------------------------------------------------------- */

static cc_err read_token(const struct key_source *source, struct service *service)
{
    CC_CLEANUP(buf_release) struct buf token = buf_init(TOKEN_MAX);
    if (!config_is_reference(source->token))
        return CC_FAIL(MALFORMED, "--source-token is env:NAME or file:PATH");
    CC_TRY(config_read_reference(source->token, source->environment, &token));
    while (token.len && token.data[token.len - 1] == '\n')
        token.len--;
    for (size_t i = 0; i < token.len; i++)
        if (token.data[i] <= ' ' || token.data[i] > '~')
            return CC_FAIL(MALFORMED, "the access token has blanks or control characters");
    if (!token.len)
        return CC_FAIL(MALFORMED, "the access token is empty");
    int n = snprintf(service->line, sizeof service->line, "Authorization: Bearer %.*s\r\n",
                     (int)token.len, (const char *)token.data);
    cc_assert(n > 0 && (size_t)n < sizeof service->line);
    service->place.headers = service->line;
    return CC_OK;
}

static cc_err begin(const struct key_source *source,
                    const char *before,
                    const char *host,
                    struct service *service)
{
    *service = (struct service){.source = source};
    int n = snprintf(service->url, sizeof service->url, "https://%s%s", before, host);
    if (source->endpoint)
        n = snprintf(service->url, sizeof service->url, "%s", source->endpoint);
    if (n < 0 || (size_t)n >= sizeof service->url)
        return CC_FAIL(LIMIT, "the service's name");
    CC_TRY(signer_of_url(service->url, &service->place));
    service->place.ca = source->ca;
    return read_token(source, service);
}

static cc_err ask(const struct service *service, const char *target, struct json_answer *ret_answer)
{
    CC_TRY(json_ask(&service->place, "GET", target, (struct span){0}, ret_answer));
    if (ret_answer->status == 401 || ret_answer->status == 403)
        return CC_FAIL(DENIED, "the service refuses this access token");
    if (ret_answer->status == 404)
        return CC_FAIL(FIELD_MISSING, "the service has no such secret (404)");
    if (ret_answer->status == 429)
        return CC_FAIL(BUSY, "the service takes no more requests for now (429)");
    return ret_answer->status == 200 ? CC_OK : CC_FAIL(IO, "the service does not answer 200");
}

/* What stands behind the last slash. */
static struct span last_part(struct span path)
{
    size_t at = path.len;
    while (at && path.data[at - 1] != '/')
        at--;
    return span_of(path.data + at, path.len - at);
}

/* --- Azure -------------------------------------------------------------------------------------------------------- */

#define AZURE_API "api-version=7.4"

static cc_err azure_secret(const struct service *service, struct span name, struct buf *ret_secret)
{
    char target[TARGET_MAX];
    CC_CLEANUP(json_answer_release) struct json_answer answer = {0};
    struct span text;
    if (!is_plain(name))
        return CC_FAIL(FIELD_TYPE, "secretName is none that Azure allows");
    int n = snprintf(target, sizeof target, "/secrets/%.*s?" AZURE_API, (int)name.len,
                     (const char *)name.data);
    if (n < 0 || (size_t)n >= sizeof target)
        return CC_FAIL(LIMIT, "secretName");
    CC_TRY(ask(service, target, &answer));
    if (!json_member_text(jdoc_root(&answer.doc), "value", &text))
        return CC_FAIL(FIELD_MISSING, "the secret has no value");
    return buf_append(ret_secret, text.data, text.len);
}

static cc_err
azure_begin(const struct key_source *source, const char *vault, struct service *service)
{
    for (const char *at = vault; *at; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
              (*at >= '0' && *at <= '9') || *at == '-'))
            return CC_FAIL(FIELD_TYPE, "vaultName is none that Azure allows");
    return begin(source, vault, ".vault.azure.net", service);
}

static cc_err azure_describe(const struct key_source *source,
                             const struct yml_node *description,
                             char ret_name[static KEY_SOURCE_NAME_MAX],
                             struct buf *ret_secret)
{
    const char *vault, *name;
    CC_CLEANUP(service_wipep) struct service service = {0};
    CC_TRY(key_source_property(description, "vaultName", NULL, &vault));
    CC_TRY(key_source_property(description, "secretName", NULL, &name));
    (void)snprintf(ret_name, KEY_SOURCE_NAME_MAX, "%s", name);
    CC_TRY(azure_begin(source, vault, &service));
    return azure_secret(&service, span_str(name), ret_secret);
}

typedef cc_err
get_secret_fn(const struct service *service, struct span name, struct buf *ret_secret);

/* One secret of a list; `path` is its name there. */
static cc_err take_listed(const struct service *service,
                          const struct key_source_sink *sink,
                          struct span path,
                          get_secret_fn *get)
{
    struct span name = last_part(path);
    char text[KEY_SOURCE_NAME_MAX];
    CC_CLEANUP(buf_release) struct buf secret = buf_init(SECRET_MAX);
    if (!is_plain(name) || name.len >= sizeof text)
        return CC_FAIL(PROTOCOL, "the list of secrets");
    if (!key_source_wants(service->source, name))
        return CC_OK;
    (void)snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.data);
    cc_err err = get(service, name, &secret);
    if (!err.code)
        return key_source_take_text(sink, text, buf_span(&secret));
    sink->fail(sink->context, text, err, error_detail());
    return CC_OK;
}

static bool has_tag(struct jval tags, const struct key_source_tag *tag)
{
    struct jval one;
    struct span name, value;
    if (jval_type(tags) != JVAL_OBJECT)
        return false;
    struct jval_iter iter = jval_iterate(tags);
    while (jval_next_member(&iter, &name, &one))
        if (!jval_text(one, &value).code && key_source_fits(tag, name, value))
            return true;
    return false;
}

static cc_err take_list(const struct service *service,
                        const struct key_source_sink *sink,
                        struct jval list,
                        const char *member,
                        get_secret_fn *get)
{
    struct jval_iter iter = jval_iterate(list);
    struct jval one;
    while (jval_next(&iter, &one)) {
        struct span path;
        if (!json_member_text(one, member, &path))
            return CC_FAIL(PROTOCOL, "the list of secrets");
        if (key_source_has_tags(service->source, one, "tags", has_tag))
            CC_TRY(take_listed(service, sink, path, get));
    }
    return CC_OK;
}

/* The next page's address is taken only for its path: the token goes to no other host. */
static cc_err azure_next(const struct json_answer *answer, char target[static TARGET_MAX])
{
    struct span next = {0};
    target[0] = 0;
    if (!json_member_text(jdoc_root(&answer->doc), "nextLink", &next) || !next.len)
        return CC_OK;
    const uint8_t *path = memmem(next.data, next.len, "/secrets?", 9);
    size_t len = path ? next.len - (size_t)(path - next.data) : 0;
    if (!len || len >= TARGET_MAX)
        return CC_FAIL(PROTOCOL, "the next page of the list");
    for (size_t i = 0; i < len; i++)
        if (path[i] <= ' ' || path[i] > '~')
            return CC_FAIL(PROTOCOL, "the next page of the list");
    memcpy(target, path, len);
    target[len] = 0;
    return CC_OK;
}

static cc_err azure_all(const struct key_source *source, const struct key_source_sink *sink)
{
    char target[TARGET_MAX] = "/secrets?" AZURE_API;
    CC_CLEANUP(service_wipep) struct service service = {0};
    if (!source->vault)
        return CC_OK;
    CC_TRY(azure_begin(source, source->vault, &service));
    while (target[0]) {
        CC_CLEANUP(json_answer_release) struct json_answer answer = {0};
        struct jval list;
        CC_TRY(ask(&service, target, &answer));
        if (!jval_member(jdoc_root(&answer.doc), "value", &list))
            return CC_FAIL(PROTOCOL, "the list of secrets");
        CC_TRY(take_list(&service, sink, list, "id", azure_secret));
        CC_TRY(azure_next(&answer, target));
    }
    return CC_OK;
}

static const char *azure_lacks(const struct key_source *source)
{
    if (!source->token)
        return "--source-token env:NAME or file:PATH, an access token for https://vault.azure.net";
    if (!source->vault && (source->prefixes || source->tags))
        return "--vault NAME, whose secrets --prefixes and --tags choose from";
    return source->descriptions || source->vault
               ? NULL
               : "--from-dir DIR of Web3Signer's descriptions, or --vault NAME";
}

const struct key_source_kind key_source_azure = {.name = "azure",
                                                 .type = "azure-secret",
                                                 .describe = azure_describe,
                                                 .lacks = azure_lacks,
                                                 .read_all = azure_all,
                                                 .has_tags = true};

/* --- GCP ----------------------------------------------------------------------------------------------------------- */

/* Base64 of a secret, without a branch on what it is. */
static cc_err append_decoded(struct span text, struct buf *out)
{
    CC_CLEANUP(buf_release) struct buf url = buf_init(SECRET_MAX * 2);
    size_t len = text.len;
    uint8_t *at;
    while (len && text.data[len - 1] == '=')
        len--;
    CC_TRY(buf_append(&url, text.data, len));
    for (size_t i = 0; i < len; i++) {
        unsigned c = url.data[i];
        c ^= (unsigned)('+' ^ '-') & (0U - (unsigned)(c == '+'));
        c ^= (unsigned)('/' ^ '_') & (0U - (unsigned)(c == '/'));
        url.data[i] = (uint8_t)c;
    }
    CC_TRY(buf_grow(out, len * 3 / 4, &at));
    return base64url_decode(buf_span(&url), at, len * 3 / 4);
}

static cc_err gcp_secret(const struct service *service, struct span name, struct buf *ret_secret)
{
    char target[TARGET_MAX];
    CC_CLEANUP(json_answer_release) struct json_answer answer = {0};
    struct jval payload;
    struct span text;
    int n = snprintf(target, sizeof target, "/v1/projects/%s/secrets/%.*s/versions/latest:access",
                     service->source->project, (int)name.len, (const char *)name.data);
    if (n < 0 || (size_t)n >= sizeof target)
        return CC_FAIL(LIMIT, "the secret's name");
    CC_TRY(ask(service, target, &answer));
    if (!jval_member(jdoc_root(&answer.doc), "payload", &payload) ||
        !json_member_text(payload, "data", &text))
        return CC_FAIL(FIELD_MISSING, "the secret has no data");
    return append_decoded(text, ret_secret);
}

static cc_err gcp_page(const struct service *service,
                       const struct key_source_sink *sink,
                       const char *target,
                       char next[static TARGET_MAX])
{
    CC_CLEANUP(json_answer_release) struct json_answer answer = {0};
    struct jval list;
    struct span page = {0};
    CC_TRY(ask(service, target, &answer));
    struct jval root = jdoc_root(&answer.doc);
    if (jval_member(root, "secrets", &list))
        CC_TRY(take_list(service, sink, list, "name", gcp_secret));
    next[0] = 0;
    if (!json_member_text(root, "nextPageToken", &page) || !page.len)
        return CC_OK;
    if (!is_plain(page) || page.len >= TARGET_MAX / 2)
        return CC_FAIL(PROTOCOL, "the next page of the list");
    memcpy(next, page.data, page.len);
    next[page.len] = 0;
    return CC_OK;
}

/* All but letters and digits as %XX. */
static cc_err put_escaped(struct buf *target, const char *text)
{
    for (; *text; text++)
        CC_TRY(isalnum((unsigned char)*text)
                   ? buf_append(target, text, 1)
                   : buf_printf(target, "%%%02X", (unsigned)(unsigned char)*text));
    return CC_OK;
}

static cc_err put_target(const struct key_source *source, const char *next, struct buf *target)
{
    CC_TRY(buf_printf(target, "/v1/projects/%s/secrets?pageSize=250", source->project));
    if (source->filter)
        CC_TRY(buf_append_str(target, "&filter="));
    CC_TRY(put_escaped(target, source->filter ? source->filter : ""));
    if (next[0])
        CC_TRY(buf_printf(target, "&pageToken=%s", next));
    return buf_append(target, "", 1);
}

static cc_err gcp_all(const struct key_source *source, const struct key_source_sink *sink)
{
    char next[TARGET_MAX] = "";
    CC_CLEANUP(service_wipep) struct service service = {0};
    if (!is_plain(span_str(source->project)) || strlen(source->project) > 64)
        return CC_FAIL(MALFORMED, "--project is none that GCP allows");
    CC_TRY(begin(source, "", "secretmanager.googleapis.com", &service));
    do {
        CC_CLEANUP(buf_release) struct buf target = buf_init(TARGET_MAX);
        if (put_target(source, next, &target).code)
            return CC_FAIL(LIMIT, "--filter is too long");
        CC_TRY(gcp_page(&service, sink, (const char *)target.data, next));
    } while (next[0]);
    return CC_OK;
}

static const char *gcp_lacks(const struct key_source *source)
{
    if (!source->token)
        return "--source-token env:NAME or file:PATH, an access token";
    return source->project ? NULL : "--project ID";
}

const struct key_source_kind key_source_gcp = {
    .name = "gcp", .type = "", .lacks = gcp_lacks, .read_all = gcp_all, .has_filter = true};
