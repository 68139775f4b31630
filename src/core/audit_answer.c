#include "core/audit_answer.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#include "auth/policy.h"
#include "codec/hex.h"
#include "secret/wipe.h"

enum {
    ANCHOR_PATIENCE_MS = 2000,
    ANCHOR_TRIES = 8 /* of an order, while others commit */
};

/* --- entries -------------------------------------------------------------------------------------------------------------- */

static void set_claim(const struct sign_outcome *outcome, struct audit_entry *entry)
{
    switch (outcome->slashable) {
    case SLASHABLE_NOTHING:
        return;
    case SLASHABLE_BLOCK:
        entry->claim = AUDIT_CLAIM_SLOT;
        entry->slot = outcome->claim.slot;
        return;
    case SLASHABLE_ATTESTATION:
        entry->claim = AUDIT_CLAIM_EPOCHS;
        entry->source = outcome->claim.source;
        entry->target = outcome->claim.target;
        return;
    }
}

static const char *rule_of(const struct a_signed *answer)
{
    if (answer->error == ERROR_SLASHABLE)
        return slash_rule_name((enum slash_rule)answer->rule);
    return answer->error == ERROR_DENIED || answer->error == ERROR_UNAUTHENTICATED
               ? policy_rule_name((enum policy_rule)answer->rule)
               : NULL;
}

void audit_entry_of_answer(const struct sign_outcome *outcome,
                           const struct eth_pubkey *pubkey,
                           const struct a_signed *answer,
                           const uint8_t address[static 16],
                           struct audit_entry *ret_entry)
{
    struct caller caller = {0};
    memcpy(caller.address, address, sizeof caller.address);
    *ret_entry =
        (struct audit_entry){.event = "sign", .error = answer->error, .rule = rule_of(answer)};
    audit_entry_who(ret_entry, &caller, outcome->principal);
    ret_entry->reason = outcome->reason;
    ret_entry->operation = outcome->kind < KIND_END ? kind_operation(outcome->kind) : "UNKNOWN";
    ret_entry->has_pubkey = true;
    ret_entry->pubkey = *pubkey;
    set_claim(outcome, ret_entry);
}

/* --- the log of this data directory --------------------------------------------------------------------------------------- */

void audit_directory(const struct config *config, char ret_path[static AUDIT_DIRECTORY_MAX])
{
    (void)snprintf(ret_path, AUDIT_DIRECTORY_MAX, "%s/audit", config->data_dir);
}

/* A history that keeps nothing has no mirror, which is what tells replicas apart. */
void audit_replica(const struct config *config,
                   const struct stores *stores,
                   uint8_t ret_replica[static AUDIT_REPLICA_SIZE])
{
    _Static_assert((int)AUDIT_REPLICA_SIZE == (int)SLASH_REPLICA_SIZE, "the mirror's");
    _Static_assert((int)AUDIT_REPLICA_SIZE == (int)B_CONTEXT_SIZE, "and the vault's");
    if (config->anti_slashing.backend == HISTORY_NOOP)
        memset(ret_replica, 0, AUDIT_REPLICA_SIZE);
    else
        memcpy(ret_replica, stores->replica, AUDIT_REPLICA_SIZE);
}

static void record_name(const uint8_t replica[static AUDIT_REPLICA_SIZE],
                        char ret_name[static AUDIT_NAME_SIZE])
{
    hex_encode(replica, AUDIT_REPLICA_SIZE, ret_name);
    ret_name[AUDIT_NAME_SIZE - 1] = 0;
}

CC_ERR audit_find_anchor(const struct state_store *state,
                         const uint8_t replica[static AUDIT_REPLICA_SIZE],
                         struct audit_position *ret_anchor)
{
    char name[AUDIT_NAME_SIZE];
    record_name(replica, name);
    const struct state_record *record = state_find(state, "audit", name);
    *ret_anchor = (struct audit_position){0};
    if (!record)
        return CC_OK;
    return audit_anchor_read(span_of(record->bytes, record->len), ret_anchor).code
               ? CC_FAIL(TAMPERED, "the audit log's anchor")
               : CC_OK;
}

/* A core that was captured may have asked for a number ahead: it is passed over. */
static cc_err ask_key(struct vault_call *vault,
                      const struct audit_settings *settings,
                      uint64_t *segment,
                      uint8_t *ret_key)
{
    cc_err err = vault_call_audit_key(vault, settings->replica, *segment, ret_key);
    for (unsigned i = 0; error_is(err, ERROR_EXISTS) && i < AUDIT_GAP_MAX; i++)
        err = vault_call_audit_key(vault, settings->replica, ++*segment, ret_key);
    return err;
}

CC_ERR audit_begin(const struct config *config,
                   struct vault_call *vault,
                   const struct stores *stores,
                   struct audit **ret_audit)
{
    char directory[AUDIT_DIRECTORY_MAX];
    WIPED32 struct secret32 key;
    uint64_t segment = 0;
    struct audit_settings settings = {
        .level = config->audit.level,
        .sink = config->audit.sink,
        .on_failure = config->audit.on_failure,
        .segment_bytes = (uint64_t)config->audit.segment_mib << 20,
        .directory = directory,
    };
    audit_directory(config, directory);
    audit_replica(config, stores, settings.replica);
    CC_TRY(audit_find_anchor(stores->state, settings.replica, &settings.anchor));
    CC_TRY(audit_next_segment(&settings, &segment));
    cc_err err = ask_key(vault, &settings, &segment, key.bytes);
    if (!err.code)
        err = audit_open(&settings, segment, key.bytes, ret_audit);
    if (err.code)
        log_error("the audit log can't be opened", KV_ERR(err), KV_NUM("segment", segment));
    return err;
}

/* --- what its threads use -------------------------------------------------------------------------------------------------- */

static cc_err get_key(void *context, uint64_t segment, uint8_t ret_key[static AUDIT_KEY_SIZE])
{
    const struct audit_link *link = context;
    return vault_client_audit_key(link->vault, link->replica, segment, ret_key);
}

struct anchoring {
    const uint8_t *replica;
    const struct audit_position *position;
};

static cc_err
put_anchor(void *context, struct state_store *state, const struct state_signer *signer)
{
    const struct anchoring *anchoring = context;
    char name[AUDIT_NAME_SIZE];
    CC_CLEANUP(buf_release) struct buf text = buf_init(AUDIT_ANCHOR_MAX);
    record_name(anchoring->replica, name);
    CC_TRY(audit_anchor_write(anchoring->position, &text));
    const struct state_record *there = state_find(state, "audit", name);
    const struct state_change change = {.kind = "audit",
                                        .name = name,
                                        .expected_version = there ? there->version : 0,
                                        .bytes = buf_span(&text)};
    return state_commit(state, &change, 1, signer);
}

void audit_end(struct audit *audit,
               const struct config *config,
               struct stores *stores,
               const struct state_signer *signer)
{
    uint8_t replica[AUDIT_REPLICA_SIZE];
    audit_replica(config, stores, replica);
    audit_finish(audit);
    const struct audit_position position = audit_durable(audit);
    struct anchoring anchoring = {replica, &position};
    cc_err err = CC_FAIL(CONFLICT, NULL);
    for (unsigned tries = 0; error_is(err, ERROR_CONFLICT) && tries < ANCHOR_TRIES; tries++) {
        struct state_fault fault;
        bool changed;
        err = state_refresh(stores->state, &changed, &fault);
        if (!err.code)
            err = put_anchor(&anchoring, stores->state, signer);
    }
    if (err.code)
        log_warn("the audit log's end is not anchored in the state store", KV_ERR(err));
    audit_close(audit);
}

static cc_err anchor(void *context, const struct audit_position *position)
{
    struct audit_link *link = context;
    struct anchoring anchoring = {link->replica, position};
    return keeper_run(link->keeper, put_anchor, &anchoring, ANCHOR_PATIENCE_MS);
}

CC_ERR audit_run(struct audit *audit, struct audit_link *link, uint64_t epoch_ms)
{
    const struct audit_helpers helpers = {
        .key = get_key, .anchor = anchor, .context = link, .anchor_ms = epoch_ms};
    return audit_start(audit, &helpers);
}
