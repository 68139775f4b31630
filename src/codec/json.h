/* codec/json.h - strict JSON (RFC 8259) over a buffer, without a copy.
 *
 * WHAT      A jdoc is a parsed text; a jval is one value in it. Tokens come from jsmn; jsmn is not a validator, so the
 *           whole text is checked against the grammar before jsmn sees it.
 * PROMISE   Accepted is only: one object or array, with nothing but white space around it; valid UTF-8; valid numbers and
 *           escapes (no lone surrogates); at most JSON_DEPTH_MAX levels; no key twice in one object, compared after
 *           unescaping; at most the tokens that the jdoc was made for. Time is bounded by n log n for any input. Numbers
 *           stay text, so no uint64 loses a bit. Strings are unescaped in place: the text is the caller's and is changed.
 *           After the first few parses nothing is allocated, but for texts far
 *           larger than a signing request (JSON_TOKENS_KEPT), whose memory is given back.
 * THREADS   One thread per jdoc; jvals only read.
 * OWNERSHIP The jdoc borrows the text until the next parse or wipe, and owns its tokens: jdoc_release().
 * ERRORS    JSON_SYNTAX, JSON_UTF8, JSON_TOO_DEEP, JSON_DUPLICATE_KEY, JSON_TOO_LARGE (too many tokens or bytes),
 *           FIELD_TYPE and what num.h and hex.h say for values, NO_MEMORY.
 * SECRETS   jdoc_wipe() clears the text and the tokens.
 */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum {
    JSON_DEPTH_MAX = 64,
    JSON_TOKENS_KEPT = 16384
};

struct json_token;

struct jdoc {
    /* private */
    uint8_t *text;
    size_t len;
    struct json_token *tokens;
    uint32_t count;
    uint32_t cap;
    uint32_t max;
    uint32_t used;     /* tokens written since the last wipe */
    uint32_t *scratch; /* keys of one large object, while they are sorted */
    uint32_t scratch_cap;
};

/* Points into a jdoc; valid until its next parse. */
struct jval {
    /* private */
    const struct jdoc *doc;
    uint32_t token;
};

enum jval_type {
    JVAL_OBJECT,
    JVAL_ARRAY,
    JVAL_STRING,
    JVAL_NUMBER,
    JVAL_BOOL,
    JVAL_NULL
};

/* An empty jdoc that will hold at most `max_tokens` values and keys; allocates nothing. */
static inline struct jdoc jdoc_init(uint32_t max_tokens)
{
    return (struct jdoc){.max = max_tokens};
}
/* Parses `text`, which it may change. After an error the jdoc holds nothing. */
CC_ERR jdoc_parse(struct jdoc *doc, uint8_t *text, size_t len);
/* The outermost object or array. Asserts that a text was parsed. */
struct jval jdoc_root(const struct jdoc *doc);
/* Clears the text and the tokens; memory for up to JSON_TOKENS_KEPT of them stays for the next parse. */
void jdoc_wipe(struct jdoc *doc);
/* Frees what the jdoc owns, cleared before; the text is not touched. */
void jdoc_release(struct jdoc *doc);

enum jval_type jval_type(struct jval value);
/* Finds the member `key` of an object; false when there is none or when `value` is no object. */
bool jval_member(struct jval value, const char *key, struct jval *ret_member);
/* Members of an object, elements of an array; 0 for the rest. */
uint32_t jval_count(struct jval value);

/* Walks an array's elements or an object's members in their order. */
struct jval_iter {
    /* private */
    struct jval at;
    uint32_t left;
    bool keyed;
};
struct jval_iter jval_iterate(struct jval value);
bool jval_next(struct jval_iter *iter, struct jval *ret_value);
/* The same with each member's key; only for an object's iterator. */
bool jval_next_member(struct jval_iter *iter, struct span *ret_key, struct jval *ret_value);

/* The characters of a string; FIELD_TYPE for anything else. */
CC_ERR jval_text(struct jval value, struct span *ret_text);
/* An unsigned integer given as a number or as a decimal string; 1.0, 1e3 and -1 are refused. */
CC_ERR jval_u64(struct jval value, uint64_t *ret_number);
/* The digits of the same, whatever their size (uint256). */
CC_ERR jval_decimal(struct jval value, struct span *ret_digits);
/* The text of a number, as it was written; FIELD_TYPE for anything else. */
CC_ERR jval_number_text(struct jval value, struct span *ret_text);
CC_ERR jval_bool(struct jval value, bool *ret_bool);

#endif
