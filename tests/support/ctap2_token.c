#include "support/ctap2_token.h"

#include <fido.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <string.h>

#include "base/macros.h"

enum {
    CMD_INIT = 0x06,
    CMD_CBOR = 0x10,
    MAKE_CREDENTIAL = 1,
    GET_ASSERTION = 2,
    GET_INFO = 4,
    CLIENT_PIN = 6,
    OK = 0,
    MISSING = 0x14,
    NO_CREDENTIALS = 0x2e,
    ACTION_TIMEOUT = 0x3a,
    PIN_INVALID = 0x31,
    PIN_AUTH_INVALID = 0x33,
    PIN_REQUIRED = 0x36,
    ID_SIZE = 48,
    FLAG_UP = 1,
    FLAG_UV = 4,
    FLAG_AT = 0x40,
    FLAG_ED = 0x80
};

static struct ctap2_token *token;
static EVP_PKEY *agreement; /* of this life of the key */
static uint8_t pin_token[32];
static uint8_t reply[1024];
static size_t reply_len;

/* --- CBOR: as much as these messages take ------------------------------------------------------------------------------------ */

struct item {
    const uint8_t *at;
    const uint8_t *end;
};

static uint64_t head(struct item *item, int *ret_major)
{
    cc_assert(item->at < item->end);
    *ret_major = *item->at >> 5;
    uint64_t n = *item->at++ & 31;
    if (n < 24)
        return n;
    cc_assert(n <= 26);
    size_t size = (size_t)1 << (n - 24);
    n = 0;
    cc_assert((size_t)(item->end - item->at) >= size);
    while (size--)
        n = n << 8 | *item->at++;
    return n;
}

static void skip(struct item *item)
{
    int major;
    uint64_t n = head(item, &major);
    if (major == 2 || major == 3)
        item->at += n;
    for (uint64_t i = 0; (major == 4 || major == 5) && i < n * (uint64_t)(major - 3); i++)
        skip(item);
    cc_assert(item->at <= item->end);
}

/* The value of a map's integer key (negative ones too), or of its text key. */
static bool find(struct item map, int number, const char *text, struct item *ret_value)
{
    int major;
    uint64_t n = head(&map, &major);
    cc_assert(major == 5);
    while (n--) {
        uint64_t key = head(&map, &major);
        bool same = major <= 1 && !text && (major ? -1 - (int)key : (int)key) == number;
        if (major == 3) {
            same = text && key == strlen(text) && strncmp((const char *)map.at, text, key) == 0;
            map.at += key;
        }
        if (same) {
            *ret_value = map;
            return true;
        }
        skip(&map);
    }
    return false;
}

static const uint8_t *bytes_of(struct item item, size_t *ret_len)
{
    int major;
    *ret_len = head(&item, &major);
    cc_assert(major == 2 && *ret_len <= (size_t)(item.end - item.at));
    return item.at;
}

static void put(const void *data, size_t len)
{
    cc_assert(len <= sizeof reply - reply_len);
    memcpy(reply + reply_len, data, len);
    reply_len += len;
}

static void put_head(int major, size_t n)
{
    const uint8_t short_head[] = {(uint8_t)(major << 5 | (int)n)};
    const uint8_t byte_head[] = {(uint8_t)(major << 5 | 24), (uint8_t)n};
    const uint8_t long_head[] = {(uint8_t)(major << 5 | 25), (uint8_t)(n >> 8), (uint8_t)n};
    if (n < 24)
        put(short_head, sizeof short_head);
    else if (n < 256)
        put(byte_head, sizeof byte_head);
    else
        put(long_head, sizeof long_head);
}

static void put_bytes(const void *data, size_t len)
{
    put_head(2, len);
    put(data, len);
}

static void put_text(const char *text)
{
    put_head(3, strlen(text));
    put(text, strlen(text));
}

/* --- cryptography -------------------------------------------------------------------------------------------------------------- */

static void sha(const void *data, size_t len, uint8_t ret_digest[32])
{
    cc_assert(EVP_Digest(data, len, ret_digest, NULL, EVP_sha256(), NULL) == 1);
}

static void mac(const uint8_t *key, size_t key_len, const void *data, size_t len, uint8_t *ret_mac)
{
    cc_assert(HMAC(EVP_sha256(), key, (int)key_len, data, len, ret_mac, NULL));
}

static void cbc(bool encrypt, const uint8_t key[32], const uint8_t *in, size_t len, uint8_t *out)
{
    static const uint8_t zeros[16];
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    cc_assert(EVP_CipherInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, zeros, encrypt) == 1);
    EVP_CIPHER_CTX_set_padding(ctx, 0);
    cc_assert(EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1 && n == (int)len);
    EVP_CIPHER_CTX_free(ctx);
}

/* {1: 2, 3: alg, -1: 1, -2: x, -3: y} */
static void put_cose(EVP_PKEY *key, int alg_major, size_t alg)
{
    uint8_t point[65];
    size_t len = 0;
    cc_assert(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point,
                                              &len) == 1 &&
              len == 65);
    put("\xa5\x01\x02\x03", 4);
    put_head(alg_major, alg);
    put("\x20\x01\x21", 3);
    put_bytes(point + 1, 32);
    put("\x22", 1);
    put_bytes(point + 33, 32);
}

static EVP_PKEY *key_of_cose(struct item cose)
{
    struct item x, y;
    size_t len;
    uint8_t point[65] = {4};
    cc_assert(find(cose, -2, NULL, &x) && find(cose, -3, NULL, &y));
    memcpy(point + 1, bytes_of(x, &len), 32);
    memcpy(point + 33, bytes_of(y, &len), 32);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){"P-256"}, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    cc_assert(EVP_PKEY_fromdata_init(ctx) == 1 &&
              EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void share_secret(struct item cose, uint8_t ret_secret[32])
{
    uint8_t x[32];
    size_t len = sizeof x;
    EVP_PKEY *peer = key_of_cose(cose);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(agreement, NULL);
    cc_assert(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
              EVP_PKEY_derive(ctx, x, &len) == 1 && len == 32);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    sha(x, sizeof x, ret_secret);
}

/* --- commands ------------------------------------------------------------------------------------------------------------------ */

static int get_info(void)
{
    put("\xa6\x01\x81", 3);
    put_text("FIDO_2_0");
    put("\x02", 1);
    put_head(4, token->no_hmac_secret ? 0 : 1);
    if (!token->no_hmac_secret)
        put_text("hmac-secret");
    put("\x03", 1);
    put_bytes("\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 16);
    put("\x04\xa3", 2);
    put_text("rk");
    put("\xf4", 1);
    put_text("up");
    put("\xf5", 1);
    put_text("clientPin");
    put(token->pin ? "\xf5" : "\xf4", 1);
    put("\x05\x19\x04\xb0\x06\x81\x01", 7);
    return OK;
}

static int client_pin(struct item map)
{
    struct item value;
    size_t len;
    uint8_t secret[32], hash[32], plain[16], sealed[32];
    cc_assert(find(map, 2, NULL, &value));
    if (*value.at == 2) { /* getKeyAgreement: ECDH-ES + HKDF-256, -25 */
        put("\xa1\x01", 2);
        put_cose(agreement, 1, 24);
        return OK;
    }
    cc_assert(*value.at == 5 && find(map, 3, NULL, &value)); /* getPinToken */
    share_secret(value, secret);
    cc_assert(find(map, 6, NULL, &value));
    cbc(false, secret, bytes_of(value, &len), 16, plain);
    sha(token->pin, strlen(token->pin), hash);
    if (CRYPTO_memcmp(plain, hash, sizeof plain) != 0) {
        token->wrong_pins++;
        return PIN_INVALID;
    }
    cbc(true, secret, pin_token, sizeof sealed, sealed);
    put("\xa1\x02", 2);
    put_bytes(sealed, sizeof sealed);
    return OK;
}

/* 0 with and without a good pinAuth. */
static int check_pin(struct item map, int hash_key, int auth_key, bool needed)
{
    struct item hash, auth;
    size_t len;
    uint8_t expected[32];
    token->last_had_pin = find(map, auth_key, NULL, &auth);
    if (!token->last_had_pin)
        return token->pin && needed ? PIN_REQUIRED : OK;
    cc_assert(find(map, hash_key, NULL, &hash));
    mac(pin_token, sizeof pin_token, bytes_of(hash, &len), 32, expected);
    return CRYPTO_memcmp(expected, bytes_of(auth, &len), 16) == 0 ? OK : PIN_AUTH_INVALID;
}

/* A credential's id is random with a MAC of the key: what others made is not known here. */
static void id_mac(const uint8_t random[16], uint8_t ret_mac[32])
{
    mac(token->seed, sizeof token->seed, random, 16, ret_mac);
}

static void put_authdata(uint8_t flags, const void *rest, size_t rest_len, struct item rp)
{
    uint8_t digest[32];
    int major;
    const uint64_t len = head(&rp, &major);
    sha(rp.at, len, digest);
    put_head(2, 37 + rest_len);
    put(digest, sizeof digest);
    put(&flags, 1);
    put("\0\0\0\1", 4);
    put(rest, rest_len);
}

static int make_credential(struct item map)
{
    struct item rp, id, value;
    static uint8_t rest[512];
    uint8_t id_bytes[ID_SIZE] = {0};
    const int fault = check_pin(map, 1, 8, true);
    if (fault)
        return fault;
    if (token->not_touched)
        return ACTION_TIMEOUT;
    cc_assert(find(map, 2, NULL, &rp) && find(rp, 0, "id", &id));
    const bool wanted = find(map, 6, NULL, &value) && find(value, 0, "hmac-secret", &value);
    memset(id_bytes, ++token->made, 16);
    id_mac(id_bytes, id_bytes + 16);
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    const size_t before = reply_len;
    put("aaguid-aaguid-aa\0\x30", 18);
    put(id_bytes, sizeof id_bytes);
    put_cose(key, 1, 6); /* ES256, -7 */
    EVP_PKEY_free(key);
    const bool has = wanted && !token->no_hmac_secret;
    if (has) {
        put("\xa1", 1);
        put_text("hmac-secret");
        put("\xf5", 1);
    }
    const size_t rest_len = reply_len - before;
    memcpy(rest, reply + before, rest_len);
    reply_len = before;
    put("\xa3\x01", 2);
    put_text("packed");
    put("\x02", 1);
    put_authdata(
        (uint8_t)(FLAG_UP | FLAG_AT | (has ? FLAG_ED : 0) | (token->last_had_pin ? FLAG_UV : 0)),
        rest, rest_len, id);
    put("\x03\xa2", 2);
    put_text("alg");
    put("\x26", 1);
    put_text("sig");
    put_bytes("none", 4);
    return OK;
}

static bool known(struct item list, uint8_t *ret_id)
{
    int major;
    struct item id;
    uint8_t expected[32];
    size_t len;
    cc_assert(head(&list, &major) == 1 && major == 4 && find(list, 0, "id", &id));
    const uint8_t *at = bytes_of(id, &len);
    if (len != ID_SIZE)
        return false;
    memcpy(ret_id, at, len);
    id_mac(at, expected);
    return CRYPTO_memcmp(expected, at + 16, 32) == 0;
}

/* HMAC under the credential's secret, of which there is one with the PIN and one without. */
static int hmac_secret(struct item map, const uint8_t *id, uint8_t ret_sealed[32])
{
    struct item value;
    size_t len;
    uint8_t secret[32], expected[32], salt[32], key[32], named[ID_SIZE + 1], output[32];
    cc_assert(find(map, 1, NULL, &value));
    share_secret(value, secret);
    cc_assert(find(map, 2, NULL, &value));
    const uint8_t *salt_sealed = bytes_of(value, &len);
    cc_assert(len == 32);
    mac(secret, 32, salt_sealed, len, expected);
    cc_assert(find(map, 3, NULL, &value));
    if (CRYPTO_memcmp(expected, bytes_of(value, &len), 16) != 0)
        return PIN_AUTH_INVALID;
    cbc(false, secret, salt_sealed, sizeof salt, salt);
    memcpy(named, id, ID_SIZE);
    named[ID_SIZE] = token->last_had_pin;
    mac(token->seed, 32, named, sizeof named, key);
    mac(key, 32, salt, sizeof salt, output);
    cbc(true, secret, output, 32, ret_sealed);
    return OK;
}

static int get_assertion(struct item map)
{
    struct item rp, list, extension;
    uint8_t id[ID_SIZE], sealed[32], rest[64] = "\xa1\x6bhmac-secret\x58\x20";
    int fault = check_pin(map, 2, 6, false);
    if (fault)
        return fault;
    if (!find(map, 3, NULL, &list) || !known(list, id))
        return NO_CREDENTIALS;
    if (token->not_touched)
        return ACTION_TIMEOUT;
    cc_assert(find(map, 1, NULL, &rp) && find(map, 4, NULL, &extension));
    if (!find(extension, 0, "hmac-secret", &extension))
        return MISSING;
    fault = hmac_secret(extension, id, sealed);
    if (fault)
        return fault;
    token->asserted++;
    memcpy(rest + 15, sealed, sizeof sealed);
    put("\xa3\x01\xa2", 3);
    put_text("id");
    put_bytes(id, sizeof id);
    put_text("type");
    put_text("public-key");
    put("\x02", 1);
    put_authdata((uint8_t)(FLAG_UP | FLAG_ED | (token->last_had_pin ? FLAG_UV : 0)), rest,
                 15 + sizeof sealed, rp);
    put("\x03", 1);
    put_bytes("none", 4);
    return OK;
}

static void serve(const uint8_t *data, size_t len)
{
    struct item map = {data + 1, data + len};
    int status = MISSING;
    reply_len = 1;
    if (data[0] == GET_INFO)
        status = get_info();
    else if (data[0] == CLIENT_PIN)
        status = client_pin(map);
    else if (data[0] == MAKE_CREDENTIAL)
        status = make_credential(map);
    else if (data[0] == GET_ASSERTION)
        status = get_assertion(map);
    reply[0] = (uint8_t)status;
    if (status != OK)
        reply_len = 1;
}

/* --- libfido2's seams ---------------------------------------------------------------------------------------------------------- */

static int tx(struct fido_dev *device, uint8_t command, const unsigned char *data, size_t len)
{
    (void)device;
    reply_len = 0;
    if (command == CMD_INIT) {
        put(data, len);
        put("\0\0\0\1\2\0\0\0\x0c", 9); /* channel, protocol 2, version, CBOR without MSG */
    } else if (command == CMD_CBOR) {
        serve(data, len);
    }
    return 0;
}

static int rx(struct fido_dev *device, uint8_t command, unsigned char *data, size_t len, int ms)
{
    (void)device;
    (void)command;
    (void)ms;
    if (reply_len > len)
        return -1;
    memcpy(data, reply, reply_len);
    return (int)reply_len;
}

static void *open_nothing(const char *path)
{
    (void)path;
    return token;
}

static void close_nothing(void *handle)
{
    (void)handle;
    EVP_PKEY_free(agreement);
    agreement = NULL;
}

static int read_nothing(void *handle, unsigned char *data, size_t len, int ms)
{
    (void)handle;
    (void)data;
    (void)len;
    (void)ms;
    return -1;
}

static int write_nothing(void *handle, const unsigned char *data, size_t len)
{
    (void)handle;
    (void)data;
    (void)len;
    return -1;
}

struct fido_dev *ctap2_token_open(struct ctap2_token *opened)
{
    static const fido_dev_io_t io = {open_nothing, close_nothing, read_nothing, write_nothing};
    static const fido_dev_transport_t transport = {rx, tx};
    token = opened;
    agreement = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    memset(pin_token, 0x5a, sizeof pin_token);
    fido_init(FIDO_DISABLE_U2F_FALLBACK);
    fido_dev_t *device = fido_dev_new();
    cc_assert(device && agreement && fido_dev_set_io_functions(device, &io) == FIDO_OK &&
              fido_dev_set_transport_functions(device, &transport) == FIDO_OK &&
              fido_dev_open(device, "virtual") == FIDO_OK);
    return device;
}
