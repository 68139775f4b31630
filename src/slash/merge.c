#include "slash/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Known roots first: an unknown one in between would hide that two known ones differ. */
int slash_block_order(const void *a, const void *b)
{
    const struct slash_block *x = a, *y = b;
    int by_slot = order(x->slot, y->slot);
    return by_slot ? by_slot : y->has_root - x->has_root;
}

int slash_attestation_order(const void *a, const void *b)
{
    const struct slash_attestation *x = a, *y = b;
    int by_target = order(x->target, y->target);
    int by_source = by_target ? by_target : order(x->source, y->source);
    return by_source ? by_source : y->has_root - x->has_root;
}

static bool roots_equal(const struct signing_root *a, const struct signing_root *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* --- blocks ------------------------------------------------------------------------------------- */

/* Two records of one slot: true when both roots are known and differ. `into` keeps its root only where the
 * other says the same; an own record isn't touched by one that merely doesn't know.
 */
static bool join_block(struct slash_block *into, bool own, const struct slash_block *other)
{
    if (into->has_root && other->has_root && !roots_equal(&into->root, &other->root)) {
        into->has_root = false;
        return true;
    }
    if (!own && !other->has_root)
        into->has_root = false;
    return false;
}

/* Merges the sorted `add` into `have`; `m->blocks` has room for all. own[i] tells whose record it is. */
static bool join_blocks(const struct slash_validator *have,
                        const struct slash_block *add,
                        size_t add_count,
                        struct slash_merged *m,
                        bool *own)
{
    bool contradictory = false;
    size_t h = 0;
    for (size_t a = 0; a < add_count; a++) {
        while (h < have->block_count && have->blocks[h].slot <= add[a].slot) {
            own[m->block_count] = true;
            m->blocks[m->block_count++] = have->blocks[h++];
        }
        size_t last = m->block_count - 1;
        if (m->block_count && m->blocks[last].slot == add[a].slot) {
            contradictory |= join_block(&m->blocks[last], own[last], &add[a]);
            m->known++;
            continue;
        }
        own[m->block_count] = false;
        m->blocks[m->block_count] = add[a];
        if (have->low.has_slot && add[a].slot <= have->low.slot)
            m->blocks[m->block_count].has_root = false;
        m->block_count++;
        m->blocks_added++;
    }
    for (; h < have->block_count; h++) {
        own[m->block_count] = true;
        m->blocks[m->block_count++] = have->blocks[h];
    }
    return contradictory;
}

static void keep_own_blocks(struct slash_merged *m, const bool *own)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->block_count; i++)
        if (own[i] && m->blocks[i].has_root)
            m->blocks[kept++] = m->blocks[i];
    m->block_count = kept;
    m->blocks_added = 0;
}

static void raise_slot(struct slash_watermark *low, uint64_t slot)
{
    low->slot = low->has_slot ? u64_max(low->slot, slot) : slot;
    low->has_slot = true;
}

static cc_err merge_blocks(const struct slash_validator *have,
                           const struct slash_validator *add,
                           struct slash_merged *m)
{
    size_t room = have->block_count + add->block_count;
    CC_CLEANUP(cc_freep) bool *own = cc_alloc_array(room, sizeof *own);
    CC_CLEANUP(cc_freep)
    struct slash_block *sorted = cc_alloc_array(add->block_count, sizeof *sorted);
    m->blocks = cc_alloc_array(room, sizeof *m->blocks);
    if (!own || !sorted || !m->blocks)
        return CC_FAIL(NO_MEMORY, "merge");
    if (add->block_count) {
        memcpy(sorted, add->blocks, add->block_count * sizeof *sorted);
        qsort(sorted, add->block_count, sizeof *sorted, slash_block_order);
    }
    bool contradictory = join_blocks(have, sorted, add->block_count, m, own);
    if (contradictory) {
        raise_slot(&m->low, m->blocks[m->block_count - 1].slot);
        keep_own_blocks(m, own);
        m->contradictory = true;
    } else if (!m->low.has_slot && m->block_count) {
        raise_slot(&m->low, m->blocks[0].slot);
    }
    if (add->low.has_slot)
        raise_slot(&m->low, add->low.slot);
    return CC_OK;
}

/* --- attestations ------------------------------------------------------------------------------- */

static bool
join_attestation(struct slash_attestation *into, bool own, const struct slash_attestation *other)
{
    bool differ = into->source != other->source ||
                  (into->has_root && other->has_root && !roots_equal(&into->root, &other->root));
    if (differ || (!own && !other->has_root))
        into->has_root = false;
    return differ;
}

static bool at_or_below(const struct slash_watermark *low, const struct slash_attestation *a)
{
    return low->has_epochs && (a->source < low->source || a->target <= low->target);
}

static bool join_attestations(const struct slash_validator *have,
                              const struct slash_attestation *add,
                              size_t add_count,
                              struct slash_merged *m,
                              bool *own)
{
    bool contradictory = false;
    size_t h = 0;
    for (size_t a = 0; a < add_count; a++) {
        while (h < have->attestation_count && have->attestations[h].target <= add[a].target) {
            own[m->attestation_count] = true;
            m->attestations[m->attestation_count++] = have->attestations[h++];
        }
        size_t last = m->attestation_count - 1;
        if (m->attestation_count && m->attestations[last].target == add[a].target) {
            contradictory |= join_attestation(&m->attestations[last], own[last], &add[a]);
            m->known++;
            continue;
        }
        own[m->attestation_count] = false;
        m->attestations[m->attestation_count] = add[a];
        if (at_or_below(&have->low, &add[a]))
            m->attestations[m->attestation_count].has_root = false;
        m->attestation_count++;
        m->attestations_added++;
    }
    for (; h < have->attestation_count; h++) {
        own[m->attestation_count] = true;
        m->attestations[m->attestation_count++] = have->attestations[h];
    }
    return contradictory;
}

/* With one record for each target, in order of target: a source that falls is a surrounding vote. */
static bool any_surround(const struct slash_merged *m)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < m->attestation_count; i++) {
        const struct slash_attestation *a = &m->attestations[i];
        if (a->source > a->target || a->source < highest)
            return true;
        highest = a->source;
    }
    return false;
}

static void keep_own_attestations(struct slash_merged *m, const bool *own)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->attestation_count; i++)
        if (own[i] && m->attestations[i].has_root)
            m->attestations[kept++] = m->attestations[i];
    m->attestation_count = kept;
    m->attestations_added = 0;
}

static void raise_epochs(struct slash_watermark *low, uint64_t source, uint64_t target)
{
    low->source = low->has_epochs ? u64_max(low->source, source) : source;
    low->target = low->has_epochs ? u64_max(low->target, target) : target;
    low->has_epochs = true;
}

struct epoch_bounds {
    uint64_t min_source, max_source, min_target, max_target;
};

static void widen(struct epoch_bounds *b, const struct slash_attestation *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        b->min_source = u64_min(b->min_source, a[i].source);
        b->max_source = u64_max(b->max_source, a[i].source);
        b->min_target = u64_min(b->min_target, a[i].target);
        b->max_target = u64_max(b->max_target, a[i].target);
    }
}

static void place_epochs(const struct slash_validator *have,
                         const struct slash_validator *add,
                         struct slash_merged *m)
{
    /* Over all records as they came: joining may have hidden the second source of a target. */
    struct epoch_bounds b = {UINT64_MAX, 0, UINT64_MAX, 0};
    widen(&b, have->attestations, have->attestation_count);
    widen(&b, add->attestations, add->attestation_count);
    bool any = have->attestation_count + add->attestation_count > 0;
    if (m->contradictory && any)
        raise_epochs(&m->low, b.max_source, b.max_target);
    else if (!m->low.has_epochs && any)
        raise_epochs(&m->low, b.min_source, b.min_target);
    if (add->low.has_epochs)
        raise_epochs(&m->low, add->low.source, add->low.target);
}

static cc_err merge_attestations(const struct slash_validator *have,
                                 const struct slash_validator *add,
                                 struct slash_merged *m)
{
    size_t room = have->attestation_count + add->attestation_count;
    CC_CLEANUP(cc_freep) bool *own = cc_alloc_array(room, sizeof *own);
    CC_CLEANUP(cc_freep)
    struct slash_attestation *sorted = cc_alloc_array(add->attestation_count, sizeof *sorted);
    m->attestations = cc_alloc_array(room, sizeof *m->attestations);
    if (!own || !sorted || !m->attestations)
        return CC_FAIL(NO_MEMORY, "merge");
    if (add->attestation_count) {
        memcpy(sorted, add->attestations, add->attestation_count * sizeof *sorted);
        qsort(sorted, add->attestation_count, sizeof *sorted, slash_attestation_order);
    }
    bool contradictory = join_attestations(have, sorted, add->attestation_count, m, own);
    m->contradictory = contradictory || any_surround(m);
    place_epochs(have, add, m);
    if (m->contradictory)
        keep_own_attestations(m, own);
    return CC_OK;
}

CC_ERR slash_merge_records(const struct slash_validator *have,
                           const struct slash_validator *add,
                           struct slash_merged *ret_merged)
{
    struct slash_merged m = {.low = have->low};
    cc_err err = merge_attestations(have, add, &m);
    if (!err.code)
        err = merge_blocks(have, add, &m);
    if (err.code)
        slash_merged_release(&m);
    else
        *ret_merged = m;
    return err;
}

void slash_merged_release(struct slash_merged *merged)
{
    cc_free(merged->blocks);
    cc_free(merged->attestations);
    *merged = (struct slash_merged){0};
}
