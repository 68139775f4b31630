#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "core/manage.h"

enum {
    PROOF_MAX = 128,
    PROOF_AGE_S = 60
};

static bool is_his(const struct stat *file, const struct stat *directory, uint64_t now)
{
    const uint64_t made = file->st_mtim.tv_sec > 0 ? (uint64_t)file->st_mtim.tv_sec : 0;
    const uint64_t apart = made > now ? made - now : now - made;
    return S_ISREG(file->st_mode) && file->st_uid == directory->st_uid && file->st_nlink == 1 &&
           (file->st_mode & (S_IWGRP | S_IWOTH)) == 0 && apart <= PROOF_AGE_S;
}

static bool says(int fd, const char *text)
{
    char found[PROOF_MAX];
    const ssize_t n = read(fd, found, sizeof found);
    return n > 0 && span_is(span_of(found, (size_t)n), text);
}

CC_ERR manage_owner_shows(struct manage_call *call, const char *text)
{
    char path[PATH_MAX];
    struct stat directory, file;
    if (call->by_owner) /* what he wants is what he has signed */
        return CC_OK;
    const char *data_dir = call->settings->config->data_dir;
    const int n = snprintf(path, sizeof path, "%s/auth.proof", data_dir);
    if (n < 0 || n >= PATH_MAX)
        return CC_FAIL(LIMIT, "path too long");
    CC_CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &file) != 0 || stat(data_dir, &directory) != 0 ||
        !is_his(&file, &directory, call->now) || !says(fd, text))
        return manage_refuse(
            call, ERROR_NOT_OWNER, "",
            "the command `auth` has to show it, with -c and as the data directory's owner");
    return CC_OK;
}
