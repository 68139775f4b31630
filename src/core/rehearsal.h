/* core/rehearsal.h - when operators last showed that they could unseal.
 *
 * WHAT      Record rehearsal/last of the state store, and the gauge that shows it.
 * PROMISE   What stands there only ever gets later. Nothing is allowed or refused by it, so a rehearsal that can't be noted is a
 *           rehearsal all the same.
 * THREADS   note: any but the keeper's. show: the keeper's.
 * OWNERSHIP Borrows.
 * ERRORS    note: those of keeper_run(). decode: TAMPERED.
 * SECRETS   None.
 */
#ifndef CORE_REHEARSAL_H
#define CORE_REHEARSAL_H

#include "core/keeper.h"

enum {
    REHEARSAL_RECORD_SIZE = 12
};

/* `wall_ms`: now. */
CC_ERR rehearsal_note(struct keeper *keeper, uint64_t wall_ms, uint64_t patience_ms);
/* What the store holds, for all replicas to show. */
void rehearsal_show(const struct state_store *state);

void rehearsal_encode(uint64_t seconds, uint8_t ret_bytes[static REHEARSAL_RECORD_SIZE]);
CC_ERR rehearsal_decode(struct span bytes, uint64_t *ret_seconds);

#endif
