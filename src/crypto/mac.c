#include "crypto/mac.h"

#include <sodium.h>
#include <string.h>

#include "crypto/sha256.h"
#include "secret/wipe.h"

static void state_wipep(crypto_auth_hmacsha256_state *state)
{
    wipe(state, sizeof *state);
}

/* libsodium wants a pointer even to nothing: HKDF without a salt. */
static const uint8_t *bytes_of(struct span span)
{
    static const uint8_t nothing[1];
    return span.len ? span.data : nothing;
}

CC_SENSITIVE void mac_hmac_sha256(struct span key,
                                  const struct span *parts,
                                  size_t count,
                                  uint8_t ret_mac[static MAC_SIZE])
{
    CC_CLEANUP(state_wipep) crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, bytes_of(key), key.len);
    for (size_t i = 0; i < count; i++)
        (void)crypto_auth_hmacsha256_update(&state, bytes_of(parts[i]), parts[i].len);
    (void)crypto_auth_hmacsha256_final(&state, ret_mac);
}

enum {
    BLOCK = 64
};

static void xor_key(const uint8_t key[static 32], uint8_t with, uint8_t out[static BLOCK])
{
    memset(out, with, BLOCK);
    for (size_t i = 0; i < 32; i++)
        out[i] ^= key[i];
}

CC_SENSITIVE void mac_hmac_sha256_once(const uint8_t key[static 32],
                                       struct span message,
                                       uint8_t ret_mac[static MAC_SIZE])
{
    uint8_t inner[BLOCK + MAC_SHORT_MAX];
    uint8_t outer[BLOCK + SHA256_SIZE];
    cc_assert(message.len <= MAC_SHORT_MAX);
    xor_key(key, 0x36, inner);
    if (message.len)
        memcpy(inner + BLOCK, message.data, message.len);
    xor_key(key, 0x5c, outer);
    sha256(span_of(inner, BLOCK + message.len), outer + BLOCK);
    sha256(span_of(outer, sizeof outer), ret_mac);
    wipe(inner, sizeof inner);
    wipe(outer, sizeof outer);
}
