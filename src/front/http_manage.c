/* Management: from a request to one question to the core, and its answer to the response. */
#include <string.h>

#include "base/alloc.h"

#include "auth/manager.h"
#include "auth/policy.h"
#include "front/http_inside.h"

enum {
    PURPOSE_MAX = 16
};

enum a_manage_verb manage_verb_of(enum route_id route)
{
    static const enum a_manage_verb verbs[ROUTE_END] = {
        [ROUTE_POLICY_LIST] = MANAGE_POLICY_LIST,
        [ROUTE_POLICY_GET] = MANAGE_POLICY_GET,
        [ROUTE_POLICY_PUT] = MANAGE_POLICY_PUT,
        [ROUTE_POLICY_DELETE] = MANAGE_POLICY_DELETE,
        [ROUTE_TOKEN_LIST] = MANAGE_TOKEN_LIST,
        [ROUTE_TOKEN_CREATE] = MANAGE_TOKEN_CREATE,
        [ROUTE_TOKEN_REVOKE] = MANAGE_TOKEN_REVOKE,
        [ROUTE_BOOTSTRAP] = MANAGE_BOOTSTRAP,
        [ROUTE_UNLATCH] = MANAGE_UNLATCH,
        [ROUTE_SEAL] = MANAGE_SEAL,
        [ROUTE_CHAMBER_STATUS] = MANAGE_CHAMBER_STATUS,
        [ROUTE_SEAL_LIFT] = MANAGE_SEAL_LIFT,
        [ROUTE_SETUP_TOKEN] = MANAGE_SETUP_TOKEN,
        [ROUTE_INIT] = MANAGE_INIT,
        [ROUTE_CHALLENGE] = MANAGE_CHALLENGE,
        [ROUTE_REGISTER] = MANAGE_REGISTER,
        [ROUTE_UNSEAL] = MANAGE_UNSEAL,
        [ROUTE_BREAK_GLASS] = MANAGE_BREAK_GLASS,
        [ROUTE_REHEARSE] = MANAGE_REHEARSE,
        [ROUTE_APPROVE] = MANAGE_APPROVE,
        [ROUTE_ROTATE_TOKENS] = MANAGE_ROTATE_TOKENS,
        [ROUTE_ROTATE_KMS] = MANAGE_ROTATE_KMS,
        [ROUTE_ROTATE_QUORUM] = MANAGE_ROTATE_QUORUM,
        [ROUTE_ROTATE_MODE] = MANAGE_ROTATE_MODE,
        [ROUTE_ROTATE_MASTER] = MANAGE_ROTATE_MASTER,
        [ROUTE_ROTATE_CANCEL] = MANAGE_ROTATE_CANCEL,
        [ROUTE_ROOT_TOKEN] = MANAGE_ROOT_TOKEN,
        [ROUTE_AUTO_UNSEAL] = MANAGE_AUTO_UNSEAL,
        [ROUTE_STATUS_PAGE] = MANAGE_STATUS_PAGE,
    };
    cc_assert(route < ROUTE_END);
    return verbs[route] ? verbs[route] : MANAGE_VERB_END;
}

/* --- the headers of a signature ---------------------------------------------------------------------------------------- */

struct header_place {
    const char *name;
    char *to;
    uint16_t *len;
    size_t room;
};

struct header_reader {
    struct header_place places[3];
    const char *problem; /* NULL: none */
};

static enum MHD_Result take_header(void *context,
                                   enum MHD_ValueKind kind,
                                   const char *name,
                                   size_t name_len,
                                   const char *value,
                                   size_t value_len)
{
    struct header_reader *reader = context;
    (void)kind;
    for (size_t i = 0; i < ARRAY_LEN(reader->places); i++) {
        const struct header_place *place = &reader->places[i];
        if (!span_is_nocase(span_of(name, name_len), place->name))
            continue;
        if (!value || value_len == 0 || value_len > place->room || *place->len)
            reader->problem = "a header of the signature is empty, too long, or there twice";
        else
            memcpy(place->to, value, value_len);
        *place->len = reader->problem ? 0 : (uint16_t)value_len;
    }
    return MHD_YES;
}

/* All three or none; what they say is checked here as strictly as the core checks it. */
static cc_err read_signature(struct request *r, struct a_manage *ask)
{
    struct manager_signature signature;
    struct header_reader reader = {
        .places = {{"Signature-Input", ask->input, &ask->input_len, sizeof ask->input},
                   {"Signature", ask->signature, &ask->signature_len, sizeof ask->signature},
                   {"Content-Digest", ask->digest, &ask->digest_len, sizeof ask->digest}}};
    (void)MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, take_header, &reader);
    if (reader.problem)
        return error_make(ERROR_MALFORMED, reader.problem, __FILE__, __LINE__);
    if (!ask->input_len && !ask->signature_len) {
        ask->digest_len = 0; /* it may stand alone, and then says nothing */
        return CC_OK;
    }
    const struct manager_headers headers = {span_of(ask->input, ask->input_len),
                                            span_of(ask->signature, ask->signature_len),
                                            span_of(ask->digest, ask->digest_len)};
    return manager_signature_parse(&headers, &signature);
}

/* --- asking ---------------------------------------------------------------------------------------------------------------- */

/* The one query that a route has: ?purpose=WORD, and nothing beside it. */
static cc_err take_purpose(const struct request *r, struct a_manage *ask)
{
    const char *word = MHD_lookup_connection_value(r->mhd, MHD_GET_ARGUMENT_KIND, "purpose");
    const size_t len = word ? strnlen(word, PURPOSE_MAX + 1) : 0;
    if (len == 0 || len > PURPOSE_MAX ||
        MHD_get_connection_values_n(r->mhd, MHD_GET_ARGUMENT_KIND, NULL, NULL) != 1)
        return CC_FAIL(MALFORMED,
                       "it takes ?purpose=register, unseal, approve, rehearse or break_glass");
    ask->body_len = (uint32_t)len;
    memcpy(ask->body, word, len);
    return CC_OK;
}

static cc_err fill(struct request *r, enum a_manage_verb verb, struct a_manage *ask)
{
    const size_t host_len = strlen(r->head.host);
    ask->verb = verb;
    ask->caller = r->caller;
    if (r->match.argument_len) {
        if (!policy_is_name(span_of(r->match.argument, r->match.argument_len)))
            return CC_FAIL(MALFORMED, "not a name: [a-z0-9][a-z0-9._-]*, shorter than 40");
        memcpy(ask->name, r->match.argument, r->match.argument_len);
    }
    if (host_len > sizeof ask->authority || r->body.len > sizeof ask->body)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    memcpy(ask->authority, r->head.host, host_len);
    ask->authority_len = (uint16_t)host_len;
    if (r->body.len)
        memcpy(ask->body, r->body.data, r->body.len);
    ask->body_len = (uint32_t)r->body.len;
    if (verb == MANAGE_CHALLENGE)
        CC_TRY(take_purpose(r, ask));
    return read_signature(r, ask);
}

enum MHD_Result manage_begin(struct request *r, enum a_manage_verb verb)
{
    struct ticket *t = r->ticket;
    r->manage = cc_alloc(sizeof *r->manage);
    if (!r->manage)
        return request_send_error(r, CC_FAIL(NO_MEMORY, NULL));
    cc_err err = fill(r, verb, r->manage);
    request_drop_body(r);
    if (err.code)
        return request_send_error(r, err);
    r->phase = PHASE_ASKED;
    t->ask = TICKET_MANAGE;
    t->urgent = false;
    t->question.manage = r->manage;
    MHD_suspend_connection(r->mhd);
    ticket_submit(r->http->exchange, t);
    return MHD_YES;
}

/* --- the core has answered ---------------------------------------------------------------------------------------------------- */

enum MHD_Result manage_continue(struct request *r)
{
    struct ticket *t = r->ticket;
    if (t->err.code)
        return request_send_ticket_error(r);
    r->answer.len = 0;
    cc_err err = buf_append(&r->answer, t->keys.data, t->keys.len);
    if (err.code)
        return request_send_error(r, err);
    return r->match.id == ROUTE_STATUS_PAGE ? request_send_page(r)
                                            : request_send_json(r, t->answer.managed.status);
}
