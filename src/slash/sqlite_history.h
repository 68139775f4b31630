/* slash/sqlite_history.h - the inside of the SQLite backend, shared by its files.
 *
 * WHAT      The open history: lock, connection, index; and the steps that more than one file needs.
 * PROMISE   The index never runs ahead of the disk: any error marks the history stale, and before the next use
 *           sqlite_history_ready() reconnects and reads everything again.
 * THREADS   One thread.   OWNERSHIP slash_store_close().   ERRORS As store.h.   SECRETS None.
 */
#ifndef SLASH_SQLITE_HISTORY_H
#define SLASH_SQLITE_HISTORY_H

#include <limits.h>
#include <sys/types.h>

#include "slash/index.h"
#include "slash/sqlite_db.h"

/* Opening makes these where there are none: without `fold` nothing is half folded, without `ceiling` there is none. */
#define SQLITE_FOLD_TABLE                                                                          \
    "CREATE TABLE IF NOT EXISTS fold ("                                                            \
    "  id INTEGER PRIMARY KEY CHECK (id = 1),"                                                     \
    "  below INTEGER NOT NULL,"                                                                    \
    "  validator INTEGER NOT NULL"                                                                 \
    ") STRICT;"

#define SQLITE_CEILING_TABLE                                                                       \
    "CREATE TABLE IF NOT EXISTS ceiling ("                                                         \
    "  id INTEGER PRIMARY KEY CHECK (id = 1),"                                                     \
    "  epoch INTEGER NOT NULL"                                                                     \
    ") STRICT;"

struct record_buffer {
    struct slash_block *blocks;
    size_t block_count;
    size_t block_room;
    struct slash_attestation *attestations;
    size_t attestation_count;
    size_t attestation_room;
};

/* Which file a name stood for. */
struct sqlite_file {
    bool exists;
    dev_t device;
    ino_t inode;
};

struct sqlite_history {
    struct slash_store base;
    char *path; /* absolute, without links */
    bool production;
    int lock_fd;
    bool stale; /* the last use failed: what is in memory may differ from the disk */
    struct sqlite_file database; /* what is open, not what the names may stand for by now */
    struct sqlite_file log;      /* doesn't exist: saved into the database; whatever comes is new */
    struct sqlite_db db;
    struct slash_index index;
    struct slash_high high;
    bool has_ceiling;
    uint64_t ceiling;
    struct record_buffer records; /* reused by every reader */
    size_t prune_at;              /* next key of the pruning pass */
};

struct sqlite_history *sqlite_history_of(struct slash_store *store);

/* Takes the lock file (sqlite_lock.c): LOCKED with the holder's pid; FILESYSTEM when the path won't do. */
CC_ERR sqlite_lock_take(const char *path, int *ret_fd, int *ret_holder_pid);
/* FILESYSTEM unless `path` lies on a local file system that keeps what it is told to keep. */
CC_ERR sqlite_filesystem_check(const char *path);

/* What is committed to a file that was moved, replaced or removed is gone after the next start (sqlite_files.c).
 * So the files that are open must be those that the names stand for, before anything is released.
 */
CC_ERR sqlite_files_remember(struct sqlite_history *h);
/* STORE when the name stands for another file, or for none. A log that was removed can be saved (`ret_lost`), one
 * that was replaced can't: SQLite would replay the stranger over the database.
 */
CC_ERR sqlite_files_database_in_place(const struct sqlite_history *h);
CC_ERR sqlite_files_log_in_place(const struct sqlite_history *h, bool *ret_lost);
/* STORE when the write-ahead log lost what was committed to it: nothing is to be written behind the gap. */
CC_ERR sqlite_files_log_whole(const struct sqlite_history *h);
CC_ERR sqlite_files_in_place(const struct sqlite_history *h);

/* Connects, makes what is there durable, reads identity and index (sqlite_load.c). */
CC_ERR sqlite_history_load(struct sqlite_history *h);
/* Reads the key's newest records from the tables. */
CC_ERR sqlite_load_newest(struct sqlite_history *h, struct slash_key *key);
/* Makes a stale history usable again, or says why not. Every operation starts here. */
CC_ERR sqlite_history_ready(struct sqlite_history *h);
/* Passes `err` on; marks the history stale when it is one. Every operation ends here. */
cc_err sqlite_history_done(struct sqlite_history *h, cc_err err);

/* Reads a key's records, tables and tail, into h->records (sqlite_read.c): attestations with a target from
 * `from` on; blocks with slots from..to. In no order.
 */
CC_ERR
sqlite_read_blocks(struct sqlite_history *h,
                   const struct slash_key *key,
                   uint64_t from,
                   uint64_t to);
CC_ERR
sqlite_read_attestations(struct sqlite_history *h, const struct slash_key *key, uint64_t from);
/* Reads all of a key, sorted, as a validator that borrows h->records. */
CC_ERR sqlite_read_validator(struct sqlite_history *h,
                             const struct slash_key *key,
                             struct slash_validator *ret_validator);

/* Writes the key's low watermarks (inside a transaction). */
CC_ERR sqlite_write_low(struct sqlite_history *h, const struct slash_key *key);
/* Adds a row and its key (inside a transaction). */
CC_ERR sqlite_add_key(struct sqlite_history *h,
                      const struct eth_pubkey *pubkey,
                      bool enabled,
                      struct slash_key **ret_key);

/* Adds a record to the tables, where its slot or target must be new (inside a transaction). */
CC_ERR sqlite_add_block(struct sqlite_history *h, int64_t row, const struct slash_block *block);
CC_ERR sqlite_add_attestation(struct sqlite_history *h,
                              int64_t row,
                              const struct slash_attestation *attestation);

/* Sorts tail records into the tables, key by key, and drops them when the last key's are there: one step, in one
 * transaction, of about `limit` records (sqlite_fold.c).
 */
CC_ERR sqlite_fold(struct sqlite_history *h, uint64_t limit);
/* Steps until the tail is empty. */
CC_ERR sqlite_fold_all(struct sqlite_history *h);
/* Upkeep that can't wait any longer; fast when nothing is urgent. */
CC_ERR sqlite_upkeep_if_urgent(struct sqlite_history *h);

/* The operations. */
cc_err sqlite_check_and_record(struct slash_store *store,
                               const struct slash_claim *claims,
                               size_t n,
                               struct slash_verdict *ret_verdicts);
cc_err sqlite_register_keys(struct slash_store *store,
                            const struct eth_pubkey *keys,
                            size_t n,
                            const struct slash_watermark *floor);
cc_err sqlite_set_enabled(struct slash_store *store, const struct eth_pubkey *key, bool enabled);
cc_err sqlite_merge(struct slash_store *store,
                    const struct slash_validator *validator,
                    struct slash_import_report *report);
cc_err sqlite_merge_many(struct slash_store *store,
                         const struct slash_validator *validators,
                         size_t n,
                         struct slash_import_report *reports);
cc_err sqlite_visit(struct slash_store *store,
                    const struct eth_pubkey *only,
                    slash_visit_fn *visit,
                    void *context);
cc_err sqlite_visit_after(struct slash_store *store,
                          const struct eth_pubkey *after,
                          size_t max,
                          slash_visit_fn *visit,
                          void *context);
cc_err sqlite_prune(struct slash_store *store,
                    uint64_t keep_epochs,
                    uint64_t slots_per_epoch,
                    struct slash_prune_step *ret_step);
cc_err sqlite_maintain(struct slash_store *store, bool *ret_more);
cc_err sqlite_status(struct slash_store *store, struct slash_status *ret_status);
cc_err sqlite_fix_genesis(struct slash_store *store, const struct eth_root *root);
cc_err sqlite_set_high(struct slash_store *store, const struct slash_high *high);
cc_err sqlite_set_ceiling(struct slash_store *store, uint64_t epoch);
cc_err sqlite_raise_all(struct slash_store *store,
                        const struct slash_watermark *floor,
                        uint64_t *ret_count);

#endif
