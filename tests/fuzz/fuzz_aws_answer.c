/* Any bytes as what AWS and its sources of credentials answer; the first byte chooses who reads. */
#include <stdio.h>

#include "aws/answer.h"
#include "aws/dynamodb.h"
#include "aws/environment.h"
#include "aws/resolve.h"
#include "aws/time.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t room)
{
    size_t len = strnlen(text, room);
    cc_assert(len < room);
    for (size_t i = 0; i < len; i++)
        cc_assert(text[i] > ' ' && text[i] <= '~');
}

static void check(cc_err err, const struct aws_credentials *credentials)
{
    if (err.code) {
        cc_assert(error_is(err, ERROR_AWS_CREDENTIALS));
        return;
    }
    cc_assert(credentials->key_id[0] && credentials->secret_key[0]);
    check_text(credentials->key_id, sizeof credentials->key_id);
    check_text(credentials->secret_key, sizeof credentials->secret_key);
    check_text(credentials->session_token, sizeof credentials->session_token);
}

static void read_json(struct span text, enum aws_answer_form form)
{
    static struct aws_credentials credentials;
    CC_CLEANUP(buf_release) struct buf copy = buf_init(1 << 20);
    cc_assert(!buf_append(&copy, text.data, text.len).code);
    check(aws_answer_json(&copy, form, &credentials), &credentials);
}

static void read_sso(struct span text)
{
    char token[64];
    int64_t expires = 0;
    CC_CLEANUP(buf_release) struct buf copy = buf_init(1 << 20);
    cc_assert(!buf_append(&copy, text.data, text.len).code);
    if (!aws_answer_sso_token(&copy, token, sizeof token, &expires).code)
        check_text(token, sizeof token);
}

static void read_account(struct span text)
{
    char account[AWS_ACCOUNT_SIZE];
    if (!aws_answer_account(text, account).code)
        cc_assert(strspn(account, "0123456789") == AWS_ACCOUNT_DIGITS &&
                  !account[AWS_ACCOUNT_DIGITS]);
}

static void read_fault(struct span text)
{
    struct aws_call call = {.answer = buf_init(1 << 20)};
    char header[64];
    (void)snprintf(header, sizeof header, "%.*s", (int)(text.len < 40 ? text.len : 0),
                   text.len ? (const char *)text.data : "");
    aws_fault_read(400, header, text, &call.fault);
    cc_assert(call.fault.class != AWS_FAULT_NONE && aws_fault_error(&call.fault).code);
    check_text(call.fault.type, sizeof call.fault.type);
    (void)snprintf(call.fault.type, sizeof call.fault.type, "TransactionCanceledException");
    cc_assert(!buf_append(&call.answer, text.data, text.len).code);
    cc_assert(dynamodb_reason(&call) != DYNAMODB_NONE);
    aws_call_release(&call);
}

static void read_words(struct span text)
{
    char url_text[512];
    struct aws_url url;
    int64_t seconds = -1;
    if (!aws_time_parse(text, &seconds).code)
        cc_assert(seconds > -86400 && seconds < INT64_C(253402400000));
    (void)aws_environment_get(text, "AWS_X");
    if (text.len >= sizeof url_text)
        return;
    if (text.len)
        memcpy(url_text, text.data, text.len);
    url_text[text.len] = 0;
    if (!aws_url_parse(url_text, &url).code)
        cc_assert(url.host[0] && url.port && !strchr(url.host, '/') && !strchr(url.host, '@'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct aws_credentials credentials;
    if (size == 0)
        return 0;
    struct span text = span_of(data + 1, size - 1);
    switch (data[0]) {
    case 'm':
        read_json(text, AWS_ANSWER_METADATA);
        break;
    case 'p':
        read_json(text, AWS_ANSWER_PROCESS);
        break;
    case 's':
        read_json(text, AWS_ANSWER_SSO);
        break;
    case 't':
        read_sso(text);
        break;
    case 'x':
        check(aws_answer_xml(text, &credentials), &credentials);
        break;
    case 'a':
        read_account(text);
        break;
    case 'f':
        read_fault(text);
        break;
    default:
        read_words(text);
    }
    return 0;
}
