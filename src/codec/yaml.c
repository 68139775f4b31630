#include "codec/yaml.h"

#include <yaml.h>

#include "base/alloc.h"

const struct yml_limits yml_limits_default = {
    .max_bytes = 1 << 20,
    .max_depth = YML_DEPTH_MAX,
    .max_nodes = 16384,
    .max_documents = 1,
};

/* One open container. `last` is its youngest child; `key` waits for its value. */
struct level {
    struct yml_node *node;
    struct yml_node *last;
    struct yml_node *key;
};

struct loader {
    yaml_parser_t parser;
    const struct yml_limits *limits;
    struct yml *yml;
    struct yml_fault *fault;
    struct yml_node *last_root;
    uint32_t nodes;
    uint32_t depth;
    struct level levels[YML_DEPTH_MAX];
};

static uint32_t clamp_u32(size_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static cc_err refuse_at(struct loader *l, yaml_mark_t mark, const char *text)
{
    *l->fault = (struct yml_fault){clamp_u32(mark.line + 1), clamp_u32(mark.column + 1), text};
    return CC_FAIL(YAML_SYNTAX, text);
}

static cc_err refuse_whole(struct yml_fault *fault, const char *text)
{
    *fault = (struct yml_fault){.text = text};
    return CC_FAIL(YAML_SYNTAX, text);
}

static cc_err parser_failed(struct loader *l)
{
    if (l->parser.error == YAML_MEMORY_ERROR)
        return CC_FAIL(NO_MEMORY, "libyaml");
    /* libyaml's problem texts are string literals. A reader error (bad UTF-8) has an offset, not a mark. */
    const char *text = l->parser.problem ? l->parser.problem : "not valid YAML";
    if (l->parser.error == YAML_READER_ERROR)
        return refuse_at(l, l->parser.mark, text);
    return refuse_at(l, l->parser.problem_mark, text);
}

static cc_err node_new(struct loader *l,
                       enum yml_kind kind,
                       yaml_mark_t mark,
                       struct span text,
                       struct yml_node **ret_node)
{
    if (l->nodes >= l->limits->max_nodes)
        return refuse_at(l, mark, "too many values");
    size_t size = sizeof(struct yml_node) + text.len + 1;
    struct yml_node *node = cc_alloc(size);
    if (!node)
        return CC_FAIL(NO_MEMORY, "YAML node");
    char *copy = (char *)(node + 1);
    if (text.len)
        memcpy(copy, text.data, text.len);
    *node = (struct yml_node){
        .kind = kind,
        .line = clamp_u32(mark.line + 1),
        .column = clamp_u32(mark.column + 1),
        .text = {(uint8_t *)copy, text.len},
        .made_before = l->yml->last_made,
        .allocated = size,
    };
    l->yml->last_made = node;
    l->nodes++;
    *ret_node = node;
    return CC_OK;
}

static bool has_key(const struct yml_node *mapping, struct span name)
{
    YML_EACH(value, mapping)
    if (span_equal(value->key->text, name))
        return true;
    return false;
}

static cc_err
take_key(struct loader *l, struct level *level, struct yml_node *node, yaml_mark_t mark)
{
    if (node->kind != YML_SCALAR)
        return refuse_at(l, mark, "a key must be a scalar");
    if (level->node->count >= YML_ENTRIES_MAX)
        return refuse_at(l, mark, "too many keys in one mapping");
    if (has_key(level->node, node->text))
        return refuse_at(l, mark, "the same key twice");
    level->key = node;
    return CC_OK;
}

/* Puts a new node where it belongs: as a document's root, as a mapping's key or value, or as an item. */
static cc_err attach(struct loader *l, struct yml_node *node, yaml_mark_t mark)
{
    if (l->depth == 0) {
        if (l->last_root)
            l->last_root->next = node;
        else
            l->yml->first = node;
        l->last_root = node;
        return CC_OK;
    }
    struct level *level = &l->levels[l->depth - 1];
    if (level->node->kind == YML_MAPPING && !level->key)
        return take_key(l, level, node, mark);
    node->key = level->key;
    level->key = NULL;
    if (level->last)
        level->last->next = node;
    else
        level->node->first = node;
    level->last = node;
    level->node->count++;
    return CC_OK;
}

static cc_err on_container(struct loader *l, enum yml_kind kind, yaml_mark_t mark)
{
    struct yml_node *node;
    CC_TRY(node_new(l, kind, mark, (struct span){0}, &node));
    CC_TRY(attach(l, node, mark));
    if (l->depth >= l->limits->max_depth || l->depth >= YML_DEPTH_MAX)
        return refuse_at(l, mark, "nested too deeply");
    l->levels[l->depth++] = (struct level){.node = node};
    return CC_OK;
}

static cc_err on_scalar(struct loader *l, const yaml_event_t *event)
{
    struct span text = span_of(event->data.scalar.value, event->data.scalar.length);
    struct yml_node *node;
    CC_TRY(node_new(l, YML_SCALAR, event->start_mark, text, &node));
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return attach(l, node, event->start_mark);
}

static cc_err
refuse_marks(struct loader *l, const yaml_event_t *event, const void *anchor, const void *tag)
{
    if (anchor)
        return refuse_at(l, event->start_mark, "anchors are not supported");
    if (tag)
        return refuse_at(l, event->start_mark, "tags are not supported");
    return CC_OK;
}

static cc_err on_document(struct loader *l, const yaml_event_t *event)
{
    if (event->data.document_start.tag_directives.start !=
        event->data.document_start.tag_directives.end)
        return refuse_at(l, event->start_mark, "tags are not supported");
    if (l->yml->documents >= l->limits->max_documents)
        return refuse_at(l, event->start_mark, "too many documents");
    l->yml->documents++;
    return CC_OK;
}

static cc_err on_event(struct loader *l, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(l, event);
    case YAML_ALIAS_EVENT:
        return refuse_at(l, event->start_mark, "aliases are not supported");
    case YAML_SCALAR_EVENT:
        CC_TRY(refuse_marks(l, event, event->data.scalar.anchor, event->data.scalar.tag));
        return on_scalar(l, event);
    case YAML_SEQUENCE_START_EVENT:
        CC_TRY(refuse_marks(l, event, event->data.sequence_start.anchor,
                            event->data.sequence_start.tag));
        return on_container(l, YML_SEQUENCE, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        CC_TRY(refuse_marks(l, event, event->data.mapping_start.anchor,
                            event->data.mapping_start.tag));
        return on_container(l, YML_MAPPING, event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        cc_assert(l->depth > 0);
        l->depth--;
        return CC_OK;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return CC_OK;
    }
    return refuse_at(l, event->start_mark, "not valid YAML");
}

static cc_err run(struct loader *l)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&l->parser, &event))
            return parser_failed(l);
        cc_err err = on_event(l, &event);
        bool end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        CC_TRY(err);
        if (end)
            return CC_OK;
    }
}

CC_ERR yml_load(struct span text,
                const struct yml_limits *limits,
                struct yml *ret_yml,
                struct yml_fault *ret_fault)
{
    *ret_yml = (struct yml){0};
    *ret_fault = (struct yml_fault){.text = ""};
    if (text.len > limits->max_bytes)
        return refuse_whole(ret_fault, "larger than allowed");
    struct loader *l = cc_alloc(sizeof *l);
    if (!l)
        return CC_FAIL(NO_MEMORY, "YAML loader");
    l->limits = limits;
    l->yml = ret_yml;
    l->fault = ret_fault;
    cc_err err = CC_OK;
    if (yaml_parser_initialize(&l->parser)) {
        /* Fixed, or libyaml would guess UTF-16 from the first bytes. */
        yaml_parser_set_encoding(&l->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&l->parser, text.len ? text.data : (const uint8_t *)"",
                                     text.len);
        err = run(l);
        yaml_parser_delete(&l->parser);
    } else {
        err = CC_FAIL(NO_MEMORY, "libyaml");
    }
    cc_free(l);
    if (err.code)
        yml_release(ret_yml);
    return err;
}

void yml_release(struct yml *yml)
{
    struct yml_node *node = yml->last_made;
    while (node) {
        struct yml_node *before = node->made_before;
        explicit_bzero(node, node->allocated);
        cc_free(node);
        node = before;
    }
    *yml = (struct yml){0};
}

const struct yml_node *yml_get(const struct yml_node *node, const char *name)
{
    if (node->kind != YML_MAPPING)
        return NULL;
    YML_EACH(value, node)
    if (span_is(value->key->text, name))
        return value;
    return NULL;
}

bool yml_is_null(const struct yml_node *node)
{
    if (node->kind != YML_SCALAR || node->quoted)
        return false;
    return node->text.len == 0 || span_is(node->text, "~") || span_is(node->text, "null") ||
           span_is(node->text, "Null") || span_is(node->text, "NULL");
}

bool yml_is(const struct yml_node *node, const char *text)
{
    return node->kind == YML_SCALAR && span_is(node->text, text);
}
