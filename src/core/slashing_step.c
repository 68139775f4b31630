#include "core/slashing_step.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "slash/backend.h"
#include "slash/verify.h"

CC_ERR slashing_step_check(const struct a_slashing *ask)
{
    const struct a_slashing_head *head = &ask->head;
    size_t validators = 0;
    if (head->verb < SLASHING_STATUS || head->verb >= SLASHING_VERB_END)
        return CC_FAIL(PROTOCOL, "unknown work on the history");
    if (head->count > A_RECORDS_MAX || (head->count && head->verb != SLASHING_IMPORT))
        return CC_FAIL(PROTOCOL, "records of work on the history");
    for (uint32_t i = 0; i < head->count; i++) {
        uint8_t kind = ask->records[i].kind;
        if (kind != RECORD_VALIDATOR && kind != RECORD_BLOCK && kind != RECORD_ATTESTATION)
            return CC_FAIL(PROTOCOL, "a record that no import has");
        validators += kind == RECORD_VALIDATOR;
    }
    return validators <= SLASH_MERGE_MAX ? CC_OK : CC_FAIL(PROTOCOL, "too many validators");
}

struct doing {
    const struct slashing_step *step;
    const struct a_slashing *ask;
    struct a_slashing_head *head;
    size_t records; /* that a walk has gone through */
    bool full;      /* it ended before its last validator */
    bool named;     /* verify: the validator has its record */
    const struct slash_validator *validator;
};

static cc_err put(const struct doing *d, const struct a_record *record)
{
    return d->step->put(d->step->context, record);
}

static cc_err put_any(void *context, const struct a_record *record)
{
    return put(context, record);
}

static cc_err do_status(struct doing *d)
{
    struct slash_status status;
    struct a_slashing_head *head = d->head;
    const struct slash_store *store = d->step->history;
    CC_TRY(slash_status(d->step->history, &status));
    memcpy(head->history_id, store->identity.history_id, sizeof head->history_id);
    memcpy(head->chamber_id, store->identity.chamber_id, sizeof head->chamber_id);
    head->has_genesis = store->identity.has_genesis_validators_root;
    head->genesis_validators_root = store->identity.genesis_validators_root;
    (void)snprintf(head->backend, sizeof head->backend, "%s", d->step->backend);
    head->has_high = status.high.set;
    head->slot = status.high.slot;
    head->epoch = status.high.epoch;
    head->has_ceiling = status.has_ceiling;
    head->ceiling = status.ceiling;
    head->validators = status.validators;
    head->blocks = status.blocks;
    head->attestations = status.attestations;
    return CC_OK;
}

/* --- walks ----------------------------------------------------------------------------------------------------------- */

/* A walk ends early where its records are many: the next step begins after the last validator that was met. */
static cc_err meet(struct doing *d, const struct slash_validator *v)
{
    if (d->records >= A_RECORDS_STEP) {
        d->full = true;
        return CC_FAIL(LIMIT, "the step is full");
    }
    d->records += 1 + v->block_count + v->attestation_count;
    d->head->key = v->pubkey;
    d->head->has_key = true;
    d->head->validators++;
    return CC_OK;
}

static cc_err export_one(void *context, const struct slash_validator *v)
{
    CC_TRY(meet(context, v));
    return slash_records_put(v, put_any, context);
}

static cc_err put_fault(void *context, const struct slash_found *found)
{
    struct doing *d = context;
    struct a_record record = {.kind = RECORD_FAULT, .fault = (uint8_t)found->fault};
    if (!d->named) {
        const struct a_record key = slash_record_of_key(&d->validator->pubkey, true);
        CC_TRY(put(d, &key));
        d->named = true;
    }
    record.is.vote.source = found->source;
    record.is.vote.target = found->target;
    record.is.vote.more.slot = found->slot;
    d->head->faults++;
    return put(d, &record);
}

/* Records come in their order; only the newest source may be anywhere. */
static struct a_extents extents_of(const struct slash_validator *v)
{
    struct a_extents e = {.has_slots = v->block_count > 0, .has_epochs = v->attestation_count > 0};
    if (e.has_slots) {
        e.oldest_slot = v->blocks[0].slot;
        e.newest_slot = v->blocks[v->block_count - 1].slot;
    }
    if (e.has_epochs) {
        e.oldest_target = v->attestations[0].target;
        e.newest_target = v->attestations[v->attestation_count - 1].target;
    }
    for (size_t i = 0; i < v->attestation_count; i++)
        e.newest_source = u64_max(e.newest_source, v->attestations[i].source);
    return e;
}

static cc_err verify_one(void *context, const struct slash_validator *v)
{
    struct doing *d = context;
    CC_TRY(meet(d, v));
    d->head->blocks += v->block_count;
    d->head->attestations += v->attestation_count;
    const struct a_extents extents = extents_of(v);
    slash_extents_add(&d->head->extents, &extents);
    d->validator = v;
    d->named = false;
    return slash_verify_validator(v, put_fault, d);
}

static cc_err walk(struct doing *d, slash_visit_fn *visit)
{
    const struct a_slashing_head *ask = &d->ask->head;
    const struct slash_identity *identity = &d->step->history->identity;
    const struct eth_pubkey after = ask->key;
    size_t max = (size_t)u64_min(u64_max(ask->validators, 1), SLASH_MERGE_MAX);
    d->head->genesis_validators_root = identity->genesis_validators_root;
    d->head->has_genesis = identity->has_genesis_validators_root;
    cc_err err = slash_visit_after(d->step->history, ask->has_key ? &after : NULL, max, visit, d);
    d->head->more = d->full || d->head->validators == max;
    return d->full ? CC_OK : err;
}

static cc_err do_export(struct doing *d)
{
    if (!d->step->history->identity.has_genesis_validators_root)
        return CC_FAIL(IDENTITY, "the history's network isn't fixed yet");
    return walk(d, export_one);
}

static cc_err look_at_mirror(struct doing *d)
{
    struct slash_verify_report report = {0};
    bool more = false;
    CC_TRY(slash_verify(d->step->history, &report, &more));
    d->head->more = more;
    d->head->has_mirror = true;
    if (more)
        return CC_OK;
    d->head->mirror_keys = report.keys;
    d->head->mirror_records = report.records;
    d->head->mirror_missing = report.missing;
    d->head->mirror_changed = report.changed;
    d->head->faults = u64_add_sat(report.missing, report.changed);
    return CC_OK;
}

static cc_err do_verify(struct doing *d)
{
    bool mirror = slash_has_verify(d->step->history);
    if (mirror && d->ask->head.has_mirror)
        return look_at_mirror(d);
    d->head->has_mirror = mirror;
    return walk(d, verify_one);
}

/* --- import ------------------------------------------------------------------------------------------------------------ */

static cc_err put_low(void *context, const struct slash_validator *v)
{
    const struct a_record key = slash_record_of_key(&v->pubkey, v->enabled);
    const struct a_record low = slash_record_of_low(&v->low);
    CC_TRY(put(context, &key));
    return put(context, &low);
}

static void add_report(struct a_slashing_head *head, const struct slash_import_report *report)
{
    head->validators += report->validators;
    head->blocks += report->blocks;
    head->attestations += report->attestations;
    head->known += report->known;
    head->contradictory += report->contradictory;
}

/* The floor stands over what nobody remembers any more: an old file that is imported again does not know it either. It is for each
 * row, since where it was written all rows there were rose to it: one that lies below was imported since.
 */
static cc_err merge_list(struct doing *d, const struct slash_record_list *list)
{
    struct slash_store *history = d->step->history;
    CC_CLEANUP(cc_freep)
    struct slash_import_report *reports = cc_alloc_array(list->count, sizeof *reports);
    if (!reports)
        return CC_FAIL(NO_MEMORY, "reports");
    for (size_t i = 0; i < list->count; i++)
        (void)slash_watermark_raise(&list->validators[i].low, &d->step->floor);
    CC_TRY(slash_merge_many(history, list->validators, list->count, reports));
    for (size_t i = 0; i < list->count; i++)
        add_report(d->head, &reports[i]);
    for (size_t i = 0; i < list->count; i++)
        if (reports[i].contradictory)
            CC_TRY(slash_visit(history, &list->validators[i].pubkey, put_low, d));
    return CC_OK;
}

static cc_err do_import(struct doing *d)
{
    const struct slash_identity *identity = &d->step->history->identity;
    const struct a_slashing_head *ask = &d->ask->head;
    CC_CLEANUP(slash_record_list_release) struct slash_record_list list = {0};
    /* A running signer learns its network when it starts, so no import may be what fixes it. */
    if (!identity->has_genesis_validators_root || !ask->has_genesis ||
        !span_equal(
            span_of(&ask->genesis_validators_root, sizeof ask->genesis_validators_root),
            span_of(&identity->genesis_validators_root, sizeof identity->genesis_validators_root)))
        return CC_FAIL(WRONG_NETWORK, "the file is of another network");
    CC_TRY(slash_records_read(d->ask->records, ask->count, &list));
    return list.count ? merge_list(d, &list) : CC_OK;
}

/* --- the rest ---------------------------------------------------------------------------------------------------------- */

static cc_err do_prune(struct doing *d)
{
    struct slash_prune_step step = {0};
    uint64_t keep = d->ask->head.keep_epochs ? d->ask->head.keep_epochs : d->step->keep_epochs;
    CC_TRY(slash_prune(d->step->history, keep, d->step->slots_per_epoch, &step));
    d->head->keep_epochs = keep;
    d->head->removed = step.removed;
    d->head->more = step.more;
    return CC_OK;
}

static cc_err do_enable(struct doing *d)
{
    const struct eth_pubkey key = d->ask->head.key;
    return slash_set_enabled(d->step->history, &key, true);
}

static cc_err do_hand_over(struct doing *d)
{
    const struct a_slashing_head *ask = &d->ask->head;
    const struct slash_high high = {
        .set = !ask->cancel,
        .slot = slash_keep_slots(ask->epoch, d->step->slots_per_epoch),
        .epoch = ask->epoch,
    };
    struct slash_high stands;
    cc_err err = slash_hand_over(d->step->history, &high, ask->force, &stands);
    d->head->has_high = stands.set;
    d->head->slot = stands.slot;
    d->head->epoch = stands.epoch;
    return err;
}

static cc_err do_repair(struct doing *d)
{
    const struct slash_watermark low =
        slash_repair_watermark(d->ask->head.epoch, d->step->slots_per_epoch);
    CC_TRY(slash_raise_all(d->step->history, &low, &d->head->validators));
    d->head->epoch = low.target;
    d->head->slot = low.slot;
    return CC_OK;
}

typedef cc_err do_fn(struct doing *d);

CC_ERR slashing_step_do(const struct slashing_step *step,
                        const struct a_slashing *ask,
                        struct a_slashing_head *ret_head)
{
    static do_fn *const verbs[SLASHING_VERB_END] = {
        [SLASHING_STATUS] = do_status,       [SLASHING_EXPORT] = do_export,
        [SLASHING_IMPORT] = do_import,       [SLASHING_VERIFY] = do_verify,
        [SLASHING_PRUNE] = do_prune,         [SLASHING_ENABLE] = do_enable,
        [SLASHING_HAND_OVER] = do_hand_over, [SLASHING_REPAIR] = do_repair,
    };
    struct doing d = {.step = step, .ask = ask, .head = ret_head};
    cc_assert(ask->head.verb < SLASHING_VERB_END && verbs[ask->head.verb]);
    return verbs[ask->head.verb](&d);
}
