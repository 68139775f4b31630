/* The sealed chamber, as people ask for it: setup token, first set, envelopes of operators, the latch. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "codec/hex.h"
#include "core/ceremony.h"
#include "core/manage.h"
#include "core/seal.h"
#include "core/seal_body.h"
#include "core/setup_token.h"
#include "seal/proposal.h"
#include "seal/record.h"
#include "secret/wipe.h"

enum {
    SETUP_ANSWER_MAX = 256
};

CC_ERR manage_has_ceremony(struct manage_call *call)
{
    return call->settings->ceremony ? CC_OK : CC_FAIL(SEALED, NULL);
}

cc_err manage_refuse_ceremony(struct manage_call *call, cc_err err)
{
    const bool tells = error_is(err, ERROR_SEAL_STATE) || error_is(err, ERROR_MALFORMED) ||
                       error_is(err, ERROR_DENIED) || error_is(err, ERROR_CONFLICT) ||
                       error_is(err, ERROR_NAME_UNKNOWN) || error_is(err, ERROR_BUSY) ||
                       error_is(err, ERROR_NOT_ENABLED);
    call->delayed = error_is(err, ERROR_CREDENTIAL);
    if (error_is(
            err,
            ERROR_PROTOCOL)) /* what was brought is right, and yet nothing that the set takes */
        return manage_refuse(call, ERROR_MALFORMED, "envelope", "its factor, costs or digest");
    return err.code && tells ? manage_refuse(call, (enum error_code)err.code, "", error_detail())
                             : err;
}

CC_ERR manage_answer_step(struct manage_call *call, const struct ceremony_step *step)
{
    CC_TRY(buf_printf(&call->answer, "{\"state\":\"%s\",\"have\":%u,\"needed\":%u%s",
                      seal_state_name(step->state), step->have, step->needed,
                      step->done ? ",\"done\":true" : ""));
    if (step->approves)
        CC_TRY(buf_printf(&call->answer, ",\"approves\":\"%s\"", step->approves));
    return buf_append_str(&call->answer, "}");
}

/* --- the setup token ------------------------------------------------------------------------------------------------------------------- */

/* Whose key has signed can't read a file of this machine, as in an enclave: he has it in the answer, whose room is there from the start. */
static CC_SENSITIVE cc_err give_token(struct manage_call *call, struct setup_token *token)
{
    char text[SETUP_TOKEN_TEXT_SIZE];
    uint8_t *room = NULL;
    CC_TRY(buf_grow(&call->answer, SETUP_ANSWER_MAX, &room));
    call->answer.len = 0;
    cc_err err = setup_token_give(token, call->now, text);
    if (!err.code)
        err = buf_printf(&call->answer, "{\"token\":\"%s\",\"expires\":%" PRIu64 "}", text,
                         token->expires);
    wipe(text, sizeof text);
    return err;
}

/* At the admin socket the answer says where it is, not what: who may read that file may use it. */
cc_err manage_setup_token(struct manage_call *call)
{
    struct setup_token *token = call->settings->setup_token;
    CC_TRY(manage_has_ceremony(call));
    CC_TRY(manage_refuse_ceremony(call, ceremony_may_init(call->settings->ceremony)));
    if (call->by_owner)
        return give_token(call, token);
    CC_TRY(setup_token_make(token, call->now));
    return buf_printf(&call->answer, "{\"path\":\"%s\",\"expires\":%" PRIu64 "}", token->path,
                      token->expires);
}

/* The owner has signed all that is to be made: a token would say less. */
static cc_err use_token(struct manage_call *call, const char *secret)
{
    if (call->by_owner)
        return secret[0] ? manage_refuse(call, ERROR_MALFORMED, "setup_token",
                                         "is not wanted where the owner has signed")
                         : CC_OK;
    if (!secret[0])
        return manage_refuse(call, ERROR_FIELD_MISSING, "setup_token", "is missing");
    cc_err err = setup_token_check(call->settings->setup_token, span_str(secret), call->now);
    call->delayed = error_is(err, ERROR_CREDENTIAL);
    return err;
}

static cc_err init_with(struct manage_call *call, struct ceremony_wish *wish, const char *secret)
{
    CC_TRY(use_token(call, secret));
    if (!call->by_owner)
        (void)snprintf(call->verdict.principal, sizeof call->verdict.principal, "setup-token");
    (void)snprintf(wish->by, sizeof wish->by, "%s", call->verdict.principal);
    CC_TRY(
        manage_refuse_ceremony(call, ceremony_init(call->settings->ceremony, wish, &call->answer)));
    setup_token_drop(call->settings->setup_token);
    return CC_OK;
}

cc_err manage_init(struct manage_call *call)
{
    char secret[SEAL_BODY_SECRET_MAX];
    struct auth_fault fault = {.what = NULL};
    CC_CLEANUP(cc_freep) struct ceremony_wish *wish = cc_alloc(sizeof *wish);
    CC_CLEANUP(cc_freep) uint8_t *text = cc_alloc(call->ask->body_len + 1);
    CC_TRY(manage_has_ceremony(call));
    if (!wish || !text)
        return CC_FAIL(NO_MEMORY, NULL);
    memcpy(text, call->ask->body, call->ask->body_len);
    cc_err err = seal_body_wish(SEAL_KIND_INIT, text, call->ask->body_len, wish, secret, &fault);
    wipe(text, call->ask->body_len);
    if (err.code)
        err = fault.what ? manage_refuse(call, (enum error_code)err.code, fault.place, fault.what)
                         : err;
    else
        err = init_with(call, wish, secret);
    wipe(secret, sizeof secret);
    return err;
}

/* --- challenges -------------------------------------------------------------------------------------------------------------------------- */

static cc_err append_hex(struct buf *out, const char *name, const void *bytes, size_t len)
{
    uint8_t *at = NULL;
    CC_TRY(buf_printf(out, ",\"%s\":\"", name));
    if (len) {
        CC_TRY(buf_grow(out, 2 * len, &at));
        hex_encode(bytes, len, (char *)at);
    }
    return buf_append_str(out, "\"");
}

static cc_err append_bytes(const struct seal_challenge *c, struct buf *out)
{
    CC_TRY(append_hex(out, "fingerprint", c->fingerprint, sizeof c->fingerprint));
    CC_TRY(append_hex(out, "chamber_id", c->chamber_id, sizeof c->chamber_id));
    CC_TRY(append_hex(out, "box_key", c->box_key, sizeof c->box_key));
    CC_TRY(append_hex(out, "nonce", c->nonce, sizeof c->nonce));
    CC_TRY(append_hex(out, "salt", c->salt, sizeof c->salt));
    CC_TRY(append_hex(out, "challenge", c->challenge, sizeof c->challenge));
    CC_TRY(append_hex(out, "next_salt", c->next_salt, sizeof c->next_salt));
    CC_TRY(append_hex(out, "next_challenge", c->next_challenge, sizeof c->next_challenge));
    CC_TRY(append_hex(out, "hint", c->hint, c->hint_len <= SEAL_HINT_MAX ? c->hint_len : 0));
    return append_hex(out, "signature", c->signature, sizeof c->signature);
}

static cc_err append_challenge(const struct seal_challenge *c, const char *name, struct buf *out)
{
    const char *factor = seal_factor_name(c->factor);
    const char *mode = seal_mode_name(c->mode);
    if (!factor || !mode)
        return CC_FAIL(PROTOCOL, "the vault's challenge has no factor or mode");
    CC_TRY(buf_printf(
        out,
        "{\"purpose\":\"%s\",\"mode\":\"%s\",\"name\":\"%s\",\"factor\":\"%s\",\"memory_kib\":%u,"
        "\"passes\":%u,\"generation\":%u,\"unseal_generation\":%u,\"number\":%" PRIu64
        ",\"issued\":%" PRIu64 ",\"expires\":%" PRIu64,
        seal_body_purpose_name(c->purpose), mode, name, factor, c->memory_kib, c->passes,
        c->generation, c->unseal_generation, c->number, c->issued, c->expires));
    CC_TRY(append_bytes(c, out));
    return buf_append_str(out, "}");
}

cc_err manage_challenge(struct manage_call *call)
{
    struct seal_challenge challenge = {0};
    const uint32_t purpose = seal_body_purpose(span_of(call->ask->body, call->ask->body_len));
    CC_TRY(manage_has_ceremony(call));
    if (!purpose)
        return manage_refuse(call, ERROR_MALFORMED, "purpose",
                             "register, unseal, approve, rehearse or break_glass");
    CC_TRY(manage_refuse_ceremony(
        call,
        ceremony_give_challenge(call->settings->ceremony, call->ask->name, purpose, &challenge)));
    return append_challenge(&challenge, call->ask->name, &call->answer);
}

/* --- envelopes ---------------------------------------------------------------------------------------------------------------------------- */

static cc_err
read_envelope(struct manage_call *call, uint32_t purpose, struct ceremony_envelope *envelope)
{
    struct auth_fault fault = {.what = NULL};
    uint8_t text[2048];
    CC_TRY(manage_has_ceremony(call));
    if (call->ask->body_len > sizeof text)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    memcpy(text, call->ask->body, call->ask->body_len);
    cc_err err = seal_body_envelope(purpose, text, call->ask->body_len, envelope, &fault);
    (void)snprintf(call->subject, sizeof call->subject, "%s", err.code ? "" : envelope->name);
    return err.code && fault.what
               ? manage_refuse(call, (enum error_code)err.code, fault.place, fault.what)
               : err;
}

static cc_err pass_on(struct manage_call *call, const struct ceremony_envelope *envelope)
{
    struct ceremony_step step;
    CC_TRY(manage_refuse_ceremony(call, ceremony_bring(call->settings->ceremony, envelope, &step)));
    (void)snprintf(call->verdict.principal, sizeof call->verdict.principal, "operator:%s",
                   envelope->name);
    return manage_answer_step(call, &step);
}

static cc_err bring(struct manage_call *call, uint32_t purpose)
{
    struct ceremony_envelope envelope;
    CC_TRY(read_envelope(call, purpose, &envelope));
    return pass_on(call, &envelope);
}

cc_err manage_register(struct manage_call *call)
{
    return bring(call, SEAL_TO_REGISTER);
}

cc_err manage_unseal(struct manage_call *call)
{
    return bring(call, SEAL_TO_UNSEAL);
}

cc_err manage_break_glass(struct manage_call *call)
{
    return bring(call, SEAL_TO_BREAK_GLASS);
}

cc_err manage_rehearse(struct manage_call *call)
{
    return bring(call, SEAL_TO_REHEARSE);
}

/* The owner has no envelope: he is at the admin socket, and shows which digest he means by his file, or has signed it. */
static cc_err approve_as_owner(struct manage_call *call, const uint8_t digest[static 32])
{
    struct ceremony_step step;
    char proof[96], digits[65] = "";
    if (!manage_is_owners(call))
        return CC_FAIL(NOT_OWNER, NULL);
    hex_encode(digest, 32, digits);
    (void)snprintf(proof, sizeof proof, "approve %s\n", digits);
    CC_TRY(manage_owner_shows(call, proof));
    if (!call->by_owner)
        (void)snprintf(call->verdict.principal, sizeof call->verdict.principal, "owner");
    CC_TRY(manage_refuse_ceremony(
        call, ceremony_owner_approves(call->settings->ceremony, digest, &step)));
    return manage_answer_step(call, &step);
}

cc_err manage_approve(struct manage_call *call)
{
    struct ceremony_envelope envelope;
    CC_TRY(read_envelope(call, SEAL_TO_APPROVE, &envelope));
    return envelope.len ? pass_on(call, &envelope) : approve_as_owner(call, envelope.digest);
}

/* --- a management key by the quorum --------------------------------------------------------------------------------------------------------- */

cc_err manage_root_token(struct manage_call *call)
{
    struct auth_fault fault = {.what = NULL};
    const struct manage_settings *settings = call->settings;
    uint8_t text[512], key[32], digest[32];
    CC_TRY(manage_has_ceremony(call));
    if (call->ask->body_len > sizeof text)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    memcpy(text, call->ask->body, call->ask->body_len);
    cc_err err = seal_body_key(text, call->ask->body_len, key, &fault);
    if (err.code)
        return fault.what ? manage_refuse(call, (enum error_code)err.code, fault.place, fault.what)
                          : err;
    ceremony_manager_digest(settings->ceremony, key, digest);
    CC_TRY(manage_refuse_ceremony(call, ceremony_is_approved(settings->ceremony, digest)));
    (void)snprintf(call->verdict.principal, sizeof call->verdict.principal, "operators");
    CC_TRY(manage_put_key(call, key));
    ceremony_forget_approval(settings->ceremony);
    return CC_OK;
}

/* --- the latch -------------------------------------------------------------------------------------------------------------------------------- */

cc_err manage_seal_lift(struct manage_call *call)
{
    CC_TRY(manage_has_ceremony(call));
    CC_TRY(manage_refuse_ceremony(call, ceremony_is_owners(call->settings->ceremony)));
    CC_TRY(manage_owner_shows(call, "unseal\n"));
    CC_TRY(manage_refuse_ceremony(call,
                                  seal_lift(call->settings->seal, call->settings->keeper,
                                            call->by_owner ? call->verdict.principal : "owner")));
    ceremony_poke(call->settings->ceremony);
    return buf_append_str(&call->answer, "{\"latched\":false}");
}
