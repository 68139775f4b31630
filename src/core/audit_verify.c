#include "core/audit_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/num.h"

#include "core/audit.h"
#include "core/audit_file.h"
#include "secret/wipe.h"

enum {
    WINDOW = 1 << 16,
    PER_SEGMENT = 1000 /* steps that are told */
};

struct verifying {
    const struct audit_source *source;
    struct audit_check *check;
    uint64_t done, segments; /* how many of them */
    uint8_t window[WINDOW];
};

static int open_segment(const struct verifying *v, uint64_t segment)
{
    CC_CLEANUP(buf_release) struct buf path = buf_init(CONFIG_PATH_MAX + 64);
    if (audit_file_path(v->source->directory, segment, &path).code)
        return -1;
    return open((const char *)path.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static cc_err read_some(int fd, uint8_t *into, size_t room, size_t *ret_len)
{
    ssize_t n;
    do
        n = read(fd, into, room);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return CC_FAIL(IO, "a segment of the audit log can't be read");
    *ret_len = (size_t)n;
    return CC_OK;
}

/* Gives every line in the window to the check; what is left of it moves to the front. */
static cc_err take_lines(struct verifying *v, size_t *len)
{
    size_t from = 0;
    for (;;) {
        const uint8_t *end = memchr(v->window + from, '\n', *len - from);
        /* A line that fills the window is none: a piece of it is refused as well as the whole. */
        const bool too_long = !end && from == 0 && *len == WINDOW;
        if (!end && !too_long)
            break;
        const size_t line = end ? (size_t)(end - v->window) - from : *len;
        CC_TRY(audit_check_line(v->check, span_of(v->window + from, line), true));
        from += line + (end != NULL);
    }
    memmove(v->window, v->window + from, *len - from);
    *len -= from;
    return CC_OK;
}

/* `at`: how much of the segment was read. */
static void tell(const struct verifying *v, uint64_t at, uint64_t size)
{
    const uint64_t part = size ? u64_min(at, size) * PER_SEGMENT / size : 0;
    order_progress_tell(v->source->progress, v->done * PER_SEGMENT + part,
                        v->segments * PER_SEGMENT);
}

static cc_err read_lines(struct verifying *v, int fd)
{
    struct stat st;
    const uint64_t size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    uint64_t at = 0;
    size_t len = 0;
    size_t more = 0;
    do {
        CC_TRY(read_some(fd, v->window + len, WINDOW - len, &more));
        len += more;
        at += more;
        CC_TRY(take_lines(v, &len));
        tell(v, at, size);
    } while (more);
    return len ? audit_check_line(v->check, span_of(v->window, len), false) : CC_OK;
}

/* What the first line of a segment says, whether it is true or not. */
static bool peek(const struct verifying *v, uint64_t segment, struct audit_header *ret_header)
{
    uint8_t line[AUDIT_LINE_MAX];
    CC_CLEANUP(fd_closep) int fd = open_segment(v, segment);
    const ssize_t n = fd < 0 ? -1 : pread(fd, line, sizeof line, 0);
    const uint8_t *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
    return end && !audit_header_read(span_of(line, (size_t)(end - line)), ret_header).code;
}

/* A data directory that lost its mirror has become another replica, and its older segments are the former one's. */
static cc_err begin(struct verifying *v, uint64_t segment)
{
    WIPED32 struct secret32 key;
    struct audit_header own = {0};
    struct audit_header next = {0};
    const bool has_own = peek(v, segment, &own);
    CC_TRY(v->source->key(v->source->context, has_own ? own.replica : v->source->replica, segment,
                          key.bytes));
    audit_check_segment(v->check, segment, key.bytes);
    audit_check_expect(v->check, &v->source->anchor, "the state store");
    if (peek(v, segment + 1, &next)) {
        audit_check_expect(v->check, &next.previous, "the segment after it");
        audit_check_expect(v->check, &next.anchor, "the state store when the next one began");
    }
    return CC_OK;
}

static cc_err verify_segment(struct verifying *v, uint64_t segment)
{
    CC_CLEANUP(fd_closep) int fd = open_segment(v, segment);
    if (fd < 0)
        return errno == ENOENT ? audit_check_missing(v->check, segment)
                               : CC_FAIL(IO, "a segment of the audit log can't be opened");
    CC_TRY(begin(v, segment));
    CC_TRY(read_lines(v, fd));
    return audit_check_segment_end(v->check);
}

static cc_err verify(struct verifying *v, uint64_t first)
{
    uint64_t next = 0;
    const struct audit_settings settings = {
        .sink = AUDIT_FILE, .directory = v->source->directory, .anchor = v->source->anchor};
    CC_TRY(audit_next_segment(&settings, &next));
    first = u64_max(first, 1);
    v->segments = next > first ? next - first : 0;
    for (uint64_t segment = first; segment < next; segment++, v->done++)
        CC_TRY(verify_segment(v, segment));
    return CC_OK;
}

CC_ERR audit_verify(const struct audit_source *source, uint64_t first, struct audit_check *check)
{
    CC_CLEANUP(cc_freep) struct verifying *v = cc_alloc(sizeof *v);
    if (!v)
        return CC_FAIL(NO_MEMORY, NULL);
    v->source = source;
    v->check = check;
    return verify(v, first);
}
