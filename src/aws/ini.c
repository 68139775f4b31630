#include "aws/ini.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static struct span trim(struct span s)
{
    while (s.len && is_blank(s.data[0]))
        s = span_of(s.data + 1, s.len - 1);
    while (s.len && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

static struct span take_line(struct span *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    struct span line = span_of(rest->data, end ? (size_t)(end - rest->data) : rest->len);
    size_t used = line.len + (end != NULL);
    *rest = span_of(rest->data + used, rest->len - used);
    return line;
}

static bool is_comment(uint8_t c)
{
    return c == '#' || c == ';';
}

static struct span without_comment(struct span value)
{
    for (size_t i = 1; i < value.len; i++)
        if (is_comment(value.data[i]) && is_blank(value.data[i - 1]))
            return trim(span_of(value.data, i));
    return value.len && is_comment(value.data[0]) ? span_of(value.data, 0) : value;
}

static bool split(struct span line, struct span *ret_key, struct span *ret_value)
{
    const uint8_t *equals = memchr(line.data, '=', line.len);
    if (!equals)
        return false;
    size_t len = (size_t)(equals - line.data);
    *ret_key = trim(span_of(line.data, len));
    *ret_value = trim(without_comment(span_of(equals + 1, line.len - len - 1)));
    return ret_key->len > 0;
}

static void begin_section(struct aws_ini *ini, struct span line)
{
    const uint8_t *end = memchr(line.data, ']', line.len);
    ini->key = span_of(NULL, 0);
    ini->section =
        end ? trim(span_of(line.data + 1, (size_t)(end - line.data) - 1)) : span_of(NULL, 0);
}

bool aws_ini_next(struct aws_ini *ini, struct aws_ini_line *ret_line)
{
    while (ini->rest.len) {
        struct span whole = take_line(&ini->rest);
        struct span line = trim(whole);
        struct aws_ini_line found = {.section = ini->section};
        if (!line.len || is_comment(line.data[0]))
            continue;
        if (line.data[0] == '[' && !is_blank(whole.data[0])) {
            begin_section(ini, line);
            continue;
        }
        if (!split(line, &found.key, &found.value))
            continue;
        if (is_blank(whole.data[0]) && ini->key.len) {
            found.below = found.key;
            found.key = ini->key;
        } else {
            ini->key = found.key;
        }
        *ret_line = found;
        return true;
    }
    return false;
}

static struct span without_quotes(struct span s)
{
    bool quoted =
        s.len >= 2 && (s.data[0] == '"' || s.data[0] == '\'') && s.data[s.len - 1] == s.data[0];
    return quoted ? span_of(s.data + 1, s.len - 2) : s;
}

bool aws_ini_section_is(struct span section, const char *kind, struct span name)
{
    size_t len = strlen(kind);
    if (len == 0)
        return span_equal(section, name);
    if (section.len <= len || !is_blank(section.data[len]) ||
        !span_is(span_of(section.data, len), kind))
        return false;
    return span_equal(without_quotes(trim(span_of(section.data + len, section.len - len))), name);
}

/* Whether a text has a section is asked apart from its lines: one without any is there all the same. */
static bool has_section(struct span text, const char *kind, struct span name)
{
    struct aws_ini ini = {0};
    while (text.len) {
        struct span line = trim(take_line(&text));
        if (!line.len || line.data[0] != '[')
            continue;
        begin_section(&ini, line);
        if (aws_ini_section_is(ini.section, kind, name))
            return true;
    }
    return false;
}

struct span aws_ini_get(struct span text,
                        const char *kind,
                        struct span name,
                        const char *key,
                        const char *below,
                        bool *ret_found)
{
    struct aws_ini ini = aws_ini_walk(text);
    struct aws_ini_line line;
    struct span value = span_of(NULL, 0);
    *ret_found = has_section(text, kind, name);
    while (*ret_found && aws_ini_next(&ini, &line))
        if (aws_ini_section_is(line.section, kind, name) && span_is_nocase(line.key, key) &&
            span_is_nocase(line.below, below))
            value = line.value;
    return value;
}
