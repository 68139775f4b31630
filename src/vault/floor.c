#include "vault/floor.h"

#include "base/macros.h"
#include "base/num.h"

/* The lowest leaves, not the oldest: then everything that is kept lies above the watermark, and nothing below it can
 * be a new message.
 */
static struct slash_block *lowest_block(struct floor *f)
{
    struct slash_block *lowest = &f->blocks[0];
    for (uint32_t i = 1; i < f->block_count; i++) {
        if (f->blocks[i].slot < lowest->slot)
            lowest = &f->blocks[i];
    }
    return lowest;
}

static void raise_slot(struct slash_watermark *low, uint64_t slot)
{
    low->slot = low->has_slot ? u64_max(low->slot, slot) : slot;
    low->has_slot = true;
}

struct slash_verdict floor_admit_block(struct floor *floor, const struct slash_block *block)
{
    cc_assert(block->has_root);
    struct slash_verdict verdict =
        slash_judge_block(block, &floor->low, floor->blocks, floor->block_count);
    if (verdict.rule != SLASH_SAFE)
        return verdict;
    if (floor->block_count < FLOOR_BLOCKS) {
        floor->blocks[floor->block_count++] = *block;
        return verdict;
    }
    struct slash_block *lowest = lowest_block(floor);
    if (block->slot < lowest->slot) {
        raise_slot(&floor->low, block->slot);
        return verdict;
    }
    raise_slot(&floor->low, lowest->slot);
    *lowest = *block;
    return verdict;
}

static struct slash_attestation *lowest_attestation(struct floor *f)
{
    struct slash_attestation *lowest = &f->attestations[0];
    for (uint32_t i = 1; i < f->attestation_count; i++) {
        if (f->attestations[i].target < lowest->target)
            lowest = &f->attestations[i];
    }
    return lowest;
}

static void raise_epochs(struct slash_watermark *low, const struct slash_attestation *gone)
{
    low->source = low->has_epochs ? u64_max(low->source, gone->source) : gone->source;
    low->target = low->has_epochs ? u64_max(low->target, gone->target) : gone->target;
    low->has_epochs = true;
}

struct slash_verdict floor_admit_attestation(struct floor *floor,
                                             const struct slash_attestation *attestation)
{
    cc_assert(attestation->has_root);
    struct slash_verdict verdict = slash_judge_attestation(
        attestation, &floor->low, floor->attestations, floor->attestation_count);
    if (verdict.rule != SLASH_SAFE)
        return verdict;
    if (floor->attestation_count < FLOOR_ATTESTATIONS) {
        floor->attestations[floor->attestation_count++] = *attestation;
        return verdict;
    }
    struct slash_attestation *lowest = lowest_attestation(floor);
    if (attestation->target < lowest->target) {
        raise_epochs(&floor->low, attestation);
        return verdict;
    }
    raise_epochs(&floor->low, lowest);
    *lowest = *attestation;
    return verdict;
}
