#include "crypto/recipient.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>

#include "base/alloc.h"

#include "crypto/random.h"
#include "secret/wipe.h"

enum {
    SECURE_HEAP = 1 << 17, /* bytes: the pair, and the numbers of one operation with it */
    SECURE_BLOCK = 32,
    AES_KEY_SIZE = 32
};

struct recipient {
    pthread_mutex_t lock;
    EVP_PKEY *pair; /* NULL: sealed */
};

CC_ERR recipient_new(struct recipient **ret_recipient)
{
    if (!CRYPTO_secure_malloc_initialized() &&
        CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_BLOCK) != 1)
        return CC_FAIL(CRYPTO, "no locked memory for the library's keys");
    struct recipient *recipient = cc_alloc(sizeof *recipient);
    if (!recipient)
        return CC_FAIL(NO_MEMORY, NULL);
    recipient->pair = EVP_RSA_gen(RECIPIENT_KEY_BITS);
    if (!recipient->pair) {
        ERR_clear_error();
        cc_free(recipient);
        return CC_FAIL(CRYPTO, "RSA-2048");
    }
    (void)pthread_mutex_init(&recipient->lock, NULL);
    *ret_recipient = recipient;
    return CC_OK;
}

void recipient_free(struct recipient *recipient)
{
    if (!recipient)
        return;
    recipient_seal(recipient);
    (void)pthread_mutex_destroy(&recipient->lock);
    cc_free(recipient);
}

void recipient_seal(struct recipient *recipient)
{
    (void)pthread_mutex_lock(&recipient->lock);
    EVP_PKEY_free(recipient->pair);
    recipient->pair = NULL;
    (void)pthread_mutex_unlock(&recipient->lock);
}

/* A reference of the caller's own, or NULL. */
static EVP_PKEY *borrow(struct recipient *recipient)
{
    (void)pthread_mutex_lock(&recipient->lock);
    EVP_PKEY *pair = recipient->pair;
    if (pair && EVP_PKEY_up_ref(pair) != 1)
        pair = NULL;
    (void)pthread_mutex_unlock(&recipient->lock);
    return pair;
}

static void pair_freep(EVP_PKEY **pair)
{
    EVP_PKEY_free(*pair);
    ERR_clear_error();
}

CC_ERR recipient_public(struct recipient *recipient,
                        uint8_t ret_der[static RECIPIENT_PUBLIC_MAX],
                        uint32_t *ret_len)
{
    uint8_t *at = ret_der;
    CC_CLEANUP(pair_freep) EVP_PKEY *pair = borrow(recipient);
    if (!pair)
        return CC_FAIL(SEALED, "sealed in this life");
    const int len = i2d_PUBKEY(pair, NULL);
    if (len <= 0 || len > RECIPIENT_PUBLIC_MAX || i2d_PUBKEY(pair, &at) != len)
        return CC_FAIL(CRYPTO, "a public key's encoding");
    *ret_len = (uint32_t)len;
    return CC_OK;
}

static void pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
    ERR_clear_error();
}

static void cipher_ctx_freep(EVP_CIPHER_CTX **ctx)
{
    EVP_CIPHER_CTX_free(*ctx);
    ERR_clear_error();
}

/* The key in `wrapped`; a random one where there is none, so that what follows goes the same way. */
static CC_SENSITIVE cc_err unwrap(EVP_PKEY *pair,
                                  const uint8_t wrapped[static RECIPIENT_WRAPPED_SIZE],
                                  uint8_t ret_key[static AES_KEY_SIZE])
{
    uint8_t opened[RECIPIENT_WRAPPED_SIZE] = {0};
    size_t len = sizeof opened;
    CC_TRY(random_bytes(ret_key, AES_KEY_SIZE));
    CC_CLEANUP(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pair, NULL);
    if (!ctx || EVP_PKEY_decrypt_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) != 1)
        return CC_FAIL(CRYPTO, "RSA-OAEP");
    if (EVP_PKEY_decrypt(ctx, opened, &len, wrapped, RECIPIENT_WRAPPED_SIZE) == 1 &&
        len == AES_KEY_SIZE)
        memcpy(ret_key, opened, AES_KEY_SIZE);
    wipe(opened, sizeof opened);
    return CC_OK;
}

static CC_SENSITIVE cc_err decrypt(const uint8_t key[static AES_KEY_SIZE],
                                   const uint8_t iv[static RECIPIENT_BLOCK],
                                   struct span ciphertext,
                                   uint8_t *ret_padded)
{
    int len = 0;
    CC_CLEANUP(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx || EVP_DecryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, iv) != 1 ||
        EVP_CIPHER_CTX_set_padding(ctx, 0) != 1 ||
        EVP_DecryptUpdate(ctx, ret_padded, &len, ciphertext.data, (int)ciphertext.len) != 1 ||
        (size_t)len != ciphertext.len)
        return CC_FAIL(CRYPTO, "AES-256-CBC");
    return CC_OK;
}

/* Zeros where the padding is another one than that length has: without a branch on it. */
static CC_SENSITIVE void
take_plain(const uint8_t *padded, size_t len, uint8_t *ret_plain, size_t plain_len)
{
    const uint8_t pad = (uint8_t)(len - plain_len);
    uint8_t wrong = 0;
    for (size_t i = plain_len; i < len; i++)
        wrong |= padded[i] ^ pad;
    const uint8_t mask = (uint8_t)((((uint32_t)wrong - 1) >> 8) & 0xff); /* 0xff: as it should be */
    for (size_t i = 0; i < plain_len; i++)
        ret_plain[i] = padded[i] & mask;
}

static CC_SENSITIVE cc_err open_padded(struct recipient *recipient,
                                       const uint8_t wrapped[static RECIPIENT_WRAPPED_SIZE],
                                       const uint8_t iv[static RECIPIENT_BLOCK],
                                       struct span ciphertext,
                                       uint8_t ret_padded[static RECIPIENT_CIPHERTEXT_MAX])
{
    uint8_t key[AES_KEY_SIZE];
    CC_CLEANUP(pair_freep) EVP_PKEY *pair = borrow(recipient);
    if (!pair)
        return CC_FAIL(SEALED, "sealed in this life");
    cc_err err = unwrap(pair, wrapped, key);
    if (!err.code)
        err = decrypt(key, iv, ciphertext, ret_padded);
    wipe(key, sizeof key);
    return err;
}

CC_SENSITIVE CC_ERR recipient_open(struct recipient *recipient,
                                   const uint8_t wrapped[static RECIPIENT_WRAPPED_SIZE],
                                   const uint8_t iv[static RECIPIENT_BLOCK],
                                   struct span ciphertext,
                                   uint8_t *ret_plain,
                                   size_t plain_len)
{
    uint8_t padded[RECIPIENT_CIPHERTEXT_MAX];
    cc_assert(ciphertext.len <= sizeof padded &&
              ciphertext.len == (plain_len / RECIPIENT_BLOCK + 1) * RECIPIENT_BLOCK);
    cc_err err = open_padded(recipient, wrapped, iv, ciphertext, padded);
    if (!err.code)
        take_plain(padded, ciphertext.len, ret_plain, plain_len);
    wipe(padded, sizeof padded);
    return err;
}

/* All ones where a < b, else 0; both below 2^31. */
static uint32_t mask_below(uint32_t a, uint32_t b)
{
    return 0U - ((a - b) >> 31);
}

/* Each byte is looked at as text and as padding, and counts as what it is: without a branch on it. */
static CC_SENSITIVE uint32_t take_text(const uint8_t *padded, uint32_t len, char *ret_text)
{
    const uint32_t pad = padded[len - 1];
    const uint32_t can_be =
        mask_below(0, pad) & mask_below(pad, RECIPIENT_BLOCK + 1U) & mask_below(pad, len);
    const uint32_t text_len = len - (pad & can_be);
    uint32_t wrong = ~can_be;
    for (uint32_t i = 0; i < len; i++) {
        const uint32_t byte = padded[i];
        const uint32_t in_text = mask_below(i, text_len);
        const uint32_t no_text = mask_below(byte, ' ') | mask_below('~', byte);
        wrong |= (in_text & no_text) | (~in_text & (byte ^ pad));
    }
    const uint32_t is_text = ~(0U - ((wrong | (0U - wrong)) >> 31));
    for (uint32_t i = 0; i < len; i++)
        ret_text[i] = (char)(padded[i] & is_text & mask_below(i, text_len));
    return text_len & is_text;
}

CC_SENSITIVE CC_ERR recipient_open_text(struct recipient *recipient,
                                        const uint8_t wrapped[static RECIPIENT_WRAPPED_SIZE],
                                        const uint8_t iv[static RECIPIENT_BLOCK],
                                        struct span ciphertext,
                                        char *ret_text,
                                        uint32_t *ret_len)
{
    uint8_t padded[RECIPIENT_CIPHERTEXT_MAX];
    cc_assert(ciphertext.len <= sizeof padded && ciphertext.len >= RECIPIENT_BLOCK &&
              ciphertext.len % RECIPIENT_BLOCK == 0);
    cc_err err = open_padded(recipient, wrapped, iv, ciphertext, padded);
    if (!err.code)
        *ret_len = take_text(padded, (uint32_t)ciphertext.len, ret_text);
    wipe(padded, sizeof padded);
    return err;
}
