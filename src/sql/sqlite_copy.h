/* sql/sqlite_copy.h - the content of a small SQLite database that another process may be using.
 *
 * WHAT      One snapshot of state store or key store, as the bytes of a database file.
 * PROMISE   What was committed when it was taken, whole, by SQLite's own backup: never a file that was read while it was written.
 *           The database is opened read-only and nothing in it is changed.
 * THREADS   One, in a process that has the database not open otherwise: closing it here would end the other's locks.
 * OWNERSHIP The bytes are the caller's.
 * ERRORS    TAMPERED (not a database, or damaged), LOCKED (in use for seconds on end), LIMIT, IO, NO_MEMORY.
 * SECRETS   None in clear: what lies in these stores is sealed.
 */
#ifndef SQL_SQLITE_COPY_H
#define SQL_SQLITE_COPY_H

#include "base/error.h"
#include "base/span.h"

CC_ERR sqlite_copy(const char *path, struct buf *ret_bytes);

#endif
