#include "cli/complete.h"

#include "config/config_table.h"

/* A usage is alternatives with " | " between, each with its subcommand first ("list | policy put NAME --from FILE|-",
 * "pause|resume --all"), then from a new line on what all of them take, and behind an empty line explanations.
 */
struct usage {
    struct span alternatives;
    struct span common;
};

static const char blanks[] = " \n";

static bool is_one_of(const char *set, uint8_t c)
{
    return c && strchr(set, c);
}

static bool is_word_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static size_t word_len(struct span text)
{
    size_t len = 0;
    while (len < text.len && is_word_char(text.data[len]))
        len++;
    return len;
}

static bool is_word(struct span text)
{
    return text.len && text.data[0] >= 'a' && text.data[0] <= 'z' && word_len(text) == text.len;
}

static struct span rest_from(struct span text, size_t at)
{
    return span_of(text.data + at, text.len - at);
}

/* Takes what stands before the first character of `set`, which goes too. */
static struct span take_until(struct span *text, const char *set)
{
    size_t len = 0;
    while (len < text->len && !is_one_of(set, text->data[len]))
        len++;
    struct span taken = span_of(text->data, len);
    *text = rest_from(*text, len < text->len ? len + 1 : len);
    return taken;
}

static struct span take_token(struct span *text)
{
    while (text->len && is_one_of(blanks, text->data[0]))
        *text = rest_from(*text, 1);
    return take_until(text, blanks);
}

/* --- alternatives --------------------------------------------------------------------------------------------------- */

/* Behind the next " |" outside of brackets; text.len where there is none. */
static size_t next_separator(struct span text)
{
    int depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        depth += c == '[';
        depth -= c == ']';
        if (depth == 0 && c == '|' && i && text.data[i - 1] == ' ')
            return i + 1;
    }
    return text.len;
}

static struct usage split(const char *usage)
{
    const char *prose = strstr(usage, "\n\n");
    struct span all = span_str(usage);
    struct span head = prose ? span_of(usage, (size_t)(prose - usage)) : all;
    size_t last = 0;
    for (size_t at = 0; at < head.len; at += next_separator(rest_from(head, at)))
        last = at;
    while (last < head.len && is_one_of(blanks, head.data[last]))
        last++;
    size_t end = last;
    while (end < head.len && head.data[end] != '\n')
        end++;
    return (struct usage){span_of(head.data, end), rest_from(all, end)};
}

static struct span take_alternative(struct span *alternatives)
{
    size_t len = next_separator(*alternatives);
    struct span one = span_of(alternatives->data, len);
    *alternatives = rest_from(*alternatives, len);
    return one;
}

/* --- what is printed ------------------------------------------------------------------------------------------------- */

static void print_span(FILE *out, struct span word)
{
    (void)fprintf(out, "%.*s\n", (int)word.len, (const char *)word.data);
}

/* The words of "check|dump|FILE|-". */
static void print_words(FILE *out, struct span token)
{
    while (token.len) {
        struct span word = take_until(&token, "|");
        if (is_word(word))
            print_span(out, word);
    }
}

static bool has_word(struct span token, const char *text)
{
    while (token.len)
        if (span_is(take_until(&token, "|"), text))
            return true;
    return false;
}

/* The next option of a usage, "--from", and what stands behind it; not one that explanations speak of. */
static bool next_option(struct span *text, struct span *ret_option)
{
    uint8_t before = ' ';
    while (text->len) {
        size_t len = before == '-' ? 0 : word_len(*text);
        bool begins =
            is_one_of(" \n[|", before) && len > 2 && span_is(span_of(text->data, 2), "--");
        if (begins && (len == text->len || is_one_of(" \n]|=", text->data[len]))) {
            *ret_option = span_of(text->data, len);
            *text = rest_from(*text, len);
            return true;
        }
        size_t step = len ? len : 1;
        before = text->data[step - 1];
        *text = rest_from(*text, step);
    }
    return false;
}

static void print_options(FILE *out, struct span text)
{
    struct span option;
    while (next_option(&text, &option))
        print_span(out, option);
}

/* If `option` takes a value there; prints the choices that it has. */
static bool print_values(FILE *out, struct span text, const char *option)
{
    struct span found;
    while (next_option(&text, &found)) {
        if (!span_is(found, option))
            continue;
        if (text.len < 2 || text.data[0] != ' ' || is_one_of("-[|", text.data[1]))
            return false;
        text = rest_from(text, 1);
        struct span values = take_until(&text, " \n]");
        while (values.len && values.data[0] != '-')
            print_words(out, take_until(&values, "|"));
        return true;
    }
    return false;
}

/* --- the configuration's flags: none stands in a usage, which says --OPTION VALUE ------------------------------------- */

static bool takes_config(const char *usage)
{
    return strstr(usage, "--OPTION VALUE");
}

static void print_flags(FILE *out)
{
    for (size_t i = 0; i < config_row_count; i++) {
        if (config_rows[i].type == CONFIG_POLICIES)
            continue;
        (void)fputs("--", out);
        for (const char *at = config_rows[i].path; *at; at++)
            (void)fputc(is_one_of("._", (uint8_t)*at) ? '-' : *at, out);
        (void)fputc('\n', out);
    }
}

static bool print_flag_values(FILE *out, const char *option)
{
    const char *path =
        strncmp(option, "--", 2) == 0 ? config_path_of_flag(span_str(option + 2)) : NULL;
    const struct config_row *row = path ? config_row_find(path) : NULL;
    if (row && row->type == CONFIG_BOOL)
        print_words(out, span_str("true|false"));
    if (row && row->type == CONFIG_CHOICE)
        print_words(out, span_str(row->choices));
    return path;
}

/* --- one command ----------------------------------------------------------------------------------------------------- */

const char *complete_word(const struct complete_words *words, int n)
{
    for (int i = 0; i + 1 < words->count; i++)
        if (words->items[i][0] != '-' && n-- == 0)
            return words->items[i];
    return "";
}

struct search {
    FILE *out;
    const char *first;
    const char *second;
    const char *before; /* the word before the one that is being typed */
    bool found_words;
    bool found_values;
};

/* `alternative` as far as it is meant: words where one is missing, else its options or an option's values. */
static void look(struct search *s, struct span alternative, bool options)
{
    struct span rest = alternative;
    struct span head = take_token(&rest);
    bool has_head = is_word(take_until(&(struct span){head.data, head.len}, "|"));
    if (has_head && s->first[0] && !has_word(head, s->first))
        return;
    struct span behind = rest;
    struct span next = has_head ? take_token(&behind) : span_str("");
    bool has_next = is_word(take_until(&(struct span){next.data, next.len}, "|"));
    if (has_next && s->first[0] && s->second[0] && !has_word(next, s->second))
        return;
    if (options) {
        s->found_values |= print_values(s->out, alternative, s->before);
    } else if (has_head && !s->first[0]) {
        print_words(s->out, head);
        s->found_words = true;
    } else if (has_next && !s->second[0]) {
        print_words(s->out, next);
        s->found_words = true;
    } else {
        print_options(s->out, alternative);
    }
}

static void look_at_all(struct search *s, struct span alternatives, bool options)
{
    while (alternatives.len)
        look(s, take_alternative(&alternatives), options);
}

void complete_print(FILE *out,
                    const char *usage,
                    const char *more,
                    const struct complete_words *words)
{
    struct usage parts = split(usage);
    struct span own = span_str(more ? more : "");
    const char *typed = words->items[words->count - 1];
    struct search s = {.out = out,
                       .first = complete_word(words, 0),
                       .second = complete_word(words, 1),
                       .before = words->count > 1 ? words->items[words->count - 2] : ""};
    if (s.before[0] == '-') {
        look_at_all(&s, parts.alternatives, true);
        if (s.found_values || print_values(out, own, s.before) ||
            print_values(out, parts.common, s.before) || strcmp(s.before, "-c") == 0 ||
            (takes_config(usage) && print_flag_values(out, s.before)))
            return;
    }
    look_at_all(&s, parts.alternatives, false);
    if (s.found_words)
        return;
    print_options(out, own);
    print_options(out, parts.common);
    if (takes_config(usage) && strncmp(typed, "--", 2) == 0)
        print_flags(out);
}
