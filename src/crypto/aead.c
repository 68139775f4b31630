#include "crypto/aead.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>

#include "crypto/random.h"
#include "secret/wipe.h"

static void ctx_freep(EVP_CIPHER_CTX **ctx)
{
    EVP_CIPHER_CTX_free(*ctx);
    /* OpenSSL's error queue is per thread and would be read by the next caller. */
    ERR_clear_error();
}

static bool update(EVP_CIPHER_CTX *ctx, uint8_t *out, struct span in, bool encrypt)
{
    int n = 0;
    if (in.len == 0)
        return true;
    int ok = encrypt ? EVP_EncryptUpdate(ctx, out, &n, in.data, (int)in.len)
                     : EVP_DecryptUpdate(ctx, out, &n, in.data, (int)in.len);
    return ok == 1 && n == (int)in.len;
}

CC_ERR aead_seal(const uint8_t key[static AEAD_KEY_SIZE],
                 struct span aad,
                 struct span plain,
                 uint8_t *ret_sealed)
{
    uint8_t nonce[AEAD_NONCE_SIZE];
    CC_TRY(random_bytes(nonce, sizeof nonce));
    return aead_seal_at(key, nonce, aad, plain, ret_sealed);
}

CC_ERR aead_seal_at(const uint8_t key[static AEAD_KEY_SIZE],
                    const uint8_t nonce[static AEAD_NONCE_SIZE],
                    struct span aad,
                    struct span plain,
                    uint8_t *ret_sealed)
{
    cc_assert(aad.len <= INT_MAX && plain.len <= INT_MAX);
    memcpy(ret_sealed, nonce, AEAD_NONCE_SIZE);
    uint8_t *body = ret_sealed + AEAD_NONCE_SIZE;
    uint8_t *tag = body + plain.len;
    int n = 0;
    CC_CLEANUP(ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, ret_sealed) != 1 ||
        !update(ctx, NULL, aad, true) || !update(ctx, body, plain, true) ||
        EVP_EncryptFinal_ex(ctx, tag, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, tag) != 1) {
        wipe(ret_sealed, plain.len + AEAD_OVERHEAD);
        return CC_FAIL(CRYPTO, "AES-256-GCM");
    }
    return CC_OK;
}

CC_ERR aead_open(const uint8_t key[static AEAD_KEY_SIZE],
                 struct span aad,
                 struct span sealed,
                 uint8_t *ret_plain)
{
    if (sealed.len < AEAD_OVERHEAD || sealed.len > INT_MAX || aad.len > INT_MAX)
        return CC_FAIL(TAMPERED, "a sealed blob of impossible length");
    size_t len = sealed.len - AEAD_OVERHEAD;
    const struct span body = span_of(sealed.data + AEAD_NONCE_SIZE, len);
    uint8_t tag[AEAD_TAG_SIZE];
    memcpy(tag, body.data + len, sizeof tag);
    int n = 0;
    CC_CLEANUP(ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ready = ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, sealed.data) == 1 &&
                 update(ctx, NULL, aad, false) && update(ctx, ret_plain, body, false) &&
                 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) == 1;
    if (!ready || EVP_DecryptFinal_ex(ctx, tag, &n) != 1) {
        wipe(ret_plain, len);
        return ready ? CC_FAIL(TAMPERED, "a sealed blob does not open")
                     : CC_FAIL(CRYPTO, "AES-256-GCM");
    }
    return CC_OK;
}

CC_ERR aes128_ctr(const uint8_t key[static CTR_KEY_SIZE],
                  const uint8_t iv[static CTR_IV_SIZE],
                  struct span in,
                  uint8_t *ret_out)
{
    cc_assert(in.len <= INT_MAX);
    CC_CLEANUP(ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv) != 1 ||
        !update(ctx, ret_out, in, true)) {
        wipe(ret_out, in.len);
        return CC_FAIL(CRYPTO, "AES-128-CTR");
    }
    return CC_OK;
}
