#include "keys/eip2335.h"

#include "codec/hex.h"
#include "codec/json.h"
#include "crypto/kdf.h"

/* Every refusal names its field: REFUSE("crypto.kdf.function", "scrypt or pbkdf2 expected"). */
#define REFUSE(field, why) CC_FAIL(KEYSTORE, field ": " why)

/* `detail` is static and begins with the field's path. */
static cc_err refuse(const char *detail)
{
    return CC_FAIL(KEYSTORE, detail);
}

static cc_err
object_of(struct jval in, const char *key, const char *detail, struct jval *ret_object)
{
    struct jval value;
    if (!jval_member(in, key, &value) || jval_type(value) != JVAL_OBJECT)
        return refuse(detail);
    *ret_object = value;
    return CC_OK;
}

static cc_err text_of(struct jval in, const char *key, const char *detail, struct span *ret_text)
{
    struct jval value;
    if (!jval_member(in, key, &value) || jval_text(value, ret_text).code)
        return refuse(detail);
    return CC_OK;
}

/* A whole number in JSON's own form, from 1 to `max`: no string, no fraction, no exponent. */
static cc_err
number_of(struct jval in, const char *key, uint64_t max, const char *detail, uint64_t *ret_number)
{
    struct jval value;
    uint64_t number = 0;
    if (!jval_member(in, key, &value) || jval_type(value) != JVAL_NUMBER ||
        jval_u64(value, &number).code || number < 1 || number > max)
        return refuse(detail);
    *ret_number = number;
    return CC_OK;
}

static cc_err
bytes_of(struct jval in, const char *key, const char *detail, uint8_t *ret_bytes, size_t len)
{
    struct span text;
    CC_TRY(text_of(in, key, detail, &text));
    return hex_decode(text, ret_bytes, len).code ? refuse(detail) : CC_OK;
}

static cc_err parse_salt(struct jval params, struct k_keystore *ret)
{
    static const char detail[] = "crypto.kdf.params.salt: 1 to 256 bytes of hex expected";
    struct span text;
    size_t len = 0;
    CC_TRY(text_of(params, "salt", detail, &text));
    if (hex_decode_some(text, ret->salt, sizeof ret->salt, &len).code || len == 0)
        return refuse(detail);
    ret->salt_len = (uint32_t)len;
    return CC_OK;
}

static cc_err parse_scrypt(struct jval params, struct k_keystore *ret)
{
    uint64_t n = 0;
    uint64_t r = 0;
    uint64_t p = 0;
    size_t memory;
    CC_TRY(number_of(params, "n", UINT32_MAX, "crypto.kdf.params.n: out of range", &n));
    CC_TRY(number_of(params, "r", UINT32_MAX, "crypto.kdf.params.r: out of range", &r));
    CC_TRY(number_of(params, "p", KDF_SCRYPT_P_MAX, "crypto.kdf.params.p: out of range", &p));
    if (n < 2 || (n & (n - 1)) != 0)
        return REFUSE("crypto.kdf.params.n", "a power of two above 1 expected");
    if (kdf_scrypt_memory(n, (uint32_t)r, (uint32_t)p, &memory).code)
        return REFUSE("crypto.kdf.params", "scrypt would need too much memory");
    ret->kdf = K_KDF_SCRYPT;
    ret->n = n;
    ret->r = (uint32_t)r;
    ret->p = (uint32_t)p;
    return CC_OK;
}

static cc_err parse_pbkdf2(struct jval params, struct k_keystore *ret)
{
    uint64_t c = 0;
    struct span prf;
    CC_TRY(number_of(params, "c", KDF_PBKDF2_MAX, "crypto.kdf.params.c: out of range", &c));
    CC_TRY(text_of(params, "prf", "crypto.kdf.params.prf: hmac-sha256 expected", &prf));
    if (!span_is(prf, "hmac-sha256"))
        return REFUSE("crypto.kdf.params.prf", "only hmac-sha256 is supported");
    ret->kdf = K_KDF_PBKDF2_SHA256;
    ret->c = (uint32_t)c;
    return CC_OK;
}

static cc_err parse_kdf(struct jval crypto, struct k_keystore *ret)
{
    struct jval kdf;
    struct jval params;
    struct span function;
    uint64_t dklen = 0;
    CC_TRY(object_of(crypto, "kdf", "crypto.kdf: object expected", &kdf));
    CC_TRY(text_of(kdf, "function", "crypto.kdf.function: text expected", &function));
    CC_TRY(object_of(kdf, "params", "crypto.kdf.params: object expected", &params));
    CC_TRY(number_of(params, "dklen", UINT32_MAX, "crypto.kdf.params.dklen: 32 expected", &dklen));
    if (dklen != 32)
        return REFUSE("crypto.kdf.params.dklen", "only 32 is supported");
    CC_TRY(parse_salt(params, ret));
    if (span_is(function, "scrypt"))
        return parse_scrypt(params, ret);
    if (span_is(function, "pbkdf2"))
        return parse_pbkdf2(params, ret);
    return REFUSE("crypto.kdf.function", "only scrypt and pbkdf2 are supported");
}

static cc_err parse_checksum(struct jval crypto, struct k_keystore *ret)
{
    struct jval checksum;
    struct span function;
    CC_TRY(object_of(crypto, "checksum", "crypto.checksum: object expected", &checksum));
    CC_TRY(text_of(checksum, "function", "crypto.checksum.function: text expected", &function));
    if (!span_is(function, "sha256"))
        return REFUSE("crypto.checksum.function", "only sha256 is supported");
    return bytes_of(checksum, "message", "crypto.checksum.message: 32 bytes of hex expected",
                    ret->checksum, sizeof ret->checksum);
}

static cc_err parse_cipher(struct jval crypto, struct k_keystore *ret)
{
    struct jval cipher;
    struct jval params;
    struct span function;
    CC_TRY(object_of(crypto, "cipher", "crypto.cipher: object expected", &cipher));
    CC_TRY(text_of(cipher, "function", "crypto.cipher.function: text expected", &function));
    if (!span_is(function, "aes-128-ctr"))
        return REFUSE("crypto.cipher.function", "only aes-128-ctr is supported");
    CC_TRY(object_of(cipher, "params", "crypto.cipher.params: object expected", &params));
    CC_TRY(bytes_of(params, "iv", "crypto.cipher.params.iv: 16 bytes of hex expected", ret->iv,
                    sizeof ret->iv));
    return bytes_of(cipher, "message", "crypto.cipher.message: 32 bytes of hex expected",
                    ret->ciphertext, sizeof ret->ciphertext);
}

static cc_err parse_pubkey(struct jval root, struct k_keystore *ret)
{
    struct jval value;
    if (!jval_member(root, "pubkey", &value) || jval_type(value) == JVAL_NULL)
        return CC_OK;
    CC_TRY(bytes_of(root, "pubkey", "pubkey: 48 bytes of hex expected", ret->pubkey.bytes,
                    sizeof ret->pubkey.bytes));
    ret->has_pubkey = 1;
    return CC_OK;
}

static cc_err parse_root(struct jval root, struct k_keystore *ret)
{
    uint64_t version = 0;
    struct jval crypto;
    if (jval_type(root) != JVAL_OBJECT)
        return CC_FAIL(KEYSTORE, "not a JSON object");
    CC_TRY(object_of(root, "crypto", "crypto: object expected", &crypto));
    CC_TRY(number_of(root, "version", UINT32_MAX, "version: 4 expected", &version));
    if (version != 4)
        return REFUSE("version", "only 4 is supported");
    CC_TRY(parse_kdf(crypto, ret));
    CC_TRY(parse_checksum(crypto, ret));
    CC_TRY(parse_cipher(crypto, ret));
    return parse_pubkey(root, ret);
}

static void jdoc_releasep(struct jdoc *doc)
{
    jdoc_release(doc);
}

CC_ERR eip2335_parse(uint8_t *text, size_t len, struct k_keystore *ret_keystore)
{
    *ret_keystore = (struct k_keystore){0};
    if (len > EIP2335_TEXT_MAX)
        return CC_FAIL(KEYSTORE, "the file is larger than 64 KiB");
    CC_CLEANUP(jdoc_releasep) struct jdoc doc = jdoc_init(EIP2335_TOKENS_MAX);
    CC_TRY(jdoc_parse(&doc, text, len));
    return parse_root(jdoc_root(&doc), ret_keystore);
}
