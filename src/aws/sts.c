#include "aws/sts.h"

#include <stdio.h>
#include <time.h>

#include "aws/answer.h"
#include "aws/ask.h"
#include "aws/form.h"

enum {
    BODY_MAX = 3 * 32768, /* every byte of a token may be encoded */
    TIMEOUT_MS = 5000
};

#define VERSION "2011-06-15"

static cc_err
make_body(const char *action, const struct aws_role *role, struct span token, struct buf *body)
{
    char name[48];
    (void)snprintf(name, sizeof name, "containment-chamber-%lld", (long long)time(NULL));
    CC_TRY(aws_form_add(body, "Action", span_str(action)));
    CC_TRY(aws_form_add(body, "Version", span_str(VERSION)));
    CC_TRY(aws_form_add(body, "RoleArn", role->arn));
    CC_TRY(aws_form_add(body, "RoleSessionName",
                        role->session_name.len ? role->session_name : span_str(name)));
    CC_TRY(aws_form_add(body, "ExternalId", role->external_id));
    CC_TRY(aws_form_add(body, "DurationSeconds", role->duration));
    return aws_form_add(body, "WebIdentityToken", token);
}

static struct aws_http
make_request(const struct aws_sts *sts, struct span body, const struct aws_credentials *from)
{
    return (struct aws_http){
        .method = "POST",
        .url = sts->url,
        .headers = {"Content-Type: application/x-www-form-urlencoded; charset=utf-8"},
        .body = body,
        .credentials = from,
        .region = sts->region,
        .service = "sts",
        .timeout_ms = TIMEOUT_MS};
}

static cc_err ask(const struct aws_sts *sts,
                  struct span body,
                  const struct aws_credentials *from,
                  struct aws_credentials *ret_credentials)
{
    struct aws_http http = make_request(sts, body, from);
    cc_err err = aws_ask(sts->pool, &http);
    if (!err.code)
        err = aws_answer_xml(buf_span(&http.answer), ret_credentials);
    aws_http_release(&http);
    return error_is(err, ERROR_AWS_REFUSED) ? CC_FAIL(AWS_CREDENTIALS, "STS refuses the role")
                                            : err;
}

CC_ERR aws_sts_assume(const struct aws_sts *sts,
                      const struct aws_role *role,
                      const struct aws_credentials *from,
                      struct aws_credentials *ret_credentials)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    CC_TRY(make_body("AssumeRole", role, span_of(NULL, 0), &body));
    return ask(sts, buf_span(&body), from, ret_credentials);
}

CC_ERR aws_sts_assume_with_token(const struct aws_sts *sts,
                                 const struct aws_role *role,
                                 struct span token,
                                 struct aws_credentials *ret_credentials)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    CC_TRY(make_body("AssumeRoleWithWebIdentity", role, token, &body));
    return ask(sts, buf_span(&body), NULL, ret_credentials);
}

CC_ERR aws_sts_account(const struct aws_sts *sts,
                       const struct aws_credentials *of,
                       char ret_account[static AWS_ACCOUNT_SIZE])
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    CC_TRY(aws_form_add(&body, "Action", span_str("GetCallerIdentity")));
    CC_TRY(aws_form_add(&body, "Version", span_str(VERSION)));
    struct aws_http http = make_request(sts, buf_span(&body), of);
    cc_err err = aws_ask(sts->pool, &http);
    if (!err.code)
        err = aws_answer_account(buf_span(&http.answer), ret_account);
    aws_http_release(&http);
    return err;
}
