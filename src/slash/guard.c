#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "crypto/random.h"
#include "slash/guard_inside.h"

enum {
    SYNC_EVERY_MS = 1000,
    PASS_KEYS = 4,           /* one step of a pass while running */
    FOLLOW_BYTES = 1 << 20,  /* one step of taking over what came meanwhile */
    RECORD_BYTES = 64,       /* of the mirror, about */
    COMPACT_SYNC = 4 << 20,  /* what a step may leave for the disk */
    COMPACT_SLACK = 64 << 20 /* never for less */
};

static const struct slash_store_ops guard_ops;

struct guard *guard_of(struct slash_store *store)
{
    cc_assert(store->ops == &guard_ops);
    return (struct guard *)store;
}

/* --- the mirror ----------------------------------------------------------------------------------------------------- */

static cc_err open_mirror(struct guard *g)
{
    cc_err err = mirror_open(&g->settings, &g->mirror);
    if (error_is(err, ERROR_TAMPERED))
        log_error(
            "the history's mirror was changed, or belongs to another history or chamber",
            KV_STR("path", g->path), KV_ERR(err),
            KV_STR(
                "hint",
                "restore it from where it was; or move it away: at the next start all low watermarks rise "
                "to the ceiling"));
    else if (err.code)
        log_error("the history's mirror can't be used", KV_STR("path", g->path), KV_ERR(err));
    return err;
}

CC_ERR guard_ready(struct guard *g)
{
    if (g->mirror && !mirror_is_stale(g->mirror))
        return CC_OK;
    guard_pass_end(&g->verify);
    guard_pass_end(&g->compact);
    mirror_close(g->mirror);
    g->mirror = NULL;
    CC_TRY(open_mirror(g));
    return g->mirror ? CC_OK : CC_FAIL(TAMPERED, "the history's mirror is gone");
}

static cc_err write_mirror(struct guard *g)
{
    return mirror_flush(g->mirror);
}

/* --- judging again -------------------------------------------------------------------------------------------------- */

static cc_err judge(struct guard *g,
                    const struct slash_key *key,
                    const struct slash_claim *claim,
                    struct slash_verdict *ret_verdict)
{
    struct mirror_records *r = &g->records;
    if (claim->kind == SLASH_CLAIM_BLOCK) {
        const struct slash_block block = slash_claim_block(claim);
        bool covered = slash_key_covers_block(key, block.slot);
        if (!covered)
            CC_TRY(mirror_read(g->mirror, key, true, r));
        *ret_verdict = slash_judge_block(&block, &key->low, covered ? &key->block : r->blocks,
                                         covered ? key->has_block : r->block_count);
        return CC_OK;
    }
    const struct slash_attestation vote = slash_claim_attestation(claim);
    bool covered = slash_key_covers_attestation(key, vote.target);
    if (!covered)
        CC_TRY(mirror_read(g->mirror, key, true, r));
    *ret_verdict = slash_judge_attestation(&vote, &key->low, covered ? &key->attestation : r->votes,
                                           covered ? key->has_attestation : r->vote_count);
    return CC_OK;
}

static cc_err mirror_claim(struct guard *g, const struct slash_claim *claim)
{
    struct slash_key *key = NULL;
    CC_TRY(mirror_add_key(g->mirror, &claim->pubkey, &key));
    if (claim->kind == SLASH_CLAIM_BLOCK) {
        const struct slash_block block = slash_claim_block(claim);
        return mirror_add_block(g->mirror, key, &block);
    }
    const struct slash_attestation vote = slash_claim_attestation(claim);
    return mirror_add_vote(g->mirror, key, &vote);
}

static bool is_below(enum slash_rule rule)
{
    return rule == SLASH_BLOCK_BELOW || rule == SLASH_SOURCE_BELOW || rule == SLASH_TARGET_BELOW;
}

static bool lies_below(const struct slash_key *key, const struct slash_claim *claim)
{
    const struct slash_watermark *low = &key->low;
    return claim->kind == SLASH_CLAIM_BLOCK ? low->has_slot && claim->slot <= low->slot
                                            : low->has_epochs && claim->target <= low->target;
}

/* The history would have let pass what this replica's own records forbid, or has forgotten what it lets pass again. */
static cc_err contradicted(struct guard *g,
                           const struct slash_claim *claim,
                           const struct slash_verdict *mine,
                           struct slash_verdict *verdict)
{
    bool differs = false;
    CC_TRY(guard_compare_key(g, &claim->pubkey, g->automatic, &differs));
    /* Its first record has become the watermark of all that is gone, so nothing seems to be missing. */
    if (!differs)
        CC_TRY(guard_alarm(g, &claim->pubkey, g->automatic || slash_may_sign(mine->rule)));
    if (guard_keys_have(&g->refused, &claim->pubkey))
        verdict->rule = SLASH_HISTORY_TAMPERED;
    else if (!slash_may_sign(mine->rule))
        *verdict = *mine;
    return CC_OK;
}

static cc_err weigh(struct guard *g, const struct slash_claim *claim, struct slash_verdict *verdict)
{
    struct slash_verdict mine = {.rule = SLASH_SAFE};
    if (g->refused.count && guard_keys_have(&g->refused, &claim->pubkey)) {
        *verdict = (struct slash_verdict){.rule = SLASH_HISTORY_TAMPERED};
        return CC_OK;
    }
    if (!slash_may_sign(verdict->rule))
        return CC_OK;
    const struct slash_key *key = slash_index_find(mirror_index(g->mirror), &claim->pubkey);
    if (key)
        CC_TRY(judge(g, key, claim, &mine));
    if (mine.rule == SLASH_SAFE)
        return mirror_claim(g, claim);
    if (verdict->rule == SLASH_REPEAT && mine.rule == SLASH_REPEAT)
        return CC_OK;
    /* Below a watermark the history need not have what is here, and may have what is not. */
    if (verdict->rule == SLASH_REPEAT && (is_below(mine.rule) || lies_below(key, claim))) {
        *verdict = mine;
        return CC_OK;
    }
    return contradicted(g, claim, &mine, verdict);
}

static cc_err guard_check_and_record(struct slash_store *store,
                                     const struct slash_claim *claims,
                                     size_t n,
                                     struct slash_verdict *ret_verdicts)
{
    struct guard *g = guard_of(store);
    CC_TRY(guard_ready(g));
    cc_err err = slash_check_and_record(g->inner, claims, n, ret_verdicts);
    if (guard_settled(g, err, &err))
        err = slash_check_and_record(g->inner, claims, n, ret_verdicts);
    CC_TRY(err);
    store->position = g->inner->position;
    mirror_set_position(g->mirror, store->position);
    for (size_t i = 0; i < n; i++)
        CC_TRY(weigh(g, &claims[i], &ret_verdicts[i]));
    return write_mirror(g);
}

/* --- what else moves watermarks ------------------------------------------------------------------------------------- */

static cc_err raise_mirror(struct guard *g, const struct slash_watermark *floor)
{
    const struct slash_index *index = mirror_index(g->mirror);
    for (size_t i = 0; i < index->count; i++)
        CC_TRY(mirror_raise(g->mirror, &index->keys[i], floor));
    return write_mirror(g);
}

/* Who was refused is looked at again. */
static cc_err reconsider(struct guard *g)
{
    struct guard_keys before = g->refused;
    cc_err err = CC_OK;
    g->refused = (struct guard_keys){0};
    g->repair_epoch = 0;
    for (size_t i = 0; i < before.count && !err.code; i++) {
        bool differs = false;
        err = guard_compare_key(g, &before.items[i], g->automatic, &differs);
    }
    if (err.code) {
        guard_keys_release(&g->refused);
        g->refused = before;
        return err;
    }
    guard_keys_release(&before);
    return CC_OK;
}

static cc_err
guard_raise_all(struct slash_store *store, const struct slash_watermark *floor, uint64_t *ret_count)
{
    struct guard *g = guard_of(store);
    CC_TRY(guard_ready(g));
    cc_err err = slash_raise_all(g->inner, floor, ret_count);
    if (guard_settled(g, err, &err))
        err = slash_raise_all(g->inner, floor, ret_count);
    CC_TRY(err);
    CC_TRY(raise_mirror(g, floor));
    return reconsider(g);
}

static cc_err guard_set_ceiling(struct slash_store *store, uint64_t epoch)
{
    struct guard *g = guard_of(store);
    /* First, since settling a new timeline may raise all floors to it. */
    g->ceiling = g->has_ceiling ? u64_max(g->ceiling, epoch) : epoch;
    g->has_ceiling = true;
    cc_err err = slash_set_ceiling(g->inner, epoch);
    if (guard_settled(g, err, &err))
        err = slash_set_ceiling(g->inner, epoch);
    return err;
}

/* --- upkeep --------------------------------------------------------------------------------------------------------- */

static cc_err begin_compaction(struct guard *g)
{
    CC_TRY(guard_pass_begin(g, &g->compact));
    return mirror_begin_successor(g->mirror, &g->compact.next, &g->compact.from);
}

static cc_err compact_step(struct guard *g)
{
    struct guard_pass *pass = &g->compact;
    bool level = false;
    if (!pass->over) {
        CC_TRY(guard_pass_step(g, pass, PASS_KEYS, g->automatic));
        CC_TRY(mirror_flush(pass->next));
        if (mirror_size(pass->next) - pass->synced < COMPACT_SYNC)
            return CC_OK;
        pass->synced = mirror_size(pass->next);
        return mirror_sync(pass->next);
    }
    CC_TRY(mirror_follow(pass->next, g->mirror, &pass->from, FOLLOW_BYTES, &level));
    if (!level)
        return CC_OK;
    uint64_t before = mirror_size(g->mirror);
    CC_TRY(mirror_succeed(&g->mirror, pass->next));
    pass->next = NULL;
    g->compact_above = 2 * mirror_size(g->mirror) + COMPACT_SLACK;
    log_info("the history's mirror was written anew", KV_NUM("bytes_before", before),
             KV_NUM("bytes", mirror_size(g->mirror)));
    guard_pass_end(pass);
    return CC_OK;
}

/* Where a successor can't be made, the long mirror is as good. */
static cc_err compact(struct guard *g)
{
    cc_err err = g->compact.next ? compact_step(g) : begin_compaction(g);
    if (!err.code || error_class(err) == CLASS_UNAVAILABLE) {
        if (err.code)
            guard_pass_end(&g->compact);
        return err;
    }
    log_warn("the history's mirror can't be written anew", KV_ERR(err));
    guard_pass_end(&g->compact);
    g->compact_above = 2 * mirror_size(g->mirror);
    return CC_OK;
}

static cc_err guard_maintain(struct slash_store *store, bool *ret_more)
{
    struct guard *g = guard_of(store);
    CC_TRY(guard_ready(g));
    CC_TRY(slash_maintain(g->inner, ret_more));
    if (*ret_more)
        return CC_OK;
    if (clock_mono_ms() - g->synced_ms >= SYNC_EVERY_MS) {
        CC_TRY(mirror_sync(g->mirror));
        g->synced_ms = clock_mono_ms();
    }
    if (g->compact.next || mirror_size(g->mirror) > g->compact_above)
        CC_TRY(compact(g));
    *ret_more = g->compact.next != NULL;
    return CC_OK;
}

static cc_err
guard_verify(struct slash_store *store, struct slash_verify_report *ret_report, bool *ret_more)
{
    struct guard *g = guard_of(store);
    struct guard_pass *pass = &g->verify;
    CC_TRY(guard_ready(g));
    if (!pass->began && pass->at == 0)
        CC_TRY(guard_pass_begin(g, pass));
    CC_TRY(guard_pass_step(g, pass, PASS_KEYS, g->automatic));
    *ret_report = pass->report;
    *ret_more = !pass->over;
    if (pass->over)
        guard_pass_end(pass);
    return CC_OK;
}

/* --- handed through ------------------------------------------------------------------------------------------------- */

static cc_err guard_register_keys(struct slash_store *store,
                                  const struct eth_pubkey *keys,
                                  size_t n,
                                  const struct slash_watermark *floor)
{
    struct guard *g = guard_of(store);
    cc_err err = slash_register_keys(g->inner, keys, n, floor);
    if (guard_settled(g, err, &err))
        err = slash_register_keys(g->inner, keys, n, floor);
    store->rows_made = g->inner->rows_made;
    return err;
}

static cc_err
guard_set_enabled(struct slash_store *store, const struct eth_pubkey *key, bool enabled)
{
    return slash_set_enabled(guard_of(store)->inner, key, enabled);
}

static cc_err guard_merge(struct slash_store *store,
                          const struct slash_validator *validator,
                          struct slash_import_report *report)
{
    return slash_merge(guard_of(store)->inner, validator, report);
}

static cc_err guard_merge_many(struct slash_store *store,
                               const struct slash_validator *validators,
                               size_t n,
                               struct slash_import_report *reports)
{
    return slash_merge_many(guard_of(store)->inner, validators, n, reports);
}

static cc_err guard_visit(struct slash_store *store,
                          const struct eth_pubkey *only,
                          slash_visit_fn *visit,
                          void *context)
{
    return slash_visit(guard_of(store)->inner, only, visit, context);
}

static cc_err guard_visit_after(struct slash_store *store,
                                const struct eth_pubkey *after,
                                size_t max,
                                slash_visit_fn *visit,
                                void *context)
{
    return slash_visit_after(guard_of(store)->inner, after, max, visit, context);
}

static cc_err guard_prune(struct slash_store *store,
                          uint64_t keep_epochs,
                          uint64_t slots_per_epoch,
                          struct slash_prune_step *ret_step)
{
    return slash_prune(guard_of(store)->inner, keep_epochs, slots_per_epoch, ret_step);
}

static cc_err guard_probe(struct slash_store *store, struct slash_high *ret_high)
{
    struct guard *g = guard_of(store);
    cc_err err = slash_probe(g->inner, ret_high);
    return guard_settled(g, err, &err) ? slash_probe(g->inner, ret_high) : err;
}

static cc_err guard_status(struct slash_store *store, struct slash_status *ret_status)
{
    struct guard *g = guard_of(store);
    cc_err err = slash_status(g->inner, ret_status);
    return guard_settled(g, err, &err) ? slash_status(g->inner, ret_status) : err;
}

/* What it says is for looking at: a timeline that is new is left to who signs. */
static cc_err guard_estimate(struct slash_store *store, struct slash_status *ret_status)
{
    return slash_estimate(guard_of(store)->inner, ret_status);
}

static cc_err guard_fix_genesis(struct slash_store *store, const struct eth_root *root)
{
    struct guard *g = guard_of(store);
    cc_err err = slash_fix_genesis(g->inner, root);
    if (guard_settled(g, err, &err))
        err = slash_fix_genesis(g->inner, root);
    store->identity = g->inner->identity;
    return err;
}

static cc_err guard_set_high(struct slash_store *store, const struct slash_high *high)
{
    struct guard *g = guard_of(store);
    cc_err err = slash_set_high(g->inner, high);
    return guard_settled(g, err, &err) ? slash_set_high(g->inner, high) : err;
}

static void guard_close(struct slash_store *store)
{
    struct guard *g = guard_of(store);
    if (g->mirror && !mirror_is_stale(g->mirror)) {
        cc_err err = mirror_flush(g->mirror);
        if (!err.code)
            err = mirror_sync(g->mirror);
        if (err.code)
            log_warn("the end of the history's mirror may be lost", KV_ERR(err));
    }
    guard_pass_end(&g->verify);
    guard_pass_end(&g->compact);
    guard_keys_release(&g->refused);
    mirror_records_release(&g->records);
    mirror_close(g->mirror);
    slash_store_close(g->inner);
    cc_free(g->path);
    explicit_bzero(g, sizeof *g);
    cc_free(g);
}

static const struct slash_store_ops guard_ops = {
    .name = "guard",
    .check_and_record = guard_check_and_record,
    .register_keys = guard_register_keys,
    .set_enabled = guard_set_enabled,
    .merge = guard_merge,
    .visit = guard_visit,
    .prune = guard_prune,
    .maintain = guard_maintain,
    .status = guard_status,
    .probe = guard_probe,
    .estimate = guard_estimate,
    .fix_genesis = guard_fix_genesis,
    .set_high = guard_set_high,
    .set_ceiling = guard_set_ceiling,
    .raise_all = guard_raise_all,
    .verify = guard_verify,
    .merge_many = guard_merge_many,
    .visit_after = guard_visit_after,
    .close = guard_close,
};

/* --- opening -------------------------------------------------------------------------------------------------------- */

CC_ERR slash_guard_replica(const char *path, uint8_t ret_id[static SLASH_REPLICA_SIZE])
{
    bool found = false;
    CC_TRY(mirror_peek_replica(path, &found, ret_id));
    return found ? CC_OK : random_bytes(ret_id, SLASH_REPLICA_SIZE);
}

struct restoring {
    struct slash_store *store;
    const struct slash_watermark *floor;
    struct eth_pubkey keys[SLASH_BATCH_MAX];
    size_t count;
};

static cc_err restore_some(struct restoring *r)
{
    size_t n = r->count;
    r->count = 0;
    return slash_register_keys(r->store, r->keys, n, r->floor);
}

static cc_err restore_row(void *context, const struct eth_pubkey *pubkey)
{
    struct restoring *r = context;
    r->keys[r->count++] = *pubkey;
    return r->count == ARRAY_LEN(r->keys) ? restore_some(r) : CC_OK;
}

CC_ERR slash_guard_restore_rows(struct slash_store *store,
                                const char *path,
                                const struct slash_watermark *floor)
{
    struct restoring r = {.store = store, .floor = floor};
    CC_TRY(mirror_peek_keys(path, restore_row, &r));
    return restore_some(&r);
}

static cc_err prepare(struct guard *g, const struct slash_guard_options *o)
{
    g->identity = g->base.identity = g->inner->identity;
    g->path = cc_strdup(o->path);
    if (!g->path)
        return CC_FAIL(NO_MEMORY, "guard");
    memcpy(g->key, o->key, sizeof g->key);
    memcpy(g->replica, o->replica, sizeof g->replica);
    g->settings = (struct mirror_settings){g->path, g->key, &g->identity, g->replica};
    g->automatic = o->automatic;
    g->on_new_timeline = o->on_new_timeline;
    g->has_ceiling = o->has_ceiling;
    g->ceiling = o->ceiling;
    g->slots_per_epoch = o->slots_per_epoch;
    return CC_OK;
}

/* A mirror that should be there and isn't: what it would have found is unknown. */
static cc_err make_mirror(struct guard *g)
{
    if (g->mirror_lost) {
        log_error("the history's mirror is gone, so what the history may lack is not known",
                  KV_STR("path", g->path));
        cc_err err = guard_raise_to_ceiling(g);
        if (guard_settled(g, err, &err))
            err = guard_raise_to_ceiling(g);
        CC_TRY(err);
    }
    CC_TRY(mirror_create(&g->settings, &g->mirror));
    g->mirror_lost = false;
    return CC_OK;
}

/* No claim goes beyond the ceiling: a watermark that does was raised by hand, and up there no key would sign again. */
static const char *repair_hint(const struct guard *g)
{
    if (g->has_ceiling && g->repair_epoch > g->ceiling)
        return "least_epoch is beyond the ceiling, so a low watermark was raised without a signature, and repair-watermark "
               "would raise all others as high: put the right history back and move history.mirror away, then the next "
               "start raises all low watermarks to the ceiling";
    return "put the right one back; or run `containment-chamber slashing repair-watermark --epoch N`, with N "
           "later than any epoch that may have been signed, and no less than least_epoch";
}

static cc_err compare_all(struct guard *g)
{
    uint64_t began_ms = clock_mono_ms();
    CC_TRY(guard_pass_begin(g, &g->verify));
    g->trusted = true;
    while (!g->verify.over)
        CC_TRY(guard_pass_step(g, &g->verify, SLASH_MERGE_MAX, g->automatic));
    g->trusted = false;
    const struct slash_verify_report r = g->verify.report;
    g->compact_above = 2 * g->verify.kept * RECORD_BYTES + COMPACT_SLACK;
    guard_pass_end(&g->verify);
    if (g->refused.count == 0) {
        log_info("the history was compared with its mirror", KV_NUM("keys", r.keys),
                 KV_NUM("records", r.records), KV_NUM("ms", clock_mono_ms() - began_ms));
        return CC_OK;
    }
    log_error(
        "the history is refused: it lacks records that this signer has made, as an older copy or an edited one does",
        KV_NUM("keys", g->refused.count), KV_NUM("missing", r.missing),
        KV_NUM("changed", r.changed), KV_NUM("least_epoch", g->repair_epoch),
        KV_STR("hint", repair_hint(g)));
    return CC_FAIL(
        TAMPERED,
        "the history lacks records that this signer has made, or has others in their place");
}

static cc_err open_all(struct guard *g, const struct slash_guard_options *o)
{
    struct slash_status status;
    CC_TRY(prepare(g, o));
    CC_TRY(open_mirror(g));
    if (g->mirror && o->fresh)
        return CC_FAIL(EXISTS, "a data directory that joins has a mirror already");
    g->mirror_lost = !g->mirror && !o->fresh && g->has_ceiling;
    if (!g->mirror)
        CC_TRY(make_mirror(g));
    CC_TRY(guard_status(&g->base, &status));
    if (status.has_ceiling) {
        g->ceiling = g->has_ceiling ? u64_max(g->ceiling, status.ceiling) : status.ceiling;
        g->has_ceiling = true;
    }
    return compare_all(g);
}

CC_ERR slash_guard_open(struct slash_store *inner,
                        const struct slash_guard_options *options,
                        struct slash_store **ret_store)
{
    struct guard *g = cc_alloc(sizeof *g);
    if (!g) {
        slash_store_close(inner);
        return CC_FAIL(NO_MEMORY, "guard");
    }
    g->base.ops = &guard_ops;
    g->inner = inner;
    cc_err err = open_all(g, options);
    if (err.code)
        guard_close(&g->base);
    else
        *ret_store = &g->base;
    return err;
}
