/* crypto/aead.h - AES-256-GCM (NIST SP 800-38D) for blobs at rest, AES-128-CTR for EIP-2335.
 *
 * WHAT      A sealed blob is nonce (12, random), ciphertext, tag (16). The AAD binds it to its place and purpose.
 * PROMISE   aead_open() gives nothing back unless all of it is right. One key seals far fewer than 2^32 blobs, so that
 *           random nonces do not collide.
 * THREADS   Any: pure.   OWNERSHIP Borrows.
 * ERRORS    TAMPERED (wrong key, AAD or bytes), CRYPTO, SYSTEM (no randomness).
 * SECRETS   Keys and plain bytes pass through OpenSSL contexts on the heap, which OpenSSL cleanses when it frees them.
 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "base/span.h"

enum {
    AEAD_KEY_SIZE = 32,
    AEAD_NONCE_SIZE = 12,
    AEAD_TAG_SIZE = 16,
    AEAD_OVERHEAD = 28
};
enum {
    CTR_KEY_SIZE = 16,
    CTR_IV_SIZE = 16
};

/* Writes plain.len + AEAD_OVERHEAD bytes. */
CC_ERR aead_seal(const uint8_t key[static AEAD_KEY_SIZE],
                 struct span aad,
                 struct span plain,
                 uint8_t *ret_sealed);
/* The same with a nonce that the caller has made, for a key that is used with no other one. */
CC_ERR aead_seal_at(const uint8_t key[static AEAD_KEY_SIZE],
                    const uint8_t nonce[static AEAD_NONCE_SIZE],
                    struct span aad,
                    struct span plain,
                    uint8_t *ret_sealed);
/* Writes sealed.len - AEAD_OVERHEAD bytes; zeros on an error. */
CC_ERR aead_open(const uint8_t key[static AEAD_KEY_SIZE],
                 struct span aad,
                 struct span sealed,
                 uint8_t *ret_plain);

/* Encrypts or decrypts `in.len` bytes; no authentication. */
CC_ERR aes128_ctr(const uint8_t key[static CTR_KEY_SIZE],
                  const uint8_t iv[static CTR_IV_SIZE],
                  struct span in,
                  uint8_t *ret_out);

#endif
