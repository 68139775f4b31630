/* keys/store.h - keys at rest, sealed by the vault: the rows of a key store.
 *
 * WHAT      Per public key one row: status, version, and the key as the vault has sealed it (wire/door_b.h, struct sealed_row); or its
 *           tombstone. A store only holds rows: what is in them is the vault's, whether they are all there is core/key_book.h's.
 *           A store in a database or a table is shared: several processes open it, and its mark tells its states apart.
 * PROMISE   A change is durable when it returns, whole, and made only where each row still had the version that it was built on.
 *           A deleted key leaves a tombstone, so that its version never goes back. A shared store is changed only over the mark
 *           that was seen last: after key_store_fence() no change that was begun before it is made any more.
 * THREADS   One thread per store at a time.
 * OWNERSHIP key_store_close() frees; rows are borrowed for the call.
 * ERRORS    CONFLICT (a row has another version, or the store another mark), STORE (can't be used now: whether the change was made
 *           is not known; scan), LOCKED (another process), TAMPERED (no key store, or damaged), IDENTITY (another chamber's, or a
 *           table that is not fit), CONFIG, FILESYSTEM, EXISTS, LIMIT, NO_MEMORY.
 * SECRETS   None in clear.
 */
#ifndef KEYS_STORE_H
#define KEYS_STORE_H

#include "base/error.h"

#include "wire/door_b.h"

enum {
    KEY_STORE_ROWS_MAX = 262144, /* with tombstones */
    KEY_STORE_CHANGE_MAX = 256,  /* rows of one change */
    KEY_STORE_DIGEST_SIZE = 32,
    KEY_STORE_ID_SIZE = 16,
    KEY_STORE_CHAMBER_SIZE = 32
};

/* A row that changes, from `expected` (its version; 0: there is no row) to `next`, whose version is above it. */
struct key_change {
    uint64_t expected;
    struct sealed_row next;
};

/* Returning an error stops the walk with it. */
typedef cc_err key_store_visit_fn(void *context, const struct sealed_row *row);

struct key_store;

struct key_store_ops {
    const char *name; /* "sqlite", as in the configuration */
    bool shared;      /* other replicas may change it too */
    /* Calls `visit` for every row, tombstones too, in order of public key, as of one moment. Required. */
    cc_err (*scan)(struct key_store *store, key_store_visit_fn *visit, void *context);
    /* Makes `n` (1..KEY_STORE_CHANGE_MAX) changes in one durable step, or none. Required. */
    cc_err (*write)(struct key_store *store, const struct key_change *changes, size_t n);
    /* Shared stores: gives a store that has none its id, and reads id and mark. */
    cc_err (*begin)(struct key_store *store);
    /* Shared stores: another mark, the rows as they are. */
    cc_err (*fence)(struct key_store *store);
    /* Shared stores: whether it can be used; nothing else is learnt. */
    cc_err (*reach)(struct key_store *store);
    /* Frees and unlocks. Required. */
    void (*close)(struct key_store *store);
};

/* First member of every backend's own struct. */
struct key_store {
    const struct key_store_ops *ops;
    /* Shared stores, as of the last use: */
    bool has_id; /* it was begun */
    uint8_t id[KEY_STORE_ID_SIZE];
    uint64_t mark; /* goes up with each change */
};

CC_ERR key_store_scan(struct key_store *store, key_store_visit_fn *visit, void *context);
/* New rows, for keys that have none or a tombstone. */
CC_ERR key_store_put(struct key_store *store, const struct key_change *changes, size_t n);
/* Rows with another status, sealed anew. */
CC_ERR key_store_set_status(struct key_store *store, const struct key_change *changes, size_t n);
/* Tombstones instead of rows. */
CC_ERR key_store_delete(struct key_store *store, const struct key_change *changes, size_t n);
/* Rows and tombstones of another store of the chamber, as they are there; each from no row, or an older one. */
CC_ERR key_store_copy(struct key_store *store, const struct key_change *changes, size_t n);
/* A shared store has its id then. Nothing for one that is not shared. */
CC_ERR key_store_begin(struct key_store *store);
/* CONFLICT when the store has changed since it was last looked at, or was not begun then. Nothing for one that is not shared. */
CC_ERR key_store_fence(struct key_store *store);
/* STORE when a shared store can't be used now. */
CC_ERR key_store_reach(struct key_store *store);
void key_store_close(struct key_store *store); /* takes NULL */

/* What a change that deletes looks like. */
struct key_change key_store_tombstone(const struct sealed_row *row);

/* -1, 0 or 1. */
int key_store_order(const struct eth_pubkey *a, const struct eth_pubkey *b);
/* Of rows in order: says which keys, with which status, version, and generation of the master key (docs/formats.md). */
CC_ERR key_store_digest(const struct sealed_row *rows,
                        size_t n,
                        uint8_t ret_digest[static KEY_STORE_DIGEST_SIZE]);

/* --- backends ---------------------------------------------------------------------------------------- */

/* Makes an empty store at `path`, mode 0600; EXISTS if anything is there. `production`: a local disk only. */
CC_ERR key_store_sqlite_create(const char *path, bool production);
/* Opens it and takes the flock on `path`.lock for life. TAMPERED when there is nothing at `path`. */
CC_ERR key_store_sqlite_open(const char *path, bool production, struct key_store **ret_store);

/* Makes the tables that are missing; what is there is kept. Needs a role that may create tables, unless all are there; `grant_to` (or
 * NULL) is then given what a signer needs.
 */
CC_ERR key_store_postgres_migrate(const char *url, const char *grant_to);
/* Connects at the first use, and again where the connection is lost. `chamber`: whose store it is, or becomes. */
CC_ERR key_store_postgres_open(const char *url,
                               const uint8_t chamber[static KEY_STORE_CHAMBER_SIZE],
                               struct key_store **ret_store);

#endif
