#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "slash/dynamodb_history.h"

/* An import in three steps (dynamodb_history.h has why): the mark; the items, each batch under the condition that the mark is
 * still ours; the head without the mark. Watermarks rise before a record goes.
 */
struct merging {
    struct dynamodb_history *h;
    const struct slash_validator *add;
    struct dynamodb_head head;    /* with our mark */
    struct dynamodb_records all;  /* of the key */
    struct dynamodb_records own;  /* of them, those that are the history's */
    struct dynamodb_records left; /* and those of imports that were not completed */
    struct dynamodb_split have;
    struct slash_validator together; /* what is added, with what was left */
    struct slash_merged merged;
};

static void merging_release(struct merging *m)
{
    dynamodb_records_release(&m->all);
    dynamodb_records_release(&m->own);
    dynamodb_records_release(&m->left);
    dynamodb_split_release(&m->have);
    slash_merged_release(&m->merged);
}

/* --- the mark -------------------------------------------------------------------------------------------------------------- */

static bool is_stale(const struct dynamodb_head *head)
{
    uint64_t now = clock_wall_ms();
    uint64_t apart =
        now > head->merging_since ? now - head->merging_since : head->merging_since - now;
    return apart > DYNAMODB_MERGE_LEASE_MS;
}

/* *ret_marked false when there is nothing to settle. Who adds takes over at once; others give an import its time. */
static cc_err mark(struct merging *m, const struct eth_pubkey *pubkey, bool *ret_marked)
{
    bool found = false;
    *ret_marked = false;
    CC_TRY(dynamodb_get_head(&m->h->db, pubkey, &found, &m->head));
    if (!found)
        return CC_FAIL(KEY_UNKNOWN, "no protection row");
    if (!m->add && !m->head.merging)
        return CC_OK;
    if (!m->add && !is_stale(&m->head))
        return CC_FAIL(CONFLICT, "an import of this key is going on");
    m->head.version++;
    if (!m->head.merging)
        m->head.merging = m->head.version;
    m->head.merging_since = clock_wall_ms();
    CC_TRY(dynamodb_put_head(&m->h->db, &m->head));
    *ret_marked = true;
    return CC_OK;
}

/* --- what there is ---------------------------------------------------------------------------------------------------------- */

static cc_err read_all(struct merging *m)
{
    struct dynamodb_range range;
    const struct dynamodb_head *head = &m->head;
    dynamodb_range_of_key(&head->pubkey, &range);
    CC_TRY(dynamodb_get_records(&m->h->db, &head->pubkey, &range, &m->all));
    for (size_t i = 0; i < m->all.count; i++) {
        const struct dynamodb_record *r = &m->all.all[i];
        CC_TRY(dynamodb_records_add(r->version < head->merging ? &m->own : &m->left, r));
    }
    for (size_t i = 0; i < head->recent_count; i++)
        CC_TRY(dynamodb_records_add(&m->own, &head->recent[i]));
    return dynamodb_split(&m->own, &m->have);
}

/* Added records and left ones, in any order: slash/merge.h sorts them. */
static cc_err join(struct merging *m, struct slash_block *blocks, struct slash_attestation *votes)
{
    struct slash_validator *t = &m->together;
    const struct slash_validator none = {.pubkey = m->head.pubkey, .enabled = m->head.enabled};
    *t = m->add ? *m->add : none;
    if (t->block_count)
        memcpy(blocks, t->blocks, t->block_count * sizeof *blocks);
    if (t->attestation_count)
        memcpy(votes, t->attestations, t->attestation_count * sizeof *votes);
    for (size_t i = 0; i < m->left.count; i++) {
        const struct dynamodb_record *r = &m->left.all[i];
        if (r->kind == SLASH_CLAIM_BLOCK)
            blocks[t->block_count++] = (struct slash_block){r->number, r->has_root, r->root};
        else
            votes[t->attestation_count++] =
                (struct slash_attestation){r->source, r->number, r->has_root, r->root};
    }
    t->blocks = blocks;
    t->attestations = votes;
    const struct slash_validator have = {.pubkey = m->head.pubkey,
                                         .enabled = m->head.enabled,
                                         .low = m->head.low,
                                         .blocks = m->have.blocks,
                                         .block_count = m->have.block_count,
                                         .attestations = m->have.attestations,
                                         .attestation_count = m->have.attestation_count};
    return slash_merge_records(&have, t, &m->merged);
}

static cc_err merge_records(struct merging *m)
{
    size_t blocks = m->left.count + (m->add ? m->add->block_count : 0);
    size_t votes = m->left.count + (m->add ? m->add->attestation_count : 0);
    CC_CLEANUP(cc_freep) struct slash_block *b = cc_alloc_array(blocks + 1, sizeof *b);
    CC_CLEANUP(cc_freep) struct slash_attestation *v = cc_alloc_array(votes + 1, sizeof *v);
    if (!b || !v)
        return CC_FAIL(NO_MEMORY, "merge");
    return join(m, b, v);
}

/* --- what becomes of it ------------------------------------------------------------------------------------------------------ */

static const struct dynamodb_record *
find(const struct dynamodb_records *list, enum slash_claim_kind kind, uint64_t number)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->all[i].kind == kind && list->all[i].number == number)
            return &list->all[i];
    return NULL;
}

static bool same_record(const struct dynamodb_record *a, const struct dynamodb_record *b)
{
    return a->source == b->source && a->has_root == b->has_root &&
           (!a->has_root || memcmp(a->root.bytes, b->root.bytes, sizeof a->root.bytes) == 0);
}

/* The merged records as items; those that are there already, as they should be, keep their version. */
static cc_err list_merged(struct merging *m, struct dynamodb_records *ret_all)
{
    const struct slash_merged *merged = &m->merged;
    for (size_t i = 0; i < merged->block_count; i++) {
        const struct slash_block *b = &merged->blocks[i];
        const struct dynamodb_record r = {SLASH_CLAIM_BLOCK, b->slot, 0,
                                          b->has_root,       b->root, m->head.version};
        CC_TRY(dynamodb_records_add(ret_all, &r));
    }
    for (size_t i = 0; i < merged->attestation_count; i++) {
        const struct slash_attestation *a = &merged->attestations[i];
        const struct dynamodb_record r = {
            SLASH_CLAIM_ATTESTATION, a->target, a->source, a->has_root, a->root, m->head.version};
        CC_TRY(dynamodb_records_add(ret_all, &r));
    }
    return CC_OK;
}

static cc_err put_fenced(struct merging *m, const struct dynamodb_records *puts)
{
    struct dynamodb_db *db = &m->h->db;
    struct jval answer;
    for (size_t i = 0; i < puts->count; i += DYNAMODB_FENCED_MAX) {
        size_t n = puts->count - i < DYNAMODB_FENCED_MAX ? puts->count - i : DYNAMODB_FENCED_MAX;
        CC_TRY(dynamodb_body_fenced_records(db, &m->head.pubkey, m->head.version, puts->all + i, n,
                                            &db->body));
        CC_TRY(dynamodb_ask(db, "TransactWriteItems", &answer));
    }
    return CC_OK;
}

/* Before a record goes, what stands for it: the watermarks that slash/merge.h has raised over it. */
static cc_err raise_first(struct merging *m)
{
    m->head.low = m->merged.low;
    m->head.version++;
    return dynamodb_put_head(&m->h->db, &m->head);
}

static cc_err write_items(struct merging *m)
{
    CC_CLEANUP(dynamodb_records_release) struct dynamodb_records wanted = {0};
    CC_CLEANUP(dynamodb_records_release) struct dynamodb_records puts = {0};
    CC_CLEANUP(dynamodb_records_release) struct dynamodb_records drops = {0};
    CC_TRY(list_merged(m, &wanted));
    for (size_t i = 0; i < wanted.count; i++) {
        const struct dynamodb_record *w = &wanted.all[i];
        const struct dynamodb_record *there = find(&m->all, w->kind, w->number);
        if (!there || !same_record(there, w))
            CC_TRY(dynamodb_records_add(&puts, w));
    }
    for (size_t i = 0; i < m->all.count; i++)
        if (!find(&wanted, m->all.all[i].kind, m->all.all[i].number))
            CC_TRY(dynamodb_records_add(&drops, &m->all.all[i]));
    if (drops.count)
        CC_TRY(raise_first(m));
    for (size_t i = 0; i < puts.count; i++)
        puts.all[i].version = m->head.version;
    CC_TRY(put_fenced(m, &puts));
    return dynamodb_delete_records(&m->h->db, &m->head.pubkey, drops.all, drops.count);
}

static cc_err write_head(struct merging *m)
{
    const struct slash_merged *merged = &m->merged;
    struct dynamodb_head *head = &m->head;
    head->version++;
    head->low = merged->low;
    head->blocks = merged->block_count;
    head->has_block = merged->block_count > 0;
    if (head->has_block)
        head->max_slot = merged->blocks[merged->block_count - 1].slot;
    head->attestations = merged->attestation_count;
    head->has_attestation = merged->attestation_count > 0;
    if (head->has_attestation) {
        /* No two kept votes contradict each other, so the newest has the latest source. */
        head->max_source = merged->attestations[merged->attestation_count - 1].source;
        head->max_target = merged->attestations[merged->attestation_count - 1].target;
    }
    head->recent_count = 0;
    head->merging = 0;
    head->merging_since = 0;
    return dynamodb_put_head(&m->h->db, head);
}

static cc_err merge_once(struct dynamodb_history *h,
                         const struct eth_pubkey *pubkey,
                         const struct slash_validator *add,
                         struct slash_import_report *report)
{
    CC_CLEANUP(merging_release) struct merging m = {.h = h, .add = add};
    bool marked = false;
    CC_TRY(mark(&m, pubkey, &marked));
    if (!marked)
        return CC_OK;
    CC_TRY(read_all(&m));
    CC_TRY(merge_records(&m));
    CC_TRY(write_items(&m));
    CC_TRY(write_head(&m));
    if (report)
        slash_report_add(report, &m.merged);
    return CC_OK;
}

CC_ERR dynamodb_merge_key(struct dynamodb_history *h,
                          const struct eth_pubkey *pubkey,
                          const struct slash_validator *add,
                          struct slash_import_report *report)
{
    cc_err err = CC_OK;
    for (int tries = 0; tries < DYNAMODB_TRIES; tries++) {
        err = merge_once(h, pubkey, add, report);
        if (!error_is(err, ERROR_CONFLICT) || !add)
            break;
    }
    return err;
}
