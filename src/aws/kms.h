/* aws/kms.h - Encrypt and Decrypt of AWS KMS (TrentService).
 *
 * WHAT      Requests and answers of the two operations as JSON, for aws/client.h: by the ARN of a key, with an encryption context. With an
 *           attestation document (`Recipient`) KMS answers Decrypt with an envelope to the public key in it (aws/kms_envelope.h).
 * PROMISE   A request always names its key, Decrypt's too, and goes to the key's own region. An answer counts only when it names that very
 *           key: KMS, or whoever stands in its place, can't answer with another one. What is decrypted has the length that was asked
 *           for. Secret bytes are coded without a branch or a look-up on what they are.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows; bodies go to the caller's buf, answers to the caller's bytes.
 * ERRORS    KMS_ANSWER (another key, another algorithm, another length, no such form), LIMIT, NO_MEMORY, JSON_*.
 * SECRETS   The plain text, in bodies of Encrypt and answers of Decrypt: the caller's buf wipes it when it is released, as does
 *           aws_call_release().
 */
#ifndef AWS_KMS_H
#define AWS_KMS_H

#include "aws/client.h"
#include "config/kms_arn.h"

enum {
    KMS_PLAIN_MAX = 4096,      /* of Encrypt */
    KMS_CIPHERTEXT_MAX = 6144, /* of Decrypt */
    KMS_BODY_MAX = 32768       /* an attestation document is up to 16,384 of it */
};

extern const struct aws_service kms_service;

/* One pair of an encryption context: plain text without `"` and `\`. It is no secret: CloudTrail shows it. */
struct kms_pair {
    const char *name;
    const char *value;
};

struct kms_request {
    const char *key_arn; /* passes kms_arn_check() */
    const struct kms_pair *context;
    size_t context_count;
    struct span document; /* Decrypt: an attestation document; .len 0: none */
};

CC_ERR kms_encrypt_body(const struct kms_request *request, struct span plain, struct buf *body);
CC_ERR
kms_decrypt_body(const struct kms_request *request, struct span ciphertext, struct buf *body);

/* Of a call that has ended with CC_OK. `text` is changed. */
CC_ERR kms_encrypt_read(
    struct buf *text, const char *key_arn, uint8_t *ret_ciphertext, size_t max, uint32_t *ret_len);
CC_ERR
kms_decrypt_read(struct buf *text, const char *key_arn, uint8_t *ret_plain, size_t len);
/* Of a request with a document: an answer with a plain text is refused, whoever gave it. */
CC_ERR kms_decrypt_read_envelope(
    struct buf *text, const char *key_arn, uint8_t *ret_envelope, size_t max, uint32_t *ret_len);

#endif
