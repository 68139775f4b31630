/* Door A's reader. Its refusals are sent from here; what goes on to history and vault is answered by the front link's
 * own thread, so that a vault or a disk that is slow does not keep the next message from being judged.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/audit_answer.h"
#include "core/clock_watch.h"
#include "core/quarantine.h"
#include "core/report.h"
#include "core/service.h"
#include "core/slashing_step.h"
#include "core/test_point.h"
#include "secret/wipe.h"
#include "wire/control.h"

enum {
    REFUSALS_MAX = DOOR_FIT(sizeof(struct a_sign))
};

_Static_assert((size_t)REFUSALS_MAX <= DOOR_FIT(sizeof(struct a_signed)),
               "all requests of one message can be refused in one");

struct reader {
    struct service *service;
    struct front_door door;
    struct door_message message;
    struct clock_watch clock;
    struct a_signed refused[REFUSALS_MAX];
    size_t refused_count;
    struct audit_entry entries[REFUSALS_MAX]; /* what is written down of them */
    size_t entry_count;
    struct pending_list accepted;
};

/* --- signing ----------------------------------------------------------------------------------------- */

static void refuse(struct reader *reader,
                   const struct a_sign *item,
                   const struct sign_outcome *outcome,
                   uint64_t arrived_ns)
{
    struct tracing *tracing = reader->service->settings.tracing;
    struct traced traced;
    struct a_signed answer = {.id = item->id,
                              .error = outcome->error,
                              .rule = outcome->rule,
                              .root = outcome->root,
                              .reason = outcome->reason};
    tracing_begin(tracing, &item->trace, arrived_ns, &traced);
    report_answer(outcome, &item->request.pubkey, &answer, &traced, arrived_ns);
    tracing_end(tracing, traced.record, outcome, &answer);
    board_answered(reader->service->board, outcome, &item->request.pubkey, answer.error,
                   answer.rule, clock_wall_ms() / 1000);
    if (audit_wants(reader->service->settings.audit, answer.error))
        audit_entry_of_answer(outcome, &item->request.pubkey, &answer, item->caller.address,
                              &reader->entries[reader->entry_count++]);
    reader->refused[reader->refused_count++] = answer;
}

static void accept(struct reader *reader,
                   const struct a_sign *item,
                   struct sign_outcome *outcome,
                   uint64_t arrived_ns)
{
    struct pending *row = pending_take(reader->service->table, kind_info(outcome->kind)->rank);
    if (!row) {
        outcome->error = ERROR_BUSY;
        metric_add(METRIC_SIGNING_SHED, report_label(outcome->kind), 0, 1);
        refuse(reader, item, outcome, arrived_ns);
        return;
    }
    row->client = item->client;
    row->front_epoch = reader->door.epoch;
    memcpy(row->address, item->caller.address, sizeof row->address);
    row->arrived_ns = arrived_ns;
    tracing_begin(reader->service->settings.tracing, &item->trace, arrived_ns, &row->traced);
    row->outcome = *outcome;
    row->answer.id = item->id;
    row->answer.root = outcome->root;
    pending_list_add(&reader->accepted, row);
}

/* Of what is judged by the clock at all: what a policy or a wrong root stops says nothing about it. */
static void watch_clock(struct reader *reader,
                        const struct sign_request *request,
                        const struct sign_outcome *outcome,
                        uint64_t wall_ms)
{
    const struct sign_rules *rules = &reader->service->settings.rules;
    uint64_t now = 0;
    bool judged =
        outcome->slashable != SLASHABLE_NOTHING &&
        (!outcome->error || (outcome->error == ERROR_SLASHABLE && outcome->rule == SLASH_FUTURE));
    if (judged && quarantine_epoch(rules->network, wall_ms, &now))
        (void)clock_watch_note(&reader->clock, clock_mono_ms(), request->epoch, now,
                               sign_path_last_epoch(rules, wall_ms));
}

/* A schedule that lacks a fork says so here first: requests of another network, and of nobody, say nothing about it. */
static void watch_fork(const struct reader *reader,
                       const struct sign_request *request,
                       const struct sign_outcome *outcome)
{
    if (outcome->allowed && outcome->error != ERROR_WRONG_NETWORK &&
        !sign_path_knows_fork(&reader->service->settings.rules, request))
        metric_add(METRIC_SIGNING_UNKNOWN_FORK, 0, 0, 1);
}

/* Those that would wait too long are answered at once. */
static void queue_accepted(struct reader *reader)
{
    struct service *s = reader->service;
    struct pending_list refused;
    backlog_put(s->backlog, &reader->accepted, pending_free_rows(s->table), &refused);
    front_link_shed(s->link, &refused);
}

/* Allowed, or refused, by the time: what a clock says that is wrong is no verdict. */
static bool hangs_on_time(const struct sign_outcome *outcome)
{
    return outcome->slashable != SLASHABLE_NOTHING &&
           (!outcome->error || outcome->error == ERROR_SLASHABLE);
}

static void judge(struct reader *reader,
                  const struct a_sign *item,
                  uint64_t wall_ms,
                  struct sign_outcome *ret_outcome)
{
    struct service *s = reader->service;
    const struct sign_rules *rules = &s->settings.rules;
    struct auth_verdict verdict = {0};
    struct key_lookup key;
    if (sign_path_is_whole(rules, &item->request)) {
        const struct auth_question question = sign_path_question(&item->request);
        authority_judge(s->authority, &item->caller, &question, &verdict);
    }
    registry_find(s->registry, &item->request.pubkey, &key);
    sign_path_judge(rules, &item->request, &verdict, &key, wall_ms, ret_outcome);
    if (!ret_outcome->error && pause_covers(s->pause, &item->request.pubkey))
        ret_outcome->error = ERROR_PAUSED;
    if (hangs_on_time(ret_outcome) && !enclave_time_is_sure(s->settings.time)) {
        ret_outcome->error = ERROR_ENCLAVE_CLOCK;
        ret_outcome->rule = 0;
    }
    if (ret_outcome->allowed && canary_has(s->alarms.canary, &item->request.pubkey))
        canary_hit(s->alarms.canary, item, ret_outcome);
    if (seal_is(s->alarms.seal))
        ret_outcome->error = ERROR_SEALED;
}

static void take_requests(struct reader *reader)
{
    struct service *s = reader->service;
    uint64_t arrived_ns = clock_mono_ns();
    uint64_t wall_ms = enclave_time_now(s->settings.time);
    struct sign_outcome outcome;
    struct a_sign item;
    test_point_pass(TEST_POINT_RECEIVED);
    for (size_t i = 0; i < reader->message.head.count; i++) {
        memcpy(&item, &reader->message.items[i * sizeof item], sizeof item);
        judge(reader, &item, wall_ms, &outcome);
        watch_clock(reader, &item.request, &outcome, wall_ms);
        watch_fork(reader, &item.request, &outcome);
        if (outcome.error)
            refuse(reader, &item, &outcome, arrived_ns);
        else
            accept(reader, &item, &outcome, arrived_ns);
    }
    queue_accepted(reader);
    test_point_pass(TEST_POINT_ENQUEUED);
    /* A refusal gives nothing away, so it is told even where it can't be written down. */
    (void)audit_write(s->settings.audit, reader->entries, reader->entry_count).code;
    reader->entry_count = 0;
    if (reader->refused_count)
        (void)front_link_send(s->link, reader->door.epoch, A_SIGNED, reader->refused,
                              sizeof *reader->refused, reader->refused_count)
            .code; /* a front that is gone is noticed by the next receive */
    reader->refused_count = 0;
}

/* --- administrative events ------------------------------------------------------------------------------- */

/* Who asks, by the word of the one place that decides it. */
static cc_err write_event(struct reader *reader,
                          const struct caller *caller,
                          enum auth_scope scope,
                          struct audit_entry *entry)
{
    struct auth_verdict verdict;
    const struct auth_question question = {.scope = scope, .kind = KIND_END};
    authority_peek(reader->service->authority, caller, &question, &verdict);
    audit_entry_who(entry, caller, verdict.principal);
    return audit_event(reader->service->settings.audit, entry);
}

/* --- questions --------------------------------------------------------------------------------------- */

static cc_err send_one(struct reader *reader, uint16_t type, const void *item, size_t size)
{
    return front_link_send(reader->service->link, reader->door.epoch, type, item, size, 1);
}

static cc_err
deny(struct reader *reader, uint64_t id, enum auth_scope scope, const struct auth_verdict *verdict)
{
    const struct a_denied answer = {
        .id = id, .error = verdict->error, .rule = verdict->rule, .reason = verdict->reason};
    report_denied(id, scope, verdict);
    return send_one(reader, A_DENIED, &answer, sizeof answer);
}

static void note_denied(struct reader *reader,
                        const struct caller *caller,
                        enum auth_scope scope,
                        const struct auth_verdict *verdict)
{
    struct audit *audit = reader->service->settings.audit;
    struct audit_entry entry = {.event = "ask",
                                .operation = scope_name(scope),
                                .error = verdict->error,
                                .rule = policy_rule_name((enum policy_rule)verdict->rule),
                                .reason = verdict->reason};
    audit_entry_who(&entry, caller, verdict->principal);
    if (audit_wants(audit, entry.error))
        (void)audit_event(audit, &entry)
            .code; /* a refusal is told even where it can't be written down */
}

/* May `caller` use `scope`, for no one key? Where not, it has been told so; *ret_may is what to go by, and the error the door's. */
static cc_err may_ask(struct reader *reader,
                      uint64_t id,
                      const struct caller *caller,
                      enum auth_scope scope,
                      bool *ret_may)
{
    struct auth_verdict verdict;
    const struct auth_question question = {.scope = scope, .kind = KIND_END};
    authority_judge(reader->service->authority, caller, &question, &verdict);
    *ret_may = !verdict.error;
    if (*ret_may)
        return CC_OK;
    note_denied(reader, caller, scope, &verdict);
    return deny(reader, id, scope, &verdict);
}

/* T28: only who was told of a canary by his own policy sees it. */
static size_t hide_canaries(struct reader *reader,
                            const struct caller *caller,
                            struct eth_pubkey *keys,
                            size_t count)
{
    struct service *s = reader->service;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!canary_has(s->alarms.canary, &keys[i]) ||
            authority_names_key(s->authority, caller, &keys[i]))
            keys[kept++] = keys[i];
    return kept;
}

static cc_err send_keys(struct reader *reader, uint64_t id, const struct caller *caller)
{
    CC_CLEANUP(cc_freep) struct eth_pubkey *keys = NULL;
    CC_CLEANUP(cc_freep) struct a_public_keys *chunk = cc_alloc(sizeof *chunk);
    size_t count = 0;
    if (!chunk)
        return CC_FAIL(NO_MEMORY, NULL);
    chunk->id = id;
    chunk->error = (uint32_t)registry_list(reader->service->registry, &keys, &count).code;
    count = authority_filter(reader->service->authority, caller, SCOPE_PUBLIC_KEYS, keys, count);
    count = hide_canaries(reader, caller, keys, count);
    size_t at = 0;
    do {
        chunk->count = (uint32_t)u64_min(A_PUBLIC_KEYS_CHUNK, count - at);
        memset(chunk->keys, 0, sizeof chunk->keys);
        if (chunk->count)
            memcpy(chunk->keys, &keys[at], chunk->count * sizeof *keys);
        at += chunk->count;
        chunk->last = at == count;
        CC_TRY(send_one(reader, A_PUBLIC_KEYS, chunk, sizeof *chunk));
        chunk->chunk++;
    } while (at < count);
    return CC_OK;
}

/* The scope of each question; SCOPE_END: it needs none, or names its own. */
static enum auth_scope scope_of(const struct a_query *query)
{
    switch ((enum a_question)query->question) {
    case ASK_PUBLIC_KEYS:
        return SCOPE_PUBLIC_KEYS;
    case ASK_RELOAD_START:
        return SCOPE_RELOAD;
    case ASK_ALLOWED:
        return (enum auth_scope)query->scope;
    case ASK_HEALTH:
    case ASK_RELOAD_STATUS:
    case ASK_HIGH_WATERMARK:
        break;
    }
    return SCOPE_END;
}

static cc_err start_reload(struct reader *reader, uint64_t id, const struct caller *caller)
{
    struct audit *audit = reader->service->settings.audit;
    struct a_reload reload = {.id = id};
    struct audit_entry entry = {.event = "reload"};
    cc_err err = CC_OK;
    if (seal_is(reader->service->alarms.seal))
        err = CC_FAIL(SEALED, NULL);
    else if (audit_blocks(audit))
        err = CC_FAIL(AUDIT, NULL);
    else
        err = loads_begin(reader->service->loads);
    entry.error = (uint32_t)err.code;
    if (write_event(reader, caller, SCOPE_RELOAD, &entry).code && !err.code)
        err = CC_FAIL(AUDIT, NULL);
    loads_status(reader->service->loads, &reload);
    reload.error = (uint32_t)err.code;
    return send_one(reader, A_RELOAD, &reload, sizeof reload);
}

static cc_err ask_high(struct reader *reader, uint64_t id)
{
    struct service *s = reader->service;
    struct a_high_watermark high = {.id = id};
    high.error = (uint32_t)slashing_jobs_ask_high(s->jobs, reader->door.epoch, id).code;
    if (high.error)
        return send_one(reader, A_HIGH_WATERMARK, &high, sizeof high);
    writer_poke(s->writer);
    return CC_OK;
}

static cc_err answer_query(struct reader *reader, const struct a_query *query)
{
    struct service *s = reader->service;
    struct a_health health = {.id = query->id};
    struct a_reload reload = {.id = query->id};
    const struct a_denied allowed = {.id = query->id};
    switch ((enum a_question)query->question) {
    case ASK_ALLOWED: /* this far it has come only where it is */
        return send_one(reader, A_DENIED, &allowed, sizeof allowed);
    case ASK_PUBLIC_KEYS:
        return send_keys(reader, query->id, &query->caller);
    case ASK_HEALTH:
        service_health(s, &health);
        return send_one(reader, A_HEALTH, &health, sizeof health);
    case ASK_RELOAD_START:
        return start_reload(reader, query->id, &query->caller);
    case ASK_RELOAD_STATUS:
        loads_status(s->loads, &reload);
        return send_one(reader, A_RELOAD, &reload, sizeof reload);
    case ASK_HIGH_WATERMARK:
        return ask_high(reader, query->id);
    }
    return CC_FAIL(PROTOCOL, "unknown question");
}

/* What is to be signed comes with the body. It may come where there is anything that the caller may have signed; else the
 * commonest kind says why not.
 */
static cc_err may_send(struct reader *reader, const struct a_query *query, bool *ret_may)
{
    struct auth_question question = {.scope = SCOPE_SIGN};
    struct auth_verdict verdict;
    for (int kind = 0; kind < KIND_END; kind++) {
        question.kind = (enum eth_kind)kind;
        authority_peek(reader->service->authority, &query->caller, &question, &verdict);
        *ret_may = !verdict.error;
        if (*ret_may)
            return CC_OK;
    }
    question.kind = KIND_ATTESTATION;
    authority_judge(reader->service->authority, &query->caller, &question, &verdict);
    return deny(reader, query->id, SCOPE_SIGN, &verdict);
}

static cc_err take_query(struct reader *reader, const struct a_query *query)
{
    bool may = true;
    enum auth_scope scope = scope_of(query);
    if (query->question == ASK_ALLOWED && query->scope >= SCOPE_END)
        return CC_FAIL(PROTOCOL, "unknown scope");
    if (scope == SCOPE_SIGN)
        CC_TRY(may_send(reader, query, &may));
    else if (scope != SCOPE_END)
        CC_TRY(may_ask(reader, query->id, &query->caller, scope, &may));
    return may ? answer_query(reader, query) : CC_OK;
}

static cc_err take_queries(struct reader *reader)
{
    struct a_query query;
    for (size_t i = 0; i < reader->message.head.count; i++) {
        memcpy(&query, &reader->message.items[i * sizeof query], sizeof query);
        CC_TRY(take_query(reader, &query));
    }
    return CC_OK;
}

/* --- work on the history --------------------------------------------------------------------------------- */

/* What the front names as the route's scope. Beside those for the history itself, an import of keys brings their history, and a
 * deletion takes it out.
 */
static bool fits(uint32_t verb, uint32_t scope)
{
    switch ((enum a_slashing_verb)verb) {
    case SLASHING_EXPORT:
        return scope == SCOPE_SLASHING_EXPORT || scope == SCOPE_DELETE_KEYS ||
               scope == SCOPE_CHAMBER_KEYS_DELETE;
    case SLASHING_IMPORT:
        return scope == SCOPE_SLASHING_IMPORT || scope == SCOPE_IMPORT_KEYSTORES ||
               scope == SCOPE_CHAMBER_KEYS_IMPORT;
    case SLASHING_STATUS:
    case SLASHING_VERIFY:
        return scope == SCOPE_SLASHING_EXPORT;
    case SLASHING_PRUNE:
    case SLASHING_ENABLE:
    case SLASHING_HAND_OVER:
    case SLASHING_REPAIR:
        return scope == SCOPE_SLASHING_IMPORT;
    case SLASHING_VERB_END:
        break;
    }
    return false;
}

static bool
may_use(struct reader *reader, const struct a_slashing_head *head, const struct eth_pubkey *pubkey)
{
    struct eth_pubkey key = *pubkey;
    return authority_filter(reader->service->authority, &head->caller, (enum auth_scope)head->scope,
                            &key, 1) == 1;
}

static bool may_import(struct reader *reader,
                       const struct a_slashing_head *head,
                       const struct eth_pubkey *pubkey)
{
    const struct eth_pubkey key = *pubkey;
    return import_hold_has(reader->service->hold, reader->door.epoch, &key) &&
           may_use(reader, head, &key);
}

/* Leaves out the history of keys that the caller may not import, or whose secret has not come along (P13). */
static void keep_own(struct reader *reader, struct a_slashing *ask)
{
    uint32_t kept = 0;
    bool keeps = false;
    for (uint32_t i = 0; i < ask->head.count && i < A_RECORDS_MAX; i++) {
        if (ask->records[i].kind == RECORD_VALIDATOR)
            keeps = may_import(reader, &ask->head, &ask->records[i].is.pubkey);
        if (keeps)
            ask->records[kept++] = ask->records[i];
    }
    ask->head.count = kept;
}

/* An export for a deletion is one step for each key: the walk's next validator after the key before. */
static bool exports_own(struct reader *reader, const struct a_slashing *ask)
{
    struct eth_pubkey key = ask->head.key;
    size_t i = sizeof key.bytes;
    while (i > 0 && ++key.bytes[i - 1] == 0)
        i--;
    return ask->head.validators == 1 && (i == 0 || may_use(reader, &ask->head, &key));
}

static cc_err may_do(struct reader *reader, struct a_slashing *ask, bool *ret_may)
{
    const struct a_slashing_head *head = &ask->head;
    const struct auth_verdict verdict = {.error = ERROR_DENIED, .rule = POLICY_DEFAULT};
    if (!fits(head->verb, head->scope))
        return CC_FAIL(PROTOCOL, "work on the history with a scope that is not for it");
    CC_TRY(may_ask(reader, head->id, &head->caller, (enum auth_scope)head->scope, ret_may));
    if (!*ret_may || !scope_is_about_keys((enum auth_scope)head->scope))
        return CC_OK;
    if (head->verb == SLASHING_IMPORT) {
        keep_own(reader, ask);
        return CC_OK;
    }
    *ret_may = exports_own(reader, ask);
    return *ret_may ? CC_OK : deny(reader, head->id, (enum auth_scope)head->scope, &verdict);
}

/* Each step that changes the history, before it is done. */
static cc_err note_slashing(struct reader *reader, const struct a_slashing_head *head)
{
    static const char *const changes[SLASHING_VERB_END] = {[SLASHING_IMPORT] = "import",
                                                           [SLASHING_PRUNE] = "prune",
                                                           [SLASHING_ENABLE] = "enable",
                                                           [SLASHING_HAND_OVER] = "hand_over",
                                                           [SLASHING_REPAIR] = "repair_watermark"};
    /* An import of keys begins with a step that brings nothing: it asks which network this is. */
    const bool only_asks = head->verb == SLASHING_IMPORT && !head->count &&
                           scope_is_about_keys((enum auth_scope)head->scope);
    if (head->verb >= SLASHING_VERB_END || !changes[head->verb] || only_asks)
        return CC_OK;
    struct audit_entry entry = {.event = "slashing", .operation = changes[head->verb]};
    entry.count = head->verb == SLASHING_IMPORT ? head->count : 0;
    entry.has_pubkey = head->verb == SLASHING_ENABLE;
    entry.pubkey = head->key;
    return write_event(reader, &head->caller, SCOPE_SLASHING_IMPORT, &entry);
}

static cc_err take_slashing(struct reader *reader)
{
    struct service *s = reader->service;
    bool may = false;
    CC_CLEANUP(cc_freep) struct a_slashing *ask = cc_alloc(sizeof *ask);
    if (!ask)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(ask, reader->message.items, sizeof *ask);
    CC_TRY(slashing_step_check(ask)); /* the front's fault, whoever asks */
    CC_TRY(may_do(reader, ask, &may));
    if (!may)
        return CC_OK;
    cc_err err = note_slashing(reader, &ask->head);
    if (!err.code)
        err = slashing_jobs_put(s->jobs, reader->door.epoch, ask);
    if (!err.code) {
        writer_poke(s->writer);
        return CC_OK;
    }
    if (error_is(err, ERROR_PROTOCOL))
        return err;
    ask->head = (struct a_slashing_head){
        .id = ask->head.id, .verb = ask->head.verb, .error = (uint32_t)err.code, .last = true};
    return send_one(reader, A_SLASHED, ask, sizeof *ask);
}

/* --- management ------------------------------------------------------------------------------------------ */

static cc_err take_manage(struct reader *reader)
{
    CC_CLEANUP(cc_freep) struct a_manage *ask = cc_alloc(sizeof *ask);
    CC_CLEANUP(cc_freep) struct a_managed *answer = NULL;
    if (!ask)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(ask, reader->message.items, sizeof *ask);
    cc_err err = manage_put(reader->service->manage, reader->door.epoch, ask);
    if (!err.code || error_is(err, ERROR_PROTOCOL))
        return err;
    answer = cc_alloc(sizeof *answer);
    if (!answer)
        return CC_FAIL(NO_MEMORY, NULL);
    answer->id = ask->id;
    answer->error = (uint32_t)err.code;
    answer->last = true;
    return send_one(reader, A_MANAGED, answer, sizeof *answer);
}

/* --- work on keys ---------------------------------------------------------------------------------------- */

static cc_err take_keys(struct reader *reader)
{
    struct service *s = reader->service;
    CC_CLEANUP(cc_freep) struct a_keys *ask = cc_alloc(sizeof *ask);
    if (!ask)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(ask, reader->message.items, sizeof *ask);
    door_message_wipe(&reader->message);
    cc_err err = key_jobs_put(s->key_jobs, reader->door.epoch, ask);
    const uint64_t id = ask->head.id;
    const uint32_t verb = ask->head.verb;
    wipe(ask, sizeof *ask);
    if (!err.code || error_is(err, ERROR_PROTOCOL) || error_is(err, ERROR_DOOR_CLOSED))
        return err;
    CC_CLEANUP(cc_freep) struct a_keys_done *answer = cc_alloc(sizeof *answer);
    if (!answer)
        return CC_FAIL(NO_MEMORY, NULL);
    answer->head = (struct a_keys_head){.id = id, .verb = verb, .error = (uint32_t)err.code};
    return send_one(reader, A_KEYS_DONE, answer, sizeof *answer);
}

/* --- attestation ----------------------------------------------------------------------------------------- */

static cc_err refuse_attest(struct reader *reader, const struct a_attest *ask, cc_err err)
{
    CC_CLEANUP(cc_freep) struct a_attested *answer = cc_alloc(sizeof *answer);
    if (!answer)
        return CC_FAIL(NO_MEMORY, NULL);
    answer->id = ask->id;
    answer->error = (uint32_t)err.code;
    return send_one(reader, A_ATTESTED, answer, sizeof *answer);
}

static cc_err take_attest(struct reader *reader)
{
    struct service *s = reader->service;
    struct a_attest ask;
    memcpy(&ask, reader->message.items, sizeof ask);
    cc_err err = s->attestation ? attestation_put(s->attestation, reader->door.epoch, &ask)
                                : CC_FAIL(NOT_ENABLED, "tee.platform is none");
    if (!err.code || error_is(err, ERROR_PROTOCOL))
        return err;
    return refuse_attest(reader, &ask, err);
}

/* --- the thread --------------------------------------------------------------------------------------- */

static cc_err read_door(struct reader *reader)
{
    for (;;) {
        CC_TRY(door_receive(reader->door.fd, reader->door.life, door_a_to_core, &reader->message));
        if (reader->message.head.type == A_SIGN)
            take_requests(reader);
        else if (reader->message.head.type == A_SLASHING)
            CC_TRY(take_slashing(reader));
        else if (reader->message.head.type == A_MANAGE)
            CC_TRY(take_manage(reader));
        else if (reader->message.head.type == A_KEYS)
            CC_TRY(take_keys(reader));
        else if (reader->message.head.type == A_ATTEST)
            CC_TRY(take_attest(reader));
        else
            CC_TRY(take_queries(reader));
    }
}

static void end_door(struct reader *reader, cc_err err)
{
    if (error_is(err, ERROR_DOOR_CLOSED)) {
        log_info("the door to the front is closed", KV_NUM("life", reader->door.life));
        return;
    }
    metric_add(METRIC_DOOR_ERRORS, METRIC_ROOM_FRONT, 0, 1);
    log_error("the front is shut out", KV_ERR(err), KV_NUM("life", reader->door.life));
    (void)control_send(reader->service->settings.control_fd, CONTROL_PEER_STALLED,
                       reader->door.life, ROOM_FRONT, -1)
        .code; /* without a supervisor this room ends by itself */
}

void *requests_thread(void *argument)
{
    struct reader *reader = argument;
    while (!front_link_accept(reader->service->link, &reader->door).code) {
        end_door(reader, read_door(reader));
        front_link_drop(reader->service->link);
    }
    return NULL;
}

CC_ERR requests_new(struct service *service, struct reader **ret_reader)
{
    struct reader *reader = cc_alloc(sizeof *reader);
    if (!reader)
        return CC_FAIL(NO_MEMORY, NULL);
    reader->service = service;
    *ret_reader = reader;
    return CC_OK;
}

void requests_free(struct reader *reader)
{
    cc_free(reader);
}
