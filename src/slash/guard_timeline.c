#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "slash/guard_inside.h"

enum {
    OTHERS_PATIENCE_MS = 4000 /* behaviour 7: signing goes on within five seconds */
};

struct slash_watermark slash_floor_of(uint64_t ceiling, uint64_t slots_per_epoch)
{
    uint64_t first = 0;
    if (__builtin_mul_overflow(ceiling, slots_per_epoch, &first))
        first = UINT64_MAX;
    return (struct slash_watermark){
        .has_slot = true,
        .has_epochs = true,
        .slot = u64_add_sat(first, slots_per_epoch - 1),
        .source = ceiling,
        .target = ceiling,
    };
}

CC_ERR guard_raise_to_ceiling(struct guard *g)
{
    uint64_t count = 0;
    struct slash_status status = {0};
    if (!g->has_ceiling)
        return CC_FAIL(TIMELINE,
                       "what may be lost is not known, and there is no ceiling to raise to");
    if (!slash_status(g->inner, &status).code && status.has_ceiling)
        g->ceiling = u64_max(g->ceiling, status.ceiling);
    const struct slash_watermark floor = slash_floor_of(g->ceiling, g->slots_per_epoch);
    CC_TRY(slash_raise_all(g->inner, &floor, &count));
    log_error(
        "the low watermarks of all keys were raised to the ceiling: duties begin again when a later epoch is "
        "justified",
        KV_NUM("epoch", g->ceiling), KV_NUM("keys", count));
    return CC_OK;
}

static cc_err refuse(const char *detail)
{
    log_error(
        "the database was failed over or restored: its newest records may be lost",
        KV_STR("why", detail),
        KV_STR(
            "hint",
            "stop the signer and run `containment-chamber slashing repair-watermark --epoch N`, with N "
            "later than any epoch that may have been signed"));
    return error_make(ERROR_TIMELINE, detail, __FILE__, __LINE__);
}

static cc_err collect(void *context, const struct slash_key *key)
{
    struct guard_keys *keys = context;
    if (keys->count && memcmp(&keys->items[keys->count - 1], &key->pubkey, sizeof key->pubkey) == 0)
        return CC_OK;
    return guard_keys_add(keys, &key->pubkey);
}

static void keys_release(struct guard_keys *keys)
{
    guard_keys_release(keys);
}

/* What this replica signed and the database may not have: the records of later frames. */
static cc_err
compare_after(struct guard *g, uint64_t position, bool automatic, uint64_t *ret_different)
{
    CC_CLEANUP(keys_release) struct guard_keys keys = {0};
    *ret_different = 0;
    CC_TRY(mirror_flush(g->mirror));
    CC_TRY(mirror_visit_after(g->mirror, position, collect, &keys));
    for (size_t i = 0; i < keys.count; i++) {
        bool differs = false;
        CC_TRY(guard_compare_key(g, &keys.items[i], automatic, &differs));
        *ret_different += differs;
    }
    return CC_OK;
}

/* The same time line, and commits of ours are not there: an older copy in the place of the newer one. Right only where
 * somebody has raised every watermark since.
 */
static cc_err settle_same_timeline(struct guard *g, const struct slash_timeline *t)
{
    uint64_t different = 0;
    if (g->mirror_lost)
        return refuse("an older copy of the database, and no mirror to compare it with");
    CC_TRY(compare_after(g, t->position, false, &different));
    return different ? refuse("an older copy of the database was put in its place") : CC_OK;
}

static cc_err settle_new_timeline(struct guard *g, const struct slash_timeline *t)
{
    uint64_t different = 0;
    if (g->on_new_timeline == SLASH_TIMELINE_RAISE || g->mirror_lost)
        return guard_raise_to_ceiling(g);
    if (t->position < mirror_position(g->mirror))
        CC_TRY(compare_after(g, t->position, true, &different));
    if (different)
        log_error(
            "the database was failed over and has lost records of this signer: the floors of these keys were raised",
            KV_NUM("keys", different));
    else
        log_warn(
            "the database was failed over, and nothing of what this signer committed is lost: going on");
    return CC_OK;
}

/* While others are waited for, what was compared stays compared; after anything else it begins again. */
static cc_err confirm(struct guard *g)
{
    uint64_t waiting = 0;
    g->settling = false;
    CC_TRY(slash_timeline_confirm(g->inner, false, &waiting));
    if (waiting == 0)
        return CC_OK;
    if (clock_mono_ms() - g->settling_since_ms < OTHERS_PATIENCE_MS) {
        g->settling = true;
        return CC_FAIL(TIMELINE,
                       "waiting for the other signers to compare their records with the database");
    }
    log_error(
        "other signers of this database have not compared their records with it in time: what they lost is unknown",
        KV_NUM("signers", waiting));
    CC_TRY(guard_raise_to_ceiling(g));
    return slash_timeline_confirm(g->inner, true, &waiting);
}

static cc_err settle(struct guard *g)
{
    struct slash_timeline t = {0};
    if (!g->settling) {
        CC_TRY(slash_timeline_begin(g->inner, &t));
        if (!t.same_cluster)
            return refuse("the database is another cluster");
        if (g->on_new_timeline == SLASH_TIMELINE_REFUSE && !t.confirmed)
            return refuse("on_new_timeline is refuse");
        CC_TRY(t.new_timeline ? settle_new_timeline(g, &t) : settle_same_timeline(g, &t));
        g->settling_since_ms = clock_mono_ms();
    }
    CC_TRY(confirm(g));
    /* What is lost has been dealt with: a ceiling that is lost with it is no sign of an older copy at the next start. */
    return g->has_ceiling ? slash_set_ceiling(g->inner, g->ceiling) : CC_OK;
}

bool guard_settled(struct guard *g, cc_err err, cc_err *ret_err)
{
    *ret_err = err;
    if (!error_is(err, ERROR_TIMELINE) || !slash_has_timeline(g->inner))
        return false;
    *ret_err = settle(g);
    return ret_err->code == 0;
}
