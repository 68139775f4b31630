#include "state/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

CC_ERR state_lock(const char *path, int *ret_fd)
{
    char lock_path[PATH_MAX];
    int n = snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    if (n < 0 || (size_t)n >= sizeof lock_path)
        return CC_FAIL(LIMIT, "path too long");
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return CC_FAIL(IO, "lock file of a store");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int why = errno;
        (void)close(fd);
        return why == EWOULDBLOCK ? CC_FAIL(LOCKED, "the store is in use by another process")
                                  : CC_FAIL(IO, "lock of a store");
    }
    *ret_fd = fd;
    return CC_OK;
}
