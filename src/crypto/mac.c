#include "crypto/mac.h"

#include <sodium.h>

#include "secret/wipe.h"

static void state_wipep(crypto_auth_hmacsha256_state *state)
{
    wipe(state, sizeof *state);
}

CC_SENSITIVE void mac_hmac_sha256(struct span key,
                                  const struct span *parts,
                                  size_t count,
                                  uint8_t ret_mac[static MAC_SIZE])
{
    CC_CLEANUP(state_wipep) crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, key.data, key.len);
    for (size_t i = 0; i < count; i++)
        (void)crypto_auth_hmacsha256_update(&state, parts[i].data, parts[i].len);
    (void)crypto_auth_hmacsha256_final(&state, ret_mac);
}
