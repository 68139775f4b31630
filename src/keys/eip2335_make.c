#include "keys/eip2335_make.h"

#include <string.h>

#include "codec/hex.h"
#include "crypto/aead.h"
#include "crypto/bls.h"
#include "crypto/kdf.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "secret/ct.h"
#include "secret/wipe.h"

enum {
    KEY_SIZE = 32,
    SALT_SIZE = 32
};

/* What is encrypted, and with what. */
struct made {
    uint8_t key[KEY_SIZE];
    uint8_t salt[SALT_SIZE];
    uint8_t iv[CTR_IV_SIZE];
    uint8_t ciphertext[KEY_SIZE];
    uint8_t checksum[SHA256_SIZE];
};

static void made_wipep(struct made *made)
{
    wipe(made, sizeof *made);
}

static cc_err public_of(const uint8_t secret[static KEY_SIZE], struct eth_pubkey *ret_pubkey)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret scalar;
    CC_TRY(bls_secret_parse(secret, &scalar));
    bls_secret_public(&scalar, ret_pubkey->bytes);
    return CC_OK;
}

static CC_SENSITIVE cc_err encrypt(const uint8_t secret[static KEY_SIZE],
                                   uint8_t ret_password[static EIP2335_MADE_PASSWORD],
                                   struct made *made)
{
    uint8_t checked[KEY_SIZE / 2 + KEY_SIZE];
    CC_TRY(random_bytes(made->key, sizeof made->key));
    ct_hex_encode(made->key, sizeof made->key, (char *)ret_password);
    CC_TRY(random_bytes(made->salt, sizeof made->salt));
    CC_TRY(random_bytes(made->iv, sizeof made->iv));
    CC_TRY(kdf_pbkdf2_sha256(span_of(ret_password, EIP2335_MADE_PASSWORD),
                             span_of(made->salt, sizeof made->salt), 1, made->key,
                             sizeof made->key));
    CC_TRY(aes128_ctr(made->key, made->iv, span_of(secret, KEY_SIZE), made->ciphertext));
    memcpy(checked, made->key + CTR_KEY_SIZE, KEY_SIZE - CTR_KEY_SIZE);
    memcpy(checked + KEY_SIZE - CTR_KEY_SIZE, made->ciphertext, sizeof made->ciphertext);
    sha256(span_of(checked, sizeof checked), made->checksum);
    wipe(checked, sizeof checked);
    return CC_OK;
}

static cc_err write(const struct made *made, const struct eth_pubkey *pubkey, struct buf *out)
{
    CC_TRY(buf_append_str(out,
                          "{\"version\":4,\"crypto\":{\"kdf\":{\"function\":\"pbkdf2\",\"params\":"
                          "{\"c\":1,\"prf\":\"hmac-sha256\",\"dklen\":32,\"salt\":\""));
    CC_TRY(hex_append(out, made->salt, sizeof made->salt));
    CC_TRY(buf_append_str(
        out, "\"},\"message\":\"\"},\"checksum\":{\"function\":\"sha256\",\"params\":{},"
             "\"message\":\""));
    CC_TRY(hex_append(out, made->checksum, sizeof made->checksum));
    CC_TRY(
        buf_append_str(out, "\"},\"cipher\":{\"function\":\"aes-128-ctr\",\"params\":{\"iv\":\""));
    CC_TRY(hex_append(out, made->iv, sizeof made->iv));
    CC_TRY(buf_append_str(out, "\"},\"message\":\""));
    CC_TRY(hex_append(out, made->ciphertext, sizeof made->ciphertext));
    CC_TRY(buf_append_str(out, "\"}},\"pubkey\":\""));
    CC_TRY(hex_append(out, pubkey, sizeof *pubkey));
    return buf_append_str(out, "\"}");
}

CC_ERR eip2335_make(const uint8_t secret[static 32],
                    uint8_t ret_password[static EIP2335_MADE_PASSWORD],
                    struct eth_pubkey *ret_pubkey,
                    struct buf *out)
{
    CC_CLEANUP(made_wipep) struct made made;
    CC_TRY(public_of(secret, ret_pubkey));
    CC_TRY(encrypt(secret, ret_password, &made));
    return write(&made, ret_pubkey, out);
}
