/* operator: unseal, rehearse, register. */
#include <stdio.h>

#include "base/alloc.h"

#include "cli/json_object.h"
#include "cli/operator_hand.h"
#include "cli/operator_send.h"
#include "codec/hex.h"
#include "seal/record.h"
#include "secret/ct.h"

enum {
    DIGITS = 2 * 32 + 1,
    ANSWER_MAX = 1 << 16
};

/* --- unseal, rehearse -------------------------------------------------------------------------------------------------------- */

/* One for each signer. */
struct fan {
    size_t count;
    struct {
        int code;
        struct seal_challenge challenge;
    } each[SIGNERS_MAX];
};

/* What is wrong with one of them doesn't keep the others waiting. */
static void
ask_all(const struct operator_wanted *w, struct challenge_wanted *wanted, struct fan *fan)
{
    fan->count = w->signers.count;
    for (size_t i = 0; i < fan->count; i++)
        fan->each[i].code =
            operator_challenge(&w->signers.each[i], wanted, &fan->each[i].challenge);
}

/* A YubiKey's challenge rolls with the last of them: until then all of them know the same one. */
static bool is_last(const struct fan *fan, size_t i)
{
    for (size_t k = i + 1; k < fan->count; k++)
        if (fan->each[k].code == EXIT_CODE_DONE)
            return false;
    return true;
}

static CC_SENSITIVE cc_err fill(struct operator_hand *hand,
                                const struct seal_challenge *challenge,
                                bool rolls,
                                struct seal_envelope *envelope)
{
    WIPED32 struct secret32 credential;
    CC_TRY(operator_hand_begin(hand, challenge->factor));
    CC_TRY(operator_hand_derive(hand, challenge, challenge->factor, HAND_PRESENT, &credential));
    envelope->credential_len = ENVELOPE_CREDENTIAL_SIZE;
    memcpy(envelope->credential, credential.bytes, sizeof credential.bytes);
    if (!rolls || challenge->factor != SEAL_FACTOR_YUBIKEY)
        return CC_OK;
    CC_TRY(operator_hand_derive(hand, challenge, challenge->factor, HAND_NEXT, &credential));
    envelope->next.factor = challenge->factor;
    operator_hand_cost(challenge, &envelope->next.memory_kib, &envelope->next.passes);
    memcpy(envelope->next.credential, credential.bytes, sizeof credential.bytes);
    return CC_OK;
}

static CC_SENSITIVE int
give_one(struct operator_hand *hand, const struct operator_sending *sending, bool rolls)
{
    CC_CLEANUP(envelope_wipep) struct seal_envelope envelope = {.credential_len = 0};
    cc_err err = fill(hand, sending->challenge, rolls, &envelope);
    return err.code ? operator_say(sending->name, err) : operator_send(sending, &envelope);
}

/* Who has come after enough others, or again, has done what was to be done. */
static int
say_open(const struct operator_wanted *w, const struct signer *signer, struct buf *answer)
{
    if (!w->json) {
        (void)printf("%s: unsealed already\n", signer->url);
        return EXIT_CODE_DONE;
    }
    cc_err err = buf_append_str(answer, "{\"state\":\"unsealed\",\"already\":true}");
    return err.code ? operator_say("the answer", err) : EXIT_CODE_DONE;
}

static int give_to(struct operator_hand *hand,
                   const struct fan *fan,
                   size_t i,
                   uint32_t purpose,
                   struct buf *answer)
{
    const struct operator_wanted *w = hand->wanted;
    const struct operator_sending sending = {.w = w,
                                             .signer = &w->signers.each[i],
                                             .target = purpose_name(purpose),
                                             .name = w->name,
                                             .challenge = &fan->each[i].challenge,
                                             .answer = answer};
    if (fan->each[i].code == OPERATOR_IS_OPEN)
        return say_open(w, sending.signer, answer);
    if (fan->each[i].code != EXIT_CODE_DONE)
        return fan->each[i].code;
    return give_one(hand, &sending, purpose == SEAL_TO_UNSEAL && is_last(fan, i));
}

/* Of a signer that did not answer, or refused, standard error says why. */
static void put_outcome(struct json_object *object,
                        const struct signer *signer,
                        int code,
                        const struct buf *answer)
{
    json_object_open(object, NULL, '{');
    json_object_text(object, "signer", signer->url);
    json_object_flag(object, "done", code == EXIT_CODE_DONE);
    json_object_json(object, "answer", buf_span(answer));
    json_object_close(object, '}');
}

static int give_all(struct operator_hand *hand, const struct fan *fan, uint32_t purpose)
{
    const struct operator_wanted *w = hand->wanted;
    struct json_object object = json_object_begin();
    int worst = EXIT_CODE_DONE;
    json_object_open(&object, "signers", '[');
    for (size_t i = 0; i < fan->count; i++) {
        CC_CLEANUP(buf_release) struct buf answer = buf_init(ANSWER_MAX);
        const int code = give_to(hand, fan, i, purpose, &answer);
        put_outcome(&object, &w->signers.each[i], code, &answer);
        if (code != EXIT_CODE_DONE)
            worst = code;
    }
    json_object_close(&object, ']');
    if (w->json)
        return json_object_print(&object, "operator", worst);
    json_object_release(&object);
    return worst;
}

static int give_credential(struct operator_wanted *w, uint32_t purpose)
{
    CC_CLEANUP(operator_hand_release) struct operator_hand hand = {.wanted = w};
    CC_CLEANUP(cc_freep) struct fan *fan = cc_alloc(sizeof *fan);
    struct pinned pinned;
    struct challenge_wanted wanted = {.pinned = &pinned, .purpose = purpose, .name = w->name};
    int code = operator_needs_person(w);
    if (code == EXIT_CODE_DONE)
        code = operator_pin(w, &pinned);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!fan)
        return operator_say("the challenges", CC_FAIL(NO_MEMORY, NULL));
    ask_all(w, &wanted, fan);
    return give_all(&hand, fan, purpose);
}

int operator_unseal(struct operator_wanted *w)
{
    return give_credential(w, SEAL_TO_UNSEAL);
}

int operator_rehearse(struct operator_wanted *w)
{
    return give_credential(w, SEAL_TO_REHEARSE);
}

/* --- register ----------------------------------------------------------------------------------------------------------------- */

static int confirm_fingerprint(const struct operator_wanted *w, const struct seal_challenge *c)
{
    char digits[DIGITS] = "";
    uint8_t expected[32];
    hex_encode(c->fingerprint, sizeof c->fingerprint, digits);
    (void)fprintf(stderr, "The fingerprint of the set is %s\n", digits);
    if (!w->fingerprint) {
        cc_err err =
            terminal_confirm("Do all operators see the same one (yes)? ",
                             "there is no terminal to ask at: --fingerprint HEX takes its place");
        return err.code ? operator_say("the fingerprint", err) : EXIT_CODE_DONE;
    }
    if (!hex_decode(span_str(w->fingerprint), expected, sizeof expected).code &&
        span_equal(span_of(expected, sizeof expected), span_of(c->fingerprint, 32)))
        return EXIT_CODE_DONE;
    (void)fprintf(
        stderr,
        "containment-chamber operator: that is not the one of --fingerprint: somebody was shown another set. "
        "Nothing was sent.\n");
    return EXIT_CODE_REFUSED;
}

static CC_SENSITIVE cc_err take_token(const struct operator_wanted *w,
                                      struct seal_envelope *envelope)
{
    CC_CLEANUP(secret_text_wipep) struct secret_text text;
    CC_TRY(secret_read(w->registration_token, w->arguments->environment, &text));
    if (text.len != 2 * ENVELOPE_CREDENTIAL_SIZE)
        return CC_FAIL(MALFORMED, "a registration token is 64 hex digits: decrypt it with age -d");
    envelope->credential_len = ENVELOPE_CREDENTIAL_SIZE;
    return ct_hex_decode(text.text, envelope->credential, ENVELOPE_CREDENTIAL_SIZE);
}

static CC_SENSITIVE cc_err fill_registration(struct operator_hand *hand,
                                             const struct seal_challenge *challenge,
                                             uint32_t factor,
                                             struct seal_envelope *envelope)
{
    WIPED32 struct secret32 credential;
    CC_TRY(take_token(hand->wanted, envelope));
    CC_TRY(operator_hand_begin(hand, factor));
    if (factor == SEAL_FACTOR_FIDO2)
        CC_TRY(operator_hand_enroll(hand, challenge));
    CC_TRY(operator_hand_derive(hand, challenge, factor, HAND_NEXT, &credential));
    envelope->next.factor = factor;
    operator_hand_cost(challenge, &envelope->next.memory_kib, &envelope->next.passes);
    memcpy(envelope->next.credential, credential.bytes, sizeof credential.bytes);
    envelope->next.hint_len = hand->fido2.hint.len;
    memcpy(envelope->next.hint, hand->fido2.hint.bytes, hand->fido2.hint.len);
    return CC_OK;
}

static CC_SENSITIVE int send_registration(struct operator_wanted *w,
                                          uint32_t factor,
                                          const struct seal_challenge *challenge)
{
    CC_CLEANUP(operator_hand_release)
    struct operator_hand hand = {.wanted = w, .mode = challenge->mode};
    CC_CLEANUP(envelope_wipep) struct seal_envelope envelope = {.credential_len = 0};
    const struct operator_sending sending = {.w = w,
                                             .signer = &w->signers.each[0],
                                             .target = "register",
                                             .name = w->name,
                                             .challenge = challenge,
                                             .digest = challenge->fingerprint};
    cc_err err = fill_registration(&hand, challenge, factor, &envelope);
    return err.code ? operator_say(w->name, err) : operator_send(&sending, &envelope);
}

static int check_registration(const struct operator_wanted *w, uint32_t *ret_factor)
{
    int code = operator_needs_person(w);
    if (code == EXIT_CODE_DONE)
        code = operator_needs_one_signer(w);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!w->registration_token)
        return operator_refuse(w, "needs --registration-token env:NAME, file:PATH or fd:N", NULL);
    *ret_factor = SEAL_FACTOR_PASSPHRASE;
    if (w->factor && (!seal_factor_of(span_str(w->factor), ret_factor) || !*ret_factor))
        return operator_refuse(w, "--factor is passphrase, yubikey or fido2", w->factor);
    return EXIT_CODE_DONE;
}

int operator_register(struct operator_wanted *w)
{
    struct pinned pinned;
    struct seal_challenge challenge;
    struct challenge_wanted wanted = {
        .pinned = &pinned, .purpose = SEAL_TO_REGISTER, .name = w->name};
    uint32_t factor = SEAL_FACTOR_NONE;
    int code = check_registration(w, &factor);
    if (code == EXIT_CODE_DONE)
        code = operator_pin(w, &pinned);
    if (code == EXIT_CODE_DONE)
        code = operator_challenge(&w->signers.each[0], &wanted, &challenge);
    if (code == EXIT_CODE_DONE)
        code = confirm_fingerprint(w, &challenge);
    return code == EXIT_CODE_DONE ? send_registration(w, factor, &challenge) : code;
}
