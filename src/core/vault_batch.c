#include "core/vault_batch.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"

static void take_lock(struct vault_batch *b)
{
    cc_assert(pthread_mutex_lock(&b->lock) == 0);
}

static void drop_lock(struct vault_batch *b)
{
    cc_assert(pthread_mutex_unlock(&b->lock) == 0);
}

void vault_batch_init(struct vault_batch *batch, int fd, uint32_t life)
{
    pthread_condattr_t attributes;
    *batch = (struct vault_batch){.fd = fd, .life = life};
    cc_assert(pthread_mutex_init(&batch->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&batch->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

void vault_batch_release(struct vault_batch *batch)
{
    (void)pthread_cond_destroy(&batch->news);
    (void)pthread_mutex_destroy(&batch->lock);
}

static uint8_t *item_of(const struct vault_questions *questions, size_t i)
{
    return (uint8_t *)questions->items + i * questions->size;
}

/* Waits for its turn; the items get ids that no earlier batch had. */
static cc_err take_turn(struct vault_batch *b, const struct vault_questions *questions)
{
    take_lock(b);
    while (b->asking && !b->gone)
        cc_assert(pthread_cond_wait(&b->news, &b->lock) == 0);
    const bool gone = b->gone;
    if (!gone) {
        b->asking = questions;
        b->first_id = b->last_id + 1;
        b->last_id += questions->count;
        b->answered = 0;
        for (size_t i = 0; i < questions->count; i++) {
            const uint64_t id = b->first_id + i;
            memcpy(item_of(questions, i), &id, sizeof id);
        }
    }
    drop_lock(b);
    return gone ? CC_FAIL(DOOR_CLOSED, "the vault is gone") : CC_OK;
}

static void end_turn(struct vault_batch *b)
{
    take_lock(b);
    b->asking = NULL;
    (void)pthread_cond_broadcast(&b->news);
    drop_lock(b);
}

/* Until at most `left` of the `sent` items are with the vault. */
static cc_err
wait_for_answers(struct vault_batch *b, size_t sent, size_t left, uint64_t patience_ms)
{
    int rc = 0;
    take_lock(b);
    while (sent - b->answered > left && !b->gone && rc == 0) {
        const size_t before = b->answered;
        const uint64_t until_ns = clock_mono_ns() + patience_ms * UINT64_C(1000000);
        const struct timespec until = {(time_t)(until_ns / 1000000000),
                                       (long)(until_ns % 1000000000)};
        while (before == b->answered && !b->gone && rc == 0)
            rc = pthread_cond_timedwait(&b->news, &b->lock, &until);
    }
    const bool enough = sent - b->answered <= left;
    const bool gone = b->gone;
    drop_lock(b);
    if (enough)
        return CC_OK;
    return gone ? CC_FAIL(DOOR_CLOSED, "the vault is gone")
                : CC_FAIL(STORE, "the vault does not answer");
}

static cc_err send_all(struct vault_batch *b, const struct vault_questions *q)
{
    size_t sent = 0;
    while (sent < q->count) {
        const size_t n = (size_t)u64_min(q->per_message, q->count - sent);
        CC_TRY(wait_for_answers(b, sent, q->under_way - n, q->patience_ms));
        CC_TRY(door_send(b->fd, b->life, (uint16_t)q->type, item_of(q, sent), q->size, n));
        sent += n;
    }
    return wait_for_answers(b, sent, 0, q->patience_ms);
}

CC_ERR vault_batch_ask(struct vault_batch *batch, const struct vault_questions *questions)
{
    cc_assert(questions->per_message && questions->under_way >= questions->per_message);
    if (questions->count == 0)
        return CC_OK;
    CC_TRY(take_turn(batch, questions));
    cc_err err = send_all(batch, questions);
    end_turn(batch);
    return err;
}

/* Under the lock. An id that was answered before stands in its answer already. */
static void take_answer(struct vault_batch *b, const uint8_t *item)
{
    const struct vault_questions *q = b->asking;
    uint64_t id = 0;
    uint64_t there = 0;
    memcpy(&id, item, sizeof id);
    if (id < b->first_id || id - b->first_id >= q->count)
        return;
    uint8_t *answer = (uint8_t *)q->answers + (size_t)(id - b->first_id) * q->answer_size;
    memcpy(&there, answer, sizeof there);
    if (there)
        return;
    memcpy(answer, item, q->answer_size);
    b->answered++;
}

void vault_batch_answer(struct vault_batch *batch, const struct door_message *message)
{
    take_lock(batch);
    const struct vault_questions *q = batch->asking;
    if (q && message->head.type == q->answer_type && message->head.item_size == q->answer_size)
        for (size_t i = 0; i < message->head.count; i++)
            take_answer(batch, message->items + i * q->answer_size);
    (void)pthread_cond_broadcast(&batch->news);
    drop_lock(batch);
}

void vault_batch_gone(struct vault_batch *batch)
{
    take_lock(batch);
    batch->gone = true;
    (void)pthread_cond_broadcast(&batch->news);
    drop_lock(batch);
}
