#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/io.h"

#include "codec/yaml.h"
#include "config/config_policies.h"

enum {
    FILE_MAX = 1 << 20,
    KEY_MAX = 64,
    PATH_TEXT_MAX = 256
};

struct walk {
    struct config_loading *loading;
    struct span file;
};

static struct config_place place_of(const struct walk *walk, const struct yml_node *node)
{
    return (struct config_place){walk->file, node->line};
}

/* Only such keys take part in paths: a dot inside a key would name another option. */
static bool is_plain_key(struct span key)
{
    for (size_t i = 0; i < key.len; i++)
        if (!isalnum(key.data[i]) && key.data[i] != '_' && key.data[i] != '-')
            return false;
    return key.len > 0 && key.len <= KEY_MAX;
}

static cc_err
take_items(struct walk *walk, const struct config_row *row, const struct yml_node *node)
{
    struct config *config = walk->loading->config;
    if (node->kind != (row->type == CONFIG_MAP ? YML_MAPPING : YML_SEQUENCE))
        return CC_FAIL(CONFIG, row->type == CONFIG_MAP ? "is not a mapping" : "is not a list");
    config_list_clear(config, row);
    YML_EACH(child, node)
    {
        if (child->kind != YML_SCALAR)
            return CC_FAIL(CONFIG, "has an item that is not plain text");
        CC_TRY(row->type == CONFIG_MAP ? config_map_put(config, row, child->key->text, child->text)
                                       : config_list_add(config, row, child->text));
    }
    return CC_OK;
}

static cc_err
take_value(struct walk *walk, const struct config_row *row, const struct yml_node *node)
{
    if (yml_is_null(node))
        return CC_FAIL(CONFIG, "has no value");
    if (row->type == CONFIG_POLICIES)
        return config_policies_take(&walk->loading->config->auth.policies, node);
    if (config_row_is_list(row))
        return take_items(walk, row, node);
    if (node->kind != YML_SCALAR)
        return CC_FAIL(CONFIG, "is not a single value");
    if (node->quoted &&
        (row->type == CONFIG_BOOL || row->type == CONFIG_U16 || row->type == CONFIG_U32 ||
         row->type == CONFIG_U64 || row->type == CONFIG_RATIO))
        return CC_FAIL(CONFIG, "is text; write it without quotes");
    return config_value_set(walk->loading->config, row, node->text);
}

static void take_row(struct walk *walk, const struct config_row *row, const struct yml_node *node)
{
    cc_err err = take_value(walk, row, node);
    walk->loading->faults->places[config_row_index(row)] = place_of(walk, node);
    if (err.code)
        config_fault_value(walk->loading, place_of(walk, node), row, err);
}

/* A section that is written as one value: nothing, or a word that it knows. */
static void take_word(struct walk *walk, const struct yml_node *node, const char *path)
{
    if (node->kind == YML_SCALAR &&
        config_set_word(walk->loading, place_of(walk, node), path, node->text))
        return;
    if (!yml_is_null(node))
        config_fault_section(walk->loading, place_of(walk, node), path);
}

struct level {
    const struct yml_node *node;
    char path[PATH_TEXT_MAX];
};

/* Takes one entry; false when it is a section to go into, whose path is then in *ret_section. */
static bool take_entry(struct walk *walk,
                       const struct level *above,
                       const struct yml_node *node,
                       struct level *ret_section)
{
    struct span key = node->key->text;
    struct config_place place = place_of(walk, node->key);
    char path[PATH_TEXT_MAX];
    int n = snprintf(path, sizeof path, "%s%s%.*s", above->path, above->path[0] ? "." : "",
                     (int)(key.len > KEY_MAX ? KEY_MAX : key.len), (const char *)key.data);
    if (!is_plain_key(key) || n < 0 || (size_t)n >= sizeof path) {
        config_fault(walk->loading, place, above->path, "has a key that no option has");
        return true;
    }
    const struct config_row *row = config_row_find(path);
    if (row) {
        take_row(walk, row, node);
        return true;
    }
    if (!config_is_section(path)) {
        config_fault_unknown(walk->loading, place, path);
        return true;
    }
    if (node->kind != YML_MAPPING) {
        take_word(walk, node, path);
        return true;
    }
    *ret_section = (struct level){.node = node};
    memcpy(ret_section->path, path, (size_t)n + 1);
    return false;
}

/* The depth is bounded by the table: only sections that it has are gone into. */
static void walk_section(struct walk *walk, const struct level *level) // NOLINT(misc-no-recursion)
{
    YML_EACH(child, level->node)
    {
        struct level section;
        if (!take_entry(walk, level, child, &section))
            walk_section(walk, &section);
    }
}

void config_load_text(struct config_loading *loading, const char *name, struct span text)
{
    struct walk walk = {loading, span_str(name)};
    struct config_place place = {walk.file, 0};
    CC_CLEANUP(yml_release) struct yml yml = {0};
    struct yml_fault fault = {0};
    cc_err err = yml_load(text, &yml_limits_default, &yml, &fault);
    if (err.code) {
        place.line = fault.line;
        config_fault(loading, place, "", "%s", fault.text ? fault.text : error_text(err));
        return;
    }
    if (!yml.first || yml_is_null(yml.first))
        return;
    if (yml.first->kind != YML_MAPPING) {
        place.line = yml.first->line;
        config_fault(loading, place, "", "is not a mapping of options");
        return;
    }
    struct level root = {.node = yml.first};
    walk_section(&walk, &root);
}

void config_load_file(struct config_loading *loading, const char *path)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(FILE_MAX);
    cc_err err = file_read(path, &text);
    if (err.code) {
        struct config_place place = {span_str(path), 0};
        config_fault(loading, place, "", "cannot be read: %s", error_detail());
        return;
    }
    config_load_text(loading, path, buf_span(&text));
}
