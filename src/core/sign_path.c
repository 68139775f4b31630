#include "core/sign_path.h"

#include <string.h>

#include "base/num.h"

#include "core/quarantine.h"
#include "eth/signing_root.h"
#include "slash/guard.h"

static const uint32_t known_flags = SIGN_HAS_FORK_INFO | SIGN_HAS_CLIENT_ROOT;

static bool needs_fork_info(const struct kind_info *info)
{
    switch (info->version_from) {
    case VERSION_FORK:
    case VERSION_EXIT:
        return true;
    case VERSION_GENESIS:
    case VERSION_DEPOSIT:
        return false;
    }
    return true;
}

/* `epoch` chooses the fork version, so for slashable kinds it must be the claim's own: else a captured front could
 * have the same vote signed under a second domain.
 */
static cc_err check_epoch(const struct sign_rules *rules,
                          const struct sign_request *request,
                          enum kind_slashable slashable)
{
    switch (slashable) {
    case SLASHABLE_NOTHING:
        return CC_OK;
    case SLASHABLE_BLOCK:
        if (request->epoch != network_epoch_of(rules->network, request->claim.block.slot))
            return CC_FAIL(MALFORMED, "the epoch is not that of the block's slot");
        return CC_OK;
    case SLASHABLE_ATTESTATION:
        if (request->epoch != request->claim.attestation.target.epoch)
            return CC_FAIL(MALFORMED, "the epoch is not the target's");
        return CC_OK;
    }
    return CC_FAIL(MALFORMED, "unknown claim");
}

/* Policies judge the fee recipient that the front names: it must be the one that is signed. */
static cc_err check_registration(const struct sign_request *request)
{
    struct eth_root root = registration_root(request);
    return span_equal(span_of(&root, sizeof root),
                      span_of(&request->object_root, sizeof request->object_root))
               ? CC_OK
               : CC_FAIL(MALFORMED, "the registration has another root");
}

static cc_err check_fields(const struct sign_rules *rules, const struct sign_request *request)
{
    const struct kind_info *info = kind_info((enum eth_kind)request->kind);
    if (request->flags & ~known_flags)
        return CC_FAIL(MALFORMED, "unknown request flags");
    if (needs_fork_info(info) && !(request->flags & SIGN_HAS_FORK_INFO))
        return CC_FAIL(FIELD_MISSING, "fork_info");
    if (request->kind == KIND_VALIDATOR_REGISTRATION)
        CC_TRY(check_registration(request));
    return check_epoch(rules, request, info->slashable);
}

static cc_err check_key(const struct key_lookup *key)
{
    switch (key->state) {
    case KEY_STATE_ACTIVE:
        return CC_OK;
    case KEY_STATE_LOADING:
        return CC_FAIL(KEY_LOADING, NULL);
    case KEY_STATE_SEALED:
        return CC_FAIL(SEALED, NULL);
    case KEY_STATE_STOPPED:
        return CC_FAIL(KEY_UNKNOWN, "held back");
    case KEY_STATE_FAILED:
    case KEY_STATE_ABSENT:
        /* Before the first scan has ended nobody can say that there is no such key. */
        return key->set_known ? CC_FAIL(KEY_UNKNOWN, NULL) : CC_FAIL(KEY_LOADING, NULL);
    }
    return CC_FAIL(KEY_UNKNOWN, NULL);
}

static cc_err check_network(const struct sign_rules *rules, const struct sign_request *request)
{
    if (!needs_fork_info(kind_info((enum eth_kind)request->kind)))
        return CC_OK;
    if (!rules->has_genesis_validators_root)
        return CC_FAIL(WRONG_NETWORK,
                       "no genesis_validators_root is fixed: set it in the configuration");
    struct span fixed = span_of(&rules->genesis_validators_root, sizeof(struct eth_root));
    struct span asked =
        span_of(&request->fork_info.genesis_validators_root, sizeof(struct eth_root));
    return span_equal(fixed, asked) ? CC_OK : CC_FAIL(WRONG_NETWORK, NULL);
}

bool sign_path_knows_fork(const struct sign_rules *rules, const struct sign_request *request)
{
    if (!(request->flags & SIGN_HAS_FORK_INFO))
        return true;
    const struct span asked =
        span_of(&request->fork_info.fork.current_version, sizeof(struct eth_version));
    for (int fork = 0; fork < FORK_END; fork++)
        if (span_equal(asked,
                       span_of(&rules->network->forks[fork].version, sizeof(struct eth_version))))
            return true;
    return false;
}

uint64_t sign_path_last_epoch(const struct sign_rules *rules, uint64_t wall_ms)
{
    uint64_t epoch = 0;
    return quarantine_epoch(rules->network, wall_ms, &epoch)
               ? u64_add_sat(epoch, rules->max_future_epochs)
               : UINT64_MAX;
}

bool sign_path_enclave_floor(const struct sign_rules *rules,
                             uint64_t now_ms,
                             uint64_t leeway_ms,
                             struct slash_watermark *ret_floor)
{
    struct sign_rules widest =
        *rules; /* an image with a larger max_future_epochs may have run before */
    widest.max_future_epochs = u64_max(rules->max_future_epochs, CONFIG_ENCLAVE_FUTURE_EPOCHS);
    const uint64_t last = sign_path_last_epoch(&widest, u64_add_sat(now_ms, leeway_ms));
    if (last == UINT64_MAX)
        return false;
    *ret_floor = slash_floor_of(last, rules->network->preset.slots_per_epoch);
    return true;
}

/* As a row's low watermarks judge. */
static bool
is_below(const struct slash_watermark *floor, const struct slash_claim *claim, uint32_t *ret_rule)
{
    if (claim->kind == SLASH_CLAIM_BLOCK) {
        *ret_rule = SLASH_BLOCK_BELOW;
        return floor->has_slot && claim->slot <= floor->slot;
    }
    *ret_rule = claim->source < floor->source ? SLASH_SOURCE_BELOW : SLASH_TARGET_BELOW;
    return floor->has_epochs && (claim->source < floor->source || claim->target <= floor->target);
}

static void make_claim(const struct sign_request *request, struct sign_outcome *outcome)
{
    struct slash_claim *claim = &outcome->claim;
    claim->pubkey = request->pubkey;
    claim->root = outcome->root;
    if (outcome->slashable == SLASHABLE_BLOCK) {
        claim->kind = SLASH_CLAIM_BLOCK;
        claim->slot = request->claim.block.slot;
    } else {
        claim->kind = SLASH_CLAIM_ATTESTATION;
        claim->source = request->claim.attestation.source.epoch;
        claim->target = request->claim.attestation.target.epoch;
    }
}

static void make_message(const struct sign_request *request,
                         const struct key_lookup *key,
                         const struct signing_parts *parts,
                         struct sign_outcome *outcome)
{
    struct b_sign *message = &outcome->message;
    message->key = key->handle;
    message->pubkey = request->pubkey;
    message->version = parts->version;
    message->genesis_validators_root = parts->genesis_validators_root;
    switch (outcome->slashable) {
    case SLASHABLE_NOTHING:
        message->claim = B_CLAIM_OBJECT;
        message->body.object.root = parts->object_root;
        message->body.object.domain = parts->domain;
        break;
    case SLASHABLE_BLOCK:
        message->claim = B_CLAIM_BLOCK;
        message->body.block = request->claim.block;
        break;
    case SLASHABLE_ATTESTATION:
        message->claim = B_CLAIM_ATTESTATION;
        message->body.attestation = request->claim.attestation;
        break;
    }
}

bool sign_path_is_whole(const struct sign_rules *rules, const struct sign_request *request)
{
    return request->kind < KIND_END && !check_fields(rules, request).code;
}

static bool has_fees(uint32_t kind)
{
    return kind == KIND_VALIDATOR_REGISTRATION || kind == KIND_PROPOSER_PREFERENCES ||
           kind == KIND_EXECUTION_PAYLOAD_BID || kind == KIND_EXECUTION_PAYLOAD_ENVELOPE;
}

struct auth_question sign_path_question(const struct sign_request *request)
{
    bool fees = has_fees(request->kind);
    return (struct auth_question){
        .scope = SCOPE_SIGN,
        .kind = (enum eth_kind)request->kind,
        .pubkey = &request->pubkey,
        .fee_recipient = fees ? &request->claim.fees.fee_recipient : NULL,
        .gas_limit = fees ? &request->claim.fees.gas_limit : NULL,
    };
}

static cc_err check_verdict(const struct auth_verdict *verdict, struct sign_outcome *outcome)
{
    memcpy(outcome->principal, verdict->principal, sizeof outcome->principal);
    outcome->allowed = !verdict->error;
    if (outcome->allowed)
        return CC_OK;
    outcome->rule = verdict->rule;
    outcome->reason = verdict->reason;
    return error_make((enum error_code)verdict->error, "who asks", __FILE__, __LINE__);
}

static cc_err judge(const struct sign_rules *rules,
                    const struct sign_request *request,
                    const struct auth_verdict *verdict,
                    const struct key_lookup *key,
                    uint64_t wall_ms,
                    struct sign_outcome *outcome)
{
    struct signing_parts parts;
    if (request->kind >= KIND_END)
        return CC_FAIL(KIND_UNKNOWN, NULL);
    outcome->kind = (enum eth_kind)request->kind;
    outcome->slashable = kind_info(outcome->kind)->slashable;
    CC_TRY(check_fields(rules, request));
    CC_TRY(check_verdict(verdict, outcome));
    CC_TRY(check_key(key));
    CC_TRY(check_network(rules, request));
    memset(&parts, 0, sizeof parts);
    CC_TRY(signing_root_compute(rules->network, request, &parts, &outcome->root));
    make_message(request, key, &parts, outcome);
    if (outcome->slashable == SLASHABLE_NOTHING)
        return CC_OK;
    if (request->epoch > sign_path_last_epoch(rules, wall_ms)) {
        outcome->rule = SLASH_FUTURE;
        return CC_FAIL(SLASHABLE, "too far in the future");
    }
    make_claim(request, outcome);
    uint32_t rule = 0;
    if (is_below(&rules->floor, &outcome->claim, &rule)) {
        outcome->rule = rule;
        outcome->claim = (struct slash_claim){0};
        return CC_FAIL(SLASHABLE, "an earlier enclave may have signed for it");
    }
    return CC_OK;
}

void sign_path_judge(const struct sign_rules *rules,
                     const struct sign_request *request,
                     const struct auth_verdict *verdict,
                     const struct key_lookup *key,
                     uint64_t wall_ms,
                     struct sign_outcome *ret_outcome)
{
    memset(ret_outcome, 0, sizeof *ret_outcome);
    ret_outcome->kind = KIND_END;
    ret_outcome->error = (uint32_t)judge(rules, request, verdict, key, wall_ms, ret_outcome).code;
}
