/* From a record to the one text that stands for it: members in this order, nothing that can be left out. */
#include <inttypes.h>

#include "codec/base64.h"
#include "codec/hex.h"
#include "seal/record_inside.h"

enum {
    RECORD_VERSION = 1
};

static cc_err put_hex(struct buf *out, const char *before, const void *bytes, size_t len)
{
    char digits[2 * 32];
    cc_assert(2 * len <= sizeof digits);
    hex_encode(bytes, len, digits);
    return buf_printf(out, "%s\"%.*s\"", before, (int)(2 * len), digits);
}

static cc_err put_base64(struct buf *out, const char *before, const void *bytes, size_t len)
{
    CC_TRY(buf_printf(out, "%s\"", before));
    CC_TRY(base64_append(out, bytes, len));
    return buf_append_str(out, "\"");
}

static cc_err put_recipient(struct buf *out, const char *before, const struct seal_recipient *r)
{
    CC_TRY(buf_printf(out, "%s{\"kind\":\"%s\"", before, seal_recipient_name(r->kind)));
    CC_TRY(put_hex(out, ",\"key\":", r->key, sizeof r->key));
    return buf_append_str(out, "}");
}

/* --- sets ----------------------------------------------------------------------------------------------------- */

static cc_err
put_kms(struct buf *out, const struct seal_shares *kms, const struct seal_kms_key *keys)
{
    CC_TRY(buf_printf(out, ",\"kms\":{\"threshold\":%" PRIu32 ",\"keys\":[", kms->threshold));
    for (uint32_t i = 0; i < kms->count; i++) {
        CC_TRY(buf_printf(out, "%s{\"arn\":\"%s\"", i ? "," : "", keys[i].arn));
        CC_TRY(put_base64(out, ",\"ciphertext\":", keys[i].ciphertext, keys[i].len));
        CC_TRY(put_hex(out, ",\"commitment\":", kms->commitments[i], 32));
        CC_TRY(buf_append_str(out, "}"));
    }
    return buf_append_str(out, "]}");
}

static cc_err put_break_glass(struct buf *out, const struct seal_shares *shares)
{
    CC_TRY(buf_printf(out, ",\"break_glass\":{\"threshold\":%" PRIu32 ",\"commitments\":[",
                      shares->threshold));
    for (uint32_t i = 0; i < shares->count; i++)
        CC_TRY(put_hex(out, i ? "," : "", shares->commitments[i], 32));
    return buf_append_str(out, "]}");
}

static cc_err put_operator(struct buf *out, const struct seal_operator *o)
{
    CC_TRY(buf_printf(out, "{\"name\":\"%s\"", o->name));
    CC_TRY(put_recipient(out, ",\"recipient\":", &o->recipient));
    CC_TRY(buf_printf(out, ",\"factor\":\"%s\",\"memory_kib\":%" PRIu32 ",\"passes\":%" PRIu32,
                      seal_factor_name(o->factor), o->memory_kib, o->passes));
    CC_TRY(put_hex(out, ",\"salt\":", o->salt, sizeof o->salt));
    CC_TRY(put_hex(out, ",\"challenge\":", o->challenge, sizeof o->challenge));
    CC_TRY(put_base64(out, ",\"hint\":", o->hint, o->hint_len));
    CC_TRY(put_base64(out, ",\"share\":", o->share.bytes, o->share.len));
    CC_TRY(put_hex(out, ",\"commitment\":", o->commitment, sizeof o->commitment));
    return buf_append_str(out, "}");
}

static cc_err put_operators(struct buf *out, const struct seal_set *set)
{
    CC_TRY(buf_printf(out, ",\"operators\":{\"threshold\":%" PRIu32 ",\"entries\":[",
                      set->operator_threshold));
    for (uint32_t i = 0; i < set->operator_count; i++) {
        CC_TRY(buf_append_str(out, i ? "," : ""));
        CC_TRY(put_operator(out, &set->operators[i]));
    }
    return buf_append_str(out, "]}");
}

static cc_err put_set(struct buf *out, const struct seal_set *set, const struct seal_kms_key *keys)
{
    CC_TRY(buf_printf(out,
                      ",\"set\":{\"mode\":\"%s\",\"generation\":%" PRIu32
                      ",\"kms_generation\":%" PRIu32 ",\"unseal_generation\":%" PRIu32
                      ",\"number\":%" PRIu64,
                      seal_mode_name(set->mode), set->generation, set->kms_generation,
                      set->unseal_generation, set->number));
    CC_TRY(put_hex(out, ",\"fingerprint\":", set->fingerprint, sizeof set->fingerprint));
    CC_TRY(put_base64(out, ",\"master\":", set->master.bytes, set->master.len));
    CC_TRY(put_hex(out, ",\"check\":", set->check, sizeof set->check));
    CC_TRY(put_base64(out, ",\"tokens\":", set->tokens, sizeof set->tokens));
    if (set->kms.count)
        CC_TRY(put_kms(out, &set->kms, keys));
    if (set->break_glass.count)
        CC_TRY(put_break_glass(out, &set->break_glass));
    if (set->operator_count)
        CC_TRY(put_operators(out, set));
    if (set->has_bridge)
        CC_TRY(put_base64(out, ",\"bridge\":", set->bridge, sizeof set->bridge));
    CC_TRY(put_hex(out, ",\"mac\":", set->mac, sizeof set->mac));
    return buf_append_str(out, "}");
}

CC_ERR seal_current_encode(const struct seal_current *record, struct buf *out)
{
    CC_TRY(seal_current_check(record));
    CC_TRY(buf_printf(out, "{\"version\":%d", RECORD_VERSION));
    CC_TRY(put_set(out, &record->set, record->keys));
    return buf_append_str(out, "}");
}

/* --- proposals ------------------------------------------------------------------------------------------------ */

static cc_err put_proposed_kms(struct buf *out, const struct seal_next *record)
{
    const struct seal_proposal *p = &record->proposal;
    CC_TRY(buf_printf(out, ",\"kms\":{\"threshold\":%" PRIu32 ",\"keys\":[", p->kms_threshold));
    for (uint32_t i = 0; i < p->kms_count; i++)
        CC_TRY(buf_printf(out, "%s\"%s\"", i ? "," : "", record->keys[i].arn));
    return buf_append_str(out, "]}");
}

static cc_err put_proposed_break_glass(struct buf *out, const struct seal_proposal *p)
{
    CC_TRY(buf_printf(out, ",\"break_glass\":{\"threshold\":%" PRIu32, p->break_glass_threshold));
    if (p->keep & SEAL_KEEP_KMS)
        return buf_printf(out, ",\"count\":%" PRIu32 "}", p->break_glass_count);
    CC_TRY(buf_append_str(out, ",\"recipients\":["));
    for (uint32_t i = 0; i < p->break_glass_count; i++)
        CC_TRY(put_recipient(out, i ? "," : "", &p->break_glass[i]));
    return buf_append_str(out, "]}");
}

static cc_err put_proposed_operators(struct buf *out, const struct seal_proposal *p)
{
    CC_TRY(buf_printf(out, ",\"operators\":{\"threshold\":%" PRIu32 ",\"entries\":[",
                      p->operator_threshold));
    for (uint32_t i = 0; i < p->operator_count; i++) {
        CC_TRY(buf_printf(out, "%s{\"name\":\"%s\"", i ? "," : "", p->operators[i].name));
        CC_TRY(put_recipient(out, ",\"recipient\":", &p->operators[i].recipient));
        CC_TRY(buf_append_str(out, "}"));
    }
    return buf_append_str(out, "]}");
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

static cc_err put_proposal(struct buf *out, const struct seal_next *record)
{
    const struct seal_proposal *p = &record->proposal;
    CC_TRY(put_hex(out, ",\"proposal\":{\"chamber\":", p->chamber_id, sizeof p->chamber_id));
    CC_TRY(put_hex(out, ",\"from\":", p->from, sizeof p->from));
    CC_TRY(put_hex(out, ",\"id\":", p->id, sizeof p->id));
    CC_TRY(buf_printf(
        out, ",\"generation\":%" PRIu32 ",\"mode\":\"%s\",\"keep_operators\":%s,\"keep_kms\":%s",
        p->generation, seal_mode_name(p->mode), truth(p->keep & SEAL_KEEP_OPERATORS),
        truth(p->keep & SEAL_KEEP_KMS)));
    if (p->kms_count)
        CC_TRY(put_proposed_kms(out, record));
    if (p->break_glass_count)
        CC_TRY(put_proposed_break_glass(out, p));
    if (p->operator_count)
        CC_TRY(put_proposed_operators(out, p));
    return buf_append_str(out, "}");
}

static cc_err put_age(struct buf *out, const struct seal_token *token)
{
    for (uint32_t i = 0; i < token->len; i++) {
        if (token->bytes[i] == '\n')
            CC_TRY(buf_append_str(out, "\\n"));
        else
            CC_TRY(buf_append(out, &token->bytes[i], 1));
    }
    return CC_OK;
}

static cc_err put_tokens(struct buf *out, const struct seal_next *record)
{
    bool any = false;
    for (uint32_t i = 0; i < record->set.operator_count; i++) {
        if (!record->tokens[i].len)
            continue;
        CC_TRY(buf_printf(out, "%s{\"name\":\"%s\",\"age\":\"", any ? "," : ",\"tokens\":[",
                          record->set.operators[i].name));
        CC_TRY(put_age(out, &record->tokens[i]));
        CC_TRY(buf_append_str(out, "\"}"));
        any = true;
    }
    return any ? buf_append_str(out, "]") : CC_OK;
}

CC_ERR seal_next_encode(const struct seal_next *record, struct buf *out)
{
    CC_TRY(seal_next_check(record));
    CC_TRY(buf_printf(out,
                      "{\"version\":%d,\"kind\":\"%s\",\"phase\":\"%s\",\"proposer\":\"%s\","
                      "\"proposed\":%" PRIu64,
                      RECORD_VERSION, seal_kind_name(record->kind), seal_phase_name(record->phase),
                      record->proposer, record->proposed));
    CC_TRY(put_hex(out, ",\"digest\":", record->digest, sizeof record->digest));
    CC_TRY(put_proposal(out, record));
    if (record->phase > SEAL_PHASE_PROPOSED)
        CC_TRY(put_set(out, &record->set, record->keys));
    CC_TRY(put_tokens(out, record));
    return buf_append_str(out, "}");
}

CC_ERR seal_replica_encode(const struct seal_replica *record, struct buf *out)
{
    CC_TRY(seal_replica_check(record));
    CC_TRY(buf_printf(out, "{\"version\":%d", RECORD_VERSION));
    CC_TRY(put_hex(out, ",\"replica\":", record->replica, sizeof record->replica));
    CC_TRY(buf_printf(out, ",\"generation\":%" PRIu32 ",\"open\":%s", record->generation,
                      truth(record->open)));
    CC_TRY(put_hex(out, ",\"staged\":", record->staged, sizeof record->staged));
    return buf_printf(out, ",\"staged_open\":%s,\"until\":%" PRIu64 "}", truth(record->staged_open),
                      record->until);
}
