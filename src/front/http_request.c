#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "eth/request_json.h"
#include "front/http_inside.h"

/* --- the head ----------------------------------------------------------------------------------------------------- */

static enum MHD_Result take_header(void *request,
                                   enum MHD_ValueKind kind,
                                   const char *name,
                                   size_t name_len,
                                   const char *value,
                                   size_t value_len)
{
    struct request *r = request;
    (void)kind;
    head_add(&r->head, span_of(name, name_len),
             span_of(value ? value : name + name_len, value ? value_len : 0));
    if (span_is_nocase(span_of(name, name_len), "Authorization"))
        caller_take_authorization(r, value, value_len);
    if (span_is_nocase(span_of(name, name_len), "traceparent"))
        trace_take_header(r, span_of(value, value_len));
    return MHD_YES;
}

/* libmicrohttpd keeps method, target, version and every header line where they arrived, and ends each with a zero: where
 * the next one doesn't begin right after, the client sent something else in between (docs/http-api.md).
 */
static void begin_head(struct request *r, const char *method, const char *version)
{
    const struct connection *c = r->connection;
    if (!r->http->strict_layout) {
        head_begin(&r->head, NULL);
        return;
    }
    head_begin(&r->head, version + strlen(version));
    if (!c->target || c->target != method + strlen(method) + 1 ||
        version != c->target + c->target_len + 1)
        head_refuse(&r->head, "hidden bytes in the request line");
}

/* A local socket has no name that a page could rebind. */
static bool needs_host(const struct request *r)
{
    enum listener listener = r->connection->listener;
    return (listener == LISTENER_API || listener == LISTENER_TLS || listener == LISTENER_METRICS) &&
           route_info(r->match.id)->gate != GATE_PROBE;
}

/* With TLS on, plain TCP serves probes alone (threats T21). */
static cc_err check_listener(const struct request *r)
{
    bool probe = route_info(r->match.id)->gate == GATE_PROBE;
    if (r->http->tls && r->connection->listener == LISTENER_API && !probe)
        return CC_FAIL(TLS_ONLY, NULL);
    return needs_host(r) ? head_check_host(&r->head, &r->http->config->host_allowlist) : CC_OK;
}

/* What stands in route.def, once, before any handler. Who may do what is the core's to judge. */
static cc_err check_gates(struct request *r, const char *method, const char *target)
{
    enum listener listener = r->connection->listener;
    CC_TRY(route_find(method, target,
                      listener == LISTENER_METRICS ? ROUTE_ON_METRICS : ROUTE_ON_API, &r->match));
    const struct route *route = route_info(r->match.id);
    CC_TRY(caller_check(r));
    CC_TRY(check_listener(r));
    CC_TRY(keys_check_enabled(r->http, r->match.id));
    bool json_only = r->match.id == ROUTE_PUBLIC_KEYS || r->match.id == ROUTE_SIGN_BATCH;
    if (json_only && !head_takes_json(&r->head))
        return CC_FAIL(NOT_ACCEPTABLE, "lists are served as application/json");
    if (r->head.has_length &&
        r->head.length > (route->body_limit ? route->body_limit : BODY_IGNORED_MAX))
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    return CC_OK;
}

static struct request *request_begin(struct http *h, struct MHD_Connection *mhd)
{
    struct ticket *t = ticket_take(h->exchange);
    if (!t)
        return NULL;
    struct request *r = &h->requests[t->index];
    t->owner = r;
    r->http = h;
    r->mhd = mhd;
    r->connection = connection_of(mhd);
    r->client = r->connection->client;
    r->caller = r->connection->caller;
    r->ticket = t;
    r->phase = PHASE_ARRIVING;
    r->close = r->refused = r->large = r->imports = false;
    r->reserved = r->swallowed = 0;
    r->admitted = r->attests = 0;
    r->began_ns = clock_mono_ns();
    r->trace = (struct a_trace){.began_ns = r->began_ns};
    r->traceparents = 0;
    r->match.id = ROUTE_NONE;
    r->next = NULL;
    (void)atomic_fetch_add(&h->active, 1);
    return r;
}

static enum MHD_Result
first_call(struct request *r, const char *target, const char *method, const char *version)
{
    begin_head(r, method, version);
    (void)MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, take_header, r);
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    head_end(&r->head, method + (size ? size->header_size : 0));
    cc_err err = head_finish(&r->head, version);
    if (err.code) {
        if (error_class(err) == CLASS_INPUT)
            metric_add(METRIC_HTTP_REFUSED, 0, 0, 1);
        r->close = true;
        return request_send_error(r, err);
    }
    err = check_gates(r, method, target);
    if (!err.code)
        return caller_asks_first(r) ? caller_ask(r) : MHD_YES;
    r->close = error_is(err, ERROR_MALFORMED);
    const struct refusal refusal = refusal_of(err);
    return request_refuse_early(r, &refusal);
}

/* --- the body ----------------------------------------------------------------------------------------------------- */

static void refuse_body(struct request *r, cc_err err)
{
    r->refused = true;
    r->refusal = refusal_of(err);
    buf_release(&r->body);
}

/* Only one kind may be larger than SIGN_BODY_MAX, and its name must have come by then. */
static cc_err admit_large(struct request *r)
{
    static const char kind[] = "EXECUTION_PAYLOAD_ENVELOPE";
    if (!memmem(r->body.data, r->body.len, kind, sizeof kind - 1))
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    if (atomic_fetch_add(&r->http->large, 1) >= HTTP_LARGE_MAX) {
        (void)atomic_fetch_sub(&r->http->large, 1);
        return CC_FAIL(BUSY, "too many large bodies");
    }
    r->large = true;
    return CC_OK;
}

/* Bodies grow by doubling; what a body has beyond HTTP_BODY_SMALL comes out of one budget. */
static cc_err reserve(struct request *r, size_t len)
{
    if (len <= HTTP_BODY_SMALL || len <= r->reserved)
        return CC_OK;
    size_t want = r->reserved ? r->reserved : HTTP_BODY_SMALL;
    while (want < len)
        want *= 2;
    size_t more = want - r->reserved;
    if (atomic_fetch_add(&r->http->reserved, more) > HTTP_BODIES_TOTAL - more) {
        (void)atomic_fetch_sub(&r->http->reserved, more);
        return CC_FAIL(BUSY, "too many request bodies");
    }
    r->reserved = want;
    return CC_OK;
}

static cc_err keep_body(struct request *r, const char *data, size_t len)
{
    size_t total = r->body.len + len;
    if (total > SIGN_BODY_MAX && !r->large && r->match.id == ROUTE_SIGN)
        CC_TRY(admit_large(r));
    if (total > route_info(r->match.id)->body_limit)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    CC_TRY(reserve(r, total));
    return buf_append(&r->body, data, len);
}

static enum MHD_Result take_body(struct request *r, const char *data, size_t *len)
{
    size_t n = *len;
    *len = 0;
    if (!r->refused && route_info(r->match.id)->body_limit) {
        cc_err err = keep_body(r, data, n);
        if (err.code)
            refuse_body(r, err);
        return MHD_YES;
    }
    r->swallowed += n;
    return r->swallowed <= BODY_IGNORED_MAX ? MHD_YES : MHD_NO;
}

/* --- the core has answered ---------------------------------------------------------------------------------------- */

void request_resume(struct request *r)
{
    struct loop *loop = r->connection->loop;
    MHD_resume_connection(r->mhd);
    loop_wake(loop);
}

void http_done(struct ticket *ticket)
{
    request_resume(ticket->owner);
}

typedef cc_err put_fn(struct request *r, struct http_header *header);

static cc_err put_signature(struct request *r, struct http_header *header)
{
    const bool json = head_wants_json(&r->head);
    header->type = json ? HTTP_JSON : HTTP_TEXT;
    return answer_signature(&r->answer, &r->ticket->answer.sign.signature, json);
}

static cc_err put_batch(struct request *r, struct http_header *header)
{
    (void)header;
    return batch_answer(&r->answer, r->batch, r->ticket->err);
}

static cc_err put_public_keys(struct request *r, struct http_header *header)
{
    const struct buf *keys = &r->ticket->keys;
    (void)header;
    return answer_public_keys(&r->answer, (const struct eth_pubkey *)(const void *)keys->data,
                              keys->len / sizeof(struct eth_pubkey));
}

static cc_err put_ready(struct request *r, struct http_header *header)
{
    if (!tls_is_ready(r->http->tls)) { /* of an enclave that has no document yet */
        header->status = 503;
        return buf_append_str(&r->answer, "{\"status\":\"NOT_READY\",\"tls_certificate\":false}");
    }
    return answer_ready(&r->answer, &r->ticket->answer.health, atomic_load(&r->http->draining),
                        &header->status);
}

static cc_err put_health(struct request *r, struct http_header *header)
{
    if (!tls_is_ready(r->http->tls))
        r->ticket->answer.health.ready = 0;
    return answer_health(&r->answer, &r->ticket->answer.health, atomic_load(&r->http->draining),
                         &header->status);
}

static cc_err put_reload_status(struct request *r, struct http_header *header)
{
    (void)header;
    return answer_reload_status(&r->answer, &r->ticket->answer.reload);
}

static cc_err put_reload_started(struct request *r, struct http_header *header)
{
    header->status = 202;
    return answer_reload_started(&r->answer);
}

static cc_err put_high_watermark(struct request *r, struct http_header *header)
{
    (void)header;
    return answer_high_watermark(&r->answer, &r->ticket->answer.mark);
}

static cc_err put_attestation(struct request *r, struct http_header *header)
{
    header->type = HTTP_COSE;
    return buf_append(&r->answer, r->ticket->keys.data, r->ticket->keys.len);
}

static cc_err put_answer(struct request *r, struct http_header *header)
{
    static put_fn *const puts[ROUTE_END] = {
        [ROUTE_SIGN] = put_signature,
        [ROUTE_SIGN_BATCH] = put_batch,
        [ROUTE_PUBLIC_KEYS] = put_public_keys,
        [ROUTE_READYZ] = put_ready,
        [ROUTE_HEALTHCHECK] = put_health,
        [ROUTE_RELOAD_STATUS] = put_reload_status,
        [ROUTE_RELOAD_START] = put_reload_started,
        [ROUTE_HIGH_WATERMARK] = put_high_watermark,
        [ROUTE_ATTESTATION] = put_attestation,
    };
    put_fn *put = puts[r->match.id];
    return put ? put(r, header) : CC_FAIL(LIMIT, "a route without an answer");
}

static bool is_health_route(enum route_id id)
{
    return id == ROUTE_READYZ || id == ROUTE_HEALTHCHECK;
}

static enum MHD_Result finish_work(struct request *r)
{
    struct ticket *t = r->ticket;
    if (r->slashing)
        return slashing_continue(r);
    if (r->manage)
        return manage_continue(r);
    if (r->keys)
        return keys_continue(r);
    struct http_header header = {200, HTTP_JSON};
    /* No answer is an answer here: nothing is up. */
    if (t->err.code && is_health_route(r->match.id)) {
        t->answer.health = (struct a_health){0};
        t->err = CC_OK;
    }
    if (t->err.code && !r->batch)
        return request_send_ticket_error(r);
    r->answer.len = 0;
    cc_err err = put_answer(r, &header);
    return err.code ? request_send_error(r, err) : request_send(r, header);
}

/* Ends the use of a buffer: wiped, and kept for the next request unless it has grown. */
static void recycle(struct buf *b)
{
    if (b->cap > HTTP_BODY_KEPT)
        buf_release(b);
    else if (b->len)
        explicit_bzero(b->data, b->len);
    b->len = 0;
}

/* --- asking the core ---------------------------------------------------------------------------------------------- */

static struct parser *parser_borrow(struct http *h)
{
    struct parser *found = NULL;
    (void)pthread_mutex_lock(&h->parsers_lock);
    for (size_t i = 0; i < HTTP_PARSERS && !found; i++)
        if (!h->parsers[i].busy)
            found = &h->parsers[i];
    cc_assert(found); /* one for each thread that parses */
    found->busy = true;
    (void)pthread_mutex_unlock(&h->parsers_lock);
    return found;
}

static void parser_return(struct http *h, struct parser *p)
{
    jdoc_wipe(&p->doc);
    (void)pthread_mutex_lock(&h->parsers_lock);
    p->busy = false;
    (void)pthread_mutex_unlock(&h->parsers_lock);
}

static bool is_block(const struct sign_request *request)
{
    return kind_info((enum eth_kind)request->kind)->rank == KIND_RANK_BLOCK;
}

static cc_err parse_one(struct request *r, struct jdoc *doc)
{
    struct ticket *t = r->ticket;
    struct eth_pubkey pubkey;
    CC_TRY(identifier_parse(span_of(r->match.argument, r->match.argument_len), &pubkey));
    CC_TRY(sign_request_parse(doc, r->http->network, r->body.data, r->body.len, &pubkey,
                              &t->question.sign.request));
    t->ask = TICKET_SIGN;
    t->question.sign.client = r->client;
    t->question.sign.caller = r->caller;
    t->question.sign.trace = r->trace;
    t->urgent = is_block(&t->question.sign.request);
    return CC_OK;
}

/* Between the parse, whose memory is one for each parser, and memory of its own a batch must be admitted. */
static cc_err parse_batch(struct request *r, struct jdoc *doc)
{
    struct ticket *t = r->ticket;
    struct budget *budget = &r->http->exchange->budget;
    uint32_t client = r->client;
    uint32_t count;
    CC_TRY(batch_open(doc, r->body.data, r->body.len, &count));
    bool admitted = budget_take(budget, client, count, false);
    r->admitted_for_block = !admitted && batch_names_block(doc);
    if (!admitted && !(r->admitted_for_block && budget_take(budget, client, count, true))) {
        metric_add(METRIC_HTTP_SHED, 0, 0, 1);
        return CC_FAIL(BUSY, "too many requests are waiting");
    }
    r->admitted = count;
    const struct batch_asker asker = {client, &r->caller, &r->trace};
    CC_TRY(batch_read(doc, r->http->network, &asker, &r->batch));
    metric_observe(METRIC_HTTP_BATCH, 0, count);
    t->ask = TICKET_BATCH;
    t->question.batch = r->batch;
    t->urgent = r->batch->has_block;
    return CC_OK;
}

static void drop_reserve(struct request *r)
{
    if (r->reserved)
        (void)atomic_fetch_sub(&r->http->reserved, r->reserved);
    r->reserved = 0;
}

void request_drop_body(struct request *r)
{
    recycle(&r->body);
    drop_reserve(r);
}

static cc_err parse_body(struct request *r)
{
    bool many = r->match.id == ROUTE_SIGN_BATCH;
    struct parser *p = parser_borrow(r->http);
    cc_err err = many ? parse_batch(r, &p->doc) : parse_one(r, &p->doc);
    parser_return(r->http, p);
    if (many) /* what was made of it waits, the text doesn't */
        request_drop_body(r);
    if (error_class(err) == CLASS_INPUT)
        metric_add(METRIC_HTTP_MALFORMED, 0, 0, 1);
    return err;
}

/* Nothing of a batch may be left to ask. */
static bool is_decided(const struct request *r)
{
    return r->batch && r->batch->asked == 0;
}

/* Parses and asks; the connection is suspended. */
static void sign_and_submit(struct request *r)
{
    cc_err err = parse_body(r);
    if (err.code) {
        r->refused = true;
        r->refusal = refusal_of(err);
    }
    if (err.code || is_decided(r))
        request_resume(r);
    else
        ticket_submit(r->http->exchange, r->ticket);
}

/* False when the thread takes no more. */
static bool leave_to_apart(struct request *r)
{
    struct http *h = r->http;
    (void)pthread_mutex_lock(&h->apart_lock);
    bool taken = !h->apart_stop;
    if (taken) {
        r->next = NULL;
        if (h->apart_tail)
            h->apart_tail->next = r;
        else
            h->apart_head = r;
        h->apart_tail = r;
        (void)pthread_cond_signal(&h->apart_filled);
    }
    (void)pthread_mutex_unlock(&h->apart_lock);
    return taken;
}

/* At the end the loops outlive that thread: what comes then is refused, for nothing may stay suspended. */
void request_parse_apart(struct request *r)
{
    if (leave_to_apart(r))
        return;
    r->refused = true;
    r->refusal = refusal_of(CC_FAIL(DOOR_CLOSED, NULL));
    request_resume(r);
}

void *request_apart_main(void *http)
{
    struct http *h = http;
    for (;;) {
        (void)pthread_mutex_lock(&h->apart_lock);
        while (!h->apart_head && !h->apart_stop)
            (void)pthread_cond_wait(&h->apart_filled, &h->apart_lock);
        struct request *r = h->apart_head;
        if (r) {
            h->apart_head = r->next;
            if (!h->apart_head)
                h->apart_tail = NULL;
        }
        (void)pthread_mutex_unlock(&h->apart_lock);
        if (!r)
            return NULL;
        if (r->slashing)
            slashing_apart(r);
        else if (r->keys)
            keys_apart(r);
        else
            sign_and_submit(r);
        exchange_flush(h->exchange);
    }
}

static enum MHD_Result ask_sign(struct request *r)
{
    r->phase = PHASE_ASKED;
    if (r->body.len > HTTP_PARSE_APART) {
        MHD_suspend_connection(r->mhd);
        request_parse_apart(r);
        return MHD_YES;
    }
    cc_err err = parse_body(r);
    if (err.code)
        return request_send_error(r, err);
    if (is_decided(r))
        return finish_work(r);
    MHD_suspend_connection(r->mhd);
    ticket_submit(r->http->exchange, r->ticket);
    return MHD_YES;
}

static enum MHD_Result ask_core(struct request *r, enum a_question question)
{
    r->phase = PHASE_ASKED;
    r->ticket->ask = TICKET_QUERY;
    r->ticket->urgent = true;
    r->ticket->question.query = (struct a_query){.question = question, .caller = r->caller};
    MHD_suspend_connection(r->mhd);
    ticket_submit(r->http->exchange, r->ticket);
    return MHD_YES;
}

static enum MHD_Result answer_upcheck(struct request *r)
{
    bool json = (r->head.accept & ACCEPT_JSON) != 0;
    if (buf_append_str(&r->answer, json ? "{\"status\":\"OK\"}" : "OK").code)
        return MHD_NO;
    return request_send(r, (struct http_header){200, json ? HTTP_JSON : HTTP_TEXT});
}

static enum MHD_Result answer_metrics(struct request *r)
{
    cc_err err = metric_expose(r->http->metrics, &r->answer);
    return err.code ? request_send_error(r, err)
                    : request_send(r, (struct http_header){200, HTTP_METRICS});
}

static enum a_question question_of(enum route_id route)
{
    static const enum a_question questions[ROUTE_END] = {
        [ROUTE_READYZ] = ASK_HEALTH,
        [ROUTE_HEALTHCHECK] = ASK_HEALTH,
        [ROUTE_RELOAD_STATUS] = ASK_RELOAD_STATUS,
        [ROUTE_RELOAD_START] = ASK_RELOAD_START,
        [ROUTE_PUBLIC_KEYS] = ASK_PUBLIC_KEYS,
        [ROUTE_HIGH_WATERMARK] = ASK_HIGH_WATERMARK,
    };
    cc_assert(questions[route]);
    return questions[route];
}

/* The request is here in full. */
static enum MHD_Result begin_work(struct request *r)
{
    const enum route_id route = r->match.id;
    connection_wait(r->connection);
    switch (route_info(route)->work) {
    case ROUTE_HERE:
        return route == ROUTE_METRICS ? answer_metrics(r) : answer_upcheck(r);
    case ROUTE_ASKS:
        return ask_core(r, question_of(route));
    case ROUTE_SIGNS:
        return ask_sign(r);
    case ROUTE_SLASHING:
        return slashing_begin(r, slashing_verb_of(route));
    case ROUTE_MANAGES:
        return manage_begin(r, manage_verb_of(route));
    case ROUTE_KEYS:
        return keys_begin(r);
    case ROUTE_ATTESTS:
        return attestation_begin(r);
    }
    return MHD_NO;
}

/* --- libmicrohttpd's calls ---------------------------------------------------------------------------------------- */

/* Trailer fields could repeat what the head says; no client of this API sends any. */
static bool has_footers(const struct request *r)
{
    return r->head.chunked && MHD_get_connection_values_n(r->mhd, MHD_FOOTER_KIND, NULL, NULL) > 0;
}

enum MHD_Result request_handle(void *http,
                               struct MHD_Connection *mhd,
                               const char *target,
                               const char *method,
                               const char *version,
                               const char *upload,
                               size_t *upload_size,
                               void **request)
{
    struct request *r = *request;
    if (!r) {
        if (!handshake_identify(connection_of(mhd), mhd))
            return MHD_NO;
        *request = r = request_begin(http, mhd);
        return r ? first_call(r, target, method, version) : MHD_NO;
    }
    if (r->phase == PHASE_ALLOWING)
        return caller_asked(r); /* no byte of the body is here yet */
    if (*upload_size)
        return take_body(r, upload, upload_size);
    if (r->phase == PHASE_ANSWERED)
        return MHD_NO;
    if (r->refused)
        return request_send_refusal(r, &r->refusal);
    if (r->phase == PHASE_ASKED)
        return finish_work(r);
    if (has_footers(r)) {
        r->close = true;
        return request_send_error(r, CC_FAIL(MALFORMED, "trailer fields"));
    }
    return begin_work(r);
}

void request_completed(void *http,
                       struct MHD_Connection *mhd,
                       void **request,
                       enum MHD_RequestTerminationCode how)
{
    struct http *h = http;
    struct request *r = *request;
    (void)how;
    *request = NULL;
    connection_expect_request(h, connection_of(mhd));
    if (!r)
        return;
    recycle(&r->body);
    recycle(&r->answer);
    if (r->large)
        (void)atomic_fetch_sub(&h->large, 1);
    drop_reserve(r);
    batch_free(r->batch);
    r->batch = NULL;
    slashing_free(r->slashing);
    r->slashing = NULL;
    cc_free(r->manage);
    r->manage = NULL;
    keys_end(r);
    attestation_end(r);
    if (r->imports)
        atomic_store(&h->importing, false);
    if (r->admitted)
        budget_give(&h->exchange->budget, r->client, r->admitted, r->admitted_for_block);
    explicit_bzero(&r->match, sizeof r->match);
    explicit_bzero(&r->caller, sizeof r->caller);
    ticket_release(h->exchange, r->ticket);
    (void)atomic_fetch_sub(&h->active, 1);
}

void *request_target_seen(void *http, const char *target, struct MHD_Connection *mhd)
{
    struct connection *c = connection_of(mhd);
    c->target = target;
    c->target_len = strlen(target);
    connection_expect_rest(http, c);
    return NULL;
}
