/* slash/verify.h - is a validator's history whole in itself?
 *
 * WHAT      What the rules and every backend keep true of one validator's records and watermarks, looked at from outside.
 * PROMISE   A history that only this program and what it accepts have written has no fault. A fault is a sign of another
 *           writer, or of records that were taken out of their order by hand.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS What `found` returns.   SECRETS None.
 */
#ifndef SLASH_VERIFY_H
#define SLASH_VERIFY_H

#include "slash/store.h"

enum slash_fault {
    SLASH_FAULT_NONE,
    SLASH_FAULT_DOUBLE_BLOCK,
    SLASH_FAULT_DOUBLE_VOTE,
    SLASH_FAULT_SURROUND,
    SLASH_FAULT_SOURCE_AFTER_TARGET,
    SLASH_FAULT_NO_WATERMARK, /* there are records, and no low watermark */
    SLASH_FAULT_END
};

struct slash_found {
    enum slash_fault fault;
    uint64_t slot;           /* of blocks */
    uint64_t source, target; /* of attestations */
};
typedef cc_err slash_found_fn(void *context, const struct slash_found *found);

/* "DOUBLE_VOTE", and what it means. */
const char *slash_fault_name(enum slash_fault fault);
const char *slash_fault_text(enum slash_fault fault);
bool slash_fault_is_of_block(enum slash_fault fault);

/* Tells every fault of `validator`, whose records are sorted as visit() gives them. */
CC_ERR slash_verify_validator(const struct slash_validator *validator,
                              slash_found_fn *found,
                              void *context);

#endif
