/* sql/postgres_db.h - one connection to a PostgreSQL database; the only place that knows libpq's habits.
 *
 * WHAT      Connecting (several hosts, a deadline for each), the session's settings, prepared statements of the store above in
 *           pipeline mode, parameters and columns of our types, errors.
 * PROMISE   Nothing waits beyond its deadline but a name's look-up. A connection that postgres_db_connect() returned waits
 *           for the disk at each commit, whatever the server's or the role's default is (P1). A commit that came with a
 *           warning is no commit (T7).
 * THREADS   One thread.
 * OWNERSHIP postgres_db_close().
 * ERRORS    STORE (no connection, time is up, refused), CONFLICT (another client was in the way: worth another try),
 *           WATERMARK, TAMPERED (a value out of its domain), NO_MEMORY, and the store's own for tables that are not there.
 * SECRETS   The URL may hold a password: it goes to libpq and nowhere else.
 */
#ifndef SQL_POSTGRES_DB_H
#define SQL_POSTGRES_DB_H

#include <libpq-fe.h>

#include "base/span.h"

#include "eth/types.h"

struct postgres_query {
    const char *name;
    const char *sql;
};

/* What a store keeps in a database: the statements that it prepares, and its error where there are no tables for them. */
struct postgres_schema {
    const struct postgres_query *queries;
    size_t count;
    enum error_code missing;
};

/* Begins as {.schema = ...}. */
struct postgres_db {
    const struct postgres_schema *schema;
    PGconn *conn; /* NULL: none */
    uint64_t deadline_ns;
    bool unsynced; /* statements were sent without their end mark */
    bool warned;   /* the server warned of something since the last start of a transaction */
    unsigned host; /* of the URL's list: the one that worked last */
    bool was_open; /* it connected before: a refusal is no mistake of the configuration any more */
    char said[5];  /* SQLSTATE of the last complaint that was logged */
    bool counted;  /* among containment_postgres_connections */
    uint64_t asked_ns; /* when the group of statements that is under way was sent; 0: none is */
};

/* Connects, to the first host of `url` that takes writes; `patience_ms` for each. CONFIG, only where it never connected before,
 * when no host is away and each refuses what the URL says: role, password, database, certificate.
 */
CC_ERR postgres_db_connect(struct postgres_db *db, const char *url, uint32_t patience_ms);
void postgres_db_close(struct postgres_db *db); /* takes a db that never opened */
bool postgres_db_is_open(const struct postgres_db *db);
/* Until when all that follows must be done. */
void postgres_db_patience(struct postgres_db *db, uint32_t ms);
/* Prepares all statements. */
CC_ERR postgres_db_prepare(struct postgres_db *db);
/* Statements as text, before postgres_db_prepare() alone; any number of them, without results. */
CC_ERR postgres_db_script(struct postgres_db *db, const char *sql);
/* The first value of a query with text parameters, "" for NULL and for no row; before postgres_db_prepare() alone. */
CC_ERR postgres_db_ask(struct postgres_db *db,
                       const char *sql,
                       const char *const *params,
                       char *ret_value,
                       size_t room);

/* --- pipeline: send any number, sync, then take each answer in the same order -------------------------------------- */

enum {
    POSTGRES_PARAMS_MAX = 8
};

struct postgres_params {
    int count;
    const char *values[POSTGRES_PARAMS_MAX]; /* NULL: NULL */
    int lengths[POSTGRES_PARAMS_MAX];
    int formats[POSTGRES_PARAMS_MAX]; /* 0 text, 1 binary */
};
void postgres_put_text(struct postgres_params *params, const char *text);
void postgres_put_bytes(struct postgres_params *params, const void *bytes, size_t len);

/* Takes no parameters with NULL. What was sent is copied. */
CC_ERR postgres_db_send(struct postgres_db *db,
                        unsigned which, /* of the schema's queries */
                        const struct postgres_params *params);
/* Marks the end of what was sent. */
CC_ERR postgres_db_sync(struct postgres_db *db);
/* The next answer, to be freed with PQclear(). */
CC_ERR postgres_db_take(struct postgres_db *db, PGresult **ret_result);
/* The same without interest in it. */
CC_ERR postgres_db_pass(struct postgres_db *db);
/* The end mark: all before it is answered. */
CC_ERR postgres_db_synced(struct postgres_db *db);
/* After an error: reads on to the end mark and rolls back; closes where that fails. */
void postgres_db_recover(struct postgres_db *db);

/* Cleanup helper: CC_CLEANUP(postgres_clearp) PGresult *result = NULL. */
static inline void postgres_clearp(PGresult **result)
{
    PQclear(*result);
}

/* --- arrays as parameters -------------------------------------------------------------------------------------------- */

/* Grown element by element; begin again with the same memory. `numbers` is text, {1,2}; `bytes` binary. */
void postgres_numbers_begin(struct buf *b);
CC_ERR postgres_numbers_add(struct buf *b, uint64_t number);
CC_ERR postgres_numbers_put(struct buf *b, struct postgres_params *params);
CC_ERR postgres_bytes_begin(struct buf *b);
CC_ERR postgres_bytes_add(struct buf *b, const void *bytes, size_t len); /* NULL: NULL */
CC_ERR postgres_bytes_put(struct buf *b, struct postgres_params *params);

/* --- columns ----------------------------------------------------------------------------------------------------------- */

CC_ERR postgres_column_u64(const PGresult *result, int row, int column, uint64_t *ret_value);
/* Of encode(..., 'hex'). */
CC_ERR
postgres_column_hex(const PGresult *result, int row, int column, void *ret_bytes, size_t len);
CC_ERR postgres_column_root(
    const PGresult *result, int row, int column, bool *ret_has_root, struct signing_root *ret_root);
/* False for NULL. */
CC_ERR
postgres_column_maybe(const PGresult *result, int row, int column, bool *ret_has, uint64_t *ret);

#endif
