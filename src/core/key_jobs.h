/* core/key_jobs.h - the thread that does what the front asks about keys (wire/door_a.h, struct a_keys).
 *
 * WHAT      A short queue of steps, and one thread that does them one by one; before the first, it loads the key store's rows into the
 *           vault. Between them it follows what other replicas change in a shared key store. What a step is: core/key_work.h.
 * PROMISE   A step is bounded and complete in itself: a front, or a client, that goes away leaves nothing half done. Signing goes on
 *           beside it.
 * THREADS   Own thread. put: door A's reader. poke: the keeper's. The rest: any.
 * OWNERSHIP Borrows what the settings name.
 * ERRORS    put: PROTOCOL (the front is to be shut out), BUSY, NO_MEMORY; UNAUTHENTICATED and DENIED are answered here.
 * SECRETS   Passwords of keystores wait in the queue, on the heap; wiped.
 */
#ifndef CORE_KEY_JOBS_H
#define CORE_KEY_JOBS_H

#include "core/key_work.h"

enum {
    KEY_JOBS_MAX = 16 /* steps that wait; each request has one under way */
};

struct key_jobs;

CC_ERR
key_jobs_start(const struct key_work *work, struct front_link *link, struct key_jobs **ret_jobs);
/* Ends the step that is under way first, and the thread; takes NULL. */
void key_jobs_stop(struct key_jobs *jobs);
void key_jobs_free(struct key_jobs *jobs); /* after key_jobs_stop(); takes NULL */
/* The state store has changed: perhaps by a replica that has changed the key store. Does not wait. */
void key_jobs_poke(struct key_jobs *jobs);

/* Has the rows loaded that the vault has not: the master key is open now. */
void key_jobs_load(struct key_jobs *jobs);
/* Seals some rows under the master key of generation `to`, and waits for it; from now on new rows are sealed under that one too, until
 * key_jobs_load(). *ret_done: none is left, as of the state record *ret_seen. DOOR_CLOSED: it ends.
 */
CC_ERR
key_jobs_rewrite(struct key_jobs *jobs, uint32_t to, bool *ret_done, struct key_seen *ret_seen);
/* Checks and queues a step that came through the door of `epoch`. */
CC_ERR key_jobs_put(struct key_jobs *jobs, uint32_t epoch, const struct a_keys *ask);
/* Rows of the key store that could not be loaded; 1 for a store that is refused. */
uint64_t key_jobs_errors(struct key_jobs *jobs);

/* The pure half of put(), for fuzzers. */
CC_ERR key_jobs_check(const struct a_keys *ask);

#endif
