#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "slash/sqlite_history.h"

/* By path only: a descriptor of the database file would take SQLite's locks with it when closed (T10). */
static cc_err look(const char *path, struct sqlite_file *ret_file)
{
    struct stat st;
    *ret_file = (struct sqlite_file){0};
    if (stat(path, &st) == 0)
        *ret_file = (struct sqlite_file){true, st.st_dev, st.st_ino};
    else if (errno != ENOENT)
        return CC_FAIL(STORE, "a file of the history can't be found");
    return CC_OK;
}

static cc_err look_at_log(const struct sqlite_history *h, struct sqlite_file *ret_file)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s-wal", h->path);
    if (n < 0 || (size_t)n >= sizeof path)
        return CC_FAIL(FILESYSTEM, "path too long");
    return look(path, ret_file);
}

static bool same(const struct sqlite_file *a, const struct sqlite_file *b)
{
    return a->exists && b->exists && a->device == b->device && a->inode == b->inode;
}

CC_ERR sqlite_files_remember(struct sqlite_history *h)
{
    CC_TRY(look(h->path, &h->database));
    CC_TRY(look_at_log(h, &h->log));
    return h->database.exists && h->log.exists
               ? CC_OK
               : CC_FAIL(STORE, "a file of the history is not there");
}

CC_ERR sqlite_files_database_in_place(const struct sqlite_history *h)
{
    struct sqlite_file now;
    CC_TRY(look(h->path, &now));
    return same(&now, &h->database)
               ? CC_OK
               : CC_FAIL(
                     STORE,
                     "the history in use was moved or replaced: put it back, or stop the server");
}

/* After a truncation SQLite writes on behind a hole, and the next start reads none of it. */
CC_ERR sqlite_files_log_whole(const struct sqlite_history *h)
{
    enum {
        FRAME_MIN = 4096
    };
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s-wal", h->path);
    if (n < 0 || (size_t)n >= sizeof path)
        return CC_FAIL(FILESYSTEM, "path too long");
    if (stat(path, &st) != 0 || st.st_dev != h->log.device || st.st_ino != h->log.inode)
        return CC_OK; /* the file in use is another one, and may be whole */
    return st.st_size >= (off_t)h->db.wal_pages * FRAME_MIN
               ? CC_OK
               : CC_FAIL(STORE, "the write-ahead log of the history in use was cut: restore the "
                                "history, or import an export of it, before the next start");
}

CC_ERR sqlite_files_log_in_place(const struct sqlite_history *h, bool *ret_lost)
{
    struct sqlite_file now;
    CC_TRY(look_at_log(h, &now));
    *ret_lost = h->log.exists && !now.exists;
    return !h->log.exists || !now.exists || same(&now, &h->log)
               ? CC_OK
               : CC_FAIL(
                     STORE,
                     "another file lies in the place of the write-ahead log in use: remove that one");
}

CC_ERR sqlite_files_in_place(const struct sqlite_history *h)
{
    bool lost = false;
    CC_TRY(sqlite_files_database_in_place(h));
    CC_TRY(sqlite_files_log_in_place(h, &lost));
    return lost ? CC_FAIL(STORE, "the write-ahead log in use was removed") : CC_OK;
}
