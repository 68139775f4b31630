#include "support/kms_server.h"

#include <stdlib.h>

#include "support/line_server.h"
#include "support/test.h"

static struct line_server server = {.program = "tests/support/kms.py"};

const char *kms_server_endpoint(void)
{
    return line_server_endpoint(&server);
}

void kms_server_do(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    line_server_do(&server, fmt, ap);
    va_end(ap);
}

unsigned kms_server_ask(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const unsigned number = line_server_ask(&server, fmt, ap);
    va_end(ap);
    return number;
}

void kms_server_config(struct aws_config *ret_config)
{
    *ret_config = (struct aws_config){.region = "eu-central-1"};
    (void)snprintf(ret_config->kms_endpoint_url, sizeof ret_config->kms_endpoint_url, "%s",
                   kms_server_endpoint());
}
