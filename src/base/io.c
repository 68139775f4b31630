#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_closep(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

CC_ERR fd_read_all(int fd, struct buf *ret_content)
{
    uint8_t chunk[4096];
    cc_err err = CC_OK;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = CC_FAIL(IO, "read");
        else if (n > 0)
            err = buf_append(ret_content, chunk, (size_t)n);
        if (n <= 0 || err.code)
            break;
    }
    explicit_bzero(chunk, sizeof chunk);
    return err;
}

CC_ERR file_read(const char *path, struct buf *ret_content)
{
    CC_CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return CC_FAIL(IO, "open");
    struct stat st;
    if (fstat(fd, &st) != 0)
        return CC_FAIL(IO, "fstat");
    if (!S_ISREG(st.st_mode))
        return CC_FAIL(IO, "not a regular file");
    return fd_read_all(fd, ret_content);
}

CC_ERR fd_write_all(int fd, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return CC_FAIL(IO, "write");
        at += n;
        len -= (size_t)n;
    }
    return CC_OK;
}

static cc_err sync_directory_of(const char *path)
{
    char copy[PATH_MAX];
    if (strlen(path) >= sizeof copy)
        return CC_FAIL(LIMIT, "path too long");
    memcpy(copy, path, strlen(path) + 1);
    CC_CLEANUP(fd_closep) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return CC_FAIL(IO, "fsync of a directory");
    return CC_OK;
}

static cc_err write_new(const char *path, struct span content)
{
    CC_CLEANUP(fd_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? CC_FAIL(EXISTS, "file") : CC_FAIL(IO, "create");
    CC_TRY(fd_write_all(fd, content.data, content.len));
    if (fsync(fd) != 0)
        return CC_FAIL(IO, "fsync");
    return CC_OK;
}

CC_ERR file_write_durable(const char *path, struct span content, bool must_be_new)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.%d.tmp", path, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary)
        return CC_FAIL(LIMIT, "path too long");
    (void)unlink(temporary);
    cc_err err = write_new(temporary, content);
    if (!err.code && must_be_new && link(temporary, path) != 0)
        err = errno == EEXIST ? CC_FAIL(EXISTS, "file") : CC_FAIL(IO, "link");
    if (!err.code && !must_be_new && rename(temporary, path) != 0)
        err = CC_FAIL(IO, "rename");
    if (err.code || must_be_new)
        (void)unlink(temporary);
    CC_TRY(err);
    return sync_directory_of(path);
}
