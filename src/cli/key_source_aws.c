#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "aws/client.h"
#include "cli/json_answer.h"
#include "cli/key_source.h"
#include "codec/json.h"
#include "codec/yaml.h"

/* AWS Secrets Manager: Web3Signer's descriptions of type aws-secret, and what its --aws-secrets-prefixes-filter and -tag-...-filter find.
 * Credentials come as for a store in AWS (docs/aws.md), from no description.
 */

enum {
    BODY_MAX = 16384,
    TOKENS_MAX = 16384,
    DEADLINE_MS = 30000,
    NAME_MAX_LEN = 512,
    TAG_MAX_LEN = 256,
    NEXT_MAX = 4096
};

static const struct aws_service secrets_manager = {
    .name = "secretsmanager",
    .target_prefix = "secretsmanager",
    .content_type = "application/x-amz-json-1.1",
};

/* One session and client for a run. */
static struct {
    struct aws_config config;
    struct aws_inputs inputs;
    struct aws_session *session;
    struct aws_client *client;
} aws;

static cc_err copy(const char *text, char *to, size_t size)
{
    int n = snprintf(to, size, "%s", text);
    return n >= 0 && (size_t)n < size ? CC_OK : CC_FAIL(LIMIT, "region or endpoint");
}

static void end(void)
{
    if (aws.client)
        aws_client_close(aws.client);
    aws_session_close(aws.session);
    aws.client = NULL;
    aws.session = NULL;
}

/* What comes back is a key in the clear. The session has refused a URL with a user's name before the host. */
static bool is_closed_way(const char *url)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
    if (strncmp(url, "https://", 8) == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        size_t len = strlen(hosts[i]);
        if (strncmp(url, hosts[i], len) == 0 && (!url[len] || url[len] == ':' || url[len] == '/'))
            return true;
    }
    return false;
}

static cc_err open_client(void)
{
    char url[AWS_ENDPOINT_MAX];
    aws.inputs = aws_inputs_own(&aws.config);
    CC_TRY(aws_session_open(&aws.config, &aws.inputs, &aws.session));
    CC_TRY(aws_session_endpoint(aws.session, secrets_manager.name, url));
    if (!is_closed_way(url))
        return CC_FAIL(CONFIG, "the endpoint is http:// elsewhere than on loopback");
    return aws_client_open(aws.session, &secrets_manager, NULL, &aws.client);
}

static cc_err begin(const struct key_source *source, const char *region, const char *endpoint)
{
    static struct config defaults;
    if (aws.client)
        return CC_OK;
    config_defaults(&defaults);
    aws.config = defaults.aws;
    if (source->region || region)
        CC_TRY(copy(source->region ? source->region : region, aws.config.region,
                    sizeof aws.config.region));
    if (source->endpoint || endpoint)
        CC_TRY(copy(source->endpoint ? source->endpoint : endpoint, aws.config.endpoint_url,
                    sizeof aws.config.endpoint_url));
    cc_err err = open_client();
    if (err.code)
        end();
    return err;
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

/* Names have letters, digits and /_+=.@-; an ARN has colons as well. */
static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == '"' ||
            name.data[i] == '\\')
            return false;
    return name.len > 0 && name.len <= NAME_MAX_LEN;
}

static cc_err
call(const char *operation, const struct buf *body, struct aws_call *ret_call, struct jdoc *doc)
{
    *ret_call = (struct aws_call){
        .operation = operation, .body = buf_span(body), .deadline_ms = DEADLINE_MS};
    cc_err err = aws_call(aws.client, ret_call);
    if (err.code)
        return error_make((enum error_code)err.code, aws_call_why(ret_call), __FILE__, __LINE__);
    return jdoc_parse(doc, ret_call->answer.data, ret_call->answer.len);
}

static cc_err get_secret(struct span name, struct buf *ret_secret)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS_MAX);
    CC_CLEANUP(aws_call_release) struct aws_call get = {0};
    struct jval value;
    struct span text;
    if (!is_name(name))
        return CC_FAIL(FIELD_TYPE, "secretName is none that AWS allows");
    CC_TRY(buf_printf(&body, "{\"SecretId\":\"%.*s\"}", (int)name.len, (const char *)name.data));
    CC_TRY(call("GetSecretValue", &body, &get, &doc));
    if (!jval_member(jdoc_root(&doc), "SecretString", &value) || jval_text(value, &text).code)
        return CC_FAIL(FIELD_MISSING, "the secret has no SecretString");
    return buf_append(ret_secret, text.data, text.len);
}

/* --- descriptions -------------------------------------------------------------------------------------------------- */

static cc_err describe(const struct key_source *source,
                       const struct yml_node *description,
                       char ret_name[static KEY_SOURCE_NAME_MAX],
                       struct buf *ret_secret)
{
    const char *name, *region, *endpoint;
    CC_TRY(key_source_property(description, "secretName", NULL, &name));
    CC_TRY(key_source_property(description, "region", "", &region));
    CC_TRY(key_source_property(description, "endpointOverride", "", &endpoint));
    (void)snprintf(ret_name, KEY_SOURCE_NAME_MAX, "%s", name);
    CC_TRY(begin(source, region[0] ? region : NULL, endpoint[0] ? endpoint : NULL));
    if (region[0] && !source->region && strcmp(region, aws.config.region) != 0)
        return CC_FAIL(FIELD_TYPE,
                       "another region than the first description's: give each region an import "
                       "of its own");
    if (!source->endpoint && strcmp(endpoint, aws.config.endpoint_url) != 0)
        return CC_FAIL(FIELD_TYPE,
                       "not the first description's endpointOverride: give each endpoint an import "
                       "of its own");
    return get_secret(span_str(name), ret_secret);
}

/* --- by the beginning of names, by tags --------------------------------------------------------------------------------- */

static cc_err take_secret(const struct key_source_sink *sink, struct span name)
{
    char text[NAME_MAX_LEN + 1];
    CC_CLEANUP(buf_release) struct buf secret = buf_init(BODY_MAX * 4);
    (void)snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.data);
    cc_err err = get_secret(name, &secret);
    if (!err.code)
        return key_source_take_text(sink, text, buf_span(&secret));
    sink->fail(sink->context, text, err, error_detail());
    return CC_OK;
}

static bool begins(struct span name, struct span prefix)
{
    return name.len >= prefix.len && span_equal(span_of(name.data, prefix.len), prefix);
}

static bool has_tag(struct jval tags, const struct key_source_tag *tag)
{
    struct jval one;
    struct span name, value;
    if (jval_type(tags) != JVAL_ARRAY)
        return false;
    struct jval_iter iter = jval_iterate(tags);
    while (jval_next(&iter, &one))
        if (json_member_text(one, "Key", &name) && json_member_text(one, "Value", &value) &&
            key_source_fits(tag, name, value))
            return true;
    return false;
}

/* One list of them. */
struct listing {
    const struct key_source *source;
    const struct key_source_sink *sink;
    struct span prefix; /* empty: of any name */
    char next[NEXT_MAX];
};

/* The service takes a filter's words for beginnings, and a name and a value for those of any two tags: what it lists is looked at again. */
static cc_err take_page(const struct listing *l, struct jval list)
{
    struct jval_iter iter = jval_iterate(list);
    struct jval secret, value;
    while (jval_next(&iter, &secret)) {
        struct span name;
        if (!jval_member(secret, "Name", &value) || jval_text(value, &name).code || !is_name(name))
            return CC_FAIL(PROTOCOL, "the list of secrets");
        if (begins(name, l->prefix) && key_source_has_tags(l->source, secret, "Tags", has_tag))
            CC_TRY(take_secret(l->sink, name));
    }
    return CC_OK;
}

static cc_err put_filter(struct buf *body, const char *key, struct span value)
{
    const char *comma = body->data[body->len - 1] == '[' ? "" : ",";
    return value.len ? buf_printf(body, "%s{\"Key\":\"%s\",\"Values\":[\"%.*s\"]}", comma, key,
                                  (int)value.len, (const char *)value.data)
                     : CC_OK;
}

/* Of tags the first: that fewer are listed. */
static cc_err put_filters(struct buf *body, const struct listing *l)
{
    const char *list = l->source->tags;
    struct key_source_tag tag = {.has_value = false};
    (void)key_source_next_tag(&list, &tag);
    CC_TRY(buf_append_str(body, "{\"MaxResults\":20,\"Filters\":["));
    CC_TRY(put_filter(body, "name", l->prefix));
    CC_TRY(put_filter(body, "tag-key", tag.name));
    CC_TRY(put_filter(body, "tag-value", tag.value));
    return buf_append_str(body, "]");
}

/* l->next "": it was the last page. */
static cc_err read_page(struct listing *l)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS_MAX);
    CC_CLEANUP(aws_call_release) struct aws_call list = {0};
    struct jval names;
    struct span text = {0};
    CC_TRY(put_filters(&body, l));
    if (l->next[0])
        CC_TRY(buf_printf(&body, ",\"NextToken\":\"%s\"", l->next));
    CC_TRY(buf_append_str(&body, "}"));
    CC_TRY(call("ListSecrets", &body, &list, &doc));
    l->next[0] = 0;
    if (json_member_text(jdoc_root(&doc), "NextToken", &text)) {
        if (text.len >= NEXT_MAX || memchr(text.data, '"', text.len) ||
            memchr(text.data, '\\', text.len))
            return CC_FAIL(PROTOCOL, "the list of secrets");
        memcpy(l->next, text.data, text.len);
        l->next[text.len] = 0;
    }
    if (!jval_member(jdoc_root(&doc), "SecretList", &names))
        return CC_FAIL(PROTOCOL, "the list of secrets");
    return take_page(l, names);
}

static cc_err
read_list(const struct key_source *source, const struct key_source_sink *sink, struct span prefix)
{
    struct listing l = {.source = source, .sink = sink, .prefix = prefix};
    do
        CC_TRY(read_page(&l));
    while (l.next[0]);
    return CC_OK;
}

/* What a tag may have, and a filter: a mark of exclamation before it would turn it round. */
static bool is_tag_text(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum(text.data[i]) && !strchr(" :_@/+=.-", text.data[i]))
            return false;
    return text.len <= TAG_MAX_LEN;
}

static cc_err check_tags(const struct key_source *source)
{
    const char *list = source->tags;
    struct key_source_tag tag;
    while (key_source_next_tag(&list, &tag))
        if (!is_tag_text(tag.name) || !is_tag_text(tag.value))
            return CC_FAIL(FIELD_TYPE, "a tag that AWS does not allow");
    return CC_OK;
}

static cc_err read_all(const struct key_source *source, const struct key_source_sink *sink)
{
    if (!source->prefixes && !source->tags)
        return CC_OK;
    CC_TRY(check_tags(source));
    CC_TRY(begin(source, NULL, NULL));
    if (!source->prefixes)
        return read_list(source, sink, (struct span){0});
    for (const char *at = source->prefixes; *at;) {
        const struct span prefix = span_of(at, strcspn(at, ","));
        if (!is_name(prefix))
            return CC_FAIL(FIELD_TYPE, "a beginning that no name has");
        CC_TRY(read_list(source, sink, prefix));
        at += prefix.len + (at[prefix.len] == ',');
    }
    return CC_OK;
}

static const char *lacks(const struct key_source *source)
{
    return source->descriptions || source->prefixes || source->tags
               ? NULL
               : "--from-dir DIR of Web3Signer's descriptions, --prefixes or --tags";
}

const struct key_source_kind key_source_aws = {.name = "aws-secrets",
                                               .type = "aws-secret",
                                               .describe = describe,
                                               .lacks = lacks,
                                               .read_all = read_all,
                                               .end = end,
                                               .has_tags = true};
