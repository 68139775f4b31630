#include "cli/auth_proof.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

static cc_err path_of(const char *data_dir, char ret_path[static PATH_MAX])
{
    const int n = snprintf(ret_path, PATH_MAX, "%s/auth.proof", data_dir);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

/* The room that looks at it may have an uid of its own: the directory's group is its. */
CC_ERR auth_proof_write(const char *data_dir, const char *text)
{
    char path[PATH_MAX];
    struct stat directory;
    CC_TRY(path_of(data_dir, path));
    if (stat(data_dir, &directory) != 0)
        return CC_FAIL(
            IO,
            "the data directory is not there, or may not be looked at; -c names the configuration that has it");
    (void)unlink(path); /* of one that was cut off */
    CC_CLEANUP(fd_closep)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return CC_FAIL(PERMISSIONS, "only the owner of the data directory may do this");
    if (fchown(fd, directory.st_uid, directory.st_gid) != 0 || fchmod(fd, 0640) != 0)
        return CC_FAIL(PERMISSIONS, "only the owner of the data directory may do this");
    return fd_write_all(fd, text, strlen(text));
}

void auth_proof_remove(const char *data_dir)
{
    char path[PATH_MAX];
    if (!path_of(data_dir, path).code)
        (void)unlink(path);
}
