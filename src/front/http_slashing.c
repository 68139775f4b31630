#include <string.h>

#include "base/clock.h"
#include "base/num.h"

#include "front/http_inside.h"

static const char json_type[] = "application/json; charset=utf-8";

enum {
    STREAM_BLOCK = 32768
};

enum a_slashing_verb slashing_verb_of(enum route_id route)
{
    static const enum a_slashing_verb verbs[ROUTE_END] = {
        [ROUTE_SLASHING_EXPORT] = SLASHING_EXPORT,       [ROUTE_SLASHING_IMPORT] = SLASHING_IMPORT,
        [ROUTE_SLASHING_STATUS] = SLASHING_STATUS,       [ROUTE_SLASHING_VERIFY] = SLASHING_VERIFY,
        [ROUTE_SLASHING_PRUNE] = SLASHING_PRUNE,         [ROUTE_SLASHING_ENABLE] = SLASHING_ENABLE,
        [ROUTE_SLASHING_HAND_OVER] = SLASHING_HAND_OVER, [ROUTE_SLASHING_REPAIR] = SLASHING_REPAIR,
        [ROUTE_SLASHING_DISABLED] = SLASHING_EXPORT,
    };
    cc_assert(route < ROUTE_END);
    return verbs[route] ? verbs[route] : SLASHING_VERB_END;
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

/* The connection is suspended. */
static void submit(struct request *r, struct a_slashing *ask)
{
    struct ticket *t = r->ticket;
    r->phase = PHASE_ASKED;
    t->ask = TICKET_SLASHING;
    t->urgent = false;
    ask->head.caller = r->caller;
    ask->head.scope = (uint32_t)route_info(r->match.id)->gate;
    t->question.slashing = ask;
    ticket_submit(r->http->exchange, t);
}

static enum MHD_Result send_slashing_refusal(struct request *r, cc_err err)
{
    r->answer.len = 0;
    int status = error_status(err);
    return slashing_refusal(r->slashing, err, &r->answer).code ? MHD_NO
                                                               : request_send_json(r, status);
}

/* One import at a time: each may hold as much memory as its body has records. */
static cc_err admit_import(struct request *r)
{
    if (atomic_exchange(&r->http->importing, true))
        return CC_FAIL(BUSY, "another import is under way");
    r->imports = true;
    return CC_OK;
}

static cc_err read_body(struct request *r)
{
    struct jdoc doc = jdoc_init(64);
    cc_err err = slashing_read(r->slashing, &doc, r->body.data, r->body.len);
    jdoc_release(&doc);
    request_drop_body(r);
    return err;
}

enum MHD_Result slashing_begin(struct request *r, enum a_slashing_verb verb)
{
    cc_err err = slashing_new(verb, &r->slashing);
    if (!err.code && verb == SLASHING_IMPORT)
        err = admit_import(r);
    if (err.code)
        return request_send_error(r, err);
    if (r->match.id == ROUTE_SLASHING_DISABLED)
        slashing_list_disabled(r->slashing);
    if (r->body.len > HTTP_PARSE_APART) {
        r->phase = PHASE_ASKED;
        MHD_suspend_connection(r->mhd);
        request_parse_apart(r);
        return MHD_YES;
    }
    err = read_body(r);
    if (err.code)
        return send_slashing_refusal(r, err);
    MHD_suspend_connection(r->mhd);
    submit(r, slashing_next(r->slashing));
    return MHD_YES;
}

void slashing_apart(struct request *r)
{
    cc_err err = read_body(r);
    if (!err.code) {
        submit(r, slashing_next(r->slashing));
        return;
    }
    r->ticket->err = err;
    r->answer.len = 0;
    /* Written here, where the reason is known. A body that can't be written is none, and the loop says the error alone. */
    if (slashing_refusal(r->slashing, err, &r->answer).code)
        r->answer.len = 0;
    request_resume(r);
}

/* --- an export is sent while it is made ------------------------------------------------------------------------------ */

static cc_err take_answer(struct request *r)
{
    struct ticket *t = r->ticket;
    if (error_is(t->err, ERROR_HANDED_OVER))
        slashing_failed(r->slashing, &t->answer.slashing);
    CC_TRY(t->err);
    return slashing_took(r->slashing, &t->answer.slashing, &t->keys);
}

static ssize_t stream(void *request, uint64_t position, char *into, size_t room)
{
    struct request *r = request;
    (void)position;
    if (r->phase == PHASE_ASKED) {
        /* The head of the answer is out: a broken end is all that can still tell of it. */
        if (take_answer(r).code)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        r->phase = PHASE_ANSWERED;
    }
    struct span text = slashing_text(r->slashing);
    size_t n = (size_t)u64_min(text.len, room);
    if (n) {
        memcpy(into, text.data, n);
        slashing_sent(r->slashing, n);
        connection_expect_rest(r->http, r->connection);
        return (ssize_t)n;
    }
    struct a_slashing *ask = slashing_next(r->slashing);
    if (!ask)
        return MHD_CONTENT_READER_END_OF_STREAM;
    connection_wait(r->connection);
    MHD_suspend_connection(r->mhd);
    submit(r, ask);
    return 0;
}

static enum MHD_Result begin_stream(struct request *r)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream, r, NULL);
    if (!response)
        return MHD_NO;
    bool ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, json_type) == MHD_YES;
    r->phase = PHASE_ANSWERED;
    connection_expect_rest(r->http, r->connection);
    metric_add(METRIC_HTTP_REQUESTS, r->match.id, metric_status(200), 1);
    metric_observe(METRIC_HTTP_DURATION, r->match.id, clock_mono_ns() - r->began_ns);
    enum MHD_Result result = ok ? MHD_queue_response(r->mhd, 200, response) : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

/* --- step by step ------------------------------------------------------------------------------------------------------ */

enum MHD_Result slashing_continue(struct request *r)
{
    if (r->ticket->denied)
        return request_send_ticket_error(r);
    cc_err err = take_answer(r);
    if (err.code && r->answer.len)
        return request_send_json(r, error_status(err));
    if (err.code)
        return send_slashing_refusal(r, err);
    if (slashing_verb_of(r->match.id) == SLASHING_EXPORT)
        return begin_stream(r);
    struct a_slashing *ask = slashing_next(r->slashing);
    if (ask) {
        MHD_suspend_connection(r->mhd);
        submit(r, ask);
        return MHD_YES;
    }
    r->answer.len = 0;
    err = slashing_answer(r->slashing, &r->answer);
    return err.code ? request_send_error(r, err) : request_send_json(r, 200);
}
