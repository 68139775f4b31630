#include "crypto/kdf.h"

#include <errno.h>
#include <libscrypt.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/num.h"

#include "crypto/mac.h"
#include "secret/wipe.h"

CC_ERR kdf_scrypt_memory(uint64_t n, uint32_t r, uint32_t p, size_t *ret_bytes)
{
    if (n < 2 || (n & (n - 1)) != 0)
        return CC_FAIL(NUMBER_RANGE, "scrypt n must be a power of two above 1");
    if (r == 0 || p == 0 || p > KDF_SCRYPT_P_MAX)
        return CC_FAIL(NUMBER_RANGE, "scrypt r or p");
    if (n > KDF_SCRYPT_MEMORY_MAX / 128 || r > KDF_SCRYPT_MEMORY_MAX / 128 / n)
        return CC_FAIL(NUMBER_RANGE, "scrypt would need too much memory");
    *ret_bytes = (size_t)(128 * n * r);
    return CC_OK;
}

CC_ERR kdf_scrypt(struct span password,
                  struct span salt,
                  const struct scrypt_cost *cost,
                  uint8_t *ret_key,
                  size_t len)
{
    size_t memory;
    CC_TRY(kdf_scrypt_memory(cost->n, cost->r, cost->p, &memory));
    errno = 0;
    if (libscrypt_scrypt(password.data, password.len, salt.data, salt.len, cost->n, cost->r,
                         cost->p, ret_key, len) != 0)
        return errno == ENOMEM ? CC_FAIL(NO_MEMORY, "scrypt") : CC_FAIL(CRYPTO, "scrypt");
    return CC_OK;
}

static cc_err pbkdf2(const EVP_MD *hash,
                     struct span password,
                     struct span salt,
                     uint32_t count,
                     uint8_t *ret_key,
                     size_t len)
{
    if (count == 0 || count > KDF_PBKDF2_MAX)
        return CC_FAIL(NUMBER_RANGE, "pbkdf2 count");
    if (password.len > INT_MAX || salt.len > INT_MAX || len > INT_MAX)
        return CC_FAIL(NUMBER_RANGE, "pbkdf2 lengths");
    if (PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.len, salt.data, (int)salt.len,
                          (int)count, hash, (int)len, ret_key) != 1) {
        ERR_clear_error();
        return CC_FAIL(CRYPTO, "pbkdf2");
    }
    return CC_OK;
}

CC_ERR kdf_pbkdf2_sha256(
    struct span password, struct span salt, uint32_t count, uint8_t *ret_key, size_t len)
{
    return pbkdf2(EVP_sha256(), password, salt, count, ret_key, len);
}

CC_ERR kdf_pbkdf2_sha512(
    struct span password, struct span salt, uint32_t count, uint8_t *ret_key, size_t len)
{
    return pbkdf2(EVP_sha512(), password, salt, count, ret_key, len);
}

CC_SENSITIVE void
kdf_hkdf_sha256(struct span key, struct span salt, struct span info, uint8_t *ret_key, size_t len)
{
    cc_assert(len <= KDF_HKDF_MAX);
    WIPED32 struct secret32 prk;
    WIPED32 struct secret32 block;
    mac_hmac_sha256(salt, &key, 1, prk.bytes);
    uint8_t counter = 0;
    for (size_t done = 0; done < len;) {
        counter++;
        const struct span parts[3] = {span_of(block.bytes, counter == 1 ? 0 : sizeof block.bytes),
                                      info, span_of(&counter, 1)};
        mac_hmac_sha256(span_of(prk.bytes, sizeof prk.bytes), parts, 3, block.bytes);
        size_t n = (size_t)u64_min(len - done, sizeof block.bytes);
        memcpy(ret_key + done, block.bytes, n);
        done += n;
    }
}
