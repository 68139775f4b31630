#include "core/handover.h"

#include <inttypes.h>
#include <string.h>

#include "base/num.h"

#include "codec/hex.h"
#include "slash/backend.h"

static const char title[] = "containment-chamber-hand-over-v1\n";
static const char label[] = "containment-chamber/hand-over/v1"; /* with its zero byte */

/* --- text ------------------------------------------------------------------------------------------------------ */

static cc_err put_hex(struct buf *out, const char *name, const uint8_t *bytes, size_t len)
{
    char digits[2 * ED25519_SIGNATURE_SIZE + 1] = {0};
    cc_assert(len <= ED25519_SIGNATURE_SIZE);
    hex_encode(bytes, len, digits);
    return buf_printf(out, "%s 0x%s\n", name, digits);
}

/* All that is signed. */
static cc_err put_body(const struct handover *h, struct buf *out)
{
    CC_TRY(buf_append_str(out, title));
    CC_TRY(put_hex(out, "chamber", h->chamber_id, sizeof h->chamber_id));
    CC_TRY(put_hex(out, "history", h->history_id, sizeof h->history_id));
    CC_TRY(put_hex(out, "network", h->network.bytes, sizeof h->network.bytes));
    return buf_printf(
        out, "epoch %" PRIu64 "\nslot %" PRIu64 "\nsource %" PRIu64 "\ntarget %" PRIu64 "\n",
        h->epoch, h->slot, h->source, h->target);
}

CC_ERR handover_encode(const struct handover *handover, struct buf *ret_text)
{
    CC_TRY(put_body(handover, ret_text));
    return put_hex(ret_text, "signature", handover->signature, sizeof handover->signature);
}

/* Takes `name`, a space and what stands before the end of the line. */
static cc_err take_line(struct span *rest, const char *name, struct span *ret_value)
{
    const size_t len = strlen(name);
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    if (!end || (size_t)(end - rest->data) <= len ||
        !span_equal(span_of(rest->data, len), span_of(name, len)) || rest->data[len] != ' ')
        return CC_FAIL(MALFORMED, "not the token of a hand-over");
    *ret_value = span_of(rest->data + len + 1, (size_t)(end - rest->data) - len - 1);
    *rest = span_of(end + 1, rest->len - (size_t)(end + 1 - rest->data));
    return CC_OK;
}

static cc_err take_hex(struct span *rest, const char *name, uint8_t *ret_bytes, size_t len)
{
    struct span value;
    CC_TRY(take_line(rest, name, &value));
    if (value.len != 2 + 2 * len || value.data[0] != '0' || value.data[1] != 'x')
        return CC_FAIL(MALFORMED, "not the token of a hand-over");
    return hex_decode(span_of(value.data + 2, value.len - 2), ret_bytes, len);
}

static cc_err take_number(struct span *rest, const char *name, uint64_t *ret_number)
{
    struct span value;
    CC_TRY(take_line(rest, name, &value));
    return u64_parse(value, ret_number);
}

static cc_err take_all(struct span rest, struct handover *h)
{
    const struct span head = span_str(title);
    if (rest.len < head.len || !span_equal(span_of(rest.data, head.len), head))
        return CC_FAIL(MALFORMED, "not the token of a hand-over");
    rest = span_of(rest.data + head.len, rest.len - head.len);
    CC_TRY(take_hex(&rest, "chamber", h->chamber_id, sizeof h->chamber_id));
    CC_TRY(take_hex(&rest, "history", h->history_id, sizeof h->history_id));
    CC_TRY(take_hex(&rest, "network", h->network.bytes, sizeof h->network.bytes));
    CC_TRY(take_number(&rest, "epoch", &h->epoch));
    CC_TRY(take_number(&rest, "slot", &h->slot));
    CC_TRY(take_number(&rest, "source", &h->source));
    CC_TRY(take_number(&rest, "target", &h->target));
    return take_hex(&rest, "signature", h->signature, sizeof h->signature);
}

/* One token has one text: whatever else would mean the same is none. */
CC_ERR handover_parse(struct span text, struct handover *ret_handover)
{
    CC_CLEANUP(buf_release) struct buf again = buf_init(HANDOVER_TEXT_MAX);
    struct handover handover = {0};
    if (text.len > HANDOVER_TEXT_MAX || take_all(text, &handover).code)
        return CC_FAIL(MALFORMED, "not the token of a hand-over");
    CC_TRY(handover_encode(&handover, &again));
    if (!span_equal(text, buf_span(&again)))
        return CC_FAIL(MALFORMED, "not the token of a hand-over");
    *ret_handover = handover;
    return CC_OK;
}

/* --- signature --------------------------------------------------------------------------------------------------- */

void handover_digest(const struct handover *handover, uint8_t ret_digest[static SHA256_SIZE])
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(HANDOVER_TEXT_MAX);
    cc_err err = put_body(handover, &body);
    cc_assert(!err.code);
    sha256(buf_span(&body), ret_digest);
}

CC_ERR handover_verify(const struct handover *handover,
                       const uint8_t identity_public[static ED25519_PUBLIC_SIZE])
{
    uint8_t message[sizeof label + SHA256_SIZE];
    memcpy(message, label, sizeof label);
    handover_digest(handover, message + sizeof label);
    return ed25519_verify(identity_public, span_of(message, sizeof message), handover->signature)
                   .code
               ? CC_FAIL(TAMPERED, "the token was changed, or another chamber has signed it")
               : CC_OK;
}

/* --- making one ---------------------------------------------------------------------------------------------------- */

static cc_err note_newest(void *context, const struct slash_validator *v)
{
    struct handover *h = context;
    if (v->low.has_slot)
        h->slot = u64_max(h->slot, v->low.slot);
    if (v->low.has_epochs) {
        h->source = u64_max(h->source, v->low.source);
        h->target = u64_max(h->target, v->low.target);
    }
    for (size_t i = 0; i < v->block_count; i++)
        h->slot = u64_max(h->slot, v->blocks[i].slot);
    for (size_t i = 0; i < v->attestation_count; i++) {
        h->source = u64_max(h->source, v->attestations[i].source);
        h->target = u64_max(h->target, v->attestations[i].target);
    }
    return CC_OK;
}

CC_ERR handover_token_make(struct slash_store *history,
                           uint64_t epoch,
                           const struct state_signer *signer,
                           struct buf *ret_text)
{
    uint8_t digest[SHA256_SIZE];
    struct slash_status status = {0};
    struct handover handover = {.epoch = epoch,
                                .network = history->identity.genesis_validators_root};
    memcpy(handover.chamber_id, history->identity.chamber_id, sizeof handover.chamber_id);
    memcpy(handover.history_id, history->identity.history_id, sizeof handover.history_id);
    CC_TRY(slash_status(history, &status));
    if (!status.high.set || status.high.epoch > epoch)
        return CC_FAIL(CONFLICT, "the history still signs for this epoch");
    CC_TRY(slash_visit(history, NULL, note_newest, &handover));
    handover_digest(&handover, digest);
    CC_TRY(signer->sign(signer->context, digest, handover.signature));
    return handover_encode(&handover, ret_text);
}

/* Until the epoch the old cluster signs on: votes with a target, and so perhaps a source, up to epoch - 1. */
struct slash_watermark handover_floor(const struct handover *handover, uint64_t slots_per_epoch)
{
    const uint64_t first_slot = slash_keep_slots(handover->epoch, slots_per_epoch);
    const uint64_t epoch = handover->epoch;
    return (struct slash_watermark){
        .has_slot = true,
        .has_epochs = true,
        .slot = u64_max(first_slot ? first_slot - 1 : 0, handover->slot),
        .source = u64_max(epoch ? epoch - 1 : 0, handover->source),
        .target = u64_max(epoch ? epoch - 1 : 0, handover->target),
    };
}
