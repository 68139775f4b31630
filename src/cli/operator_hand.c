#include "cli/operator_hand.h"

#include <stdio.h>

#include "base/io.h"

#include "seal/factor_passphrase.h"
#include "secret/ct.h"

enum {
    ASKED_SIZE = 128
};

void operator_hand_release(struct operator_hand *hand)
{
    secret_text_wipep(&hand->passphrase);
    secret_text_wipep(&hand->pin);
    hidraw_close(&hand->yubikey);
    fido2_close(&hand->fido2);
}

static void say_touch(void *context)
{
    (void)context;
    (void)fputs("containment-chamber operator: touch the key\n", stderr);
}

/* --- passphrases ------------------------------------------------------------------------------------------------------------- */

static bool is_same(const struct secret_text *a, const struct secret_text *b)
{
    return a->len == b->len && ct_equal(a->text, b->text, a->len);
}

/* What is shown once is typed once, so that it is known to be written down. */
static CC_SENSITIVE cc_err show_at_terminal(const struct secret_text *made)
{
    CC_CLEANUP(secret_text_wipep) struct secret_text typed;
    CC_TRY(terminal_show(
        "Your passphrase. It is shown once, and kept nowhere: write it down.\n\n    "));
    CC_TRY(terminal_show(made->text));
    CC_TRY(terminal_show("\n\n"));
    CC_TRY(terminal_ask_secret("Type it: ", &typed));
    return is_same(&typed, made) ? CC_OK
                                 : CC_FAIL(FACTOR, "that is not what was shown; nothing was sent");
}

static cc_err write_to_file(const struct secret_text *made, const char *path)
{
    CC_CLEANUP(secret_text_wipep) struct secret_text line = *made;
    line.text[line.len++] = '\n';
    return file_write_durable(path, span_of(line.text, line.len), true);
}

static CC_SENSITIVE cc_err make(struct operator_hand *hand)
{
    struct secret_text *made = &hand->passphrase;
    CC_TRY(passphrase_make(made->text));
    made->len = PASSPHRASE_MADE_LEN;
    return hand->wanted->passphrase_out ? write_to_file(made, hand->wanted->passphrase_out)
                                        : show_at_terminal(made);
}

static cc_err type_new(uint32_t mode, struct secret_text *ret_passphrase)
{
    CC_CLEANUP(secret_text_wipep) struct secret_text again;
    CC_TRY(terminal_ask_secret("New passphrase: ", ret_passphrase));
    CC_TRY(passphrase_check(span_of(ret_passphrase->text, ret_passphrase->len), mode));
    CC_TRY(terminal_ask_secret("Again: ", &again));
    return is_same(&again, ret_passphrase) ? CC_OK : CC_FAIL(FACTOR, "the two are not alike");
}

/* A new one, at registration. */
static cc_err new_passphrase(struct operator_hand *hand)
{
    const struct operator_wanted *w = hand->wanted;
    if (!w->passphrase || strcmp(w->passphrase, "generate") == 0)
        return make(hand);
    if (strcmp(w->passphrase, "prompt") == 0)
        return type_new(hand->mode, &hand->passphrase);
    CC_TRY(secret_read(w->passphrase, w->arguments->environment, &hand->passphrase));
    return passphrase_check(span_of(hand->passphrase.text, hand->passphrase.len), hand->mode);
}

static cc_err known_passphrase(struct operator_hand *hand)
{
    const struct operator_wanted *w = hand->wanted;
    char question[ASKED_SIZE];
    if (w->passphrase && strcmp(w->passphrase, "prompt") != 0)
        return secret_read(w->passphrase, w->arguments->environment, &hand->passphrase);
    (void)snprintf(question, sizeof question, "Passphrase of %s: ", w->name);
    return terminal_ask_secret(question, &hand->passphrase);
}

static cc_err take_passphrase(struct operator_hand *hand)
{
    if (hand->passphrase.len == 0)
        CC_TRY(hand->wanted->registration_token ? new_passphrase(hand) : known_passphrase(hand));
    hand->passphrase_span = span_of(hand->passphrase.text, hand->passphrase.len);
    return CC_OK;
}

/* --- devices ------------------------------------------------------------------------------------------------------------------ */

static cc_err open_yubikey(struct operator_hand *hand)
{
    if (!hand->yubikey.is_open)
        CC_TRY(hidraw_open(hand->wanted->device, &hand->yubikey));
    hidraw_port(&hand->yubikey, say_touch, &hand->port);
    return CC_OK;
}

static cc_err take_pin(struct operator_hand *hand)
{
    const struct operator_wanted *w = hand->wanted;
    CC_TRY(w->pin ? secret_read(w->pin, w->arguments->environment, &hand->pin)
                  : terminal_ask_secret("PIN of the security key: ", &hand->pin));
    hand->fido2.pin = hand->pin.text;
    return CC_OK;
}

static cc_err open_fido2(struct operator_hand *hand)
{
    if (hand->fido2.device)
        return CC_OK;
    CC_TRY(fido2_open(hand->wanted->device, &hand->fido2));
    hand->fido2.touch = say_touch;
    return fido2_wants_pin(&hand->fido2) ? take_pin(hand) : CC_OK;
}

CC_ERR operator_hand_begin(struct operator_hand *hand, uint32_t factor)
{
    switch ((enum seal_factor)factor) {
    case SEAL_FACTOR_PASSPHRASE:
        return take_passphrase(hand);
    case SEAL_FACTOR_YUBIKEY:
        return open_yubikey(hand);
    case SEAL_FACTOR_FIDO2:
        return open_fido2(hand);
    case SEAL_FACTOR_NONE:
        break;
    }
    return CC_FAIL(FACTOR, "this operator has not registered yet");
}

/* Of a new credential the cost is ours; one that rolls keeps it. */
void operator_hand_cost(const struct seal_challenge *c,
                        uint32_t *ret_memory_kib,
                        uint32_t *ret_passes)
{
    const bool is_new = c->purpose == SEAL_TO_REGISTER;
    *ret_memory_kib = is_new ? (uint32_t)FACTOR_MEMORY_MIN_KIB : c->memory_kib;
    *ret_passes = is_new ? (uint32_t)FACTOR_PASSES_MIN : c->passes;
}

static struct factor_question question_of(const struct seal_challenge *c, enum hand_which which)
{
    uint32_t memory_kib, passes;
    operator_hand_cost(c, &memory_kib, &passes);
    return (struct factor_question){
        .chamber_id = c->chamber_id,
        .name = c->name,
        .generation = c->unseal_generation,
        .random = which == HAND_NEXT ? c->next_challenge : c->challenge,
        .salt = which == HAND_NEXT ? c->next_salt : c->salt,
        .memory_kib = memory_kib,
        .passes = passes,
    };
}

CC_ERR operator_hand_enroll(struct operator_hand *hand, const struct seal_challenge *challenge)
{
    const struct factor_question question = question_of(challenge, HAND_NEXT);
    return fido2_enroll(&hand->fido2, &question);
}

static void choose(struct operator_hand *hand, uint32_t factor, struct factor *ret_factor)
{
    if (factor == SEAL_FACTOR_YUBIKEY)
        factor_yubikey(ret_factor, &hand->port);
    else if (factor == SEAL_FACTOR_FIDO2)
        factor_fido2(ret_factor, &hand->fido2);
    else
        factor_passphrase(ret_factor, &hand->passphrase_span);
}

CC_ERR operator_hand_derive(struct operator_hand *hand,
                            const struct seal_challenge *challenge,
                            uint32_t factor,
                            enum hand_which which,
                            struct secret32 *ret_credential)
{
    struct factor chosen;
    const struct factor_question question = question_of(challenge, which);
    if (factor == SEAL_FACTOR_FIDO2 && which == HAND_PRESENT) {
        hand->fido2.hint.len = challenge->hint_len;
        memcpy(hand->fido2.hint.bytes, challenge->hint, challenge->hint_len);
    }
    choose(hand, factor, &chosen);
    return factor_derive(&chosen, &question, ret_credential);
}
