#include "front/exchange.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"

/* HELD: its taker's. QUEUED: its id is in the ring. COPYING: the sender copies the question. SENT: on its way. FILLING: won
 * by who completes it.
 */
enum ticket_state {
    STATE_FREE,
    STATE_HELD,
    STATE_QUEUED,
    STATE_COPYING,
    STATE_SENT,
    STATE_FILLING
};

enum {
    SIGN_FIT = DOOR_FIT(sizeof(struct a_sign)),
    QUERY_FIT = DOOR_FIT(sizeof(struct a_query)),
    KEYS_MAX = 64 << 20 /* bytes of one list of public keys: more than a million */
};

static uint64_t pack(uint64_t generation, enum ticket_state state)
{
    return generation << 8 | state;
}

static uint64_t generation_of(uint64_t state)
{
    return state >> 8;
}

/* The id carries 32 bits of the generation: it comes round after four thousand million uses of one ticket. */
static uint64_t id_of(uint32_t index, uint64_t generation)
{
    return (generation & UINT32_MAX) << 32 | index;
}

static bool
move(struct ticket *t, uint64_t generation, enum ticket_state from, enum ticket_state to)
{
    uint64_t expected = pack(generation, from);
    return atomic_compare_exchange_strong(&t->state, &expected, pack(generation, to));
}

CC_ERR
exchange_init(struct exchange *x, uint32_t count, uint32_t max_waiting, exchange_done_fn *done)
{
    *x = (struct exchange){
        .count = count, .max_waiting = max_waiting, .done = done, .fd = -1, .queue_cap = 2 * count};
    cc_assert(pthread_mutex_init(&x->free_lock, NULL) == 0 &&
              pthread_mutex_init(&x->queue_lock, NULL) == 0 &&
              pthread_cond_init(&x->queue_filled, NULL) == 0);
    x->tickets = cc_alloc_array(count, sizeof *x->tickets);
    x->queue = cc_alloc_array(x->queue_cap, sizeof *x->queue);
    x->sign_batch = cc_alloc_array(SIGN_FIT, sizeof *x->sign_batch);
    x->query_batch = cc_alloc_array(QUERY_FIT, sizeof *x->query_batch);
    x->message = cc_alloc(sizeof *x->message);
    if (!x->tickets || !x->queue || !x->sign_batch || !x->query_batch || !x->message) {
        exchange_release(x);
        return CC_FAIL(NO_MEMORY, "tickets");
    }
    for (uint32_t i = 0; i < count; i++) {
        x->tickets[i].index = i;
        x->tickets[i].next_free = i + 1;
        x->tickets[i].keys = buf_init(KEYS_MAX);
    }
    return CC_OK;
}

void exchange_release(struct exchange *x)
{
    for (uint32_t i = 0; x->tickets && i < x->count; i++)
        buf_release(&x->tickets[i].keys);
    cc_free(x->tickets);
    cc_free(x->queue);
    cc_free(x->sign_batch);
    cc_free(x->query_batch);
    cc_free(x->message);
    (void)pthread_mutex_destroy(&x->free_lock);
    (void)pthread_mutex_destroy(&x->queue_lock);
    (void)pthread_cond_destroy(&x->queue_filled);
    *x = (struct exchange){.fd = -1};
}

/* --- tickets ------------------------------------------------------------------------------------------------------ */

struct ticket *ticket_take(struct exchange *x)
{
    struct ticket *t = NULL;
    (void)pthread_mutex_lock(&x->free_lock);
    if (x->free_head < x->count) {
        t = &x->tickets[x->free_head];
        x->free_head = t->next_free;
    }
    (void)pthread_mutex_unlock(&x->free_lock);
    if (t)
        atomic_store(&t->state, pack(generation_of(atomic_load(&t->state)), STATE_HELD));
    return t;
}

void ticket_release(struct exchange *x, struct ticket *t)
{
    uint64_t state = atomic_load(&t->state);
    cc_assert((state & 0xff) == STATE_HELD);
    if (t->keys.cap > TICKET_BUFFER_KEPT)
        buf_release(&t->keys);
    t->keys.max = KEYS_MAX;
    t->keys.len = 0;
    explicit_bzero(&t->question, sizeof t->question);
    explicit_bzero(&t->answer, sizeof t->answer);
    t->owner = NULL;
    atomic_store(&t->state, pack(generation_of(state), STATE_FREE));
    (void)pthread_mutex_lock(&x->free_lock);
    t->next_free = x->free_head;
    x->free_head = t->index;
    (void)pthread_mutex_unlock(&x->free_lock);
}

/* The caller has won the ticket: FILLING. */
static void complete(struct exchange *x, struct ticket *t, uint64_t generation, cc_err err)
{
    t->err = err;
    metric_sub(METRIC_HTTP_IN_FLIGHT, 1);
    (void)atomic_fetch_sub(&x->waiting, 1);
    bool won = move(t, generation, STATE_FILLING, STATE_HELD);
    cc_assert(won);
    x->done(t);
}

/* Completes `t` unless somebody else has it. */
static void give_up(struct exchange *x, struct ticket *t, uint64_t state, cc_err err)
{
    uint64_t generation = generation_of(state);
    enum ticket_state from = (enum ticket_state)(state & 0xff);
    if (from != STATE_QUEUED && from != STATE_SENT)
        return;
    if (move(t, generation, from, STATE_FILLING))
        complete(x, t, generation, err);
}

static bool enqueue(struct exchange *x, uint64_t id)
{
    (void)pthread_mutex_lock(&x->queue_lock);
    bool fits = x->queue_len < x->queue_cap && !x->stopping;
    if (fits) {
        x->queue[(x->queue_head + x->queue_len) % x->queue_cap] = id;
        if (x->queue_len++ == 0)
            (void)pthread_cond_signal(&x->queue_filled);
    }
    (void)pthread_mutex_unlock(&x->queue_lock);
    return fits;
}

void ticket_submit(struct exchange *x, struct ticket *t)
{
    uint64_t generation = generation_of(atomic_load(&t->state)) + 1;
    uint64_t id = id_of(t->index, generation);
    atomic_store(&t->asked_ms, clock_mono_ms());
    t->next_chunk = 0;
    t->keys.len = 0;
    if (t->ask == TICKET_SIGN)
        t->question.sign.id = id;
    else
        t->question.query.id = id;
    metric_add(METRIC_HTTP_IN_FLIGHT, 0, 0, 1);
    bool too_many = atomic_fetch_add(&x->waiting, 1) >= x->max_waiting && !t->urgent;
    if (too_many || !exchange_is_open(x)) {
        if (too_many)
            metric_add(METRIC_HTTP_SHED, 0, 0, 1);
        atomic_store(&t->state, pack(generation, STATE_FILLING));
        complete(x, t, generation, too_many ? CC_FAIL(BUSY, NULL) : CC_FAIL(DOOR_CLOSED, NULL));
        return;
    }
    atomic_store(&t->state, pack(generation, STATE_QUEUED));
    /* From here on the receiver, or expire() after the door closed, may complete it. */
    if (!enqueue(x, id))
        give_up(x, t, pack(generation, STATE_QUEUED), CC_FAIL(BUSY, NULL));
}

void exchange_expire(struct exchange *x, uint64_t now_ms, uint64_t limit_ms)
{
    bool closed = !exchange_is_open(x);
    if (atomic_load(&x->waiting) == 0)
        return;
    for (uint32_t i = 0; i < x->count; i++) {
        struct ticket *t = &x->tickets[i];
        uint64_t state = atomic_load(&t->state);
        enum ticket_state s = (enum ticket_state)(state & 0xff);
        if (s != STATE_QUEUED && s != STATE_SENT)
            continue;
        uint64_t asked_ms = atomic_load(&t->asked_ms);
        if (closed)
            give_up(x, t, state, CC_FAIL(DOOR_CLOSED, NULL));
        else if (now_ms > asked_ms && now_ms - asked_ms > limit_ms)
            give_up(x, t, state, CC_FAIL(BUSY, "no answer in time"));
    }
}

/* --- the sender --------------------------------------------------------------------------------------------------- */

static struct ticket *ticket_of(struct exchange *x, uint64_t id, uint64_t *ret_state)
{
    uint32_t index = (uint32_t)id;
    if (index >= x->count)
        return NULL;
    struct ticket *t = &x->tickets[index];
    *ret_state = atomic_load(&t->state);
    return (generation_of(*ret_state) & UINT32_MAX) == id >> 32 ? t : NULL;
}

struct batch {
    uint32_t signs;
    uint32_t queries;
};

/* Moves what waits into the batch arrays, until one of them is full. */
static bool gather(struct exchange *x, struct batch *batch)
{
    *batch = (struct batch){0};
    (void)pthread_mutex_lock(&x->queue_lock);
    while (x->queue_len == 0 && !x->stopping)
        (void)pthread_cond_wait(&x->queue_filled, &x->queue_lock);
    bool more = x->queue_len > 0 && !x->stopping;
    while (more && x->queue_len && batch->signs < SIGN_FIT && batch->queries < QUERY_FIT) {
        uint64_t id = x->queue[x->queue_head];
        x->queue_head = (x->queue_head + 1) % x->queue_cap;
        x->queue_len--;
        uint64_t state;
        struct ticket *t = ticket_of(x, id, &state);
        uint64_t generation = generation_of(state);
        if (!t || !move(t, generation, STATE_QUEUED, STATE_COPYING))
            continue;
        if (t->ask == TICKET_SIGN)
            x->sign_batch[batch->signs++] = t->question.sign;
        else
            x->query_batch[batch->queries++] = t->question.query;
        bool sent = move(t, generation, STATE_COPYING, STATE_SENT);
        cc_assert(sent);
    }
    (void)pthread_mutex_unlock(&x->queue_lock);
    return more;
}

static void close_door(struct exchange *x, const char *why, cc_err err)
{
    if (atomic_exchange(&x->open, false))
        log_warn(why, KV_ERR(err));
    (void)shutdown(x->fd, SHUT_RDWR);
}

static void *sender_main(void *arg)
{
    struct exchange *x = arg;
    struct batch batch;
    while (gather(x, &batch)) {
        cc_err err = CC_OK;
        uint64_t begun = clock_mono_ms();
        if (batch.queries)
            err = door_send(x->fd, x->life, A_QUERY, x->query_batch, sizeof(struct a_query),
                            batch.queries);
        if (batch.signs && !err.code) {
            metric_observe(METRIC_DOOR_BATCH, 0, batch.signs);
            err = door_send(x->fd, x->life, A_SIGN, x->sign_batch, sizeof(struct a_sign),
                            batch.signs);
        }
        if (err.code && exchange_is_open(x) && clock_mono_ms() - begun >= DOOR_STALL_MS)
            atomic_store(&x->stalled, true);
        if (err.code)
            close_door(x, "the core can't be reached", err);
    }
    return NULL;
}

/* --- the receiver ------------------------------------------------------------------------------------------------- */

/* Wins the ticket that `id` names, if it waits for an answer to such a question; NULL for a late, repeated or invented
 * answer.
 */
static struct ticket *win(struct exchange *x,
                          uint64_t id,
                          enum ticket_ask ask,
                          uint32_t question,
                          uint64_t *ret_generation)
{
    uint64_t state;
    struct ticket *t = ticket_of(x, id, &state);
    if (!t || !move(t, generation_of(state), STATE_SENT, STATE_FILLING))
        return NULL;
    if (t->ask != ask || (ask == TICKET_QUERY && t->question.query.question != question)) {
        bool back = move(t, generation_of(state), STATE_FILLING, STATE_SENT);
        cc_assert(back);
        return NULL;
    }
    *ret_generation = generation_of(state);
    return t;
}

static void take_signed(struct exchange *x, const struct door_message *m)
{
    for (uint32_t i = 0; i < m->head.count; i++) {
        struct a_signed item;
        uint64_t generation;
        memcpy(&item, m->items + i * sizeof item, sizeof item);
        struct ticket *t = win(x, item.id, TICKET_SIGN, 0, &generation);
        if (!t)
            continue;
        t->answer.sign = item;
        complete(x, t, generation, error_from_number(item.error));
    }
}

/* Chunks of a list must come in their order; a gap spoils the list, never the answer of another. */
static void take_public_keys(struct exchange *x, const struct door_message *m)
{
    struct a_public_keys item;
    uint64_t generation;
    memcpy(&item, m->items, sizeof item);
    struct ticket *t = win(x, item.id, TICKET_QUERY, ASK_PUBLIC_KEYS, &generation);
    if (!t)
        return;
    cc_err err = error_from_number(item.error);
    if (!err.code && (item.count > A_PUBLIC_KEYS_CHUNK || item.chunk != t->next_chunk++))
        err = CC_FAIL(PROTOCOL, "chunks of the public keys");
    if (!err.code)
        err = buf_append(&t->keys, item.keys, item.count * sizeof item.keys[0]);
    if (err.code || item.last) {
        complete(x, t, generation, err);
        return;
    }
    bool back = move(t, generation, STATE_FILLING, STATE_SENT);
    cc_assert(back);
}

static void take_health(struct exchange *x, const struct door_message *m)
{
    struct a_health item;
    uint64_t generation;
    memcpy(&item, m->items, sizeof item);
    struct ticket *t = win(x, item.id, TICKET_QUERY, ASK_HEALTH, &generation);
    if (!t)
        return;
    t->answer.health = item;
    complete(x, t, generation, CC_OK);
}

static void take_reload(struct exchange *x, const struct door_message *m)
{
    struct a_reload item;
    uint64_t generation;
    memcpy(&item, m->items, sizeof item);
    struct ticket *t = win(x, item.id, TICKET_QUERY, ASK_RELOAD_START, &generation);
    if (!t)
        t = win(x, item.id, TICKET_QUERY, ASK_RELOAD_STATUS, &generation);
    if (!t)
        return;
    t->answer.reload = item;
    complete(x, t, generation, error_from_number(item.error));
}

static void take_high_watermark(struct exchange *x, const struct door_message *m)
{
    struct a_high_watermark item;
    uint64_t generation;
    memcpy(&item, m->items, sizeof item);
    struct ticket *t = win(x, item.id, TICKET_QUERY, ASK_HIGH_WATERMARK, &generation);
    if (!t)
        return;
    t->answer.mark = item;
    complete(x, t, generation, error_from_number(item.error));
}

static void dispatch(struct exchange *x, const struct door_message *m)
{
    if (m->head.type == A_SIGNED)
        take_signed(x, m);
    else if (m->head.type == A_PUBLIC_KEYS)
        take_public_keys(x, m);
    else if (m->head.type == A_HEALTH)
        take_health(x, m);
    else if (m->head.type == A_RELOAD)
        take_reload(x, m);
    else if (m->head.type == A_HIGH_WATERMARK)
        take_high_watermark(x, m);
}

static void *receiver_main(void *arg)
{
    struct exchange *x = arg;
    for (;;) {
        cc_err err = door_receive(x->fd, x->life, door_a_to_front, x->message);
        if (err.code) {
            close_door(x, "door to the core closed", err);
            exchange_expire(x, clock_mono_ms(), 0);
            return NULL;
        }
        dispatch(x, x->message);
    }
}

CC_ERR exchange_start(struct exchange *x, int fd, uint32_t life)
{
    x->fd = fd;
    x->life = life;
    atomic_store(&x->open, true);
    if (pthread_create(&x->sender, NULL, sender_main, x) != 0)
        return CC_FAIL(SYSTEM, "pthread_create");
    if (pthread_create(&x->receiver, NULL, receiver_main, x) != 0) {
        exchange_stop(x);
        return CC_FAIL(SYSTEM, "pthread_create");
    }
    return CC_OK;
}

void exchange_stop(struct exchange *x)
{
    if (x->fd < 0)
        return;
    atomic_store(&x->open, false);
    (void)shutdown(x->fd, SHUT_RDWR);
    (void)pthread_mutex_lock(&x->queue_lock);
    x->stopping = true;
    (void)pthread_cond_broadcast(&x->queue_filled);
    (void)pthread_mutex_unlock(&x->queue_lock);
    if (x->sender)
        (void)pthread_join(x->sender, NULL);
    if (x->receiver)
        (void)pthread_join(x->receiver, NULL);
    exchange_expire(x, clock_mono_ms(), 0);
    x->fd = -1;
}
