#include "codec/json_stream.h"

#include <string.h>

/* What may come next. */
enum {
    AT_VALUE,        /* a value, after ':' or at the start */
    AT_FIRST_VALUE,  /* a value or ']' */
    AT_FIRST_KEY,    /* a key or '}' */
    AT_KEY,          /* a key, after ',' */
    AT_COMMA_OR_END, /* after a value inside a container */
    AT_END           /* after the outermost value */
};

enum {
    NOTHING = -1 /* the end of the input, as a byte */
};

void json_stream_init(struct json_stream *stream, json_stream_read_fn *read, void *context)
{
    memset(stream, 0, sizeof *stream);
    stream->read = read;
    stream->context = context;
    stream->line = 1;
    stream->state = AT_VALUE;
}

/* --- bytes -------------------------------------------------------------------------------------- */

static cc_err fill(struct json_stream *s)
{
    if (s->at < s->filled || s->eof)
        return CC_OK;
    s->at = s->filled = 0;
    CC_TRY(s->read(s->context, s->buffer, sizeof s->buffer, &s->filled));
    cc_assert(s->filled <= sizeof s->buffer);
    s->eof = s->filled == 0;
    return CC_OK;
}

static cc_err peek(struct json_stream *s, int *ret_byte)
{
    CC_TRY(fill(s));
    *ret_byte = s->eof ? NOTHING : s->buffer[s->at];
    return CC_OK;
}

static cc_err take(struct json_stream *s, int *ret_byte)
{
    CC_TRY(peek(s, ret_byte));
    if (*ret_byte != NOTHING)
        s->at++;
    return CC_OK;
}

static cc_err skip_space(struct json_stream *s, int *ret_byte)
{
    for (;;) {
        CC_TRY(peek(s, ret_byte));
        if (*ret_byte == '\n')
            s->line++;
        if (*ret_byte != ' ' && *ret_byte != '\t' && *ret_byte != '\n' && *ret_byte != '\r')
            return CC_OK;
        s->at++;
    }
}

static cc_err put(struct json_stream *s, int byte)
{
    if (s->text_len == sizeof s->text_bytes)
        return CC_FAIL(JSON_TOO_LARGE, "a string or number is too long");
    s->text_bytes[s->text_len++] = (uint8_t)byte;
    return CC_OK;
}

/* --- strings ------------------------------------------------------------------------------------ */

static cc_err put_utf8(struct json_stream *s, uint32_t c)
{
    if (c < 0x80)
        return put(s, (int)c);
    if (c < 0x800) {
        CC_TRY(put(s, (int)(0xc0 | c >> 6)));
        return put(s, (int)(0x80 | (c & 0x3f)));
    }
    if (c < 0x10000) {
        CC_TRY(put(s, (int)(0xe0 | c >> 12)));
    } else {
        CC_TRY(put(s, (int)(0xf0 | c >> 18)));
        CC_TRY(put(s, (int)(0x80 | (c >> 12 & 0x3f))));
    }
    CC_TRY(put(s, (int)(0x80 | (c >> 6 & 0x3f))));
    return put(s, (int)(0x80 | (c & 0x3f)));
}

static cc_err hex4(struct json_stream *s, uint32_t *ret_value)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int c;
        CC_TRY(take(s, &c));
        if (c >= '0' && c <= '9')
            c -= '0';
        else if (c >= 'a' && c <= 'f')
            c -= 'a' - 10;
        else if (c >= 'A' && c <= 'F')
            c -= 'A' - 10;
        else
            return CC_FAIL(JSON_SYNTAX, "bad \\u escape");
        value = value << 4 | (uint32_t)c;
    }
    *ret_value = value;
    return CC_OK;
}

static cc_err unicode_escape(struct json_stream *s)
{
    uint32_t c;
    CC_TRY(hex4(s, &c));
    if (c >= 0xdc00 && c <= 0xdfff)
        return CC_FAIL(JSON_UTF8, "lone surrogate");
    if (c >= 0xd800 && c <= 0xdbff) {
        int backslash, u;
        uint32_t low;
        CC_TRY(take(s, &backslash));
        CC_TRY(take(s, &u));
        if (backslash != '\\' || u != 'u')
            return CC_FAIL(JSON_UTF8, "lone surrogate");
        CC_TRY(hex4(s, &low));
        if (low < 0xdc00 || low > 0xdfff)
            return CC_FAIL(JSON_UTF8, "lone surrogate");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_utf8(s, c);
}

static cc_err escape(struct json_stream *s)
{
    static const char names[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    int c;
    CC_TRY(take(s, &c));
    if (c == 'u')
        return unicode_escape(s);
    const char *name = c > 0 ? strchr(names, c) : NULL;
    if (!name)
        return CC_FAIL(JSON_SYNTAX, "unknown escape");
    return put(s, bytes[name - names]);
}

/* The rest of a character that began with `lead`. */
/* One row of Unicode's table of well-formed sequences: leads, how many bytes follow, and what the first may be. */
static const struct utf8_row {
    int lead_from, lead_to, more, first_from, first_to;
} utf8_rows[] = {
    {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf}, {0xe1, 0xec, 2, 0x80, 0xbf},
    {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf}, {0xf0, 0xf0, 3, 0x90, 0xbf},
    {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

static const struct utf8_row *utf8_row_of(int lead)
{
    for (size_t i = 0; i < ARRAY_LEN(utf8_rows); i++)
        if (lead >= utf8_rows[i].lead_from && lead <= utf8_rows[i].lead_to)
            return &utf8_rows[i];
    return NULL;
}

static cc_err utf8_rest(struct json_stream *s, int lead)
{
    const struct utf8_row *row = utf8_row_of(lead);
    if (!row)
        return CC_FAIL(JSON_UTF8, "invalid byte");
    CC_TRY(put(s, lead));
    for (int i = 0; i < row->more; i++) {
        int c;
        CC_TRY(take(s, &c));
        if (c < (i ? 0x80 : row->first_from) || c > (i ? 0xbf : row->first_to))
            return CC_FAIL(JSON_UTF8, "invalid sequence");
        CC_TRY(put(s, c));
    }
    return CC_OK;
}

static cc_err read_string(struct json_stream *s)
{
    int c;
    CC_TRY(take(s, &c)); /* the quote */
    for (;;) {
        CC_TRY(take(s, &c));
        if (c == '"')
            return CC_OK;
        if (c == NOTHING)
            return CC_FAIL(JSON_SYNTAX, "unfinished string");
        if (c < 0x20)
            return CC_FAIL(JSON_SYNTAX, "control character in a string");
        if (c == '\\')
            CC_TRY(escape(s));
        else if (c >= 0x80)
            CC_TRY(utf8_rest(s, c));
        else
            CC_TRY(put(s, c));
    }
}

/* --- numbers and words ------------------------------------------------------------------------------ */

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static cc_err take_digits(struct json_stream *s)
{
    int c;
    CC_TRY(peek(s, &c));
    if (!is_digit(c))
        return CC_FAIL(JSON_SYNTAX, "a digit was expected");
    while (is_digit(c)) {
        CC_TRY(put(s, c));
        s->at++;
        CC_TRY(peek(s, &c));
    }
    return CC_OK;
}

static cc_err take_if(struct json_stream *s, int a, int b, bool *ret_taken)
{
    int c;
    CC_TRY(peek(s, &c));
    *ret_taken = c == a || c == b;
    if (!*ret_taken)
        return CC_OK;
    s->at++;
    return put(s, c);
}

static cc_err read_number(struct json_stream *s)
{
    bool taken, zero;
    CC_TRY(take_if(s, '-', '-', &taken));
    CC_TRY(take_if(s, '0', '0', &zero));
    if (!zero)
        CC_TRY(take_digits(s));
    CC_TRY(take_if(s, '.', '.', &taken));
    if (taken)
        CC_TRY(take_digits(s));
    CC_TRY(take_if(s, 'e', 'E', &taken));
    if (taken) {
        CC_TRY(take_if(s, '+', '-', &taken));
        CC_TRY(take_digits(s));
    }
    return CC_OK;
}

static cc_err read_word(struct json_stream *s, const char *word)
{
    for (; *word; word++) {
        int c;
        CC_TRY(take(s, &c));
        if (c != *word)
            return CC_FAIL(JSON_SYNTAX, "unknown word");
    }
    return CC_OK;
}

/* --- structure -------------------------------------------------------------------------------------- */

static cc_err enter(struct json_stream *s, bool object)
{
    if (s->depth == JSON_STREAM_DEPTH)
        return CC_FAIL(JSON_TOO_DEEP, "nested too deeply");
    s->in_object[s->depth++] = object;
    s->state = object ? AT_FIRST_KEY : AT_FIRST_VALUE;
    s->at++;
    return CC_OK;
}

static void after_value(struct json_stream *s)
{
    s->state = s->depth ? AT_COMMA_OR_END : AT_END;
}

static cc_err read_value(struct json_stream *s, int c, enum json_stream_event *ret_event)
{
    switch (c) {
    case '{':
        *ret_event = JSON_STREAM_OBJECT;
        return enter(s, true);
    case '[':
        *ret_event = JSON_STREAM_ARRAY;
        return enter(s, false);
    case '"':
        *ret_event = JSON_STREAM_STRING;
        CC_TRY(read_string(s));
        break;
    case 't':
        *ret_event = JSON_STREAM_TRUE;
        CC_TRY(read_word(s, "true"));
        break;
    case 'f':
        *ret_event = JSON_STREAM_FALSE;
        CC_TRY(read_word(s, "false"));
        break;
    case 'n':
        *ret_event = JSON_STREAM_NULL;
        CC_TRY(read_word(s, "null"));
        break;
    default:
        *ret_event = JSON_STREAM_NUMBER;
        CC_TRY(read_number(s));
        break;
    }
    after_value(s);
    return CC_OK;
}

static cc_err leave(struct json_stream *s, int c, enum json_stream_event *ret_event)
{
    bool object = s->in_object[s->depth - 1];
    if (c != (object ? '}' : ']'))
        return CC_FAIL(JSON_SYNTAX, "',' or the end of the list was expected");
    *ret_event = object ? JSON_STREAM_OBJECT_END : JSON_STREAM_ARRAY_END;
    s->at++;
    s->depth--;
    after_value(s);
    return CC_OK;
}

static cc_err read_key(struct json_stream *s, int c)
{
    if (c != '"')
        return CC_FAIL(JSON_SYNTAX, "a key was expected");
    CC_TRY(read_string(s));
    CC_TRY(skip_space(s, &c));
    if (c != ':')
        return CC_FAIL(JSON_SYNTAX, "':' was expected");
    s->at++;
    s->state = AT_VALUE;
    return CC_OK;
}

static cc_err next(struct json_stream *s, enum json_stream_event *ret_event)
{
    int c;
    s->text_len = 0;
    CC_TRY(skip_space(s, &c));
    if (s->state == AT_END) {
        *ret_event = JSON_STREAM_END;
        return c == NOTHING ? CC_OK : CC_FAIL(JSON_SYNTAX, "text after the end");
    }
    if (c == NOTHING)
        return CC_FAIL(JSON_SYNTAX, "the text ends too early");
    if (s->state == AT_COMMA_OR_END) {
        if (c != ',')
            return leave(s, c, ret_event);
        s->at++;
        s->state = s->in_object[s->depth - 1] ? AT_KEY : AT_VALUE;
        CC_TRY(skip_space(s, &c));
    }
    if ((s->state == AT_FIRST_VALUE && c == ']') || (s->state == AT_FIRST_KEY && c == '}'))
        return leave(s, c, ret_event);
    if (s->state == AT_VALUE || s->state == AT_FIRST_VALUE)
        return read_value(s, c, ret_event);
    *ret_event = JSON_STREAM_KEY;
    return read_key(s, c);
}

CC_ERR json_stream_next(struct json_stream *stream, enum json_stream_event *ret_event)
{
    CC_TRY(stream->failed);
    stream->failed = next(stream, ret_event);
    stream->text = span_of(stream->text_bytes, stream->text_len);
    return stream->failed;
}

CC_ERR json_stream_skip(struct json_stream *stream, enum json_stream_event first)
{
    if (first != JSON_STREAM_OBJECT && first != JSON_STREAM_ARRAY)
        return CC_OK;
    unsigned outside = stream->depth - 1;
    while (stream->depth > outside) {
        enum json_stream_event event;
        CC_TRY(json_stream_next(stream, &event));
    }
    return CC_OK;
}
