#include "crypto/age.h"

#include <sodium.h>

#include "base/num.h"

#include "codec/base64.h"
#include "crypto/kdf.h"
#include "crypto/mac.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "secret/wipe.h"

enum {
    FILE_KEY_SIZE = 16,
    TAG_SIZE = crypto_aead_chacha20poly1305_ietf_ABYTES,
    NONCE_SIZE = crypto_aead_chacha20poly1305_ietf_NPUBBYTES,
    PAYLOAD_NONCE_SIZE = 16,
    ARMOUR_BYTES = 48, /* a line of 64 characters */
    HEADER_MAX = 128 + AGE_RECIPIENTS_MAX * 192
};

static const char version_line[] = "age-encryption.org/v1\n";
static const char x25519_label[] = "age-encryption.org/v1/X25519";
static const char ssh_label[] = "age-encryption.org/v1/ssh-ed25519";

/* Base64 without padding, which a header has. */
static CC_ERR append_unpadded(struct buf *out, const void *data, size_t len)
{
    CC_TRY(base64_append(out, data, len));
    while (out->len && out->data[out->len - 1] == '=')
        out->len--;
    return CC_OK;
}

/* The wrapped file key, from a shared secret: its nonce is zero, since each wrapping key is used once. */
static void wrap(const uint8_t shared[static 32],
                 const uint8_t salt[static 64],
                 const char *label,
                 const uint8_t file_key[static FILE_KEY_SIZE],
                 uint8_t ret_body[static FILE_KEY_SIZE + TAG_SIZE])
{
    static const uint8_t nonce[NONCE_SIZE];
    WIPED32 struct secret32 key;
    kdf_hkdf_sha256(span_of(shared, 32), span_of(salt, 64), span_str(label), key.bytes,
                    sizeof key.bytes);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(ret_body, NULL, file_key, FILE_KEY_SIZE, NULL,
                                                    0, NULL, nonce, key.bytes);
}

/* The secret that a recipient shares with an ephemeral key, and the salt that names both points. */
static CC_ERR
share(const uint8_t point[static 32], struct secret32 *ret_shared, uint8_t ret_salt[static 64])
{
    WIPED32 struct secret32 ephemeral;
    CC_TRY(random_bytes(ephemeral.bytes, sizeof ephemeral.bytes));
    (void)crypto_scalarmult_base(ret_salt, ephemeral.bytes);
    memcpy(ret_salt + 32, point, 32);
    if (crypto_scalarmult(ret_shared->bytes, ephemeral.bytes, point) != 0)
        return CC_FAIL(CRYPTO, "a recipient of small order");
    return CC_OK;
}

/* An SSH key is used through its Montgomery form, twisted by the key itself. */
static CC_ERR share_ssh(const uint8_t key[static 32],
                        const uint8_t wire[static AGE_SSH_WIRE_SIZE],
                        struct secret32 *ret_shared,
                        uint8_t ret_salt[static 64])
{
    uint8_t point[32];
    uint8_t tweak[32];
    WIPED32 struct secret32 plain;
    if (crypto_sign_ed25519_pk_to_curve25519(point, key) != 0)
        return CC_FAIL(CRYPTO, "a recipient of small order");
    CC_TRY(share(point, &plain, ret_salt));
    kdf_hkdf_sha256(span_of(NULL, 0), span_of(wire, AGE_SSH_WIRE_SIZE), span_str(ssh_label), tweak,
                    sizeof tweak);
    if (crypto_scalarmult(ret_shared->bytes, tweak, plain.bytes) != 0)
        return CC_FAIL(CRYPTO, "a recipient of small order");
    return CC_OK;
}

static CC_ERR append_stanza(const struct age_recipient *recipient,
                            const uint8_t file_key[static FILE_KEY_SIZE],
                            struct buf *out)
{
    uint8_t wire[AGE_SSH_WIRE_SIZE];
    uint8_t tag[SHA256_SIZE];
    uint8_t salt[64];
    uint8_t body[FILE_KEY_SIZE + TAG_SIZE];
    WIPED32 struct secret32 shared;
    if (recipient->kind == AGE_SSH_ED25519) {
        age_ssh_wire(recipient->key, wire);
        sha256(span_of(wire, sizeof wire), tag);
        CC_TRY(share_ssh(recipient->key, wire, &shared, salt));
        wrap(shared.bytes, salt, ssh_label, file_key, body);
        CC_TRY(buf_append_str(out, "-> ssh-ed25519 "));
        CC_TRY(append_unpadded(out, tag, 4));
        CC_TRY(buf_append_str(out, " "));
    } else {
        CC_TRY(share(recipient->key, &shared, salt));
        wrap(shared.bytes, salt, x25519_label, file_key, body);
        CC_TRY(buf_append_str(out, "-> X25519 "));
    }
    CC_TRY(append_unpadded(out, salt, 32));
    CC_TRY(buf_append_str(out, "\n"));
    CC_TRY(append_unpadded(out, body, sizeof body));
    return buf_append_str(out, "\n");
}

static CC_ERR append_header(const struct age_recipient *recipients,
                            size_t count,
                            const uint8_t file_key[static FILE_KEY_SIZE],
                            struct buf *out)
{
    WIPED32 struct secret32 key;
    uint8_t mac[MAC_SIZE];
    CC_TRY(buf_append_str(out, version_line));
    for (size_t i = 0; i < count; i++)
        CC_TRY(append_stanza(&recipients[i], file_key, out));
    CC_TRY(buf_append_str(out, "---"));
    kdf_hkdf_sha256(span_of(file_key, FILE_KEY_SIZE), span_of(NULL, 0), span_str("header"),
                    key.bytes, sizeof key.bytes);
    const struct span header = buf_span(out);
    mac_hmac_sha256(span_of(key.bytes, sizeof key.bytes), &header, 1, mac);
    CC_TRY(buf_append_str(out, " "));
    CC_TRY(append_unpadded(out, mac, sizeof mac));
    return buf_append_str(out, "\n");
}

/* The one chunk: number zero, and the last. */
static CC_ERR
append_payload(const uint8_t file_key[static FILE_KEY_SIZE], struct span plain, struct buf *out)
{
    static const uint8_t nonce[NONCE_SIZE] = {[NONCE_SIZE - 1] = 1};
    uint8_t salt[PAYLOAD_NONCE_SIZE];
    uint8_t *at;
    WIPED32 struct secret32 key;
    CC_TRY(random_bytes(salt, sizeof salt));
    CC_TRY(buf_append(out, salt, sizeof salt));
    CC_TRY(buf_grow(out, plain.len + TAG_SIZE, &at));
    kdf_hkdf_sha256(span_of(file_key, FILE_KEY_SIZE), span_of(salt, sizeof salt),
                    span_str("payload"), key.bytes, sizeof key.bytes);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(at, NULL, plain.data, plain.len, NULL, 0, NULL,
                                                    nonce, key.bytes);
    return CC_OK;
}

static CC_ERR append_armour(struct span file, struct buf *out)
{
    CC_TRY(buf_append_str(out, "-----BEGIN AGE ENCRYPTED FILE-----\n"));
    for (size_t i = 0; i < file.len; i += ARMOUR_BYTES) {
        CC_TRY(base64_append(out, file.data + i, (size_t)u64_min(file.len - i, ARMOUR_BYTES)));
        CC_TRY(buf_append_str(out, "\n"));
    }
    return buf_append_str(out, "-----END AGE ENCRYPTED FILE-----\n");
}

static CC_ERR encrypt(const struct age_recipient *recipients,
                      size_t count,
                      struct span plain,
                      enum age_form form,
                      struct buf *out)
{
    WIPED32 struct secret32 file_key; /* the first FILE_KEY_SIZE bytes */
    CC_CLEANUP(buf_release)
    struct buf file = buf_init(HEADER_MAX + PAYLOAD_NONCE_SIZE + AGE_PLAIN_MAX + TAG_SIZE);
    CC_TRY(random_bytes(file_key.bytes, FILE_KEY_SIZE));
    CC_TRY(append_header(recipients, count, file_key.bytes, &file));
    CC_TRY(append_payload(file_key.bytes, plain, &file));
    if (form == AGE_ARMOUR)
        return append_armour(buf_span(&file), out);
    return buf_append(out, file.data, file.len);
}

CC_SENSITIVE CC_ERR age_encrypt(const struct age_recipient *recipients,
                                size_t count,
                                struct span plain,
                                enum age_form form,
                                struct buf *out)
{
    if (count == 0 || count > AGE_RECIPIENTS_MAX || plain.len > AGE_PLAIN_MAX)
        return CC_FAIL(LIMIT, "recipients or length of an age file");
    cc_err err = encrypt(recipients, count, plain, form, out);
    wipe_stack();
    return err;
}
