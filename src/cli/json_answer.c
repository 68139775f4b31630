#include "cli/json_answer.h"

#include "secret/wipe.h"

enum {
    ANSWER_MAX = 1 << 24,
    TOKENS_MAX = 1 << 20
};

static cc_err keep(void *context, const void *data, size_t len)
{
    return buf_append(context, data, len);
}

CC_ERR json_ask(const struct signer *signer,
                const char *method,
                const char *target,
                struct span body,
                struct json_answer *ret_answer)
{
    static struct http_answer http;
    *ret_answer = (struct json_answer){.text = buf_init(ANSWER_MAX), .doc = jdoc_init(TOKENS_MAX)};
    http = (struct http_answer){.sink = keep, .sink_context = &ret_answer->text};
    cc_err err = signer_ask(signer, method, target, body, &http);
    ret_answer->status = http.status;
    wipe(&http, sizeof http);
    if (err.code || ret_answer->status != 200)
        return err;
    return jdoc_parse(&ret_answer->doc, ret_answer->text.data, ret_answer->text.len);
}

void json_answer_release(struct json_answer *answer)
{
    jdoc_release(&answer->doc);
    buf_release(&answer->text);
}

bool json_member_text(struct jval object, const char *name, struct span *ret_text)
{
    struct jval value;
    return jval_member(object, name, &value) && !jval_text(value, ret_text).code;
}
