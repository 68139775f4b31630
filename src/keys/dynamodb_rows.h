/* keys/dynamodb_rows.h - the items of a key store in DynamoDB as JSON attributes, and back.
 *
 * WHAT      Two shapes of item: the store's head, and one row for each key (docs/formats.md).
 * PROMISE   What was written is read back equal. An attribute that is missing, unknown, of another type or out of range, and a sort
 *           key of another form, is TAMPERED: nothing is guessed.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows; text goes to the caller's buf; structs hold no pointers.
 * ERRORS    TAMPERED, LIMIT, NO_MEMORY.
 * SECRETS   Sealed rows.
 */
#ifndef KEYS_DYNAMODB_ROWS_H
#define KEYS_DYNAMODB_ROWS_H

#include "aws/dynamodb_table.h"
#include "codec/json.h"
#include "keys/store.h"

enum {
    DYNAMODB_KEY_SHARDS = 16,
    DYNAMODB_KEY_TOKEN_SIZE = 16,
    DYNAMODB_KEY_CHANGE_SIZE = 48 + 1 + 4 + 8 + SEALED_KEY_SIZE /* of one row in a head */
};

/* All that decides: a change is made when the head that holds it is. */
struct dynamodb_key_head {
    uint8_t id[KEY_STORE_ID_SIZE];
    uint8_t chamber[KEY_STORE_CHAMBER_SIZE];
    char table_id[DYNAMODB_TABLE_ID_MAX];
    uint64_t mark;
    uint8_t token[DYNAMODB_KEY_TOKEN_SIZE]; /* who made this mark */
    size_t count;
    struct sealed_row rows[KEY_STORE_CHANGE_MAX]; /* of the newest change */
};

/* Where a row lies: shards are in order of public key. False for bytes that are no public key of a validator. */
bool dynamodb_key_shard(const struct eth_pubkey *pubkey, unsigned *ret_shard);
/* Appends {"pk":…,"sk":…}. */
CC_ERR dynamodb_key_head_place(struct buf *out);
CC_ERR dynamodb_key_row_place(struct buf *out, const struct eth_pubkey *pubkey);

/* Each appends the whole item. */
CC_ERR dynamodb_key_head_append(struct buf *out, const struct dynamodb_key_head *head);
CC_ERR dynamodb_key_row_append(struct buf *out, const struct sealed_row *row);

CC_ERR dynamodb_key_head_read(struct jval item, struct dynamodb_key_head *ret_head);
CC_ERR dynamodb_key_row_read(struct jval item, struct sealed_row *ret_row);

#endif
