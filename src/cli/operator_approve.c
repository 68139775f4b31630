/* operator: approve, break-glass. */
#include <stdio.h>

#include "base/io.h"
#include "base/num.h"

#include "cli/auth_proof.h"
#include "cli/operator_hand.h"
#include "cli/operator_image.h"
#include "cli/operator_proposal.h"
#include "cli/operator_send.h"
#include "codec/hex.h"
#include "seal/proposal.h"
#include "secret/ct.h"

#define BREAK_GLASS_NAME  "break-glass"
#define BREAK_GLASS_LABEL "containment-chamber-break-glass-v1"

enum {
    DIGITS = 2 * 32 + 1,
    TEXT_MAX = 64 << 10,
    TOKENS_MAX = 1 << 14,
    PROOF_SIZE = 96,
    BODY_SIZE = 96,
    HTTP_NO_TOKEN = 401,
    HTTP_DENIED = 403
};

/* What is approved, in words and as a digest. */
struct subject {
    struct buf words;
    uint8_t digest[32];
    bool names_chamber;
    uint8_t chamber_id[32];
};

static void subject_release(struct subject *subject)
{
    buf_release(&subject->words);
}

/* --- what it is ----------------------------------------------------------------------------------------------------------------- */

static cc_err
of_rotation(const struct operator_wanted *w, struct jval rotation, struct subject *subject)
{
    struct operator_proposal *proposal = NULL;
    CC_TRY(operator_proposal_read(rotation, &proposal));
    cc_err err =
        w->cancel ? buf_append_str(&subject->words, "CANCELS what follows: nothing will change\n")
                  : CC_OK;
    if (!err.code)
        err = operator_proposal_describe(proposal, &subject->words);
    memcpy(subject->digest, w->cancel ? proposal->cancel_digest : proposal->digest, 32);
    memcpy(subject->chamber_id, proposal->proposal.chamber_id, 32);
    subject->names_chamber = true;
    operator_proposal_free(proposal);
    return err;
}

/* What is taken away again is removed, not cancelled. */
static cc_err of_image(const struct operator_wanted *w, struct jval object, struct subject *subject)
{
    struct auto_proposed *proposal = NULL;
    if (w->cancel)
        return CC_FAIL(MALFORMED,
                       "an image is not cancelled: `operator propose auto-unseal --remove`");
    CC_TRY(operator_image_read(object, &proposal));
    cc_err err = operator_image_describe(proposal, &subject->words);
    proposal_auto_digest(&proposal->proposal, subject->digest);
    memcpy(subject->chamber_id, proposal->proposal.chamber_id, 32);
    subject->names_chamber = true;
    operator_image_free(proposal);
    return err;
}

/* What the status says of it. */
static bool find_image(struct jval root, struct jval *ret_proposal)
{
    struct jval images;
    return jval_member(root, "auto_unseal", &images) && jval_type(images) == JVAL_OBJECT &&
           jval_member(images, "proposed", ret_proposal);
}

/* The answer of `rotate ...` or `propose ...`, or of `status`. */
static cc_err of_answer(const struct operator_wanted *w, struct jval root, struct subject *subject)
{
    struct jval rotation, image;
    const bool has_image = find_image(root, &image);
    const bool has_rotation = jval_member(root, "rotation", &rotation);
    if (has_image && has_rotation)
        return CC_FAIL(MALFORMED, "a rotation and an image are proposed: say which by --proposal");
    if (has_image || operator_image_is(root))
        return of_image(w, has_image ? image : root, subject);
    return of_rotation(w, has_rotation ? rotation : root, subject);
}

static int of_file(const struct operator_wanted *w, struct subject *subject)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_MAX);
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    cc_err err = file_read(w->proposal, &text);
    if (!err.code)
        err = jdoc_parse(&doc, text.data, text.len);
    if (!err.code)
        err = of_answer(w, jdoc_root(&doc), subject);
    jdoc_release(&doc);
    return err.code ? operator_say(w->proposal, err) : EXIT_CODE_DONE;
}

static int of_status(const struct operator_wanted *w, struct subject *subject)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    const struct operator_request request = {&w->signers.each[0], "GET", "status", {0}};
    struct jval proposed;
    int code = operator_ask(&request, &reply);
    if (reply.status == HTTP_NO_TOKEN || reply.status == HTTP_DENIED)
        (void)fprintf(
            stderr,
            "Operators need no token for what they were sent: give --proposal FILE, which `operator rotate ... --out` or `operator propose ... --out` wrote.\n");
    if (code != EXIT_CODE_DONE)
        return code;
    if (!jval_member(jdoc_root(&reply.doc), "rotation", &proposed) &&
        !find_image(jdoc_root(&reply.doc), &proposed)) {
        (void)fprintf(stderr,
                      "containment-chamber operator: nothing is proposed: `operator rotate` "
                      "and `operator propose` do that\n");
        return EXIT_CODE_REFUSED;
    }
    cc_err err = of_answer(w, jdoc_root(&reply.doc), subject);
    return err.code ? operator_say("what is proposed", err) : EXIT_CODE_DONE;
}

/* Its digest takes the chamber, which the challenge names. */
static int of_management_key(const struct operator_wanted *w,
                             const struct seal_challenge *challenge,
                             struct subject *subject)
{
    uint8_t key[32];
    char digits[DIGITS] = "";
    if (!challenge)
        return operator_refuse(w, "is approved by operators: give --name", "--management-key");
    if (hex_decode(span_str(w->management_key), key, sizeof key).code)
        return operator_refuse(w, "is 64 hex digits", "--management-key");
    proposal_manager_digest(challenge->chamber_id, key, subject->digest);
    hex_encode(key, sizeof key, digits);
    cc_err err = buf_printf(
        &subject->words,
        "LETS IN the management key %s:\nwho holds it makes every policy and token\n", digits);
    return err.code ? operator_say("the management key", err) : EXIT_CODE_DONE;
}

static int find_subject(const struct operator_wanted *w,
                        const struct seal_challenge *challenge,
                        struct subject *subject)
{
    if (w->management_key)
        return of_management_key(w, challenge, subject);
    return w->proposal ? of_file(w, subject) : of_status(w, subject);
}

static int confirm(const struct operator_wanted *w, const struct subject *subject)
{
    uint8_t expected[32];
    char digits[DIGITS] = "";
    hex_encode(subject->digest, 32, digits);
    (void)fprintf(stderr, "%.*sapproved is     %s\n", (int)subject->words.len,
                  (const char *)subject->words.data, digits);
    if (!w->digest) {
        cc_err err = terminal_confirm(
            "Approve this (yes)? ", "there is no terminal to ask at: --digest HEX takes its place");
        return err.code ? operator_say("approve", err) : EXIT_CODE_DONE;
    }
    if (!hex_decode(span_str(w->digest), expected, sizeof expected).code &&
        span_equal(span_of(expected, sizeof expected), span_of(subject->digest, 32)))
        return EXIT_CODE_DONE;
    (void)fprintf(
        stderr,
        "containment-chamber operator: that is not what --digest says. Nothing was sent. `operator status` shows "
        "what is proposed now.\n");
    return EXIT_CODE_REFUSED;
}

/* --- by the owner, in the modes kms and local ------------------------------------------------------------------------------- */

static int approve_as_owner(const struct operator_wanted *w)
{
    CC_CLEANUP(subject_release) struct subject subject = {.words = buf_init(TEXT_MAX)};
    char digits[DIGITS] = "", proof[PROOF_SIZE], body[BODY_SIZE];
    int code = find_subject(w, NULL, &subject);
    if (code == EXIT_CODE_DONE)
        code = confirm(w, &subject);
    if (code != EXIT_CODE_DONE)
        return code;
    hex_encode(subject.digest, 32, digits);
    (void)snprintf(proof, sizeof proof, "approve %s\n", digits);
    (void)snprintf(body, sizeof body, "{\"digest\":\"%s\"}", digits);
    if (w->owner.source)
        return operator_post(w, &w->signers.each[0], "rotate/approve", span_str(body));
    cc_err err = auth_proof_write(w->data_dir, proof);
    if (err.code)
        return operator_say(w->data_dir, err);
    code = operator_post(w, &w->signers.each[0], "rotate/approve", span_str(body));
    auth_proof_remove(w->data_dir);
    return code;
}

/* --- by an operator -------------------------------------------------------------------------------------------------------------- */

static CC_SENSITIVE int send_approval(const struct operator_wanted *w,
                                      const struct seal_challenge *challenge,
                                      const struct subject *subject)
{
    CC_CLEANUP(operator_hand_release) struct operator_hand hand = {.wanted = w};
    CC_CLEANUP(envelope_wipep)
    struct seal_envelope envelope = {.credential_len = ENVELOPE_CREDENTIAL_SIZE};
    WIPED32 struct secret32 credential;
    const struct operator_sending sending = {.w = w,
                                             .signer = &w->signers.each[0],
                                             .target = "rotate/approve",
                                             .name = w->name,
                                             .challenge = challenge,
                                             .digest = subject->digest};
    cc_err err = operator_hand_begin(&hand, challenge->factor);
    if (!err.code)
        err = operator_hand_derive(&hand, challenge, challenge->factor, HAND_PRESENT, &credential);
    if (err.code)
        return operator_say(w->name, err);
    memcpy(envelope.credential, credential.bytes, sizeof credential.bytes);
    return operator_send(&sending, &envelope);
}

static int approve_as_operator(const struct operator_wanted *w)
{
    CC_CLEANUP(subject_release) struct subject subject = {.words = buf_init(TEXT_MAX)};
    struct pinned pinned;
    struct seal_challenge challenge;
    struct challenge_wanted wanted = {
        .pinned = &pinned, .purpose = SEAL_TO_APPROVE, .name = w->name};
    int code = operator_needs_person(w);
    if (code == EXIT_CODE_DONE)
        code = operator_pin(w, &pinned);
    if (code == EXIT_CODE_DONE)
        code = operator_challenge(&w->signers.each[0], &wanted, &challenge);
    if (code == EXIT_CODE_DONE)
        code = find_subject(w, &challenge, &subject);
    if (code == EXIT_CODE_DONE && subject.names_chamber &&
        !span_equal(span_of(subject.chamber_id, 32), span_of(challenge.chamber_id, 32)))
        code = operator_say("what is proposed", CC_FAIL(IDENTITY, "it is for another chamber"));
    if (code == EXIT_CODE_DONE)
        code = confirm(w, &subject);
    return code == EXIT_CODE_DONE ? send_approval(w, &challenge, &subject) : code;
}

int operator_approve(struct operator_wanted *w)
{
    int code = operator_needs_one_signer(w);
    if (code != EXIT_CODE_DONE)
        return code;
    if (w->cancel && w->management_key)
        return operator_refuse(w, "do not go together", "--cancel and --management-key");
    if (w->name)
        return w->owner.source ? operator_refuse(w, "do not go together", "--name and --owner-key")
                               : approve_as_operator(w);
    return w->data_dir || w->owner.source
               ? approve_as_owner(w)
               : operator_refuse(
                     w, "needs --name of the operator, or -c FILE or --owner-key of the owner",
                     NULL);
}

/* --- break-glass ------------------------------------------------------------------------------------------------------------------ */

/* LABEL:chamber id:generation:threshold:share */
static CC_SENSITIVE cc_err read_share(struct span text,
                                      const struct seal_challenge *challenge,
                                      struct seal_envelope *envelope)
{
    struct span parts[5];
    uint8_t chamber[32];
    size_t count = 0, from = 0;
    for (size_t i = 0; i <= text.len && count < ARRAY_LEN(parts); i++)
        if (i == text.len || text.data[i] == ':') {
            parts[count++] = span_of(text.data + from, i - from);
            from = i + 1;
        }
    if (count != ARRAY_LEN(parts) || from != text.len + 1 ||
        !span_is(parts[0], BREAK_GLASS_LABEL) ||
        hex_decode(parts[1], chamber, sizeof chamber).code ||
        parts[4].len != 2 * (size_t)SEAL_SHARE_SIZE)
        return CC_FAIL(MALFORMED, "not a break-glass share: decrypt it with age -d");
    if (!span_equal(span_of(chamber, sizeof chamber), span_of(challenge->chamber_id, 32)))
        return CC_FAIL(IDENTITY, "the share is another chamber's");
    envelope->credential_len = SEAL_SHARE_SIZE;
    return ct_hex_decode((const char *)parts[4].data, envelope->credential, SEAL_SHARE_SIZE);
}

static CC_SENSITIVE int send_share(const struct operator_wanted *w,
                                   const struct seal_challenge *challenge)
{
    CC_CLEANUP(secret_text_wipep) struct secret_text text;
    CC_CLEANUP(envelope_wipep) struct seal_envelope envelope = {.credential_len = 0};
    const struct operator_sending sending = {.w = w,
                                             .signer = &w->signers.each[0],
                                             .target = BREAK_GLASS_NAME,
                                             .name = BREAK_GLASS_NAME,
                                             .challenge = challenge};
    cc_err err = secret_read(w->share, w->arguments->environment, &text);
    if (!err.code)
        err = read_share(span_of(text.text, text.len), challenge, &envelope);
    return err.code ? operator_say("the share", err) : operator_send(&sending, &envelope);
}

int operator_break_glass(struct operator_wanted *w)
{
    struct pinned pinned;
    struct seal_challenge challenge;
    struct challenge_wanted wanted = {
        .pinned = &pinned, .purpose = SEAL_TO_BREAK_GLASS, .name = BREAK_GLASS_NAME};
    int code = operator_needs_one_signer(w);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!w->share || !w->identity)
        return operator_refuse(
            w, "needs --share env:NAME, file:PATH or fd:N, and --chamber-identity", NULL);
    code = operator_pin(w, &pinned);
    if (code == EXIT_CODE_DONE)
        code = operator_challenge(&w->signers.each[0], &wanted, &challenge);
    return code == EXIT_CODE_DONE ? send_share(w, &challenge) : code;
}
