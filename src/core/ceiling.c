#include "core/ceiling.h"

#include <string.h>

#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

#include "core/test_point.h"
#include "slash/backend.h"
#include "slash/guard.h"

enum {
    RECORD_VERSION = 1
};

static const char kind[] = "history";
static const char ceiling_name[] = "ceiling";
static const char floor_name[] = "floor";

/* --- records ----------------------------------------------------------------------------------------------- */

static cc_err check_head(struct span bytes, size_t size)
{
    uint8_t version[4];
    u32_store_be(version, RECORD_VERSION);
    if (bytes.len != size || !span_equal(span_of(bytes.data, 4), span_of(version, 4)))
        return CC_FAIL(TAMPERED, "a state record has another format");
    return CC_OK;
}

void ceiling_record_encode(const struct ceiling *ceiling, uint8_t out[static CEILING_RECORD_SIZE])
{
    u32_store_be(out, RECORD_VERSION);
    out[4] = ceiling->has_confirmed;
    u64_store_be(out + 5, ceiling->confirmed);
    u64_store_be(out + 13, ceiling->pending);
}

CC_ERR ceiling_record_decode(struct span bytes, struct ceiling *ret_ceiling)
{
    CC_TRY(check_head(bytes, CEILING_RECORD_SIZE));
    const struct ceiling ceiling = {
        .has_confirmed = bytes.data[4] == 1,
        .confirmed = u64_load_be(bytes.data + 5),
        .pending = u64_load_be(bytes.data + 13),
    };
    bool odd = bytes.data[4] > 1 || (!ceiling.has_confirmed && ceiling.confirmed) ||
               ceiling.pending < ceiling.confirmed;
    if (odd)
        return CC_FAIL(TAMPERED, "a state record has another format");
    *ret_ceiling = ceiling;
    return CC_OK;
}

void floor_record_encode(const struct slash_watermark *floor, uint8_t out[static FLOOR_RECORD_SIZE])
{
    u32_store_be(out, RECORD_VERSION);
    u64_store_be(out + 4, floor->slot);
    u64_store_be(out + 12, floor->source);
    u64_store_be(out + 20, floor->target);
}

CC_ERR floor_record_decode(struct span bytes, struct slash_watermark *ret_floor)
{
    CC_TRY(check_head(bytes, FLOOR_RECORD_SIZE));
    *ret_floor = (struct slash_watermark){
        .has_slot = true,
        .has_epochs = true,
        .slot = u64_load_be(bytes.data + 4),
        .source = u64_load_be(bytes.data + 12),
        .target = u64_load_be(bytes.data + 20),
    };
    return CC_OK;
}

static cc_err write_record(struct state_store *state,
                           const struct state_signer *signer,
                           const char *name,
                           struct span bytes)
{
    const struct state_record *there = state_find(state, kind, name);
    const struct state_change change = {
        .kind = kind, .name = name, .expected_version = there ? there->version : 0, .bytes = bytes};
    return state_commit(state, &change, 1, signer);
}

CC_ERR ceiling_read(const struct state_store *state, bool *ret_there, struct ceiling *ret_ceiling)
{
    const struct state_record *record = state_find(state, kind, ceiling_name);
    *ret_there = record != NULL;
    *ret_ceiling = (struct ceiling){0};
    return record ? ceiling_record_decode(span_of(record->bytes, record->len), ret_ceiling) : CC_OK;
}

static cc_err write_ceiling(struct state_store *state,
                            const struct state_signer *signer,
                            const struct ceiling *ceiling)
{
    uint8_t bytes[CEILING_RECORD_SIZE];
    ceiling_record_encode(ceiling, bytes);
    return write_record(state, signer, ceiling_name, span_of(bytes, sizeof bytes));
}

CC_ERR ceiling_begin(struct state_store *state,
                     const struct state_signer *signer,
                     uint64_t epoch,
                     struct ceiling *ceiling)
{
    struct ceiling next = *ceiling;
    next.pending = u64_max(epoch, ceiling->pending);
    CC_TRY(write_ceiling(state, signer, &next));
    *ceiling = next;
    test_point_pass(TEST_POINT_CEILING_PENDING);
    return CC_OK;
}

CC_ERR ceiling_confirm(struct state_store *state,
                       const struct state_signer *signer,
                       struct ceiling *ceiling)
{
    struct ceiling next = {true, ceiling->pending, ceiling->pending};
    CC_TRY(write_ceiling(state, signer, &next));
    *ceiling = next;
    test_point_pass(TEST_POINT_CEILING_CONFIRMED);
    return CC_OK;
}

/* --- floors ------------------------------------------------------------------------------------------------- */

CC_ERR ceiling_read_floor(const struct state_store *state, struct slash_watermark *ret_floor)
{
    const struct state_record *record = state_find(state, kind, floor_name);
    *ret_floor = (struct slash_watermark){0};
    return record ? floor_record_decode(span_of(record->bytes, record->len), ret_floor) : CC_OK;
}

CC_ERR ceiling_raise_floor(struct state_store *state,
                           const struct state_signer *signer,
                           const struct slash_watermark *floor)
{
    uint8_t bytes[FLOOR_RECORD_SIZE];
    struct slash_watermark raised;
    CC_TRY(ceiling_read_floor(state, &raised));
    if (!slash_watermark_raise(&raised, floor))
        return CC_OK;
    floor_record_encode(&raised, bytes);
    return write_record(state, signer, floor_name, span_of(bytes, sizeof bytes));
}

/* --- at a start ------------------------------------------------------------------------------------------------ */

enum ceiling_verdict
ceiling_judge(bool there, const struct ceiling *ceiling, bool history_has, uint64_t history_epoch)
{
    if (ceiling->has_confirmed && (!history_has || history_epoch < ceiling->confirmed))
        return CEILING_ROLLED_BACK;
    if (history_has && (!there || history_epoch > ceiling->pending))
        return CEILING_STATE_BEHIND;
    return there && (!ceiling->has_confirmed || ceiling->pending > ceiling->confirmed)
               ? CEILING_UNFINISHED
               : CEILING_AGREES;
}

/* Floors before ceilings: as long as the history's is the lower one, a start that was cut off does it again. */
static cc_err raise_floors(const struct ceiling_stores *stores,
                           const struct ceiling *ceiling,
                           const struct slash_status *status)
{
    const struct slash_watermark floor =
        slash_floor_of(ceiling->confirmed, stores->slots_per_epoch);
    uint64_t keys = 0;
    log_error(
        "the history was ROLLED BACK: it is an older copy than the state store knows of; no key signs at or below the "
        "ceiling any more",
        KV_NUM("ceiling", ceiling->confirmed),
        KV_NUM("history_ceiling", status->has_ceiling ? status->ceiling : 0),
        KV_NUM("floor_slot", floor.slot),
        KV_STR("hint",
               "find out who restored it: a newer copy of it must not be used beside this one"));
    metric_add(METRIC_HISTORY_ROLLBACKS, 0, 0, 1);
    CC_TRY(slash_raise_all(stores->history, &floor, &keys));
    test_point_pass(TEST_POINT_FLOORS_RAISED);
    CC_TRY(ceiling_raise_floor(stores->state, stores->signer, &floor));
    log_notice("low watermarks were raised to the ceiling", KV_NUM("keys", keys));
    return CC_OK;
}

static cc_err
follow_history(const struct ceiling_stores *stores, uint64_t epoch, struct ceiling *ceiling)
{
    log_notice("the history's ceiling is ahead of the state store's, which follows it",
               KV_NUM("ceiling", ceiling->confirmed), KV_NUM("history_ceiling", epoch));
    const struct ceiling next = {true, epoch, epoch};
    CC_TRY(write_ceiling(stores->state, stores->signer, &next));
    *ceiling = next;
    return CC_OK;
}

static cc_err finish(const struct ceiling_stores *stores, struct ceiling *ceiling)
{
    CC_TRY(slash_set_ceiling(stores->history, ceiling->pending));
    test_point_pass(TEST_POINT_CEILING_RECORDED);
    return ceiling_confirm(stores->state, stores->signer, ceiling);
}

CC_ERR ceiling_settle(const struct ceiling_stores *stores, struct ceiling *ret_ceiling)
{
    struct slash_status status = {0};
    struct ceiling ceiling;
    bool there = false;
    CC_TRY(ceiling_read(stores->state, &there, &ceiling));
    CC_TRY(slash_status(stores->history, &status));
    switch (ceiling_judge(there, &ceiling, status.has_ceiling, status.ceiling)) {
    case CEILING_AGREES:
        break;
    case CEILING_ROLLED_BACK:
        CC_TRY(raise_floors(stores, &ceiling, &status));
        CC_TRY(finish(stores, &ceiling));
        break;
    case CEILING_UNFINISHED:
        CC_TRY(finish(stores, &ceiling));
        break;
    case CEILING_STATE_BEHIND:
        CC_TRY(follow_history(stores, status.ceiling, &ceiling));
        break;
    }
    *ret_ceiling = ceiling;
    return CC_OK;
}
