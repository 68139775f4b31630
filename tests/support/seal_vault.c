#include "support/seal_vault.h"

#include <stdio.h>
#include <string.h>

#include "seal/proposal.h"
#include "support/test.h"

void seal_vault_make(struct seal_vault *v)
{
    static _Atomic unsigned count;
    memset(v, 0, sizeof *v);
    v->number = (uint8_t)++count;
    assert_int_equal(pthread_mutex_init(&v->lock, NULL), 0);
}

void seal_vault_end(struct seal_vault *v)
{
    assert_int_equal(pthread_mutex_destroy(&v->lock), 0);
}

static uint32_t bits(uint32_t mask)
{
    return (uint32_t)__builtin_popcount(mask);
}

static bool is_set(const struct seal_set *a, const struct seal_set *b)
{
    return memcmp(a->fingerprint, b->fingerprint, 32) == 0;
}

static bool approved(const struct seal_vault *v)
{
    return v->has_present && v->present.operator_count &&
           bits(v->approve_mask) >= v->present.operator_threshold;
}

static void state_of(const struct seal_vault *v, struct b_seal_state *s)
{
    const uint64_t id = s->id;
    *s = (struct b_seal_state){.id = id,
                               .open = v->present_open,
                               .staged_open = v->has_staged && v->staged_open,
                               .generation = v->has_present ? v->present.generation : 0,
                               .number = v->has_present ? v->present.number : 0,
                               .kms_have = bits(v->kms_mask),
                               .kms_open = v->kms_open,
                               .operators_have = bits(v->unseal_mask),
                               .approvals_have = bits(v->approve_mask),
                               .approved = approved(v),
                               .rehearsals_have = bits(v->rehearse_mask),
                               .rehearsed = v->rehearsed,
                               .break_glass_have = v->break_glass,
                               .staged_kms_open = v->staged_kms_open};
    memcpy(s->approving, v->approving, sizeof s->approving);
}

/* --- sets ------------------------------------------------------------------------------------------------------------ */

static void give_present(struct seal_vault *v, const struct seal_set *set)
{
    const bool moves = v->has_staged && is_set(&v->staged, set);
    const bool same = v->has_present && is_set(&v->present, set);
    assert_int_equal(set->has_bridge, 0);
    v->present = *set;
    v->has_present = true;
    if (moves) {
        v->present_open = v->staged_open;
        v->kms_open = v->staged_open && set->kms.count;
        v->has_staged = v->staged_open = v->staged_kms_open = false;
    } else if (!same) {
        v->present_open = set->mode == SEAL_LOCAL;
        v->kms_open = false;
        v->kms_mask = v->unseal_mask = 0;
    }
    v->approve_mask = same ? v->approve_mask : 0;
}

static cc_err set_open(struct seal_vault *v, const struct b_set *item)
{
    if (item->which == B_SET_PRESENT && v->refuse_opens) {
        v->refuse_opens--;
        return CC_FAIL(BUSY, NULL);
    }
    if (item->which == B_SET_PRESENT) {
        give_present(v, &item->set);
        return CC_OK;
    }
    const bool same = v->has_staged && is_set(&v->staged, &item->set);
    if (v->has_staged && !same)
        return CC_FAIL(EXISTS, NULL);
    v->staged = item->set;
    v->has_staged = true;
    v->made = false;
    if (!same) {
        v->staged_kms_open = false;
        v->staged_kms_mask = 0;
    }
    v->staged_open = (same && v->staged_open) || (item->set.has_bridge && v->present_open);
    return CC_OK;
}

static void fill(void *bytes, size_t len, uint8_t with)
{
    memset(bytes, with, len);
}

static void
make_operators(const struct seal_vault *v, const struct seal_proposal *p, struct seal_set *set)
{
    const bool kept = p->keep & SEAL_KEEP_OPERATORS;
    set->operator_count = p->operator_count;
    set->operator_threshold = p->operator_threshold;
    set->unseal_generation = kept ? v->present.unseal_generation : p->generation;
    for (uint32_t i = 0; i < p->operator_count; i++) {
        struct seal_operator *o = &set->operators[i];
        if (kept)
            *o = v->present.operators[i];
        memcpy(o->name, p->operators[i].name, sizeof o->name);
        o->recipient = p->operators[i].recipient;
        o->share.len = SEAL_SHARE_SIZE + SEAL_OVERHEAD * (set->mode == SEAL_QUORUM ? 2 : 1);
        fill(o->share.bytes, o->share.len, (uint8_t)(i + 1));
    }
}

static void make_shares(const struct seal_vault *v,
                        struct seal_shares *shares,
                        uint32_t threshold,
                        uint32_t count)
{
    shares->threshold = threshold;
    shares->count = count;
    for (uint32_t i = 0; i < count; i++) {
        fill(shares->commitments[i], 32, (uint8_t)(i + 1));
        shares->commitments[i][0] = v->number;
        shares->commitments[i][1] = (uint8_t)v->made_count;
    }
}

static void
make_set(const struct seal_vault *v, const struct seal_proposal *p, struct seal_set *set)
{
    const uint32_t layers = p->mode == SEAL_QUORUM ? 2 : 1;
    *set = (struct seal_set){.mode = p->mode, .generation = p->generation, .number = 1};
    proposal_digest(p, set->fingerprint);
    set->master.len = 32 + layers * SEAL_OVERHEAD;
    fill(set->master.bytes, set->master.len, 9);
    fill(set->check, sizeof set->check, 8);
    fill(set->tokens, sizeof set->tokens, 7);
    fill(set->mac, sizeof set->mac, 6);
    make_shares(v, &set->kms, p->kms_threshold, p->kms_count);
    make_shares(v, &set->break_glass, p->break_glass_threshold, p->break_glass_count);
    if (p->keep & SEAL_KEEP_KMS) {
        set->kms = v->present.kms;
        set->break_glass = v->present.break_glass;
    }
    if (p->kms_count)
        set->kms_generation = p->keep & SEAL_KEEP_KMS ? v->present.kms_generation : p->generation;
    if (p->operator_count)
        make_operators(v, p, set);
    set->has_bridge = v->has_present;
    if (set->has_bridge)
        fill(set->bridge, sizeof set->bridge, 5);
}

static cc_err set_make(struct seal_vault *v, const struct b_set_make *item, struct b_set *answer)
{
    uint8_t digest[32];
    if (proposal_check(&item->proposal).code)
        return CC_FAIL(PROTOCOL, NULL);
    proposal_digest(&item->proposal, digest);
    if (v->has_staged)
        return CC_FAIL(EXISTS, NULL);
    if (v->has_present && !v->present_open)
        return CC_FAIL(SEALED, NULL);
    if (v->has_present && v->present.operator_count &&
        !(approved(v) && memcmp(v->approving, digest, 32) == 0))
        return CC_FAIL(NOT_APPROVED, NULL);
    make_set(v, &item->proposal, &v->staged);
    v->has_staged = v->staged_open = v->made = true;
    v->staged_kms_open = v->staged.kms.count != 0;
    v->made_count++;
    answer->which = B_SET_STAGED;
    answer->set = v->staged;
    return CC_OK;
}

static cc_err
set_text(const struct seal_vault *v, const struct b_set_part *item, struct b_text *answer)
{
    if (!v->made)
        return CC_FAIL(PROTOCOL, NULL);
    const int n = snprintf(
        (char *)answer->bytes, sizeof answer->bytes,
        "-----BEGIN AGE ENCRYPTED FILE-----\nkind %u index %u\nof %u.%u\n-----END AGE ENCRYPTED FILE-----\n",
        item->kind, item->index, v->number, v->made_count);
    answer->len = (uint32_t)n;
    return CC_OK;
}

static cc_err set_share(struct seal_vault *v, const struct b_set_part *item, struct b_share *answer)
{
    if (!v->made)
        return CC_FAIL(PROTOCOL, NULL);
    v->shares_given++;
    answer->index = item->index;
    fill(answer->share, sizeof answer->share, (uint8_t)(0x40 + item->index));
    return CC_OK;
}

static cc_err set_unwrap(struct seal_vault *v, const struct b_share *item)
{
    if (item->share[0] != 0x40 + item->index)
        return CC_FAIL(CREDENTIAL, NULL);
    if (item->which == B_SET_STAGED) {
        if (!v->has_staged || v->staged.kms.count == 0)
            return CC_FAIL(SEAL_STATE, NULL);
        v->staged_kms_mask |= 1u << item->index;
        v->staged_kms_open |= bits(v->staged_kms_mask) >= v->staged.kms.threshold;
        return CC_OK;
    }
    if (v->kms_open)
        return CC_OK;
    v->kms_mask |= 1u << item->index;
    v->kms_open = bits(v->kms_mask) >= v->present.kms.threshold;
    if (v->kms_open && v->present.mode == SEAL_KMS)
        v->present_open = true;
    return CC_OK;
}

static cc_err set_drop(struct seal_vault *v, const struct b_set_drop *item)
{
    v->drops[item->what]++;
    if (item->what != B_DROP_STAGED)
        v->break_glass = v->unseal_mask = v->approve_mask = v->rehearse_mask = 0;
    if (item->what == B_DROP_STAGED)
        v->has_staged = v->staged_open = v->staged_kms_open = v->made = false;
    if (item->what == B_DROP_OPEN)
        v->present_open = v->kms_open = false;
    return CC_OK;
}

/* --- envelopes ----------------------------------------------------------------------------------------------------------- */

void seal_vault_box(struct ceremony_envelope *envelope,
                    uint32_t purpose,
                    const char *name,
                    bool right)
{
    *envelope = (struct ceremony_envelope){.purpose = purpose, .len = 5};
    (void)snprintf(envelope->name, sizeof envelope->name, "%s", name);
    memcpy(envelope->box, right ? "right" : "wrong", 5);
}

static cc_err find(const struct seal_set *set, const char *name, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < set->operator_count; i++)
        if (strcmp(set->operators[i].name, name) == 0) {
            *ret_index = i;
            return CC_OK;
        }
    return CC_FAIL(CREDENTIAL, NULL);
}

static cc_err take_registration(struct seal_vault *v, uint32_t i, struct b_enveloped *answer)
{
    struct seal_operator *o = &v->staged.operators[i];
    if (o->factor != SEAL_FACTOR_NONE)
        return CC_FAIL(CREDENTIAL, NULL);
    if (v->staged.kms.count && !v->staged_kms_open)
        return CC_FAIL(SEALED, NULL);
    o->factor = SEAL_FACTOR_PASSPHRASE;
    o->memory_kib = 262144;
    o->passes = 3;
    v->staged.number++;
    answer->changed = 1;
    answer->set = v->staged;
    return CC_OK;
}

static void take_share(struct seal_vault *v, uint32_t i)
{
    v->unseal_mask |= 1u << i;
    if (bits(v->unseal_mask) >= v->present.operator_threshold) {
        v->present_open = true;
        v->unseal_mask = 0;
    }
}

static void take_approval(struct seal_vault *v, uint32_t i, const uint8_t digest[static 32])
{
    if (memcmp(v->approving, digest, 32) != 0)
        v->approve_mask = 0;
    memcpy(v->approving, digest, 32);
    v->approve_mask |= 1u << i;
}

static cc_err
take_envelope(struct seal_vault *v, const struct b_envelope *item, struct b_enveloped *answer)
{
    const struct seal_set *set = item->which == B_SET_STAGED ? &v->staged : &v->present;
    uint32_t i = 0;
    const bool glass = item->purpose == SEAL_TO_BREAK_GLASS;
    if (memcmp(item->box, "right", 5) != 0 || (!glass && find(set, item->name, &i).code))
        return CC_FAIL(CREDENTIAL, NULL);
    switch ((enum seal_purpose)item->purpose) {
    case SEAL_TO_REGISTER:
        return take_registration(v, i, answer);
    case SEAL_TO_UNSEAL:
        if (v->present.kms.count && !v->kms_open)
            return CC_FAIL(SEALED, NULL);
        take_share(v, i);
        return CC_OK;
    case SEAL_TO_APPROVE:
        take_approval(v, i, item->digest);
        return CC_OK;
    case SEAL_TO_REHEARSE:
        v->rehearse_mask |= 1u << i;
        v->rehearsed = bits(v->rehearse_mask) >= set->operator_threshold;
        return CC_OK;
    case SEAL_TO_BREAK_GLASS:
        v->break_glass++; /* never enough */
        return CC_OK;
    }
    return CC_FAIL(PROTOCOL, NULL);
}

static cc_err answer(struct seal_vault *v, const struct vault_asking *a)
{
    memset(a->answer, 0, a->answer_size);
    switch ((unsigned)a->type) {
    case B_SET_OPEN:
        CC_TRY(set_open(v, a->item));
        break;
    case B_SET_MAKE:
        return set_make(v, a->item, a->answer);
    case B_SET_SHARE:
        return set_share(v, a->item, a->answer);
    case B_SET_TEXT:
        return set_text(v, a->item, a->answer);
    case B_SET_UNWRAP:
        CC_TRY(set_unwrap(v, a->item));
        break;
    case B_SET_DROP:
        CC_TRY(set_drop(v, a->item));
        break;
    case B_CHALLENGE:
        return CC_OK;
    case B_ENVELOPE: {
        struct b_enveloped *enveloped = a->answer;
        CC_TRY(take_envelope(v, a->item, enveloped));
        if (v->rolls && enveloped->changed == 0) {
            v->present.number++;
            enveloped->changed = 1;
            enveloped->set = v->present;
        }
        state_of(v, &enveloped->state);
        return CC_OK;
    }
    default:
        return CC_FAIL(PROTOCOL, "no verb of a ceremony");
    }
    state_of(v, a->answer);
    return CC_OK;
}

cc_err seal_vault_ask(void *vault, const struct vault_asking *asking)
{
    struct seal_vault *v = vault;
    (void)pthread_mutex_lock(&v->lock);
    cc_err err = answer(v, asking);
    (void)pthread_mutex_unlock(&v->lock);
    return err;
}
