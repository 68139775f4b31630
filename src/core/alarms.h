/* core/alarms.h - seal and canaries of a serving core, with what they need of its other parts.
 *
 * WHAT      core/seal.h and core/canary.h put together: latches through the keeper, wiping through the vault client, revoking in the state store;
 *           rooms that start anew after a seal, and a load of keys when its latch has gone.
 * PROMISE   As theirs.
 * THREADS   The control thread.
 * OWNERSHIP Borrows the parts until alarms_stop() returns.
 * ERRORS    NO_MEMORY, SYSTEM.   SECRETS None.
 */
#ifndef CORE_ALARMS_H
#define CORE_ALARMS_H

#include "core/authority.h"
#include "core/canary.h"
#include "core/keeper.h"
#include "core/loads.h"
#include "core/seal.h"
#include "core/vault_client.h"

struct alarms {
    struct seal *seal;
    struct canary *canary;
    struct audit *audit;
    struct keeper *keeper;
    struct vault_client *vault;
    struct authority *authority;
    struct loads *loads;
    int control_fd;
};

/* The seal alone, so that the keeper can tell it of changes; the rest of `ret_alarms` is set by the caller before alarms_start(). */
CC_ERR alarms_new(const struct config *config, struct alarms *ret_alarms);
CC_ERR alarms_start(struct alarms *alarms, const struct config *config);
/* Ends the threads; the seal's flag can still be read. */
void alarms_stop(struct alarms *alarms);
void alarms_free(struct alarms *alarms);

#endif
