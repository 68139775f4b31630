/* Tokens: made, listed, revoked; and when each was last used. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "auth/token_request.h"
#include "core/manage.h"
#include "crypto/random.h"
#include "secret/wipe.h"

static const char kind[] = "token";

static cc_err read_record(const struct state_record *record, struct token *ret_token)
{
    struct auth_fault fault;
    CC_CLEANUP(cc_freep) uint8_t *text = cc_alloc(record->len + 1);
    if (!text)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(text, record->bytes, record->len);
    return token_parse(text, record->len, record->name, ret_token, &fault);
}

/* --- answers -------------------------------------------------------------------------------------------------------------- */

static cc_err put_list(struct buf *out, const char *name, uint32_t i, const char *text)
{
    return i ? buf_printf(out, ",\"%s\"", text) : buf_printf(out, ",\"%s\":[\"%s\"", name, text);
}

static cc_err put_times(struct buf *out, const struct token *token)
{
    CC_TRY(buf_printf(out, ",\"created\":%" PRIu64, token->created));
    if (token->expires)
        CC_TRY(buf_printf(out, ",\"expires\":%" PRIu64, token->expires));
    return token->last_used ? buf_printf(out, ",\"last_used\":%" PRIu64, token->last_used) : CC_OK;
}

/* What it may be used for; nothing that helps to use it. The object is left open. */
static cc_err put_token(struct buf *out, const struct token *token)
{
    char range[CIDR_TEXT_SIZE];
    CC_TRY(buf_printf(out, "{\"name\":\"%s\"", token->name));
    for (uint32_t i = 0; i < token->policy_count; i++)
        CC_TRY(put_list(out, "policies", i, token->policies[i]));
    CC_TRY(buf_append_str(out, "]"));
    CC_TRY(put_times(out, token));
    for (uint32_t i = 0; i < token->cidr_count; i++) {
        cidr_text(&token->cidrs[i], range);
        CC_TRY(put_list(out, "cidrs", i, range));
    }
    if (token->cidr_count)
        CC_TRY(buf_append_str(out, "]"));
    if (!token->has_certificate)
        return CC_OK;
    CC_TRY(buf_append_str(out, ",\"certificate\":\""));
    for (size_t i = 0; i < sizeof token->certificate; i++)
        CC_TRY(buf_printf(out, "%02x", token->certificate[i]));
    return buf_append_str(out, "\"");
}

/* A record that can't be read opens nothing, and is shown as what it is. */
static cc_err put_record(struct buf *out, const struct state_record *record)
{
    struct token token;
    cc_err err = read_record(record, &token);
    if (error_is(err, ERROR_NO_MEMORY))
        return err;
    if (err.code)
        return buf_printf(out, "{\"name\":\"%s\",\"unreadable\":true}", record->name);
    CC_TRY(put_token(out, &token));
    return buf_append_str(out, "}");
}

static cc_err list(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct manage_call *call = context;
    const struct state_record *record = NULL;
    (void)signer;
    call->answer.len = 0;
    CC_TRY(buf_append_str(&call->answer, "{\"tokens\":["));
    for (bool first = true;
         (record = state_next(state, kind, record ? record->name : NULL)) != NULL; first = false) {
        if (!first)
            CC_TRY(buf_append_str(&call->answer, ","));
        CC_TRY(put_record(&call->answer, record));
    }
    return buf_append_str(&call->answer, "]}");
}

cc_err manage_token_list(struct manage_call *call)
{
    return manage_run(call, list, call);
}

/* --- making ------------------------------------------------------------------------------------------------------------------ */

struct token_job {
    struct manage_call *call;
    struct token token;
    struct buf record;
};

static size_t count_of(const struct state_store *state)
{
    const struct state_record *record = NULL;
    size_t n = 0;
    while ((record = state_next(state, kind, record ? record->name : NULL)) != NULL)
        n++;
    return n;
}

static cc_err check_new(const struct token_job *job, const struct state_store *state)
{
    struct manage_call *call = job->call;
    if (state_find(state, kind, job->token.name))
        return manage_refuse(call, ERROR_EXISTS, "name", "a token has this name: revoke it first");
    if (count_of(state) >= TOKENS_MAX)
        return manage_refuse(call, ERROR_TOO_MANY, "", "512 tokens");
    for (uint32_t i = 0; i < job->token.policy_count; i++)
        if (!state_find(state, "policy", job->token.policies[i]) &&
            !authority_has_own_policy(call->settings->authority, job->token.policies[i]))
            return manage_refuse(call, ERROR_NAME_UNKNOWN, "policies",
                                 "one of them does not exist: put it first");
    return CC_OK;
}

static cc_err make(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct token_job *job = context;
    const struct state_change change = {.kind = kind,
                                        .name = job->token.name,
                                        .expected_version = 0,
                                        .bytes = buf_span(&job->record)};
    CC_TRY(check_new(job, state));
    return manage_commit(job->call, state, signer, &change);
}

/* The text is in the answer, and nowhere else. */
static CC_SENSITIVE cc_err make_secret(struct token_job *job, char text[static TOKEN_TEXT_SIZE])
{
    WIPED32 struct secret32 chance;
    uint8_t digest[SHA256_SIZE];
    _Static_assert(sizeof chance.bytes == TOKEN_RANDOM_SIZE, "a token's chance");
    CC_TRY(random_bytes(chance.bytes, sizeof chance.bytes));
    token_text(chance.bytes, text);
    token_digest(span_str(text), digest);
    cc_err err = authority_token_mac(job->call->settings->authority, digest, job->token.mac);
    wipe(digest, sizeof digest);
    return err;
}

static CC_SENSITIVE cc_err create(struct token_job *job)
{
    struct manage_call *call = job->call;
    char text[TOKEN_TEXT_SIZE] = "";
    cc_err err = make_secret(job, text);
    if (!err.code)
        err = token_write(&job->token, &job->record);
    if (!err.code)
        err = manage_run(call, make, job);
    if (!err.code)
        err = put_token(&call->answer, &job->token);
    if (!err.code)
        err = buf_printf(&call->answer, ",\"token\":\"%s\"}", text);
    wipe(text, sizeof text);
    call->status = 201;
    return err;
}

cc_err manage_token_create(struct manage_call *call)
{
    struct token_job job = {.call = call, .record = buf_init(TOKEN_STORED_MAX)};
    struct auth_fault fault = {.what = NULL};
    CC_CLEANUP(cc_freep) uint8_t *body = cc_alloc(call->ask->body_len + 1);
    if (!body)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(body, call->ask->body, call->ask->body_len);
    cc_err err = token_request_parse(body, call->ask->body_len, call->now, &job.token, &fault);
    if (err.code)
        return error_is(err, ERROR_NO_MEMORY)
                   ? err
                   : manage_refuse(call, (enum error_code)err.code, fault.place, fault.what);
    memcpy(call->subject, job.token.name, sizeof call->subject);
    /* Grown once: no copy of the answer is left behind while it grows. */
    uint8_t *room = NULL;
    CC_TRY(buf_grow(&call->answer, TOKEN_STORED_MAX, &room));
    call->answer.len = 0;
    err = create(&job);
    buf_release(&job.record);
    return err;
}

/* --- revoking ---------------------------------------------------------------------------------------------------------------- */

static cc_err revoke(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct manage_call *call = context;
    const struct state_record *there = state_find(state, kind, call->ask->name);
    const struct state_change change = {.kind = kind,
                                        .name = call->ask->name,
                                        .expected_version = there ? there->version : 0,
                                        .remove = true};
    if (!there)
        return manage_refuse(call, ERROR_NAME_UNKNOWN, "", "no such token");
    return manage_commit(call, state, signer, &change);
}

cc_err manage_token_revoke(struct manage_call *call)
{
    CC_TRY(manage_run(call, revoke, call));
    return buf_printf(&call->answer, "{\"revoked\":\"%s\"}", call->ask->name);
}

/* --- last use ------------------------------------------------------------------------------------------------------------------ */

struct uses {
    size_t count;
    struct token_use list[MANAGE_USES_MAX];
    struct buf records[MANAGE_USES_MAX];
    struct state_change changes[MANAGE_USES_MAX];
};

/* Whose record is gone, can't be read, or says as much already, is left out. */
static cc_err add_use(struct uses *uses, size_t *n, const struct state_store *state, size_t i)
{
    const struct token_use *use = &uses->list[i];
    const struct state_record *there = state_find(state, kind, use->name);
    struct token token;
    if (!there || read_record(there, &token).code || token.last_used >= use->last_used)
        return CC_OK;
    token.last_used = use->last_used;
    uses->records[*n].len = 0;
    CC_TRY(token_write(&token, &uses->records[*n]));
    uses->changes[*n] = (struct state_change){.kind = kind,
                                              .name = use->name,
                                              .expected_version = there->version,
                                              .bytes = buf_span(&uses->records[*n])};
    (*n)++;
    return CC_OK;
}

static cc_err
write_uses(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct uses *uses = context;
    size_t n = 0;
    for (size_t i = 0; i < uses->count; i++)
        CC_TRY(add_use(uses, &n, state, i));
    return n ? state_commit(state, uses->changes, n, signer) : CC_OK;
}

void manage_note_uses(const struct manage_settings *settings)
{
    CC_CLEANUP(cc_freep) struct uses *uses = cc_alloc(sizeof *uses);
    if (!uses)
        return;
    uses->count = authority_take_uses(settings->authority, uses->list, MANAGE_USES_MAX);
    for (size_t i = 0; i < uses->count; i++)
        uses->records[i] = buf_init(TOKEN_STORED_MAX);
    cc_err err = CC_OK;
    if (uses->count)
        err = keeper_run(settings->keeper, write_uses, uses, MANAGE_PATIENCE_MS);
    if (err.code)
        log_info("when tokens were last used was not noted", KV_ERR(err));
    for (size_t i = 0; i < uses->count; i++)
        buf_release(&uses->records[i]);
}
