/* The owner from elsewhere: a request over TLS that a key of auth.owner_keys has signed. In an enclave there is nobody at the sockets. */
#include <stdio.h>
#include <string.h>

#include "auth/owner.h"
#include "core/manage.h"

static const char record_name[] = "owners";

struct noting {
    struct manage_call *call;
    const struct owner_key *owner;
    uint64_t created;
};

static bool is_configured(const struct manage_call *call, const struct manager *row)
{
    struct owner_key key;
    return owner_keys_find(&call->settings->config->auth.owner_keys, row->keyid, &key);
}

/* A key that is in no row of the configuration any more makes room; what it signed long ago would not be taken anyway. */
static struct manager *make_row(const struct noting *n, struct managers *owners)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < owners->count; i++)
        if (is_configured(n->call, &owners->list[i]) ||
            owners->list[i].last + 2 * (uint64_t)MANAGER_WINDOW_S >= n->call->now)
            owners->list[kept++] = owners->list[i];
    owners->count = kept;
    if (kept == MANAGERS_MAX)
        return NULL;
    struct manager *row = &owners->list[owners->count++];
    *row = (struct manager){.added = n->call->now};
    memcpy(row->public_key, n->owner->public_key, sizeof row->public_key);
    manager_keyid(row->public_key, row->keyid);
    return row;
}

/* Used up before anything is done with it: once, at whichever replica, and also where what it asks for fails. */
static cc_err note(void *context, struct state_store *state, const struct state_signer *signer)
{
    const struct noting *n = context;
    CC_CLEANUP(buf_release) struct buf text = buf_init(MANAGERS_STORED_MAX);
    struct managers owners;
    uint64_t version = 0;
    CC_TRY(manage_read_keys(state, record_name, &owners, &version));
    struct manager *row = managers_find(&owners, n->owner->keyid);
    if (!row)
        row = make_row(n, &owners);
    if (!row)
        return CC_FAIL(TOO_MANY, "owner keys that were in use a moment ago");
    CC_TRY(manage_check_time(n->call, row, n->created));
    row->last = n->created;
    CC_TRY(managers_write(&owners, &text));
    const struct state_change change = {.kind = MANAGE_KEYS_KIND,
                                        .name = record_name,
                                        .expected_version = version,
                                        .bytes = buf_span(&text)};
    return state_commit(state, &change, 1, signer);
}

/* Whatever is not right about it is as if nothing were signed: the answer is anybody's, and tells nothing of which part it was. */
static bool is_his(const struct manage_call *call,
                   struct manager_signature *ret_signature,
                   struct owner_key *ret_owner)
{
    return (call->ask->caller.flags & CALLER_TLS) &&
           !manage_read_signature(call->ask, ret_signature).code &&
           owner_keys_find(&call->settings->config->auth.owner_keys, ret_signature->keyid,
                           ret_owner) &&
           !manage_verify(call, ret_signature, ret_owner->public_key).code;
}

CC_ERR manage_admit_owner(struct manage_call *call)
{
    struct manager_signature signature;
    struct owner_key owner;
    if (call->verb->who == MANAGE_BY_KEY || !is_his(call, &signature, &owner))
        return CC_OK;
    (void)snprintf(call->verdict.principal, sizeof call->verdict.principal, "owner:%s", owner.name);
    const struct manager any_time = {.last = 0};
    struct noting noting = {call, &owner, signature.created};
    CC_TRY(manage_check_time(call, &any_time, signature.created));
    if (strcmp(call->verb->method, "GET") != 0)
        CC_TRY(manage_run(call, note, &noting));
    call->by_owner = true;
    return CC_OK;
}
