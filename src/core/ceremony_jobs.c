/* What people bring to a ceremony: each a job on its thread. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/metric.h"

#include "core/ceremony_inside.h"
#include "seal/proposal.h"

static cc_err wrong_state(const struct ceremony *c)
{
    return ceremony_wrong_state(c);
}

static void
fill_step(const struct ceremony *c, uint32_t have, uint32_t needed, struct ceremony_step *step)
{
    *step = (struct ceremony_step){.state = ceremony_state_now(c), .have = have, .needed = needed};
}

static bool is_digest(const uint8_t a[static 32], const uint8_t b[static 32])
{
    return span_equal(span_of(a, 32), span_of(b, 32));
}

/* --- cancelling ----------------------------------------------------------------------------------------------------------------- */

CC_ERR ceremony_remove_next(struct ceremony *c, const char *by)
{
    if (c->records->bad || !ceremony_has_next(c) || c->records->next.phase >= SEAL_PHASE_REWRITING)
        return wrong_state(c);
    const uint32_t kind = c->records->next.kind;
    CC_TRY(ceremony_commit(c, NULL, NULL, true));
    log_notice("a new set of shares was cancelled", KV_STR("kind", seal_kind_name(kind)),
               KV_STR("by", by));
    (void)ceremony_write_down(c, "cancelled", seal_kind_name(kind), by, CC_OK).code;
    return CC_OK;
}

struct cancelling {
    const char *by;
    struct ceremony_step *step;
};

static cc_err cancel(struct ceremony *c, void *context)
{
    const struct cancelling *a = context;
    if (c->records->bad || !ceremony_has_next(c)) /* who decides stands in what can't be read */
        return wrong_state(c);
    if (a->by && strcmp(a->by, c->records->next.proposer) != 0)
        return CC_FAIL(DENIED, "only who proposed it, or the quorum, cancels it");
    if (!a->by && c->records->current.set.operator_count)
        return CC_FAIL(DENIED, "only who proposed it, or the quorum, cancels it");
    CC_TRY(ceremony_remove_next(c, a->by ? a->by : "owner"));
    (void)ceremony_drive(c);
    fill_step(c, 0, 0, a->step);
    return CC_OK;
}

CC_ERR ceremony_cancel(struct ceremony *c, const char *by, struct ceremony_step *ret_step)
{
    struct cancelling a = {by, ret_step};
    return ceremony_run(c, cancel, &a);
}

/* --- challenges and envelopes ------------------------------------------------------------------------------------------------------ */

static bool registers(const struct ceremony *c)
{
    return ceremony_has_staged(c) && c->records->next.phase < SEAL_PHASE_READY && c->staged.there;
}

/* With KMS alone break-glass shares would open all of it: a latch of that mode is the owner's (T25). */
static bool is_latched_for(const struct ceremony *c, uint32_t purpose)
{
    return purpose == SEAL_TO_BREAK_GLASS && ceremony_latched(c) &&
           c->records->current.set.operator_count == 0;
}

/* Which set it is about; SEAL_STATE where there is none that could be. */
static cc_err which_of(const struct ceremony *c, uint32_t purpose, enum b_set_which *ret_which)
{
    const struct seal_set *set = &c->records->current.set;
    *ret_which = purpose == SEAL_TO_REGISTER ? B_SET_STAGED : B_SET_PRESENT;
    if (purpose == SEAL_TO_REGISTER)
        return registers(c) ? CC_OK : wrong_state(c);
    if (!ceremony_has_current(c) || !c->present.there)
        return wrong_state(c);
    const bool has =
        purpose == SEAL_TO_BREAK_GLASS ? set->break_glass.count != 0 : set->operator_count != 0;
    const bool closed_only = purpose == SEAL_TO_UNSEAL || purpose == SEAL_TO_BREAK_GLASS;
    if (!has || is_latched_for(c, purpose) ||
        (closed_only && c->vault.open && !ceremony_latched(c)))
        return wrong_state(c);
    return CC_OK;
}

/* A latched chamber does not ask KMS, until somebody begins to unseal it; and never sooner than the last try allows. */
static void want_kms(struct ceremony *c)
{
    if (c->vault.kms_open || c->records->current.set.kms.count == 0 || !ceremony_latched(c))
        return;
    if (!c->kms_wanted)
        c->kms_retry = (struct ceremony_retry){0};
    c->kms_wanted = true;
    (void)ceremony_drive(c);
}

struct challenging {
    const char *name;
    uint32_t purpose;
    struct seal_challenge *challenge;
};

static cc_err challenge(struct ceremony *c, void *context)
{
    const struct challenging *a = context;
    enum b_set_which which;
    struct b_challenge item = {.purpose = a->purpose};
    struct b_challenged answer = {0};
    CC_TRY(which_of(c, a->purpose, &which));
    item.which = which;
    (void)snprintf(item.name, sizeof item.name, "%s", a->name);
    const struct vault_asking asking = {.type = B_CHALLENGE,
                                        .item = &item,
                                        .size = sizeof item,
                                        .answer_type = B_CHALLENGED,
                                        .answer = &answer,
                                        .answer_size = sizeof answer};
    CC_TRY(c->settings.vault.ask(c->settings.vault.context, &asking));
    *a->challenge = answer.challenge;
    return CC_OK;
}

CC_ERR ceremony_give_challenge(struct ceremony *c,
                               const char *name,
                               uint32_t purpose,
                               struct seal_challenge *ret_challenge)
{
    struct challenging a = {name, purpose, ret_challenge};
    return ceremony_run_within(c, CEREMONY_CHALLENGE_MS, challenge, &a);
}

static uint32_t registered_of(const struct seal_set *set)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < set->operator_count && i < SEAL_OPERATORS_MAX; i++)
        n += set->operators[i].factor != SEAL_FACTOR_NONE;
    return n;
}

/* The vault has the new entry already; where another replica was faster with another one it is given that back, and the operator
 * registers once more.
 */
static cc_err store_registration(struct ceremony *c)
{
    CC_CLEANUP(cc_freep) struct seal_next *next = cc_alloc(sizeof *next);
    if (!next)
        return CC_FAIL(NO_MEMORY, NULL);
    *next = c->records->next;
    next->set = c->messages->enveloped.set;
    next->phase = SEAL_PHASE_REGISTERING;
    for (uint32_t i = 0; i < next->set.operator_count && i < SEAL_OPERATORS_MAX; i++)
        if (next->set.operators[i].factor != SEAL_FACTOR_NONE)
            next->tokens[i] = (struct seal_token){0};
    cc_err err = ceremony_commit(c, NULL, next, false);
    if (err.code)
        c->staged.there = false; /* what the vault has is not what is stored */
    return err;
}

static cc_err register_one(struct ceremony *c,
                           const struct ceremony_envelope *envelope,
                           struct ceremony_step *step)
{
    const struct seal_set *set = &c->records->next.set;
    if (!is_digest(envelope->digest, set->fingerprint))
        return CC_FAIL(CREDENTIAL, NULL);
    if (!ceremony_is_given(&c->staged,
                           set)) /* what it makes of an older one would undo the newest */
        return CC_FAIL(CONFLICT, "another registration was faster: once more");
    CC_TRY(ceremony_send_envelope(c, envelope, B_SET_STAGED));
    if (c->messages->enveloped.changed)
        CC_TRY(store_registration(c));
    const uint32_t have = registered_of(&c->messages->enveloped.set);
    const uint32_t needed = c->messages->enveloped.set.operator_count;
    (void)ceremony_drive(c);
    fill_step(c, have, needed, step);
    return CC_OK;
}

/* An entry that rolls: its next challenge is stored, or the old one stays. */
static void store_rolled(struct ceremony *c)
{
    CC_CLEANUP(cc_freep) struct seal_current *current = cc_alloc(sizeof *current);
    if (!c->messages->enveloped.changed || !current)
        return;
    if (!ceremony_is_given(&c->present, &c->records->current.set)) {
        c->present.number = 0; /* made of an older one */
        return;
    }
    *current = c->records->current;
    current->set = c->messages->enveloped.set;
    cc_err err = ceremony_commit(c, current, NULL, false);
    c->present.number = 0; /* it is given what is stored now, in any case; it has not closed */
    if (err.code)
        log_notice("an operator's next challenge was not stored: the one before stays good",
                   KV_ERR(err));
}

/* What the quorum has now approved is done at once. */
static cc_err act_on_approval(struct ceremony *c)
{
    return ceremony_is_cancelled(c) ? ceremony_remove_next(c, "operators") : CC_OK;
}

static void count_unseal(const struct ceremony *c, struct ceremony_step *step)
{
    const struct seal_set *set = &c->records->current.set;
    const uint32_t needed = set->operator_threshold;
    fill_step(c, c->vault.open ? needed : c->vault.operators_have, needed, step);
    metric_add(METRIC_CHAMBER_UNSEAL_SHARES, 0, 0, 1);
}

/* The digest of a management key is "other", and so is that of a rotation which is there no more. */
static const char *approves(const struct ceremony *c, const uint8_t digest[static 32])
{
    uint8_t cancel[32];
    if (ceremony_is_image_digest(c, digest))
        return "image";
    if (!ceremony_has_next(c))
        return "other";
    if (is_digest(digest, c->records->next.digest))
        return "proposal";
    proposal_cancel_digest(c->settings.chamber_id, c->records->next.digest, cancel);
    return is_digest(digest, cancel) ? "cancellation" : "other";
}

/* Another replica may have taken the proposal: the store is looked at before somebody is told that theirs is none. */
static const char *approves_now(struct ceremony *c, const uint8_t digest[static 32])
{
    const char *what = approves(c, digest);
    return strcmp(what, "other") == 0 && !ceremony_look(c).code ? approves(c, digest) : what;
}

/* An unseal shows what a rehearsal does, unless break-glass shares stood in for the KMS keys. */
static bool has_shown(const struct ceremony *c, const struct b_seal_state *before)
{
    const struct seal_set *set = &c->records->current.set;
    return !before->open && c->vault.open && (set->kms.count == 0 || c->kms_by_keys);
}

/* Counted before a round: an approval that is acted upon is none afterwards. */
static cc_err use_present(struct ceremony *c,
                          const struct ceremony_envelope *envelope,
                          struct ceremony_step *step)
{
    const struct seal_set *set = &c->records->current.set;
    const char *approved = NULL;
    const struct b_seal_state before = c->vault;
    CC_TRY(ceremony_send_envelope(c, envelope, B_SET_PRESENT));
    const struct b_seal_state said = c->vault;
    const bool unsealed = envelope->purpose == SEAL_TO_UNSEAL && has_shown(c, &before);
    if (envelope->purpose == SEAL_TO_BREAK_GLASS)
        c->kms_by_keys = false;
    const uint32_t threshold = set->operator_threshold;
    const uint32_t glass_threshold = set->break_glass.threshold;
    store_rolled(c);
    if (envelope->purpose == SEAL_TO_APPROVE) {
        approved = approves_now(c, envelope->digest);
        CC_TRY(act_on_approval(c));
    }
    (void)ceremony_drive(c);
    if (envelope->purpose == SEAL_TO_UNSEAL)
        count_unseal(c, step);
    else if (envelope->purpose == SEAL_TO_APPROVE)
        fill_step(c, said.approved ? threshold : said.approvals_have, threshold, step);
    else if (envelope->purpose == SEAL_TO_REHEARSE)
        fill_step(c, said.rehearsed ? threshold : said.rehearsals_have, threshold, step);
    else
        fill_step(c, said.kms_open ? glass_threshold : said.break_glass_have, glass_threshold,
                  step);
    step->approves = approved;
    step->done =
        envelope->purpose == SEAL_TO_REHEARSE && said.rehearsed && ceremony_rehearse_kms(c);
    if (step->done || unsealed)
        ceremony_shown_now(c);
    return CC_OK;
}

struct sending {
    const struct ceremony_envelope *envelope;
    struct ceremony_step *step;
};

static cc_err send_envelope(struct ceremony *c, void *context)
{
    const struct sending *a = context;
    const uint32_t purpose = a->envelope->purpose;
    enum b_set_which which;
    CC_TRY(which_of(c, purpose, &which));
    if (!ceremony_is_given(which == B_SET_STAGED ? &c->staged : &c->present,
                           which == B_SET_STAGED ? &c->records->next.set
                                                 : &c->records->current.set)) {
        (void)ceremony_drive(c); /* records have come that the vault does not have yet */
        CC_TRY(which_of(c, purpose, &which));
    }
    if (which == B_SET_STAGED)
        return register_one(c, a->envelope, a->step);
    cc_err err = use_present(c, a->envelope, a->step);
    if (purpose != SEAL_TO_UNSEAL || !error_is(err, ERROR_SEALED))
        return err;
    /* Its box opens, and is for a challenge that was given: what is missing is the KMS layer. */
    want_kms(c);
    return c->vault.kms_open ? use_present(c, a->envelope, a->step) : err;
}

CC_ERR ceremony_bring(struct ceremony *c,
                      const struct ceremony_envelope *envelope,
                      struct ceremony_step *ret_step)
{
    struct sending a = {envelope, ret_step};
    cc_assert(envelope->purpose >= SEAL_TO_REGISTER && envelope->purpose <= SEAL_TO_BREAK_GLASS);
    return ceremony_run(c, send_envelope, &a);
}

static cc_err is_approved(struct ceremony *c, void *context)
{
    const uint8_t *digest = context;
    return ceremony_has_approved(c, digest) ? CC_OK : CC_FAIL(NOT_APPROVED, NULL);
}

CC_ERR ceremony_is_approved(struct ceremony *c, const uint8_t digest[static 32])
{
    uint8_t copy[32];
    memcpy(copy, digest, sizeof copy);
    return ceremony_run(c, is_approved, copy);
}

void ceremony_manager_digest(const struct ceremony *c,
                             const uint8_t public_key[static 32],
                             uint8_t ret_digest[static 32])
{
    proposal_manager_digest(c->settings.chamber_id, public_key, ret_digest);
}

static cc_err forget_approval(struct ceremony *c, void *context)
{
    (void)context;
    return ceremony_drop(c, B_DROP_PENDING);
}

void ceremony_forget_approval(struct ceremony *c)
{
    cc_err err = ceremony_run(c, forget_approval, NULL);
    if (err.code)
        log_error("an approval that was used could not be forgotten", KV_ERR(err));
}

static cc_err is_owners(struct ceremony *c, void *context)
{
    (void)context;
    return c->records->bad || c->records->current.set.operator_count ? wrong_state(c) : CC_OK;
}

CC_ERR ceremony_is_owners(struct ceremony *c)
{
    return ceremony_run(c, is_owners, NULL);
}

/* --- the owner's approval -------------------------------------------------------------------------------------------------------------- */

struct approving {
    uint8_t digest[32];
    struct ceremony_step *step;
};

static cc_err owner_approves(struct ceremony *c, void *context)
{
    const struct approving *a = context;
    if (!c->records->bad && c->records->current.set.operator_count)
        return CC_FAIL(SEAL_STATE, "operators approve this, each with --name");
    if (c->records->bad || !ceremony_has_current(c) || !ceremony_has_next(c) ||
        c->records->next.phase != SEAL_PHASE_PROPOSED)
        return wrong_state(c);
    if (!is_digest(a->digest, c->records->next.digest))
        return CC_FAIL(NAME_UNKNOWN, "nothing of this digest is proposed");
    CC_TRY(ceremony_check_arns(c, &c->records->next)); /* it may be another replica's proposal */
    CC_TRY(ceremony_stage(c));
    (void)ceremony_drive(c);
    fill_step(c, 1, 1, a->step);
    a->step->approves = "proposal";
    return CC_OK;
}

CC_ERR ceremony_owner_approves(struct ceremony *c,
                               const uint8_t digest[static 32],
                               struct ceremony_step *ret_step)
{
    struct approving a = {.step = ret_step};
    memcpy(a.digest, digest, sizeof a.digest);
    return ceremony_run(c, owner_approves, &a);
}

/* --- texts ----------------------------------------------------------------------------------------------------------------------------------- */

static cc_err tokens(struct ceremony *c, void *context)
{
    struct buf *answer = context;
    if (!ceremony_has_staged(c) &&
        !(ceremony_has_current(c) && ceremony_glass_of(c, &c->records->current.set)))
        return CC_FAIL(NAME_UNKNOWN, "no new set is under way");
    CC_TRY(buf_append_str(answer, "{"));
    CC_TRY(ceremony_append_tokens(c, answer));
    return buf_append_str(answer, "}");
}

CC_ERR ceremony_tokens(struct ceremony *c, struct buf *answer)
{
    return ceremony_run(c, tokens, answer);
}
