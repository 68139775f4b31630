#include "front/exchange.h"

#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "eth/request_json.h"
#include "secret/wipe.h"

/* HELD: its taker's. QUEUED: its id is in the ring. COPYING: who sends copies the question, for a moment. SENT: on its way.
 * FILLING: won by who has an answer for it, for a moment, or completes it. A batch of which a part is sent is QUEUED again.
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
    KEYS_MAX = 64 << 20, /* bytes of one list of public keys: more than a million */
    LOOK_MS = 1000       /* the table is long: not at each tick */
};

_Static_assert(A_ID_INDEX_BITS + A_ID_ITEM_BITS == 32 && BATCH_ITEMS_MAX <= 1 << A_ID_ITEM_BITS,
               "ids");

static uint64_t pack(uint64_t generation, enum ticket_state state)
{
    return generation << 8 | state;
}

static uint64_t generation_of(uint64_t state)
{
    return state >> 8;
}

/* The id carries 32 bits of the generation: it comes round after four thousand million uses of one ticket. */
static uint64_t id_of(uint32_t index, uint64_t generation, uint32_t item)
{
    return (generation & UINT32_MAX) << 32 | item << A_ID_INDEX_BITS | index;
}

static uint32_t item_of(uint64_t id)
{
    return (uint32_t)id >> A_ID_INDEX_BITS;
}

static bool
move(struct ticket *t, uint64_t generation, enum ticket_state from, enum ticket_state to)
{
    uint64_t expected = pack(generation, from);
    return atomic_compare_exchange_strong(&t->state, &expected, pack(generation, to));
}

CC_ERR exchange_init(struct exchange *x, uint32_t count, exchange_done_fn *done)
{
    cc_assert(count <= 1U << A_ID_INDEX_BITS);
    *x = (struct exchange){.count = count, .done = done, .fd = -1, .queue_cap = 2 * count};
    cc_assert(pthread_mutex_init(&x->free_lock, NULL) == 0 &&
              pthread_mutex_init(&x->queue_lock, NULL) == 0);
    x->tickets = cc_alloc_array(count, sizeof *x->tickets);
    x->queue = cc_alloc_array(x->queue_cap, sizeof *x->queue);
    x->sign_batch = cc_alloc_array(SIGN_FIT, sizeof *x->sign_batch);
    x->query_batch = cc_alloc_array(QUERY_FIT, sizeof *x->query_batch);
    x->slashing = cc_alloc(sizeof *x->slashing);
    x->manage = cc_alloc(sizeof *x->manage);
    x->keys = cc_alloc(sizeof *x->keys);
    x->message = cc_alloc(sizeof *x->message);
    if (!x->tickets || !x->queue || !x->sign_batch || !x->query_batch || !x->slashing ||
        !x->manage || !x->keys || !x->message) {
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
    cc_free(x->slashing);
    cc_free(x->manage);
    cc_free(x->keys);
    cc_free(x->message);
    (void)pthread_mutex_destroy(&x->free_lock);
    (void)pthread_mutex_destroy(&x->queue_lock);
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
    if (t->ask == TICKET_MANAGE && t->keys.data)
        explicit_bzero(t->keys.data, t->keys.len);
    if (t->keys.cap > TICKET_BUFFER_KEPT)
        buf_release(&t->keys);
    t->keys.max = KEYS_MAX;
    t->keys.len = 0;
    explicit_bzero(&t->question, sizeof t->question);
    explicit_bzero(&t->answer, sizeof t->answer);
    t->err = CC_OK;
    t->denied = false;
    atomic_store(&t->limit_ms, 0);
    t->id = 0;
    t->owner = NULL;
    t->done = NULL;
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
    if (t->admitted)
        budget_give(&x->budget, t->question.sign.client, 1, t->urgent);
    t->admitted = false;
    metric_sub(METRIC_HTTP_IN_FLIGHT, 1);
    (void)atomic_fetch_sub(&x->waiting, 1);
    bool won = move(t, generation, STATE_FILLING, STATE_HELD);
    cc_assert(won);
    (t->done ? t->done : x->done)(t);
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

/* Blocks go before all that waits here. */
static bool enqueue(struct exchange *x, uint64_t id, bool first)
{
    (void)pthread_mutex_lock(&x->queue_lock);
    bool fits = x->queue_len < x->queue_cap;
    if (fits) {
        if (first)
            x->queue_head = (x->queue_head + x->queue_cap - 1) % x->queue_cap;
        uint32_t at = first ? x->queue_head : (x->queue_head + x->queue_len) % x->queue_cap;
        x->queue[at] = id;
        x->queue_len++;
    }
    (void)pthread_mutex_unlock(&x->queue_lock);
    return fits;
}

static void give_ids(struct ticket *t, uint64_t generation, uint64_t asked_ns)
{
    const uint64_t id = id_of(t->index, generation, 0);
    t->id = id;
    switch (t->ask) {
    case TICKET_SIGN:
        t->question.sign.id = id;
        t->question.sign.trace.asked_ns = asked_ns;
        return;
    case TICKET_QUERY:
        t->question.query.id = id;
        return;
    case TICKET_SLASHING:
        t->question.slashing->head.id = id;
        return;
    case TICKET_MANAGE:
        t->question.manage->id = id;
        return;
    case TICKET_KEYS:
        t->question.keys->head.id = id;
        return;
    case TICKET_ATTEST:
        t->question.attest.id = id;
        return;
    case TICKET_BATCH:
        break;
    }
    struct batch *b = t->question.batch;
    cc_assert(b->asked > 0 && b->asked <= BATCH_ITEMS_MAX);
    for (uint32_t i = 0; i < b->asked; i++) {
        b->asks[i].id = id_of(t->index, generation, i);
        b->asks[i].trace.asked_ns = asked_ns;
    }
    t->batch_sent = 0;
    t->batch_answered = 0;
}

static cc_err admit(struct exchange *x, struct ticket *t)
{
    if (!exchange_is_open(x))
        return CC_FAIL(DOOR_CLOSED, NULL);
    if (t->ask != TICKET_SIGN)
        return CC_OK;
    t->admitted = budget_take(&x->budget, t->question.sign.client, 1, t->urgent);
    if (t->admitted)
        return CC_OK;
    metric_add(METRIC_HTTP_SHED, 0, 0, 1);
    return CC_FAIL(BUSY, NULL);
}

void ticket_submit(struct exchange *x, struct ticket *t)
{
    uint64_t generation = generation_of(atomic_load(&t->state)) + 1;
    const uint64_t now_ns = clock_mono_ns();
    atomic_store(&t->asked_ms, now_ns / 1000000);
    t->next_chunk = 0;
    t->keys.len = 0;
    t->denied = false;
    give_ids(t, generation, now_ns);
    metric_add(METRIC_HTTP_IN_FLIGHT, 0, 0, 1);
    (void)atomic_fetch_add(&x->waiting, 1);
    cc_err err = admit(x, t);
    if (err.code) {
        atomic_store(&t->state, pack(generation, STATE_FILLING));
        complete(x, t, generation, err);
        return;
    }
    bool first = t->urgent;
    atomic_store(&t->state, pack(generation, STATE_QUEUED));
    /* From here on receive(), or expire() after the door closed, may complete it. */
    if (!enqueue(x, id_of(t->index, generation, 0), first))
        give_up(x, t, pack(generation, STATE_QUEUED), CC_FAIL(BUSY, NULL));
}

/* --- sending -------------------------------------------------------------------------------------------------------- */

static struct ticket *ticket_of(struct exchange *x, uint64_t id, uint64_t *ret_state)
{
    uint32_t index = (uint32_t)id & ((1U << A_ID_INDEX_BITS) - 1);
    if (index >= x->count)
        return NULL;
    struct ticket *t = &x->tickets[index];
    *ret_state = atomic_load(&t->state);
    return (generation_of(*ret_state) & UINT32_MAX) == id >> 32 ? t : NULL;
}

struct packets {
    uint32_t signs;
    uint32_t queries;
    uint32_t slashing;
    uint32_t manage;
    uint32_t keys;
    uint32_t attests;
    struct a_attest attest;
};

static bool is_full(const struct packets *p)
{
    return p->signs == SIGN_FIT || p->queries == QUERY_FIT || p->slashing || p->manage || p->keys ||
           p->attests;
}

/* Makes the ticket ours to send, unless it was given up. Who has an answer for it has it only for a moment. */
static struct ticket *grab(struct exchange *x, uint64_t id, uint64_t *ret_generation)
{
    for (;;) {
        uint64_t state;
        struct ticket *t = ticket_of(x, id, &state);
        enum ticket_state s = (enum ticket_state)(state & 0xff);
        if (!t || (s != STATE_QUEUED && s != STATE_FILLING))
            return NULL;
        *ret_generation = generation_of(state);
        if (s == STATE_QUEUED && move(t, *ret_generation, STATE_QUEUED, STATE_COPYING))
            return t;
        (void)sched_yield();
    }
}

/* True when some of it is left for another packet. */
static bool copy_question(struct exchange *x, struct ticket *t, struct packets *p)
{
    if (t->ask == TICKET_QUERY) {
        x->query_batch[p->queries++] = t->question.query;
        return false;
    }
    if (t->ask == TICKET_SIGN) {
        x->sign_batch[p->signs++] = t->question.sign;
        return false;
    }
    if (t->ask == TICKET_SLASHING) {
        *x->slashing = *t->question.slashing;
        p->slashing = 1;
        return false;
    }
    if (t->ask == TICKET_MANAGE) {
        *x->manage = *t->question.manage;
        p->manage = 1;
        return false;
    }
    if (t->ask == TICKET_KEYS) {
        *x->keys = *t->question.keys;
        p->keys = 1;
        return false;
    }
    if (t->ask == TICKET_ATTEST) {
        p->attest = t->question.attest;
        p->attests = 1;
        return false;
    }
    const struct batch *b = t->question.batch;
    uint32_t count = (uint32_t)u64_min(b->asked - t->batch_sent, SIGN_FIT - p->signs);
    memcpy(&x->sign_batch[p->signs], &b->asks[t->batch_sent], count * sizeof *b->asks);
    p->signs += count;
    t->batch_sent += count;
    return t->batch_sent < b->asked;
}

/* Moves what waits into the packets, until one of them is full. */
static void gather(struct exchange *x, struct packets *p)
{
    *p = (struct packets){0};
    (void)pthread_mutex_lock(&x->queue_lock);
    while (x->queue_len && !is_full(p)) {
        uint64_t id = x->queue[x->queue_head];
        uint64_t generation;
        x->queue_head = (x->queue_head + 1) % x->queue_cap;
        x->queue_len--;
        struct ticket *t = grab(x, id, &generation);
        if (!t)
            continue;
        bool more = copy_question(x, t, p);
        if (more) /* the place that its id has just left */
            x->queue[(x->queue_head + x->queue_len++) % x->queue_cap] = id;
        bool sent = move(t, generation, STATE_COPYING, more ? STATE_QUEUED : STATE_SENT);
        cc_assert(sent);
    }
    (void)pthread_mutex_unlock(&x->queue_lock);
}

static void close_door(struct exchange *x, const char *why, cc_err err)
{
    if (atomic_exchange(&x->open, false))
        log_warn(why, KV_ERR(err));
    (void)shutdown(x->fd, SHUT_RDWR);
}

/* A door that says so takes a whole packet: the kernel says it only while most of the buffer is free. */
static bool takes_packets(struct exchange *x)
{
    struct pollfd door = {.fd = x->fd, .events = POLLOUT};
    bool takes = poll(&door, 1, 0) == 1;
    uint64_t never = 0;
    if (takes)
        atomic_store(&x->blocked_since_ms, 0);
    else
        (void)atomic_compare_exchange_strong(&x->blocked_since_ms, &never, clock_mono_ms());
    return takes;
}

static bool has_queued(struct exchange *x)
{
    (void)pthread_mutex_lock(&x->queue_lock);
    bool some = x->queue_len > 0;
    (void)pthread_mutex_unlock(&x->queue_lock);
    return some;
}

/* Each kind in a packet of its own; the ones after a failure are lost with the door. */
static cc_err send_packets(struct exchange *x, const struct packets *p)
{
    const struct {
        uint16_t type;
        const void *items;
        size_t size;
        uint32_t count;
    } rows[] = {{A_QUERY, x->query_batch, sizeof(struct a_query), p->queries},
                {A_SIGN, x->sign_batch, sizeof(struct a_sign), p->signs},
                {A_SLASHING, x->slashing, sizeof *x->slashing, p->slashing},
                {A_MANAGE, x->manage, sizeof *x->manage, p->manage},
                {A_KEYS, x->keys, sizeof *x->keys, p->keys},
                {A_ATTEST, &p->attest, sizeof p->attest, p->attests}};
    if (p->signs)
        metric_observe(METRIC_DOOR_BATCH, 0, p->signs);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].count)
            CC_TRY(door_send(x->fd, x->life, rows[i].type, rows[i].items, rows[i].size,
                             rows[i].count));
    return CC_OK;
}

/* False when the door takes no more, or is closed. */
static bool send_all(struct exchange *x)
{
    struct packets p;
    while (has_queued(x)) {
        if (!exchange_is_open(x) || !takes_packets(x))
            return false;
        gather(x, &p);
        cc_err err = send_packets(x, &p);
        if (p.keys)
            wipe(x->keys, sizeof *x->keys);
        if (err.code)
            close_door(x, "the core can't be reached", err);
    }
    return true;
}

/* Who sends looks again after it has said that it doesn't any more: nothing that was left to it stays behind. */
void exchange_flush(struct exchange *x)
{
    while (has_queued(x) && !atomic_exchange(&x->sending, true)) {
        bool all = send_all(x);
        atomic_store(&x->sending, false);
        if (!all)
            return;
    }
}

void exchange_expire(struct exchange *x, uint64_t now_ms, uint64_t limit_ms)
{
    uint64_t blocked_ms = atomic_load(&x->blocked_since_ms);
    if (blocked_ms && now_ms > blocked_ms + DOOR_STALL_MS) {
        atomic_store(&x->stalled, true);
        close_door(x, "the core does not read", CC_FAIL(DOOR_CLOSED, NULL));
    }
    exchange_flush(x);
    bool closed = !exchange_is_open(x);
    if (atomic_load(&x->waiting) == 0 || (!closed && now_ms < atomic_load(&x->next_look_ms)))
        return;
    atomic_store(&x->next_look_ms, u64_add_sat(now_ms, u64_min(limit_ms / 16, LOOK_MS)));
    for (uint32_t i = 0; i < x->count; i++) {
        struct ticket *t = &x->tickets[i];
        uint64_t state = atomic_load(&t->state);
        enum ticket_state s = (enum ticket_state)(state & 0xff);
        if (s != STATE_QUEUED && s != STATE_SENT)
            continue;
        uint64_t asked_ms = atomic_load(&t->asked_ms);
        uint64_t own_limit_ms = u64_max(limit_ms, atomic_load(&t->limit_ms));
        if (closed)
            give_up(x, t, state, CC_FAIL(DOOR_CLOSED, NULL));
        else if (now_ms > asked_ms && now_ms - asked_ms > own_limit_ms)
            give_up(x, t, state, CC_FAIL(BUSY, "no answer in time"));
    }
}

/* --- receiving ---------------------------------------------------------------------------------------------------- */

/* A ticket that was won, and what to put it back to. */
struct won {
    struct ticket *ticket; /* NULL: none */
    uint64_t generation;
    enum ticket_state from;
};

static void put_back(struct won won)
{
    bool back = move(won.ticket, won.generation, STATE_FILLING, won.from);
    cc_assert(back);
}

enum {
    ANY_QUESTION = 0
};

/* Asked such a question, and of it something that can be answered by now? The ticket is ours while this looks. */
static bool fits(struct won won, unsigned asks, uint32_t question)
{
    const struct ticket *t = won.ticket;
    if (!(t->ask & asks) || (won.from == STATE_QUEUED && t->ask != TICKET_BATCH))
        return false;
    return t->ask != TICKET_QUERY || question == ANY_QUESTION ||
           t->question.query.question == question;
}

/* Wins the ticket that `id` names, if it waits for an answer to such a question (`asks`: enum ticket_ask, several); none for
 * a late, repeated or invented answer.
 */
static struct won win(struct exchange *x, uint64_t id, unsigned asks, uint32_t question)
{
    struct won won = {0};
    for (;;) {
        uint64_t state;
        won.ticket = ticket_of(x, id, &state);
        won.generation = generation_of(state);
        won.from = (enum ticket_state)(state & 0xff);
        if (!won.ticket ||
            (won.from != STATE_SENT && won.from != STATE_QUEUED && won.from != STATE_COPYING))
            return (struct won){0};
        if (won.from != STATE_COPYING && move(won.ticket, won.generation, won.from, STATE_FILLING))
            break;
        (void)sched_yield();
    }
    if (fits(won, asks, question))
        return won;
    put_back(won);
    return (struct won){0};
}

static void complete_won(struct exchange *x, struct won won, cc_err err)
{
    complete(x, won.ticket, won.generation, err);
}

/* One of many: takes it unless it was not asked yet, or is answered already. */
static void take_one_of_batch(struct exchange *x, struct won won, const struct a_signed *item)
{
    struct ticket *t = won.ticket;
    struct batch *b = t->question.batch;
    uint32_t i = item_of(item->id);
    if (i < t->batch_sent && b->answers[i].error == BATCH_UNANSWERED) {
        b->answers[i] = *item;
        b->answers[i].error = (uint32_t)error_from_number(item->error).code;
        t->batch_answered++;
    }
    if (t->batch_answered == b->asked)
        complete_won(x, won, CC_OK);
    else
        put_back(won);
}

static void take_signed(struct exchange *x, const struct door_message *m)
{
    for (uint32_t i = 0; i < m->head.count; i++) {
        struct a_signed item;
        memcpy(&item, m->items + i * sizeof item, sizeof item);
        struct won won = win(x, item.id, TICKET_SIGN | TICKET_BATCH, 0);
        if (!won.ticket)
            continue;
        if (won.ticket->ask == TICKET_BATCH) {
            take_one_of_batch(x, won, &item);
        } else if (item_of(item.id)) {
            put_back(won);
        } else {
            won.ticket->answer.sign = item;
            complete_won(x, won, error_from_number(item.error));
        }
    }
}

/* Chunks of a list must come in their order; a gap spoils the list, never the answer of another. */
static void take_public_keys(struct exchange *x, const struct door_message *m)
{
    struct a_public_keys item;
    memcpy(&item, m->items, sizeof item);
    struct won won = win(x, item.id, TICKET_QUERY, ASK_PUBLIC_KEYS);
    struct ticket *t = won.ticket;
    if (!t)
        return;
    cc_err err = error_from_number(item.error);
    if (!err.code && (item.count > A_PUBLIC_KEYS_CHUNK || item.chunk != t->next_chunk++))
        err = CC_FAIL(PROTOCOL, "chunks of the public keys");
    if (!err.code)
        err = buf_append(&t->keys, item.keys, item.count * sizeof item.keys[0]);
    if (err.code || item.last)
        complete_won(x, won, err);
    else
        put_back(won);
}

static void take_health(struct exchange *x, const struct door_message *m)
{
    struct a_health item;
    memcpy(&item, m->items, sizeof item);
    struct won won = win(x, item.id, TICKET_QUERY, ASK_HEALTH);
    if (!won.ticket)
        return;
    won.ticket->answer.health = item;
    complete_won(x, won, CC_OK);
}

static void take_reload(struct exchange *x, const struct door_message *m)
{
    struct a_reload item;
    memcpy(&item, m->items, sizeof item);
    struct won won = win(x, item.id, TICKET_QUERY, ASK_RELOAD_START);
    if (!won.ticket)
        won = win(x, item.id, TICKET_QUERY, ASK_RELOAD_STATUS);
    if (!won.ticket)
        return;
    won.ticket->answer.reload = item;
    complete_won(x, won, error_from_number(item.error));
}

static void take_high_watermark(struct exchange *x, const struct door_message *m)
{
    struct a_high_watermark item;
    memcpy(&item, m->items, sizeof item);
    struct won won = win(x, item.id, TICKET_QUERY, ASK_HIGH_WATERMARK);
    if (!won.ticket)
        return;
    won.ticket->answer.mark = item;
    complete_won(x, won, error_from_number(item.error));
}

/* The messages of one answer must come in their order, and the records of them all fit one request. */
static void take_slashed(struct exchange *x, const struct door_message *m)
{
    const struct a_slashing *item = (const void *)m->items;
    struct won won = win(x, item->head.id, TICKET_SLASHING, 0);
    struct ticket *t = won.ticket;
    if (!t)
        return;
    cc_err err = error_from_number(item->head.error);
    if (!err.code && (item->head.count > A_RECORDS_MAX || item->head.chunk != t->next_chunk++ ||
                      item->head.verb != t->question.slashing->head.verb))
        err = CC_FAIL(PROTOCOL, "chunks of an answer about the history");
    if (!err.code)
        err = buf_append(&t->keys, item->records, item->head.count * sizeof item->records[0]);
    t->answer.slashing = item->head;
    if (err.code || item->head.last)
        complete_won(x, won, err);
    else
        put_back(won);
}

/* Printable, and ended: it goes into a text. */
static void copy_detail(char to[static A_MANAGED_DETAIL_MAX], const char *from)
{
    size_t n = 0;
    for (; n + 1 < A_MANAGED_DETAIL_MAX && from[n]; n++)
        to[n] = from[n] >= 0x20 && from[n] <= 0x7e ? from[n] : '?';
    to[n] = 0;
}

static cc_err take_part(struct ticket *t, const struct a_managed *item)
{
    cc_err err = error_from_number(item->error);
    t->answer.managed = (struct managed){
        .error = item->error, .rule = item->rule, .status = item->status, .reason = item->reason};
    t->answer.managed.reason.policy[A_NAME_MAX - 1] = 0;
    copy_detail(t->answer.managed.detail, item->detail);
    CC_TRY(err);
    if (item->len > A_MANAGED_MAX || item->chunk != t->next_chunk++ || item->status < 200 ||
        item->status > 299 || t->keys.len + item->len > A_MANAGED_TOTAL)
        return CC_FAIL(PROTOCOL, "parts of an answer about management");
    return buf_append(&t->keys, item->body, item->len);
}

/* The parts of one answer must come in their order. One of them may hold a token's text. */
static void take_managed(struct exchange *x, struct door_message *m)
{
    const struct a_managed *item = (const void *)m->items;
    struct won won = win(x, item->id, TICKET_MANAGE, 0);
    if (won.ticket) {
        cc_err err = take_part(won.ticket, item);
        if (err.code || item->last)
            complete_won(x, won, err);
        else
            put_back(won);
    }
    door_message_wipe(m);
}

/* A refusal answers any question but those for signatures, which have their own; that nothing is refused answers one alone. */
static void take_denied(struct exchange *x, const struct door_message *m)
{
    for (uint32_t i = 0; i < m->head.count; i++) {
        struct a_denied item;
        memcpy(&item, m->items + i * sizeof item, sizeof item);
        struct won won =
            win(x, item.id, TICKET_QUERY | TICKET_SLASHING | TICKET_KEYS, ANY_QUESTION);
        struct ticket *t = won.ticket;
        if (!t)
            continue;
        bool allowed =
            t->ask == TICKET_QUERY && t->question.query.question == ASK_ALLOWED && !item.error;
        cc_err err = error_from_number(item.error);
        t->answer.denied = item;
        t->denied = err.code != 0;
        complete_won(x, won,
                     allowed || err.code ? err : CC_FAIL(PROTOCOL, "a refusal without a reason"));
    }
}

/* One for each that was asked for; of a list, not more. */
static bool is_answer_to(const struct a_keys_head *ask, const struct a_keys_head *answer)
{
    const uint32_t most = ask->verb == KEYS_GENERATE ? A_KEYS_GENERATE_MAX : A_KEYS_MAX;
    if (answer->verb != ask->verb || answer->count > most)
        return false;
    return ask->verb == KEYS_LIST || answer->error || answer->count == ask->count;
}

static void take_keys_done(struct exchange *x, const struct door_message *m)
{
    const struct a_keys_done *item = (const void *)m->items;
    struct won won = win(x, item->head.id, TICKET_KEYS, 0);
    struct ticket *t = won.ticket;
    if (!t)
        return;
    cc_err err = error_from_number(item->head.error);
    if (!is_answer_to(&t->question.keys->head, &item->head))
        err = CC_FAIL(PROTOCOL, "an answer about other keys");
    if (!err.code && item->head.verb == KEYS_GENERATE)
        err = buf_append(&t->keys, &item->generated, sizeof item->generated);
    else if (!err.code)
        err = buf_append(&t->keys, item->items, item->head.count * sizeof item->items[0]);
    t->answer.keys = item->head;
    complete_won(x, won, err);
}

static void take_attested(struct exchange *x, const struct door_message *m)
{
    const struct a_attested *item = (const void *)m->items;
    struct won won = win(x, item->id, TICKET_ATTEST, 0);
    if (!won.ticket)
        return;
    cc_err err = error_from_number(item->error);
    if (!err.code && (item->len == 0 || item->len > A_DOCUMENT_MAX))
        err = CC_FAIL(PROTOCOL, "length of an attestation document");
    if (!err.code)
        err = buf_append(&won.ticket->keys, item->document, item->len);
    complete_won(x, won, err);
}

static void dispatch(struct exchange *x, struct door_message *m)
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
    else if (m->head.type == A_SLASHED)
        take_slashed(x, m);
    else if (m->head.type == A_MANAGED)
        take_managed(x, m);
    else if (m->head.type == A_DENIED)
        take_denied(x, m);
    else if (m->head.type == A_KEYS_DONE)
        take_keys_done(x, m);
    else if (m->head.type == A_ATTESTED)
        take_attested(x, m);
}

bool exchange_receive(struct exchange *x)
{
    cc_err err = door_receive(x->fd, x->life, door_a_to_front, x->message);
    if (!err.code) {
        dispatch(x, x->message);
        return true;
    }
    close_door(x, "door to the core closed", err);
    exchange_expire(x, clock_mono_ms(), 0);
    return false;
}

void exchange_start(struct exchange *x, int fd, uint32_t life)
{
    x->fd = fd;
    x->life = life;
    atomic_store(&x->open, true);
}

void exchange_stop(struct exchange *x)
{
    if (x->fd < 0)
        return;
    atomic_store(&x->open, false);
    (void)shutdown(x->fd, SHUT_RDWR);
    exchange_expire(x, clock_mono_ms(), 0);
}
