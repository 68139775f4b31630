/* Who asks: from the head of a request to the caller that travels with each of its questions. */
#include <string.h>

#include "base/log.h"
#include "base/metric.h"

#include "core/report.h"
#include "front/authorization.h"
#include "front/http_inside.h"

enum {
    UNASKED_BODY_MAX = 65536 /* to sign: a body up to here costs less than asking first */
};

/* libmicrohttpd hands out what it has in its own memory, and looks at this header no more: so it is ours to wipe. Not with
 * zeros, which would end the text before its end.
 */
static void blot(const char *value, size_t len)
{
    char *memory = (char *)(uintptr_t)value; /* NOLINT(performance-no-int-to-ptr) */
    memset(memory, '*', len);
    __asm__ volatile("" : : "r"(memory) : "memory");
}

void caller_take_authorization(struct request *r, const char *value, size_t len)
{
    authorization_read(value ? span_of(value, len) : span_str(""), &r->caller);
    if (value && len)
        blot(value, len);
}

static void report_burnt(const struct request *r)
{
    static struct report_budget budget;
    char address[CIDR_TEXT_SIZE];
    uint32_t held_back = 0;
    metric_add(METRIC_HTTP_PLAINTEXT_TOKENS, 0, 0, 1);
    if (!report_may_log(&budget, &held_back))
        return;
    cidr_address_text(r->caller.address, address);
    log_warn("a token came over the network in the clear: it is burnt, revoke it",
             KV_STR("address", address), KV_STR("hint", "use TLS, or set auth.allow_plaintext"),
             KV_NUM("lines_held_back", held_back));
}

/* A token that others on the way may read, and one that they would read in the answer: whoever signed the request for it. */
CC_ERR caller_check(const struct request *r)
{
    if (!r->connection->crosses_network || r->http->allow_plaintext)
        return CC_OK;
    if (r->caller.token_kind != CALLER_NO_TOKEN) {
        report_burnt(r);
        return CC_FAIL(PLAINTEXT_TOKEN, NULL);
    }
    return r->match.id == ROUTE_TOKEN_CREATE ? CC_FAIL(PLAINTEXT_ANSWER, NULL) : CC_OK;
}

/* Who asks may be who has signed the body, whatever else would be asked for. */
static bool is_signed_management(const struct request *r)
{
    return manage_verb_of(r->match.id) != MANAGE_VERB_END &&
           MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, "Signature-Input") != NULL;
}

/* Before a body is read, so that who may not ask costs little and learns nothing of how it would have been read. But to sign,
 * where a question more would cost more than most bodies; and but for management, whose requests are signed with their bodies.
 */
bool caller_asks_first(const struct request *r)
{
    const struct route *route = route_info(r->match.id);
    bool small = !r->head.chunked && r->head.length <= UNASKED_BODY_MAX;
    if ((unsigned)route->gate >= SCOPE_END || route->body_limit == 0 ||
        route->gate == GATE_AUTH_MANAGE || is_signed_management(r))
        return false;
    return !(small && route->gate == GATE_SIGN);
}

enum MHD_Result caller_ask(struct request *r)
{
    struct ticket *t = r->ticket;
    r->phase = PHASE_ALLOWING;
    connection_wait(r->connection);
    t->ask = TICKET_QUERY;
    t->urgent = false;
    t->question.query = (struct a_query){.question = ASK_ALLOWED,
                                         .scope = (uint32_t)route_info(r->match.id)->gate,
                                         .caller = r->caller};
    MHD_suspend_connection(r->mhd);
    ticket_submit(r->http->exchange, t);
    return MHD_YES;
}

enum MHD_Result caller_asked(struct request *r)
{
    r->phase = PHASE_ARRIVING;
    connection_expect_rest(r->http, r->connection);
    if (!r->ticket->err.code)
        return MHD_YES;
    const struct refusal refusal = request_refusal(r);
    return request_refuse_early(r, &refusal);
}
