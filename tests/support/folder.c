#include "support/folder.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

void folder_make(struct folder *folder)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder->path, sizeof folder->path, "%s/cc-test-XXXXXX", base ? base : "/tmp");
    cc_assert(mkdtemp(folder->path));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void folder_remove(struct folder *folder)
{
    cc_assert(nftw(folder->path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

const char *folder_at(const struct folder *folder, const char *name)
{
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    cc_assert(snprintf(path, sizeof paths[0], "%s/%s", folder->path, name) < (int)sizeof paths[0]);
    return path;
}

void folder_write(
    const struct folder *folder, const char *name, const void *data, size_t len, mode_t mode)
{
    const char *path = folder_at(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cc_assert(fd >= 0);
    cc_assert(!fd_write_all(fd, data, len).code);
    cc_assert(fchmod(fd, mode) == 0);
    cc_assert(close(fd) == 0);
}

void folder_write_text(const struct folder *folder, const char *name, const char *text)
{
    folder_write(folder, name, text, strlen(text), 0600);
}

void folder_mkdir(const struct folder *folder, const char *name)
{
    cc_assert(mkdir(folder_at(folder, name), 0700) == 0);
}
