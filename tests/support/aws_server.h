/* support/aws_server.h - AWS for a test program (tests/support/aws.py): DynamoDB, STS and KMS on a loopback port.
 *
 * Started at first use, ended with the program. Without moto there is none: a test program then returns
 * AWS_SERVER_SKIPPED from main(), which CTest shows as skipped.
 */
#ifndef SUPPORT_AWS_SERVER_H
#define SUPPORT_AWS_SERVER_H

#include <stddef.h>

#include "aws/inputs.h"
#include "config/config.h"

enum {
    AWS_SERVER_SKIPPED = 77
};

/* False, with the reason on standard error, when there can be none. */
int aws_server_exists(void);
/* "http://127.0.0.1:PORT" */
const char *aws_server_endpoint(void);
/* One line of tests/support/aws.py ("fault drop TransactWriteItems 1"); fails the test when it is refused. */
void aws_server_do(const char *fmt, ...) CC_PRINTF(1, 2);
/* A line whose answer is a number ("count PutItem"). */
unsigned aws_server_ask(const char *fmt, ...) CC_PRINTF(1, 2);

/* The configuration and the environment of a process that uses this AWS and no other. */
void aws_server_config(struct aws_config *ret_config);
extern const struct aws_inputs aws_server_inputs;

#endif
