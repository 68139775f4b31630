#include "crypto/sealed_box.h"

#include <sodium.h>

#include "secret/wipe.h"

_Static_assert(SEALED_BOX_KEY_SIZE == crypto_box_PUBLICKEYBYTES &&
                   SEALED_BOX_KEY_SIZE == crypto_box_SECRETKEYBYTES &&
                   SEALED_BOX_OVERHEAD == crypto_box_SEALBYTES,
               "the library's sizes");

CC_ERR sealed_box_keys(uint8_t ret_public[static SEALED_BOX_KEY_SIZE],
                       uint8_t ret_secret[static SEALED_BOX_KEY_SIZE])
{
    if (crypto_box_keypair(ret_public, ret_secret) != 0)
        return CC_FAIL(CRYPTO, "an X25519 key pair");
    return CC_OK;
}

CC_ERR sealed_box_seal(const uint8_t public_key[static SEALED_BOX_KEY_SIZE],
                       struct span plain,
                       uint8_t *ret_box)
{
    if (crypto_box_seal(ret_box, plain.data, plain.len, public_key) != 0)
        return CC_FAIL(CRYPTO, "the key to seal a box to is none");
    return CC_OK;
}

CC_ERR sealed_box_open(const uint8_t public_key[static SEALED_BOX_KEY_SIZE],
                       const uint8_t secret_key[static SEALED_BOX_KEY_SIZE],
                       struct span box,
                       uint8_t *ret_plain)
{
    if (box.len < SEALED_BOX_OVERHEAD)
        return CC_FAIL(CRYPTO, "a sealed box is longer");
    if (crypto_box_seal_open(ret_plain, box.data, box.len, public_key, secret_key) == 0)
        return CC_OK;
    wipe(ret_plain, box.len - SEALED_BOX_OVERHEAD);
    return CC_FAIL(CRYPTO, "a sealed box does not open");
}
