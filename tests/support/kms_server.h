/* support/kms_server.h - KMS for a test program (tests/support/kms.py): keys of any account and region, policies, faults. */
#ifndef SUPPORT_KMS_SERVER_H
#define SUPPORT_KMS_SERVER_H

#include "base/macros.h"

#include "config/config.h"

const char *kms_server_endpoint(void);
/* One line of tests/support/kms.py; fails the test when it is refused. */
void kms_server_do(const char *fmt, ...) CC_PRINTF(1, 2);
/* A line whose answer is a number. */
unsigned kms_server_ask(const char *fmt, ...) CC_PRINTF(1, 2);
/* Region eu-central-1, and this KMS; the credentials are those of aws_server_inputs. */
void kms_server_config(struct aws_config *ret_config);

#endif
