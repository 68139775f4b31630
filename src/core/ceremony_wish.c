/* From what somebody wants to a proposal: the first set, and rotations. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "core/ceremony_inside.h"
#include "crypto/random.h"
#include "seal/proposal.h"

cc_err ceremony_wrong_state(const struct ceremony *c)
{
    return error_make(ERROR_SEAL_STATE, seal_state_name(ceremony_state_now(c)), __FILE__, __LINE__);
}

static bool has_kms(uint32_t mode)
{
    return mode == SEAL_KMS || mode == SEAL_QUORUM;
}

static bool has_operators(uint32_t mode)
{
    return mode == SEAL_QUORUM || mode == SEAL_OPERATORS;
}

/* --- the parts of a proposal --------------------------------------------------------------------------------------------------------- */

static void keep_kms(const struct ceremony *c, struct seal_next *next)
{
    const struct seal_set *set = &c->records->current.set;
    struct seal_proposal *p = &next->proposal;
    p->keep |= SEAL_KEEP_KMS;
    p->kms_threshold = set->kms.threshold;
    p->kms_count = set->kms.count;
    p->break_glass_threshold = set->break_glass.threshold;
    p->break_glass_count = set->break_glass.count;
    for (uint32_t i = 0; i < set->kms.count && i < SEAL_KMS_MAX; i++)
        memcpy(next->keys[i].arn, c->records->current.keys[i].arn, sizeof next->keys[i].arn);
}

static void keep_operators(const struct ceremony *c, struct seal_next *next)
{
    const struct seal_set *set = &c->records->current.set;
    struct seal_proposal *p = &next->proposal;
    p->keep |= SEAL_KEEP_OPERATORS;
    p->operator_threshold = set->operator_threshold;
    p->operator_count = set->operator_count;
    for (uint32_t i = 0; i < set->operator_count && i < SEAL_OPERATORS_MAX; i++) {
        memcpy(p->operators[i].name, set->operators[i].name, sizeof p->operators[i].name);
        p->operators[i].recipient = set->operators[i].recipient;
    }
}

static void take_kms(const struct ceremony_wish *wish, struct seal_next *next)
{
    struct seal_proposal *p = &next->proposal;
    p->kms_threshold = wish->proposal.kms_threshold;
    p->kms_count = wish->proposal.kms_count;
    p->break_glass_threshold = wish->proposal.break_glass_threshold;
    p->break_glass_count = wish->proposal.break_glass_count;
    memcpy(p->break_glass, wish->proposal.break_glass, sizeof p->break_glass);
    for (uint32_t i = 0; i < p->kms_count && i < SEAL_KMS_MAX; i++)
        memcpy(next->keys[i].arn, wish->keys[i].arn, sizeof next->keys[i].arn);
}

static void take_operators(const struct ceremony_wish *wish, struct seal_next *next)
{
    struct seal_proposal *p = &next->proposal;
    p->operator_threshold = wish->proposal.operator_threshold;
    p->operator_count = wish->proposal.operator_count;
    memcpy(p->operators, wish->proposal.operators, sizeof p->operators);
}

static cc_err
fill_kms(const struct ceremony *c, const struct ceremony_wish *wish, struct seal_next *next)
{
    if (!has_kms(next->proposal.mode))
        return wish->has_kms ? CC_FAIL(MALFORMED, "this mode has no KMS keys") : CC_OK;
    if (wish->has_kms)
        take_kms(wish, next);
    else if (c->records->current.set.kms.count)
        keep_kms(c, next);
    else
        return CC_FAIL(MALFORMED, "this mode needs KMS keys: there are none that could stay");
    return CC_OK;
}

static cc_err
fill_operators(const struct ceremony *c, const struct ceremony_wish *wish, struct seal_next *next)
{
    if (!has_operators(next->proposal.mode))
        return wish->has_operators ? CC_FAIL(MALFORMED, "this mode has no operators") : CC_OK;
    if (wish->has_operators)
        take_operators(wish, next);
    else if (c->records->current.set.operator_count)
        keep_operators(c, next);
    else
        return CC_FAIL(MALFORMED, "this mode needs operators: there are none that could stay");
    return CC_OK;
}

/* What the mode has, is new where the wish has it, and else stays. */
static cc_err
fill_parts(const struct ceremony *c, const struct ceremony_wish *wish, struct seal_next *next)
{
    CC_TRY(fill_kms(c, wish, next));
    return fill_operators(c, wish, next);
}

static cc_err
make_proposal(const struct ceremony *c, const struct ceremony_wish *wish, struct seal_next *next)
{
    const bool has = ceremony_has_current(c);
    const struct seal_set *set = &c->records->current.set;
    const bool names_mode = wish->kind == SEAL_KIND_INIT || wish->kind == SEAL_KIND_MODE;
    struct seal_proposal *p = &next->proposal;
    *next = (struct seal_next){
        .kind = wish->kind, .phase = SEAL_PHASE_PROPOSED, .proposed = ceremony_wall_ms(c)};
    (void)snprintf(next->proposer, sizeof next->proposer, "%s", wish->by);
    memcpy(p->chamber_id, c->settings.chamber_id, sizeof p->chamber_id);
    if (has)
        memcpy(p->from, set->fingerprint, sizeof p->from);
    CC_TRY(random_bytes(p->id, sizeof p->id));
    p->generation = has ? set->generation + 1 : 1;
    p->mode = names_mode ? wish->mode : set->mode;
    CC_TRY(fill_parts(c, wish, next));
    if (p->kms_count)
        seal_kms_keys_digest(next->keys, p->kms_count, p->kms_keys);
    if (proposal_check(p).code)
        return CC_FAIL(MALFORMED, "thresholds, names or public keys of the set");
    proposal_digest(p, next->digest);
    return CC_OK;
}

/* --- init ------------------------------------------------------------------------------------------------------------------------------- */

/* Rows were sealed by a master key: where one is not known, its record has been taken away (T2); where it is, a rotation seals them anew. */
static cc_err check_rows(const struct ceremony *c)
{
    const struct ceremony_rows *rows = &c->settings.rows;
    if (!rows->any || !rows->any(rows->context))
        return CC_OK;
    return ceremony_has_current(c)
               ? CC_FAIL(SEAL_STATE,
                         "not_configured, with keys: `operator rotate mode` changes the mode")
               : CC_FAIL(SEAL_STATE,
                         "the key store has keys, yet no set is known: restore the state store");
}

static cc_err check_init(const struct ceremony *c)
{
    const bool local = ceremony_has_current(c) && c->records->current.set.mode == SEAL_LOCAL;
    if (c->records->bad || ceremony_latched(c) || ceremony_has_next(c) ||
        (ceremony_has_current(c) && !(local && c->vault.open)))
        return ceremony_wrong_state(c);
    return check_rows(c);
}

static cc_err may_init(struct ceremony *c, void *context)
{
    (void)context;
    return check_init(c);
}

CC_ERR ceremony_may_init(struct ceremony *c)
{
    return ceremony_run(c, may_init, NULL);
}

static bool is_allowed(const struct config_text_list *allowed, const char *arn)
{
    for (uint32_t i = 0; i < allowed->count; i++)
        if (strcmp(allowed->items[i], arn) == 0)
            return true;
    return false;
}

/* Where no operator decides, what stands in this machine's configuration does (T1); so it does for an enclave's first set: KMS encrypts to a
 * key of the parent's as well (T11).
 */
CC_ERR ceremony_check_arns(const struct ceremony *c, const struct seal_next *next)
{
    const struct seal_proposal *p = &next->proposal;
    const bool is_first = next->kind == SEAL_KIND_INIT;
    if (is_first && c->settings.config->tee.platform != TEE_NITRO)
        return CC_OK;
    if (c->records->current.set.operator_count || (p->keep & SEAL_KEEP_KMS))
        return CC_OK;
    for (uint32_t i = 0; i < p->kms_count && i < SEAL_KMS_MAX; i++)
        if (!is_allowed(&c->settings.config->signer_state.allowed_kms_key_arns, next->keys[i].arn))
            return CC_FAIL(DENIED,
                           "a KMS key that signer_state.allowed_kms_key_arns does not name");
    return CC_OK;
}

struct wishing {
    const struct ceremony_wish *wish;
    struct buf *answer;
};

static cc_err init(struct ceremony *c, void *context)
{
    const struct wishing *a = context;
    CC_CLEANUP(cc_freep) struct seal_next *next = cc_alloc(sizeof *next);
    if (!next)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(check_init(c));
    if (a->wish->mode == SEAL_LOCAL)
        return CC_FAIL(MALFORMED, "a chamber begins in mode local without a ceremony");
    CC_TRY(make_proposal(c, a->wish, next));
    CC_TRY(ceremony_check_arns(c, next));
    CC_TRY(ceremony_stage_next(c, next));
    /* Written now: where the set has no operators, it is in force after a round, and nothing is staged. */
    CC_TRY(buf_append_str(a->answer, "{"));
    CC_TRY(ceremony_append_tokens(c, a->answer));
    (void)ceremony_drive(c);
    return buf_printf(a->answer, ",\"state\":\"%s\"}", seal_state_name(ceremony_state_now(c)));
}

CC_ERR ceremony_init(struct ceremony *c, const struct ceremony_wish *wish, struct buf *answer)
{
    struct wishing a = {wish, answer};
    cc_assert(wish->kind == SEAL_KIND_INIT);
    return ceremony_run(c, init, &a);
}

/* --- rotations -------------------------------------------------------------------------------------------------------------------------- */

static cc_err check_kind(const struct ceremony *c, const struct ceremony_wish *wish)
{
    const uint32_t mode = c->records->current.set.mode;
    if (wish->kind == SEAL_KIND_KMS && !has_kms(mode))
        return CC_FAIL(SEAL_STATE, "the present mode has no KMS keys: rotate the mode");
    if (wish->kind == SEAL_KIND_QUORUM && !has_operators(mode))
        return CC_FAIL(SEAL_STATE, "the present mode has no operators: rotate the mode");
    return CC_OK;
}

static cc_err propose(struct ceremony *c, void *context)
{
    const struct wishing *a = context;
    CC_CLEANUP(cc_freep) struct seal_next *next = cc_alloc(sizeof *next);
    CC_CLEANUP(cc_freep) struct ceremony_shown *shown = cc_alloc(sizeof *shown);
    if (!next || !shown)
        return CC_FAIL(NO_MEMORY, NULL);
    if (c->records->bad || ceremony_latched(c) || ceremony_has_next(c) ||
        !ceremony_has_current(c) || !c->vault.open)
        return ceremony_wrong_state(c);
    CC_TRY(check_kind(c, a->wish));
    CC_TRY(make_proposal(c, a->wish, next));
    CC_TRY(ceremony_check_arns(c, next));
    CC_TRY(ceremony_commit(c, NULL, next, false));
    log_notice("a new set of shares is proposed", KV_STR("kind", seal_kind_name(next->kind)),
               KV_STR("by", next->proposer));
    shown->records = *c->records;
    shown->vault = c->vault;
    return ceremony_append_rotation(shown, a->answer);
}

CC_ERR ceremony_propose(struct ceremony *c, const struct ceremony_wish *wish, struct buf *answer)
{
    struct wishing a = {wish, answer};
    cc_assert(wish->kind > SEAL_KIND_INIT && wish->kind < SEAL_KIND_END);
    return ceremony_run(c, propose, &a);
}
