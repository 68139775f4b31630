#include "slash/backend.h"

#include <string.h>

#include "base/num.h"

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

struct slash_watermark slash_repair_watermark(uint64_t epoch, uint64_t slots_per_epoch)
{
    return (struct slash_watermark){
        .has_slot = true,
        .has_epochs = true,
        .slot = u64_add_sat(slash_keep_slots(epoch, slots_per_epoch), slots_per_epoch - 1),
        .source = epoch,
        .target = epoch,
    };
}

uint64_t slash_prune_line(uint64_t newest, uint64_t keep)
{
    return newest > keep ? newest - keep : 0;
}

bool slash_watermark_raise(struct slash_watermark *low, const struct slash_watermark *floor)
{
    const struct slash_watermark was = *low;
    if (floor->has_slot && (!low->has_slot || floor->slot > low->slot)) {
        low->has_slot = true;
        low->slot = floor->slot;
    }
    if (floor->has_epochs && !low->has_epochs) {
        low->has_epochs = true;
        low->source = floor->source;
        low->target = floor->target;
    } else if (floor->has_epochs) {
        low->source = u64_max(low->source, floor->source);
        low->target = u64_max(low->target, floor->target);
    }
    return was.has_slot != low->has_slot || was.has_epochs != low->has_epochs ||
           was.slot != low->slot || was.source != low->source || was.target != low->target;
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
