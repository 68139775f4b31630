#include "slash/store.h"

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

CC_ERR slash_register_keys(struct slash_store *store, const struct eth_pubkey *keys, size_t n)
{
    cc_assert(keys || n == 0);
    enter(store);
    return leave(store, n ? store->ops->register_keys(store, keys, n) : CC_OK);
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

void slash_store_close(struct slash_store *store)
{
    if (!store)
        return;
    enter(store);
    store->ops->close(store);
}
