#include "codec/json_check.h"

#include "codec/json.h"

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    struct json_facts facts;
    uint64_t is_object; /* one bit per open level */
    uint32_t depth;
};

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

static bool eat(struct reader *r, uint8_t c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Reads four hex digits after \u; UINT32_MAX when they are not there. */
static uint32_t read_hex4(struct reader *r)
{
    if (r->end - r->at < 4)
        return UINT32_MAX;
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = *r->at++;
        uint8_t lower = c | 0x20;
        if (is_digit(c))
            value = value << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return UINT32_MAX;
    }
    return value;
}

/* After the backslash. */
static CC_ERR check_escape(struct reader *r)
{
    r->facts.escapes = true;
    if (r->at == r->end)
        return CC_FAIL(JSON_SYNTAX, "unfinished string");
    uint8_t c = *r->at++;
    if (c != 'u') {
        if (c == 0 || !strchr("\"\\/bfnrt", c))
            return CC_FAIL(JSON_SYNTAX, "unknown escape");
        return CC_OK;
    }
    uint32_t unit = read_hex4(r);
    if (unit == UINT32_MAX)
        return CC_FAIL(JSON_SYNTAX, "unknown escape");
    if (unit < 0xd800 || unit > 0xdfff)
        return CC_OK;
    if (unit > 0xdbff || !eat(r, '\\') || !eat(r, 'u'))
        return CC_FAIL(JSON_UTF8, "lone surrogate");
    uint32_t low = read_hex4(r);
    if (low < 0xdc00 || low > 0xdfff)
        return CC_FAIL(JSON_UTF8, "lone surrogate");
    return CC_OK;
}

/* One character of two to four bytes, by the table of Unicode section 3.9 (no overlong form, no surrogate, nothing
 * above U+10FFFF).
 */
static CC_ERR check_utf8(struct reader *r)
{
    uint8_t lead = *r->at++;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    int more = 3;
    if (lead >= 0xc2 && lead <= 0xdf)
        more = 1;
    else if (lead >= 0xe0 && lead <= 0xef)
        more = 2;
    else if (lead < 0xf0 || lead > 0xf4)
        return CC_FAIL(JSON_UTF8, NULL);
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    for (; more > 0; more--) {
        if (r->at == r->end || *r->at < low || *r->at > high)
            return CC_FAIL(JSON_UTF8, NULL);
        r->at++;
        low = 0x80;
        high = 0xbf;
    }
    return CC_OK;
}

/* A byte that stands for itself in a string. */
static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* After the opening quote. */
static CC_ERR check_string(struct reader *r)
{
    r->facts.tokens++;
    for (;;) {
        while (r->at < r->end && is_plain(*r->at))
            r->at++;
        if (r->at == r->end)
            return CC_FAIL(JSON_SYNTAX, "unfinished string");
        if (*r->at == '"') {
            r->at++;
            return CC_OK;
        }
        if (*r->at < 0x20)
            return CC_FAIL(JSON_SYNTAX, "control character in a string");
        if (*r->at == '\\') {
            r->at++;
            CC_TRY(check_escape(r));
        } else {
            CC_TRY(check_utf8(r));
        }
    }
}

static CC_ERR check_digits(struct reader *r)
{
    const uint8_t *first = r->at;
    while (r->at < r->end && is_digit(*r->at))
        r->at++;
    return r->at > first ? CC_OK : CC_FAIL(JSON_SYNTAX, "malformed number");
}

static CC_ERR check_number(struct reader *r)
{
    (void)eat(r, '-');
    if (!eat(r, '0'))
        CC_TRY(check_digits(r));
    if (eat(r, '.'))
        CC_TRY(check_digits(r));
    if (eat(r, 'e') || eat(r, 'E')) {
        if (!eat(r, '+'))
            (void)eat(r, '-');
        CC_TRY(check_digits(r));
    }
    return CC_OK;
}

static CC_ERR check_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || !span_is(span_of(r->at, len), word))
        return CC_FAIL(JSON_SYNTAX, "unknown word");
    r->at += len;
    return CC_OK;
}

static CC_ERR check_scalar(struct reader *r)
{
    if (eat(r, '"'))
        return check_string(r);
    r->facts.tokens++;
    switch (*r->at) {
    case 't':
        return check_word(r, "true");
    case 'f':
        return check_word(r, "false");
    case 'n':
        return check_word(r, "null");
    default:
        return check_number(r);
    }
}

static CC_ERR open_level(struct reader *r, bool is_object)
{
    if (r->depth == JSON_DEPTH_MAX)
        return CC_FAIL(JSON_TOO_DEEP, NULL);
    r->is_object = r->is_object << 1 | (uint64_t)is_object;
    r->depth++;
    r->facts.tokens++;
    r->at++;
    return CC_OK;
}

static bool close_level(struct reader *r)
{
    if (!eat(r, r->is_object & 1 ? '}' : ']'))
        return false;
    r->is_object >>= 1;
    r->depth--;
    return true;
}

/* `"key" :` with the white space around it. */
static CC_ERR check_key(struct reader *r)
{
    skip_space(r);
    if (!eat(r, '"'))
        return CC_FAIL(JSON_SYNTAX, "expected a key");
    CC_TRY(check_string(r));
    skip_space(r);
    if (!eat(r, ':'))
        return CC_FAIL(JSON_SYNTAX, "expected a colon");
    return CC_OK;
}

/* Closes what ends here; then, with a level still open, the comma and the key that lead to the next value. */
static CC_ERR check_after_value(struct reader *r)
{
    skip_space(r);
    while (r->depth > 0 && close_level(r))
        skip_space(r);
    if (r->depth == 0)
        return CC_OK;
    if (!eat(r, ','))
        return CC_FAIL(JSON_SYNTAX, "expected a comma or the end of a list");
    return r->is_object & 1 ? check_key(r) : CC_OK;
}

/* The value at hand: whole when it is a scalar or empty; else its level is opened and its first key read. */
static CC_ERR check_value(struct reader *r, bool *ret_whole)
{
    skip_space(r);
    if (r->at == r->end)
        return CC_FAIL(JSON_SYNTAX, "unfinished JSON");
    bool is_object = *r->at == '{';
    *ret_whole = true;
    if (!is_object && *r->at != '[')
        return check_scalar(r);
    CC_TRY(open_level(r, is_object));
    skip_space(r);
    if (r->at < r->end && *r->at == (is_object ? '}' : ']'))
        return CC_OK;
    *ret_whole = false;
    return is_object ? check_key(r) : CC_OK;
}

CC_ERR json_check(struct span text, struct json_facts *ret_facts)
{
    if (text.len == 0)
        return CC_FAIL(JSON_SYNTAX, "no JSON");
    struct reader r = {.at = text.data, .end = text.data + text.len};
    skip_space(&r);
    if (r.at == r.end || (*r.at != '{' && *r.at != '['))
        return CC_FAIL(JSON_SYNTAX, "expected an object or an array");
    do {
        bool whole = false;
        CC_TRY(check_value(&r, &whole));
        if (whole)
            CC_TRY(check_after_value(&r));
    } while (r.depth > 0);
    skip_space(&r);
    if (r.at != r.end)
        return CC_FAIL(JSON_SYNTAX, "bytes after the JSON");
    *ret_facts = r.facts;
    return CC_OK;
}
