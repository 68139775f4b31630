/* base/log.h - one line per event.
 *
 * WHAT      A log line is a level, a constant message and key=value pairs. A room writes it as one
 *           record to its own pipe (fields separated by 0x1f, ended by a newline); the supervisor adds
 *           time and room and formats JSON or text. So a captured room can't forge another's line.
 * PROMISE   One write() per record of at most LOG_RECORD_MAX bytes; control characters in values are
 *           replaced; never blocks a caller for a slow reader (the pipe is non-blocking: a full one
 *           drops the line and counts it).
 * THREADS   Any.
 * OWNERSHIP Borrows everything.
 * ERRORS    None are reported: logging can't fail a request.
 * SECRETS   Never passed here.
 *
 * Levels by consequence: ERROR we could not do what was asked; WARN we go on, and say what we ignore;
 * NOTICE a state changed (sealed, key added, signature refused); INFO; DEBUG is off by default.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum {
    LOG_RECORD_MAX = 2048,
    LOG_FIELDS_MAX = 12
};

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

struct log_field {
    const char *key;  /* [a-z_]+ */
    const char *text; /* NULL: the number below */
    uint64_t number;
};

#define KV_STR(k, v) log_field_text((k), (v))
#define KV_NUM(k, v) ((struct log_field){(k), NULL, (uint64_t)(v)})
#define KV_ERR(e)                                                                                  \
    KV_STR("error", error_name(e)), KV_STR("reason", error_text(e)),                               \
        KV_STR("detail", error_detail()), KV_STR("at", error_place())

static inline struct log_field log_field_text(const char *key, const char *text)
{
    return (struct log_field){key, text ? text : "", 0};
}

/* Sends records to `fd` (a room's pipe, made non-blocking) or, with `local`, formats them as text for a
 * person there. Lines above `level` are dropped. The default is local text on standard error at INFO.
 */
void log_init(int fd, bool local, enum log_level level);
void log_set_level(enum log_level level);

void log_write(enum log_level level,
               const char *message,
               const struct log_field *fields,
               size_t count);

#define LOG_(level, message, ...)                                                                  \
    log_write((level), (message), (const struct log_field[]){{"", "", 0}, ##__VA_ARGS__} + 1,      \
              sizeof((const struct log_field[]){{"", "", 0}, ##__VA_ARGS__}) /                     \
                      sizeof(struct log_field) -                                                   \
                  1)
#define log_error(message, ...)  LOG_(LOG_LEVEL_ERROR, message, ##__VA_ARGS__)
#define log_warn(message, ...)   LOG_(LOG_LEVEL_WARN, message, ##__VA_ARGS__)
#define log_notice(message, ...) LOG_(LOG_LEVEL_NOTICE, message, ##__VA_ARGS__)
#define log_info(message, ...)   LOG_(LOG_LEVEL_INFO, message, ##__VA_ARGS__)
#define log_debug(message, ...)  LOG_(LOG_LEVEL_DEBUG, message, ##__VA_ARGS__)

/* What the supervisor does with one record of a room: `room` and `wall_ms` are its own words. Appends one
 * formatted line to `out`; a record that is not well formed is quoted as the text of a warning.
 */
CC_ERR
log_format(struct buf *out, bool json, const char *room, uint64_t wall_ms, struct span record);

#endif
