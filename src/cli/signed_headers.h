/* cli/signed_headers.h - the headers of a request that a key has signed.
 *
 * WHAT      RFC 9421 over method, path and the body's digest, with a management key or an owner's (auth/manager.h).
 * PROMISE   A nonce of its own for each; the time is now. Nothing of the seed is in them.
 * THREADS   Any.   OWNERSHIP By value.   ERRORS SYSTEM, LIMIT, NO_MEMORY.   SECRETS The seed, borrowed.
 */
#ifndef CLI_SIGNED_HEADERS_H
#define CLI_SIGNED_HEADERS_H

#include "auth/manager.h"

struct signed_request {
    const char *method;
    const char *path;
    struct span body;
};

/* Appends header lines, each with its line end. */
CC_ERR signed_headers_append(const uint8_t seed[static ED25519_SEED_SIZE],
                             const struct signed_request *signed_request,
                             struct buf *head);

#endif
