#include "core/attestation.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/metric.h"

_Static_assert((int)A_SPKI_DIGEST_SIZE == (int)ATTEST_SPKI_DIGEST_SIZE, "SHA-384");
_Static_assert((int)A_ATTEST_NONCE_MAX == (int)D_NONCE_MAX, "a client's nonce");
_Static_assert((int)A_DOCUMENT_MAX == (int)ATTEST_DOCUMENT_MAX, "a document fits one message");

struct question {
    uint32_t epoch;
    struct a_attest ask;
};

struct attestation {
    struct documents *documents;
    struct front_link *link;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows, up to the answer */
    pthread_cond_t changed;
    struct question queue[ATTESTATION_QUEUE_MAX];
    size_t first;
    size_t count;
    bool stops;
    /* the thread's own */
    struct a_attested answer;
    bool failed; /* the last one */
};

static cc_err make_document(struct attestation *a, const struct a_attest *ask, struct buf *out)
{
    return documents_ask(a->documents, ATTEST_FOR_TLS, ask->spki_digest,
                         span_of(ask->nonce, ask->nonce_len), out);
}

/* A client may cause each of them: only a change is told. */
static void tell(struct attestation *a, cc_err err)
{
    metric_add(err.code ? METRIC_ATTESTATION_FAILURES : METRIC_ATTESTATION_DOCUMENTS, 0, 0, 1);
    if (err.code && !a->failed)
        log_error("no attestation document can be had", KV_ERR(err));
    if (!err.code && a->failed)
        log_notice("attestation documents can be had again");
    a->failed = err.code != 0;
}

static void answer(struct attestation *a, const struct question *q)
{
    CC_CLEANUP(buf_release) struct buf document = buf_init(A_DOCUMENT_MAX);
    if (!front_link_waits(a->link, q->epoch))
        return;
    cc_err err = make_document(a, &q->ask, &document);
    tell(a, err);
    a->answer = (struct a_attested){.id = q->ask.id, .error = (uint32_t)err.code};
    if (!err.code) {
        memcpy(a->answer.document, document.data, document.len);
        a->answer.len = (uint32_t)document.len;
    }
    (void)front_link_send(a->link, q->epoch, A_ATTESTED, &a->answer, sizeof a->answer, 1)
        .code; /* a front that is gone asks again */
}

/* False: it is to end. */
static bool take(struct attestation *a, struct question *ret_question)
{
    cc_assert(pthread_mutex_lock(&a->lock) == 0);
    while (a->count == 0 && !a->stops)
        cc_assert(pthread_cond_wait(&a->changed, &a->lock) == 0);
    const bool goes_on = !a->stops;
    if (goes_on) {
        *ret_question = a->queue[a->first];
        a->first = (a->first + 1) % ATTESTATION_QUEUE_MAX;
        a->count--;
    }
    cc_assert(pthread_mutex_unlock(&a->lock) == 0);
    return goes_on;
}

static void *attestation_thread(void *argument)
{
    struct attestation *a = argument;
    struct question question;
    while (take(a, &question))
        answer(a, &question);
    return NULL;
}

CC_ERR attestation_put(struct attestation *a, uint32_t epoch, const struct a_attest *ask)
{
    if (ask->nonce_len > sizeof ask->nonce)
        return CC_FAIL(PROTOCOL, "a nonce that is longer than it may be");
    cc_err err = CC_OK;
    cc_assert(pthread_mutex_lock(&a->lock) == 0);
    if (a->count == ATTESTATION_QUEUE_MAX) {
        err = CC_FAIL(BUSY, "too many attestation documents are asked for at once");
    } else {
        a->queue[(a->first + a->count) % ATTESTATION_QUEUE_MAX] = (struct question){epoch, *ask};
        a->count++;
        cc_assert(pthread_cond_signal(&a->changed) == 0);
    }
    cc_assert(pthread_mutex_unlock(&a->lock) == 0);
    return err;
}

static void attestation_free(struct attestation *a)
{
    (void)pthread_cond_destroy(&a->changed);
    (void)pthread_mutex_destroy(&a->lock);
    cc_free(a);
}

CC_ERR attestation_start(struct documents *documents,
                         struct front_link *link,
                         struct attestation **ret_attestation)
{
    struct attestation *a = cc_alloc(sizeof *a);
    if (!a)
        return CC_FAIL(NO_MEMORY, NULL);
    a->documents = documents;
    a->link = link;
    cc_assert(pthread_mutex_init(&a->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&a->changed, NULL) == 0);
    if (pthread_create(&a->thread, NULL, attestation_thread, a) != 0) {
        attestation_free(a);
        return CC_FAIL(SYSTEM, "thread");
    }
    *ret_attestation = a;
    return CC_OK;
}

void attestation_stop(struct attestation *a)
{
    if (!a)
        return;
    cc_assert(pthread_mutex_lock(&a->lock) == 0);
    a->stops = true;
    cc_assert(pthread_cond_signal(&a->changed) == 0);
    cc_assert(pthread_mutex_unlock(&a->lock) == 0);
    (void)pthread_join(a->thread, NULL);
    attestation_free(a);
}
