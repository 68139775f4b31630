#include "cli/keys_client.h"

#include "base/alloc.h"

#include "app/supervisor.h"
#include "cli/foreign_text.h"

enum {
    ANSWER_MAX = 512 << 20, /* a delete's slashing protection */
    TOKENS_MAX = 1 << 22
};

int keys_say(const char *what, cc_err err)
{
    (void)fprintf(stderr, "containment-chamber keys: %s: %s%s%s\n", what, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    return error_class(err) == CLASS_INPUT ? EXIT_CODE_REFUSED : EXIT_CODE_FAILED;
}

static cc_err keep(void *context, const void *data, size_t len)
{
    return buf_append(context, data, len);
}

void keys_reply_release(struct keys_reply *reply)
{
    jdoc_release(&reply->doc);
    buf_release(&reply->text);
    *reply = (struct keys_reply){0};
}

struct span keys_text(struct jval object, const char *name)
{
    struct jval value;
    struct span text;
    if (!jval_member(object, name, &value) || jval_text(value, &text).code)
        return span_str("");
    return text;
}

bool keys_flag(struct jval object, const char *name)
{
    struct jval value;
    bool flag = false;
    return jval_member(object, name, &value) && !jval_bool(value, &flag).code && flag;
}

struct jval_iter keys_data(const struct keys_reply *reply)
{
    struct jval list;
    if (!jval_member(jdoc_root(&reply->doc), "data", &list) || jval_type(list) != JVAL_ARRAY)
        return (struct jval_iter){0};
    return jval_iterate(list);
}

static int say_refusal(const struct signer *signer, struct keys_reply *reply)
{
    (void)fprintf(stderr, "containment-chamber keys: the signer answers %d", reply->status);
    if (reply->parsed) {
        struct jval root = jdoc_root(&reply->doc), faults, fault;
        struct span text = keys_text(root, "error");
        (void)fputs(": ", stderr);
        foreign_text_print(stderr, text);
        if (jval_member(root, "faults", &faults) && jval_type(faults) == JVAL_ARRAY) {
            struct jval_iter at = jval_iterate(faults);
            while (jval_next(&at, &fault))
                if (!jval_text(fault, &text).code) {
                    (void)fputc('\n', stderr);
                    foreign_text_print(stderr, text);
                }
        }
    }
    (void)fprintf(stderr, "\n");
    int status = reply->status;
    signer_hint(signer, status);
    return status >= 400 && status < 500 ? EXIT_CODE_REFUSED : EXIT_CODE_FAILED;
}

int keys_ask(const struct keys_request *request, struct keys_reply *ret_reply)
{
    struct http_answer *answer = cc_alloc(sizeof *answer);
    *ret_reply = (struct keys_reply){.text = buf_init(ANSWER_MAX), .doc = jdoc_init(TOKENS_MAX)};
    if (!answer)
        return keys_say(request->signer->url, CC_FAIL(NO_MEMORY, NULL));
    answer->sink = keep;
    answer->sink_context = &ret_reply->text;
    cc_err err =
        signer_ask(request->signer, request->method, request->target, request->body, answer);
    ret_reply->status = answer->status;
    cc_free(answer);
    if (err.code)
        return keys_say(request->signer->url, err);
    if (ret_reply->status == 200 && request->print)
        (void)printf("%s%.*s\n", request->lead ? request->lead : "", (int)ret_reply->text.len,
                     (const char *)ret_reply->text.data);
    err = ret_reply->text.len
              ? jdoc_parse(&ret_reply->doc, ret_reply->text.data, ret_reply->text.len)
              : CC_FAIL(PROTOCOL, "an empty answer");
    ret_reply->parsed = !err.code;
    if (ret_reply->status != 200)
        return say_refusal(request->signer, ret_reply);
    return err.code ? keys_say("the signer's answer", err) : EXIT_CODE_DONE;
}
