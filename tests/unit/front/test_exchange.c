/* Tickets over a real door whose far end plays a good, late, repeating, lying, silent and dying core. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "eth/request_json.h"
#include "front/exchange.h"
#include "support/test.h"

enum {
    LIFE = 3,
    TICKETS = 64
};

static struct exchange exchange;
static int core = -1;
static struct door_message *message;
static _Atomic uint32_t done_count;
static _Atomic bool pump_runs;
static pthread_t pump;
static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done_changed = PTHREAD_COND_INITIALIZER;

static void on_done(struct ticket *t)
{
    (void)pthread_mutex_lock(&done_lock);
    *(bool *)t->owner = true;
    (void)atomic_fetch_add(&done_count, 1);
    (void)pthread_cond_broadcast(&done_changed);
    (void)pthread_mutex_unlock(&done_lock);
}

static void wait_done(const bool *done)
{
    (void)pthread_mutex_lock(&done_lock);
    while (!*done)
        (void)pthread_cond_wait(&done_changed, &done_lock);
    (void)pthread_mutex_unlock(&done_lock);
}

static bool is_done(const bool *done)
{
    (void)pthread_mutex_lock(&done_lock);
    bool yes = *done;
    (void)pthread_mutex_unlock(&done_lock);
    return yes;
}

/* What the server's loop does: reads the door and sends what others have submitted. */
static void *pump_main(void *unused)
{
    (void)unused;
    struct pollfd door = {.fd = exchange.fd, .events = POLLIN};
    while (atomic_load(&pump_runs)) {
        if (poll(&door, 1, 1) == 1 && !exchange_receive(&exchange))
            return NULL;
        exchange_flush(&exchange);
    }
    return NULL;
}

static int open_all(void **state)
{
    (void)state;
    int pair[2];
    atomic_store(&done_count, 0);
    assert_int_equal(door_pair(pair).code, 0);
    core = pair[0];
    message = cc_alloc(sizeof *message);
    assert_int_equal(exchange_init(&exchange, TICKETS, on_done).code, 0);
    exchange_start(&exchange, pair[1], LIFE);
    atomic_store(&pump_runs, true);
    assert_int_equal(pthread_create(&pump, NULL, pump_main, NULL), 0);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    int fd = exchange.fd;
    atomic_store(&pump_runs, false);
    exchange_stop(&exchange);
    (void)pthread_join(pump, NULL);
    (void)close(fd);
    (void)close(core);
    exchange_release(&exchange);
    cc_free(message);
    return 0;
}

static struct ticket *ask_sign(uint64_t slot, bool *done)
{
    struct ticket *t = ticket_take(&exchange);
    assert_non_null(t);
    *done = false;
    t->owner = done;
    t->urgent = false;
    t->ask = TICKET_SIGN;
    t->question.sign.request.claim.attestation.slot = slot;
    ticket_submit(&exchange, t);
    exchange_flush(&exchange);
    return t;
}

static struct ticket *ask_query(uint32_t question, bool *done)
{
    struct ticket *t = ticket_take(&exchange);
    assert_non_null(t);
    *done = false;
    t->owner = done;
    t->urgent = false;
    t->ask = TICKET_QUERY;
    t->question.query.question = question;
    ticket_submit(&exchange, t);
    exchange_flush(&exchange);
    return t;
}

static const uint8_t *receive(uint16_t type)
{
    assert_int_equal(door_receive(core, LIFE, door_a_to_core, message).code, 0);
    assert_int_equal(message->head.type, type);
    return message->items;
}

static struct a_sign receive_sign(void)
{
    struct a_sign item;
    memcpy(&item, receive(A_SIGN), sizeof item);
    return item;
}

static struct a_query receive_query(void)
{
    struct a_query item;
    memcpy(&item, receive(A_QUERY), sizeof item);
    return item;
}

static void answer_sign(uint64_t id, uint64_t slot, uint32_t error)
{
    struct a_signed item = {.id = id, .error = error, .earlier_slot = slot};
    assert_int_equal(door_send(core, LIFE, A_SIGNED, &item, sizeof item, 1).code, 0);
}

static void answer_health(uint64_t id)
{
    struct a_health item = {.id = id, .ready = 1};
    assert_int_equal(door_send(core, LIFE, A_HEALTH, &item, sizeof item, 1).code, 0);
}

/* What was sent before has been taken: a round trip of a question of another kind. */
static void settle(void)
{
    bool done;
    struct ticket *t = ask_query(ASK_HEALTH, &done);
    answer_health(receive_query().id);
    wait_done(&done);
    ticket_release(&exchange, t);
}

static void test_one_question_one_answer(void **state)
{
    (void)state;
    bool done;
    const uint64_t before_ns = clock_mono_ns();
    struct ticket *t = ask_sign(42, &done);
    struct a_sign item = receive_sign();
    assert_true(item.trace.asked_ns >= before_ns && item.trace.asked_ns <= clock_mono_ns());
    assert_int_equal(item.request.claim.attestation.slot, 42);
    assert_int_equal(exchange_waiting(&exchange), 1);
    answer_sign(item.id, 42, 0);
    wait_done(&done);
    assert_int_equal(t->err.code, 0);
    assert_int_equal(t->answer.sign.earlier_slot, 42);
    assert_int_equal(exchange_waiting(&exchange), 0);
    ticket_release(&exchange, t);
}

static void test_C02_late_repeated_and_invented_answers_find_nobody(void **state)
{
    (void)state;
    bool done;
    struct ticket *t = ask_sign(1, &done);
    uint64_t old = receive_sign().id;
    answer_sign(old, 1, 0);
    wait_done(&done);
    answer_sign(old, 666, 0); /* repeated, while the ticket is held */
    settle();
    assert_int_equal(t->answer.sign.earlier_slot, 1);
    ticket_release(&exchange, t);
    answer_sign(old, 666, 0); /* while it is free */

    struct ticket *again = ask_sign(2, &done);
    assert_ptr_equal(again, t);
    struct a_sign item = receive_sign();
    assert_true(item.id != old);
    answer_sign(old, 666, 0);                    /* late: the ticket is another's now */
    answer_sign(item.id ^ (1ull << 32), 666, 0); /* an older or newer generation */
    answer_sign(UINT64_MAX, 666, 0);             /* no such ticket */
    answer_sign(item.id + 1, 666, 0);            /* a free one */
    answer_health(item.id);                      /* an answer to another question */
    struct a_public_keys keys = {.id = item.id, .last = 1};
    assert_int_equal(door_send(core, LIFE, A_PUBLIC_KEYS, &keys, sizeof keys, 1).code, 0);
    settle();
    assert_false(is_done(&done));
    answer_sign(item.id, 2, 0);
    wait_done(&done);
    assert_int_equal(again->answer.sign.earlier_slot, 2);
    ticket_release(&exchange, again);
}

static void test_errors_of_the_core(void **state)
{
    (void)state;
    static const uint32_t errors[] = {ERROR_SLASHABLE, ERROR_KEY_UNKNOWN, ERROR_ROOT_MISMATCH,
                                      ERROR_STORE};
    bool done;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        struct ticket *t = ask_sign(i, &done);
        answer_sign(receive_sign().id, i, errors[i]);
        wait_done(&done);
        assert_int_equal(t->err.code, (int)errors[i]);
        ticket_release(&exchange, t);
    }
    struct ticket *t = ask_sign(0, &done);
    answer_sign(receive_sign().id, 0, 123456);
    wait_done(&done);
    assert_int_equal(error_status(t->err), 500);
    ticket_release(&exchange, t);
}

static void deny(uint64_t id, uint32_t error)
{
    const struct a_denied item = {
        .id = id, .error = error, .rule = 3, .reason = {.policy = "one", .number = 7}};
    assert_int_equal(door_send(core, LIFE, A_DENIED, &item, sizeof item, 1).code, 0);
}

/* In the place of any answer but a signature's; and of ASK_ALLOWED it is the answer. */
static void test_refusals(void **state)
{
    (void)state;
    static const enum a_question questions[] = {ASK_PUBLIC_KEYS,    ASK_HEALTH,
                                                ASK_RELOAD_START,   ASK_RELOAD_STATUS,
                                                ASK_HIGH_WATERMARK, ASK_ALLOWED};
    bool done;
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        struct ticket *t = ask_query(questions[i], &done);
        deny(receive_query().id, ERROR_DENIED);
        wait_done(&done);
        assert_true(error_is(t->err, ERROR_DENIED) && t->denied);
        assert_int_equal(t->answer.denied.reason.number, 7);
        ticket_release(&exchange, t);
        /* Nothing refused is no answer where there is something to tell. */
        t = ask_query(questions[i], &done);
        assert_false(t->denied);
        deny(receive_query().id, 0);
        wait_done(&done);
        assert_int_equal(t->err.code, questions[i] == ASK_ALLOWED ? 0 : ERROR_PROTOCOL);
        ticket_release(&exchange, t);
    }
    static struct a_slashing work = {.head = {.verb = SLASHING_STATUS}};
    struct ticket *t = ticket_take(&exchange);
    t->owner = &done;
    t->ask = TICKET_SLASHING;
    t->question.slashing = &work;
    done = false;
    ticket_submit(&exchange, t);
    exchange_flush(&exchange);
    (void)receive(A_SLASHING);
    deny(work.head.id, ERROR_UNAUTHENTICATED);
    wait_done(&done);
    assert_true(error_is(t->err, ERROR_UNAUTHENTICATED) && t->denied);
    ticket_release(&exchange, t);
}

static void test_C02_a_refusal_finds_only_who_asked(void **state)
{
    (void)state;
    bool sign_done, query_done;
    struct ticket *sign = ask_sign(1, &sign_done);
    uint64_t sign_id = receive_sign().id;
    struct ticket *query = ask_query(ASK_PUBLIC_KEYS, &query_done);
    uint64_t id = receive_query().id;
    deny(sign_id, ERROR_DENIED); /* signatures have their own */
    deny(id ^ (1ull << 32), ERROR_DENIED);
    deny(UINT64_MAX, ERROR_DENIED);
    settle();
    assert_false(is_done(&sign_done) || is_done(&query_done));
    deny(id, ERROR_DENIED);
    wait_done(&query_done);
    deny(id, ERROR_DENIED);
    answer_sign(sign_id, 1, 0);
    wait_done(&sign_done);
    assert_int_equal(sign->err.code, 0);
    assert_false(sign->denied);
    ticket_release(&exchange, sign);
    ticket_release(&exchange, query);
}

static void send_chunk(uint64_t id, uint32_t chunk, uint32_t count, uint32_t last)
{
    struct a_public_keys item = {.id = id, .chunk = chunk, .count = count, .last = last};
    memset(item.keys, (int)chunk + 1, sizeof item.keys);
    assert_int_equal(door_send(core, LIFE, A_PUBLIC_KEYS, &item, sizeof item, 1).code, 0);
}

static void test_public_keys_in_chunks(void **state)
{
    (void)state;
    bool done;
    struct ticket *t = ask_query(ASK_PUBLIC_KEYS, &done);
    uint64_t id = receive_query().id;
    send_chunk(id, 0, A_PUBLIC_KEYS_CHUNK, 0);
    send_chunk(id, 1, 2, 1);
    wait_done(&done);
    assert_int_equal(t->err.code, 0);
    assert_int_equal(t->keys.len, (A_PUBLIC_KEYS_CHUNK + 2) * sizeof(struct eth_pubkey));
    assert_int_equal(t->keys.data[0], 1);
    assert_int_equal(t->keys.data[t->keys.len - 1], 2);
    ticket_release(&exchange, t);
    assert_true(t->keys.cap <= TICKET_BUFFER_KEPT);
}

static void test_broken_lists_of_keys(void **state)
{
    (void)state;
    static const struct {
        uint32_t chunk;
        uint32_t count;
    } bad[] = {{1, 1}, {0, A_PUBLIC_KEYS_CHUNK + 1}, {UINT32_MAX, 0}};
    bool done;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct ticket *t = ask_query(ASK_PUBLIC_KEYS, &done);
        send_chunk(receive_query().id, bad[i].chunk, bad[i].count, 1);
        wait_done(&done);
        assert_true(error_is(t->err, ERROR_PROTOCOL));
        ticket_release(&exchange, t);
    }
}

static void test_stalled_core_times_out_and_its_late_answer_is_lost(void **state)
{
    (void)state;
    bool done;
    struct ticket *t = ask_sign(5, &done);
    uint64_t id = receive_sign().id;
    exchange_expire(&exchange, clock_mono_ms() + 900, 1000);
    assert_false(is_done(&done));
    exchange_expire(&exchange, clock_mono_ms() + 2000, 1000);
    wait_done(&done);
    assert_true(error_is(t->err, ERROR_BUSY));
    answer_sign(id, 5, 0);
    settle();
    assert_true(error_is(t->err, ERROR_BUSY));
    ticket_release(&exchange, t);
}

static void test_killed_core_fails_everyone_at_once(void **state)
{
    (void)state;
    bool done[8];
    struct ticket *t[8];
    for (int i = 0; i < 8; i++)
        t[i] = ask_sign((uint64_t)i, &done[i]);
    (void)shutdown(core, SHUT_RDWR);
    for (int i = 0; i < 8; i++) {
        /* One that the sender was just copying is found by the next tick. */
        while (!is_done(&done[i])) {
            exchange_expire(&exchange, clock_mono_ms(), UINT64_MAX);
            (void)poll(NULL, 0, 1);
        }
        assert_true(error_is(t[i]->err, ERROR_DOOR_CLOSED));
        ticket_release(&exchange, t[i]);
    }
    assert_false(exchange_is_open(&exchange));
    struct ticket *late = ask_sign(9, &done[0]);
    wait_done(&done[0]);
    assert_true(error_is(late->err, ERROR_DOOR_CLOSED));
    ticket_release(&exchange, late);
}

static void test_broken_protocol_closes_the_door(void **state)
{
    (void)state;
    bool done;
    struct ticket *t = ask_sign(1, &done);
    (void)receive_sign();
    assert_int_equal(send(core, "junk", 4, MSG_NOSIGNAL), 4);
    wait_done(&done);
    assert_true(error_is(t->err, ERROR_DOOR_CLOSED));
    ticket_release(&exchange, t);
}

static void test_too_many_waiting_are_refused_but_for_blocks(void **state)
{
    (void)state;
    uint32_t others = 0;
    bool block_done = false;
    bool shed_done;
    bool done;
    struct ticket *last = ask_sign(1, &done);
    while (budget_take(&exchange.budget, 0, 1, false))
        others++;
    struct ticket *shed = ask_sign(99, &shed_done);
    assert_true(is_done(&shed_done));
    assert_true(error_is(shed->err, ERROR_BUSY));
    ticket_release(&exchange, shed);

    struct ticket *block = ticket_take(&exchange);
    block->owner = &block_done;
    block->urgent = true;
    block->ask = TICKET_SIGN;
    ticket_submit(&exchange, block);
    assert_false(is_done(&block_done));
    while (exchange_waiting(&exchange))
        exchange_expire(&exchange, clock_mono_ms() + 10000, 0);
    ticket_release(&exchange, last);
    ticket_release(&exchange, block);
    budget_give(&exchange.budget, 0, others, false);
    assert_int_equal(atomic_load(&exchange.budget.used), 0);
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static struct batch *batch_of(uint32_t count)
{
    struct batch *b = cc_alloc(sizeof *b);
    b->count = b->asked = count;
    b->asks = cc_alloc_array(count, sizeof *b->asks);
    b->answers = cc_alloc_array(count, sizeof *b->answers);
    for (uint32_t i = 0; i < count; i++) {
        b->asks[i].request.claim.attestation.slot = i;
        b->answers[i].error = BATCH_UNANSWERED;
    }
    return b;
}

static struct ticket *ask_batch(struct batch *b, bool *done)
{
    struct ticket *t = ticket_take(&exchange);
    assert_non_null(t);
    *done = false;
    t->owner = done;
    t->urgent = false;
    t->ask = TICKET_BATCH;
    t->question.batch = b;
    ticket_submit(&exchange, t);
    exchange_flush(&exchange);
    return t;
}

/* Reads packets until `count` items have come; their ids. */
static uint32_t receive_items(uint64_t *ids, uint32_t count)
{
    uint32_t packets = 0;
    for (uint32_t got = 0; got < count; packets++) {
        (void)receive(A_SIGN);
        for (uint32_t i = 0; i < message->head.count; i++, got++) {
            struct a_sign item;
            memcpy(&item, message->items + i * sizeof item, sizeof item);
            assert_true(got < count);
            assert_int_equal(item.request.claim.attestation.slot, got);
            ids[got] = item.id;
        }
    }
    return packets;
}

static void test_a_batch_goes_in_few_packets(void **state)
{
    (void)state;
    static uint64_t ids[BATCH_ITEMS_MAX];
    const uint32_t fit = DOOR_FIT(sizeof(struct a_sign));
    bool done;
    struct batch *b = batch_of(BATCH_ITEMS_MAX);
    struct ticket *t = ask_batch(b, &done);
    assert_int_equal(receive_items(ids, BATCH_ITEMS_MAX), (BATCH_ITEMS_MAX + fit - 1) / fit);
    for (uint32_t i = BATCH_ITEMS_MAX; i-- > 0;) { /* answers in another order */
        assert_false(is_done(&done));
        answer_sign(ids[i], i, i % 2 ? ERROR_SLASHABLE : 0);
    }
    wait_done(&done);
    assert_int_equal(t->err.code, 0);
    for (uint32_t i = 0; i < BATCH_ITEMS_MAX; i++) {
        assert_int_equal(b->answers[i].earlier_slot, i);
        assert_int_equal(b->answers[i].error, i % 2 ? ERROR_SLASHABLE : 0);
    }
    ticket_release(&exchange, t);
    batch_free(b);
}

static void test_C02_wrong_answers_to_a_batch_find_nobody(void **state)
{
    (void)state;
    uint64_t ids[3];
    bool done;
    struct batch *b = batch_of(3);
    struct ticket *t = ask_batch(b, &done);
    (void)receive_items(ids, 3);
    answer_sign(ids[0], 7, 0);
    answer_sign(ids[0], 666, 0);                /* repeated */
    answer_sign(ids[2] + (1U << 20), 666, 0);   /* an item that it has not */
    answer_sign(ids[1] ^ (1ull << 32), 666, 0); /* an older or newer generation */
    answer_health(ids[1]);                      /* an answer to another question */
    settle();
    assert_false(is_done(&done));
    answer_sign(ids[1], 8, 123456);
    answer_sign(ids[2], 9, 0);
    wait_done(&done);
    assert_int_equal(b->answers[0].earlier_slot, 7);
    assert_int_equal(b->answers[1].earlier_slot, 8);
    assert_int_equal(error_status((cc_err){(int)b->answers[1].error}), 500);
    assert_int_equal(b->answers[2].earlier_slot, 9);
    ticket_release(&exchange, t);

    struct ticket *single = ask_sign(1, &done);
    uint64_t id = receive_sign().id;
    answer_sign(id + (1U << 20), 666, 0); /* as if it were one of many */
    settle();
    assert_false(is_done(&done));
    answer_sign(id, 1, 0);
    wait_done(&done);
    ticket_release(&exchange, single);
    batch_free(b);
}

static void test_a_batch_without_all_answers_keeps_those_it_has(void **state)
{
    (void)state;
    uint64_t ids[3];
    bool done;
    struct batch *b = batch_of(3);
    struct ticket *t = ask_batch(b, &done);
    (void)receive_items(ids, 3);
    answer_sign(ids[1], 5, 0);
    settle();
    (void)shutdown(core, SHUT_RDWR);
    while (!is_done(&done)) {
        exchange_expire(&exchange, clock_mono_ms(), UINT64_MAX);
        (void)poll(NULL, 0, 1);
    }
    assert_true(error_is(t->err, ERROR_DOOR_CLOSED));
    assert_int_equal(b->answers[0].error, BATCH_UNANSWERED);
    assert_int_equal(b->answers[1].error, 0);
    assert_int_equal(b->answers[1].earlier_slot, 5);
    assert_int_equal(b->answers[2].error, BATCH_UNANSWERED);
    ticket_release(&exchange, t);
    batch_free(b);
}

/* Nobody waits for a core that does not read; after DOOR_STALL_MS it is given up. */
static void test_a_core_that_does_not_read_is_given_up(void **state)
{
    (void)state;
    struct batch *b[TICKETS];
    struct ticket *t[TICKETS];
    bool done[TICKETS];
    int n = 0;
    while (atomic_load(&exchange.blocked_since_ms) == 0) {
        assert_true(n < TICKETS);
        b[n] = batch_of(BATCH_ITEMS_MAX);
        t[n] = ask_batch(b[n], &done[n]);
        n++;
    }
    exchange_expire(&exchange, atomic_load(&exchange.blocked_since_ms) + DOOR_STALL_MS, 60000);
    assert_false(exchange_is_stalled(&exchange));
    assert_true(exchange_is_open(&exchange));
    exchange_expire(&exchange, atomic_load(&exchange.blocked_since_ms) + DOOR_STALL_MS + 1, 60000);
    assert_true(exchange_is_stalled(&exchange));
    assert_false(exchange_is_open(&exchange));
    for (int i = 0; i < n; i++) {
        wait_done(&done[i]);
        assert_true(error_is(t[i]->err, ERROR_DOOR_CLOSED));
        ticket_release(&exchange, t[i]);
        batch_free(b[i]);
    }
}

/* --- work on keys ------------------------------------------------------------------------------------------------- */

static struct ticket *ask_keys(struct a_keys *ask, uint64_t limit_ms, bool *done)
{
    struct ticket *t = ticket_take(&exchange);
    assert_non_null(t);
    *done = false;
    t->owner = done;
    t->urgent = false;
    t->ask = TICKET_KEYS;
    t->question.keys = ask;
    atomic_store(&t->limit_ms, limit_ms);
    ticket_submit(&exchange, t);
    exchange_flush(&exchange);
    return t;
}

static void answer_keys(uint64_t id, uint32_t verb, uint32_t count, uint32_t error)
{
    static struct a_keys_done item;
    item = (struct a_keys_done){.head = {.id = id, .verb = verb, .count = count, .error = error}};
    item.items[1].outcome = A_KEY_DUPLICATE;
    assert_int_equal(door_send(core, LIFE, A_KEYS_DONE, &item, sizeof item, 1).code, 0);
}

static void test_work_on_keys_goes_and_comes_and_leaves_no_password(void **state)
{
    static struct a_keys ask;
    static const struct a_keys wiped;
    struct a_keys got;
    bool done;
    (void)state;
    ask = (struct a_keys){.head = {.verb = KEYS_IMPORT, .count = 2}};
    memset(ask.is.imports[0].keystore.password, 'p', K_PASSWORD_MAX);
    struct ticket *t = ask_keys(&ask, 0, &done);
    memcpy(&got, receive(A_KEYS), sizeof got);
    assert_memory_equal(&got.is, &ask.is, sizeof got.is);
    assert_memory_equal(exchange.keys, &wiped, sizeof wiped);
    answer_keys(got.head.id, KEYS_IMPORT, 2, 0);
    wait_done(&done);
    assert_int_equal(t->err.code, 0);
    assert_int_equal(t->keys.len, 2 * sizeof(struct a_key_item));
    assert_int_equal(((const struct a_key_item *)(const void *)t->keys.data)[1].outcome,
                     A_KEY_DUPLICATE);
    ticket_release(&exchange, t);
}

static void test_C02_wrong_answers_about_keys_are_believed_by_nobody(void **state)
{
    static const struct {
        uint32_t verb, count, error;
        enum error_code expected;
    } cases[] = {
        {KEYS_DELETE, 1, 0, ERROR_PROTOCOL},              /* fewer than asked for */
        {KEYS_DELETE, A_KEYS_MAX + 1, 0, ERROR_PROTOCOL}, /* more than a message holds */
        {KEYS_IMPORT, 2, 0, ERROR_PROTOCOL},              /* of something else */
        {KEYS_DELETE, 0, ERROR_BUSY, ERROR_BUSY},
    };
    static struct a_keys ask;
    bool done, other;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ask = (struct a_keys){.head = {.verb = KEYS_DELETE, .count = 2}};
        struct ticket *t = ask_keys(&ask, 0, &done);
        struct ticket *sign = ask_sign(1, &other);
        (void)receive(A_KEYS);
        uint64_t id = ask.head.id;
        uint64_t sign_id = receive_sign().id;
        answer_keys(sign_id, KEYS_DELETE, 2, 0); /* to who asked for a signature */
        answer_sign(id, 1, 0);                   /* and the other way round */
        settle();
        assert_false(is_done(&done) || is_done(&other));
        answer_keys(id, cases[i].verb, cases[i].count, cases[i].error);
        wait_done(&done);
        assert_int_equal(t->err.code, cases[i].expected);
        assert_int_equal(t->keys.len, 0);
        answer_sign(sign_id, 1, 0);
        wait_done(&other);
        ticket_release(&exchange, t);
        ticket_release(&exchange, sign);
    }
}

static void test_work_on_keys_may_take_its_own_time(void **state)
{
    static struct a_keys ask;
    bool done;
    (void)state;
    ask = (struct a_keys){.head = {.verb = KEYS_IMPORT, .count = 1}};
    struct ticket *t = ask_keys(&ask, 60000, &done);
    (void)receive(A_KEYS);
    exchange_expire(&exchange, clock_mono_ms() + 30000, 10000);
    assert_false(is_done(&done));
    exchange_expire(&exchange, clock_mono_ms() + 120000, 10000);
    wait_done(&done);
    assert_int_equal(t->err.code, ERROR_BUSY);
    ticket_release(&exchange, t);
}

/* Who takes a ticket next has not been refused. */
static void test_a_refusal_goes_with_its_ticket(void **state)
{
    (void)state;
    bool done;
    struct ticket *t = ask_query(ASK_ALLOWED, &done);
    const struct a_denied no = {.id = receive_query().id, .error = ERROR_UNAUTHENTICATED};
    assert_int_equal(door_send(core, LIFE, A_DENIED, &no, sizeof no, 1).code, 0);
    wait_done(&done);
    assert_true(t->denied);
    ticket_release(&exchange, t);
    struct ticket *next = ticket_take(&exchange);
    assert_ptr_equal(next, t);
    assert_false(next->denied);
    assert_int_equal(next->err.code, 0);
    ticket_release(&exchange, next);
}

static void test_tickets_run_out_and_come_back(void **state)
{
    (void)state;
    struct ticket *t[TICKETS];
    for (int i = 0; i < TICKETS; i++)
        assert_non_null(t[i] = ticket_take(&exchange));
    assert_null(ticket_take(&exchange));
    for (int i = 0; i < TICKETS; i++)
        ticket_release(&exchange, t[i]);
    assert_non_null(t[0] = ticket_take(&exchange));
    ticket_release(&exchange, t[0]);
}

/* --- many threads against a core that answers in disorder, twice, and sometimes not at all ------------------------- */

enum {
    CLIENTS = 16,
    ROUNDS = 400
};

static void *disorderly_core(void *unused)
{
    (void)unused;
    uint64_t kept[256] = {0};
    uint64_t slots[256] = {0};
    uint32_t seed = 12345;
    size_t at = 0;
    while (!door_receive(core, LIFE, door_a_to_core, message).code) {
        for (uint32_t i = 0; i < message->head.count; i++) {
            struct a_sign item;
            memcpy(&item, message->items + i * sizeof item, sizeof item);
            size_t old = at++ % ARRAY_LEN(kept);
            struct a_signed answers[3] = {
                {.id = kept[old], .earlier_slot = slots[old]}, /* answered long ago */
                {.id = item.id, .earlier_slot = item.request.claim.attestation.slot},
                {.id = item.id, .earlier_slot = 666}, /* twice */
            };
            kept[old] = item.id;
            slots[old] = item.request.claim.attestation.slot;
            seed = seed * 1103515245 + 12345;
            bool silent = (seed >> 16) % 16 == 0;
            if (door_send(core, LIFE, A_SIGNED, answers, sizeof answers[0], silent ? 1 : 3).code)
                return NULL;
        }
    }
    return NULL;
}

static _Atomic uint32_t crossed;
static _Atomic uint32_t answered;
static _Atomic bool clients_run;

static void *client(void *number)
{
    uint64_t base = (uint64_t)(uintptr_t)number * 1000000;
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        bool done;
        struct ticket *t = ask_sign(base + i, &done);
        wait_done(&done);
        if (!t->err.code) {
            (void)atomic_fetch_add(&answered, 1);
            (void)atomic_fetch_add(&crossed, t->answer.sign.earlier_slot != base + i);
        }
        ticket_release(&exchange, t);
    }
    return NULL;
}

static void *ticker(void *unused)
{
    (void)unused;
    while (atomic_load(&clients_run)) {
        exchange_expire(&exchange, clock_mono_ms(), 20);
        (void)poll(NULL, 0, 5);
    }
    return NULL;
}

static void test_C02_no_answer_crosses_between_clients(void **state)
{
    (void)state;
    pthread_t threads[CLIENTS];
    pthread_t core_thread;
    pthread_t tick_thread;
    atomic_store(&clients_run, true);
    assert_int_equal(pthread_create(&core_thread, NULL, disorderly_core, NULL), 0);
    assert_int_equal(pthread_create(&tick_thread, NULL, ticker, NULL), 0);
    for (uintptr_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, client, (void *)i), 0);
    for (int i = 0; i < CLIENTS; i++)
        (void)pthread_join(threads[i], NULL);
    atomic_store(&clients_run, false);
    (void)pthread_join(tick_thread, NULL);
    (void)shutdown(core, SHUT_RDWR);
    (void)pthread_join(core_thread, NULL);
    assert_int_equal(atomic_load(&crossed), 0);
    assert_true(atomic_load(&answered) > CLIENTS * ROUNDS / 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
    const struct CMUnitTest tests[] = {
        TEST(test_one_question_one_answer),
        TEST(test_C02_late_repeated_and_invented_answers_find_nobody),
        TEST(test_errors_of_the_core),
        TEST(test_refusals),
        TEST(test_C02_a_refusal_finds_only_who_asked),
        TEST(test_public_keys_in_chunks),
        TEST(test_broken_lists_of_keys),
        TEST(test_stalled_core_times_out_and_its_late_answer_is_lost),
        TEST(test_killed_core_fails_everyone_at_once),
        TEST(test_broken_protocol_closes_the_door),
        TEST(test_too_many_waiting_are_refused_but_for_blocks),
        TEST(test_work_on_keys_goes_and_comes_and_leaves_no_password),
        TEST(test_C02_wrong_answers_about_keys_are_believed_by_nobody),
        TEST(test_work_on_keys_may_take_its_own_time),
        TEST(test_a_refusal_goes_with_its_ticket),
        TEST(test_tickets_run_out_and_come_back),
        TEST(test_a_batch_goes_in_few_packets),
        TEST(test_C02_wrong_answers_to_a_batch_find_nobody),
        TEST(test_a_core_that_does_not_read_is_given_up),
        TEST(test_a_batch_without_all_answers_keeps_those_it_has),
        TEST(test_C02_no_answer_crosses_between_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
