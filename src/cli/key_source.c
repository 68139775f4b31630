#include "cli/key_source.h"

#include <stdio.h>
#include <string.h>

#include "codec/yaml.h"
#include "keys/filesystem.h"
#include "keys/web3signer_yaml.h"
#include "secret/ct.h"
#include "secret/wipe.h"

enum {
    SECRET_MAX = 1 << 16 /* what AWS allows one to have */
};

static const struct key_source_kind *const kinds[] = {&key_source_hashicorp, &key_source_aws,
                                                      &key_source_azure, &key_source_gcp};

const struct key_source_kind *key_source_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

const char *key_source_names(void)
{
    return "hashicorp, aws-secrets, azure or gcp";
}

const char *key_source_fault(const struct key_source *source)
{
    const struct key_source_kind *kind = source->kind;
    const char *list = source->tags;
    struct key_source_tag tag;
    if (source->prefixes && !kind->read_all)
        return "has no --prefixes";
    if (source->tags && !kind->has_tags)
        return "has no --tags";
    if (source->filter && !kind->has_filter)
        return "has no --filter";
    if (list && !list[0])
        return "--tags is NAME=VALUE, NAME or =VALUE, with commas between";
    while (key_source_next_tag(&list, &tag))
        if (!tag.name.len && !tag.value.len)
            return "--tags is NAME=VALUE, NAME or =VALUE, with commas between";
    return NULL;
}

/* --- a secret's text --------------------------------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static CC_SENSITIVE cc_err take_line(const struct key_source_sink *sink,
                                     const char *name,
                                     struct span line)
{
    uint8_t secret[32];
    if (line.len > 2 && line.data[0] == '0' && (line.data[1] | 0x20) == 'x')
        line = span_of(line.data + 2, line.len - 2);
    if (line.len != 64 || ct_hex_decode((const char *)line.data, secret, sizeof secret).code) {
        sink->fail(sink->context, name, CC_FAIL(KEY_INVALID, NULL), "32 bytes of hex expected");
        return CC_OK;
    }
    cc_err err = sink->take(sink->context, name, secret);
    wipe(secret, sizeof secret);
    return err;
}

CC_ERR key_source_take_text(const struct key_source_sink *sink, const char *name, struct span text)
{
    unsigned keys = 0;
    for (size_t at = 0; at < text.len;) {
        const uint8_t *found = memchr(text.data + at, '\n', text.len - at);
        size_t end = found ? (size_t)(found - text.data) : text.len;
        struct span line = span_of(text.data + at, end - at);
        at = end + 1;
        while (line.len && is_blank(line.data[line.len - 1]))
            line.len--;
        if (!line.len)
            continue;
        if (keys++ == KEY_SOURCE_KEYS_MAX) {
            sink->fail(sink->context, name, CC_FAIL(LIMIT, NULL),
                       "more than 200 keys in one secret");
            return CC_OK;
        }
        CC_TRY(take_line(sink, name, line));
    }
    if (!keys)
        sink->fail(sink->context, name, CC_FAIL(KEY_INVALID, NULL), "the secret is empty");
    return CC_OK;
}

bool key_source_wants(const struct key_source *source, struct span name)
{
    for (const char *at = source->prefixes; at && *at;) {
        size_t len = strcspn(at, ",");
        if (name.len >= len && span_equal(span_of(name.data, len), span_of(at, len)))
            return true;
        at += len + (at[len] == ',');
    }
    return !source->prefixes;
}

/* --- tags ------------------------------------------------------------------------------------------------------- */

bool key_source_next_tag(const char **list, struct key_source_tag *ret_tag)
{
    const char *at = *list;
    if (!at || !*at)
        return false;
    const size_t len = strcspn(at, ","), name = strcspn(at, ",=");
    *ret_tag = (struct key_source_tag){.name = span_of(at, name), .has_value = at[name] == '='};
    if (ret_tag->has_value)
        ret_tag->value = span_of(at + name + 1, len - name - 1);
    *list = at + len + (at[len] == ',');
    return true;
}

bool key_source_fits(const struct key_source_tag *tag, struct span name, struct span value)
{
    return (!tag->name.len || span_equal(tag->name, name)) &&
           (!tag->has_value || span_equal(tag->value, value));
}

bool key_source_has_tags(const struct key_source *source,
                         struct jval secret,
                         const char *member,
                         bool (*has)(struct jval tags, const struct key_source_tag *tag))
{
    const char *list = source->tags;
    struct key_source_tag tag;
    struct jval tags = {0};
    const bool there = jval_member(secret, member, &tags);
    while (key_source_next_tag(&list, &tag))
        if (!there || !has(tags, &tag))
            return false;
    return true;
}

/* --- descriptions ----------------------------------------------------------------------------------------------- */

CC_ERR key_source_property(const struct yml_node *description,
                           const char *name,
                           const char *otherwise,
                           const char **ret_text)
{
    const struct yml_node *node = yml_get(description, name);
    *ret_text = otherwise;
    if (!node || yml_is_null(node))
        return otherwise ? CC_OK
                         : CC_FAIL(FIELD_MISSING, "a property of the description is missing");
    if (node->kind != YML_SCALAR || memchr(node->text.data, 0, node->text.len))
        return CC_FAIL(FIELD_TYPE, "a property of the description is no text");
    *ret_text = (const char *)node->text.data;
    return CC_OK;
}

static cc_err take_description(const struct key_source *source,
                               const struct key_source_sink *sink,
                               const char *path,
                               const struct yml_node *description)
{
    const struct yml_node *type = yml_get(description, "type");
    char name[KEY_SOURCE_NAME_MAX];
    if (!type || type->kind != YML_SCALAR || !span_is_nocase(type->text, source->kind->type))
        return CC_OK; /* it is another service's */
    (void)snprintf(name, sizeof name, "%s", path);
    CC_CLEANUP(buf_release) struct buf secret = buf_init(SECRET_MAX);
    cc_err err = source->kind->describe(source, description, name, &secret);
    if (!err.code)
        return key_source_take_text(sink, name, buf_span(&secret));
    sink->fail(sink->context, name, err, error_detail());
    return CC_OK;
}

static cc_err
take_file(const struct key_source *source, const struct key_source_sink *sink, const char *path)
{
    static const struct yml_limits limits = {.max_bytes = KEY_YAML_TEXT_MAX,
                                             .max_depth = YML_DEPTH_MAX,
                                             .max_nodes = KEY_YAML_DOCUMENTS_MAX * 16,
                                             .max_documents = KEY_YAML_DOCUMENTS_MAX};
    CC_CLEANUP(buf_release) struct buf text = buf_init(KEY_YAML_TEXT_MAX);
    CC_CLEANUP(yml_release) struct yml yml = {0};
    struct key_file_facts facts;
    struct yml_fault fault;
    cc_err err = key_file_read(path, false, &text, &facts);
    if (!err.code)
        err = yml_load(buf_span(&text), &limits, &yml, &fault);
    if (err.code)
        sink->fail(sink->context, path, err, error_detail());
    for (const struct yml_node *one = err.code ? NULL : yml.first; one; one = one->next)
        CC_TRY(take_description(source, sink, path, one));
    return CC_OK;
}

static cc_err take_files(const struct key_source *source, const struct key_source_sink *sink)
{
    struct key_files files = {0};
    cc_err err = key_files_scan(&files, source->descriptions);
    for (size_t i = 0; i < files.count && !err.code; i++)
        if (files.items[i].kind == KEY_FILE_YAML)
            err = take_file(source, sink, files.items[i].path);
    key_files_release(&files);
    return err;
}

CC_ERR key_source_read(const struct key_source *source, const struct key_source_sink *sink)
{
    bool described = source->descriptions && source->kind->describe;
    cc_err err = described ? take_files(source, sink) : CC_OK;
    if (!err.code && source->kind->read_all)
        err = source->kind->read_all(source, sink);
    if (source->kind->end)
        source->kind->end();
    return err;
}
