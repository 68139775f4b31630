/* From a proposal to a set that is stored: the vault makes it, KMS wraps its shares, and it is staged. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "core/ceremony_inside.h"
#include "core/test_point.h"
#include "secret/wipe.h"

/* --- KMS keys ----------------------------------------------------------------------------------------------------------------- */

static cc_err
take_shares(struct ceremony *c, uint32_t count, uint8_t (*ret_shares)[SEAL_SHARE_SIZE])
{
    for (uint32_t i = 0; i < count; i++)
        CC_TRY(ceremony_kms_share(c, i, ret_shares[i]));
    return CC_OK;
}

/* What the keys have opened is what the vault has committed to, says the vault. */
static cc_err check_opened(struct ceremony *c, uint32_t count, const struct seal_opened *opened)
{
    for (uint32_t i = 0; i < count; i++)
        CC_TRY(ceremony_unwrap_share(c, B_SET_STAGED, i, &opened[i]));
    return CC_OK;
}

static cc_err wrap(struct ceremony *c, struct seal_next *next)
{
    const struct ceremony_kms *kms = &c->settings.kms;
    const uint32_t count = next->set.kms.count;
    uint8_t shares[SEAL_KMS_MAX][SEAL_SHARE_SIZE] = {{0}};
    struct seal_opened opened[SEAL_KMS_MAX] = {{.is_sealed = 0}};
    if (!kms->wrap)
        return CC_FAIL(AWS_CREDENTIALS, "this signer has no access to KMS");
    cc_err err = take_shares(c, count, shares);
    if (!err.code)
        err = kms->wrap(kms->context, &next->set, next->keys,
                        (const uint8_t(*)[SEAL_SHARE_SIZE])shares, opened);
    if (!err.code)
        err = check_opened(c, count, opened);
    if (!err.code)
        memcpy(c->kms_tried, next->digest, sizeof c->kms_tried);
    wipe(shares, sizeof shares);
    wipe(opened, sizeof opened);
    return err;
}

/* New shares are wrapped by the keys that the proposal names; those that stay have their ciphertexts in the present record. */
static cc_err fill_keys(struct ceremony *c, struct seal_next *next)
{
    if (next->set.kms.count == 0)
        return CC_OK;
    if (!(next->proposal.keep & SEAL_KEEP_KMS))
        return wrap(c, next);
    memcpy(next->keys, c->records->current.keys, sizeof next->keys);
    return CC_OK;
}

/* --- what goes to people -------------------------------------------------------------------------------------------------------- */

static cc_err take_tokens(struct ceremony *c, struct seal_next *next)
{
    for (uint32_t i = 0; i < next->set.operator_count; i++) {
        if (next->set.operators[i].factor != SEAL_FACTOR_NONE)
            continue;
        CC_TRY(ceremony_text(c, B_PART_REGISTRATION, i));
        next->tokens[i].len = c->messages->text.len;
        memcpy(next->tokens[i].bytes, c->messages->text.bytes, c->messages->text.len);
    }
    return CC_OK;
}

/* --- the set ----------------------------------------------------------------------------------------------------------------------- */

static cc_err check_made(const struct seal_set *set, const struct seal_next *next)
{
    const struct seal_proposal *p = &next->proposal;
    if (!span_equal(span_of(set->fingerprint, 32), span_of(next->digest, 32)) ||
        set->kms.count != p->kms_count || set->operator_count != p->operator_count ||
        set->break_glass.count != p->break_glass_count || p->kms_count > SEAL_KMS_MAX ||
        p->operator_count > SEAL_OPERATORS_MAX || p->break_glass_count > SEAL_BREAK_GLASS_MAX)
        return CC_FAIL(PROTOCOL, "the vault has made another set than was proposed");
    return CC_OK;
}

/* What a core has made, and has not stored before it died, is nobody's, and in the way. */
static cc_err make_set(struct ceremony *c, const struct seal_proposal *proposal)
{
    cc_err err = ceremony_make_set(c, proposal);
    if (!error_is(err, ERROR_EXISTS))
        return err;
    CC_TRY(ceremony_drop(c, B_DROP_STAGED));
    return ceremony_make_set(c, proposal);
}

static cc_err make(struct ceremony *c, struct seal_next *next)
{
    CC_TRY(make_set(c, &next->proposal));
    next->set = c->messages->set.set;
    CC_TRY(check_made(&next->set, next));
    CC_TRY(take_tokens(c, next));
    CC_TRY(fill_keys(c, next));
    CC_TRY(ceremony_glass_take(c, next)); /* last: what fails before it has no part in them */
    next->phase = SEAL_PHASE_STAGED;
    test_point_pass(TEST_POINT_SEAL_MADE);
    return ceremony_commit(c, NULL, next, false);
}

/* A try before this one whose answer was lost may have been stored: that is known before another set is made. */
static cc_err look_first(struct ceremony *c)
{
    const uint64_t current = c->records->current_version;
    const uint64_t next = c->records->next_version;
    CC_TRY(ceremony_look(c));
    return c->records->current_version == current && c->records->next_version == next
               ? CC_OK
               : CC_FAIL(CONFLICT, "another change of the chamber was faster: look at its status");
}

/* It is certain that the change was not made. */
static bool is_lost(cc_err err)
{
    return error_is(err, ERROR_CONFLICT) || error_is(err, ERROR_SEAL_STATE) ||
           error_is(err, ERROR_BUSY);
}

/* What was made and is not stored is nobody's. */
CC_ERR ceremony_stage_next(struct ceremony *c, struct seal_next *next)
{
    CC_TRY(look_first(c));
    cc_err err = make(c, next);
    if (err.code) {
        if (is_lost(err))
            ceremony_glass_drop(c, &next->set);
        if (ceremony_drop(c, B_DROP_STAGED).code)
            log_warn("the vault keeps a set that is not wanted until it is given another one");
        return err;
    }
    log_notice("a new set of shares is staged", KV_STR("kind", seal_kind_name(next->kind)),
               KV_STR("mode", seal_mode_name(next->set.mode)),
               KV_NUM("operators", next->set.operator_count),
               KV_NUM("kms_keys", next->set.kms.count));
    /* It is stored, and what goes on with it (the setup token's end, T13) goes on; core/manage tells nobody of what it can't write down. */
    if (ceremony_write_down(c, "staged", seal_kind_name(next->kind), next->proposer, CC_OK).code)
        log_error("the audit log does not have the set that was staged");
    return CC_OK;
}

CC_ERR ceremony_stage(struct ceremony *c)
{
    CC_CLEANUP(cc_freep) struct seal_next *next = cc_alloc(sizeof *next);
    if (!next)
        return CC_FAIL(NO_MEMORY, NULL);
    *next = c->records->next;
    return ceremony_stage_next(c, next);
}
