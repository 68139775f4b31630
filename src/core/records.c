/* The state records `chamber/local` and `history/sqlite` as bytes: a version, then fields of fixed width. */
#include <string.h>

#include "base/num.h"

#include "core/stores.h"

enum {
    RECORD_VERSION = 1
};

static const uint8_t *take(const uint8_t *from, void *to, size_t len)
{
    memcpy(to, from, len);
    return from + len;
}

static uint8_t *put(uint8_t *to, const void *from, size_t len)
{
    memcpy(to, from, len);
    return to + len;
}

static cc_err check_head(struct span bytes, size_t size)
{
    uint8_t version[4];
    u32_store_be(version, RECORD_VERSION);
    if (bytes.len != size || !span_equal(span_of(bytes.data, 4), span_of(version, 4)))
        return CC_FAIL(TAMPERED, "a state record has another format");
    return CC_OK;
}

void chamber_record_encode(const struct b_chamber *chamber, uint8_t out[static CHAMBER_RECORD_SIZE])
{
    u32_store_be(out, RECORD_VERSION);
    out = put(out + 4, chamber->chamber_id, sizeof chamber->chamber_id);
    out = put(out, chamber->identity_public, sizeof chamber->identity_public);
    out = put(out, chamber->sealed_root, sizeof chamber->sealed_root);
    (void)put(out, chamber->sealed_identity, sizeof chamber->sealed_identity);
}

CC_ERR chamber_record_decode(struct span bytes, struct b_chamber *ret_chamber)
{
    CC_TRY(check_head(bytes, CHAMBER_RECORD_SIZE));
    struct b_chamber chamber = {0};
    const uint8_t *at = take(bytes.data + 4, chamber.chamber_id, sizeof chamber.chamber_id);
    at = take(at, chamber.identity_public, sizeof chamber.identity_public);
    at = take(at, chamber.sealed_root, sizeof chamber.sealed_root);
    (void)take(at, chamber.sealed_identity, sizeof chamber.sealed_identity);
    *ret_chamber = chamber;
    return CC_OK;
}

void history_record_encode(const struct history_record *record,
                           uint8_t out[static HISTORY_RECORD_SIZE])
{
    u32_store_be(out, RECORD_VERSION);
    out = put(out + 4, record->history_id, sizeof record->history_id);
    out = put(out, record->proof, sizeof record->proof);
    *out++ = record->has_genesis_validators_root;
    (void)put(out, &record->genesis_validators_root, sizeof record->genesis_validators_root);
}

CC_ERR history_record_decode(struct span bytes, struct history_record *ret_record)
{
    CC_TRY(check_head(bytes, HISTORY_RECORD_SIZE));
    struct history_record record = {0};
    const uint8_t *at = take(bytes.data + 4, record.history_id, sizeof record.history_id);
    at = take(at, record.proof, sizeof record.proof);
    if (*at > 1)
        return CC_FAIL(TAMPERED, "a state record has another format");
    record.has_genesis_validators_root = *at++;
    (void)take(at, &record.genesis_validators_root, sizeof record.genesis_validators_root);
    *ret_record = record;
    return CC_OK;
}
