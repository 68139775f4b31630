#include "cli/auth_client.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"

#include "app/supervisor.h"
#include "cli/signed_headers.h"
#include "codec/json.h"
#include "secret/wipe.h"

enum {
    TRIES = 5, /* of a request whose second is taken */
    TOKENS_MAX = 64
};

CC_SENSITIVE CC_ERR auth_client_init(struct auth_client *client, struct signer *signer)
{
    static const char prefix[] = "cc_management_";
    *client = (struct auth_client){.signer = signer};
    if (strncmp(signer->token, prefix, strlen(prefix)) != 0)
        return CC_OK;
    cc_err err = manager_text_parse(span_str(signer->token), client->seed);
    wipe(signer->token, sizeof signer->token);
    if (!err.code)
        signer->signs_with = client->seed;
    return err;
}

void auth_client_release(struct auth_client *client)
{
    wipe(client->seed, sizeof client->seed);
}

static cc_err keep(void *context, const void *data, size_t len)
{
    return buf_append(context, data, len);
}

static cc_err ask_once(const struct auth_client *client,
                       const struct signed_request *request,
                       struct buf *answer_text,
                       int *ret_status)
{
    struct http_answer *answer = cc_alloc(sizeof *answer);
    if (!answer)
        return CC_FAIL(NO_MEMORY, NULL);
    answer->sink = keep;
    answer->sink_context = answer_text;
    cc_err err = signer_ask(client->signer, request->method, request->path, request->body, answer);
    *ret_status = answer->status;
    wipe(answer, sizeof *answer);
    cc_free(answer);
    return err;
}

/* The members of a refusal; the text is changed. */
static void read_refusal(struct buf *text, char rule[static 32], char error[static 512])
{
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    struct jval value;
    struct span s;
    rule[0] = error[0] = 0;
    if (text->len && !jdoc_parse(&doc, text->data, text->len).code) {
        if (jval_member(jdoc_root(&doc), "rule", &value) && !jval_text(value, &s).code)
            (void)snprintf(rule, 32, "%.*s", (int)s.len, (const char *)s.data);
        if (jval_member(jdoc_root(&doc), "error", &value) && !jval_text(value, &s).code)
            (void)snprintf(error, 512, "%.*s", (int)s.len, (const char *)s.data);
    }
    jdoc_release(&doc);
    /* It goes to a terminal. */
    for (char *c = error; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
}

static int say_refusal(const struct signer *signer, int status, const char *error)
{
    (void)fprintf(stderr, "containment-chamber auth: the signer answers %d%s%s\n", status,
                  error[0] ? ": " : "", error);
    signer_hint(signer, status);
    return status >= 500 ? EXIT_CODE_FAILED : EXIT_CODE_REFUSED;
}

static void wait_a_second(void)
{
    const struct timespec second = {.tv_sec = 1};
    (void)nanosleep(&second, NULL);
}

int auth_client_ask(const struct auth_client *client,
                    const char *method,
                    const char *path,
                    struct span body,
                    struct buf *ret_answer)
{
    char target[160], rule[32], error[512];
    int status = 0;
    (void)snprintf(target, sizeof target, "/api/v1/chamber/auth/%s", path);
    const struct signed_request request = {method, target, body};
    for (int i = 0; i < TRIES; i++) {
        ret_answer->len = 0;
        cc_err err = ask_once(client, &request, ret_answer, &status);
        if (err.code) {
            (void)fprintf(stderr, "containment-chamber auth: %s: %s\n", client->signer->url,
                          error_detail()[0] ? error_detail() : error_text(err));
            return EXIT_CODE_FAILED;
        }
        if (status >= 200 && status < 300)
            return EXIT_CODE_DONE;
        read_refusal(ret_answer, rule, error);
        if (strcmp(rule, "REPLAYED") != 0)
            break;
        wait_a_second();
    }
    return say_refusal(client->signer, status, error);
}
