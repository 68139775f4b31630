/* slash/dynamodb_db.h - the calls that a history makes of one DynamoDB table.
 *
 * WHAT      The body of each call, what its answer says, and the same with one item at a time for what nobody waits for.
 * PROMISE   Reads are strongly consistent: they show every write that was answered before. A head or the history's own item is
 *           written only over the version before it, so of two writers of one version one has CONFLICT.
 * THREADS   One thread.
 * OWNERSHIP dynamodb_db_close(). Answers are read in db->doc: valid until the next one.
 * ERRORS    STORE (not now; error_detail() tells why), CONFLICT (a condition), HISTORY_MISSING (no table), TAMPERED,
 *           NO_MEMORY, LIMIT.
 * SECRETS   None.
 */
#ifndef SLASH_DYNAMODB_DB_H
#define SLASH_DYNAMODB_DB_H

#include "aws/dynamodb_table.h"
#include "slash/dynamodb_judge.h"

enum {
    DYNAMODB_PAGE = 400,      /* items of one read */
    DYNAMODB_WRITES_MAX = 25, /* items of one BatchWriteItem */
    DYNAMODB_FENCED_MAX = 99, /* items of one TransactWriteItems, beside its condition */
    DYNAMODB_BODY_MAX = 1 << 20,
    DYNAMODB_WORK_MS = 10000 /* for one call that nobody waits for */
};

struct dynamodb_db {
    char table[DYNAMODB_TABLE_NAME_MAX];
    /* private */
    struct aws_client *client;
    struct jdoc doc;
    struct buf answer; /* what `doc` was parsed from */
    struct buf body;   /* of the call at hand */
    /* All calls pass here: aws_call_many(), or what a test puts before it. */
    cc_err (*send)(struct dynamodb_db *db, struct aws_call *calls, size_t count);
    /* dynamodb_table_describe(), or a test's. */
    cc_err (*describe)(struct aws_client *client,
                       const char *name,
                       struct dynamodb_table *ret_table);
};

CC_ERR dynamodb_db_open(struct dynamodb_db *db, struct aws_session *session, const char *table);
void dynamodb_db_close(struct dynamodb_db *db);

/* --- bodies ---------------------------------------------------------------------------------------------------------- */

CC_ERR dynamodb_body_get_head(const struct dynamodb_db *db,
                              const struct eth_pubkey *pubkey,
                              struct buf *out);
/* Over the version before head->version; a first version where there is no head. */
CC_ERR dynamodb_body_put_head(const struct dynamodb_db *db,
                              const struct dynamodb_head *head,
                              struct buf *out);

/* Items of one shard whose sort keys lie from `first` to `last`, both included, or behind `after` when it is not "". */
struct dynamodb_range {
    unsigned shard;
    char first[DYNAMODB_SORT_MAX];
    char last[DYNAMODB_SORT_MAX];
    char after[DYNAMODB_SORT_MAX];
    unsigned limit; /* items of a page */
};
CC_ERR dynamodb_body_query(const struct dynamodb_db *db,
                           const struct dynamodb_range *range,
                           struct buf *out);
/* At most DYNAMODB_WRITES_MAX. */
CC_ERR dynamodb_body_put_records(const struct dynamodb_db *db,
                                 const struct eth_pubkey *pubkey,
                                 const struct dynamodb_record *records,
                                 size_t count,
                                 struct buf *out);
CC_ERR dynamodb_body_delete_records(const struct dynamodb_db *db,
                                    const struct eth_pubkey *pubkey,
                                    const struct dynamodb_record *records,
                                    size_t count,
                                    struct buf *out);
/* Puts that are made only while the head has `version`; at most DYNAMODB_FENCED_MAX. */
CC_ERR dynamodb_body_fenced_records(const struct dynamodb_db *db,
                                    const struct eth_pubkey *pubkey,
                                    uint64_t version,
                                    const struct dynamodb_record *records,
                                    size_t count,
                                    struct buf *out);

/* --- answers --------------------------------------------------------------------------------------------------------- */

/* What the end of a call means for the store. */
cc_err dynamodb_db_error(const struct aws_call *call);
/* Takes the answer out of the call and parses it. */
CC_ERR dynamodb_answer(struct dynamodb_db *db, struct aws_call *call, struct jval *ret_answer);
/* `Item` of the answer; of another key than `pubkey`: TAMPERED. *ret_found false when there is none. */
CC_ERR dynamodb_answer_head(struct jval answer,
                            const struct eth_pubkey *pubkey,
                            bool *ret_found,
                            struct dynamodb_head *ret_head);
/* Where the next page begins: the range's `after`; "" when there is none. */
CC_ERR dynamodb_answer_after(struct jval answer, char ret_after[static DYNAMODB_SORT_MAX]);
CC_ERR dynamodb_answer_items(struct jval answer, struct jval_iter *ret_items);
/* Adds all records of a page to the list; one of another key than `pubkey`: TAMPERED. */
CC_ERR dynamodb_answer_records(struct jval answer,
                               const struct eth_pubkey *pubkey,
                               struct dynamodb_records *list);
/* False when the service has left some out of a BatchWriteItem. */
bool dynamodb_answer_all_written(struct jval answer);

/* --- one call at a time ------------------------------------------------------------------------------------------------ */

/* Sends db->body; returns its error, or its answer parsed. */
CC_ERR dynamodb_ask(struct dynamodb_db *db, const char *operation, struct jval *ret_answer);
CC_ERR dynamodb_get_head(struct dynamodb_db *db,
                         const struct eth_pubkey *pubkey,
                         bool *ret_found,
                         struct dynamodb_head *ret_head);
/* CONFLICT when the version before is not there, nor this one. */
CC_ERR dynamodb_put_head(struct dynamodb_db *db, const struct dynamodb_head *head);
/* All pages of a range. */
CC_ERR dynamodb_get_records(struct dynamodb_db *db,
                            const struct eth_pubkey *pubkey,
                            struct dynamodb_range *range,
                            struct dynamodb_records *list);
CC_ERR dynamodb_put_records(struct dynamodb_db *db,
                            const struct eth_pubkey *pubkey,
                            const struct dynamodb_record *records,
                            size_t count);
CC_ERR dynamodb_delete_records(struct dynamodb_db *db,
                               const struct eth_pubkey *pubkey,
                               const struct dynamodb_record *records,
                               size_t count);
/* HISTORY_MISSING when there is none. */
CC_ERR dynamodb_get_root(struct dynamodb_db *db, struct dynamodb_root *ret_root);
CC_ERR dynamodb_put_root(struct dynamodb_db *db, const struct dynamodb_root *root);
/* Removes it when it is this history's. */
CC_ERR dynamodb_drop_root(struct dynamodb_db *db, const uint8_t history_id[static 32]);

/* All of a key's records; those of one kind from `first` to `last`. */
void dynamodb_range_of_key(const struct eth_pubkey *pubkey, struct dynamodb_range *ret_range);
void dynamodb_range_of_kind(const struct eth_pubkey *pubkey,
                            enum slash_claim_kind kind,
                            uint64_t first,
                            uint64_t last,
                            struct dynamodb_range *ret_range);
/* All heads of a shard. */
void dynamodb_range_of_heads(unsigned shard, struct dynamodb_range *ret_range);

#endif
