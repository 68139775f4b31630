#include "core/manage.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "auth/manager.h"
#include "core/ceremony.h"
#include "core/manage_delay.h"
#include "core/report.h"
#include "core/setup_token.h"
#include "secret/wipe.h"

struct question {
    uint32_t epoch; /* the front's door */
    bool owners;
    uint64_t arrived_ms;
    struct a_manage ask;
};

/* A refusal that is not told yet. */
struct later {
    uint64_t due_ns; /* 0: none */
    uint32_t epoch;
    struct a_managed part;
};

struct manage {
    struct manage_settings settings;
    pthread_t thread;
    struct a_managed *part;    /* the thread's: one message */
    struct manage_delay delay; /* the thread's, as the next one */
    struct later *later[MANAGE_LATER_MAX];
    struct report_budget refusals;
    struct managers keys; /* the management keys, as they were when there had been `changes` */
    uint64_t changes;
    uint64_t learned_ms;  /* 0: never */
    uint64_t uses_at_ns;  /* when last uses are to be noted */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t news;
    struct question *queue[MANAGE_QUEUE_MAX];
    size_t head;
    size_t count;
    size_t others; /* of those, not the owner's */
    bool stopping;
};

static void take_lock(struct manage *manage)
{
    cc_assert(pthread_mutex_lock(&manage->lock) == 0);
}

static void drop_lock(struct manage *manage)
{
    cc_assert(pthread_mutex_unlock(&manage->lock) == 0);
}

/* --- the verbs ------------------------------------------------------------------------------------------------------- */

#define CHAMBER_PATH "/api/v1/chamber/"
#define AUTH_PATH    CHAMBER_PATH "auth/"
#define BY_CREDENTIAL(name, method, path, handler)                                                 \
    {                                                                                              \
        name, method, CHAMBER_PATH path, false, true, MANAGE_BY_CREDENTIAL, SCOPE_CHAMBER_STATUS,  \
            handler                                                                                \
    }
#define ROTATES(name, method, path, body, handler)                                                 \
    {                                                                                              \
        name, method, CHAMBER_PATH "rotate" path, false, body, MANAGE_BY_SCOPE,                    \
            SCOPE_CHAMBER_ROTATE, handler                                                          \
    }

const struct manage_verb *manage_verb_find(uint32_t verb)
{
    static const struct manage_verb verbs[MANAGE_VERB_END] = {
        [MANAGE_POLICY_LIST] = {"policy_list", "GET", AUTH_PATH "policies", false, false,
                                MANAGE_BY_READER, SCOPE_AUTH_MANAGE, manage_policy_list},
        [MANAGE_POLICY_GET] = {"policy_get", "GET", AUTH_PATH "policies/", true, false,
                               MANAGE_BY_READER, SCOPE_AUTH_MANAGE, manage_policy_get},
        [MANAGE_POLICY_PUT] = {"policy_put", "PUT", AUTH_PATH "policies/", true, true,
                               MANAGE_BY_KEY, SCOPE_AUTH_MANAGE, manage_policy_put},
        [MANAGE_POLICY_DELETE] = {"policy_delete", "DELETE", AUTH_PATH "policies/", true, false,
                                  MANAGE_BY_KEY, SCOPE_AUTH_MANAGE, manage_policy_delete},
        [MANAGE_TOKEN_LIST] = {"token_list", "GET", AUTH_PATH "tokens", false, false,
                               MANAGE_BY_READER, SCOPE_AUTH_MANAGE, manage_token_list},
        [MANAGE_TOKEN_CREATE] = {"token_create", "POST", AUTH_PATH "tokens", false, true,
                                 MANAGE_BY_KEY, SCOPE_AUTH_MANAGE, manage_token_create},
        [MANAGE_TOKEN_REVOKE] = {"token_revoke", "DELETE", AUTH_PATH "tokens/", true, false,
                                 MANAGE_BY_KEY, SCOPE_AUTH_MANAGE, manage_token_revoke},
        [MANAGE_BOOTSTRAP] = {"bootstrap", "POST", AUTH_PATH "bootstrap", false, true,
                              MANAGE_BY_ADMIN, SCOPE_AUTH_MANAGE, manage_bootstrap},
        [MANAGE_UNLATCH] = {"unlatch", "DELETE", AUTH_PATH "latch", false, false, MANAGE_BY_ADMIN,
                            SCOPE_AUTH_MANAGE, manage_unlatch},
        [MANAGE_SEAL] = {"seal", "POST", "/api/v1/chamber/seal", false, false, MANAGE_BY_SCOPE,
                         SCOPE_CHAMBER_SEAL, manage_seal},
        [MANAGE_CHAMBER_STATUS] = {"chamber_status", "GET", "/api/v1/chamber/status", false, false,
                                   MANAGE_BY_SCOPE, SCOPE_CHAMBER_STATUS, manage_chamber_status},
        [MANAGE_SEAL_LIFT] = {"seal_lift", "DELETE", CHAMBER_PATH "seal", false, false,
                              MANAGE_BY_ADMIN, SCOPE_CHAMBER_SEAL, manage_seal_lift},
        [MANAGE_SETUP_TOKEN] = {"setup_token", "POST", CHAMBER_PATH "setup-token", false, false,
                                MANAGE_BY_ADMIN, SCOPE_CHAMBER_ROTATE, manage_setup_token},
        [MANAGE_INIT] = BY_CREDENTIAL("init", "POST", "init", manage_init),
        [MANAGE_CHALLENGE] = {"challenge", "GET", CHAMBER_PATH "operators/", true, true,
                              MANAGE_BY_CREDENTIAL, SCOPE_CHAMBER_STATUS, manage_challenge},
        [MANAGE_REGISTER] = BY_CREDENTIAL("register", "POST", "register", manage_register),
        [MANAGE_UNSEAL] = BY_CREDENTIAL("unseal", "POST", "unseal", manage_unseal),
        [MANAGE_BREAK_GLASS] =
            BY_CREDENTIAL("break_glass", "POST", "break-glass", manage_break_glass),
        [MANAGE_REHEARSE] = BY_CREDENTIAL("rehearse", "POST", "rehearse", manage_rehearse),
        [MANAGE_APPROVE] = BY_CREDENTIAL("approve", "POST", "rotate/approve", manage_approve),
        [MANAGE_ROTATE_TOKENS] =
            ROTATES("rotate_tokens", "GET", "/tokens", false, manage_rotate_tokens),
        [MANAGE_ROTATE_KMS] = ROTATES("rotate_kms", "POST", "/kms", true, manage_rotate_kms),
        [MANAGE_ROTATE_QUORUM] =
            ROTATES("rotate_quorum", "POST", "/quorum", true, manage_rotate_quorum),
        [MANAGE_ROTATE_MODE] = ROTATES("rotate_mode", "POST", "/mode", true, manage_rotate_mode),
        [MANAGE_ROTATE_MASTER] =
            ROTATES("rotate_master", "POST", "/master", true, manage_rotate_master),
        [MANAGE_ROTATE_CANCEL] =
            ROTATES("rotate_cancel", "DELETE", "", false, manage_rotate_cancel),
        [MANAGE_AUTO_UNSEAL] = {"auto_unseal", "POST", CHAMBER_PATH "auto-unseal", false, true,
                                MANAGE_BY_SCOPE, SCOPE_CHAMBER_ROTATE, manage_auto_unseal},
        [MANAGE_STATUS_PAGE] = {"status_page", "GET", "/status", false, false, MANAGE_BY_NEIGHBOUR,
                                SCOPE_CHAMBER_STATUS, manage_status_page},
        [MANAGE_ROOT_TOKEN] = BY_CREDENTIAL("root_token", "POST", "root-token", manage_root_token),
    };
    return verb < MANAGE_VERB_END && verbs[verb].handler ? &verbs[verb] : NULL;
}

/* --- the queue ------------------------------------------------------------------------------------------------------- */

bool manage_is_admin(const struct caller *caller)
{
    return caller->listener == LISTENER_ADMIN && (caller->flags & CALLER_OWNER);
}

bool manage_is_owners(const struct manage_call *call)
{
    return call->by_owner || manage_is_admin(&call->ask->caller);
}

/* Terminated, and there only where the verb has one. */
static bool name_fits(const struct a_manage *ask, const struct manage_verb *verb)
{
    const size_t len = strnlen(ask->name, sizeof ask->name);
    if (len == sizeof ask->name)
        return false;
    return verb->named ? policy_is_name(span_of(ask->name, len)) : len == 0;
}

bool manage_is_well_formed(const struct a_manage *ask)
{
    const struct manage_verb *verb = manage_verb_find(ask->verb);
    return verb && name_fits(ask, verb) && ask->body_len <= sizeof ask->body &&
           (verb->has_body || ask->body_len == 0) && ask->authority_len <= sizeof ask->authority &&
           ask->input_len <= sizeof ask->input && ask->signature_len <= sizeof ask->signature &&
           ask->digest_len <= sizeof ask->digest;
}

/* How many of those that wait come from this caller's address; the owner's don't count. The lock is held. */
static size_t count_from(const struct manage *manage, const struct caller *caller)
{
    size_t n = 0;
    for (size_t i = 0; i < manage->count; i++) {
        const struct question *q = manage->queue[(manage->head + i) % MANAGE_QUEUE_MAX];
        n += !q->owners && span_equal(span_of(q->ask.caller.address, sizeof caller->address),
                                      span_of(caller->address, sizeof caller->address));
    }
    return n;
}

CC_ERR manage_put(struct manage *manage, uint32_t epoch, const struct a_manage *ask)
{
    if (!manage_is_well_formed(ask))
        return CC_FAIL(PROTOCOL, "a management question is malformed");
    struct question *question = cc_alloc(sizeof *question);
    if (!question)
        return CC_FAIL(NO_MEMORY, NULL);
    question->epoch = epoch;
    question->arrived_ms = clock_mono_ms();
    question->owners = (ask->caller.flags & CALLER_OWNER) != 0;
    question->ask = *ask;
    take_lock(manage);
    const bool fits =
        manage->count < MANAGE_QUEUE_MAX &&
        (question->owners || (manage->others < MANAGE_QUEUE_OTHERS &&
                              count_from(manage, &ask->caller) < MANAGE_QUEUE_SOURCE));
    if (fits) {
        manage->queue[(manage->head + manage->count++) % MANAGE_QUEUE_MAX] = question;
        manage->others += !question->owners;
        (void)pthread_cond_signal(&manage->news);
    }
    drop_lock(manage);
    if (!fits)
        cc_free(question);
    return fits ? CC_OK : CC_FAIL(BUSY, "too many management requests wait");
}

/* The emergency seal, and the owner, wait for nobody else. */
static bool is_urgent(const struct question *question)
{
    return question->owners || question->ask.verb == MANAGE_SEAL;
}

/* The first one that is urgent, or the first one. The lock is held, and there is one. */
static struct question *take_question(struct manage *manage)
{
    size_t at = 0;
    while (at < manage->count && !is_urgent(manage->queue[(manage->head + at) % MANAGE_QUEUE_MAX]))
        at++;
    if (at == manage->count)
        at = 0;
    struct question *question = manage->queue[(manage->head + at) % MANAGE_QUEUE_MAX];
    for (; at > 0; at--)
        manage->queue[(manage->head + at) % MANAGE_QUEUE_MAX] =
            manage->queue[(manage->head + at - 1) % MANAGE_QUEUE_MAX];
    manage->head = (manage->head + 1) % MANAGE_QUEUE_MAX;
    manage->count--;
    manage->others -= !question->owners;
    return question;
}

/* NULL: none, because it is time for something else, or for the end. */
static struct question *next_question(struct manage *manage, uint64_t later_ns, bool *ret_end)
{
    struct question *question = NULL;
    const uint64_t until_ns = u64_min(manage->uses_at_ns, later_ns);
    const struct timespec until = {(time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000)};
    int rc = 0;
    take_lock(manage);
    while (manage->count == 0 && !manage->stopping && rc == 0)
        rc = pthread_cond_timedwait(&manage->news, &manage->lock, &until);
    *ret_end = manage->stopping;
    if (manage->count && !manage->stopping)
        question = take_question(manage);
    drop_lock(manage);
    return question;
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

cc_err
manage_refuse(struct manage_call *call, enum error_code code, const char *place, const char *what)
{
    (void)snprintf(call->detail, sizeof call->detail, "%s%s%s", place, place[0] ? ": " : "",
                   what ? what : "");
    return error_make(code, NULL, __FILE__, __LINE__);
}

CC_ERR manage_run(struct manage_call *call, keeper_job *job, void *context)
{
    return keeper_run(call->settings->keeper, job, context, MANAGE_PATIENCE_MS);
}

/* --- answers that wait ------------------------------------------------------------------------------------------------ */

static void tell_later(struct manage *manage, struct later **place)
{
    struct later *later = *place;
    *place = NULL;
    (void)front_link_send(manage->settings.link, later->epoch, A_MANAGED, &later->part,
                          sizeof later->part, 1)
        .code;
    cc_free(later);
}

/* All that are due; when the next one is, or UINT64_MAX. */
static uint64_t tell_due(struct manage *manage)
{
    uint64_t next_ns = UINT64_MAX;
    const uint64_t now = clock_mono_ns();
    for (size_t i = 0; i < MANAGE_LATER_MAX; i++) {
        struct later **place = &manage->later[i];
        if (*place && (*place)->due_ns <= now)
            tell_later(manage, place);
        else if (*place)
            next_ns = u64_min(next_ns, (*place)->due_ns);
    }
    return next_ns;
}

/* A free place, or that of the one that is due first: it is told early. */
static struct later **place_for_later(struct manage *manage)
{
    struct later **first = &manage->later[0];
    for (size_t i = 0; i < MANAGE_LATER_MAX; i++) {
        if (!manage->later[i])
            return &manage->later[i];
        if (manage->later[i]->due_ns < (*first)->due_ns)
            first = &manage->later[i];
    }
    tell_later(manage, first);
    return first;
}

/* True: it is kept. Whoever is refused waits; nobody else does. */
static bool keep_for_later(struct manage *manage,
                           uint32_t epoch,
                           const struct manage_call *call,
                           const struct a_managed *part)
{
    if (!call->delayed)
        return false;
    const uint32_t wait_ms =
        manage_delay_note(&manage->delay, &call->ask->caller, call->subject, clock_mono_ms() + 1);
    struct later *later = cc_alloc(sizeof *later);
    if (!later)
        return false;
    *later = (struct later){
        .due_ns = clock_mono_ns() + wait_ms * UINT64_C(1000000), .epoch = epoch, .part = *part};
    *place_for_later(manage) = later;
    return true;
}

/* A front that is gone is noticed by whoever reads its door. */
static void send_answer(struct manage *manage, uint32_t epoch, struct manage_call *call, cc_err err)
{
    struct a_managed *part = manage->part;
    size_t at = 0;
    memset(part, 0, sizeof *part);
    part->id = call->ask->id;
    part->error = (uint32_t)err.code;
    part->status = (uint16_t)call->status;
    part->rule = call->verdict.rule;
    part->reason = call->verdict.reason;
    memcpy(part->detail, call->detail, sizeof part->detail);
    do {
        part->len = err.code ? 0 : (uint32_t)u64_min(sizeof part->body, call->answer.len - at);
        memset(part->body, 0, sizeof part->body);
        if (part->len)
            memcpy(part->body, call->answer.data + at, part->len);
        at += part->len;
        part->last = err.code || at == call->answer.len;
        if (err.code && keep_for_later(manage, epoch, call, part))
            break;
        if (front_link_send(manage->settings.link, epoch, A_MANAGED, part, sizeof *part, 1).code)
            break;
        part->chunk++;
    } while (!part->last);
    wipe(part, sizeof *part);
}

/* --- the work -------------------------------------------------------------------------------------------------------- */

static bool is_signed(const struct a_manage *ask)
{
    return ask->input_len != 0 || ask->signature_len != 0 || ask->digest_len != 0;
}

static cc_err judge(struct manage_call *call)
{
    const struct auth_question question = {.scope = call->verb->scope, .kind = KIND_END};
    authority_judge(call->settings->authority, &call->ask->caller, &question, &call->verdict);
    cc_err err = error_from_number(call->verdict.error);
    return err.code ? error_make((enum error_code)err.code, NULL, __FILE__, __LINE__) : CC_OK;
}

static cc_err learn_keys(struct manage *manage, struct manage_call *call)
{
    const uint64_t changes = authority_changes(manage->settings.authority);
    manage->learned_ms = 0;
    CC_TRY(manage_run(call, manage_learn_keys, call));
    manage->changes = changes;
    manage->learned_ms = clock_mono_ms();
    return CC_OK;
}

/* T29: a forged signature is refused by what is known, so that it costs no turn of the keeper, for which honest requests wait. A key
 * that came in lately is looked for once in a while.
 */
static cc_err check_signature(struct manage *manage, struct manage_call *call)
{
    call->known = &manage->keys;
    if (!manage->learned_ms || manage->changes != authority_changes(manage->settings.authority))
        CC_TRY(learn_keys(manage, call));
    bool known = false;
    cc_err err = manage_peek_key(call, &known);
    if (known || !error_is(err, ERROR_UNAUTHENTICATED) ||
        clock_mono_ms() - manage->learned_ms < MANAGE_LEARN_MS)
        return err;
    CC_TRY(learn_keys(manage, call));
    return manage_peek_key(call, &known);
}

/* The front's word for where somebody is: it opens nothing but a page to look at. */
static bool is_neighbour(const struct caller *caller)
{
    static const uint8_t mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    static const uint8_t loopback[16] = {[15] = 1};
    const struct span address = span_of(caller->address, sizeof caller->address);
    return caller->listener == LISTENER_METRICS && !(caller->flags & CALLER_PROXIED) &&
           (span_equal(span_of(caller->address, sizeof mapped), span_of(mapped, sizeof mapped)) ||
            span_equal(address, span_of(loopback, sizeof loopback)) ||
            (caller->flags & CALLER_OWNER));
}

/* Nothing of the body is read before this is done. */
static cc_err admit(struct manage *manage, struct manage_call *call, uint64_t arrived_ms)
{
    if (clock_mono_ms() - arrived_ms > MANAGE_WAIT_MS)
        return manage_refuse(call, ERROR_BUSY, "", "it waited too long: nothing was changed");
    const enum manage_who who = call->verb->who;
    const bool admin = manage_is_admin(&call->ask->caller);
    if (is_signed(call->ask))
        CC_TRY(manage_admit_owner(call));
    if (call->by_owner)
        return CC_OK;
    if (who == MANAGE_BY_CREDENTIAL ||
        (who == MANAGE_BY_NEIGHBOUR && is_neighbour(&call->ask->caller))) {
        (void)snprintf(call->verdict.principal, sizeof call->verdict.principal, "anonymous");
        return CC_OK;
    }
    if (who == MANAGE_BY_SCOPE || who == MANAGE_BY_NEIGHBOUR)
        return judge(call);
    if (who == MANAGE_BY_ADMIN)
        return admin ? judge(call) : CC_FAIL(NOT_OWNER, NULL);
    call->by_key = is_signed(call->ask);
    if (call->by_key) {
        CC_TRY(check_signature(manage, call));
        return manage_run(call, manage_check_key, call);
    }
    if (who == MANAGE_BY_READER)
        return judge(call);
    return manage_refuse(call, ERROR_UNAUTHENTICATED, "",
                         "a management key has to sign this request (docs/access.md)");
}

static bool only_reads(const struct manage_call *call)
{
    return span_is(span_str(call->verb->method), "GET");
}

/* What was changed is told only when the audit log has it, and so is what was refused. */
static cc_err write_down(const struct manage *manage, const struct manage_call *call, cc_err err)
{
    struct audit_entry entry = {.event = "manage",
                                .operation = call->verb->name,
                                .error = (uint32_t)err.code,
                                .reason = call->verdict.reason};
    if (only_reads(call) && !err.code)
        return CC_OK;
    audit_entry_who(&entry, &call->ask->caller, call->verdict.principal);
    (void)snprintf(entry.subject, sizeof entry.subject, "%s",
                   call->subject[0] ? call->subject : call->ask->name);
    cc_err written = audit_event(manage->settings.audit, &entry);
    return err.code ? err : written;
}

static void say_what_was_done(struct manage *manage, const struct manage_call *call, cc_err err)
{
    const bool reads = only_reads(call);
    uint32_t held_back = 0;
    if (err.code && report_may_log(&manage->refusals, &held_back))
        log_warn("a management request was refused", KV_STR("verb", call->verb->name),
                 KV_STR("by", call->verdict.principal), KV_STR("error", error_name(err)),
                 KV_NUM("lines_held_back", held_back));
    if (!err.code && !reads)
        log_notice("management", KV_STR("verb", call->verb->name), KV_STR("name", call->ask->name),
                   KV_STR("by", call->verdict.principal));
}

static void work(struct manage *manage, const struct question *question)
{
    const uint64_t wall_ms =
        manage->settings.wall_ms ? manage->settings.wall_ms() : clock_wall_ms();
    struct manage_call call = {
        .settings = &manage->settings,
        .verb = manage_verb_find(question->ask.verb),
        .ask = &question->ask,
        .now = wall_ms / 1000,
        .status = 200,
        .answer = buf_init(A_MANAGED_TOTAL),
    };
    cc_assert(call.verb); /* manage_put() */
    cc_err err = admit(manage, &call, question->arrived_ms);
    if (!err.code)
        err = call.verb->handler(&call);
    if (call.verb->who == MANAGE_BY_ADMIN)
        manage->learned_ms = 0; /* it may have brought another key */
    err = write_down(manage, &call, err);
    say_what_was_done(manage, &call, err);
    send_answer(manage, question->epoch, &call, err);
    if (call.answer.data)
        wipe(call.answer.data, call.answer.cap);
    buf_release(&call.answer);
}

static uint64_t next_uses_ns(void)
{
    return clock_mono_ns() + MANAGE_USES_EVERY_S * UINT64_C(1000000000);
}

/* T13: it dies at init, of whichever replica, and though the answer of its own was lost. */
static void end_setup_token(struct manage *manage)
{
    struct setup_token *token = manage->settings.setup_token;
    if (!token || !token->there || !manage->settings.ceremony)
        return;
    const enum seal_state state = ceremony_state(manage->settings.ceremony);
    if (state != SEAL_STATE_UNINITIALIZED && state != SEAL_STATE_NOT_CONFIGURED)
        setup_token_drop(token);
}

static void *manage_thread(void *argument)
{
    struct manage *manage = argument;
    bool end = false;
    do {
        struct question *question = next_question(manage, tell_due(manage), &end);
        if (question && front_link_waits(manage->settings.link, question->epoch))
            work(manage, question);
        cc_free(question);
        end_setup_token(manage);
        if (!end && clock_mono_ns() >= manage->uses_at_ns) {
            manage->uses_at_ns = next_uses_ns();
            manage_note_uses(&manage->settings);
            if (manage->settings.setup_token)
                setup_token_expire(manage->settings.setup_token, clock_wall_ms() / 1000);
        }
    } while (!end);
    return NULL;
}

/* --- making and freeing ------------------------------------------------------------------------------------------------ */

static void release(struct manage *manage)
{
    for (size_t i = 0; i < MANAGE_LATER_MAX; i++)
        cc_free(manage->later[i]);
    for (size_t i = 0; i < manage->count; i++)
        cc_free(manage->queue[(manage->head + i) % MANAGE_QUEUE_MAX]);
    (void)pthread_cond_destroy(&manage->news);
    (void)pthread_mutex_destroy(&manage->lock);
    cc_free(manage->part);
    cc_free(manage);
}

CC_ERR manage_start(const struct manage_settings *settings, struct manage **ret_manage)
{
    pthread_condattr_t attributes;
    struct manage *manage = cc_alloc(sizeof *manage);
    if (!manage)
        return CC_FAIL(NO_MEMORY, NULL);
    manage->settings = *settings;
    cc_assert(pthread_mutex_init(&manage->lock, NULL) == 0);
    manage->uses_at_ns = next_uses_ns();
    cc_assert(pthread_condattr_init(&attributes) == 0);
    cc_assert(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    cc_assert(pthread_cond_init(&manage->news, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    manage->part = cc_alloc(sizeof *manage->part);
    if (!manage->part || pthread_create(&manage->thread, NULL, manage_thread, manage) != 0) {
        cc_err err = manage->part ? CC_FAIL(SYSTEM, "thread") : CC_FAIL(NO_MEMORY, NULL);
        release(manage);
        return err;
    }
    *ret_manage = manage;
    return CC_OK;
}

void manage_stop(struct manage *manage)
{
    if (!manage)
        return;
    take_lock(manage);
    manage->stopping = true;
    (void)pthread_cond_broadcast(&manage->news);
    drop_lock(manage);
    (void)pthread_join(manage->thread, NULL);
    release(manage);
}
