#include "sql/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    BUSY_MS = 300 /* a reader's moment, such as a backup's copy: no reason for a commit to fail */
};

static const char settings[] = "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;"
                               "PRAGMA journal_mode = DELETE;"
                               "PRAGMA synchronous = EXTRA;";

/* A file that is no database, or a damaged one, is tampering; everything else may be the machine's fault. */
cc_err sqlite_file_error(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return CC_OK;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:
        return CC_FAIL(TAMPERED, "not a database of this program");
    case SQLITE_NOMEM:
        return CC_FAIL(NO_MEMORY, "sqlite");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return CC_FAIL(LOCKED, "another process uses the database");
    }
    return CC_FAIL(IO, "sqlite");
}

CC_ERR sqlite_file_execute(sqlite3 *db, const char *sql)
{
    return sqlite_file_error(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

CC_ERR sqlite_file_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement)
{
    return sqlite_file_error(sqlite3_prepare_v2(db, sql, -1, ret_statement, NULL));
}

void sqlite_file_statement_freep(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement);
}

CC_ERR sqlite_file_make(const char *path)
{
    /* An empty file is an empty database; made here so that it never had another mode. */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == EEXIST ? CC_FAIL(EXISTS, "there is a file already")
                               : CC_FAIL(IO, "a database can't be made here");
    (void)close(fd);
    return CC_OK;
}

CC_ERR sqlite_file_open(const char *path, sqlite3 **ret_db)
{
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    sqlite3 *db = NULL;
    cc_err err = sqlite_file_error(sqlite3_open_v2(path, &db, flags, NULL));
    if (!err.code) {
        (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20);
        err = sqlite_file_error(sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL));
    }
    if (!err.code)
        err = sqlite_file_error(sqlite3_busy_timeout(db, BUSY_MS));
    if (!err.code)
        err = sqlite_file_execute(db, settings);
    if (err.code) {
        sqlite_file_close(db);
        return err;
    }
    *ret_db = db;
    return CC_OK;
}

void sqlite_file_close(sqlite3 *db)
{
    (void)sqlite3_close(db);
}

CC_ERR sqlite_file_check(sqlite3 *db, int application_id, int version)
{
    sqlite3_stmt *row CC_CLEANUP(sqlite_file_statement_freep) = NULL;
    CC_TRY(sqlite_file_prepare(
        db, "SELECT (SELECT * FROM pragma_application_id), (SELECT * FROM pragma_user_version)",
        &row));
    int rc = sqlite3_step(row);
    CC_TRY(sqlite_file_error(rc));
    if (rc != SQLITE_ROW || sqlite3_column_int(row, 0) != application_id)
        return CC_FAIL(TAMPERED, "a database of another format");
    if (sqlite3_column_int(row, 1) > version)
        return CC_FAIL(IDENTITY, "a later release has written it: start that one");
    if (sqlite3_column_int(row, 1) != version)
        return CC_FAIL(TAMPERED, "a database of another format");
    return CC_OK;
}
