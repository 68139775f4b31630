/* sql/postgres_url.h - where a database is: a libpq connection string, for configuration, sandbox and people.
 *
 * WHAT      Whether a URL is one, how it is shown, what a room needs to reach it.
 * PROMISE   No password in what is shown; no text of the URL reaches an error or a log.
 * THREADS   Any.   OWNERSHIP The caller's.   ERRORS CONFIG (not a connection string), NO_MEMORY.
 * SECRETS   The URL may hold a password: it goes to libpq and nowhere else.
 */
#ifndef SQL_POSTGRES_URL_H
#define SQL_POSTGRES_URL_H

#include "base/span.h"

/* CONFIG unless libpq understands it. */
CC_ERR postgres_url_check(const char *url);
/* T11. The same in an enclave, whose file everybody may read, and whose parent carries each byte: TLS to a server whose certificate and
 * name are checked against authorities that the URL names, and no secret in it. error_detail() says what is missing.
 */
CC_ERR postgres_url_check_enclave(const char *url);
/* Host, port, database and user for people: no password. */
CC_ERR postgres_url_describe(const char *url, struct buf *out);
/* True when some host is reached by an address, not by a path. */
bool postgres_url_is_remote(const char *url);
/* The files that libpq reads to connect: the nth, or NULL. `ret_path` keeps it. */
const char *postgres_url_file(const char *url, unsigned n, char *ret_path, size_t room);

#endif
