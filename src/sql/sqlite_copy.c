#include "sql/sqlite_copy.h"

#include "sql/sqlite_file.h"

enum {
    PATIENCE_MS = 5000 /* a commit of the signer takes far less */
};

static void close_p(sqlite3 **db)
{
    sqlite_file_close(*db);
}

static cc_err open_source(const char *path, sqlite3 **ret_db)
{
    const int flags =
        SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    CC_TRY(sqlite_file_error(sqlite3_open_v2(path, ret_db, flags, NULL)));
    return sqlite_file_error(sqlite3_busy_timeout(*ret_db, PATIENCE_MS));
}

/* All pages in one step, which is one transaction of the source. */
static cc_err copy_pages(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return sqlite_file_error(sqlite3_errcode(to));
    int rc = sqlite3_backup_step(backup, -1);
    int finish = sqlite3_backup_finish(backup);
    if (rc != SQLITE_DONE)
        return rc == SQLITE_OK ? CC_FAIL(IO, "sqlite") : sqlite_file_error(rc);
    return sqlite_file_error(finish);
}

CC_ERR sqlite_copy(const char *path, struct buf *ret_bytes)
{
    CC_CLEANUP(close_p) sqlite3 *from = NULL;
    CC_CLEANUP(close_p) sqlite3 *to = NULL;
    sqlite3_int64 size = 0;
    CC_TRY(open_source(path, &from));
    CC_TRY(sqlite_file_error(sqlite3_open(":memory:", &to)));
    CC_TRY(copy_pages(from, to));
    unsigned char *bytes = sqlite3_serialize(to, "main", &size, 0);
    if (!bytes)
        return CC_FAIL(NO_MEMORY, "sqlite");
    cc_err err = buf_append(ret_bytes, bytes, (size_t)size);
    sqlite3_free(bytes);
    return err;
}
