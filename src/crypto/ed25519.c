#include "crypto/ed25519.h"

#include <sodium.h>

#include "secret/wipe.h"

_Static_assert(crypto_sign_SECRETKEYBYTES == sizeof(struct secret64), "seed and public key");

CC_SENSITIVE void ed25519_public(const uint8_t seed[static ED25519_SEED_SIZE],
                                 uint8_t ret_public[static ED25519_PUBLIC_SIZE])
{
    WIPED64 struct secret64 expanded;
    (void)crypto_sign_seed_keypair(ret_public, expanded.bytes, seed);
}

CC_SENSITIVE void ed25519_sign(const uint8_t seed[static ED25519_SEED_SIZE],
                               struct span message,
                               uint8_t ret_signature[static ED25519_SIGNATURE_SIZE])
{
    WIPED64 struct secret64 expanded;
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    (void)crypto_sign_seed_keypair(public_key, expanded.bytes, seed);
    (void)crypto_sign_detached(ret_signature, NULL, message.data, message.len, expanded.bytes);
}

CC_ERR ed25519_verify(const uint8_t public_key[static ED25519_PUBLIC_SIZE],
                      struct span message,
                      const uint8_t signature[static ED25519_SIGNATURE_SIZE])
{
    if (crypto_sign_verify_detached(signature, message.data, message.len, public_key) != 0)
        return CC_FAIL(CRYPTO, "an Ed25519 signature does not hold");
    return CC_OK;
}
