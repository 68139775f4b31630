/* cli/slashing_offline.h - status, verification and pruning of a history that no signer uses.
 *
 * WHAT      The same steps, and the same answer, as a running signer's (front/slashing.h, core/slashing_step.h).
 * PROMISE   Bounded steps, whatever the history has.
 * THREADS   One.   OWNERSHIP Borrows; the answer is the caller's.   ERRORS Those of the steps.   SECRETS None.
 */
#ifndef CLI_SLASHING_OFFLINE_H
#define CLI_SLASHING_OFFLINE_H

#include "cli/progress.h"
#include "slash/store.h"
#include "wire/door_a.h"

struct slashing_offline {
    struct slash_store *store;
    uint64_t slots_per_epoch;
    uint64_t keep_epochs; /* where the request says none */
    enum progress_how progress;
};

/* `request`: JSON, which it may change; "": none. */
CC_ERR slashing_offline(const struct slashing_offline *offline,
                        enum a_slashing_verb verb,
                        char *request,
                        struct buf *ret_answer);

#endif
