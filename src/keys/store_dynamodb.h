/* keys/store_dynamodb.h - a key store in a DynamoDB table, which replicas share.
 *
 * WHAT      Items beside a history or a state store, or in a table of their own (docs/formats.md); one chamber for a table.
 * PROMISE   As keys/store.h. A change is one conditional write; one that was not answered is looked for before anything is said of it.
 *           A table that is replicated, expires items, or is not the one that the store was begun in, is refused, and looked at again
 *           each minute of use (T27).
 * THREADS   As keys/store.h: one thread for a store; any number of stores and processes for a table.
 * OWNERSHIP key_store_close(). Borrows the session.
 * ERRORS    As keys/store.h.
 * SECRETS   None in clear.
 */
#ifndef KEYS_STORE_DYNAMODB_H
#define KEYS_STORE_DYNAMODB_H

#include "aws/session.h"
#include "keys/store.h"

/* Makes the table where there is none; what is there is kept. */
CC_ERR key_store_dynamodb_make(struct aws_session *session, const char *table);
/* Asks nothing before the first use. `chamber`: whose store it is, or becomes. */
CC_ERR key_store_dynamodb_open(struct aws_session *session,
                               const char *table,
                               const uint8_t chamber[static KEY_STORE_CHAMBER_SIZE],
                               struct key_store **ret_store);

#endif
