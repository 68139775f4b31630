/* sql/postgres_dial.h - the hosts of a database, one by one, as libpq wants them.
 *
 * WHAT      The hosts of a URL one by one, with our own defaults below what it says.
 * PROMISE   No text of the URL reaches an error or a log.
 * THREADS   Any.
 * OWNERSHIP postgres_dial_release().
 * ERRORS    CONFIG (not a connection string), NO_MEMORY.
 * SECRETS   The URL may hold a password; a plan borrows and copies it, and is released before anything waits.
 */
#ifndef SQL_POSTGRES_DIAL_H
#define SQL_POSTGRES_DIAL_H

#include <libpq-fe.h>

#include "base/error.h"

enum {
    POSTGRES_DIAL_MAX = 64
};

struct postgres_dial {
    const char *keys[POSTGRES_DIAL_MAX];
    const char *values[POSTGRES_DIAL_MAX];
    PQconninfoOption *parsed;
};

/* How many hosts are tried in turn: 1 at least. */
CC_ERR postgres_url_hosts(const char *url, unsigned *ret_count);
CC_ERR postgres_url_dial(const char *url, unsigned host, struct postgres_dial *ret_plan);
/* One more setting, which counts before the URL's; both are borrowed. */
void postgres_dial_add(struct postgres_dial *plan, const char *key, const char *value);
void postgres_dial_release(struct postgres_dial *plan);

#endif
