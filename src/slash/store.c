#include "slash/store.h"

#include <string.h>

/* One thread at a time: two at once would be a programming error of the core, and a dangerous one. */
static void enter(struct slash_store *store)
{
    cc_assert(store && store->ops);
    cc_assert(__atomic_exchange_n(&store->busy, 1, __ATOMIC_ACQUIRE) == 0);
}

static cc_err leave(struct slash_store *store, cc_err err)
{
    __atomic_store_n(&store->busy, 0, __ATOMIC_RELEASE);
    return err;
}

/* What stands in the verdicts until a backend has said otherwise, and again after any error. */
static void refuse_all(struct slash_verdict *verdicts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        verdicts[i] = (struct slash_verdict){.rule = SLASH_UNREGISTERED};
}

CC_ERR slash_check_and_record(struct slash_store *store,
                              const struct slash_claim *claims,
                              size_t n,
                              struct slash_verdict *ret_verdicts)
{
    cc_assert(claims && ret_verdicts && n >= 1 && n <= SLASH_BATCH_MAX);
    for (size_t i = 0; i < n; i++)
        cc_assert(claims[i].kind == SLASH_CLAIM_BLOCK || claims[i].kind == SLASH_CLAIM_ATTESTATION);
    refuse_all(ret_verdicts, n);
    enter(store);
    cc_err err = store->ops->check_and_record(store, claims, n, ret_verdicts);
    if (err.code)
        refuse_all(ret_verdicts, n);
    return leave(store, err);
}

CC_ERR slash_register_keys(struct slash_store *store,
                           const struct eth_pubkey *keys,
                           size_t n,
                           const struct slash_watermark *floor)
{
    cc_assert(keys || n == 0);
    enter(store);
    store->rows_made = 0;
    return leave(store, n ? store->ops->register_keys(store, keys, n, floor) : CC_OK);
}

CC_ERR slash_set_enabled(struct slash_store *store, const struct eth_pubkey *key, bool enabled)
{
    cc_assert(key);
    enter(store);
    return leave(store, store->ops->set_enabled(store, key, enabled));
}

CC_ERR slash_merge(struct slash_store *store,
                   const struct slash_validator *validator,
                   struct slash_import_report *report)
{
    cc_assert(validator && report);
    cc_assert(validator->blocks || validator->block_count == 0);
    cc_assert(validator->attestations || validator->attestation_count == 0);
    enter(store);
    return leave(store, store->ops->merge(store, validator, report));
}

CC_ERR slash_visit(struct slash_store *store,
                   const struct eth_pubkey *only,
                   slash_visit_fn *visit,
                   void *context)
{
    cc_assert(visit);
    enter(store);
    return leave(store, store->ops->visit(store, only, visit, context));
}

static bool keys_differ(const struct slash_validator *validators, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (memcmp(validators[i].pubkey.bytes, validators[j].pubkey.bytes,
                       sizeof validators[i].pubkey.bytes) == 0)
                return false;
    return true;
}

CC_ERR slash_merge_many(struct slash_store *store,
                        const struct slash_validator *validators,
                        size_t n,
                        struct slash_import_report *reports)
{
    cc_assert(validators && reports && n >= 1 && n <= SLASH_MERGE_MAX);
    memset(reports, 0, n * sizeof *reports);
    if (store->ops->merge_many && n > 1 && keys_differ(validators, n)) {
        enter(store);
        return leave(store, store->ops->merge_many(store, validators, n, reports));
    }
    for (size_t i = 0; i < n; i++)
        CC_TRY(slash_merge(store, &validators[i], &reports[i]));
    return CC_OK;
}

void slash_import_report_add(struct slash_import_report *sum,
                             const struct slash_import_report *report)
{
    sum->validators += report->validators;
    sum->blocks += report->blocks;
    sum->attestations += report->attestations;
    sum->known += report->known;
    sum->contradictory += report->contradictory;
}

/* A walk over all of a store that has no index by key. */
struct walk {
    const struct eth_pubkey *after;
    size_t left;
    slash_visit_fn *visit;
    void *context;
};

static cc_err pass_on(void *context, const struct slash_validator *validator)
{
    struct walk *walk = context;
    bool before = walk->after && memcmp(validator->pubkey.bytes, walk->after->bytes,
                                        sizeof walk->after->bytes) <= 0;
    if (before || walk->left == 0)
        return CC_OK;
    walk->left--;
    return walk->visit(walk->context, validator);
}

CC_ERR slash_visit_after(struct slash_store *store,
                         const struct eth_pubkey *after,
                         size_t max,
                         slash_visit_fn *visit,
                         void *context)
{
    cc_assert(visit && max >= 1 && max <= SLASH_MERGE_MAX);
    if (!store->ops->visit_after) {
        struct walk walk = {after, max, visit, context};
        return slash_visit(store, NULL, pass_on, &walk);
    }
    enter(store);
    return leave(store, store->ops->visit_after(store, after, max, visit, context));
}

CC_ERR slash_prune(struct slash_store *store,
                   uint64_t keep_epochs,
                   uint64_t slots_per_epoch,
                   struct slash_prune_step *ret_step)
{
    cc_assert(ret_step && slots_per_epoch > 0);
    enter(store);
    return leave(store, store->ops->prune(store, keep_epochs, slots_per_epoch, ret_step));
}

CC_ERR slash_maintain(struct slash_store *store, bool *ret_more)
{
    cc_assert(ret_more);
    enter(store);
    return leave(store, store->ops->maintain(store, ret_more));
}

CC_ERR slash_status(struct slash_store *store, struct slash_status *ret_status)
{
    cc_assert(ret_status);
    enter(store);
    return leave(store, store->ops->status(store, ret_status));
}

CC_ERR slash_fix_genesis(struct slash_store *store, const struct eth_root *root)
{
    cc_assert(root);
    enter(store);
    return leave(store, store->ops->fix_genesis(store, root));
}

CC_ERR slash_set_high(struct slash_store *store, const struct slash_high *high)
{
    cc_assert(high);
    enter(store);
    return leave(store, store->ops->set_high(store, high));
}

CC_ERR slash_probe(struct slash_store *store, struct slash_high *ret_high)
{
    struct slash_status status = {0};
    if (!store->ops->probe) {
        CC_TRY(slash_status(store, &status));
        *ret_high = status.high;
        return CC_OK;
    }
    enter(store);
    return leave(store, store->ops->probe(store, ret_high));
}

CC_ERR slash_estimate(struct slash_store *store, struct slash_status *ret_status)
{
    if (!store->ops->estimate)
        return slash_status(store, ret_status);
    enter(store);
    return leave(store, store->ops->estimate(store, ret_status));
}

CC_ERR slash_hand_over(struct slash_store *store,
                       const struct slash_high *high,
                       bool force,
                       struct slash_high *ret_stands)
{
    *ret_stands = (struct slash_high){0};
    if (!force)
        CC_TRY(slash_probe(store, ret_stands));
    bool lets_go = !high->set || high->slot > ret_stands->slot || high->epoch > ret_stands->epoch;
    if (ret_stands->set && lets_go)
        return CC_FAIL(HANDED_OVER, NULL);
    CC_TRY(slash_set_high(store, high));
    *ret_stands = *high;
    return CC_OK;
}

CC_ERR slash_set_ceiling(struct slash_store *store, uint64_t epoch)
{
    enter(store);
    return leave(store, store->ops->set_ceiling(store, epoch));
}

CC_ERR
slash_raise_all(struct slash_store *store, const struct slash_watermark *floor, uint64_t *ret_count)
{
    cc_assert(floor && floor->has_slot && floor->has_epochs && ret_count);
    enter(store);
    return leave(store, store->ops->raise_all(store, floor, ret_count));
}

bool slash_has_timeline(const struct slash_store *store)
{
    return store->ops->timeline_begin && store->ops->timeline_confirm;
}

CC_ERR slash_timeline_begin(struct slash_store *store, struct slash_timeline *ret_timeline)
{
    cc_assert(slash_has_timeline(store) && ret_timeline);
    enter(store);
    return leave(store, store->ops->timeline_begin(store, ret_timeline));
}

CC_ERR slash_timeline_confirm(struct slash_store *store, bool for_all, uint64_t *ret_waiting)
{
    cc_assert(slash_has_timeline(store) && ret_waiting);
    enter(store);
    return leave(store, store->ops->timeline_confirm(store, for_all, ret_waiting));
}

bool slash_has_verify(const struct slash_store *store)
{
    return store->ops->verify != NULL;
}

CC_ERR
slash_verify(struct slash_store *store, struct slash_verify_report *ret_report, bool *ret_more)
{
    cc_assert(slash_has_verify(store) && ret_report && ret_more);
    enter(store);
    return leave(store, store->ops->verify(store, ret_report, ret_more));
}

void slash_store_close(struct slash_store *store)
{
    if (!store)
        return;
    enter(store);
    store->ops->close(store);
}
