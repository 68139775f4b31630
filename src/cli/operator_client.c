#include "cli/operator_client.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "app/supervisor.h"
#include "cli/foreign_text.h"
#include "seal/machine.h"

enum {
    ANSWER_MAX = 1 << 20,
    TOKENS_MAX = 1 << 14,
    TARGET_SIZE = 256,
    SENTENCE_MAX = 128,
    TRIES = 5, /* of a request that is signed, and whose second is taken */
    HTTP_NO_TOKEN = 401
};

int operator_say(const char *what, cc_err err)
{
    (void)fprintf(stderr, "containment-chamber operator: %s: %s%s%s\n", what, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    const enum error_class class = error_class(err);
    return class == CLASS_INPUT || class == CLASS_AUTH ? EXIT_CODE_REFUSED : EXIT_CODE_FAILED;
}

void operator_print(void *stream, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        const size_t control = foreign_text_control(text.data + i, text.len - i);
        (void)fputc(control && text.data[i] != '\n' ? '?' : text.data[i], stream);
        i += control == 2;
    }
}

struct span operator_text(struct jval object, const char *name)
{
    struct jval value;
    struct span text;
    if (!jval_member(object, name, &value) || jval_text(value, &text).code)
        return span_str("");
    return text;
}

uint64_t operator_number(struct jval object, const char *name)
{
    struct jval value;
    uint64_t number = 0;
    return jval_member(object, name, &value) && !jval_u64(value, &number).code ? number : 0;
}

void operator_reply_release(struct operator_reply *reply)
{
    jdoc_release(&reply->doc);
    buf_release(&reply->copy);
    buf_release(&reply->text);
    *reply = (struct operator_reply){0};
}

static cc_err keep(void *context, const void *data, size_t len)
{
    return buf_append(context, data, len);
}

static int say_refusal(const struct signer *signer, const struct operator_reply *reply, bool parsed)
{
    const struct span text = parsed ? operator_text(jdoc_root(&reply->doc), "error") : span_str("");
    (void)fprintf(stderr, "containment-chamber operator: %s answers %d%s", signer->url,
                  reply->status, text.len ? ": " : "");
    operator_print(stderr, text);
    (void)fprintf(stderr, "\n");
    signer_hint(signer, reply->status);
    return reply->status >= 400 && reply->status < 500 ? EXIT_CODE_REFUSED : EXIT_CODE_FAILED;
}

static cc_err send(const struct operator_request *request, struct operator_reply *reply)
{
    char target[TARGET_SIZE];
    CC_CLEANUP(cc_freep) struct http_answer *answer = cc_alloc(sizeof *answer);
    const int n = snprintf(target, sizeof target, "/api/v1/chamber/%s", request->target);
    if (!answer)
        return CC_FAIL(NO_MEMORY, NULL);
    if (n < 0 || (size_t)n >= sizeof target)
        return CC_FAIL(LIMIT, "a name that long");
    answer->sink = keep;
    answer->sink_context = &reply->text;
    cc_err err = signer_ask(request->signer, request->method, target, request->body, answer);
    reply->status = answer->status;
    return err;
}

/* The second is taken: a key asks for one thing a second. */
static bool comes_too_soon(const struct operator_reply *reply)
{
    return reply->status == HTTP_NO_TOKEN &&
           span_is(operator_text(jdoc_root(&reply->doc), "rule"), "REPLAYED");
}

static cc_err parse(struct operator_reply *reply)
{
    if (reply->text.len == 0)
        return CC_FAIL(PROTOCOL, "an empty answer");
    CC_TRY(buf_append(&reply->copy, reply->text.data, reply->text.len));
    return jdoc_parse(&reply->doc, reply->copy.data, reply->copy.len);
}

static int
ask_once(const struct operator_request *request, struct operator_reply *ret_reply, bool *ret_parsed)
{
    *ret_reply = (struct operator_reply){
        .text = buf_init(ANSWER_MAX), .copy = buf_init(ANSWER_MAX), .doc = jdoc_init(TOKENS_MAX)};
    cc_err err = send(request, ret_reply);
    if (err.code)
        return operator_say(request->signer->url, err);
    err = parse(ret_reply);
    *ret_parsed = !err.code;
    if (ret_reply->status < 200 || ret_reply->status > 299)
        return EXIT_CODE_DONE; /* the caller says it */
    return err.code ? operator_say("the signer's answer", err) : EXIT_CODE_DONE;
}

static int
ask(const struct operator_request *request, struct operator_reply *ret_reply, bool *ret_parsed)
{
    const struct timespec second = {.tv_sec = 1};
    int code = ask_once(request, ret_reply, ret_parsed);
    for (int i = 1; i < TRIES && code == EXIT_CODE_DONE && *ret_parsed && comes_too_soon(ret_reply);
         i++) {
        (void)nanosleep(&second, NULL);
        operator_reply_release(ret_reply);
        code = ask_once(request, ret_reply, ret_parsed);
    }
    return code;
}

int operator_ask(const struct operator_request *request, struct operator_reply *ret_reply)
{
    bool parsed = false;
    const int code = ask(request, ret_reply, &parsed);
    const bool refused = ret_reply->status < 200 || ret_reply->status > 299;
    return code == EXIT_CODE_DONE && refused ? say_refusal(request->signer, ret_reply, parsed)
                                             : code;
}

/* "the state of the chamber does not allow this: unsealed" */
static bool is_open_already(const struct operator_reply *reply, uint32_t purpose)
{
    static const enum seal_state open[] = {SEAL_STATE_UNSEALED, SEAL_STATE_AWAITING_ROTATION};
    char text[SENTENCE_MAX];
    if (reply->status != 409 || purpose != SEAL_TO_UNSEAL)
        return false;
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        (void)snprintf(text, sizeof text, "%s: %s", error_text((cc_err){ERROR_SEAL_STATE}),
                       seal_state_name(open[i]));
        if (span_is(operator_text(jdoc_root(&reply->doc), "error"), text))
            return true;
    }
    return false;
}

int operator_challenge(const struct signer *signer,
                       struct challenge_wanted *wanted,
                       struct seal_challenge *ret_challenge)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    char target[TARGET_SIZE];
    (void)snprintf(target, sizeof target, "operators/%s/challenge?purpose=%s", wanted->name,
                   purpose_name(wanted->purpose));
    const struct operator_request request = {signer, "GET", target, {0}};
    bool parsed = false;
    int code = ask(&request, &reply, &parsed);
    if (code != EXIT_CODE_DONE)
        return code;
    if (parsed && is_open_already(&reply, wanted->purpose))
        return OPERATOR_IS_OPEN;
    if (reply.status < 200 || reply.status > 299)
        return say_refusal(signer, &reply, parsed);
    cc_err err = challenge_parse(jdoc_root(&reply.doc), ret_challenge);
    wanted->now = clock_wall_ms();
    if (!err.code)
        err = challenge_accept(ret_challenge, wanted);
    if (!err.code)
        return EXIT_CODE_DONE;
    (void)operator_say(signer->url, err);
    (void)fprintf(stderr, "Nothing was sent there.\n");
    return EXIT_CODE_REFUSED;
}
