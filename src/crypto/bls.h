/* crypto/bls.h - BLS12-381 as Ethereum signs with it (consensus-specs phase0, "BLS signatures"; minimal-pubkey-size,
 * proof-of-possession scheme, draft-irtf-cfrg-bls-signature-04). The only file family that knows blst.
 *
 * WHAT      Secret keys, public keys in G1, signatures in G2, checks of encodings.
 * PROMISE   A struct bls_secret that was parsed is in 1..r-1. A message is hashed once for many keys. Signing is
 *           constant-time in the secret (blst). Encodings are accepted only on the curve, in the subgroup, canonical.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows.
 * ERRORS    KEY_INVALID (zero, or not below r), CRYPTO (an encoding or a signature does not hold).
 * SECRETS   struct bls_secret lives in the arena. blst leaves copies of it on the stack: callers wipe_stack() after.
 */
#ifndef CRYPTO_BLS_H
#define CRYPTO_BLS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "secret/wipe.h"

enum {
    BLS_SECRET_SIZE = 32,
    BLS_PUBLIC_SIZE = 48,
    BLS_ROOT_SIZE = 32,
    BLS_SIGNATURE_SIZE = 96
};

/* A checked scalar, in blst's own byte order. */
struct bls_secret {
    _Alignas(8) uint8_t scalar[BLS_SECRET_SIZE];
};

/* Cleanup helper for a secret on the stack. */
static inline void bls_secret_wipep(struct bls_secret *secret)
{
    wipe(secret, sizeof *secret);
}

/* A message hashed to the curve. */
struct bls_hash {
    _Alignas(16) uint8_t point[288];
};

/* From the big-endian bytes that keystores hold; on an error *ret_secret is zero. */
CC_ERR bls_secret_parse(const uint8_t big_endian[static BLS_SECRET_SIZE],
                        struct bls_secret *ret_secret);
/* The same bytes again. */
void bls_secret_bytes(const struct bls_secret *secret,
                      uint8_t ret_big_endian[static BLS_SECRET_SIZE]);
/* A node of a tree of keys, for crypto/eip2333.h alone: from a seed of at least 32 bytes, and from the node above. The two of a child may
 * be one.
 */
void bls_derive_master(struct span seed, struct bls_secret *ret_master);
void bls_derive_child(const struct bls_secret *parent,
                      uint32_t index,
                      struct bls_secret *ret_child);
void bls_secret_public(const struct bls_secret *secret, uint8_t ret_public[static BLS_PUBLIC_SIZE]);

void bls_hash(const uint8_t root[static BLS_ROOT_SIZE], struct bls_hash *ret_hash);
void bls_sign(const struct bls_secret *secret,
              const struct bls_hash *hash,
              uint8_t ret_signature[static BLS_SIGNATURE_SIZE]);

/* True for the encoding of a point of the right subgroup. The point at infinity is an encoding too, but no public
 * key: bls_verify() refuses it.
 */
bool bls_public_decodes(const uint8_t public_key[static BLS_PUBLIC_SIZE]);
bool bls_signature_decodes(const uint8_t signature[static BLS_SIGNATURE_SIZE]);
CC_ERR bls_verify(const uint8_t public_key[static BLS_PUBLIC_SIZE],
                  const uint8_t root[static BLS_ROOT_SIZE],
                  const uint8_t signature[static BLS_SIGNATURE_SIZE]);

#endif
