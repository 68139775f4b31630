/* state/postgres.h - the state store in a PostgreSQL database, which replicas share.
 *
 * WHAT      Two tables of ours (docs/formats.md), beside a history or in a database of their own; one chamber for a schema.
 * PROMISE   As state/store.h. A change is committed by a server that waits for its disk, without a warning, or it is an
 *           error. A connection that was lost is made again at the next use.
 * THREADS   As state/store.h: one thread for a store; any number of stores and processes for a database.
 * OWNERSHIP state_store_close().
 * ERRORS    STATE (no database now, or not known to have committed), CONFLICT, TAMPERED (tables missing, values out of
 *           their domain), LOCKED, EXISTS, CONFIG, NO_MEMORY.
 * SECRETS   The URL may hold a password: kept, and given to libpq alone.
 */
#ifndef STATE_POSTGRES_H
#define STATE_POSTGRES_H

#include "state/store.h"

/* Makes the tables that are missing; what is there is kept. Needs a role that may create tables, unless all are there;
 * `grant_to` (or NULL) is then given what a signer needs.
 */
CC_ERR state_postgres_migrate(const char *url, const char *grant_to);
/* Opens it, and takes the flock on `lock_path`.lock for life: a data directory serves one process. */
CC_ERR
state_postgres_open(const char *url, const char *lock_path, struct state_store **ret_store);

#endif
