/* seal/challenge.h - what the vault gives before a credential, under the signature of the chamber's identity.
 *
 * WHAT      The bytes that are signed, and verifying them.
 * PROMISE   Every field of a challenge is signed, and no two challenges give the same bytes. One that passes challenge_verify() was
 *           made by a vault of that chamber, and its fields are such as this program makes.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS CREDENTIAL (a signature that does not hold), PROTOCOL (fields).
 * SECRETS   None.
 *
 * Format: docs/formats.md, "Challenges".
 */
#ifndef SEAL_CHALLENGE_H
#define SEAL_CHALLENGE_H

#include "base/span.h"

#include "wire/seal.h"

enum {
    CHALLENGE_BYTES_MAX = 1024
};

struct challenge_bytes {
    size_t len;
    uint8_t bytes[CHALLENGE_BYTES_MAX];
};

/* Purpose, mode, factor, name, hint, times. */
CC_ERR challenge_check(const struct seal_challenge *challenge);
/* What is signed, of a challenge that has passed. */
void challenge_encode(const struct seal_challenge *challenge, struct challenge_bytes *ret_bytes);
/* Checks it, and its signature. */
CC_ERR challenge_verify(const struct seal_challenge *challenge, const uint8_t identity[static 32]);

#endif
