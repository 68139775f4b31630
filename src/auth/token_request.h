/* auth/token_request.h - what is asked for when a token is to be made.
 *
 * WHAT      {"name","policies":[],"ttl_seconds","cidrs":[],"certificate"} to a struct token that has no MAC yet.
 * PROMISE   Strict, as auth/policy.h: what is not known is refused with its place. At least one policy.
 * THREADS   Any: pure.   OWNERSHIP By value; the text is the caller's and is changed.
 * ERRORS    What codec/json.h says; MALFORMED with a fault; NO_MEMORY.
 * SECRETS   None.
 *
 * Meaning: docs/access.md.
 */
#ifndef AUTH_TOKEN_REQUEST_H
#define AUTH_TOKEN_REQUEST_H

#include "auth/token.h"

enum {
    TOKEN_TTL_MAX = 10 * 366 * 86400 /* seconds */
};

CC_ERR token_request_parse(
    uint8_t *text, size_t len, uint64_t now, struct token *ret_token, struct auth_fault *ret_fault);

#endif
