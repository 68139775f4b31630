#include "core/canary.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/metric.h"

#include "codec/hex.h"
#include "core/report.h"
#include "core/seal.h"

enum {
    REVOCATIONS_MAX = 16 /* that wait; a token that finds no room is named in the log */
};

static const char token_begins[] = "token:";

struct canary {
    struct canary_settings settings;
    struct eth_pubkey keys[CONFIG_LIST_MAX];
    size_t key_count;
    struct report_budget budget;
    pthread_t thread;
    bool runs;

    pthread_mutex_t lock; /* guards all below; a leaf */
    pthread_cond_t news;
    char tokens[REVOCATIONS_MAX][A_NAME_MAX];
    size_t token_count;
    bool stopping;
};

static void take_lock(struct canary *canary)
{
    cc_assert(pthread_mutex_lock(&canary->lock) == 0);
}

static void drop_lock(struct canary *canary)
{
    cc_assert(pthread_mutex_unlock(&canary->lock) == 0);
}

bool canary_has(const struct canary *canary, const struct eth_pubkey *pubkey)
{
    for (size_t i = 0; i < canary->key_count; i++)
        if (span_equal(span_of(&canary->keys[i], sizeof *pubkey), span_of(pubkey, sizeof *pubkey)))
            return true;
    return false;
}

/* --- a hit ------------------------------------------------------------------------------------------------------------- */

static bool queue_revocation(struct canary *canary, const char *token)
{
    bool there = false;
    take_lock(canary);
    for (size_t i = 0; i < canary->token_count && !there; i++)
        there = strcmp(canary->tokens[i], token) == 0;
    const bool fits = canary->token_count < REVOCATIONS_MAX && strlen(token) < A_NAME_MAX;
    if (!there && fits) {
        memcpy(canary->tokens[canary->token_count++], token, strlen(token) + 1);
        (void)pthread_cond_broadcast(&canary->news);
    }
    drop_lock(canary);
    return there || fits;
}

/* What is done about it, in one word for log and audit. A word of nobody in particular does nothing more. */
static const char *act(struct canary *canary, const struct audit_entry *entry)
{
    const size_t len = sizeof token_begins - 1;
    if (entry->anybody)
        return "alert";
    switch (canary->settings.config->action) {
    case CANARY_ALERT:
        return "alert";
    case CANARY_REVOKE:
        if (strncmp(entry->principal, token_begins, len) != 0)
            return "alert"; /* a certificate or a socket: nothing here can take that away */
        return queue_revocation(canary, entry->principal + len) ? "revoke" : "alert";
    case CANARY_SEAL:
        if (!seal_is(canary->settings.seal)) /* else it would only hold up an unsealing */
            seal_ask(canary->settings.seal, entry->principal);
        return "seal";
    }
    return "alert";
}

static void say(struct canary *canary, const struct audit_entry *entry)
{
    char digits[2 * sizeof(struct eth_pubkey) + 1] = {0};
    uint32_t held_back = 0;
    if (!report_may_log(&canary->budget, &held_back))
        return;
    hex_encode(&entry->pubkey, sizeof entry->pubkey, digits);
    log_warn("a canary key was asked for: somebody uses a list of keys that is not his",
             KV_STR("principal", entry->principal), KV_STR("key", digits),
             KV_STR("operation", entry->operation), KV_STR("action", entry->rule),
             KV_NUM("lines_held_back", held_back));
}

void canary_hit(struct canary *canary, const struct a_sign *item, struct sign_outcome *outcome)
{
    struct audit_entry entry = {.event = "canary",
                                .operation = kind_operation(outcome->kind),
                                .has_pubkey = true,
                                .pubkey = item->request.pubkey};
    metric_add(METRIC_CANARY_SIGNING, 0, 0, 1);
    audit_entry_who(&entry, &item->caller, outcome->principal);
    entry.rule = act(canary, &entry);
    say(canary, &entry);
    if (canary->settings.config->answer == CANARY_NOT_FOUND)
        outcome->error = ERROR_KEY_UNKNOWN;
    /* Of a stranger as many lines as of his failures. */
    entry.error = entry.anybody ? ERROR_KEY_UNKNOWN : 0;
    if (audit_event(canary->settings.audit, &entry).code && !outcome->error)
        outcome->error = ERROR_AUDIT;
}

/* --- revoking ------------------------------------------------------------------------------------------------------------ */

static bool take_token(struct canary *canary, char ret_token[static A_NAME_MAX])
{
    take_lock(canary);
    while (!canary->token_count && !canary->stopping)
        (void)pthread_cond_wait(&canary->news, &canary->lock);
    const bool found = canary->token_count > 0;
    if (found) {
        memcpy(ret_token, canary->tokens[0], A_NAME_MAX);
        memmove(canary->tokens[0], canary->tokens[1],
                --canary->token_count * sizeof canary->tokens[0]);
    }
    drop_lock(canary);
    return found;
}

static void *canary_thread(void *argument)
{
    struct canary *canary = argument;
    char token[A_NAME_MAX];
    while (take_token(canary, token)) {
        struct audit_entry entry = {
            .event = "canary", .operation = "revoke", .principal = "canary"};
        cc_err err = canary->settings.revoke(canary->settings.context, token);
        if (err.code)
            log_error("a token that hit a canary key was not revoked", KV_STR("token", token),
                      KV_ERR(err));
        else
            log_notice("a token that hit a canary key is revoked", KV_STR("token", token));
        entry.error = (uint32_t)err.code;
        memcpy(entry.subject, token, sizeof token);
        (void)audit_event(canary->settings.audit, &entry)
            .code; /* the audit log says itself what it lacks */
    }
    return NULL;
}

/* --- its life ------------------------------------------------------------------------------------------------------------ */

static cc_err read_keys(struct canary *canary)
{
    const struct config_text_list *list = &canary->settings.config->public_keys;
    for (uint32_t i = 0; i < list->count; i++)
        CC_TRY(hex_decode(span_str(list->items[i]), canary->keys[canary->key_count++].bytes,
                          sizeof canary->keys[0].bytes));
    return CC_OK;
}

CC_ERR canary_start(const struct canary_settings *settings, struct canary **ret_canary)
{
    struct canary *canary = cc_alloc(sizeof *canary);
    if (!canary)
        return CC_FAIL(NO_MEMORY, NULL);
    canary->settings = *settings;
    cc_assert(pthread_mutex_init(&canary->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&canary->news, NULL) == 0);
    cc_err err = read_keys(canary);
    if (!err.code && canary->key_count) {
        canary->runs = pthread_create(&canary->thread, NULL, canary_thread, canary) == 0;
        err = canary->runs ? CC_OK : CC_FAIL(SYSTEM, "canary's thread");
    }
    if (err.code)
        canary_stop(canary);
    else
        *ret_canary = canary;
    return err;
}

void canary_stop(struct canary *canary)
{
    if (!canary)
        return;
    take_lock(canary);
    canary->stopping = true;
    (void)pthread_cond_broadcast(&canary->news);
    drop_lock(canary);
    if (canary->runs)
        (void)pthread_join(canary->thread, NULL);
    (void)pthread_cond_destroy(&canary->news);
    (void)pthread_mutex_destroy(&canary->lock);
    cc_free(canary);
}
