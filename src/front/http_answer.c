#include "base/clock.h"

#include "front/http_inside.h"

static const char *const types[] = {
    [HTTP_JSON] = "application/json; charset=utf-8",
    [HTTP_TEXT] = "text/plain; charset=utf-8",
    [HTTP_COSE] = "application/cose; cose-type=\"cose-sign1\"", /* RFC 9052, section 9.5.1 */
    [HTTP_PAGE] = "text/html; charset=utf-8",
    [HTTP_METRICS] = "text/plain; version=0.0.4; charset=utf-8",
};
/* Java's client, and so Teku, looks at the first scheme alone. */
static const char challenge[] = "Basic realm=\"containment-chamber\", Bearer";

static bool add_page_headers(struct MHD_Response *response)
{
    static const char *const headers[][2] = {{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
                                             {"Content-Security-Policy", "frame-ancestors 'none'"},
                                             {"X-Content-Type-Options", "nosniff"},
                                             {"Referrer-Policy", "no-referrer"}};
    bool ok = true;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        ok = ok && MHD_add_response_header(response, headers[i][0], headers[i][1]) == MHD_YES;
    return ok;
}

/* For whoever looks for the core's line of what failed. */
static bool add_request_id(struct MHD_Response *response, const struct ticket *ticket, int status)
{
    char text[A_REQUEST_ID_SIZE];
    a_request_id(ticket->id, text);
    return status < 400 || !ticket->id ||
           MHD_add_response_header(response, "X-Request-Id", text) == MHD_YES;
}

/* The front ends soon, with all its connections: it drains, or its core is gone. */
static bool is_ending(const struct http *h)
{
    return atomic_load(&h->draining) || !exchange_is_open(h->exchange);
}

enum MHD_Result request_send(struct request *r, struct http_header header)
{
    struct http *h = r->http;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->answer.len, r->answer.data, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    bool ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, types[header.type]) ==
              MHD_YES;
    ok = ok && add_request_id(response, r->ticket, header.status);
    if (header.status == 405)
        ok = ok &&
             MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, r->match.allow) == MHD_YES;
    if (header.status == 503)
        ok = ok && MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1") == MHD_YES;
    if (header.status == 401)
        ok = ok && MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, challenge) ==
                       MHD_YES;
    if (header.type == HTTP_PAGE)
        ok = ok && add_page_headers(response);
    if (r->close || is_ending(h))
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

enum MHD_Result request_send_refusal(struct request *r, const struct refusal *refusal)
{
    r->answer.len = 0;
    if (answer_refusal(&r->answer, refusal).code)
        return MHD_NO;
    return request_send(r, (struct http_header){error_status(refusal->err), HTTP_JSON});
}

enum MHD_Result request_send_error(struct request *r, cc_err err)
{
    struct refusal refusal = refusal_of(err);
    return request_send_refusal(r, &refusal);
}

static struct refusal refusal_from_managed(const struct ticket *t)
{
    const struct managed *answer = &t->answer.managed;
    return (struct refusal){.err = t->err,
                            .static_detail = answer->detail[0] ? answer->detail : NULL,
                            .rule = answer->rule,
                            .reason = answer->reason};
}

struct refusal request_refusal(const struct request *r)
{
    const struct ticket *t = r->ticket;
    if (t->denied)
        return refusal_from_denied(&t->answer.denied);
    if (t->ask == TICKET_SIGN && t->answer.sign.error == (uint32_t)t->err.code)
        return refusal_from_core(&t->answer.sign);
    if (t->ask == TICKET_MANAGE && t->answer.managed.error == (uint32_t)t->err.code)
        return refusal_from_managed(t);
    return (struct refusal){.err = t->err};
}

enum MHD_Result request_send_ticket_error(struct request *r)
{
    const struct refusal refusal = request_refusal(r);
    return request_send_refusal(r, &refusal);
}

/* The answer waits for the end of the body, so that the connection stays usable and the answer is not lost in a reset; but
 * not for a body that is long, or that the client holds back.
 */
enum MHD_Result request_refuse_early(struct request *r, const struct refusal *refusal)
{
    bool body = r->head.chunked || r->head.length > 0;
    if (body && (r->head.continues || r->head.length > BODY_IGNORED_MAX)) {
        r->close = true;
        return request_send_refusal(r, refusal);
    }
    r->refused = true;
    r->refusal = *refusal;
    return MHD_YES;
}

enum MHD_Result request_send_json(struct request *r, int status)
{
    return request_send(r, (struct http_header){status, HTTP_JSON});
}

enum MHD_Result request_send_page(struct request *r)
{
    return request_send(r, (struct http_header){200, HTTP_PAGE});
}
