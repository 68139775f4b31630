/* crypto/sealed_box.h - encryption to a public key, by somebody who stays unknown: libsodium's sealed boxes (X25519, XSalsa20-Poly1305).
 *
 * WHAT      Key pairs; sealing and opening.
 * PROMISE   Only who has the secret key opens it, and nobody changes it unnoticed; who sealed it is not known.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS CRYPTO.
 * SECRETS   The secret key, and what is sealed: in the caller's memory.
 */
#ifndef CRYPTO_SEALED_BOX_H
#define CRYPTO_SEALED_BOX_H

#include "base/span.h"

enum {
    SEALED_BOX_KEY_SIZE = 32,
    SEALED_BOX_OVERHEAD = 48
};

CC_ERR sealed_box_keys(uint8_t ret_public[static SEALED_BOX_KEY_SIZE],
                       uint8_t ret_secret[static SEALED_BOX_KEY_SIZE]);
/* Writes plain.len + SEALED_BOX_OVERHEAD bytes. */
CC_ERR sealed_box_seal(const uint8_t public_key[static SEALED_BOX_KEY_SIZE],
                       struct span plain,
                       uint8_t *ret_box);
/* Writes box.len - SEALED_BOX_OVERHEAD bytes; zeros on an error. */
CC_ERR sealed_box_open(const uint8_t public_key[static SEALED_BOX_KEY_SIZE],
                       const uint8_t secret_key[static SEALED_BOX_KEY_SIZE],
                       struct span box,
                       uint8_t *ret_plain);

#endif
