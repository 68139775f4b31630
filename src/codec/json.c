#include "codec/json.h"

#include <limits.h>

#include "base/alloc.h"
#include "base/num.h"

/* Parent links make jsmn's work linear in the text (times the depth, which is checked first). */
#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#include "codec/json_check.h"

struct json_token {
    jsmntok_t t; /* after the parse `t.parent` is the token that follows the whole value */
};

enum {
    PAIRWISE_MAX = 24,
    TOKENS_FIRST = 256
};

static struct span token_span(const struct jdoc *doc, uint32_t token)
{
    const jsmntok_t *t = &doc->tokens[token].t;
    return span_of(doc->text + t->start, (size_t)(t->end - t->start));
}

/* ---- unescaping ---------------------------------------------------------------------------------- */

static uint32_t hex4(const uint8_t *p)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i];
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static size_t utf8_put(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* One escape at `in` (just after the backslash) to `out`; returns how many bytes of `in` it took. */
static size_t unescape_one(const uint8_t *in, uint8_t *out, size_t *ret_written)
{
    static const uint8_t plain[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                       ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    if (in[0] != 'u') {
        out[0] = plain[in[0]];
        *ret_written = 1;
        return 1;
    }
    uint32_t c = hex4(in + 1);
    size_t taken = 5;
    if (c >= 0xd800 && c < 0xdc00) {
        c = 0x10000 + ((c - 0xd800) << 10) + (hex4(in + 7) - 0xdc00);
        taken = 11;
    }
    *ret_written = utf8_put(out, c);
    return taken;
}

/* The text passed json_check(), so every escape is whole and every surrogate has its partner; what is written
 * is never longer than what was read.
 */
static void unescape(struct jdoc *doc, jsmntok_t *token)
{
    uint8_t *start = doc->text + token->start;
    const uint8_t *end = doc->text + token->end;
    uint8_t *out = memchr(start, '\\', (size_t)(end - start));
    if (!out)
        return;
    for (const uint8_t *in = out; in < end;) {
        if (*in != '\\') {
            *out++ = *in++;
            continue;
        }
        size_t written;
        in += 1 + unescape_one(in + 1, out, &written);
        out += written;
    }
    token->end = token->start + (int)(out - start);
}

/* ---- duplicate keys ------------------------------------------------------------------------------ */

static int compare_keys(const struct jdoc *doc, uint32_t a, uint32_t b)
{
    struct span x = token_span(doc, a);
    struct span y = token_span(doc, b);
    if (x.len != y.len)
        return x.len < y.len ? -1 : 1;
    return x.len == 0 ? 0 : __builtin_memcmp(x.data, y.data, x.len);
}

static bool has_twin_pairwise(const struct jdoc *doc, const uint32_t *keys, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (compare_keys(doc, keys[i], keys[j]) == 0)
                return true;
        }
    }
    return false;
}

static void sift_down(const struct jdoc *doc, uint32_t *heap, uint32_t root, uint32_t count)
{
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare_keys(doc, heap[child], heap[child + 1]) < 0)
            child++;
        if (compare_keys(doc, heap[root], heap[child]) >= 0)
            return;
        uint32_t moved = heap[root];
        heap[root] = heap[child];
        heap[child] = moved;
    }
}

/* Heap sort: n log n whatever the keys are, and no memory but theirs. */
static bool has_twin_sorted(const struct jdoc *doc, uint32_t *keys, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift_down(doc, keys, i, count);
    for (uint32_t left = count - 1; left > 0; left--) {
        uint32_t largest = keys[0];
        keys[0] = keys[left];
        keys[left] = largest;
        if (left + 1 < count && compare_keys(doc, keys[left], keys[left + 1]) == 0)
            return true;
        sift_down(doc, keys, 0, left);
    }
    return count > 1 && compare_keys(doc, keys[0], keys[1]) == 0;
}

static CC_ERR grow_scratch(struct jdoc *doc, uint32_t count)
{
    if (count <= doc->scratch_cap)
        return CC_OK;
    uint32_t *scratch = cc_realloc_array(doc->scratch, count, sizeof(*scratch));
    if (!scratch)
        return CC_FAIL(NO_MEMORY, "JSON keys");
    doc->scratch = scratch;
    doc->scratch_cap = count;
    return CC_OK;
}

static CC_ERR refuse_twin_keys(struct jdoc *doc, uint32_t object)
{
    uint32_t few[PAIRWISE_MAX];
    uint32_t count = (uint32_t)doc->tokens[object].t.size;
    if (count < 2)
        return CC_OK;
    uint32_t *keys = few;
    if (count > PAIRWISE_MAX) {
        CC_TRY(grow_scratch(doc, count));
        keys = doc->scratch;
    }
    uint32_t key = object + 1;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = key;
        key = (uint32_t)doc->tokens[key + 1].t.parent;
    }
    bool twin = count <= PAIRWISE_MAX ? has_twin_pairwise(doc, keys, count)
                                      : has_twin_sorted(doc, keys, count);
    return twin ? CC_FAIL(JSON_DUPLICATE_KEY, NULL) : CC_OK;
}

/* ---- parse --------------------------------------------------------------------------------------- */

/* Gives each token the index of what follows its whole value, and unescapes strings where there are escapes. */
static void link_tokens(struct jdoc *doc, bool escapes)
{
    uint32_t open[JSON_DEPTH_MAX];
    uint32_t depth = 0;
    for (uint32_t i = 0; i < doc->count; i++) {
        jsmntok_t *token = &doc->tokens[i].t;
        while (depth > 0 && doc->tokens[open[depth - 1]].t.end <= token->start)
            doc->tokens[open[--depth]].t.parent = (int)i;
        token->parent = (int)i + 1;
        if (token->type == JSMN_OBJECT || token->type == JSMN_ARRAY) {
            cc_assert(depth < JSON_DEPTH_MAX);
            open[depth++] = i;
        } else if (escapes && token->type == JSMN_STRING) {
            unescape(doc, token);
        }
    }
    while (depth > 0)
        doc->tokens[open[--depth]].t.parent = (int)doc->count;
}

static CC_ERR grow_tokens(struct jdoc *doc, uint32_t need)
{
    if (need > doc->max)
        return CC_FAIL(JSON_TOO_LARGE, "too many JSON values");
    if (need <= doc->cap)
        return CC_OK;
    uint32_t cap = doc->cap ? doc->cap : TOKENS_FIRST;
    while (cap < need)
        cap = cap > doc->max / 2 ? doc->max : cap * 2;
    struct json_token *tokens = cc_realloc_array(doc->tokens, cap, sizeof(*tokens));
    if (!tokens)
        return CC_FAIL(NO_MEMORY, "JSON tokens");
    doc->tokens = tokens;
    doc->cap = cap;
    return CC_OK;
}

static CC_ERR tokenize(struct jdoc *doc, const struct json_facts *facts)
{
    CC_TRY(grow_tokens(doc, facts->tokens));
    doc->used = facts->tokens > doc->used ? facts->tokens : doc->used;
    jsmn_parser parser;
    jsmn_init(&parser);
    int got = jsmn_parse(&parser, (const char *)doc->text, doc->len, &doc->tokens[0].t, doc->cap);
    if (got < 0 || (uint32_t)got != facts->tokens)
        return CC_FAIL(JSON_SYNTAX, "JSON structure");
    doc->count = facts->tokens;
    link_tokens(doc, facts->escapes);
    for (uint32_t i = 0; i < doc->count; i++) {
        if (doc->tokens[i].t.type == JSMN_OBJECT)
            CC_TRY(refuse_twin_keys(doc, i));
    }
    return CC_OK;
}

CC_ERR jdoc_parse(struct jdoc *doc, uint8_t *text, size_t len)
{
    doc->count = 0;
    doc->text = text;
    doc->len = len;
    if (len > INT_MAX / 2)
        return CC_FAIL(JSON_TOO_LARGE, "JSON text too long");
    struct json_facts facts;
    CC_TRY(json_check(span_of(text, len), &facts));
    cc_err err = tokenize(doc, &facts);
    if (err.code)
        doc->count = 0;
    return err;
}

struct jval jdoc_root(const struct jdoc *doc)
{
    cc_assert(doc->count > 0);
    return (struct jval){doc, 0};
}

static void free_memory(struct jdoc *doc)
{
    cc_free(doc->tokens);
    cc_free(doc->scratch);
    *doc = jdoc_init(doc->max);
}

void jdoc_wipe(struct jdoc *doc)
{
    if (doc->text)
        explicit_bzero(doc->text, doc->len);
    if (doc->used > 0)
        explicit_bzero(doc->tokens, doc->used * sizeof(*doc->tokens));
    doc->text = NULL;
    doc->len = 0;
    doc->count = 0;
    doc->used = 0;
    if (doc->cap > JSON_TOKENS_KEPT)
        free_memory(doc);
}

void jdoc_release(struct jdoc *doc)
{
    doc->text = NULL;
    jdoc_wipe(doc);
    free_memory(doc);
}

/* ---- values -------------------------------------------------------------------------------------- */

static const jsmntok_t *token_of(struct jval value)
{
    cc_assert(value.doc && value.token < value.doc->count);
    return &value.doc->tokens[value.token].t;
}

enum jval_type jval_type(struct jval value)
{
    const jsmntok_t *t = token_of(value);
    if (t->type == JSMN_OBJECT)
        return JVAL_OBJECT;
    if (t->type == JSMN_ARRAY)
        return JVAL_ARRAY;
    if (t->type == JSMN_STRING)
        return JVAL_STRING;
    uint8_t first = value.doc->text[t->start];
    if (first == 't' || first == 'f')
        return JVAL_BOOL;
    return first == 'n' ? JVAL_NULL : JVAL_NUMBER;
}

bool jval_member(struct jval value, const char *key, struct jval *ret_member)
{
    const jsmntok_t *t = token_of(value);
    if (t->type != JSMN_OBJECT)
        return false;
    struct span wanted = span_str(key);
    uint32_t at = value.token + 1;
    for (int left = t->size; left > 0; left--) {
        if (span_equal(token_span(value.doc, at), wanted)) {
            *ret_member = (struct jval){value.doc, at + 1};
            return true;
        }
        at = (uint32_t)value.doc->tokens[at + 1].t.parent;
    }
    return false;
}

uint32_t jval_count(struct jval value)
{
    const jsmntok_t *t = token_of(value);
    return t->type == JSMN_OBJECT || t->type == JSMN_ARRAY ? (uint32_t)t->size : 0;
}

struct jval_iter jval_iterate(struct jval value)
{
    return (struct jval_iter){.at = {value.doc, value.token + 1},
                              .left = jval_count(value),
                              .keyed = jval_type(value) == JVAL_OBJECT};
}

bool jval_next(struct jval_iter *iter, struct jval *ret_value)
{
    if (iter->left == 0)
        return false;
    struct jval value = iter->at;
    if (iter->keyed)
        value.token++;
    iter->left--;
    iter->at.token = (uint32_t)token_of(value)->parent;
    *ret_value = value;
    return true;
}

bool jval_next_member(struct jval_iter *iter, struct span *ret_key, struct jval *ret_value)
{
    cc_assert(iter->keyed || iter->left == 0);
    if (iter->left == 0)
        return false;
    *ret_key = token_span(iter->at.doc, iter->at.token);
    return jval_next(iter, ret_value);
}

CC_ERR jval_text(struct jval value, struct span *ret_text)
{
    if (token_of(value)->type != JSMN_STRING)
        return CC_FAIL(FIELD_TYPE, "expected a string");
    *ret_text = token_span(value.doc, value.token);
    return CC_OK;
}

CC_ERR jval_decimal(struct jval value, struct span *ret_digits)
{
    enum jval_type type = jval_type(value);
    if (type != JVAL_STRING && type != JVAL_NUMBER)
        return CC_FAIL(FIELD_TYPE, "expected a number");
    struct span digits = token_span(value.doc, value.token);
    if (digits.len == 0)
        return CC_FAIL(MALFORMED, "empty number");
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return CC_FAIL(MALFORMED, "not an unsigned decimal integer");
    }
    *ret_digits = digits;
    return CC_OK;
}

CC_ERR jval_number_text(struct jval value, struct span *ret_text)
{
    if (jval_type(value) != JVAL_NUMBER)
        return CC_FAIL(FIELD_TYPE, "expected a number");
    *ret_text = token_span(value.doc, value.token);
    return CC_OK;
}

CC_ERR jval_u64(struct jval value, uint64_t *ret_number)
{
    enum jval_type type = jval_type(value);
    if (type != JVAL_STRING && type != JVAL_NUMBER)
        return CC_FAIL(FIELD_TYPE, "expected a number");
    return u64_parse(token_span(value.doc, value.token), ret_number);
}

CC_ERR jval_bool(struct jval value, bool *ret_bool)
{
    if (jval_type(value) != JVAL_BOOL)
        return CC_FAIL(FIELD_TYPE, "expected true or false");
    *ret_bool = value.doc->text[token_of(value)->start] == 't';
    return CC_OK;
}
