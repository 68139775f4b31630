/* attest/document.h - the attestation document of AWS Nitro Enclaves, taken apart.
 *
 * WHAT      A COSE_Sign1 (RFC 9052) with ES384 whose payload says which image an enclave runs, and what it was asked to
 *           put in: user data, a nonce, a public key (docs/formats.md).
 * PROMISE   attest_document_parse() accepts one form alone (codec/cbor.h) and holds every field to its limits. It says
 *           nothing about who made the bytes: that is attest_verify() (attest/verify.h).
 * THREADS   Any: pure.
 * OWNERSHIP Borrows: all spans lie in the bytes that were parsed, which must outlive them.
 * ERRORS    ATTEST_FORMAT.
 * SECRETS   None: a document is public.
 */
#ifndef ATTEST_DOCUMENT_H
#define ATTEST_DOCUMENT_H

#include "base/error.h"
#include "base/span.h"

enum {
    ATTEST_PCR_COUNT = 32,
    ATTEST_PCR_SIZE = 48,
    ATTEST_SIGNATURE_SIZE = 96, /* r and s, big-endian */
    ATTEST_BUNDLE_MAX =
        4, /* certificates above that of the document: root, region, zone, instance */
    ATTEST_CERTIFICATE_MAX = 1024, /* bytes of each */
    ATTEST_MODULE_ID_MAX = 128,
    ATTEST_USER_DATA_MAX = 512,
    ATTEST_NONCE_MAX = 512,
    ATTEST_PUBLIC_KEY_MAX = 1024,
    ATTEST_DOCUMENT_MAX = 0x3000 /* what the device's driver gives at most */
};

/* Values of platform configuration registers: those whose bit is in `present`. */
struct attest_pcrs {
    uint32_t present;
    uint8_t value[ATTEST_PCR_COUNT][ATTEST_PCR_SIZE];
};

struct attest_document {
    struct span module_id;
    uint64_t timestamp_ms; /* since 1970, by the machine's clock: the enclave can't set it */
    struct attest_pcrs pcrs;
    struct span certificate;               /* DER, of the key that signed the document */
    struct span bundle[ATTEST_BUNDLE_MAX]; /* DER, from the root down to the certificate's issuer */
    uint32_t bundle_count;
    bool has_public_key;
    bool has_user_data;
    bool has_nonce;
    struct span public_key;
    struct span user_data;
    struct span nonce;
    struct span protected_header; /* as it was signed */
    struct span payload;
    struct span signature; /* ATTEST_SIGNATURE_SIZE bytes */
};

CC_ERR attest_document_parse(struct span bytes, struct attest_document *ret_document);

/* True when register `index` is there and holds something else than zeros. */
bool attest_pcr_set(const struct attest_pcrs *pcrs, uint32_t index);

#endif
