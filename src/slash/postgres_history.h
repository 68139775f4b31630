/* slash/postgres_history.h - the inside of the PostgreSQL backend, shared by its files.
 *
 * WHAT      The open history: connection, what it was when it was opened; and the frame of every transaction that writes.
 * PROMISE   postgres_ended() returns CC_OK only when the transaction was committed, without a warning, by the same database on
 *           the same timeline with the same durability as when the connection was made (T6, T7). Nothing of a history is kept
 *           in memory, so nothing can run ahead of it.
 * THREADS   One thread.   OWNERSHIP slash_store_close().   ERRORS As postgres.h.   SECRETS The URL.
 */
#ifndef SLASH_POSTGRES_HISTORY_H
#define SLASH_POSTGRES_HISTORY_H

#include "slash/postgres.h"
#include "slash/postgres_db.h"

enum {
    POSTGRES_FORMAT = 1,
    POSTGRES_SCHEMA = 12,
    POSTGRES_HOST_PATIENCE_MS = 1000,
    POSTGRES_SIGN_PATIENCE_MS = 2000,
    POSTGRES_WORK_PATIENCE_MS = 60000, /* what may take long, and nobody waits for */
    POSTGRES_STATE_MAX = 1024,
    POSTGRES_ARRAY_MAX = 1 << 26
};

struct postgres_history {
    struct slash_store base;
    char *url;
    struct postgres_db db;
    char state[POSTGRES_STATE_MAX]; /* POSTGRES_STATE of this connection */
    char writer[16];                /* our row of containment_heads */
    uint64_t head;                  /* its count after our last commit; 0: none in this life */
    size_t claims_max; /* in one transaction: the server's lock table is for all its clients */
    bool opened;
    bool for_repair;
    struct buf arrays[POSTGRES_PARAMS_MAX]; /* reused by every statement with arrays */
    uint64_t prune_after;                   /* the last validator of the pruning pass */
};

struct postgres_history *postgres_history_of(struct slash_store *store);
/* A connection that is what this history was opened as; made again when it was lost. */
CC_ERR postgres_history_ready(struct postgres_history *h, uint32_t patience_ms);
/* Returns `err`; after an error the connection is ready for the next use, or closed. */
CC_ERR postgres_history_done(struct postgres_history *h, cc_err err);

/* A transaction is: postgres_begin(), statements, postgres_end_sent() in one go or after other round trips; then
 * postgres_begun(), their answers, postgres_ended().
 */
CC_ERR postgres_begin(struct postgres_history *h);
CC_ERR postgres_end_sent(struct postgres_history *h);
CC_ERR postgres_begun(struct postgres_history *h);
CC_ERR postgres_ended(struct postgres_history *h);
/* One statement in a transaction of its own; how many rows it touched. */
CC_ERR postgres_run(struct postgres_history *h,
                    enum postgres_statement which,
                    const struct postgres_params *params,
                    uint64_t *ret_rows);

/* --- rows (postgres_read.c) -------------------------------------------------------------------------------------- */

/* Sends a statement and its end mark, and takes the one answer. */
CC_ERR postgres_fetch(struct postgres_history *h,
                      enum postgres_statement which,
                      const struct postgres_params *params,
                      PGresult **ret_result);
/* A row of POSTGRES_PAGE or POSTGRES_ONE. */
CC_ERR postgres_row_validator(const PGresult *rows, int row, struct slash_validator *ret);

struct postgres_records {
    struct slash_block *blocks;
    struct slash_attestation *attestations;
    size_t block_count, attestation_count;
};
/* Rows [from, ...) of POSTGRES_BLOCKS and POSTGRES_VOTES that belong to `id`; *from moves behind them. */
CC_ERR
postgres_rows_blocks(const PGresult *rows, int *from, const char *id, struct postgres_records *r);
CC_ERR
postgres_rows_votes(const PGresult *rows, int *from, const char *id, struct postgres_records *r);
void postgres_records_release(struct postgres_records *records);

/* --- the operations ------------------------------------------------------------------------------------------------ */

cc_err postgres_check_and_record(struct slash_store *store,
                                 const struct slash_claim *claims,
                                 size_t n,
                                 struct slash_verdict *ret_verdicts);
cc_err postgres_merge(struct slash_store *store,
                      const struct slash_validator *validator,
                      struct slash_import_report *report);
cc_err postgres_visit(struct slash_store *store,
                      const struct eth_pubkey *only,
                      slash_visit_fn *visit,
                      void *context);
cc_err postgres_prune(struct slash_store *store,
                      uint64_t keep_epochs,
                      uint64_t slots_per_epoch,
                      struct slash_prune_step *ret_step);

#endif
