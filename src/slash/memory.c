#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "slash/backend.h"

/* The oracle: every record of every key in plain arrays, every claim judged against all of them. */
struct memory_key {
    struct eth_pubkey pubkey;
    bool enabled;
    struct slash_watermark low;
    struct slash_block *blocks;
    size_t block_count;
    struct slash_attestation *attestations;
    size_t attestation_count;
};

struct memory_store {
    struct slash_store base;
    struct slash_high high;
    bool has_ceiling;
    uint64_t ceiling;
    struct memory_key *keys;
    size_t key_count;
};

static const struct slash_store_ops memory_ops;

static struct memory_store *memory_of(struct slash_store *store)
{
    cc_assert(store->ops == &memory_ops);
    return (struct memory_store *)store;
}

static struct memory_key *find_key(struct memory_store *m, const struct eth_pubkey *pubkey)
{
    for (size_t i = 0; i < m->key_count; i++)
        if (memcmp(m->keys[i].pubkey.bytes, pubkey->bytes, sizeof pubkey->bytes) == 0)
            return &m->keys[i];
    return NULL;
}

static cc_err add_key(struct memory_store *m,
                      const struct eth_pubkey *pubkey,
                      bool enabled,
                      struct memory_key **ret_key)
{
    struct memory_key *keys = cc_realloc_array(m->keys, m->key_count + 1, sizeof *keys);
    if (!keys)
        return CC_FAIL(NO_MEMORY, "memory history");
    m->keys = keys;
    *ret_key = &keys[m->key_count++];
    **ret_key = (struct memory_key){.pubkey = *pubkey, .enabled = enabled};
    return CC_OK;
}

static cc_err check_block(struct memory_key *key,
                          const struct slash_claim *claim,
                          struct slash_verdict *ret_verdict)
{
    const struct slash_block block = slash_claim_block(claim);
    *ret_verdict = slash_judge_block(&block, &key->low, key->blocks, key->block_count);
    if (ret_verdict->rule != SLASH_SAFE)
        return CC_OK;
    struct slash_block *blocks =
        cc_realloc_array(key->blocks, key->block_count + 1, sizeof *blocks);
    if (!blocks)
        return CC_FAIL(NO_MEMORY, "memory history");
    key->blocks = blocks;
    blocks[key->block_count++] = block;
    if (!key->low.has_slot) {
        key->low.has_slot = true;
        key->low.slot = claim->slot;
    }
    return CC_OK;
}

static cc_err check_attestation(struct memory_key *key,
                                const struct slash_claim *claim,
                                struct slash_verdict *ret_verdict)
{
    const struct slash_attestation a = slash_claim_attestation(claim);
    *ret_verdict =
        slash_judge_attestation(&a, &key->low, key->attestations, key->attestation_count);
    if (ret_verdict->rule != SLASH_SAFE)
        return CC_OK;
    struct slash_attestation *attestations =
        cc_realloc_array(key->attestations, key->attestation_count + 1, sizeof *attestations);
    if (!attestations)
        return CC_FAIL(NO_MEMORY, "memory history");
    key->attestations = attestations;
    attestations[key->attestation_count++] = a;
    if (!key->low.has_epochs) {
        key->low.has_epochs = true;
        key->low.source = claim->source;
        key->low.target = claim->target;
    }
    return CC_OK;
}

static cc_err check_claim(struct memory_store *m,
                          struct memory_key *key,
                          const struct slash_claim *claim,
                          struct slash_verdict *ret_verdict)
{
    ret_verdict->rule = slash_gate(key->enabled, &m->high, claim);
    if (ret_verdict->rule != SLASH_SAFE)
        return CC_OK;
    return claim->kind == SLASH_CLAIM_BLOCK ? check_block(key, claim, ret_verdict)
                                            : check_attestation(key, claim, ret_verdict);
}

static cc_err memory_check_and_record(struct slash_store *store,
                                      const struct slash_claim *claims,
                                      size_t n,
                                      struct slash_verdict *ret_verdicts)
{
    struct memory_store *m = memory_of(store);
    for (size_t i = 0; i < n; i++) {
        struct memory_key *key = find_key(m, &claims[i].pubkey);
        if (!key)
            ret_verdicts[i] = (struct slash_verdict){.rule = SLASH_UNREGISTERED};
        else
            CC_TRY(check_claim(m, key, &claims[i], &ret_verdicts[i]));
    }
    return CC_OK;
}

static cc_err memory_register_keys(struct slash_store *store,
                                   const struct eth_pubkey *keys,
                                   size_t n,
                                   const struct slash_watermark *floor)
{
    struct memory_store *m = memory_of(store);
    struct memory_key *key;
    for (size_t i = 0; i < n; i++) {
        if (find_key(m, &keys[i]))
            continue;
        CC_TRY(add_key(m, &keys[i], true, &key));
        store->rows_made++;
        if (floor)
            key->low = *floor;
    }
    return CC_OK;
}

static cc_err
memory_set_enabled(struct slash_store *store, const struct eth_pubkey *pubkey, bool enabled)
{
    struct memory_key *key = find_key(memory_of(store), pubkey);
    if (!key)
        return CC_FAIL(KEY_UNKNOWN, "no protection row");
    key->enabled = enabled;
    return CC_OK;
}

static struct slash_validator as_validator(struct memory_key *key)
{
    if (key->block_count)
        qsort(key->blocks, key->block_count, sizeof *key->blocks, slash_block_order);
    if (key->attestation_count)
        qsort(key->attestations, key->attestation_count, sizeof *key->attestations,
              slash_attestation_order);
    return (struct slash_validator){.pubkey = key->pubkey,
                                    .enabled = key->enabled,
                                    .low = key->low,
                                    .blocks = key->blocks,
                                    .block_count = key->block_count,
                                    .attestations = key->attestations,
                                    .attestation_count = key->attestation_count};
}

static cc_err memory_merge(struct slash_store *store,
                           const struct slash_validator *validator,
                           struct slash_import_report *report)
{
    struct memory_store *m = memory_of(store);
    struct memory_key *key = find_key(m, &validator->pubkey);
    if (!key)
        CC_TRY(add_key(m, &validator->pubkey, validator->enabled, &key));
    struct slash_validator have = as_validator(key);
    struct slash_merged merged;
    CC_TRY(slash_merge_records(&have, validator, &merged));
    cc_free(key->blocks);
    cc_free(key->attestations);
    key->blocks = merged.blocks;
    key->block_count = merged.block_count;
    key->attestations = merged.attestations;
    key->attestation_count = merged.attestation_count;
    key->low = merged.low;
    slash_report_add(report, &merged);
    return CC_OK;
}

static int key_order(const void *a, const void *b)
{
    const struct memory_key *x = a, *y = b;
    return memcmp(x->pubkey.bytes, y->pubkey.bytes, sizeof x->pubkey.bytes);
}

static cc_err memory_visit(struct slash_store *store,
                           const struct eth_pubkey *only,
                           slash_visit_fn *visit,
                           void *context)
{
    struct memory_store *m = memory_of(store);
    if (m->key_count)
        qsort(m->keys, m->key_count, sizeof *m->keys, key_order);
    for (size_t i = 0; i < m->key_count; i++) {
        if (only && memcmp(m->keys[i].pubkey.bytes, only->bytes, sizeof only->bytes) != 0)
            continue;
        struct slash_validator validator = as_validator(&m->keys[i]);
        CC_TRY(visit(context, &validator));
    }
    return CC_OK;
}

static size_t prune_attestations(struct memory_key *key, uint64_t keep_epochs)
{
    size_t n = key->attestation_count, old = 0;
    if (n == 0)
        return 0;
    uint64_t line = slash_prune_line(key->attestations[n - 1].target, keep_epochs);
    for (; key->attestations[old].target < line; old++)
        key->low.source = u64_max(key->low.source, key->attestations[old].source);
    if (old == 0)
        return 0;
    key->low.source = u64_max(key->low.source, key->attestations[old].source);
    key->low.target = u64_max(key->low.target, key->attestations[old].target);
    key->attestation_count -= old;
    memmove(key->attestations, key->attestations + old,
            key->attestation_count * sizeof *key->attestations);
    return old;
}

static size_t prune_blocks(struct memory_key *key, uint64_t keep_slots)
{
    size_t n = key->block_count, old = 0;
    if (n == 0)
        return 0;
    uint64_t line = slash_prune_line(key->blocks[n - 1].slot, keep_slots);
    while (key->blocks[old].slot < line)
        old++;
    if (old == 0)
        return 0;
    key->low.slot = u64_max(key->low.slot, key->blocks[old].slot);
    key->block_count -= old;
    memmove(key->blocks, key->blocks + old, key->block_count * sizeof *key->blocks);
    return old;
}

static cc_err memory_prune(struct slash_store *store,
                           uint64_t keep_epochs,
                           uint64_t slots_per_epoch,
                           struct slash_prune_step *ret_step)
{
    struct memory_store *m = memory_of(store);
    struct slash_prune_step step = {0};
    for (size_t i = 0; i < m->key_count; i++) {
        (void)as_validator(&m->keys[i]); /* sorts */
        step.removed += prune_attestations(&m->keys[i], keep_epochs);
        step.removed += prune_blocks(&m->keys[i], slash_keep_slots(keep_epochs, slots_per_epoch));
    }
    *ret_step = step;
    return CC_OK;
}

static cc_err memory_maintain(struct slash_store *store, bool *ret_more)
{
    (void)store;
    *ret_more = false;
    return CC_OK;
}

static cc_err memory_status(struct slash_store *store, struct slash_status *ret_status)
{
    struct memory_store *m = memory_of(store);
    struct slash_status status = {.validators = m->key_count,
                                  .high = m->high,
                                  .has_ceiling = m->has_ceiling,
                                  .ceiling = m->ceiling};
    for (size_t i = 0; i < m->key_count; i++) {
        status.blocks += m->keys[i].block_count;
        status.attestations += m->keys[i].attestation_count;
    }
    *ret_status = status;
    return CC_OK;
}

static cc_err memory_fix_genesis(struct slash_store *store, const struct eth_root *root)
{
    return slash_identity_fix_genesis(&store->identity, root);
}

static cc_err memory_set_high(struct slash_store *store, const struct slash_high *high)
{
    memory_of(store)->high = *high;
    return CC_OK;
}

static cc_err memory_set_ceiling(struct slash_store *store, uint64_t epoch)
{
    struct memory_store *m = memory_of(store);
    m->ceiling = m->has_ceiling ? u64_max(m->ceiling, epoch) : epoch;
    m->has_ceiling = true;
    return CC_OK;
}

static cc_err memory_raise_all(struct slash_store *store,
                               const struct slash_watermark *floor,
                               uint64_t *ret_count)
{
    struct memory_store *m = memory_of(store);
    for (size_t i = 0; i < m->key_count; i++)
        (void)slash_watermark_raise(&m->keys[i].low, floor);
    *ret_count = m->key_count;
    return CC_OK;
}

static void memory_close(struct slash_store *store)
{
    struct memory_store *m = memory_of(store);
    for (size_t i = 0; i < m->key_count; i++) {
        cc_free(m->keys[i].blocks);
        cc_free(m->keys[i].attestations);
    }
    cc_free(m->keys);
    cc_free(m);
}

static const struct slash_store_ops memory_ops = {
    .name = "memory",
    .check_and_record = memory_check_and_record,
    .register_keys = memory_register_keys,
    .set_enabled = memory_set_enabled,
    .merge = memory_merge,
    .visit = memory_visit,
    .prune = memory_prune,
    .maintain = memory_maintain,
    .status = memory_status,
    .fix_genesis = memory_fix_genesis,
    .set_high = memory_set_high,
    .set_ceiling = memory_set_ceiling,
    .raise_all = memory_raise_all,
    .close = memory_close,
};

CC_ERR slash_memory_open(const struct slash_identity *identity, struct slash_store **ret_store)
{
    struct memory_store *m = cc_alloc(sizeof *m);
    if (!m)
        return CC_FAIL(NO_MEMORY, "memory history");
    m->base.ops = &memory_ops;
    m->base.identity = *identity;
    *ret_store = &m->base;
    return CC_OK;
}
