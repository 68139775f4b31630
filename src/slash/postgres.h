/* slash/postgres.h - the history in a PostgreSQL database.
 *
 * WHAT      Web3Signer's schema 12 and its advisory locks, so that an existing database works in place and a Web3Signer
 *           beside us too; and three tables of ours (docs/formats.md).
 * PROMISE   As slash/store.h. What slash_check_and_record() answers was committed by a server that waits for its disk, on
 *           the timeline and by the database that this history belongs to; whatever differs is an error, never a verdict.
 *           A connection that was lost is made again at the next use.
 * THREADS   As slash/store.h: one thread for a store; any number of stores and processes for a database.
 * OWNERSHIP slash_store_close().
 * ERRORS    STORE (no database now), CONFLICT (another client in the way), HISTORY_MISSING, IDENTITY (another database),
 *           TIMELINE (the same, failed over or restored), EXISTS, WATERMARK (the schema's rule: no low watermark beyond the high one), CONFIG,
 *           TAMPERED, NO_MEMORY.
 * SECRETS   The URL may hold a password: kept, and given to libpq alone.
 */
#ifndef SLASH_POSTGRES_H
#define SLASH_POSTGRES_H

#include "base/span.h"

#include "slash/store.h"

/* Makes the tables that are missing, without an identity; what is there is kept. Needs a role that may create tables;
 * `grant_to` (or NULL) is then given what a signer needs.
 */
CC_ERR slash_postgres_migrate(const char *url, const char *grant_to);
/* Makes an empty history, or adopts the records of a Web3Signer: *ret_adopted tells how many validators it knew. EXISTS
 * when the database has an identity already. Only `init` calls it.
 */
CC_ERR slash_postgres_create(const char *url,
                             const struct slash_identity *identity,
                             uint64_t *ret_adopted);
/* Takes back what slash_postgres_create() did, while nothing was recorded since: for an init that failed later. */
void slash_postgres_forget(const char *url, const struct slash_identity *identity);
/* Opens it. HISTORY_MISSING when there is none: opening never makes a history (P3). */
CC_ERR slash_postgres_open(const char *url, struct slash_store **ret_store);
/* Opens it on whatever timeline its database is: for a repair, never to sign. */
CC_ERR slash_postgres_open_for_repair(const char *url, struct slash_store **ret_store);
/* From now on the timeline that the database is on is the right one. Raise the low watermarks first. */
CC_ERR slash_postgres_confirm_timeline(struct slash_store *store);

/* --- the URL ------------------------------------------------------------------------------------------------------- */

/* CONFIG unless libpq understands it. */
CC_ERR slash_postgres_url_check(const char *url);
/* Host, port, database and user for people: no password. */
CC_ERR slash_postgres_url_describe(const char *url, struct buf *out);
/* True when some host is reached by an address, not by a path. */
bool slash_postgres_url_is_remote(const char *url);
/* The files that libpq reads to connect: the nth, or NULL. `ret_path` keeps it. */
const char *slash_postgres_url_file(const char *url, unsigned n, char *ret_path, size_t room);

#endif
