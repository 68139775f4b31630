#include "crypto/sha512.h"

#include <sodium.h>

void sha512(const struct span *parts, size_t count, uint8_t ret_digest[static SHA512_SIZE])
{
    crypto_hash_sha512_state state;
    (void)crypto_hash_sha512_init(&state);
    for (size_t i = 0; i < count; i++)
        (void)crypto_hash_sha512_update(&state, parts[i].data, parts[i].len);
    (void)crypto_hash_sha512_final(&state, ret_digest);
}
