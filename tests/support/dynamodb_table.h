/* support/dynamodb_table.h - tables of the AWS for tests (support/aws_server.h). */
#ifndef SUPPORT_DYNAMODB_TABLE_H
#define SUPPORT_DYNAMODB_TABLE_H

#include "aws/session.h"

/* Opened at first use, closed with the program. */
struct aws_session *dynamodb_table_session(void);
/* A name that no table has yet. */
void dynamodb_table_name(char *ret_name, size_t room);
/* One call of the test's own; fails the test when it is refused. `body` is JSON. */
void dynamodb_table_call(const char *operation, const char *fmt, ...) CC_PRINTF(2, 3);

#endif
