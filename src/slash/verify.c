#include "slash/verify.h"

static const struct {
    const char *name;
    const char *text;
    bool of_block;
} faults[SLASH_FAULT_END] = {
    [SLASH_FAULT_NONE] = {"NONE", "nothing", false},
    [SLASH_FAULT_DOUBLE_BLOCK] = {"DOUBLE_BLOCK", "two blocks of one slot", true},
    [SLASH_FAULT_DOUBLE_VOTE] = {"DOUBLE_VOTE", "two attestations of one target epoch", false},
    [SLASH_FAULT_SURROUND] = {"SURROUND", "an earlier attestation has a later source", false},
    [SLASH_FAULT_SOURCE_AFTER_TARGET] = {"SOURCE_AFTER_TARGET", "a source after its target", false},
    [SLASH_FAULT_NO_WATERMARK] = {"NO_WATERMARK", "records without a low watermark", false},
};

const char *slash_fault_name(enum slash_fault fault)
{
    return faults[fault < SLASH_FAULT_END ? fault : SLASH_FAULT_NONE].name;
}

const char *slash_fault_text(enum slash_fault fault)
{
    return faults[fault < SLASH_FAULT_END ? fault : SLASH_FAULT_NONE].text;
}

bool slash_fault_is_of_block(enum slash_fault fault)
{
    return fault < SLASH_FAULT_END && faults[fault].of_block;
}

static cc_err verify_blocks(const struct slash_validator *v, slash_found_fn *found, void *context)
{
    struct slash_found f = {.fault = SLASH_FAULT_DOUBLE_BLOCK};
    for (size_t i = 1; i < v->block_count; i++) {
        f.slot = v->blocks[i].slot;
        if (v->blocks[i - 1].slot == f.slot)
            CC_TRY(found(context, &f));
    }
    return CC_OK;
}

/* In order of target, so what surrounds is what comes later with an earlier source. */
static enum slash_fault
judge(const struct slash_attestation *a, uint64_t highest, const struct slash_attestation *before)
{
    if (a->source > a->target)
        return SLASH_FAULT_SOURCE_AFTER_TARGET;
    if (before && before->target == a->target)
        return SLASH_FAULT_DOUBLE_VOTE;
    return a->source < highest ? SLASH_FAULT_SURROUND : SLASH_FAULT_NONE;
}

static cc_err
verify_attestations(const struct slash_validator *v, slash_found_fn *found, void *context)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < v->attestation_count; i++) {
        const struct slash_attestation *a = &v->attestations[i];
        struct slash_found f = {.source = a->source, .target = a->target};
        f.fault = judge(a, highest, i ? a - 1 : NULL);
        if (f.fault != SLASH_FAULT_NONE)
            CC_TRY(found(context, &f));
        highest = a->source > highest ? a->source : highest;
    }
    return CC_OK;
}

CC_ERR slash_verify_validator(const struct slash_validator *v, slash_found_fn *found, void *context)
{
    static const struct slash_found unmarked = {.fault = SLASH_FAULT_NO_WATERMARK};
    CC_TRY(verify_blocks(v, found, context));
    CC_TRY(verify_attestations(v, found, context));
    bool missing =
        (v->block_count && !v->low.has_slot) || (v->attestation_count && !v->low.has_epochs);
    return missing ? found(context, &unmarked) : CC_OK;
}
