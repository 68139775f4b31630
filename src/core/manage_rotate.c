/* Rotations: proposed by who has the scope, decided by others (T1). */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "codec/hex.h"
#include "core/ceremony.h"
#include "core/manage.h"
#include "core/seal_body.h"

cc_err manage_rotate_tokens(struct manage_call *call)
{
    CC_TRY(manage_has_ceremony(call));
    return manage_refuse_ceremony(call, ceremony_tokens(call->settings->ceremony, &call->answer));
}

static cc_err propose(struct manage_call *call, uint32_t kind)
{
    char none[SEAL_BODY_SECRET_MAX];
    struct auth_fault fault = {.what = NULL};
    CC_CLEANUP(cc_freep) struct ceremony_wish *wish = cc_alloc(sizeof *wish);
    CC_CLEANUP(cc_freep) uint8_t *text = cc_alloc(call->ask->body_len + 1);
    CC_TRY(manage_has_ceremony(call));
    if (!wish || !text)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(text, call->ask->body, call->ask->body_len);
    cc_err err = seal_body_wish(kind, text, call->ask->body_len, wish, none, &fault);
    if (err.code)
        return fault.what ? manage_refuse(call, (enum error_code)err.code, fault.place, fault.what)
                          : err;
    (void)snprintf(wish->by, sizeof wish->by, "%s", call->verdict.principal);
    CC_TRY(manage_refuse_ceremony(call,
                                  ceremony_propose(call->settings->ceremony, wish, &call->answer)));
    call->status = 202;
    return CC_OK;
}

cc_err manage_rotate_kms(struct manage_call *call)
{
    return propose(call, SEAL_KIND_KMS);
}

cc_err manage_rotate_quorum(struct manage_call *call)
{
    return propose(call, SEAL_KIND_QUORUM);
}

cc_err manage_rotate_mode(struct manage_call *call)
{
    return propose(call, SEAL_KIND_MODE);
}

cc_err manage_rotate_master(struct manage_call *call)
{
    return propose(call, SEAL_KIND_MASTER);
}

/* The front alone says who is the owner, whichever socket it names: his name is worth his file only. */
static bool says_owner(const struct manage_call *call)
{
    return manage_is_owners(call) || strcmp(call->verdict.principal, "owner") == 0;
}

/* The proposer, or the owner where no operator could. */
cc_err manage_rotate_cancel(struct manage_call *call)
{
    struct ceremony_step step;
    const bool owner = says_owner(call);
    CC_TRY(manage_has_ceremony(call));
    if (owner)
        CC_TRY(manage_owner_shows(call, "cancel\n"));
    cc_err err = ceremony_cancel(call->settings->ceremony, call->verdict.principal, &step);
    if (owner && error_is(err, ERROR_DENIED))
        err = ceremony_cancel(call->settings->ceremony, NULL, &step);
    CC_TRY(manage_refuse_ceremony(call, err));
    return manage_answer_step(call, &step);
}

/* --- auto-unseal ---------------------------------------------------------------------------------------------------------------------- */

/* Proposed by who has the scope, approved by the operators; taken away at once. */
cc_err manage_auto_unseal(struct manage_call *call)
{
    struct auth_fault fault = {.what = NULL};
    struct seal_image image;
    bool remove = false;
    uint8_t text[1024];
    struct ceremony *ceremony = call->settings->ceremony;
    CC_TRY(manage_has_ceremony(call));
    if (call->ask->body_len > sizeof text)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    memcpy(text, call->ask->body, call->ask->body_len);
    cc_err err = seal_body_image(text, call->ask->body_len, &image, &remove, &fault);
    if (err.code)
        return fault.what ? manage_refuse(call, (enum error_code)err.code, fault.place, fault.what)
                          : err;
    if (remove) {
        CC_TRY(manage_refuse_ceremony(
            call, ceremony_remove_image(ceremony, image.pcr0, call->verdict.principal)));
        return buf_append_str(&call->answer, "{\"removed\":true}");
    }
    CC_TRY(manage_refuse_ceremony(
        call, ceremony_propose_image(ceremony, &image, call->verdict.principal, &call->answer)));
    call->status = 202;
    return CC_OK;
}
