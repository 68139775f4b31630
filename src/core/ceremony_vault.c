/* What the ceremony asks the vault. */
#include <string.h>

#include "core/ceremony_inside.h"
#include "secret/wipe.h"

static cc_err ask(struct ceremony *c, const struct vault_asking *asking)
{
    return c->settings.vault.ask(c->settings.vault.context, asking);
}

static cc_err ask_state(struct ceremony *c, enum door_b_type type, void *item, size_t size)
{
    struct b_seal_state state = {0};
    const struct vault_asking asking = {
        .type = type,
        .item = item,
        .size = size,
        .answer_type = B_SEAL_STATE,
        .answer = &state,
        .answer_size = sizeof state,
    };
    CC_TRY(ask(c, &asking));
    c->vault = state;
    ceremony_note_pending(c);
    return CC_OK;
}

/* --- approvals: the vault tells of the digest that was voted for last ------------------------------------------------------------ */

bool ceremony_has_approved(const struct ceremony *c, const uint8_t digest[static 32])
{
    for (uint32_t i = 0; i < c->approved_count; i++)
        if (span_equal(span_of(c->approved[i], 32), span_of(digest, 32)))
            return true;
    return false;
}

void ceremony_unapprove(struct ceremony *c, const uint8_t digest[static 32])
{
    for (uint32_t i = 0; i < c->approved_count; i++) {
        if (!span_equal(span_of(c->approved[i], 32), span_of(digest, 32)))
            continue;
        memmove(c->approved[i], c->approved[i + 1], 32 * (size_t)(--c->approved_count - i));
        return;
    }
}

static void note_approved(struct ceremony *c)
{
    if (!c->vault.approved || ceremony_has_approved(c, c->vault.approving))
        return;
    if (c->approved_count == CEREMONY_APPROVED_MAX)
        memmove(c->approved[0], c->approved[1], 32 * (size_t)--c->approved_count);
    memcpy(c->approved[c->approved_count++], c->vault.approving, 32);
}

CC_ERR ceremony_give(struct ceremony *c, enum b_set_which which, const struct seal_set *set)
{
    struct b_set *item = &c->messages->set;
    struct ceremony_given *given = which == B_SET_PRESENT ? &c->present : &c->staged;
    *item = (struct b_set){.which = which, .set = *set};
    CC_TRY(ask_state(c, B_SET_OPEN, item, sizeof *item));
    if (which == B_SET_PRESENT &&
        !span_equal(span_of(given->fingerprint, 32), span_of(set->fingerprint, 32))) {
        c->approved_count = 0; /* by another quorum */
        c->images_owed = true; /* by this one, or by a core that has died */
    }
    if (which == B_SET_PRESENT)
        note_approved(c); /* it may have been approved before a core died */
    *given = (struct ceremony_given){.there = true, .number = set->number};
    memcpy(given->fingerprint, set->fingerprint, sizeof given->fingerprint);
    return CC_OK;
}

CC_ERR ceremony_drop(struct ceremony *c, enum b_drop what)
{
    struct b_set_drop item = {.what = what};
    CC_TRY(ask_state(c, B_SET_DROP, &item, sizeof item));
    if (what == B_DROP_STAGED)
        c->staged.there = false;
    else if (what != B_DROP_AUTO)
        c->approved_count = 0;
    return CC_OK;
}

CC_ERR
ceremony_unwrap_share(struct ceremony *c,
                      enum b_set_which which,
                      uint32_t index,
                      const struct seal_opened *opened)
{
    struct b_sealed_share sealed = {.which = which, .index = index, .sealed = opened->sealed};
    struct b_share item = {.which = which, .index = index};
    if (opened->is_sealed)
        return ask_state(c, B_SET_UNWRAP_SEALED, &sealed, sizeof sealed);
    memcpy(item.share, opened->share, sizeof item.share);
    cc_err err = ask_state(c, B_SET_UNWRAP, &item, sizeof item);
    wipe(&item, sizeof item);
    return err;
}

CC_ERR ceremony_make_set(struct ceremony *c, const struct seal_proposal *proposal)
{
    struct b_set_make *item = &c->messages->make;
    *item = (struct b_set_make){.proposal = *proposal};
    const struct vault_asking asking = {
        .type = B_SET_MAKE,
        .item = item,
        .size = sizeof *item,
        .answer_type = B_SET,
        .answer = &c->messages->set,
        .answer_size = sizeof c->messages->set,
    };
    return ask(c, &asking);
}

static cc_err ask_share(struct ceremony *c,
                        enum b_set_part_kind kind,
                        uint32_t index,
                        uint8_t ret_share[static SEAL_SHARE_SIZE])
{
    struct b_set_part item = {.kind = kind, .index = index};
    struct b_share answer = {0};
    const struct vault_asking asking = {
        .type = B_SET_SHARE,
        .item = &item,
        .size = sizeof item,
        .answer_type = B_SHARE,
        .answer = &answer,
        .answer_size = sizeof answer,
    };
    cc_err err = ask(c, &asking);
    if (!err.code)
        memcpy(ret_share, answer.share, sizeof answer.share);
    wipe(&answer, sizeof answer);
    return err;
}

CC_ERR
ceremony_kms_share(struct ceremony *c, uint32_t index, uint8_t ret_share[static SEAL_SHARE_SIZE])
{
    return ask_share(c, B_PART_KMS, index, ret_share);
}

CC_ERR
ceremony_image_share(struct ceremony *c, uint32_t index, uint8_t ret_share[static SEAL_SHARE_SIZE])
{
    return ask_share(c, B_PART_AUTO, index, ret_share);
}

CC_ERR ceremony_make_image(struct ceremony *c, const struct b_auto_make *make)
{
    struct b_auto_make *item = &c->messages->image_make;
    *item = *make;
    const struct vault_asking asking = {
        .type = B_AUTO_MAKE,
        .item = item,
        .size = sizeof *item,
        .answer_type = B_AUTO,
        .answer = &c->messages->image,
        .answer_size = sizeof c->messages->image,
    };
    return ask(c, &asking);
}

CC_ERR ceremony_give_image(struct ceremony *c, const struct seal_auto *blob)
{
    struct b_auto *item = &c->messages->image;
    *item = (struct b_auto){.blob = *blob};
    return ask_state(c, B_AUTO_OPEN, item, sizeof *item);
}

CC_ERR ceremony_text(struct ceremony *c, enum b_set_part_kind kind, uint32_t index)
{
    struct b_set_part item = {.kind = kind, .index = index};
    const struct vault_asking asking = {
        .type = B_SET_TEXT,
        .item = &item,
        .size = sizeof item,
        .answer_type = B_TEXT,
        .answer = &c->messages->text,
        .answer_size = sizeof c->messages->text,
    };
    CC_TRY(ask(c, &asking));
    return c->messages->text.len <= SEAL_TEXT_MAX
               ? CC_OK
               : CC_FAIL(PROTOCOL, "the vault's text is too long");
}

CC_ERR ceremony_send_envelope(struct ceremony *c,
                              const struct ceremony_envelope *envelope,
                              enum b_set_which which)
{
    struct b_envelope *item = &c->messages->envelope;
    *item = (struct b_envelope){.purpose = envelope->purpose, .which = which, .len = envelope->len};
    memcpy(item->name, envelope->name, sizeof item->name);
    memcpy(item->digest, envelope->digest, sizeof item->digest);
    memcpy(item->box, envelope->box, envelope->len);
    const struct vault_asking asking = {
        .type = B_ENVELOPE,
        .item = item,
        .size = sizeof *item,
        .answer_type = B_ENVELOPED,
        .answer = &c->messages->enveloped,
        .answer_size = sizeof c->messages->enveloped,
    };
    CC_TRY(ask(c, &asking));
    c->vault = c->messages->enveloped.state;
    note_approved(c);
    ceremony_note_pending(c);
    return CC_OK;
}
