/* crypto/committing.h - authenticated encryption of short secrets under a key that the ciphertext commits to.
 *
 * WHAT      64 bytes of HKDF-SHA256(key, salt = nonce, info = label, associated data) are a key for AES-256-GCM and a commitment. A blob is
 *           the commitment (32), the nonce (12, random), ciphertext and tag (16).
 * PROMISE   A blob opens under one key, one label and one text of associated data; nobody can make one that opens under two (which
 *           AES-GCM alone would let him). The commitment is compared first, in constant time.
 * THREADS   Any: pure.   OWNERSHIP Borrows.
 * ERRORS    TAMPERED (wrong key, label, data or bytes: which is not told), CRYPTO, SYSTEM (no randomness).
 * SECRETS   Keys and plain bytes pass through; what is derived is wiped. On an error the result is zeros.
 */
#ifndef CRYPTO_COMMITTING_H
#define CRYPTO_COMMITTING_H

#include "base/span.h"

enum {
    COMMITTING_KEY_SIZE = 32,
    COMMITTING_OVERHEAD = 60,
    COMMITTING_INFO_MAX = 320 /* label and associated data */
};

/* What a blob is for: a label, with its zero byte, and data of fixed length. */
struct committing_place {
    struct span label;
    struct span data;
};

/* Writes plain.len + COMMITTING_OVERHEAD bytes. */
CC_ERR committing_seal(const uint8_t key[static COMMITTING_KEY_SIZE],
                       const struct committing_place *place,
                       struct span plain,
                       uint8_t *ret_blob);
/* Writes blob.len - COMMITTING_OVERHEAD bytes. */
CC_ERR committing_open(const uint8_t key[static COMMITTING_KEY_SIZE],
                       const struct committing_place *place,
                       struct span blob,
                       uint8_t *ret_plain);

#endif
