/* crypto/argon2.h - Argon2id (RFC 9106) by libsodium.
 *
 * WHAT      32 bytes from a passphrase, in one lane.
 * PROMISE   The cost is what the caller says: who takes it from a stranger checks it first (seal/factor.h).
 * THREADS   Any. Runs for seconds, and takes `memory_kib` meanwhile.
 * OWNERSHIP Borrows.
 * ERRORS    NUMBER_RANGE (a cost that Argon2 has not), NO_MEMORY.
 * SECRETS   Passphrase and result. The library's own memory is given back to the system unwiped (docs/secrets.md).
 */
#ifndef CRYPTO_ARGON2_H
#define CRYPTO_ARGON2_H

#include "base/span.h"

enum {
    ARGON2_SALT_SIZE = 16,
    ARGON2_KEY_SIZE = 32
};

CC_ERR argon2id(struct span passphrase,
                const uint8_t salt[static ARGON2_SALT_SIZE],
                uint32_t memory_kib,
                uint32_t passes,
                uint8_t ret_key[static ARGON2_KEY_SIZE]);

#endif
