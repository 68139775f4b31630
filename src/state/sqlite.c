/* The state store in one SQLite file beside the chamber. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/io.h"

#include "sql/sqlite_file.h"
#include "state/lock.h"
#include "state/store.h"

enum {
    APPLICATION_ID = 0x63637374, /* "ccst" */
    VERSION = 1
};

struct sqlite_store {
    struct state_store base;
    sqlite3 *db;
    int lock_fd;
};

static const struct state_store_ops sqlite_ops;

static struct sqlite_store *of(struct state_store *store)
{
    cc_assert(store->ops == &sqlite_ops);
    return (struct sqlite_store *)store;
}

static const char schema[] =
    "PRAGMA application_id = 0x63637374;" /* "ccst" */
    "PRAGMA user_version = 1;"
    "CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL,"
    " bytes BLOB NOT NULL, signature BLOB NOT NULL) STRICT;"
    "CREATE TABLE records (kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (kind, name)) STRICT, WITHOUT ROWID;";

static cc_err execute(struct sqlite_store *s, const char *sql)
{
    return sqlite_file_execute(s->db, sql);
}

static cc_err prepare(struct sqlite_store *s, const char *sql, sqlite3_stmt **ret_statement)
{
    return sqlite_file_prepare(s->db, sql, ret_statement);
}

/* --- reading --------------------------------------------------------------------------------------------- */

static cc_err copy_text(sqlite3_stmt *row, int column, char *ret_text, size_t size)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    size_t len = (size_t)sqlite3_column_bytes(row, column);
    if (!text || len == 0 || len >= size || memchr(text, 0, len))
        return CC_FAIL(TAMPERED, "name of a state record");
    memcpy(ret_text, text, len);
    ret_text[len] = 0;
    return CC_OK;
}

static cc_err copy_count(sqlite3_stmt *row, int column, uint64_t *ret_value)
{
    sqlite3_int64 value = sqlite3_column_int64(row, column);
    if (value < 1)
        return CC_FAIL(TAMPERED, "version of a state record");
    *ret_value = (uint64_t)value;
    return CC_OK;
}

static cc_err read_record(sqlite3_stmt *row, struct state_record *record)
{
    CC_TRY(copy_text(row, 0, record->kind, sizeof record->kind));
    CC_TRY(copy_text(row, 1, record->name, sizeof record->name));
    CC_TRY(copy_count(row, 2, &record->version));
    CC_TRY(copy_count(row, 3, &record->generation));
    const void *bytes = sqlite3_column_blob(row, 4);
    size_t len = (size_t)sqlite3_column_bytes(row, 4);
    if (len > STATE_RECORD_MAX)
        return CC_FAIL(TAMPERED, "a state record is too large");
    record->bytes = cc_alloc(len ? len : 1);
    if (!record->bytes)
        return CC_FAIL(NO_MEMORY, NULL);
    if (len)
        memcpy(record->bytes, bytes, len);
    record->len = len;
    return CC_OK;
}

static cc_err read_records(struct sqlite_store *s, struct state_image *image)
{
    sqlite3_stmt *row CC_CLEANUP(sqlite_file_statement_freep) = NULL;
    CC_TRY(prepare(s,
                   "SELECT kind, name, version, generation, bytes FROM records"
                   " ORDER BY kind COLLATE BINARY, name COLLATE BINARY",
                   &row));
    image->records = cc_alloc_array(STATE_RECORDS_MAX, sizeof *image->records);
    if (!image->records)
        return CC_FAIL(NO_MEMORY, NULL);
    int rc;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        if (image->count >= STATE_RECORDS_MAX)
            return CC_FAIL(TAMPERED, "too many state records");
        CC_TRY(read_record(row, &image->records[image->count++]));
    }
    return sqlite_file_error(rc);
}

static cc_err read_head(struct sqlite_store *s, struct state_image *image)
{
    sqlite3_stmt *row CC_CLEANUP(sqlite_file_statement_freep) = NULL;
    image->head = buf_init(STATE_HEAD_MAX);
    CC_TRY(prepare(s, "SELECT generation, bytes, signature FROM head", &row));
    int rc = sqlite3_step(row);
    if (rc == SQLITE_DONE)
        return CC_OK;
    CC_TRY(sqlite_file_error(rc));
    CC_TRY(copy_count(row, 0, &image->generation));
    const void *head = sqlite3_column_blob(row, 1);
    size_t len = (size_t)sqlite3_column_bytes(row, 1);
    const void *signature = sqlite3_column_blob(row, 2);
    if (!head || !signature || sqlite3_column_bytes(row, 2) != sizeof image->signature ||
        len > STATE_HEAD_MAX)
        return CC_FAIL(TAMPERED, "head of the state store");
    memcpy(image->signature, signature, sizeof image->signature);
    return buf_append(&image->head, head, len);
}

static cc_err sqlite_load(struct state_store *store, struct state_image *ret_image)
{
    struct sqlite_store *s = of(store);
    CC_TRY(execute(s, "BEGIN"));
    cc_err err = read_head(s, ret_image);
    if (!err.code)
        err = read_records(s, ret_image);
    cc_err end = execute(s, "COMMIT");
    if (!err.code)
        err = end;
    if (err.code)
        state_image_release(ret_image);
    return err;
}

static cc_err read_mark(struct sqlite_store *s, struct state_mark *ret_mark)
{
    sqlite3_stmt *row CC_CLEANUP(sqlite_file_statement_freep) = NULL;
    *ret_mark = (struct state_mark){0};
    CC_TRY(prepare(s, "SELECT generation, signature FROM head", &row));
    int rc = sqlite3_step(row);
    CC_TRY(sqlite_file_error(rc));
    if (rc == SQLITE_DONE)
        return CC_OK;
    CC_TRY(copy_count(row, 0, &ret_mark->generation));
    const void *signature = sqlite3_column_blob(row, 1);
    if (!signature || sqlite3_column_bytes(row, 1) != sizeof ret_mark->signature)
        return CC_FAIL(TAMPERED, "head of the state store");
    memcpy(ret_mark->signature, signature, sizeof ret_mark->signature);
    return CC_OK;
}

static cc_err sqlite_peek(struct state_store *store, struct state_mark *ret_mark)
{
    return read_mark(of(store), ret_mark);
}

/* --- writing ---------------------------------------------------------------------------------------------- */

static cc_err check_mark(struct sqlite_store *s, const struct state_mark *expected)
{
    struct state_mark stored;
    CC_TRY(read_mark(s, &stored));
    return state_mark_equal(&stored, expected)
               ? CC_OK
               : CC_FAIL(CONFLICT, "the state store has changed meanwhile");
}

static cc_err write_record(struct sqlite_store *s, const struct state_record *record)
{
    sqlite3_stmt *row CC_CLEANUP(sqlite_file_statement_freep) = NULL;
    CC_TRY(prepare(
        s,
        "INSERT INTO records (kind, name, version, generation, bytes) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (kind, name) DO UPDATE SET version = ?3, generation = ?4, bytes = ?5",
        &row));
    CC_TRY(sqlite_file_error(sqlite3_bind_text(row, 1, record->kind, -1, SQLITE_STATIC)));
    CC_TRY(sqlite_file_error(sqlite3_bind_text(row, 2, record->name, -1, SQLITE_STATIC)));
    CC_TRY(sqlite_file_error(sqlite3_bind_int64(row, 3, (sqlite3_int64)record->version)));
    CC_TRY(sqlite_file_error(sqlite3_bind_int64(row, 4, (sqlite3_int64)record->generation)));
    CC_TRY(sqlite_file_error(
        sqlite3_bind_blob(row, 5, record->bytes, (int)record->len, SQLITE_STATIC)));
    return sqlite_file_error(sqlite3_step(row));
}

static cc_err remove_record(struct sqlite_store *s, const struct state_record *record)
{
    sqlite3_stmt *row CC_CLEANUP(sqlite_file_statement_freep) = NULL;
    CC_TRY(prepare(s, "DELETE FROM records WHERE kind = ?1 AND name = ?2", &row));
    CC_TRY(sqlite_file_error(sqlite3_bind_text(row, 1, record->kind, -1, SQLITE_STATIC)));
    CC_TRY(sqlite_file_error(sqlite3_bind_text(row, 2, record->name, -1, SQLITE_STATIC)));
    return sqlite_file_error(sqlite3_step(row));
}

static cc_err write_head(struct sqlite_store *s, const struct state_image *image)
{
    sqlite3_stmt *row CC_CLEANUP(sqlite_file_statement_freep) = NULL;
    CC_TRY(prepare(s,
                   "INSERT INTO head (id, generation, bytes, signature) VALUES (1, ?1, ?2, ?3)"
                   " ON CONFLICT (id) DO UPDATE SET generation = ?1, bytes = ?2, signature = ?3",
                   &row));
    CC_TRY(sqlite_file_error(sqlite3_bind_int64(row, 1, (sqlite3_int64)image->generation)));
    CC_TRY(sqlite_file_error(
        sqlite3_bind_blob(row, 2, image->head.data, (int)image->head.len, SQLITE_STATIC)));
    CC_TRY(sqlite_file_error(
        sqlite3_bind_blob(row, 3, image->signature, sizeof image->signature, SQLITE_STATIC)));
    return sqlite_file_error(sqlite3_step(row));
}

static cc_err write_all(struct sqlite_store *s,
                        const struct state_mark *expected,
                        const struct state_image *next,
                        const struct state_delta *delta)
{
    CC_TRY(check_mark(s, expected));
    for (size_t i = 0; i < delta->written_count; i++)
        CC_TRY(write_record(s, &next->records[delta->written[i]]));
    for (size_t i = 0; i < delta->removed_count; i++)
        CC_TRY(remove_record(s, delta->removed[i]));
    CC_TRY(write_head(s, next));
    return execute(s, "COMMIT");
}

static cc_err sqlite_swap(struct state_store *store,
                          const struct state_mark *expected,
                          const struct state_image *next,
                          const struct state_delta *delta)
{
    struct sqlite_store *s = of(store);
    if (next->generation > INT64_MAX)
        return CC_FAIL(LIMIT, "generation");
    CC_TRY(execute(s, "BEGIN IMMEDIATE"));
    cc_err err = write_all(s, expected, next, delta);
    if (err.code && !sqlite3_get_autocommit(s->db))
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* --- opening ----------------------------------------------------------------------------------------------- */

static void sqlite_close(struct state_store *store)
{
    struct sqlite_store *s = of(store);
    sqlite_file_close(s->db);
    fd_closep(&s->lock_fd);
    cc_free(s);
}

static const struct state_store_ops sqlite_ops = {
    .name = "sqlite",
    .load = sqlite_load,
    .peek = sqlite_peek,
    .swap = sqlite_swap,
    .close = sqlite_close,
};

static cc_err open_store(const char *path, struct state_store **ret_store)
{
    struct sqlite_store *s = cc_alloc(sizeof *s);
    if (!s)
        return CC_FAIL(NO_MEMORY, NULL);
    s->base.ops = &sqlite_ops;
    s->lock_fd = -1;
    cc_err err = state_lock(path, &s->lock_fd);
    if (!err.code)
        err = sqlite_file_open(path, &s->db);
    if (err.code) {
        sqlite_close(&s->base);
        return err;
    }
    *ret_store = &s->base;
    return CC_OK;
}

CC_ERR state_sqlite_open(const char *path, struct state_store **ret_store)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? CC_FAIL(TAMPERED, "the state store is missing")
                               : CC_FAIL(IO, "state store");
    CC_TRY(open_store(path, ret_store));
    cc_err err = sqlite_file_check(of(*ret_store)->db, APPLICATION_ID, VERSION);
    if (err.code) {
        state_store_close(*ret_store);
        *ret_store = NULL;
    }
    return err;
}

CC_ERR state_sqlite_create(const char *path)
{
    struct state_store *store = NULL;
    CC_TRY(sqlite_file_make(path));
    CC_TRY(open_store(path, &store));
    cc_err err = execute(of(store), schema);
    state_store_close(store);
    return err;
}
