/* aws/time.h - the times that AWS writes.
 *
 * WHAT      ISO 8601 as credentials have it: 2026-01-31T23:59:59Z, with a fraction, with an offset, or with "UTC".
 * PROMISE   Only real dates of 1970 to 9999 are taken.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS MALFORMED.   SECRETS None.
 */
#ifndef AWS_TIME_H
#define AWS_TIME_H

#include "base/span.h"

/* Seconds since 1970; a fraction is cut off. */
CC_ERR aws_time_parse(struct span text, int64_t *ret_seconds);

#endif
