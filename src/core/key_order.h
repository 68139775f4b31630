/* core/key_order.h - key stores that are given up: what an order does with the state store's records of them.
 *
 * WHAT      Lists the records `keys/<name>`; forgets one whose store is gone. And what core/key_move.h needs of the same kind: asking whether
 *           anybody uses a store, and changing records on condition that nobody else has.
 * PROMISE   A store that is configured here, or that a running signer uses, is not forgotten: each such signer takes the mark ASKED away
 *           as soon as it sees it. A store whose record was forgotten loads nowhere any more: its rows fit no record. What is
 *           done is written to the audit log, before it is answered.
 * THREADS   The control thread of an order; there are no others.
 * OWNERSHIP Borrows.
 * ERRORS    NAME_UNKNOWN (no such record), CONFLICT (it is in use, or has changed meanwhile), SEAL_STATE, KEY_STORE, and those of the state store.
 * SECRETS   None.
 *
 * The authority is that of an order: who has chamber.key, the configuration and the state store at hand, with the signer stopped. Nobody else
 * can ask: there is no route, and no message of the front, that leads here.
 */
#ifndef CORE_KEY_ORDER_H
#define CORE_KEY_ORDER_H

#include "core/audit.h"
#include "core/order_progress.h"
#include "core/stores.h"

struct key_order {
    const struct config *config;
    struct vault_call *vault;
    struct stores *stores;
    struct state_signer signer;
    struct audit *audit; /* after key_order_begin() */
    const struct order_progress *progress;
};

/* Opens the audit log: what can't be written down is not done. */
CC_ERR key_order_begin(struct key_order *order);
/* Writes what was done, and ends the log. `err`: how it went. */
CC_ERR
key_order_end(struct key_order *order, const char *operation, const char *subject, cc_err err);

/* One record, read. */
struct key_order_record {
    bool there;
    uint64_t version; /* 0: it is not there */
    struct key_book_record record;
};

/* `changes` on condition that each record still has its version; others may commit meanwhile. CONFLICT: one has not. */
CC_ERR
key_order_commit(const struct key_order *order, const struct state_change *changes, size_t n);
CC_ERR key_order_find(const struct key_order *order,
                      const char *name,
                      struct key_order_record *ret_record);
/* CONFLICT: a signer has said that it uses this store. The record's version is another then, or now. Of a store that was lost in the middle
 * of a change the next digest stays.
 */
CC_ERR key_order_ask(const struct key_order *order, const char *name);

/* --- the orders ------------------------------------------------------------------------------------------------------ */

/* How the lines of a list speak: what stands behind a record's name is one of these with another's name, or "keys" and the like; without
 * records there is one line, and where not all have room the last one says so.
 */
#define KEY_ORDER_NONE   "no key store has been used here"
#define KEY_ORDER_MOVING "on their way to "
#define KEY_ORDER_MOVED  "moved to "
#define KEY_ORDER_CUT    "..."

/* A line for each record; without any, one that says so. */
CC_ERR key_order_list(struct key_order *order, struct buf *ret_answer);
/* `force`: nobody else runs, and it is not the store that is configured: said by the owner, where neither can be found out. */
CC_ERR
key_order_forget(struct key_order *order, const char *name, bool force, struct buf *ret_answer);

#endif
