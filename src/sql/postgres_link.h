/* sql/postgres_link.h - a store's connection to a database that was found fit (sql/postgres_fit.h).
 *
 * WHAT      Connects at the first use, and again where the connection was lost; what a commit has to say before it counts.
 * PROMISE   postgres_link_commit() is CC_OK only when the COMMIT came back without a warning from the server that was found fit when the
 *           connection was made (T6, T7). After any other end of it nothing is known.
 * THREADS   One at a time.
 * OWNERSHIP postgres_link_release() closes, and wipes the URL, of which it keeps a copy.
 * ERRORS    STORE (can't be used now), CONFIG, LIMIT, NO_MEMORY, those of sql/postgres_db.h.
 * SECRETS   The URL may hold a password.
 */
#ifndef SQL_POSTGRES_LINK_H
#define SQL_POSTGRES_LINK_H

#include "sql/postgres_db.h"
#include "sql/postgres_fit.h"

enum {
    POSTGRES_LINK_HOST_MS = 1000, /* for each host of the URL */
    POSTGRES_LINK_MS = 2000       /* of what a signer may wait for */
};

struct postgres_link {
    struct postgres_db db;
    char *url;
    unsigned server_query;         /* the schema's POSTGRES_FIT_SQL */
    char server[POSTGRES_FIT_MAX]; /* what it said on this connection */
};

CC_ERR postgres_link_init(struct postgres_link *link,
                          const struct postgres_schema *schema,
                          unsigned server_query,
                          const char *url);
void postgres_link_release(struct postgres_link *link); /* takes one that was never begun */

/* Connected, and POSTGRES_LINK_MS for what follows. */
CC_ERR postgres_link_ready(struct postgres_link *link);
/* The rows of one query without parameters. */
CC_ERR postgres_link_fetch(struct postgres_link *link, unsigned which, PGresult **ret_rows);
/* Ends a transaction that was begun with db.warned false, by the query `commit`. */
CC_ERR postgres_link_commit(struct postgres_link *link, unsigned commit);
/* What comes after an error begins with nothing assumed. `err` as it was. */
cc_err postgres_link_done(struct postgres_link *link, cc_err err);

#endif
