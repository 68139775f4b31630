#include "base/alloc.h"

#include "slash/backend.h"

static cc_err noop_check_and_record(struct slash_store *store,
                                    const struct slash_claim *claims,
                                    size_t n,
                                    struct slash_verdict *ret_verdicts)
{
    (void)store;
    (void)claims;
    for (size_t i = 0; i < n; i++)
        ret_verdicts[i] = (struct slash_verdict){.rule = SLASH_SAFE};
    return CC_OK;
}

static cc_err noop_register_keys(struct slash_store *store,
                                 const struct eth_pubkey *keys,
                                 size_t n,
                                 const struct slash_watermark *floor)
{
    (void)store;
    (void)keys;
    (void)n;
    (void)floor;
    return CC_OK;
}

/* What asks for protection that isn't there is an error, not a silent success. */
static cc_err
noop_set_enabled(struct slash_store *store, const struct eth_pubkey *key, bool enabled)
{
    (void)store;
    (void)key;
    (void)enabled;
    return CC_FAIL(STORE, "the noop history keeps nothing");
}

static cc_err noop_merge(struct slash_store *store,
                         const struct slash_validator *validator,
                         struct slash_import_report *report)
{
    (void)store;
    (void)validator;
    (void)report;
    return CC_FAIL(STORE, "the noop history keeps nothing");
}

static cc_err noop_visit(struct slash_store *store,
                         const struct eth_pubkey *only,
                         slash_visit_fn *visit,
                         void *context)
{
    (void)store;
    (void)only;
    (void)visit;
    (void)context;
    return CC_FAIL(STORE, "the noop history keeps nothing");
}

static cc_err noop_prune(struct slash_store *store,
                         uint64_t keep_epochs,
                         uint64_t slots_per_epoch,
                         struct slash_prune_step *ret_step)
{
    (void)store;
    (void)keep_epochs;
    (void)slots_per_epoch;
    *ret_step = (struct slash_prune_step){0};
    return CC_OK;
}

static cc_err noop_maintain(struct slash_store *store, bool *ret_more)
{
    (void)store;
    *ret_more = false;
    return CC_OK;
}

static cc_err noop_status(struct slash_store *store, struct slash_status *ret_status)
{
    (void)store;
    *ret_status = (struct slash_status){0};
    return CC_OK;
}

static cc_err noop_fix_genesis(struct slash_store *store, const struct eth_root *root)
{
    return slash_identity_fix_genesis(&store->identity, root);
}

static cc_err noop_set_high(struct slash_store *store, const struct slash_high *high)
{
    (void)store;
    (void)high;
    return CC_FAIL(STORE, "the noop history keeps nothing");
}

static cc_err noop_set_ceiling(struct slash_store *store, uint64_t epoch)
{
    (void)store;
    (void)epoch;
    return CC_OK;
}

static cc_err
noop_raise_all(struct slash_store *store, const struct slash_watermark *floor, uint64_t *ret_count)
{
    (void)store;
    (void)floor;
    (void)ret_count;
    return CC_FAIL(STORE, "the noop history keeps nothing");
}

static void noop_close(struct slash_store *store)
{
    cc_free(store);
}

static const struct slash_store_ops noop_ops = {
    .name = "noop",
    .check_and_record = noop_check_and_record,
    .register_keys = noop_register_keys,
    .set_enabled = noop_set_enabled,
    .merge = noop_merge,
    .visit = noop_visit,
    .prune = noop_prune,
    .maintain = noop_maintain,
    .status = noop_status,
    .fix_genesis = noop_fix_genesis,
    .set_high = noop_set_high,
    .set_ceiling = noop_set_ceiling,
    .raise_all = noop_raise_all,
    .close = noop_close,
};

CC_ERR slash_noop_open(const struct slash_identity *identity, struct slash_store **ret_store)
{
    struct slash_store *store = cc_alloc(sizeof *store);
    if (!store)
        return CC_FAIL(NO_MEMORY, "noop history");
    store->ops = &noop_ops;
    store->identity = *identity;
    *ret_store = store;
    return CC_OK;
}
