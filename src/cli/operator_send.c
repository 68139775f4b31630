#include "cli/operator_send.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli/foreign_text.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "seal/record.h"

enum {
    BODY_MAX = 4096,
    DIGITS = 2 * 32 + 1
};

static const uint8_t no_digest[32];

int operator_refuse(const struct operator_wanted *w, const char *message, const char *about)
{
    return command_usage(w->arguments, message, about);
}

int operator_needs_person(const struct operator_wanted *w)
{
    if (!w->name || !seal_is_operator_name(span_str(w->name)))
        return operator_refuse(
            w, "needs --name of the operator: [a-z0-9][a-z0-9._-]*, shorter than 40", w->name);
    if (!w->identity)
        return operator_refuse(
            w, "needs --chamber-identity: a copy of the chamber's identity.pub, or its key in hex",
            NULL);
    return w->signers.count ? EXIT_CODE_DONE : operator_refuse(w, COMMAND_NEEDS_SIGNER, NULL);
}

int operator_needs_one_signer(const struct operator_wanted *w)
{
    return w->signers.count == 1 ? EXIT_CODE_DONE
                                 : operator_refuse(w, "asks one signer: --signer-url once", NULL);
}

int operator_pin(const struct operator_wanted *w, struct pinned *ret_pinned)
{
    cc_err err = pinned_read(w->identity, ret_pinned);
    return err.code ? operator_say(w->identity, err) : EXIT_CODE_DONE;
}

static cc_err
write_body(const char *name, const struct seal_box *box, const uint8_t *digest, struct buf *body)
{
    char digits[DIGITS] = "";
    CC_TRY(buf_append_str(body, "{"));
    if (name)
        CC_TRY(buf_printf(body, "\"name\":\"%s\",\"envelope\":\"", name));
    if (name) {
        CC_TRY(base64_append(body, box->bytes, box->len));
        CC_TRY(buf_append_str(body, digest ? "\"," : "\""));
    }
    if (digest) {
        hex_encode(digest, 32, digits);
        CC_TRY(buf_printf(body, "\"digest\":\"%s\"", digits));
    }
    return buf_append_str(body, "}");
}

/* On one line, and nothing in it that a terminal would take for a command: both are the same JSON. */
static cc_err keep_plain(struct span text, struct buf *answer)
{
    const size_t from = answer->len;
    CC_TRY(buf_append(answer, text.data, text.len));
    for (size_t i = from; i < answer->len; i++)
        for (size_t n = foreign_text_control(answer->data + i, answer->len - i); n; n--)
            answer->data[i + n - 1] = ' ';
    return CC_OK;
}

static int give_answer(const struct operator_reply *reply, struct buf *answer)
{
    if (!answer) {
        operator_print(stdout, buf_span(&reply->text));
        (void)printf("\n");
        return EXIT_CODE_DONE;
    }
    cc_err err = keep_plain(buf_span(&reply->text), answer);
    return err.code ? operator_say("the signer's answer", err) : EXIT_CODE_DONE;
}

/* "unsealed", "kms_unsealed (1 of 2)" */
static void print_step(const struct operator_wanted *w,
                       const struct signer *signer,
                       const struct operator_reply *reply)
{
    const struct jval root = jdoc_root(&reply->doc);
    if (w->signers.count > 1)
        (void)printf("%s: ", signer->url);
    operator_print(stdout, operator_text(root, "state"));
    (void)printf(", %" PRIu64 " of %" PRIu64 "\n", operator_number(root, "have"),
                 operator_number(root, "needed"));
}

/* A stale file: the count is of that digest, and says nothing of what is pending. */
static int say_other(void)
{
    (void)fprintf(
        stderr,
        "containment-chamber operator: this is not what is proposed now: ask for the proposal of today (`operator status` shows it)\n");
    return EXIT_CODE_REFUSED;
}

static int post(const struct operator_wanted *w,
                const struct signer *signer,
                const char *target,
                struct span body,
                struct buf *answer)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    const struct operator_request request = {signer, "POST", target, body};
    int code = operator_ask(&request, &reply);
    if (code != EXIT_CODE_DONE)
        return code;
    const bool is_other =
        !w->management_key && span_is(operator_text(jdoc_root(&reply.doc), "approves"), "other");
    if (w->json)
        code = give_answer(&reply, answer);
    else if (!is_other)
        print_step(w, signer, &reply);
    return is_other ? say_other() : code;
}

int operator_post(const struct operator_wanted *w,
                  const struct signer *signer,
                  const char *target,
                  struct span body)
{
    return post(w, signer, target, body, NULL);
}

int operator_send(const struct operator_sending *s, struct seal_envelope *envelope)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    struct seal_box box;
    cc_err err = envelope_seal(envelope, s->challenge, s->digest ? s->digest : no_digest, &box);
    if (!err.code)
        err = write_body(s->name, &box, s->digest, &body);
    if (err.code)
        return operator_say("the envelope", err);
    return post(s->w, s->signer, s->target, buf_span(&body), s->answer);
}
