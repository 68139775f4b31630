/* sql/sqlite_file.h - a small SQLite database that is rarely written, and must not be lost.
 *
 * WHAT      Making, opening and asking one file: the state store's, a key store's. The history, which is written all day, has its
 *           own way (slash/sqlite_db.h).
 * PROMISE   A commit is durable when it returns, a power cut right after it included: rollback journal, synchronous=EXTRA. The
 *           file has mode 0600 from its first moment. Who reads it meanwhile, as `backup` does, is waited for, 300 ms at most.
 * THREADS   One.
 * OWNERSHIP sqlite_file_close().
 * ERRORS    TAMPERED (not a database of ours, or damaged), IDENTITY (a later release's), LOCKED, EXISTS, IO, NO_MEMORY.
 * SECRETS   None in clear.
 */
#ifndef SQL_SQLITE_FILE_H
#define SQL_SQLITE_FILE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/span.h"

/* An empty file, mode 0600; EXISTS if anything is there. */
CC_ERR sqlite_file_make(const char *path);
CC_ERR sqlite_file_open(const char *path, sqlite3 **ret_db);
void sqlite_file_close(sqlite3 *db); /* takes NULL */
/* TAMPERED unless the file bears these numbers; IDENTITY where the version is a higher one. */
CC_ERR sqlite_file_check(sqlite3 *db, int application_id, int version);

cc_err sqlite_file_error(int rc);
CC_ERR sqlite_file_execute(sqlite3 *db, const char *sql);
CC_ERR sqlite_file_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement);
void sqlite_file_statement_freep(sqlite3_stmt **statement);

#endif
