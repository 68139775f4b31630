/* aws/kms_envelope.h - CiphertextForRecipient: what KMS answers to a request with an attestation document.
 *
 * WHAT      A CMS EnvelopedData (RFC 5652) in BER, with one recipient: a key under RSAES-OAEP with SHA-256 (RFC 8017), and what it encrypts with
 *           AES-256-CBC. Taken apart here, so that who has the private key parses none of it.
 * PROMISE   The two forms that KMS is known to send are accepted (docs/formats.md), and nothing else: other algorithms, other versions, more
 *           recipients, other lengths, trailing bytes are refused.
 * THREADS   Any: pure.   OWNERSHIP Spans lie in the bytes that were parsed; the ciphertext is copied, since it may come in pieces.
 * ERRORS    KMS_ANSWER.   SECRETS None: it is encrypted.
 */
#ifndef AWS_KMS_ENVELOPE_H
#define AWS_KMS_ENVELOPE_H

#include "base/span.h"

enum {
    KMS_ENVELOPE_MAX = 8192,    /* bytes of an envelope */
    KMS_ENVELOPE_WRAPPED = 256, /* RSA-2048 */
    KMS_ENVELOPE_IV = 16
};

struct kms_envelope {
    struct span wrapped; /* KMS_ENVELOPE_WRAPPED bytes */
    struct span iv;      /* KMS_ENVELOPE_IV bytes */
};

/* Appends the ciphertext, some blocks of 16 bytes. */
CC_ERR
kms_envelope_parse(struct span bytes, struct kms_envelope *ret_envelope, struct buf *ciphertext);

#endif
