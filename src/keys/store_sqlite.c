/* A key store in one SQLite file. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/io.h"

#include "keys/store.h"
#include "slash/sqlite_history.h"
#include "sql/sqlite_file.h"
#include "state/lock.h"

enum {
    APPLICATION_ID = 0x63636b73, /* "ccks" */
    VERSION = 1
};

struct sqlite_keys {
    struct key_store base;
    char *path;
    sqlite3 *db;
    int lock_fd;
    dev_t device; /* of the file that is open, whatever its name stands for by now */
    ino_t inode;
};

static const struct key_store_ops sqlite_ops;

static struct sqlite_keys *of(struct key_store *store)
{
    cc_assert(store->ops == &sqlite_ops);
    return (struct sqlite_keys *)store;
}

/* docs/formats.md explains it. Made whole, or not at all. */
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "PRAGMA application_id = 0x63636b73;"
    "PRAGMA user_version = 1;"
    "CREATE TABLE keys (pubkey BLOB PRIMARY KEY CHECK (length(pubkey) = 48),"
    " status INTEGER NOT NULL CHECK (status IN (1, 2, 3)),"
    " version INTEGER NOT NULL CHECK (version > 0),"
    " generation INTEGER NOT NULL,"
    " nonce BLOB CHECK (length(nonce) = 12),"
    " ciphertext BLOB CHECK (length(ciphertext) = 48),"
    " CHECK ((nonce IS NULL) = (status = 3) AND (ciphertext IS NULL) = (status = 3))"
    ") STRICT, WITHOUT ROWID;"
    "COMMIT;";

enum {
    NONCE_SIZE = 12,
    CIPHERTEXT_SIZE = SEALED_KEY_SIZE - NONCE_SIZE
};

/* What a user of the store should know: bytes that can't be trusted, or a disk that can't be used now. */
static cc_err told(cc_err err)
{
    return error_is(err, ERROR_IO) || error_is(err, ERROR_LOCKED)
               ? error_make(ERROR_KEY_STORE, error_detail(), __FILE__, __LINE__)
               : err;
}

/* --- reading --------------------------------------------------------------------------------------------- */

static cc_err copy_bytes(sqlite3_stmt *row, int column, uint8_t *ret_bytes, size_t len)
{
    const void *bytes = sqlite3_column_blob(row, column);
    if (!bytes || (size_t)sqlite3_column_bytes(row, column) != len)
        return CC_FAIL(TAMPERED, "a row of the key store");
    memcpy(ret_bytes, bytes, len);
    return CC_OK;
}

static cc_err copy_number(sqlite3_stmt *row, int column, uint64_t max, uint64_t *ret_number)
{
    const sqlite3_int64 number = sqlite3_column_int64(row, column);
    if (number < 1 || (uint64_t)number > max)
        return CC_FAIL(TAMPERED, "a row of the key store");
    *ret_number = (uint64_t)number;
    return CC_OK;
}

/* A column may hold anything where the file was written by another hand. */
static cc_err read_row(sqlite3_stmt *row, struct sealed_row *ret_row)
{
    uint64_t status = 0;
    uint64_t generation = 0;
    *ret_row = (struct sealed_row){0};
    CC_TRY(copy_bytes(row, 0, ret_row->pubkey.bytes, sizeof ret_row->pubkey.bytes));
    CC_TRY(copy_number(row, 1, ROW_DELETED, &status));
    CC_TRY(copy_number(row, 2, INT64_MAX, &ret_row->version));
    CC_TRY(copy_number(row, 3, UINT32_MAX, &generation));
    ret_row->status = (uint32_t)status;
    ret_row->generation = (uint32_t)generation;
    if (status == ROW_DELETED)
        return CC_OK;
    CC_TRY(copy_bytes(row, 4, ret_row->sealed, NONCE_SIZE));
    return copy_bytes(row, 5, ret_row->sealed + NONCE_SIZE, CIPHERTEXT_SIZE);
}

/* The walk's own order is checked: an index that was tampered with may give rows twice, or in another order. */
static cc_err scan(struct sqlite_keys *s, key_store_visit_fn *visit, void *context)
{
    sqlite3_stmt *row CC_CLEANUP(sqlite_file_statement_freep) = NULL;
    struct sealed_row read, before;
    size_t count = 0;
    int rc;
    CC_TRY(sqlite_file_prepare(
        s->db,
        "SELECT pubkey, status, version, generation, nonce, ciphertext FROM keys ORDER BY pubkey",
        &row));
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        CC_TRY(read_row(row, &read));
        if (count && key_store_order(&before.pubkey, &read.pubkey) >= 0)
            return CC_FAIL(TAMPERED, "order of the key store");
        if (++count > KEY_STORE_ROWS_MAX)
            return CC_FAIL(LIMIT, "more rows than a key store may have");
        before = read;
        CC_TRY(visit(context, &read));
    }
    return sqlite_file_error(rc);
}

static cc_err sqlite_scan(struct key_store *store, key_store_visit_fn *visit, void *context)
{
    return told(scan(of(store), visit, context));
}

/* --- writing ---------------------------------------------------------------------------------------------- */

/* What is committed to a file that was moved or replaced is gone after the next start. */
static cc_err check_in_place(const struct sqlite_keys *s)
{
    struct stat st;
    if (stat(s->path, &st) != 0 || st.st_dev != s->device || st.st_ino != s->inode)
        return CC_FAIL(KEY_STORE, "the file in use was moved or replaced");
    return CC_OK;
}

static cc_err bind_row(sqlite3_stmt *row, const struct key_change *change)
{
    const struct sealed_row *next = &change->next;
    CC_TRY(sqlite_file_error(
        sqlite3_bind_blob(row, 1, next->pubkey.bytes, sizeof next->pubkey.bytes, SQLITE_STATIC)));
    CC_TRY(sqlite_file_error(sqlite3_bind_int64(row, 2, next->status)));
    CC_TRY(sqlite_file_error(sqlite3_bind_int64(row, 3, (sqlite3_int64)next->version)));
    CC_TRY(sqlite_file_error(sqlite3_bind_int64(row, 4, next->generation)));
    if (next->status != ROW_DELETED) { /* else NULL: nothing is bound */
        CC_TRY(
            sqlite_file_error(sqlite3_bind_blob(row, 5, next->sealed, NONCE_SIZE, SQLITE_STATIC)));
        CC_TRY(sqlite_file_error(
            sqlite3_bind_blob(row, 6, next->sealed + NONCE_SIZE, CIPHERTEXT_SIZE, SQLITE_STATIC)));
    }
    if (!change->expected)
        return CC_OK;
    return sqlite_file_error(sqlite3_bind_int64(row, 7, (sqlite3_int64)change->expected));
}

static cc_err write_one(struct sqlite_keys *s, const struct key_change *change)
{
    static const char add[] =
        "INSERT INTO keys (pubkey, status, version, generation, nonce, ciphertext)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (pubkey) DO NOTHING";
    static const char replace[] =
        "UPDATE keys SET status = ?2, version = ?3, generation = ?4, nonce = ?5, ciphertext = ?6"
        " WHERE pubkey = ?1 AND version = ?7";
    sqlite3_stmt *row CC_CLEANUP(sqlite_file_statement_freep) = NULL;
    CC_TRY(sqlite_file_prepare(s->db, change->expected ? replace : add, &row));
    CC_TRY(bind_row(row, change));
    CC_TRY(sqlite_file_error(sqlite3_step(row)));
    return sqlite3_changes(s->db) == 1 ? CC_OK
                                       : CC_FAIL(CONFLICT, "a key's row has another version");
}

static cc_err write_all(struct sqlite_keys *s, const struct key_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CC_TRY(write_one(s, &changes[i]));
    CC_TRY(check_in_place(s));
    return sqlite_file_execute(s->db, "COMMIT");
}

static cc_err sqlite_write(struct key_store *store, const struct key_change *changes, size_t n)
{
    struct sqlite_keys *s = of(store);
    CC_TRY(told(sqlite_file_execute(s->db, "BEGIN IMMEDIATE")));
    cc_err err = write_all(s, changes, n);
    if (err.code && !sqlite3_get_autocommit(s->db))
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return told(err);
}

/* --- opening ----------------------------------------------------------------------------------------------- */

static void sqlite_close(struct key_store *store)
{
    struct sqlite_keys *s = of(store);
    sqlite_file_close(s->db);
    fd_closep(&s->lock_fd);
    cc_free(s->path);
    cc_free(s);
}

static const struct key_store_ops sqlite_ops = {
    .name = "sqlite",
    .scan = sqlite_scan,
    .write = sqlite_write,
    .close = sqlite_close,
};

static cc_err look(struct sqlite_keys *s)
{
    struct stat st;
    if (stat(s->path, &st) != 0)
        return errno == ENOENT ? CC_FAIL(TAMPERED, "the key store is missing")
                               : CC_FAIL(IO, "key store");
    s->device = st.st_dev;
    s->inode = st.st_ino;
    return CC_OK;
}

static cc_err begin(struct sqlite_keys *s, const char *path, bool production)
{
    const size_t len = strlen(path) + 1;
    s->path = cc_alloc(len);
    if (!s->path)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(s->path, path, len);
    CC_TRY(look(s));
    if (production)
        CC_TRY(sqlite_filesystem_check(path));
    CC_TRY(state_lock(path, &s->lock_fd));
    return sqlite_file_open(path, &s->db);
}

static cc_err open_store(const char *path, bool production, struct key_store **ret_store)
{
    struct sqlite_keys *s = cc_alloc(sizeof *s);
    if (!s)
        return CC_FAIL(NO_MEMORY, NULL);
    s->base.ops = &sqlite_ops;
    s->lock_fd = -1;
    cc_err err = begin(s, path, production);
    if (err.code) {
        sqlite_close(&s->base);
        return err;
    }
    *ret_store = &s->base;
    return CC_OK;
}

CC_ERR key_store_sqlite_open(const char *path, bool production, struct key_store **ret_store)
{
    CC_TRY(open_store(path, production, ret_store));
    cc_err err = sqlite_file_check(of(*ret_store)->db, APPLICATION_ID, VERSION);
    if (err.code) {
        key_store_close(*ret_store);
        *ret_store = NULL;
    }
    return err;
}

/* A file without a byte is what a crash has left of an earlier try. */
static cc_err make_file(const char *path)
{
    struct stat st;
    cc_err err = sqlite_file_make(path);
    if (error_is(err, ERROR_EXISTS) && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_size == 0)
        return CC_OK;
    return err;
}

CC_ERR key_store_sqlite_create(const char *path, bool production)
{
    struct key_store *store = NULL;
    CC_TRY(make_file(path));
    CC_TRY(open_store(path, production, &store));
    cc_err err = sqlite_file_execute(of(store)->db, schema);
    key_store_close(store);
    return err;
}
