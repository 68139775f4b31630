#include "crypto/argon2.h"

#include <sodium.h>

_Static_assert(ARGON2_SALT_SIZE == crypto_pwhash_argon2id_SALTBYTES, "the library's salt");

CC_ERR argon2id(struct span passphrase,
                const uint8_t salt[static ARGON2_SALT_SIZE],
                uint32_t memory_kib,
                uint32_t passes,
                uint8_t ret_key[static ARGON2_KEY_SIZE])
{
    const uint64_t memory = (uint64_t)memory_kib << 10;
    if (passes < crypto_pwhash_argon2id_OPSLIMIT_MIN ||
        memory < crypto_pwhash_argon2id_MEMLIMIT_MIN || memory > SIZE_MAX)
        return CC_FAIL(NUMBER_RANGE, "memory or passes of Argon2id");
    if (crypto_pwhash_argon2id(ret_key, ARGON2_KEY_SIZE, (const char *)passphrase.data,
                               passphrase.len, salt, passes, (size_t)memory,
                               crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
        return CC_FAIL(NO_MEMORY, "Argon2id");
    return CC_OK;
}
