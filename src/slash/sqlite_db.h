/* slash/sqlite_db.h - one connection to a SQLite history; the only place that knows SQLite's habits.
 *
 * WHAT      Connecting with the one right set of pragmas, prepared statements, binding and reading of our
 *           types, transactions.
 * PROMISE   A connection that sqlite_db_connect() returned commits durably: WAL, synchronous FULL, read back.
 *           No option, URI or environment variable weakens that (P1).
 * THREADS   One thread.
 * OWNERSHIP sqlite_db_close() finalises all statements and closes.
 * ERRORS    STORE, TAMPERED (not a database, corrupt, a value out of its domain), NO_MEMORY.
 * SECRETS   None.
 *
 * SQLite's integers are signed: a uint64 v is stored as the signed number v - 2^63, so that order is kept.
 */
#ifndef SLASH_SQLITE_DB_H
#define SLASH_SQLITE_DB_H

#include <sqlite3.h>

#include "slash/backend.h"

enum {
    SQLITE_HISTORY_FORMAT = 1,
    SQLITE_HISTORY_APPLICATION = 0x43436831 /* "CCh1" */
};

enum sqlite_statement {
#define S(name, sql) STATEMENT_##name,
#include "slash/sqlite_statement.def"
#undef S
    STATEMENT_END
};

struct sqlite_db {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENT_END]; /* prepared at first use */
    int wal_pages;                           /* in the log since the last checkpoint */
};

/* Turns an SQLite result into our error. */
cc_err sqlite_db_error(int rc);

/* Opens `path` (absolute) for reading and writing; it must exist. */
CC_ERR sqlite_db_connect(struct sqlite_db *db, const char *path);
/* Closes without a checkpoint; takes a db that never opened. */
void sqlite_db_close(struct sqlite_db *db);
/* Runs SQL that returns nothing of interest. */
CC_ERR sqlite_db_exec(struct sqlite_db *db, const char *sql);
/* Copies the log into the database and syncs both; TRUNCATE also empties the log. */
CC_ERR sqlite_db_checkpoint(struct sqlite_db *db, bool truncate);

/* A statement, reset and without bindings. */
CC_ERR sqlite_db_statement(struct sqlite_db *db, enum sqlite_statement which, sqlite3_stmt **ret);
/* Steps to the next row; *ret_row false at the end, after which the statement is reset. */
CC_ERR sqlite_db_row(sqlite3_stmt *statement, bool *ret_row);
/* Steps a statement that returns no rows. */
CC_ERR sqlite_db_run(sqlite3_stmt *statement);
CC_ERR sqlite_db_begin(struct sqlite_db *db);
/* Commits when `err` is CC_OK, else rolls back; returns `err` or what went wrong. */
CC_ERR sqlite_db_end(struct sqlite_db *db, cc_err err);

/* Bindings only fail without memory, and then the step fails as well: so these return nothing. What they point at is
 * borrowed until the statement has run...
 */
void sqlite_bind_row(sqlite3_stmt *s, int at, int64_t row);
void sqlite_bind_u64(sqlite3_stmt *s, int at, uint64_t value);
void sqlite_bind_bytes(sqlite3_stmt *s, int at, const void *bytes, size_t len);
void sqlite_bind_root(sqlite3_stmt *s, int at, bool has_root, const struct signing_root *root);

/* ...and columns are checked: a value of another type or size is TAMPERED. */
CC_ERR sqlite_column_u64(sqlite3_stmt *s, int at, uint64_t *ret_value);
CC_ERR sqlite_column_bytes(sqlite3_stmt *s, int at, void *ret_bytes, size_t len);
CC_ERR
sqlite_column_root(sqlite3_stmt *s, int at, bool *ret_has_root, struct signing_root *ret_root);
bool sqlite_column_null(sqlite3_stmt *s, int at);

#ifdef CC_TESTING
/* Mutant for the tests of C10: connections made from now on run with this `synchronous` ("1" is NORMAL);
 * NULL goes back to what is right. Not in a release build.
 */
void sqlite_db_testing_synchronous(const char *value);
#endif

#endif
