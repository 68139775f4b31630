#include "base/num.h"

#include "slash/dynamodb_history.h"

enum {
    PRUNE_KEYS = 64 /* in one step */
};

/* One kind of one key: the records that go, and the oldest that stays. */
struct old_records {
    struct dynamodb_records gone;
    bool any_kept;
    struct dynamodb_record kept;
};

struct pruning {
    struct dynamodb_history *h;
    uint64_t keep_slots, keep_epochs;
    struct old_records blocks, votes;
    uint64_t removed; /* of the last head that was edited */
};

static void pruning_release(struct pruning *p)
{
    dynamodb_records_release(&p->blocks.gone);
    dynamodb_records_release(&p->votes.gone);
}

/* --- what is old ------------------------------------------------------------------------------------------------------------ */

static bool is_listed(const struct dynamodb_records *list, uint64_t number)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->all[i].number == number)
            return true;
    return false;
}

static cc_err sort_in(struct old_records *old, const struct dynamodb_record *r, uint64_t line)
{
    if (r->number < line)
        return is_listed(&old->gone, r->number) ? CC_OK : dynamodb_records_add(&old->gone, r);
    if (!old->any_kept || r->number < old->kept.number)
        old->kept = *r;
    old->any_kept = true;
    return CC_OK;
}

/* The items of one kind from the oldest on, until one stays; and the head's own. */
static cc_err find_old(struct pruning *p,
                       const struct dynamodb_head *head,
                       enum slash_claim_kind kind,
                       uint64_t line,
                       struct old_records *old)
{
    CC_CLEANUP(dynamodb_records_release) struct dynamodb_records page = {0};
    struct dynamodb_db *db = &p->h->db;
    struct dynamodb_range range;
    struct jval answer;
    old->gone.count = 0;
    old->any_kept = false;
    if (line == 0)
        return CC_OK;
    dynamodb_range_of_kind(&head->pubkey, kind, 0, UINT64_MAX, &range);
    do {
        page.count = 0;
        CC_TRY(dynamodb_body_query(db, &range, &db->body));
        CC_TRY(dynamodb_ask(db, "Query", &answer));
        CC_TRY(dynamodb_answer_records(answer, &head->pubkey, &page));
        CC_TRY(dynamodb_answer_after(answer, range.after));
        for (size_t i = 0; i < page.count && !old->any_kept; i++)
            CC_TRY(sort_in(old, &page.all[i], line));
    } while (range.after[0] && !old->any_kept);
    for (size_t i = 0; i < head->recent_count; i++)
        if (head->recent[i].kind == kind)
            CC_TRY(sort_in(old, &head->recent[i], line));
    return CC_OK;
}

/* --- the head without it ------------------------------------------------------------------------------------------------------ */

static uint64_t less(uint64_t count, uint64_t gone)
{
    return count > gone ? count - gone : 0;
}

/* Watermarks rise to what stays, over all that goes. */
static void raise_lows(struct dynamodb_head *head, const struct pruning *p)
{
    const struct old_records *blocks = &p->blocks, *votes = &p->votes;
    if (blocks->gone.count && blocks->any_kept)
        head->low.slot = u64_max(head->low.slot, blocks->kept.number);
    if (votes->gone.count == 0 || !votes->any_kept)
        return;
    for (size_t i = 0; i < votes->gone.count; i++)
        head->low.source = u64_max(head->low.source, votes->gone.all[i].source);
    head->low.source = u64_max(head->low.source, votes->kept.source);
    head->low.target = u64_max(head->low.target, votes->kept.number);
}

static void drop_recent(struct dynamodb_head *head, const struct pruning *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < head->recent_count; i++) {
        const struct dynamodb_record *r = &head->recent[i];
        const struct old_records *old = r->kind == SLASH_CLAIM_BLOCK ? &p->blocks : &p->votes;
        if (!is_listed(&old->gone, r->number))
            head->recent[kept++] = *r;
    }
    head->recent_count = kept;
}

/* The head first, the items after it: what goes must never be missing before the watermarks stand for it. */
static cc_err prune_once(struct pruning *p, struct dynamodb_head *head)
{
    uint64_t slot_line = head->has_block ? slash_prune_line(head->max_slot, p->keep_slots) : 0;
    uint64_t epoch_line =
        head->has_attestation ? slash_prune_line(head->max_target, p->keep_epochs) : 0;
    p->removed = 0;
    CC_TRY(find_old(p, head, SLASH_CLAIM_BLOCK, slot_line, &p->blocks));
    CC_TRY(find_old(p, head, SLASH_CLAIM_ATTESTATION, epoch_line, &p->votes));
    size_t blocks = p->blocks.gone.count, votes = p->votes.gone.count;
    if (blocks + votes == 0)
        return CC_OK;
    raise_lows(head, p);
    drop_recent(head, p);
    head->blocks = less(head->blocks, blocks);
    head->attestations = less(head->attestations, votes);
    head->version++;
    CC_TRY(dynamodb_put_head(&p->h->db, head));
    CC_TRY(dynamodb_delete_records(&p->h->db, &head->pubkey, p->blocks.gone.all, blocks));
    CC_TRY(dynamodb_delete_records(&p->h->db, &head->pubkey, p->votes.gone.all, votes));
    p->removed = blocks + votes;
    return CC_OK;
}

/* A key that others are busy with is left for the next pass. */
static cc_err prune_key(struct pruning *p, struct dynamodb_head *head)
{
    if (head->merging)
        return CC_OK;
    cc_err err = prune_once(p, head);
    return error_is(err, ERROR_CONFLICT) ? CC_OK : err;
}

cc_err dynamodb_prune(struct slash_store *store,
                      uint64_t keep_epochs,
                      uint64_t slots_per_epoch,
                      struct slash_prune_step *ret_step)
{
    CC_CLEANUP(pruning_release)
    struct pruning p = {.h = dynamodb_history_of(store),
                        .keep_slots = slash_keep_slots(keep_epochs, slots_per_epoch),
                        .keep_epochs = keep_epochs};
    struct dynamodb_head heads[PRUNE_KEYS];
    struct slash_prune_step step = {0};
    size_t n = 0;
    CC_TRY(dynamodb_history_ready(p.h));
    struct dynamodb_cursor cursor = p.h->pruned;
    CC_TRY(dynamodb_page_heads(p.h, &cursor, PRUNE_KEYS, heads, &n, &step.more));
    for (size_t i = 0; i < n; i++) {
        CC_TRY(prune_key(&p, &heads[i]));
        step.removed += p.removed;
    }
    p.h->pruned = step.more ? cursor : (struct dynamodb_cursor){0};
    *ret_step = step;
    return CC_OK;
}
