#include "core/rehearsal.h"

#include "base/log.h"
#include "base/metric.h"
#include "base/num.h"

static const char kind[] = "rehearsal";
static const char name[] = "last";

enum {
    RECORD_VERSION = 1,
    NS_PER_S = 1000000000
};

void rehearsal_encode(uint64_t seconds, uint8_t ret_bytes[static REHEARSAL_RECORD_SIZE])
{
    u32_store_be(ret_bytes, RECORD_VERSION);
    u64_store_be(ret_bytes + 4, seconds);
}

CC_ERR rehearsal_decode(struct span bytes, uint64_t *ret_seconds)
{
    uint8_t version[4];
    u32_store_be(version, RECORD_VERSION);
    if (bytes.len != REHEARSAL_RECORD_SIZE ||
        !span_equal(span_of(bytes.data, sizeof version), span_of(version, sizeof version)))
        return CC_FAIL(TAMPERED, "the record of the last rehearsal has another format");
    *ret_seconds = u64_load_be(bytes.data + sizeof version);
    return *ret_seconds <= UINT64_MAX / NS_PER_S
               ? CC_OK
               : CC_FAIL(TAMPERED, "the record of the last rehearsal names no time");
}

static cc_err read_last(const struct state_record *record, uint64_t *ret_seconds)
{
    *ret_seconds = 0;
    return record ? rehearsal_decode(span_of(record->bytes, record->len), ret_seconds) : CC_OK;
}

void rehearsal_show(const struct state_store *state, bool has_operators)
{
    uint64_t seconds = 0;
    cc_err err = read_last(state_find(state, kind, name), &seconds);
    if (err.code)
        log_error("when operators last rehearsed can't be read", KV_ERR(err));
    else
        metric_set(METRIC_CHAMBER_REHEARSAL, 0, has_operators ? seconds * NS_PER_S : 0);
}

static cc_err put(void *context, struct state_store *state, const struct state_signer *signer)
{
    const uint64_t *seconds = context;
    const struct state_record *record = state_find(state, kind, name);
    uint8_t bytes[REHEARSAL_RECORD_SIZE];
    uint64_t last = 0;
    CC_TRY(read_last(record, &last));
    if (last >= *seconds)
        return CC_OK;
    rehearsal_encode(*seconds, bytes);
    const struct state_change change = {.kind = kind,
                                        .name = name,
                                        .expected_version = record ? record->version : 0,
                                        .bytes = span_of(bytes, sizeof bytes)};
    return state_commit(state, &change, 1, signer);
}

CC_ERR rehearsal_note(struct keeper *keeper, uint64_t wall_ms, uint64_t patience_ms)
{
    uint64_t seconds = wall_ms / 1000;
    return keeper_run(keeper, put, &seconds, patience_ms);
}
