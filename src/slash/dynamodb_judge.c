#include "slash/dynamodb_judge.h"

#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "slash/backend.h"

CC_ERR dynamodb_records_add(struct dynamodb_records *list, const struct dynamodb_record *record)
{
    struct dynamodb_record *all = cc_grow_array(list->all, list->count, &list->room, sizeof *all);
    if (!all)
        return CC_FAIL(NO_MEMORY, "records");
    list->all = all;
    all[list->count++] = *record;
    return CC_OK;
}

void dynamodb_records_release(struct dynamodb_records *list)
{
    cc_free(list->all);
    *list = (struct dynamodb_records){0};
}

static struct slash_block block_of(const struct dynamodb_record *r)
{
    return (struct slash_block){r->number, r->has_root, r->root};
}

static struct slash_attestation vote_of(const struct dynamodb_record *r)
{
    return (struct slash_attestation){r->source, r->number, r->has_root, r->root};
}

static const struct dynamodb_record *
find_recent(const struct dynamodb_head *head, enum slash_claim_kind kind, uint64_t number)
{
    for (size_t i = 0; i < head->recent_count; i++)
        if (head->recent[i].kind == kind && head->recent[i].number == number)
            return &head->recent[i];
    return NULL;
}

/* One record for a slot, so the head's decides where it has one; beyond the newest there is none. */
static bool judge_block(const struct dynamodb_head *head,
                        const struct slash_claim *claim,
                        struct slash_verdict *ret_verdict)
{
    const struct slash_block block = slash_claim_block(claim);
    const struct dynamodb_record *same = find_recent(head, claim->kind, claim->slot);
    if (!same && head->has_block && claim->slot <= head->max_slot)
        return false;
    const struct slash_block record = same ? block_of(same) : (struct slash_block){0};
    *ret_verdict = slash_judge_block(&block, &head->low, &record, same != NULL);
    return true;
}

/* Beyond the newest target: records conflict whose source is later than the claim's. Kept records never contradict one
 * another (slash/merge.h), so the newest has the latest source: if any conflicts it does, and it is the one to report.
 */
static bool judge_vote(const struct dynamodb_head *head,
                       const struct slash_claim *claim,
                       struct slash_verdict *ret_verdict)
{
    const struct slash_attestation vote = slash_claim_attestation(claim);
    const struct dynamodb_record *same = find_recent(head, claim->kind, claim->target);
    bool inside = head->has_attestation && claim->target <= head->max_target;
    if (!same && inside && claim->source <= claim->target)
        return false;
    struct slash_attestation record = {.source = head->max_source, .target = head->max_target};
    if (same)
        record = vote_of(same);
    *ret_verdict = slash_judge_attestation(&vote, &head->low, &record, head->has_attestation);
    return true;
}

bool dynamodb_judge_head(const struct dynamodb_head *head,
                         const struct slash_claim *claim,
                         struct slash_verdict *ret_verdict)
{
    *ret_verdict = (struct slash_verdict){.rule = slash_gate(head->enabled, &head->high, claim)};
    if (ret_verdict->rule != SLASH_SAFE)
        return true;
    return claim->kind == SLASH_CLAIM_BLOCK ? judge_block(head, claim, ret_verdict)
                                            : judge_vote(head, claim, ret_verdict);
}

/* A vote that conflicts has the claim's target, or spans an epoch that the claim spans too: its target is not before the
 * claim's source.
 */
void dynamodb_judge_range(const struct slash_claim *claim, uint64_t *ret_first, uint64_t *ret_last)
{
    bool block = claim->kind == SLASH_CLAIM_BLOCK;
    *ret_first = block ? claim->slot : claim->source;
    *ret_last = block ? claim->slot : UINT64_MAX;
}

static struct slash_verdict judge_all_blocks(const struct dynamodb_head *head,
                                             const struct slash_claim *claim,
                                             const struct dynamodb_record *records,
                                             size_t n,
                                             struct slash_block *room)
{
    const struct slash_block block = slash_claim_block(claim);
    for (size_t i = 0; i < n; i++)
        room[i] = block_of(&records[i]);
    return slash_judge_block(&block, &head->low, room, n);
}

static struct slash_verdict judge_all_votes(const struct dynamodb_head *head,
                                            const struct slash_claim *claim,
                                            const struct dynamodb_record *records,
                                            size_t n,
                                            struct slash_attestation *room)
{
    const struct slash_attestation vote = slash_claim_attestation(claim);
    for (size_t i = 0; i < n; i++)
        room[i] = vote_of(&records[i]);
    return slash_judge_attestation(&vote, &head->low, room, n);
}

CC_ERR dynamodb_judge_records(const struct dynamodb_head *head,
                              const struct slash_claim *claim,
                              const struct dynamodb_records *records,
                              struct slash_verdict *ret_verdict)
{
    CC_CLEANUP(dynamodb_records_release) struct dynamodb_records of_kind = {0};
    bool is_block = claim->kind == SLASH_CLAIM_BLOCK;
    for (size_t i = 0; i < records->count; i++)
        if (records->all[i].kind == claim->kind)
            CC_TRY(dynamodb_records_add(&of_kind, &records->all[i]));
    for (size_t i = 0; i < head->recent_count; i++)
        if (head->recent[i].kind == claim->kind)
            CC_TRY(dynamodb_records_add(&of_kind, &head->recent[i]));
    size_t size = is_block ? sizeof(struct slash_block) : sizeof(struct slash_attestation);
    CC_CLEANUP(cc_freep) void *room = cc_alloc_array(of_kind.count + 1, size);
    if (!room)
        return CC_FAIL(NO_MEMORY, "records");
    *ret_verdict = is_block ? judge_all_blocks(head, claim, of_kind.all, of_kind.count, room)
                            : judge_all_votes(head, claim, of_kind.all, of_kind.count, room);
    return CC_OK;
}

static void record_block(struct dynamodb_head *head, uint64_t slot)
{
    if (!head->low.has_slot) {
        head->low.has_slot = true;
        head->low.slot = slot;
    }
    head->max_slot = head->has_block ? u64_max(head->max_slot, slot) : slot;
    head->has_block = true;
    head->blocks++;
}

static void record_vote(struct dynamodb_head *head, uint64_t source, uint64_t target)
{
    if (!head->low.has_epochs) {
        head->low.has_epochs = true;
        head->low.source = source;
        head->low.target = target;
    }
    head->max_source = head->has_attestation ? u64_max(head->max_source, source) : source;
    head->max_target = head->has_attestation ? u64_max(head->max_target, target) : target;
    head->has_attestation = true;
    head->attestations++;
}

void dynamodb_head_record(struct dynamodb_head *head, const struct slash_claim *claim)
{
    bool block = claim->kind == SLASH_CLAIM_BLOCK;
    cc_assert(head->recent_count < DYNAMODB_RECENT_MAX);
    head->version++;
    head->recent[head->recent_count++] = (struct dynamodb_record){
        .kind = claim->kind,
        .number = block ? claim->slot : claim->target,
        .source = block ? 0 : claim->source,
        .has_root = true,
        .root = claim->root,
        .version = head->version,
    };
    if (block)
        record_block(head, claim->slot);
    else
        record_vote(head, claim->source, claim->target);
}
