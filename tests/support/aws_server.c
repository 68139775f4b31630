#include "support/aws_server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/line_server.h"
#include "support/test.h"

#define PROGRAM CC_SOURCE_DIR "/tests/support/aws.py"

static struct line_server server = {.program = "tests/support/aws.py"};

int aws_server_exists(void)
{
    return system("python3 " PROGRAM " --check") == 0;
}

const char *aws_server_endpoint(void)
{
    return line_server_endpoint(&server);
}

void aws_server_do(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    line_server_do(&server, fmt, ap);
    va_end(ap);
}

unsigned aws_server_ask(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const unsigned number = line_server_ask(&server, fmt, ap);
    va_end(ap);
    return number;
}

void aws_server_config(struct aws_config *ret_config)
{
    *ret_config = (struct aws_config){.region = "eu-central-1"};
    (void)snprintf(ret_config->endpoint_url, sizeof ret_config->endpoint_url, "%s",
                   aws_server_endpoint());
}

/* The keys of aws.py. */
static cc_err read_input(void *context, enum aws_input input, struct buf *ret_text)
{
    static const char environment[] =
        "AWS_ACCESS_KEY_ID=AKIDTEST\0"
        "AWS_SECRET_ACCESS_KEY=wJalr/XUtnFEMI+K7MDENG/bPxRfiCYEXAMPLEKEY\0"
        "AWS_EC2_METADATA_DISABLED=true";
    (void)context;
    if (input != AWS_INPUT_ENVIRONMENT)
        return CC_OK;
    return buf_append(ret_text, environment, sizeof environment);
}

const struct aws_inputs aws_server_inputs = {read_input, NULL};
