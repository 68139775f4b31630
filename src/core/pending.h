/* core/pending.h - the signing requests that are on their way, and the queues between threads.
 *
 * WHAT      Rows of a table of fixed size, handed from thread to thread by pointer: door A's reader takes a row, history writer
 *           and vault client pass it on, whoever has its answer gives it to the front link, which gives the row back.
 * PROMISE   A row has one owner at a time, so its content needs no lock. The vault answers by (index, generation): a
 *           late, repeated or invented id finds nothing. A full table is said at once; blocks have a reserve. Memory is
 *           touched when a row is first used, and given back when none is in use.
 * THREADS   Any; pending_table.lock and pending_queue.lock are never held over I/O or over one another.
 * OWNERSHIP pending_take() gives the row to the caller; putting it into a queue gives it away.
 * ERRORS    NO_MEMORY; NULL from pending_take() when full.
 * SECRETS   None.
 */
#ifndef CORE_PENDING_H
#define CORE_PENDING_H

#include <pthread.h>
#include <stdbool.h>

#include "core/sign_path.h"
#include "core/tracing.h"
#include "eth/kind.h"
#include "wire/door_a.h"
#include "wire/door_b.h"

enum {
    /* What is signed within signing.duty_deadline_ms, at 13,000 a second; 21 MB if ever used. */
    PENDING_MAX = 32768,
    PENDING_KEPT = 2048, /* rows whose memory stays when none is in use */
    /* Rows that only blocks may have: a flood of the rest never refuses one. */
    PENDING_BLOCK_RESERVE = 256
};

struct backlog;

struct pending {
    enum kind_rank rank;
    uint32_t client;      /* who asks: wire/door_a.h */
    uint8_t address[16];  /* of who asks: wire/caller.h */
    uint32_t front_epoch; /* whose request it is: the front of which door */
    uint64_t arrived_ns;
    uint64_t queued_ns;
    uint64_t sent_ns;
    struct traced traced;
    struct sign_outcome outcome;
    struct a_signed answer;
    /* private */
    struct pending *next;
    struct backlog *backlog; /* counts it while it is with the vault; NULL: none does */
    bool in_vault;
};

/* A chain of rows in order; owned by who holds it. */
struct pending_list {
    struct pending *head;
    struct pending *tail;
    size_t count;
};

void pending_list_add(struct pending_list *list, struct pending *row);
struct pending *pending_list_shift(struct pending_list *list); /* NULL: empty */

static inline bool pending_is_block(const struct pending *row)
{
    return row->rank == KIND_RANK_BLOCK;
}

struct pending_table;

CC_ERR pending_table_new(struct pending_table **ret_table);
void pending_table_free(struct pending_table *table);

/* An empty row of that rank, or NULL when all that this request may use are taken. */
struct pending *pending_take(struct pending_table *table, enum kind_rank rank);
/* Empties the list. */
void pending_give(struct pending_table *table, struct pending_list *list);
size_t pending_free_rows(struct pending_table *table);

/* The id that the vault is told. */
uint64_t pending_id(const struct pending_table *table, const struct pending *row);
/* Marks rows as being with the vault; false when it is known to be gone: the caller keeps them. */
bool pending_to_vault(struct pending_table *table, const struct pending_list *list);
/* Takes the row of an id back from the vault; NULL when no such row is there. */
struct pending *pending_from_vault(struct pending_table *table, uint64_t id);
/* The vault is gone for good: all rows that are with it. */
struct pending_list pending_vault_gone(struct pending_table *table);

/* A queue with two lanes: what is urgent is taken first. */
struct pending_queue {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t filled;
    struct pending_list urgent;
    struct pending_list others;
    size_t room; /* how many of the others one take may have; SIZE_MAX: any number */
    bool stopped;
};

void pending_queue_init(struct pending_queue *queue);
void pending_queue_release(struct pending_queue *queue);
/* Moves all of `list` to the end of the queue, blocks to the urgent lane. */
void pending_queue_put(struct pending_queue *queue, struct pending_list *list);
void pending_queue_stop(struct pending_queue *queue);
/* From now on a take has at most `rows` that are not blocks. */
void pending_queue_set_room(struct pending_queue *queue, size_t rows);
/* Waits until there is a row, a stop, or the monotonic time is `until_ns` (0: for ever); takes up to `max`
 * rows. False once the queue was stopped and is empty.
 */
bool pending_queue_take(struct pending_queue *queue,
                        size_t max,
                        uint64_t until_ns,
                        struct pending_list *ret_list);

#endif
