/* crypto/recipient.h - the key pair that KMS encrypts shares to: RSA-2048, OAEP with SHA-256, and AES-256-CBC under the key in it.
 *
 * WHAT      A pair for the life of a process; its public half as an attestation document carries it; opening what was encrypted to it.
 * PROMISE   recipient_open() takes one time for all it is given, and gives bytes for all of it: where RSA or the padding is not right, they are
 *           zeros. So who changes a ciphertext and sends it again learns nothing from the way in which it fails: the caller compares what comes
 *           out with the share's commitment, and has one error for everything.
 * THREADS   Any. recipient_new() once, before a room's lock: it takes the library's locked memory.
 * OWNERSHIP recipient_free() wipes; recipient_seal() before that, and nothing opens any more.
 * ERRORS    CRYPTO, NO_MEMORY, SEALED.
 * SECRETS   The private key, in OpenSSL's secure heap (locked, undumpable, wiped), and what is opened. docs/secrets.md.
 */
#ifndef CRYPTO_RECIPIENT_H
#define CRYPTO_RECIPIENT_H

#include "base/span.h"

enum {
    RECIPIENT_KEY_BITS = 2048,
    RECIPIENT_WRAPPED_SIZE = RECIPIENT_KEY_BITS / 8,
    RECIPIENT_BLOCK = 16,
    RECIPIENT_PUBLIC_MAX = 512, /* the DER of a SubjectPublicKeyInfo: 294 bytes */
    RECIPIENT_CIPHERTEXT_MAX = 256
};

struct recipient;

CC_ERR recipient_new(struct recipient **ret_recipient);
void recipient_free(struct recipient *recipient); /* takes NULL */
void recipient_seal(struct recipient *recipient);

/* SubjectPublicKeyInfo, DER. */
CC_ERR recipient_public(struct recipient *recipient,
                        uint8_t ret_der[static RECIPIENT_PUBLIC_MAX],
                        uint32_t *ret_len);

/* A plain text of plain_len bytes, which is as long as ciphertext.len and PKCS#7's padding allow. */
CC_ERR recipient_open(struct recipient *recipient,
                      const uint8_t wrapped[static RECIPIENT_WRAPPED_SIZE],
                      const uint8_t iv[static RECIPIENT_BLOCK],
                      struct span ciphertext,
                      uint8_t *ret_plain,
                      size_t plain_len);

/* A text: one byte or more, all from ' ' to '~', as many as the padding leaves. What is none gives zeros and *ret_len 0, in the same time.
 * `ret_text` has room for ciphertext.len bytes.
 */
CC_ERR recipient_open_text(struct recipient *recipient,
                           const uint8_t wrapped[static RECIPIENT_WRAPPED_SIZE],
                           const uint8_t iv[static RECIPIENT_BLOCK],
                           struct span ciphertext,
                           char *ret_text,
                           uint32_t *ret_len);

#endif
