/* seal/factor_fido2.h - a FIDO2 security key as an operator's factor: the hmac-secret extension, by libfido2.
 *
 * WHAT      At registration a credential is made in the key; what names it (and whether a PIN goes with it) is the hint, kept in the set. Then
 *           the key answers a challenge with HMAC-SHA256 under a secret of that credential, after a touch, over a channel that
 *           is encrypted between this process and the key.
 * PROMISE   The key's secret without a PIN is another one than with it: the hint says which, and nothing else is asked for.
 * THREADS   One.
 * OWNERSHIP fido2_close() ends it; it takes NULL.
 * ERRORS    FACTOR (no key, several, no hmac-secret, a PIN that is missing or wrong, no touch), NO_MEMORY.
 * SECRETS   The PIN, borrowed; the answer, wiped. libfido2 wipes its own copies.
 */
#ifndef SEAL_FACTOR_FIDO2_H
#define SEAL_FACTOR_FIDO2_H

#include "seal/factor.h"
#include "wire/seal.h"

enum {
    FIDO2_ANSWER_SIZE = 32,
    FIDO2_PATIENCE_MS = 30000
};

struct fido_dev;

struct fido2_hint {
    uint32_t len;
    uint8_t bytes[SEAL_HINT_MAX]; /* 1 with a PIN, 0 without; the credential's id */
};

struct fido2 {
    struct fido_dev *device;
    const char *pin;        /* NULL: none */
    struct fido2_hint hint; /* the caller sets it, or fido2_enroll() does */
    void (*touch)(void *context);
    void *touch_context;
};

/* `path`: a hidraw device; NULL: the only key. */
CC_ERR fido2_open(const char *path, struct fido2 *ret_key);
void fido2_close(struct fido2 *key);
bool fido2_wants_pin(const struct fido2 *key);

/* Makes a credential for the operator, and the hint of it. Takes a touch. */
CC_ERR fido2_enroll(struct fido2 *key, const struct factor_question *question);

/* The factor borrows the key. */
void factor_fido2(struct factor *ret_factor, struct fido2 *key);

#endif
