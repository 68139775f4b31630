#include "support/envelope_kit.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "support/test.h"

static void put(struct buf *out, const void *bytes, size_t len)
{
    assert_int_equal(buf_append(out, bytes, len).code, 0);
}

static void put_head(struct buf *out, uint8_t tag, size_t len)
{
    const uint8_t head[] = {tag,
                            (uint8_t)(len < 128   ? len
                                      : len < 256 ? 0x81
                                                  : 0x82),
                            (uint8_t)(len >> 8), (uint8_t)len};
    put(out, head, 2);
    if (len >= 256)
        put(out, head + 2, 2);
    else if (len >= 128)
        put(out, head + 3, 1);
}

static size_t
wrap(struct span public_der, const uint8_t key[static 32], uint8_t *ret_wrapped, size_t max)
{
    const uint8_t *at = public_der.data;
    EVP_PKEY *recipient = d2i_PUBKEY(NULL, &at, (long)public_der.len);
    assert_non_null(recipient);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(recipient, NULL);
    size_t len = max;
    assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()), 1);
    assert_int_equal(EVP_PKEY_encrypt(ctx, ret_wrapped, &len, key, 32), 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(recipient);
    return len;
}

static size_t encrypt(const uint8_t key[static 32],
                      const uint8_t iv[static 16],
                      struct span plain,
                      uint8_t *ret_bytes)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    int rest = 0;
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, iv), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, ret_bytes, &len, plain.data, (int)plain.len), 1);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, ret_bytes + len, &rest), 1);
    EVP_CIPHER_CTX_free(ctx);
    return (size_t)(len + rest);
}

static void put_recipient(struct buf *out, const uint8_t *wrapped, size_t len)
{
    static const uint8_t id[] = {0x02, 0x01, 0x02, 0x80, 0x20};
    static const uint8_t algorithm[] = {
        0x30, 0x3c, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07,
        0x30, 0x2f, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
        0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a,
        0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60,
        0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00};
    uint8_t name[32];
    const size_t inside = sizeof id + sizeof name + sizeof algorithm + 4 + len;
    assert_int_equal(RAND_bytes(name, sizeof name), 1);
    put_head(out, 0x31, 4 + inside);
    put_head(out, 0x30, inside);
    put(out, id, sizeof id);
    put(out, name, sizeof name);
    put(out, algorithm, sizeof algorithm);
    put_head(out, 0x04, len);
    put(out, wrapped, len);
}

static void
put_ciphertext(struct buf *out, struct span ciphertext, enum envelope_form form, size_t piece)
{
    if (form == ENVELOPE_WHOLE) {
        put_head(out, 0x80, ciphertext.len);
        put(out, ciphertext.data, ciphertext.len);
        return;
    }
    put(out, "\xa0\x80", 2);
    for (size_t at = 0; at < ciphertext.len; at += piece) {
        const size_t len = ciphertext.len - at < piece ? ciphertext.len - at : piece;
        put_head(out, 0x04, len);
        put(out, ciphertext.data + at, len);
    }
    put(out, "\0", 2);
}

void envelope_make(struct span public_der,
                   struct span plain,
                   enum envelope_form form,
                   size_t piece,
                   struct buf *ret_envelope)
{
    static const uint8_t begin[] = {0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                    0x01, 0x07, 0x03, 0xa0, 0x80, 0x30, 0x80, 0x02, 0x01, 0x02};
    static const uint8_t content[] = {0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                      0x01, 0x07, 0x01, 0x30, 0x1d, 0x06, 0x09, 0x60, 0x86, 0x48,
                                      0x01, 0x65, 0x03, 0x04, 0x01, 0x2a, 0x04, 0x10};
    static const uint8_t end[8];
    uint8_t key[32];
    uint8_t iv[16];
    uint8_t wrapped[1024];
    uint8_t ciphertext[5000];
    assert_true(plain.len < sizeof ciphertext - 16);
    assert_int_equal(RAND_bytes(key, sizeof key), 1);
    assert_int_equal(RAND_bytes(iv, sizeof iv), 1);
    const size_t len = encrypt(key, iv, plain, ciphertext);
    put(ret_envelope, begin, sizeof begin);
    put_recipient(ret_envelope, wrapped, wrap(public_der, key, wrapped, sizeof wrapped));
    put(ret_envelope, content, sizeof content);
    put(ret_envelope, iv, sizeof iv);
    put_ciphertext(ret_envelope, span_of(ciphertext, len), form, piece);
    put(ret_envelope, end, sizeof end);
}
