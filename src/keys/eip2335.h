/* keys/eip2335.h - EIP-2335 keystore files.
 *
 * WHAT      Reads the JSON of a version 4 keystore into the message that the vault decrypts.
 * PROMISE   Accepted is what EIP-2335 names and the vault can do: kdf scrypt or pbkdf2 (hmac-sha256) with dklen 32,
 *           checksum sha256, cipher aes-128-ctr; parameters are exact whole numbers within the bounds of crypto/kdf.h. Anything
 *           else is refused with the field's name. pubkey, path, uuid, name and description are optional, unknown
 *           fields are passed over; a key twice in one object is refused.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows the text and changes it (strings are unescaped in place).
 * ERRORS    KEYSTORE, with the field in the detail; the JSON_* errors; NO_MEMORY.
 * SECRETS   None: what it reads is encrypted. The password is the caller's to add.
 */
#ifndef KEYS_EIP2335_H
#define KEYS_EIP2335_H

#include "base/error.h"

#include "wire/door_key.h"

enum {
    EIP2335_TEXT_MAX = 65536,
    EIP2335_TOKENS_MAX = 1024
};

/* Fills all but `id`, `password` and `password_len`, which are zero. */
CC_ERR eip2335_parse(uint8_t *text, size_t len, struct k_keystore *ret_keystore);

#endif
