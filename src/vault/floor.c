#include "vault/floor.h"

#include <string.h>

#include "base/macros.h"
#include "base/num.h"

#include "crypto/sha256.h"
#include "secret/wipe.h"

/* --- fingerprints ---------------------------------------------------------------------------------- */

/* One message: its kind and numbers as well as its root, so that nothing rests on roots alone. */
struct message {
    uint8_t secret[32];
    uint8_t root[32];
    uint64_t slot_or_source;
    uint64_t target;
    uint64_t is_block;
};

/* The input has one length, so that a prefix is a key. */
static uint64_t fingerprint_of(const struct floor_secret *secret, const struct message *message)
{
    struct message keyed = *message;
    uint8_t digest[SHA256_SIZE];
    memcpy(keyed.secret, secret->bytes, sizeof keyed.secret);
    sha256(span_of(&keyed, sizeof keyed), digest);
    wipe(&keyed, sizeof keyed);
    uint64_t fingerprint = u64_load_le(digest);
    return fingerprint ? fingerprint : 1;
}

static bool remembers(const struct floor *f, uint64_t fingerprint)
{
    for (size_t i = 0; i < FLOOR_REMEMBERED; i++)
        if (f->fingerprints[i] == fingerprint)
            return true;
    return false;
}

/* What was signed once may be signed again whatever the window says; what is new is remembered. */
static struct slash_verdict settle(struct floor *f,
                                   const struct floor_secret *secret,
                                   const struct message *message,
                                   struct slash_verdict verdict)
{
    uint64_t fingerprint = fingerprint_of(secret, message);
    if (verdict.rule == SLASH_SAFE) {
        f->fingerprints[f->next_fingerprint] = fingerprint;
        f->next_fingerprint = (f->next_fingerprint + 1) % FLOOR_REMEMBERED;
    } else if (remembers(f, fingerprint)) {
        verdict.rule = SLASH_REPEAT;
    }
    return verdict;
}

/* --- the window -------------------------------------------------------------------------------------- */

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

static struct slash_verdict judge_block(struct floor *floor, const struct slash_block *block)
{
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

static struct slash_verdict judge_attestation(struct floor *floor,
                                              const struct slash_attestation *attestation)
{
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

struct slash_verdict floor_admit_block(struct floor *floor,
                                       const struct floor_secret *secret,
                                       const struct slash_block *block)
{
    cc_assert(block->has_root);
    struct message message = {.slot_or_source = block->slot, .is_block = 1};
    memcpy(message.root, block->root.bytes, sizeof message.root);
    return settle(floor, secret, &message, judge_block(floor, block));
}

struct slash_verdict floor_admit_attestation(struct floor *floor,
                                             const struct floor_secret *secret,
                                             const struct slash_attestation *attestation)
{
    cc_assert(attestation->has_root);
    struct message message = {.slot_or_source = attestation->source, .target = attestation->target};
    memcpy(message.root, attestation->root.bytes, sizeof message.root);
    return settle(floor, secret, &message, judge_attestation(floor, attestation));
}
