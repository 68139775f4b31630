/* slash/store.h - the history that keeps a validator from being slashed.
 *
 * WHAT      A history remembers, per public key, what was signed, and decides whether one more message may be.
 *           The rules are slash/rules.h; a backend only holds the records.
 * PROMISE   When slash_check_and_record() returns CC_OK, every verdict that may sign is durable: no crash, no
 *           other process, no other thread can obtain a conflicting one. Sign only after it returned. Claims of
 *           one key are folded in order, so that two conflicting claims of one batch can't both be SAFE. A batch
 *           that holds only repeats is answered only when what it repeats is durable.
 * THREADS   One thread per store at a time (the core's history writer); the wrapper asserts it.
 * OWNERSHIP slash_store_close() frees; all inputs are borrowed for the call.
 * ERRORS    STORE (can't be used now: nothing is known, nothing may be signed), LOCKED (another process),
 *           TIMELINE (a database that failed over or was restored), HISTORY_MISSING, IDENTITY, FILESYSTEM,
 *           TAMPERED, NO_MEMORY, KEY_UNKNOWN (set_enabled). On any error: no signature for any claim of the batch.
 * SECRETS   None pass through here.
 */
#ifndef SLASH_STORE_H
#define SLASH_STORE_H

#include "base/error.h"

#include "slash/rules.h"

enum {
    SLASH_BATCH_MAX = 256,
    SLASH_MERGE_MAX = 256,  /* validators merged, or visited, in one step */
    SLASH_REPLICA_SIZE = 16 /* names one data directory among those that share a history */
};

enum slash_claim_kind {
    SLASH_CLAIM_BLOCK,
    SLASH_CLAIM_ATTESTATION
};

struct slash_claim {
    struct eth_pubkey pubkey;
    enum slash_claim_kind kind;
    uint64_t slot;   /* blocks */
    uint64_t source; /* attestations */
    uint64_t target;
    struct signing_root root;
};

/* Names one history for good: made by `init`, stored inside it, pinned in the state store. */
struct slash_identity {
    uint8_t history_id[32];                  /* random */
    uint8_t chamber_id[32];                  /* whose history it is */
    struct eth_root genesis_validators_root; /* zero until fixed (PATH networks without one) */
    bool has_genesis_validators_root;
    /* The vault's HMAC over the two ids (B_DIGEST HISTORY): stored and handed back as it is. */
    uint8_t proof[32];
};

/* One validator as interchange and status see it; records sorted by slot, by target. */
struct slash_validator {
    struct eth_pubkey pubkey;
    bool enabled;
    struct slash_watermark low;
    const struct slash_block *blocks;
    size_t block_count;
    const struct slash_attestation *attestations;
    size_t attestation_count;
};

/* Borrowed for the call. Returning an error stops the walk with it. */
typedef cc_err slash_visit_fn(void *context, const struct slash_validator *validator);

/* What numbers of records are. */
enum slash_counted {
    SLASH_COUNTED_ALL,
    SLASH_COUNTED_ABOUT, /* the database's own statistics: more or fewer */
    SLASH_COUNTED_SOME   /* of the first keys alone */
};

struct slash_status {
    enum slash_counted counted; /* other than ALL only of slash_estimate() */
    uint64_t validators;
    uint64_t blocks;
    uint64_t attestations;
    struct slash_high high;
    bool has_ceiling;
    uint64_t ceiling; /* no epoch above it was ever given to this history (core/ceiling.h) */
};

/* What a database that was failed over or restored still has of this replica. */
struct slash_timeline {
    uint64_t position; /* of the newest of this replica's commits that are there; 0: none */
    bool same_cluster;
    bool new_timeline; /* false: the one that the history is confirmed for */
    bool
        confirmed; /* somebody has said that it is the history's: only this replica has yet to compare */
    uint64_t waiting; /* other replicas that wrote lately and have not confirmed this timeline */
};

struct slash_import_report {
    uint64_t validators;
    uint64_t blocks; /* records added */
    uint64_t attestations;
    uint64_t known;         /* records that were there already */
    uint64_t contradictory; /* validators whose merged history is slashable in itself: reported,
                                    and folded into watermarks so that nothing loosens */
};

void slash_import_report_add(struct slash_import_report *sum,
                             const struct slash_import_report *report);

struct slash_prune_step {
    bool more;        /* the pass over all keys is not over: call again */
    uint64_t removed; /* records, by this step */
};

/* What a comparison with the mirror has found so far (slash/guard.h). */
struct slash_verify_report {
    uint64_t keys;
    uint64_t records; /* of the mirror, each looked for in the history */
    uint64_t missing;
    uint64_t changed; /* records, and low watermarks that went down */
};

struct slash_store;

struct slash_store_ops {
    const char *name; /* "sqlite", as in the configuration */
    /* Decides and records `n` claims (1..SLASH_BATCH_MAX) in one durable transaction. Required. */
    cc_err (*check_and_record)(struct slash_store *store,
                               const struct slash_claim *claims,
                               size_t n,
                               struct slash_verdict *ret_verdicts);
    /* Makes protection rows for keys that have none, with `floor` (or NULL) for low watermarks; keys that have a row
     * keep it as it is. Durable. Required. */
    cc_err (*register_keys)(struct slash_store *store,
                            const struct eth_pubkey *keys,
                            size_t n,
                            const struct slash_watermark *floor);
    /* Enables or disables a key (the tombstone of a deleted key); asserts nothing about its records. Required. */
    cc_err (*set_enabled)(struct slash_store *store, const struct eth_pubkey *key, bool enabled);
    /* Merges one validator's records (slash/merge.h has the rules); makes the row, enabled as `validator` says,
     * when there is none; watermarks only move up. Durable and atomic per call. Required. */
    cc_err (*merge)(struct slash_store *store,
                    const struct slash_validator *validator,
                    struct slash_import_report *report);
    /* Calls `visit` for every validator, or only for `only` when it is not NULL, in order of public key. Required. */
    cc_err (*visit)(struct slash_store *store,
                    const struct eth_pubkey *only,
                    slash_visit_fn *visit,
                    void *context);
    /* Deletes each key's records older than its newest target less `keep_epochs` (and its newest slot less as
     * many slots); watermarks move up to what stays, never down. One bounded step of a pass over all keys.
     * Required. */
    cc_err (*prune)(struct slash_store *store,
                    uint64_t keep_epochs,
                    uint64_t slots_per_epoch,
                    struct slash_prune_step *ret_step);
    /* One bounded step (about 20 ms) of the store's own upkeep; *ret_more says that there is more. Required. */
    cc_err (*maintain)(struct slash_store *store, bool *ret_more);
    cc_err (*status)(struct slash_store *store, struct slash_status *ret_status);
    /* Sets the genesis_validators_root where none is fixed; the same one again is fine; another is IDENTITY. Required. */
    cc_err (*fix_genesis)(struct slash_store *store, const struct eth_root *root);
    /* Sets or (with .set false) clears the high watermark. Durable. Required. */
    cc_err (*set_high)(struct slash_store *store, const struct slash_high *high);
    /* Raises the ceiling to `epoch`, or leaves it where it is higher. Durable. Required. */
    cc_err (*set_ceiling)(struct slash_store *store, uint64_t epoch);
    /* Raises every low watermark, of each key that has a row, to at least `floor`, which has slot and epochs; *ret_count
     * tells how many keys there are. Durable; repeatable after an error. Required. */
    cc_err (*raise_all)(struct slash_store *store,
                        const struct slash_watermark *floor,
                        uint64_t *ret_count);
    /* Only of a backend whose database can fail over; NULL together elsewhere.
     * Begin, after an operation that ended with TIMELINE: looks at what the database is now, without judging it. Until
     * slash_store_close() or confirmation only visit, merge, register_keys and raise_all work, on whatever timeline it is.
     * Confirm: this replica has compared its own records with this timeline and raised what is missing; *ret_waiting
     * tells how many others have yet to. At 0, or with `for_all`, the timeline is the history's from now on. */
    cc_err (*timeline_begin)(struct slash_store *store, struct slash_timeline *ret_timeline);
    cc_err (*timeline_confirm)(struct slash_store *store, bool for_all, uint64_t *ret_waiting);
    /* Compares the history with this replica's mirror, one bounded step of a pass over all keys; what differs is dealt with as
     * it is at a start, but that the store stays open. Only of a guard; NULL elsewhere. */
    cc_err (*verify)(struct slash_store *store,
                     struct slash_verify_report *ret_report,
                     bool *ret_more);
    /* --- optional: NULL where doing it one by one is as good --- */

    /* merge() for `n` validators of different keys, in as few transactions as there can be; each validator is atomic. On an
     * error those whose report is not zero are merged. */
    cc_err (*merge_many)(struct slash_store *store,
                         const struct slash_validator *validators,
                         size_t n,
                         struct slash_import_report *reports);
    /* visit() for at most `max` validators whose key comes after `after` (NULL: from the first on). */
    cc_err (*visit_after)(struct slash_store *store,
                          const struct eth_pubkey *after,
                          size_t max,
                          slash_visit_fn *visit,
                          void *context);

    /* A look whether the store works, and at the high watermark, without counting anything. Optional: NULL is status. */
    cc_err (*probe)(struct slash_store *store, struct slash_high *ret_high);
    /* status() in a bounded time, whatever the history has; `counted` says how well. Optional: NULL is status. */
    cc_err (*estimate)(struct slash_store *store, struct slash_status *ret_status);
    /* Frees and unlocks. Required. */
    void (*close)(struct slash_store *store);
};

/* First member of every backend's own struct. */
struct slash_store {
    const struct slash_store_ops *ops;
    struct slash_identity identity;
    /* How many commits of this replica the backend has counted so far, the last one included; 0 where none counts. */
    uint64_t position;
    /* How many rows the last register_keys() made with its floor; 0 where nobody counts. */
    uint64_t rows_made;
    /* private */
    int busy;
};

/* The callers' side of the ops, with the checks common to all backends. */
CC_ERR slash_check_and_record(struct slash_store *store,
                              const struct slash_claim *claims,
                              size_t n,
                              struct slash_verdict *ret_verdicts);
CC_ERR slash_register_keys(struct slash_store *store,
                           const struct eth_pubkey *keys,
                           size_t n,
                           const struct slash_watermark *floor);
CC_ERR slash_set_enabled(struct slash_store *store, const struct eth_pubkey *key, bool enabled);
CC_ERR slash_merge(struct slash_store *store,
                   const struct slash_validator *validator,
                   struct slash_import_report *report);
/* The same for 1..SLASH_MERGE_MAX validators, `reports` one for each. In few transactions where the store can and no key comes
 * twice; on an error those whose report is not zero are merged, and all can be merged again.
 */
CC_ERR slash_merge_many(struct slash_store *store,
                        const struct slash_validator *validators,
                        size_t n,
                        struct slash_import_report *reports);
CC_ERR slash_visit(struct slash_store *store,
                   const struct eth_pubkey *only,
                   slash_visit_fn *visit,
                   void *context);
/* The next 1..SLASH_MERGE_MAX validators after `after` (NULL: the first ones): one bounded step of a walk during which the
 * store may change.
 */
CC_ERR slash_visit_after(struct slash_store *store,
                         const struct eth_pubkey *after,
                         size_t max,
                         slash_visit_fn *visit,
                         void *context);
CC_ERR slash_prune(struct slash_store *store,
                   uint64_t keep_epochs,
                   uint64_t slots_per_epoch,
                   struct slash_prune_step *ret_step);
CC_ERR slash_maintain(struct slash_store *store, bool *ret_more);
CC_ERR slash_status(struct slash_store *store, struct slash_status *ret_status);
CC_ERR slash_fix_genesis(struct slash_store *store, const struct eth_root *root);
CC_ERR slash_set_high(struct slash_store *store, const struct slash_high *high);
/* As slash_set_high(). One that stands is only lowered, unless `force`: who took over may have begun at it. HANDED_OVER otherwise,
 * and *ret_stands is the one that stands. Of two processes that do this at once on one database, one may miss the other's.
 */
CC_ERR slash_hand_over(struct slash_store *store,
                       const struct slash_high *high,
                       bool force,
                       struct slash_high *ret_stands);
CC_ERR slash_probe(struct slash_store *store, struct slash_high *ret_high);
CC_ERR slash_estimate(struct slash_store *store, struct slash_status *ret_status);
CC_ERR slash_set_ceiling(struct slash_store *store, uint64_t epoch);
CC_ERR slash_raise_all(struct slash_store *store,
                       const struct slash_watermark *floor,
                       uint64_t *ret_count);
/* True when the next two may be called. */
bool slash_has_timeline(const struct slash_store *store);
CC_ERR slash_timeline_begin(struct slash_store *store, struct slash_timeline *ret_timeline);
CC_ERR slash_timeline_confirm(struct slash_store *store, bool for_all, uint64_t *ret_waiting);
/* True when slash_verify() may be called: again and again until *ret_more is false, and then the report is whole. */
bool slash_has_verify(const struct slash_store *store);
CC_ERR
slash_verify(struct slash_store *store, struct slash_verify_report *ret_report, bool *ret_more);
void slash_store_close(struct slash_store *store);

/* --- backends: the only exported symbols of each --------------------------------------------------- */

/* Makes an empty SQLite history at `path`; EXISTS if anything is there, FILESYSTEM as for opening. Only `init`
 * calls it. `identity` may come without a genesis root.
 */
CC_ERR
slash_sqlite_create(const char *path, bool production, const struct slash_identity *identity);
/* Opens it: takes the flock on `path`.lock for life (LOCKED, and *ret_holder_pid when known), refuses overlay,
 * memory and network file systems when `production`. The database file is never opened outside SQLite (T10).
 * HISTORY_MISSING when there is nothing at `path`: opening never makes a history (P3).
 *
 * The core calls slash_maintain() while no claims wait; without it the store still works, and does its upkeep
 * inside slash_check_and_record() when it becomes urgent.
 */
CC_ERR slash_sqlite_open(const char *path,
                         bool production,
                         struct slash_store **ret_store,
                         int *ret_holder_pid);
/* The oracle of the conformance suite: obvious, slow, forgets at close. */
CC_ERR slash_memory_open(const struct slash_identity *identity, struct slash_store **ret_store);
/* No protection at all: every claim is SAFE. The single named exception to "durable before signed", for tests
 * and benchmarks; only an explicit configuration (i_accept_slashing_risk) may open it.
 */
CC_ERR slash_noop_open(const struct slash_identity *identity, struct slash_store **ret_store);

#endif
