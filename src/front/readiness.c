#include "front/readiness.h"

#include "base/log.h"

enum {
    ASK_AGAIN_MS = 50
};

void readiness_init(struct exchange *exchange, uint64_t now_ms, struct readiness *ret_readiness)
{
    *ret_readiness = (struct readiness){
        .exchange = exchange, .due_ms = now_ms, .limit_ms = now_ms + READINESS_LIMIT_MS};
}

void readiness_release(struct readiness *r)
{
    if (r->ticket)
        ticket_release(r->exchange, r->ticket);
    r->ticket = NULL;
}

static void note_answer(struct ticket *ticket)
{
    struct readiness *r = ticket->owner;
    atomic_store(&r->answered, true);
}

static void ask(struct readiness *r)
{
    struct ticket *t = ticket_take(r->exchange);
    if (!t)
        return;
    r->ticket = t;
    atomic_store(&r->answered, false);
    t->owner = r;
    t->done = note_answer;
    t->ask = TICKET_QUERY;
    t->question.query = (struct a_query){.question = ASK_HEALTH};
    ticket_submit(r->exchange, t);
    exchange_flush(r->exchange);
}

/* True when the answer says that a signature would succeed, with any key. */
static bool take_answer(struct readiness *r, uint64_t now_ms)
{
    const struct ticket *t = r->ticket;
    bool ready = !t->err.code && t->answer.health.ready && t->answer.health.keys_complete;
    readiness_release(r);
    r->due_ms = now_ms + ASK_AGAIN_MS;
    return ready;
}

bool readiness_tick(struct readiness *r, uint64_t now_ms)
{
    if (r->ticket && atomic_load(&r->answered) && take_answer(r, now_ms))
        return true;
    if (now_ms >= r->limit_ms) {
        log_warn("not ready yet, taking the connections that wait nevertheless",
                 KV_NUM("waited_ms", READINESS_LIMIT_MS));
        return true;
    }
    if (!r->ticket && now_ms >= r->due_ms)
        ask(r);
    return false;
}
