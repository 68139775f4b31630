/* secret/ct.h - operations on secret bytes whose time does not tell what they are.
 *
 * WHAT      Equality and hex of secrets, without a branch or a table look-up on their bytes.
 * PROMISE   Time and addresses depend on the length only.
 * THREADS   Any.   OWNERSHIP Borrows.
 * ERRORS    HEX_SYNTAX; which digit was wrong is not told.
 * SECRETS   Pass through; nothing is kept.
 */
#ifndef SECRET_CT_H
#define SECRET_CT_H

#include <stdbool.h>

#include "base/error.h"

bool ct_equal(const void *a, const void *b, size_t len) CC_MUST_USE;
bool ct_is_zero(const void *a, size_t len) CC_MUST_USE;
/* Decodes exactly 2 * len hex digits of either case; on an error `ret_bytes` is zero. */
CC_ERR ct_hex_decode(const char *digits, uint8_t *ret_bytes, size_t len);
/* Writes 2 * len lower-case digits, without a terminating zero. */
void ct_hex_encode(const uint8_t *bytes, size_t len, char *ret_digits);

#endif
