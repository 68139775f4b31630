/* slash/dynamodb.h - the history in a DynamoDB table.
 *
 * WHAT      One table: an item for the history, a head for each key, an item for each older record (docs/formats.md).
 * PROMISE   As slash/store.h, with any number of signers on one table. A claim becomes true in one write of one item: the
 *           head, which goes from one version to the next and carries the newest records; a record is an item of its own
 *           before it leaves the head. So no decision rests on two items being read at one moment, and a call that was not
 *           answered is decided by reading the head again. A table that is replicated (global tables), that expires items
 *           (TTL), or that is not the very table the history was made in (T27) is refused, at opening and each minute.
 * THREADS   As slash/store.h: one thread for a store.
 * OWNERSHIP slash_store_close(). Borrows the session.
 * ERRORS    STORE (no table now), CONFLICT (another client in the way), HISTORY_MISSING, IDENTITY (another history, or a table
 *           that is not fit), TIMELINE (the table was restored or copied), EXISTS, CONFIG, KEY_INVALID (bytes that are no public key), TAMPERED,
 *           NO_MEMORY.
 * SECRETS   None of its own.
 */
#ifndef SLASH_DYNAMODB_H
#define SLASH_DYNAMODB_H

#include "aws/session.h"
#include "slash/store.h"

/* Makes an empty history in `table`; makes the table where there is none and that is allowed. EXISTS when anything is in the
 * table. Only `init` calls it.
 */
CC_ERR slash_dynamodb_create(struct aws_session *session,
                             const char *table,
                             const struct slash_identity *identity);
/* Takes back the history that slash_dynamodb_create() made, while no key was registered since: for an init that failed
 * later. The table stays.
 */
void slash_dynamodb_forget(struct aws_session *session,
                           const char *table,
                           const struct slash_identity *identity);
/* Opens it. HISTORY_MISSING when there is none: opening never makes a history (P3). */
CC_ERR
slash_dynamodb_open(struct aws_session *session, const char *table, struct slash_store **ret_store);
/* Opens it in whatever table it is: for a repair, never to sign. */
CC_ERR slash_dynamodb_open_for_repair(struct aws_session *session,
                                      const char *table,
                                      struct slash_store **ret_store);
/* From now on the table that it was opened in is the right one. Raise the low watermarks first. */
CC_ERR slash_dynamodb_confirm_table(struct slash_store *store);

#endif
