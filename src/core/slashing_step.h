/* core/slashing_step.h - one step of work on a history, for a running signer and for a command alike.
 *
 * WHAT      What each verb of wire/door_a.h's struct a_slashing does: reads the ask, fills in the answer's head, gives its
 *           records to `put`.
 * PROMISE   Bounded: at most a message's records are merged, at most SLASH_MERGE_MAX validators visited, and none further beyond
 *           A_RECORDS_STEP records.
 * THREADS   As the store.
 * OWNERSHIP Borrows all.
 * ERRORS    The store's, WRONG_NETWORK, what `put` returns.
 * SECRETS   None.
 */
#ifndef CORE_SLASHING_STEP_H
#define CORE_SLASHING_STEP_H

#include "slash/records.h"

struct slashing_step {
    struct slash_store *history;
    const char *backend; /* as in the configuration: what lies below a guard */
    uint64_t slots_per_epoch;
    uint64_t keep_epochs; /* where the ask says none */
    struct slash_watermark
        floor; /* the state store's (core/ceiling.h): no row lies below it after an import */
    slash_record_fn *put;
    void *context;
};

/* `ask` has passed slashing_step_check(); `ret_head` comes with zeros but for id and verb. */
CC_ERR slashing_step_do(const struct slashing_step *step,
                        const struct a_slashing *ask,
                        struct a_slashing_head *ret_head);
/* PROTOCOL unless it is an ask that can be done. */
CC_ERR slashing_step_check(const struct a_slashing *ask);

#endif
