/* support/postgres_server.h - one real PostgreSQL for a test program (tests/support/postgres.py).
 *
 * Started at first use, ended and removed with the program. CC_POSTGRES_URL names one that runs already instead.
 */
#ifndef SUPPORT_POSTGRES_SERVER_H
#define SUPPORT_POSTGRES_SERVER_H

#include <libpq-fe.h>
#include <stddef.h>

const char *postgres_server_url(void);
/* "kill", "stop", "start", "reload": returns when it is done. */
void postgres_server_do(const char *word);

/* The server's URL with a new, empty schema of its own as search path. */
void postgres_server_schema(char *ret_url, size_t room);
void postgres_server_drop(const char *url);
/* A client of the test's own; fails the test when it can't connect. */
PGconn *postgres_server_connect(const char *url);
/* Runs SQL; fails the test on an error. The first value of the result, or "". */
void postgres_server_sql(PGconn *conn, const char *sql, char *ret_value, size_t room);

#endif
