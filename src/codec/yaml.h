/* codec/yaml.h - YAML as a small node tree (the prefix is yml_: yaml_* belongs to libyaml).
 *
 * WHAT      Loads a whole text of one or more documents into nodes that know their line and column. No typing is
 *           guessed: a scalar is its text, and whether it was quoted.
 * PROMISE   Bounded in bytes, depth, nodes, documents and entries of one mapping. Refused: aliases, anchors, tags,
 *           duplicate keys, keys that are not scalars, anything that is not UTF-8.
 * THREADS   One thread per struct yml; read-only once loaded.
 * OWNERSHIP yml_release() wipes and frees every node; it takes a zeroed struct. Nodes live as long as the struct yml.
 * ERRORS    YAML_SYNTAX, with line and reason in struct yml_fault; NO_MEMORY.
 * SECRETS   libyaml's growing buffers can't be wiped: hand it no secret (keys/web3signer_yaml.c masks them first).
 */
#ifndef CODEC_YAML_H
#define CODEC_YAML_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

/* Depth counts containers: `a: {b: 1}` is 2. Entries are of one mapping (its duplicates are found in n * n / 2). */
enum {
    YML_DEPTH_MAX = 64,
    YML_ENTRIES_MAX = 4096
};

struct yml_limits {
    size_t max_bytes;
    uint32_t max_depth; /* at most YML_DEPTH_MAX */
    uint32_t max_nodes;
    uint32_t max_documents;
};

/* For configuration and network files: 1 MiB, depth 64, 16,384 nodes, one document. */
extern const struct yml_limits yml_limits_default;

enum yml_kind {
    YML_SCALAR = 1,
    YML_SEQUENCE,
    YML_MAPPING
};

struct yml_node {
    enum yml_kind kind;
    bool quoted;                  /* a scalar in quotes or a block scalar: surely a string */
    uint32_t line;                /* from 1 */
    uint32_t column;              /* from 1 */
    uint32_t count;               /* entries of a sequence or a mapping */
    struct span text;             /* of a scalar; a zero byte follows it */
    const struct yml_node *key;   /* of a mapping's value: its key, a scalar */
    const struct yml_node *first; /* child, in the order of the text */
    const struct yml_node *next;  /* sibling; of a document's root: the next document's root */
    /* private */
    struct yml_node *made_before;
    size_t allocated;
};

struct yml {
    const struct yml_node *first; /* root of the first document; NULL when there is none */
    uint32_t documents;
    /* private */
    struct yml_node *last_made;
};

struct yml_fault {
    uint32_t line;    /* from 1; 0: the text as a whole */
    uint32_t column;  /* from 1 */
    const char *text; /* static: what is wrong there */
};

/* Loads all documents of `text`. On an error *ret_yml is empty and *ret_fault is set. */
CC_ERR yml_load(struct span text,
                const struct yml_limits *limits,
                struct yml *ret_yml,
                struct yml_fault *ret_fault);
void yml_release(struct yml *yml);

/* Runs over the children of a sequence or the values of a mapping (their names: child->key->text). */
#define YML_EACH(child, parent)                                                                    \
    for (const struct yml_node *child = (parent)->first; child; child = (child)->next)

/* The value of `name` in a mapping; NULL when there is none, or when `node` is no mapping. */
const struct yml_node *yml_get(const struct yml_node *node, const char *name);
/* True for an unquoted empty value, ~, null, Null or NULL. */
bool yml_is_null(const struct yml_node *node);
/* True when `node` is a scalar of exactly this text, quoted or not. */
bool yml_is(const struct yml_node *node, const char *text);

#endif
