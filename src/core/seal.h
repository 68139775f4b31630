/* core/seal.h - the emergency seal of a serving core.
 *
 * WHAT      From the moment somebody asks for it, every signing request is answered SEALED. Then, on a thread of its own: the latch file, the
 *           audit log, the latch in the state store, which the other replicas follow, and the vault wipes what it holds. At last all
 *           rooms are started anew: then the chamber is latched, and can be unsealed.
 * PROMISE   No signature is given away after seal_ask() has returned, also of what was under way. A latch that can't be made is
 *           tried again for as long as the core lives, and holds up no refusal; the vault's wiping waits for the state store
 *           SEAL_PATIENCE_MS, and as long as that takes to give up where it has begun. Only seal_lift() takes a latch back, the record
 *           before the file, and no seal that comes meanwhile is lost: what is cut short, at whatever point, leaves the chamber sealed.
 * THREADS   is: any, a look at one flag. ask, wait, lift: any but the keeper's. changed: the keeper's. The rest: the control thread.
 * OWNERSHIP Borrows what the settings point to until seal_stop() returns.
 * ERRORS    NO_MEMORY, SYSTEM; wait: what could not be done; lift: SEALED (sealed anew meanwhile), BUSY, and those of the state store.
 * SECRETS   None.
 */
#ifndef CORE_SEAL_H
#define CORE_SEAL_H

#include "core/keeper.h"
#include "core/seal_latch.h"

enum {
    SEAL_PATIENCE_MS = 5000, /* that the state store has before the vault is wiped without it */
    SEAL_RETRY_MS = 1000     /* also what answers have to get out before the rooms end */
};

/* What a seal is made of; each may block, and is called by the seal's own thread. */
struct seal_work {
    void (*write_down)(void *context, const char *by, cc_err result);
    cc_err (*latch_state)(void *context, const char *by, uint64_t wall_ms, uint64_t patience_ms);
    cc_err (*wipe)(void *context);
    void (*restart)(void *context); /* all is wiped and latched; NULL: nothing follows */
    void (*lifted)(
        void *context); /* the latch is gone: keys may be loaded; NULL: nothing follows */
    void *context;
};

struct seal;

CC_ERR seal_new(const char *data_dir, struct seal **ret_seal);
CC_ERR seal_start(struct seal *seal, const struct seal_work *work);
/* Ends the thread after what is under way. */
void seal_stop(struct seal *seal);
void seal_free(struct seal *seal); /* takes NULL */

/* The latch was there already; before seal_start(). */
void seal_begin_latched(struct seal *seal);
/* Takes the latch away, for who may. */
CC_ERR seal_lift(struct seal *seal, struct keeper *keeper, const char *by);

bool seal_is(const struct seal *seal); /* takes NULL */
/* Seals. `by`: a principal. */
void seal_ask(struct seal *seal, const char *by);
/* Waits until the seal is complete, or what could not be done is known. */
CC_ERR seal_wait(struct seal *seal, uint64_t patience_ms);
/* What the state store holds now: another replica may have sealed. */
void seal_changed(struct seal *seal, const struct state_store *state);

#endif
