/* cli/slashing_migrate.h - `slashing migrate`: the tables of every database that a configuration uses.
 *
 * WHAT      Makes the tables of history, state store and key store, or brings them to this build's schema, and says what was done.
 * PROMISE   Nothing but schemas and grants is changed; it can be repeated.
 * THREADS   Main only.   OWNERSHIP Borrows.   ERRORS Exit codes of app/supervisor.h, printed.   SECRETS None: URLs are not shown.
 */
#ifndef CLI_SLASHING_MIGRATE_H
#define CLI_SLASHING_MIGRATE_H

#include <stdbool.h>

#include "config/config.h"

/* `history`: how the history's database is called before people. `grant_to` NULL: no role is given anything. */
int slashing_migrate(const struct config *config,
                     const char *history,
                     const char *grant_to,
                     bool json);

#endif
