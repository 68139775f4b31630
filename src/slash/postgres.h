/* slash/postgres.h - the history in a PostgreSQL database.
 *
 * WHAT      Web3Signer's schema 12 and its advisory locks, so that an existing database works in place and a Web3Signer
 *           beside us too; and four tables of ours (docs/formats.md).
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
/* HISTORY_MISSING unless slash_postgres_migrate() would find nothing to make. */
CC_ERR slash_postgres_has_tables(const char *url);
/* What a database that may be a Web3Signer's holds. */
enum {
    SLASH_POSTGRES_KEYS_SIZE = 20 * (2 + 96 + 1) + 1
};

struct slash_postgres_found {
    uint64_t validators;
    uint64_t disabled;                            /* of these: put out of use, and refused here */
    char disabled_keys[SLASH_POSTGRES_KEYS_SIZE]; /* the first of them: "0x... 0x..." */
    bool has_identity;                            /* a chamber's: `init` would refuse it */
    bool has_genesis_validators_root;
    struct eth_root genesis_validators_root;
};

/* Looks, and changes nothing. HISTORY_MISSING without its tables, IDENTITY unless their schema is 12, TAMPERED where
 * slash_postgres_create() would not adopt what is there.
 */
CC_ERR slash_postgres_look(const char *url, struct slash_postgres_found *ret_found);
/* Makes an empty history, or adopts the records of a Web3Signer: *ret_adopted tells how many validators it knew. EXISTS
 * when the database has an identity already. Only `init` calls it.
 */
CC_ERR slash_postgres_create(const char *url,
                             const struct slash_identity *identity,
                             uint64_t *ret_adopted);
/* Takes back what slash_postgres_create() did, while nothing was recorded since: for an init that failed later. */
void slash_postgres_forget(const char *url, const struct slash_identity *identity);
/* Opens it. HISTORY_MISSING when there is none: opening never makes a history (P3). `replica` names the data directory among
 * those that share the database, SLASH_REPLICA_SIZE bytes; NULL: a command, with a name for once. A database on another
 * timeline, or that went back, is opened, and then refuses with TIMELINE until slash_timeline_confirm().
 */
CC_ERR slash_postgres_open(const char *url, const uint8_t *replica, struct slash_store **ret_store);
/* The two halves of it: no connection is made yet; and again and again, while it answers STORE, until there is one. */
CC_ERR slash_postgres_new(const char *url, const uint8_t *replica, struct slash_store **ret_store);
CC_ERR slash_postgres_connect(struct slash_store *store);
/* Opens it as if slash_timeline_begin() had been called: for a repair, never to sign. */
CC_ERR slash_postgres_open_for_repair(const char *url, struct slash_store **ret_store);
/* From now on the timeline that the database is on is the right one, for all. Raise the low watermarks first. */
CC_ERR slash_postgres_confirm_timeline(struct slash_store *store);

#endif
