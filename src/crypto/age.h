/* crypto/age.h - files that people open with the age tool (age-encryption.org/v1).
 *
 * WHAT      Recipients as their owners write them (`age1…`, `ssh-ed25519 AAAA… comment`), and the encryption of a small secret to one
 *           or several of them, as it is or in PEM armour. Nothing here decrypts: private keys of recipients are with people.
 * PROMISE   Any one recipient opens the file, and nobody else. A file has one chunk: a secret of at most AGE_PLAIN_MAX bytes.
 * THREADS   Any: pure.   OWNERSHIP Borrows; appends to the caller's buf, which gets ciphertext alone.
 * ERRORS    MALFORMED (not a recipient), CRYPTO (a point of small order), LIMIT, NO_MEMORY, SYSTEM (no randomness).
 * SECRETS   The plain bytes are the caller's. File key, ephemeral keys and what comes of them are on the stack, and wiped with it.
 */
#ifndef CRYPTO_AGE_H
#define CRYPTO_AGE_H

#include "base/span.h"

enum {
    AGE_KEY_SIZE = 32,
    AGE_PLAIN_MAX = 64 * 1024,
    AGE_RECIPIENTS_MAX = 16,
    AGE_RECIPIENT_TEXT_MAX = 512 /* of one, with its comment */
};

enum age_recipient_kind {
    AGE_X25519 = 1,
    AGE_SSH_ED25519 = 2
};

struct age_recipient {
    uint32_t kind;             /* enum age_recipient_kind */
    uint8_t key[AGE_KEY_SIZE]; /* X25519, or Ed25519 */
};

/* Lower case, no white space around it, one space between the words of an SSH key; a comment may hold more of them. Points of small
 * order are refused.
 */
CC_ERR age_recipient_parse(struct span text, struct age_recipient *ret_recipient);
/* Appends `age1…`, or `ssh-ed25519 AAAA…` without a comment. */
CC_ERR age_recipient_write(const struct age_recipient *recipient, struct buf *out);

enum age_form {
    AGE_BINARY,
    AGE_ARMOUR /* lines of text, from -----BEGIN to -----END AGE ENCRYPTED FILE----- and a line feed */
};

/* Encrypts `plain` to 1 to AGE_RECIPIENTS_MAX recipients and appends the file. */
CC_ERR age_encrypt(const struct age_recipient *recipients,
                   size_t count,
                   struct span plain,
                   enum age_form form,
                   struct buf *out);

/* The SSH wire form of an Ed25519 key: both of its fields with their lengths. */
enum {
    AGE_SSH_WIRE_SIZE = 51
};
void age_ssh_wire(const uint8_t key[static AGE_KEY_SIZE],
                  uint8_t ret_wire[static AGE_SSH_WIRE_SIZE]);

#endif
