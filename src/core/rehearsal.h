/* core/rehearsal.h - since when operators have not shown that they can unseal.
 *
 * WHAT      Record rehearsal/last of the state store, and the gauge that shows it: when the quorum last rehearsed or unsealed, or when
 *           its operators took their places, so that the age of a chamber where none of that ever came counts too.
 * PROMISE   What stands there only ever gets later. Nothing is allowed or refused by it, so a rehearsal that can't be noted is a
 *           rehearsal all the same. A chamber that no operator opens shows 0, whatever its operators once did.
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
/* What the store holds, for all replicas to show. `has_operators`: the set in force has some. */
void rehearsal_show(const struct state_store *state, bool has_operators);

void rehearsal_encode(uint64_t seconds, uint8_t ret_bytes[static REHEARSAL_RECORD_SIZE]);
CC_ERR rehearsal_decode(struct span bytes, uint64_t *ret_seconds);

#endif
