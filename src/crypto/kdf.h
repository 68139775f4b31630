/* crypto/kdf.h - deriving keys from passwords (scrypt RFC 7914, PBKDF2 RFC 8018) and from keys (HKDF RFC 5869).
 *
 * WHAT      scrypt by libscrypt, PBKDF2-HMAC-SHA256 and -SHA512 by OpenSSL, HKDF-SHA256 over crypto/mac.h.
 * PROMISE   Parameters from a file can't make it use more than KDF_SCRYPT_MEMORY_MAX bytes, or run for minutes.
 * THREADS   Any. scrypt and PBKDF2 run for up to seconds: never on a thread that signs.
 * OWNERSHIP Borrows.
 * ERRORS    NUMBER_RANGE (parameters that are refused), NO_MEMORY, CRYPTO.
 * SECRETS   Password and derived key. The libraries' own memory is given back to the system unwiped (docs/secrets.md).
 */
#ifndef CRYPTO_KDF_H
#define CRYPTO_KDF_H

#include "base/span.h"

enum {
    KDF_SCRYPT_MEMORY_MAX = 512 << 20, /* EIP-2335's usual parameters need 256 MiB */
    KDF_SCRYPT_P_MAX = 16,
    KDF_PBKDF2_MAX = 1 << 24, /* some seconds; EIP-2335's usual count is 2^18 */
    KDF_HKDF_MAX = 255 * 32,
};

/* The bytes of memory that scrypt needs with these parameters. Refused: n not a power of two above 1, r or p zero,
 * more memory than KDF_SCRYPT_MEMORY_MAX, p above KDF_SCRYPT_P_MAX.
 */
CC_ERR kdf_scrypt_memory(uint64_t n, uint32_t r, uint32_t p, size_t *ret_bytes);

struct scrypt_cost {
    uint64_t n;
    uint32_t r;
    uint32_t p;
};
CC_ERR kdf_scrypt(struct span password,
                  struct span salt,
                  const struct scrypt_cost *cost,
                  uint8_t *ret_key,
                  size_t len);
CC_ERR kdf_pbkdf2_sha256(
    struct span password, struct span salt, uint32_t count, uint8_t *ret_key, size_t len);
CC_ERR kdf_pbkdf2_sha512(
    struct span password, struct span salt, uint32_t count, uint8_t *ret_key, size_t len);
/* `len` is at most KDF_HKDF_MAX. */
void kdf_hkdf_sha256(
    struct span key, struct span salt, struct span info, uint8_t *ret_key, size_t len);

#endif
