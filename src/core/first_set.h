/* core/first_set.h - the set that opens the master key, when a chamber is made and when it is started.
 *
 * WHAT      `init` has the vault make a set of mode local, and stores it as `seal/current`; a start gives the vault what is stored.
 * PROMISE   Without the record the master key stays closed, and nothing takes its place.
 * THREADS   The control thread, before there are others.
 * OWNERSHIP Borrows; appends to the caller's buf.
 * ERRORS    TAMPERED (the record, or the set in it), NO_MEMORY, DOOR_CLOSED, and what the vault says.
 * SECRETS   None in clear.
 */
#ifndef CORE_FIRST_SET_H
#define CORE_FIRST_SET_H

#include "core/vault_call.h"

/* Makes the first set of `chamber`; appends the text of its record. */
CC_ERR first_set_make(struct vault_call *vault, const struct b_chamber *chamber, struct buf *out);
/* Gives the vault the set that is stored, but a local one where the chamber is latched. *ret_state: what it has of it then; zeros
 * when none is stored.
 */
CC_ERR first_set_open(struct vault_call *vault,
                      const struct state_store *state,
                      bool latched,
                      struct b_seal_state *ret_state);

#endif
