/* core/fair_queue.h - the order in which waiting requests go on.
 *
 * WHAT      A queue of rows by rank, and within a rank by client: round robin, one row a turn. It also says how many rows
 *           would go before a new one.
 * PROMISE   Blocks before duties before the rest; but of many rows that are taken at once an eighth is not of blocks where
 *           others wait, so that a flood of blocks holds up no other duty without end. Among clients of one rank each gets the same share as long as it has
 *           something waiting: who asks little waits only for the turns of the others, however much they ask. The order of
 *           one client's rows of one rank is kept. Of hundreds of clients at once some may share a turn.
 * THREADS   None inside: the caller's lock.
 * OWNERSHIP Owns the rows between put and take.
 * ERRORS    None.   SECRETS None.
 */
#ifndef CORE_FAIR_QUEUE_H
#define CORE_FAIR_QUEUE_H

#include "core/pending.h"

enum {
    FAIR_CLIENTS = 256
};

struct fair_lane {
    size_t count;
    struct pending_list of[FAIR_CLIENTS];
    uint16_t turns[FAIR_CLIENTS]; /* a ring of the clients that have rows, each once */
    size_t first;
    size_t active;
};

struct fair_queue {
    struct fair_lane lanes[KIND_RANKS];
    uint32_t clients[FAIR_CLIENTS];
    size_t rows[FAIR_CLIENTS]; /* of each; 0: the place is free */
};

void fair_queue_init(struct fair_queue *queue);
void fair_queue_put(struct fair_queue *queue, struct pending *row);
/* Moves up to `max` rows of the ranks up to `last` to the end of the list. */
void fair_queue_take(struct fair_queue *queue,
                     enum kind_rank last,
                     size_t max,
                     struct pending_list *list);
/* How many rows of the ranks up to `last` wait. */
size_t fair_queue_count(const struct fair_queue *queue, enum kind_rank last);
/* How many rows would go before this one, at most, if nothing else came. */
size_t fair_queue_ahead(const struct fair_queue *queue, const struct pending *row);
/* How many rows this row's client has here. */
size_t fair_queue_of_client(const struct fair_queue *queue, const struct pending *row);

#endif
