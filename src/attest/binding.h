/* attest/binding.h - what a document was made for: its user data.
 *
 * WHAT      User data begins with a purpose, a text with its terminator; what follows has the purpose's own fixed form
 *           (docs/formats.md).
 * PROMISE   A document of one purpose is never taken for one of another. Only a document for KMS has a public key, and
 *           where one has it without being for KMS, attest_binding_check() refuses it.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS ATTEST_BINDING.   SECRETS None.
 */
#ifndef ATTEST_BINDING_H
#define ATTEST_BINDING_H

#include "attest/document.h"

enum {
    ATTEST_SPKI_DIGEST_SIZE = 48, /* SHA-384 of a SubjectPublicKeyInfo in DER */
    ATTEST_CHAMBER_ID_SIZE = 32,
    ATTEST_CONFIG_DIGEST_SIZE = 32,
    ATTEST_RECORD_DIGEST_SIZE = 48, /* SHA-384 of what an image vouches for */
    ATTEST_BINDING_MAX = 160
};

enum attest_purpose {
    ATTEST_FOR_TLS = 1, /* spki_digest, chamber_id, config_digest */
    ATTEST_FOR_KMS,     /* chamber_id, config_digest; the public key is the vault's */
    ATTEST_FOR_CLOCK,   /* nothing more */
    ATTEST_FOR_ROOT     /* record_digest: seal/enclave_root_record.h */
};

/* What the purpose has not is zero. */
struct attest_binding {
    enum attest_purpose purpose;
    uint8_t spki_digest[ATTEST_SPKI_DIGEST_SIZE];
    uint8_t chamber_id[ATTEST_CHAMBER_ID_SIZE];
    uint8_t config_digest[ATTEST_CONFIG_DIGEST_SIZE];
    uint8_t record_digest[ATTEST_RECORD_DIGEST_SIZE];
};

/* Writes the user data and returns its length. */
size_t attest_binding_encode(const struct attest_binding *binding,
                             uint8_t ret_user_data[static ATTEST_BINDING_MAX]);
CC_ERR attest_binding_decode(struct span user_data, struct attest_binding *ret_binding);

/* What a verifier expects; NULL: any. */
struct attest_expected {
    enum attest_purpose purpose;
    const uint8_t *spki_digest; /* never NULL for ATTEST_FOR_TLS */
    const uint8_t *chamber_id;
    const uint8_t *config_digest;
    const uint8_t *record_digest; /* never NULL for ATTEST_FOR_ROOT */
};

/* Compares a verified document with that. *ret_binding may be NULL. */
CC_ERR attest_binding_check(const struct attest_document *document,
                            const struct attest_expected *expected,
                            struct attest_binding *ret_binding);

#endif
