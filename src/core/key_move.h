/* core/key_move.h - all keys of one key store into another one, while this signer is stopped.
 *
 * WHAT      Rows are sealed for chamber, public key, status and version, not for a store: so they are copied as they are, tombstones too, and
 *           nobody opens one. The state store's records say which store counts:
 *             1. the source's record gets the mark MOVING: nobody loads a key from there any more
 *             2. the rows are written to the target
 *             3. in one commit the target's record gets the digest of its rows, and the source's the mark MOVED
 *           A target that is in use already (another replica's, with its record) takes what it has not, by its own steps; where it has the
 *           key, its own row stands.
 * PROMISE   There is no moment in which both stores load the same key: before step 1 the source does, after step 3 the target, in between
 *           neither. Whatever is killed, the same order goes on from there; until step 3 `cancel` goes back, but for a target that is in
 *           use. A store that a running signer uses is not moved from. A target without a record is one whose rows are all the source's own,
 *           or older ones of the same keys; anything else in it is refused. The history is not touched.
 * THREADS   The control thread of an order; there are no others.
 * OWNERSHIP Borrows.
 * ERRORS    As core/key_order.h; EXISTS (the target has other rows), KEYS_MOVED (elsewhere), TAMPERED and what else makes the source
 *           refused, those of keys/store.h. Moved before, and to the same store: nothing to do.
 * SECRETS   Sealed rows.
 */
#ifndef CORE_KEY_MOVE_H
#define CORE_KEY_MOVE_H

#include "core/key_order.h"

/* How the answer begins where the chamber has no record of such a store. */
#define KEY_MOVE_NOTHING "nothing to move"

CC_ERR key_move(struct key_order *order,
                enum key_book_kind from,
                enum key_book_kind to,
                struct buf *ret_answer);
CC_ERR key_move_cancel(struct key_order *order, enum key_book_kind from, struct buf *ret_answer);

#endif
