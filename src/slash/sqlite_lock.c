#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#include "slash/sqlite_history.h"

/* Not the database file: SQLite's own POSIX locks vanish when any descriptor of that file is closed. */
static int read_pid(int fd)
{
    char text[16];
    ssize_t n = pread(fd, text, sizeof text, 0);
    while (n > 0 && text[n - 1] == '\n')
        n--;
    uint64_t pid = 0;
    if (n <= 0 || u64_parse(span_of(text, (size_t)n), &pid).code || pid > INT_MAX)
        return 0;
    return (int)pid;
}

static cc_err write_pid(int fd)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
        return CC_FAIL(STORE, "can't write the lock file");
    return CC_OK;
}

/* Someone may have removed the file between our open and our lock: then we hold nothing. */
static bool still_there(int fd, const char *path)
{
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_dev == named.st_dev &&
           ours.st_ino == named.st_ino;
}

/* An administrator's command must not leave a lock file that the signer's own user can't open. */
static cc_err give_to_owner(int fd, const char *path)
{
    struct stat history;
    if (geteuid() != 0 || stat(path, &history) != 0)
        return CC_OK;
    return fchown(fd, history.st_uid, history.st_gid) == 0
               ? CC_OK
               : CC_FAIL(STORE, "chown of the lock file");
}

CC_ERR sqlite_lock_take(const char *path, int *ret_fd, int *ret_holder_pid)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof name, "%s.lock", path);
    if (n < 0 || (size_t)n >= sizeof name)
        return CC_FAIL(FILESYSTEM, "path too long");
    CC_CLEANUP(fd_closep)
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0)
        return CC_FAIL(STORE, "can't open the lock file");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return CC_FAIL(FILESYSTEM, "the file system has no flock");
        *ret_holder_pid = read_pid(fd);
        return CC_FAIL(LOCKED, "the history is open in another process");
    }
    if (!still_there(fd, name))
        return CC_FAIL(LOCKED, "the lock file was replaced");
    CC_TRY(give_to_owner(fd, path));
    CC_TRY(write_pid(fd));
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

#ifndef XFS_SUPER_MAGIC
#    define XFS_SUPER_MAGIC 0x58465342
#endif

/* By name what is known to keep data over a power cut; anything else, also unknown, is refused. */
CC_ERR sqlite_filesystem_check(const char *path)
{
    enum {
        BCACHEFS = 0xca451a4e - 0x100000000,
        JFS = 0x3153464a,
        ZFS = 0x2fc12fc1
    };
    struct statfs fs;
    if (statfs(path, &fs) != 0)
        return CC_FAIL(FILESYSTEM, "statfs");
    switch ((unsigned long)fs.f_type & 0xffffffffu) {
    case EXT4_SUPER_MAGIC: /* ext2 and ext3 too */
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case NILFS_SUPER_MAGIC:
    case REISERFS_SUPER_MAGIC:
    case JFS:
    case ZFS:
    case (unsigned long)BCACHEFS & 0xffffffffu:
        return CC_OK;
    default:
        return CC_FAIL(
            FILESYSTEM,
            "a history needs a local disk file system (ext4, xfs, btrfs, f2fs, zfs, ...)");
    }
}
