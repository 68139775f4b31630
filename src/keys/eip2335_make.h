/* keys/eip2335_make.h - an EIP-2335 keystore that lives for one request.
 *
 * WHAT      Encrypts a key that came in the clear, so that it goes to a signer as every other one does.
 * PROMISE   The password is 32 random bytes in hex, made for this keystore alone, so PBKDF2 need not slow anybody down: it is run once. It
 *           names its public key.
 * THREADS   Any.
 * OWNERSHIP The text goes to the caller's buf.
 * ERRORS    KEY_INVALID (no BLS key), SYSTEM, CRYPTO, NO_MEMORY.
 * SECRETS   The key; the password, in the caller's bytes.
 */
#ifndef KEYS_EIP2335_MAKE_H
#define KEYS_EIP2335_MAKE_H

#include "base/span.h"

#include "eth/types.h"

enum {
    EIP2335_MADE_PASSWORD = 64
};

CC_ERR eip2335_make(const uint8_t secret[static 32],
                    uint8_t ret_password[static EIP2335_MADE_PASSWORD],
                    struct eth_pubkey *ret_pubkey,
                    struct buf *out);

#endif
