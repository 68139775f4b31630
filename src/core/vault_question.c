#include "core/vault_question.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

static void take_lock(struct vault_question *q)
{
    cc_assert(pthread_mutex_lock(&q->lock) == 0);
}

static void drop_lock(struct vault_question *q)
{
    cc_assert(pthread_mutex_unlock(&q->lock) == 0);
}

void vault_question_init(struct vault_question *question, int fd, uint32_t life)
{
    pthread_condattr_t attributes;
    *question = (struct vault_question){.fd = fd, .life = life};
    cc_assert(pthread_mutex_init(&question->lock, NULL) == 0);
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&question->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

void vault_question_release(struct vault_question *question)
{
    (void)pthread_cond_destroy(&question->news);
    (void)pthread_mutex_destroy(&question->lock);
}

/* Waits for its turn; the id of the question that may be asked now. */
static cc_err
take_turn(struct vault_question *q, const struct vault_asking *asking, uint64_t *ret_id)
{
    take_lock(q);
    while (q->taken && !q->gone)
        cc_assert(pthread_cond_wait(&q->news, &q->lock) == 0);
    const bool gone = q->gone;
    if (!gone) {
        q->taken = true;
        q->answered = false;
        q->asking = asking;
        *ret_id = ++q->id;
    }
    drop_lock(q);
    return gone ? CC_FAIL(DOOR_CLOSED, "the vault is gone") : CC_OK;
}

static cc_err wait_for_answer(struct vault_question *q)
{
    const uint64_t until_ns = clock_mono_ns() + VAULT_QUESTION_MS * UINT64_C(1000000);
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int rc = 0;
    take_lock(q);
    while (!q->answered && !q->gone && rc == 0)
        rc = pthread_cond_timedwait(&q->news, &q->lock, &until);
    cc_err err = CC_OK;
    if (!q->answered)
        err = q->gone ? CC_FAIL(DOOR_CLOSED, "the vault is gone")
                      : CC_FAIL(STORE, "the vault does not answer");
    drop_lock(q);
    return err;
}

static void end_turn(struct vault_question *q)
{
    take_lock(q);
    q->taken = false;
    q->answered = false;
    q->asking = NULL;
    (void)pthread_cond_broadcast(&q->news);
    drop_lock(q);
}

static cc_err send_and_wait(struct vault_question *q, const struct vault_asking *asking)
{
    CC_TRY(door_send(q->fd, q->life, (uint16_t)asking->type, asking->item, asking->size, 1));
    return wait_for_answer(q);
}

CC_ERR vault_question_ask(struct vault_question *question, const struct vault_asking *asking)
{
    struct b_answer head;
    uint64_t id = 0;
    cc_assert(asking->size >= sizeof id && asking->answer_size >= sizeof head);
    CC_TRY(take_turn(question, asking, &id));
    memcpy(asking->item, &id, sizeof id);
    cc_err err = send_and_wait(question, asking);
    end_turn(question);
    CC_TRY(err);
    memcpy(&head, asking->answer, sizeof head);
    cc_err refused = error_from_number(head.error);
    if (refused.code)
        return error_make((enum error_code)refused.code, "the vault refused", __FILE__, __LINE__);
    return CC_OK;
}

CC_ERR vault_question_answer(
    struct vault_question *question, uint16_t type, const void *item, size_t size, bool *ret_taken)
{
    uint64_t id = 0;
    memcpy(&id, item, sizeof id);
    take_lock(question);
    bool taken = question->taken && !question->answered && id == question->id;
    bool fits = taken && type == (uint16_t)question->asking->answer_type &&
                size == question->asking->answer_size;
    if (fits) {
        memcpy(question->asking->answer, item, size);
        question->answered = true;
        (void)pthread_cond_broadcast(&question->news);
    }
    drop_lock(question);
    *ret_taken = taken;
    return taken && !fits ? CC_FAIL(PROTOCOL, "the vault answers another question") : CC_OK;
}

void vault_question_gone(struct vault_question *question)
{
    take_lock(question);
    question->gone = true;
    (void)pthread_cond_broadcast(&question->news);
    drop_lock(question);
}
