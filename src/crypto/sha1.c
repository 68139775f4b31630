#include "crypto/sha1.h"

#include <openssl/evp.h>

CC_ERR sha1(struct span data, uint8_t ret_digest[static SHA1_SIZE])
{
    unsigned len = 0;
    if (EVP_Digest(data.data, data.len, ret_digest, &len, EVP_sha1(), NULL) != 1 ||
        len != SHA1_SIZE)
        return CC_FAIL(CRYPTO, "SHA-1");
    return CC_OK;
}
