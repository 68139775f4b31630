/* core/audit_verify.h - the segments of a directory, given to core/audit_check.h.
 *
 * WHAT      Reads the files in their order, from the first that is wanted to the last that is known of or there.
 * PROMISE   Any file is read to its end or refused; nothing is changed.
 * THREADS   One.   OWNERSHIP Borrows; findings are in the check.
 * ERRORS    IO, NO_MEMORY, and what `key` says.
 * SECRETS   A segment's key, wiped.
 */
#ifndef CORE_AUDIT_VERIFY_H
#define CORE_AUDIT_VERIFY_H

#include "core/audit_check.h"
#include "core/order_progress.h"

struct audit_source {
    const char *directory;
    uint8_t replica[AUDIT_REPLICA_SIZE];
    struct audit_position anchor; /* of the state store; zeros: none */
    cc_err (*key)(void *context,
                  const uint8_t replica[static AUDIT_REPLICA_SIZE],
                  uint64_t segment,
                  uint8_t ret_key[static AUDIT_KEY_SIZE]);
    void *context;
    const struct order_progress *progress; /* NULL: nobody is told */
};

/* Segments before `first` are kept elsewhere. */
CC_ERR audit_verify(const struct audit_source *source, uint64_t first, struct audit_check *check);

#endif
