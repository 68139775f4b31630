/* core/state_floor.h - the floor of all rows, for a command that works on a history without the vault.
 *
 * WHAT      Reads the record `history/floor` (core/ceiling.h) out of the state store that the configuration names.
 * PROMISE   The whole store is verified by identity.pub and state.seen first. Nothing is changed, but that state.seen may rise to what was
 *           seen. The store is closed again, and with it its lock.
 * THREADS   One, in a process that has the state store not open otherwise.
 * OWNERSHIP Borrows.
 * ERRORS    LOCKED (this data directory's signer runs), TAMPERED (identity.pub or the store is missing, or changed), STATE, IO, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CORE_STATE_FLOOR_H
#define CORE_STATE_FLOOR_H

#include "aws/session.h"
#include "config/config.h"
#include "slash/store.h"

/* `aws` may be NULL where the state store is in none of its tables. */
CC_ERR state_floor_read(const struct config *config,
                        struct aws_session *aws,
                        struct slash_watermark *ret_floor);

#endif
