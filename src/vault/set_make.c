/* Making a set: what a proposal and its approval allow, and the secrets of the new one. */
#include <string.h>

#include "crypto/random.h"
#include "seal/proposal.h"
#include "secret/ct.h"
#include "vault/sets_inside.h"

/* What one call makes of secrets; on its stack. */
struct fresh {
    struct secret32 master_key;
    struct secret32 token_key;
    struct secret32 kms;    /* the wrapping key */
    struct secret32 unseal; /* the unseal key */
    struct shamir_share shares[SEAL_OPERATORS_MAX];
    struct master_keys keys;
};

static void fresh_wipep(struct fresh *f)
{
    wipe(f, sizeof *f);
}

/* What is made, of what, and for whom. */
struct work {
    struct sets *sets;
    const struct set_owner *owner;
    const struct seal_proposal *proposal;
    const struct seal_set *present; /* NULL: there is none */
    const struct ballot *ballot;    /* NULL: the present set has no operators */
    struct fresh *fresh;
    struct seal_set *set;
};

/* --- what is allowed ---------------------------------------------------------------------------------------------------------- */

static cc_err check_beginning(const struct work *w)
{
    static const uint8_t none[32];
    const struct seal_proposal *p = w->proposal;
    if (!ct_equal(p->from, none, sizeof none) || p->generation != 1 || p->keep)
        return CC_FAIL(SEAL_STATE, "a first set that follows another");
    if (chamber_is_new(w->sets->chamber))
        return p->mode == SEAL_LOCAL ? CC_OK : CC_FAIL(PROTOCOL, "mode of a new chamber");
    return w->sets->by_ceremony ? CC_OK
                                : CC_FAIL(NOT_APPROVED, "the configuration allows no ceremony");
}

static bool keeps_operators(const struct seal_proposal *p, const struct seal_set *present)
{
    if (p->operator_count != present->operator_count ||
        p->operator_threshold != present->operator_threshold)
        return false;
    for (uint32_t i = 0; i < present->operator_count; i++) {
        const struct seal_recipient *now = &present->operators[i].recipient;
        const struct seal_recipient *then = &p->operators[i].recipient;
        if (strcmp(p->operators[i].name, present->operators[i].name) != 0 ||
            now->kind != then->kind || !ct_equal(now->key, then->key, sizeof now->key))
            return false;
    }
    return true;
}

static bool keeps_kms(const struct seal_proposal *p, const struct seal_set *present)
{
    return p->kms_count == present->kms.count && p->kms_threshold == present->kms.threshold &&
           p->break_glass_count == present->break_glass.count &&
           p->break_glass_threshold == present->break_glass.threshold;
}

/* What stays must be there, and be named as it is. The wrapping key is also needed to move shares out of its layer. */
static cc_err check_keep(const struct work *w)
{
    const struct seal_proposal *p = w->proposal;
    const bool has_kms = w->sets->secrets->of[set_index(B_SET_PRESENT)].has_kms;
    const bool moves = (p->keep & SEAL_KEEP_OPERATORS) && set_has_kms(w->present->mode);
    if ((p->keep & SEAL_KEEP_OPERATORS) && !keeps_operators(p, w->present))
        return CC_FAIL(SEAL_STATE, "operators that are to stay are named otherwise");
    if ((p->keep & SEAL_KEEP_KMS) && !keeps_kms(p, w->present))
        return CC_FAIL(SEAL_STATE, "KMS keys that are to stay are named otherwise");
    return has_kms || !(moves || (p->keep & SEAL_KEEP_KMS))
               ? CC_OK
               : CC_FAIL(SEALED, "the KMS layer is not open");
}

static cc_err check_following(struct work *w)
{
    uint8_t digest[32];
    const struct seal_proposal *p = w->proposal;
    if (chamber_is_new(w->sets->chamber))
        return CC_FAIL(EXISTS, "a new chamber has its set");
    if (!ct_equal(p->from, w->present->fingerprint, sizeof p->from) ||
        p->generation != w->present->generation + 1)
        return CC_FAIL(SEAL_STATE, "a proposal to replace another set");
    if (!master_is_open(w->sets->master, B_SET_PRESENT))
        return CC_FAIL(SEALED, "the master key is not open");
    if (w->present->mode == SEAL_LOCAL && !w->sets->by_ceremony)
        return CC_FAIL(NOT_APPROVED, "the configuration allows no ceremony");
    if (set_has_operators(w->present->mode)) {
        proposal_digest(p, digest);
        w->ballot = sets_approval(w->sets, digest);
        if (!w->ballot)
            return CC_FAIL(NOT_APPROVED, "the quorum has not approved this proposal");
    }
    return check_keep(w);
}

static cc_err check_allowed(struct work *w)
{
    if (!ct_equal(w->proposal->chamber_id, w->owner->chamber_id, sizeof w->owner->chamber_id))
        return CC_FAIL(PROTOCOL, "a proposal for another chamber");
    CC_TRY(proposal_check(w->proposal));
    if (w->sets->held[set_index(B_SET_STAGED)].is)
        return CC_FAIL(EXISTS, "a set is staged already");
    return w->present ? check_following(w) : check_beginning(w);
}

/* --- what is made ------------------------------------------------------------------------------------------------------------- */

static cc_err make_master(struct work *w)
{
    struct fresh *f = w->fresh;
    CC_TRY(random_bytes(&f->master_key, sizeof f->master_key));
    if (w->present)
        CC_TRY(master_token_key(w->sets->master, f->token_key.bytes));
    else
        CC_TRY(random_bytes(&f->token_key, sizeof f->token_key));
    master_derive(f->master_key.bytes, w->owner->chamber_id, &f->keys);
    memcpy(w->set->check, f->keys.check.bytes, sizeof w->set->check);
    return CC_OK;
}

static cc_err share_out(const struct work *w,
                        enum set_share_kind kind,
                        struct seal_shares *shares,
                        struct shamir_share *ret_shares)
{
    CC_TRY(shamir_split(w->fresh->kms.bytes, shares->threshold, shares->count, ret_shares));
    for (uint32_t i = 0; i < shares->count; i++)
        set_commit(w->owner->chamber_id, kind, w->set->kms_generation, &ret_shares[i],
                   shares->commitments[i]);
    return CC_OK;
}

static cc_err make_kms(struct work *w)
{
    struct making *making = &w->sets->secrets->making;
    const struct seal_proposal *p = w->proposal;
    struct seal_set *set = w->set;
    if (!set_has_kms(p->mode))
        return CC_OK;
    if (p->keep & SEAL_KEEP_KMS) {
        set->kms = w->present->kms;
        set->break_glass = w->present->break_glass;
        set->kms_generation = w->present->kms_generation;
        w->fresh->kms = w->sets->secrets->of[set_index(B_SET_PRESENT)].kms;
        return CC_OK;
    }
    CC_TRY(random_bytes(&w->fresh->kms, sizeof w->fresh->kms));
    set->kms_generation = p->generation;
    set->kms.threshold = p->kms_threshold;
    set->kms.count = p->kms_count;
    set->break_glass.threshold = p->break_glass_threshold;
    set->break_glass.count = p->break_glass_count;
    CC_TRY(share_out(w, SET_SHARE_KMS, &set->kms, making->kms));
    making->kms_count = p->kms_count;
    if (!p->break_glass_count)
        return CC_OK;
    CC_TRY(share_out(w, SET_SHARE_BREAK_GLASS, &set->break_glass, making->break_glass));
    making->break_glass_count = p->break_glass_count;
    memcpy(making->keepers, p->break_glass, sizeof making->keepers);
    return CC_OK;
}

/* Nobody has registered yet: the share lies under a token that goes to the operator. */
static cc_err make_operator(struct work *w, uint32_t i)
{
    struct making *making = &w->sets->secrets->making;
    struct seal_operator *o = &w->set->operators[i];
    const struct shamir_share *share = &w->fresh->shares[i];
    memcpy(o->name, w->proposal->operators[i].name, strlen(w->proposal->operators[i].name));
    o->recipient = w->proposal->operators[i].recipient;
    making->operators[i] = o->recipient;
    CC_TRY(random_bytes(o->salt, sizeof o->salt));
    CC_TRY(random_bytes(o->challenge, sizeof o->challenge));
    CC_TRY(random_bytes(&making->tokens[i], sizeof making->tokens[i]));
    set_commit(w->owner->chamber_id, SET_SHARE_OPERATOR, w->set->unseal_generation, share,
               o->commitment);
    return set_seal_share(w->set, w->owner->chamber_id, w->fresh->kms.bytes,
                          making->tokens[i].bytes, share, o);
}

static cc_err keep_operators(struct work *w)
{
    struct seal_set *set = w->set;
    w->fresh->unseal = w->ballot->unseal;
    set->unseal_generation = w->present->unseal_generation;
    for (uint32_t i = 0; i < set->operator_count; i++) {
        set->operators[i] = w->present->operators[i];
        CC_TRY(set_move_share(w->present, w->sets->secrets->of[set_index(B_SET_PRESENT)].kms.bytes,
                              set, w->fresh->kms.bytes, w->owner->chamber_id, &set->operators[i]));
    }
    return CC_OK;
}

static cc_err make_operators(struct work *w)
{
    const struct seal_proposal *p = w->proposal;
    struct fresh *f = w->fresh;
    if (!set_has_operators(p->mode))
        return CC_OK;
    w->set->operator_threshold = p->operator_threshold;
    w->set->operator_count = p->operator_count;
    if (p->keep & SEAL_KEEP_OPERATORS)
        return keep_operators(w);
    w->set->unseal_generation = p->generation;
    CC_TRY(random_bytes(&f->unseal, sizeof f->unseal));
    CC_TRY(shamir_split(f->unseal.bytes, p->operator_threshold, p->operator_count, f->shares));
    for (uint32_t i = 0; i < p->operator_count; i++)
        CC_TRY(make_operator(w, i));
    w->sets->secrets->making.token_count = p->operator_count;
    return CC_OK;
}

static CC_SENSITIVE cc_err seal_all(struct work *w)
{
    WIPED32 struct secret32 local;
    WIPED32 struct secret32 bridge;
    const uint8_t *id = w->owner->chamber_id;
    uint8_t same_id[32];
    CC_TRY(chamber_lend_key(w->sets->chamber, CHAMBER_KEY_MASTER, local.bytes, same_id));
    const struct set_layers layers = {local.bytes, w->fresh->kms.bytes, w->fresh->unseal.bytes};
    CC_TRY(set_seal_master(w->set, id, &layers, w->fresh->master_key.bytes));
    CC_TRY(set_seal_tokens(w->set, id, w->fresh->keys.tokens.bytes, w->fresh->token_key.bytes));
    if (w->present) {
        CC_TRY(master_bridge_key(w->sets->master, bridge.bytes));
        CC_TRY(set_seal_bridge(w->set, id, bridge.bytes, w->fresh->master_key.bytes));
    }
    set_authenticate(w->owner, w->set);
    return CC_OK;
}

static void adopt(struct work *w, enum b_set_which which)
{
    struct held_set *held = &w->sets->held[set_index(which)];
    struct held_secrets *secrets = &w->sets->secrets->of[set_index(which)];
    held->is = held->made_here = true;
    held->set = *w->set;
    secrets->has_kms = set_has_kms(w->set->mode);
    secrets->kms = w->fresh->kms;
    master_put(w->sets->master, which, w->set->generation, &w->fresh->keys,
               w->fresh->token_key.bytes);
}

static CC_SENSITIVE cc_err make(struct work *w, enum b_set_which *ret_which)
{
    CC_CLEANUP(fresh_wipep) struct fresh fresh = {.kms = {{0}}};
    const struct seal_proposal *p = w->proposal;
    CC_TRY(check_allowed(w));
    w->fresh = &fresh;
    *w->set = (struct seal_set){.mode = p->mode,
                                .generation = p->generation,
                                .number = w->present ? w->present->number + 1 : 1};
    proposal_digest(p, w->set->fingerprint);
    CC_TRY(make_master(w));
    CC_TRY(make_kms(w));
    CC_TRY(make_operators(w));
    CC_TRY(seal_all(w));
    *ret_which = chamber_is_new(w->sets->chamber) ? B_SET_PRESENT : B_SET_STAGED;
    adopt(w, *ret_which);
    return CC_OK;
}

CC_ERR sets_make(struct sets *sets,
                 const struct seal_proposal *proposal,
                 enum b_set_which *ret_which,
                 struct seal_set *ret_set)
{
    CC_CLEANUP(set_owner_wipep) struct set_owner owner;
    const struct held_set *present = &sets->held[set_index(B_SET_PRESENT)];
    struct work work = {
        .sets = sets, .owner = &owner, .proposal = proposal, .set = ret_set, .ballot = NULL};
    sets_lock(sets);
    work.present = present->is ? &present->set : NULL;
    cc_err err = sets_owner(sets, &owner);
    if (!err.code)
        err = make(&work, ret_which);
    if (err.code && !sets->held[set_index(B_SET_STAGED)].is)
        sets_forget_making(sets);
    if (err.code)
        *ret_set = (struct seal_set){0};
    sets_unlock(sets);
    wipe_stack();
    return err;
}
