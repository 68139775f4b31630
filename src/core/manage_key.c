/* Management keys: who signed a request, its place in the state commit of what it changes, and how the first key comes in. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/num.h"

#include "auth/manager.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "core/manage.h"

static const char record_name[] = "managers";

enum {
    PATH_MAX_LEN = 128
};

_Static_assert((int)A_MANAGE_INPUT_MAX == (int)MANAGER_INPUT_MAX &&
                   (int)A_MANAGE_HEADER_MAX == (int)MANAGER_HEADER_MAX,
               "a signature's headers fit the door");

/* --- the record ------------------------------------------------------------------------------------------------------ */

CC_ERR manage_read_keys(const struct state_store *state,
                        const char *name,
                        struct managers *ret_managers,
                        uint64_t *ret_version)
{
    const struct state_record *record = state_find(state, MANAGE_KEYS_KIND, name);
    *ret_managers = (struct managers){0};
    *ret_version = record ? record->version : 0;
    if (!record)
        return CC_OK;
    CC_CLEANUP(cc_freep) uint8_t *text = cc_alloc(record->len + 1);
    if (!text)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(text, record->bytes, record->len);
    return managers_parse(text, record->len, ret_managers);
}

static cc_err
read_record(const struct state_store *state, struct managers *ret_managers, uint64_t *ret_version)
{
    return manage_read_keys(state, record_name, ret_managers, ret_version);
}

/* --- who signed ------------------------------------------------------------------------------------------------------- */

CC_ERR manage_read_signature(const struct a_manage *ask, struct manager_signature *ret_signature)
{
    const struct manager_headers headers = {
        .input = span_of(ask->input, ask->input_len),
        .signature = span_of(ask->signature, ask->signature_len),
        .digest = span_of(ask->digest, ask->digest_len),
    };
    return manager_signature_parse(&headers, ret_signature);
}

/* One answer for a key that is not known, a signature that is not its, and a body that is not the signed one. */
static cc_err refuse_signature(struct manage_call *call)
{
    return manage_refuse(call, ERROR_UNAUTHENTICATED, "",
                         "not signed by a management key of this chamber");
}

CC_ERR manage_verify(const struct manage_call *call,
                     const struct manager_signature *signature,
                     const uint8_t public_key[static 32])
{
    char path[PATH_MAX_LEN];
    const struct a_manage *ask = call->ask;
    (void)snprintf(path, sizeof path, "%s%s", call->verb->path, ask->name);
    const struct manager_request request = {
        .method = call->verb->method,
        .path = path,
        .scheme = ask->caller.flags & CALLER_TLS ? "https" : "http",
        .authority = span_of(ask->authority, ask->authority_len),
        .body = span_of(ask->body, ask->body_len),
    };
    return manager_verify(signature, &request, public_key);
}

static cc_err find_signer(struct manage_call *call,
                          struct managers *managers,
                          struct manager **ret_manager,
                          uint64_t *ret_created)
{
    struct manager_signature signature;
    if (manage_read_signature(call->ask, &signature).code)
        return manage_refuse(call, ERROR_MALFORMED, "", error_detail());
    struct manager *manager = managers_find(managers, signature.keyid);
    if (!manager || manage_verify(call, &signature, manager->public_key).code)
        return refuse_signature(call);
    (void)snprintf(call->verdict.principal, sizeof call->verdict.principal, "manager:%s",
                   manager->keyid);
    *ret_manager = manager;
    *ret_created = signature.created;
    return CC_OK;
}

/* What was signed is right: from here on the caller may know why not. */
CC_ERR manage_check_time(struct manage_call *call, const struct manager *manager, uint64_t created)
{
    cc_err err = manager_check_time(manager, created, call->now);
    if (error_is(err, ERROR_UNAUTHENTICATED))
        return manage_refuse(call, ERROR_UNAUTHENTICATED, "", error_detail());
    return err;
}

cc_err manage_check_key(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct manage_call *call = context;
    struct managers managers;
    struct manager *manager = NULL;
    uint64_t version = 0;
    uint64_t created = 0;
    (void)signer;
    CC_TRY(read_record(state, &managers, &version));
    CC_TRY(find_signer(call, &managers, &manager, &created));
    const struct manager any_time = {.last = 0};
    return manage_check_time(call, &any_time, created);
}

cc_err
manage_learn_keys(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct manage_call *call = context;
    uint64_t version = 0;
    (void)signer;
    return read_record(state, call->known, &version);
}

CC_ERR manage_peek_key(struct manage_call *call, bool *ret_known)
{
    struct manager_signature signature;
    struct manager *manager = NULL;
    uint64_t created = 0;
    *ret_known = !manage_read_signature(call->ask, &signature).code &&
                 managers_find(call->known, signature.keyid) != NULL;
    return find_signer(call, call->known, &manager, &created);
}

CC_ERR manage_commit(struct manage_call *call,
                     struct state_store *state,
                     const struct state_signer *signer,
                     const struct state_change *change)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(MANAGERS_STORED_MAX);
    struct state_change changes[2] = {*change};
    struct managers managers;
    struct manager *manager = NULL;
    uint64_t version = 0;
    uint64_t created = 0;
    if (!call->by_key)
        return state_commit(state, changes, 1, signer);
    CC_TRY(read_record(state, &managers, &version));
    CC_TRY(find_signer(call, &managers, &manager, &created));
    CC_TRY(manage_check_time(call, manager, created));
    manager->last = created;
    CC_TRY(managers_write(&managers, &text));
    changes[1] = (struct state_change){.kind = MANAGE_KEYS_KIND,
                                       .name = record_name,
                                       .expected_version = version,
                                       .bytes = buf_span(&text)};
    return state_commit(state, changes, 2, signer);
}

/* --- the first key ------------------------------------------------------------------------------------------------------ */

struct bootstrap {
    struct manage_call *call;
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    bool replace;
    bool replaced;
};

static cc_err read_member(struct bootstrap *b, struct span key, struct jval value)
{
    struct span text;
    if (span_is(key, "public_key")) {
        if (jval_text(value, &text).code || text.len != 2 * sizeof b->public_key ||
            hex_decode(text, b->public_key, sizeof b->public_key).code)
            return manage_refuse(b->call, ERROR_MALFORMED, "public_key", "not 32 bytes in hex");
        return CC_OK;
    }
    if (span_is(key, "replace")) {
        if (jval_bool(value, &b->replace).code)
            return manage_refuse(b->call, ERROR_FIELD_TYPE, "replace", "neither true nor false");
        return CC_OK;
    }
    return manage_refuse(b->call, ERROR_MALFORMED, "", "an unknown member");
}

static cc_err read_bootstrap(struct bootstrap *b, struct jdoc *doc, uint8_t *text, size_t len)
{
    struct jval value;
    struct span key;
    cc_err err = jdoc_parse(doc, text, len);
    if (err.code)
        return err;
    if (jval_type(jdoc_root(doc)) != JVAL_OBJECT ||
        !jval_member(jdoc_root(doc), "public_key", &value))
        return manage_refuse(b->call, ERROR_FIELD_MISSING, "public_key", "is missing");
    struct jval_iter iter = jval_iterate(jdoc_root(doc));
    while (jval_next_member(&iter, &key, &value))
        CC_TRY(read_member(b, key, value));
    return CC_OK;
}

/* No request that this key has signed until now counts any more, whatever it was used for. */
static cc_err put_key(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct bootstrap *b = context;
    CC_CLEANUP(buf_release) struct buf text = buf_init(MANAGERS_STORED_MAX);
    struct managers old;
    struct managers managers = {.count = 1};
    struct manager *manager = &managers.list[0];
    uint64_t version = 0;
    cc_err err = read_record(state, &old, &version);
    /* One that can't be read must not lock everybody out for ever: the owner may put another in its place. */
    if (err.code && !(error_is(err, ERROR_TAMPERED) && b->replace))
        return err;
    if (version && !b->replace)
        return manage_refuse(
            b->call, ERROR_EXISTS, "",
            "this chamber has a management key: give --replace to put another in its place");
    memcpy(manager->public_key, b->public_key, sizeof manager->public_key);
    manager_keyid(manager->public_key, manager->keyid);
    const struct manager *same = managers_find(&old, manager->keyid);
    manager->added = b->call->now;
    manager->last = u64_max(b->call->now, same ? same->last : 0);
    CC_TRY(managers_write(&managers, &text));
    b->replaced = version != 0;
    const struct state_change change = {.kind = MANAGE_KEYS_KIND,
                                        .name = record_name,
                                        .expected_version = version,
                                        .bytes = buf_span(&text)};
    return state_commit(state, &change, 1, signer);
}

static cc_err put_and_answer(struct bootstrap *b)
{
    struct manage_call *call = b->call;
    char keyid[MANAGER_KEYID_SIZE];
    CC_TRY(manage_run(call, put_key, b));
    manager_keyid(b->public_key, keyid);
    (void)snprintf(call->subject, sizeof call->subject, "%s", keyid);
    log_notice("a management key was put in place", KV_STR("keyid", keyid),
               KV_STR("replaced", b->replaced ? "the one before" : "none"));
    call->status = 201;
    return buf_printf(&call->answer, "{\"keyid\":\"%s\",\"replaced\":%s}", keyid,
                      b->replaced ? "true" : "false");
}

CC_ERR manage_put_key(struct manage_call *call, const uint8_t public_key[static 32])
{
    struct bootstrap b = {.call = call, .replace = true};
    memcpy(b.public_key, public_key, sizeof b.public_key);
    return put_and_answer(&b);
}

cc_err manage_bootstrap(struct manage_call *call)
{
    struct bootstrap b = {.call = call};
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(16);
    uint8_t text[512];
    char digits[2 * ED25519_PUBLIC_SIZE + 1] = "";
    char proof[96];
    if (call->ask->body_len > sizeof text)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    memcpy(text, call->ask->body, call->ask->body_len);
    CC_TRY(read_bootstrap(&b, &doc, text, call->ask->body_len));
    hex_encode(b.public_key, sizeof b.public_key, digits);
    (void)snprintf(proof, sizeof proof, "bootstrap %s\n", digits);
    CC_TRY(manage_owner_shows(call, proof));
    return put_and_answer(&b);
}
