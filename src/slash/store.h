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
 *           HISTORY_MISSING, IDENTITY, FILESYSTEM, TAMPERED, NO_MEMORY, KEY_UNKNOWN (set_enabled). On any error: no signature for any claim of the batch.
 * SECRETS   None pass through here.
 */
#ifndef SLASH_STORE_H
#define SLASH_STORE_H

#include "base/error.h"

#include "slash/rules.h"

enum {
    SLASH_BATCH_MAX = 256
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

struct slash_status {
    uint64_t validators;
    uint64_t blocks;
    uint64_t attestations;
    struct slash_high high;
};

struct slash_import_report {
    uint64_t validators;
    uint64_t blocks; /* records added */
    uint64_t attestations;
    uint64_t known;         /* records that were there already */
    uint64_t contradictory; /* validators whose merged history is slashable in itself: reported,
                                    and folded into watermarks so that nothing loosens */
};

struct slash_prune_step {
    bool more;        /* the pass over all keys is not over: call again */
    uint64_t removed; /* records, by this step */
};

struct slash_store;

struct slash_store_ops {
    const char *name; /* "sqlite", as in the configuration */
    /* Decides and records `n` claims (1..SLASH_BATCH_MAX) in one durable transaction. Required. */
    cc_err (*check_and_record)(struct slash_store *store,
                               const struct slash_claim *claims,
                               size_t n,
                               struct slash_verdict *ret_verdicts);
    /* Makes protection rows for keys that have none; keys that have one keep it. Durable. Required. */
    cc_err (*register_keys)(struct slash_store *store, const struct eth_pubkey *keys, size_t n);
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
    /* Frees and unlocks. Required. */
    void (*close)(struct slash_store *store);
};

/* First member of every backend's own struct. */
struct slash_store {
    const struct slash_store_ops *ops;
    struct slash_identity identity;
    /* private */
    int busy;
};

/* The callers' side of the ops, with the checks common to all backends. */
CC_ERR slash_check_and_record(struct slash_store *store,
                              const struct slash_claim *claims,
                              size_t n,
                              struct slash_verdict *ret_verdicts);
CC_ERR slash_register_keys(struct slash_store *store, const struct eth_pubkey *keys, size_t n);
CC_ERR slash_set_enabled(struct slash_store *store, const struct eth_pubkey *key, bool enabled);
CC_ERR slash_merge(struct slash_store *store,
                   const struct slash_validator *validator,
                   struct slash_import_report *report);
CC_ERR slash_visit(struct slash_store *store,
                   const struct eth_pubkey *only,
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
