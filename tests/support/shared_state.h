/* support/shared_state.h - a state store in memory that several replicas use, and that can be taken away.
 *
 * The vault is played by the seed of support/state_kit.h's kit_signer. Failed set-up steps fail the test.
 */
#ifndef SUPPORT_SHARED_STATE_H
#define SUPPORT_SHARED_STATE_H

#include <pthread.h>
#include <stdbool.h>

#include "state/pin.h"
#include "state/store.h"

struct shared_state {
    char directory[64];
    struct state_pin pin;
    pthread_mutex_t lock; /* guards all below */
    struct state_image image;
    bool away;
    unsigned lost;  /* so many swaps are made, and their answers lost */
    unsigned swaps; /* that went through */
};

/* With one record, chamber/test. */
void shared_state_make(struct shared_state *shared);
void shared_state_remove(struct shared_state *shared);
/* One more replica: its own struct state_store over the same records. state_store_close() ends it. */
struct state_store *shared_state_open(struct shared_state *shared, const char *replica);
/* Not opened yet. */
struct state_store *shared_state_replica(struct shared_state *shared);
/* From now on nothing can be read or written: STATE. */
void shared_state_set_away(struct shared_state *shared, bool away);
/* The next `count` changes are made, and answered STATE. */
void shared_state_lose_answers(struct shared_state *shared, unsigned count);
unsigned shared_state_swaps(struct shared_state *shared);

extern const struct state_signer shared_state_signer;

/* Puts `text` as record kind/name, whatever its version is. */
cc_err
shared_state_put(struct state_store *store, const char *kind, const char *name, const char *text);
/* The record says `text`; NULL: there is none. */
bool shared_state_is(const struct state_store *store,
                     const char *kind,
                     const char *name,
                     const char *text);

#endif
