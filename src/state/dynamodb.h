/* state/dynamodb.h - the state store in a DynamoDB table, which replicas share.
 *
 * WHAT      Items of one partition (docs/formats.md), beside a history or in a table of their own; one chamber for a table.
 * PROMISE   As state/store.h. A change is one transaction; one that was not answered is looked for before anything is said of it.
 *           A table that is replicated, or expires items, is refused when the store is opened (T27).
 * THREADS   As state/store.h: one thread for a store; any number of stores and processes for a table.
 * OWNERSHIP state_store_close(). Borrows the session.
 * ERRORS    STATE (no table now, or not known to have taken the change), CONFLICT, TAMPERED (no table, items of another form),
 *           IDENTITY (the table is not fit), LOCKED, LIMIT (more than 99 records in one change), CONFIG, NO_MEMORY.
 * SECRETS   None in clear.
 */
#ifndef STATE_DYNAMODB_H
#define STATE_DYNAMODB_H

#include "aws/session.h"
#include "codec/json.h"
#include "state/store.h"

/* Makes the table where there is none; what is there is kept. Only `init` calls it. */
CC_ERR state_dynamodb_make(struct aws_session *session, const char *table);
/* Opens it, and takes the flock on `lock_path`.lock for life: a data directory serves one process. */
CC_ERR state_dynamodb_open(struct aws_session *session,
                           const char *table,
                           const char *lock_path,
                           struct state_store **ret_store);

/* One record of the table, for fuzzers too; the record owns its bytes. */
CC_ERR state_dynamodb_read(struct jval item, struct state_record *ret_record);

#endif
