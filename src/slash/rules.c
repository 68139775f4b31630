#include "slash/rules.h"

#include <string.h>

static const char *const rule_names[] = {
#define R(name, text) #name,
#include "slash/rule.def"
#undef R
};
static const char *const rule_texts[] = {
#define R(name, text) text,
#include "slash/rule.def"
#undef R
};

const char *slash_rule_name(enum slash_rule rule)
{
    return (unsigned)rule < SLASH_RULE_END ? rule_names[rule] : "UNKNOWN";
}

const char *slash_rule_text(enum slash_rule rule)
{
    return (unsigned)rule < SLASH_RULE_END ? rule_texts[rule] : "unknown rule";
}

bool slash_high_forbids_block(const struct slash_high *high, uint64_t slot)
{
    return high->set && slot >= high->slot;
}

bool slash_high_forbids_attestation(const struct slash_high *high, uint64_t source, uint64_t target)
{
    return high->set && (source >= high->epoch || target >= high->epoch);
}

/* A message without a root matches nothing, not even another one without a root. */
static bool
same_root(bool has_a, const struct signing_root *a, bool has_b, const struct signing_root *b)
{
    return has_a && has_b && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct slash_verdict slash_judge_block(const struct slash_block *block,
                                       const struct slash_watermark *low,
                                       const struct slash_block *records,
                                       size_t n)
{
    bool repeat = false;
    for (size_t i = 0; i < n; i++) {
        if (records[i].slot != block->slot)
            continue;
        if (!same_root(block->has_root, &block->root, records[i].has_root, &records[i].root))
            return (struct slash_verdict){.rule = SLASH_DOUBLE_BLOCK, .earlier_slot = block->slot};
        repeat = true;
    }
    if (repeat)
        return (struct slash_verdict){.rule = SLASH_REPEAT, .earlier_slot = block->slot};
    if (low->has_slot && block->slot <= low->slot)
        return (struct slash_verdict){.rule = SLASH_BLOCK_BELOW, .earlier_slot = low->slot};
    return (struct slash_verdict){.rule = SLASH_SAFE};
}

static struct slash_verdict against(enum slash_rule rule, uint64_t source, uint64_t target)
{
    return (struct slash_verdict){.rule = rule, .earlier_source = source, .earlier_target = target};
}

/* SAFE when no record has the same target. */
static struct slash_verdict
same_target(const struct slash_attestation *a, const struct slash_attestation *records, size_t n)
{
    struct slash_verdict verdict = {.rule = SLASH_SAFE};
    for (size_t i = 0; i < n; i++) {
        const struct slash_attestation *r = &records[i];
        if (r->target != a->target)
            continue;
        bool same =
            r->source == a->source && same_root(a->has_root, &a->root, r->has_root, &r->root);
        if (!same)
            return against(SLASH_DOUBLE_VOTE, r->source, r->target);
        verdict = against(SLASH_REPEAT, r->source, r->target);
    }
    return verdict;
}

/* SAFE when no record surrounds, or is surrounded by, the attestation. */
static struct slash_verdict
surround(const struct slash_attestation *a, const struct slash_attestation *records, size_t n)
{
    struct slash_verdict verdict = {.rule = SLASH_SAFE};
    for (size_t i = 0; i < n; i++) {
        const struct slash_attestation *r = &records[i];
        bool surrounding = a->source < r->source && r->target < a->target;
        bool surrounded = r->source < a->source && a->target < r->target;
        if (!surrounding && !surrounded)
            continue;
        if (r->target < verdict.earlier_target)
            continue;
        verdict = against(surrounding ? SLASH_SURROUNDING : SLASH_SURROUNDED, r->source, r->target);
    }
    return verdict;
}

struct slash_verdict slash_judge_attestation(const struct slash_attestation *attestation,
                                             const struct slash_watermark *low,
                                             const struct slash_attestation *records,
                                             size_t n)
{
    if (attestation->source > attestation->target)
        return (struct slash_verdict){.rule = SLASH_SOURCE_AFTER_TARGET};
    struct slash_verdict verdict = same_target(attestation, records, n);
    if (verdict.rule != SLASH_SAFE)
        return verdict;
    verdict = surround(attestation, records, n);
    if (verdict.rule != SLASH_SAFE)
        return verdict;
    if (low->has_epochs && attestation->source < low->source)
        return against(SLASH_SOURCE_BELOW, low->source, low->target);
    if (low->has_epochs && attestation->target <= low->target)
        return against(SLASH_TARGET_BELOW, low->source, low->target);
    return verdict;
}
