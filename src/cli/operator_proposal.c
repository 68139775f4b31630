#include "cli/operator_proposal.h"

#include <inttypes.h>

#include "base/alloc.h"

#include "codec/hex.h"
#include "crypto/age.h"
#include "seal/proposal.h"

static cc_err member(struct jval object, const char *name, struct jval *ret_value)
{
    if (!jval_member(object, name, ret_value))
        return CC_FAIL(FIELD_MISSING, "of a rotation");
    return CC_OK;
}

static cc_err read_text(struct jval object, const char *name, struct span *ret_text)
{
    struct jval value;
    CC_TRY(member(object, name, &value));
    return jval_text(value, ret_text);
}

static cc_err read_number(struct jval object, const char *name, uint32_t *ret_number)
{
    struct jval value;
    uint64_t number = 0;
    CC_TRY(member(object, name, &value));
    CC_TRY(jval_u64(value, &number));
    if (number > UINT32_MAX)
        return CC_FAIL(NUMBER_RANGE, "of a rotation");
    *ret_number = (uint32_t)number;
    return CC_OK;
}

static cc_err read_bytes(struct jval object, const char *name, uint8_t ret_bytes[static 32])
{
    struct span text;
    CC_TRY(read_text(object, name, &text));
    return hex_decode(text, ret_bytes, 32);
}

/* An array of at most `max`, as an iterator. */
static cc_err read_list(struct jval object,
                        const char *name,
                        uint32_t max,
                        struct jval_iter *ret_iter,
                        uint32_t *ret_count)
{
    struct jval value;
    CC_TRY(member(object, name, &value));
    if (jval_type(value) != JVAL_ARRAY)
        return CC_FAIL(FIELD_TYPE, "a list of a rotation");
    if (jval_count(value) > max)
        return CC_FAIL(NUMBER_RANGE, "a list of a rotation is too long");
    *ret_iter = jval_iterate(value);
    *ret_count = jval_count(value);
    return CC_OK;
}

static cc_err read_recipient(struct span text, struct seal_recipient *ret_recipient)
{
    struct age_recipient recipient;
    CC_TRY(age_recipient_parse(text, &recipient));
    ret_recipient->kind = recipient.kind;
    memcpy(ret_recipient->key, recipient.key, sizeof ret_recipient->key);
    return CC_OK;
}

static cc_err read_keep(struct jval object, uint32_t *ret_keep)
{
    struct jval_iter iter;
    struct jval value;
    uint32_t count;
    CC_TRY(read_list(object, "keep", 2, &iter, &count));
    while (jval_next(&iter, &value)) {
        struct span word;
        CC_TRY(jval_text(value, &word));
        if (!span_is(word, "operators") && !span_is(word, "kms"))
            return CC_FAIL(MALFORMED, "what a rotation keeps");
        *ret_keep |= span_is(word, "kms") ? SEAL_KEEP_KMS : SEAL_KEEP_OPERATORS;
    }
    return CC_OK;
}

static cc_err read_keys(struct jval object, struct operator_proposal *p)
{
    struct jval_iter iter;
    struct jval value;
    CC_TRY(read_list(object, "kms_key_arns", SEAL_KMS_MAX, &iter, &p->proposal.kms_count));
    for (uint32_t i = 0; jval_next(&iter, &value); i++) {
        struct span arn;
        CC_TRY(jval_text(value, &arn));
        if (!kms_arn_check(arn))
            return CC_FAIL(MALFORMED, "ARN of a rotation");
        memcpy(p->keys[i].arn, arn.data, arn.len);
    }
    seal_kms_keys_digest(p->keys, p->proposal.kms_count, p->proposal.kms_keys);
    return CC_OK;
}

static cc_err read_break_glass(struct jval object, struct seal_proposal *p)
{
    struct jval glass, value;
    struct jval_iter iter;
    uint32_t count;
    CC_TRY(member(object, "break_glass", &glass));
    CC_TRY(read_number(glass, "threshold", &p->break_glass_threshold));
    CC_TRY(read_list(glass, "recipients", SEAL_BREAK_GLASS_MAX, &iter, &count));
    p->break_glass_count = count;
    if (jval_member(glass, "count", &value)) /* with the KMS keys as they are nobody is named */
        CC_TRY(read_number(glass, "count", &p->break_glass_count));
    for (uint32_t i = 0; jval_next(&iter, &value); i++) {
        struct span text;
        CC_TRY(jval_text(value, &text));
        CC_TRY(read_recipient(text, &p->break_glass[i]));
    }
    return CC_OK;
}

static cc_err read_operators(struct jval object, struct seal_proposal *p)
{
    struct jval_iter iter;
    struct jval value;
    CC_TRY(read_list(object, "operators", SEAL_OPERATORS_MAX, &iter, &p->operator_count));
    for (uint32_t i = 0; jval_next(&iter, &value); i++) {
        struct span text;
        CC_TRY(read_text(value, "name", &text));
        if (!seal_is_operator_name(text))
            return CC_FAIL(MALFORMED, "name of an operator");
        memcpy(p->operators[i].name, text.data, text.len);
        CC_TRY(read_text(value, "public_key", &text));
        CC_TRY(read_recipient(text, &p->operators[i].recipient));
    }
    return CC_OK;
}

static cc_err read_proposal(struct jval object, struct operator_proposal *p)
{
    struct span text;
    CC_TRY(read_bytes(object, "chamber_id", p->proposal.chamber_id));
    CC_TRY(read_bytes(object, "from", p->proposal.from));
    CC_TRY(read_bytes(object, "id", p->proposal.id));
    CC_TRY(read_number(object, "generation", &p->proposal.generation));
    CC_TRY(read_text(object, "mode", &text));
    if (!seal_mode_of(text, &p->proposal.mode))
        return CC_FAIL(MALFORMED, "mode of a rotation");
    CC_TRY(read_keep(object, &p->proposal.keep));
    CC_TRY(read_number(object, "kms_threshold", &p->proposal.kms_threshold));
    CC_TRY(read_number(object, "operator_threshold", &p->proposal.operator_threshold));
    CC_TRY(read_keys(object, p));
    CC_TRY(read_break_glass(object, &p->proposal));
    CC_TRY(read_operators(object, &p->proposal));
    return proposal_check(&p->proposal);
}

/* Nothing that a terminal would take for a command. */
static bool is_principal(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x21 || text.data[i] > 0x7e)
            return false;
    return text.len > 0 && text.len < SEAL_PROPOSER_SIZE;
}

static cc_err read_rotation(struct jval rotation, struct operator_proposal *p)
{
    struct jval value;
    struct span text;
    uint8_t said[32];
    CC_TRY(read_text(rotation, "kind", &text));
    if (!seal_kind_of(text, &p->kind))
        return CC_FAIL(MALFORMED, "kind of a rotation");
    CC_TRY(read_text(rotation, "proposer", &text));
    if (!is_principal(text))
        return CC_FAIL(MALFORMED, "proposer of a rotation");
    memcpy(p->proposer, text.data, text.len);
    CC_TRY(member(rotation, "proposal", &value));
    CC_TRY(read_proposal(value, p));
    proposal_digest(&p->proposal, p->digest);
    proposal_cancel_digest(p->proposal.chamber_id, p->digest, p->cancel_digest);
    CC_TRY(read_bytes(rotation, "digest", said));
    if (!span_equal(span_of(said, sizeof said), span_of(p->digest, sizeof p->digest)))
        return CC_FAIL(IDENTITY, "the digest is not that of what is shown: approve nothing here");
    return CC_OK;
}

CC_ERR operator_proposal_read(struct jval rotation, struct operator_proposal **ret_proposal)
{
    *ret_proposal = cc_alloc(sizeof **ret_proposal);
    if (!*ret_proposal)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_err err = jval_type(rotation) == JVAL_OBJECT ? read_rotation(rotation, *ret_proposal)
                                                    : CC_FAIL(FIELD_TYPE, "there is no rotation");
    if (err.code) {
        operator_proposal_free(*ret_proposal);
        *ret_proposal = NULL;
    }
    return err;
}

void operator_proposal_free(struct operator_proposal *proposal)
{
    cc_free(proposal);
}

/* --- in words ---------------------------------------------------------------------------------------------------------------- */

static cc_err put_hex(struct buf *out, const char *what, const uint8_t bytes[static 32])
{
    char digits[2 * 32 + 1] = "";
    hex_encode(bytes, 32, digits);
    return buf_printf(out, "%s%s\n", what, digits);
}

static cc_err put_recipient(struct buf *out, const struct seal_recipient *recipient)
{
    struct age_recipient age = {.kind = recipient->kind};
    memcpy(age.key, recipient->key, sizeof age.key);
    CC_TRY(age_recipient_write(&age, out));
    return buf_append_str(out, "\n");
}

static cc_err put_keys(const struct operator_proposal *p, struct buf *out)
{
    const struct seal_proposal *q = &p->proposal;
    if (q->kms_count == 0)
        return buf_append_str(out, "KMS keys        none\n");
    CC_TRY(buf_printf(out, "KMS keys        %" PRIu32 " of %" PRIu32 "%s\n", q->kms_threshold,
                      q->kms_count, q->keep & SEAL_KEEP_KMS ? ", as they are" : ", new"));
    for (uint32_t i = 0; i < q->kms_count; i++)
        CC_TRY(buf_printf(out, "                %s\n", p->keys[i].arn));
    if (q->break_glass_count == 0)
        return buf_append_str(out, "break-glass     none\n");
    CC_TRY(buf_printf(out, "break-glass     %" PRIu32 " of %" PRIu32 "\n", q->break_glass_threshold,
                      q->break_glass_count));
    for (uint32_t i = 0; i < q->break_glass_count && q->break_glass[i].kind; i++) {
        CC_TRY(buf_append_str(out, "                "));
        CC_TRY(put_recipient(out, &q->break_glass[i]));
    }
    return CC_OK;
}

static cc_err put_operators(const struct seal_proposal *q, struct buf *out)
{
    if (q->operator_count == 0)
        return buf_append_str(out, "operators       none\n");
    CC_TRY(buf_printf(out, "operators       %" PRIu32 " of %" PRIu32 "%s\n", q->operator_threshold,
                      q->operator_count,
                      q->keep & SEAL_KEEP_OPERATORS ? ", as they are" : ", new: all register"));
    for (uint32_t i = 0; i < q->operator_count; i++) {
        CC_TRY(buf_printf(out, "                %-16s ", q->operators[i].name));
        CC_TRY(put_recipient(out, &q->operators[i].recipient));
    }
    return CC_OK;
}

CC_ERR operator_proposal_describe(const struct operator_proposal *proposal, struct buf *out)
{
    const struct seal_proposal *q = &proposal->proposal;
    CC_TRY(buf_printf(out, "proposed        %s, by %s\n", seal_kind_name(proposal->kind),
                      proposal->proposer));
    CC_TRY(put_hex(out, "chamber         ", q->chamber_id));
    CC_TRY(put_hex(out, "in place of     ", q->from));
    CC_TRY(buf_printf(out, "mode            %s\ngeneration      %" PRIu32 "\n",
                      seal_mode_name(q->mode), q->generation));
    CC_TRY(put_keys(proposal, out));
    CC_TRY(put_operators(q, out));
    return put_hex(out, "digest          ", proposal->digest);
}
