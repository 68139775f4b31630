/* core/keeper.h - the one thread that uses the state store while the core serves.
 *
 * WHAT      Raises the ceiling (core/ceiling.h) before it is needed: the state store's two steps are done here, the one in
 *           between by the history's writer. Runs what others have to do with the state store. Looks now and then at what
 *           other replicas have changed, and tells of every change.
 * PROMISE   keeper_allows() is true only for epochs up to a ceiling that state store and history both have. A state store that
 *           can't be used holds nobody up until the ceiling has to rise. No lock is held over I/O.
 *           `changed` has seen what the store holds before keeper_start() returns, and each accepted change before the
 *           keeper_run() that made it returns.
 * THREADS   Own thread; the rest from any, keeper_run() from any but the keeper's. keeper.lock is a leaf.
 * OWNERSHIP Borrows the state store from start to stop; nobody else uses it then. No keeper_run() may begin after keeper_stop() has.
 * ERRORS    NO_MEMORY, SYSTEM at start; keeper_run(): what the job says, BUSY, DOOR_CLOSED, CONFLICT.
 * SECRETS   None.
 */
#ifndef CORE_KEEPER_H
#define CORE_KEEPER_H

#include "core/ceiling.h"

enum {
    KEEPER_AHEAD = 2,        /* epochs that the ceiling is above the newest claim */
    KEEPER_AHEAD_MAX = 512,  /* where epochs pass faster than the ceiling can rise: test networks */
    KEEPER_HURRY_MS = 10000, /* a ceiling that had to rise again within this time rises further */
    KEEPER_RETRY_MS = 500,
    KEEPER_TRIES = 8, /* of a job, where other replicas are faster */
};

/* Something to do with the state store. It may be run again from its beginning, after CONFLICT; so it reads what it needs
 * itself, and leaves nothing behind when it fails.
 */
typedef cc_err
keeper_job(void *context, struct state_store *state, const struct state_signer *signer);

struct keeper_settings {
    struct state_store *state;
    struct state_signer signer;
    bool has_ceiling;             /* false: the history keeps nothing, and nobody asks for one */
    struct ceiling ceiling;       /* as ceiling_settle() left it */
    struct slash_watermark floor; /* of new rows */
    uint32_t refresh_seconds;     /* 0: never */
    /* Called by the keeper when there is something for the history's writer: the ceiling has risen, or must be recorded. */
    void (*tell)(void *context);
    void *context;
    /* Called on the keeper's thread with what the store holds: at start, and after each change, whoever made it. NULL: nobody
     * wants to know. It must not call keeper_run().
     */
    void (*changed)(void *context, const struct state_store *state);
    void *changed_context;
    /* What this process has to say to a change, on the keeper's thread, after `changed`; it commits, or finds that there is nothing to say.
     * What can't be said now is said later. NULL: nothing ever.
     */
    keeper_job *answer;
    void *answer_context;
};

struct keeper;

CC_ERR keeper_start(const struct keeper_settings *settings, struct keeper **ret_keeper);
/* What is under way is done; jobs that wait end with DOOR_CLOSED. Takes NULL. */
void keeper_stop(struct keeper *keeper);

/* Has `job` run on the keeper's thread, and waits for its end. Another replica's change in between (CONFLICT) is taken over, and
 * the job runs again. BUSY: its turn did not come within `patience_ms`, and it will not run.
 */
CC_ERR
keeper_run(struct keeper *keeper, keeper_job *job, void *context, uint64_t patience_ms);
/* Jobs whose turn has not come. */
unsigned keeper_waiting(struct keeper *keeper);

/* A claim of this epoch may be given to the history. */
bool keeper_allows(const struct keeper *keeper, uint64_t epoch);
/* The newest epoch that was given to it: the ceiling should be ahead of it. */
void keeper_note(struct keeper *keeper, uint64_t epoch);
/* Claims of this epoch wait for the ceiling. */
void keeper_need(struct keeper *keeper, uint64_t epoch);
/* Claims wait for the ceiling, and the state store can't be used. */
bool keeper_blocks(struct keeper *keeper);

/* True when the history has to record the ceiling *ret_epoch, another replica's too, which a fail-over may have to raise floors
 * to; then keeper_recorded().
 */
bool keeper_due(struct keeper *keeper, uint64_t *ret_epoch);
void keeper_recorded(struct keeper *keeper, uint64_t epoch);

/* Low watermarks that every new row begins with. */
struct slash_watermark keeper_floor(struct keeper *keeper);

#endif
