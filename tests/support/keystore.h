/* support/keystore.h - EIP-2335 in a test's own words: opens what the loader sends, and makes keystores. */
#ifndef SUPPORT_KEYSTORE_H
#define SUPPORT_KEYSTORE_H

#include <stdbool.h>

#include "base/span.h"

#include "wire/door_key.h"

/* Decrypts and checks as the vault must: KEYSTORE_PASSWORD, KEY_INVALID, KEYSTORE_PUBKEY. */
cc_err keystore_open(const struct k_keystore *keystore,
                     uint8_t ret_secret[static 32],
                     struct eth_pubkey *ret_pubkey);

/* The public key of a secret; asserts that it is one. */
struct eth_pubkey keystore_pubkey(const uint8_t secret[static 32]);

struct keystore_recipe {
    uint8_t secret[32];
    const char *password;            /* plain ASCII */
    const struct eth_pubkey *pubkey; /* NULL: the file names none */
    bool scrypt;                     /* else pbkdf2; both with next to no cost */
};

/* A keystore's JSON. */
cc_err keystore_make(const struct keystore_recipe *recipe, struct buf *out);

#endif
