/* What operators bring: opened, checked, and put to its purpose. */
#include <string.h>

#include "crypto/sealed_box.h"
#include "seal/envelope.h"
#include "secret/ct.h"
#include "vault/ceremony_inside.h"

/* One envelope on its way. */
struct visit {
    struct sets *sets;
    const struct b_envelope *request;
    uint64_t now_ms;
    const struct seal_set *set;
    struct set_owner owner;
    struct person person;
    bool past; /* the entry is the one before the present one */
    struct seal_challenge challenge;
    struct seal_envelope envelope;
    struct shamir_share share;
    struct b_enveloped *answer;
};

static void visit_wipep(struct visit *v)
{
    wipe(v, sizeof *v);
}

/* --- is it right? ----------------------------------------------------------------------------------------------------------- */

static cc_err open_with(struct visit *v, const struct box_key *box)
{
    if (!box->is || v->request->len > sizeof v->request->box)
        return CC_FAIL(CREDENTIAL, NULL);
    return envelope_open(box->public_key, box->secret_key.bytes,
                         span_of(v->request->box, v->request->len), &v->envelope);
}

static cc_err open_box(struct visit *v)
{
    const struct set_secrets *secrets = v->sets->secrets;
    return open_with(v, &secrets->box).code ? open_with(v, &secrets->box_past) : CC_OK;
}

static cc_err check_nonce(struct visit *v)
{
    ceremony_describe(v->set, &v->person, v->request->purpose, v->owner.chamber_id, &v->challenge);
    return ceremony_check_nonce(v->sets, v->now_ms, v->envelope.nonce, &v->challenge);
}

/* The challenge may have been given just before the operator's entry was rolled, by another replica. */
static cc_err answer_which(struct visit *v)
{
    if (!check_nonce(v).code)
        return CC_OK;
    if (v->person.index == NOBODY || v->request->which != B_SET_PRESENT)
        return CC_FAIL(CREDENTIAL, NULL);
    const struct past_entry *past = &v->sets->past[v->person.index];
    if (past->until_ms <= v->now_ms)
        return CC_FAIL(CREDENTIAL, NULL);
    v->past = true;
    v->person.entry = past->entry;
    return check_nonce(v);
}

/* What the envelope has to be bound to. */
static cc_err check_digest(const struct visit *v)
{
    static const uint8_t none[32];
    const uint8_t *digest = v->request->digest;
    const bool empty = ct_equal(digest, none, sizeof none);
    switch ((enum seal_purpose)v->request->purpose) {
    case SEAL_TO_REGISTER:
        return ct_equal(digest, v->set->fingerprint, sizeof none) ? CC_OK
                                                                  : CC_FAIL(CREDENTIAL, NULL);
    case SEAL_TO_APPROVE:
        return empty ? CC_FAIL(PROTOCOL, "nothing to approve") : CC_OK;
    case SEAL_TO_UNSEAL:
    case SEAL_TO_REHEARSE:
    case SEAL_TO_BREAK_GLASS:
        break;
    }
    return empty ? CC_OK : CC_FAIL(PROTOCOL, "a digest that is not asked for");
}

static cc_err read_envelope(struct visit *v)
{
    const struct b_envelope *r = v->request;
    CC_TRY(ceremony_check(v->sets, r->purpose, r->which, r->name, &v->set));
    CC_TRY(ceremony_find(v->sets, v->set, r->purpose, r->name, &v->person));
    CC_TRY(check_digest(v));
    CC_TRY(open_box(v));
    CC_TRY(answer_which(v));
    return envelope_check(&v->envelope, &v->challenge, r->digest);
}

static const uint8_t *wrapping_key(const struct visit *v)
{
    const struct held_secrets *of =
        &v->sets->secrets->of[set_index((enum b_set_which)v->request->which)];
    return of->has_kms ? of->kms.bytes : NULL;
}

/* Only why nobody could have opened it is told. */
static cc_err take_share(struct visit *v)
{
    if (v->envelope.credential_len != ENVELOPE_CREDENTIAL_SIZE)
        return CC_FAIL(CREDENTIAL, NULL);
    cc_err err = set_open_share(v->set, v->owner.chamber_id, wrapping_key(v),
                                v->envelope.credential, &v->person.entry, &v->share);
    if (error_is(err, ERROR_TAMPERED) || v->person.index == NOBODY)
        return error_is(err, ERROR_SEALED) ? err : CC_FAIL(CREDENTIAL, NULL);
    CC_TRY(err);
    return ceremony_use_nonce(v->sets, v->now_ms, v->envelope.nonce);
}

/* --- a credential that takes another's place -------------------------------------------------------------------------------- */

static cc_err check_next(const struct visit *v)
{
    const struct seal_operator *entry = &v->person.entry;
    if (v->envelope.next.memory_kib < CREDENTIAL_MEMORY_MIN_KIB ||
        v->envelope.next.passes < CREDENTIAL_PASSES_MIN)
        return CC_FAIL(PROTOCOL, "a credential that is too cheap to guess");
    if (v->envelope.next.memory_kib > CREDENTIAL_MEMORY_MAX_KIB ||
        v->envelope.next.passes > CREDENTIAL_PASSES_MAX)
        return CC_FAIL(PROTOCOL, "a credential that is too dear to derive");
    if (entry->factor != SEAL_FACTOR_NONE && v->envelope.next.factor != entry->factor)
        return CC_FAIL(PROTOCOL, "another factor than was registered");
    return CC_OK;
}

static cc_err put_next(struct visit *v)
{
    struct seal_set *set = &v->answer->set;
    struct seal_operator *entry = &set->operators[v->person.index];
    *set = *v->set;
    entry->factor = v->envelope.next.factor;
    entry->memory_kib = v->envelope.next.memory_kib;
    entry->passes = v->envelope.next.passes;
    memcpy(entry->salt, v->challenge.next_salt, sizeof entry->salt);
    memcpy(entry->challenge, v->challenge.next_challenge, sizeof entry->challenge);
    entry->hint_len = v->envelope.next.hint_len;
    memset(entry->hint, 0, sizeof entry->hint);
    memcpy(entry->hint, v->envelope.next.hint, v->envelope.next.hint_len);
    CC_TRY(set_seal_share(set, v->owner.chamber_id, wrapping_key(v), v->envelope.next.credential,
                          &v->share, entry));
    set->number++;
    set_authenticate(&v->owner, set);
    v->answer->changed = 1;
    return CC_OK;
}

/* While a set is staged that takes the operators over as they were, none of them changes: what was rolled away would count again. */
static bool is_taken_over(const struct visit *v)
{
    const struct held_set *staged = &v->sets->held[set_index(B_SET_STAGED)];
    return staged->is && staged->set.unseal_generation == v->set->unseal_generation;
}

static cc_err roll(struct visit *v)
{
    return v->envelope.next.factor == SEAL_FACTOR_NONE || v->past || is_taken_over(v) ? CC_OK
                                                                                      : put_next(v);
}

/* The share of somebody who is in the set for good; his credential may roll. */
static cc_err take_member(struct visit *v)
{
    if (v->envelope.next.factor != SEAL_FACTOR_NONE)
        CC_TRY(check_next(v));
    CC_TRY(take_share(v));
    return roll(v);
}

/* --- what a quorum gives ---------------------------------------------------------------------------------------------------- */

/* The unseal key that these shares give, if it opens the present master key. */
static CC_SENSITIVE cc_err combine(const struct visit *v,
                                   struct collected *collected,
                                   struct secret32 *ret_unseal,
                                   struct secret32 *ret_master_key)
{
    CC_CLEANUP(master_keys_wipep) struct master_keys keys;
    const struct set_layers layers = {.kms = wrapping_key(v), .unseal = ret_unseal->bytes};
    cc_err err = shamir_combine(collected->shares, collected->count, ret_unseal->bytes);
    wipe(collected, sizeof *collected);
    CC_TRY(err);
    if (set_has_kms(v->set->mode) && !layers.kms)
        return CC_FAIL(SEALED, "the KMS layer is not open");
    CC_TRY(set_open_master(v->set, v->owner.chamber_id, &layers, ret_master_key->bytes));
    master_derive(ret_master_key->bytes, v->owner.chamber_id, &keys);
    return ct_equal(keys.check.bytes, v->set->check, sizeof v->set->check)
               ? CC_OK
               : CC_FAIL(TAMPERED, "the master key is not the one that the set names");
}

static bool is_enough(const struct visit *v, const struct collected *collected)
{
    return collected->count >= v->set->operator_threshold;
}

static CC_SENSITIVE cc_err unseal(struct visit *v)
{
    WIPED32 struct secret32 unseal_key;
    WIPED32 struct secret32 master_key;
    struct collected *collected = &v->sets->secrets->pending.unseal;
    CC_TRY(take_member(v));
    if (master_is_open(v->sets->master, B_SET_PRESENT))
        return CC_OK;
    sets_collect(collected, &v->share, v->now_ms);
    if (!is_enough(v, collected))
        return CC_OK;
    CC_TRY(combine(v, collected, &unseal_key, &master_key));
    return sets_put_master(v->sets, B_SET_PRESENT, v->owner.chamber_id, master_key.bytes);
}

static CC_SENSITIVE cc_err rehearse(struct visit *v)
{
    WIPED32 struct secret32 unseal_key;
    WIPED32 struct secret32 master_key;
    struct pending *pending = &v->sets->secrets->pending;
    CC_TRY(take_member(v));
    pending->rehearsed = false;
    sets_collect(&pending->rehearsal, &v->share, v->now_ms);
    if (!is_enough(v, &pending->rehearsal))
        return CC_OK;
    CC_TRY(combine(v, &pending->rehearsal, &unseal_key, &master_key));
    pending->rehearsed = true;
    return CC_OK;
}

/* This digest's ballot, or a new one: in the place of the weakest when there is no other. */
static struct ballot *ballot_for(struct pending *pending, const uint8_t digest[static 32])
{
    struct ballot *best = &pending->ballots[0];
    for (uint32_t i = 0; i < BALLOTS_MAX; i++) {
        struct ballot *b = &pending->ballots[i];
        if (b->is && ct_equal(b->digest, digest, sizeof b->digest))
            return b;
        if (b->have < best->have || (b->have == best->have && b->began_ms < best->began_ms))
            best = b;
    }
    return best;
}

static CC_SENSITIVE cc_err vote(const struct visit *v, struct ballot *ballot)
{
    WIPED32 struct secret32 master_key;
    if (ballot->approved)
        return CC_OK;
    sets_collect(&ballot->shares, &v->share, v->now_ms);
    ballot->have = ballot->shares.count;
    if (!is_enough(v, &ballot->shares))
        return CC_OK;
    cc_err err = combine(v, &ballot->shares, &ballot->unseal, &master_key);
    if (err.code)
        wipe(ballot, sizeof *ballot);
    else
        ballot->approved = true;
    return err;
}

static cc_err approve(struct visit *v)
{
    struct pending *pending = &v->sets->secrets->pending;
    CC_TRY(take_member(v));
    struct ballot *ballot = ballot_for(pending, v->request->digest);
    if (!ballot->is || ballot->used ||
        !ct_equal(ballot->digest, v->request->digest, sizeof ballot->digest)) {
        wipe(ballot, sizeof *ballot);
        ballot->is = true;
        ballot->began_ms = v->now_ms;
        memcpy(ballot->digest, v->request->digest, sizeof ballot->digest);
    }
    pending->latest = (uint32_t)(ballot - pending->ballots);
    return vote(v, ballot);
}

static cc_err enrol(struct visit *v)
{
    if (v->person.entry.factor != SEAL_FACTOR_NONE)
        return CC_FAIL(EXISTS, "registered already");
    if (v->envelope.next.factor == SEAL_FACTOR_NONE)
        return CC_FAIL(PROTOCOL, "nothing to register");
    CC_TRY(check_next(v));
    CC_TRY(take_share(v));
    return put_next(v);
}

static cc_err break_glass(struct visit *v)
{
    uint8_t commitment[32];
    struct held_secrets *of = &v->sets->secrets->of[set_index(B_SET_PRESENT)];
    if (v->envelope.credential_len != SEAL_SHARE_SIZE)
        return CC_FAIL(CREDENTIAL, NULL);
    memcpy(&v->share, v->envelope.credential, sizeof v->share);
    if (v->share.x < 1 || v->share.x > v->set->break_glass.count)
        return CC_FAIL(CREDENTIAL, NULL);
    set_commit(v->owner.chamber_id, SET_SHARE_BREAK_GLASS, v->set->kms_generation, &v->share,
               commitment);
    if (!ct_equal(commitment, v->set->break_glass.commitments[v->share.x - 1], sizeof commitment))
        return CC_FAIL(CREDENTIAL, NULL);
    CC_TRY(ceremony_use_nonce(v->sets, v->now_ms, v->envelope.nonce));
    if (of->has_kms &&
        (v->set->mode == SEAL_QUORUM || master_is_open(v->sets->master, B_SET_PRESENT)))
        return CC_OK;
    sets_collect(&of->break_glass, &v->share, v->now_ms);
    if (of->break_glass.count < v->set->break_glass.threshold)
        return CC_OK;
    return sets_open_wrapping(v->sets, B_SET_PRESENT, v->owner.chamber_id, &of->break_glass);
}

static cc_err do_visit(struct visit *v)
{
    CC_TRY(sets_owner(v->sets, &v->owner));
    sets_expire(v->sets, v->now_ms);
    CC_TRY(read_envelope(v));
    switch ((enum seal_purpose)v->request->purpose) {
    case SEAL_TO_REGISTER:
        return enrol(v);
    case SEAL_TO_UNSEAL:
        return unseal(v);
    case SEAL_TO_APPROVE:
        return approve(v);
    case SEAL_TO_REHEARSE:
        return rehearse(v);
    case SEAL_TO_BREAK_GLASS:
        return break_glass(v);
    }
    return CC_FAIL(PROTOCOL, "purpose of an envelope");
}

CC_SENSITIVE CC_ERR ceremony_envelope(struct sets *sets,
                                      const struct b_envelope *request,
                                      uint64_t now_ms,
                                      struct b_enveloped *ret_answer)
{
    CC_CLEANUP(visit_wipep)
    struct visit visit = {.sets = sets, .request = request, .now_ms = now_ms, .answer = ret_answer};
    sets_lock(sets);
    cc_err err = do_visit(&visit);
    if (err.code) {
        ret_answer->changed = 0;
        ret_answer->set = (struct seal_set){0};
    }
    sets_tell(sets, &ret_answer->state);
    sets_unlock(sets);
    wipe_stack();
    return err;
}
