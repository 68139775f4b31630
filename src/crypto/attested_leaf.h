/* crypto/attested_leaf.h - the certificate of attested TLS: made and read.
 *
 * WHAT      A self-signed X.509 certificate of a P-256 key, whose extension ATTESTED_LEAF_OID holds an attestation document as it
 *           came from the device (docs/formats.md). By OpenSSL, since GnuTLS can't hold such an object identifier.
 * PROMISE   attested_leaf_read() takes one form alone: version 3, a key on P-256 as a named curve, ECDSA with SHA-256, signed by
 *           that key, exactly one extension of ours, no critical one that is not, nothing behind it. It says nothing about what the
 *           document is worth, nor that who shows the certificate has the key: the first is attest/atls.h, the second the handshake.
 * THREADS   Any: no state. A key may be used by one thread at a time.
 * OWNERSHIP attested_key_free(); inputs are borrowed for the call.
 * ERRORS    ATTEST_LEAF (not such a certificate; the detail says why), CRYPTO, LIMIT, NO_MEMORY.
 * SECRETS   The private key: in OpenSSL's memory, which wipes it, and in the buffer of attested_key_write(), which is the caller's.
 */
#ifndef CRYPTO_ATTESTED_LEAF_H
#define CRYPTO_ATTESTED_LEAF_H

#include "base/error.h"
#include "base/span.h"

/* 2.25 and a UUID as one number (ITU-T X.667): nobody has to give it out. */
#define ATTESTED_LEAF_OID "2.25.271133421096349093843712461927385498433"

enum {
    LEAF_SPKI_DIGEST_SIZE = 48, /* SHA-384 of the SubjectPublicKeyInfo in DER */
    LEAF_DOCUMENT_MAX = 16384,
    LEAF_DER_MAX = LEAF_DOCUMENT_MAX + 1024,
    LEAF_KEY_MAX = 512 /* of a private key in DER */
};

struct attested_key;

/* A new key. */
CC_ERR attested_key_new(struct attested_key **ret_key);
void attested_key_free(struct attested_key *key); /* takes NULL */
void attested_key_freep(struct attested_key **key);
CC_ERR attested_key_digest(const struct attested_key *key,
                           uint8_t ret_digest[static LEAF_SPKI_DIGEST_SIZE]);
/* Appends PKCS#8 in DER to a buffer that has room for it at once. */
CC_ERR attested_key_write(const struct attested_key *key, struct buf *out);

/* In seconds since 1970; `end` is the first second in which it doesn't hold. */
struct leaf_times {
    uint64_t begin;
    uint64_t end;
};

/* Appends the certificate in DER. */
CC_ERR attested_leaf_make(const struct attested_key *key,
                          struct span document,
                          struct leaf_times times,
                          struct buf *out);

struct attested_leaf {
    uint8_t spki_digest[LEAF_SPKI_DIGEST_SIZE];
    struct leaf_times times;
};

/* Appends the document to `document`, whatever it is. */
CC_ERR
attested_leaf_read(struct span der, struct attested_leaf *ret_leaf, struct buf *document);

/* When the certificate `der` ends, of whatever form it is. */
CC_ERR leaf_certificate_end(struct span der, uint64_t *ret_end);

#endif
