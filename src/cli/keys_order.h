/* cli/keys_order.h - the keys commands that need the vault while no signer runs: stores, forget-store, move.
 *
 * WHAT      Reads their arguments, and has the rooms carry out the order (core/order.h).
 * PROMISE   A store is forgotten only after its name was shown and somebody has said yes.
 * THREADS   Main only.   OWNERSHIP Borrows.   ERRORS Exit codes of app/supervisor.h.   SECRETS None.
 */
#ifndef CLI_KEYS_ORDER_H
#define CLI_KEYS_ORDER_H

#include "cli/command.h"

/* Takes its subcommand from the arguments, if it is one of these; *ret_code is its exit code then. */
bool keys_order(struct arguments *arguments, int *ret_code);

#endif
