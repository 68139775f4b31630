#include "base/clock.h"
#include "base/num.h"

#include "front/http_inside.h"

/* --- which route is what ---------------------------------------------------------------------------------------- */

static const struct keys_route {
    struct keys_work_kind kind;
    enum keys_group group;
} routes[ROUTE_END] = {
    [ROUTE_KEYSTORES_LIST] = {{KEYS_LIST, SCOPE_LIST_KEYS, true}, KEYS_GROUP_READS},
    [ROUTE_KEYSTORES_IMPORT] = {{KEYS_IMPORT, SCOPE_IMPORT_KEYSTORES, true}, KEYS_GROUP_WRITES},
    [ROUTE_KEYSTORES_DELETE] = {{KEYS_DELETE, SCOPE_DELETE_KEYS, true}, KEYS_GROUP_READS},
    [ROUTE_KEYS_LIST] = {{KEYS_LIST, SCOPE_CHAMBER_KEYS_LIST, false}, KEYS_GROUP_LIST},
    [ROUTE_KEYS_IMPORT] = {{KEYS_IMPORT, SCOPE_CHAMBER_KEYS_IMPORT, false}, KEYS_GROUP_IMPORT},
    [ROUTE_KEYS_SET] = {{KEYS_SET, SCOPE_CHAMBER_KEYS_PATCH, false}, KEYS_GROUP_LIFECYCLE},
    [ROUTE_KEYS_DELETE] = {{KEYS_DELETE, SCOPE_CHAMBER_KEYS_DELETE, false}, KEYS_GROUP_LIFECYCLE},
    [ROUTE_KEYS_GENERATE] = {{KEYS_GENERATE, SCOPE_CHAMBER_KEYS_GENERATE, false},
                             KEYS_GROUP_GENERATE},
    [ROUTE_KEYS_PAUSE] = {{KEYS_PAUSE, SCOPE_KEYS_PAUSE, false}, KEYS_GROUP_PAUSE},
    [ROUTE_KEYS_RESUME] = {{KEYS_RESUME, SCOPE_KEYS_PAUSE, false}, KEYS_GROUP_PAUSE},
};

bool keys_is_route(enum route_id route)
{
    return route < ROUTE_END && routes[route].group != KEYS_GROUP_NONE;
}

static struct chamber_route_config limits_of(const struct http *h, enum keys_group group)
{
    const struct key_manager_api_config *manager = &h->keys_config->http.key_manager_api;
    const struct chamber_keys_config *chamber = &h->keys_config->chamber_keys;
    struct chamber_route_config limits = {manager->enabled, manager->max_items_per_request,
                                          manager->max_concurrent_reads,
                                          manager->request_timeout_seconds};
    switch (group) {
    case KEYS_GROUP_READS:
        break;
    case KEYS_GROUP_WRITES:
        limits.max_concurrent_requests = manager->max_concurrent_writes;
        break;
    case KEYS_GROUP_LIST:
        limits = chamber->lifecycle;
        limits.enabled = true;
        limits.max_concurrent_requests = chamber->list.max_concurrent_requests;
        break;
    case KEYS_GROUP_IMPORT:
        return chamber->import;
    case KEYS_GROUP_GENERATE:
        return chamber->generate;
    case KEYS_GROUP_LIFECYCLE:
        return chamber->lifecycle;
    case KEYS_GROUP_PAUSE: /* an emergency's brake is never switched off */
        limits = chamber->lifecycle;
        limits.enabled = true;
        break;
    case KEYS_GROUP_NONE:
    case KEYS_GROUP_END:
        cc_assert(false);
    }
    return limits;
}

CC_ERR keys_check_enabled(const struct http *h, enum route_id route)
{
    if (!keys_is_route(route) || limits_of(h, routes[route].group).enabled)
        return CC_OK;
    if (routes[route].kind.is_manager)
        return CC_FAIL(ROUTE_UNKNOWN, "http.key_manager_api.enabled is false");
    if (routes[route].group == KEYS_GROUP_GENERATE)
        return CC_FAIL(NOT_ENABLED, "chamber.keys.generate.enabled is false");
    return CC_FAIL(NOT_ENABLED, routes[route].group == KEYS_GROUP_IMPORT
                                    ? "chamber.keys.import.enabled is false"
                                    : "chamber.keys.lifecycle.enabled is false");
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static cc_err admit(struct request *r, enum keys_group group)
{
    struct http *h = r->http;
    if (atomic_fetch_add(&h->keys_active[group], 1) >=
        limits_of(h, group).max_concurrent_requests) {
        (void)atomic_fetch_sub(&h->keys_active[group], 1);
        return CC_FAIL(BUSY, "as many such requests as may be are under way");
    }
    r->keys_group = group;
    return CC_OK;
}

static uint64_t time_left_ms(const struct request *r)
{
    uint64_t limit = (uint64_t)limits_of(r->http, r->keys_group).request_timeout_seconds * 1000;
    uint64_t spent = (clock_mono_ns() - r->began_ns) / 1000000;
    return spent < limit ? limit - spent : 0;
}

/* What comes next; nothing, when all has been asked or the time is over. */
static struct keys_question next_question(struct request *r)
{
    if (time_left_ms(r) == 0)
        keys_work_stop(r->keys);
    return keys_work_next(r->keys);
}

static bool is_question(struct keys_question q)
{
    return q.keys || q.slashing;
}

/* The connection is suspended: from here on the request is its loop's. */
static void submit(struct request *r, struct keys_question q)
{
    struct ticket *t = r->ticket;
    t->urgent = false;
    if (q.keys) {
        t->ask = TICKET_KEYS;
        t->question.keys = q.keys;
        q.keys->head.caller = *request_caller(r);
    } else {
        t->ask = TICKET_SLASHING;
        t->question.slashing = q.slashing;
        q.slashing->head.caller = *request_caller(r);
    }
    atomic_store(&t->limit_ms, q.keys ? time_left_ms(r) : 0);
    ticket_submit(r->http->exchange, t);
}

/* One request's slashing-protection data at a time: it may take as much memory as its body has records. */
static cc_err read_history(struct request *r)
{
    if (!keys_work_has_history(r->keys))
        return CC_OK;
    if (atomic_exchange(&r->http->importing, true))
        return CC_FAIL(BUSY, "another import is under way");
    r->imports = true;
    return keys_work_read_history(r->keys);
}

static cc_err read_body(struct request *r)
{
    size_t max_items = limits_of(r->http, r->keys_group).max_items_per_request;
    cc_err err = keys_work_read(r->keys, max_items, r->body.data, r->body.len);
    if (!err.code)
        err = read_history(r);
    request_drop_body(r);
    return err;
}

static enum MHD_Result send_answer(struct request *r)
{
    r->answer.len = 0;
    cc_err err = keys_work_answer(r->keys, &r->answer);
    return err.code ? request_send_error(r, err) : request_send_json(r, 200);
}

enum MHD_Result keys_begin(struct request *r)
{
    const struct keys_route *route = &routes[r->match.id];
    cc_err err = admit(r, route->group);
    if (!err.code)
        err = keys_work_new(&route->kind, &r->keys);
    if (err.code)
        return request_send_error(r, err);
    r->phase = PHASE_ASKED;
    MHD_suspend_connection(r->mhd);
    /* Keystores are never read on a thread that serves others, however short the body. */
    if (route->kind.verb == KEYS_LIST)
        submit(r, keys_work_next(r->keys));
    else
        request_parse_apart(r);
    return MHD_YES;
}

void keys_apart(struct request *r)
{
    cc_err err = read_body(r);
    struct keys_question q = {0};
    r->ticket->err = err;
    r->answer.len = 0;
    if (!err.code)
        q = next_question(r);
    if (is_question(q)) {
        submit(r, q);
        return;
    }
    /* Written here, where the reason is known. A body that can't be written is none, and the loop says the error alone. */
    if (err.code && keys_work_refusal(r->keys, err, &r->answer).code)
        r->answer.len = 0;
    r->keys_read = true;
    request_resume(r);
}

/* --- step by step ------------------------------------------------------------------------------------------------------ */

/* Where the core has refused the caller, it has said why. */
static enum MHD_Result send_refusal(struct request *r, cc_err err)
{
    if (err.code == r->ticket->err.code && error_class(err) == CLASS_AUTH)
        return request_send_ticket_error(r);
    r->answer.len = 0;
    int status = error_status(err);
    return keys_work_refusal(r->keys, err, &r->answer).code ? MHD_NO : request_send_json(r, status);
}

enum MHD_Result keys_continue(struct request *r)
{
    struct ticket *t = r->ticket;
    if (r->keys_read) {
        r->keys_read = false;
        if (!t->err.code)
            return send_answer(r);
        return r->answer.len ? request_send_json(r, error_status(t->err))
                             : request_send_error(r, t->err);
    }
    cc_err err = t->ask == TICKET_KEYS
                     ? keys_work_took(r->keys, t->err, &t->answer.keys, &t->keys)
                     : keys_work_took_slashing(r->keys, t->err, &t->answer.slashing, &t->keys);
    if (err.code)
        return send_refusal(r, err);
    struct keys_question q = next_question(r);
    if (!is_question(q))
        return send_answer(r);
    MHD_suspend_connection(r->mhd);
    submit(r, q);
    return MHD_YES;
}

void keys_end(struct request *r)
{
    keys_work_free(r->keys);
    r->keys = NULL;
    r->keys_read = false;
    if (r->keys_group != KEYS_GROUP_NONE)
        (void)atomic_fetch_sub(&r->http->keys_active[r->keys_group], 1);
    r->keys_group = KEYS_GROUP_NONE;
}
