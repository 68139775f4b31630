/* crypto/ed25519.h - Ed25519 signatures (RFC 8032) by libsodium.
 *
 * WHAT      Key pairs from a 32-byte seed; detached signatures.
 * PROMISE   The expanded secret key exists only on the stack of one call and is wiped.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS CRYPTO (a signature does not hold).
 * SECRETS   The seed, which lives in the arena.
 */
#ifndef CRYPTO_ED25519_H
#define CRYPTO_ED25519_H

#include "base/span.h"

enum {
    ED25519_SEED_SIZE = 32,
    ED25519_PUBLIC_SIZE = 32,
    ED25519_SIGNATURE_SIZE = 64
};

void ed25519_public(const uint8_t seed[static ED25519_SEED_SIZE],
                    uint8_t ret_public[static ED25519_PUBLIC_SIZE]);
void ed25519_sign(const uint8_t seed[static ED25519_SEED_SIZE],
                  struct span message,
                  uint8_t ret_signature[static ED25519_SIGNATURE_SIZE]);
CC_ERR ed25519_verify(const uint8_t public_key[static ED25519_PUBLIC_SIZE],
                      struct span message,
                      const uint8_t signature[static ED25519_SIGNATURE_SIZE]);

#endif
