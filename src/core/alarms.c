#include "core/alarms.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#include "wire/control.h"

enum {
    REVOKE_PATIENCE_MS = 30000
};

/* --- what a seal is made of ------------------------------------------------------------------------------------------- */

static void write_down(void *context, const char *by, cc_err result)
{
    struct alarms *alarms = context;
    struct audit_entry entry = {.event = "seal", .error = (uint32_t)result.code};
    (void)snprintf(entry.principal, sizeof entry.principal, "%s", by);
    (void)audit_event(alarms->audit, &entry).code; /* a seal is not held up by a full disk */
}

struct latching {
    const char *by;
    uint64_t wall_ms;
};

static cc_err put_latch(void *context, struct state_store *state, const struct state_signer *signer)
{
    const struct latching *latching = context;
    return seal_latch_make_record(state, signer, latching->by, latching->wall_ms);
}

static cc_err latch_state(void *context, const char *by, uint64_t wall_ms, uint64_t patience_ms)
{
    struct alarms *alarms = context;
    struct latching latching = {by, wall_ms};
    return keeper_run(alarms->keeper, put_latch, &latching, patience_ms);
}

static cc_err wipe_vault(void *context)
{
    struct alarms *alarms = context;
    authority_seal(alarms->authority);
    return vault_client_seal(alarms->vault);
}

static void restart(void *context)
{
    const struct alarms *alarms = context;
    /* An unreachable supervisor ends this room by its control line. */
    (void)control_send(alarms->control_fd, CONTROL_SEALED, 0, 0, -1).code;
}

static void lifted(void *context)
{
    const struct alarms *alarms = context;
    if (loads_begin(alarms->loads).code)
        log_error("no loader could be asked for: reload the keys");
}

/* --- what a canary does ----------------------------------------------------------------------------------------------- */

static cc_err
remove_token(void *context, struct state_store *state, const struct state_signer *signer)
{
    const char *name = context;
    const struct state_record *there = state_find(state, "token", name);
    if (!there)
        return CC_FAIL(KEY_UNKNOWN, "a token of the configuration, or one that is gone already");
    const struct state_change change = {
        .kind = "token", .name = name, .expected_version = there->version, .remove = true};
    return state_commit(state, &change, 1, signer);
}

static cc_err revoke(void *context, const char *token)
{
    struct alarms *alarms = context;
    char name[A_NAME_MAX];
    (void)snprintf(name, sizeof name, "%s", token);
    return keeper_run(alarms->keeper, remove_token, name, REVOKE_PATIENCE_MS);
}

/* --- their life -------------------------------------------------------------------------------------------------------- */

CC_ERR alarms_new(const struct config *config, struct alarms *ret_alarms)
{
    *ret_alarms = (struct alarms){0};
    return seal_new(config->data_dir, &ret_alarms->seal);
}

CC_ERR alarms_start(struct alarms *alarms, const struct config *config)
{
    const struct seal_work work = {write_down, latch_state, wipe_vault, restart, lifted, alarms};
    const struct canary_settings canary = {.config = &config->canary,
                                           .audit = alarms->audit,
                                           .seal = alarms->seal,
                                           .revoke = revoke,
                                           .context = alarms};
    CC_TRY(seal_start(alarms->seal, &work));
    return canary_start(&canary, &alarms->canary);
}

void alarms_stop(struct alarms *alarms)
{
    canary_stop(alarms->canary);
    alarms->canary = NULL;
    seal_stop(alarms->seal);
}

void alarms_free(struct alarms *alarms)
{
    canary_stop(alarms->canary);
    seal_free(alarms->seal);
    *alarms = (struct alarms){0};
}
