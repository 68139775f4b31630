#include "crypto/sha384.h"

#include <openssl/err.h>
#include <openssl/evp.h>

static void digest_freep(EVP_MD_CTX **c)
{
    EVP_MD_CTX_free(*c);
}

CC_ERR sha384(const struct span *parts, size_t count, uint8_t ret_digest[static SHA384_SIZE])
{
    CC_CLEANUP(digest_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
    int ok = c && EVP_DigestInit_ex(c, EVP_sha384(), NULL) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_DigestUpdate(c, parts[i].data, parts[i].len) == 1;
    unsigned len = 0;
    ok = ok && EVP_DigestFinal_ex(c, ret_digest, &len) == 1 && len == SHA384_SIZE;
    ERR_clear_error();
    return ok ? CC_OK : CC_FAIL(CRYPTO, "SHA-384");
}
