#include "support/keystore.h"

#include "codec/hex.h"
#include "crypto/aead.h"
#include "crypto/bls.h"
#include "crypto/kdf.h"
#include "crypto/sha256.h"

static cc_err derive(const struct k_keystore *k, uint8_t ret_key[static 32])
{
    struct span password = span_of(k->password, k->password_len);
    struct span salt = span_of(k->salt, k->salt_len);
    if (k->kdf == K_KDF_PBKDF2_SHA256)
        return kdf_pbkdf2_sha256(password, salt, k->c, ret_key, 32);
    const struct scrypt_cost cost = {k->n, k->r, k->p};
    return kdf_scrypt(password, salt, &cost, ret_key, 32);
}

/* SHA-256 of the second half of the key and the ciphertext. */
static void
checksum(const uint8_t key[static 32], const uint8_t cipher[static 32], uint8_t ret[static 32])
{
    uint8_t text[48];
    memcpy(text, key + 16, 16);
    memcpy(text + 16, cipher, 32);
    sha256(span_of(text, sizeof text), ret);
}

cc_err keystore_open(const struct k_keystore *keystore,
                     uint8_t ret_secret[static 32],
                     struct eth_pubkey *ret_pubkey)
{
    uint8_t key[32];
    uint8_t sum[32];
    struct bls_secret secret;
    CC_TRY(derive(keystore, key));
    checksum(key, keystore->ciphertext, sum);
    if (!span_equal(span_of(sum, 32), span_of(keystore->checksum, 32)))
        return CC_FAIL(KEYSTORE_PASSWORD, "");
    CC_TRY(aes128_ctr(key, keystore->iv, span_of(keystore->ciphertext, 32), ret_secret));
    CC_TRY(bls_secret_parse(ret_secret, &secret));
    bls_secret_public(&secret, ret_pubkey->bytes);
    if (keystore->has_pubkey &&
        !span_equal(span_of(keystore->pubkey.bytes, 48), span_of(ret_pubkey->bytes, 48)))
        return CC_FAIL(KEYSTORE_PUBKEY, "");
    return CC_OK;
}

struct eth_pubkey keystore_pubkey(const uint8_t secret[static 32])
{
    struct eth_pubkey pubkey;
    struct bls_secret parsed;
    cc_assert(!bls_secret_parse(secret, &parsed).code);
    bls_secret_public(&parsed, pubkey.bytes);
    return pubkey;
}

static cc_err append_hex(struct buf *out, const void *data, size_t len)
{
    char digits[96];
    cc_assert(2 * len <= sizeof digits);
    hex_encode(data, len, digits);
    return buf_append(out, digits, 2 * len);
}

cc_err keystore_make(const struct keystore_recipe *recipe, struct buf *out)
{
    struct k_keystore k = {.n = 2, .r = 1, .p = 1, .c = 1, .salt_len = 4, .salt = "salt"};
    uint8_t key[32];
    k.kdf = recipe->scrypt ? K_KDF_SCRYPT : K_KDF_PBKDF2_SHA256;
    k.password_len = (uint32_t)strlen(recipe->password);
    memcpy(k.password, recipe->password, k.password_len);
    memcpy(k.iv, "0123456789abcdef", 16);
    CC_TRY(derive(&k, key));
    CC_TRY(aes128_ctr(key, k.iv, span_of(recipe->secret, 32), k.ciphertext));
    checksum(key, k.ciphertext, k.checksum);
    CC_TRY(buf_append_str(out, "{\"version\": 4, \"crypto\": {\"kdf\": {\"function\": "));
    CC_TRY(buf_append_str(
        out, recipe->scrypt ? "\"scrypt\", \"params\": {\"n\": 2, \"r\": 1, \"p\": 1"
                            : "\"pbkdf2\", \"params\": {\"c\": 1, \"prf\": \"hmac-sha256\""));
    CC_TRY(buf_append_str(out, ", \"dklen\": 32, \"salt\": \""));
    CC_TRY(append_hex(out, k.salt, k.salt_len));
    CC_TRY(buf_append_str(out, "\"}}, \"checksum\": {\"function\": \"sha256\", \"message\": \""));
    CC_TRY(append_hex(out, k.checksum, 32));
    CC_TRY(buf_append_str(out, "\"}, \"cipher\": {\"function\": \"aes-128-ctr\", "));
    CC_TRY(buf_append_str(out, "\"params\": {\"iv\": \""));
    CC_TRY(append_hex(out, k.iv, 16));
    CC_TRY(buf_append_str(out, "\"}, \"message\": \""));
    CC_TRY(append_hex(out, k.ciphertext, 32));
    CC_TRY(buf_append_str(out, "\"}}"));
    if (recipe->pubkey) {
        CC_TRY(buf_append_str(out, ", \"pubkey\": \""));
        CC_TRY(append_hex(out, recipe->pubkey->bytes, 48));
        CC_TRY(buf_append_str(out, "\""));
    }
    return buf_append_str(out, "}\n");
}
