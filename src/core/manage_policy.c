/* Policies: listed, shown, put, deleted. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "auth/fault.h"
#include "auth/policy.h"
#include "core/auth_latch.h"
#include "core/manage.h"

static const char kind[] = "policy";

struct policy_job {
    struct manage_call *call;
    struct buf text; /* of the policy that is put */
    bool made;
};

static const struct state_record *find(const struct policy_job *job,
                                       const struct state_store *state)
{
    return state_find(state, kind, job->call->ask->name);
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

static cc_err list(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct manage_call *call = context;
    const struct state_record *record = NULL;
    (void)signer;
    call->answer.len = 0;
    CC_TRY(buf_append_str(&call->answer, "{\"policies\":["));
    for (bool first = true;
         (record = state_next(state, kind, record ? record->name : NULL)) != NULL; first = false)
        CC_TRY(buf_printf(&call->answer, "%s\"%s\"", first ? "" : ",", record->name));
    return buf_append_str(&call->answer, "]}");
}

cc_err manage_policy_list(struct manage_call *call)
{
    return manage_run(call, list, call);
}

static cc_err get(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct policy_job *job = context;
    (void)signer;
    job->call->answer.len = 0;
    const struct state_record *record = find(job, state);
    if (!record)
        return manage_refuse(job->call, ERROR_NAME_UNKNOWN, "", "no such policy");
    return buf_append(&job->call->answer, record->bytes, record->len);
}

cc_err manage_policy_get(struct manage_call *call)
{
    struct policy_job job = {.call = call};
    return manage_run(call, get, &job);
}

/* --- changing ----------------------------------------------------------------------------------------------------------- */

static size_t count_of(const struct state_store *state)
{
    const struct state_record *record = NULL;
    size_t n = 0;
    while ((record = state_next(state, kind, record ? record->name : NULL)) != NULL)
        n++;
    return n;
}

static cc_err put(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct policy_job *job = context;
    const struct state_record *there = find(job, state);
    const struct state_change change = {.kind = kind,
                                        .name = job->call->ask->name,
                                        .expected_version = there ? there->version : 0,
                                        .bytes = buf_span(&job->text)};
    job->made = !there;
    if (authority_has_own_policy(job->call->settings->authority, change.name))
        return manage_refuse(
            job->call, ERROR_EXISTS, "",
            "the configuration (auth_policies) has a policy of this name, and that one counts");
    if (!there && count_of(state) >= POLICIES_MAX)
        return manage_refuse(job->call, ERROR_TOO_MANY, "", "64 policies");
    return manage_commit(job->call, state, signer, &change);
}

/* The text that is kept is the policy's own, not the one that came. */
static cc_err compile(struct manage_call *call, struct buf *ret_text)
{
    struct policy *policy = NULL;
    struct auth_fault fault = {.what = NULL};
    CC_CLEANUP(cc_freep) uint8_t *text = cc_alloc(call->ask->body_len + 1);
    if (!text)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(text, call->ask->body, call->ask->body_len);
    cc_err err = policy_parse(text, call->ask->body_len, call->ask->name, &policy, &fault);
    if (err.code)
        return error_is(err, ERROR_NO_MEMORY)
                   ? err
                   : manage_refuse(call, (enum error_code)err.code, fault.place, fault.what);
    err = policy_write(policy, ret_text);
    policy_free(policy);
    if (error_is(err, ERROR_LIMIT))
        return manage_refuse(call, ERROR_BODY_TOO_LARGE, "", "what is kept of it is beyond 64 KiB");
    return err;
}

cc_err manage_policy_put(struct manage_call *call)
{
    struct policy_job job = {.call = call, .text = buf_init(POLICY_STORED_MAX)};
    cc_err err = compile(call, &job.text);
    if (!err.code)
        err = manage_run(call, put, &job);
    if (!err.code) {
        call->status = job.made ? 201 : 200;
        err = buf_append(&call->answer, job.text.data, job.text.len);
    }
    buf_release(&job.text);
    return err;
}

static bool names_policy(const struct state_record *record, const char *policy)
{
    struct auth_fault fault;
    struct token token;
    bool names = false;
    CC_CLEANUP(cc_freep) uint8_t *text = cc_alloc(record->len + 1);
    if (!text)
        return true;
    memcpy(text, record->bytes, record->len);
    if (token_parse(text, record->len, record->name, &token, &fault).code)
        return false; /* it opens nothing */
    for (uint32_t i = 0; i < token.policy_count; i++)
        names |= strcmp(token.policies[i], policy) == 0;
    return names;
}

static bool is_in_use(const struct state_store *state, const char *policy)
{
    const struct state_record *record = NULL;
    while ((record = state_next(state, "token", record ? record->name : NULL)) != NULL)
        if (names_policy(record, policy))
            return true;
    return false;
}

static cc_err delete (void *context, struct state_store *state, const struct state_signer *signer)
{
    struct policy_job *job = context;
    const struct state_record *there = find(job, state);
    const struct state_change change = {.kind = kind,
                                        .name = job->call->ask->name,
                                        .expected_version = there ? there->version : 0,
                                        .remove = true};
    if (!there)
        return manage_refuse(job->call, ERROR_NAME_UNKNOWN, "", "no such policy");
    if (is_in_use(state, job->call->ask->name))
        return manage_refuse(job->call, ERROR_IN_USE, "",
                             "a token names this policy: revoke it first");
    return manage_commit(job->call, state, signer, &change);
}

cc_err manage_policy_delete(struct manage_call *call)
{
    struct policy_job job = {.call = call};
    CC_TRY(manage_run(call, delete, &job));
    return buf_printf(&call->answer, "{\"deleted\":\"%s\"}", call->ask->name);
}

/* --- the latch ------------------------------------------------------------------------------------------------------------ */

static cc_err
open_latch(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct manage_call *call = context;
    const struct state_record *there = state_find(state, AUTH_LATCH_KIND, AUTH_LATCH_NAME);
    const struct state_change change = {.kind = AUTH_LATCH_KIND,
                                        .name = AUTH_LATCH_NAME,
                                        .expected_version = there ? there->version : 0,
                                        .remove = true};
    if (there)
        CC_TRY(state_commit(state, &change, 1, signer));
    CC_TRY(auth_latch_remove(call->settings->config->data_dir));
    return authority_take_records(call->settings->authority, state);
}

cc_err manage_unlatch(struct manage_call *call)
{
    if (auth_mode_asked(&call->settings->config->auth) == AUTH_ENFORCE)
        return manage_refuse(
            call, ERROR_IN_USE, "",
            "the configuration asks for auth.mode enforce: change that and start the signer again first");
    CC_TRY(manage_owner_shows(call, "unlatch\n"));
    CC_TRY(manage_run(call, open_latch, call));
    log_notice("the latch of auth.mode was opened: the mode is the configuration's again");
    return buf_append_str(&call->answer, "{\"latched\":false}");
}
