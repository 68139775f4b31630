#include "front/atls.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "attest/atls.h"
#include "attest/binding.h"

enum {
    BACKDATED_S = 5 * 60,   /* clients' clocks differ */
    BEFORE_END_S = 15 * 60, /* the module renews its own certificate about then */
    RENEW_MIN_MS = 60 * 1000,
    RETRY_MS = 10 * 1000,
    FIRST_RETRY_MS = 1000 /* nobody is served yet */
};

_Static_assert((int)LEAF_SPKI_DIGEST_SIZE == (int)A_SPKI_DIGEST_SIZE, "one digest");
_Static_assert((int)LEAF_DOCUMENT_MAX >= (int)A_DOCUMENT_MAX, "every document fits");

/* --- from a document to a certificate in use --------------------------------------------------------------------------- */

/* False for a document of another key: whoever made the mistake, no client would take it. */
static bool is_about(const struct attest_document *document, const uint8_t *spki_digest)
{
    struct attest_binding binding;
    return document->has_user_data && !attest_binding_decode(document->user_data, &binding).code &&
           binding.purpose == ATTEST_FOR_TLS &&
           span_equal(span_of(binding.spki_digest, sizeof binding.spki_digest),
                      span_of(spki_digest, sizeof binding.spki_digest));
}

/* When the first of the certificates that the document brings ends. */
static cc_err read_end(struct span bytes, const uint8_t *spki_digest, uint64_t *ret_end_s)
{
    struct attest_document document;
    CC_TRY(attest_document_parse(bytes, &document));
    if (!is_about(&document, spki_digest))
        return CC_FAIL(PROTOCOL, "an attestation document about another key");
    return atls_document_end(&document, ret_end_s);
}

static cc_err put_in_use(const struct atls *atls, struct span document, struct leaf_times times)
{
    CC_CLEANUP(buf_release) struct buf certificate = buf_init(LEAF_DER_MAX);
    CC_CLEANUP(buf_release) struct buf key = buf_init(LEAF_KEY_MAX);
    CC_TRY(attested_leaf_make(atls->key, document, times, &certificate));
    CC_TRY(attested_key_write(atls->key, &key));
    const struct tls_attested attested = {buf_span(&certificate), buf_span(&key), atls->spki_digest,
                                          times.end};
    return tls_attest(atls->tls, &attested);
}

static cc_err use_document(struct atls *atls, struct span document, uint64_t now_ms)
{
    const uint64_t now_s = clock_wall_ms() / 1000;
    uint64_t end_s;
    CC_TRY(read_end(document, atls->spki_digest, &end_s));
    if (now_s < BACKDATED_S || end_s <= now_s)
        return CC_FAIL(PROTOCOL, "a certificate of the document has ended by this clock");
    const struct leaf_times times = {now_s - BACKDATED_S,
                                     u64_min(end_s, now_s - BACKDATED_S + ATLS_LIFE_MAX_S)};
    CC_TRY(put_in_use(atls, document, times));
    const uint64_t left_ms =
        times.end > now_s + BEFORE_END_S ? (times.end - now_s - BEFORE_END_S) * 1000 : 0;
    atls->due_ms = now_ms + u64_max(u64_min(atls->renew_ms, left_ms), RENEW_MIN_MS);
    atls->in_use = true;
    metric_add(METRIC_ATLS_RENEWALS, 0, 0, 1);
    log_info("attested certificate in use", KV_NUM("document_bytes", document.len),
             KV_NUM("ends", times.end));
    return CC_OK;
}

/* --- asking for one ----------------------------------------------------------------------------------------------------- */

static cc_err new_key(struct atls *atls)
{
    attested_key_free(atls->key);
    atls->key = NULL;
    CC_TRY(attested_key_new(&atls->key));
    return attested_key_digest(atls->key, atls->spki_digest);
}

static void note_answer(struct ticket *ticket)
{
    struct atls *atls = ticket->owner;
    atomic_store(&atls->answered, true);
}

static cc_err ask(struct atls *atls)
{
    CC_TRY(new_key(atls));
    struct ticket *t = ticket_take(atls->exchange);
    if (!t)
        return CC_FAIL(BUSY, "no free ticket");
    atls->ticket = t;
    atomic_store(&atls->answered, false);
    t->owner = atls;
    t->done = note_answer;
    t->ask = TICKET_ATTEST;
    t->urgent = true;
    t->question.attest = (struct a_attest){.nonce_len = 0};
    memcpy(t->question.attest.spki_digest, atls->spki_digest, sizeof atls->spki_digest);
    ticket_submit(atls->exchange, t);
    exchange_flush(atls->exchange);
    return CC_OK;
}

static void note_failure(struct atls *atls, cc_err err, uint64_t now_ms)
{
    if (!err.code)
        return;
    atls->due_ms = now_ms + (atls->in_use ? RETRY_MS : FIRST_RETRY_MS);
    metric_add(METRIC_ATLS_RENEWAL_FAILURES, 0, 0, 1);
    log_error(atls->in_use ? "no new attested certificate: the one before it stays in use"
                           : "no attested certificate",
              KV_ERR(err));
}

static void take_answer(struct atls *atls, uint64_t now_ms)
{
    struct ticket *t = atls->ticket;
    cc_err err = t->err;
    if (err.code) /* what was said of it is another room's */
        err = error_make((enum error_code)err.code, "the core has no document", __FILE__, __LINE__);
    else
        err = use_document(atls, buf_span(&t->keys), now_ms);
    note_failure(atls, err, now_ms);
    ticket_release(atls->exchange, t);
    atls->ticket = NULL;
    attested_key_free(atls->key);
    atls->key = NULL;
}

void atls_tick(struct atls *atls, uint64_t now_ms)
{
    if (atls->ticket && atomic_load(&atls->answered))
        take_answer(atls, now_ms);
    else if (!atls->ticket && now_ms >= atls->due_ms)
        note_failure(atls, ask(atls), now_ms);
}

/* --- life ----------------------------------------------------------------------------------------------------------------- */

/* What it makes is never served. */
static cc_err warm_up(struct atls *atls)
{
    static const uint8_t document[] = "a document that nobody takes for one";
    const uint64_t now_s = clock_wall_ms() / 1000;
    struct attested_leaf leaf;
    uint64_t end_s;
    CC_CLEANUP(buf_release) struct buf der = buf_init(LEAF_DER_MAX);
    CC_CLEANUP(buf_release) struct buf read = buf_init(LEAF_DOCUMENT_MAX);
    const struct leaf_times times = {now_s, now_s + 1};
    CC_TRY(new_key(atls));
    CC_TRY(put_in_use(atls, span_of(document, sizeof document), times));
    CC_TRY(attested_leaf_make(atls->key, span_of(document, sizeof document), times, &der));
    CC_TRY(attested_leaf_read(buf_span(&der), &leaf, &read));
    CC_TRY(leaf_certificate_end(buf_span(&der), &end_s));
    tls_forget(atls->tls);
    return span_equal(span_of(leaf.spki_digest, sizeof leaf.spki_digest),
                      span_of(atls->spki_digest, sizeof atls->spki_digest))
               ? CC_OK
               : CC_FAIL(CRYPTO, "the attested certificate is not what was put in");
}

CC_ERR
atls_init(struct exchange *exchange, struct tls *tls, uint32_t renew_minutes, struct atls *ret_atls)
{
    *ret_atls = (struct atls){
        .exchange = exchange, .tls = tls, .renew_ms = (uint64_t)renew_minutes * 60 * 1000};
    return warm_up(ret_atls);
}

void atls_release(struct atls *atls)
{
    if (atls->ticket)
        ticket_release(atls->exchange, atls->ticket);
    attested_key_free(atls->key);
    *atls = (struct atls){0};
}
