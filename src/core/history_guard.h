/* core/history_guard.h - the guard around this chamber's history, as the configuration wants it.
 *
 * WHAT      Where the mirror lies, whose key it has, what the state store says that it should know.
 * PROMISE   After history_guard_wrap() the stores' history is one that was compared with what this data directory has signed.
 * THREADS   The control thread, before there are others.
 * OWNERSHIP The stores own the guard, and the guard the history.
 * ERRORS    Those of slash/guard.h and of the vault; LIMIT (path too long).
 * SECRETS   The mirror's key passes through, from the vault into the guard; wiped here.
 */
#ifndef CORE_HISTORY_GUARD_H
#define CORE_HISTORY_GUARD_H

#include "config/config.h"
#include "core/stores.h"

/* Who this data directory is among those that share a history: for the backend to be opened with. */
CC_ERR history_guard_replica(const struct config *config, struct stores *stores);
/* After the vault was greeted. `fresh`: the data directory joins others, and has no mirror yet. Nothing is done around a
 * history that keeps nothing.
 */
CC_ERR history_guard_wrap(const struct config *config,
                          bool fresh,
                          struct vault_call *vault,
                          struct stores *stores);

#endif
