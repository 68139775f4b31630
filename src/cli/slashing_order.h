/* cli/slashing_order.h - the slashing commands that need the vault while no signer runs.
 *
 * WHAT      `hand-over --to` and `repair-watermark --token`: write the order, have the rooms carry it out (core/order.h), show the
 *           answer.
 * PROMISE   A token's file is made anew, 0600 less the umask, and complete when it is there.
 * THREADS   Main only.   OWNERSHIP Borrows.   ERRORS Exit codes of app/supervisor.h.   SECRETS None.
 */
#ifndef CLI_SLASHING_ORDER_H
#define CLI_SLASHING_ORDER_H

#include "app/supervisor.h"

/* Sets the high watermark; the token goes to the file `to`, "-" for standard output. */
int slashing_order_hand_over(const struct supervisor_source *source,
                             struct config *config,
                             uint64_t epoch,
                             bool force,
                             const char *to);
/* Raises every low watermark to the token in the file `token`, which the chamber `identity` must have signed: 0x and its public
 * identity, or its identity.pub. `json`: as order_print().
 */
int slashing_order_take_over(const struct supervisor_source *source,
                             struct config *config,
                             const char *token,
                             const char *identity,
                             bool json);

#endif
