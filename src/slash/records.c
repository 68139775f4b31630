#include "slash/records.h"

#include "base/alloc.h"
#include "base/num.h"

struct a_record slash_record_of_key(const struct eth_pubkey *pubkey, bool enabled)
{
    return (struct a_record){
        .kind = RECORD_VALIDATOR, .flags = enabled ? RECORD_ENABLED : 0, .is.pubkey = *pubkey};
}

struct a_record slash_record_of_low(const struct slash_watermark *low)
{
    return (struct a_record){
        .kind = RECORD_LOW,
        .flags = (uint8_t)((low->has_slot ? RECORD_HAS_SLOT : 0) |
                           (low->has_epochs ? RECORD_HAS_EPOCHS : 0)),
        .is.vote = {.source = low->source, .target = low->target, .more.slot = low->slot}};
}

struct a_record slash_record_of_block(const struct slash_block *block)
{
    return (struct a_record){.kind = RECORD_BLOCK,
                             .flags = block->has_root ? RECORD_HAS_ROOT : 0,
                             .is.block = {block->slot, block->root}};
}

struct a_record slash_record_of_attestation(const struct slash_attestation *attestation)
{
    return (struct a_record){.kind = RECORD_ATTESTATION,
                             .flags = attestation->has_root ? RECORD_HAS_ROOT : 0,
                             .is.vote = {.source = attestation->source,
                                         .target = attestation->target,
                                         .more.root = attestation->root}};
}

CC_ERR slash_records_put(const struct slash_validator *v, slash_record_fn *put, void *context)
{
    struct a_record record = slash_record_of_key(&v->pubkey, v->enabled);
    CC_TRY(put(context, &record));
    if (v->low.has_slot || v->low.has_epochs) {
        record = slash_record_of_low(&v->low);
        CC_TRY(put(context, &record));
    }
    for (size_t i = 0; i < v->block_count; i++) {
        record = slash_record_of_block(&v->blocks[i]);
        CC_TRY(put(context, &record));
    }
    for (size_t i = 0; i < v->attestation_count; i++) {
        record = slash_record_of_attestation(&v->attestations[i]);
        CC_TRY(put(context, &record));
    }
    return CC_OK;
}

void slash_extents_add(struct a_extents *sum, const struct a_extents *more)
{
    if (more->has_slots) {
        sum->oldest_slot =
            sum->has_slots ? u64_min(sum->oldest_slot, more->oldest_slot) : more->oldest_slot;
        sum->newest_slot = u64_max(sum->newest_slot, more->newest_slot);
        sum->has_slots = 1;
    }
    if (more->has_epochs) {
        sum->oldest_target = sum->has_epochs ? u64_min(sum->oldest_target, more->oldest_target)
                                             : more->oldest_target;
        sum->newest_target = u64_max(sum->newest_target, more->newest_target);
        sum->newest_source = u64_max(sum->newest_source, more->newest_source);
        sum->has_epochs = 1;
    }
}

/* --- and back ------------------------------------------------------------------------------------------------------ */

struct counts {
    size_t of[RECORD_FAULT + 1];
};

static cc_err count_records(const struct a_record *records, size_t n, struct counts *counts)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t kind = records[i].kind;
        if (kind < RECORD_VALIDATOR || kind > RECORD_ATTESTATION ||
            (records[i].flags & ~RECORD_FLAGS))
            return CC_FAIL(PROTOCOL, "a record of the history");
        counts->of[kind]++;
    }
    if (n && records[0].kind != RECORD_VALIDATOR)
        return CC_FAIL(PROTOCOL, "records without a validator");
    return CC_OK;
}

static void take_low(struct slash_watermark *low, const struct a_record *r)
{
    low->has_slot = r->flags & RECORD_HAS_SLOT;
    low->has_epochs = r->flags & RECORD_HAS_EPOCHS;
    low->slot = low->has_slot ? r->is.vote.more.slot : 0;
    low->source = low->has_epochs ? r->is.vote.source : 0;
    low->target = low->has_epochs ? r->is.vote.target : 0;
}

static void begin_validator(struct slash_record_list *list,
                            const struct a_record *r,
                            const struct slash_block *blocks,
                            const struct slash_attestation *attestations)
{
    list->validators[list->count++] = (struct slash_validator){.pubkey = r->is.pubkey,
                                                               .enabled = r->flags & RECORD_ENABLED,
                                                               .blocks = blocks,
                                                               .attestations = attestations};
}

static void take_records(struct slash_record_list *list, const struct a_record *records, size_t n)
{
    struct slash_block *block = list->blocks;
    struct slash_attestation *attestation = list->attestations;
    for (size_t i = 0; i < n; i++) {
        const struct a_record *r = &records[i];
        if (r->kind == RECORD_VALIDATOR) {
            begin_validator(list, r, block, attestation);
            continue;
        }
        struct slash_validator *v = &list->validators[list->count - 1];
        bool has_root = r->flags & RECORD_HAS_ROOT;
        if (r->kind == RECORD_LOW) {
            take_low(&v->low, r);
        } else if (r->kind == RECORD_BLOCK) {
            *block++ = (struct slash_block){r->is.block.slot, has_root, r->is.block.root};
            v->block_count++;
        } else {
            *attestation++ = (struct slash_attestation){r->is.vote.source, r->is.vote.target,
                                                        has_root, r->is.vote.more.root};
            v->attestation_count++;
        }
    }
}

CC_ERR
slash_records_read(const struct a_record *records, size_t n, struct slash_record_list *ret_list)
{
    struct slash_record_list list = {0};
    struct counts counts = {{0}};
    CC_TRY(count_records(records, n, &counts));
    list.validators = cc_alloc_array(counts.of[RECORD_VALIDATOR], sizeof *list.validators);
    list.blocks = cc_alloc_array(counts.of[RECORD_BLOCK], sizeof *list.blocks);
    list.attestations = cc_alloc_array(counts.of[RECORD_ATTESTATION], sizeof *list.attestations);
    if (!list.validators || !list.blocks || !list.attestations) {
        slash_record_list_release(&list);
        return CC_FAIL(NO_MEMORY, "records");
    }
    take_records(&list, records, n);
    *ret_list = list;
    return CC_OK;
}

void slash_record_list_release(struct slash_record_list *list)
{
    cc_free(list->validators);
    cc_free(list->blocks);
    cc_free(list->attestations);
    *list = (struct slash_record_list){0};
}
