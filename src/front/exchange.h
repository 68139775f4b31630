/* front/exchange.h - questions to the core and their answers, matched by id.
 *
 * WHAT      A fixed table of tickets. Whoever has a question takes a ticket, fills in what to ask and submits it;
 *           exchange_flush() takes ALL that waits and puts it into as few packets of door A as fit; exchange_receive()
 *           matches each answer to its ticket and hands it back by `done`. A batch is one ticket with many answers; its
 *           packets take turns with what others ask, blocks go first.
 * PROMISE   An answer reaches the one request that asked, once, or nobody: an id is (index, item, generation), the generation
 *           grows with each submission, and whoever completes a ticket (answer, time-out, closed door) must first win
 *           it by one compare-and-swap. So neither a late answer nor a repeated or invented one can cross (C2).
 * THREADS   take/submit/release: any thread, each ticket one at a time. flush, expire: any; who finds another one sending
 *           leaves it to that one. receive: one thread. `done` is called by the thread that calls receive, expire,
 *           submit or stop. Between submit and `done` nobody else touches the ticket. Nothing here blocks.
 * OWNERSHIP The table owns tickets; a ticket's buffers stay with it for reuse, wiped between users.
 * ERRORS    In the ticket: DOOR_CLOSED, BUSY (no answer in time, or front/budget.h did not admit it), PROTOCOL, or what the
 *           core says.
 * SECRETS   The keystores' passwords of an import's step (struct a_keys), in a copy that is wiped once it is sent.
 */
#ifndef FRONT_EXCHANGE_H
#define FRONT_EXCHANGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "front/batch.h"
#include "front/budget.h"
#include "wire/door_a.h"

enum ticket_ask {
    TICKET_SIGN = 1 << 0,
    TICKET_BATCH = 1 << 1,
    TICKET_QUERY = 1 << 2,
    TICKET_SLASHING = 1 << 3,
    TICKET_KEYS = 1 << 4,
    TICKET_MANAGE = 1 << 5,
    TICKET_ATTEST = 1 << 6
};

/* Grown buffers above this are given back when a ticket is released. */
enum {
    TICKET_BUFFER_KEPT = 8192
};

/* What an answer about management says beside its text. */
struct managed {
    uint32_t error;
    uint32_t rule;
    uint16_t status;
    struct a_reason reason;
    char detail[A_MANAGED_DETAIL_MAX]; /* printable */
};

struct ticket;
typedef void exchange_done_fn(struct ticket *ticket);

struct ticket {
    uint32_t index;
    uint64_t id;            /* under which its holder asked last; 0: nothing yet */
    void *owner;            /* of who took it */
    exchange_done_fn *done; /* in the place of the exchange's; NULL: that one */
    bool urgent;            /* a block: goes first, and is admitted beyond what others may have */
    /* The question. */
    enum ticket_ask ask;
    union {
        struct a_sign sign;
        struct a_query query;
        struct a_attest attest;
        struct batch *batch; /* at least one is asked; its answers are put there too */
        struct a_slashing *slashing;
        struct a_manage *manage;
        struct a_keys *keys;
    } question;
    /* The answer: valid in and after `done`. */
    cc_err err;
    bool denied; /* answer.denied says why, or of ASK_ALLOWED that there is no reason */
    union {
        struct a_signed sign;
        struct a_denied denied;
        struct a_health health;
        struct a_reload reload;
        struct a_high_watermark mark;
        struct a_slashing_head slashing;
        struct managed managed;
        struct a_keys_head keys;
    } answer;
    _Atomic uint64_t limit_ms; /* how long an answer may take; 0: as long as any other's */
    /* Of ASK_PUBLIC_KEYS: struct eth_pubkey, one after the other; of work on the history: struct a_record; on keys: struct
     * a_key_item; of management: the answer's text; of attestation: the document.
     */
    struct buf keys;
    /* private */
    _Atomic uint64_t state; /* generation << 8 | enum ticket_state */
    _Atomic uint64_t asked_ms;
    bool admitted;
    uint32_t next_chunk;
    uint32_t batch_sent;
    uint32_t batch_answered;
    uint32_t next_free;
};

struct exchange {
    struct ticket *tickets;
    uint32_t count;
    exchange_done_fn *done;
    struct budget budget;
    /* private */
    int fd;
    uint32_t life;
    _Atomic bool open;
    _Atomic bool sending;              /* whose the packets are */
    _Atomic uint64_t next_look_ms;     /* for what waits too long */
    _Atomic uint64_t blocked_since_ms; /* the core does not read; 0: it does */
    _Atomic bool stalled;
    _Atomic uint32_t waiting;
    pthread_mutex_t free_lock; /* free_head */
    uint32_t free_head;
    pthread_mutex_t queue_lock; /* queue, head, len */
    uint64_t *queue;            /* ring of ids */
    uint32_t queue_cap;
    uint32_t queue_head;
    uint32_t queue_len;
    struct a_sign *sign_batch;
    struct a_query *query_batch;
    struct a_slashing *slashing; /* one at a time: it fills a packet */
    struct a_manage *manage;     /* the same */
    struct a_keys *keys;         /* the same; wiped once it is sent */
    struct door_message *message;
};

CC_ERR exchange_init(struct exchange *x, uint32_t count, exchange_done_fn *done);
/* From now on door A is there; the descriptor is borrowed until exchange_release(). */
void exchange_start(struct exchange *x, int fd, uint32_t life);
/* Shuts the door; every ticket that waits is completed with DOOR_CLOSED. */
void exchange_stop(struct exchange *x);
void exchange_release(struct exchange *x);

/* NULL when all are taken. */
struct ticket *ticket_take(struct exchange *x);
/* Gives a ticket back; not while it waits. */
void ticket_release(struct exchange *x, struct ticket *t);
/* Asks. `done` is called exactly once, possibly before this returns. A single signing request is admitted by the budget here;
 * a batch by who made it, before, and until it is freed.
 */
void ticket_submit(struct exchange *x, struct ticket *t);

/* Sends what was submitted, as far as the door takes it now. To be called after one or many ticket_submit(). */
void exchange_flush(struct exchange *x);
/* Takes one packet; to be called when the door can be read. False once it is closed. */
bool exchange_receive(struct exchange *x);

/* Completes with BUSY what was asked more than `limit_ms` before `now_ms`, at most a sixteenth of that late, and with
 * DOOR_CLOSED everything once the door is closed; gives up a core that has not read for DOOR_STALL_MS. To be called
 * now and then.
 */
void exchange_expire(struct exchange *x, uint64_t now_ms, uint64_t limit_ms);
/* False once the core is gone or has broken the protocol. */
static inline bool exchange_is_open(const struct exchange *x)
{
    return atomic_load(&x->open);
}
/* True when the core stopped reading: it should be killed. */
static inline bool exchange_is_stalled(const struct exchange *x)
{
    return atomic_load(&x->stalled);
}
static inline uint32_t exchange_waiting(const struct exchange *x)
{
    return atomic_load(&x->waiting);
}

#endif
