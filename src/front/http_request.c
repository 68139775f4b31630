#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "eth/request_json.h"
#include "front/http_inside.h"

static const char json_type[] = "application/json; charset=utf-8";
static const char text_type[] = "text/plain; charset=utf-8";
static const char metrics_type[] = "text/plain; version=0.0.4; charset=utf-8";

/* --- answers ------------------------------------------------------------------------------------------------------ */

struct header {
    int status;
    const char *type;
};

static enum MHD_Result queue_answer(struct request *r, struct header header)
{
    struct http *h = r->http;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->answer.len, r->answer.data, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    bool ok =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, header.type) == MHD_YES;
    if (header.status == 405)
        ok = ok &&
             MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, r->match.allow) == MHD_YES;
    if (header.status == 503)
        ok = ok && MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1") == MHD_YES;
    if (header.status == 401)
        ok = ok && MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                           "Bearer, Basic") == MHD_YES;
    if (r->close || atomic_load(&h->draining))
        ok =
            ok && MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    r->phase = PHASE_ANSWERED;
    connection_expect_rest(h, r->connection);
    metric_add(METRIC_HTTP_REQUESTS, r->match.id, metric_status(header.status), 1);
    metric_observe(METRIC_HTTP_DURATION, r->match.id, clock_mono_ns() - r->began_ns);
    enum MHD_Result result =
        ok ? MHD_queue_response(r->mhd, (unsigned)header.status, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_refusal(struct request *r, const struct refusal *refusal)
{
    r->answer.len = 0;
    if (answer_refusal(&r->answer, refusal).code)
        return MHD_NO;
    return queue_answer(r, (struct header){error_status(refusal->err), json_type});
}

static enum MHD_Result send_error(struct request *r, cc_err err)
{
    struct refusal refusal = refusal_of(err);
    return send_refusal(r, &refusal);
}

/* --- the head ----------------------------------------------------------------------------------------------------- */

static enum MHD_Result take_header(void *head,
                                   enum MHD_ValueKind kind,
                                   const char *name,
                                   size_t name_len,
                                   const char *value,
                                   size_t value_len)
{
    (void)kind;
    head_add(head, span_of(name, name_len),
             span_of(value ? value : name + name_len, value ? value_len : 0));
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

static bool needs_host(const struct request *r)
{
    return r->connection->listener == LISTENER_API && route_info(r->match.id)->gate != GATE_PROBE;
}

/* Gates stand here once, before any handler (route.def). */
static cc_err check_gates(struct request *r, const char *method, const char *target)
{
    enum listener listener = r->connection->listener;
    CC_TRY(route_find(method, target,
                      listener == LISTENER_METRICS ? ROUTE_ON_METRICS : ROUTE_ON_API, &r->match));
    const struct route *route = route_info(r->match.id);
    if (needs_host(r))
        CC_TRY(head_check_host(&r->head, &r->http->config->host_allowlist));
    if (route->gate == GATE_TOKEN && listener != LISTENER_UNIX)
        return CC_FAIL(UNAUTHENTICATED, "over TCP this route needs a token");
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
    r->ticket = t;
    r->phase = PHASE_ARRIVING;
    r->close = r->refused = r->large = false;
    r->reserved = r->swallowed = 0;
    r->admitted = 0;
    r->began_ns = clock_mono_ns();
    r->match.id = ROUTE_NONE;
    r->next = NULL;
    (void)atomic_fetch_add(&h->active, 1);
    return r;
}

static enum MHD_Result
first_call(struct request *r, const char *target, const char *method, const char *version)
{
    begin_head(r, method, version);
    (void)MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, take_header, &r->head);
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    head_end(&r->head, method + (size ? size->header_size : 0));
    cc_err err = head_finish(&r->head, version);
    if (err.code) {
        if (error_class(err) == CLASS_INPUT)
            metric_add(METRIC_HTTP_REFUSED, 0, 0, 1);
        r->close = true;
        return send_error(r, err);
    }
    err = check_gates(r, method, target);
    if (!err.code)
        return MHD_YES;
    r->close = error_is(err, ERROR_MALFORMED);
    bool body = r->head.chunked || r->head.length > 0;
    if (body && (r->head.continues || r->head.length > BODY_IGNORED_MAX)) {
        r->close = true;
        return send_error(r, err);
    }
    /* The answer waits for the end of the body, so that the connection stays usable and the answer is not lost in a
     * reset.
     */
    r->refused = true;
    r->refusal = refusal_of(err);
    return MHD_YES;
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

/* From here on the request is its loop's. */
static void resume(struct request *r)
{
    struct loop *loop = r->connection->loop;
    MHD_resume_connection(r->mhd);
    loop_wake(loop);
}

void http_done(struct ticket *ticket)
{
    resume(ticket->owner);
}

static cc_err put_answer(struct request *r, struct header *header)
{
    const struct ticket *t = r->ticket;
    bool draining = atomic_load(&r->http->draining);
    bool json = head_wants_json(&r->head);
    switch (r->match.id) {
    case ROUTE_SIGN:
        header->type = json ? json_type : text_type;
        return answer_signature(&r->answer, &t->answer.sign.signature, json);
    case ROUTE_SIGN_BATCH:
        return batch_answer(&r->answer, r->batch, t->err);
    case ROUTE_PUBLIC_KEYS:
        return answer_public_keys(&r->answer, (const struct eth_pubkey *)(const void *)t->keys.data,
                                  t->keys.len / sizeof(struct eth_pubkey));
    case ROUTE_READYZ:
        return answer_ready(&r->answer, &t->answer.health, draining, &header->status);
    case ROUTE_HEALTHCHECK:
        return answer_health(&r->answer, &t->answer.health, draining, &header->status);
    case ROUTE_RELOAD_STATUS:
        return answer_reload_status(&r->answer, &t->answer.reload);
    case ROUTE_RELOAD_START:
        header->status = 202;
        return answer_reload_started(&r->answer);
    case ROUTE_HIGH_WATERMARK:
        return answer_high_watermark(&r->answer, &t->answer.mark);
    case ROUTE_UPCHECK:
    case ROUTE_METRICS:
    case ROUTE_NONE:
    case ROUTE_END:
        break;
    }
    return CC_FAIL(LIMIT, "a route without an answer");
}

static bool is_health_route(enum route_id id)
{
    return id == ROUTE_READYZ || id == ROUTE_HEALTHCHECK;
}

static enum MHD_Result finish_work(struct request *r)
{
    struct ticket *t = r->ticket;
    struct header header = {200, json_type};
    /* No answer is an answer here: nothing is up. */
    if (t->err.code && is_health_route(r->match.id)) {
        t->answer.health = (struct a_health){0};
        t->err = CC_OK;
    }
    if (t->err.code && !r->batch) {
        struct refusal refusal = {.err = t->err};
        if (t->ask == TICKET_SIGN && t->answer.sign.error == (uint32_t)t->err.code)
            refusal = refusal_from_core(&t->answer.sign);
        return send_refusal(r, &refusal);
    }
    r->answer.len = 0;
    cc_err err = put_answer(r, &header);
    return err.code ? send_error(r, err) : queue_answer(r, header);
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
    CC_TRY(batch_read(doc, r->http->network, client, &r->batch));
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

static cc_err parse_body(struct request *r)
{
    bool many = r->match.id == ROUTE_SIGN_BATCH;
    struct parser *p = parser_borrow(r->http);
    cc_err err = many ? parse_batch(r, &p->doc) : parse_one(r, &p->doc);
    parser_return(r->http, p);
    if (many) { /* what was made of it waits, the text doesn't */
        recycle(&r->body);
        drop_reserve(r);
    }
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
        resume(r);
    else
        ticket_submit(r->http->exchange, r->ticket);
}

static void hand_over(struct http *h, struct request *r)
{
    (void)pthread_mutex_lock(&h->apart_lock);
    r->next = NULL;
    if (h->apart_tail)
        h->apart_tail->next = r;
    else
        h->apart_head = r;
    h->apart_tail = r;
    (void)pthread_cond_signal(&h->apart_filled);
    (void)pthread_mutex_unlock(&h->apart_lock);
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
        sign_and_submit(r);
        exchange_flush(h->exchange);
    }
}

static enum MHD_Result ask_sign(struct request *r)
{
    r->phase = PHASE_ASKED;
    if (r->body.len > HTTP_PARSE_APART) {
        MHD_suspend_connection(r->mhd);
        hand_over(r->http, r);
        return MHD_YES;
    }
    cc_err err = parse_body(r);
    if (err.code)
        return send_error(r, err);
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
    r->ticket->question.query = (struct a_query){.question = question};
    MHD_suspend_connection(r->mhd);
    ticket_submit(r->http->exchange, r->ticket);
    return MHD_YES;
}

static enum MHD_Result answer_upcheck(struct request *r)
{
    bool json = (r->head.accept & ACCEPT_JSON) != 0;
    if (buf_append_str(&r->answer, json ? "{\"status\":\"OK\"}" : "OK").code)
        return MHD_NO;
    return queue_answer(r, (struct header){200, json ? json_type : text_type});
}

static enum MHD_Result answer_metrics(struct request *r)
{
    cc_err err = metric_expose(r->http->metrics, &r->answer);
    return err.code ? send_error(r, err) : queue_answer(r, (struct header){200, metrics_type});
}

/* The request is here in full. */
static enum MHD_Result begin_work(struct request *r)
{
    connection_wait(r->connection);
    switch (r->match.id) {
    case ROUTE_UPCHECK:
        return answer_upcheck(r);
    case ROUTE_METRICS:
        return answer_metrics(r);
    case ROUTE_READYZ:
    case ROUTE_HEALTHCHECK:
        return ask_core(r, ASK_HEALTH);
    case ROUTE_RELOAD_STATUS:
        return ask_core(r, ASK_RELOAD_STATUS);
    case ROUTE_RELOAD_START:
        return ask_core(r, ASK_RELOAD_START);
    case ROUTE_PUBLIC_KEYS:
        return ask_core(r, ASK_PUBLIC_KEYS);
    case ROUTE_HIGH_WATERMARK:
        return ask_core(r, ASK_HIGH_WATERMARK);
    case ROUTE_SIGN:
    case ROUTE_SIGN_BATCH:
        return ask_sign(r);
    case ROUTE_NONE:
    case ROUTE_END:
        break;
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
        *request = r = request_begin(http, mhd);
        return r ? first_call(r, target, method, version) : MHD_NO;
    }
    if (*upload_size)
        return take_body(r, upload, upload_size);
    if (r->phase == PHASE_ANSWERED)
        return MHD_NO;
    if (r->refused)
        return send_refusal(r, &r->refusal);
    if (r->phase == PHASE_ASKED)
        return finish_work(r);
    if (has_footers(r)) {
        r->close = true;
        return send_error(r, CC_FAIL(MALFORMED, "trailer fields"));
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
    if (r->admitted)
        budget_give(&h->exchange->budget, r->client, r->admitted, r->admitted_for_block);
    explicit_bzero(&r->match, sizeof r->match);
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
