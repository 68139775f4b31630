/* How a snapshot is made: from the configuration and the state store's records. What can't be read is left out and named, and whoever
 * depends on it may do nothing.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/num.h"

#include "auth/from_config.h"
#include "core/auth_latch.h"
#include "core/authority_inside.h"
#include "secret/wipe.h"

/* --- policies of the configuration ------------------------------------------------------------------------- */

bool authority_has_own_policy(const struct authority *authority, const char *name)
{
    const struct static_policies *from = &authority->auth->policies;
    for (uint32_t i = 0; i < from->count; i++)
        if (strcmp(from->items[i].name, name) == 0)
            return true;
    return false;
}

CC_ERR authority_own_policies(struct authority *authority)
{
    const struct static_policies *from = &authority->auth->policies;
    for (uint32_t i = 0; i < from->count; i++) {
        struct auth_fault fault;
        cc_err err = policy_from_config(&from->items[i], &authority->own[i], &fault);
        if (err.code) {
            log_error("auth_policies is refused", KV_STR("policy", from->items[i].name),
                      KV_STR("place", fault.place), KV_STR("fault", fault.what));
            return CC_FAIL(CONFIG, "auth_policies");
        }
    }
    return CC_OK;
}

/* --- records -------------------------------------------------------------------------------------------------- */

static void say_unread(const struct state_record *record, const struct auth_fault *fault)
{
    log_error("an access record can't be read and counts as not there",
              KV_STR("kind", record->kind), KV_STR("name", record->name),
              KV_STR("place", fault->place), KV_STR("fault", fault->what));
}

typedef cc_err record_fn(struct authority_snapshot *s,
                         uint8_t *text,
                         const struct state_record *record,
                         struct auth_fault *fault);

static cc_err take_policy(struct authority_snapshot *s,
                          uint8_t *text,
                          const struct state_record *record,
                          struct auth_fault *fault)
{
    if (s->policy_count == POLICIES_MAX) {
        fault->what = "more policies than 64";
        return CC_FAIL(MALFORMED, NULL);
    }
    CC_TRY(policy_parse(text, record->len, record->name, &s->policies[s->policy_count], fault));
    s->policy_count++;
    return CC_OK;
}

static cc_err take_token(struct authority_snapshot *s,
                         uint8_t *text,
                         const struct state_record *record,
                         struct auth_fault *fault)
{
    if (s->token_count == TOKENS_MAX) {
        fault->what = "more tokens than 512";
        return CC_FAIL(MALFORMED, NULL);
    }
    CC_TRY(token_parse(text, record->len, record->name, &s->tokens[s->token_count].token, fault));
    s->token_count++;
    return CC_OK;
}

/* Parsing changes the text, and the store's must stay. */
static cc_err
take_record(struct authority_snapshot *s, const struct state_record *record, record_fn *take)
{
    struct auth_fault fault = {.what = ""};
    CC_CLEANUP(buf_release) struct buf text = buf_init(STATE_RECORD_MAX);
    CC_TRY(buf_append(&text, record->bytes, record->len));
    cc_err err = take(s, text.data, record, &fault);
    if (error_is(err, ERROR_NO_MEMORY))
        return err;
    if (err.code)
        say_unread(record, &fault);
    return CC_OK;
}

static cc_err take_records(struct authority_snapshot *s, const struct state_store *state)
{
    for (size_t i = 0; i < state->image.count; i++) {
        const struct state_record *record = &state->image.records[i];
        bool is_policy = strcmp(record->kind, "policy") == 0;
        if (record->len && (is_policy || strcmp(record->kind, "token") == 0))
            CC_TRY(take_record(s, record, is_policy ? take_policy : take_token));
    }
    s->latched = auth_latch_record(state);
    return CC_OK;
}

/* --- principals ----------------------------------------------------------------------------------------------- */

/* The configuration's policy where both have one of the name: nobody who writes to the store changes what a file says. */
static const struct policy *
find_policy(const struct authority *a, const struct authority_snapshot *s, const char *name)
{
    for (uint32_t i = 0; i < a->auth->policies.count; i++)
        if (strcmp(policy_name(a->own[i]), name) == 0)
            return a->own[i];
    for (size_t i = 0; i < s->policy_count; i++)
        if (strcmp(policy_name(s->policies[i]), name) == 0)
            return s->policies[i];
    return NULL;
}

static void grant(const struct authority *a,
                  const struct authority_snapshot *s,
                  struct principal *principal,
                  const char *name)
{
    const struct policy *policy = find_policy(a, s, name);
    if (!policy || principal->count == ARRAY_LEN(principal->policies)) {
        principal->missing = true;
        if (s->has_state)
            log_warn("a principal has a policy that is not there, and may do nothing",
                     KV_STR("principal", principal->label), KV_STR("policy", name));
        return;
    }
    principal->policies[principal->count++] = policy;
}

static void label(struct principal *principal, const char *what, const char *which)
{
    (void)snprintf(principal->label, sizeof principal->label, "%.12s:%.40s", what, which);
}

static void make_row(const struct authority *a,
                     const struct authority_snapshot *s,
                     const struct principal_row *row,
                     struct principal *principal)
{
    for (uint32_t i = 0; i < row->policy_count; i++)
        grant(a, s, principal, row->policies[i]);
}

CC_ERR authority_own_rows(struct authority *authority)
{
    const struct config_text_list *certificates = &authority->auth->certificates;
    const struct config_text_list *listeners = &authority->auth->listeners;
    for (uint32_t i = 0; i < certificates->count; i++)
        CC_TRY(principal_certificate_parse(span_str(certificates->items[i]),
                                           &authority->certificates[i]));
    for (uint32_t i = 0; i < listeners->count; i++)
        CC_TRY(principal_listener_parse(span_str(listeners->items[i]), &authority->listeners[i]));
    return CC_OK;
}

static void make_rows(const struct authority *a, struct authority_snapshot *s)
{
    for (uint32_t i = 0; i < a->auth->certificates.count; i++) {
        char number[12];
        (void)snprintf(number, sizeof number, "%u", i + 1);
        label(&s->certificates[i], "certificate", number);
        make_row(a, s, &a->certificates[i], &s->certificates[i]);
    }
    for (uint32_t i = 0; i < a->auth->listeners.count; i++) {
        label(&s->listeners[i], "listener", a->listeners[i].name);
        make_row(a, s, &a->listeners[i], &s->listeners[i]);
    }
    (void)snprintf(s->anonymous.label, sizeof s->anonymous.label, "anonymous");
    if (a->auth->unauthenticated_policy[0])
        grant(a, s, &s->anonymous, a->auth->unauthenticated_policy);
}

uint32_t authority_place_of(const uint8_t mac[static MAC_SIZE])
{
    return (uint32_t)u64_load_le(mac) & (AUTHORITY_TABLE - 1);
}

static void enter_token(const struct authority *a, struct authority_snapshot *s, size_t i)
{
    struct token_row *row = &s->tokens[i];
    uint32_t at = authority_place_of(row->token.mac);
    while (s->table[at])
        at = (at + 1) & (AUTHORITY_TABLE - 1);
    s->table[at] = (uint16_t)(i + 1);
    label(&row->principal, "token", row->token.name);
    for (uint32_t p = 0; p < row->token.policy_count; p++)
        grant(a, s, &row->principal, row->token.policies[p]);
}

/* Of auth_policies: never stored, so their MACs are made here. */
static void add_own_tokens(struct authority *a, struct authority_snapshot *s)
{
    uint8_t key[MAC_SIZE];
    bool has_key = false;
    cc_assert(pthread_mutex_lock(&a->lock) == 0);
    has_key = a->has_key;
    memcpy(key, a->key, sizeof key);
    cc_assert(pthread_mutex_unlock(&a->lock) == 0);
    for (uint32_t i = 0; has_key && i < a->auth->policies.count; i++) {
        const struct static_policy *from = &a->auth->policies.items[i];
        struct token *token = &s->tokens[s->token_count].token;
        if (!from->has_token)
            continue;
        (void)snprintf(token->name, sizeof token->name, "%s", from->name);
        (void)snprintf(token->policies[0], sizeof token->policies[0], "%s", from->name);
        token->policy_count = 1;
        token_mac(key, from->token_digest, token->mac);
        s->token_count++;
    }
    wipe(key, sizeof key);
}

/* At most. */
static size_t tokens_of(const struct authority *a, const struct state_store *state)
{
    size_t count = 0;
    for (size_t i = 0; state && i < state->image.count; i++)
        count += strcmp(state->image.records[i].kind, "token") == 0;
    return (size_t)u64_min(count, TOKENS_MAX) + a->auth->policies.count;
}

static cc_err
fill(struct authority *a, const struct state_store *state, struct authority_snapshot *s)
{
    s->tokens = cc_alloc_array(1 + tokens_of(a, state), sizeof *s->tokens);
    if (!s->tokens)
        return CC_FAIL(NO_MEMORY, "tokens");
    s->has_state = state != NULL;
    if (state)
        CC_TRY(take_records(s, state));
    add_own_tokens(a, s);
    for (size_t i = 0; i < s->token_count; i++)
        enter_token(a, s, i);
    make_rows(a, s);
    return CC_OK;
}

CC_ERR authority_snapshot_new(struct authority *authority,
                              const struct state_store *state,
                              struct authority_snapshot **ret_snapshot)
{
    struct authority_snapshot *s = cc_alloc(sizeof *s);
    if (!s)
        return CC_FAIL(NO_MEMORY, "access");
    cc_err err = fill(authority, state, s);
    if (err.code) {
        authority_snapshot_free(s);
        return err;
    }
    *ret_snapshot = s;
    return CC_OK;
}

void authority_snapshot_free(struct authority_snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (size_t i = 0; i < snapshot->policy_count; i++)
        policy_free(snapshot->policies[i]);
    cc_free(snapshot->tokens);
    cc_free(snapshot);
}
