/* slash/dynamodb_item.h - the items of a DynamoDB history as JSON attributes, and back.
 *
 * WHAT      Three shapes of item: the history's own, one head for each key, one for each record (docs/formats.md). Written
 *           from a table of attributes, and read by the same table.
 * PROMISE   What was written is read back equal, numbers to 2^64-1. An attribute that is missing, unknown, of another type or
 *           out of range, or a sort key of another form, is TAMPERED: nothing is guessed. (Items of a global table of version
 *           2017.11.29 carry attributes `aws:rep:*`, so they are refused here.)
 * THREADS   Any: pure.
 * OWNERSHIP Borrows; text goes to the caller's buf; structs hold no pointers.
 * ERRORS    TAMPERED, LIMIT, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef SLASH_DYNAMODB_ITEM_H
#define SLASH_DYNAMODB_ITEM_H

#include "aws/dynamodb_table.h"
#include "codec/json.h"
#include "slash/store.h"

enum {
    DYNAMODB_FORMAT = 1,
    DYNAMODB_SHARDS = 16,
    DYNAMODB_RECENT_MAX =
        8, /* records in a head: it stays below 1 kB, which is one unit of writing */
    DYNAMODB_SORT_MAX = 160 /* of a sort key, with its terminator */
};

/* A block or an attestation. `version`: that of the head which has it first; see dynamodb_history.h. */
struct dynamodb_record {
    enum slash_claim_kind kind;
    uint64_t number; /* slot or target */
    uint64_t source; /* attestations */
    bool has_root;
    struct signing_root root;
    uint64_t version;
};

/* All that decides about one key, but for its older records. Changed only as a whole, and only from `version` to the next. */
struct dynamodb_head {
    struct eth_pubkey pubkey;
    uint64_t version;
    bool enabled;
    uint64_t
        high_version; /* of the history's high watermark that stands here; 0: none yet, and nothing may be signed */
    struct slash_high high;
    struct slash_watermark low;
    bool has_block; /* maxima of all records, here and in items of their own */
    uint64_t max_slot;
    bool has_attestation;
    uint64_t max_source;
    uint64_t max_target;
    uint64_t blocks; /* how many there are of each */
    uint64_t attestations;
    uint64_t merging;       /* 0, or the first version of an import that is not complete */
    uint64_t merging_since; /* wall clock, ms */
    struct dynamodb_record recent[DYNAMODB_RECENT_MAX]; /* in no item of their own yet */
    size_t recent_count;
};

/* The history's own item. */
struct dynamodb_root {
    uint64_t version;
    uint64_t format;
    struct slash_identity identity;
    char table_id[DYNAMODB_TABLE_ID_MAX];
    struct slash_high high;
    uint64_t high_version; /* counts the changes of `high`, from 1 */
    uint64_t high_spread;  /* the one that is known to stand in every head */
    bool has_ceiling;
    uint64_t ceiling;
};

/* --- keys ---------------------------------------------------------------------------------------------------------- */

/* Where a key's items lie: shards are in order of public key. False for bytes that are no compressed point of BLS12-381's
 * G1 group, whose first two bits are 1 and 0: no key of a validator.
 */
bool dynamodb_shard(const struct eth_pubkey *pubkey, unsigned *ret_shard);
void dynamodb_head_sort(const struct eth_pubkey *pubkey, char ret_sort[static DYNAMODB_SORT_MAX]);
/* The sort key of one record; of all records of a key those between _first and _last. */
void dynamodb_record_sort(const struct eth_pubkey *pubkey,
                          enum slash_claim_kind kind,
                          uint64_t number,
                          char ret_sort[static DYNAMODB_SORT_MAX]);
void dynamodb_records_first(const struct eth_pubkey *pubkey,
                            char ret_sort[static DYNAMODB_SORT_MAX]);
void dynamodb_records_last(const struct eth_pubkey *pubkey,
                           char ret_sort[static DYNAMODB_SORT_MAX]);
/* Appends {"pk":…,"sk":…}. */
CC_ERR dynamodb_key_append(struct buf *out, const struct eth_pubkey *pubkey, const char *sort);
CC_ERR dynamodb_root_key_append(struct buf *out);

/* --- items ----------------------------------------------------------------------------------------------------------- */

/* Each appends the whole item, {"pk":…,"sk":…,…}. */
CC_ERR dynamodb_head_append(struct buf *out, const struct dynamodb_head *head);
CC_ERR dynamodb_record_append(struct buf *out,
                              const struct eth_pubkey *pubkey,
                              const struct dynamodb_record *record);
CC_ERR dynamodb_root_append(struct buf *out, const struct dynamodb_root *root);

CC_ERR dynamodb_head_read(struct jval item, struct dynamodb_head *ret_head);
CC_ERR dynamodb_record_read(struct jval item,
                            struct eth_pubkey *ret_pubkey,
                            struct dynamodb_record *ret_record);
CC_ERR dynamodb_root_read(struct jval item, struct dynamodb_root *ret_root);

#endif
