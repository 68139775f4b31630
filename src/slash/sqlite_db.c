#include "slash/sqlite_db.h"

#include <string.h>

enum {
    OPEN_WAIT_MS = 2000
};

#define SIGN_BIT ((uint64_t)1 << 63)

#ifdef CC_TESTING
static const char *synchronous = "2";
void sqlite_db_testing_synchronous(const char *value)
{
    synchronous = value ? value : "2";
}
#else
static const char *const synchronous = "2";
#endif

/* A binding that failed leaves NULL behind; NOT NULL and CHECK constraints refuse it, except where NULL has a
 * meaning. So the failure is remembered per thread and reported by the step.
 */
static _Thread_local int bind_failure;

static const char *const sqls[] = {
#define S(name, sql) sql,
#include "slash/sqlite_statement.def"
#undef S
};

cc_err sqlite_db_error(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return CC_FAIL(NO_MEMORY, "sqlite");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return CC_FAIL(TAMPERED, "the history is corrupt or not a database");
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return CC_FAIL(TAMPERED, "a stored record contradicts what is known");
    case SQLITE_FULL:
        return CC_FAIL(STORE, "disk full");
    case SQLITE_IOERR:
        return CC_FAIL(STORE, "disk input/output error");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return CC_FAIL(STORE, "another process uses the history");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return CC_FAIL(STORE, "the history can't be written");
    case SQLITE_CANTOPEN:
        return CC_FAIL(STORE, "the history can't be opened");
    default:
        return CC_FAIL(STORE, "sqlite");
    }
}

/* --- connecting --------------------------------------------------------------------------------- */

/* Sets a pragma and reads it back: SQLite ignores what it doesn't know or can't do. */
static cc_err
set_pragma(struct sqlite_db *db, const char *name, const char *value, const char *expected)
{
    char sql[96];
    (void)sqlite3_snprintf(sizeof sql, sql, "PRAGMA %s = %s", name, value);
    CC_TRY(sqlite_db_exec(db, sql));
    (void)sqlite3_snprintf(sizeof sql, sql, "PRAGMA %s", name);
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &s, NULL);
    bool right = false;
    if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(s, 0);
        right = text && strcmp((const char *)text, expected) == 0;
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(s);
    if (rc != SQLITE_OK)
        return sqlite_db_error(rc);
    return right ? CC_OK : CC_FAIL(STORE, "sqlite refused a durability setting");
}

static int count_wal_pages(void *context, sqlite3 *handle, const char *name, int pages)
{
    struct sqlite_db *db = context;
    (void)handle;
    (void)name;
    db->wal_pages = pages;
    return SQLITE_OK;
}

static cc_err configure(struct sqlite_db *db)
{
    static const struct {
        const char *name, *value, *expected;
    } pragmas[] = {
        {"locking_mode", "EXCLUSIVE", "exclusive"},
        {"journal_mode", "WAL", "wal"},
        {"fullfsync", "1", "1"},
        {"checkpoint_fullfsync", "1", "1"},
        {"trusted_schema", "0", "0"},
        {"cell_size_check", "1", "1"},
        {"mmap_size", "0", "0"},
        {"temp_store", "2", "2"},
        {"cache_size", "-8192", "-8192"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pragmas); i++)
        CC_TRY(set_pragma(db, pragmas[i].name, pragmas[i].value, pragmas[i].expected));
    CC_TRY(set_pragma(db, "synchronous", synchronous, synchronous));
    /* Ours instead of the automatic checkpoint, which would stall whatever commit it falls on. */
    (void)sqlite3_wal_hook(db->handle, count_wal_pages, db);
    return CC_OK;
}

CC_ERR sqlite_db_connect(struct sqlite_db *db, const char *path)
{
    *db = (struct sqlite_db){0};
    int rc =
        sqlite3_open_v2(path, &db->handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                            SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
                        NULL);
    cc_err err = rc == SQLITE_OK ? CC_OK : sqlite_db_error(rc);
    if (!err.code) {
        (void)sqlite3_busy_timeout(db->handle, OPEN_WAIT_MS);
        (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        err = configure(db);
    }
    if (err.code)
        sqlite_db_close(db);
    return err;
}

void sqlite_db_close(struct sqlite_db *db)
{
    for (size_t i = 0; i < STATEMENT_END; i++)
        (void)sqlite3_finalize(db->statements[i]);
    (void)sqlite3_close(db->handle);
    *db = (struct sqlite_db){0};
}

CC_ERR sqlite_db_exec(struct sqlite_db *db, const char *sql)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? CC_OK : sqlite_db_error(rc);
}

CC_ERR sqlite_db_checkpoint(struct sqlite_db *db, bool truncate)
{
    int pages = 0, copied = 0;
    int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, &pages, &copied);
    if (rc != SQLITE_OK)
        return sqlite_db_error(rc);
    if (pages != copied)
        return CC_FAIL(STORE, "checkpoint incomplete");
    db->wal_pages = 0;
    return CC_OK;
}

/* --- statements --------------------------------------------------------------------------------- */

CC_ERR sqlite_db_statement(struct sqlite_db *db, enum sqlite_statement which, sqlite3_stmt **ret)
{
    bind_failure = SQLITE_OK;
    sqlite3_stmt **s = &db->statements[which];
    if (*s) {
        (void)sqlite3_reset(*s);
        (void)sqlite3_clear_bindings(*s);
    } else {
        int rc =
            sqlite3_prepare_v3(db->handle, sqls[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL);
        if (rc != SQLITE_OK)
            return sqlite_db_error(rc);
    }
    *ret = *s;
    return CC_OK;
}

CC_ERR sqlite_db_row(sqlite3_stmt *statement, bool *ret_row)
{
    if (bind_failure != SQLITE_OK)
        return sqlite_db_error(bind_failure);
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        (void)sqlite3_reset(statement);
        return sqlite_db_error(rc);
    }
    *ret_row = rc == SQLITE_ROW;
    /* A statement left in the middle would keep a read transaction open. */
    if (rc == SQLITE_DONE)
        (void)sqlite3_reset(statement);
    return CC_OK;
}

CC_ERR sqlite_db_run(sqlite3_stmt *statement)
{
    bool row = false;
    CC_TRY(sqlite_db_row(statement, &row));
    return row ? CC_FAIL(STORE, "unexpected row") : CC_OK;
}

CC_ERR sqlite_db_begin(struct sqlite_db *db)
{
    sqlite3_stmt *s;
    CC_TRY(sqlite_db_statement(db, STATEMENT_BEGIN, &s));
    return sqlite_db_run(s);
}

CC_ERR sqlite_db_end(struct sqlite_db *db, cc_err err)
{
    sqlite3_stmt *s;
    if (!err.code) {
        err = sqlite_db_statement(db, STATEMENT_COMMIT, &s);
        if (!err.code)
            err = sqlite_db_run(s);
    }
    /* A failed statement may have rolled back by itself; whoever sees the error reconnects anyway. */
    if (err.code && sqlite3_get_autocommit(db->handle) == 0)
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* --- values --------------------------------------------------------------------------------------- */

static void remember(int rc)
{
    if (rc != SQLITE_OK)
        bind_failure = rc;
}

void sqlite_bind_row(sqlite3_stmt *s, int at, int64_t row)
{
    remember(sqlite3_bind_int64(s, at, row));
}

void sqlite_bind_u64(sqlite3_stmt *s, int at, uint64_t value)
{
    remember(sqlite3_bind_int64(s, at, (sqlite3_int64)(value ^ SIGN_BIT)));
}

void sqlite_bind_bytes(sqlite3_stmt *s, int at, const void *bytes, size_t len)
{
    remember(sqlite3_bind_blob(s, at, bytes, (int)len, SQLITE_STATIC));
}

void sqlite_bind_root(sqlite3_stmt *s, int at, bool has_root, const struct signing_root *root)
{
    if (has_root)
        sqlite_bind_bytes(s, at, root->bytes, sizeof root->bytes);
    else
        remember(sqlite3_bind_null(s, at));
}

bool sqlite_column_null(sqlite3_stmt *s, int at)
{
    return sqlite3_column_type(s, at) == SQLITE_NULL;
}

CC_ERR sqlite_column_u64(sqlite3_stmt *s, int at, uint64_t *ret_value)
{
    if (sqlite3_column_type(s, at) != SQLITE_INTEGER)
        return CC_FAIL(TAMPERED, "a number is not one");
    *ret_value = (uint64_t)sqlite3_column_int64(s, at) ^ SIGN_BIT;
    return CC_OK;
}

CC_ERR sqlite_column_bytes(sqlite3_stmt *s, int at, void *ret_bytes, size_t len)
{
    if (sqlite3_column_type(s, at) != SQLITE_BLOB || (size_t)sqlite3_column_bytes(s, at) != len)
        return CC_FAIL(TAMPERED, "a stored value has the wrong size");
    const void *bytes = sqlite3_column_blob(s, at);
    if (!bytes)
        return CC_FAIL(NO_MEMORY, "sqlite");
    memcpy(ret_bytes, bytes, len);
    return CC_OK;
}

CC_ERR
sqlite_column_root(sqlite3_stmt *s, int at, bool *ret_has_root, struct signing_root *ret_root)
{
    *ret_root = (struct signing_root){0};
    *ret_has_root = !sqlite_column_null(s, at);
    return *ret_has_root ? sqlite_column_bytes(s, at, ret_root->bytes, sizeof ret_root->bytes)
                         : CC_OK;
}
