/* slash/postgres_url.h - where a database is: a libpq connection string, taken apart.
 *
 * WHAT      The hosts of a URL one by one, with our own defaults below what it says.
 * PROMISE   No text of the URL reaches an error or a log.
 * THREADS   Any.
 * OWNERSHIP postgres_dial_release().
 * ERRORS    CONFIG (not a connection string), NO_MEMORY.
 * SECRETS   The URL may hold a password; a plan borrows and copies it, and is released before anything waits.
 */
#ifndef SLASH_POSTGRES_URL_H
#define SLASH_POSTGRES_URL_H

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
void postgres_dial_release(struct postgres_dial *plan);

#endif
