#include "core/authority.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/auth_latch.h"
#include "core/authority_inside.h"
#include "secret/ct.h"
#include "secret/wipe.h"

static void take_lock(struct authority *a)
{
    cc_assert(pthread_mutex_lock(&a->lock) == 0);
}

static void drop_lock(struct authority *a)
{
    cc_assert(pthread_mutex_unlock(&a->lock) == 0);
}

/* --- making --------------------------------------------------------------------------------------------------- */

enum auth_mode authority_mode_of(const struct authority *authority, bool latched)
{
    return latched || auth_latch_file(authority->data_dir) ? AUTH_ENFORCE
                                                           : auth_mode_asked(authority->auth);
}

static cc_err make(struct authority *a, const struct authority_settings *settings)
{
    const char *unknown = NULL;
    a->auth = settings->auth;
    a->data_dir = settings->data_dir;
    a->wall_ms = settings->wall_ms ? settings->wall_ms : clock_wall_ms;
    if (settings->token_key) {
        a->has_key = true;
        memcpy(a->key, settings->token_key, sizeof a->key);
    }
    CC_TRY(open_policy_compile(a->auth, &a->open, &unknown));
    CC_TRY(authority_own_policies(a));
    CC_TRY(authority_own_rows(a));
    a->mode = authority_mode_of(a, false);
    return authority_snapshot_new(a, NULL, &a->snapshot);
}

CC_ERR authority_new(const struct authority_settings *settings, struct authority **ret_authority)
{
    struct authority *authority = cc_alloc(sizeof *authority);
    if (!authority)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_assert(pthread_mutex_init(&authority->lock, NULL) == 0);
    cc_err err = make(authority, settings);
    if (err.code) {
        authority_free(authority);
        return err;
    }
    *ret_authority = authority;
    return CC_OK;
}

void authority_free(struct authority *authority)
{
    if (!authority)
        return;
    authority_snapshot_free(authority->snapshot);
    for (size_t i = 0; i < ARRAY_LEN(authority->own); i++)
        policy_free(authority->own[i]);
    wipe(authority->key, sizeof authority->key);
    (void)pthread_mutex_destroy(&authority->lock);
    cc_free(authority);
}

/* --- who asks ---------------------------------------------------------------------------------------------------- */

/* Of a request, by what it brought. */
struct asker {
    const struct principal *principal; /* NULL: the owner */
    enum auth_failure failure;         /* of the token that was shown */
};

/* The row of the token with this digest, from 1; 0: none. Places are found by bytes of an HMAC that nobody else can compute, so the
 * time of the search tells nothing about what is stored.
 */
static size_t search_token(const struct authority *a, const uint8_t digest[static SHA256_SIZE])
{
    uint8_t mac[MAC_SIZE];
    const struct authority_snapshot *s = a->snapshot;
    token_mac(a->key, digest, mac);
    for (uint32_t at = authority_place_of(mac); s->table[at]; at = (at + 1) & (AUTHORITY_TABLE - 1))
        if (ct_equal(s->tokens[s->table[at] - 1].token.mac, mac, sizeof mac))
            return s->table[at];
    return 0;
}

static size_t find_token(struct authority *a, const uint8_t digest[static SHA256_SIZE])
{
    if (!a->has_key)
        return 0;
    struct recent *recent = &a->recent[digest[0] % AUTHORITY_RECENT];
    if (recent->row && ct_equal(recent->digest, digest, SHA256_SIZE))
        return recent->row;
    size_t row = search_token(a, digest);
    if (row) {
        recent->row = (uint16_t)row;
        memcpy(recent->digest, digest, SHA256_SIZE);
    }
    return row;
}

static enum auth_failure
use_token(struct authority *a, const struct caller *caller, const struct principal **ret_principal)
{
    uint64_t now = a->wall_ms() / 1000;
    if (caller->token_kind != CALLER_BEARER && caller->token_kind != CALLER_BASIC)
        return AUTH_BAD_HEADER;
    size_t row = find_token(a, caller->token);
    if (!row)
        return AUTH_UNKNOWN_TOKEN;
    const struct token_row *found = &a->snapshot->tokens[row - 1];
    switch (token_check(&found->token, caller, now)) {
    case TOKEN_GOOD:
        break;
    case TOKEN_EXPIRED:
        return AUTH_EXPIRED;
    case TOKEN_ELSEWHERE:
        return AUTH_ELSEWHERE;
    case TOKEN_OTHER_CERTIFICATE:
        return AUTH_OTHER_CERTIFICATE;
    }
    a->last_used[row - 1] = now;
    *ret_principal = &found->principal;
    return AUTH_NO_FAILURE;
}

/* Without a token. */
static const struct principal *find_principal(const struct authority *a,
                                              const struct caller *caller)
{
    const struct authority_snapshot *s = a->snapshot;
    if (caller->certificate && caller->certificate <= a->auth->certificates.count)
        return &s->certificates[caller->certificate - 1];
    for (uint32_t i = 0; i < a->auth->listeners.count; i++)
        if (caller->listener < 32 && (a->listeners[i].listener >> caller->listener & 1))
            return &s->listeners[i];
    return caller->flags & CALLER_OWNER ? NULL : &s->anonymous;
}

static struct asker identify(struct authority *a, const struct caller *caller)
{
    struct asker asker = {.principal = &a->snapshot->anonymous};
    if (caller->token_kind == CALLER_NO_TOKEN)
        asker.principal = find_principal(a, caller);
    else
        asker.failure = use_token(a, caller, &asker.principal);
    return asker;
}

/* --- what it may do ------------------------------------------------------------------------------------------------ */

static const uint8_t *address_of(const struct caller *caller)
{
    static const uint8_t none[sizeof caller->address] = {0};
    return span_equal(span_of(caller->address, sizeof none), span_of(none, sizeof none))
               ? NULL
               : caller->address;
}

static void set(struct auth_verdict *v, enum error_code error, enum policy_rule rule)
{
    v->error = error;
    v->rule = rule;
}

static void judge_policies(const struct principal *principal,
                           const struct caller *caller,
                           const struct auth_question *q,
                           struct auth_verdict *v)
{
    const struct policy_question question = {
        .scope = q->scope,
        .kind = q->kind,
        .pubkey = q->pubkey,
        .every_key = q->every_key,
        .fee_recipient = q->fee_recipient,
        .gas_limit = q->gas_limit,
        .address = address_of(caller),
    };
    struct policy_finding finding;
    if (principal->missing) {
        set(v, ERROR_DENIED, POLICY_MISSING);
        return;
    }
    policy_judge(principal->policies, principal->count, &question, &finding);
    if (finding.effect == POLICY_SAYS_NOTHING) {
        set(v, ERROR_DENIED, POLICY_DEFAULT);
        return;
    }
    set(v, finding.effect == POLICY_ALLOWS ? 0 : ERROR_DENIED, POLICY_RULE);
    v->reason.number = finding.number;
    memcpy(v->reason.policy, policy_name(finding.policy), sizeof v->reason.policy);
}

static void require_token(struct auth_verdict *v, enum auth_failure failure)
{
    v->reason = (struct a_reason){0};
    v->failure = failure;
    set(v, ERROR_UNAUTHENTICATED, POLICY_NO_TOKEN);
}

static const char owner_label[PRINCIPAL_SIZE] = "owner";

/* As mode enforce has it. What anybody is denied is a 401: a token may help. */
static void judge_strictly(const struct authority *a,
                           const struct caller *caller,
                           const struct asker *asker,
                           const struct auth_question *q,
                           struct auth_verdict *v)
{
    const struct principal *principal = asker->principal;
    bool owner = !principal;
    if (owner && q->scope == SCOPE_SIGN)
        principal = &a->snapshot->anonymous;
    memcpy(v->principal, principal ? principal->label : owner_label, sizeof v->principal);
    if (!principal) {
        set(v, 0, POLICY_OWNER);
        return;
    }
    if (asker->failure) {
        require_token(v, asker->failure);
        return;
    }
    judge_policies(principal, caller, q, v);
    if (v->error && principal == &a->snapshot->anonymous)
        require_token(v, AUTH_NO_TOKEN);
}

/* What anybody may do while the mode is open. */
static void
judge_anybody(const struct authority *a, const struct auth_question *q, struct auth_verdict *v)
{
    enum policy_rule rule = POLICY_NO_TOKEN;
    v->error = ERROR_UNAUTHENTICATED;
    if (q->scope == SCOPE_PUBLIC_KEYS) {
        v->error = 0;
        rule = POLICY_PUBLIC;
    } else if (q->scope == SCOPE_SIGN) {
        v->error = (uint32_t)open_policy_check(&a->open, q->kind, &rule).code;
    }
    v->rule = rule;
}

static bool is_question(const struct auth_question *q)
{
    return (unsigned)q->scope < SCOPE_END &&
           (q->scope != SCOPE_SIGN || (unsigned)q->kind < KIND_END);
}

/* *strict: what enforce says of it. */
static void decide(const struct authority *a,
                   const struct caller *caller,
                   const struct asker *asker,
                   const struct auth_question *q,
                   struct auth_verdict *ret_verdict,
                   struct auth_verdict *strict)
{
    *strict = (struct auth_verdict){0};
    if (!is_question(q)) {
        set(strict, ERROR_DENIED, POLICY_DEFAULT);
        *ret_verdict = *strict;
        return;
    }
    judge_strictly(a, caller, asker, q, strict);
    *ret_verdict = *strict;
    if (a->mode == AUTH_ENFORCE || !strict->error)
        return;
    struct auth_verdict open = *strict;
    open.reason = (struct a_reason){0};
    open.failure = AUTH_NO_FAILURE;
    judge_anybody(a, q, &open);
    open.would_deny = !open.error && a->mode == AUTH_REPORT;
    /* Of somebody who showed nothing, open mode says which operation it does not cover; else the policy's word stands. */
    if (!open.error ||
        (strict->failure == AUTH_NO_TOKEN && error_is(error_from_number(open.error), ERROR_DENIED)))
        *ret_verdict = open;
}

/* --- counting ------------------------------------------------------------------------------------------------------ */

static uint32_t reason_of(const struct auth_verdict *v)
{
    if (v->failure)
        return METRIC_REASON_NO_TOKEN + v->failure - AUTH_NO_TOKEN;
    switch ((enum policy_rule)v->rule) {
    case POLICY_RULE:
        return METRIC_REASON_POLICY_RULE;
    case POLICY_MISSING:
        return METRIC_REASON_POLICY_MISSING;
    case POLICY_NOT_ROUTINE:
    case POLICY_NOT_LISTED:
        return METRIC_REASON_OPEN_OPERATIONS;
    case POLICY_NO_TOKEN:
        return METRIC_REASON_NO_TOKEN;
    case POLICY_OPEN_ALL:
    case POLICY_OPEN_NAMED:
    case POLICY_OPEN_ROUTINE:
    case POLICY_OWNER:
    case POLICY_PUBLIC:
    case POLICY_DEFAULT:
    case POLICY_RULE_END:
        break;
    }
    return METRIC_REASON_POLICY_DEFAULT;
}

_Static_assert(METRIC_REASON_OTHER_CERTIFICATE - METRIC_REASON_NO_TOKEN ==
                   AUTH_OTHER_CERTIFICATE - AUTH_NO_TOKEN,
               "reasons of the metrics are those of tokens");

static void say_would_deny(struct authority *a,
                           const struct auth_question *q,
                           const struct auth_verdict *strict)
{
    uint32_t held_back = 0;
    if (!report_may_log(&a->would_deny, &held_back))
        return;
    log_notice("auth.mode report lets this pass; enforce would refuse it",
               KV_STR("principal", strict->principal), KV_STR("scope", scope_name(q->scope)),
               KV_STR("operation", q->scope == SCOPE_SIGN ? kind_operation(q->kind) : ""),
               KV_STR("rule", policy_rule_name((enum policy_rule)strict->rule)),
               KV_STR("policy", strict->reason.policy), KV_NUM("number", strict->reason.number),
               KV_NUM("lines_held_back", held_back));
}

void authority_judge(struct authority *authority,
                     const struct caller *caller,
                     const struct auth_question *question,
                     struct auth_verdict *ret_verdict)
{
    struct auth_verdict strict;
    take_lock(authority);
    const struct asker asker = identify(authority, caller);
    decide(authority, caller, &asker, question, ret_verdict, &strict);
    if (asker.failure)
        auth_failures_note(&authority->failures, caller, asker.failure);
    drop_lock(authority);
    if (asker.failure)
        metric_add(METRIC_AUTH_FAILED_TOKENS,
                   METRIC_REASON_NO_TOKEN + asker.failure - AUTH_NO_TOKEN, 0, 1);
    if (ret_verdict->error)
        metric_add(METRIC_AUTH_REJECTIONS, reason_of(ret_verdict), 0, 1);
    if (!ret_verdict->would_deny)
        return;
    metric_add(METRIC_AUTH_WOULD_DENY, reason_of(&strict), 0, 1);
    say_would_deny(authority, question, &strict);
}

void authority_peek(struct authority *authority,
                    const struct caller *caller,
                    const struct auth_question *question,
                    struct auth_verdict *ret_verdict)
{
    struct auth_verdict strict;
    take_lock(authority);
    const struct asker asker = identify(authority, caller);
    decide(authority, caller, &asker, question, ret_verdict, &strict);
    drop_lock(authority);
}

size_t authority_filter(struct authority *authority,
                        const struct caller *caller,
                        enum auth_scope scope,
                        struct eth_pubkey *keys,
                        size_t count)
{
    size_t kept = 0;
    take_lock(authority);
    const struct asker asker = identify(authority, caller);
    for (size_t i = 0; i < count; i++) {
        const struct auth_question q = {.scope = scope, .kind = KIND_END, .pubkey = &keys[i]};
        struct auth_verdict verdict;
        struct auth_verdict strict;
        decide(authority, caller, &asker, &q, &verdict, &strict);
        if (!verdict.error)
            keys[kept++] = keys[i];
    }
    drop_lock(authority);
    return kept;
}

bool authority_names_key(struct authority *authority,
                         const struct caller *caller,
                         const struct eth_pubkey *pubkey)
{
    bool names = false;
    take_lock(authority);
    const struct asker asker = identify(authority, caller);
    for (uint32_t i = 0; asker.principal && i < asker.principal->count && !names; i++)
        names = policy_names_key(asker.principal->policies[i], pubkey);
    drop_lock(authority);
    return names;
}

/* --- changes ---------------------------------------------------------------------------------------------------------- */

static bool is_access(const char *kind)
{
    return strcmp(kind, "policy") == 0 || strcmp(kind, "token") == 0 || strcmp(kind, "auth") == 0;
}

/* Which versions of which records: what they hold is vouched for by the signed head. */
static cc_err digest_of(const struct state_store *state, uint8_t ret_digest[static SHA256_SIZE])
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(STATE_HEAD_MAX);
    for (size_t i = 0; i < state->image.count; i++) {
        const struct state_record *record = &state->image.records[i];
        uint8_t numbers[16];
        if (!is_access(record->kind))
            continue;
        u64_store_be(numbers, record->version);
        u64_store_be(numbers + 8, record->generation);
        CC_TRY(buf_append(&text, record->kind, sizeof record->kind));
        CC_TRY(buf_append(&text, record->name, sizeof record->name));
        CC_TRY(buf_append(&text, numbers, sizeof numbers));
    }
    sha256(buf_span(&text), ret_digest);
    return CC_OK;
}

/* Uses that nobody has taken yet go on in the rows of the same names; records come in the order of their names. */
static void carry_uses(struct authority *a, const struct authority_snapshot *next)
{
    uint64_t uses[AUTHORITY_TOKENS_MAX] = {0};
    const struct authority_snapshot *now = a->snapshot;
    size_t j = 0;
    for (size_t i = 0; i < now->token_count && i < ARRAY_LEN(uses); i++) {
        const char *name = now->tokens[i].token.name;
        while (j < next->token_count && strcmp(next->tokens[j].token.name, name) < 0)
            j++;
        if (j < next->token_count && strcmp(next->tokens[j].token.name, name) == 0)
            uses[j] = a->last_used[i];
    }
    memcpy(a->last_used, uses, sizeof a->last_used);
}

static void say_mode(enum auth_mode before, enum auth_mode now)
{
    static const char *const names[] = {"open", "report", "enforce"};
    if (before != now)
        log_notice("the mode of access control has changed", KV_STR("from", names[before]),
                   KV_STR("to", names[now]));
}

CC_ERR authority_take_records(struct authority *authority, const struct state_store *state)
{
    uint8_t digest[SHA256_SIZE];
    struct authority_snapshot *next = NULL;
    CC_TRY(digest_of(state, digest));
    /* Whoever replaces the snapshot is the one who calls this, so it can't go away meanwhile. */
    bool same =
        span_equal(span_of(digest, SHA256_SIZE), span_of(authority->snapshot->digest, SHA256_SIZE));
    enum auth_mode mode = authority_mode_of(authority, auth_latch_record(state));
    if (!same)
        CC_TRY(authority_snapshot_new(authority, state, &next));
    take_lock(authority);
    enum auth_mode before = authority->mode;
    struct authority_snapshot *old = NULL;
    authority->mode = mode;
    if (next) {
        memcpy(next->digest, digest, sizeof digest);
        carry_uses(authority, next);
        old = authority->snapshot;
        authority->snapshot = next;
        memset(authority->recent, 0, sizeof authority->recent);
    }
    drop_lock(authority);
    authority_snapshot_free(old);
    atomic_fetch_add(&authority->changes, !same);
    say_mode(before, mode);
    return CC_OK;
}

uint64_t authority_changes(struct authority *authority)
{
    return atomic_load(&authority->changes);
}

CC_ERR authority_token_mac(struct authority *authority,
                           const uint8_t digest[static SHA256_SIZE],
                           uint8_t ret_mac[static MAC_SIZE])
{
    take_lock(authority);
    bool has_key = authority->has_key;
    if (has_key)
        token_mac(authority->key, digest, ret_mac);
    drop_lock(authority);
    return has_key ? CC_OK : CC_FAIL(SEALED, "no key for tokens");
}

void authority_unseal(struct authority *authority, const uint8_t key[static MAC_SIZE])
{
    take_lock(authority);
    memcpy(authority->key, key, sizeof authority->key);
    authority->has_key = true;
    drop_lock(authority);
}

void authority_seal(struct authority *authority)
{
    take_lock(authority);
    authority->has_key = false;
    wipe(authority->key, sizeof authority->key);
    memset(authority->recent, 0, sizeof authority->recent);
    drop_lock(authority);
}

enum auth_mode authority_mode(struct authority *authority, bool *ret_held)
{
    take_lock(authority);
    enum auth_mode mode = authority->mode;
    drop_lock(authority);
    *ret_held = mode != auth_mode_asked(authority->auth);
    return mode;
}

size_t authority_take_uses(struct authority *authority, struct token_use *ret_uses, size_t max)
{
    size_t count = 0;
    take_lock(authority);
    const struct authority_snapshot *s = authority->snapshot;
    for (size_t i = 0; i < s->token_count && count < max; i++) {
        const struct token *token = &s->tokens[i].token;
        if (!authority->last_used[i] || !token->created)
            continue; /* of auth_policies: there is no record to note it in */
        memcpy(ret_uses[count].name, token->name, sizeof token->name);
        ret_uses[count++].last_used = authority->last_used[i];
        authority->last_used[i] = 0;
    }
    drop_lock(authority);
    return count;
}

/* --- failures ---------------------------------------------------------------------------------------------------------- */

size_t authority_take_failures(struct authority *authority,
                               enum auth_failures_for who,
                               struct auth_failure_row ret_rows[static AUTH_FAILURE_ROWS])
{
    take_lock(authority);
    size_t count = auth_failures_take(&authority->failures, who, ret_rows);
    drop_lock(authority);
    return count;
}

enum {
    TELL_EVERY_MS = 10000,
    TELL_LINES = 8 /* sources named in one telling */
};

static void tell_row(const struct auth_failure_row *row)
{
    char source[CIDR_TEXT_SIZE] = "others";
    if (!row->others)
        cidr_address_text(row->address, source);
    log_warn("tokens that are no good were shown", KV_STR("source", source),
             KV_NUM("times", row->total), KV_NUM("bad_header", row->counts[AUTH_BAD_HEADER]),
             KV_NUM("unknown_token", row->counts[AUTH_UNKNOWN_TOKEN]),
             KV_NUM("expired", row->counts[AUTH_EXPIRED]),
             KV_NUM("elsewhere", row->counts[AUTH_ELSEWHERE]),
             KV_NUM("other_certificate", row->counts[AUTH_OTHER_CERTIFICATE]));
}

static void add_row(struct auth_failure_row *to, const struct auth_failure_row *from)
{
    to->total += from->total;
    for (unsigned i = 0; i < AUTH_FAILURE_END; i++)
        to->counts[i] += from->counts[i];
}

/* The first failure is told within a second, the next ones in sums. */
void authority_tick(struct authority *authority)
{
    struct auth_failure_row rows[AUTH_FAILURE_ROWS];
    struct auth_failure_row rest = {.others = true};
    uint64_t now_ms = clock_mono_ms();
    bool held;
    enum auth_mode mode = authority_mode(authority, &held);
    metric_set(METRIC_AUTH_ENFORCED, 0, mode == AUTH_ENFORCE);
    if (authority->told_ms && now_ms - authority->told_ms < TELL_EVERY_MS)
        return;
    size_t count = authority_take_failures(authority, AUTH_FAILURES_FOR_LOG, rows);
    for (size_t i = 0; i < count; i++)
        if (i < TELL_LINES)
            tell_row(&rows[i]);
        else
            add_row(&rest, &rows[i]);
    if (rest.total)
        tell_row(&rest);
    if (count)
        authority->told_ms = now_ms;
}
