/* slash/dynamodb_history.h - the inside of the DynamoDB backend, shared by its files.
 *
 * WHAT      The open history, and the operations on one key that its files share.
 * PROMISE   Of what is kept between two operations (dynamodb_cache.h) nothing is believed: a write that rests on it fails where
 *           the table has another version, and what needs no write is read.
 *
 * A head is the only place where something becomes true. It goes from one version to the next by a write under the condition
 * that its version is the one that was read. Records have the version of the head that had them first:
 *
 *  - A record leaves `recent` only when it is an item of its own. Who reads a head, and then the items, has all its records.
 *  - An item whose version is above the head's came later: the head is read again.
 *  - An import of many records first marks the head (`merging`: that version), then writes items under the condition that
 *    the head still has that version, then writes the head without the mark. While the mark stands nothing is signed with
 *    the key; another client may put its own mark in its place, and from then on the first one's writes fail. Items whose
 *    version is not below the mark belong to an import that is not complete.
 *
 * THREADS   One thread.   OWNERSHIP slash_store_close().   ERRORS As dynamodb.h.   SECRETS None.
 */
#ifndef SLASH_DYNAMODB_HISTORY_H
#define SLASH_DYNAMODB_HISTORY_H

#include "slash/backend.h"
#include "slash/dynamodb.h"
#include "slash/dynamodb_cache.h"
#include "slash/dynamodb_db.h"

enum {
    DYNAMODB_SIGN_MS = 2000,     /* for a batch */
    DYNAMODB_SIGN_CALL_MS = 700, /* for one call of it: one that hangs leaves the others time */
    DYNAMODB_CHECK_MS = 60000,   /* between two looks at the table */
    DYNAMODB_CHECK_AGAIN_MS = 5000,
    DYNAMODB_MERGE_LEASE_MS =
        30000,          /* an import that has not moved for so long is given up by others */
    DYNAMODB_TRIES = 20 /* of a change that others are in the way of */
};

/* Where a walk over all heads is; zero to begin. */
struct dynamodb_cursor {
    unsigned shard;
    char after[DYNAMODB_SORT_MAX];
};

struct dynamodb_history {
    struct slash_store base;
    struct dynamodb_db db;
    struct dynamodb_root root; /* as last read or written */
    char table_id[DYNAMODB_TABLE_ID_MAX];
    uint64_t checked_ms; /* when the table was found fit */
    bool for_repair;
    struct dynamodb_cache cache;
    bool has_marked; /* a key whose import is not complete was met */
    struct eth_pubkey marked;
    struct dynamodb_cursor pruned;     /* where the pass over all keys is */
    char said_item[DYNAMODB_SORT_MAX]; /* the item of another form that was named last */
};

struct dynamodb_history *dynamodb_history_of(struct slash_store *store);
/* Looks at the table when it is time; called first by every operation. */
CC_ERR dynamodb_history_ready(struct dynamodb_history *h);

/* --- the table (dynamodb_table.c) ---------------------------------------------------------------------------------------- */

/* The table's id, when a history may be in it. */
CC_ERR dynamodb_table_check(struct dynamodb_db *db, char ret_id[static DYNAMODB_TABLE_ID_MAX]);
/* What was found, as an error where a history can't be in it. */
CC_ERR dynamodb_table_fits(const char *name, cc_err err, const struct dynamodb_table *table);
CC_ERR dynamodb_table_is_empty(struct dynamodb_db *db, bool *ret_empty);

/* --- one key (dynamodb_keys.c) ---------------------------------------------------------------------------------------------- */

/* Changes a head in place; true when there is something to write. */
typedef bool dynamodb_edit_fn(void *context, struct dynamodb_head *head);
/* Reads the head, edits it, writes it, again and again while others are faster. KEY_UNKNOWN when there is none; CONFLICT while
 * an import is not complete.
 */
CC_ERR dynamodb_edit_head(struct dynamodb_history *h,
                          const struct eth_pubkey *pubkey,
                          dynamodb_edit_fn *edit,
                          void *context);
/* Makes a head where there is none; where there is one it stays as it is. */
CC_ERR dynamodb_make_head(struct dynamodb_history *h,
                          const struct eth_pubkey *pubkey,
                          bool enabled,
                          const struct slash_watermark *floor);
/* Calls `edit` for every key's head. */
CC_ERR dynamodb_edit_all(struct dynamodb_history *h,
                         dynamodb_edit_fn *edit,
                         void *context,
                         uint64_t *ret_count);
/* Writes the history's high watermark into every head that has an older one. */
CC_ERR dynamodb_spread_high(struct dynamodb_history *h);

/* --- walking (dynamodb_read.c) ------------------------------------------------------------------------------------------------ */

/* The next heads, at most `room`, in order of public key; the cursor moves on. *ret_more false when they were the last. */
CC_ERR dynamodb_page_heads(struct dynamodb_history *h,
                           struct dynamodb_cursor *cursor,
                           unsigned room,
                           struct dynamodb_head *ret_heads,
                           size_t *ret_count,
                           bool *ret_more);
/* Splits records into blocks and attestations, each in order and once. */
struct dynamodb_split {
    struct slash_block *blocks;
    size_t block_count;
    struct slash_attestation *attestations;
    size_t attestation_count;
};
CC_ERR dynamodb_split(const struct dynamodb_records *records, struct dynamodb_split *ret_split);
void dynamodb_split_release(struct dynamodb_split *split);

/* --- the operations -------------------------------------------------------------------------------------------------------- */

cc_err dynamodb_check_and_record(struct slash_store *store,
                                 const struct slash_claim *claims,
                                 size_t n,
                                 struct slash_verdict *ret_verdicts);
/* One validator; with `add` NULL only what an incomplete import has left is settled. */
CC_ERR dynamodb_merge_key(struct dynamodb_history *h,
                          const struct eth_pubkey *pubkey,
                          const struct slash_validator *add,
                          struct slash_import_report *report);
cc_err dynamodb_visit(struct slash_store *store,
                      const struct eth_pubkey *only,
                      slash_visit_fn *visit,
                      void *context);
cc_err dynamodb_visit_after(struct slash_store *store,
                            const struct eth_pubkey *after,
                            size_t max,
                            slash_visit_fn *visit,
                            void *context);
cc_err dynamodb_prune(struct slash_store *store,
                      uint64_t keep_epochs,
                      uint64_t slots_per_epoch,
                      struct slash_prune_step *ret_step);

#endif
