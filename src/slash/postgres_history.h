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

#include "slash/backend.h"
#include "slash/postgres.h"
#include "sql/postgres_db.h"

enum {
    POSTGRES_FORMAT = 1,
    POSTGRES_SCHEMA = 12,
    POSTGRES_HOST_PATIENCE_MS = 1000,
    POSTGRES_SIGN_PATIENCE_MS = 2000,
    POSTGRES_WORK_PATIENCE_MS = 60000, /* what may take long, and nobody waits for */
    POSTGRES_STATE_MAX = 1024,
    POSTGRES_UNDER_WAY_MAX =
        16, /* transactions that an earlier life may have left to a slow server */
    POSTGRES_PLACE_MAX = 64,
    POSTGRES_ROW_NAME_MAX = 192,
    POSTGRES_ARRAY_MAX = 1 << 26
};

enum postgres_statement {
#define P(name, sql) POSTGRES_##name,
#include "slash/postgres_statement.def"
#undef P
    POSTGRES_STATEMENT_END
};
extern const struct postgres_schema postgres_history_schema;

struct postgres_history {
    struct slash_store base;
    char *url;
    struct postgres_db db;
    char state[POSTGRES_STATE_MAX];     /* POSTGRES_STATE of this connection */
    uint8_t writer[SLASH_REPLICA_SIZE]; /* our row of containment_heads */
    bool is_replica;                    /* it is a replica's, not a command's */
    uint64_t head;                      /* its count after our last commit; 0: none */
    bool counted;                       /* `head` is known: the database was asked once */
    uint64_t unsure; /* commits of ours beyond `head` that may become true without an answer */
    bool ending;     /* a COMMIT was sent and is not answered yet */
    bool unsettled;  /* between timeline_begin() and the last confirmation */
    bool said_timeline;
    bool said_head;                       /* that its row counts no further */
    char said_row[POSTGRES_ROW_NAME_MAX]; /* the row out of its domain that was named last */
    char compared
        [POSTGRES_PLACE_MAX]; /* while unsettled: cluster and timeline that are being compared */
    size_t claims_max; /* in one transaction: the server's lock table is for all its clients */
    bool opened;
    struct buf arrays[POSTGRES_PARAMS_MAX]; /* reused by every statement with arrays */
    uint64_t prune_after;                   /* the last validator of the pruning pass */
};

struct postgres_history *postgres_history_of(struct slash_store *store);
/* A connection that is what this history was opened as; made again when it was lost. */
CC_ERR postgres_history_ready(struct postgres_history *h, uint32_t patience_ms);
/* The same for what may only be done on a timeline that is the history's: TIMELINE while it is being compared. */
CC_ERR postgres_history_settled(struct postgres_history *h, uint32_t patience_ms);
void postgres_history_give_up(struct postgres_history *h);
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

/* --- timelines (postgres_timeline.c) ------------------------------------------------------------------------------- */

/* Cluster and timeline, as one text each: those the history is confirmed for, those the connection is on. */
struct postgres_place {
    const char *wanted;
    const char *found;
};
/* TIMELINE unless this replica may go on where the connection is. */
CC_ERR postgres_timeline_check(struct postgres_history *h, const struct postgres_place *at);
/* The same between begin and confirm: TIMELINE unless it is still what is being compared. */
CC_ERR postgres_timeline_stays(struct postgres_history *h, const struct postgres_place *at);
/* IDENTITY, and the row in the log once: our row has the highest number there is, so no transaction can count it up. */
CC_ERR postgres_head_is_full(struct postgres_history *h);
/* The count of our row, which is not below `head`: IDENTITY when somebody else counts it up as well. */
CC_ERR postgres_head_saw(struct postgres_history *h, uint64_t count);
cc_err postgres_timeline_begin(struct slash_store *store, struct slash_timeline *ret_timeline);
cc_err postgres_timeline_confirm(struct slash_store *store, bool for_all, uint64_t *ret_waiting);

/* Watermarks as three parameters: slot, source, target. `ret_low` keeps their text. */
struct postgres_low {
    char slot[24], source[24], target[24];
};
void postgres_put_low(struct postgres_params *params,
                      const struct slash_watermark *low,
                      struct postgres_low *ret_low);

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

/* Validators, and the records of them all: rows of POSTGRES_PAGE, POSTGRES_ONE or POSTGRES_MERGE_ROWS. */
struct postgres_page {
    PGresult *validators;
    PGresult *blocks;
    PGresult *votes;
};
/* Fetches the records of the page's validators. */
CC_ERR postgres_page_records(struct postgres_history *h, struct postgres_page *page);
/* One of them, which borrows `records`: those are the caller's to release, also after an error. TAMPERED when a row is out of
 * its domain: the log names it, once.
 */
CC_ERR postgres_page_validator(struct postgres_history *h,
                               const struct postgres_page *page,
                               int row,
                               struct postgres_records *records,
                               struct slash_validator *ret_validator);
void postgres_page_release(struct postgres_page *page);

/* --- the operations ------------------------------------------------------------------------------------------------ */

cc_err postgres_check_and_record(struct slash_store *store,
                                 const struct slash_claim *claims,
                                 size_t n,
                                 struct slash_verdict *ret_verdicts);
cc_err postgres_raise_all(struct slash_store *store,
                          const struct slash_watermark *floor,
                          uint64_t *ret_count);
cc_err postgres_merge(struct slash_store *store,
                      const struct slash_validator *validator,
                      struct slash_import_report *report);
cc_err postgres_merge_many(struct slash_store *store,
                           const struct slash_validator *validators,
                           size_t n,
                           struct slash_import_report *reports);
cc_err postgres_visit(struct slash_store *store,
                      const struct eth_pubkey *only,
                      slash_visit_fn *visit,
                      void *context);
cc_err postgres_visit_after(struct slash_store *store,
                            const struct eth_pubkey *after,
                            size_t max,
                            slash_visit_fn *visit,
                            void *context);
cc_err postgres_prune(struct slash_store *store,
                      uint64_t keep_epochs,
                      uint64_t slots_per_epoch,
                      struct slash_prune_step *ret_step);

#endif
