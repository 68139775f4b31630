#include "support/dynamodb_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/dynamodb.h"
#include "support/aws_server.h"
#include "support/test.h"

static struct {
    struct aws_config config;
    struct aws_session *session;
    pid_t pid; /* whose the session is */
    unsigned tables;
} aws;

static void end(void)
{
    aws_session_close(aws.session);
}

struct aws_session *dynamodb_table_session(void)
{
    /* A child of the test's is a process of its own, with connections of its own. */
    if (aws.session && aws.pid == getpid())
        return aws.session;
    aws_server_config(&aws.config);
    assert_int_equal(aws_session_open(&aws.config, &aws_server_inputs, &aws.session).code, 0);
    if (!aws.pid)
        (void)atexit(end);
    aws.pid = getpid();
    return aws.session;
}

void dynamodb_table_name(char *ret_name, size_t room)
{
    (void)snprintf(ret_name, room, "test-%d-%u", (int)getpid(), aws.tables++);
}

void dynamodb_table_call(const char *operation, const char *fmt, ...)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(1 << 20);
    struct aws_client *client = NULL;
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    assert_true(vasprintf(&text, fmt, ap) > 0);
    va_end(ap);
    assert_int_equal(buf_append_str(&body, text).code, 0);
    free(text);
    assert_int_equal(
        aws_client_open(dynamodb_table_session(), &dynamodb_service, NULL, &client).code, 0);
    struct aws_call call = {.operation = operation, .body = buf_span(&body), .deadline_ms = 10000};
    cc_err err = aws_call(client, &call);
    if (err.code)
        fail_msg("%s: %s: %.*s", operation, error_name(err), (int)call.answer.len,
                 (const char *)call.answer.data);
    aws_call_release(&call);
    aws_client_close(client);
}
