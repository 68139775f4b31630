/* front/authorization.h - the Authorization header: a token out of it, and no more of the token than its digest.
 *
 * WHAT      `Bearer TOKEN`, and `Basic BASE64(anything:TOKEN)`, which is what a client makes of a URL with user and password.
 * PROMISE   One reading or none: what is neither of the two forms, to the last character, is CALLER_BAD. A digest stands there
 *           only for a token of 1 to AUTHORIZATION_TOKEN_MAX visible ASCII characters.
 * THREADS   Any: pure.   OWNERSHIP Borrows; the header's memory is the caller's to wipe.   ERRORS None: CALLER_BAD.
 * SECRETS   The token lies on the stack of one call, wiped; its SHA-256 leaves (wire/caller.h).
 */
#ifndef FRONT_AUTHORIZATION_H
#define FRONT_AUTHORIZATION_H

#include "base/span.h"

#include "wire/caller.h"

enum {
    AUTHORIZATION_TOKEN_MAX = 512,
    AUTHORIZATION_USER_MAX = 512
};

/* Sets token_kind and token of *caller from the header's value. */
void authorization_read(struct span value, struct caller *caller);

#endif
