#include "core/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

enum {
    PATH_ROOM = 640,
    TAIL = 2 * AUDIT_LINE_MAX + 2 /* holds the last whole line, and one that was torn behind it */
};

CC_ERR audit_file_path(const char *directory, uint64_t segment, struct buf *out)
{
    CC_TRY(buf_printf(out, "%s/%08" PRIu64 ".jsonl", directory, segment));
    return buf_append(out, "", 1);
}

static int open_segment(const char *directory, uint64_t segment, int flags)
{
    CC_CLEANUP(buf_release) struct buf path = buf_init(PATH_ROOM);
    if (audit_file_path(directory, segment, &path).code) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open((const char *)path.data, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

bool audit_file_exists(const char *directory, uint64_t segment)
{
    CC_CLEANUP(buf_release) struct buf path = buf_init(PATH_ROOM);
    struct stat st;
    return !audit_file_path(directory, segment, &path).code &&
           lstat((const char *)path.data, &st) == 0;
}

static cc_err sync_directory(const char *directory)
{
    CC_CLEANUP(fd_closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? CC_OK : CC_FAIL(IO, "fsync of the audit log's directory");
}

CC_ERR audit_file_create(const char *directory, uint64_t segment, struct audit_file *ret_file)
{
    CC_CLEANUP(fd_closep) int fd = open_segment(directory, segment, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return errno == EEXIST ? CC_FAIL(EXISTS, "a segment of the audit log")
                               : CC_FAIL(IO, "a segment of the audit log can't be made");
    CC_TRY(sync_directory(directory));
    *ret_file = (struct audit_file){.fd = fd};
    fd = -1;
    return CC_OK;
}

void audit_file_remove(const char *directory, uint64_t segment)
{
    CC_CLEANUP(buf_release) struct buf path = buf_init(PATH_ROOM);
    if (!audit_file_path(directory, segment, &path).code)
        (void)unlink((const char *)path.data);
}

void audit_file_stdout(struct audit_file *ret_file)
{
    *ret_file = (struct audit_file){.fd = STDOUT_FILENO, .stream = true};
}

/* At its place, so that a failed write is written over by the next. */
static cc_err write_at(const struct audit_file *file, const char *text, size_t len)
{
    uint64_t at = file->length;
    while (len) {
        ssize_t n = pwrite(file->fd, text, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return CC_FAIL(IO, "writing the audit log");
        text += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return CC_OK;
}

static cc_err write_stream(struct audit_file *file, const char *text, size_t len)
{
    if (file->torn)
        CC_TRY(fd_write_all(file->fd, "\n", 1));
    file->torn = true;
    CC_TRY(fd_write_all(file->fd, text, len));
    file->torn = false;
    return CC_OK;
}

CC_ERR audit_file_write(struct audit_file *file, const char *text, size_t len)
{
    CC_TRY(file->stream ? write_stream(file, text, len) : write_at(file, text, len));
    file->length += len;
    return CC_OK;
}

CC_ERR audit_file_sync(const struct audit_file *file)
{
    if (file->stream || fdatasync(file->fd) == 0)
        return CC_OK;
    return CC_FAIL(IO, "fdatasync of the audit log");
}

void audit_file_close(struct audit_file *file)
{
    if (!file->stream)
        fd_closep(&file->fd);
    file->fd = -1;
}

/* The line that ends with the newline at `end`. */
static struct span line_before(const uint8_t *bytes, size_t end)
{
    size_t from = end;
    while (from && bytes[from - 1] != '\n')
        from--;
    return span_of(bytes + from, end - from);
}

void audit_file_tail(const char *directory, uint64_t segment, struct audit_position *ret_position)
{
    uint8_t bytes[TAIL];
    struct stat st;
    struct audit_parts parts;
    *ret_position = (struct audit_position){0};
    CC_CLEANUP(fd_closep) int fd = open_segment(directory, segment, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    const off_t from = st.st_size > TAIL ? st.st_size - TAIL : 0;
    ssize_t n = pread(fd, bytes, sizeof bytes, from);
    while (n > 0 && bytes[n - 1] != '\n')
        n--;
    if (n <= 0 || audit_line_read(line_before(bytes, (size_t)n - 1), &parts).code)
        return;
    *ret_position = (struct audit_position){.segment = parts.segment, .lines = parts.line};
    memcpy(ret_position->mac, parts.mac, sizeof parts.mac);
}
