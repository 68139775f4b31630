#include "base/log.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

enum {
    SEPARATOR = 0x1f
};

static const char *const level_names[] = {"error", "warn", "notice", "info", "debug"};

/* The log sink is one of the few globals (docs/architecture.md lists them). */
static _Atomic int sink_fd = STDERR_FILENO;
static _Atomic int sink_local = 1;
static _Atomic int sink_level = LOG_LEVEL_INFO;
static _Atomic uint64_t dropped;

void log_init(int fd, bool local, enum log_level level)
{
    atomic_store(&sink_fd, fd);
    atomic_store(&sink_local, local);
    atomic_store(&sink_level, (int)level);
    if (!local)
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void log_set_level(enum log_level level)
{
    atomic_store(&sink_level, (int)level);
}

static const char *level_name(enum log_level level)
{
    return (size_t)level < ARRAY_LEN(level_names) ? level_names[level] : "error";
}

struct record {
    char bytes[LOG_RECORD_MAX];
    size_t len;
};

/* Keeps the last byte for the newline; what does not fit is cut. */
static void put(struct record *r, const char *text)
{
    for (; *text && r->len < sizeof r->bytes - 1; text++)
        r->bytes[r->len++] = iscntrl((unsigned char)*text) ? '?' : *text;
}

static void put_separator(struct record *r)
{
    if (r->len < sizeof r->bytes - 1)
        r->bytes[r->len++] = SEPARATOR;
}

static void build_record(struct record *r,
                         enum log_level level,
                         const char *message,
                         const struct log_field *fields,
                         size_t count)
{
    put(r, level_name(level));
    put_separator(r);
    put(r, message);
    for (size_t i = 0; i < count && i < LOG_FIELDS_MAX; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%" PRIu64, fields[i].number);
        put_separator(r);
        put(r, fields[i].key);
        put_separator(r);
        put(r, fields[i].text ? fields[i].text : number);
    }
}

static void write_local(const struct record *r)
{
    struct buf line = buf_init(4 * LOG_RECORD_MAX);
    cc_err err = log_format(&line, false, NULL, clock_wall_ms(), span_of(r->bytes, r->len));
    if (!err.code)
        err = fd_write_all(atomic_load(&sink_fd), line.data, line.len);
    (void)err; /* logging can't fail a request */
    buf_release(&line);
}

void log_write(enum log_level level,
               const char *message,
               const struct log_field *fields,
               size_t count)
{
    if ((int)level > atomic_load(&sink_level))
        return;
    struct record r;
    r.len = 0;
    build_record(&r, level, message, fields, count);
    if (atomic_load(&sink_local)) {
        write_local(&r);
        return;
    }
    r.bytes[r.len++] = '\n';
    if (write(atomic_load(&sink_fd), r.bytes, r.len) != (ssize_t)r.len)
        atomic_fetch_add(&dropped, 1);
}

/* --- the supervisor's side --------------------------------------------------------------------- */

static bool next_field(struct span *rest, struct span *ret_field)
{
    if (!rest->data)
        return false;
    const uint8_t *end = memchr(rest->data, SEPARATOR, rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    *ret_field = span_of(rest->data, len);
    *rest = end ? span_of(end + 1, rest->len - len - 1) : (struct span){0};
    return true;
}

static bool is_key(struct span s)
{
    static const char *const reserved[] = {"time", "level", "room", "msg"};
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!islower(s.data[i]) && s.data[i] != '_')
            return false;
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (span_is(s, reserved[i]))
            return false;
    return true;
}

static bool is_number(struct span s)
{
    if (s.len == 0 || s.len > 15)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!isdigit(s.data[i]))
            return false;
    return s.len == 1 || s.data[0] != '0';
}

static cc_err quote(struct buf *out, struct span s)
{
    CC_TRY(buf_append(out, "\"", 1));
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (c == '"' || c == '\\')
            CC_TRY(buf_printf(out, "\\%c", c));
        else if (c < 0x20 || c >= 0x7f)
            CC_TRY(buf_printf(out, "\\u%04x", c));
        else
            CC_TRY(buf_append(out, &c, 1));
    }
    return buf_append(out, "\"", 1);
}

/* Our messages are constants; a captured room's may be anything, such as a terminal's orders. */
static bool is_printable(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] >= 0x7f)
            return false;
    return true;
}

static cc_err put_pair(struct buf *out, bool json, struct span key, struct span value)
{
    CC_TRY(buf_printf(out, json ? ",\"%.*s\":" : " %.*s=", (int)key.len, (const char *)key.data));
    bool bare = is_number(value);
    for (size_t i = 0; !json && !bare && i < value.len; i++)
        if (!isgraph(value.data[i]) || value.data[i] == '"' || value.data[i] == '=')
            return quote(out, value);
    return bare || (!json && value.len) ? buf_append(out, value.data, value.len)
                                        : quote(out, value);
}

static cc_err
put_head(struct buf *out, bool json, const char *room, uint64_t wall_ms, const char *level)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char stamp[40];
    (void)gmtime_r(&seconds, &tm);
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(stamp + n, sizeof stamp - n, ".%03uZ", (unsigned)(wall_ms % 1000));
    if (json) {
        CC_TRY(buf_printf(out, "{\"time\":\"%s\",\"level\":\"%s\"", stamp, level));
        return room ? buf_printf(out, ",\"room\":\"%s\",\"msg\":", room)
                    : buf_append_str(out, ",\"msg\":");
    }
    CC_TRY(buf_printf(out, "%s %-6s ", stamp, level));
    return room ? buf_printf(out, "[%s] ", room) : CC_OK;
}

static cc_err format_fields(struct buf *out, bool json, struct span rest)
{
    struct span key;
    struct span value;
    while (next_field(&rest, &key)) {
        if (!next_field(&rest, &value) || !is_key(key))
            return CC_FAIL(MALFORMED, "log field");
        CC_TRY(put_pair(out, json, key, value));
    }
    return CC_OK;
}

CC_ERR
log_format(struct buf *out, bool json, const char *room, uint64_t wall_ms, struct span record)
{
    size_t start = out->len;
    struct span rest = record;
    struct span name = {0};
    struct span message = {0};
    const char *level = NULL;
    if (next_field(&rest, &name) && next_field(&rest, &message))
        for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
            if (span_is(name, level_names[i]))
                level = level_names[i];
    cc_err err = level ? CC_OK : CC_FAIL(MALFORMED, "log record");
    if (!err.code)
        err = put_head(out, json, room, wall_ms, level);
    if (!err.code)
        err = json || !is_printable(message) ? quote(out, message)
                                             : buf_append(out, message.data, message.len);
    if (!err.code)
        err = format_fields(out, json, rest);
    if (error_is(err, ERROR_MALFORMED)) {
        out->len = start;
        CC_TRY(put_head(out, json, room, wall_ms, "warn"));
        CC_TRY(quote(out, record));
        err = CC_OK;
    }
    CC_TRY(err);
    return buf_append_str(out, json ? "}\n" : "\n");
}
