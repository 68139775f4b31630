#include "slash/backend.h"

#include <string.h>

enum slash_rule
slash_gate(bool enabled, const struct slash_high *high, const struct slash_claim *claim)
{
    if (!enabled)
        return SLASH_DISABLED;
    bool forbidden = claim->kind == SLASH_CLAIM_BLOCK
                         ? slash_high_forbids_block(high, claim->slot)
                         : slash_high_forbids_attestation(high, claim->source, claim->target);
    return forbidden ? SLASH_HIGH_WATERMARK : SLASH_SAFE;
}

struct slash_block slash_claim_block(const struct slash_claim *claim)
{
    return (struct slash_block){claim->slot, true, claim->root};
}

struct slash_attestation slash_claim_attestation(const struct slash_claim *claim)
{
    return (struct slash_attestation){claim->source, claim->target, true, claim->root};
}

uint64_t slash_keep_slots(uint64_t keep_epochs, uint64_t slots_per_epoch)
{
    uint64_t slots;
    return __builtin_mul_overflow(keep_epochs, slots_per_epoch, &slots) ? UINT64_MAX : slots;
}

uint64_t slash_prune_line(uint64_t newest, uint64_t keep)
{
    return newest > keep ? newest - keep : 0;
}

CC_ERR slash_identity_fix_genesis(struct slash_identity *identity, const struct eth_root *root)
{
    bool same =
        memcmp(identity->genesis_validators_root.bytes, root->bytes, sizeof root->bytes) == 0;
    if (identity->has_genesis_validators_root && !same)
        return CC_FAIL(IDENTITY, "the history belongs to another network");
    identity->genesis_validators_root = *root;
    identity->has_genesis_validators_root = true;
    return CC_OK;
}

void slash_report_add(struct slash_import_report *report, const struct slash_merged *merged)
{
    report->validators++;
    report->blocks += merged->blocks_added;
    report->attestations += merged->attestations_added;
    report->known += merged->known;
    report->contradictory += merged->contradictory;
}
