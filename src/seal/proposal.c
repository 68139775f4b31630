#include "seal/proposal.h"

#include <stdbool.h>
#include <string.h>

#include "base/num.h"

#include "crypto/sha256.h"
#include "seal/record.h"

/* Each with its zero byte. */
static const char label_proposal[] = "containment-chamber/seal-proposal/v1";
static const char label_cancel[] = "containment-chamber/seal-cancel/v1";
static const char label_manager[] = "containment-chamber/root-token/v1";
static const char label_auto[] = "containment-chamber/auto-unseal-proposal/v1";

enum {
    PERSON_SIZE = SEAL_NAME_SIZE + 4 + 32,
    KNOWN_KEEP = SEAL_KEEP_OPERATORS | SEAL_KEEP_KMS
};

static bool has_kms(uint32_t mode)
{
    return mode == SEAL_KMS || mode == SEAL_QUORUM;
}

static bool has_operators(uint32_t mode)
{
    return mode == SEAL_QUORUM || mode == SEAL_OPERATORS;
}

static bool shared_out(uint32_t threshold, uint32_t count, uint32_t max)
{
    return count >= 1 && count <= max && threshold >= 1 && threshold <= count;
}

static bool is_recipient(const struct seal_recipient *r)
{
    return r->kind == SEAL_RECIPIENT_AGE || r->kind == SEAL_RECIPIENT_SSH;
}

static cc_err check_kms(const struct seal_proposal *p)
{
    if (!has_kms(p->mode))
        return p->kms_count || p->kms_threshold || p->break_glass_count ||
                       p->break_glass_threshold || (p->keep & SEAL_KEEP_KMS)
                   ? CC_FAIL(PROTOCOL, "KMS keys in a mode without them")
                   : CC_OK;
    if (!shared_out(p->kms_threshold, p->kms_count, SEAL_KMS_MAX))
        return CC_FAIL(PROTOCOL, "number of KMS keys, or their threshold");
    if (!p->break_glass_count)
        return p->break_glass_threshold ? CC_FAIL(PROTOCOL, "threshold of break-glass shares")
                                        : CC_OK;
    if (!shared_out(p->break_glass_threshold, p->break_glass_count, SEAL_BREAK_GLASS_MAX))
        return CC_FAIL(PROTOCOL, "number of break-glass shares, or their threshold");
    for (uint32_t i = 0; i < p->break_glass_count; i++)
        if (!(p->keep & SEAL_KEEP_KMS) && !is_recipient(&p->break_glass[i]))
            return CC_FAIL(PROTOCOL, "recipient of a break-glass share");
    return CC_OK;
}

static cc_err check_person(const struct seal_proposal *p, uint32_t i)
{
    const char *name = p->operators[i].name;
    const size_t len = strnlen(name, SEAL_NAME_SIZE);
    if (len == SEAL_NAME_SIZE || !seal_is_operator_name(span_of(name, len)))
        return CC_FAIL(PROTOCOL, "name of an operator");
    if (!is_recipient(&p->operators[i].recipient))
        return CC_FAIL(PROTOCOL, "public key of an operator");
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(name, p->operators[k].name) == 0)
            return CC_FAIL(PROTOCOL, "two operators of one name");
    return CC_OK;
}

/* One person alone may be the quorum only where he is the only operator. */
static cc_err check_operators(const struct seal_proposal *p)
{
    if (!has_operators(p->mode))
        return p->operator_count || p->operator_threshold || (p->keep & SEAL_KEEP_OPERATORS)
                   ? CC_FAIL(PROTOCOL, "operators in a mode without them")
                   : CC_OK;
    if (!shared_out(p->operator_threshold, p->operator_count, SEAL_OPERATORS_MAX) ||
        (p->operator_threshold < 2 && p->operator_count > 1))
        return CC_FAIL(PROTOCOL, "number of operators, or their threshold");
    for (uint32_t i = 0; i < p->operator_count; i++)
        CC_TRY(check_person(p, i));
    return CC_OK;
}

CC_ERR proposal_check(const struct seal_proposal *proposal)
{
    if (proposal->mode < SEAL_LOCAL || proposal->mode > SEAL_OPERATORS || !proposal->generation ||
        (proposal->keep & ~(uint32_t)KNOWN_KEEP))
        return CC_FAIL(PROTOCOL, "mode or generation of a proposal");
    CC_TRY(check_kms(proposal));
    return check_operators(proposal);
}

static uint8_t *put(uint8_t *to, const void *from, size_t len)
{
    memcpy(to, from, len);
    return to + len;
}

static uint8_t *put_u32(uint8_t *to, uint32_t number)
{
    u32_store_be(to, number);
    return to + 4;
}

static uint8_t *put_name(uint8_t *to, const char *name)
{
    memset(to, 0, SEAL_NAME_SIZE);
    memcpy(to, name, strnlen(name, SEAL_NAME_SIZE - 1));
    return to + SEAL_NAME_SIZE;
}

static uint8_t *put_recipient(uint8_t *to, const struct seal_recipient *recipient)
{
    return put(put_u32(to, recipient->kind), recipient->key, sizeof recipient->key);
}

void proposal_digest(const struct seal_proposal *proposal, uint8_t ret_digest[static 32])
{
    uint8_t text[sizeof label_proposal + 4 * 32 + 9 * 4 + SEAL_OPERATORS_MAX * PERSON_SIZE +
                 SEAL_BREAK_GLASS_MAX * 36];
    uint8_t *at = put(text, label_proposal, sizeof label_proposal);
    at = put(at, proposal->chamber_id, sizeof proposal->chamber_id);
    at = put(at, proposal->from, sizeof proposal->from);
    at = put(at, proposal->id, sizeof proposal->id);
    at = put_u32(at, proposal->generation);
    at = put_u32(at, proposal->mode);
    at = put_u32(at, proposal->keep);
    at = put_u32(at, proposal->kms_threshold);
    at = put_u32(at, proposal->kms_count);
    at = put(at, proposal->kms_keys, sizeof proposal->kms_keys);
    at = put_u32(at, proposal->break_glass_threshold);
    at = put_u32(at, proposal->break_glass_count);
    at = put_u32(at, proposal->operator_threshold);
    at = put_u32(at, proposal->operator_count);
    for (uint32_t i = 0; i < proposal->operator_count && i < SEAL_OPERATORS_MAX; i++)
        at = put_recipient(put_name(at, proposal->operators[i].name),
                           &proposal->operators[i].recipient);
    for (uint32_t i = 0; i < proposal->break_glass_count && i < SEAL_BREAK_GLASS_MAX; i++)
        at = put_recipient(at, &proposal->break_glass[i]);
    sha256(span_of(text, (size_t)(at - text)), ret_digest);
}

/* Label, chamber, 32 bytes. */
static void digest_of(struct span label,
                      const uint8_t chamber_id[static 32],
                      const uint8_t what[static 32],
                      uint8_t ret_digest[static 32])
{
    uint8_t text[sizeof label_proposal + 64];
    uint8_t *at = put(put(text, label.data, label.len), chamber_id, 32);
    at = put(at, what, 32);
    sha256(span_of(text, (size_t)(at - text)), ret_digest);
}

void proposal_cancel_digest(const uint8_t chamber_id[static 32],
                            const uint8_t digest[static 32],
                            uint8_t ret_digest[static 32])
{
    digest_of(span_of(label_cancel, sizeof label_cancel), chamber_id, digest, ret_digest);
}

void proposal_manager_digest(const uint8_t chamber_id[static 32],
                             const uint8_t public_key[static 32],
                             uint8_t ret_digest[static 32])
{
    digest_of(span_of(label_manager, sizeof label_manager), chamber_id, public_key, ret_digest);
}

/* --- auto-unseal ---------------------------------------------------------------------------------------------------------------- */

/* An image whose PCR0 is zeros was started in debug mode: its memory is open to the parent. */
CC_ERR proposal_auto_check(const struct seal_auto_proposal *proposal)
{
    static const uint8_t none[SEAL_PCR_SIZE];
    if (span_equal(span_of(proposal->image.pcr0, SEAL_PCR_SIZE), span_of(none, sizeof none)))
        return CC_FAIL(PROTOCOL, "an image without a PCR0");
    return shared_out(proposal->threshold, proposal->count, SEAL_KMS_MAX)
               ? CC_OK
               : CC_FAIL(PROTOCOL, "number of KMS keys, or their threshold");
}

void proposal_auto_digest(const struct seal_auto_proposal *proposal, uint8_t ret_digest[static 32])
{
    uint8_t text[sizeof label_auto + 4 * 32 + 2 * SEAL_PCR_SIZE + 8];
    uint8_t *at = put(text, label_auto, sizeof label_auto);
    at = put(at, proposal->chamber_id, sizeof proposal->chamber_id);
    at = put(at, proposal->from, sizeof proposal->from);
    at = put(at, proposal->id, sizeof proposal->id);
    at = put(at, proposal->image.pcr0, SEAL_PCR_SIZE);
    at = put(at, proposal->image.pcr8, SEAL_PCR_SIZE);
    at = put_u32(at, proposal->threshold);
    at = put_u32(at, proposal->count);
    at = put(at, proposal->kms_keys, sizeof proposal->kms_keys);
    cc_assert((size_t)(at - text) == sizeof text);
    sha256(span_of(text, sizeof text), ret_digest);
}
