/* slash/repair.h - what an operator does to a whole history.
 *
 * WHAT      Low watermarks raised for every validator: after a fail-over, a restore, a move from another signer.
 * PROMISE   A watermark only moves up. Validators that were raised before an error stay so; it can be repeated.
 * THREADS   As slash/store.h.   OWNERSHIP Borrows.   ERRORS The store's; NO_MEMORY.   SECRETS None.
 */
#ifndef SLASH_REPAIR_H
#define SLASH_REPAIR_H

#include "slash/store.h"

/* Raises every validator's to `low`, which has slot and epochs; *ret_count tells how many validators there are. */
CC_ERR
slash_raise_all(struct slash_store *store, const struct slash_watermark *low, uint64_t *ret_count);

#endif
