/* core/audit_order.h - the order to verify the audit log of a data directory.
 *
 * WHAT      Reads the segments, asks the vault for their keys and the state store for the anchor, and says what it found
 *           (core/audit_check.h).
 * PROMISE   The first line of the answer begins with AUDIT_INTACT or with AUDIT_TAMPERED. Nothing is changed.
 * THREADS   The control thread of a core that carries out an order.
 * OWNERSHIP Borrows.
 * ERRORS    IO, NO_MEMORY, TAMPERED (the anchor is none), and the vault's.
 * SECRETS   A segment's key, wiped.
 */
#ifndef CORE_AUDIT_ORDER_H
#define CORE_AUDIT_ORDER_H

#include "core/order_progress.h"
#include "core/stores.h"

#define AUDIT_INTACT   "audit log intact"
#define AUDIT_TAMPERED "audit log TAMPERED"

/* `first`: segments before it are kept elsewhere. */
CC_ERR audit_order_verify(const struct config *config,
                          uint64_t first,
                          struct vault_call *vault,
                          struct stores *stores,
                          const struct order_progress *progress,
                          struct buf *ret_answer);

#endif
