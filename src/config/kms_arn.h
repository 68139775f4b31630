/* config/kms_arn.h - the name of a KMS key.
 *
 * WHAT      arn:<partition>:kms:<region>:<12 digits>:key/<id>.
 * PROMISE   A key by its id, never by an alias, which may come to mean another one; a region that can't change the host that is
 *           asked.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS False.   SECRETS None.
 */
#ifndef CONFIG_KMS_ARN_H
#define CONFIG_KMS_ARN_H

#include <stdbool.h>

#include "base/span.h"

enum {
    KMS_ARN_SIZE = 256,   /* with the terminator */
    KMS_REGION_SIZE = 48, /* the same of the region */
    KMS_ACCOUNT_SIZE = 13
};

/* Shorter than KMS_ARN_SIZE, and of that form. */
bool kms_arn_check(struct span text);
/* Of an ARN that passes the check. */
struct span kms_arn_region(struct span arn);
struct span kms_arn_account(struct span arn);

#endif
