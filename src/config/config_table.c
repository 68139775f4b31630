#include "config/config_table.h"

#include <stddef.h>

#include "base/num.h"

enum {
    R = 1,
    S = 2,
    N = 0
};
enum {
    F_ = CONFIG_FOR_FRONT,
    C_ = CONFIG_FOR_CORE,
    V_ = CONFIG_FOR_VAULT,
    L_ = CONFIG_FOR_LOADER,
    O_ = CONFIG_FOR_FORWARDER
};

/* The member named by a PATHS row is the count of a pair. */
#define CONFIG_PATHS_SIZE (sizeof(uint32_t) + (size_t)CONFIG_LIST_MAX * CONFIG_PATH_MAX)
_Static_assert(offsetof(struct filesystem_config, paths) ==
                   offsetof(struct filesystem_config, path_count) + sizeof(uint32_t),
               "count and items of a list stand together");
_Static_assert(offsetof(struct config_text_list, items) == sizeof(uint32_t),
               "count and items of a list stand together");

const struct config_row config_rows[] = {
#define C(path, type, member, min, max, default, choices, flags, rooms, doc)                       \
    {path,                                                                                         \
     CONFIG_##type,                                                                                \
     offsetof(struct config, member),                                                              \
     CONFIG_##type == CONFIG_PATHS ? CONFIG_PATHS_SIZE : sizeof(((struct config *)0)->member),     \
     min,                                                                                          \
     max,                                                                                          \
     default,                                                                                      \
     choices,                                                                                      \
     ((flags)&R) != 0,                                                                             \
     ((flags)&S) != 0,                                                                             \
     rooms,                                                                                        \
     doc},
#include "config/config.def"
#undef C
};

const size_t config_row_count = ARRAY_LEN(config_rows);
_Static_assert(ARRAY_LEN(config_rows) <= CONFIG_ROWS_MAX, "room for a flag per row");

static const char *const later_paths[] = {
#define LATER(path) path,
#define IGNORED(path, why)
#define WORD(path, word, row, value)
#include "config/config_later.def"
#undef LATER
#undef IGNORED
#undef WORD
};

static const struct {
    const char *path;
    const char *why;
} ignored_paths[] = {
#define LATER(path)
#define IGNORED(path, why) {path, why},
#define WORD(path, word, row, value)
#include "config/config_later.def"
#undef LATER
#undef IGNORED
#undef WORD
};

static const struct {
    const char *path;
    const char *word;
    const char *row;
    const char *value;
} words[] = {
#define LATER(path)
#define IGNORED(path, why)
#define WORD(path, word, row, value) {path, word, row, value},
#include "config/config_later.def"
#undef LATER
#undef IGNORED
#undef WORD
};

const struct config_row *config_row_find(const char *path)
{
    for (size_t i = 0; i < config_row_count; i++)
        if (strcmp(config_rows[i].path, path) == 0)
            return &config_rows[i];
    return NULL;
}

size_t config_row_index(const struct config_row *row)
{
    return (size_t)(row - config_rows);
}

static bool is_below(const char *path, const char *section)
{
    size_t len = strlen(section);
    return strncmp(path, section, len) == 0 && path[len] == '.';
}

bool config_is_section(const char *path)
{
    if (path[0] == 0)
        return true;
    for (size_t i = 0; i < config_row_count; i++)
        if (is_below(config_rows[i].path, path))
            return true;
    return false;
}

bool config_is_later(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(later_paths); i++)
        if (strcmp(path, later_paths[i]) == 0 || is_below(path, later_paths[i]))
            return true;
    return false;
}

const char *config_ignored(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(ignored_paths); i++)
        if (strcmp(path, ignored_paths[i].path) == 0)
            return ignored_paths[i].why;
    return NULL;
}

const struct config_row *config_word(const char *path, struct span word, const char **ret_value)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(path, words[i].path) != 0 || !span_is(word, words[i].word))
            continue;
        *ret_value = words[i].value;
        return config_row_find(words[i].row);
    }
    return NULL;
}

const char *config_words(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(path, words[i].path) == 0)
            return words[i].word;
    return NULL;
}

/* How much of `name` spells `path` with dashes for dots and underscores; all of `path`, or nothing. */
static size_t spelled(struct span name, const char *path)
{
    size_t len = strlen(path);
    if (name.len < len)
        return 0;
    for (size_t i = 0; i < len; i++)
        if (name.data[i] != (path[i] == '.' || path[i] == '_' ? '-' : (uint8_t)path[i]))
            return 0;
    return len;
}

/* Flags of earlier documentation. */
static const char *const flag_aliases[][2] = {
    {"anti-slashing-sqlite-path", "anti_slashing.path"},
    {"filesystem-keystores-path", "key_sources.filesystem.paths"},
};

const char *config_path_of_flag(struct span name)
{
    for (size_t i = 0; i < config_row_count; i++)
        if (name.len && spelled(name, config_rows[i].path) == name.len)
            return config_rows[i].path;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (name.len && spelled(name, words[i].path) == name.len)
            return words[i].path;
    for (size_t i = 0; i < ARRAY_LEN(flag_aliases); i++)
        if (span_is(name, flag_aliases[i][0]))
            return flag_aliases[i][1];
    for (size_t i = 0; i < ARRAY_LEN(later_paths); i++) {
        size_t len = spelled(name, later_paths[i]);
        if (len && (len == name.len || name.data[len] == '-'))
            return later_paths[i];
    }
    return NULL;
}

enum {
    DISTANCE_TEXT_MAX = 64
};

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein's distance; a text that is too long is far from everything. */
static unsigned distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > DISTANCE_TEXT_MAX || b_len > DISTANCE_TEXT_MAX)
        return UINT32_MAX;
    unsigned row[DISTANCE_TEXT_MAX + 1];
    for (unsigned j = 0; j <= b_len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            unsigned above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *config_nearest(const char *path)
{
    const char *best = NULL;
    unsigned best_distance = 4;
    for (size_t i = 0; i < config_row_count; i++) {
        unsigned d = distance(path, config_rows[i].path);
        if (d < best_distance) {
            best_distance = d;
            best = config_rows[i].path;
        }
    }
    return best;
}

bool config_row_is_list(const struct config_row *row)
{
    return row->type == CONFIG_TEXTS || row->type == CONFIG_PATHS || row->type == CONFIG_MAP;
}

bool config_row_is_text(const struct config_row *row)
{
    return row->type == CONFIG_TEXT || row->type == CONFIG_ADDRESS || row->type == CONFIG_ROOT;
}

static cc_err choices_kind(const struct config_row *row, struct buf *out)
{
    CC_TRY(buf_append_str(out, "one of "));
    for (const char *at = row->choices; *at; at++)
        CC_TRY(*at == '|' ? buf_append_str(out, ", ") : buf_append(out, at, 1));
    return CC_OK;
}

static cc_err number_kind(const struct config_row *row, struct buf *out)
{
    if (row->max == UINT64_MAX)
        return buf_printf(out, "number, %llu or more", (unsigned long long)row->min);
    return buf_printf(out, "number from %llu to %llu", (unsigned long long)row->min,
                      (unsigned long long)row->max);
}

CC_ERR config_row_kind(const struct config_row *row, struct buf *out)
{
    switch (row->type) {
    case CONFIG_TEXT:
        return buf_append_str(out, "text");
    case CONFIG_ADDRESS:
        return buf_append_str(out, "IP address");
    case CONFIG_ROOT:
        return buf_append_str(out, "0x and 64 hex digits, or empty");
    case CONFIG_U16:
    case CONFIG_U32:
    case CONFIG_U64:
        return number_kind(row, out);
    case CONFIG_BOOL:
        return buf_append_str(out, "true or false");
    case CONFIG_RATIO:
        return buf_append_str(out, "number from 0 to 1, at most six decimals");
    case CONFIG_CHOICE:
        return choices_kind(row, out);
    case CONFIG_TEXTS:
        return buf_append_str(out, "list of texts");
    case CONFIG_PATHS:
        return buf_append_str(out, "list of paths");
    case CONFIG_MAP:
        return buf_append_str(out, "map of names to values");
    case CONFIG_POLICIES:
        return buf_append_str(out, "map of names to {token, allowed_scopes, denied_scopes}");
    }
    return CC_OK;
}
