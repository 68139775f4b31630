#include "core/sign_path.h"

#include <string.h>

#include "base/num.h"

#include "eth/signing_root.h"

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

static cc_err check_fields(const struct sign_rules *rules,
                           const struct sign_request *request,
                           struct sign_outcome *outcome)
{
    if (request->kind >= KIND_END)
        return CC_FAIL(KIND_UNKNOWN, NULL);
    outcome->kind = (enum eth_kind)request->kind;
    const struct kind_info *info = kind_info(outcome->kind);
    outcome->slashable = info->slashable;
    if (request->flags & ~known_flags)
        return CC_FAIL(MALFORMED, "unknown request flags");
    if (needs_fork_info(info) && !(request->flags & SIGN_HAS_FORK_INFO))
        return CC_FAIL(FIELD_MISSING, "fork_info");
    return check_epoch(rules, request, info->slashable);
}

static cc_err check_key(const struct key_lookup *key)
{
    switch (key->state) {
    case KEY_STATE_ACTIVE:
        return CC_OK;
    case KEY_STATE_LOADING:
        return CC_FAIL(KEY_LOADING, NULL);
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

uint64_t sign_path_last_epoch(const struct sign_rules *rules, uint64_t wall_ms)
{
    const struct eth_network *network = rules->network;
    if (network->genesis_time == 0 || network->seconds_per_slot == 0)
        return UINT64_MAX;
    uint64_t now = wall_ms / 1000;
    uint64_t slot =
        now < network->genesis_time ? 0 : (now - network->genesis_time) / network->seconds_per_slot;
    return u64_add_sat(network_epoch_of(network, slot), rules->max_future_epochs);
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

static cc_err judge(const struct sign_rules *rules,
                    const struct sign_request *request,
                    const struct key_lookup *key,
                    uint64_t wall_ms,
                    struct sign_outcome *outcome)
{
    struct signing_parts parts;
    enum policy_rule rule;
    CC_TRY(check_fields(rules, request, outcome));
    cc_err err = policy_check(rules->policy, outcome->kind, &rule);
    if (err.code) {
        outcome->rule = rule;
        return err;
    }
    CC_TRY(check_key(key));
    CC_TRY(check_network(rules, request));
    memset(&parts, 0, sizeof parts);
    err = signing_root_compute(rules->network, request, &parts, &outcome->root);
    if (err.code)
        return err;
    make_message(request, key, &parts, outcome);
    if (outcome->slashable == SLASHABLE_NOTHING)
        return CC_OK;
    if (request->epoch > sign_path_last_epoch(rules, wall_ms)) {
        outcome->rule = SLASH_FUTURE;
        return CC_FAIL(SLASHABLE, "too far in the future");
    }
    make_claim(request, outcome);
    return CC_OK;
}

void sign_path_judge(const struct sign_rules *rules,
                     const struct sign_request *request,
                     const struct key_lookup *key,
                     uint64_t wall_ms,
                     struct sign_outcome *ret_outcome)
{
    memset(ret_outcome, 0, sizeof *ret_outcome);
    ret_outcome->kind = KIND_END;
    ret_outcome->error = (uint32_t)judge(rules, request, key, wall_ms, ret_outcome).code;
}
