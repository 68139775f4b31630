/* sql/postgres_make.h - the tables of a store in a database, and what a signer may do with them.
 *
 * WHAT      Makes those that are missing; what is there is kept. Gives a role its rights.
 * PROMISE   One maker at a time, whichever store it is for: all may share a schema. All of it is one transaction.
 * THREADS   Any; one for each connection.
 * OWNERSHIP Borrows.
 * ERRORS    STORE, CONFIG and those of sql/postgres_db.h.
 * SECRETS   The URL may hold a password.
 */
#ifndef SQL_POSTGRES_MAKE_H
#define SQL_POSTGRES_MAKE_H

#include "sql/postgres_db.h"

struct postgres_table {
    const char *name;
    const char *sql;
};

struct postgres_making {
    const struct postgres_table *tables;
    size_t count;
    const char *grant; /* a text for format(): %1$I is the role, %2$I the schema */
    /* Looks at what is there, or has just been made; NULL: nothing to look at. */
    cc_err (*check)(struct postgres_db *db);
};

CC_ERR
postgres_has_table(struct postgres_db *db, const struct postgres_table *table, bool *ret_is_there);

/* On a connection without prepared statements. `grant_to` NULL: nobody. */
CC_ERR
postgres_make(struct postgres_db *db, const struct postgres_making *making, const char *grant_to);
/* Connects for it. */
CC_ERR postgres_make_at(const char *url,
                        const struct postgres_schema *schema,
                        const struct postgres_making *making,
                        const char *grant_to);

/* For who does more in the same transaction: begins it, and makes the tables. */
CC_ERR postgres_make_begin(struct postgres_db *db, const struct postgres_making *making);
/* STORE where the commit came with a warning: it may be lost (T7); asking again tells. */
CC_ERR postgres_make_commit(struct postgres_db *db);

#endif
