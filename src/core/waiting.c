#include "core/waiting.h"

#include <string.h>

#include "base/alloc.h"

#include "core/auth_latch.h"

static cc_err refuse_all(struct waiting *w, int fd, uint32_t life)
{
    struct a_sign item;
    size_t n = w->message.head.count;
    for (size_t i = 0; i < n; i++) {
        memcpy(&item, &w->message.items[i * sizeof item], sizeof item);
        w->refused[i] = (struct a_signed){.id = item.id, .error = w->error};
    }
    return door_send(fd, life, A_SIGNED, w->refused, sizeof w->refused[0], n);
}

static cc_err
answer_one(const struct waiting *w, int fd, uint32_t life, const struct a_query *query)
{
    /* What the state store says of a latch is not known yet; nothing is let pass meanwhile. */
    enum auth_mode mode =
        auth_latch_file(w->config->data_dir) ? AUTH_ENFORCE : auth_mode_asked(&w->config->auth);
    const struct a_health health = {
        .id = query->id,
        .keys_expected = w->config->key_sources.expected_keys,
        .auth_open = mode != AUTH_ENFORCE,
        .sealed = w->error == ERROR_SEALED,
        .auth_mode = (uint8_t)mode,
        .auth_held = mode != auth_mode_asked(&w->config->auth),
    };
    const struct a_public_keys keys = {
        .id = query->id,
        .error = w->error == ERROR_SEALED ? ERROR_SEALED : ERROR_KEY_LOADING,
        .last = 1,
    };
    const struct a_reload reload = {.id = query->id, .error = w->error};
    const struct a_high_watermark high = {.id = query->id, .error = w->error};
    const struct a_denied denied = {.id = query->id, .error = w->error};
    switch ((enum a_question)query->question) {
    case ASK_ALLOWED:
        return door_send(fd, life, A_DENIED, &denied, sizeof denied, 1);
    case ASK_PUBLIC_KEYS:
        return door_send(fd, life, A_PUBLIC_KEYS, &keys, sizeof keys, 1);
    case ASK_HEALTH:
        return door_send(fd, life, A_HEALTH, &health, sizeof health, 1);
    case ASK_RELOAD_START:
    case ASK_RELOAD_STATUS:
        return door_send(fd, life, A_RELOAD, &reload, sizeof reload, 1);
    case ASK_HIGH_WATERMARK:
        return door_send(fd, life, A_HIGH_WATERMARK, &high, sizeof high, 1);
    }
    return CC_FAIL(PROTOCOL, "unknown question");
}

/* Who asks how a sealed chamber is, or seals it once more: no token is honoured while it is sealed, the owner is who he is. */
static void answer_owner(struct waiting *w)
{
    static const char sealed[] = "{\"state\":\"sealed\",\"complete\":true}";
    const struct a_manage *ask = (const void *)w->message.items;
    const bool asks = ask->verb == MANAGE_CHAMBER_STATUS || ask->verb == MANAGE_SEAL;
    if (w->error != ERROR_SEALED || !asks || !(ask->caller.flags & CALLER_OWNER))
        return;
    w->step.managed.error = 0;
    w->step.managed.status = 200;
    w->step.managed.len = sizeof sealed - 1;
    memcpy(w->step.managed.body, sealed, sizeof sealed - 1);
}

/* A step of work on the history, or a management question: each is one message, and so is its answer. */
static cc_err refuse_step(struct waiting *w, int fd, uint32_t life)
{
    memset(&w->step, 0, sizeof w->step);
    if (w->message.head.type == A_MANAGE) {
        memcpy(&w->step.managed.id, w->message.items, sizeof w->step.managed.id);
        w->step.managed.error = w->error == ERROR_STORE ? ERROR_STATE : w->error;
        w->step.managed.last = true;
        answer_owner(w);
        return door_send(fd, life, A_MANAGED, &w->step.managed, sizeof w->step.managed, 1);
    }
    memcpy(&w->step.slashed.head, w->message.items, sizeof w->step.slashed.head);
    w->step.slashed.head = (struct a_slashing_head){.id = w->step.slashed.head.id,
                                                    .verb = w->step.slashed.head.verb,
                                                    .error = w->error,
                                                    .last = true};
    return door_send(fd, life, A_SLASHED, &w->step.slashed, sizeof w->step.slashed, 1);
}

static cc_err refuse_keys(struct waiting *w, int fd, uint32_t life)
{
    struct a_keys_head ask;
    CC_CLEANUP(cc_freep) struct a_keys_done *answer = cc_alloc(sizeof *answer);
    if (!answer)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(&ask, w->message.items, sizeof ask);
    answer->head =
        (struct a_keys_head){.id = ask.id, .verb = ask.verb, .scope = ask.scope, .error = w->error};
    door_message_wipe(&w->message);
    return door_send(fd, life, A_KEYS_DONE, answer, sizeof *answer, 1);
}

/* A document names the chamber, which is not known yet. */
static cc_err refuse_attest(const struct waiting *w, int fd, uint32_t life)
{
    CC_CLEANUP(cc_freep) struct a_attested *answer = cc_alloc(sizeof *answer);
    if (!answer)
        return CC_FAIL(NO_MEMORY, NULL);
    answer->error = w->error;
    memcpy(&answer->id, w->message.items, sizeof answer->id);
    return door_send(fd, life, A_ATTESTED, answer, sizeof *answer, 1);
}

CC_ERR waiting_answer(struct waiting *w, int fd, uint32_t life)
{
    struct a_query query;
    CC_TRY(door_receive(fd, life, door_a_to_core, &w->message));
    if (w->message.head.type == A_SIGN)
        return refuse_all(w, fd, life);
    if (w->message.head.type == A_SLASHING || w->message.head.type == A_MANAGE)
        return refuse_step(w, fd, life);
    if (w->message.head.type == A_KEYS)
        return refuse_keys(w, fd, life);
    if (w->message.head.type == A_ATTEST)
        return refuse_attest(w, fd, life);
    for (size_t i = 0; i < w->message.head.count; i++) {
        memcpy(&query, &w->message.items[i * sizeof query], sizeof query);
        CC_TRY(answer_one(w, fd, life, &query));
    }
    return CC_OK;
}
