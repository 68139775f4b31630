/* wire/keystore.h - the crypto section of an EIP-2335 keystore, parsed, with its password.
 *
 * WHAT      What the loader and the front hand on, and the vault opens: dklen 32, checksum sha256, cipher aes-128-ctr.
 * PROMISE   None: every field is a claim that the vault checks.
 * THREADS   As wire/door.h.   OWNERSHIP By value.   ERRORS As wire/door.h.
 * SECRETS   The password: wiped by sender and receiver after use (docs/secrets.md).
 */
#ifndef WIRE_KEYSTORE_H
#define WIRE_KEYSTORE_H

#include "eth/types.h"

enum k_kdf {
    K_KDF_SCRYPT = 1,
    K_KDF_PBKDF2_SHA256 = 2
};
enum {
    K_PASSWORD_MAX = 2048,
    K_SALT_MAX = 256
};

struct k_keystore {
    uint64_t id;
    uint32_t has_pubkey;
    uint32_t kdf;             /* enum k_kdf */
    struct eth_pubkey pubkey; /* expected */
    uint64_t n;               /* scrypt */
    uint32_t r;
    uint32_t p;
    uint32_t c; /* pbkdf2 */
    uint32_t salt_len;
    uint32_t password_len; /* bytes after NFKD and removal of control characters */
    uint32_t reserved;
    uint8_t salt[K_SALT_MAX];
    uint8_t iv[16];
    uint8_t checksum[32];
    uint8_t ciphertext[32];
    uint8_t password[K_PASSWORD_MAX];
};

#endif
