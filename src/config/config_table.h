/* config/config_table.h - config.def as data, and values as text.
 *
 * WHAT      The rows of config.def with the place of each value in struct config; text to value and back.
 * PROMISE   A value that config_value_set() has taken is of its type, in range and fits its field.
 * THREADS   Any: the table is constant.
 * OWNERSHIP Static rows; the rest is borrowed.
 * ERRORS    CONFIG with a sentence for the user as error_detail(); NO_MEMORY, LIMIT from a buf.
 * SECRETS   None in clear (config/config.h).
 */
#ifndef CONFIG_CONFIG_TABLE_H
#define CONFIG_CONFIG_TABLE_H

#include "config/config.h"

enum config_type {
    CONFIG_TEXT,    /* zero-terminated char array */
    CONFIG_ADDRESS, /* the same: an IPv4 or IPv6 address */
    CONFIG_ROOT,    /* the same: empty, or 0x and 64 hex digits */
    CONFIG_U16,
    CONFIG_U32,
    CONFIG_U64,
    CONFIG_BOOL,
    CONFIG_RATIO,   /* uint32_t, in millionths: 0 to 1 with up to six decimals */
    CONFIG_CHOICE,  /* an enum whose values count from 0 */
    CONFIG_TEXTS,   /* struct config_text_list */
    CONFIG_PATHS,   /* a uint32_t count, then texts of CONFIG_PATH_MAX */
    CONFIG_MAP,     /* struct config_text_list of "KEY=value" */
    CONFIG_POLICIES /* struct static_policies; only from a file */
};

enum {
    CONFIG_RATIO_ONE = 1000000,
    CONFIG_RATIO_DECIMALS = 6
};

struct config_row {
    const char *path;
    enum config_type type;
    size_t offset;
    size_t size;
    uint64_t min;
    uint64_t max; /* numbers only */
    const char *default_text;
    const char *choices;
    bool reloadable;
    bool secret;
    unsigned rooms; /* of enum config_room */
    const char *doc;
};

extern const struct config_row config_rows[];
extern const size_t config_row_count;

/* NULL when there is none. */
const struct config_row *config_row_find(const char *path);
size_t config_row_index(const struct config_row *row);
/* True when `path` is "", or some row lies below it. */
bool config_is_section(const char *path);
/* True when `path` or a section above it is an option of another release. */
bool config_is_later(const char *path);
/* Why `path` has no effect; NULL when it is not one of those. */
const char *config_ignored(const char *path);
/* A word that stands for a section: the row that it sets, and *ret_value. NULL when there is none such. */
const struct config_row *config_word(const char *path, struct span word, const char **ret_value);
/* The words that may stand for the section `path`, for people; NULL: none. */
const char *config_words(const char *path);
/* The path that the flag `name` (without its dashes: "server-listen-port") sets: a row's, or one of another release, so
 * that it can be refused by name. NULL when there is none.
 */
const char *config_path_of_flag(struct span name);
/* The known path that `path` was probably meant to be; NULL when nothing is near. */
const char *config_nearest(const char *path);

bool config_row_is_list(const struct config_row *row);
bool config_row_is_text(const struct config_row *row);
/* "text", "number 1-4096", "true or false", "one of sqlite, noop", ... */
CC_ERR config_row_kind(const struct config_row *row, struct buf *out);

/* Sets a scalar row, or makes a list row of the items between commas ("" is the empty list). */
CC_ERR config_value_set(struct config *config, const struct config_row *row, struct span text);
void config_list_clear(struct config *config, const struct config_row *row);
CC_ERR config_list_add(struct config *config, const struct config_row *row, struct span item);
/* Adds "key=value" to a MAP row, in the place of an older value of the key. */
CC_ERR config_map_put(struct config *config,
                      const struct config_row *row,
                      struct span key,
                      struct span value);
uint32_t config_list_count(const struct config *config, const struct config_row *row);
const char *config_list_item(const struct config *config, const struct config_row *row, uint32_t i);
/* Appends a text in quotes, as YAML takes it. */
CC_ERR config_quote(struct buf *out, const char *text);
/* Appends a scalar row's value as text. */
CC_ERR
config_value_text(const struct config *config, const struct config_row *row, struct buf *out);

#endif
